"""The visual vocabulary: from descriptors to words and binary signatures (Nistér & Stewénius 2006).

A descriptor is projected to 64 dimensions by a rotation learnt so that signs lose least (principal
components, then ITQ: Gong & Lazebnik 2011). The signs are its signature. The vocabulary is a tree of two
levels, of 1,024 branches with 64 leaves each; the number of the nearest leaf is its word. The tree was
trained by `training/vocabulary.py`, which names its pictures in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.descriptors import LENGTH
from wherefrom.features.scalespace import Floats

VERSION = "words-1"
"""Of the file that is shipped; words and signatures of different versions are never compared."""

BRANCHES, LEAVES = 1024, 64
WORDS = BRANCHES * LEAVES
DIMENSIONS = 64

_FILE = Path(__file__).with_name("vocabulary.npz")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """`mean` float32 (128,), `projection` float32 (128, 64), and the centres of the tree.

    `branches` is float32 (1024, 64); `leaves` int8 (65536, 64) in steps of `unit`, the leaves of a branch
    side by side. `pictures` names what it was trained on.
    """

    version: str
    mean: Floats
    projection: Floats
    branches: Floats
    leaves: NDArray[np.int8]
    unit: float
    pictures: tuple[str, ...] = ()

    def project(self, descriptors: Floats) -> Floats:
        """float32 (n, 64) of descriptors (n, ...) of 128 numbers in all."""
        return np.asarray((descriptors.reshape(-1, LENGTH) - self.mean) @ self.projection, np.float32)

    def words(self, projected: Floats, count: int = 1, branches: int = 1) -> NDArray[np.uint16]:
        """uint16 (n, count): the numbers of the nearest leaves, nearest first.

        Leaves are looked for below the nearest `branches`; more of them is surer and slower.
        """
        rows = len(projected)
        if not rows:
            return np.zeros((0, count), np.uint16)
        taken = _nearest(self.branches, projected, branches)
        pairs = taken.ravel()
        order = np.argsort(pairs, kind="stable")
        starts = np.flatnonzero(np.diff(pairs[order], prepend=-1)).tolist()
        centres, norms = self._centres()
        asked = projected[order // branches]
        # The keypoints of a branch stand together: one product for each branch that is met.
        apart = np.empty((len(order), LEAVES), np.float32)
        met = pairs[order[starts]].tolist()
        for start, stop, branch in zip(starts, [*starts[1:], len(order)], met, strict=True):
            np.matmul(asked[start:stop], centres[branch], out=apart[start:stop])
        apart *= -2
        apart += norms[pairs[order]]
        flat = np.empty_like(apart)
        flat[order] = apart
        near = flat.reshape(rows, -1)
        best = np.argsort(near, axis=1)[:, :count] if count > 1 else near.argmin(axis=1)[:, None]
        found = np.take_along_axis(taken, best // LEAVES, axis=1) * LEAVES + best % LEAVES
        return found.astype(np.uint16)

    def _centres(self) -> tuple[Floats, Floats]:
        """The leaves as float32 (1024, 64, 64), a column each, and their squared lengths (1024, 64)."""
        known = _CENTRES.get(self)
        if known is None:
            leaves = self.leaves.reshape(BRANCHES, LEAVES, DIMENSIONS).astype(np.float32) * np.float32(
                self.unit
            )
            known = np.ascontiguousarray(leaves.transpose(0, 2, 1)), (leaves**2).sum(axis=2)
            _CENTRES[self] = known
        return known

    def save(self, path: Path) -> None:
        """Write it as one NumPy archive."""
        np.savez_compressed(
            path,
            version=self.version,
            mean=self.mean,
            projection=self.projection,
            branches=self.branches.astype(np.float16),
            leaves=self.leaves,
            unit=self.unit,
            pictures="\n".join(self.pictures),
        )


def _nearest(centres: Floats, points: Floats, count: int) -> NDArray[np.intp]:
    """The numbers of the `count` nearest centres to each point, nearest first."""
    apart = (centres**2).sum(axis=1) - 2 * (points @ centres.T)
    rows = np.arange(len(points))
    found = np.empty((len(points), count), np.intp)
    for place in range(count):
        found[:, place] = apart.argmin(axis=1)
        apart[rows, found[:, place]] = np.inf
    return found


def signatures(projected: Floats) -> NDArray[np.uint64]:
    """uint64 (n,): the signs of the 64 dimensions, one bit each."""
    return np.packbits(projected > 0, axis=1, bitorder="little").view("<u8").ravel()


_CENTRES: WeakKeyDictionary[Vocabulary, tuple[Floats, Floats]] = WeakKeyDictionary()


@cache
def vocabulary() -> Vocabulary:
    """The vocabulary that comes with the package."""
    with np.load(_FILE) as file:
        return Vocabulary(
            str(file["version"]),
            file["mean"],
            file["projection"],
            file["branches"].astype(np.float32),
            file["leaves"],
            float(file["unit"]),
            tuple(str(file["pictures"]).split("\n")),
        )
