"""Other programs' indexes, of codes and of vectors: each is built of rows and asked for what is near a row.

A built index is (search, bytes): `search(row, setting)` gives the numbers of rows, nearest first; a setting
is how far it looks, and more is surer and slower. Those that are exact have none. hnswlib has no Hamming
distance; squared Euclidean distance of bits as numbers is the same, and takes 32 times the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import say
from benchmarks.timing import Run

Array = NDArray[Any]
Search = Callable[[Array, int], Array]
Built = tuple[Search, int]

PROBES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
WIDE = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


def of_faiss(text: str, setting: Callable[[Any, int], None], rows: Array, k: int, threads: int) -> Built:
    """An index of FAISS by its factory's text, for inner products."""
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.index_factory(rows.shape[1], text, faiss.METRIC_INNER_PRODUCT)
    index.train(rows[:: max(1, len(rows) // 200_000)])
    index.add(rows)
    faiss.omp_set_num_threads(1)

    def search(one: Array, wide: int) -> Array:
        setting(index, wide)
        return np.asarray(index.search(one[None], k)[1][0])

    return search, len(faiss.serialize_index(index))


def of_hnswlib(space: str, wide: int, rows: Array, k: int, threads: int) -> Built:
    import hnswlib

    index = hnswlib.Index(space=space, dim=rows.shape[1])
    index.init_index(max_elements=len(rows), M=16, ef_construction=wide)
    index.set_num_threads(threads)
    index.add_items(rows.astype(np.float32))
    index.set_num_threads(1)

    def search(one: Array, wide: int) -> Array:
        index.set_ef(wide)
        return np.asarray(index.knn_query(one.astype(np.float32)[None], k)[0][0].astype(np.int64))

    return search, index.index_file_size()


def of_usearch(metric: str, dtype: str, dimension: int, rows: Array, k: int, threads: int) -> Built:
    from usearch.index import Index

    index = Index(ndim=dimension, metric=metric, dtype=dtype, connectivity=16, expansion_add=128)
    index.add(np.arange(len(rows)), rows, threads=threads)

    def search(one: Array, wide: int) -> Array:
        index.expansion_search = wide
        return np.asarray(index.search(one, k, threads=1).keys.astype(np.int64))

    return search, index.memory_usage


def _nothing(_: Any, __: int) -> None:
    pass


def _probes(index: Any, count: int) -> None:
    index.nprobe = count


def _reach(index: Any, wide: int) -> None:
    index.hnsw.efSearch = wide


def vector_index(name: str, rows: Array, k: int, threads: int) -> tuple[Built, Sequence[int]]:
    """An index of float32 vectors of length 1, and settings to try. ImportError without its library."""
    if name == "hnswlib":
        return of_hnswlib("ip", 200, rows, k, threads), WIDE
    if name == "usearch":
        return of_usearch("ip", "i8", rows.shape[1], rows, k, threads), WIDE
    text, setting, settings = {
        "faiss_sq8": ("SQ8", _nothing, (0,)),
        "faiss_ivf": (f"IVF{int(4 * len(rows) ** 0.5)},SQ8", _probes, PROBES),
        "faiss_hnsw": ("HNSW16,SQ8", _reach, WIDE),
    }[name]
    return of_faiss(text, setting, rows, k, threads), settings


VECTOR_INDEXES = ("faiss_sq8", "faiss_ivf", "faiss_hnsw", "hnswlib", "usearch")


def code_graph(name: str, codes: Array, threads: int) -> Search:
    """A graph over packed codes of 256 bits. Raises ImportError without its library."""
    if name == "USearch":
        return of_usearch("hamming", "b1", 256, codes, 1, threads)[0]
    search = of_hnswlib("l2", 128, np.unpackbits(codes, axis=1), 1, threads)[0]
    return lambda one, wide: search(np.unpackbits(one), wide)


def exact_codes(planes: Array, queries: Array, *, usearch: bool) -> dict[str, Run]:
    """Exact searches of codes by peers, by name; nothing of those that are not installed.

    USearch is asked for one query alone: a batch gives it nothing, it takes as long for each.
    """
    rows, batch = np.ascontiguousarray(planes.T).view(np.uint8), queries.view(np.uint8)
    one, runs = batch[:1], dict[str, Run]()
    try:
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.IndexBinaryFlat(256)
        index.add(rows)
        for size, some in (("", one), ("_batch64", batch)):
            # FAISS leaves the radius itself out
            runs[f"faiss_radius31{size}"] = partial(index.range_search, some, 32)
            runs[f"faiss_radius62{size}"] = partial(index.range_search, some, 63)
            runs[f"faiss_nearest10{size}"] = partial(index.search, some, 10)
    except ImportError:
        say("faiss is not installed (benchmarks/requirements.txt)")
    try:
        from usearch.index import MetricKind, search
    except ImportError:
        say("usearch is not installed (benchmarks/requirements.txt)")
        return runs
    if usearch:
        kind = MetricKind.Hamming
        runs["usearch_nearest10"] = lambda: search(rows, one, 10, kind, exact=True, threads=1)
    return runs
