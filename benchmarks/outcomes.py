"""What becomes of every file: pictures with hostile files among them, indexed twice.

Makes a folder of pictures in a dozen formats (the same each time) and, spread among them, files that are cut,
damaged, no pictures, bombs, endless, drawings that never end, pipes, loops of links and names of any bytes.
Runs `wherefrom index --json` on it twice and samples the memory of that process and all its children.

A problem is a command that does not end as it should, added + known + skipped + failed that are not what was
offered, a refused file without a reason, a second run that adds anything, forgets a refusal, or is not 20
times quicker than the first, and more memory than 1.5 GB. `seconds` is the time that one file may take.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.hostile import make

MAX_MEMORY = 1.5e9
MIN_RATIO = 20.0


def run(files: int = 5_000, hostile: int = 200, seconds: float = 10) -> tuple[dict[str, Any], list[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        root, collection = Path(scratch) / "pictures", Path(scratch) / "outcomes.wherefrom"
        kinds = make(root, files, hostile)
        runs = {name: index(root, collection, seconds) for name in ("first", "second")}
    spent = [one["report"]["seconds"] for one in runs.values()]
    result: dict[str, Any] = {
        "files": files,
        "hostile": hostile,
        "hostile_kinds": len(kinds),
        **{name: summary(one, kinds) for name, one in runs.items()},
        "ratio": round(spent[0] / max(spent[1], 1e-3), 1),
        "peak_memory": max(one["memory"] for one in runs.values()),
    }
    result["problems"] = problems(runs, result)
    return result, result["problems"]


def index(root: Path, collection: Path, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "wherefrom.cli.main", "index", str(root), "-c", str(collection)]
    environment = os.environ | {"WHEREFROM_DECODE_SECONDS": str(seconds)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([*command, "--json", "-q"], stdout=pipe, stderr=pipe, env=environment)
    sampler = Sampler(process.pid)
    sampler.start()
    out, err = process.communicate()
    sampler.join()
    try:
        report = json.loads(out)
    except ValueError:
        said = err.decode(errors="replace")
        raise SystemExit(f"wherefrom index ended with {process.returncode}:\n{said}") from None
    return {"exit": process.returncode, "memory": sampler.peak, "report": report, "left": sampler.left()}


class Sampler(threading.Thread):
    """Resident memory of a process and everything below it, 50 times a second; shared pages count in each."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._seen, self.peak = pid, set[int](), 0

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
    """A process and all below it."""
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
    """Pages of memory; 0 of a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def problems(runs: dict[str, Any], result: dict[str, Any]) -> list[str]:
    found = []
    for name, one in runs.items():
        report = one["report"]
        total = report["added"] + report["known"] + len(refused(report))
        if one["exit"] not in (0, 5) or report["interrupted"]:
            found.append(f"the {name} run ended with {one['exit']}")
        if not total == report["offered"] == result["files"]:
            found.append(
                f"the {name} run: {total} outcomes, {report['offered']} offered, {result['files']} made"
            )
        if bare := [
            some for some in refused(report) if not all(some[key] for key in ("uri", "code", "reason"))
        ]:
            found.append(f"the {name} run: no reason for {bare[:3]}")
        if one["left"]:
            found.append(f"the {name} run left processes behind: {one['left']}")
    first, second = (one["report"] for one in runs.values())
    if second["added"] or second["known"] != first["added"] + first["known"]:
        found.append("the second run did not know every picture again")
    if (
        len({tuple(sorted((one["uri"], one["code"]) for one in refused(some))) for some in (first, second)})
        > 1
    ):
        found.append("the second run refused other files than the first, or for other reasons")
    if result["ratio"] < MIN_RATIO:
        found.append(
            f"the second run was {result['ratio']} times quicker; at least {MIN_RATIO:g} is promised"
        )
    if result["peak_memory"] > MAX_MEMORY:
        most = f"at most {MAX_MEMORY / 1e9:g} is promised"
        found.append(f"{result['peak_memory'] / 1e9:.2f} GB of memory; {most}")
    return found


def refused(report: dict[str, Any]) -> list[dict[str, str]]:
    return [*report["skipped"], *report["failed"]]


def summary(one: dict[str, Any], kinds: Counter[str]) -> dict[str, Any]:
    """The figures of a run; `by_kind` says what became of what each file was made as."""
    report, by_kind = one["report"], Counter[str]()
    for some in refused(report):
        kind = some["uri"].rpartition("/")[2].partition("~")[0]
        by_kind[f"{kind if kind in kinds else 'picture'}: {some['code']}"] += 1
    codes = {key: dict(Counter(some["code"] for some in report[key])) for key in ("skipped", "failed")}
    plain = {key: report[key] for key in ("offered", "added", "known", "seconds")}
    return plain | codes | {"by_kind": dict(sorted(by_kind.items())), "peak_memory": one["memory"]}
