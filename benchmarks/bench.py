"""Every benchmark so far, with the peers, on the same files in one run: RESULTS.md and the README's figures.

    make bench                                  # about 40 minutes on two cores, with the measuring set
    make bench BENCH="--minutes 15"             # smaller sizes
    make bench BENCH="--only copies --fresh"    # one of them, again
    make bench BENCH="--full"                   # 100 million fingerprints as well: 8 GB of memory

Each script runs by itself, ends after a time, and leaves `results/NAME.json`; one that fails is named and
does not stop the rest. What has a result of the same sources, options and versions is not run again unless
`--fresh`: an interrupted run goes on where it was. Then `RESULTS.md` and the table between the markers of
README.md are written from those files, in whole; `--render` does only that. Without the measuring set the
photographs of scikit-image take its place, and the page says so.

Exit code 1 when a script failed.
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
from pathlib import Path
from typing import Any

import common
import page
from common import HERE, say
from jobs import DEFAULT_MINUTES, JOBS, Budget, Job, chosen

ROOT = HERE.parent
TAIL = 400  # characters of what a script said, kept of one that failed


def main(arguments: list[str] | None = None, *, scripts: Path = HERE) -> int:
    options = parsed(arguments)
    if options.list:
        for job in JOBS:
            print(f"{job.name:16} {job.minutes:4g} minutes{'  with --full' if job.only_full else ''}")
        return 0
    folder = options.to / "results"
    failed = 0
    if not options.render:
        try:
            failed = run(options, folder, scripts)
        except ValueError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            say("Interrupted: what is done is kept, and the next run goes on from there.")
            failed = 1
    write(folder, options)
    return int(bool(failed))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, help="for all of it")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="one of them; may be repeated"
    )
    parser.add_argument("--full", action="store_true", help="what does not fit the default as well")
    parser.add_argument("--fresh", action="store_true", help="also what there is a result of")
    parser.add_argument("--render", action="store_true", help="run nothing; write the pages")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and what each takes")
    parser.add_argument(
        "--to", type=Path, default=HERE, help="write results and page here, not into the repository"
    )
    options = parser.parse_args(arguments)
    if options.minutes <= 0:
        parser.error("--minutes is a time above 0")
    return options


def run(options: argparse.Namespace, folder: Path, scripts: Path) -> int:
    """Run what is to be run; gives how many failed. Raises ValueError for a name that is none's."""
    place, pictures = common.pictures()
    budget = Budget(options.minutes, place, place == common.SHARED, options.full)
    jobs = chosen(budget, options.only)
    left_out = [job.name for job in JOBS if job.needs_shared and not budget.shared]
    if left_out:
        say(f"The measuring set is not here; {pictures} instead, and without: {', '.join(left_out)}.")
    folder.mkdir(parents=True, exist_ok=True)
    source, commit = sources(scripts), commit_of()
    failed = 0
    for number, job in enumerate(jobs):
        record: page.Record = {
            "format": page.FORMAT,
            "job": job.name,
            "script": job.script,
            "options": [shortened(one) for one in job.options(budget)],
            "source": source,
            "commit": commit,
            "machine": common.machine(),
            "versions": common.versions(),
            "pictures": pictures,
        }
        if not options.fresh and is_done(page.record_of(folder, job.name), record):
            say(f"{number + 1} of {len(jobs)}: {job.name} has a result of these sources and options")
            continue
        say(f"{number + 1} of {len(jobs)}: {job.name}, about {job.minutes * budget.share:.1f} minutes")
        record |= ended(job, budget, scripts)
        failed += not record["ok"]
        if not record["ok"]:
            say(f"{job.name} did not end as it should: {record['problem']}")
        kept(folder / f"{job.name}.json", record)
    return failed


def ended(job: Job, budget: Budget, scripts: Path) -> dict[str, Any]:
    """Run one script to its end, or until its time is over; what came of it."""
    command = [sys.executable, str(scripts / job.script), *job.options(budget), "--json"]
    began, start = datetime.datetime.now(datetime.UTC), time.monotonic()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=job.limit(budget))
        except subprocess.TimeoutExpired:
            out, err = (
                "",
                f"It was ended after {job.limit(budget) / 60:.0f} minutes, which it should not take.",
            )
            stop(process)
        except BaseException:
            stop(process)
            raise
    result = document(out)
    ok = result is not None and process.returncode in (0, 1)
    return {
        "started": began.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 1),
        "ok": ok,
        "below": ok and process.returncode == 1,
        "problem": "" if ok else " ".join(err.split())[-TAIL:] or f"exit code {process.returncode}, no JSON",
        "result": result if ok else None,
    }


def stop(process: subprocess.Popen[str]) -> None:
    """End a script and all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def document(out: str) -> Any:
    """The JSON in the last line of what a script printed; None where there is none."""
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


def write(folder: Path, options: argparse.Namespace) -> None:
    """Write the pages from what is there."""
    records = page.records_of(folder)
    if not records:
        say("There are no results yet: nothing was written.")
        return
    (options.to / "RESULTS.md").write_text(page.results(records))
    say(f"Written: {options.to / 'RESULTS.md'}")
    if options.to == HERE:
        readme = ROOT / "README.md"
        readme.write_text(page.with_measured(readme.read_text(), page.measured(records)))
        say(f"Written: the figures in {readme}")


def sources(scripts: Path) -> str:
    """A digest of the program and of the benchmarks: what a result depends on."""
    digest = hashlib.sha256()
    files = [*(ROOT / "src").rglob("*"), *scripts.glob("*.py")]
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


if __name__ == "__main__":
    sys.exit(main())
