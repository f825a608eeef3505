"""A collection: the one object that people hold."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wherefrom.adding import Adding, Offer, OnOutcome, offers
from wherefrom.asking import Asking
from wherefrom.batches import batched
from wherefrom.deciding import Decisions, pairs
from wherefrom.engine.base import Copied, Engine
from wherefrom.engine.fields import checked as checked_fields
from wherefrom.engine.opening import open_engine
from wherefrom.errors import CollectionLocked, Excluded, FeatureMismatch, NotFound, Unreadable, UsageError
from wherefrom.features.embedding import dimension_of
from wherefrom.features.registry import blanks, versions_of
from wherefrom.outcome import Outcome, Report, Status
from wherefrom.places import vanished
from wherefrom.progress import ProgressLine
from wherefrom.receiving import Upload
from wherefrom.records import Image, SeenAt, digest_of
from wherefrom.settings import Settings, load
from wherefrom.sources.folder import file_uri
from wherefrom.sources.leaving import LeavingOut
from wherefrom.workers import Task, Workers

T = TypeVar("T")

if TYPE_CHECKING:
    from wherefrom.acting.doing import Acted, Result
    from wherefrom.groups import Group


def open_collection(
    path: str | os.PathLike[str], *, create: bool = False, settings: Settings | None = None
) -> Collection:
    """Open the collection at a path or a URL; with `create`, make it when there is none.

    A path or a `file://` URL is a directory; `memory://` is an empty collection in memory, which is forgotten
    when it is closed.

    Raises UsageError for a URL of another kind, CollectionMissing, CollectionDamaged, CollectionTooNew or
    CollectionError.
    """
    stated = settings or load()
    card = stated.card
    engine = open_engine(path, create=create, versions=versions_of(card), dimension=dimension_of(card))
    return Collection(engine, stated)


class Collection(Asking):
    """Images with their sightings and features, open for search. Made by `wherefrom.open`.

    Thread-safe for searching. One process at a time may change a collection; the first change takes
    the lock, which is given back by `close`, by `let_go`, and between two changes to who waits for it. Others
    search meanwhile and see what is added at once.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__(engine, settings)
        self._workers: Workers | None = None
        self._adding = threading.Lock()
        self._receivers: Workers | None = None
        self._receiving = threading.Lock()

    def wait_for_turn(
        self, seconds: float, on_wait: Callable[[CollectionLocked], None] | None = None
    ) -> None:
        """From now on wait so long, rather than not at all, where another process is writing.

        `on_wait` is told who is, when it takes more than a moment. What lets go in between is a service and
        `add` of this version; anything else is waited for until its end.
        """
        self._engine.wait_for_turn(seconds, on_wait)

    def let_go(self, idle: float) -> bool:
        """Give the writer's lock back if nothing was changed for so many seconds; gives whether it was."""
        return self._engine.let_go(idle)

    def close(self) -> None:
        """Let files, locks and worker processes go."""
        self._close_workers()
        with self._receiving:
            if self._receivers is not None:
                self._receivers.close()
        super().close()

    def add(
        self,
        source: Any,
        *,
        progress: bool = False,
        on_outcome: OnOutcome | None = None,
        prune: bool = False,
        retry: bool = False,
        stop: threading.Event | None = None,
        exclude: Iterable[str] = (),
        default_excludes: bool = True,
    ) -> Report:
        """Add pictures from a path, folder, URL, bytes, `Picture`, or an iterable of them.

        Everything offered gets an outcome in the report, and what the report calls added has been
        committed and is found by the next search. `progress` shows rate and time left on stderr;
        `on_outcome` is called with each outcome (and the report so far) once it is final; `prune` marks
        the sightings under the given folders whose files have vanished, while those of files that are met
        elsewhere are always marked; `retry` reads again files that were refused before and have not changed;
        `stop` ends the run cleanly when it is set.

        Of folders is left out what files `.wherefromignore` in them and the patterns `exclude` name (see
        `sources/leaving.py`), and with `default_excludes` what other programs keep for themselves:
        thumbnails, bins, what is no original in a library of Photos. What was added before stays until
        `prune` takes it out.

        Raises CollectionLocked when another process is writing, UsageError for a source of no use.
        """
        line = ProgressLine(list(_roots(source))) if progress else None

        def tell(outcome: Outcome, report: Report) -> None:
            if on_outcome is not None:
                on_outcome(outcome, report)
            if line is not None:
                line.update(report)

        with self._adding:
            run = Adding(
                self._engine, self._pool(), self._settings.limits, on_outcome=tell, retry=retry, stop=stop
            )
            try:
                leaving = LeavingOut(
                    [exclude] if isinstance(exclude, str) else [*exclude], defaults=default_excludes
                )
                report = run.run(offers(source, self._settings, leaving))
            except BaseException:
                self._close_workers()  # with what they were doing
                raise
            finally:
                if line is not None:
                    line.close(run.report)
            if report.interrupted:
                self._close_workers()
            elif prune:
                report.gone += self._prune(source)
                report.taken_out = self._take_out(
                    one.uri for one in report.skipped if one.code == Excluded.code
                )
        return report

    def receive(
        self, uploads: Sequence[Upload], on_outcome: Callable[[int, Outcome], None] | None = None
    ) -> list[Outcome]:
        """Add pictures that came as bytes and keep these in the collection's directory: an outcome for each.

        They are committed together, and may be added while `add` is at work elsewhere. `on_outcome` is told
        the place of each in `uploads` and its outcome once it is final. Raises CollectionLocked when another
        process is writing, UsageError for fields of no use, before anything is added.
        """
        waiting = iter(list(enumerate(uploads)))
        outcomes: dict[int, Outcome] = {}

        def settled(number: int, outcome: Outcome) -> None:
            outcomes[number] = outcome
            if on_outcome is not None:
                on_outcome(number, outcome)

        for upload in uploads:
            checked_fields(upload.fields)
        self.receive_each(lambda: next(waiting, None), settled, lambda _: True)
        return [outcomes[number] for number in range(len(uploads))]

    def receive_each(
        self,
        more: Callable[[], tuple[T, Upload] | None],
        on_outcome: Callable[[T, Outcome], None],
        is_wanted: Callable[[T], bool],
    ) -> None:
        """The same for pictures that come one by one: `more` gives the next one and a mark of it.

        `more` is asked whenever a worker is free, until it gives None and all is settled; `on_outcome` is
        told each mark with its outcome, once it is final. One that `is_wanted` no more is stopped, and
        nothing is told of it. Fields have to be of use (`engine.fields.checked`).
        """
        marks: dict[int, tuple[Offer, T]] = {}

        def offered() -> Offer | None:
            given = more()
            if given is None:
                return None
            mark, upload = given
            offer = Offer(upload.known_as, data=upload.data, upload=upload)
            marks[id(offer)] = offer, mark
            return offer

        def settled(offer: Offer, outcome: Outcome) -> None:
            on_outcome(marks.pop(id(offer))[1], outcome)

        with self._receiving:
            if self._receivers is None:
                self._receivers = self._new_workers()
            try:
                Adding(self._engine, self._receivers, self._settings.limits, on_settled=settled).serve(
                    offered, lambda offer: is_wanted(marks[id(offer)][1]), self._settings.worker_count
                )
            except BaseException:
                self._receivers.close()
                self._receivers = None
                raise

    def sweep(self) -> int:
        """Delete what a crash has left of uploads that were never added; gives how many there were."""
        return self._engine.sweep()

    def forget(self, uri: str) -> int:
        """Take a place back: images seen nowhere else are removed, and others are gone from there.

        Gives how many images it was. Raises NotFound when none was seen there.
        """
        found = self.find(uri)
        if not found:
            raise NotFound(f"No image of this collection was seen at {uri}.")
        here = [at for at in self._engine.present_under(uri) if at.uri == uri]
        for image in found:
            if all(place.uri == uri or place.gone for place in image.sightings):
                self.remove(image.id)
        self._engine.mark_gone(here)
        return len(found)

    def not_duplicates(self, ids: Iterable[str]) -> None:
        """Remember that the images of these ids are no duplicates of each other: no group has two of them.

        Raises UsageError for fewer than two, NotFound for one that is not here, CollectionLocked.
        """
        self._decide(ids, "apart")

    def keep_both(self, ids: Iterable[str]) -> None:
        """Remember that the images of these ids are all kept: none of them could go for another's sake.

        A single id stands for the files with its bytes. Raises as `not_duplicates` does.
        """
        self._decide(ids, "both")

    def undecide(self, ids: Iterable[str]) -> int:
        """Take back what was said of these images with each other; gives how many pairs it was of."""
        told = pairs(list(ids))
        kept = Decisions.of(self._engine)
        taken = len((kept.apart | kept.both) & told)
        kept.apart -= told
        kept.both -= told
        if taken:
            kept.keep(self._engine)
        return taken

    def _decide(self, ids: Iterable[str], what: str) -> None:
        stated = list(ids)
        told = pairs(stated)
        if what == "apart" and any(one == other for one, other in told):
            raise UsageError("Files with the same bytes are duplicates; keep_both lets them stay.")
        for one in stated:
            self.get(one)
        kept = Decisions.of(self._engine)
        kept.apart -= told
        kept.both -= told
        (kept.apart if what == "apart" else kept.both).update(told)
        kept.keep(self._engine)

    def act(
        self,
        groups: Iterable[Group],
        way: str = "trash",
        folder: str | os.PathLike[str] | None = None,
        *,
        on_result: Callable[[Result], None] | None = None,
    ) -> Acted:
        """Do something about the files of groups that could go (`Group.spare`), one at a time.

        `trash` moves them to the system's bin, `move` below `folder` as they lie, `hardlink` makes each a
        name of the file that is kept, and `reflink` lets the two share what they hold; the latter two only of
        the same bytes. Right before, both files are read and are what was indexed; else a file is passed
        over, with the reason in the result. What was decided since the groups were made is heeded.
        `undo_acts` takes it back.

        Raises UsageError, CollectionLocked, CollectionError where it cannot be written what is done.
        """
        from wherefrom.acting.doing import act, steps

        with self._adding:
            plan, passed = steps(Decisions.of(self._engine).heeded(groups), way)
            target = None if folder is None else os.fspath(folder)
            acted = act(self, plan, way, target, on_result)
        acted.passed[:0] = passed
        return acted

    def undo_acts(self, run: str | None = None) -> list[tuple[str, str | None]]:
        """Undo an `act` by its `run`, or the last that was not undone: each file's path, and why it is not
        back, or None.
        """
        from wherefrom.acting.doing import undo

        with self._adding:
            done = [(deed.path, why) for deed, why in undo(self, run)]
        for path, why in done:
            if why is None:
                # It is back, whatever its features are computed with by now; `index` will know it.
                with contextlib.suppress(FeatureMismatch):
                    self.add(path)
        return done

    def attach(self, id_or_uri: str | os.PathLike[str], /, **fields: str | float | bool | None) -> int:
        """Give the image of an id, or every image seen at a uri or path, fields of your own to filter by.

        None takes a field away. Gives how many images there were. Raises NotFound when there is none,
        UsageError for a name or value of no use.
        """
        keys = self._keys(id_or_uri)
        if not keys:
            raise NotFound(f"There is no image {os.fspath(id_or_uri)} in this collection.")
        return self._engine.set_fields(keys, fields)

    def remove(self, id_or_uri: str | os.PathLike[str]) -> int:
        """Remove the image of an id, or every image seen at a uri or path; gives how many.

        The files themselves are left alone. Raises NotFound when there is none.
        """
        keys = self._keys(id_or_uri)
        if not keys:
            raise NotFound(f"There is no image {os.fspath(id_or_uri)} in this collection.")
        return self._engine.remove(keys)

    def check(self) -> list[str]:
        """Everything that is wrong with the collection, a sentence each; empty when it is sound."""
        return list(self._engine.damage())

    def backup(
        self, directory: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
    ) -> Copied:
        """Copy the collection to a directory that is new or empty, while others read and write it.

        The copy is the collection as it was at one moment after the call, with the files that were uploaded;
        it opens as a collection and makes its indexes anew when it does. Keys of the service stay behind.
        `progress` is told (bytes of the catalog copied, bytes in all), and ends the copying by raising.
        Raises UsageError for a directory of no use, CollectionError when it cannot be written to.
        """
        return self._engine.backup(Path(os.path.expanduser(directory)), progress)

    def prune(self, source: Any) -> int:
        """Mark the sightings below paths or folders whose files have vanished; gives how many there were."""
        with self._adding:
            return self._prune(source)

    def rebuild(self, *, progress: Callable[[int, int], None] | None = None) -> list[Outcome]:
        """Derive every index from the catalog again, and compute features of old versions anew.

        Computing anew needs the files: outcomes are given for the images whose file is gone or cannot
        be read any more; they stay, and are no longer found by fingerprint.
        """
        with self._adding:  # which reads with the same workers
            stale = self._engine.stale()
            lost = list(self._recompute(stale, progress)) if stale else []
            self._engine.rebuild()
        return lost

    def _recompute(self, stale: list[int], progress: Callable[[int, int], None] | None) -> Iterator[Outcome]:
        done = 0
        for keys in batched(stale, 256):
            known = self._engine.images(keys)
            fresh: list[tuple[int, str, dict[str, bytes]]] = []
            waiting: set[int] = set()
            for key, image in known.items():
                path = self._path_of(image)
                data = self._engine.original(digest_of(image.id)) if path is None else None
                if path is None and data is None:
                    fresh.append((key, "", blanks()))
                    yield _lost(
                        image, "None of the files in which it was seen is there any more.", Unreadable.code
                    )
                else:
                    waiting.add(key)
                    self._pool().submit(Task(key, path, data))
            while waiting:
                for read in self._pool().ready(0.2):
                    waiting.discard(read.number)
                    image = known[read.number]
                    if read.image is not None and read.image.digest == digest_of(image.id):
                        fresh.append((read.number, read.image.decoder, read.image.features))
                        continue
                    fresh.append((read.number, "", blanks()))
                    if read.error is not None:
                        yield _lost(image, str(read.error), read.error.code)
                    else:
                        yield _lost(image, "Its file has changed since it was indexed.", "changed")
            self._engine.refresh_features(fresh)
            done += len(known)
            if progress is not None:
                progress(done, len(stale))

    def _prune(self, source: Any) -> int:
        gone: list[SeenAt] = []
        for root in _roots(source):
            gone += vanished(self._engine.present_under(file_uri(root)))
        self._engine.mark_gone(gone)
        return len(gone)

    def _take_out(self, uris: Iterable[str]) -> int:
        """Take places back that are left out now; gives how many images were there."""
        count = 0
        for uri in uris:
            if self._engine.keys_at(uri):
                count += self.forget(uri)
        return count

    def _pool(self) -> Workers:
        if self._workers is None:
            self._workers = self._new_workers()
        return self._workers

    def _new_workers(self) -> Workers:
        settings = self._settings
        return Workers(settings.worker_count, settings.limits, recipe=settings.recipe)

    def _close_workers(self) -> None:
        if self._workers is not None:
            self._workers.close()
            self._workers = None


def _lost(image: Image, why: str, code: str) -> Outcome:
    uri = image.sightings[0].uri if image.sightings else image.id
    return Outcome(Status.FAILED, uri, image.id, why, code)


def _roots(source: Any) -> Iterator[str]:
    if isinstance(source, str | os.PathLike):
        if "://" not in os.fspath(source):
            yield os.path.expanduser(os.fspath(source))
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | memoryview):
        for one in source:
            yield from _roots(one)
