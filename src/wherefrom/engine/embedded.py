"""The engine for one machine: a directory with a SQLite catalog and the indexes derived from it."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import (
    Changes,
    CodeHit,
    Copied,
    NearPairs,
    Page,
    Scored,
    Selection,
    SightingPage,
    VectorHit,
    Vote,
    WordQuery,
)
from wherefrom.engine.catalog import FILE_NAME, Catalog, Marks
from wherefrom.engine.cursors import cursor, place_cursor, read_cursor, read_place
from wherefrom.engine.indexes import Indexes, folders, refreshed
from wherefrom.engine.lock import WriterLock
from wherefrom.engine.marker import MARKER, left_half_made, read_marker, write_marker
from wherefrom.engine.originals import Originals
from wherefrom.engine.pairs import near_pairs
from wherefrom.engine.selection import KeySet
from wherefrom.engine.sizes import Sizes
from wherefrom.engine.turns import Turns
from wherefrom.errors import (
    CollectionDamaged,
    CollectionError,
    CollectionLocked,
    CollectionMissing,
    FeatureMismatch,
    UsageError,
)
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS, VERSIONS
from wherefrom.features.registry import answering, features
from wherefrom.filters.terms import Filter, Term
from wherefrom.records import (
    FieldValue,
    FileStamp,
    Image,
    NewImage,
    Refusal,
    SeenAt,
    digest_of,
    image_id,
    now,
)

if TYPE_CHECKING:
    from wherefrom.engine.base import Fields, OnPages, Score

__all__ = ["MARKER", "EmbeddedEngine"]

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 4_000_000
"""Images from which the wide radius is searched only when the near one finds nothing."""

MOST_VOTES = 4_000
"""Images by visual words that a filter may be asked of."""

_LOCK = "writer.lock"
_COPIES = (FINGERPRINT, KEYPOINTS)  # kinds of features by which copies are found


def _changing(
    method: Callable[Concatenate[EmbeddedEngine, P], T],
) -> Callable[Concatenate[EmbeddedEngine, P], T]:
    """A method that changes the collection; afterwards whoever waits to write may."""

    @wraps(method)
    def change(self: EmbeddedEngine, /, *given: P.args, **named: P.kwargs) -> T:
        try:
            with self._turns.changing():
                return method(self, *given, **named)
        finally:
            self.let_go()

    return change


class EmbeddedEngine:
    """A collection's directory. Reads from the start; becomes its one writer at the first change.

    Between two changes it lets go of the writer's lock for other processes that wait for it (`turns.py`).
    """

    def __init__(
        self,
        directory: Path,
        *,
        create: bool = False,
        versions: Mapping[str, str] = VERSIONS,
        dimension: int = 0,
        sizes: Sizes = Sizes(),
        clock: Callable[[], int] = now,
    ) -> None:
        """Open the collection in `directory`, or make it there when `create`.

        Its images have the features of `versions`; `dimension` is that of the embeddings' vectors, if any.
        `clock` tells the present, in microseconds since 1970 UTC.

        A marker that is missing or damaged does not matter as long as the catalog is there: `damage`
        names it and `rebuild` writes it anew.

        Raises CollectionMissing, CollectionDamaged, CollectionTooNew, CollectionLocked or CollectionError.
        """
        self.directory = directory
        self._lock = threading.RLock()
        self._closed = False
        self._pid = os.getpid()
        self._writer: WriterLock | None = None
        self._turns = Turns(directory)
        self._versions = versions
        self._originals = Originals(directory)
        self._orders: dict[str, tuple[Marks, NDArray[np.int64]]] = {}
        try:
            if not self._there():
                if not create:
                    raise CollectionMissing(
                        f"There is no collection at {directory}. "
                        f"Make one with: wherefrom index FOLDER -c {directory}"
                    )
                self._make()
            self._catalog = Catalog(directory, sizes=sizes.catalog, clock=clock)
            if not self._catalog.current:
                self._migrate()
            write = self._writer is not None
            self._indexes = Indexes(
                directory, self._catalog, versions, dimension, _cores(), write=write, sizes=sizes
            )
        except BaseException:
            self._release()
            raise

    def close(self) -> None:
        """Let files and the writer's lock go. Whatever is called afterwards raises UsageError."""
        if self._pid != os.getpid():
            self._lock = threading.RLock()  # whoever holds the other is not in this process
        with self._lock:
            self._closed = True
            self._indexes.close()
            if self._writer is not None and self._pid == os.getpid():
                with contextlib.suppress(CollectionError):  # it is for speed only
                    self._catalog.settle()
            self._catalog.close()
            self._release()

    # What there is

    def count(self) -> int:
        """How many images there are."""
        return self._catalog.count()

    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        return self._catalog.total_bytes()

    def select(self, wanted: Filter | str | None) -> KeySet:
        """The images that a filter, or the text of one, lets through; all for None. Raises UsageError."""
        return KeySet(self._catalog.matching(wanted, self._answered))

    def field_names(self) -> list[str]:
        """The name of every field that some image has, in order."""
        return self._catalog.field_names()

    def _answered(self, term: Term) -> NDArray[np.int64]:
        """The keys of the images that have what a term asks of features."""
        asked = answering(term.field)
        if asked is None:
            raise UsageError(f"{term.field} cannot be asked for here: {term}.")
        kind, field = asked
        rows = field.rows(term.value)
        found = [keys[rows(fields)] for keys, fields in self._columns(kind.kind)]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))

    def page(
        self, within: Selection | None, order: str, *, descending: bool, limit: int, after: str | None
    ) -> Page:
        """Up to `limit` images in an order, behind a cursor."""
        keys = self._ordered(order)
        if within is not None:
            keys = keys[np.isin(keys, _keys(within), assume_unique=True)]
        if descending:
            keys = keys[::-1]
        start = 0
        if after is not None:
            # Behind the last one of the page before, or at its place when it is gone: there the next one is.
            key, place = read_cursor(after, 2)
            there = np.flatnonzero(keys == key)
            start = int(there[0]) + 1 if len(there) else min(place, len(keys))
        found = keys[start : start + limit].tolist()
        end = start + len(found)
        following = cursor(found[-1], end - 1) if found and end < len(keys) else None
        return Page(found, len(keys), following)

    def _ordered(self, order: str) -> NDArray[np.int64]:
        """The keys of all images in an order, rising; kept until images change."""
        marks = self._catalog.marks()
        known = self._orders.get(order)
        if known is None or known[0] != marks:
            known = self._orders[order] = (marks, self._catalog.ordered(order))
        return known[1]

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist."""
        return self._catalog.images(keys)

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """What is kept of one kind of feature, of those images that have it."""
        return self._catalog.features(kind, keys)

    def original(self, digest: bytes) -> bytes | None:
        """The bytes that were kept of an image; None where they were not, or are not what they were."""
        return self._originals.read(digest)

    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are here."""
        return self._catalog.keys_of(digests)

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri."""
        return self._catalog.keys_at(uri)

    def sightings(self, prefix: str, *, after: str | None, limit: int) -> SightingPage:
        """The next sightings whose uri begins with `prefix`, gone or not, in order of uri, image and page."""
        behind = ("", 0, "")
        if after is not None:
            uri, digest, page = read_place(after)
            # The key of an image that is gone is not known any more: what else is at its uri comes again.
            behind = (uri, self.keys_of([digest]).get(digest, 0), page)
        rows = self._catalog.sightings_from(prefix, behind, limit + 1)
        following = None
        if len(rows) > limit:
            rows = rows[:limit]
            _, digest, last = rows[-1]
            following = place_cursor(last.uri, digest, last.page or "")
        return SightingPage([(image_id(digest), sighting) for _, digest, sighting in rows], following)

    def present_under(self, prefix: str) -> Iterator[SeenAt]:
        """Where images are at present: at a uri, or below it."""
        return self._catalog.present_under(prefix)

    def several_places(self, keys: Sequence[int]) -> dict[int, list[SeenAt]]:
        """The files in which images are at present, of those that are in several places."""
        return self._catalog.several_places(keys)

    def recognise(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by uri, size and time: their digest, or why they were refused."""
        self._become_writer()
        return self._catalog.unchanged(files, reader)

    def document(self, name: str) -> Any:
        """The JSON value kept with the collection under that name, None when there is none."""
        return self._catalog.document(name)

    def revision(self) -> str:
        """What changes whenever images, sightings or fields do."""
        marks = self._catalog.marks()
        return cursor(marks.key, marks.removal, self._catalog.last_change())

    def changes(self, since: str | None, limit: int) -> Changes:
        """What happened since a cursor, None for the beginning: at most `limit` of each."""
        key, removal, change, behind = (0, 0, 0, 0) if since is None else read_cursor(since, 4)
        removed, last_removal = self._catalog.removals_after(removal)
        gone = [(one, seq) for seq, one in enumerate(removed, removal + 1) if one <= key]
        if len(gone) > limit:
            # Alone: what has not been told of as added is never told of as removed.
            last = cursor(key, gone[limit - 1][1], change, behind)
            return Changes([], [one for one, _ in gone[:limit]], [], last, True)
        added = self._catalog.keys_after(key, limit + 1)
        moved = self._catalog.sightings_changed(change, behind, limit + 1)
        more = max(len(added), len(moved)) > limit
        added, moved = added[:limit], moved[:limit]
        if moved:
            change, behind = moved[-1]
        return Changes(
            added,
            [one for one, _ in gone],
            list(dict.fromkeys(one for _, one in moved if one <= key)),
            cursor(added[-1] if added else key, last_removal, change, behind),
            more,
        )

    def stale(self) -> list[int]:
        """The keys of images whose features are missing, damaged or of another version."""
        return sorted(
            {key for kind, version in self._versions.items() for key in self._catalog.stale(kind, version)}
        )

    # Nominating

    def near_codes(
        self, codes: NDArray[np.uint8], radius: int, *, enough: int = 0, within: Selection | None = None
    ) -> list[CodeHit]:
        """Every fingerprint within `radius` bits of each code, uint8 (q, 32), nearest first per code.

        Of more than `LARGE` images, what is farther than `enough` only where nothing is nearer: multi-index
        hashing reaches no farther.
        """
        self._check_version(_COPIES)
        index = self._indexes.fingerprints()
        found = index.within(codes, enough) if enough and self.count() > LARGE else None
        if found is None or not len(found.query):
            found = index.within(codes, radius)
        keys, parts = found.entry // 2, found.entry % 2
        columns = [found.query, keys, parts, found.distance]
        if within is not None:
            let = _key_set(within).among(keys)
            columns = [column[let] for column in columns]
        return [CodeHit(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def near_words(
        self, query: Sequence[WordQuery], limit: int, *, within: Selection | None = None
    ) -> list[Vote]:
        """Up to `limit` images that most visual words of a query's variants speak for, best first."""
        self._check_version(_COPIES)
        asked = limit
        if within is not None:  # as many as leave enough of those that are let through
            asked = min(max(limit, MOST_VOTES), limit * -(-self.count() // max(1, len(within))))
        votes = self._indexes.words().search(query, asked)
        columns: list[NDArray[Any]] = [votes.keys, votes.variants, votes.scores]
        if within is not None:
            let = _key_set(within).among(votes.keys)
            columns = [column[let] for column in columns]
        return [Vote(*row) for row in zip(*(column[:limit].tolist() for column in columns), strict=True)]

    def near_vectors(
        self, queries: NDArray[np.float32], limit: int, *, within: Selection | None = None
    ) -> list[VectorHit]:
        """The `limit` images most similar to each query, float32 (q, d) of length 1, best first."""
        self._check_version((EMBEDDING,))
        if EMBEDDING not in self._indexes.kinds:
            return []
        allowed = None if within is None else _keys(within)
        found = self._indexes.vectors().search(queries, limit, allowed=allowed)
        columns = (found.query.tolist(), found.key.tolist(), found.similarity.tolist())
        return [VectorHit(*row) for row in zip(*columns, strict=True)]

    def near_pairs(self, radius: int, *, turned: bool, within: Selection | None = None) -> NearPairs:
        """The images whose fingerprints are within `radius` bits of each other's."""
        self._check_version(_COPIES)
        batches = list(self._indexes.fingerprints())
        entries = np.concatenate([np.zeros(0, np.int64), *(batch[0] for batch in batches)])
        codes = np.concatenate([np.zeros((0, 32), np.uint8), *(batch[1] for batch in batches)])
        if within is not None:
            let = _key_set(within).among(entries // 2)
            entries, codes = entries[let], codes[let]
        return near_pairs(entries // 2, codes, radius, turned)

    def best(self, kind: str, score: Score, limit: int, *, within: Selection | None = None) -> list[Scored]:
        """The images of which a kind of feature scores highest, best first, of equals the lower key."""
        keys, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for some, fields in self._columns(kind):
            if within is not None:
                let = _key_set(within).among(some)
                some, fields = some[let], [field[let] for field in fields]
            found = score(fields)
            order = np.argsort(-found, kind="stable")
            # Of an image with many parts the best one counts.
            first = order[np.sort(np.unique(some[order], return_index=True)[1])[:limit]]
            keys.append(some[first])
            scores.append(found[first])
        every, all_scores = np.concatenate(keys), np.concatenate(scores)
        order = np.lexsort((every, -all_scores))
        order = order[np.sort(np.unique(every[order], return_index=True)[1])][:limit]
        return [Scored(*row) for row in zip(every[order].tolist(), all_scores[order].tolist(), strict=True)]

    def scan(self, kind: str) -> Iterator[Fields]:
        """Every row of a kind that lies in columns, a batch at a time, in no order."""
        return (fields for _, fields in self._columns(kind))

    def _columns(self, kind: str) -> Iterator[tuple[NDArray[np.int64], Fields]]:
        self._check_version((kind,))
        if kind in self._indexes.kinds:
            for part in self._indexes.columns(kind).snapshot()[1:]:
                yield from part.live()

    # Changes

    @_changing
    def add(
        self, images: Sequence[NewImage], originals: Mapping[bytes, bytes] | None = None
    ) -> list[tuple[int, bool]]:
        """Add images; gives each one's key and whether it was new. Committed and searchable on return.

        `originals` are the bytes of some of them, by digest: kept before, and removed with the image.
        """
        self._become_writer()
        self._check_version(tuple(self._versions))
        with self._lock:
            # First: what could not be searched for is not added.
            indexes = self._indexes.all()
            fresh = [digest for digest in originals or () if self._originals.path(digest) is None]
            self._originals.keep(originals or {})
            try:
                results = self._catalog.add(images, self._versions, originals or ())
            except UsageError:
                self._originals.remove(fresh)
                raise
            refreshed(indexes)
        return results

    @_changing
    def remove(self, keys: Sequence[int]) -> int:
        """Remove images; gives how many there were. Gone on return."""
        self._become_writer()
        with self._lock:
            # Features of another version are not searched, and may not be taken into the indexes.
            other = self._other_version(tuple(self._versions))
            indexes = [] if other else self._indexes.all()
            digests = [digest_of(image.id) for image in self._catalog.images(keys).values()]
            removed = self._catalog.remove(keys)
            self._originals.remove(digests)
            refreshed(indexes)
        return removed

    @_changing
    def sweep(self) -> int:
        """Delete kept originals that belong to no image, which a crash leaves; gives how many there were."""
        swept = 0
        for folder in self._originals.folders():
            self._become_writer()
            with self._lock, contextlib.suppress(OSError):  # they are in nobody's way
                swept += self._originals.sweep(folder, self._catalog.keys_of)
        return swept

    @_changing
    def set_fields(self, keys: Sequence[int], fields: Mapping[str, FieldValue | None]) -> int:
        """Give images fields, or with None take them away; gives how many images there were."""
        self._become_writer()
        return self._catalog.set_fields(keys, fields)

    @_changing
    def keep_document(self, name: str, value: Any) -> bool:
        """Keep a JSON value under a name, or with None forget it; gives whether there was one before."""
        self._become_writer()
        return self._catalog.keep_document(name, value)

    @_changing
    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture."""
        self._become_writer()
        self._catalog.refuse(rows)

    @_changing
    def mark_gone(self, places: Sequence[SeenAt]) -> None:
        """Remember that images are no longer where they were."""
        if places:
            self._become_writer()
            self._catalog.mark_gone(places)

    @_changing
    def refresh_features(self, rows: Sequence[tuple[int, str, Mapping[str, bytes]]]) -> None:
        """Replace the features of images: (key, decoder, data by kind)."""
        self._become_writer()
        for kind, version in self._versions.items():
            self._catalog.replace_features(
                kind, version, [(key, decoder, data[kind]) for key, decoder, data in rows]
            )

    @_changing
    def rebuild(self) -> None:
        """Derive every index from the catalog again."""
        self._become_writer()
        with self._lock:
            self._catalog.repair()
            try:
                # Before the old versions are forgotten: until then nobody searches.
                self._indexes.clear()
                if any(self._marker_damage()):
                    write_marker(self.directory)
            except OSError as error:
                raise CollectionError(
                    f"The indexes in {self.directory} could not be written ({error.strerror}). Check that "
                    f"the disk has room and may be written to, then run: wherefrom rebuild"
                ) from error
            self._catalog.forget_unused_versions()
            self._indexes.all()
        self.sweep()

    def backup(self, directory: Path, progress: OnPages | None = None) -> Copied:
        """Copy what is kept to a directory that is new or empty, as it is at one moment."""
        return self._catalog.copy(directory, progress)

    # Damage

    def damage(self) -> Iterator[str]:
        """Everything that is wrong with what is kept, a sentence each.

        The index is looked at as the next process will find it, which is not what this one remembers.
        """
        yield from self._marker_damage()
        try:
            yield from self._catalog.damage(list(self._versions))
        except CollectionError as error:
            yield str(error)
        yield from self._uploads_damaged()
        for kind in self._indexes.kinds:
            try:
                self._check_version((kind,))
                yield from self._indexes.damage(kind)
            except CollectionError as error:
                yield str(error)

    def _uploads_damaged(self) -> Iterator[str]:
        try:
            for _, digest in self._catalog.uploaded():
                wrong = self._originals.damage(digest)
                # What was removed while this was looking owes nothing any more.
                if wrong is not None and self._catalog.keys_of([digest]):
                    yield (
                        f"{wrong}. Restore it from a backup, or upload it again after: "
                        f"wherefrom remove {image_id(digest)}"
                    )
        except CollectionError as error:
            yield str(error)

    # Inside

    def _there(self) -> bool:
        try:
            if read_marker(self.directory):
                return True
        except CollectionDamaged:
            if (self.directory / FILE_NAME).exists():
                return True
            raise
        # Without a marker: what was never finished has nothing in it.
        return (self.directory / FILE_NAME).is_file() and (self.directory / folders()[FINGERPRINT]).exists()

    def _marker_damage(self) -> Iterator[str]:
        try:
            if not read_marker(self.directory):
                yield f"{self.directory / MARKER} is missing. Run: wherefrom rebuild"
        except CollectionError as error:
            yield str(error)

    def _make(self) -> None:
        directory = self.directory
        try:
            if directory.exists() and not left_half_made(directory, FILE_NAME):
                raise CollectionError(
                    f"{directory} holds other files and no collection; choose another place for one."
                )
            directory.mkdir(parents=True, exist_ok=True)
            self._writer = WriterLock(directory / _LOCK)
            if not read_marker(directory):  # else another process has made it meanwhile
                Catalog(directory, create=True).close()
                # The marker comes last: a directory without it is nothing yet, and is made anew.
                write_marker(directory)
        except OSError as error:
            raise CollectionError(f"{directory} cannot be made: {error.strerror}.") from error

    def _migrate(self) -> None:
        if self._writer is None:
            lock = WriterLock(self.directory / _LOCK)
            try:
                self._catalog.migrate()
            finally:
                lock.release()
        else:
            self._catalog.migrate()

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.release()
            self._writer = None

    def wait_for_turn(self, seconds: float, on_wait: Callable[[CollectionLocked], None] | None) -> None:
        """Wait so long, from now on, where another process is writing; `on_wait` is told who is."""
        self._turns.seconds, self._turns.on_wait = seconds, on_wait

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the writer's lock from the beginning to the end, so that nobody else writes in between."""
        try:
            with self._turns.changing():
                self._become_writer()
                yield
        finally:
            self.let_go()

    def let_go(self, idle: float = math.inf) -> bool:
        """Let go of the writer's lock if somebody waits for it, or if nothing was changed for `idle` seconds.

        The next change takes it again. Gives whether it was let go.
        """
        with self._lock:
            if self._writer is None or self._closed or self._pid != os.getpid():
                return False
            if not self._turns.is_over(idle):
                return False
            self._indexes.end_writing()
            self._release()
            self._turns.over()
            return True

    def _become_writer(self) -> None:
        """Have the lock of the collection, once it is this process's turn; see `_take_lock`."""
        self._turns.take(self._take_lock)

    def _take_lock(self) -> None:
        """Have the lock of the collection that was opened, in the process that opened it.

        Raises CollectionLocked and CollectionError, before anything is changed.
        """
        if self._pid != os.getpid():
            raise CollectionError(
                f"{self.directory} was opened before this process was forked off: here it can be searched. "
                f"Open it again, in this process, to change it."
            )
        with self._lock:
            if self._closed:
                raise UsageError("This collection has been closed; open it again.")
            self._catalog.check_place()
            if self._writer is None:
                self._writer = WriterLock(self.directory / _LOCK)
                self._indexes.begin_writing()
            self._writer.check()

    def _other_version(self, kinds: Sequence[str]) -> tuple[str, str] | None:
        """One of these kinds of features that is here in another version than ours, and that version."""
        for kind in kinds:
            for version in self._catalog.versions(kind):
                if version != self._versions.get(kind):
                    return kind, version
        return None

    def _check_version(self, kinds: Sequence[str]) -> None:
        other = self._other_version(kinds)
        if other is not None:
            kind, version = other
            raise FeatureMismatch(
                f"{_named(kind)} here are of version {version}, and this program computes "
                f"{self._versions.get(kind, 'none')}; the two cannot be compared. Run: wherefrom rebuild"
            )


def _named(kind: str) -> str:
    known = features().get(kind)
    return f"Features of the kind {kind}" if known is None else known.nouns[1].capitalize()


def _key_set(within: Selection) -> KeySet:
    return within if isinstance(within, KeySet) else KeySet(np.array(sorted(within), np.int64))


def _keys(within: Selection) -> NDArray[np.int64]:
    return _key_set(within).keys


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
