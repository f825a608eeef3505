"""Selections as sets of keys in memory: what engines on one machine answer a filter with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class KeySet:
    """Keys that rise. A `Selection`."""

    __slots__ = ("keys",)

    def __init__(self, keys: Numbers) -> None:
        """`keys` is int64 and rises."""
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, int) or not len(self.keys):
            return False
        place = int(np.searchsorted(self.keys, key))
        return place < len(self.keys) and int(self.keys[place]) == key

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self.keys), 4096):
            yield from self.keys[start : start + 4096].tolist()

    def without(self, keys: Sequence[int]) -> KeySet:
        """All of them but these."""
        return KeySet(np.setdiff1d(self.keys, np.array(keys, np.int64), assume_unique=False))

    def among(self, keys: Numbers) -> NDArray[np.bool_]:
        """Which of some keys, int64 (n,) in any order, are among these: bool (n,)."""
        if not len(self.keys):
            return np.zeros(len(keys), np.bool_)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.asarray(self.keys[places] == keys, np.bool_)
