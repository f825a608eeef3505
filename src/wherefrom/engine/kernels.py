"""Compiled Hamming scans: the same answers as the NumPy path of `scan.py`, at the speed of memory.

Importing this module imports Numba, which takes longer than a small scan; only `scan.py` does so. The
kernels release the interpreter lock and are kept on disk by Numba once compiled.

The shape that the compiler turns into vector population counts is a function that computes nothing
but the least distance of a block, in 64-bit integers. A block of codes is small enough to stay in the
first-level cache while all queries of a batch pass over it, and only blocks whose least distance is
near enough are walked again, code by code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

# The four planes, each contiguous.
Planes = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]

BLOCK = 1024  # codes: 32 KB, and 5 to 10 % slower on both sides, at 512 and at 4096

# Up to these radii the first two words, or three, reject nearly every block of unrelated codes: the
# least of 1024 distances over 128 random bits is rarely below 45, over 192 bits rarely below 73.
_TWO_WORDS = 40
_THREE_WORDS = 70

_FAR = 999  # more than any distance


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, and keep the machine code on disk for the next process.

    Numba keeps it beside this file or, where that is not writable, in the user's cache directory. In a
    container that has neither, it is compiled anew by each process.
    """
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


def _population(_context: Any, _word: Any) -> Any:
    def emit(_target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        count = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(count, args)

    return types.int64(types.uint64), emit


# How many bits of a uint64 are set, as int64: Numba itself has no such function.
population: Any = intrinsic(_population)


@njit(nogil=True)
def distance(planes: Planes, row: int, query: NDArray[np.uint64]) -> Any:
    """Bits in which one code differs from a query of four words."""
    return (
        population(planes[0][row] ^ query[0])
        + population(planes[1][row] ^ query[1])
        + population(planes[2][row] ^ query[2])
        + population(planes[3][row] ^ query[3])
    )


@njit(nogil=True)
def _least2(x: NDArray[np.uint64], y: NDArray[np.uint64], a: np.uint64, b: np.uint64) -> Any:
    least = np.int64(_FAR)
    for i in range(x.shape[0]):
        least = min(least, population(x[i] ^ a) + population(y[i] ^ b))
    return least


@njit(nogil=True)
def _least3(
    x: NDArray[np.uint64],
    y: NDArray[np.uint64],
    z: NDArray[np.uint64],
    a: np.uint64,
    b: np.uint64,
    c: np.uint64,
) -> Any:
    least = np.int64(_FAR)
    for i in range(x.shape[0]):
        least = min(least, population(x[i] ^ a) + population(y[i] ^ b) + population(z[i] ^ c))
    return least


@njit(nogil=True)
def _least4(
    x: NDArray[np.uint64],
    y: NDArray[np.uint64],
    z: NDArray[np.uint64],
    t: NDArray[np.uint64],
    a: np.uint64,
    b: np.uint64,
    c: np.uint64,
    d: np.uint64,
) -> Any:
    least = np.int64(_FAR)
    for i in range(x.shape[0]):
        least = min(
            least,
            population(x[i] ^ a) + population(y[i] ^ b) + population(z[i] ^ c) + population(t[i] ^ d),
        )
    return least


@njit(nogil=True)
def _may_hold(
    planes: Planes,
    query: NDArray[np.uint64],
    first: int,
    last: int,
    radius: int,
) -> Any:
    """Whether a block holds a code within the radius; words that need not be read are not."""
    a, b, c, d = query[0], query[1], query[2], query[3]
    x, y = planes[0][first:last], planes[1][first:last]
    if radius <= _TWO_WORDS and _least2(x, y, a, b) > radius:
        return False
    z = planes[2][first:last]
    if _TWO_WORDS < radius <= _THREE_WORDS and _least3(x, y, z, a, b, c) > radius:
        return False
    return _least4(x, y, z, planes[3][first:last], a, b, c, d) <= radius


@njit(nogil=True)
def longer(array: NDArray[np.int64], length: int) -> Any:
    """A copy with room for at least `length` and for twice what there was."""
    grown = np.empty(max(length, 2 * array.shape[0]), dtype=array.dtype)
    grown[: array.shape[0]] = array
    return grown


@kernel
def within(
    planes: Planes,
    queries: NDArray[np.uint64],
    radius: int,
    dead: NDArray[np.bool_],
    first: int,
    last: int,
) -> Any:
    """Query, row and distance of all pairs within the radius among rows first..last, unsorted."""
    query = np.empty(BLOCK, dtype=np.int64)
    row = np.empty(BLOCK, dtype=np.int64)
    far = np.empty(BLOCK, dtype=np.int64)
    count = 0
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        for q in range(queries.shape[0]):
            asked = queries[q]
            if not _may_hold(planes, asked, start, stop, radius):
                continue
            if count + BLOCK > row.shape[0]:
                query = longer(query, count + BLOCK)
                row = longer(row, count + BLOCK)
                far = longer(far, count + BLOCK)
            for i in range(start, stop):
                apart = distance(planes, i, asked)
                if apart <= radius and not (dead.shape[0] > 0 and dead[i]):
                    query[count] = q
                    row[count] = i
                    far[count] = apart
                    count += 1
    return query[:count].copy(), row[:count].copy(), far[:count].copy()


def nearest_bytes(k: int) -> int:
    """Bytes that `nearest` allocates for each query."""
    return 12 * (2 * k + BLOCK) + 8 * 260


@njit(nogil=True)
def _keep_nearest(rows: NDArray[np.int64], far: NDArray[np.int32], count: int, reach: int, ties: int) -> Any:
    """Move what lies below `reach`, and the first `ties` at it, to the front; how many that is."""
    kept = 0
    for i in range(count):
        if far[i] < reach or (far[i] == reach and ties > 0):
            if far[i] == reach:
                ties -= 1
            rows[kept] = rows[i]
            far[kept] = far[i]
            kept += 1
    return kept


@kernel
def nearest(
    planes: Planes,
    queries: NDArray[np.uint64],
    k: int,
    dead: NDArray[np.bool_],
    first: int,
    last: int,
) -> Any:
    """Query, row and distance of the k nearest of each query among rows first..last, unsorted.

    Each query keeps a count of accepted rows by distance. `reach` is the least distance within which
    k rows have been accepted, so only nearer rows are accepted from then on (rows come in ascending
    order, so that an equal distance loses), and each one accepted costs a step or two of `reach`,
    whatever the order of the codes. A full buffer is cleared of what has fallen out of reach, which
    frees at least half of it.
    """
    asked = queries.shape[0]
    room = 2 * k + BLOCK
    rows = np.empty((asked, room), dtype=np.int64)
    far = np.empty((asked, room), dtype=np.int32)
    held = np.zeros(asked, dtype=np.int64)  # rows in the buffer
    at = np.zeros((asked, 257), dtype=np.int64)  # rows accepted at each distance
    reach = np.full(asked, 257, dtype=np.int64)
    below = np.zeros(asked, dtype=np.int64)  # rows accepted below `reach`, always under k
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        for q in range(asked):
            query = queries[q]
            if not _may_hold(planes, query, start, stop, reach[q] - 1):
                continue
            for i in range(start, stop):
                apart = distance(planes, i, query)
                if apart >= reach[q] or (dead.shape[0] > 0 and dead[i]):
                    continue
                if held[q] == room:
                    held[q] = _keep_nearest(rows[q], far[q], room, reach[q], k - below[q])
                rows[q, held[q]] = i
                far[q, held[q]] = apart
                held[q] += 1
                at[q, apart] += 1
                below[q] += 1
                while below[q] >= k:
                    reach[q] -= 1
                    below[q] -= at[q, reach[q]]
    total = 0
    for q in range(asked):
        held[q] = _keep_nearest(rows[q], far[q], held[q], reach[q], k - below[q])
        total += held[q]
    out_query = np.empty(total, dtype=np.int64)
    out_row = np.empty(total, dtype=np.int64)
    out_far = np.empty(total, dtype=np.int64)
    count = 0
    for q in range(asked):
        for i in range(held[q]):
            out_query[count] = q
            out_row[count] = rows[q, i]
            out_far[count] = far[q, i]
            count += 1
    return out_query, out_row, out_far
