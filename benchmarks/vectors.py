"""How fast vectors are searched: the exact scan and the cells, beside FAISS, hnswlib and USearch.

Vectors are made, in three kinds that are hard in different ways: `pictures` has themes of heavy-tailed sizes,
in them groups of near-duplicates, and a power-law spectrum that is half whitened; `noise` has round clusters;
`flat` has a power-law spectrum and no clusters at all. Or they are those of a file (`embeddings`). Every
contender is given the vectors as 8 bits a number have kept them, and the truth is what an exact search of
those finds, so that recall says what the search loses and nothing else. Queries are new vectors of the same
kind, asked one by one on one core; a peer's setting is raised until its recall@10, near misses forgiven,
reaches what is asked.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import say
from benchmarks.indexes import VECTOR_INDEXES, vector_index
from benchmarks.timing import Contest, Run, held_to, reader, size_of, spread, taken
from wherefrom.engine.columns import Columns
from wherefrom.engine.vectors import DIMENSIONS, WIDTHS, VectorsIndex

Floats = NDArray[np.float32]
Keys = NDArray[np.int64]
K = 10
NEARLY = 0.005
SHARES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 1.0)


def run(
    rows: int = 200_000,
    queries: int = 500,
    kinds: Sequence[str] = ("pictures", "noise", "flat"),
    vectors: str | None = None,
    peers: Sequence[str] = VECTOR_INDEXES,
    recall: float = 0.99,
    repeat: int = 30,
    threads: int = 1,
    directory: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """`vectors` is a .npy file of float32 (n, 256) to measure with instead of made ones."""
    report: dict[str, Any] = {}
    for kind in ["file"] if vectors else kinds:
        some, asked = loaded(vectors, rows, queries) if vectors else made(kind, rows, queries)
        codes, scales = kept(some)
        with tempfile.TemporaryDirectory(prefix="wherefrom-vectors-", dir=directory) as folder:
            report[kind], truth = ours(Path(folder), codes, scales, asked, repeat, threads)
        for name in peers:
            say(name)
            try:
                report[kind][name] = peer(name, codes * scales[:, None], asked, truth, recall, threads)
            except ImportError:
                report[kind][name] = "not installed (benchmarks/requirements.txt)"
    return report, []


def ours(
    folder: Path, codes: NDArray[np.int8], scales: Floats, queries: Floats, repeat: int, threads: int
) -> tuple[dict[str, Any], list[Keys]]:
    """The figures of the index, and what an exact search finds for each query."""
    result: dict[str, Any] = {"rows": len(codes), "queries": len(queries), "k": K}
    source = Source(codes, scales)
    with held_to(threads):
        start = time.perf_counter()
        columns = Columns(folder, source, WIDTHS, feature="benchmark", write=True, name="vectors index")
        middle = time.perf_counter()
        index = VectorsIndex(columns, threads=threads)
        result["columns_s"] = round(middle - start, 1)
        result["cells_s"] = round(time.perf_counter() - middle, 1)
    result["covered"] = index.covered
    result["columns_bytes"] = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    result["cells_bytes"] = size_of(folder / "cells")
    index.search(queries, K, exact=True)  # loads the kernels
    flat = columns.snapshot().sealed.fields[0].reshape(-1).view(np.uint64)

    def nearest(one: Floats, allowed: Keys | None = None, exact: bool = False) -> Keys:
        return index.search(one[None], K, allowed=allowed, exact=exact).key

    exact = partial(nearest, exact=True)

    with held_to(1):
        result["limit"] = in_ms(Contest({}, limit=reader(flat)).held(repeat)["limit"])
        result["exact"] = timed([partial(exact, one) for one in queries[:repeat]])
    truth = [exact(one) for one in queries]
    rng, result["filters"] = np.random.default_rng(9), []
    with held_to(1):
        result["cells"] = asked(nearest, queries, truth)
        for share in SHARES:
            chosen = rng.choice(len(codes), max(1, round(share * len(codes))), replace=False)
            allowed, some = np.sort(chosen).astype(np.int64) + 1, queries[:200]
            wanted = [exact(one, allowed=allowed) for one in some]
            line = asked(partial(nearest, allowed=allowed), some, wanted)
            slow = timed([partial(exact, one, allowed=allowed) for one in some[:20]])
            result["filters"].append({"share": share, **line, "exact_p50_ms": slow["p50_ms"]})
        result["changes"] = changes(index, source, queries)
    index.close()
    return result, truth


def changes(index: VectorsIndex, source: Source, queries: Floats) -> dict[str, float]:
    """Milliseconds until one row more, or one less, is seen by a search; the search itself not counted."""
    added, removed = [], []
    for one in queries[:50]:
        source.add(one)
        added.append(taken(index.refresh))
        # Asked for by its key: others may be as near, as plain pictures are to each other.
        assert index.search(one[None], 1, allowed=np.array([source.key])).key.tolist() == [source.key]
    for _ in range(50):
        source.removed.append(source.key - len(source.removed))
        removed.append(taken(index.refresh))
    return {"add_p50_ms": spread(added)["p50"], "remove_p50_ms": spread(removed)["p50"]}


def peer(
    name: str, vectors: Floats, queries: Floats, truth: list[Keys], recall: float, threads: int
) -> dict[str, Any]:
    """A peer at the least setting that reaches the recall, one core for every search."""
    with held_to(threads):
        start = time.perf_counter()
        (search, size), settings = vector_index(name, vectors, K, threads)
        built = time.perf_counter() - start
    line: dict[str, Any] = {}

    def keys(one: Floats, at: int) -> Keys:
        return search(one, at) + 1

    with held_to(1):
        for setting in settings:
            found = asked(partial(keys, at=setting), queries, truth, vectors)
            line = {"setting": setting, **found}
            if line["nearly"] >= recall:
                break
    return {**line, "build_s": round(built, 1), "bytes_per_row": round(size / len(vectors), 1)}


def asked(
    search: Callable[[Floats], Keys], queries: Floats, truth: list[Keys], vectors: Floats | None = None
) -> dict[str, Any]:
    """Recall and times of one query after the other, after each has been asked once before.

    With `vectors` also the recall that counts what is at most `NEARLY` less similar than the last of the
    truth: a peer that quantises anew loses the order of what is nearly equal: that is not its search's fault.
    """
    seconds, found, nearly = [], 0, 0
    for one in queries:
        search(one)
    for one, wanted in zip(queries, truth, strict=True):
        start = time.perf_counter()
        keys = search(one)
        seconds.append(time.perf_counter() - start)
        found += len(np.intersect1d(keys, wanted))
        if vectors is not None:
            least = (vectors[wanted - 1] @ one).min() - NEARLY
            nearly += int(np.count_nonzero(vectors[np.unique(keys[keys > 0]) - 1] @ one >= least))
    total = sum(map(len, truth))
    close = {} if vectors is None else {"nearly": round(nearly / total, 4)}
    return {"recall": round(found / total, 4), **close, **in_ms(seconds)}


def timed(runs: Sequence[Run]) -> dict[str, float]:
    """Milliseconds of several runs, the first once more beforehand."""
    runs[0]()
    return in_ms([taken(one) for one in runs])


def in_ms(seconds: Sequence[float]) -> dict[str, float]:
    return {f"{name}_ms": value for name, value in spread(seconds).items() if name != "p5"}


class Marks(NamedTuple):
    key: int
    removal: int


class Source:
    """Vectors as a catalog would give them, keys from 1 on."""

    def __init__(self, codes: NDArray[np.int8], scales: Floats) -> None:
        self.data = packed(codes, scales)
        self.key = len(codes)
        self.more: list[NDArray[np.uint8]] = []
        self.removed: list[int] = []

    def add(self, vector: Floats) -> None:
        self.more.append(packed(*kept(vector[None])))
        self.key += 1

    def marks(self) -> Marks:
        return Marks(self.key, len(self.removed))

    def rows_after(self, key: int, limit: int) -> tuple[int, tuple[Keys, NDArray[np.uint8]]]:
        last, size = min(self.key, key + limit), len(self.data)
        more = self.more[max(0, key - size) : last - size] if last > size else []
        return last, (np.arange(key + 1, last + 1), np.concatenate([self.data[key:last], *more]))

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self.removed[seq:], len(self.removed)


def packed(codes: NDArray[np.int8], scales: Floats) -> NDArray[np.uint8]:
    return np.concatenate([codes.view(np.uint8), scales[:, None].view(np.uint8)], axis=1)


def kept(vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Vectors as 8 bits a number and a scale each."""
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float32)
    codes = np.empty(vectors.shape, np.int8)
    for start in range(0, len(vectors), 1 << 16):
        part = slice(start, start + (1 << 16))
        codes[part] = np.rint(vectors[part] / scales[part, None])
    return codes, scales


def made(kind: str, rows: int, queries: int) -> tuple[Floats, Floats]:
    """Vectors and queries of one kind, always the same ones."""
    rng = np.random.default_rng(4)
    spectrum = np.arange(1, DIMENSIONS + 1, dtype=np.float32) ** -0.4  # of standard deviations

    def normal(count: int) -> Floats:
        return rng.standard_normal((count, DIMENSIONS), dtype=np.float32)

    def shares(count: int, tail: float, least: float) -> NDArray[np.float64]:
        sizes = rng.pareto(tail, count) + least
        return np.asarray(sizes / sizes.sum())

    if kind == "flat":
        return unit(normal(rows) * spectrum), unit(normal(queries) * spectrum)
    if kind == "noise":
        centres = normal(max(4, rows // 1000))
        one, other = (centres[rng.integers(0, len(centres), n)] + normal(n) for n in (rows, queries))
        return unit(one), unit(other)
    spectrum **= 0.5
    themes = normal(max(4, rows // 500)) * spectrum
    of_theme = shares(len(themes), 1.2, 0.05)
    groups = themes[rng.choice(len(themes), max(4, rows // 3), p=of_theme)]
    groups += 0.9 * normal(len(groups)) * spectrum
    of_group = shares(len(groups), 1.1, 0.3)

    def items(count: int) -> Floats:
        apart = rng.choice(np.array([0.15, 0.4, 0.8], np.float32), count)[:, None]
        return unit(groups[rng.choice(len(groups), count, p=of_group)] + apart * normal(count) * spectrum)

    return items(rows), items(queries)


def unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def loaded(path: str, rows: int, queries: int) -> tuple[Floats, Floats]:
    """The vectors of a file; some of them, drawn at random, are queries and nothing else."""
    vectors = np.ascontiguousarray(np.load(path, mmap_mode="r"), np.float32)
    picked = np.random.default_rng(4).permutation(len(vectors))
    return unit(vectors[np.sort(picked[queries:][:rows])]), unit(vectors[picked[:queries]])
