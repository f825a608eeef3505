"""Processes that read, decode and extract, and that can be killed.

A decoder of hostile bytes may hang, die or eat memory. It does so here, in a process that has limits
of its own and takes only its own file with it: the parent sees the silence or the death, starts another
and goes on. Workers are plain Python processes that speak msgpack over a socket, so nothing that a
decoder could be made to say is ever run as code, and no start method's rules bind the calling program.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import resource
import selectors
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack

from wherefrom.engine.records import FileStamp, NewImage
from wherefrom.errors import (
    Corrupt,
    PictureError,
    TooLarge,
    TooSlow,
    Unreadable,
    WherefromError,
    error_classes,
)
from wherefrom.features.extract import Recipe
from wherefrom.features.signs import signs_of
from wherefrom.picture.decode import DEFAULT_LIMITS, SMALL_SIDE, Limits, decode, recognise
from wherefrom.picture.formats import HEAD
from wherefrom.picture.metadata import Credit
from wherefrom.picture.picture import Picture
from wherefrom.picture.signs import Signs

MEMORY = 3 * 1024**3
"""Address space of one worker in bytes: a net under the caps on pixels."""

_CHUNK = 16  # files handed to a worker at a time
_FLUSH = 0.01  # seconds that a worker may keep results to send them together
_GRACE = 2.0  # seconds beyond the limit before a silent worker is killed
_STARTING, _STARTS = 60.0, 3  # seconds that a worker may take to come up, and how often it is tried
_PLAIN = Recipe()
_HEADER = struct.Struct("<I")
_MESSAGE = 64 * 1024 * 1024  # bytes of the longest message that is believed of a worker


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
    error: PictureError | None = None
    stamp: FileStamp | None = None


class Workers:
    """A number of worker processes. Give tasks with `submit`, take what is done from `ready`."""

    def __init__(
        self,
        count: int,
        limits: Limits = DEFAULT_LIMITS,
        *,
        recipe: Recipe = _PLAIN,
        memory: int = MEMORY,
        _serve: str = __name__,
    ) -> None:
        """Start no process yet: the first task does. `_serve` is for tests: a module with another `serve`."""
        self._count = max(1, count)
        self._limits = limits
        self._recipe = recipe
        self._memory = memory
        self._serve = _serve
        self._waiting: deque[Task] = deque()
        self._alone: deque[Task] = deque()  # to be tried one at a time, after their worker was lost
        self._workers: list[_Worker] = []
        self._false_starts = 0
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
        """Stop every worker, finished or not."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._waiting.clear()
        self._alone.clear()
        self._gate.close()

    def _hand_out(self) -> None:
        idle = [worker for worker in self._workers if not worker.tasks]
        while (self._alone or self._waiting) and len(self._workers) - len(idle) < self._count:
            if not idle:
                worker = _Worker(self._limits, self._memory, self._gate.fileno(), self._recipe, self._serve)
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
                    worker.started, self._false_starts = True, 0
                elif "holding" in message:
                    worker.holding = bool(message["holding"])
                else:
                    results.append(_read_result(worker.tasks[0], message))
                    worker.tasks.popleft()
        except (EOFError, OSError, ValueError, TypeError, LookupError, AttributeError):  # gone, or babbling
            results.extend(self._lost(worker, None))
        return results

    def _lost(self, worker: _Worker, why: str | None) -> list[Read]:
        """A worker hangs or has died. With several tasks, each is tried alone; with one, that one is it."""
        status = worker.end(0.0 if why else 1.0)
        self._workers.remove(worker)
        if not worker.started:
            self._false_starts += 1
            if self._false_starts < _STARTS:
                self._waiting.extendleft(reversed(worker.tasks))
                return []
            raise WherefromError(
                f"The processes that decode pictures cannot be started here ({_ending(status)}). "
                f"Running {sys.executable} -c 'import {self._serve}' says more."
            )
        if len(worker.tasks) != 1:
            self._alone.extend(worker.tasks)
            return []
        died = f"The decoder died on this file ({_ending(status)})."
        return [Read(worker.tasks[0].number, error=TooSlow(why) if why else Corrupt(died))]


@dataclass
class _Worker:
    limits: Limits
    memory: int
    gate: int
    recipe: Recipe
    serve: str
    tasks: deque[Task] = field(default_factory=deque)
    started: bool = False
    holding: bool = False
    heard: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        path = (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", ""))
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        limits = (self.limits.bytes, self.limits.pixels, self.limits.scaled_pixels, self.limits.seconds)
        arguments = f"{theirs.fileno()}, {limits}, {self.memory}, {self.gate}, {self.recipe.as_plain()!r}"
        with theirs:
            self.process = subprocess.Popen(
                # -P: or else a msgpack.py in the present folder, among the pictures, would be run.
                [sys.executable, "-P", "-c", f"from {self.serve} import serve; serve({arguments})"],
                pass_fds=[theirs.fileno(), self.gate],
                env=environment,
                stdin=subprocess.PIPE,  # nothing is ever written: it closes when the parent is gone
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its workers itself
            )

    def send(self, tasks: list[Task]) -> None:
        self.tasks.extend(tasks)
        self.heard = time.monotonic()
        # Paths travel as bytes: file names need not be Unicode.
        plain = [[os.fsencode(task.path) if task.path else None, task.data] for task in tasks]
        with contextlib.suppress(OSError):  # a dead worker is noticed when its answer is awaited
            _send(self.socket, plain)

    def receive(self) -> Iterator[dict[str, Any]]:
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise EOFError
        self.heard = time.monotonic()
        self.buffer += chunk
        while len(self.buffer) >= _HEADER.size:
            (size,) = _HEADER.unpack_from(self.buffer)
            if size > _MESSAGE:
                raise ValueError(size)
            if len(self.buffer) < _HEADER.size + size:
                break
            body = bytes(self.buffer[_HEADER.size : _HEADER.size + size])
            del self.buffer[: _HEADER.size + size]
            yield from msgpack.unpackb(body)

    def is_overdue(self) -> bool:
        patience = self.limits.seconds + _GRACE if self.started else _STARTING
        return not self.holding and time.monotonic() - self.heard > patience

    def end(self, patience: float = 0.0) -> int:
        """How the process ended: by itself within `patience` seconds, or else by force."""
        self.socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        self.process.kill()
        self.process.communicate()  # which closes its standard input
        return self.process.returncode


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit {status}"


def _send(channel: socket.socket, said: Any) -> None:
    body = msgpack.packb(said)
    channel.sendall(_HEADER.pack(len(body)) + body)


def _read_result(task: Task, message: dict[str, Any]) -> Read:
    stamp = FileStamp(*message["stamp"]) if message.get("stamp") else None
    if "error" in message:
        known = {cls.code: cls for cls in error_classes() if issubclass(cls, PictureError)}
        return Read(task.number, error=known.get(message["error"], Corrupt)(message["reason"]), stamp=stamp)
    fields = message["image"]
    fields["credit"] = Credit.from_json(fields["credit"])
    fields["signs"] = None if fields["signs"] is None else Signs.from_json(fields["signs"])
    return Read(task.number, image=NewImage(**fields), stamp=stamp)


# In the worker


def serve(
    handle: int, limits: tuple[int, int, int, float], memory: int, gate: int, recipe: dict[str, Any]
) -> None:
    """Read tasks from a socket until it closes."""
    wanted = Recipe.from_plain(recipe)
    wanted.prepare()  # not in the first file's time

    end_with_parent()
    highest = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = memory if highest == resource.RLIM_INFINITY else min(memory, highest)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    caps = Limits(*limits)
    channel = socket.socket(fileno=handle)
    stream = channel.makefile("rb")
    _send(channel, [{"ready": True}])
    while header := stream.read(_HEADER.size):
        body = stream.read(_HEADER.unpack(header)[0])
        results: list[dict[str, Any]] = []
        flushed = time.monotonic()
        for path, data in msgpack.unpackb(body):
            _set_alarm(caps)
            results.append(_perform(path, data, caps, _Gate(channel, gate, caps), wanted))
            if time.monotonic() - flushed > _FLUSH:
                _send(channel, results)
                results, flushed = [], time.monotonic()
        if results:
            _send(channel, results)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _set_alarm(caps: Limits) -> None:
    # The parent ends a decoder that hangs long before; this is for when there is no parent any more.
    signal.setitimer(signal.ITIMER_REAL, 2 * caps.seconds + 60)


def end_with_parent() -> None:
    """Have the kernel end this process when the parent does, even inside a decoder that hangs.

    The parent holds the other end of standard input. When that closes, Linux sends SIGIO, which ends a
    process that does not handle it; elsewhere the end of the socket or the alarm does, later.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the parent
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if sys.platform == "linux":
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)


class _Gate(contextlib.AbstractContextManager["_Gate"]):
    """Lets one worker at a time decode a heavy picture; waiting does not count as being slow."""

    def __init__(self, channel: socket.socket, file: int, caps: Limits) -> None:
        self._channel, self._file, self._caps = channel, file, caps

    def __enter__(self) -> _Gate:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            _send(self._channel, [{"holding": True}])
            signal.setitimer(signal.ITIMER_REAL, 0)
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            _set_alarm(self._caps)
            _send(self._channel, [{"holding": False}])
        return self

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


def _perform(
    path: bytes | None, data: bytes | None, limits: Limits, gate: _Gate, recipe: Recipe
) -> dict[str, Any]:
    stamp: FileStamp | None = None
    try:
        if path is not None:
            data, stamp = read_file(os.fsdecode(path), limits)
        image = new_image(data or b"", limits, gate, recipe)
    except PictureError as error:
        message: dict[str, Any] = {"error": error.code, "reason": str(error)}
    except MemoryError:
        message = {"error": TooLarge.code, "reason": "Reading this file needs more memory than is allowed."}
    else:
        fields = {name: getattr(image, name) for name in NewImage.__slots__ if name != "place"}
        signs = None if image.signs is None else image.signs.as_json()
        message = {"image": fields | {"credit": image.credit.as_json(), "signs": signs}}
    if stamp is not None:
        message["stamp"] = [stamp.size, stamp.mtime_ns]
    return message


def read_file(path: str, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, FileStamp]:
    """A file's bytes and its stamp; what is no picture, or too large, is refused unread.

    Raises Unreadable, and what `recognise` raises.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
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
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"It cannot be read: {reason.lower()}.") from error


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
