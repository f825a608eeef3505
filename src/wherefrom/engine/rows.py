"""Rows of codes: in memory, and in files that only grow and are published by a manifest.

`RowFiles` keeps rows in two files of fixed capacity, planes and entries. More capacity, or rows left out,
means new files under the next generation number.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.derived_files import DerivedFiles, Manifest
from wherefrom.engine.files import allocate, crc_of_file, delete, sync
from wherefrom.engine.mih import MultiIndex
from wherefrom.engine.sizes import DEAD_SHARE

WORDS = 4
"""64-bit words in a code."""

_COPY = 1 << 20  # rows copied at a time

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]
Batch = tuple[Numbers, Codes]
"""Int64 (n,) entries, rising, and uint8 (n, 32) codes. An entry is 2 × key + variant (0 or 1)."""


@dataclass
class Rows:
    """Planes uint64 (4, capacity), entries int64 and a mask of removed rows, `count` of them in use.

    Entries rise; an entry is 2 × key + variant. `hashes` are hash tables over the first of the rows, if any.
    """

    planes: NDArray[np.uint64]
    entries: Numbers
    dead: NDArray[np.bool_]
    count: int = 0
    removed: int = 0
    hashes: MultiIndex | None = None

    @classmethod
    def empty(cls, capacity: int = 0) -> Rows:
        """No rows, and room for some."""
        planes = np.zeros((WORDS, capacity), np.uint64)
        return cls(planes, np.zeros(capacity, np.int64), np.zeros(capacity, np.bool_))

    @property
    def is_thin(self) -> bool:
        """Whether so many are masked that the others are to be written anew."""
        return self.removed > DEAD_SHARE * self.count

    def append(self, rows: Batch) -> None:
        """Add rows, each of whose entries is above the last."""
        entries, codes = rows
        need = self.count + len(entries)
        if need > len(self.entries):
            # Searches under way keep the arrays that they started with.
            grown = Rows.empty(max(1024, 2 * need))
            grown.planes[:, : self.count] = self.planes[:, : self.count]
            grown.entries[: self.count] = self.entries[: self.count]
            grown.dead[: self.count] = self.dead[: self.count]
            self.planes, self.entries, self.dead = grown.planes, grown.entries, grown.dead
        self.planes[:, self.count : need] = np.ascontiguousarray(codes).view("<u8").T
        self.entries[self.count : need] = entries
        self.dead[self.count : need] = False
        self.count = need

    def mask(self, keys: Numbers) -> None:
        """Mask every row of these keys."""
        used = self.entries[: self.count]
        first, last = np.searchsorted(used, 2 * keys), np.searchsorted(used, 2 * keys + 2)
        for variant in range(int((last - first).max(initial=0))):
            rows = (first + variant)[first + variant < last]
            self.dead[rows] = True
        self.removed = int(np.count_nonzero(self.dead[: self.count]))

    def beyond(self, key: int) -> Rows:
        """A copy of the rows of keys above `key`."""
        kept = slice(int(np.searchsorted(self.entries[: self.count], 2 * key + 2)), self.count)
        dead = self.dead[kept].copy()
        planes, entries = self.planes[:, kept].copy(), self.entries[kept].copy()
        return Rows(planes, entries, dead, len(dead), int(dead.sum()))

    def live(self) -> Numbers:
        """The numbers of the rows that are not masked."""
        return np.flatnonzero(~self.dead[: self.count])

    def codes(self, first: int, stop: int) -> Codes:
        """The codes of rows first..stop, uint8 (n, 32)."""
        words = np.ascontiguousarray(self.planes[:, first:stop].T)
        return words.view(np.uint8).reshape(-1, 8 * WORDS)

    def view(self) -> Rows:
        """The rows as they are now: appending to the original does not show here."""
        return replace(self)


@dataclass(frozen=True)
class RowManifest(Manifest):
    """`rows` codes lie in files with room for `capacity`.

    `hashed` rows are covered by hash tables, 0 for none, whose files have the CRC-32 sums in `hash_sums`.
    """

    rows: int = 0
    capacity: int = 0
    hashed: int = 0
    hash_sums: dict[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ValueError for numbers that contradict each other."""
        if not 0 <= self.hashed <= self.rows <= self.capacity:
            raise ValueError("its numbers are impossible")


class RowFiles(DerivedFiles[RowManifest]):
    """The files of codes."""

    PREFIXES = ("planes", "entries", "hashes")

    def __init__(self, directory: Path, feature: str, *, write: bool = False) -> None:
        """Look at `directory`, for codes whose version is `feature`; nothing is made or read yet."""
        super().__init__(directory, "fingerprint index", RowManifest(feature))
        self._write = write

    def named(self, manifest: RowManifest) -> set[Path]:
        """The files that a manifest names."""
        return {self._path(name, manifest) for name in self.PREFIXES}

    def rows(self, manifest: RowManifest) -> Rows:
        """The rows that a manifest names, mapped; none is masked. Raises CollectionDamaged."""
        if manifest.capacity == 0:
            return Rows.empty()
        planes = self._words("planes", WORDS, manifest).reshape(WORDS, manifest.capacity)
        entries = self._words("entries", 1, manifest).view(np.int64)
        return Rows(planes, entries, np.zeros(manifest.rows, np.bool_), manifest.rows)

    def grown(self, manifest: RowManifest, rows: Rows, capacity: int) -> RowManifest:
        """New files of `capacity` rows that begin with the live ones of `rows`; not yet published.

        Raises OSError when there is no room for them; nothing of them is left then.
        """
        live = rows.live() if rows.removed else None
        count = rows.count if live is None else len(live)
        fresh = replace(
            manifest,
            generation=manifest.generation + 1,
            rows=count,
            capacity=capacity,
            hashed=0,
            hash_sums={},
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            for name, words in (("planes", WORDS), ("entries", 1)):
                path = self._path(name, fresh)
                path.unlink(missing_ok=True)
                with path.open("xb") as file:
                    allocate(file.fileno(), words * capacity * 8)
        except OSError:
            self.forget([fresh.generation])
            raise
        target = self.rows(fresh)
        for start in range(0, count, _COPY):
            stop = min(count, start + _COPY)
            part = slice(start, stop) if live is None else live[start:stop]
            target.planes[:, start:stop] = rows.planes[:, part]
            target.entries[start:stop] = rows.entries[part]
        return fresh

    def hashes(self, manifest: RowManifest) -> Path:
        """The directory of a manifest's hash tables."""
        return self._path("hashes", manifest) / str(manifest.hashed)

    def opened_hashes(self, manifest: RowManifest, rows: Rows) -> MultiIndex | None:
        """The hash tables that a manifest names, over its rows; None where there are none."""
        if not manifest.hashed:
            return None
        return MultiIndex.open(self.hashes(manifest), rows.planes[:, : manifest.hashed])

    def hash_sums(self, manifest: RowManifest) -> dict[str, int]:
        """The CRC-32 of each file of a manifest's hash tables, by name. Raises OSError."""
        return {path.name: crc_of_file(path) for path in sorted(self.hashes(manifest).iterdir())}

    def publish(self, manifest: RowManifest) -> None:
        """Make the files of a manifest last, then the manifest, then delete what it does not name."""
        if manifest.capacity:
            for name in ("planes", "entries"):
                sync(self._path(name, manifest))
        super().publish(manifest)

    def sweep(self, manifest: RowManifest) -> None:
        """Delete what a manifest does not name; readers that have mapped it keep what they have."""
        super().sweep(manifest)
        hashes = self.hashes(manifest)
        with contextlib.suppress(OSError):
            for path in hashes.parent.iterdir():
                if path != hashes or not manifest.hashed:
                    delete(path)

    def forget_hashes(self, manifest: RowManifest) -> None:
        """Delete hash tables that were never published."""
        delete(self.hashes(manifest))

    def _path(self, name: str, manifest: RowManifest) -> Path:
        return self.directory / f"{name}-{manifest.generation}"

    def _words(self, name: str, words: int, manifest: RowManifest) -> NDArray[np.uint64]:
        path, due = self._path(name, manifest), words * manifest.capacity * 8
        return self.mapped(path, due, write=self._write).view(np.uint64)
