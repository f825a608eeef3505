"""The visual words index: an inverted file with Hamming embedding, derived from the catalog (see `derived`).

When the tail is sealed the writer also merges neighbours: four segments of about a size become one, up to
65,536 images, so that a posting is written a bounded number of times however long the collection grows. A
segment of which a quarter is masked is written anew.

How images are scored is said in `word_votes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wherefrom.engine.base import WordQuery
from wherefrom.engine.derived import CURE, DerivedIndex, Source, State, Written
from wherefrom.engine.rows import Numbers
from wherefrom.engine.sizes import DEAD_SHARE, WordSizes
from wherefrom.engine.word_damage import content_differences
from wherefrom.engine.word_files import (
    VOCABULARY,
    Postings,
    Sealed,
    Segment,
    WordFiles,
    WordManifest,
    merged,
)
from wherefrom.engine.word_votes import Votes, vote

__all__ = ["Postings", "Votes", "WordFiles", "WordQuery", "WordsIndex"]

_FAN = 4  # segments of about a size that are merged


@dataclass(eq=False)
class Segments:
    """Segments whose keys follow one another. The list is replaced, never changed: searches keep theirs.

    `known` is what `counts` gives, where it is known.
    """

    limits: WordSizes
    segments: list[Segment]
    known: Numbers | None = None

    @property
    def count(self) -> int:
        """How many images there are, removed ones too."""
        return sum(len(one.images) for one in self.segments)

    @property
    def removed(self) -> int:
        """How many of them are masked."""
        return sum(one.removed for one in self.segments)

    @property
    def live(self) -> int:
        """How many are not."""
        return sum(one.live for one in self.segments)

    @property
    def is_thin(self) -> bool:
        """Whether a segment is to be written anew."""
        return any(map(_thin, self.segments))

    def counts(self) -> Numbers:
        """How many postings each word has, of removed images too: int64 (VOCABULARY,)."""
        if self.known is not None:
            return self.known
        return sum((one.counts() for one in self.segments), np.zeros(VOCABULARY, np.int64))

    def append(self, rows: Postings) -> None:
        """Add images of higher keys as a segment, or to those before it while these are small."""
        if not len(rows):
            return
        segments, self.known = [*self.segments, Segment.of(rows)], None
        while len(segments) > 1 and len(segments[-1].images) < self.limits.read:
            last, before = len(segments[-1].images), len(segments[-2].images)
            if before > 2 * last or before + last > self.limits.segment:
                break
            segments[-2:] = [merged(segments[-2:])]
        self.segments = segments

    def mask(self, keys: Numbers) -> None:
        """Mask the images of these keys."""
        for segment in self.segments:
            segment.mask(keys)

    def beyond(self, key: int) -> Segments:
        """The images of keys above `key`."""
        kept = []
        for one in self.segments:
            if int(one.images[-1]) <= key:
                continue
            if int(one.images[0]) <= key:
                rest = replace(one, dead=one.dead | (one.images <= key))
                rest.removed = int(rest.dead.sum())
                one = merged([rest])
            kept.append(one)
        return Segments(self.limits, [one for one in kept if len(one.images)])

    def view(self) -> Segments:
        """The images as they are now: appending to the original does not show here."""
        return replace(self)


class WordsIndex(DerivedIndex[WordManifest, Postings, Segments]):
    """Postings of visual words, searched by votes, over what a `Source` holds.

    Thread-safe. Every search first catches up with the source.
    """

    KEYS_A_ROW = 16

    _files: WordFiles
    _sizes: WordSizes

    def __init__(
        self,
        directory: Path,
        source: Source[Postings],
        *,
        feature: str,
        write: bool,
        threads: int = 1,
        sizes: WordSizes = WordSizes(),
    ) -> None:
        """An index in `directory` of words whose version is `feature`; only one process may `write`.

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self._threads = threads
        super().__init__(WordFiles(directory, feature), source, sizes, write=write)

    # Searching

    def search(self, query: Sequence[WordQuery], limit: int, *, compiled: bool | None = None) -> Votes:
        """The `limit` best images over all variants of a query. Raises UsageError.

        `compiled`: True for the kernels, False for NumPy, None to choose by size.
        """
        sealed, tail = self._state()[1:3]
        counts = sealed.counts() + tail.counts() if tail.segments else sealed.counts()
        segments = [*sealed.segments, *tail.segments]
        return vote(segments, counts, query, limit, threads=self._threads, compiled=compiled)

    def __len__(self) -> int:
        """How many images there are with words."""
        sealed, tail = self._state()[1:3]
        return sealed.live + tail.live

    # What derived indexes say

    def _empty(self) -> Segments:
        return Segments(self._sizes, [])

    def _opened(self, manifest: WordManifest, *, goes_on: bool) -> Segments:
        held = dict(zip(self._manifest.segments, self._sealed.segments, strict=True)) if goes_on else {}
        return self._counted([held.get(one) or self._files.opened(one) for one in manifest.segments])

    def _counted(self, segments: list[Segment]) -> Segments:
        return replace(sealed := Segments(self._sizes, segments), known=sealed.counts())

    def _at_a_time(self) -> int:
        there, most = self._tail.count, self._sizes.segment
        return min(self._sizes.read, most - there) if there < most else self._sizes.read

    def _full_at(self, to_come: int) -> int:
        # While more is to come the tail grows until it fills a segment, which is then written once.
        return max(self._seal_at, self._sizes.segment if to_come >= self._seal_at else 0)

    def _written(self, *, tail: bool) -> Written[WordManifest, Segments]:
        """The tail if asked for, segments with many removed, neighbours to be merged."""
        sealed, manifest = self._sealed.segments, self._manifest
        record = {id(one): known for one, known in zip(sealed, manifest.segments, strict=True)}
        groups = [[one] for one in sealed] + (
            _packed(self._tail.segments, self._sizes.segment) if tail else []
        )
        records, segments = [], []
        for group in merge_plan(groups, self._sizes):
            if len(group) == 1 and id(group[0]) in record and not _thin(group[0]):
                records.append(record[id(group[0])])
                segments.append(group[0])
            elif any(one.live for one in group):
                self._verify([record[id(one)] for one in group if id(one) in record])
                manifest = replace(manifest, generation=manifest.generation + 1)
                known, segment = self._files.write(manifest.generation, group)
                records.append(known)
                segments.append(segment)
        clean = not any(segment.removed for segment in segments)
        manifest = replace(
            manifest,
            key=self._key if tail else manifest.key,
            removal=self._removal if clean else manifest.removal,
            segments=tuple(records),
        )
        return Written(manifest, self._counted(segments), self._empty() if tail else self._tail)

    def _verify(self, records: Sequence[Sealed]) -> None:
        """Raise CollectionDamaged rather than give damaged postings a new checksum."""
        for one in records:
            if not self._files.sound(one):
                raise self._files.damaged(f"{self._files.path(one.number)} is not what was written")

    def _differences(self, state: State[WordManifest, Segments]) -> Iterator[str]:
        sound, left_out = [], []
        for segment, record in zip(state.sealed.segments, state.manifest.segments, strict=True):
            try:
                problem = "" if self._files.sound(record) else "is not what was written"
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
            if problem and not self._names(record):
                problem = ""  # the writer has put another in its place, and what is mapped stays
            if problem:
                yield f"{self.name}: {self._files.path(record.number)} {problem}. {CURE}"
                left_out.append((record.first, record.last))
            else:
                sound.append(segment)
        found = content_differences(
            [*sound, *state.tail.segments], self._source.rows_after, state.key, left_out
        )
        yield from found.sentences(self.name, self._source.removals_after(state.removal)[0])

    def _names(self, record: Sealed) -> bool:
        """Whether what is published now still has this segment."""
        published = self._files.manifest()
        return published is None or record in published.segments


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


def _thin(segment: Segment) -> bool:
    return segment.removed > DEAD_SHARE * len(segment.images)
