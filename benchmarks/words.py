"""The words index at several sizes: building, searching, memory, disk, and what one more image costs.

Images have 200 postings each. Words are drawn so that the list which a query's word leads to is three times
as long as the mean, signatures are random bits. A search is of three variants, 500 keypoints each, two words
a keypoint; two fifths of the first variant's keypoints are those of an indexed image, with a tenth of their
bits changed and turned and scaled alike, and that image has to come first. Beside the times stands a physical
limit: reading as many bytes as the signatures of the lists that a search walks through, on as many threads.
Each size is built in one process and searched in another. Time that goes into making up postings is left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import apart, middle, resident, size_of, taken
from wherefrom.engine.words import Postings, WordQuery, WordsIndex

POSTINGS = 200
SKEW = 3.0
BLOCK = 1024  # images made up together
TOP = 200  # images asked for


def run(
    images: Sequence[int] = (10_000, 100_000, 1_000_000),
    searches: int = 100,
    added: int = 16_384,
    threads: int = 2,
    directory: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    rows = []
    for count in images:
        with tempfile.TemporaryDirectory(dir=directory, prefix="wherefrom-words-") as folder:
            asked = {"place": f"{folder}/index", "images": count, "threads": threads}
            row = {"images": count} | apart(build, **asked) | apart(search, searches=searches, **asked)
            rows.append(row | apart(add, added=added, **asked))
    return {"sizes": rows}, [
        f"{row['images']:,} images: not found first" for row in rows if row["found_first"] < 1
    ]


class Marks(NamedTuple):
    key: int
    removal: int


class MadeUp:
    """A source whose postings follow from their key; `seconds` went into making them up."""

    def __init__(self, count: int) -> None:
        self.count, self.seconds = count, 0.0
        self.table = word_table()
        self.last: tuple[int, Postings] | None = None

    def marks(self) -> Marks:
        return Marks(self.count, 0)

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return [], seq

    def rows_after(self, key: int, limit: int) -> tuple[int, Postings]:
        started = time.perf_counter()
        last = min(self.count, key + limit)
        parts = [self.block(number) for number in range(key // BLOCK, max(key, last - 1) // BLOCK + 1)]
        first = key // BLOCK * BLOCK
        wanted = slice((key - first) * POSTINGS, (last - first) * POSTINGS)
        names = ("keys", "words", "signatures", "angles", "scales")
        found = Postings(*(np.concatenate([getattr(part, name) for part in parts])[wanted] for name in names))
        self.seconds += time.perf_counter() - started
        return last, found

    def block(self, number: int) -> Postings:
        if self.last is None or self.last[0] != number:
            rng, size = np.random.default_rng([1, number]), BLOCK * POSTINGS
            keys = np.repeat(np.arange(number * BLOCK + 1, (number + 1) * BLOCK + 1), POSTINGS)
            signatures = rng.integers(0, 2**64, size, dtype=np.uint64)
            angles, scales = rng.integers(0, 256, size, np.uint8), rng.integers(0, 128, size, np.uint8)
            self.last = number, Postings(keys, self.words(rng, size), signatures, angles, scales)
        return self.last[1]

    def words(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> NDArray[np.uint16]:
        return self.table[rng.integers(0, len(self.table), size)]

    def query(self, rng: np.random.Generator, keypoints: int = 500) -> tuple[int, list[WordQuery]]:
        """The key of an image, and a query for it in three variants."""
        key = int(rng.integers(1, self.count + 1))
        _, image = self.rows_after(key - 1, 1)
        variants = [
            WordQuery(
                self.words(rng, (keypoints, 2)),
                rng.integers(0, 2**64, keypoints, dtype=np.uint64),
                rng.integers(0, 256, keypoints, np.uint8),
                rng.integers(0, 128, keypoints, np.uint8),
            )
            for _ in range(3)
        ]
        plain = variants[0]
        plain.words[:POSTINGS, 0] = image.words
        changed = np.packbits(rng.random((POSTINGS, 64)) < 0.1, axis=1).view("<u8")[:, 0]
        plain.signatures[:POSTINGS] = image.signatures ^ changed
        plain.angles[:POSTINGS] = image.angles + np.uint8(64)
        plain.scales[:POSTINGS] = image.scales + np.uint8(16)
        return key, variants


def word_table() -> NDArray[np.uint16]:
    """Words as often as they occur: by a power law whose expected list is SKEW times the mean."""
    rank, low, high = np.arange(1, 65_537), 0.0, 2.0
    while high - low > 1e-9:
        power = (low + high) / 2
        share = (rank + 20.0) ** -power
        share /= share.sum()
        low, high = (power, high) if (share**2).sum() * 65_536 < SKEW else (low, power)
    share = np.random.default_rng(0).permutation(share)
    drawn = np.searchsorted(np.cumsum(share), (np.arange(1 << 22) + 0.5) / (1 << 22))
    return drawn.clip(0, 65_535).astype(np.uint16)


def opened(place: str, images: int, threads: int, *, write: bool = True) -> tuple[WordsIndex, MadeUp, float]:
    """The index, its source, and the seconds that opening it took."""
    source, started = MadeUp(images), time.perf_counter()
    index = WordsIndex(Path(place), source, feature="benchmark", write=write, threads=threads)
    return index, source, time.perf_counter() - started


def build(place: str, images: int, threads: int) -> dict[str, Any]:
    started = time.perf_counter()
    index, source, _ = opened(place, images, threads)
    index.close()
    seconds = time.perf_counter() - started - source.seconds
    return {
        "built_per_s": round(images / seconds),
        "disk_bytes_an_image": round(size_of(Path(place)) / images),
        "segments": len(list(Path(place).glob("segment-*"))),
    }


def search(place: str, images: int, threads: int, searches: int) -> dict[str, Any]:
    before = resident()
    index, source, opening = opened(place, images, threads, write=False)
    rng = np.random.default_rng(2)
    index.search(source.query(rng)[1], TOP)  # compiles, or loads what has been compiled
    for part in index._sealed.segments:
        for array in (part.signatures, part.details, part.offsets, part.images):
            array.max()
    counts = sum(
        (part.counts() for part in (*index._sealed.segments, *index._tail.segments)),
        np.zeros(65_536, np.int64),
    )
    times, work, limits, first, walked = [], [], [], 0, 0
    for _ in range(searches):
        key, query = source.query(rng)
        started, worked = time.perf_counter(), time.process_time()
        votes = index.search(query, TOP)
        times.append(1e3 * (time.perf_counter() - started))
        work.append(1e3 * (time.process_time() - worked))
        first += votes.keys[0] == key
        lists = sum(int(counts[np.unique(row)].sum()) for one in query for row in one.words)
        walked += lists
        limits.append(1e3 * reading(index, 8 * lists, threads))
    return {
        "opening_ms": round(1000 * opening, 1),
        "p50_ms": middle(times, 1),
        "p95_ms": round(float(np.quantile(times, 0.95)), 1),
        "cpu_ms": middle(work, 1),
        "limit_ms": middle(limits, 1),
        "postings_walked": walked // searches,
        "found_first": first / searches,
        "resident_mb": round((resident() - before) / 1e6),
    }


def reading(index: WordsIndex, size: int, threads: int) -> float:
    """Seconds that it takes to read so many bytes of the index one after the other."""
    parts, share = [], size // 8 // threads
    whole = [part.signatures for part in (*index._sealed.segments, *index._tail.segments)]
    for array in whole * (1 + size // (8 * sum(map(len, whole)))):
        parts.append(array[:share])
        if sum(map(len, parts)) >= share * threads:
            break
    with ThreadPoolExecutor(threads) as pool:
        return taken(lambda: list(pool.map(np.bitwise_or.reduce, parts)))


def add(place: str, images: int, threads: int, added: int) -> dict[str, Any]:
    index, source, _ = opened(place, images, threads)
    times = []
    for _ in range(added):
        source.count += 1
        spent = source.seconds
        seconds = taken(index.refresh)
        times.append(1e3 * (seconds - (source.seconds - spent)))
    return {
        "added_mean_ms": round(float(np.mean(times)), 2),
        "added_p50_ms": middle(times),
        "added_worst_ms": round(max(times)),
    }
