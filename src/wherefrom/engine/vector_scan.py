"""Exact scans of vectors by inner product: every row is looked at, nothing is left out.

A row is int8 (d,) with a float32 scale: its vector is code × scale. A query becomes int16 (d,) with a
float32 unit. The similarity is float32(Σ code × query) × scale × unit, multiplied in this order: the sum
is exact, so that whoever computes it gets the same bits. For d up to 512 it fits an int32. Quantising
the query adds an error below 1e-5 to the similarity, several hundred times less than the rows' own.

Two paths give the same answer, and the tests hold them equal: a NumPy path, which is also the twin of
the approximate index, and the kernels of `vector_kernels.py`, loaded only when they pay.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.rows import Numbers
from wherefrom.engine.scan import readonly

# Rows × queries that NumPy may compare in one process before the kernels are loaded.
NUMPY_PAIRS = 2_000_000

GATHER_SHARE = 0.1
"""The share of rows up to which allowed rows are gathered one by one; above it all rows are scanned."""

_LARGEST = 127 * 256 + 127  # both bytes of it fit an int8
_NUMPY_ROWS = 4_096
_SHARE = 1 << 16
_compared = 0  # pairs that NumPy has compared in this process so far


class Vectors(NamedTuple):
    """Rows: codes int8 (n, d), contiguous, and scales float32 (n,)."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]


class Queries(NamedTuple):
    """Queries: codes int16 (q, d) and units float32 (q,)."""

    codes: NDArray[np.int16]
    units: NDArray[np.float32]


class Near(NamedTuple):
    """Pairs that a scan found: query and key int64, similarity float32; in no order.

    Keys are what rows are called: their numbers where nothing else is said.
    """

    query: Numbers
    key: Numbers
    similarity: NDArray[np.float32]


def quantised(queries: NDArray[np.float32]) -> Queries:
    """Queries, float32 (q, d) and finite, as the scans take them: the greatest number becomes ±32,639."""
    greatest = np.abs(queries).max(axis=1, initial=0).astype(np.float64)
    greatest[greatest == 0] = 1
    codes = np.rint(queries * (_LARGEST / greatest)[:, None]).astype(np.int16)
    return Queries(codes, (greatest / _LARGEST).astype(np.float32))


def nearest(
    rows: Vectors,
    queries: Queries,
    k: int,
    dead: NDArray[np.bool_] | None = None,
    *,
    keys: Numbers | None = None,
    chosen: Numbers | None = None,
    allowed: Numbers | None = None,
    compiled: bool | None = None,
    threads: int = 1,
    block: int = _NUMPY_ROWS,
    share: int = _SHARE,
) -> Near:
    """The k rows most similar to each query; of equally similar ones those of the lower keys.

    Args:
        rows: any number of them.
        queries: any number of them.
        k: at least 1.
        dead: bool (n,); rows where it is True are never found. None: all live.
        keys: int64 (n,), all different, in any order: what the rows are called. None: their numbers.
        chosen: int64: only the rows of these numbers are looked at. None: all.
        allowed: int64, rising: only these keys may be found; not together with `chosen`. None: all.
        compiled: True for the kernels, False for NumPy, None to choose by size.
        threads: how many threads at most the rows are split over; the answer is the same.
        block: rows that NumPy compares at a time.
        share: pairs that a further thread is worth.
    """
    if chosen is not None:
        chosen = chosen if dead is None else chosen[~dead[chosen]]
    count = len(rows.scales) if chosen is None else len(chosen)
    k = min(k, count)
    if count == 0 or len(queries.units) == 0:
        return _no_pairs()
    if not use_kernels(count * len(queries.units), compiled):
        keys = np.arange(len(rows.scales)) if keys is None else keys
        if allowed is not None:
            left_out = ~np.isin(keys, allowed, assume_unique=True)
            dead = left_out if dead is None else left_out | dead
        return _numpy_nearest(rows, queries, k, dead, keys, chosen, block)
    threads = min(threads, 1 + count * len(queries.units) // share)
    return _compiled_nearest(rows, queries, k, dead, keys, chosen, allowed, threads)


def similarities(rows: Vectors, queries: Queries) -> NDArray[np.float32]:
    """The similarity of every row to every query, float32 (n, q), in NumPy."""
    # High and low byte of the query by themselves: every sum is then below 2 ** 24 for d up to 512, so
    # that float32 holds it exactly whatever the order in which it is made.
    high = queries.codes >> 8
    low = queries.codes & 255
    codes = rows.codes.astype(np.float32)
    sums = 256 * (codes @ high.T.astype(np.float32)).astype(np.int64)
    sums += (codes @ low.T.astype(np.float32)).astype(np.int64)
    with np.errstate(all="ignore"):  # scales that were damaged on the disk: `check` tells of them
        return sums.astype(np.float32) * rows.scales[:, None] * queries.units


def best(near: Near, k: int) -> Near:
    """The k best pairs of each query, sorted by (query, similarity falling, key)."""
    order = np.lexsort((near.key, -near.similarity, near.query))
    query = near.query[order]
    order = order[np.arange(len(query)) - np.searchsorted(query, query) < k]
    return Near(near.query[order], near.key[order], near.similarity[order])


def use_kernels(pairs: int, compiled: bool | None) -> bool:
    """Whether to load the kernels: when asked to, and else when NumPy has done enough of their work."""
    global _compared
    if compiled is None:
        compiled = "wherefrom.engine.vector_kernels" in sys.modules or _compared + pairs > NUMPY_PAIRS
        if not compiled:
            _compared += pairs
    return compiled


def for_kernels(
    dead: NDArray[np.bool_] | None, keys: Numbers | None, allowed: Numbers | None
) -> tuple[NDArray[np.bool_], Numbers, bool, Numbers]:
    """The mask, keys, whether only some keys are allowed, and these, as kernels take them: empty for none."""
    none = np.zeros(0, np.int64)
    return (
        readonly(np.zeros(0, np.bool_) if dead is None else dead),
        readonly(none if keys is None else keys),
        allowed is not None,
        readonly(none if allowed is None else allowed),
    )


def _no_pairs() -> Near:
    none = np.zeros(0, np.int64)
    return Near(none, none, np.zeros(0, np.float32))


def joined(parts: list[Near]) -> Near:
    """Pairs of several scans."""
    query, key, similarity = zip(*parts, strict=True)
    return Near(np.concatenate(query), np.concatenate(key), np.concatenate(similarity))


def _numpy_nearest(
    rows: Vectors,
    queries: Queries,
    k: int,
    dead: NDArray[np.bool_] | None,
    keys: Numbers,
    chosen: Numbers | None,
    block: int,
) -> Near:
    count = len(rows.scales) if chosen is None else len(chosen)
    found = _no_pairs()
    for start in range(0, count, block):
        stop = min(count, start + block)
        used = slice(start, stop) if chosen is None else chosen[start:stop]
        scores = similarities(Vectors(rows.codes[used], rows.scales[used]), queries)
        if dead is not None and chosen is None:
            scores[dead[used]] = -np.inf
        scores[np.isnan(scores)] = -np.inf
        if k < stop - start:
            least = np.partition(scores, stop - start - k, axis=0)[stop - start - k]
            row, query = np.nonzero((scores >= least) & (scores > -np.inf))
        else:
            row, query = np.nonzero(scores > -np.inf)
        number = row + start if chosen is None else chosen[row + start]
        found = best(joined([found, Near(query, keys[number], scores[row, query])]), k)
    return found


def _compiled_nearest(
    rows: Vectors,
    queries: Queries,
    k: int,
    dead: NDArray[np.bool_] | None,
    keys: Numbers | None,
    chosen: Numbers | None,
    allowed: Numbers | None,
    threads: int,
) -> Near:
    from wherefrom.engine import vector_kernels

    given = readonly(rows.codes), readonly(rows.scales), readonly(queries.codes), readonly(queries.units)
    narrowed = for_kernels(dead, keys, allowed)
    count = len(rows.scales) if chosen is None else len(chosen)

    def part(first: int, last: int) -> Near:
        if chosen is None:
            names, near, held = vector_kernels.nearest(*given, k, *narrowed, first, last)
        else:
            names, near, held = vector_kernels.nearest_of(
                *given, k, narrowed[1], readonly(chosen[first:last])
            )
        query, place = np.nonzero(np.arange(k) < held[:, None])
        return Near(query, names[query, place], near[query, place])

    step = -(-count // (threads * vector_kernels.BLOCK)) * vector_kernels.BLOCK
    spans = [(first, min(first + step, count)) for first in range(0, count, step)]
    if len(spans) == 1:
        return part(*spans[0])
    with ThreadPoolExecutor(len(spans)) as pool:
        return joined(list(pool.map(part, *zip(*spans, strict=True))))
