"""Clients of a service, many in one process that does next to nothing itself: `... -m benchmarks.loading
FOLDER`.

Reads orders as JSON, one a line, and answers each with a line of JSON. The bodies that are sent are the files
of the folder, in the order of their names, over and over. An order has `port`, `clients` (each one connection
that asks again once it was answered), `requests` in all or `seconds`, and may have `ids` (to be told the
matches).
"""

from __future__ import annotations

import http.client
import itertools
import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

PATH = "/api/v1/search"
TIMEOUT = 120.0


def done(bodies: list[bytes], order: dict[str, Any]) -> dict[str, Any]:
    """Do what an order says: rows of number, status, seconds and Retry-After."""
    rows, found, lost = list[tuple[Any, ...]](), dict[int, list[str]](), list[int]()
    numbers, until = itertools.count(), time.perf_counter() + order.get("seconds", 1e9)

    def client() -> None:
        line = None
        while (number := next(numbers)) < order.get("requests", 1e12) and time.perf_counter() < until:
            start = time.perf_counter()
            try:
                line = line or http.client.HTTPConnection("127.0.0.1", order["port"], timeout=TIMEOUT)
                line.request("POST", PATH, bodies[number % len(bodies)], {"Content-Type": "image/jpeg"})
                answer = line.getresponse()
                data = answer.read()
                if answer.will_close:
                    line = None
            except (OSError, http.client.HTTPException):
                lost.append(number)
                line = None
                continue
            rows.append(
                (number, answer.status, time.perf_counter() - start, answer.headers.get("Retry-After"))
            )
            if order.get("ids") and answer.status == 200:
                found[number] = [match["id"] for match in json.loads(data)["matches"]]

    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(order["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "found": found, "lost": len(lost)}


def main() -> int:
    bodies = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
    for line in sys.stdin:
        print(json.dumps(done(bodies, json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
