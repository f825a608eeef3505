"""What becomes of every file: thousands of pictures with hostile files among them, indexed twice.

    python benchmarks/outcomes.py [--files 5000] [--hostile 200] [--seconds 10] [--json] [--keep DIR]

Makes a folder of pictures in a dozen formats (the same each time) and, spread among them, files that are cut,
damaged, no pictures, bombs, endless, drawings that never end, pipes, loops of links and names of any bytes.
Runs `wherefrom index --json` on it twice and samples the memory of that process and all its children.

Fails when the command does not end as it should, when added + known + skipped + failed is not what was
offered, when a refused file has no reason, when the second run adds anything or forgets a refusal, when it
is not 20 times quicker than the first, or when memory exceeds 1.5 GB. `--seconds` is the time that one file
may take: the default of the program is 30, of which files that never end take all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hostile import make

MAX_MEMORY = 1.5e9
MIN_RATIO = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--hostile", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="make the files here and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = options.keep or Path(scratch) / "pictures"
        kinds = make(root, options.files, options.hostile)
        collection = Path(scratch) / "outcomes.wherefrom"
        first = index(root, collection, options.seconds)
        second = index(root, collection, options.seconds)
    result = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "files": options.files,
        "hostile": options.hostile,
        "hostile_kinds": len(kinds),
        "first": summary(first, kinds),
        "second": summary(second, kinds),
        "ratio": round(first["report"]["seconds"] / max(second["report"]["seconds"], 1e-3), 1),
        "peak_memory": max(first["memory"], second["memory"]),
    }
    result["problems"] = problems(first, second, result)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return int(bool(result["problems"]))


# Running


def index(root: Path, collection: Path, seconds: float) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "wherefrom.cli.main",
        "index",
        str(root),
        "-c",
        str(collection),
        "--json",
        "-q",
    ]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"WHEREFROM_DECODE_SECONDS": str(seconds)},
    )
    sampler = Sampler(process.pid)
    sampler.start()
    out, err = process.communicate()
    sampler.join()
    try:
        report = json.loads(out)
    except ValueError:
        raise SystemExit(
            f"wherefrom index ended with {process.returncode}:\n{err.decode(errors='replace')}"
        ) from None
    return {
        "exit": process.returncode,
        "wall": time.monotonic() - began,
        "memory": sampler.peak,
        "report": report,
        "left": sampler.left(),
    }


class Sampler(threading.Thread):
    """Resident memory of a process and everything below it, 50 times a second; shared pages count in each."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._seen: set[int] = set()
        self.peak = 0

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while (pids := family(self._pid)) and resident(self._pid):
            self._seen |= set(pids)
            self.peak = max(self.peak, page * sum(map(resident, pids)))
            time.sleep(0.02)

    def left(self) -> list[int]:
        """Processes that outlived the command."""
        time.sleep(0.2)
        return [pid for pid in self._seen if resident(pid)]


def family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0


# Judging


def problems(first: dict[str, Any], second: dict[str, Any], result: dict[str, Any]) -> list[str]:
    found = []
    for name, run in (("first", first), ("second", second)):
        report = run["report"]
        total = report["added"] + report["known"] + len(report["skipped"]) + len(report["failed"])
        if run["exit"] not in (0, 5) or report["interrupted"]:
            found.append(f"the {name} run ended with {run['exit']}")
        if not total == report["offered"] == result["files"]:
            found.append(
                f"the {name} run: {total} outcomes, {report['offered']} offered, {result['files']} made"
            )
        bare = [
            one["uri"] for one in refused(report) if not one["reason"] or not one["code"] or not one["uri"]
        ]
        if bare:
            found.append(f"the {name} run: no reason for {bare[:3]}")
        if run["left"]:
            found.append(f"the {name} run left processes behind: {run['left']}")
    if (
        second["report"]["added"]
        or second["report"]["known"] != first["report"]["added"] + first["report"]["known"]
    ):
        found.append("the second run did not know every picture again")
    if sorted(map(told, refused(second["report"]))) != sorted(map(told, refused(first["report"]))):
        found.append("the second run refused other files than the first, or for other reasons")
    if result["ratio"] < MIN_RATIO:
        found.append(
            f"the second run was {result['ratio']} times quicker; at least {MIN_RATIO:g} is promised"
        )
    if result["peak_memory"] > MAX_MEMORY:
        found.append(
            f"{result['peak_memory'] / 1e9:.2f} GB of memory; at most {MAX_MEMORY / 1e9:g} is promised"
        )
    return found


def refused(report: dict[str, Any]) -> list[dict[str, str]]:
    return [*report["skipped"], *report["failed"]]


def told(one: dict[str, str]) -> tuple[str, str]:
    return one["uri"], one["code"]


def summary(run: dict[str, Any], kinds: Counter[str]) -> dict[str, Any]:
    report = run["report"]
    by_kind: Counter[str] = Counter()
    for one in refused(report):
        kind = one["uri"].rpartition("/")[2].partition("~")[0]
        by_kind[f"{kind if kind in kinds else 'picture'}: {one['code']}"] += 1
    return {
        "offered": report["offered"],
        "added": report["added"],
        "known": report["known"],
        "skipped": dict(Counter(one["code"] for one in report["skipped"]).most_common()),
        "failed": dict(Counter(one["code"] for one in report["failed"]).most_common()),
        "by_kind": dict(sorted(by_kind.items())),
        "seconds": report["seconds"],
        "wall": round(run["wall"], 2),
        "peak_memory": run["memory"],
    }


def show(result: dict[str, Any]) -> None:
    first, second = result["first"], result["second"]
    print(f"{result['machine']}; {result['files']:,} files, {result['hostile']} of them hostile")
    print(f"{'':24}{'first':>12}{'second':>12}")
    for name in ("offered", "added", "known"):
        print(f"{name:24}{first[name]:12,}{second[name]:12,}")
    for status in ("skipped", "failed"):
        for code in sorted({*first[status], *second[status]}):
            print(
                f"{status + ', ' + code:24}{first[status].get(code, 0):12,}{second[status].get(code, 0):12,}"
            )
    print(
        f"{'seconds, as reported':24}{first['seconds']:12.2f}{second['seconds']:12.3f}"
        f"   {result['ratio']:g} times"
    )
    print(f"{'seconds, with start':24}{first['wall']:12.2f}{second['wall']:12.2f}")
    print(f"{'peak memory, MB':24}{first['peak_memory'] / 1e6:12,.0f}{second['peak_memory'] / 1e6:12,.0f}")
    print("\nrefused, by what they were made as:")
    for kind, count in first["by_kind"].items():
        print(f"  {kind:40}{count:6}")
    for problem in result["problems"]:
        print(f"PROBLEM: {problem}")


if __name__ == "__main__":
    sys.exit(main())
