"""A collection: the one object that people hold."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from whence.adding import Adding, Offer, OnOutcome, offers
from whence.duplicates import Group, groups, looks
from whence.engine.base import Engine
from whence.engine.batches import batched
from whence.engine.copying import Copied
from whence.engine.embedded import EmbeddedEngine
from whence.engine.fields import checked as checked_fields
from whence.engine.records import ID_PREFIX, Image, Sighting, digest_of, image_id
from whence.errors import NotFound, Unreadable, UsageError
from whence.features.embedding import dimension_of
from whence.features.extract import EMBEDDING, PALETTE, VERSIONS, nothing, versions_of
from whence.listing import Listed, listed
from whence.outcome import Outcome, Report, Status
from whence.progress import ProgressLine
from whence.receiving import Upload
from whence.search.answer import Answer, Kind, Match, QueryFacts
from whence.search.calibration import DOCUMENT, Calibration, least_score
from whence.search.find import checked, compare, find, lookalikes
from whence.search.lookup import LabelCount, answers, label_counts
from whence.search.pixels import bytes_of, original
from whence.search.query import Query, Region, object_of, picture_of
from whence.search.similar import alike
from whence.search.wishes import About, Wishes
from whence.settings import Settings, load
from whence.sources.folder import file_uri, path_of
from whence.workers import Task, Workers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from whence.engine.terms import Filter
    from whence.search.account import Account

_EVERY = "width>=0"  # a filter that lets every image through


def open_collection(
    path: str | os.PathLike[str], *, create: bool = False, settings: Settings | None = None
) -> Collection:
    """Open the collection in a directory; with `create`, make it when there is none.

    Raises CollectionMissing, CollectionDamaged, CollectionTooNew or CollectionError.
    """
    directory = Path(os.path.abspath(os.path.expanduser(path)))
    stated = settings or load()
    card = stated.card
    engine = EmbeddedEngine(
        directory, create=create, versions=versions_of(card), dimension=dimension_of(card)
    )
    return Collection(engine, stated)


class Collection:
    """Images with their sightings and features, open for search. Made by `whence.open`.

    Thread-safe for searching. One process at a time may change a collection; the first change takes
    the lock and `close` gives it back. Others search meanwhile and see what is added at once.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._workers: Workers | None = None
        self._adding = threading.Lock()
        self._receivers: Workers | None = None
        self._receiving = threading.Lock()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let files, locks and worker processes go."""
        self._close_workers()
        with self._receiving:
            if self._receivers is not None:
                self._receivers.close()
        self._engine.close()

    def __len__(self) -> int:
        return self._engine.count()

    @property
    def settings(self) -> Settings:
        """What it was opened with."""
        return self._settings

    @property
    def engine(self) -> Engine:
        """What keeps the images and finds them: for what is built upon it, such as an evaluation."""
        return self._engine

    def add(
        self,
        source: Any,
        *,
        progress: bool = False,
        on_outcome: OnOutcome | None = None,
        prune: bool = False,
        retry: bool = False,
        stop: threading.Event | None = None,
    ) -> Report:
        """Add pictures from a path, folder, URL, bytes, `Picture`, or an iterable of them.

        Everything offered gets an outcome in the report, and what the report calls added has been
        committed and is found by the next search. `progress` shows rate and time left on stderr;
        `on_outcome` is called with each outcome (and the report so far) once it is final; `prune` marks
        the sightings under the given folders whose files have vanished; `retry` reads again files that
        were refused before and have not changed; `stop` ends the run cleanly when it is set.

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
                report = run.run(offers(source, self._settings))
            except BaseException:
                self._close_workers()  # with what they were doing
                raise
            finally:
                if line is not None:
                    line.close(run.report)
            if report.interrupted:
                self._close_workers()
            elif prune:
                report.gone = self._prune(source)
        return report

    def receive(
        self, uploads: Sequence[Upload], on_outcome: Callable[[int, Outcome], None] | None = None
    ) -> list[Outcome]:
        """Add pictures that came as bytes and keep these in the collection's directory: an outcome for each.

        They are committed together, and may be added while `add` is at work elsewhere. `on_outcome` is told
        the place of each in `uploads` and its outcome once it is final. Raises CollectionLocked when another
        process is writing, UsageError for fields of no use, before anything is added.
        """
        outcomes: dict[int, Outcome] = {}
        numbers: dict[int, int] = {}

        def items() -> Iterator[Offer]:
            for number, upload in enumerate(uploads):
                checked_fields(upload.fields)
                offer = Offer(upload.known_as, data=upload.data, upload=upload)
                numbers[id(offer)] = number
                yield offer

        def settled(offer: Offer, outcome: Outcome) -> None:
            number = numbers[id(offer)]
            outcomes[number] = outcome
            if on_outcome is not None:
                on_outcome(number, outcome)

        offered = list(items())
        with self._receiving:
            if self._receivers is None:
                self._receivers = self._new_workers()
            try:
                Adding(self._engine, self._receivers, self._settings.limits, on_settled=settled).run(
                    iter(offered)
                )
            except BaseException:
                self._receivers.close()
                self._receivers = None
                raise
        return [outcomes[number] for number in range(len(offered))]

    def original(self, identifier: str) -> bytes:
        """The bytes of the image of an id: of a file in which it was seen, or as they were received.

        Raises NotFound where they are nowhere any more, UsageError for what is no id.
        """
        image = self.get(identifier)
        data = bytes_of(image, self._settings.limits, self._engine.kept)
        if data is None:
            raise _no_file(image)
        return data

    def sweep(self) -> int:
        """Delete what a crash has left of uploads that were never added; gives how many there were."""
        return self._engine.sweep()

    def search(
        self,
        query: Any,
        *,
        limit: int = 20,
        kinds: Iterable[str] | None = None,
        region: Region | None = None,
        object: int | None = None,
        min_score: float = 0.0,
        filter: str | Filter | None = None,
        like: Iterable[Any] = (),
        unlike: Iterable[Any] = (),
        text: str | None = None,
        colours: str | None = None,
        ignore_background: bool = False,
    ) -> Answer:
        """Find where a picture comes from, or what looks like it.

        `query` is a path, URL, bytes, `Picture` or the id of an image here whose file is still there;
        `kinds` are the kinds of match wanted: by default all claims, and with `"all"` look-alikes too;
        `region` (left, top, right, bottom in pixels of the upright picture) searches for a part of it, and
        `object` for the first, second ... thing that it shows; `min_score` leaves out matches that are less
        sure; `filter` lets only some images through (see `docs/filters.md`).

        Look-alikes are ranked by how much they are like the query and the pictures `like`, and `unlike`
        others; by words (`text`), with a model that has a side for them; and by `colours`, such as
        "red:2, #ffcc00", the background left out with `ignore_background`. With any of these, all kinds are
        wanted by default, and `query` may be None.

        Raises a PictureError when the query cannot be read, UsageError for a limit, kind, region or filter
        of no use, FeatureMismatch when the collection's features are of another version, ModelMissing or
        ModelError where look-alikes need a model that is not there.
        """
        wishes = Wishes(list(like), list(unlike), text, colours, ignore_background)
        if kinds is None and not wishes.are_none:
            kinds = "all"
        if query is None:
            return self._wished(wishes, limit, kinds, min_score, filter)
        return self._searched(query, [region], limit, kinds, min_score, filter, wishes, object)[0]

    def search_regions(
        self,
        query: Any,
        regions: Iterable[Region],
        *,
        limit: int = 20,
        kinds: Iterable[str] | None = None,
        min_score: float = 0.0,
        filter: str | Filter | None = None,
    ) -> list[Answer]:
        """Search for several parts of a picture, which is read once: an answer for each, in their order.

        The rest is as for `search`. The first answer's timings have the reading; UsageError without regions.
        """
        wanted = list(regions)
        if not wanted:
            raise UsageError("There are no regions to search for.")
        return self._searched(query, wanted, limit, kinds, min_score, filter)

    def _searched(
        self,
        query: Any,
        regions: Sequence[Region | None],
        limit: int,
        kinds: Iterable[str] | None,
        min_score: float,
        filter: str | Filter | None,
        wishes: Wishes | None = None,
        thing: int | None = None,
    ) -> list[Answer]:
        start = time.perf_counter()
        wanted = checked(limit, kinds, min_score)
        allowed = self._allowed(filter)
        source = self._source(query)
        if thing is not None:
            picture, data = picture_of(source, self._settings, colour=True)
            regions = [object_of(picture, thing, self._settings)]
            source = picture if data is None else data  # a URL is fetched once
        wish = None if wishes is None or wishes.are_none else wishes.read(self._source, self._settings)
        return [
            find(
                self._engine, read, limit=limit, kinds=wanted, min_score=min_score, wish=wish, allowed=allowed
            )
            for read in Query.read_regions(source, self._settings, regions, start)
        ]

    def _wished(
        self,
        wishes: Wishes,
        limit: int,
        kinds: Iterable[str] | None,
        min_score: float,
        filter: str | Filter | None,
    ) -> Answer:
        """Look-alikes without a query picture."""
        start = time.perf_counter()
        if Kind.SIMILAR not in checked(limit, kinds, min_score) or not wishes.have_a_subject:
            raise UsageError(
                "A search needs a picture; only look-alikes can be had of other pictures, text or colours."
            )
        wish, allowed = wishes.read(self._source, self._settings), self._allowed(filter)
        read = time.perf_counter()
        found = alike(self._engine, wish, limit, allowed)
        matches = lookalikes(self._engine, found, limit, min_score, by_colour=not wish.wanted)
        done = time.perf_counter()
        times = {"decode": 0.0, "features": read - start, "recall": done - read, "verify": 0.0}
        timings = {name: 1e3 * value for name, value in (times | {"total": done - start}).items()}
        notes = () if matches else ("Nothing here is like that.",)
        return Answer(QueryFacts(0, 0, "", 0, notes), tuple(matches), timings)

    def _allowed(self, filter: str | Filter | None) -> NDArray[np.int64] | None:
        return None if filter is None else self._engine.matching(filter, answers(self._engine))

    def _source(self, query: Any) -> Any:
        """What to read for a query: for an id, a file in which the image was seen."""
        if isinstance(query, str) and query.startswith(ID_PREFIX):
            return self._file_of(self.get(query))
        return query

    def why(
        self,
        query: Any,
        identifier: str,
        *,
        limit: int = 20,
        kinds: Iterable[str] | None = None,
        region: Region | None = None,
        min_score: float = 0.0,
        filter: str | Filter | None = None,
    ) -> Account:
        """What each stage of a search said of the image of an id: why it was found, or at which stage not.

        The rest is as for `search`, and raises the same; NotFound when there is no such image.
        """
        from whence.search.account import account

        digest = digest_of(self.get(identifier).id)
        key = self._engine.keys_of([digest])[digest]
        read = Query.read(self._source(query), self._settings, region)
        return account(
            self._engine,
            read,
            key,
            limit=limit,
            kinds=kinds,
            min_score=min_score,
            allowed=self._allowed(filter),
        )

    def compare(self, first: Any, second: Any) -> Match | None:
        """Whether two pictures are one: a Match that describes `second` as seen from `first`, or None."""
        return compare(first, second, self._settings)

    def get(self, identifier: str) -> Image:
        """The image of an id; raises NotFound, or UsageError for what is no id."""
        digest = digest_of(identifier)
        key = self._engine.keys_of([digest]).get(digest)
        found = self._engine.images([key]) if key is not None else {}
        if key is None or key not in found:
            raise NotFound(f"There is no image {identifier} in this collection.")
        return found[key]

    def about(self, identifier: str) -> About:
        """What the image of an id shows: its labels, colours, and where its things are.

        Raises NotFound, or UsageError for what is no id.
        """
        digest = digest_of(self.get(identifier).id)
        key = self._engine.keys_of([digest])[digest]
        return About.of(*(self._engine.features(kind, [key]).get(key, b"") for kind in (EMBEDDING, PALETTE)))

    @property
    def revision(self) -> str:
        """What changes whenever images are added or removed."""
        return "{}.{}".format(*self._engine.revision())

    @property
    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        return self._engine.total_bytes()

    def labels(self) -> list[LabelCount]:
        """What the images show: each label and each category with how many images have it, most first.

        The counts are those of the images that the filter `label:NAME` lets through.
        """
        return label_counts(self._engine)

    def sightings(
        self, prefix: str = "", *, after: tuple[str, str] | None = None, limit: int = 100
    ) -> list[tuple[str, Sighting]]:
        """The next (image id, sighting) whose uri begins with `prefix`, gone or not, in order of uri.

        `after` is uri and id of the last one read. Raises UsageError for what is no id.
        """
        uri, identifier = after or ("", "")
        digest = digest_of(identifier) if identifier else b""
        key = self._engine.keys_of([digest]).get(digest, 0) if digest else 0
        rows = self._engine.sightings_from(prefix, (uri, key), limit)
        return [(image_id(found), sighting) for _, found, sighting in rows]

    def forget(self, uri: str) -> int:
        """Take a place back: images seen nowhere else are removed, and others are gone from there.

        Gives how many images it was. Raises NotFound when none was seen there.
        """
        found = self.find(uri)
        if not found:
            raise NotFound(f"No image of this collection was seen at {uri}.")
        here = {number for number, place in self._engine.present_under(uri) if place == uri}
        for image in found:
            if all(place.uri == uri or place.gone for place in image.sightings):
                self.remove(image.id)
        self._engine.mark_gone(sorted(here))
        return len(found)

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

    def find(self, id_or_uri: str | os.PathLike[str]) -> list[Image]:
        """The image of an id, or the images seen at a uri or path; empty when there are none."""
        return list(self._engine.images(self._keys(id_or_uri)).values())

    def select(self, filter: str | Filter | None = None) -> Iterator[Image]:
        """The images that a filter lets through, or all, in the order in which they were added.

        Which these are is settled at the call; those that are removed before their turn are left out.
        Raises UsageError for a filter of no use.
        """
        keys = self._engine.matching(_EVERY if filter is None else filter, answers(self._engine)).tolist()
        found = ((some, self._engine.images(some)) for some in batched(keys, 256))
        return (images[key] for some, images in found for key in some if key in images)

    def page(
        self,
        filter: str | Filter | None = None,
        *,
        words: str | None = None,
        sort: str = "added",
        limit: int = 50,
        after: tuple[int, int] | None = None,
    ) -> Listed:
        """A page of images: those that a filter lets through and that have every one of some words in their
        uris, titles or credit.

        `sort` is added (the last one first), newest or oldest (by when it was taken, or else first seen),
        biggest or smallest; `after` is the `next` of the page before. Raises UsageError for a filter, sort
        or limit of no use.
        """
        return listed(self._engine, filter=filter, words=words, sort=sort, limit=limit, after=after)

    def duplicates(
        self,
        *,
        turned: bool = True,
        parts: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Group]:
        """Groups of images that are one picture, largest group first, each as a family with its likely
        original, which is suggested to be kept.

        With `turned` also mirrored, turned and negative copies. With `parts` also crops and pictures with
        something laid over them, which takes some milliseconds an image, and the pixels of what is found are
        compared where its files are still there; without, groups go by fingerprints alone. `progress` is told
        (images looked for, images in all).
        """
        if not parts:
            return groups(self._engine, turned=turned, parts=False, progress=progress)
        read = original(self._settings.limits, self._engine.kept)

        def tones(image: Image) -> NDArray[np.uint8] | None:
            picture = read(image)
            return None if picture is None else picture.luma8

        return groups(self._engine, turned=turned, look=looks(read), tones=tones, progress=progress)

    def least_score(self, precision: float) -> float:
        """The `min_score` that leaves matches of which at least a share (0.5 to 0.9999) is true.

        By this collection's calibration where it has one, else by what scores mean everywhere. Raises
        UsageError for a share of no use.
        """
        return least_score(self.calibration(), precision)

    def calibrate(self, calibration: Calibration) -> None:
        """Keep how this collection's scores are to be read; raises CollectionLocked where another writes."""
        self._engine.keep_document(DOCUMENT, calibration.as_json())

    def calibration(self) -> Calibration | None:
        """How this collection's scores are to be read, as `calibrate` was told.

        None where it was not, or for scores or features of another version. Raises CollectionDamaged.
        """
        kept = self._engine.document(DOCUMENT)
        found = None if kept is None else Calibration.from_json(kept)
        return found if found is not None and found.fits(VERSIONS) else None

    def forget_calibration(self) -> bool:
        """Read scores as everywhere else again; gives whether there was a calibration."""
        return self._engine.keep_document(DOCUMENT, None)

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
                if path is None:
                    fresh.append((key, "", nothing()))
                    yield _lost(
                        image, "None of the files in which it was seen is there any more.", Unreadable.code
                    )
                else:
                    waiting.add(key)
                    self._pool().submit(Task(key, path=path))
            while waiting:
                for read in self._pool().ready(0.2):
                    waiting.discard(read.number)
                    image = known[read.number]
                    if read.image is not None and read.image.digest == digest_of(image.id):
                        fresh.append((read.number, read.image.decoder, read.image.features))
                        continue
                    fresh.append((read.number, "", nothing()))
                    if read.error is not None:
                        yield _lost(image, str(read.error), read.error.code)
                    else:
                        yield _lost(image, "Its file has changed since it was indexed.", "changed")
            self._engine.refresh_features(fresh)
            done += len(known)
            if progress is not None:
                progress(done, len(stale))

    def _prune(self, source: Any) -> int:
        gone: list[int] = []
        for root in _roots(source):
            for number, uri in self._engine.present_under(file_uri(root)):
                path = path_of(uri)
                if path is not None and not os.path.exists(path):
                    gone.append(number)
        self._engine.mark_gone(gone)
        return len(gone)

    def _keys(self, id_or_uri: str | os.PathLike[str]) -> list[int]:
        name = os.fspath(id_or_uri)
        if name.startswith(ID_PREFIX):
            return list(self._engine.keys_of([digest_of(name)]).values())
        return self._engine.keys_at(name if "://" in name else file_uri(os.path.expanduser(name)))

    def _file_of(self, image: Image) -> str:
        path = self._path_of(image)
        if path is None:
            raise _no_file(image)
        return path

    def _path_of(self, image: Image) -> str | None:
        paths = (path_of(sighting.uri) for sighting in image.sightings)
        found = next((path for path in paths if path is not None and os.path.isfile(path)), None)
        return found or self._engine.kept(digest_of(image.id))

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


def _no_file(image: Image) -> NotFound:
    return NotFound(f"None of the files in which {image.id} was seen is there any more.")


def _roots(source: Any) -> Iterator[str]:
    if isinstance(source, str | os.PathLike):
        if "://" not in os.fspath(source):
            yield os.path.expanduser(os.fspath(source))
    elif isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | memoryview):
        for one in source:
            yield from _roots(one)
