"""Compiled scans of vectors: the same answers as the NumPy path of `vector_scan.py`, at memory speed.

Importing this module imports Numba, which takes longer than a small scan. A row is int8 (d,), a query
int16 (d,): the compiler multiplies and adds 32 such pairs at a time, and integer sums do not depend on
their order. Rows pass in blocks that stay in the second-level cache while all queries of a batch look at
them; only a block that holds something good enough is walked again, row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from whence.engine.kernels import kernel

BLOCK = 256  # rows: 64 KB of vectors of 256 numbers


@njit(nogil=True)
def dot(row: NDArray[np.int8], query: NDArray[np.int16]) -> Any:
    """The inner product of a row and a query, int32."""
    total = np.int32(0)
    for j in range(query.shape[0]):
        total += np.int32(row[j]) * np.int32(query[j])
    return np.int32(total)


@njit(nogil=True)
def similarities(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    query: NDArray[np.int16],
    unit: np.float32,
    out: NDArray[np.float32],
) -> Any:
    """Fill `out` with the similarities of some rows to a query, and give the greatest."""
    for i in range(codes.shape[0]):
        out[i] = np.float32(dot(codes[i], query))
    best = np.float32(-np.inf)
    for i in range(codes.shape[0]):
        out[i] = out[i] * scales[i] * unit
        best = max(best, out[i])
    return best


@njit(nogil=True)
def _worse(near: NDArray[np.float32], rows: NDArray[np.int64], one: int, other: int) -> Any:
    """Whether one place of a heap comes after another in the answer."""
    return near[one] < near[other] or (near[one] == near[other] and rows[one] > rows[other])


@njit(nogil=True)
def _swap(near: NDArray[np.float32], rows: NDArray[np.int64], one: int, other: int) -> None:
    near[one], near[other] = near[other], near[one]
    rows[one], rows[other] = rows[other], rows[one]


@njit(nogil=True)
def offer(
    near: NDArray[np.float32], rows: NDArray[np.int64], held: int, how_near: np.float32, row: int
) -> Any:
    """Put a row into the heap of the best, whose worst lies on top, if it belongs there; how many it holds.

    A similarity that is no number is never kept.
    """
    room = near.shape[0]
    if held < room:
        if not (how_near > -np.inf):
            return held
        at = held
        near[at], rows[at] = how_near, row
        while at > 0 and _worse(near, rows, at, (at - 1) // 2):
            _swap(near, rows, at, (at - 1) // 2)
            at = (at - 1) // 2
        return held + 1
    if not (how_near > near[0] or (how_near == near[0] and row < rows[0])):
        return held
    near[0], rows[0] = how_near, row
    at = 0
    while 2 * at + 1 < room:
        below = 2 * at + 1
        if below + 1 < room and _worse(near, rows, below + 1, below):
            below += 1
        if not _worse(near, rows, below, at):
            break
        _swap(near, rows, at, below)
        at = below
    return held


@njit(nogil=True)
def _admitted(row: int, dead: NDArray[np.bool_], keys: NDArray[np.int64], allowed: NDArray[np.int64]) -> Any:
    """Whether a row may be found: `dead` masks rows, or is empty; `keys` are those of rows, or empty."""
    if dead.shape[0] > 0 and dead[row]:
        return False
    if keys.shape[0] == 0:
        return True
    key, low, high = keys[row], 0, allowed.shape[0]
    while low < high:
        middle = (low + high) // 2
        if allowed[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low < allowed.shape[0] and allowed[low] == key


@kernel
def nearest(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: NDArray[np.int16],
    units: NDArray[np.float32],
    k: int,
    dead: NDArray[np.bool_],
    keys: NDArray[np.int64],
    allowed: NDArray[np.int64],
    first: int,
    last: int,
) -> Any:
    """Rows int64 and similarities float32, both (q, k), of the best among rows first..last, and how many.

    The best are in no order. Whether a row may be found is asked only of what is good enough, which costs
    far less than a mask of what is allowed.
    """
    asked = queries.shape[0]
    rows = np.empty((asked, k), np.int64)
    near = np.empty((asked, k), np.float32)
    held = np.zeros(asked, np.int64)
    out = np.empty(BLOCK, np.float32)
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        for q in range(asked):
            best = similarities(codes[start:stop], scales[start:stop], queries[q], units[q], out)
            if held[q] == k and not (best > near[q, 0]):
                continue  # rows come in order: an equal one loses
            for i in range(start, stop):
                if (held[q] < k or out[i - start] > near[q, 0]) and _admitted(i, dead, keys, allowed):
                    held[q] = offer(near[q], rows[q], held[q], out[i - start], i)
    return rows, near, held


@kernel
def nearest_of(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: NDArray[np.int16],
    units: NDArray[np.float32],
    k: int,
    chosen: NDArray[np.int64],
) -> Any:
    """The same among the rows that are `chosen`, rising and live."""
    asked = queries.shape[0]
    rows = np.empty((asked, k), np.int64)
    near = np.empty((asked, k), np.float32)
    held = np.zeros(asked, np.int64)
    for row in chosen:
        for q in range(asked):
            how_near = np.float32(dot(codes[row], queries[q])) * scales[row] * units[q]
            if held[q] < k or how_near > near[q, 0]:
                held[q] = offer(near[q], rows[q], held[q], how_near, row)
    return rows, near, held


@njit(nogil=True)
def _sift(near: NDArray[np.float32], cells: NDArray[np.int64], at: int, count: int) -> None:
    """Let one place of a heap, whose greatest lies on top, down to where it belongs."""
    while 2 * at + 1 < count:
        below = 2 * at + 1
        if below + 1 < count and near[below + 1] > near[below]:
            below += 1
        if near[below] <= near[at]:
            break
        _swap(near, cells, at, below)
        at = below


@kernel
def probe(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    order: NDArray[np.int64],
    offsets: NDArray[np.int64],
    centres: NDArray[np.int8],
    centre_scales: NDArray[np.float32],
    edges: NDArray[np.float32],
    margins: NDArray[np.float32],
    queries: NDArray[np.int16],
    units: NDArray[np.float32],
    k: int,
    dead: NDArray[np.bool_],
    keys: NDArray[np.int64],
    allowed: NDArray[np.int64],
    least_cells: int,
) -> Any:
    """What `nearest` gives, of the cells that the margins call for; `cells.Cells` says what is what."""
    asked, count = queries.shape[0], centres.shape[0]
    rows = np.empty((asked, k), np.int64)
    near = np.empty((asked, k), np.float32)
    held = np.zeros(asked, np.int64)
    out = np.empty(BLOCK, np.float32)
    towards = np.empty(count, np.float32)
    cells = np.empty(count, np.int64)
    for q in range(asked):
        query, unit = queries[q], units[q]
        similarities(centres, centre_scales, query, unit, towards)
        for c in range(count):
            cells[c] = c
        for at in range(count // 2 - 1, -1, -1):
            _sift(towards, cells, at, count)
        looked_at = 0
        for left in range(count, 0, -1):
            if looked_at >= least_cells and held[q] == k:
                reach = near[q, 0]
                at = 0
                while at + 1 < edges.shape[0] and edges[at + 1] <= reach:
                    at += 1
                if towards[0] < reach - margins[at]:
                    break
            looked_at += 1
            cell = cells[0]
            _swap(towards, cells, 0, left - 1)
            _sift(towards, cells, 0, left - 1)
            for start in range(offsets[cell], offsets[cell + 1], BLOCK):
                stop = min(start + BLOCK, offsets[cell + 1])
                best = similarities(codes[start:stop], scales[start:stop], query, unit, out)
                if held[q] == k and best < near[q, 0]:
                    continue
                for i in range(start, stop):
                    if held[q] < k or out[i - start] >= near[q, 0]:
                        row = order[i]
                        if _admitted(row, dead, keys, allowed):
                            held[q] = offer(near[q], rows[q], held[q], out[i - start], row)
    return rows, near, held
