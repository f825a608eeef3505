"""The kinds of derived indexes, as `DerivedSuite` tests them: a source in memory, and brute force."""

from __future__ import annotations

import hashlib
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import vector_scan
from wherefrom.engine.column_files import ColumnFiles
from wherefrom.engine.columns import Columns
from wherefrom.engine.derived_files import DerivedFiles, Manifest
from wherefrom.engine.hamming import Found, HammingIndex
from wherefrom.engine.rows import RowFiles
from wherefrom.engine.sizes import CellSizes, CodeSizes, ColumnSizes, WordSizes
from wherefrom.engine.vectors import DIMENSIONS, WIDTHS, VectorsIndex
from wherefrom.engine.vectors import Found as FoundVectors
from wherefrom.engine.word_files import VOCABULARY
from wherefrom.engine.words import Postings, Votes, WordFiles, WordQuery, WordsIndex

FEATURE = "tests-1"

I = TypeVar("I")  # noqa: E741 - what an image has
Floats = NDArray[np.float32]
Code = NDArray[np.uint8]
Hit = tuple[int, float]


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


class Kind(ABC, Generic[I]):
    """What the suite has to know of a kind of index."""

    nothing: ClassVar[Any]
    """What an image without rows has."""
    every_image: ClassVar[int] = 1
    """Keys without rows that count as one with, when it comes to sealing."""
    longer_files: ClassVar[bool] = False
    """Whether files may have more in them than the manifest says."""
    impossible: ClassVar[Sequence[dict[str, Any]]]
    """What a manifest of 20 images may not say."""

    @abstractmethod
    def item(self, seed: int) -> I:
        """What an image of this seed has, which is something."""

    @abstractmethod
    def packed(self, images: dict[int, I]) -> Any:
        """The rows of images, as the source gives them."""

    @abstractmethod
    def opened(
        self, directory: Path, source: MemorySource[I], *, write: bool = True, feature: str = FEATURE
    ) -> Any:
        """The index, with numbers so small that a few images are sealed."""

    @abstractmethod
    def files(self, directory: Path, feature: str = FEATURE) -> DerivedFiles[Any]:
        """Its files."""

    @abstractmethod
    def check(self, index: Any, source: MemorySource[I], seed: int = 0) -> None:
        """The index gives what looking at every row gives, to a question that follows from the seed."""

    @abstractmethod
    def finds(self, index: Any, item: I, key: int) -> bool:
        """Whether somebody who looks for just this item finds that image."""

    def source(self, seeds: Iterable[int] = ()) -> MemorySource[I]:
        source = MemorySource[I](self.packed)
        for seed in seeds:
            source.add(self.item(seed))
        return source

    def filled(self, directory: Path, count: int) -> tuple[Any, MemorySource[I]]:
        """Images of the seeds 0, 1, ..., each read and sealed when it came."""
        source = self.source()
        index = self.opened(directory, source)
        for seed in range(count):
            source.add(self.item(seed))
            index.refresh()
        return index, source

    def manifest(self, directory: Path) -> Any:
        found: Manifest | None = self.files(directory).manifest()
        assert found is not None
        return found


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


class CodesKind(Kind[list[Code]]):
    nothing: ClassVar[Any] = []
    impossible = ({"rows": 999}, {"hashed": 21}, {"rows": -1}, {"format": 2}, {"more": 1})
    SIZES = CodeSizes(seal=16, compact=16, seal_at_close=4, hashed=40)

    def item(self, seed: int) -> list[Code]:
        """One code of its own, or two near one of four centres."""
        if seed % 4:
            return [code(seed)]
        chance = random.Random(seed)
        near = code(-1 - seed % 3)
        return [flipped(near, chance.sample(range(256), chance.randrange(40))) for _ in range(2)]

    def packed(self, images: dict[int, list[Code]]) -> tuple[NDArray[np.int64], Code]:
        entries = [2 * key + n for key, codes in images.items() for n in range(len(codes))]
        codes = [one for several in images.values() for one in several]
        return np.array(entries, np.int64), np.array(codes, np.uint8).reshape(-1, 32)

    def opened(
        self, directory: Path, source: Any, *, write: bool = True, feature: str = FEATURE
    ) -> HammingIndex:
        return HammingIndex(directory, source, feature=feature, write=write, sizes=self.SIZES)

    def files(self, directory: Path, feature: str = FEATURE) -> RowFiles:
        return RowFiles(directory, feature)

    def check(self, index: HammingIndex, source: MemorySource[list[Code]], seed: int = 0) -> None:
        chance = random.Random(seed)
        there = [code(-1 - n) for n in range(3)]
        there += [one for codes in list(source.live.values())[-40:] for one in codes]
        query = flipped(chance.choice(there), chance.sample(range(256), chance.randrange(6)))
        radius, k = chance.choice([0, 3, 31, 45, chance.randrange(257)]), chance.randrange(1, 30)
        everything = distances(source, query)
        assert pairs(index.within(query[None], radius)) == [row for row in everything if row[1] <= radius]
        assert pairs(index.nearest(query[None], k)) == everything[:k]
        assert len(index) == len(everything)

    def finds(self, index: HammingIndex, item: list[Code], key: int) -> bool:
        return all(2 * key + n in index.within(one[None], 0).entry for n, one in enumerate(item))


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


class WordsKind(Kind[np.ndarray]):
    nothing: ClassVar[Any] = np.zeros(0, ROW)
    every_image = 16
    impossible = (
        {"format": 2},
        {"more": 1},
        {"key": 3},
        {"segments": [1]},
        {"first": 0},
        {"images": 65_537},
        {"last": -1},
    )
    SIZES = WordSizes(seal=4, seal_at_close=3, read=8, segment=64)

    def item(self, seed: int) -> np.ndarray:
        return keypoints(seed, 2 + seed % 2)

    def packed(self, images: dict[int, np.ndarray]) -> Postings:
        return postings_of(images)

    def opened(
        self, directory: Path, source: Any, *, write: bool = True, feature: str = FEATURE
    ) -> WordsIndex:
        return WordsIndex(directory, source, feature=feature, write=write, threads=2, sizes=self.SIZES)

    def files(self, directory: Path, feature: str = FEATURE) -> WordFiles:
        return WordFiles(directory, feature)

    def check(self, index: WordsIndex, source: MemorySource[np.ndarray], seed: int = 0) -> None:
        """Both paths do."""
        asked, limit = word_queries(seed, 1 + seed % 6), 1 + seed % 11
        index.refresh()
        parts = [*index._sealed.segments, *index._tail.segments]
        counts = sum((one.counts() for one in parts), np.zeros(VOCABULARY, np.int64))
        of_live = np.bincount(postings_of(source.live).words, minlength=VOCABULARY)
        assert (counts >= of_live).all()
        worded = {key: one for key, one in source.live.items() if len(one)}
        held = sum(len(one.images) for one in parts)
        assert len(index) == len(worded) <= held
        if not source.removed:
            assert (counts == of_live).all()
            assert held == len(worded)
        due = best_words(worded, counts, held, asked)[:limit]
        for compiled in (False, True):
            same_votes(index.search(asked, limit, compiled=compiled), due)

    def finds(self, index: WordsIndex, item: np.ndarray, key: int) -> bool:
        asked = [WordQuery(item["word"][:, None], item["signature"], item["angle"], item["scale"])]
        return key in index.search(asked, 1000).keys


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


class ColumnsKind(Kind[bytes]):
    nothing: ClassVar[Any] = b""
    longer_files = True
    impossible = (
        {"rows": 41},
        {"rows": -1},
        {"widths": ()},
        {"widths": (0, 8)},
        {"format": 3},
        {"more": 1},
        {"grouped": 41},
    )
    WIDTHS = COLUMN_WIDTHS
    NAME = "tests index"
    SIZES = ColumnSizes(seal=16, compact=16, seal_at_close=4, read=10)

    def item(self, seed: int) -> bytes:
        return row(seed)

    def packed(self, images: dict[int, bytes]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        data = np.frombuffer(b"".join(images.values()), np.uint8).reshape(-1, sum(self.WIDTHS))
        return np.array([key for key, one in images.items() if one], np.int64), data

    def columns(self, directory: Path, source: Any, *, write: bool, feature: str) -> Columns:
        return Columns(
            directory,
            source,
            self.WIDTHS,
            feature=feature,
            write=write,
            name=self.NAME,
            sizes=self.SIZES,
        )

    def opened(self, directory: Path, source: Any, *, write: bool = True, feature: str = FEATURE) -> Any:
        return self.columns(directory, source, write=write, feature=feature)

    def files(self, directory: Path, feature: str = FEATURE) -> ColumnFiles:
        return ColumnFiles(directory, feature, self.WIDTHS, self.NAME)

    def check(self, index: Columns, source: MemorySource[bytes], seed: int = 0) -> None:
        there, grouped = held(index), index.snapshot().sealed.grouped
        assert list(there.items())[grouped:] == sorted(there.items())[grouped:]
        assert there == rows_of(source)
        assert len(index) == len(there)
        for part in index.snapshot()[1:]:
            keys = np.array(sorted(there)[seed % 3 :: 3], np.int64)
            places = part.places(keys)
            assert sorted(part.keys[places].tolist()) == [key for key in keys if key in part.keys]
            assert (np.diff(places) > 0).all()

    def finds(self, index: Columns, item: bytes, key: int) -> bool:
        return held(index).get(key) == item


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


class VectorsKind(ColumnsKind):
    """Vectors, with cells from 40 rows on."""

    WIDTHS = WIDTHS
    NAME = "vectors index"
    CELLS = CellSizes(
        least_rows=40,
        least_growth=16,
        gather=3,
        least_cells=2,
        depths=(3, 12),
        sample=30,
        part=25,
        assigned=9,
    )

    def item(self, seed: int) -> bytes:
        return stored(seed + 1)

    def opened(
        self,
        directory: Path,
        source: Any,
        *,
        write: bool = True,
        feature: str = FEATURE,
        cells: CellSizes = CELLS,
        compiled: bool | None = True,
    ) -> VectorsIndex:
        columns = self.columns(directory, source, write=write, feature=feature)
        return VectorsIndex(columns, sizes=cells, compiled=compiled)

    def check(self, index: Any, source: MemorySource[bytes], seed: int = 0) -> None:
        every = seed % 10
        allowed = set(range(1 + seed % 3, source.key + 1000 * (seed % 2), every)) if every else None
        check_cells(index, source, vector(seed + 1), 1 + seed % 30, allowed)

    def finds(self, index: Any, item: bytes, key: int) -> bool:
        numbers = np.frombuffer(item[:DIMENSIONS], np.int8).astype(np.float32)
        numbers /= np.linalg.norm(numbers)
        return key in index.search(numbers[None], 1000, exact=True).key


CODES, WORDS, COLUMNS, VECTORS = CodesKind(), WordsKind(), ColumnsKind(), VectorsKind()
