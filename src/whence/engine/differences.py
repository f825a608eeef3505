"""How rows of codes differ from the source that they were derived from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from whence.engine.rows import WORDS, Codes, Numbers, Rows

Read = Callable[[int, int], tuple[int, Numbers, Codes]]

_BATCH = 50_000


@dataclass
class Differences:
    """Entries that the rows lack, that they have with another code, and that the source does not have.

    `disordered` is True when the rows are not in the order of their entries, which says enough.
    """

    disordered: bool = False
    total: int = 0
    missing: list[Numbers] = field(default_factory=list)
    altered: list[Numbers] = field(default_factory=list)
    surplus: list[Numbers] = field(default_factory=list)

    def without(self, removed: Sequence[int]) -> tuple[Numbers, Numbers, Numbers]:
        """The missing, altered and surplus entries but for those of keys that were removed meanwhile."""
        gone = np.array(removed, np.int64)
        lists = (self.missing, self.altered, self.surplus)
        whole = [np.concatenate([np.zeros(0, np.int64), *parts]) for parts in lists]
        missing, altered, surplus = (entries[~np.isin(entries // 2, gone)] for entries in whole)
        return missing, altered, surplus


def differences(parts: Sequence[Rows], read: Read, last_key: int) -> Differences:
    """Compare the live rows of `parts`, which follow one another, with what `read` gives up to `last_key`.

    `read(key, limit)` gives the next codes as `Source.entries_after` does.
    """
    found = Differences()
    if not _in_order(parts):
        found.disordered = True
        return found
    key = 0
    while key < last_key:
        last, due, due_codes = read(key, _BATCH)
        if last == key or last > last_key:
            kept = due <= 2 * last_key + 1
            last, due, due_codes = last_key, due[kept], due_codes[kept]
        found.total += len(due)
        entries, codes = _between(parts, 2 * key + 2, 2 * last + 2)
        found.missing.append(due[~np.isin(due, entries)])
        found.surplus.append(entries[~np.isin(entries, due)])
        shared, ours, theirs = np.intersect1d(entries, due, return_indices=True)
        found.altered.append(shared[(codes[ours] != due_codes[theirs]).any(axis=1)])
        key = last
    beyond, _ = _between(parts, 2 * last_key + 2, np.iinfo(np.int64).max)
    below, _ = _between(parts, np.iinfo(np.int64).min, 2)
    found.surplus += [below, beyond]
    return found


def _in_order(parts: Sequence[Rows]) -> bool:
    last = np.iinfo(np.int64).min
    for rows in parts:
        for start in range(0, rows.count, _BATCH):
            entries = rows.entries[start : min(rows.count, start + _BATCH)]
            if entries[0] <= last or (entries[1:] <= entries[:-1]).any():
                return False
            last = entries[-1]
    return True


def _between(parts: Sequence[Rows], low: int, high: int) -> tuple[Numbers, Codes]:
    entries, codes = [np.zeros(0, np.int64)], [np.zeros((0, 8 * WORDS), np.uint8)]
    for rows in parts:
        first, last = np.searchsorted(rows.entries[: rows.count], [low, high]).tolist()
        live = ~rows.dead[first:last]
        entries.append(rows.entries[first:last][live])
        words = np.ascontiguousarray(rows.planes[:, first:last].T[live])
        codes.append(words.view(np.uint8).reshape(-1, 8 * WORDS))
    return np.concatenate(entries), np.concatenate(codes)
