"""Compiled parts of multi-index hashing: building one table, and probing all of them.

A search is bound by cache misses, not by arithmetic. It therefore runs in passes over small arrays
whose loads do not depend on one another (buckets, then row numbers, then one word of each candidate),
asks for what it will need a few steps ahead, and rejects candidates by adding a comparison to a counter
instead of branching on it: the processor then keeps dozens of misses under way at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from wherefrom.engine.kernels import Planes, distance, kernel, longer, population

GROUP_BITS = 5
GROUP = 1 << GROUP_BITS  # buckets described by one record of the directory
RECORD = 5  # uint32 a record: where the group starts, then 32 sizes of 4 bits each
CROWDED = 15  # a bucket of this many rows or more does not fit 4 bits; its group is listed elsewhere
PADDING = 4  # rows behind the last one of a table, so that a bucket can be read four rows at a time

_AHEAD = 32  # loads asked for in advance: anything from 16 to 64 is as good


def _prefetch(_context: Any, array: Any, _index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        functions: Any = cgutils
        ask = functions.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(data, [args[1]]), pointer)
        builder.call(ask, [place, number(0), number(3), number(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(array, types.int64), emit


# Ask for array[index] of a contiguous array without waiting for it; any index is safe.
prefetch: Any = intrinsic(_prefetch)


@njit(nogil=True)
def _key(low: np.uint64, high: np.uint64, shift: int, bits: int) -> Any:
    """`bits` bits from `shift` on of the 128-bit number whose halves are `low` and `high`."""
    key: Any = low >> np.uint64(shift)
    if shift + bits > 64:
        key |= high << np.uint64(64 - shift)
    return key & np.uint64((1 << bits) - 1)


@kernel
def split(
    low: NDArray[np.uint64],
    high: NDArray[np.uint64],
    shift: int,
    bits: int,
    top: int,
    entries: NDArray[np.uint64],
) -> Any:
    """Sort rows by the top bits of their keys into `entries`: rest of the key << 32 | row number.

    Returns int64 (2**top + 1): where each part starts. Rows keep their order within a part.
    """
    rest = np.uint64(bits - top)
    below = (np.uint64(1) << rest) - np.uint64(1)
    starts = np.zeros((1 << top) + 1, dtype=np.int64)
    for row in range(low.shape[0]):
        starts[np.int64(_key(low[row], high[row], shift, bits) >> rest) + 1] += 1
    for i in range(1 << top):
        starts[i + 1] += starts[i]
    following = starts[:-1].copy()
    for row in range(low.shape[0]):
        key = _key(low[row], high[row], shift, bits)
        part = np.int64(key >> rest)
        entries[following[part]] = (key & below) << np.uint64(32) | np.uint64(row)
        following[part] += 1
    return starts


@kernel
def arrange(
    entries: NDArray[np.uint64],
    bits: int,
    base: int,
    rows: NDArray[np.uint32],
    records: NDArray[np.uint32],
    listed: int,
) -> Any:
    """Sort one part by the `bits` bits that are left of its keys, and describe its buckets.

    Fills `rows`, one number for each entry, and `records`, (2**bits / GROUP, RECORD). `base` rows and
    `listed` crowded groups of the table lie before this part.

    Returns uint32 (c, GROUP + 1): the bounds of the buckets of each group in which one is crowded. The
    record of such a group has CROWDED as its first size and, as its last number, its place in that list.
    """
    starts = np.zeros((1 << bits) + 1, dtype=np.int64)
    for i in range(entries.shape[0]):
        starts[np.int64(entries[i] >> np.uint64(32)) + 1] += 1
    groups = (1 << bits) >> GROUP_BITS
    crowded = 0
    for group in range(groups):
        for i in range(RECORD):
            records[group, i] = 0
        largest: Any = 0
        for i in range(GROUP):
            size = starts[group * GROUP + i + 1]
            largest = max(largest, size)
            if size < CROWDED:
                records[group, 1 + i // 8] |= np.uint32(size << (4 * (i % 8)))
        if largest >= CROWDED:
            records[group, 1] = CROWDED
            records[group, RECORD - 1] = listed + crowded
            crowded += 1
    for i in range(1 << bits):
        starts[i + 1] += starts[i]
    bounds = np.empty((crowded, GROUP + 1), dtype=np.uint32)
    crowded = 0
    for group in range(groups):
        records[group, 0] = base + starts[group * GROUP]
        if records[group, 1] & np.uint32(15) == CROWDED:
            for i in range(GROUP + 1):
                bounds[crowded, i] = base + starts[group * GROUP + i]
            crowded += 1
    for i in range(entries.shape[0]):
        bucket = np.int64(entries[i] >> np.uint64(32))
        rows[starts[bucket]] = np.uint32(entries[i] & np.uint64(0xFFFFFFFF))
        starts[bucket] += 1
    return bounds


@njit(nogil=True)
def _sum(sizes: np.uint64) -> Any:
    """Sum of sixteen sizes of 4 bits, each at most 14: of pairs first, then by one multiplication."""
    pairs = np.uint64(0x0F0F0F0F0F0F0F0F)
    halves = (sizes & pairs) + (sizes >> np.uint64(4) & pairs)
    return np.int64(halves * np.uint64(0x0101010101010101) >> np.uint64(56))


@njit(nogil=True)
def _bucket(
    records: NDArray[np.uint32], group: Any, place: Any, crowded: NDArray[np.uint32], listed: int
) -> Any:
    """Where a bucket starts among the rows of its table, and how many rows it holds."""
    first = records[group, 1]
    if first & np.uint32(15) == CROWDED:
        bounds = crowded[min(listed + np.int64(records[group, RECORD - 1]), crowded.shape[0] - 1)]
        return np.int64(bounds[place]), np.int64(bounds[place + 1]) - np.int64(bounds[place])
    left = np.uint64(first) | np.uint64(records[group, 2]) << np.uint64(32)
    right = np.uint64(records[group, 3]) | np.uint64(records[group, 4]) << np.uint64(32)
    turn = np.uint64(4 * (place & 15))
    before = (np.uint64(1) << turn) - np.uint64(1)
    if place < 16:
        size = left >> turn
        left &= before
        right = np.uint64(0)
    else:
        size = right >> turn
        right &= before
    return np.int64(records[group, 0]) + _sum(left) + _sum(right), np.int64(size & np.uint64(15))


@njit(nogil=True)
def _probe(
    key: np.uint64,
    masks: NDArray[np.uint32],
    records: NDArray[np.uint32],
    first_group: int,
    crowded: NDArray[np.uint32],
    listed: int,
    rows: int,
    starts: NDArray[np.uint32],
    sizes: NDArray[np.uint32],
) -> Any:
    """Look up the bucket of every probed key of one table; how many candidates they hold in all.

    Bounds are held to the rows there are: a damaged file gives wrong answers, not a crash.
    """
    flat = records.reshape(-1)
    shift, places = np.uint64(GROUP_BITS), np.uint64(GROUP - 1)
    probes = masks.shape[0]
    candidates = 0
    for i in range(probes):
        ahead = key ^ np.uint64(masks[min(i + _AHEAD, probes - 1)])
        prefetch(flat, (first_group + np.int64(ahead >> shift)) * RECORD)
        probed = key ^ np.uint64(masks[i])
        start, size = _bucket(
            records, first_group + np.int64(probed >> shift), np.int64(probed & places), crowded, listed
        )
        start = min(start, rows)
        size = max(0, min(size, rows - start))
        starts[i] = start
        sizes[i] = size
        candidates += size
    return candidates


@njit(nogil=True)
def _gather(
    rows: NDArray[np.uint32],
    masks: NDArray[np.uint32],
    radius: int,
    starts: NDArray[np.uint32],
    sizes: NDArray[np.uint32],
    waiting: NDArray[np.int64],
    left: NDArray[np.int64],
) -> Any:
    """Candidates of one table, and what the radius leaves each beside the bits its mask has changed."""
    probes = masks.shape[0]
    last = rows.shape[0] - PADDING - 1
    held: Any = 0
    for i in range(probes):
        prefetch(rows, np.int64(starts[min(i + _AHEAD, probes - 1)]))
        at, size = np.int64(starts[i]), np.int64(sizes[i])
        spare = radius - population(np.uint64(masks[i]))
        # Four at a time, whether there are as many or not: most buckets hold fewer, and a loop whose
        # length the processor cannot guess costs more than copying too much.
        for j in range(4):
            waiting[held + j] = min(np.int64(rows[at + j]), last)
            left[held + j] = spare
        for j in range(4, size):
            waiting[held + j] = min(np.int64(rows[at + j]), last)
            left[held + j] = spare
        held += size
    return held


@njit(nogil=True)
def _reject(
    plane: NDArray[np.uint64],
    word: np.uint64,
    waiting: NDArray[np.int64],
    left: NDArray[np.int64],
    count: int,
) -> Any:
    """Take the distance of one word from what each candidate has left; how many stay, moved to the front."""
    for i in range(count):
        prefetch(plane, waiting[min(i + _AHEAD, count - 1)])
        left[i] -= population(plane[waiting[i]] ^ word)
    kept = 0
    for i in range(count):
        waiting[kept] = waiting[i]
        left[kept] = left[i]
        kept += left[i] >= 0
    return kept


@njit(nogil=True)
def _found_before(
    planes: Planes,
    row: int,
    query: NDArray[np.uint64],
    tables: NDArray[np.int64],
    table: int,
) -> Any:
    """Whether an earlier table finds this row too: the first one that does reports it."""
    for earlier in range(table):
        offset, bits, reach = tables[earlier, 0], tables[earlier, 1], tables[earlier, 2]
        word = offset >> 6
        low = planes[word][row] ^ query[word]
        high = planes[(word + 1) & 3][row] ^ query[(word + 1) & 3]
        if population(_key(low, high, offset & 63, bits)) <= reach:
            return True
    return False


@kernel
def search(
    planes: Planes,
    rows: NDArray[np.uint32],
    records: NDArray[np.uint32],
    crowded: NDArray[np.uint32],
    tables: NDArray[np.int64],
    masks: NDArray[np.uint32],
    queries: NDArray[np.uint64],
    radius: int,
    dead: NDArray[np.bool_],
    first: int,
    last: int,
    most: int,
) -> Any:
    """Query, row and distance of pairs within the radius that tables first..last are the first to find.

    `tables` has a row for each table: the first bit of its key, the bits of its key, how many of them
    are varied (-1: the table is not probed), the first record of its directory, the first of its
    crowded groups, and which of `masks` it varies them by: the first, and how many. A query for which
    these tables hold more than `most` candidates is not searched: the last array returned says which.
    """
    found_query = np.empty(64, dtype=np.int64)
    found_row = np.empty(64, dtype=np.int64)
    found_far = np.empty(64, dtype=np.int64)
    count = 0
    refused = np.zeros(queries.shape[0], dtype=np.bool_)
    probes = 0
    for table in range(first, last):
        probes += tables[table, 6]
    starts = np.empty(probes, dtype=np.uint32)
    sizes = np.empty(probes, dtype=np.uint32)
    waiting = np.empty(1024, dtype=np.int64)
    left = np.empty(1024, dtype=np.int64)
    for q in range(queries.shape[0]):
        query = queries[q]
        probe, candidates, largest = 0, 0, 0
        for table in range(first, last):
            if tables[table, 2] < 0:
                continue
            varied = masks[tables[table, 5] : tables[table, 5] + tables[table, 6]]
            word, shift = tables[table, 0] >> 6, tables[table, 0] & 63
            key = _key(query[word], query[(word + 1) & 3], shift, tables[table, 1])
            held = _probe(
                key,
                varied,
                records,
                tables[table, 3],
                crowded,
                tables[table, 4],
                planes[0].shape[0],
                starts[probe:],
                sizes[probe:],
            )
            probe += tables[table, 6]
            candidates += held
            largest = max(largest, held)
        if candidates > most:
            refused[q] = True
            continue
        if largest + PADDING > waiting.shape[0]:
            waiting = longer(waiting, largest + PADDING)
            left = longer(left, largest + PADDING)
        probe = 0
        for table in range(first, last):
            if tables[table, 2] < 0:
                continue
            varied = masks[tables[table, 5] : tables[table, 5] + tables[table, 6]]
            held = _gather(rows[table], varied, radius, starts[probe:], sizes[probe:], waiting, left)
            probe += tables[table, 6]
            # Neither of these two words holds a bit of the key, so their distances add to the mask's.
            word = tables[table, 0] >> 6
            third, fourth = (word + 2) & 3, (word + 3) & 3
            held = _reject(planes[third], query[third], waiting, left, held)
            held = _reject(planes[fourth], query[fourth], waiting, left, held)
            for i in range(held):
                row = waiting[i]
                apart = distance(planes, row, query)
                if apart > radius or (dead.shape[0] > 0 and dead[row]):
                    continue
                if _found_before(planes, row, query, tables, table):
                    continue
                if count == found_row.shape[0]:
                    found_query = longer(found_query, count + 1)
                    found_row = longer(found_row, count + 1)
                    found_far = longer(found_far, count + 1)
                found_query[count] = q
                found_row[count] = row
                found_far[count] = apart
                count += 1
    return found_query[:count].copy(), found_row[:count].copy(), found_far[:count].copy(), refused
