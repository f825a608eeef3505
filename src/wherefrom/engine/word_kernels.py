"""Compiled voting: the same answers as the NumPy path of `word_votes.py`, at the speed of memory.

Importing this module imports Numba, which takes longer than a vote in a small collection; only
`word_votes.py` does so. The kernels release the interpreter lock and are kept on disk once compiled.

Nearly all time goes into reading signatures, list after list. Lists are short and lie anywhere, so the
beginning of those to come is asked for ahead; what a posting says beside its signature is read only of
the one in a hundred whose signature is near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wherefrom.engine.kernels import kernel, longer, population
from wherefrom.engine.mih_kernels import prefetch

ANGLE_BINS = 32
SCALE_BINS = 65
BIN_BITS = 12  # of a value: 5 for the bin of the angle, 7 for that of the scale

_AHEAD = 1024  # signatures of the next list that are asked for in advance
_HITS_AHEAD = 24  # near postings whose details are asked for in advance
_LINE = 8  # signatures in a cache line
_BLOCK = 32  # signatures looked at together: in most blocks none is near


@njit(nogil=True)
def _near(signatures: NDArray[np.uint64], signature: np.uint64, near: int, places: NDArray[np.int64]) -> Any:
    """Fill `places` with those of the signatures less than `near` bits away; how many there are."""
    count = 0
    for start in range(0, signatures.shape[0], _BLOCK):
        block = signatures[start : start + _BLOCK]
        least = np.int64(64)
        for i in range(block.shape[0]):
            least = min(least, population(block[i] ^ signature))
        if least >= near:
            continue
        for i in range(block.shape[0]):
            if population(block[i] ^ signature) < near:
                places[count] = start + i
                count += 1
    return count


@kernel
def hits(
    offsets: NDArray[np.uint32],
    signatures: NDArray[np.uint64],
    details: NDArray[np.uint32],
    dead: NDArray[np.bool_],
    words: NDArray[np.int64],
    keypoints: NDArray[np.int64],
    squared: NDArray[np.float64],
    asked: NDArray[np.uint64],
    turns: NDArray[np.int64],
    sizes: NDArray[np.int64],
    variants: NDArray[np.int64],
    kinds: int,
    decay: NDArray[np.float64],
) -> Any:
    """(slot, keypoint, value) of every near posting of a segment, as `word_votes.numpy_hits` gives them.

    Bounds are held to what there is: a damaged file gives wrong answers, not a crash.
    """
    length, pairs = np.int64(signatures.shape[0]), words.shape[0]
    room: Any = np.int64(1 << 14)
    place = np.empty(room, dtype=np.int64)
    which = np.empty(room, dtype=np.int64)
    near: Any = np.int64(0)
    for pair in range(pairs):
        following = words[min(pair + 1, pairs - 1)]
        start = np.int64(offsets[following])
        for line in range(start, min(np.int64(offsets[following + 1]), start + _AHEAD), _LINE):
            prefetch(signatures, line)
        first = min(np.int64(offsets[words[pair]]), length)
        last = max(first, min(np.int64(offsets[words[pair] + 1]), length))
        if near + last - first > room:
            room = 2 * (near + last - first)
            place = longer(place, room)
            which = longer(which, room)
        found = _near(signatures[first:last], asked[keypoints[pair]], decay.shape[0], place[near:])
        for i in range(near, near + found):
            place[i] += first
            which[i] = pair
        near += found
    slot = np.empty(near, dtype=np.int64)
    keypoint = np.empty(near, dtype=np.int64)
    value = np.empty(near, dtype=np.int64)
    count = 0
    for i in range(near):
        prefetch(details, place[min(i + _HITS_AHEAD, near - 1)])
        prefetch(signatures, place[min(i + _HITS_AHEAD, near - 1)])
        at, pair = place[i], which[i]
        detail = np.int64(details[at])
        image = detail >> 16
        if image < dead.shape[0] and not dead[image]:
            point = keypoints[pair]
            apart = population(signatures[at] ^ asked[point])
            turn = (turns[point] - (detail >> 8 & 255) + 4) >> 3 & (ANGLE_BINS - 1)
            size = (sizes[point] - (detail & 255) + 260) >> 3
            weight = np.int64(np.rint(squared[pair] * decay[apart]))
            slot[count] = image * kinds + variants[point]
            keypoint[count] = point
            value[count] = weight << BIN_BITS | turn << 7 | size
            count += 1
    return slot[:count], keypoint[:count], value[:count]


@njit(nogil=True)
def _highest(bins: NDArray[np.int64], circular: bool) -> Any:
    """The largest sum of three neighbouring bins."""
    count = bins.shape[0]
    before = bins[count - 1] if circular else np.int64(0)
    highest = before + bins[0] + bins[1]
    for i in range(1, count - 1):
        highest = max(highest, bins[i - 1] + bins[i] + bins[i + 1])
    after = bins[0] if circular else np.int64(0)
    return max(highest, bins[count - 2] + bins[count - 1] + after)


@njit(nogil=True)
def _score(
    first: int,
    following: NDArray[np.int32],
    keypoint: NDArray[np.int64],
    value: NDArray[np.int64],
    heaviest: NDArray[np.int64],
    touched: NDArray[np.int64],
    turns: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> Any:
    """The score of the hits chained from `first`; `heaviest` is zero before and after."""
    count = 0
    at = np.int64(first)
    while at >= 0:
        point = keypoint[at]
        if heaviest[point] == 0:
            touched[count] = point
            count += 1
        heaviest[point] = max(heaviest[point], value[at] + 1)  # plus one: a value may be zero
        at = np.int64(following[at])
    turns[:] = 0
    sizes[:] = 0
    for i in range(count):
        held = heaviest[touched[i]] - 1
        heaviest[touched[i]] = 0
        turns[held >> 7 & (ANGLE_BINS - 1)] += held >> BIN_BITS
        sizes[min(held & 127, SCALE_BINS - 1)] += held >> BIN_BITS
    return min(_highest(turns, True), _highest(sizes, False))


@kernel
def best(
    slot: NDArray[np.int64],
    keypoint: NDArray[np.int64],
    value: NDArray[np.int64],
    images: int,
    kinds: int,
    points: int,
    limit: int,
    floor: int,
) -> Any:
    """(image, variant, score) of the `limit` best images whose score is above `floor`, images rising.

    An image's score is at most the sum of its weights, and is worked out only where that sum is above
    what the best so far leave.
    """
    head = np.full(images * kinds, -1, dtype=np.int32)
    total = np.zeros(images * kinds, dtype=np.int64)
    following = np.empty(slot.shape[0], dtype=np.int32)
    for i in range(slot.shape[0]):
        following[i] = head[slot[i]]
        head[slot[i]] = i
        total[slot[i]] += value[i] >> BIN_BITS
    heaviest = np.zeros(points, dtype=np.int64)
    touched = np.empty(points, dtype=np.int64)
    turns = np.empty(ANGLE_BINS, dtype=np.int64)
    sizes = np.empty(SCALE_BINS, dtype=np.int64)
    room = 2 * limit
    found_image = np.empty(room, dtype=np.int64)
    found_kind = np.empty(room, dtype=np.int64)
    found_score = np.empty(room, dtype=np.int64)
    count = 0
    least = np.int64(floor)
    for image in range(images):
        highest, which = least, np.int64(-1)
        for kind in range(kinds):
            place = image * kinds + kind
            if total[place] > highest:
                score = total[place]  # of one hit
                if following[head[place]] >= 0:
                    score = _score(head[place], following, keypoint, value, heaviest, touched, turns, sizes)
                if score > highest:
                    highest, which = score, np.int64(kind)
        if which < 0:
            continue
        found_image[count] = image
        found_kind[count] = which
        found_score[count] = highest
        count += 1
        if count == room:
            # Of equals the first stay, which have the lower keys.
            least = np.sort(found_score)[room - limit]
            spare = limit
            for i in range(count):
                spare -= found_score[i] > least
            count = 0
            for i in range(room):
                equal = found_score[i] == least
                if found_score[i] > least or (equal and spare > 0):
                    spare -= equal
                    found_image[count] = found_image[i]
                    found_kind[count] = found_kind[i]
                    found_score[count] = found_score[i]
                    count += 1
    return found_image[:count].copy(), found_kind[:count].copy(), found_score[:count].copy()
