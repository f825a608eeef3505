"""Other programs' searches of binary codes, for `hamming.py`: USearch's exact one, and two graphs.

hnswlib has no Hamming distance; squared Euclidean distance of bits as numbers is the same and takes 32 times
the memory, so that both graphs are measured over fewer codes than the exact searches.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import say, spread

Words = NDArray[np.uint64]
BITS = 256
WIDE = (32, 128, 512)  # how far a graph looks; more is surer and slower
RADIUS = 31


def usearch_runs(planes: Words, queries: Words) -> dict[str, Callable[[], object]]:
    """USearch's exact search for the 10 nearest, one query; nothing without it.

    A batch gives it nothing: it takes as long for each.
    """
    try:
        from usearch.index import MetricKind, search
    except ImportError:
        say("usearch is not installed (benchmarks/requirements.txt)")
        return {}
    codes, one = np.ascontiguousarray(planes.T).view(np.uint8), queries[:1].view(np.uint8)
    return {"usearch_nearest10": lambda: search(codes, one, 10, MetricKind.Hamming, exact=True, threads=1)}


def graphs(count: int, queries: int, threads: int) -> list[dict[str, Any]]:
    """Graphs over random codes: how many codes planted within the radius they find, and how fast."""
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 256, (count, BITS // 8), dtype=np.uint8)
    rows = rng.choice(count, queries, replace=False)
    asked = np.unpackbits(codes[rows], axis=1)
    for number, bits in enumerate(asked):
        bits[rng.choice(BITS, number % (RADIUS + 1), replace=False)] ^= 1
    asked = np.packbits(asked, axis=1)
    found = []
    for name, build in (("USearch", _usearch), ("hnswlib", _hnswlib)):
        start = time.perf_counter()
        try:
            search = build(codes, threads)
        except ImportError:
            found.append({"name": name, "skipped": "not installed"})
            continue
        built = time.perf_counter() - start
        for wide in WIDE:
            seconds, hits = [], 0
            for row, one in zip(rows, asked, strict=True):
                start = time.perf_counter()
                nearest = search(one, wide)
                seconds.append(time.perf_counter() - start)
                hits += nearest == row
            line = {"wide": wide, "codes": count, "build_s": round(built, 1), "recall": float(hits / queries)}
            found.append({"name": name, **line, "ms": spread(seconds)})
            say(str(found[-1]))
    return found


def _usearch(codes: NDArray[np.uint8], threads: int) -> Callable[[NDArray[np.uint8], int], int]:
    from usearch.index import Index

    index = Index(ndim=BITS, metric="hamming", dtype="b1", connectivity=16, expansion_add=128)
    index.add(np.arange(len(codes)), codes, threads=threads)

    def search(one: NDArray[np.uint8], wide: int) -> int:
        index.expansion_search = wide
        return int(index.search(one, 1, threads=1).keys[0])

    return search


def _hnswlib(codes: NDArray[np.uint8], threads: int) -> Callable[[NDArray[np.uint8], int], int]:
    import hnswlib

    index = hnswlib.Index(space="l2", dim=BITS)
    index.init_index(max_elements=len(codes), M=16, ef_construction=128)
    index.set_num_threads(threads)
    index.add_items(np.unpackbits(codes, axis=1).astype(np.float32))
    index.set_num_threads(1)

    def search(one: NDArray[np.uint8], wide: int) -> int:
        index.set_ef(wide)
        return int(index.knn_query(np.unpackbits(one).astype(np.float32)[None], 1)[0][0, 0])

    return search
