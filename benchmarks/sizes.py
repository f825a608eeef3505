"""Whether pictures of any size, shape and depth go through every way of asking, without an exception.

Draws pairs of pictures (`wherefrom.evaluate.drawn`: sides of 1 to 200 pixels, up to 1:40, every mode of a
PNG), compares each both ways round, indexes them 100 at a time, searches for every one of them, groups the
duplicates, and asks the app over HTTP for every tenth. Counts what was not an answer: any exception, and any
status but 200. The number of a pair draws it again: `first=N pairs=1`.
"""

from __future__ import annotations

import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

import wherefrom
from benchmarks.common import say
from wherefrom.evaluate.drawn import Pair, a_pair
from wherefrom.search.find import compare
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.service import Service
from wherefrom.settings import Settings

TOGETHER = 100  # pairs in one collection
SETTINGS = Settings(model="none", workers=1)


class Tally:
    """What was asked, what was found and what went wrong."""

    def __init__(self) -> None:
        self.counts, self.failures = Counter[str](), list[str]()

    def failed(self, words: str) -> None:
        self.failures.append(words)
        say(words)

    def went(self, verb: str, number: int, pair: Pair, ask: Callable[[], bool]) -> None:
        """Ask, and count how it went."""
        try:
            found = ask()
        except Exception:  # noqa: BLE001 - counting them is what this is for
            self.failed(f"{verb}, pair {number}, {pair}: {traceback.format_exc()}")
            return
        self.counts[verb] += 1
        self.counts[f"{verb}, found"] += found


def run(pairs: int = 5_000, first: int = 0, http: int = 10) -> tuple[dict[str, Any], list[str]]:
    """The app is asked for every `http`th pair."""
    tally, last = Tally(), first + pairs
    with tempfile.TemporaryDirectory() as folder:
        for start in range(first, last, TOGETHER):
            asked_of(
                drawn(range(start, min(start + TOGETHER, last))), Path(folder) / f"{start}.wherefrom", tally
            )
            say(f"{start + TOGETHER - first} pairs, {len(tally.failures)} failures")
        asked_over_http(drawn(range(first, last, http)), Path(folder) / "served.wherefrom", tally)
    result = {"pairs": pairs, "failures": len(tally.failures), **dict(sorted(tally.counts.items()))}
    return result, tally.failures


def drawn(numbers: range) -> dict[int, Pair]:
    return {number: a_pair(np.random.default_rng([14, number])) for number in numbers}


def asked_of(pairs: dict[int, Pair], place: Path, tally: Tally) -> None:
    files = {number: pair.files() for number, pair in pairs.items()}
    with wherefrom.open(place, create=True, settings=SETTINGS) as collection:
        report = collection.add([data for both in files.values() for data in both])
        if report.failed or report.skipped:
            tally.failed(f"add, from pair {min(pairs)}: {report}")

        def compared(query: bytes, match: bytes) -> bool:
            return compare(query, match, SETTINGS) is not None

        def found(query: bytes) -> bool:
            return len(collection.search(query, limit=5)) > 0

        for number, (one, other) in files.items():
            for query, match in ((one, other), (other, one)):
                tally.went("compare", number, pairs[number], partial(compared, query, match))
                tally.went("search", number, pairs[number], partial(found, query))
        number = min(pairs)
        tally.went("duplicates", number, pairs[number], lambda: any(True for _ in collection.duplicates()))


def asked_over_http(pairs: dict[int, Pair], place: Path, tally: Tally) -> None:
    with wherefrom.open(place, create=True, settings=SETTINGS) as collection:
        collection.add([pair.files()[1] for pair in pairs.values()])
    config = Config((("drawn", place),), settings=SETTINGS, workers=1)
    with TestClient(create_app(Service(config), config), base_url="http://localhost") as client:

        def ask(pair: Pair) -> bool:
            said = client.post("/api/v1/search", files={"image": ("drawn.png", pair.files()[0])})
            if said.status_code != 200:
                raise RuntimeError(f"{said.status_code} {said.text}")
            return bool(said.json()["matches"])

        for number, pair in pairs.items():
            tally.went("http", number, pair, partial(ask, pair))
