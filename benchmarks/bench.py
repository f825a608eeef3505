"""Every benchmark so far, with the peers, on the same files in one run: RESULTS.md and the README's figures.

    make bench                                  # about 40 minutes on two cores, with the measuring set
    make bench BENCH="--minutes 15"             # smaller sizes
    make bench BENCH="--only copies --fresh"    # one of them, again
    make bench BENCH="--full"                   # 100 million fingerprints as well: 8 GB of memory
    python -m benchmarks --only hamming --set codes=200e6 --set only=mih --to DIR

Each runs in a process of its own, ends after a time, and leaves `results/NAME.json`; one that fails is named
and does not stop the rest. What has a result of the same sources, options and versions is not run again
unless `--fresh`: an interrupted run goes on where it was. Then `RESULTS.md` and the table between the markers
of README.md are written from those files, in whole; `--render` does only that. Without the measuring set the
photographs of scikit-image take its place, and the page says so. Those that are run by hand are run when they
are named; `--set` gives any of them an option of its `run`.

Exit code 1 when a benchmark failed.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import common, page
from benchmarks.case import DEFAULT_MINUTES, HERE, ROOT, Budget, Case, Options
from benchmarks.cases import CASES
from benchmarks.common import say

TAIL = 400  # characters of what a benchmark said, kept of one that failed


def main(arguments: list[str] | None = None, *, cases: Sequence[Case] = CASES, folder: Path = HERE) -> int:
    """Run what is asked for and write the pages; `folder` has the sources of the cases."""
    options = parsed(arguments)
    if options.list:
        for case in cases:
            more = "  with --full" if case.only_full else "  by hand" if case.hand else ""
            print(f"{case.name:16} {case.minutes:4g} minutes{more}")
        return 0
    failed = 0
    if not options.render:
        try:
            failed = run(options, cases, folder)
        except ValueError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            say("Interrupted: what is done is kept, and the next run goes on from there.")
            failed = 1
    write(options, cases)
    return int(bool(failed))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, help="for all of it")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--full", action="store_true", help="what does not fit the default as well")
    parser.add_argument("--fresh", action="store_true", help="also what there is a result of")
    parser.add_argument("--render", action="store_true", help="run nothing; write the pages")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and what each takes")
    parser.add_argument("--to", type=Path, default=HERE, help="write here, not into the repository")
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error("--minutes is a time above 0")
    if options.set and not options.only:
        parser.error("--set is for what is named by --only")
    return options


def chosen(cases: Sequence[Case], budget: Budget, only: Sequence[str]) -> list[Case]:
    """What to run; raises ValueError for a name that is none's."""
    unknown = sorted(set(only) - {case.name for case in cases})
    if unknown:
        names = ", ".join(case.name for case in cases)
        raise ValueError(f"There is no benchmark {', '.join(unknown)}; there are {names}.")
    wanted = [
        case
        for case in cases
        if (case.name in only if only else not case.hand and (budget.full or not case.only_full))
    ]
    return [case for case in wanted if budget.shared or not case.needs_shared]


def option(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value a number, a text, or what JSON makes of it. Raises ValueError for another."""
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"An option is NAME=VALUE, not {text!r}.")
    try:
        number = json.loads(value)
    except ValueError:
        return name, value
    return name, int(number) if isinstance(number, float) and number.is_integer() else number


def run(options: argparse.Namespace, cases: Sequence[Case], folder: Path) -> int:
    """Run what is to be run; gives how many failed. Raises ValueError for a name that is none's."""
    pictures = common.pictures()[1]
    budget = Budget(options.minutes, common.SHARED.is_dir(), options.full)
    wanted, given = chosen(cases, budget, options.only), dict(map(option, options.set))
    if not budget.shared:
        left = ", ".join(case.name for case in cases if case.needs_shared)
        say(f"The measuring set is not here; {pictures} instead, and without: {left}.")
    results = options.to / "results"
    results.mkdir(parents=True, exist_ok=True)
    source, commit, failed = sources(folder), commit_of(), 0
    for number, case in enumerate(wanted, 1):
        asked = case.options(budget) | given
        record: page.Record = {
            "format": page.FORMAT,
            "job": case.name,
            "script": case.name,
            "options": [shortened(f"{name}={value}") for name, value in asked.items()],
            "source": source,
            "commit": commit,
            "machine": common.machine(),
            "versions": common.versions(),
            "pictures": pictures,
        }
        if not options.fresh and is_done(page.record_of(results, case.name), record):
            say(f"{number} of {len(wanted)}: {case.name} has a result of these sources and options")
            continue
        say(f"{number} of {len(wanted)}: {case.name}, about {case.minutes * budget.share:.1f} minutes")
        record |= ended(case, asked, case.limit(budget))
        if not record["ok"]:
            failed += 1
            say(f"{case.name} did not end as it should: {record['problem']}")
        for line in record.pop("problems"):
            say(f"{case.name}: {line}")
        kept(results / f"{case.name}.json", record)
    return failed


def ended(case: Case, options: Options, limit: float) -> dict[str, Any]:
    """Run one benchmark to its end, or until its time in seconds is over; what came of it."""
    began, start = datetime.datetime.now(datetime.UTC), time.monotonic()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", case.path(), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            out, err = "", f"It was ended after {limit / 60:.0f} minutes, which it should not take."
            stop(process)
        except BaseException:
            stop(process)
            raise
    said = document(out)
    ok = isinstance(said, dict) and "result" in said and process.returncode == 0
    return {
        "started": began.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 1),
        "ok": ok,
        "below": bool(ok and said["problems"]),
        "problems": said["problems"] if ok else [],
        "problem": "" if ok else " ".join((err.strip() or "It printed no JSON.")[-TAIL:].split()),
        "result": said["result"] if ok else None,
    }


def stop(process: subprocess.Popen[str]) -> None:
    """End a benchmark and all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def document(out: str) -> Any:
    """The JSON in the last line of what was printed; None where there is none."""
    lines = out.strip().splitlines()
    try:
        return json.loads(lines[-1]) if lines else None
    except ValueError:
        return None


def is_done(known: page.Record | None, wanted: page.Record) -> bool:
    """Whether a result is there of the same sources, options, versions, machine and pictures."""
    if known is None or not known["ok"]:
        return False
    same = ("options", "source", "versions", "machine", "pictures")
    return all(known.get(name) == wanted[name] for name in same)


def kept(path: Path, record: page.Record) -> None:
    """Write a record; there is never half of one. A failure leaves an earlier result as it was."""
    known = page.record_of(path.parent, path.stem)
    if not record["ok"] and known is not None and known["ok"]:
        path = path.with_suffix(page.FAILED)
    else:
        path.with_suffix(page.FAILED).unlink(missing_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(record, indent=1) + "\n")
    new.replace(path)


def write(options: argparse.Namespace, cases: Sequence[Case]) -> None:
    """Write the pages from what is there."""
    made = page.Page(cases, page.records_of(options.to / "results", cases))
    if not made.records:
        say("There are no results yet: nothing was written.")
        return
    (options.to / "RESULTS.md").write_text(made.results())
    say(f"Written: {options.to / 'RESULTS.md'}")
    if options.to == HERE:
        readme = ROOT / "README.md"
        readme.write_text(page.with_measured(readme.read_text(), made.measured()))
        say(f"Written: the figures in {readme}")


def sources(folder: Path) -> str:
    """A digest of the program and of the benchmarks: what a result depends on."""
    digest = hashlib.sha256()
    files = [*(ROOT / "src").rglob("*"), *folder.glob("*.py")]
    for path in sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def commit_of() -> str:
    """The commit, with a mark where files were changed since; `unknown` outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def shortened(option: str) -> str:
    """An option without the place of this checkout: what is committed names no folders of a machine."""
    folder, _ = common.pictures()  # it may lie in the checkout, in what is installed there
    for place, name in ((common.SHARED, "../shared/data/images"), (folder, "PICTURES"), (ROOT, ".")):
        option = option.replace(str(place), name)
    return option
