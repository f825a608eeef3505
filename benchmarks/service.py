"""The service under load, beside the library in as many processes, on the same queries in the same run.

The collection has fillers and real pictures (`filled`); uploads are edited copies of these, JPEG files of at
most 500 pixels. Library: a process per core, each with the collection open, gets the next upload when it has
answered the last one. Service: `wherefrom serve` with as many search processes, and 8 clients in one more
process, over loopback. Each round sends all uploads through the one and then through the other; both must
find the same. The ratio is the median of the rounds'. `requests` more follow, during which memory is sampled;
the store of past searches, which is full at 256 MB, is filled before. Then what clients should not do:
`service_hard`.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import cores, place_of, say
from benchmarks.filled import filled, uploads
from benchmarks.service_hard import crashed, flooded, malformed
from benchmarks.serving import Asked, Service, clients_of, served
from benchmarks.timing import taken

CLIENTS = 8
BARS = {"ratio": 0.8, "p99_over_p50": 6.0}
_PAD = 1_000_000  # bytes behind a picture that fill the store of searches
_STORE = 256 * 1024 * 1024


def run(
    images: int = 100_000,
    requests: int = 600,
    uploaded: int = 60,
    rounds: int = 5,
    malformed_uploads: int = 1_000,
    kills: int = 3,
    folder: str | None = None,
    at: str | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """`at` is where the collection is kept, for the next run too."""
    with tempfile.TemporaryDirectory() as home:
        scratch = Path(home)
        made = filled(Path(at) if at else scratch / "at", place_of(folder), images)
        sent = uploads(made.wanted, uploaded)
        bodies = written(scratch / "uploads", sent)
        clients = clients_of(bodies)
        result: dict[str, Any] = {
            "images": made.images,
            "uploads": len(sent),
            "upload_bytes": round(statistics.mean(map(len, sent))),
            "clients": CLIENTS,
        }
        try:
            with served(made.directory) as service:
                result |= rates(made.directory, bodies, service, clients, rounds, len(sent))
                padded = written(scratch / "padded", [data + bytes(_PAD) for data in sent[:20]])
                result["memory"] = remembered(service, clients, padded, requests)
            result["flood"] = flooded(made.directory, clients)
            result["malformed"] = malformed(made.directory, malformed_uploads, sent[0])
        finally:
            clients.close()
        result["crash"] = crashed(scratch / "crash", kills)
    result["problems"] = problems(result)
    return result, result["problems"]


def written(folder: Path, bodies: Sequence[bytes]) -> Path:
    folder.mkdir()
    for number, data in enumerate(bodies):
        (folder / f"{number:05}.jpg").write_bytes(data)
    return folder


def rates(
    directory: Path, bodies: Path, service: Service, clients: Asked, rounds: int, count: int
) -> dict[str, Any]:
    """Answers a second of both, round by round, and how long the service's clients waited."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    given = (str(directory), str(bodies))
    alone = [Asked("benchmarks.alone", *given, environment=threads) for _ in range(cores())]
    library, ours, waited = list[float](), list[float](), list[float]()
    cpu, different = 0.0, 0
    try:
        for one in alone:
            for number in range(10):
                one.ask(number=number)
        clients.ask(port=service.port, clients=CLIENTS, requests=count)
        for number in range(rounds):
            say(f"Round {number + 1} of {rounds}")
            found: dict[int, list[str]] = {}
            library.append(count / taken(partial(together, alone, count, found)))
            done = clients.ask(port=service.port, clients=CLIENTS, requests=count, ids=True)
            ours.append(len(done["rows"]) / done["seconds"])
            waited += [row[2] for row in done["rows"]]
            cpu += done["cpu"] / done["seconds"]
            different += sum(done["found"].get(str(n)) != found[n][:20] for n in range(count))
    finally:
        for one in alone:
            one.close()
    p50, p95, p99 = (1e3 * float(one) for one in np.percentile(waited, [50, 95, 99]))
    ratios = [one / other for one, other in zip(ours, library, strict=True)]
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


def together(alone: Sequence[Asked], count: int, found: dict[int, list[str]]) -> None:
    """What all processes find for `count` uploads, each taking the next one when it is ready."""
    turn = itertools.count()

    def work(one: Asked) -> None:
        while (number := next(turn)) < count:
            found[number] = one.ask(number=number)

    threads = [threading.Thread(target=work, args=(one,)) for one in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def remembered(service: Service, clients: Asked, padded: Path, requests: int) -> dict[str, Any]:
    """Memory of the server and of the processes that search, over many requests."""
    say("Filling the store of searches")
    filling = clients_of(padded)
    filling.ask(port=service.port, clients=CLIENTS, requests=_STORE // _PAD + 20)
    filling.close()
    step, done, samples = max(1, requests // 40), 0, [(0, service.memory())]
    replaced, failed = service.metric("wherefrom_processes_replaced"), 0
    while done < requests:
        some = min(step, requests - done)
        rows = clients.ask(port=service.port, clients=CLIENTS, requests=some)["rows"]
        failed += sum(row[1] != 200 for row in rows)
        done += some
        samples.append((done, service.memory()))
    server, *searching = service.processes
    return {
        "requests": requests,
        "failed": failed,
        "kept_mb": round(service.metric("wherefrom_searches_kept_bytes") / 1e6),
        "replaced": service.metric("wherefrom_processes_replaced") - replaced,
        "server": trend([(at, memory.get(server, 0)) for at, memory in samples]),
        "searching": trend([(at, sum(memory.get(pid, 0) for pid in searching)) for at, memory in samples]),
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


def problems(result: dict[str, Any]) -> list[str]:
    """What is below its bar, as sentences."""
    memory, flood, bad, crash = (result[name] for name in ("memory", "flood", "malformed", "crash"))
    found = {
        f"The service has {result['ratio']} of the library's rate.": result["ratio"] < BARS["ratio"],
        f"p99 is {result['p99_over_p50']} times p50.": result["p99_over_p50"] > BARS["p99_over_p50"],
        f"{result['different']} answers differ from the library's.": result["different"],
        "The server's memory grows.": not memory["server"]["flat"],
        "The memory of the processes that search grows.": not memory["searching"]["flat"],
        f"{memory['failed']} requests failed.": memory["failed"],
        "No request was turned away.": not flood["turned_away"],
        "Some were turned away without Retry-After.": flood["without_retry_after"],
        f"A flood: statuses {flood['others']}.": flood["others"],
        f"A flood takes {flood['grown_mb']} MB.": flood["grown_mb"] > flood["allowed_mb"],
        f"Malformed uploads: statuses {bad['statuses']}.": bad["failures"],
        f"{bad['hung_up']} malformed uploads got no answer.": bad["hung_up"],
        "After them it does not search as before.": not bad["well_after"],
        f"A kill lost {crash['lost']} answered additions.": crash["lost"],
        f"check finds {len(crash['damage'])} problems after a kill.": crash["damage"],
    }
    return [words for words, wrong in found.items() if wrong]
