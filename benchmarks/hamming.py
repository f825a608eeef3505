"""How fast fingerprints are searched: the exact scan beside FAISS, multi-index hashing, and peers' graphs.

Codes are random bits, which is the hardest case for a scan (no block is rejected early by luck) and the one
that the cost model of the index assumes. Contenders take turns; figures are medians, with the 5th and 95th
percentile beside them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import say
from benchmarks.indexes import code_graph, exact_codes
from benchmarks.timing import Contest, Run, held_to, middle, reader, resident, spread, stated, taken
from wherefrom.engine import mih, scan

Words = NDArray[np.uint64]
_CHUNK = 1 << 21  # words written at a time, 16 MB: the file is then kept in large pages


def run(
    codes: int = 10_000_000,
    repeat: int = 15,
    queries: int = 1024,
    graphs: int = 0,
    only: str = "",
    memory: float = 14.0,
    directory: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """`only` is scan or mih; `memory` what codes and index may take together, in GB."""
    report: dict[str, Any] = {}
    if only != "mih":
        report["scan"] = scans(codes, repeat)
    if only != "scan":
        report["mih"] = multi_index(codes, memory, queries, directory)
    if graphs:
        report["graphs"] = graphs_of_peers(graphs, min(queries, 1024), 2)
    return report, []


def scans(count: int, repeat: int) -> dict[str, Any]:
    """One core for everyone: a streaming read, our scans, and the peers' exact searches, in turns."""
    room = stated("/proc/meminfo", "MemAvailable")
    if room and 3 * 32 * count > 0.6 * room:
        return {"skipped": f"{count} codes twice do not fit the {room / 1e9:.1f} GB that are free"}
    with held_to(1):
        rng = np.random.default_rng(1)
        planes = rng.integers(0, 2**64, (4, count), dtype=np.uint64)
        batch = rng.integers(0, 2**64, (64, 4), dtype=np.uint64)
        ours = dict[str, Run]()
        for size, some in (("", batch[:1]), ("_batch64", batch)):
            ours[f"radius31{size}"] = partial(scan.within, planes, some, 31, compiled=True)
            ours[f"radius62{size}"] = partial(scan.within, planes, some, 62, compiled=True)
            ours[f"nearest10{size}"] = partial(scan.nearest, planes, some, 10, compiled=True)
        # USearch wants the codes as rows, beside FAISS's and ours.
        peers = exact_codes(planes, batch, usearch=not room or room > 4.5 * 32 * count)
        times = Contest(ours, peers, reader(planes)).held(repeat)
    result: dict[str, Any] = {"codes": count, "cores": 1, "repeat": repeat}
    for name, seconds in times.items():
        queries = 64 if name.endswith("batch64") else 1
        result[name] = {"ms": spread(seconds), "queries_per_s": round(queries / float(np.median(seconds)), 1)}
    result["p50_ms"], result["limit_ms"] = result["nearest10"]["ms"]["p50"], result["limit"]["ms"]["p50"]
    result["batch64_qps"] = result["nearest10_batch64"]["queries_per_s"]
    if "faiss_nearest10" in result:
        result["faiss_p50_ms"] = result["faiss_nearest10"]["ms"]["p50"]
        result["faiss_batch64_qps"] = result["faiss_nearest10_batch64"]["queries_per_s"]
    return result


def multi_index(count: int, memory: float, queries: int, directory: str | None) -> dict[str, Any]:
    """Build over a file of codes, look for planted ones one by one, and scan at twice the radius."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="wherefrom-hamming-") as folder:
        say(f"writing {count} codes, {32 * count / 1e9:.1f} GB")
        planes = mapped(Path(folder) / "codes", count)
        allowed = int(memory * 1e9 - planes.nbytes - 0.35e9)  # 0.35: Python, NumPy, Numba, and scratch
        start = time.perf_counter()
        index = mih.MultiIndex.build(planes, Path(folder) / "index", memory_limit=allowed, threads=2)
        built = time.perf_counter() - start
        keys = index.layout.key_bits
        rng = np.random.default_rng(2)
        rows = rng.integers(0, count, queries)
        asked = np.array([flipped(np.array(planes[:, row]), i % 32, rng) for i, row in enumerate(rows)])
        # Pages that a search touches for the first time are mapped then: a service soon has them all.
        for plane in [*planes, *index._rows, index._records]:
            int(plane.ravel()[::512].sum())
        for query in rng.integers(0, 2**64, (200, 1, 4), dtype=np.uint64):
            index.within(query)
        seconds, found = [], 0
        for row, query in zip(rows, asked, strict=True):
            start = time.perf_counter()
            hits = index.within(query[None])
            seconds.append(time.perf_counter() - start)
            found += int(row) in hits.row
        batch = taken(lambda: index.within(asked))
        wide = partial(scan.within, planes, asked[:1], 62, compiled=True)
        scanned = Contest({str(n): partial(wide, threads=n) for n in (2, 1)}).held(7)
        return {
            "codes": count,
            "tables": len(keys),
            "key_bits": sorted(set(keys), reverse=True),
            "build_s": round(built, 1),
            "bytes_per_code": round(index.bytes / count, 2),
            "p50_ms": spread(seconds)["p50"],
            "p95_ms": spread(seconds)["p95"],
            "batch_ms_per_query": round(1e3 * batch / queries, 3),
            "planted": queries,
            "recall": found / queries,
            "rss_gb": round(resident() / 1e9, 2),
            "peak_rss_gb": round(resident("VmHWM") / 1e9, 2),
            "radius62_scan_ms": spread(scanned["2"])["p50"],
            "radius62_scan_one_thread_ms": spread(scanned["1"])["p50"],
        }


def graphs_of_peers(count: int, queries: int, threads: int) -> list[dict[str, Any]]:
    """Graphs over random codes: how many codes planted within 31 bits they find, and how fast."""
    rng, found = np.random.default_rng(6), list[dict[str, Any]]()
    codes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    rows = rng.choice(count, queries, replace=False)
    bits = np.unpackbits(codes[rows], axis=1)
    for number, one in enumerate(bits):
        one[rng.choice(256, number % 32, replace=False)] ^= 1
    asked = np.packbits(bits, axis=1)
    for name in ("USearch", "hnswlib"):
        start = time.perf_counter()
        try:
            search = code_graph(name, codes, threads)
        except ImportError:
            found.append({"name": name, "skipped": "not installed"})
            continue
        built = time.perf_counter() - start
        for wide in (32, 128, 512):
            seconds, hits = [], 0
            for row, query in zip(rows, asked, strict=True):
                start = time.perf_counter()
                hits += int(search(query, wide)[0]) == row
                seconds.append(time.perf_counter() - start)
            line = {"wide": wide, "codes": count, "build_s": round(built, 1), "recall": hits / queries}
            found.append({"name": name, **line, "ms": spread(seconds)})
    return found


def mapped(path: Path, count: int) -> Words:
    """Random codes in a file, mapped: they count as this process's pages where they are touched."""
    rng = np.random.Generator(np.random.SFC64(5))
    with path.open("wb", buffering=0) as file:
        for start in range(0, 4 * count, _CHUNK):
            file.write(rng.integers(0, 2**64, min(_CHUNK, 4 * count - start), dtype=np.uint64).data)
    found = np.memmap(path, np.uint64, "r", shape=(4, count))
    scan.large_pages(found)
    return found.view(np.ndarray)


def flipped(code: Words, bits: int, rng: np.random.Generator) -> Words:
    """A code that differs from this one in so many bits."""
    for bit in rng.choice(256, bits, replace=False):
        code[bit >> 6] ^= np.uint64(1 << int(bit & 63))
    return code


# By hand: what sets sizes in `engine`


def crossover(repeat: int = 15) -> list[dict[str, Any]]:
    """Milliseconds of a scan and of the index at growing sizes, radius 31, for batches of 1 and 16."""
    rng, result = np.random.default_rng(3), []

    def fresh(look: Callable[[Words], object], size: int) -> object:
        return look(rng.integers(0, 2**64, (size, 4), dtype=np.uint64))  # nothing of it is in the caches

    with held_to(1), tempfile.TemporaryDirectory(prefix="wherefrom-hamming-") as folder:
        for count in (62_500 << power for power in range(8)):
            planes = rng.integers(0, 2**64, (4, count), dtype=np.uint64)
            index = mih.MultiIndex.build(planes, Path(folder) / str(count))
            runs = dict[str, Run]()
            scanned = partial(scan.within, planes, radius=31, compiled=True)
            for n in (1, 16):
                runs |= {f"scan{n}": partial(fresh, scanned, n), f"mih{n}": partial(fresh, index.within, n)}
            times = Contest(runs).held(4 * repeat)
            result.append({"codes": count, **{f"{name}_ms": middle(some) for name, some in times.items()}})
    return result


def startup() -> dict[str, float]:
    """Seconds until the first compiled scan in this process, and NumPy's nanoseconds a pair of codes.

    Asked twice with one `NUMBA_CACHE_DIR` that is empty at first, it tells compiling from loading.
    """
    rng = np.random.default_rng(4)
    planes = rng.integers(0, 2**64, (4, 2_000_000), dtype=np.uint64)
    queries = rng.integers(0, 2**64, (16, 4), dtype=np.uint64)
    with held_to(1):
        first = taken(lambda: scan.within(planes[:, :1000], queries[:1], 31, compiled=True))
        plain = taken(lambda: scan.within(planes, queries, 31, compiled=False)) / (2e6 * 16)
    return {"first_s": round(first, 3), "numpy_ns": round(1e9 * plain, 2), "even_pairs": round(first / plain)}
