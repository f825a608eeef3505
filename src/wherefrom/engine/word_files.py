"""Postings of visual words: in memory, and in files that are written once and published by a manifest.

A *segment* holds the postings of up to 65,536 images, sorted by word and image. It is one file that is
never changed: more images, or fewer, mean new segments under new numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.derived_files import DerivedFiles, Manifest
from wherefrom.engine.files import allocate, crc_of_file, delete, sync
from wherefrom.engine.rows import Numbers
from wherefrom.errors import CollectionDamaged

VOCABULARY = 1 << 16
"""Visual words that there are."""

SEGMENT_IMAGES = 1 << 16
"""Images in a full segment: their numbers in it are uint16."""

_BLOCK = 1 << 20
_PLACE = np.uint32(16)  # where an image's place lies in the details of a posting

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Postings:
    """Keypoints of images, arrays of one length n.

    `keys` int64, not falling: the image of each. `words` uint16. `signatures` uint64. `angles` uint8, 256
    steps a turn. `scales` uint8, sixteenths of an octave: the scale is 2 ** (scales / 16).
    """

    keys: Numbers
    words: NDArray[np.uint16]
    signatures: NDArray[np.uint64]
    angles: Bytes
    scales: Bytes

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(eq=False)
class Segment:
    """Postings of n images, p of them, sorted by word and then by image.

    `images` int64 (n,): their keys, rising. `offsets` uint32 (VOCABULARY + 1,): the postings of a word w
    are those from offsets[w] to offsets[w + 1] of the arrays of length p: `signatures` uint64, and
    `details` uint32, place in `images` << 16 | angle << 8 | scale. `dead` bool (n,) masks removed images,
    `removed` of them; only these two ever change.
    """

    images: Numbers
    offsets: NDArray[np.uint32]
    signatures: NDArray[np.uint64]
    details: NDArray[np.uint32]
    dead: NDArray[np.bool_]
    removed: int = 0

    @classmethod
    def within(cls, room: Bytes, images: int, postings: int) -> Segment:
        """The arrays of a segment one after the other in `room`, `segment_bytes` long, as in its file."""
        ends = np.cumsum(_sizes(images, postings)).tolist()
        signatures, keys, offsets, details = (room[start:stop] for start, stop in pairwise([0, *ends]))
        return cls(
            keys.view(np.int64),
            offsets.view(np.uint32),
            signatures.view(np.uint64),
            details.view(np.uint32),
            np.zeros(images, np.bool_),
        )

    @classmethod
    def in_memory(cls, images: int, postings: int) -> Segment:
        """Room for a segment in memory."""
        return cls.within(np.zeros(segment_bytes(images, postings), np.uint8), images, postings)

    @classmethod
    def of(cls, postings: Postings) -> Segment:
        """A segment of these postings, of 65,536 images at most."""
        starts = np.diff(postings.keys, prepend=postings.keys[:1] - 1) > 0
        segment = cls.in_memory(int(starts.sum()), len(postings))
        order = np.argsort(postings.words, kind="stable")
        segment.images[:] = postings.keys[starts]
        segment.offsets[1:] = np.cumsum(np.bincount(postings.words, minlength=VOCABULARY))
        segment.signatures[:] = postings.signatures[order]
        local = (np.cumsum(starts) - 1).astype(np.uint32)
        angles, scales = postings.angles.astype(np.uint32), postings.scales.astype(np.uint32)
        segment.details[:] = (local << np.uint32(16) | angles << np.uint32(8) | scales)[order]
        return segment

    @property
    def live(self) -> int:
        """How many of its images are not removed."""
        return len(self.images) - self.removed

    def mask(self, keys: Numbers) -> None:
        """Mask the images of these keys."""
        if not len(self.images) or not len(keys):
            return
        places = np.minimum(np.searchsorted(self.images, keys), len(self.images) - 1)
        self.dead[places[self.images[places] == keys]] = True
        self.removed = int(np.count_nonzero(self.dead))

    def counts(self) -> Numbers:
        """How many postings each word has, of removed images too: int64 (VOCABULARY,)."""
        return np.diff(self.offsets.astype(np.int64)).clip(0)


def segment_bytes(images: int, postings: int) -> int:
    """How long the file of a segment is: 12 bytes a posting, 8 an image, and 262,148."""
    return sum(_sizes(images, postings))


def _sizes(images: int, postings: int) -> tuple[int, ...]:
    return 8 * postings, 8 * images, 4 * (VOCABULARY + 1), 4 * postings


def merged(
    sources: Sequence[Segment],
    room: Callable[[int, int], Segment] = Segment.in_memory,
    *,
    block: int = _BLOCK,
) -> Segment:
    """One segment of the live images of several, whose keys follow one another, in `room(images, postings)`.

    About `block` postings are merged at a time.

    Raises CollectionDamaged when a source contradicts itself.
    """
    alive = [~source.dead for source in sources]
    try:
        count = sum(
            int(np.count_nonzero(live[source.details >> _PLACE])) if source.removed else len(source.details)
            for source, live in zip(sources, alive, strict=True)
        )
        target = room(sum(int(live.sum()) for live in alive), count)
        target.images[:] = np.concatenate(
            [one.images[live] for one, live in zip(sources, alive, strict=True)]
        )
        before = np.cumsum([0, *(int(live.sum()) for live in alive)])
        # What is added to the details of an image's postings: they wrap around to its place in the target.
        moves = [
            (start + np.cumsum(live) - 1 - np.arange(len(live))).astype(np.uint32) << _PLACE
            for start, live in zip(before, alive, strict=False)
        ]
        blocks = 1 + count // block
        bounds = [VOCABULARY * number // blocks for number in range(blocks + 1)]
        done = 0
        for first, last in pairwise(bounds):
            done = _merge_words(sources, alive, moves, target, first, last, done)
    except (IndexError, ValueError) as error:
        raise CollectionDamaged(
            "The words index is damaged: a segment contradicts itself. Run: wherefrom rebuild"
        ) from error
    return target


def _merge_words(
    sources: Sequence[Segment],
    alive: Sequence[NDArray[np.bool_]],
    moves: Sequence[NDArray[np.uint32]],
    target: Segment,
    first: int,
    last: int,
    done: int,
) -> int:
    """Merge the postings of words first..last, behind the `done` that are there; how many are then."""
    parts: list[tuple[NDArray[Any], ...]] = []
    for source, live, move in zip(sources, alive, moves, strict=True):
        offsets = source.offsets[first : last + 1].astype(np.int64)
        there = slice(int(offsets[0]), int(offsets[-1]))
        words = np.repeat(np.arange(first, last, dtype=np.uint16), np.diff(offsets))
        signatures, details = source.signatures[there], source.details[there]
        places = details >> _PLACE
        if source.removed:
            kept = live[places]
            words, signatures, details, places = words[kept], signatures[kept], details[kept], places[kept]
        parts.append((words, signatures, details + move[places]))
    words, signatures, details = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(words, kind="stable")  # sources follow one another, and so do a word's images
    stop = done + len(words)
    target.signatures[done:stop] = signatures[order]
    target.details[done:stop] = details[order]
    counts = np.bincount(words - np.uint16(first), minlength=last - first)
    target.offsets[first + 1 : last + 1] = done + np.cumsum(counts)
    return stop


@dataclass(frozen=True)
class Sealed:
    """A segment in a file: its number, images, postings, first and last key, and CRC-32."""

    number: int
    images: int
    postings: int
    first: int
    last: int
    crc: int


@dataclass(frozen=True)
class WordManifest(Manifest):
    """The words lie in `segments`; `epoch` stays the same for as long as these come from one another."""

    epoch: int = 0
    segments: tuple[Sealed, ...] = ()

    @property
    def line(self) -> int:
        """Stays the same for as long as a reader's tail goes on where the files end."""
        return self.epoch

    def begun(self, seen: int = 0) -> Self:
        """A manifest of nothing, whose numbers are above `seen` and, hardly otherwise, any that ever were."""
        begun = super().begun(seen)
        return replace(begun, epoch=begun.generation)

    def check(self) -> None:
        """Raise ValueError for numbers that contradict each other."""
        last = 0
        for one in self.segments:
            if not 0 < one.images <= SEGMENT_IMAGES or one.postings < 0 or not last < one.first <= one.last:
                raise ValueError("its numbers are impossible")
            last = one.last
        if last > self.key:
            raise ValueError("its numbers are impossible")

    @classmethod
    def of_format(cls, number: int, body: dict[str, Any]) -> Self:
        """A manifest of what was read, which has this format; raises as `from_text` does."""
        return super().of_format(
            number, {**body, "segments": tuple(Sealed(**one) for one in body["segments"])}
        )


class WordFiles(DerivedFiles[WordManifest]):
    """The files of postings."""

    PREFIXES = ("segment",)

    def __init__(self, directory: Path, feature: str) -> None:
        """Look at `directory`, for words whose version is `feature`; nothing is made or read yet."""
        super().__init__(directory, "words index", WordManifest(feature))

    def named(self, manifest: WordManifest) -> set[Path]:
        """The files that a manifest names."""
        return {self.path(one.number) for one in manifest.segments}

    def path(self, number: int) -> Path:
        """The file of a segment."""
        return self.directory / f"segment-{number}"

    def opened(self, record: Sealed) -> Segment:
        """A segment, mapped; nothing is masked. Raises CollectionDamaged."""
        mapped = self.mapped(self.path(record.number), segment_bytes(record.images, record.postings))
        return Segment.within(mapped, record.images, record.postings)

    def sound(self, record: Sealed) -> bool:
        """Whether a segment's file is what was written. Raises OSError when it cannot be read."""
        return crc_of_file(self.path(record.number)) == record.crc

    def write(self, number: int, sources: Sequence[Segment]) -> tuple[Sealed, Segment]:
        """A new segment of the live images of several; it lasts, and is not yet published.

        Raises OSError when there is no room for it, CollectionDamaged when a source contradicts itself.
        """
        path = self.path(number)
        written: list[Any] = []

        def room(images: int, postings: int) -> Segment:
            self.directory.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            with path.open("xb") as file:
                allocate(file.fileno(), segment_bytes(images, postings))
            written.append(np.memmap(path, np.uint8, "r+"))
            return Segment.within(written[0].view(np.ndarray), images, postings)

        try:
            segment = merged(sources, room)
            crc = zlib.crc32(written[0])
            written[0].flush()
            sync(path)
        except (OSError, CollectionDamaged):
            delete(path)
            raise
        images = segment.images
        record = Sealed(number, len(images), len(segment.details), int(images[0]), int(images[-1]), crc)
        return record, self.opened(record)
