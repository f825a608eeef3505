"""Rows of fixed width, by key: in memory, and in files that only grow and are published by a manifest.

The rows of one feature lie in a file of keys and one file for each *field* of a row, one row after the
other and nothing between them: a field of 256 bytes is aligned to 256 bytes. New rows are written behind
those that the manifest names, synced, and then named; what a crash has left behind the last named row is
written over. Rows left out, or laid anew in groups, mean new files under the next generation number.

Rows come in the order of their keys, but for those that were laid in groups, which come first: a file
`order` then names them in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.derived_files import DerivedFiles, Manifest
from wherefrom.engine.files import sync
from wherefrom.engine.rows import Numbers
from wherefrom.engine.sizes import DEAD_SHARE

_UNGROUPED = 1  # the format before rows could lie in groups
_COPY = 1 << 14  # rows copied at a time

Bytes = NDArray[np.uint8]
Widths = tuple[int, ...]
Batch = tuple[Numbers, Bytes]
"""Int64 (n,) entries, rising, of those that have a row, and uint8 (n, width) rows."""

PART_BITS = 16
"""Where images have many rows, an entry is the key of the image and, in so many bits, a part's number."""

MOST_PARTS = 1 << PART_BITS
"""Parts of an image at most."""


def _no_numbers() -> Numbers:
    return np.zeros(0, np.int64)


@dataclass
class Part:
    """Keys int64, fields uint8 (n, width), and a mask of removed rows, `count` of them in use.

    Where images have many rows, `bits` are those of a key that number the parts of an image; else 0.

    `order` int64 (g,) are the first g rows in the order of their keys; those behind follow in that order by
    themselves, and have higher keys. Only the mask changes under those who hold a part.
    """

    keys: Numbers
    fields: tuple[Bytes, ...]
    dead: NDArray[np.bool_]
    count: int = 0
    removed: int = 0
    order: Numbers = field(default_factory=_no_numbers)
    bits: int = 0

    @classmethod
    def empty(cls, widths: Widths, room: int = 0, bits: int = 0) -> Part:
        """No rows, and room for some."""
        fields = tuple(np.zeros((room, width), np.uint8) for width in widths)
        return cls(np.zeros(room, np.int64), fields, np.zeros(room, np.bool_), bits=bits)

    @property
    def grouped(self) -> int:
        """How many rows, the first ones, lie in groups and not in the order of their keys."""
        return len(self.order)

    @property
    def lowest(self) -> int:
        """The lowest key of a part that has rows."""
        return int(self.keys[self.order[0] if self.grouped else 0])

    @property
    def highest(self) -> int:
        """The highest key of a part that has rows."""
        return int(self.keys[self.order[-1] if self.grouped == self.count else self.count - 1])

    @property
    def entries(self) -> Numbers:
        """The keys, under the name that all rows have for what they are sorted by."""
        return self.keys

    def codes(self, first: int, stop: int) -> Bytes:
        """The whole rows first..stop."""
        return np.concatenate([one[first:stop] for one in self.fields], axis=1)

    def in_order(self) -> Part | InOrder:
        """The rows in the order of their keys."""
        return InOrder(self) if self.grouped else self

    @property
    def is_thin(self) -> bool:
        """Whether so many are masked that the others are to be written anew."""
        return self.removed > DEAD_SHARE * self.count

    def append(self, rows: Batch) -> None:
        """Add rows, each of whose keys is above the last."""
        keys, data = rows
        need = self.count + len(keys)
        widths = tuple(one.shape[1] for one in self.fields)
        if need > len(self.keys):
            # Searches under way keep the arrays that they started with.
            grown = Part.empty(widths, max(256, 2 * need))
            grown.keys[: self.count] = self.keys[: self.count]
            grown.dead[: self.count] = self.dead[: self.count]
            for new, old in zip(grown.fields, self.fields, strict=True):
                new[: self.count] = old[: self.count]
            self.keys, self.fields, self.dead = grown.keys, grown.fields, grown.dead
        self.keys[self.count : need] = keys
        self.dead[self.count : need] = False
        for one, (start, stop) in zip(self.fields, pairwise(accumulate(widths, initial=0)), strict=True):
            one[self.count : need] = data[:, start:stop]
        self.count = need

    def places(self, keys: Numbers) -> Numbers:
        """The rows, rising, of those keys, rising, that have one, masked or not."""
        if not self.grouped:
            return _places(self.keys[: self.count], keys)
        among = self.order[_places(self.keys[: self.grouped], keys, self.order)]
        behind = _places(self.keys[self.grouped : self.count], keys) + self.grouped
        return np.concatenate([np.sort(among), behind])

    def mask(self, keys: Numbers) -> None:
        """Mask the rows of the images of these keys."""
        if self.bits:
            self.dead[: self.count] |= np.isin(self.keys[: self.count] >> self.bits, keys)
        else:
            self.dead[self.places(np.sort(keys))] = True
        self.removed = int(np.count_nonzero(self.dead[: self.count]))

    def beyond(self, key: int) -> Part:
        """A copy of the rows of images of keys above `key`, of a part without groups."""
        first = np.searchsorted(self.keys[: self.count], (key + 1) << self.bits)
        kept = slice(int(first), self.count)
        dead = self.dead[kept].copy()
        fields = tuple(one[kept].copy() for one in self.fields)
        return Part(self.keys[kept].copy(), fields, dead, len(dead), int(dead.sum()), bits=self.bits)

    def view(self) -> Part:
        """Exactly the rows in use now: appending to the original does not show here."""
        used = slice(0, self.count)
        fields = tuple(one[used] for one in self.fields)
        return replace(self, keys=self.keys[used], fields=fields, dead=self.dead[used])

    def live(self) -> Iterator[tuple[Numbers, tuple[Bytes, ...]]]:
        """(keys of images, fields) of the rows that are not masked, as they lie, some at a time."""
        for start in range(0, self.count, _COPY):
            used = slice(start, min(self.count, start + _COPY))
            kept = ~self.dead[used]
            yield self.keys[used][kept] >> self.bits, tuple(one[used][kept] for one in self.fields)


class InOrder:
    """The rows of a part that has groups, in the order of their keys."""

    def __init__(self, part: Part) -> None:
        """A view of what is in use now."""
        self._part = part
        self._rows = np.concatenate([part.order, np.arange(part.grouped, part.count)])
        self.entries: Numbers = part.keys[self._rows]
        self.dead: NDArray[np.bool_] = part.dead[self._rows]
        self.count = part.count

    def codes(self, first: int, stop: int) -> Bytes:
        """The whole rows first..stop."""
        return np.concatenate([one[self._rows[first:stop]] for one in self._part.fields], axis=1)


def _places(keys: Numbers, wanted: Numbers, order: Numbers | None = None) -> Numbers:
    """The numbers in `keys` of those that are wanted; with `order`, which sorts them, the numbers in that."""
    if not len(keys):
        return _no_numbers()
    low, high = (keys[0], keys[-1]) if order is None else keys[order[[0, -1]]]
    if high - low == len(keys) - 1:  # none is left out, which is common and quick
        rows: Numbers = wanted[(wanted >= low) & (wanted <= high)] - low
        return rows
    found = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    there = found if order is None else order[found]
    held: Numbers = found[keys[there] == wanted]
    return held


@dataclass(frozen=True)
class ColumnManifest(Manifest):
    """There are so many `rows`; `widths` are the bytes of a row's fields.

    The first `grouped` rows lie in groups, and `order` says how. `bits` are as a `Part` has them.
    """

    widths: Widths = ()
    rows: int = 0
    grouped: int = 0
    bits: int = 0

    FORMAT = 2

    def same_kind(self, other: Self) -> bool:
        """Whether both are of the same feature in the same version, and of the same widths."""
        return super().same_kind(other) and (self.widths, self.bits) == (other.widths, other.bits)

    def check(self) -> None:
        """Raise ValueError for numbers that contradict each other."""
        if not 0 <= self.grouped <= self.rows <= self.key << self.bits or min(self.widths, default=0) < 1:
            raise ValueError("its numbers are impossible")

    @classmethod
    def of_format(cls, number: int, body: dict[str, Any]) -> Self:
        """A manifest of what was read, which has this format; raises as `from_text` does."""
        if number == _UNGROUPED:
            number, body = cls.FORMAT, {**body, "grouped": 0}
        return super().of_format(number, {**body, "widths": tuple(body["widths"])})


class ColumnFiles(DerivedFiles[ColumnManifest]):
    """The files of rows of fixed width."""

    PREFIXES = ("keys", "field", "order")

    def __init__(
        self, directory: Path, feature: str, widths: Widths, name: str, *, many: bool = False
    ) -> None:
        """Look at `directory`, for a feature of this version and these fields; nothing is made or read yet.

        `name` says what it is when it is damaged; images have `many` rows, or one at most.
        """
        bits = PART_BITS if many else 0
        super().__init__(directory, name, ColumnManifest(feature, widths=widths, bits=bits))

    def named(self, manifest: ColumnManifest) -> set[Path]:
        """The files that a manifest names."""
        return {self._order(manifest), *(path for path, _ in self._files(manifest))}

    def rows(self, manifest: ColumnManifest) -> Part:
        """The rows that a manifest names, mapped; none is masked. Raises CollectionDamaged."""
        if manifest.rows == 0:
            return Part.empty(manifest.widths, bits=manifest.bits)
        keys, *fields = (self._mapped(path, width, manifest.rows) for path, width in self._files(manifest))
        dead, order = np.zeros(manifest.rows, np.bool_), _no_numbers()
        if manifest.grouped:
            path = self._order(manifest)
            order = self._mapped(path, 8, manifest.grouped).view(np.int64)[:, 0]
            if not 0 <= int(order.min()) <= int(order.max()) < manifest.grouped:
                raise self.damaged(f"{path} contradicts itself")
        return Part(
            keys.view(np.int64)[:, 0], tuple(fields), dead, manifest.rows, order=order, bits=manifest.bits
        )

    def appended(self, manifest: ColumnManifest, tail: Part) -> ColumnManifest:
        """Write the live rows of `tail` behind those of a manifest; they last, and are not yet published.

        Raises OSError when there is no room for them: then nothing has changed.
        """
        rows = np.flatnonzero(~tail.dead[: tail.count])
        if len(rows):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._write(manifest, [(tail, rows)])
        return replace(manifest, rows=manifest.rows + len(rows))

    def written(self, manifest: ColumnManifest, parts: Sequence[Part]) -> ColumnManifest:
        """New files of the live rows of `parts`, which follow one another; not yet published.

        Rows that lay in groups, which only the first part may have, still do. Raises OSError when there is
        no room for them; nothing of them is left then.
        """
        chosen = [(part, np.flatnonzero(~part.dead[: part.count])) for part in parts]
        return self._anew(manifest, chosen, int(np.count_nonzero(~parts[0].dead[: parts[0].grouped])))

    def laid(self, manifest: ColumnManifest, part: Part, grouped: Numbers, rest: Numbers) -> ColumnManifest:
        """New files of rows of a part, which lie as they are given; not yet published.

        The `grouped` come in any order, the `rest` behind them in the order of their keys, which are higher.
        Raises OSError when there is no room for them; nothing of them is left then.
        """
        return self._anew(manifest, [(part, np.concatenate([grouped, rest]))], len(grouped))

    def _anew(
        self, manifest: ColumnManifest, chosen: Sequence[tuple[Part, Numbers]], grouped: int
    ) -> ColumnManifest:
        new = replace(manifest, generation=manifest.generation + 1, rows=0, grouped=grouped)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.forget([new.generation])
        try:
            self._write(new, chosen)
            if grouped:
                part, rows = chosen[0]
                path = self._order(new)
                path.write_bytes(np.argsort(part.keys[rows[:grouped]]).astype(np.int64).tobytes())
                sync(path)
        except OSError:
            self.forget([new.generation])
            raise
        return replace(new, rows=sum(len(rows) for _, rows in chosen))

    def _files(self, manifest: ColumnManifest) -> list[tuple[Path, int]]:
        """Each file of a manifest with the bytes of a row in it: the keys, then the fields."""
        names = ["keys", *(f"field{number}" for number in range(len(manifest.widths)))]
        paths = [self.directory / f"{name}-{manifest.generation}" for name in names]
        return list(zip(paths, (8, *manifest.widths), strict=True))

    def _order(self, manifest: ColumnManifest) -> Path:
        return self.directory / f"order-{manifest.generation}"

    def _write(self, manifest: ColumnManifest, chosen: Sequence[tuple[Part, Numbers]]) -> None:
        """Write rows of some parts behind those of a manifest."""
        for number, (path, width) in enumerate(self._files(manifest)):
            with path.open("r+b" if manifest.rows else "wb") as file:
                file.seek(width * manifest.rows)
                for part, rows in chosen:
                    column = part.fields[number - 1] if number else part.keys
                    for start in range(0, len(rows), _COPY):
                        file.write(column[rows[start : start + _COPY]].data)
            sync(path)

    def _mapped(self, path: Path, width: int, rows: int) -> Bytes:
        return self.mapped(path, width * rows, longer=True).reshape(rows, width)
