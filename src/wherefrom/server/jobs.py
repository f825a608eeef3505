"""Jobs: long work that somebody asked for, with progress, that can be stopped and whose end is remembered.

One job at a time writes to a collection and the next ones wait; jobs that only read are done one after
another beside them, in a process of their own where they take long (see `labour.py`). What there was is kept
in a small file. A job that was at work when the server stopped is reported as failed, and is not begun again.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from wherefrom.collection import Collection
from wherefrom.errors import Busy, Conflict, Forbidden, NotFound, UsageError, WherefromError
from wherefrom.records import iso, now
from wherefrom.server.found import Found
from wherefrom.server.logs import failed
from wherefrom.server.remembered import Last
from wherefrom.settings import Settings

FILE_NAME = "jobs.json"
"""Where jobs are remembered, in the state's directory."""

HISTORY = 100
"""Finished jobs that are remembered."""

_WAITING = 32  # jobs that may wait
_log = logging.getLogger("wherefrom.server")


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of it."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Stopped(Exception):
    """Raised within a job that is to stop."""


@dataclass(eq=False)
class Job:
    """One job. `version` rises with each change that is worth telling."""

    id: str
    kind: str
    collection: str
    options: dict[str, Any]
    created: int
    state: State = State.WAITING
    done: int = 0
    total: int | None = None
    report: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    started: int | None = None
    finished: int | None = None
    version: int = 1
    stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def progress(self, done: int, total: int | None) -> None:
        """Tell how far it is. Raises Stopped once it is to stop."""
        if (done, total) != (self.done, self.total):
            self.done, self.total = done, total
            self.version += 1
        self.check()

    def check(self) -> None:
        """Raise Stopped once it is to stop."""
        if self.stop.is_set():
            raise Stopped

    def as_json(self) -> dict[str, Any]:
        """The job in the shape that all faces share; `rate` is things a second, null before it has begun."""
        seconds = 0.0 if self.started is None else ((self.finished or now()) - self.started) / 1e6
        return {
            "id": self.id,
            "kind": self.kind,
            "collection": self.collection,
            "options": self.options,
            "state": self.state.value,
            "progress": {
                "done": self.done,
                "total": self.total,
                "rate": round(self.done / seconds, 1) if seconds > 0.5 else None,
            },
            "report": self.report,
            "error": self.error,
            "created": iso(self.created),
            "started": iso(self.started),
            "finished": iso(self.finished),
        }

    def kept(self) -> dict[str, Any]:
        """What is remembered of it."""
        names = (
            "id",
            "kind",
            "collection",
            "options",
            "created",
            "state",
            "done",
            "total",
            "report",
            "error",
        )
        return {name: getattr(self, name) for name in (*names, "started", "finished")}


class Tools:
    """What jobs work with: collections and where they lie, settings, and folders that they may use."""

    def __init__(
        self,
        collection: Callable[[str], Collection],
        paths: Mapping[str, Path],
        settings: Settings,
        state: Path,
        *,
        index_roots: Sequence[Path] = (),
        backup_roots: Sequence[Path] = (),
    ) -> None:
        self.collection = collection
        self.paths = paths
        self.settings = settings
        self.state = state
        self.index_roots = tuple(Path(os.path.realpath(root)) for root in index_roots)
        self.backup_roots = tuple(Path(os.path.realpath(root)) for root in backup_roots)


Work = Callable[[Job, Tools], dict[str, Any]]


class Jobs:
    """The jobs of a server. Thread-safe."""

    def __init__(self, tools: Tools, work: Mapping[str, Work], writers: Sequence[str]) -> None:
        """`work` is what each kind does, `writers` the kinds that change their collection."""
        self._tools = tools
        self._work = work
        self._writing = frozenset(writers)
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._path = tools.state / FILE_NAME
        self._jobs: dict[str, Job] = {job.id: job for job in _remembered(self._path)}
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self.closing = threading.Event()
        self.found: Last[Found] = Last()
        self.followers = 0  # kept by those who follow, in the one event loop
        self._save()

    @property
    def state(self) -> Path:
        """The directory in which results are kept."""
        return self._tools.state

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of jobs that there are."""
        return tuple(self._work)

    def submit(self, kind: str, collection: str, options: Mapping[str, Any]) -> Job:
        """Have a job done as soon as may be.

        Raises UsageError for a kind or options of no use, Forbidden for a folder that is not allowed,
        Conflict when the same is being done, Busy when too many wait.
        """
        from wherefrom.server.labour import checked

        if kind not in self._work:
            raise UsageError(f"There is no job {kind[:40]!r}; there are {', '.join(self._work)}.")
        stated = checked(kind, options, self._tools)
        with self._lock:
            going = [job for job in self._jobs.values() if not job.state.is_final]
            for one in going:
                if (one.kind, one.collection, one.options) == (kind, collection, stated):
                    raise Conflict(f"This is being done already: job {one.id}.")
            if len(going) >= _WAITING or self.closing.is_set():
                raise Busy("Too many jobs are waiting; try again when some are done.", 30)
            job = Job(secrets.token_hex(6), kind, collection, stated, now())
            self._jobs[job.id] = job
            self._forget()
            lane = collection if kind in self._writing else ""
            if lane not in self._lanes:
                self._lanes[lane] = ThreadPoolExecutor(1, thread_name_prefix="wherefrom-job")
            self._lanes[lane].submit(self._run, job)
        self._save()
        return job

    def get(self, identifier: str) -> Job:
        """The job of an id; raises NotFound."""
        with self._lock:
            job = self._jobs.get(identifier)
        if job is None:
            raise NotFound(f"There is no job {identifier[:40]!r}, or it is too long ago.")
        return job

    def list(self) -> list[Job]:
        """The jobs that are remembered, newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: (job.created, job.id), reverse=True)

    def last_done(self, kind: str, collection: str) -> Job | None:
        """The last job of a kind that was done for a collection, if it is remembered."""
        found = [job for job in self.list() if (job.kind, job.collection) == (kind, collection)]
        return next((job for job in found if job.state is State.DONE), None)

    def cancel(self, identifier: str) -> Job:
        """Stop a job, which takes a moment when it is at work. Raises NotFound, Conflict when it is over."""
        job = self.get(identifier)
        with self._lock:
            if job.state.is_final:
                raise Conflict(f"Job {job.id} is over: it is {job.state.value}.")
            job.stop.set()
            if job.state is State.WAITING:
                _end(job, State.CANCELLED)
        self._save()
        return job

    def close(self) -> None:
        """Stop everything, which is reported as failed, and wait until nothing is at work."""
        self.closing.set()
        with self._lock:
            for job in self._jobs.values():
                job.stop.set()
                if job.state is State.WAITING:
                    _end(job, State.FAILED, _STOPPED)
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.shutdown(wait=True, cancel_futures=True)
        self._save()

    def _run(self, job: Job) -> None:
        with self._lock:
            if job.state is not State.WAITING:
                return
            job.state, job.started = State.RUNNING, now()
            job.version += 1
        self._save()
        begun = time.monotonic()
        try:
            report = self._work[job.kind](job, self._tools)
            with self._lock:
                job.report = report
                _end(job, State.DONE)
        except Stopped:
            with self._lock:
                if self.closing.is_set():
                    _end(job, State.FAILED, _STOPPED)
                else:
                    _end(job, State.CANCELLED)
        except WherefromError as error:
            with self._lock:
                _end(job, State.FAILED, {"code": error.code, "message": str(error)})
        except Exception:  # noqa: BLE001 - whatever it is, the next job is done
            problem = failed(f"The job {job.kind}", number=job.id)
            with self._lock:
                _end(job, State.FAILED, {"code": problem.code, "message": str(problem)})
        _log.info("job %s (%s) %s in %.1f s", job.id, job.kind, job.state.value, time.monotonic() - begun)
        self._save()

    def _forget(self) -> None:
        """Forget the oldest of too many finished jobs, but none whose result is still shown."""
        over = sorted((job for job in self._jobs.values() if job.state.is_final), key=lambda job: job.created)
        shown = {
            job.collection: job.id for job in over if job.kind == "duplicates" and job.state is State.DONE
        }
        for job in over[: max(0, len(over) - HISTORY)]:
            if job.id not in shown.values():
                del self._jobs[job.id]

    def _save(self) -> None:
        with self._saving:
            with self._lock:
                jobs = sorted(self._jobs.values(), key=lambda job: job.created)
                body = json.dumps([job.kept() for job in jobs])
            draft = self._path.with_name(FILE_NAME + ".draft")
            try:
                draft.write_text(body, encoding="utf-8")
                draft.replace(self._path)
            except OSError as error:  # the work counts, and not the note of it
                _log.warning("jobs cannot be remembered in %s: %s", self._path, error.strerror)


_STOPPED = {"code": "stopped", "message": "The server stopped before this was done: ask for it again."}


def _end(job: Job, state: State, error: dict[str, str] | None = None) -> None:
    job.state, job.finished, job.error = state, now(), error
    job.version += 1


def _remembered(path: Path) -> list[Job]:
    """The jobs in a file; those that were not over are now. What cannot be read is forgotten."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        jobs = [Job(**(row | {"state": State(row["state"])})) for row in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("what was remembered of jobs cannot be read: %s", error)
        return []
    for job in jobs:
        if not job.state.is_final:
            _end(job, State.FAILED, _STOPPED)
    return jobs


def allowed(path: str, roots: Sequence[Path], what: str, option: str) -> Path:
    """The real path of `path`, links followed. Raises UsageError, or Forbidden when it is below no root."""
    try:
        usable = bool(os.fsencode(path)) and "\0" not in path and Path(path).is_absolute()
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise UsageError(f"Give the whole path of the {what}, from / on.")
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(root) for root in roots):
        where = "it lies below none of the folders allowed" if roots else "no folder is allowed"
        raise Forbidden(f"This {what} may not be used: {where}. Who runs the server names some by {option}.")
    return real
