"""How fast vectors are searched: the exact scan and the cells, beside FAISS, hnswlib and USearch.

    python benchmarks/vectors.py --rows 200e3                     # a few minutes, with every peer
    python benchmarks/vectors.py --rows 1e6 --peers faiss_sq8,faiss_ivf
    python benchmarks/vectors.py --vectors embeddings.npy         # float32 (n, 256), rows of length 1

Without a file the vectors are made, in three kinds that are hard in different ways: `pictures` has themes
of heavy-tailed sizes, in them groups of near-duplicates, and a power-law spectrum that is half whitened;
`noise` has round clusters; `flat` has a power-law spectrum and no clusters at all. Every contender is given
the vectors as 8 bits a number have kept them, and the truth is what an exact search of those finds, so that
recall says what the search loses and nothing else. Queries are new vectors of the same kind, asked one by
one on one core; a peer's setting is raised until its recall@10, near misses forgiven, reaches `--recall`.
`--json` prints one JSON document on stdout; words go to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common import machine, say, versions
from wherefrom.engine.columns import Columns
from wherefrom.engine.vectors import DIMENSIONS, WIDTHS, VectorsIndex

Floats = NDArray[np.float32]
K = 10
NEARLY = 0.005
PEERS = ("faiss_sq8", "faiss_ivf", "faiss_hnsw", "hnswlib", "usearch")
SHARES = (0.0001, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 1.0)


def main() -> None:
    options = arguments()
    report: dict[str, Any] = {"machine": machine(), "versions": versions()}
    for kind in ["file"] if options.vectors else options.kinds.split(","):
        vectors, queries = loaded(options) if options.vectors else made(kind, options.rows, options.queries)
        codes, scales = kept(vectors)
        del vectors
        report[kind] = measured(codes, scales, queries, options)
    print(json.dumps(report)) if options.json else table(report)


def measured(codes: NDArray[np.int8], scales: Floats, queries: Floats, options: Any) -> dict[str, Any]:
    """Everything that is measured with one set of vectors."""
    result: dict[str, Any] = {"rows": len(codes), "queries": len(queries), "k": K}
    with tempfile.TemporaryDirectory(prefix="wherefrom-vectors-", dir=options.directory) as folder:
        source = Source(codes, scales)
        say(f"{len(codes):,} rows: columns and cells")
        with cores(options.threads):
            start = time.perf_counter()
            columns = opened(Path(folder), source)
            result["columns_s"] = round(time.perf_counter() - start, 1)
            start = time.perf_counter()
            index = VectorsIndex(columns, threads=options.threads)
            result["cells_s"] = round(time.perf_counter() - start, 1)
        result["covered"] = index.covered
        result["columns_bytes"] = size_of(Path(folder), deep=False)
        result["cells_bytes"] = size_of(Path(folder) / "cells")
        index.search(queries, K, exact=True)  # loads the kernels
        with cores(1):
            result["limit"] = timed([reader(columns)] * options.repeat)
            exact = [lambda one=one: index.search(one[None], K, exact=True) for one in queries]
            result["exact"] = timed(exact[: options.repeat])
        truth = [index.search(one[None], K, exact=True).key for one in queries]
        with cores(1):
            result["cells"] = asked(lambda one: index.search(one[None], K).key, queries, truth)
            result["filters"] = filters(index, queries, len(codes))
            result["changes"] = changes(index, source, queries)
        index.close()
    for name in options.peers.split(",") if options.peers else []:
        say(name)
        try:
            result[name] = peer(name, codes * scales[:, None], queries, truth, options)
        except ImportError:
            result[name] = "not installed (benchmarks/requirements.txt)"
        say(str(result[name]))
    return result


def filters(index: VectorsIndex, queries: Floats, rows: int) -> list[dict[str, Any]]:
    """Recall and time by the share of the keys that may be found, drawn at random."""
    rng = np.random.default_rng(9)
    lines = []
    for share in SHARES:
        allowed = np.sort(rng.choice(rows, max(1, round(share * rows)), replace=False)).astype(np.int64) + 1
        some = queries[:200]
        truth = [index.search(one[None], K, allowed=allowed, exact=True).key for one in some]
        line = asked(
            lambda one, allowed=allowed: index.search(one[None], K, allowed=allowed).key, some, truth
        )
        exact = [
            lambda one=one, allowed=allowed: index.search(one[None], K, allowed=allowed, exact=True)
            for one in some[:20]
        ]
        lines.append({"share": share, **line, "exact_p50_ms": timed(exact)["p50_ms"]})
    return lines


def changes(index: VectorsIndex, source: Source, queries: Floats) -> dict[str, float]:
    """Milliseconds until one row more, or one less, is seen by a search; the search itself not counted."""
    added, removed = [], []
    for one in queries[:50]:
        source.add(one)
        start = time.perf_counter()
        index.refresh()
        added.append(time.perf_counter() - start)
        # Asked for by its key: others may be as near, as plain pictures are to each other.
        assert index.search(one[None], 1, allowed=np.array([source.key])).key.tolist() == [source.key]
    for _ in range(50):
        source.remove(source.key - len(source.removed))
        start = time.perf_counter()
        index.refresh()
        removed.append(time.perf_counter() - start)
    return {"add_p50_ms": spread(added)["p50_ms"], "remove_p50_ms": spread(removed)["p50_ms"]}


def peer(name: str, vectors: Floats, queries: Floats, truth: list[Any], options: Any) -> dict[str, Any]:
    """A peer at the least setting that reaches the recall, one core for every search."""
    count = len(vectors)
    with cores(options.threads):
        start = time.perf_counter()
        search, settings, size = PEER_OF[name](vectors, options.threads)
        built = time.perf_counter() - start
    line: dict[str, Any] = {}
    with cores(1):
        for setting in settings:
            found = asked(lambda one, at=setting: search(one[None], at) + 1, queries, truth, vectors)
            line = {"setting": setting, **found}
            if line["nearly"] >= options.recall:
                break
    return {**line, "build_s": round(built, 1), "bytes_per_row": round(size / count, 1)}


Search = Callable[[Floats, int], NDArray[np.int64]]
Built = tuple[Search, list[int], int]
PROBES = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024]
WIDE = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]


def faiss_index(text: str, vectors: Floats, threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.index_factory(DIMENSIONS, text, faiss.METRIC_INNER_PRODUCT)
    step = max(1, len(vectors) // 200_000)
    index.train(vectors[::step])
    index.add(vectors)
    faiss.omp_set_num_threads(1)
    return index


def faiss_sq8(vectors: Floats, threads: int) -> Built:
    import faiss

    index = faiss_index("SQ8", vectors, threads)
    return lambda one, _: index.search(one, K)[1][0], [0], len(faiss.serialize_index(index))


def faiss_ivf(vectors: Floats, threads: int) -> Built:
    import faiss

    index = faiss_index(f"IVF{int(4 * len(vectors) ** 0.5)},SQ8", vectors, threads)

    def search(one: Floats, probes: int) -> NDArray[np.int64]:
        index.nprobe = probes
        return index.search(one, K)[1][0]

    return search, PROBES, len(faiss.serialize_index(index))


def faiss_hnsw(vectors: Floats, threads: int) -> Built:
    import faiss

    index = faiss_index("HNSW16,SQ8", vectors, threads)

    def search(one: Floats, wide: int) -> NDArray[np.int64]:
        index.hnsw.efSearch = wide
        return index.search(one, K)[1][0]

    return search, WIDE, len(faiss.serialize_index(index))


def hnswlib(vectors: Floats, threads: int) -> Built:
    import hnswlib as library

    index = library.Index(space="ip", dim=DIMENSIONS)
    index.init_index(max_elements=len(vectors), M=16, ef_construction=200)
    index.set_num_threads(threads)
    index.add_items(vectors)
    index.set_num_threads(1)

    def search(one: Floats, wide: int) -> NDArray[np.int64]:
        index.set_ef(wide)
        return index.knn_query(one, K)[0][0].astype(np.int64)

    return search, WIDE, index.index_file_size()


def usearch(vectors: Floats, threads: int) -> Built:
    from usearch.index import Index

    index = Index(ndim=DIMENSIONS, metric="ip", dtype="i8", connectivity=16, expansion_add=128)
    index.add(np.arange(len(vectors)), vectors, threads=threads)

    def search(one: Floats, wide: int) -> NDArray[np.int64]:
        index.expansion_search = wide
        return index.search(one[0], K, threads=1).keys.astype(np.int64)

    return search, WIDE, index.memory_usage


PEER_OF: dict[str, Callable[[Floats, int], Built]] = {
    "faiss_sq8": faiss_sq8,
    "faiss_ivf": faiss_ivf,
    "faiss_hnsw": faiss_hnsw,
    "hnswlib": hnswlib,
    "usearch": usearch,
}


def asked(
    search: Callable[[Floats], NDArray[np.int64]],
    queries: Floats,
    truth: list[Any],
    vectors: Floats | None = None,
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
    return {"recall": round(found / total, 4), **close, **spread(seconds)}


def timed(runs: list[Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of several runs, the first once more beforehand."""
    runs[0]()
    seconds = []
    for run in runs:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return spread(seconds)


def reader(columns: Columns) -> Callable[[], object]:
    """A run that does nothing but read all vectors: no exact scan can be faster."""
    from numba import njit

    @njit
    def total(words: NDArray[np.uint64]) -> int:
        found = np.uint64(0)
        for i in range(words.shape[0]):
            found += words[i]
        return found

    flat = columns.snapshot().sealed.fields[0].reshape(-1).view(np.uint64)
    return lambda: total(flat)


class Marks(NamedTuple):
    key: int
    removal: int


class Source:
    """Vectors as a catalog would give them, keys from 1 on."""

    def __init__(self, codes: NDArray[np.int8], scales: Floats) -> None:
        self.data = np.concatenate([codes.view(np.uint8), scales[:, None].view(np.uint8)], axis=1)
        self.key = len(codes)
        self.more: list[NDArray[np.uint8]] = []
        self.removed: list[int] = []

    def add(self, vector: Floats) -> None:
        codes, scales = kept(vector[None])
        self.more.append(np.concatenate([codes.view(np.uint8), scales[:, None].view(np.uint8)], axis=1))
        self.key += 1

    def remove(self, key: int) -> None:
        self.removed.append(key)

    def marks(self) -> Marks:
        return Marks(self.key, len(self.removed))

    def rows_after(self, key: int, limit: int) -> tuple[int, tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        last = min(self.key, key + limit)
        parts = [self.data[key:last], *self.more[max(0, key - len(self.data)) : last - len(self.data)]]
        if last <= len(self.data):
            parts = parts[:1]
        return last, (np.arange(key + 1, last + 1), np.concatenate(parts))

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self.removed[seq:], len(self.removed)


def opened(directory: Path, source: Source) -> Columns:
    return Columns(directory, source, WIDTHS, feature="benchmark", write=True, name="vectors index")


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
    if kind == "flat":
        return tuple(unit(normal(rng, count) * spectrum) for count in (rows, queries))  # type: ignore[return-value]
    if kind == "noise":
        centres = normal(rng, max(4, rows // 1000))
        return tuple(  # type: ignore[return-value]
            unit(centres[rng.integers(0, len(centres), count)] + normal(rng, count))
            for count in (rows, queries)
        )
    spectrum **= 0.5
    themes = normal(rng, max(4, rows // 500)) * spectrum
    of_theme = shares(rng, len(themes), 1.2, 0.05)
    groups = themes[rng.choice(len(themes), max(4, rows // 3), p=of_theme)]
    groups += 0.9 * normal(rng, len(groups)) * spectrum
    of_group = shares(rng, len(groups), 1.1, 0.3)

    def items(count: int) -> Floats:
        apart = rng.choice(np.array([0.15, 0.4, 0.8], np.float32), count)[:, None]
        return unit(
            groups[rng.choice(len(groups), count, p=of_group)] + apart * normal(rng, count) * spectrum
        )

    return items(rows), items(queries)


def shares(rng: np.random.Generator, count: int, tail: float, least: float) -> NDArray[np.float64]:
    """Heavy-tailed shares that sum to 1."""
    sizes = rng.pareto(tail, count) + least
    return sizes / sizes.sum()


def normal(rng: np.random.Generator, rows: int) -> Floats:
    return rng.standard_normal((rows, DIMENSIONS), dtype=np.float32)


def unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def loaded(options: Any) -> tuple[Floats, Floats]:
    """The vectors of a file; some of them, drawn at random, are queries and nothing else."""
    vectors = np.ascontiguousarray(np.load(options.vectors, mmap_mode="r"), np.float32)
    picked = np.random.default_rng(4).permutation(len(vectors))
    queries = vectors[picked[: options.queries]]
    return unit(vectors[np.sort(picked[options.queries :][: options.rows])]), unit(queries)


class cores:
    """Hold this process to so many cores for a while."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> None:
        if hasattr(os, "sched_setaffinity"):
            self.before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, sorted(self.before)[-self.count :])

    def __exit__(self, *_: object) -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.before)


def spread(seconds: list[float]) -> dict[str, float]:
    middle, high = np.percentile(np.array(seconds) * 1e3, [50, 95])
    return {"p50_ms": round(float(middle), 3), "p95_ms": round(float(high), 3)}


def size_of(directory: Path, *, deep: bool = True) -> int:
    paths = directory.rglob("*") if deep else directory.iterdir()
    return sum(path.stat().st_size for path in paths if path.is_file())


def table(report: dict[str, Any]) -> None:
    """The report as lines of text."""
    for section, content in report.items():
        print(f"\n{section}")
        for key, value in content.items():
            lines = value if isinstance(value, list) else [value]
            for line in lines:
                text = (
                    "  ".join(f"{name} {one}" for name, one in line.items())
                    if isinstance(line, dict)
                    else line
                )
                print(f"   {key:16} {text}")


def arguments() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=lambda text: int(float(text)), default=200_000, help="such as 1e6")
    parser.add_argument("--queries", type=int, default=500, help="how many are asked")
    parser.add_argument("--kinds", default="pictures,noise,flat", help="of made vectors")
    parser.add_argument("--vectors", help="a .npy file of float32 (n, 256) to measure with instead")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {', '.join(PEERS)}, or ''")
    parser.add_argument("--recall", type=float, default=0.99, help="recall@10 that peers have to reach")
    parser.add_argument("--repeat", type=int, default=30, help="times that slow searches run")
    parser.add_argument("--threads", type=int, default=1, help="cores that building may use")
    parser.add_argument("--directory", help="where the files go for a while")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
