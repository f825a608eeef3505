"""The visual words index: an inverted file with Hamming embedding, derived from the catalog.

Two parts hold every posting. *Sealed* segments lie in files (see `word_files`). The *tail* holds in memory
what the source has gained since; every process keeps its own and reads it from the source, so that an
image can be found as soon as its transaction has committed, here and in every other process. When the
tail has grown the writer seals it, and merges neighbours: four of about a size become one, up to 65,536
images, so that a posting is written a bounded number of times however long the collection grows. Removed
images are masked at once; a segment of which a quarter is masked is written anew.

How images are scored is said in `word_votes`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from wherefrom.engine.base import WordQuery
from wherefrom.engine.files import Stamp
from wherefrom.engine.hamming import Marks
from wherefrom.engine.sizes import WordSizes
from wherefrom.engine.word_damage import content_differences
from wherefrom.engine.word_files import (
    VOCABULARY,
    Postings,
    Sealed,
    Segment,
    WordFiles,
    WordManifest,
    fresh,
    merged,
)
from wherefrom.engine.word_votes import Votes, vote
from wherefrom.errors import CollectionDamaged

__all__ = ["Postings", "Votes", "WordFiles", "WordQuery", "WordSource", "WordsIndex"]

_FAN = 4  # segments of about a size that are merged
_DEAD_SHARE = 0.25
_WORDLESS = 16  # keys without words count as much less than images when it comes to sealing
_log = logging.getLogger("wherefrom.engine.words")


class WordSource(Protocol):
    """What the index is derived from. Keys rise as they are added and are never given twice."""

    def marks(self) -> Marks:
        """How far the source has come."""
        ...

    def words_after(self, key: int, limit: int) -> tuple[int, Postings]:
        """The last of the next `limit` keys, or `key` itself when there are no more, and their postings."""
        ...

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        ...


class WordsIndex:
    """Postings of visual words, searched by votes, over what a `WordSource` holds.

    Thread-safe. Every search first catches up with the source.
    """

    def __init__(
        self,
        directory: Path,
        source: WordSource,
        *,
        feature: str,
        write: bool,
        threads: int = 1,
        sizes: WordSizes = WordSizes(),
    ) -> None:
        """An index in `directory` of words whose version is `feature`; only one process may `write`.

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self._files = WordFiles(directory)
        self._source = source
        self._write = write
        self._threads = threads
        self._sizes = sizes
        self._lock = threading.RLock()
        self._manifest = WordManifest(feature)
        self._stamp: Stamp | None = None
        self._sealed: list[Segment] = []
        self._tail: list[Segment] = []  # both lists are replaced, never changed: searches keep theirs
        self._counts = np.zeros(VOCABULARY, np.int64)  # of the sealed segments
        self._key = self._removal = 0  # how far the source has been read
        self._seal_at = sizes.seal
        self._compact_at = 0
        self._load()
        if write and self._files.manifest() == self._manifest:
            self._files.sweep(self._manifest)
        self.refresh()

    # Searching

    def search(self, query: Sequence[WordQuery], limit: int, *, compiled: bool | None = None) -> Votes:
        """The `limit` best images over all variants of a query. Raises UsageError.

        `compiled`: True for the kernels, False for NumPy, None to choose by size.
        """
        with self._lock:
            self.refresh()
            sealed, tail, counts = self._sealed, self._tail, self._counts
        for segment in tail:
            counts = counts + segment.counts()
        return vote([*sealed, *tail], counts, query, limit, threads=self._threads, compiled=compiled)

    def __len__(self) -> int:
        """How many images there are with words."""
        with self._lock:
            self.refresh()
            return sum(segment.live for segment in (*self._sealed, *self._tail))

    # Keeping up

    def refresh(self) -> None:
        """Read from the source what is new; every search does so by itself."""
        with self._lock:
            if not self._write and self._files.stamp != self._stamp:
                self._load()
            self._catch_up()

    def stop_writing(self) -> None:
        """Leave the files to another index; searches that are under way or begin later stay right."""
        with self._lock:
            self._write = False

    def close(self) -> None:
        """Seal what has not been where that is worth it; searches stay right."""
        with self._lock:
            if self._write and self._due(self._sizes.seal_at_close):
                self._store_if_possible(tail=True)
            self._write = False

    def damage(self) -> Iterator[str]:
        """Every way in which the index differs from its source, a sentence each."""
        cure = "Run: wherefrom rebuild"
        with self._lock:
            self.refresh()
            sealed, tail, manifest = self._sealed, self._tail, self._manifest
            key, removal = self._key, self._removal
        for path in self._files.strays():
            yield f"words index: {path} is there and manifest.json is missing. {cure}"
        sound, left_out = [], []
        for segment, record in zip(sealed, manifest.segments, strict=True):
            try:
                problem = "" if self._files.sound(record) else "is not what was written"
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
            if problem and not self._names(record):
                problem = ""  # the writer has put another in its place, and what is mapped stays
            if problem:
                yield f"words index: {self._files.path(record.number)} {problem}. {cure}"
                left_out.append((record.first, record.last))
            else:
                sound.append(segment)
        found = content_differences([*sound, *tail], self._source.words_after, key, left_out)
        missing, altered, surplus = found.without(self._source.removals_after(removal)[0])
        for keys, what in ((missing, "are missing"), (altered, "differ from the catalog")):
            if len(keys):
                yield (
                    f"words index: the words of {len(keys)} of {found.total} images {what}, "
                    f"the first of image number {keys[0]}. {cure}"
                )
        if len(surplus):
            yield f"words index: the words of {len(surplus)} images belong to no image of the catalog. {cure}"

    def _names(self, record: Sealed) -> bool:
        """Whether what is published now still has this segment."""
        published = self._files.manifest()
        return published is None or record in published.segments

    def _load(self) -> None:
        """Take what is published as one's own, again when the writer replaces it meanwhile."""
        while True:
            stamp = self._files.stamp
            try:
                return self._take(self._files.manifest(), stamp)
            except CollectionDamaged:
                if self._files.stamp == stamp:
                    raise

    def _take(self, manifest: WordManifest | None, stamp: Stamp | None) -> None:
        feature = self._manifest.feature
        if manifest is None or manifest.feature != feature:
            # Nothing yet, or words of another version: what the source gives now comes in their place.
            manifest = fresh(feature, manifest.generation if manifest else 0)
        marks = self._source.marks()
        if manifest.key > marks.key or manifest.removal > marks.removal:
            raise CollectionDamaged(
                "The words index knows more than the catalog, which may have come from a backup. "
                "Run: wherefrom rebuild"
            )
        goes_on = manifest.epoch == self._manifest.epoch
        held = dict(zip(self._manifest.segments, self._sealed, strict=True)) if goes_on else {}
        sealed = [held.get(one) or self._files.opened(one) for one in manifest.segments]
        self._tail = _beyond(self._tail, manifest.key) if goes_on else []
        self._key = max(self._key, manifest.key) if goes_on else manifest.key
        self._keep(manifest, sealed, stamp)
        self._removal = manifest.removal  # new segments are unmasked: what was removed since is read again

    def _keep(self, manifest: WordManifest, sealed: list[Segment], stamp: Stamp | None) -> None:
        self._manifest, self._sealed, self._stamp = manifest, sealed, stamp
        self._counts = np.zeros(VOCABULARY, np.int64)
        for segment in sealed:
            self._counts += segment.counts()

    def _catch_up(self) -> None:
        marks = self._source.marks()
        while self._key < marks.key:
            there = sum(len(one.images) for one in self._tail)
            # While more is to come the tail grows until it fills a segment, which is then written once.
            room = self._sizes.segment - there if there < self._sizes.segment else self._sizes.read
            key, postings = self._source.words_after(self._key, min(self._sizes.read, room))
            if key == self._key:
                self._key = marks.key  # the keys up to there have gone again
                break
            self._append(postings, key)
            more = marks.key - self._key >= self._seal_at
            if self._write and self._due(max(self._seal_at, self._sizes.segment if more else 0)):
                self._store_if_possible(tail=True)
        if self._removal < marks.removal:
            removed, self._removal = self._source.removals_after(self._removal)
            keys = np.array(removed, np.int64)
            for segment in (*self._sealed, *self._tail):
                segment.mask(keys)
        if self._write and any(map(_thin, self._sealed)) and self._masked() >= self._compact_at:
            self._store_if_possible(tail=False)

    def _append(self, postings: Postings, key: int) -> None:
        if len(postings):
            keys = postings.keys
            if keys[0] <= self._key or keys[-1] > key or (np.diff(keys) < 0).any():
                raise CollectionDamaged("The catalog's words are in disorder. Run: wherefrom check")
            tail = [*self._tail, Segment.of(postings)]
            while len(tail) > 1 and len(tail[-1].images) < self._sizes.read:
                last, before = len(tail[-1].images), len(tail[-2].images)
                if before > 2 * last or before + last > self._sizes.segment:
                    break
                tail[-2:] = [merged(tail[-2:])]
            self._tail = tail
        self._key = key

    def _due(self, images: int) -> bool:
        """Whether the tail has this many images, or there are many more keys without words."""
        there = sum(len(one.images) for one in self._tail)
        return there >= images or self._key - self._manifest.key >= _WORDLESS * images

    def _masked(self) -> int:
        return sum(segment.removed for segment in self._sealed)

    def _store_if_possible(self, *, tail: bool) -> None:
        """Store, or go on in memory when the disk does not take it: nothing depends on it."""
        try:
            self._store(tail=tail)
            self._seal_at, self._compact_at = self._sizes.seal, 0
        except OSError as error:
            there = sum(len(one.images) for one in self._tail)
            self._seal_at = 2 * max(self._sizes.seal, there, (self._key - self._manifest.key) // _WORDLESS)
            self._compact_at = 2 * self._masked()
            _log.warning("The words index stays in memory for now: %s", error)

    def _store(self, *, tail: bool) -> None:
        """Write what is due: the tail if asked for, segments with many removed, neighbours to be merged."""
        if self._stamp is None:
            # Segments without a manifest are then the trace of a lost manifest, never of a crash.
            self._files.publish(self._manifest)
            self._stamp = self._files.stamp
        record = {id(one): sealed for one, sealed in zip(self._sealed, self._manifest.segments, strict=True)}
        groups = [[one] for one in self._sealed] + (_packed(self._tail, self._sizes.segment) if tail else [])
        groups = merge_plan(groups, self._sizes)
        manifest, written = self._manifest, []
        records, segments = [], []
        try:
            for group in groups:
                if len(group) == 1 and id(group[0]) in record and not _thin(group[0]):
                    records.append(record[id(group[0])])
                    segments.append(group[0])
                elif any(one.live for one in group):
                    self._verify([record[id(one)] for one in group if id(one) in record])
                    manifest = replace(manifest, generation=manifest.generation + 1)
                    written.append(manifest.generation)
                    sealed, segment = self._files.write(manifest.generation, group)
                    records.append(sealed)
                    segments.append(segment)
            clean = not any(segment.removed for segment in segments)
            manifest = replace(
                manifest,
                key=self._key if tail else manifest.key,
                removal=self._removal if clean else manifest.removal,
                segments=tuple(records),
            )
            self._files.publish(manifest)
        except OSError:
            self._files.forget(written)
            raise
        self._keep(manifest, segments, self._files.stamp)
        if tail:
            self._tail = []

    def _verify(self, records: Sequence[Sealed]) -> None:
        """Raise CollectionDamaged rather than give damaged postings a new checksum."""
        for one in records:
            if not self._files.sound(one):
                raise CollectionDamaged(
                    f"The words index is damaged: {self._files.path(one.number)} is not what was written. "
                    f"Run: wherefrom rebuild"
                )


def merge_plan(groups: Sequence[list[Segment]], limits: WordSizes) -> list[list[Segment]]:
    """Join neighbouring groups of segments where four are of about a size, counting live images.

    Sizes are of one level when they lie between the same powers of four times `seal` / 4. What is joined
    rises by a level, or nearly fills a segment: that bounds how often a posting is written.
    """
    joined = [list(group) for group in groups]
    while True:
        sizes = [sum(one.live for one in group) for group in joined]
        levels = [(max(1, 4 * size // limits.seal).bit_length() - 1) // 2 for size in sizes]
        run = _run(sizes, levels, limits.segment)
        if run is None:
            return joined
        first, stop = run
        joined[first:stop] = [[one for group in joined[first:stop] for one in group]]


def _run(sizes: Sequence[int], levels: Sequence[int], most: int) -> tuple[int, int] | None:
    for level in sorted(set(levels)):
        for first in range(len(sizes)):
            stop, total, full = first, 0, False
            while stop < len(sizes) and levels[stop] <= level:
                full = total + sizes[stop] > most
                if full:
                    break
                total += sizes[stop]
                stop += 1
            peers = levels[first:stop].count(level)
            beyond = levels[first : first + _FAN].count(level) >= _FAN
            if peers >= _FAN or (full and beyond and peers > 1):
                return first, stop
    return None


def _packed(tail: Sequence[Segment], most: int) -> list[list[Segment]]:
    """The segments of a tail in groups that fit a segment of `most` images each."""
    groups: list[list[Segment]] = []
    total = 0
    for one in tail:
        if not groups or total + one.live > most:
            groups.append([])
            total = 0
        groups[-1].append(one)
        total += one.live
    return groups


def _beyond(tail: Sequence[Segment], key: int) -> list[Segment]:
    """What a tail has of keys above `key`."""
    kept = []
    for one in tail:
        if int(one.images[-1]) <= key:
            continue
        if int(one.images[0]) <= key:
            rest = replace(one, dead=one.dead | (one.images <= key))
            rest.removed = int(rest.dead.sum())
            one = merged([rest])
        kept.append(one)
    return [one for one in kept if len(one.images)]


def _thin(segment: Segment) -> bool:
    return segment.removed > _DEAD_SHARE * len(segment.images)
