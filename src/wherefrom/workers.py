"""Processes that read, decode and extract, and that can be killed.

A decoder of hostile bytes may hang, die or eat memory. It does so here, in a process that has limits
of its own and takes only its own file with it: the parent sees the silence or the death, starts another
and goes on. Workers are plain Python processes that speak msgpack over a socket, so nothing that a
decoder could be made to say is ever run as code, and no start method's rules bind the calling program.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import socket
import stat
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from wherefrom.errors import Corrupt, MachineFault, PictureError, TooLarge, TooSlow, Unreadable
from wherefrom.features.extract import Recipe
from wherefrom.features.signs import signs_of
from wherefrom.picture.decode import decode
from wherefrom.picture.formats import HEAD
from wherefrom.picture.limits import DEFAULT_LIMITS, SMALL_SIDE, Limits
from wherefrom.picture.picture import Picture
from wherefrom.picture.refusals import recognise
from wherefrom.processes.believed import error_of
from wherefrom.processes.child import (
    Gate,
    clear_alarm,
    end_with_parent,
    limit_memory,
    received,
    send,
    set_alarm,
)
from wherefrom.processes.features import image_of_message, stamp_of
from wherefrom.processes.frames import Frames, framed
from wherefrom.processes.parent import GRACE, STARTING, STARTS, abandoned, ended, ending, no_start, started
from wherefrom.records import FileStamp, NewImage

_CHUNK = 16  # files handed to a worker at a time
_FLUSH = 0.01  # seconds that a worker may keep results to send them together
_PLAIN = Recipe()
_READ = os.O_RDONLY  # never waiting for the other end of a pipe; Windows has other flags
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY"):
    _READ |= getattr(os, _flag, 0)


@dataclass(frozen=True, slots=True)
class Task:
    """Something to read: a file's path, or bytes at hand."""

    number: int
    path: str | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a task: an image's facts and features, or the error. `stamp` is the file's when read."""

    number: int
    image: NewImage | None = None
    error: PictureError | MachineFault | None = None
    stamp: FileStamp | None = None


class Workers:
    """A number of worker processes. Give tasks with `submit`, take what is done from `ready`."""

    def __init__(
        self,
        count: int,
        limits: Limits = DEFAULT_LIMITS,
        *,
        recipe: Recipe = _PLAIN,
        _serve: str = __name__,
    ) -> None:
        """Start no process yet: the first task does. `_serve` is for tests: a module with another `serve`."""
        self._count = max(1, count)
        self._limits = limits
        self._recipe = recipe
        self._serve = _serve
        self._waiting: deque[Task] = deque()
        self._alone: deque[Task] = deque()  # to be tried one at a time, after their worker was lost
        self._workers: list[_Worker] = []
        self._false_starts = 0
        self._pid = os.getpid()
        self._gate = tempfile.TemporaryFile(prefix="wherefrom-gate-")  # noqa: SIM115 - closed in `close`

    @property
    def pending(self) -> int:
        """Tasks submitted whose result has not been taken."""
        return len(self._waiting) + len(self._alone) + sum(len(w.tasks) for w in self._workers)

    @property
    def wants(self) -> int:
        """How many more tasks would keep every worker busy."""
        return max(0, 2 * _CHUNK * self._count - self.pending)

    def submit(self, task: Task) -> None:
        """Queue a task."""
        self._waiting.append(task)

    def drop(self, number: int) -> bool:
        """Let a task go that nobody waits for any more; a worker that is at it alone is ended.

        Gives whether it could be: then there is no result. One of several tasks of a worker is done.
        """
        for queue in (self._waiting, self._alone):
            for task in [task for task in queue if task.number == number]:
                queue.remove(task)
                return True
        for worker in self._workers:
            if [task.number for task in worker.tasks] == [number]:
                worker.end()
                self._workers.remove(worker)
                return True
        return False

    def ready(self, timeout: float) -> list[Read]:
        """Results that have come in; waits up to `timeout` seconds for the first.

        Raises WherefromError when no worker can be started on this machine.
        """
        self._hand_out()
        if not any(worker.tasks for worker in self._workers):
            return []
        results: list[Read] = []
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                if worker.tasks:
                    selector.register(worker.socket, selectors.EVENT_READ, worker)
            for key, _ in selector.select(timeout):
                results.extend(self._take(key.data))
        for worker in list(self._workers):
            if worker.tasks and worker.is_overdue():
                why = f"Decoding took longer than {self._limits.seconds:g} seconds."
                results.extend(self._lost(worker, why))
        self._hand_out()
        return results

    def close(self) -> None:
        """Stop every worker, finished or not; in a child that was forked, leave them to the parent."""
        for worker in self._workers:
            if self._pid == os.getpid():
                worker.end()
            else:
                abandoned(worker.process, worker.socket)
        self._workers.clear()
        self._waiting.clear()
        self._alone.clear()
        self._gate.close()

    def _hand_out(self) -> None:
        idle = [worker for worker in self._workers if not worker.tasks]
        while (self._alone or self._waiting) and len(self._workers) - len(idle) < self._count:
            if not idle:
                worker = _Worker(self._limits, self._gate.fileno(), self._recipe, self._serve, self._count)
                self._workers.append(worker)
            elif (worker := idle.pop()).process.poll() is not None:
                self._lost(worker, None)  # while it had nothing to do: no file is to blame
                continue
            if self._alone:
                worker.send([self._alone.popleft()])
            else:
                share = max(1, min(_CHUNK, len(self._waiting) // self._count))
                worker.send([self._waiting.popleft() for _ in range(min(share, len(self._waiting)))])

    def _take(self, worker: _Worker) -> list[Read]:
        results = []
        try:
            for message in worker.receive():
                if "ready" in message:
                    worker.begin()
                    self._false_starts = 0
                elif "holding" in message:
                    worker.hold(message["holding"] is True)
                else:
                    results.append(_read_result(worker.tasks[0], message, self._limits, self._recipe))
                    worker.answered()
        except _NONSENSE:  # it is gone, or babbles, or says what cannot be true
            results.extend(self._lost(worker, None))
        return results

    def _lost(self, worker: _Worker, why: str | None) -> list[Read]:
        """A worker hangs or has died. With several tasks, each is tried alone; with one, that one is it."""
        status = worker.end(0.0 if why else 1.0)
        self._workers.remove(worker)
        if not worker.started:
            self._false_starts += 1
            if self._false_starts < STARTS:
                self._waiting.extendleft(reversed(worker.tasks))
                return []
            raise no_start(status, self._serve)
        if len(worker.tasks) != 1:
            self._alone.extend(worker.tasks)
            return []
        # Whether the bytes did it, or a slow disk and too little memory, cannot be told.
        error = TooSlow(why) if why else Corrupt(f"The decoder died on this file ({ending(status)}).")
        return [Read(worker.tasks[0].number, error=error.may_pass())]


@dataclass
class _Worker:
    limits: Limits
    gate: int
    recipe: Recipe
    serve: str
    count: int  # of all workers
    tasks: deque[Task] = field(default_factory=deque)
    started: bool = False
    heard: float = 0.0  # when it had its tasks, or gave the last answer
    held: float = 0.0  # seconds since then that it waited for the gate
    holding: float | None = None  # since when it waits for it
    frames: Frames = field(default_factory=Frames)

    def __post_init__(self) -> None:
        limits = astuple(self.limits)
        self.process, self.socket = started(
            self.serve, limits, self.gate, self.recipe.as_plain(), handles=[self.gate]
        )

    def send(self, tasks: list[Task]) -> None:
        self.tasks.extend(tasks)
        self.heard = time.monotonic()
        # Paths travel as bytes: file names need not be Unicode.
        plain = [[os.fsencode(task.path) if task.path else None, task.data] for task in tasks]
        with contextlib.suppress(OSError):  # a dead worker is noticed when its answer is awaited
            self.socket.sendall(framed(plain))

    def receive(self) -> list[dict[str, Any]]:
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise EOFError
        return self.frames.fed(chunk)

    def begin(self) -> None:
        """It has come up: the time of its first task begins."""
        if not self.started:
            self.started, self.heard = True, time.monotonic()

    def hold(self, holding: bool) -> None:
        """It waits for the gate, or has passed it."""
        now = time.monotonic()
        if self.holding is not None:
            self.held += now - self.holding
        self.holding = now if holding else None

    def answered(self) -> None:
        """It has done its first task."""
        self.tasks.popleft()
        self.heard, self.held, self.holding = time.monotonic(), 0.0, None

    def is_overdue(self) -> bool:
        now = time.monotonic()
        if not self.started:
            return now - self.heard > STARTING
        patience = self.limits.seconds + GRACE
        held = self.held + (0.0 if self.holding is None else now - self.holding)
        # Each of the others may be at a heavy picture, for as long as it may take; more is not believed.
        return now - self.heard - min(held, self.count * patience) > patience

    def end(self, patience: float = 0.0) -> int:
        """How the process ended: by itself within `patience` seconds, or else by force."""
        return ended(self.process, self.socket, patience)


_NONSENSE = (EOFError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def _read_result(task: Task, message: dict[str, Any], limits: Limits, recipe: Recipe) -> Read:
    stamp = stamp_of(message)
    if (stamp is None) != (task.path is None) and "error" not in message:
        raise ValueError("no stamp")
    if "error" in message:
        return Read(task.number, error=error_of(message), stamp=stamp)
    digest = None if task.data is None else hashlib.sha256(task.data).digest()
    image = image_of_message(message["image"], limits, recipe, digest)
    return Read(task.number, image=image, stamp=stamp)


# In the worker


def serve(handle: int, limits: tuple[Any, ...], gate: int, recipe: dict[str, Any]) -> None:
    """Read tasks from a socket until it closes."""
    caps, wanted = Limits(*limits), Recipe.from_plain(recipe)
    wanted.prepare()  # not in the first file's time

    end_with_parent()
    limit_memory(caps.memory)
    channel = socket.socket(fileno=handle)
    stream = channel.makefile("rb")
    send(channel, [{"ready": True}])
    while True:
        try:
            tasks = received(stream)
        except EOFError:
            return
        results: list[dict[str, Any]] = []
        flushed = time.monotonic()
        for path, data in tasks:
            set_alarm(caps.seconds)
            results.append(_perform(path, data, caps, Gate(channel, gate, caps.seconds), wanted))
            if time.monotonic() - flushed > _FLUSH:
                send(channel, results)
                results, flushed = [], time.monotonic()
        if results:
            send(channel, results)
        clear_alarm()


def _perform(
    path: bytes | None, data: bytes | None, limits: Limits, gate: Gate, recipe: Recipe
) -> dict[str, Any]:
    stamp: FileStamp | None = None
    try:
        if path is not None:
            data, stamp = read_file(os.fsdecode(path), limits)
        image = new_image(data or b"", limits, gate, recipe)
    except PictureError as error:
        message: dict[str, Any] = {"error": error.code, "reason": str(error), "passing": error.passing}
    except MachineFault as error:
        message = {"error": error.code, "reason": str(error)}
    except MemoryError:
        reason = "Reading this file needs more memory than there is, or than is allowed."
        message = {"error": TooLarge.code, "reason": reason, "passing": True}
    else:
        fields = {name: getattr(image, name) for name in NewImage.__slots__ if name != "place"}
        signs = None if image.signs is None else image.signs.as_json()
        message = {"image": fields | {"credit": image.credit.as_json(), "signs": signs}}
    if stamp is not None:
        message["stamp"] = [stamp.size, stamp.mtime_ns]
    return message


def read_file(path: str, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, FileStamp]:
    """A file's bytes and its stamp; what is no picture, or too large, is refused unread.

    Raises Unreadable, MachineFault where files or memory ran out, and what `recognise` raises.
    """
    try:
        handle = os.open(path, _READ)
        with os.fdopen(handle, "rb", buffering=0) as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("This is not a regular file.")
            recognise(file.read(HEAD), status.st_size, limits)
            file.seek(0)
            data = file.read(status.st_size)
            while len(data) < status.st_size and (more := file.read(status.st_size - len(data))):
                data += more
            return data, FileStamp(status.st_size, status.st_mtime_ns)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise Unreadable.of(error) from error


def new_image(
    data: bytes,
    limits: Limits,
    gate: contextlib.AbstractContextManager[object],
    recipe: Recipe = _PLAIN,
) -> NewImage:
    """Decode bytes and extract every feature; raises a PictureError."""
    picture = decode(data, colour=False, limits=limits, gate=gate)

    def colour() -> Picture:
        return decode(data, limits=limits, gate=gate, least=SMALL_SIDE)

    return replace(
        image_of(picture, hashlib.sha256(data).digest(), recipe, colour), signs=signs_of(data, picture)
    )


def image_of(
    picture: Picture, digest: bytes, recipe: Recipe = _PLAIN, colour: Callable[[], Picture] | None = None
) -> NewImage:
    """What is kept of a picture: its facts and every feature; `colour` gives it in colour."""
    features, facts = recipe.extract(picture, colour), picture.facts
    return NewImage(
        digest=digest,
        width=facts.width,
        height=facts.height,
        format=facts.format,
        bytes=facts.bytes,
        frames=facts.frames,
        quality=features.quality,
        credit=facts.credit,
        decoder=facts.decoder,
        features=features.data,
    )
