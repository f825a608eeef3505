"""The kinds of derived indexes, as `DerivedSuite` tests them: a source in memory, and brute force."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic

import numpy as np
from numpy.typing import NDArray

from tests.support.brute_force import (
    COLUMN_WIDTHS,
    ROW,
    Code,
    I,
    MemorySource,
    best_words,
    check_cells,
    code,
    distances,
    flipped,
    held,
    keypoints,
    pairs,
    postings_of,
    row,
    rows_of,
    same_votes,
    stored,
    vector,
    word_queries,
)
from wherefrom.engine.column_files import ColumnFiles
from wherefrom.engine.columns import Columns
from wherefrom.engine.derived_files import DerivedFiles, Manifest
from wherefrom.engine.hamming import HammingIndex
from wherefrom.engine.rows import RowFiles
from wherefrom.engine.sizes import CellSizes, CodeSizes, ColumnSizes, WordSizes
from wherefrom.engine.vectors import DIMENSIONS, WIDTHS, VectorsIndex
from wherefrom.engine.word_files import VOCABULARY
from wherefrom.engine.words import Postings, WordFiles, WordQuery, WordsIndex

FEATURE = "tests-1"


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
