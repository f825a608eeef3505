"""Compiled scans of vectors: the same answers as the NumPy path of `vector_scan.py`, at memory speed.

Importing this module imports Numba, which takes longer than a small scan. `vector_dots.py` multiplies. Rows
pass in blocks that stay in the second-level cache while all queries of a batch look at them; only a block
that holds something good enough is walked again, row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wherefrom.engine.kernels import kernel
from wherefrom.engine.vector_dots import ask_for, dot, dots, laid

BLOCK = 256  # rows: 64 KB of vectors of 256 numbers
_FURTHER = 16  # rows that are asked of memory before they are looked at


@njit(nogil=True)
def similarities(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    parts: NDArray[Any],
    start: np.int32,
    unit: np.float32,
    out: NDArray[np.float32],
) -> Any:
    """Fill `out` with the similarities of some rows to a query, as `dots` takes it, and give the greatest."""
    dots(codes, parts, start, out)
    best = np.float32(-np.inf)
    for i in range(codes.shape[0]):
        out[i] = out[i] * scales[i] * unit
        best = max(best, out[i])
    return best


@njit(nogil=True)
def _worse(near: NDArray[np.float32], keys: NDArray[np.int64], one: int, other: int) -> Any:
    """Whether one place of a heap comes after another in the answer."""
    return near[one] < near[other] or (near[one] == near[other] and keys[one] > keys[other])


@njit(nogil=True)
def _swap(near: NDArray[np.float32], keys: NDArray[np.int64], one: int, other: int) -> None:
    near[one], near[other] = near[other], near[one]
    keys[one], keys[other] = keys[other], keys[one]


@njit(nogil=True)
def offer(
    near: NDArray[np.float32], keys: NDArray[np.int64], held: int, how_near: np.float32, key: int
) -> Any:
    """Put a key into the heap of the best, whose worst lies on top, if it belongs there; how many it holds.

    A similarity that is no number is never kept.
    """
    room = near.shape[0]
    if held < room:
        if not (how_near > -np.inf):
            return held
        at = held
        near[at], keys[at] = how_near, key
        while at > 0 and _worse(near, keys, at, (at - 1) // 2):
            _swap(near, keys, at, (at - 1) // 2)
            at = (at - 1) // 2
        return held + 1
    if not (how_near > near[0] or (how_near == near[0] and key < keys[0])):
        return held
    near[0], keys[0] = how_near, key
    at = 0
    while 2 * at + 1 < room:
        below = 2 * at + 1
        if below + 1 < room and _worse(near, keys, below + 1, below):
            below += 1
        if not _worse(near, keys, below, at):
            break
        _swap(near, keys, at, below)
        at = below
    return held


@njit(nogil=True)
def _called(row: int, keys: NDArray[np.int64]) -> Any:
    """The key of a row: its number where there are no keys."""
    return keys[row] if keys.shape[0] > 0 else row


@njit(nogil=True)
def _admitted(row: int, key: int, dead: NDArray[np.bool_], only: bool, allowed: NDArray[np.int64]) -> Any:
    """Whether a row may be found: `dead` masks rows, or is empty; `only` some keys are allowed, or all."""
    if dead.shape[0] > 0 and dead[row]:
        return False
    if not only:
        return True
    low, high = 0, allowed.shape[0]
    while low < high:
        middle = (low + high) // 2
        if allowed[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low < allowed.shape[0] and allowed[low] == key


@njit(nogil=True)
def _offered(
    start: int,
    stop: int,
    out: NDArray[np.float32],
    near: NDArray[np.float32],
    found: NDArray[np.int64],
    held: int,
    dead: NDArray[np.bool_],
    keys: NDArray[np.int64],
    only: bool,
    allowed: NDArray[np.int64],
) -> Any:
    """Offer rows start..stop, whose similarities are in `out`, to the best of one query; how many it holds.

    Whether a row may be found is asked only of what is good enough, which costs far less than a mask of what
    is allowed.
    """
    for i in range(start, stop):
        if held < near.shape[0] or out[i - start] >= near[0]:
            key = _called(i, keys)
            if _admitted(i, key, dead, only, allowed):
                held = offer(near, found, held, out[i - start], key)
    return held


@kernel
def nearest(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: NDArray[np.int16],
    units: NDArray[np.float32],
    k: int,
    dead: NDArray[np.bool_],
    keys: NDArray[np.int64],
    only: bool,
    allowed: NDArray[np.int64],
    first: int,
    last: int,
) -> Any:
    """Keys int64 and similarities float32, both (q, k), of the best among rows first..last, and how many.

    The best are in no order. `keys` are those of the rows, or empty: then rows go by their numbers.
    """
    asked = queries.shape[0]
    found = np.empty((asked, k), np.int64)
    near = np.empty((asked, k), np.float32)
    held = np.zeros(asked, np.int64)
    out = np.empty(BLOCK, np.float32)
    parts, starts = laid(queries)
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        for q in range(asked):
            best = similarities(codes[start:stop], scales[start:stop], parts[q], starts[q], units[q], out)
            if held[q] == k and best < near[q, 0]:
                continue
            held[q] = _offered(start, stop, out, near[q], found[q], held[q], dead, keys, only, allowed)
    return found, near, held


@kernel
def nearest_of(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: NDArray[np.int16],
    units: NDArray[np.float32],
    k: int,
    keys: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> Any:
    """The same among the rows that are `chosen`, which are live."""
    asked = queries.shape[0]
    found = np.empty((asked, k), np.int64)
    near = np.empty((asked, k), np.float32)
    held = np.zeros(asked, np.int64)
    parts, starts = laid(queries)
    for at in range(chosen.shape[0]):
        row = chosen[at]
        if at + _FURTHER < chosen.shape[0]:
            ask_for(codes[row], chosen[at + _FURTHER] - row)
        for q in range(asked):
            how_near = np.float32(dot(codes[row], parts[q], starts[q])) * scales[row] * units[q]
            if held[q] < k or how_near >= near[q, 0]:
                held[q] = offer(near[q], found[q], held[q], how_near, _called(row, keys))
    return found, near, held


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
    queries: NDArray[np.int16],
    units: NDArray[np.float32],
    k: int,
    dead: NDArray[np.bool_],
    keys: NDArray[np.int64],
    only: bool,
    allowed: NDArray[np.int64],
    offsets: NDArray[np.int64],
    centres: NDArray[np.int8],
    centre_scales: NDArray[np.float32],
    edges: NDArray[np.float32],
    margins: NDArray[np.float32],
    least_cells: int,
) -> Any:
    """What `nearest` gives, of the cells that the margins call for; `cells.Cells` says what is what."""
    asked, count = queries.shape[0], centres.shape[0]
    found = np.empty((asked, k), np.int64)
    near = np.empty((asked, k), np.float32)
    held = np.zeros(asked, np.int64)
    out = np.empty(BLOCK, np.float32)
    towards = np.empty(count, np.float32)
    cells = np.empty(count, np.int64)
    parts, starts = laid(queries)
    for q in range(asked):
        similarities(centres, centre_scales, parts[q], starts[q], units[q], towards)
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
                best = similarities(codes[start:stop], scales[start:stop], parts[q], starts[q], units[q], out)
                if held[q] == k and best < near[q, 0]:
                    continue
                held[q] = _offered(start, stop, out, near[q], found[q], held[q], dead, keys, only, allowed)
    return found, near, held
