"""The words index at several sizes: building, searching, memory, disk, and what one more image costs.

    python benchmarks/words.py                           # 10 k, 100 k and 1 M images; 5 GB of disk
    python benchmarks/words.py --images 1e5 --searches 50 --directory /scratch

Images have 200 postings each. Words are drawn so that the list which a query's word leads to is three times
as long as the mean, signatures are random bits. A search is of three variants, 500 keypoints each, two words
a keypoint; two fifths of the first variant's keypoints are those of an indexed image, with a tenth of their
bits changed and turned and scaled alike, and that image has to come first. Every search is another query.

Beside the times stands a physical limit: reading as many bytes as the signatures of the lists that a search
walks through, one after the other, on as many threads. Each size is built in one process and searched in
another. Time that goes into making up postings is left out. `--json` prints one JSON document on stdout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import common
from wherefrom.engine.words import Postings, WordQuery, WordsIndex

POSTINGS = 200
SKEW = 3.0
BLOCK = 1024  # images made up together
TOP = 200  # images asked for
ADDED = 16_384  # images added one by one


class Marks(NamedTuple):
    key: int
    removal: int


class MadeUp:
    """A source whose postings follow from their key; `seconds` went into making them up."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seconds = 0.0
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
        columns = (
            np.concatenate([getattr(part, name) for part in parts])[wanted]
            for name in ("keys", "words", "signatures", "angles", "scales")
        )
        found = Postings(*columns)
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
        variants = []
        for _ in range(3):
            variants.append(
                WordQuery(
                    self.words(rng, (keypoints, 2)),
                    rng.integers(0, 2**64, keypoints, dtype=np.uint64),
                    rng.integers(0, 256, keypoints, np.uint8),
                    rng.integers(0, 128, keypoints, np.uint8),
                )
            )
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", nargs="+", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--added", type=int, default=ADDED)
    parser.add_argument("--directory", help="where the indexes are built and deleted again")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=["build", "search", "add"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part = {"build": build, "search": search, "add": add}[options.part]
        print(json.dumps(part(Path(options.directory), int(options.images[0]), options)))
        return
    rows = [whole(int(images), options) for images in options.images]
    if options.json:
        print(json.dumps({"machine": common.machine(), "sizes": rows}))
    else:
        table(rows)


def whole(images: int, options: argparse.Namespace) -> dict[str, Any]:
    row: dict[str, Any] = {"images": images}
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="wherefrom-words-") as folder:
        for name in ("build", "search", "add"):
            command = [sys.executable, __file__, "--part", name, "--directory", f"{folder}/index"]
            command += ["--images", str(images), "--searches", str(options.searches)]
            command += ["--threads", str(options.threads), "--added", str(options.added)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            row |= json.loads(done.stdout)
    return row


def build(directory: Path, images: int, options: argparse.Namespace) -> dict[str, Any]:
    source = MadeUp(images)
    started = time.perf_counter()
    index = WordsIndex(directory, source, feature="benchmark", write=True, threads=options.threads)
    index.close()
    seconds = time.perf_counter() - started - source.seconds
    size = sum(path.stat().st_size for path in directory.iterdir())
    return {
        "built_per_s": round(images / seconds),
        "disk_bytes_an_image": round(size / images),
        "segments": len(list(directory.glob("segment-*"))),
    }


def search(directory: Path, images: int, options: argparse.Namespace) -> dict[str, Any]:
    source = MadeUp(images)
    before = resident()
    started = time.perf_counter()
    index = WordsIndex(directory, source, feature="benchmark", write=False, threads=options.threads)
    opening = time.perf_counter() - started
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
    for _ in range(options.searches):
        key, query = source.query(rng)
        started, worked = time.perf_counter(), time.process_time()
        votes = index.search(query, TOP)
        times.append(time.perf_counter() - started)
        work.append(time.process_time() - worked)
        first += votes.keys[0] == key
        lists = sum(int(counts[np.unique(row)].sum()) for one in query for row in one.words)
        walked += lists
        limits.append(reading(index, 8 * lists, options.threads))
    return {
        "opening_ms": round(1000 * opening, 1),
        "p50_ms": round(1000 * float(np.median(times)), 1),
        "p95_ms": round(1000 * float(np.quantile(times, 0.95)), 1),
        "cpu_ms": round(1000 * float(np.median(work)), 1),
        "limit_ms": round(1000 * float(np.median(limits)), 1),
        "postings_walked": walked // options.searches,
        "found_first": first / options.searches,
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
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(np.bitwise_or.reduce, parts))
    return time.perf_counter() - started


def add(directory: Path, images: int, options: argparse.Namespace) -> dict[str, Any]:
    source = MadeUp(images)
    index = WordsIndex(directory, source, feature="benchmark", write=True, threads=options.threads)
    times = []
    for _ in range(options.added):
        source.count += 1
        spent, started = source.seconds, time.perf_counter()
        index.refresh()
        times.append(time.perf_counter() - started - (source.seconds - spent))
    return {
        "added_mean_ms": round(1000 * float(np.mean(times)), 2),
        "added_p50_ms": round(1000 * float(np.median(times)), 2),
        "added_worst_ms": round(1000 * max(times)),
    }


def resident() -> int:
    """Bytes of memory that this process holds, mapped pages it has touched among them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def table(rows: list[dict[str, Any]]) -> None:
    columns = {
        "images": "images",
        "built_per_s": "built, images/s",
        "segments": "segments",
        "disk_bytes_an_image": "disk, bytes/image",
        "resident_mb": "resident, MB",
        "opening_ms": "opening, ms",
    }
    print(markdown(columns, rows))
    columns = {
        "images": "images",
        "postings_walked": "postings walked",
        "p50_ms": "search p50, ms",
        "p95_ms": "p95, ms",
        "cpu_ms": "of all cores, ms",
        "limit_ms": "reading as much, ms",
        "found_first": "planted image first",
    }
    print("\n" + markdown(columns, rows))
    columns = {
        "images": "images",
        "added_mean_ms": "one more image, mean ms",
        "added_p50_ms": "p50, ms",
        "added_worst_ms": "worst (seals and merges), ms",
    }
    print("\n" + markdown(columns, rows))


def markdown(columns: dict[str, str], rows: list[dict[str, Any]]) -> str:
    return common.table(list(columns.values()), [[row[name] for name in columns] for row in rows])


if __name__ == "__main__":
    main()
