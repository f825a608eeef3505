"""Exact Hamming scans over 256-bit codes: every code is looked at, nothing is estimated.

Codes are held as *planes*: a uint64 array of shape (4, n) whose plane w holds the w-th little-endian
64-bit word of each of n codes. One word of all codes lies together, so that a scan for a small radius
reads only as many words as it needs to reject a block. Queries are uint64 of shape (q, 4): a row is
the same four words of one code.

Two paths give the same answer, and the tests hold them equal: a NumPy path of a few lines, which is
also the twin of every other Hamming index, and the kernels of `kernels.py`, which are compiled. Numba
takes longer to import than a small scan takes to run, so the kernels are loaded only when they pay.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import UsageError

Columns = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]
Kind = TypeVar("Kind", bound=np.generic)

BITS = 256
WORDS = 4

# Pairs of a code and a query that NumPy may compare in one process before the kernels are loaded.
# Measured by `python -m benchmarks --only startup`: loading them costs what NumPy needs for 82 million pairs,
# 0.4 s on one core of an AMD Zen 4; compiling them for the first time, once on a machine, costs 4 s.
NUMPY_PAIRS = 80_000_000

# Rows x queries that the NumPy path compares at a time: its temporary arrays then stay in cache.
_NUMPY_BLOCK = 1 << 16

# Bytes that the buffers of one `nearest` pass may take; more queries than that take several passes.
_NEAREST_BUFFERS = 64 << 20

# Pairs that a further thread is worth: it takes about as long to start as to compare these.
_SHARE = 1 << 19

_NO_DEAD = np.zeros(0, dtype=np.bool_)
_compared = 0  # pairs that NumPy has compared in this process so far


@dataclass(frozen=True, eq=False)
class Hits:
    """Pairs of a query and a row that a scan found, as three int64 arrays of one length.

    `query` numbers the rows of the query batch from 0, `row` the codes from 0, and `distance` counts
    differing bits, 0 to 256, lower is nearer. Pairs are sorted by (query, distance, row) and no pair
    occurs twice.
    """

    query: NDArray[np.int64]
    row: NDArray[np.int64]
    distance: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.query)

    def of(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and distances found for one query of the batch, nearest first."""
        start, stop = np.searchsorted(self.query, [query, query + 1])
        return self.row[start:stop], self.distance[start:stop]


def within(
    planes: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    radius: int,
    dead: NDArray[np.bool_] | None = None,
    compiled: bool | None = None,
    *,
    threads: int = 1,
    share: int = _SHARE,
) -> Hits:
    """All pairs of a query and a live row whose codes differ in at most `radius` bits.

    Args:
        planes: uint64 (4, n), any strides; a plane that is not contiguous is copied first.
        queries: uint64 (q, 4), any strides.
        radius: 0 to 256, both included.
        dead: bool, at least n long; rows where it is True are never returned. None: all live.
        compiled: True for the compiled kernels, False for NumPy, None to choose by size.
        threads: how many threads at most the kernels split the rows over; the answer is the same.
        share: pairs that a further thread is worth.

    Returns:
        Hits sorted by (query, distance, row). Memory is 24 bytes a hit, and nothing caps their number.

    Raises:
        UsageError: a shape, dtype, radius or number of threads outside what is said here.
    """
    removed = checked(planes, queries, dead, threads)
    if not 0 <= radius <= BITS:
        raise UsageError(f"A radius lies between 0 and {BITS} bits, not {radius}.")
    radius = int(radius)
    if planes.shape[1] == 0 or queries.shape[0] == 0:
        return no_hits()
    kernels = _kernels(planes, queries, compiled)
    if kernels is None:
        return _numpy_within(planes, queries, radius, removed)
    four, asked = columns(planes), readonly(queries)

    def part(first: int, last: int) -> tuple[NDArray[np.int64], ...]:
        found: tuple[NDArray[np.int64], ...] = kernels.within(four, asked, radius, removed, first, last)
        return found

    return in_order(_over_rows(part, planes, queries, threads, kernels.BLOCK, share))


def nearest(
    planes: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    k: int,
    dead: NDArray[np.bool_] | None = None,
    compiled: bool | None = None,
    *,
    threads: int = 1,
    share: int = _SHARE,
    buffers: int = _NEAREST_BUFFERS,
) -> Hits:
    """The k live rows nearest to each query; of rows at one distance the lower row numbers come first.

    Args:
        planes: uint64 (4, n), any strides; a plane that is not contiguous is copied first.
        queries: uint64 (q, 4), any strides.
        k: at least 1.
        dead: bool, at least n long; rows where it is True are never returned. None: all live.
        compiled: True for the compiled kernels, False for NumPy, None to choose by size.
        threads: how many threads at most the kernels split the rows over; the answer is the same.
        share: pairs that a further thread is worth.
        buffers: bytes that one pass may take; more queries than that take several.

    Returns:
        Hits sorted by (query, distance, row): k for each query, or all live rows where they are fewer.

    Raises:
        UsageError: a shape, dtype, k or number of threads outside what is said here.
    """
    removed = checked(planes, queries, dead, threads)
    if k < 1:
        raise UsageError(f"The nearest codes are asked for by a number of at least 1, not {k}.")
    if planes.shape[1] == 0 or queries.shape[0] == 0:
        return no_hits()
    k = min(int(k), planes.shape[1])
    kernels = _kernels(planes, queries, compiled)
    if kernels is None:
        return _numpy_nearest(planes, queries, k, removed)
    four, asked = columns(planes), readonly(queries)
    batch = max(1, buffers // kernels.nearest_bytes(k))

    def part(first: int, last: int) -> tuple[NDArray[np.int64], ...]:
        passes = [
            (start, kernels.nearest(four, asked[start : start + batch], k, removed, first, last))
            for start in range(0, len(asked), batch)
        ]
        return (
            np.concatenate([found[0] + start for start, found in passes]),
            np.concatenate([found[1] for _, found in passes]),
            np.concatenate([found[2] for _, found in passes]),
        )

    return _first_of_each(in_order(_over_rows(part, planes, queries, threads, kernels.BLOCK, share)), k)


def checked(
    planes: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    dead: NDArray[np.bool_] | None,
    threads: int,
) -> NDArray[np.bool_]:
    """Refuse what is not planes, queries, a mask and a number of threads; the mask, empty for none."""
    if planes.ndim != 2 or planes.shape[0] != WORDS or planes.dtype != np.uint64:
        raise UsageError(f"Planes are uint64 of shape (4, n), not {planes.dtype} of shape {planes.shape}.")
    if queries.ndim != 2 or queries.shape[1] != WORDS or queries.dtype != np.uint64:
        raise UsageError(f"Queries are uint64 of shape (q, 4), not {queries.dtype} of shape {queries.shape}.")
    if threads < 1:
        raise UsageError(f"A scan runs on at least 1 thread, not {threads}.")
    if dead is None:
        return readonly(_NO_DEAD)
    if dead.ndim != 1 or dead.dtype != np.bool_ or len(dead) < planes.shape[1]:
        raise UsageError(
            f"The mask of removed rows is bool and at least {planes.shape[1]} long, "
            f"not {dead.dtype} of shape {dead.shape}."
        )
    return readonly(dead)


def columns(planes: NDArray[np.uint64]) -> Columns:
    """The four planes as contiguous arrays, in the one form that the kernels are compiled for."""
    return readonly(planes[0]), readonly(planes[1]), readonly(planes[2]), readonly(planes[3])


def readonly(array: NDArray[Kind]) -> NDArray[Kind]:
    """A contiguous, read-only view, or a copy where the array is not contiguous.

    Numba compiles a kernel anew for each combination of contiguous and writable, so all arguments are
    brought to one; a memory-mapped file that is open for reading is read-only anyway.
    """
    view = np.ascontiguousarray(array).view(np.ndarray)
    view.flags.writeable = False
    return view


def large_pages(mapped: np.memmap[Any, Any]) -> None:
    """Ask the kernel to keep a memory-mapped file in large pages, where it knows them.

    With 200 million codes a search that jumps about in the file then takes 2.3 ms instead of 3.8, and
    the first one on a cold cache 6 s instead of 15.
    """
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is not None:
        with suppress(OSError):  # a kernel without them refuses, and small pages give the same answers
            held: Any = mapped  # NumPy has no public name for the mapping
            held._mmap.madvise(advice)


def no_hits() -> Hits:
    """Hits of a scan that found nothing."""
    none = np.zeros(0, dtype=np.int64)
    return Hits(none, none, none)


def in_order(parts: Sequence[tuple[NDArray[np.int64], ...]]) -> Hits:
    """Hits in their order, from (query, row, distance) arrays that share no pair."""
    query, row, distance = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort((row, distance, query))
    return Hits(query[order], row[order], distance[order])


def _kernels(
    planes: NDArray[np.uint64], queries: NDArray[np.uint64], compiled: bool | None
) -> ModuleType | None:
    """The compiled kernels where they are asked for or pay, else None for NumPy.

    The pairs that NumPy compares are added up: a service that makes many small scans loads the
    kernels once these have cost what loading costs, so neither habit loses more than that.
    """
    global _compared
    if compiled is None:
        loaded = "wherefrom.engine.kernels" in sys.modules
        pairs = planes.shape[1] * queries.shape[0]
        compiled = loaded or _compared + pairs > NUMPY_PAIRS
        if not compiled:
            _compared += pairs
    if not compiled:
        return None
    from wherefrom.engine import kernels

    return kernels


def _over_rows(
    part: Callable[[int, int], tuple[NDArray[np.int64], ...]],
    planes: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    threads: int,
    block: int,
    share: int,
) -> list[tuple[NDArray[np.int64], ...]]:
    """`part(first, last)` over all rows, on as many threads as there is work for."""
    count = planes.shape[1]
    threads = min(threads, 1 + count * len(queries) // share)
    step = -(-count // (threads * block)) * block
    spans = [(first, min(first + step, count)) for first in range(0, count, step)]
    if len(spans) == 1:
        return [part(*spans[0])]
    with ThreadPoolExecutor(len(spans)) as pool:
        return list(pool.map(part, *zip(*spans, strict=True)))


def _first_of_each(hits: Hits, k: int) -> Hits:
    """The first k hits of each query."""
    rank = np.arange(len(hits)) - np.searchsorted(hits.query, hits.query)
    kept = rank < k
    return Hits(hits.query[kept], hits.row[kept], hits.distance[kept])


def _blocks(rows: int, queries: int) -> Iterator[tuple[slice, slice]]:
    """Slices of rows and of queries that together cover every pair once, rows outermost."""
    few = min(queries, 256)
    step = max(1, _NUMPY_BLOCK // few)
    for row in range(0, rows, step):
        for query in range(0, queries, few):
            yield slice(row, min(row + step, rows)), slice(query, min(query + few, queries))


def _distances(planes: NDArray[np.uint64], queries: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Distances of every query to every code, uint16 (q, n)."""
    total = np.zeros((queries.shape[0], planes.shape[1]), dtype=np.uint16)
    for word in range(WORDS):
        total += np.bitwise_count(planes[word] ^ queries[:, word, None])
    return total


def _numpy_within(
    planes: NDArray[np.uint64], queries: NDArray[np.uint64], radius: int, dead: NDArray[np.bool_]
) -> Hits:
    parts = []
    for rows, asked in _blocks(planes.shape[1], queries.shape[0]):
        distances = _distances(planes[:, rows], queries[asked])
        near = distances <= radius
        if len(dead):
            near &= ~dead[rows]
        query, row = np.nonzero(near)
        parts.append((query + asked.start, row + rows.start, distances[near].astype(np.int64)))
    return in_order(parts)


def _numpy_nearest(
    planes: NDArray[np.uint64], queries: NDArray[np.uint64], k: int, dead: NDArray[np.bool_]
) -> Hits:
    count = planes.shape[1]
    distances = np.empty(count, dtype=np.uint16)
    parts = []
    for asked, query in enumerate(queries):
        for rows, _ in _blocks(count, 1):
            distances[rows] = _distances(planes[:, rows], query[None])[0]
        if len(dead):
            distances[dead[:count]] = BITS + 1
        at_most = np.cumsum(np.bincount(distances, minlength=BITS + 2))[: BITS + 1]
        reach = min(int(np.searchsorted(at_most, k)), BITS)  # within it lie k rows, or all that live
        row = np.flatnonzero(distances <= reach)
        distance = distances[row].astype(np.int64)
        first = np.lexsort((row, distance))[:k]
        parts.append((np.full(len(first), asked, dtype=np.int64), row[first], distance[first]))
    return in_order(parts)
