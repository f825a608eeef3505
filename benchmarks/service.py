"""The service under load, beside the library in as many processes, on the same queries in the same run.

    pip install 'wherefrom[serve]'
    python benchmarks/service.py [--images 100000] [--requests 600] [--uploads 60] [--rounds 5]
                                 [--malformed 1000] [--kills 3] [--folder DIR] [--at DIR] [--json]

The collection has fillers, as `search_scale.py` makes them, and real pictures; uploads are edited copies of
these, JPEG files of at most 500 pixels. Library: a process per core, each with the collection open, gets the
next upload when it has answered the last one. Service: `wherefrom serve` with as many search processes, and 8
clients in one more process, over loopback. Each round sends all uploads through the one and then through the
other; both must find the same. The ratio is the median of the rounds'. `--requests` more follow, during which
memory is sampled; the store of past searches, which is full at 256 MB, is filled before.

Then: far more clients than the queue takes; uploads that are no pictures, or no requests; and `kill -9` while
100 clients add.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import common
from common import figure, say
from filled import Filled, filled, uploads
from service_hard import crashed, flooded, malformed
from serving import Clients, Service, served

CLIENTS = 8
BARS = {"ratio": 0.8, "p99_over_p50": 6.0}
_PAD = 1_000_000  # bytes behind a picture that fill the store of searches
_STORE = 256 * 1024 * 1024

ALONE = """
import json, os, sys
from pathlib import Path
import cv2
import wherefrom
from wherefrom.settings import Settings
cv2.setNumThreads(1)
bodies = [path.read_bytes() for path in sorted(Path(sys.argv[2]).iterdir())]
with wherefrom.open(sys.argv[1], settings=Settings(model="none")) as collection:
    for body in bodies[:10]:
        collection.search(body)
    print(flush=True)
    for line in sys.stdin:
        answer = collection.search(bodies[int(line) % len(bodies)])
        print(json.dumps([match.id for match in answer]), flush=True)
"""
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=600, help="for the memory; the bar is over 20,000")
    parser.add_argument("--uploads", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--malformed", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=common.pictures()[0])
    parser.add_argument("--at", type=Path, help="where the collection is kept, for the next run too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measured(options, Path(scratch))
    print(json.dumps(result) if options.json else text(result))
    return int(bool(result["problems"]))


def measured(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """All figures, and what is below its bar."""
    start = time.perf_counter()
    made = filled(options.at or scratch / "at", options.folder, options.images)
    seconds = time.perf_counter() - start
    bodies = scratch / "uploads"
    bodies.mkdir()
    sent = uploads(made.wanted, options.uploads)
    for number, data in enumerate(sent):
        (bodies / f"{number:05}.jpg").write_bytes(data)
    result: dict[str, Any] = {
        "images": made.images,
        "filled_s": round(seconds, 1),
        "uploads": len(sent),
        "upload_bytes": round(statistics.mean(map(len, sent))),
        "clients": CLIENTS,
    }
    clients = Clients(bodies)
    try:
        with served(made.directory) as service:
            result |= rates(made, bodies, service, clients, options.rounds)
            result["memory"] = remembered(service, clients, sent, scratch, options.requests)
        result["flood"] = flooded(made.directory, clients)
        result["malformed"] = malformed(made.directory, options.malformed, sent[0])
    finally:
        clients.close()
    result["crash"] = crashed(scratch / "crash", options.kills)
    return result | {"problems": problems(result)}


# How much, and how long one waits


def rates(made: Filled, bodies: Path, service: Service, clients: Clients, rounds: int) -> dict[str, Any]:
    """Answers a second of both, round by round, and how long the service's clients waited."""
    count = len(list(bodies.iterdir()))
    alone = [Alone(made.directory, bodies) for _ in range(_cores())]
    ratios, library, ours = list[float](), list[float](), list[float]()
    taken, cpu, different = list[float](), 0.0, 0
    try:
        clients.ask(service.port, clients=CLIENTS, requests=count)
        for number in range(rounds):
            say(f"Round {number + 1} of {rounds}")
            found, seconds = together(alone, count)
            done = clients.ask(service.port, clients=CLIENTS, requests=count, ids=True)
            library.append(count / seconds)
            ours.append(len(done["rows"]) / done["seconds"])
            ratios.append(ours[-1] / library[-1])
            taken += [row[2] for row in done["rows"]]
            cpu += done["cpu"] / done["seconds"]
            different += sum(done["found"].get(str(n)) != found[n][:20] for n in range(count))
    finally:
        for one in alone:
            one.close()
    p50, p95, p99 = (1e3 * float(one) for one in np.percentile(taken, [50, 95, 99]))
    return {
        "rounds": rounds,
        "library_per_s": round(statistics.median(library), 2),
        "service_per_s": round(statistics.median(ours), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(one, 3) for one in ratios],
        "different": different,
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        "p99_ms": round(p99, 1),
        "p99_over_p50": round(p99 / p50, 2),
        "clients_cpu": round(cpu / max(1, rounds), 3),
    }


class Alone:
    """A process that searches with the library, one upload at a time."""

    def __init__(self, collection: Path, bodies: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ALONE, str(collection), str(bodies)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | THREADS,
        )
        self._in, self._out = self._process.stdin, self._process.stdout
        assert self._in is not None
        assert self._out is not None
        self._out.readline()

    def search(self, number: int) -> list[str]:
        """The ids that it finds for an upload."""
        self._in.write(f"{number}\n")
        self._in.flush()
        found: list[str] = json.loads(self._out.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._in.close()
        self._process.wait(30)
        self._out.close()


def together(alone: Sequence[Alone], count: int) -> tuple[dict[int, list[str]], float]:
    """What all processes find for `count` uploads, and in how many seconds."""
    found: dict[int, list[str]] = {}
    turn = itertools.count()

    def work(one: Alone) -> None:
        while (number := next(turn)) < count:
            found[number] = one.search(number)

    threads = [threading.Thread(target=work, args=(one,)) for one in alone]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, time.perf_counter() - start


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Memory


def remembered(
    service: Service, clients: Clients, sent: list[bytes], scratch: Path, requests: int
) -> dict[str, Any]:
    """Memory of the server and of the processes that search, over many requests."""
    say("Filling the store of searches")
    padded = scratch / "padded"
    padded.mkdir()
    for number, data in enumerate(sent[:20]):
        (padded / f"{number}.jpg").write_bytes(data + bytes(_PAD))
    filling = Clients(padded)
    filling.ask(service.port, clients=CLIENTS, requests=_STORE // _PAD + 20)
    filling.close()
    say(f"{requests:,} requests")
    step, done, samples = max(1, requests // 40), 0, [(0, service.memory())]
    replaced, failed = service.metric("wherefrom_processes_replaced"), 0
    while done < requests:
        rows = clients.ask(service.port, clients=CLIENTS, requests=min(step, requests - done))["rows"]
        failed += sum(row[1] != 200 for row in rows)
        done += min(step, requests - done)
        samples.append((done, service.memory()))
    server, *searching = service.processes
    parts = {
        "server": [(at, memory.get(server, 0)) for at, memory in samples],
        "searching": [(at, sum(memory.get(pid, 0) for pid in searching)) for at, memory in samples],
    }
    return {
        "requests": requests,
        "failed": failed,
        "kept_mb": round(service.kept() / 1e6),
        "replaced": service.metric("wherefrom_processes_replaced") - replaced,
        **{name: trend(part) for name, part in parts.items()},
    }


def trend(samples: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Memory at the beginning and the end of the later half, the line through it, and whether that is flat.

    Flat is a line that rises by less than 3 % of what there is, or than twice the scatter around it.
    """
    later = np.array(samples[len(samples) // 2 :], float)
    at, size = later[:, 0], later[:, 1] / 1e6
    slope, base = np.polyfit(at, size, 1) if len(later) > 2 else (0.0, size[0])
    scatter = float(np.std(size - (slope * at + base)))
    rise = float(slope * (at[-1] - at[0]))
    return {
        "first_mb": round(samples[0][1] / 1e6, 1),
        "half_mb": round(float(size[0]), 1),
        "last_mb": round(float(size[-1]), 1),
        "rise_mb": round(rise, 2),
        "scatter_mb": round(scatter, 2),
        "mb_per_10000": round(float(slope) * 1e4, 1),
        "flat": bool(rise <= max(0.03 * size[0], 2 * scatter)),
    }


# Telling


def problems(result: dict[str, Any]) -> list[str]:
    """What is below its bar, as sentences."""
    memory, flood, bad, crash = (result[name] for name in ("memory", "flood", "malformed", "crash"))
    found = {
        f"The service has {result['ratio']} of the library's rate.": result["ratio"] < BARS["ratio"],
        f"p99 is {result['p99_over_p50']} times p50.": result["p99_over_p50"] > BARS["p99_over_p50"],
        f"{result['different']} answers differ from the library's.": result["different"] > 0,
        "The server's memory grows.": not memory["server"]["flat"],
        "The memory of the processes that search grows.": not memory["searching"]["flat"],
        f"{memory['failed']} requests failed.": memory["failed"] > 0,
        "No request was turned away.": flood["turned_away"] == 0,
        "Some were turned away without Retry-After.": flood["without_retry_after"] > 0,
        f"A flood: statuses {flood['others']}.": bool(flood["others"]),
        f"A flood takes {flood['grown_mb']} MB.": flood["grown_mb"] > flood["allowed_mb"],
        f"Malformed uploads: statuses {bad['statuses']}.": bad["failures"] > 0,
        f"{bad['hung_up']} malformed uploads got no answer.": bad["hung_up"] > 0,
        "After them it does not search as before.": not bad["well_after"],
        f"A kill lost {crash['lost']} answered additions.": crash["lost"] > 0,
        f"check finds {len(crash['damage'])} problems after a kill.": bool(crash["damage"]),
    }
    return [words for words, wrong in found.items() if wrong]


def text(result: dict[str, Any]) -> str:
    """Markdown, as RESULTS.md has it."""
    import sections_service

    return f"{sections_service.service(result)}\n\n{figure(result['filled_s'])} s to fill."


if __name__ == "__main__":
    sys.exit(main())
