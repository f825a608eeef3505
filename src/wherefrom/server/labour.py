"""What jobs do: index, duplicates, check, rebuild, backup.

Changes to a collection are made by the process that holds its lock, which is the server's own. Looking for
duplicates and for damage would keep that from answering: both are done in a process beside it, which reads
along and writes what it finds as JSON, line by line (`aside.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, cast

from wherefrom.errors import Excluded, NotFound, PictureError, UsageError, WherefromError, error_classes
from wherefrom.outcome import Outcome, Report, Status
from wherefrom.server.found import Found
from wherefrom.server.jobs import Job, Tools, Work, allowed
from wherefrom.server.logs import failed
from wherefrom.sources.folder import Unopened, walk
from wherefrom.sources.leaving import LeavingOut

_NAMED = 500  # refused files that a report names
_LEAST, _MOST = 16, 2_000  # files added at a time
_SHORT, _LONG = 0.4, 1.0  # seconds that adding them should take: whoever uploads meanwhile waits for it

_OPTIONS: dict[str, dict[str, type]] = {
    "index": {"path": str, "prune": bool, "retry": bool, "default_excludes": bool},
    "duplicates": {"turned": bool, "parts": bool},
    "check": {},
    "rebuild": {},
    "backup": {"directory": str},
}


def checked(kind: str, options: Mapping[str, Any], tools: Tools) -> dict[str, Any]:
    """The options of a job as they are kept. Raises UsageError, NotFound or Forbidden."""
    known = _OPTIONS.get(kind, {})
    for name, value in options.items():
        if name not in known:
            raise UsageError(
                f"The job {kind} has no option {name[:40]!r}; it has: {', '.join(known) or 'none'}."
            )
        if type(value) is not known[name]:
            raise UsageError(f"The option {name} is {'a text' if known[name] is str else 'true or false'}.")
    stated = dict(options)
    if kind == "index":
        path = allowed(str(options.get("path", "")), tools.index_roots, "folder", "--index-root")
        if not os.path.exists(path):  # a name that is too long is none either
            raise NotFound(f"There is no {path}.")
        stated["path"] = str(path)
    if kind == "backup":
        directory = allowed(
            str(options.get("directory", "")), tools.backup_roots, "directory", "--backup-root"
        )
        stated["directory"] = str(directory)
    return stated


def index(job: Job, tools: Tools) -> dict[str, Any]:
    """Add the pictures in a folder, some at a time, so that uploads are taken in between."""
    collection = tools.collection(job.collection)
    path, retry = job.options["path"], bool(job.options.get("retry"))
    inside = Inside(tools.index_roots)
    leaving = LeavingOut(defaults=job.options.get("default_excludes", True))
    refused, count = list[dict[str, Any]](), dict.fromkeys(Status, 0)
    gone = moved = 0
    total = _Total(path, job.stop)

    def tell(outcome: Outcome, _: Report | None = None) -> None:
        count[outcome.status] += 1
        if outcome.reason and outcome.code != Excluded.code and len(refused) < _NAMED:
            refused.append(_told(outcome))
        job.done, job.total = sum(count.values()), total.found
        job.version += 1

    found = iter(walk(path, may_follow=inside.holds, leaving=leaving))
    size, begun = 4 * _LEAST, time.monotonic()
    while some := list(islice(found, size)):
        job.check()
        start = time.monotonic()
        paths: list[str] = []
        for one in some:
            if isinstance(one, Unopened):
                skips = isinstance(one.error, PictureError) and one.error.skips
                status = Status.SKIPPED if skips else Status.FAILED
                tell(Outcome(status, one.uri, None, str(one.error), one.error.code))
            elif inside.holds(one.path):  # looked at again, since what it lies in may be a link by now
                paths.append(one.path)
            else:
                tell(Outcome(Status.FAILED, one.uri, None, "It leads out of the folders allowed.", "outside"))
        if paths:
            report = collection.add(paths, on_outcome=tell, retry=retry, stop=job.stop)
            gone, moved = gone + report.gone, moved + report.moved
        took = time.monotonic() - start
        size = min(_MOST, 2 * size) if took < _SHORT else max(_LEAST, size // 2) if took > _LONG else size
        time.sleep(0.002)  # the lock is let go for whoever waits for it
    job.check()
    gone += collection.prune(path) if job.options.get("prune") else 0
    job.progress(sum(count.values()), sum(count.values()))
    return {
        "offered": sum(count.values()),
        **{status.value: number for status, number in count.items()},
        "gone": gone,
        "moved": moved,
        "refused": refused,
        "seconds": round(time.monotonic() - begun, 3),
    }


def rebuild(job: Job, tools: Tools) -> dict[str, Any]:
    """Derive every index anew, and compute features of old versions."""
    lost = tools.collection(job.collection).rebuild(progress=job.progress)
    return {"lost": len(lost), "refused": [_told(one) for one in lost[:_NAMED]]}


def backup(job: Job, tools: Tools) -> dict[str, Any]:
    """Copy the collection as it is now."""
    copied = tools.collection(job.collection).backup(job.options["directory"], progress=job.progress)
    return {"directory": job.options["directory"], **copied._asdict()}


def check(job: Job, tools: Tools) -> dict[str, Any]:
    """Look for damage."""
    problems = [line["problem"] for line in _aside("check", job, tools) if "problem" in line]
    return {"clean": not problems, "count": len(problems), "problems": problems[:_NAMED]}


def duplicates(job: Job, tools: Tools) -> dict[str, Any]:
    """Group the images that are one picture; the groups go to a file, of which pages are read."""
    with Found.written(tools.state, job.collection, job.id) as found:
        for line in _aside("duplicates", job, tools):
            if "group" in line:
                found.add(line["group"])
    return {"groups": found.groups, "files": found.files, "bytes_to_free": found.spare}


WORK: dict[str, Work] = {
    "index": index,
    "duplicates": duplicates,
    "check": check,
    "rebuild": rebuild,
    "backup": backup,
}
"""What each kind of job does."""

WRITERS = ("index", "rebuild")
"""The kinds that change their collection."""


class Inside:
    """Whether files lie below one of some folders, wherever links lead."""

    def __init__(self, roots: Iterable[Path]) -> None:
        """`roots` are real paths, without links in them."""
        self._roots = tuple(roots)
        self._folder = lru_cache(4096)(self._holds)

    def holds(self, path: str) -> bool:
        """Whether the file that a path leads to lies inside."""
        real = Path(path)
        return self._holds(path) if real.is_symlink() else self._folder(str(real.parent))

    def _holds(self, path: str) -> bool:
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self._roots)


class _Total:
    """How many files there are below a path, counted on the side."""

    def __init__(self, path: str, stop: threading.Event) -> None:
        self.found: int | None = None
        self._path, self._stop = path, stop
        threading.Thread(target=self._count, name="wherefrom-count", daemon=True).start()

    def _count(self) -> None:
        count = 1 if os.path.isfile(self._path) else 0
        for _, _, names in os.walk(self._path):
            count += len(names)
            if self._stop.is_set():
                return
        self.found = count


def _told(outcome: Outcome) -> dict[str, Any]:
    return {
        "uri": outcome.uri,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "code": outcome.code,
    }


def _aside(verb: str, job: Job, tools: Tools) -> Iterator[dict[str, Any]]:
    """What a process beside this one tells, as it tells it. Raises Stopped, or what went wrong there."""
    plan = {
        "verb": verb,
        "path": str(tools.paths[job.collection]),
        "settings": asdict(tools.settings),
        "options": job.options,
    }
    root = str(Path(__file__).parent.parent.parent)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", "")))),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "wherefrom.server.aside"],
        stdin=subprocess.PIPE,  # open as long as this process lives: the other ends with it
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the parent
    )
    over = threading.Event()
    threading.Thread(target=_kill_when, args=(process, job.stop, over), daemon=True).start()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):  # then it says why, or its end does
            process.stdin.write(json.dumps(plan).encode() + b"\n")
            process.stdin.flush()
        ended = False
        for line in process.stdout:
            job.check()
            said = cast("dict[str, Any]", json.loads(line))
            if "progress" in said:
                job.progress(*said["progress"])
            elif "error" in said:
                raise _error_of(said, job)
            elif "end" in said:
                ended = True
            else:
                yield said
        job.check()
        if not ended:
            raise WherefromError(
                f"The process that did this ended before it was done (exit {process.wait()})."
            )
    finally:
        over.set()
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()


def _kill_when(process: subprocess.Popen[bytes], stop: threading.Event, over: threading.Event) -> None:
    while not over.is_set():
        if stop.wait(0.2):
            process.kill()
            return


def _error_of(said: Mapping[str, Any], job: Job) -> WherefromError:
    if "trace" in said:
        return failed(f"The job {job.kind}", str(said["trace"]), job.id)
    known = {cls.code: cls for cls in error_classes()}
    return known.get(str(said["error"]), WherefromError)(str(said["reason"]))
