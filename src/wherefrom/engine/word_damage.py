"""How the postings of segments differ from the source that they were derived from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.differences import Differences
from wherefrom.engine.word_files import VOCABULARY, Postings, Segment

Read = Callable[[int, int], tuple[int, Postings]]
Sums = NDArray[np.uint64]

_BATCH = 4_096  # images read at a time
_BLOCK = 1 << 20  # postings looked at at a time


def content_differences(
    segments: Sequence[Segment], read: Read, last_key: int, left_out: Sequence[tuple[int, int]] = ()
) -> Differences:
    """Compare live images with what `read` gives up to `last_key`, each by a sum over its postings.

    Keys in one of the ranges (first, last) of `left_out` are not looked at.
    """
    found = Differences(of="the words of ", rows="images")
    none = np.zeros(0, np.int64)
    keys = np.concatenate([none, *(one.images[~one.dead] for one in segments)])
    sums = np.concatenate([none.astype(np.uint64), *(_sums(one)[~one.dead] for one in segments)])
    seen, key = [none], 0
    while key < last_key:
        last, postings = read(key, _BATCH)
        if last == key:
            break
        due, place = np.unique(postings.keys, return_inverse=True)
        due_sums = np.zeros(len(due), np.uint64)
        np.add.at(
            due_sums,
            place,
            _hashes(postings.words, postings.signatures, postings.angles, postings.scales),
        )
        wanted = due <= last_key
        for first, stop in left_out:
            wanted &= (due < first) | (due > stop)
        due, due_sums = due[wanted], due_sums[wanted]
        found.total += len(due)
        found.missing.append(due[~np.isin(due, keys)])
        shared, ours, theirs = np.intersect1d(keys, due, return_indices=True)
        found.altered.append(shared[sums[ours] != due_sums[theirs]])
        seen.append(due)
        key = last
    found.surplus.append(keys[~np.isin(keys, np.concatenate(seen))])
    return found


def _sums(segment: Segment) -> Sums:
    """For each image the sum of what its postings come to, whatever their order."""
    sums = np.zeros(len(segment.images), np.uint64)
    count = len(segment.details)
    words = np.searchsorted(segment.offsets, np.arange(0, count + 1, _BLOCK), "right") - 1
    bounds = sorted({0, *words.clip(0, VOCABULARY).tolist(), VOCABULARY})
    for first, last in pairwise(bounds):
        offsets = segment.offsets[first : last + 1].astype(np.int64)
        there = slice(int(offsets[0]), int(offsets[-1]))
        word = np.repeat(np.arange(first, last, dtype=np.uint16), np.diff(offsets))
        details = segment.details[there]
        hashes = _hashes(
            word,
            segment.signatures[there],
            details >> np.uint32(8) & np.uint32(255),
            details & np.uint32(255),
        )
        np.add.at(sums, details >> np.uint32(16), hashes)
    return sums


def _hashes(
    words: NDArray[np.uint16],
    signatures: NDArray[np.uint64],
    angles: NDArray[np.uint8] | NDArray[np.uint32],
    scales: NDArray[np.uint8] | NDArray[np.uint32],
) -> Sums:
    """A number for each posting, in which every bit of it has a say."""
    small = words.astype(np.uint64) << np.uint64(16) | angles.astype(np.uint64) << np.uint64(8) | scales
    mixed = _mixed(signatures) + small
    return _mixed(mixed) | np.uint64(1)  # never zero: a posting too many always shows


def _mixed(numbers: Sums) -> Sums:
    """The finisher of the splitmix64 generator (G. Steele, D. Lea, C. Flood, OOPSLA 2014)."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)
