"""Pairs of images whose fingerprints are near, found without comparing every two.

They come from multi-index hashing, so that the work grows with the number of images and not with its square.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import mih, scan
from wherefrom.engine.base import NearPairs
from wherefrom.features.fingerprint import turned_codes

_SCANNED = 2_000  # images below which every pair is simply compared
_BATCH = 1_024  # codes searched for at a time
_JOINED = 4_096  # pairs joined at a time
_NEAREST = 3  # pairs of an image that are kept besides those that hold a group together


def near_pairs(keys: NDArray[np.int64], codes: NDArray[np.uint8], radius: int, turned: bool) -> NearPairs:
    """The near pairs of n codes, uint8 (n, 32), of the images of n keys, some of which have two.

    Of thousands of equal images there are no more than a few pairs each.
    """
    near = NearPairs([], [])
    if not len(keys):
        return near
    names, number = np.unique(keys, return_inverse=True)
    parent = np.arange(len(names))

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = int(parent[one])
        return one

    def join(ones: NDArray[np.int64], others: NDArray[np.int64]) -> None:
        for start in range(0, len(ones), _JOINED):
            a, b = ones[start : start + _JOINED], others[start : start + _JOINED]
            for row in np.flatnonzero(parent[parent[a]] != parent[parent[b]]).tolist():
                first, second = sorted((find(int(a[row])), find(int(b[row]))))
                if first != second:
                    parent[second] = first
                    near.holding.append((int(names[a[row]]), int(names[b[row]])))

    # Equal codes first: what is equal to one image is near whatever that is near.
    _, first, same = np.unique(codes.view("V32").ravel(), return_index=True, return_inverse=True)
    join(number[first[same]], number)
    for ones, others in _hits(np.ascontiguousarray(codes[first]), radius, turned):
        a, b = number[first[ones]], number[first[others]]
        join(a, b)
        rank = np.arange(len(ones)) - np.searchsorted(ones, ones)
        few = (rank < _NEAREST) & (a != b)
        near.others.extend(zip(names[a[few]].tolist(), names[b[few]].tolist(), strict=True))
    return near


def _hits(
    codes: NDArray[np.uint8], radius: int, turned: bool
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows within a radius, in batches: rows, ascending, and later rows, of each row the nearest
    first. With `turned` also in any other orientation, and of negatives."""
    planes = np.ascontiguousarray(codes.view("<u8").T)
    with tempfile.TemporaryDirectory(prefix="wherefrom-duplicates-") as folder:
        index = (
            mih.MultiIndex.build(planes, Path(folder))
            if len(codes) > _SCANNED and radius <= mih.RADIUS
            else None
        )
        for start in range(0, len(codes), _BATCH):
            batch = codes[start : start + _BATCH]
            for mirrored, degrees, negative, variants in turned_codes(batch):
                if not turned and (mirrored or degrees or negative):
                    continue
                queries = np.ascontiguousarray(variants).view("<u8")
                hits = index.within(queries, radius) if index else scan.within(planes, queries, radius)
                rows = hits.query + start
                later = hits.row > rows  # every pair is met from both sides
                yield rows[later], hits.row[later]
