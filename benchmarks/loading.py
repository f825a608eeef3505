"""Clients of a service, many in one process that does next to nothing itself.

    python benchmarks/loading.py FOLDER

Reads orders as JSON, one a line, and answers each with a line of JSON. The bodies that are sent are the files
of the folder, in the order of their names, over and over. An order has `port`, `clients` (each one connection
that asks again once it was answered), `requests` in all or `seconds`, and may have `path`, `type`, `ids` (to
be told the matches) and `again` (a request that was turned away is sent again at once).
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

TIMEOUT = 120.0


class Order:
    """One order under way."""

    def __init__(self, bodies: list[bytes], order: dict[str, Any]) -> None:
        self._bodies, self._order = bodies, order
        self._next = itertools.count()
        self._until = time.perf_counter() + order.get("seconds", 1e9)
        self.rows: list[tuple[int, int, float, str | None]] = []
        self.found: dict[int, list[str]] = {}
        self.lost = 0

    def client(self) -> None:
        """One client, until all is asked."""
        line = None
        headers = {"Content-Type": self._order.get("type", "image/jpeg")}
        while (number := next(self._next)) < self._order.get("requests", 1e12):
            if time.perf_counter() > self._until:
                break
            body = self._bodies[number % len(self._bodies)]
            start = time.perf_counter()
            try:
                line = line or http.client.HTTPConnection("127.0.0.1", self._order["port"], timeout=TIMEOUT)
                line.request("POST", self._order.get("path", "/api/v1/search"), body, headers)
                answer = line.getresponse()
                data = answer.read()
                if answer.will_close:
                    line = None
            except (OSError, http.client.HTTPException):
                self.lost += 1
                line = None
                continue
            taken = time.perf_counter() - start
            self.rows.append((number, answer.status, taken, answer.headers.get("Retry-After")))
            if self._order.get("ids") and answer.status == 200:
                self.found[number] = [match["id"] for match in json.loads(data)["matches"]]


def done(bodies: list[bytes], order: dict[str, Any]) -> dict[str, Any]:
    """Do what an order says: rows of number, status, seconds and Retry-After."""
    one = Order(bodies, order)
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    threads = [threading.Thread(target=one.client) for _ in range(order["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "rows": one.rows, "found": one.found, "lost": one.lost}


def main() -> int:
    bodies = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
    for line in sys.stdin:
        print(json.dumps(done(bodies, json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
