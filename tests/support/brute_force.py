"""What images have in tests of derived indexes, and what looking at every row gives."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import vector_scan
from wherefrom.engine.columns import Columns
from wherefrom.engine.hamming import Found
from wherefrom.engine.vectors import DIMENSIONS, WIDTHS, VectorsIndex
from wherefrom.engine.vectors import Found as FoundVectors
from wherefrom.engine.words import Postings, Votes, WordQuery

Floats = NDArray[np.float32]
Code = NDArray[np.uint8]
Hit = tuple[int, float]


I = TypeVar("I")  # noqa: E741 - what an image has


class Marks(NamedTuple):
    key: int
    removal: int


class MemorySource(Generic[I]):
    """A source whose every image is in a dict: what the index has to equal."""

    def __init__(self, pack: Callable[[dict[int, I]], Any]) -> None:
        self.pack = pack
        self.lock = threading.Lock()
        self.live: dict[int, I] = {}
        self.removed: list[int] = []
        self.key = 0

    def add(self, image: I) -> int:
        """The key of a new image."""
        with self.lock:
            self.live[self.key + 1] = image
            self.key += 1
            return self.key

    def remove(self, key: int) -> None:
        with self.lock:
            del self.live[key]
            self.removed.append(key)

    def marks(self) -> Marks:
        return Marks(self.key, len(self.removed))

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self.removed[seq:], max(seq, len(self.removed))

    def rows_after(self, key: int, limit: int) -> tuple[int, Any]:
        with self.lock:
            there = {one: self.live[one] for one in [one for one in sorted(self.live) if one > key][:limit]}
        return max(there, default=key), self.pack(there)


# Codes


def code(seed: int) -> Code:
    """A code of its own for each seed; codes of unrelated seeds lie about 128 bits apart."""
    return np.frombuffer(hashlib.sha256(b"code %d" % seed).digest(), np.uint8)


def flipped(start: Code, bits: Iterable[int]) -> Code:
    """A code with some of its 256 bits changed."""
    changed = start.copy()
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return changed


def distances(source: MemorySource[list[Code]], query: Code) -> list[tuple[int, int]]:
    """Every live entry with its distance, nearest first and of equals the lower entry."""
    rows = [(2 * key + n, one) for key, codes in source.live.items() for n, one in enumerate(codes)]
    pairs = [(entry, int(np.bitwise_count(one ^ query).sum())) for entry, one in rows]
    return sorted(pairs, key=lambda row: (row[1], row[0]))


def pairs(found: Found) -> list[tuple[int, int]]:
    assert found.query.tolist() == [0] * len(found.query)
    return list(zip(found.entry.tolist(), found.distance.tolist(), strict=True))


# Words

ROW = np.dtype([("word", "u2"), ("signature", "u8"), ("angle", "u1"), ("scale", "u1")])
FEW_WORDS = np.array([0, 1, 7, 300, 65_535], np.uint16)


def keypoints(seed: int, count: int) -> np.ndarray:
    """Keypoints that share words, and signatures that lie near one another or about 12 bits away."""
    rng = np.random.default_rng(seed)
    found = np.zeros(count, ROW)
    found["word"] = rng.choice(FEW_WORDS, count, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    flips = rng.random((count, 64)) < rng.choice([0.02, 0.1, 0.12], (count, 1))
    found["signature"] = np.packbits(flips, axis=1).view("<u8")[:, 0]
    found["angle"] = rng.choice([0, 1, 3, 4, 12, 128, 200, 255], count)
    found["scale"] = rng.choice([0, 3, 4, 5, 8, 12, 60, 255], count)
    return found


def word_query(seed: int, count: int, each: int = 2) -> WordQuery:
    one = keypoints(seed, count)
    assigned = np.random.default_rng(seed + 1).choice(FEW_WORDS, (count, each))
    return WordQuery(assigned, one["signature"].copy(), one["angle"].copy(), one["scale"].copy())


def word_queries(seed: int, count: int = 6) -> list[WordQuery]:
    return [
        word_query(seed, count),
        word_query(seed + 1000, count // 2, 3),
        word_query(seed + 2000, 0),
    ]


def postings_of(images: dict[int, np.ndarray]) -> Postings:
    keys = np.repeat(np.array(list(images), np.int64), [len(one) for one in images.values()])
    every = np.concatenate([np.zeros(0, ROW), *images.values()])
    return Postings(
        keys,
        every["word"].copy(),
        every["signature"].copy(),
        every["angle"].copy(),
        every["scale"].copy(),
    )


def best_words(
    live: dict[int, np.ndarray], counts: np.ndarray, images: int, asked: Sequence[WordQuery]
) -> list[tuple[int, int, int]]:
    """(score in parts of 65,536, key, variant) of every image, best first, worked out posting by posting."""
    best: dict[int, tuple[int, int]] = {}
    for key, postings in live.items():
        for variant, one in enumerate(asked):
            angles, scales = [0] * 32, [0] * 65
            for words, signature, angle, scale in zip(
                one.words.tolist(),
                one.signatures.tolist(),
                one.angles.tolist(),
                one.scales.tolist(),
                strict=True,
            ):
                met = []
                for word, other, turned, sized in postings.tolist():
                    apart = (signature ^ other).bit_count()
                    if word in words and apart <= 12:
                        idf = np.log(1 + images / (1 + counts[word]))
                        weight = int(np.rint(idf**2 * (65_536 * np.exp(-((apart / 8) ** 2)))))
                        met.append((weight, (angle - turned + 4) % 256 // 8, (scale - sized + 260) // 8))
                if met:
                    weight, turn, size = max(met)
                    angles[turn] += weight
                    scales[size] += weight
            turns = max(angles[n - 1] + angles[n] + angles[(n + 1) % 32] for n in range(32))
            sizes = max(sum(scales[max(0, n - 1) : n + 2]) for n in range(65))
            if min(turns, sizes) > best.get(key, (0, 0))[0]:
                best[key] = min(turns, sizes), variant
    return sorted(((s, key, v) for key, (s, v) in best.items()), key=lambda row: (-row[0], row[1]))


def same_votes(votes: Votes, due: Sequence[tuple[int, int, int]]) -> None:
    assert votes.keys.tolist() == [key for _, key, _ in due]
    assert votes.variants.tolist() == [variant for _, _, variant in due]
    assert votes.scores.tolist() == [np.float32(score / 65_536) for score, _, _ in due]
    assert [str(one.dtype) for one in (votes.keys, votes.variants, votes.scores)] == [
        "int64",
        "int64",
        "float32",
    ]


# Columns

COLUMN_WIDTHS = (6, 2)


def row(seed: int) -> bytes:
    """Eight bytes of its own for each seed."""
    return np.random.default_rng([3, abs(seed), seed < 0]).bytes(sum(COLUMN_WIDTHS))


def rows_of(source: MemorySource[bytes]) -> dict[int, bytes]:
    """What columns have to hold."""
    return {key: data for key, data in sorted(source.live.items()) if data}


def held(columns: Columns) -> dict[int, bytes]:
    """Every live row, in the order in which they lie."""
    _, *parts = columns.snapshot()
    found: dict[int, bytes] = {}
    for part in parts:
        assert part.removed == np.count_nonzero(part.dead)
        assert [one.shape[0] for one in part.fields] == [part.count] * len(part.fields)
        for keys, fields in part.live():
            joined = np.concatenate(fields, axis=1)
            found.update(zip(keys.tolist(), (one.tobytes() for one in joined), strict=True))
    return found


# Vectors


def vector(seed: int) -> Floats:
    """A vector of length 1: seeds of one remainder by 5 are alike, and every seventh is an exact double."""
    seed = seed // 7 if seed % 7 == 0 else seed
    rng = np.random.default_rng([5, seed % 5])
    centre = rng.standard_normal(DIMENSIONS)
    mixed = centre + 0.5 * np.random.default_rng([6, seed]).standard_normal(DIMENSIONS)
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


@cache
def stored(seed: int) -> bytes:
    """A vector as the catalog keeps it."""
    numbers = vector(seed)
    scale = np.float32(np.abs(numbers).max() / 127)
    return bytes(np.rint(numbers / scale).astype(np.int8).tobytes() + scale.tobytes())


def best_vectors(rows: dict[int, bytes], query: Floats, k: int, allowed: set[int] | None = None) -> list[Hit]:
    """The k best of all rows, in the arithmetic that the index promises."""
    asked = vector_scan.quantised(query[None])
    keys = [key for key in rows if allowed is None or key in allowed]
    data = np.frombuffer(b"".join(rows[key] for key in keys), np.uint8).reshape(-1, sum(WIDTHS))
    sums = data[:, :DIMENSIONS].view(np.int8).astype(np.int64) @ asked.codes[0].astype(np.int64)
    scales = data[:, DIMENSIONS:].copy().view("<f4")[:, 0]
    found = zip(keys, (sums.astype(np.float32) * scales * asked.units[0]).tolist(), strict=True)
    return sorted(found, key=lambda one: (-one[1], one[0]))[:k]


def hits(found: FoundVectors, query: int = 0) -> list[Hit]:
    mine = found.query == query
    return list(zip(found.key[mine].tolist(), found.similarity[mine].tolist(), strict=True))


def check_exact(
    index: VectorsIndex,
    source: MemorySource[bytes],
    query: Floats,
    k: int,
    allowed: set[int] | None = None,
) -> None:
    """The index gives what comparing every row gives."""
    keys = None if allowed is None else np.array(sorted(allowed), np.int64)
    found = index.search(query[None], k, allowed=keys, exact=True)
    assert hits(found) == best_vectors(rows_of(source), query, k, allowed)
    assert len(index) == len(rows_of(source))


def check_cells(
    index: VectorsIndex,
    source: MemorySource[bytes],
    query: Floats,
    k: int,
    allowed: set[int] | None = None,
) -> None:
    """Exact search is exact; the other gives as many, each with its similarity, in order."""
    check_exact(index, source, query, k, allowed)
    everything = dict(best_vectors(rows_of(source), query, len(source.live), allowed))
    keys = None if allowed is None else np.array(sorted(allowed), np.int64)
    found = hits(index.search(query[None], k, allowed=keys))
    assert len(found) == min(k, len(everything))
    assert len({key for key, _ in found}) == len(found)
    assert all(everything[key] == similarity for key, similarity in found)
    assert found == sorted(found, key=lambda one: (-one[1], one[0]))
