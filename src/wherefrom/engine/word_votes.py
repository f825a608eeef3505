"""Voting over postings of visual words: which images share keypoints with a query, and in one geometry.

After H. Jegou, M. Douze, C. Schmid, Hamming embedding and weak geometric consistency for large scale image
search, ECCV 2008. Stated exactly, since a brute-force twin is held equal to it:

A query is one `WordQuery` per *variant* (say plain, mirrored, negative). A keypoint of it and a posting
of a live image *meet* when the posting's word is one of the keypoint's words and their signatures differ
in h <= MAX_DISTANCE bits. The meeting has

    weight      rint(65,536 × idf(word)² × exp(-(h / SIGMA)²)), an integer: sums do not depend on their order
    idf(word)   log(1 + N / (1 + n)), N the images and n the postings of the word that are held, whether
                removed or not, until files are next written without what has been removed
    angle bin   ((query - posting + 4) mod 256) // 8, one of 32
    scale bin   (query - posting + 260) // 8, one of 65

The words of a query are asked in order of n, the rarest first, while what they hold stays within MOST_READ
postings in all. Of the meetings of one keypoint with one image only the heaviest counts; of equally heavy
ones that with
the highest angle bin, then the highest scale bin. The weights of an image's meetings add up in a histogram
over angle bins and one over scale bins. Of three neighbouring bins (the last angle bin has the first as
neighbour) the largest sum in either is taken, and the lesser of the two is the image's score for this
variant. The best variant counts, of equals the first. Images of score 0 are not returned.

Two paths give the same answer: NumPy, and the kernels of `word_kernels.py`, which are loaded only when
they pay.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import WordQuery
from wherefrom.engine.rows import Numbers
from wherefrom.engine.scan import readonly
from wherefrom.engine.word_files import Segment
from wherefrom.errors import UsageError

MAX_DISTANCE = 12
"""Bits, of 64, in which the signatures of two keypoints that meet may differ."""

SIGMA = 8.0
"""Bits at which a meeting's weight has fallen to 1/e."""

MOST_READ = 6_000_000
"""Postings that a search looks at; beyond that the most frequent of its words are passed over."""

UNIT = 65_536
"""Weights are whole numbers of 1/UNIT."""

NUMPY_POSTINGS = 2_000_000
"""Live postings that NumPy votes over before the kernels are loaded, which takes 0.4 s."""

_ANGLE_BINS, _SCALE_BINS, _BIN_BITS = 32, 65, 12
_BLOCK = 1 << 20  # postings that the NumPy path compares at a time

Triple = tuple[Numbers, Numbers, Numbers]


@dataclass(frozen=True, eq=False)
class Votes:
    """Images, best first, of equals the lower key; no image twice.

    `keys` int64 (k,); `variants` int64 (k,): which variant of the query each is for; `scores` float32
    (k,), above 0, higher is better.
    """

    keys: Numbers
    variants: Numbers
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, eq=False)
class Asked:
    """A query as the paths take it: pairs of a word and a keypoint, by word, and the keypoints.

    `words`, `keypoints` int64 and `squared` float64 (idf²) are of one length; `signatures` uint64,
    `angles`, `scales` and `variants` int64 of another. `kinds` is how many variants there are.
    """

    words: Numbers
    keypoints: Numbers
    squared: NDArray[np.float64]
    signatures: NDArray[np.uint64]
    angles: Numbers
    scales: Numbers
    variants: Numbers
    kinds: int


def decay() -> NDArray[np.float64]:
    """UNIT × exp(-(h / SIGMA)²) for h from 0 to MAX_DISTANCE."""
    return UNIT * np.exp(-((np.arange(MAX_DISTANCE + 1) / SIGMA) ** 2))


def vote(
    segments: Sequence[Segment],
    counts: Numbers,
    queries: Sequence[WordQuery],
    limit: int,
    *,
    threads: int = 1,
    compiled: bool | None = None,
) -> Votes:
    """The `limit` best images of all segments, whose keys follow one another.

    Args:
        segments: what is voted over.
        counts: int64 (VOCABULARY,): postings of each word, in all.
        queries: one for each variant.
        limit: at least 1.
        threads: over how many the segments are shared out; the answer is the same.
        compiled: True for the compiled kernels, False for NumPy, None to choose by size.

    Raises:
        UsageError: arrays or a limit other than said here.
    """
    if limit < 1:
        raise UsageError(f"At least 1 image can be asked for, not {limit}.")
    asked = _asked(queries, counts, sum(len(one.images) for one in segments))
    segments = [one for one in segments if one.live]
    if not len(asked.words) or not segments:
        none = np.zeros(0, np.int64)
        return Votes(none, none, none.astype(np.float32))
    limit = min(limit, sum(one.live for one in segments))
    kernels = _kernels(segments, compiled)
    waiting, lock = iter(segments), threading.Lock()

    def some() -> Triple:
        # Keys rise from segment to segment, so that of equals those found first stay.
        keys, variants, scores = (np.zeros(0, np.int64) for _ in range(3))
        while True:
            with lock:
                segment = next(waiting, None)
            if segment is None:
                return keys, variants, scores
            floor = int(scores[-1]) if len(scores) == limit else 0
            if kernels is None:
                image, variant, score = _numpy_best(numpy_hits(segment, asked), asked.kinds)
            else:
                image, variant, score = _compiled_best(kernels, segment, asked, limit, floor)
            keys, variants, scores = _best(
                (keys, segment.images[image]), (variants, variant), (scores, score), limit=limit
            )

    threads = min(threads, len(segments)) if kernels else 1
    if threads < 2:
        parts = [some()]
    else:
        with ThreadPoolExecutor(threads) as pool:
            parts = [future.result() for future in [pool.submit(some) for _ in range(threads)]]
    keys, variants, scores = _best(*zip(*parts, strict=True), limit=limit)
    return Votes(keys, variants, (scores / UNIT).astype(np.float32))


def numpy_hits(segment: Segment, asked: Asked) -> Triple:
    """The meetings with a segment's live images: int64 arrays (slot, keypoint, value).

    A slot is place in the segment × variants + variant; a value is weight << 12 | angle bin << 7 | scale
    bin, so that the largest of several is the one that counts.
    """
    weights, found = decay(), []
    bounds = segment.offsets.astype(np.int64).clip(0, len(segment.signatures))
    first = bounds[asked.words]
    lengths = (bounds[asked.words + 1] - first).clip(0)
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = ends[start] - lengths[start]
        stop = max(start + 1, int(np.searchsorted(ends, before + _BLOCK, "right")))
        some = slice(start, stop)
        pair = np.repeat(np.arange(start, stop), lengths[some])
        posting = np.arange(len(pair)) + np.repeat(
            first[some] - ends[some] + lengths[some] + before, lengths[some]
        )
        apart = np.bitwise_count(segment.signatures[posting] ^ asked.signatures[asked.keypoints[pair]])
        near = apart <= MAX_DISTANCE
        pair, posting, apart = pair[near], posting[near], apart[near]
        detail = segment.details[posting].astype(np.int64)
        image = detail >> 16
        there = image < len(segment.dead)
        there[there] = ~segment.dead[image[there]]
        pair, apart, detail, image = pair[there], apart[there], detail[there], image[there]
        keypoint = asked.keypoints[pair]
        turn = (asked.angles[keypoint] - (detail >> 8 & 255) + 4) >> 3 & (_ANGLE_BINS - 1)
        size = (asked.scales[keypoint] - (detail & 255) + 260) >> 3
        weight = np.rint(asked.squared[pair] * weights[apart]).astype(np.int64)
        value = weight << _BIN_BITS | turn << 7 | size
        found.append((image * asked.kinds + asked.variants[keypoint], keypoint, value))
        start = stop
    slot, keypoint, value = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return slot, keypoint, value


def _numpy_best(hits: Triple, kinds: int) -> Triple:
    slot, keypoint, value = hits
    order = np.lexsort((value, keypoint, slot))
    slot, keypoint, value = slot[order], keypoint[order], value[order]
    heaviest = np.diff(slot, append=-1).astype(bool) | np.diff(keypoint, append=-1).astype(bool)
    slot, value = slot[heaviest], value[heaviest]
    slots, row = np.unique(slot, return_inverse=True)
    weight, turn, size = value >> _BIN_BITS, value >> 7 & (_ANGLE_BINS - 1), value & 127
    turns = _histograms(row, turn, weight, len(slots), _ANGLE_BINS)
    sizes = _histograms(row, size, weight, len(slots), _SCALE_BINS)
    turns += np.roll(turns, 1, axis=1) + np.roll(turns, -1, axis=1)
    padded = np.pad(sizes, ((0, 0), (1, 1)))
    sizes += padded[:, :-2] + padded[:, 2:]
    score = np.minimum(turns.max(axis=1), sizes.max(axis=1))
    image, variant = slots // kinds, slots % kinds
    order = np.lexsort((variant, -score, image))
    order = order[np.diff(image[order], prepend=-1) > 0]
    order = order[score[order] > 0]
    return image[order], variant[order], score[order]


def _histograms(row: Numbers, column: Numbers, weight: Numbers, rows: int, columns: int) -> Numbers:
    # Sums below 2**53 are exact in float64.
    flat = np.bincount(row * columns + column, weight, minlength=rows * columns)
    return flat.astype(np.int64).reshape(rows, columns)


def _compiled_best(kernels: ModuleType, segment: Segment, asked: Asked, limit: int, floor: int) -> Triple:
    slot, keypoint, value = kernels.hits(
        readonly(segment.offsets),
        readonly(segment.signatures),
        readonly(segment.details),
        readonly(segment.dead),
        readonly(asked.words),
        readonly(asked.keypoints),
        readonly(asked.squared),
        readonly(asked.signatures),
        readonly(asked.angles),
        readonly(asked.scales),
        readonly(asked.variants),
        asked.kinds,
        readonly(decay()),
    )
    found: Triple = kernels.best(
        slot,
        keypoint,
        value,
        len(segment.images),
        asked.kinds,
        len(asked.signatures),
        min(limit, len(segment.images)),
        floor,
    )
    return found


def _best(
    keys: Sequence[Numbers], variants: Sequence[Numbers], scores: Sequence[Numbers], *, limit: int
) -> Triple:
    key, variant, score = np.concatenate(keys), np.concatenate(variants), np.concatenate(scores)
    order = np.lexsort((key, -score))[:limit]
    return key[order], variant[order], score[order]


def _asked(queries: Sequence[WordQuery], counts: Numbers, images: int, most: int = MOST_READ) -> Asked:
    words, keypoints, variants, seen = [], [], [], 0
    for number, query in enumerate(queries):
        _check(query)
        each = np.sort(query.words, axis=1).astype(np.int64)
        fresh = np.diff(each, axis=1, prepend=-1) > 0
        words.append(each[fresh])
        keypoints.append(seen + np.nonzero(fresh)[0])
        variants.append(np.full(len(each), number, np.int64))
        seen += len(each)
    none = np.zeros(0, np.int64)
    word, keypoint = np.concatenate([none, *words]), np.concatenate([none, *keypoints])
    # A picture full of frequent words (a page, a lawn) would have most of the index read: rare ones say more.
    rarest = np.argsort(counts[word], kind="stable")
    rarest = rarest[np.cumsum(counts[word[rarest]]) <= most]
    word, keypoint = word[rarest], keypoint[rarest]
    order = np.argsort(word, kind="stable")  # lists that lie near one another are read one after the other
    word = word[order]
    return Asked(
        word,
        keypoint[order],
        np.log(1 + images / (1 + counts[word])) ** 2,
        np.concatenate([np.zeros(0, np.uint64), *(query.signatures for query in queries)]),
        np.concatenate([none, *(query.angles.astype(np.int64) for query in queries)]),
        np.concatenate([none, *(query.scales.astype(np.int64) for query in queries)]),
        np.concatenate([none, *variants]),
        len(queries),
    )


def _check(query: WordQuery) -> None:
    count = len(query.words)
    if query.words.ndim != 2 or query.words.dtype != np.uint16:
        raise UsageError(
            f"Words are uint16 of shape (n, m), not {query.words.dtype} of shape {query.words.shape}."
        )
    for name, kind in (("signatures", np.uint64), ("angles", np.uint8), ("scales", np.uint8)):
        array: NDArray[np.generic] = getattr(query, name)
        if array.shape != (count,) or array.dtype != kind:
            raise UsageError(
                f"The {name} of {count} keypoints are {np.dtype(kind)} of shape ({count},), "
                f"not {array.dtype} of shape {array.shape}."
            )


def _kernels(segments: Sequence[Segment], compiled: bool | None) -> ModuleType | None:
    if compiled is None:
        live = sum(len(one.details) * one.live // max(1, len(one.images)) for one in segments)
        compiled = "wherefrom.engine.word_kernels" in sys.modules or live > NUMPY_POSTINGS
    if not compiled:
        return None
    from wherefrom.engine import word_kernels

    return word_kernels
