"""How fast fingerprints are searched: the exact scan beside FAISS, and multi-index hashing.

    python benchmarks/hamming.py --codes 10e6                # scan and index at one size
    python benchmarks/hamming.py --codes 200e6 --only mih    # 28 GB of memory or disk cache is plenty
    python benchmarks/hamming.py --graphs 100e3              # graphs of peers over so many codes as well
    python benchmarks/hamming.py --crossover                 # from how many codes on the index pays
    python benchmarks/hamming.py --startup                   # from how many pairs on Numba pays

Codes are random bits, which is the hardest case for a scan (no block is rejected early by luck) and the
one that the cost model of the index assumes. Contenders take turns, so that a neighbour on the machine
slows all of them; figures are medians, with the 5th and 95th percentile beside them. `--json` prints
one JSON document on stdout; words go to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hamming_peers
from common import machine, say, spread, versions
from wherefrom.engine import mih, scan

Words = NDArray[np.uint64]
CHUNK = 1 << 21  # words written at a time, 16 MB: the file is then kept in large pages


def main() -> None:
    options = arguments()
    report: dict[str, Any] = {"machine": machine(), "versions": versions()}
    if options.startup:
        report["startup"] = startup()
    elif options.crossover:
        report["crossover"] = crossover(options.repeat)
    else:
        if options.only != "mih":
            report["scan"] = scan_beside_faiss(options.codes, options.repeat)
        if options.only != "scan":
            report["mih"] = multi_index(options.codes, options.memory, options.queries, options.directory)
        if options.graphs:
            report["graphs"] = hamming_peers.graphs(options.graphs, min(options.queries, 1024), 2)
    if options.json:
        print(json.dumps(report))
    else:
        table(report)


def scan_beside_faiss(count: int, repeat: int) -> dict[str, Any]:
    """One core for everyone: a streaming read, our scans, and FAISS's exact index, in turns."""
    room = kibibytes("/proc/meminfo", "MemAvailable")
    if room and 3 * 32 * count > 0.6 * room:
        return {
            "skipped": f"{count} codes for FAISS and for us do not fit the {room / 1e9:.1f} GB that are free"
        }
    with one_core():
        rng = np.random.default_rng(1)
        planes = rng.integers(0, 2**64, (4, count), dtype=np.uint64)
        queries = rng.integers(0, 2**64, (64, 4), dtype=np.uint64)
        one = queries[:1]
        runs: dict[str, Callable[[], object]] = {
            "limit": reader(planes),
            "radius31": lambda: scan.within(planes, one, 31, compiled=True),
            "radius62": lambda: scan.within(planes, one, 62, compiled=True),
            "nearest10": lambda: scan.nearest(planes, one, 10, compiled=True),
            "radius31_batch64": lambda: scan.within(planes, queries, 31, compiled=True),
            "radius62_batch64": lambda: scan.within(planes, queries, 62, compiled=True),
            "nearest10_batch64": lambda: scan.nearest(planes, queries, 10, compiled=True),
        }
        runs |= faiss_runs(planes, queries)
        if room > 4.5 * 32 * count or not room:  # it wants the codes as rows, beside FAISS's and ours
            runs |= hamming_peers.usearch_runs(planes, queries)
        times = in_turns(runs, repeat)
    result: dict[str, Any] = {"codes": count, "cores": 1, "repeat": repeat}
    for name, seconds in times.items():
        size = 64 if name.endswith("batch64") else 1
        result[name] = {"ms": spread(seconds), "queries_per_s": round(size / float(np.median(seconds)), 1)}
    result["p50_ms"], result["limit_ms"] = result["nearest10"]["ms"]["p50"], result["limit"]["ms"]["p50"]
    result["batch64_qps"] = result["nearest10_batch64"]["queries_per_s"]
    if "faiss_nearest10" in result:
        result["faiss_p50_ms"] = result["faiss_nearest10"]["ms"]["p50"]
        result["faiss_batch64_qps"] = result["faiss_nearest10_batch64"]["queries_per_s"]
    return result


def faiss_runs(planes: Words, queries: Words) -> dict[str, Callable[[], object]]:
    """What FAISS is asked; nothing where it is not installed."""
    try:
        import faiss
    except ImportError:
        say("faiss is not installed (benchmarks/requirements.txt): our figures stand alone")
        return {}
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(256)
    index.add(np.ascontiguousarray(planes.T).view(np.uint8))
    batch = queries.view(np.uint8)
    one = batch[:1]
    return {
        "faiss_radius31": lambda: index.range_search(one, 32),  # FAISS leaves the radius itself out
        "faiss_radius62": lambda: index.range_search(one, 63),
        "faiss_nearest10": lambda: index.search(one, 10),
        "faiss_radius31_batch64": lambda: index.range_search(batch, 32),
        "faiss_radius62_batch64": lambda: index.range_search(batch, 63),
        "faiss_nearest10_batch64": lambda: index.search(batch, 10),
    }


def multi_index(count: int, memory: float, queries: int, directory: str | None) -> dict[str, Any]:
    """Build over a file of codes, look for planted ones one by one, and scan at twice the radius."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="wherefrom-hamming-") as folder:
        path = Path(folder)
        say(f"writing {count} codes, {32 * count / 1e9:.1f} GB")
        planes = mapped_codes(path / "codes", count)
        allowed = int(memory * 1e9 - planes.nbytes - 0.35e9)  # 0.35: Python, NumPy, Numba, and scratch
        say("building")
        forget_peak()
        start = time.perf_counter()
        index = mih.MultiIndex.build(planes, path / "index", memory_limit=allowed, threads=2)
        built, build_peak = time.perf_counter() - start, resident("VmHWM")
        keys = index.layout.key_bits
        say(f"searching for {queries} planted codes, on one thread")
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
        start = time.perf_counter()
        batch_found = len(index.within(asked))
        batch = time.perf_counter() - start
        say("scanning at radius 62, on two threads and on one")
        wide = {
            f"threads{threads}": lambda threads=threads: scan.within(
                planes, asked[:1], 62, compiled=True, threads=threads
            )
            for threads in (2, 1)
        }
        scans = in_turns(wide, 7)
        return {
            "codes": count,
            "tables": len(keys),
            "key_bits": sorted(set(keys), reverse=True),
            "build_s": round(built, 1),
            "build_threads": 2,
            "build_peak_rss_gb": round(build_peak / 1e9, 2),
            "bytes_per_code": round(index.bytes / count, 2),
            "threads": 1,
            "p50_ms": spread(seconds)["p50"],
            "p95_ms": spread(seconds)["p95"],
            "ms": spread(seconds),
            "batch_ms_per_query": round(1e3 * batch / queries, 3),
            "planted": queries,
            "recall": found / queries,
            "batch_hits": batch_found,
            "rss_gb": round(resident("VmRSS") / 1e9, 2),
            "radius62_scan_ms": spread(scans["threads2"])["p50"],
            "radius62_scan_threads": 2,
            "radius62_scan_one_thread_ms": spread(scans["threads1"])["p50"],
        }


def crossover(repeat: int) -> list[dict[str, Any]]:
    """Milliseconds of a scan and of the index at growing sizes, radius 31, for batches of 1 and 16."""
    result = []
    rng = np.random.default_rng(3)
    with one_core(), tempfile.TemporaryDirectory(prefix="wherefrom-hamming-") as folder:
        for count in (62_500, 125_000, 250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000):
            planes = rng.integers(0, 2**64, (4, count), dtype=np.uint64)
            start = time.perf_counter()
            index = mih.MultiIndex.build(planes, Path(folder) / str(count))
            built = time.perf_counter() - start
            runs: dict[str, Callable[[], object]] = {}
            for size in (1, 16):
                # Fresh queries for each run: nothing of an earlier run may wait in the caches.
                runs[f"scan{size}"] = lambda size=size, planes=planes: scan.within(
                    planes, rng.integers(0, 2**64, (size, 4), dtype=np.uint64), 31, compiled=True
                )
                runs[f"mih{size}"] = lambda size=size, index=index: index.within(
                    rng.integers(0, 2**64, (size, 4), dtype=np.uint64)
                )
            times = in_turns(runs, 4 * repeat)
            medians = {f"{name}_ms": spread(seconds)["p50"] for name, seconds in times.items()}
            result.append({"codes": count, "build_s": round(built, 2), **medians})
            say(str(result[-1]))
    return result


def startup() -> dict[str, Any]:
    """Seconds until the first compiled scan, with and without kept machine code, and NumPy's pace."""
    program = (
        "import time, numpy as np; from wherefrom.engine import scan; "
        "planes = np.zeros((4, 1000), np.uint64); queries = np.ones((1, 4), np.uint64); "
        "scan.within(planes, queries, 31, compiled=False); start = time.perf_counter(); "
        "scan.within(planes, queries, 31, compiled=True); print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as cache, one_core():

        def first() -> float:
            done = subprocess.run(
                [sys.executable, "-c", program],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            return float(done.stdout)

        compiling = first()
        kept = [first() for _ in range(7)]
        rng = np.random.default_rng(4)
        planes = rng.integers(0, 2**64, (4, 2_000_000), dtype=np.uint64)
        queries = rng.integers(0, 2**64, (16, 4), dtype=np.uint64)
        pace: dict[str, list[float]] = {}
        for size in (1, 16):
            runs: dict[str, Callable[[], object]] = {
                f"numpy_batch{size}": lambda size=size: scan.within(
                    planes, queries[:size], 31, compiled=False
                ),
                f"kernel_batch{size}": lambda size=size: scan.within(
                    planes, queries[:size], 31, compiled=True
                ),
            }
            pace |= {
                name: [one / (2e6 * size) for one in seconds] for name, seconds in in_turns(runs, 5).items()
            }
    nanoseconds = {f"{name}_ns_per_pair": round(1e9 * float(np.median(one)), 2) for name, one in pace.items()}
    loading = float(np.median(kept))
    return {
        "compile_s": round(compiling, 2),
        "load_s": round(loading, 3),
        **nanoseconds,
        "even_pairs": round(loading / (float(np.median(pace["numpy_batch16"])))),
        "numpy_pairs": scan.NUMPY_PAIRS,
    }


def in_turns(runs: dict[str, Callable[[], object]], repeat: int) -> dict[str, list[float]]:
    """Seconds of each run, `repeat` times each, one after the other; a first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeat + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def reader(planes: Words) -> Callable[[], object]:
    """A run that does nothing but read all codes: no exact scan of all words can be faster."""
    from numba import njit

    @njit
    def total(words: Words) -> int:
        found = np.uint64(0)
        for i in range(words.shape[0]):
            found += words[i]
        return found

    flat = planes.ravel()
    return lambda: total(flat)


def mapped_codes(path: Path, count: int) -> Words:
    """Random codes in a file, mapped: they count as this process's pages where they are touched."""
    rng = np.random.Generator(np.random.SFC64(5))
    with path.open("wb", buffering=0) as file:
        for start in range(0, 4 * count, CHUNK):
            file.write(rng.integers(0, 2**64, min(CHUNK, 4 * count - start), dtype=np.uint64).data)
    mapped = np.memmap(path, np.uint64, "r", shape=(4, count))
    scan.large_pages(mapped)
    return mapped.view(np.ndarray)


def flipped(code: Words, bits: int, rng: np.random.Generator) -> Words:
    """A code that differs from this one in so many bits."""
    for bit in rng.choice(256, bits, replace=False):
        code[bit >> 6] ^= np.uint64(1 << int(bit & 63))
    return code


@contextmanager
def one_core() -> Iterator[None]:
    """Hold this process, and those that it starts, to one core."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def kibibytes(path: str, field: str) -> int:
    """A size that the kernel states in kB, in bytes; 0 where it states none."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def resident(field: str) -> int:
    """VmRSS or VmHWM of this process in bytes, mapped pages of files included; 0 where unknown."""
    return kibibytes("/proc/self/status", field)


def forget_peak() -> None:
    """Let VmHWM start anew."""
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5")


def table(report: dict[str, Any]) -> None:
    """The report as lines of text."""
    for section, content in report.items():
        print(f"\n{section}")
        for entry in content if isinstance(content, list) else [content]:
            if isinstance(content, list):
                print("   " + "  ".join(f"{key} {value}" for key, value in entry.items()))
                continue
            for key, value in entry.items():
                print(f"   {key:28} {value}")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--codes", type=lambda text: int(float(text)), default=10_000_000, help="such as 100e6"
    )
    parser.add_argument("--only", choices=["scan", "mih"], help="leave the other section out")
    parser.add_argument(
        "--graphs", type=lambda text: int(float(text)), default=0, help="codes for USearch's and hnswlib's"
    )
    parser.add_argument("--crossover", action="store_true", help="scan against index at growing sizes")
    parser.add_argument("--startup", action="store_true", help="NumPy against loading the kernels")
    parser.add_argument("--repeat", type=int, default=15, help="times that each contender runs")
    parser.add_argument("--queries", type=int, default=1024, help="planted codes to look for")
    parser.add_argument(
        "--memory", type=float, default=14.0, help="GB that codes and index may take together"
    )
    parser.add_argument("--directory", help="where the files of the index section go for a while")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
