"""How rows differ from the source that they were derived from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.rows import Codes, Numbers

Read = Callable[[int, int], tuple[int, tuple[Numbers, Codes]]]

_BATCH = 50_000


class Sorted(Protocol):
    """Rows in order of their entries."""

    @property
    def entries(self) -> Numbers:
        """What the rows are sorted by, `count` of them in use."""
        ...

    @property
    def count(self) -> int:
        """How many rows there are."""
        ...

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which of them are removed."""
        ...

    def codes(self, first: int, stop: int) -> Codes:
        """The rows first..stop, uint8 (n, width)."""
        ...


@dataclass
class Differences:
    """Entries that the rows lack, that they have with another code, and that the source does not have.

    `variants` is how many entries a key has room for. `rows` is what several entries are called, `of` what
    stands before their number. `disordered` is True when the rows are not in the order of their entries:
    that says enough.
    """

    variants: int = 1
    of: str = ""
    rows: str = "rows"
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
        missing, altered, surplus = (entries[~np.isin(entries // self.variants, gone)] for entries in whole)
        return missing, altered, surplus

    def sentences(self, name: str, removed: Sequence[int]) -> Iterator[str]:
        """What a person is told of the index of that name; keys removed meanwhile are left out."""
        cure = "Run: wherefrom rebuild"
        if self.disordered:
            yield f"{name}: its rows are in disorder. {cure}"
        missing, altered, surplus = self.without(removed)
        for entries, what in ((missing, "are missing"), (altered, "differ from the catalog")):
            if len(entries):
                yield (
                    f"{name}: {self.of}{len(entries)} of {self.total} {self.rows} {what}, "
                    f"the first of image number {entries[0] // self.variants}. {cure}"
                )
        if len(surplus):
            yield f"{name}: {self.of}{len(surplus)} {self.rows} belong to no image of the catalog. {cure}"


def differences(parts: Sequence[Sorted], read: Read, last_key: int, variants: int = 2) -> Differences:
    """Compare the live rows of `parts`, which follow one another, with what `read` gives up to `last_key`.

    `read(key, limit)` gives the next rows as `Source.rows_after` does; the entries of a key are the
    `variants` from variants × key on.
    """
    found = Differences(variants)
    if not _in_order(parts):
        found.disordered = True
        return found
    key = 0
    while key < last_key:
        last, (due, due_codes) = read(key, _BATCH)
        if last == key or last > last_key:
            kept = due < variants * (last_key + 1)
            last, due, due_codes = last_key, due[kept], due_codes[kept]
        found.total += len(due)
        entries, codes = _between(parts, variants * (key + 1), variants * (last + 1), due_codes.shape[1])
        found.missing.append(due[~np.isin(due, entries)])
        found.surplus.append(entries[~np.isin(entries, due)])
        shared, ours, theirs = np.intersect1d(entries, due, return_indices=True)
        found.altered.append(shared[(codes[ours] != due_codes[theirs]).any(axis=1)])
        key = last
    for low, high in (
        (variants * (last_key + 1), np.iinfo(np.int64).max),
        (np.iinfo(np.int64).min, variants),
    ):
        for rows in parts:
            first, last = _places(rows, low, high)
            found.surplus.append(rows.entries[first:last][~rows.dead[first:last]])
    return found


def _in_order(parts: Sequence[Sorted]) -> bool:
    last = np.iinfo(np.int64).min
    for rows in parts:
        for start in range(0, rows.count, _BATCH):
            entries = rows.entries[start : min(rows.count, start + _BATCH)]
            if entries[0] <= last or (entries[1:] <= entries[:-1]).any():
                return False
            last = entries[-1]
    return True


def _places(rows: Sorted, low: int, high: int) -> tuple[int, int]:
    first, last = np.searchsorted(rows.entries[: rows.count], [low, high]).tolist()
    return first, last


def _between(parts: Sequence[Sorted], low: int, high: int, width: int) -> tuple[Numbers, Codes]:
    entries, codes = [np.zeros(0, np.int64)], [np.zeros((0, width), np.uint8)]
    for rows in parts:
        first, last = _places(rows, low, high)
        live = ~rows.dead[first:last]
        entries.append(rows.entries[first:last][live])
        codes.append(rows.codes(first, last)[live])
    return np.concatenate(entries), np.concatenate(codes)
