"""Whether pictures of any size, shape and depth go through every way of asking, without an exception.

    python benchmarks/sizes.py [--pairs 20000] [--first 0] [--http 10] [--json]

Draws pairs of pictures (`wherefrom.evaluate.drawn`: sides of 1 to 200 pixels, up to 1:40, every mode of a
PNG), compares each both ways round, indexes them 100 at a time, searches for every one of them, groups the
duplicates, and asks the app over HTTP for every tenth. Counts what was not an answer: any exception, and any
status but 200. The number of a pair draws it again: `--first N --pairs 1`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from common import say
from wherefrom.collection import open_collection
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
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def failed(self, verb: str, number: int, pair: Pair) -> None:
        said = traceback.format_exc()
        self.failures.append(f"{verb}, pair {number}, {pair}: {said}")
        say(self.failures[-1])

    def went(self, verb: str, found: bool) -> None:
        self.counts[verb] += 1
        self.counts[f"{verb}, found"] += found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--http", type=int, default=10, help="every how many pictures the app is asked")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tally, last = Tally(), options.first + options.pairs
    with tempfile.TemporaryDirectory() as folder:
        for start in range(options.first, last, TOGETHER):
            numbers = range(start, min(start + TOGETHER, last))
            pairs = {number: a_pair(np.random.default_rng([14, number])) for number in numbers}
            asked_of(pairs, Path(folder) / f"{start}.wherefrom", tally)
            if options.first == start or (start // TOGETHER) % 10 == 0:
                say(f"{start + len(pairs)} pairs, {len(tally.failures)} failures")
        asked_over_http(options, Path(folder) / "served.wherefrom", tally)
    result = {"pairs": options.pairs, "failures": len(tally.failures), **dict(sorted(tally.counts.items()))}
    print(
        json.dumps(result) if options.json else "\n".join(f"{key}: {value}" for key, value in result.items())
    )
    return 1 if tally.failures else 0


def asked_of(pairs: dict[int, Pair], place: Path, tally: Tally) -> None:
    files = {number: pair.files() for number, pair in pairs.items()}
    with open_collection(place, create=True, settings=SETTINGS) as collection:
        for number, (one, other) in files.items():
            for query, match in ((one, other), (other, one)):
                try:
                    tally.went("compare", compare(query, match, SETTINGS) is not None)
                except Exception:  # noqa: BLE001 - counting them is what this is for
                    tally.failed("compare", number, pairs[number])
        report = collection.add([data for both in files.values() for data in both])
        if report.failed or report.skipped:
            tally.failures.append(f"add, from pair {min(pairs)}: {report}")
            say(tally.failures[-1])
        for number, both in files.items():
            for query in both:
                try:
                    tally.went("search", len(collection.search(query, limit=5)) > 0)
                except Exception:  # noqa: BLE001 - counting them is what this is for
                    tally.failed("search", number, pairs[number])
        try:
            tally.went("duplicates", any(True for _ in collection.duplicates()))
        except Exception:  # noqa: BLE001 - counting them is what this is for
            tally.failed("duplicates", min(pairs), pairs[min(pairs)])


def asked_over_http(options: argparse.Namespace, place: Path, tally: Tally) -> None:
    drawn = {
        number: a_pair(np.random.default_rng([14, number]))
        for number in range(options.first, options.first + options.pairs, options.http)
    }
    with open_collection(place, create=True, settings=SETTINGS) as collection:
        collection.add([pair.files()[1] for pair in drawn.values()])
    config = Config((("drawn", place),), settings=SETTINGS, workers=1)
    with TestClient(create_app(Service(config), config), base_url="http://localhost") as client:
        for number, pair in drawn.items():
            said = client.post("/api/v1/search", files={"image": ("drawn.png", pair.files()[0])})
            if said.status_code != 200:
                tally.failures.append(f"http, pair {number}, {pair}: {said.status_code} {said.text}")
                say(tally.failures[-1])
                continue
            tally.went("http", bool(said.json()["matches"]))


if __name__ == "__main__":
    sys.exit(main())
