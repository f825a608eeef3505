"""Compiled parts of multi-index hashing: building one table, and probing all of them.

A search is bound by cache misses, not by arithmetic. It therefore runs in passes over small arrays
whose loads do not depend on one another (buckets, then row numbers, then one word of each candidate),
and rejects candidates by adding a comparison to a counter instead of branching on it: the processor
keeps dozens of misses under way at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from whence.engine.kernels import distance, longer, population

GROUP_BITS = 4
GROUP = 1 << GROUP_BITS  # buckets described by one record of the directory
RECORD = 1 + GROUP // 4  # uint32 a record: where the group starts, then one byte a bucket with its size
CROWDED = 255  # a bucket of this many rows or more does not fit a byte; its group is listed elsewhere

_CANDIDATES = 4096  # candidates examined at a time: their row numbers and first words stay in cache


@njit(nogil=True)
def _key(low: np.uint64, high: np.uint64, shift: int, bits: int) -> Any:
    """`bits` bits from `shift` on of the 128-bit number whose halves are `low` and `high`."""
    key = low >> np.uint64(shift)
    if shift + bits > 64:
        key |= high << np.uint64(64 - shift)
    return key & np.uint64((1 << bits) - 1)


@njit(nogil=True, cache=True)
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
    for part in range(1 << top):
        starts[part + 1] += starts[part]
    following = starts[:-1].copy()
    for row in range(low.shape[0]):
        key = _key(low[row], high[row], shift, bits)
        part = np.int64(key >> rest)
        entries[following[part]] = (key & below) << np.uint64(32) | np.uint64(row)
        following[part] += 1
    return starts


@njit(nogil=True, cache=True)
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
    record of such a group has CROWDED as its first byte and, as its last number, its place in that list.
    """
    starts = np.zeros((1 << bits) + 1, dtype=np.int64)
    for i in range(entries.shape[0]):
        starts[np.int64(entries[i] >> np.uint64(32)) + 1] += 1
    groups = (1 << bits) >> GROUP_BITS
    crowded = 0
    for group in range(groups):
        for i in range(RECORD):
            records[group, i] = 0
        largest = 0
        for i in range(GROUP):
            size = starts[group * GROUP + i + 1]
            largest = max(largest, size)
            if size < CROWDED:
                records[group, 1 + i // 4] |= np.uint32(size << (8 * (i % 4)))
        if largest >= CROWDED:
            records[group, 1] = CROWDED
            records[group, RECORD - 1] = listed + crowded
            crowded += 1
    for bucket in range(1 << bits):
        starts[bucket + 1] += starts[bucket]
    bounds = np.empty((crowded, GROUP + 1), dtype=np.uint32)
    crowded = 0
    for group in range(groups):
        records[group, 0] = base + starts[group * GROUP]
        if records[group, 1] & np.uint32(255) == CROWDED:
            for i in range(GROUP + 1):
                bounds[crowded, i] = base + starts[group * GROUP + i]
            crowded += 1
    for i in range(entries.shape[0]):
        bucket = np.int64(entries[i] >> np.uint64(32))
        rows[starts[bucket]] = np.uint32(entries[i] & np.uint64(0xFFFFFFFF))
        starts[bucket] += 1
    return bounds


@njit(nogil=True)
def _bucket(records: NDArray[np.uint32], crowded: NDArray[np.uint32], listed: int, key: np.uint64) -> Any:
    """Where a bucket starts and how many rows it holds."""
    record = records[key >> np.uint64(GROUP_BITS)]
    place = np.int64(key & np.uint64(GROUP - 1))
    if record[1] & np.uint32(255) == CROWDED:
        bounds = crowded[listed + record[RECORD - 1]]
        return np.int64(bounds[place]), np.int64(bounds[place + 1]) - np.int64(bounds[place])
    # The sizes before this bucket are added eight bytes at a time: pairs of bytes to 16 bits first,
    # then the four sums by one multiplication, whose highest 16 bits are their total.
    left = np.uint64(record[1]) | np.uint64(record[2]) << np.uint64(32)
    right = np.uint64(record[3]) | np.uint64(record[4]) << np.uint64(32)
    turn = np.uint64(8 * (place & 7))
    before = (np.uint64(1) << turn) - np.uint64(1)
    if place < 8:
        size = left >> turn
        left &= before
        right = np.uint64(0)
    else:
        size = right >> turn
        right &= before
    pairs = np.uint64(0x00FF00FF00FF00FF)
    ones = np.uint64(0x0001000100010001)
    eight = np.uint64(8)
    sums = (left & pairs) + (left >> eight & pairs) + (right & pairs) + (right >> eight & pairs)
    return np.int64(record[0]) + np.int64(sums * ones >> np.uint64(48)), np.int64(size & np.uint64(255))


@njit(nogil=True)
def _words(
    p0: NDArray[np.uint64], p1: NDArray[np.uint64], p2: NDArray[np.uint64], p3: NDArray[np.uint64], word: int
) -> Any:
    """The plane of one word, counted around."""
    word &= 3
    if word == 0:
        return p0
    if word == 1:
        return p1
    if word == 2:
        return p2
    return p3


@njit(nogil=True)
def _reject(
    plane: NDArray[np.uint64], word: np.uint64, rows: NDArray[np.int64], left: NDArray[np.int64], count: int
) -> Any:
    """Take the distance of one word from what each candidate has left; how many stay, moved to the front."""
    kept = 0
    for i in range(count):
        row = rows[i]
        rest = left[i] - population(plane[row] ^ word)
        rows[kept] = row
        left[kept] = rest
        kept += rest >= 0
    return kept


@njit(nogil=True)
def _found_before(
    p0: NDArray[np.uint64],
    p1: NDArray[np.uint64],
    p2: NDArray[np.uint64],
    p3: NDArray[np.uint64],
    row: int,
    query: NDArray[np.uint64],
    table: int,
    offsets: NDArray[np.int64],
    bits: int,
    reach: NDArray[np.int64],
) -> Any:
    """Whether an earlier table finds this row too: the first that does reports it."""
    for earlier in range(table):
        word, shift = offsets[earlier] >> 6, offsets[earlier] & 63
        low = _words(p0, p1, p2, p3, word)[row] ^ query[word]
        high = _words(p0, p1, p2, p3, word + 1)[row] ^ query[(word + 1) & 3]
        if population(_key(low, high, shift, bits)) <= reach[earlier]:
            return True
    return False


@njit(nogil=True, cache=True)
def search(
    p0: NDArray[np.uint64],
    p1: NDArray[np.uint64],
    p2: NDArray[np.uint64],
    p3: NDArray[np.uint64],
    rows: NDArray[np.uint32],
    records: NDArray[np.uint32],
    crowded: NDArray[np.uint32],
    listed: NDArray[np.int64],
    offsets: NDArray[np.int64],
    bits: int,
    reach: NDArray[np.int64],
    wide: NDArray[np.uint32],
    narrow: NDArray[np.uint32],
    queries: NDArray[np.uint64],
    radius: int,
    dead: NDArray[np.bool_],
    first: int,
    last: int,
    most: int,
) -> Any:
    """Query, row and distance of pairs within the radius that tables first..last are the first to find.

    `offsets` are the first bits of the keys, `reach` how far each table is probed: `wide` holds the
    masks of the tables that reach as far as table 0, `narrow` those of the others. A query for which
    these tables hold more than `most` candidates is not searched: the last array returned says which.
    """
    found_query = np.empty(64, dtype=np.int64)
    found_row = np.empty(64, dtype=np.int64)
    found_far = np.empty(64, dtype=np.int64)
    count = 0
    refused = np.zeros(queries.shape[0], dtype=np.bool_)
    probes = (last - first) * wide.shape[0]
    starts = np.empty(probes, dtype=np.uint32)
    sizes = np.empty(probes, dtype=np.uint32)
    waiting = np.empty(_CANDIDATES + 4, dtype=np.int64)
    left = np.empty(_CANDIDATES + 4, dtype=np.int64)
    for q in range(queries.shape[0]):
        query = queries[q]
        probe = 0
        candidates = 0
        for table in range(first, last):
            if reach[table] < 0:
                continue
            masks = wide if reach[table] == reach[0] else narrow
            word, shift = offsets[table] >> 6, offsets[table] & 63
            key = _key(query[word], query[(word + 1) & 3], shift, bits)
            for mask in masks:
                start, size = _bucket(records[table], crowded, listed[table], key ^ np.uint64(mask))
                starts[probe] = start
                sizes[probe] = size
                candidates += size
                probe += 1
        if candidates > most:
            refused[q] = True
            continue
        probe = 0
        for table in range(first, last):
            if reach[table] < 0:
                continue
            masks = wide if reach[table] == reach[0] else narrow
            word = offsets[table] >> 6
            # Neither of these words holds a bit of the key, so their distances add to the mask's.
            third, fourth = word + 2, word + 3
            held = 0
            for number in range(masks.shape[0]):
                at = np.int64(starts[probe])
                end = at + np.int64(sizes[probe])
                spare = radius - population(np.uint64(masks[number]))
                probe += 1
                final = number + 1 == masks.shape[0]
                while at < end or final:
                    take = min(end - at, _CANDIDATES - held)
                    for i in range(take):
                        waiting[held + i] = rows[table, at + i]
                        left[held + i] = spare
                    at += take
                    held += take
                    if held < _CANDIDATES and not (final and at == end):
                        continue
                    plane = _words(p0, p1, p2, p3, third)
                    held = _reject(plane, query[third & 3], waiting, left, held)
                    plane = _words(p0, p1, p2, p3, fourth)
                    held = _reject(plane, query[fourth & 3], waiting, left, held)
                    for i in range(held):
                        row = waiting[i]
                        apart = distance(p0, p1, p2, p3, row, query)
                        if apart > radius or (dead.shape[0] > 0 and dead[row]):
                            continue
                        if _found_before(p0, p1, p2, p3, row, query, table, offsets, bits, reach):
                            continue
                        if count == found_row.shape[0]:
                            found_query = longer(found_query, count + 1)
                            found_row = longer(found_row, count + 1)
                            found_far = longer(found_far, count + 1)
                        found_query[count] = q
                        found_row[count] = row
                        found_far[count] = apart
                        count += 1
                    held = 0
                    if at == end:
                        final = False
    return found_query[:count].copy(), found_row[:count].copy(), found_far[:count].copy(), refused
