"""Multi-index hashing: exact Hamming search within a small radius, without looking at every code.

After Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (CVPR 2012).
The 256 bits are cut into m spans. Two codes that differ in r = m * s + a bits cannot differ in more
than s bits in each of the first a + 1 spans and in more than s - 1 bits in all the others: that would
make (a + 1)(s + 1) + (m - a - 1) s = r + 1 bits. One table for each span lists rows by the value of the
first t bits of the span, so that probing every value within s (or s - 1) bits of the query's meets each
code within r at least once; the candidates are then compared in full.

The index is derived from the codes and can be thrown away. It covers the rows that were there when it
was built; later rows are scanned. Its files are memory-mapped:

    rows.u32      (m, n + 4)              row numbers by bucket, ascending in each; padding at the end
    groups.u32    (m, 2**t / 16, 5)       for 16 buckets: where they start, and a byte each for the sizes
    crowded.u32   (c, 17)                 bounds of buckets in groups where a size does not fit its byte
    meta.json                             written last, so that half an index is never opened
"""

from __future__ import annotations

import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whence.engine import scan
from whence.engine.scan import BITS, Hits
from whence.errors import CollectionDamaged, UsageError

RADIUS = 31  # the largest radius that is searched; the tables are laid out for it

_FORMAT = 1
_META = "meta.json"
_ROWS = "rows.u32"
_GROUPS = "groups.u32"
_CROWDED = "crowded.u32"

_GROUP_BITS = 4
_RECORD = 5
_PADDING = 4  # so that the last bucket can be read four rows at a time

_PIECE = 16 << 20  # bytes written at a time, a multiple of every large page's size

# Nanoseconds that one probed bucket and one candidate cost, see `benchmarks/hamming.py`. What they are
# on another machine matters little: only their ratio chooses between layouts.
_PROBE_NS = 25.0
_CANDIDATE_NS = 15.0

# A query with more candidates than one row in this many is answered by a scan, which is then cheaper:
# a candidate costs a cache miss or two, a scanned code less than a nanosecond.
_SCAN_INSTEAD = 16


@dataclass(frozen=True)
class Layout:
    """How many tables an index has, and how many bits their keys."""

    tables: int
    key_bits: int

    @property
    def offsets(self) -> list[int]:
        """The first bit of each table's key."""
        return [table * BITS // self.tables for table in range(self.tables)]

    def reach(self, radius: int) -> list[int]:
        """How many bits of each table's key are varied to find every code within a radius; -1 is none."""
        each, over = divmod(radius, self.tables)
        return [each if table <= over else each - 1 for table in range(self.tables)]

    def bytes(self, rows: int) -> int:
        """Size of the files for so many rows, but for crowded buckets."""
        directory = (1 << self.key_bits >> _GROUP_BITS) * _RECORD
        return 4 * self.tables * (rows + _PADDING + directory)

    def cost(self, rows: int, radius: int = RADIUS) -> float:
        """Nanoseconds a query is expected to take when the codes are independent random bits."""
        probes = sum(_ball(self.key_bits, bits) for bits in self.reach(radius))
        return probes * (_PROBE_NS + _CANDIDATE_NS * rows / (1 << self.key_bits))


def plan(rows: int, memory_limit: int | None = None) -> Layout:
    """The layout for so many rows whose files fit `memory_limit` bytes (None: whatever is fastest).

    Fewer tables take less memory and are probed further, which is slower: between the layouts whose
    expected cost is within a tenth of the least, the smallest is chosen.

    Raises:
        UsageError: no layout fits.
    """
    layouts = [
        Layout(tables, bits) for tables in range(6, 33) for bits in range(4, min(28, BITS // tables) + 1)
    ]
    fitting = [one for one in layouts if memory_limit is None or one.bytes(rows) <= memory_limit]
    if not fitting:
        least = min(one.bytes(rows) for one in layouts)
        raise UsageError(
            f"A multi-index over {rows} codes takes at least {least} bytes, and {memory_limit} are allowed; "
            "allow more, or search by scanning."
        )
    cheapest = min(one.cost(rows) for one in fitting)
    return min(
        (one for one in fitting if one.cost(rows) <= 1.1 * cheapest),
        key=lambda one: (one.bytes(rows), one.cost(rows)),
    )


class MultiIndex:
    """An index over the first `covered` rows of a set of codes, for radii up to 31.

    Made by `build` or `open`. It holds the planes that it was given and memory-maps its own files; it
    is safe to search from several threads at once.
    """

    def __init__(self, directory: Path, planes: NDArray[np.uint64], meta: dict[str, Any]) -> None:
        self.layout = Layout(meta["tables"], meta["key_bits"])
        self.covered: int = meta["rows"]
        tables, bits = self.layout.tables, self.layout.key_bits
        self._planes = planes[:, : self.covered]
        self._words = scan.columns(self._planes)
        self._rows = _mapped(directory / _ROWS, (tables, self.covered + _PADDING))
        self._groups = _mapped(directory / _GROUPS, (tables, 1 << bits >> _GROUP_BITS, _RECORD))
        self._crowded = _mapped(directory / _CROWDED, (sum(meta["crowded"]), (1 << _GROUP_BITS) + 1))
        listed = np.concatenate([[0], np.cumsum(meta["crowded"][:-1], dtype=np.int64)])
        self._listed = scan.readonly(listed.astype(np.int64))
        self._offsets = scan.readonly(np.array(self.layout.offsets, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Size of the files that a search reads."""
        return self._rows.nbytes + self._groups.nbytes + self._crowded.nbytes

    @classmethod
    def build(
        cls,
        planes: NDArray[np.uint64],
        directory: Path,
        *,
        memory_limit: int | None = None,
        threads: int = 1,
    ) -> MultiIndex:
        """Index all rows of `planes`, uint64 (4, n), into files in `directory`, and open it.

        The directory is made if it is missing; an index that is there is replaced, and stays usable for
        whoever has it open. Besides the codes, building takes about 12 bytes of memory per row and
        thread; tables are built side by side on `threads` threads.

        Args:
            planes: the codes; those of rows 0 to n - 1 may not change as long as the index is used.
            directory: where the files go.
            memory_limit: bytes that the files may have; fewer bytes make a slower index.
            threads: at least 1.

        Raises:
            UsageError: planes of another shape, 2**32 rows or more, or a limit that nothing fits.
            OSError: the files cannot be written.
        """
        scan.checked(planes, np.empty((0, scan.WORDS), dtype=np.uint64), None, threads)
        rows = planes.shape[1]
        if rows >= 1 << 32:
            raise UsageError(f"A multi-index numbers its rows with 32 bits: {rows} are too many.")
        layout = plan(rows, memory_limit)
        directory.mkdir(parents=True, exist_ok=True)
        for name in (_META, _ROWS, _GROUPS, _CROWDED):
            (directory / name).unlink(missing_ok=True)
        crowded = _write_tables(planes, directory, layout, threads)
        meta = {
            "format": _FORMAT,
            "rows": rows,
            "tables": layout.tables,
            "key_bits": layout.key_bits,
            "crowded": crowded,
            "sample": _sample(planes),
        }
        with (directory / _META).open("x", encoding="utf-8") as file:
            json.dump(meta, file)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(directory)
        return cls(directory, planes, meta)

    @classmethod
    def open(cls, directory: Path, planes: NDArray[np.uint64]) -> MultiIndex:
        """Open the index in `directory` over the codes that it was built from, or those and later ones.

        Raises:
            CollectionDamaged: no complete index is there, its files have other sizes than they should,
                or it was built from other codes.
            UsageError: planes of another shape.
        """
        scan.checked(planes, np.empty((0, scan.WORDS), dtype=np.uint64), None, 1)
        try:
            meta = json.loads((directory / _META).read_text(encoding="utf-8"))
            known = meta["format"] == _FORMAT
            if known and planes.shape[1] >= meta["rows"]:
                same = _sample(planes[:, : meta["rows"]]) == meta["sample"]
                opened = cls(directory, planes, meta)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CollectionDamaged(f"{_unusable(directory)}: {error}") from error
        if not known:
            raise CollectionDamaged(f"{_unusable(directory)}: it has format {meta['format']}, not {_FORMAT}.")
        if planes.shape[1] < meta["rows"] or not same:
            raise CollectionDamaged(f"{_unusable(directory)}: it was built from other fingerprints.")
        return opened

    def within(
        self,
        queries: NDArray[np.uint64],
        radius: int = RADIUS,
        dead: NDArray[np.bool_] | None = None,
        *,
        threads: int = 1,
    ) -> Hits:
        """All pairs of a query and a live covered row whose codes differ in at most `radius` bits.

        Exactly what `scan.within` finds among the first `covered` rows. A query that shares its keys
        with too much of the collection is answered by that scan, so that none takes much longer.

        Args:
            queries: uint64 (q, 4).
            radius: 0 to 31, both included.
            dead: bool, at least `covered` long; rows where it is True are never returned.
            threads: a batch is split by queries, less than that by tables; the answer is the same.

        Returns:
            Hits sorted by (query, distance, row).

        Raises:
            UsageError: a shape, dtype, radius or number of threads outside what is said here.
        """
        removed = scan.checked(self._planes, queries, dead, threads)
        if not 0 <= radius <= RADIUS:
            raise UsageError(
                f"A multi-index finds codes within 0 to {RADIUS} bits, not {radius}: scan instead."
            )
        if self.covered == 0 or len(queries) == 0:
            return scan.no_hits()
        from whence.engine import mih_kernels

        radius = int(radius)
        reach = self.layout.reach(radius)
        wide = _masks(self.layout.key_bits, reach[0])
        narrow = _masks(self.layout.key_bits, max(0, reach[-1]))
        asked = scan.readonly(queries)
        most = max(1024, self.covered // _SCAN_INSTEAD)

        def part(piece: tuple[int, int, int, int]) -> Any:
            first, last, table, tables = piece
            return mih_kernels.search(
                *self._words,
                self._rows,
                self._groups,
                self._crowded,
                self._listed,
                self._offsets,
                self.layout.key_bits,
                scan.readonly(np.array(reach, dtype=np.int64)),
                wide,
                narrow,
                asked[first:last],
                radius,
                removed,
                table,
                tables,
                most,
            )

        pieces = _pieces(len(asked), reach, self.layout.key_bits, threads)
        if len(pieces) == 1:
            parts = [part(pieces[0])]
        else:
            with ThreadPoolExecutor(len(pieces)) as pool:
                parts = list(pool.map(part, pieces))
        refused = np.zeros(len(asked), dtype=np.bool_)
        for (first, last, _, _), found in zip(pieces, parts, strict=True):
            refused[first:last] |= found[3]
        hits = [
            (found[0] + first, found[1], found[2])
            for (first, _, _, _), found in zip(pieces, parts, strict=True)
        ]
        if not refused.any():
            return scan.in_order(hits)
        kept = [tuple(array[~refused[found[0]]] for array in found) for found in hits]
        numbers = np.flatnonzero(refused)
        scanned = scan.within(
            self._planes, asked[numbers], radius, removed if len(removed) else None, True, threads=threads
        )
        return scan.in_order([*kept, (numbers[scanned.query], scanned.row, scanned.distance)])


def _ball(bits: int, radius: int) -> int:
    """How many values of so many bits lie within a radius of one; 0 for a radius of -1."""
    return sum(comb(bits, flipped) for flipped in range(radius + 1))


@lru_cache(maxsize=16)
def _masks(bits: int, radius: int) -> NDArray[np.uint32]:
    """All values with at most `radius` of `bits` bits set, ascending: neighbours then share cache lines."""
    layers = [np.zeros(1, dtype=np.uint32)]
    for _ in range(radius):
        grown = [layers[-1] | np.uint32(1 << bit) for bit in range(bits)]
        layers.append(np.unique(np.concatenate(grown)))
    return scan.readonly(np.unique(np.concatenate(layers)))


def _pieces(queries: int, reach: list[int], bits: int, threads: int) -> list[tuple[int, int, int, int]]:
    """Work for the threads: first and last query, first and last table."""
    tables = len(reach)
    if queries >= threads:
        step = -(-queries // threads)
        return [(first, min(first + step, queries), 0, tables) for first in range(0, queries, step)]
    probes = np.cumsum([_ball(bits, one) for one in reach])
    bounds = [
        0,
        *(1 + int(np.searchsorted(probes, probes[-1] * i / threads)) for i in range(1, threads)),
        tables,
    ]
    return [
        (0, queries, table, last)
        for table, last in zip(bounds[:-1], bounds[1:], strict=True)
        if table < last and reach[table] >= 0
    ]


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """A file of uint32 as an array; ValueError unless it has exactly that size."""
    size = 4 * int(np.prod(shape, dtype=np.int64))
    if path.stat().st_size != size:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {size}")
    if size == 0:
        return scan.readonly(np.zeros(shape, dtype=np.uint32))
    return scan.readonly(np.memmap(path, dtype="<u4", mode="r", shape=shape))


def _sample(planes: NDArray[np.uint64]) -> int:
    """A checksum of a few codes, to tell an index of other codes from one of these."""
    few = np.linspace(0, planes.shape[1], 64, endpoint=False, dtype=np.int64)
    return zlib.crc32(planes[:, few].tobytes()) if planes.shape[1] else 0


def _unusable(directory: Path) -> str:
    return f"The index in {directory} cannot be used, run `whence rebuild`"


def _write_tables(planes: NDArray[np.uint64], directory: Path, layout: Layout, threads: int) -> list[int]:
    """Write the files of all tables; how many groups of each have a crowded bucket."""
    from whence.engine import mih_kernels

    words = scan.columns(planes)
    rows, bits = planes.shape[1], layout.key_bits
    groups = 1 << bits >> _GROUP_BITS
    top = max(0, min(10, bits - _GROUP_BITS, rows.bit_length() - 14))
    per_part = groups >> top

    def table(number: int) -> NDArray[np.uint32]:
        offset = layout.offsets[number]
        word, shift = divmod(offset, 64)
        entries = np.empty(rows, dtype=np.uint64)
        starts = mih_kernels.split(words[word], words[(word + 1) % 4], shift, bits, top, entries)
        entries = scan.readonly(entries)
        numbers = np.zeros(rows + _PADDING, dtype=np.uint32)
        records = np.empty((groups, _RECORD), dtype=np.uint32)
        bounds = [np.zeros((0, (1 << _GROUP_BITS) + 1), dtype=np.uint32)]
        listed = 0
        for part in range(1 << top):
            first, last = int(starts[part]), int(starts[part + 1])
            described = records[part * per_part : (part + 1) * per_part]
            crowded = mih_kernels.arrange(
                entries[first:last], bits - top, first, numbers[first:last], described, listed
            )
            bounds.append(crowded)
            listed += len(crowded)
        _write(rows_file, numbers, number * numbers.nbytes)
        _write(groups_file, records, number * records.nbytes)
        return np.concatenate(bounds)

    with (
        (directory / _ROWS).open("xb", buffering=0) as rows_out,
        (directory / _GROUPS).open("xb", buffering=0) as groups_out,
        (directory / _CROWDED).open("xb", buffering=0) as crowded_out,
    ):
        rows_file, groups_file = rows_out.fileno(), groups_out.fileno()
        if threads == 1:
            crowded = [table(number) for number in range(layout.tables)]
        else:
            with ThreadPoolExecutor(threads) as pool:
                crowded = list(pool.map(table, range(layout.tables)))
        _write(crowded_out.fileno(), np.concatenate(crowded), 0)
        for file in (rows_out, groups_out, crowded_out):
            os.fsync(file.fileno())
    return [len(one) for one in crowded]


def _write(file: int, array: NDArray[np.uint32], at: int) -> None:
    """Write an array at a byte offset.

    Pieces end at multiples of a large page: the kernel then keeps the file in such pages, and a search
    that jumps about in it spends half the time on address translation.
    """
    rest = memoryview(array.astype("<u4", copy=False).ravel().view(np.uint8))
    while rest:
        written = os.pwrite(file, rest[: _PIECE - at % _PIECE], at)
        rest = rest[written:]
        at += written


def _sync_directory(directory: Path) -> None:
    """Make the names of new files durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
