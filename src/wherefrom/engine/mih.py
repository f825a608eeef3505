"""Multi-index hashing: exact Hamming search within a small radius, without looking at every code.

After Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (CVPR 2012).
A key is a run of bits of the code, and the keys of the m tables do not overlap. Two codes that differ in
r = m * s + a bits cannot differ in more than s bits of each of the first a + 1 keys and in more than
s - 1 bits of all the others: that would make (a + 1)(s + 1) + (m - a - 1) s = r + 1 bits. A table lists
rows by the value of their key, so that looking up every value within s (or s - 1) bits of the query's
meets each code within r at least once. The candidates are then compared in full, and each is reported
by the first table that meets it, which can be told from the two codes alone.

The index is derived from the codes and can be thrown away. It covers the rows that were there when it
was built; later rows are scanned. Its files are memory-mapped:

    rows.u32      (m, n + 4)          row numbers by bucket, ascending in each; padding at the end
    groups.u32    (2**t / 32 ..., 5)  for 32 buckets: where they start, and their sizes in 4 bits each
    crowded.u32   (c + 1, 33)         bounds of buckets, for groups where a size does not fit 4 bits
    meta.json                         written last, so that half an index is never opened
"""

from __future__ import annotations

import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import scan
from wherefrom.engine.files import fsync
from wherefrom.engine.scan import BITS, Hits
from wherefrom.errors import CollectionDamaged, UsageError

RADIUS = 31  # the largest radius that is searched; the tables are laid out for it

_FORMAT = 1
_META = "meta.json"
_ROWS = "rows.u32"
_GROUPS = "groups.u32"
_CROWDED = "crowded.u32"

# The shape of the files, as `mih_kernels` explains it; stated again because that module imports Numba.
_GROUP_BITS = 5
_RECORD = 5
_BOUNDS = 33
_PADDING = 4

_PIECE = 16 << 20  # bytes written at a time, a multiple of every large page's size

# Nanoseconds that one probed bucket and one candidate cost, as `benchmarks/hamming.py` measures them
# with 100 million codes. Elsewhere they differ, but only their ratio chooses between layouts.
_PROBE_NS = 35.0
_CANDIDATE_NS = 28.0

_SHARE_NS = 2e5  # work that a further thread is worth: it takes about as long to start

_MOST_BITS = 28  # of a key: the directory of one table then has 168 MB
_MOST_ROWS = 6  # a bucket on average: with many more, too many sizes would not fit 4 bits

# A query with more candidates than one row in this many is answered by a scan, which is then cheaper:
# a candidate costs a cache miss or two, a scanned code less than a nanosecond.
_SCAN_INSTEAD = 32


@dataclass(frozen=True)
class Layout:
    """How many bits the key of each table has; keys follow one another from bit 0 of a code."""

    key_bits: tuple[int, ...]

    @property
    def offsets(self) -> list[int]:
        """The first bit of each table's key."""
        return [0, *accumulate(self.key_bits[:-1])]

    @property
    def records(self) -> list[int]:
        """How many records the directory of each table has."""
        return [1 << bits >> _GROUP_BITS for bits in self.key_bits]

    def reach(self, radius: int) -> list[int]:
        """How many bits of each table's key are varied to find every code within a radius; -1 is none."""
        each, over = divmod(radius, len(self.key_bits))
        return [each if table <= over else each - 1 for table in range(len(self.key_bits))]

    def bytes(self, rows: int) -> int:
        """Size of the files for so many rows, but for crowded groups."""
        return 4 * (len(self.key_bits) * (rows + _PADDING) + _RECORD * sum(self.records))

    def cost(self, rows: int, radius: int = RADIUS) -> float:
        """Nanoseconds that a query is expected to take when codes are independent random bits."""
        return sum(
            _ball(bits, reach) * (_PROBE_NS + _CANDIDATE_NS * rows / (1 << bits))
            for bits, reach in zip(self.key_bits, self.reach(radius), strict=True)
        )


def plan(rows: int, memory_limit: int | None = None) -> Layout:
    """The layout for so many rows whose files fit `memory_limit` bytes; None is whatever is fastest.

    Fewer tables take less memory and are probed further, which is slower. Tables that are probed one
    bit further than the others get longer keys. Of the layouts whose expected cost is within a tenth
    of the least, the smallest is chosen.

    Raises:
        UsageError: no layout fits.
    """
    fewest_bits = min(_MOST_BITS, max(_GROUP_BITS, (rows // _MOST_ROWS).bit_length()))
    layouts = []
    for tables in range(6, RADIUS + 2):
        further = RADIUS % tables + 1
        for bits in range(fewest_bits, min(_MOST_BITS, BITS // further) + 1):
            left = (BITS - further * bits) // (tables - further) if tables > further else bits
            for others in range(max(fewest_bits, min(left, bits) - 3), min(left, bits) + 1):
                layouts.append(Layout((bits,) * further + (others,) * (tables - further)))
    fitting = [one for one in layouts if memory_limit is None or one.bytes(rows) <= memory_limit]
    if not fitting:
        least = min(one.bytes(rows) for one in layouts)
        raise UsageError(
            f"A multi-index over {rows} codes takes at least {least} bytes, and {memory_limit} are allowed: "
            "allow more, or search by scanning."
        )
    cheapest = min(one.cost(rows) for one in fitting)
    enough = [one for one in fitting if one.cost(rows) <= 1.1 * cheapest]
    return min(enough, key=lambda one: (one.bytes(rows), one.cost(rows)))


class MultiIndex:
    """An index over the first `covered` rows of a set of codes, for radii up to 31.

    Made by `build` or `open`. It holds the planes that it was given and memory-maps its own files; it
    is safe to search from several threads at once.
    """

    def __init__(self, directory: Path, planes: NDArray[np.uint64], meta: dict[str, Any]) -> None:
        self.layout = Layout(tuple(meta["key_bits"]))
        self.covered: int = meta["rows"]
        tables = len(self.layout.key_bits)
        self._planes = planes[:, : self.covered]
        self._words = scan.columns(self._planes)
        self._rows = _mapped(directory / _ROWS, (tables, self.covered + _PADDING))
        self._records = _mapped(directory / _GROUPS, (sum(self.layout.records), _RECORD))
        self._crowded = _mapped(directory / _CROWDED, (sum(meta["crowded"]) + 1, _BOUNDS))
        self._listed = [0, *accumulate(meta["crowded"][:-1])]
        self._ways: dict[int, tuple[NDArray[np.int64], NDArray[np.uint32]]] = {}

    @property
    def bytes(self) -> int:
        """Size of the files that a search reads."""
        return self._rows.nbytes + self._records.nbytes + self._crowded.nbytes

    @classmethod
    def build(
        cls,
        planes: NDArray[np.uint64],
        directory: Path,
        *,
        memory_limit: int | None = None,
        threads: int = 1,
        layout: Layout | None = None,
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
            layout: of the tables; None for the one that `plan` finds.

        Raises:
            UsageError: planes of another shape, 2**32 rows or more, or a limit that nothing fits.
            OSError: the files cannot be written.
        """
        scan.checked(planes, np.empty((0, scan.WORDS), dtype=np.uint64), None, threads)
        rows = planes.shape[1]
        if rows >= 1 << 32:
            raise UsageError(f"A multi-index numbers its rows with 32 bits: {rows} are too many.")
        layout = layout or plan(rows, memory_limit)
        directory.mkdir(parents=True, exist_ok=True)
        for name in (_META, _ROWS, _GROUPS, _CROWDED):
            (directory / name).unlink(missing_ok=True)
        crowded = _write_tables(planes, directory, layout, threads)
        meta = {
            "format": _FORMAT,
            "rows": rows,
            "key_bits": list(layout.key_bits),
            "crowded": crowded,
            "sample": _sample(planes),
        }
        with (directory / _META).open("x", encoding="utf-8") as file:
            json.dump(meta, file)
            file.flush()
            fsync(file.fileno())
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
            meta = _read_meta(directory)
            if planes.shape[1] < meta["rows"] or _sample(planes[:, : meta["rows"]]) != meta["sample"]:
                raise ValueError("it was built from other fingerprints")
            return cls(directory, planes, meta)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CollectionDamaged(
                f"The index in {directory} cannot be used, run `wherefrom rebuild`: {error}."
            ) from error

    def within(
        self,
        queries: NDArray[np.uint64],
        radius: int = RADIUS,
        dead: NDArray[np.bool_] | None = None,
        *,
        threads: int = 1,
        share: float = _SHARE_NS,
        scan_instead: float = _SCAN_INSTEAD,
    ) -> Hits:
        """All pairs of a query and a live covered row whose codes differ in at most `radius` bits.

        Exactly what `scan.within` finds among the first `covered` rows. A query that shares its keys
        with too much of the collection is answered by that scan, so that none takes much longer.

        Args:
            queries: uint64 (q, 4).
            radius: 0 to 31, both included.
            dead: bool, at least `covered` long; rows where it is True are never returned.
            threads: how many at most; a batch is split by queries, and fewer queries than threads by
                tables. The answer is the same.
            share: nanoseconds of work that a further thread is worth.
            scan_instead: a query with more candidates than one row in so many is answered by a scan.

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
        from wherefrom.engine import mih_kernels

        tables, masks = self._way(int(radius))
        asked = scan.readonly(queries)

        def part(piece: tuple[int, int, int, int]) -> Any:
            first, last, table, end = piece
            return mih_kernels.search(
                self._words,
                self._rows,
                self._records,
                self._crowded,
                tables,
                masks,
                asked[first:last],
                int(radius),
                removed,
                table,
                end,
                max(1024, int(self.covered / scan_instead)),
            )

        threads = min(threads, 1 + int(len(asked) * self.layout.cost(self.covered) / share))
        pieces = _pieces(len(asked), tables[:, 6], threads)
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

    def _way(self, radius: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Tables and masks as `mih_kernels.search` wants them for a radius."""
        if radius not in self._ways:
            layout, reach = self.layout, self.layout.reach(radius)
            kinds = sorted({kind for kind in zip(layout.key_bits, reach, strict=True) if kind[1] >= 0})
            masks = [_masks(*kind) for kind in kinds]
            starts = dict(zip(kinds, accumulate([0, *map(len, masks)]), strict=False))
            sizes = dict(zip(kinds, map(len, masks), strict=True))
            groups = [0, *accumulate(layout.records[:-1])]
            rows = zip(layout.offsets, layout.key_bits, reach, groups, self._listed, strict=True)
            tables = [[*row, starts.get(row[1:3], 0), sizes.get(row[1:3], 0)] for row in rows]
            self._ways[radius] = (
                scan.readonly(np.array(tables, dtype=np.int64)),
                scan.readonly(np.concatenate(masks)),
            )
        return self._ways[radius]


def _ball(bits: int, radius: int) -> int:
    """How many values of so many bits lie within a radius of one; 0 for a radius of -1."""
    return sum(comb(bits, flipped) for flipped in range(radius + 1))


def _masks(bits: int, radius: int) -> NDArray[np.uint32]:
    """All values with at most `radius` of `bits` bits set, ascending: neighbours then share cache lines."""
    layers = [np.zeros(1, dtype=np.uint32)]
    for _ in range(radius):
        layers.append(np.unique(np.concatenate([layers[-1] | np.uint32(1 << bit) for bit in range(bits)])))
    return np.unique(np.concatenate(layers))


def _pieces(queries: int, probes: NDArray[np.int64], threads: int) -> list[tuple[int, int, int, int]]:
    """Work for the threads, as first and last query, first and last table, given each table's probes."""
    if queries >= threads:
        step = -(-queries // threads)
        return [(first, min(first + step, queries), 0, len(probes)) for first in range(0, queries, step)]
    shares = np.arange(1, threads) * probes.sum() / threads
    bounds = [0, *(int(bound) for bound in np.searchsorted(np.cumsum(probes), shares) + 1), len(probes)]
    return [(0, queries, first, last) for first, last in pairwise(bounds) if probes[first:last].any()]


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """A file of uint32 as an array; ValueError unless it has exactly that size."""
    size = 4 * int(np.prod(shape, dtype=np.int64))
    if path.stat().st_size != size:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, not {size}")
    mapped = np.memmap(path, dtype="<u4", mode="r", shape=shape)
    scan.large_pages(mapped)
    return scan.readonly(mapped)


def _sample(planes: NDArray[np.uint64]) -> int:
    """A checksum of a few codes, to tell an index of other codes from one of these."""
    few = np.linspace(0, planes.shape[1], 64, endpoint=False, dtype=np.int64)
    return zlib.crc32(planes[:, few].tobytes()) if planes.shape[1] else 0


def _read_meta(directory: Path) -> dict[str, Any]:
    """What `build` wrote last; an error that `open` translates where it makes no sense."""
    meta: dict[str, Any] = json.loads((directory / _META).read_text(encoding="utf-8"))
    if meta["format"] != _FORMAT:
        raise ValueError(f"it has format {meta['format']}, not {_FORMAT}")
    keys, crowded, rows = meta["key_bits"], meta["crowded"], meta["rows"]
    fits = all(_GROUP_BITS <= bits <= _MOST_BITS for bits in keys) and sum(keys) <= BITS
    if not fits or len(crowded) != len(keys) or min(*crowded, rows) < 0:
        raise ValueError(f"{_META} contradicts itself")
    return meta


def _write_tables(planes: NDArray[np.uint64], directory: Path, layout: Layout, threads: int) -> list[int]:
    """Write the files of all tables; how many groups of each have a crowded bucket."""
    words, rows = scan.columns(planes), planes.shape[1]
    tables = range(len(layout.key_bits))
    crowded: dict[int, NDArray[np.uint32]] = {}
    with (
        (directory / _ROWS).open("xb", buffering=0) as rows_file,
        (directory / _GROUPS).open("xb", buffering=0) as groups_file,
        (directory / _CROWDED).open("xb", buffering=0) as crowded_file,
    ):

        def work(share: range) -> None:
            entries = np.empty(rows, dtype=np.uint64)
            table_rows = np.zeros(rows + _PADDING, dtype=np.uint32)
            for table in share:
                records = np.empty((layout.records[table], _RECORD), dtype=np.uint32)
                crowded[table] = _arranged(words, layout, table, entries, table_rows, records)
                _write(rows_file.fileno(), table_rows, table * table_rows.nbytes)
                _write(groups_file.fileno(), records, 4 * _RECORD * sum(layout.records[:table]))

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, [tables[first::threads] for first in range(min(threads, len(tables)))]))
        # One row more than there are: an empty file cannot be mapped.
        spare = np.zeros((1, _BOUNDS), dtype=np.uint32)
        _write(crowded_file.fileno(), np.concatenate([*(crowded[table] for table in tables), spare]), 0)
        for file in (rows_file, groups_file, crowded_file):
            fsync(file.fileno())
    return [len(crowded[table]) for table in tables]


def _arranged(
    words: scan.Columns,
    layout: Layout,
    table: int,
    entries: NDArray[np.uint64],
    rows: NDArray[np.uint32],
    records: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """Fill one table's rows and records, with `entries` as scratch; the bounds of its crowded groups.

    Rows are first split by the top bits of their keys, so that sorting a part then stays in cache.
    """
    from wherefrom.engine import mih_kernels

    bits, count = layout.key_bits[table], len(entries)
    word, shift = divmod(layout.offsets[table], 64)
    top = max(0, min(10, bits - _GROUP_BITS, count.bit_length() - 14))
    starts = mih_kernels.split(words[word], words[(word + 1) % 4], shift, bits, top, entries)
    bounds = [np.zeros((0, _BOUNDS), dtype=np.uint32)]
    for part, described in enumerate(np.split(records, 1 << top)):
        first, last = int(starts[part]), int(starts[part + 1])
        listed = sum(map(len, bounds))
        bounds.append(
            mih_kernels.arrange(entries[first:last], bits - top, first, rows[first:last], described, listed)
        )
    return np.concatenate(bounds)


def _write(file: int, array: NDArray[np.uint32], at: int) -> None:
    """Write an array at a byte offset.

    Pieces end at multiples of a large page: the kernel then keeps the file in such pages, and a search
    that jumps about in it spends half the time on address translation.
    """
    rest = array.astype("<u4", copy=False).ravel().view(np.uint8).data
    while rest:
        written = os.pwrite(file, rest[: _PIECE - at % _PIECE], at)
        rest = rest[written:]
        at += written


def _sync_directory(directory: Path) -> None:
    """Make the names of new files durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fsync(handle)
    finally:
        os.close(handle)
