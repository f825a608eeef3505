"""Processes that search, and that can be killed.

Each has the collections open to read and does one thing at a time. What they are asked and what they answer
are msgpack over a socket: data, never code. A request that finds the queue full, or would come too late, is
turned away; a process that hangs or dies is replaced, and only the request it was at is told so. The event
loop does nothing but pass bytes along.

Pictures that may be slow to decode wait in a short queue of their own, for a process of their own, which is
started when there is one and ends when there has been none for a while: they hold up each other alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from wherefrom.errors import Busy, Corrupt, WherefromError, error_classes
from wherefrom.picture.cost import is_slow
from wherefrom.server.logs import failed

HEADER = struct.Struct("<I")
MESSAGE = 512 * 1024 * 1024
"""Bytes of the longest message that is believed."""

_STARTING = 120.0  # seconds in which a process is ready: models and compiled code are loaded
_AGAIN = 1.0  # seconds before a process that could not be started is tried again
_IDLE = 60.0  # seconds after which the process for slow pictures ends when none has come
_SLOW = 4  # requests with slow pictures that may wait
_STARTS = 5  # failures in a row after which requests are told instead of waiting
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class _Job:
    message: dict[str, Any]
    end: float
    answer: asyncio.Future[Any] = field(repr=False)
    timer: asyncio.TimerHandle | None = None


class _Line:
    """Requests that wait, first come first served."""

    def __init__(self) -> None:
        self.waiting: deque[_Job] = deque()
        self.there = asyncio.Event()

    def __len__(self) -> int:
        return len(self.waiting)

    def put(self, job: _Job) -> None:
        self.waiting.append(job)
        self.there.set()

    async def next(self) -> _Job:
        while not self.waiting:
            self.there.clear()
            await self.there.wait()
        job = self.waiting.popleft()
        if job.timer is not None:
            job.timer.cancel()
        return job

    def forget(self, job: _Job) -> bool:
        """Take a request out; gives whether it waited here."""
        if job in self.waiting:
            self.waiting.remove(job)
            return True
        return False


class Pool:
    """A number of processes that answer, and the queues before them. For one event loop."""

    def __init__(
        self,
        count: int,
        plan: Mapping[str, Any],
        *,
        queue: int,
        deadline: float,
        module: str = "wherefrom.server.searcher",
        slow: Callable[[bytes], bool] = is_slow,
    ) -> None:
        """Start nothing yet. `plan` is the first message to each process, whose `serve` is in `module`;
        `slow` tells which bytes belong into the queue for what is slow."""
        self.count, self.limit, self.deadline = max(1, count), queue, deadline
        # How many there are says how much memory each may take.
        self._plan, self._module = {**plan, "processes": self.count + 1}, module
        self._is_slow = slow
        self._quick, self._slow = _Line(), _Line()
        self._members = [_Member(self._plan, self._module) for _ in range(self.count)]
        self._aside = _Member(self._plan, self._module)
        self._tasks: list[asyncio.Task[None]] = []
        self._running = 0
        self._failed = 0
        self._seconds = 0.1  # a request takes, on average of late
        self.replaced = 0
        """Processes that had to be replaced."""

    @property
    def waiting(self) -> int:
        """Requests that no process has taken up yet."""
        return len(self._quick) + len(self._slow)

    @property
    def running(self) -> int:
        """Requests that a process is at."""
        return self._running

    @property
    def ready(self) -> bool:
        """Whether a process is up."""
        return any(member.up for member in self._members)

    async def start(self) -> None:
        """Start every process; returns when all are ready. Raises WherefromError where one cannot."""
        try:
            async with asyncio.TaskGroup() as group:
                for member in self._members:
                    group.create_task(member.start())
        except* (OSError, EOFError, TimeoutError, ValueError) as errors:
            await self.stop()
            raise WherefromError(
                f"The processes that search cannot be started here ({errors.exceptions[0]!r}). "
                f"Running {sys.executable} -c 'import {self._module}' says more."
            ) from errors
        except* WherefromError as errors:
            await self.stop()
            raise _first(errors) from None
        self._tasks = [asyncio.create_task(self._serve(member)) for member in self._members]
        self._tasks.append(asyncio.create_task(self._serve_slow(self._aside)))

    async def stop(self) -> None:
        """End every process; who still waits is told that the service is stopping."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in (self._quick, self._slow):
            while line.waiting:
                _fail(line.waiting.popleft(), Busy("The service is stopping."))
        await asyncio.gather(*(member.end() for member in (*self._members, self._aside)))

    async def call(self, verb: str, /, **what: Any) -> Any:
        """What a process answers; raises what it raises, and Busy when there is no room or no time."""
        line = self._quick
        if any(isinstance(value, bytes) and self._is_slow(value) for value in what.values()):
            line = self._slow
            if len(line) >= _SLOW:
                raise Busy("Too many pictures that take long are waiting; try again in a moment.", 5)
        if len(self._quick) + self._running >= self.limit + self.count:
            raise Busy(
                f"{self.limit} requests are waiting already; try again in a moment.", self._time_to_clear()
            )
        if self._failed >= _STARTS:
            raise Busy("The processes that search cannot be started at present; the log says why.", 10)
        loop = asyncio.get_running_loop()
        end = loop.time() + self.deadline
        job = _Job({"verb": verb, **what}, end, loop.create_future())
        # Half the time is kept for the work itself, so that what is begun can be ended.
        job.timer = loop.call_at(end - self.deadline / 2, self._expire, job)
        line.put(job)
        try:
            return await job.answer
        finally:
            self._forget(job)

    def _time_to_clear(self) -> int:
        return max(1, round(len(self._quick) * self._seconds / self.count))

    def _expire(self, job: _Job) -> None:
        if self._quick.forget(job) or self._slow.forget(job):
            _fail(job, Busy("There was no time for this request; try again.", self._time_to_clear()))

    def _forget(self, job: _Job) -> None:
        if job.timer is not None:
            job.timer.cancel()
        for line in (self._quick, self._slow):
            line.forget(job)  # nobody waits for it any more

    async def _serve(self, member: _Member) -> None:
        while True:
            if not member.up and not await self._restarted(member):
                continue
            job = await self._quick.next()
            self._running += 1
            try:
                await self._work(member, job)
            finally:
                self._running -= 1

    async def _serve_slow(self, member: _Member) -> None:
        """As above, by a process that is there while there is something for it."""
        while True:
            try:
                async with asyncio.timeout(_IDLE if member.up else None):
                    job = await self._slow.next()
            except TimeoutError:
                await member.end()
                continue
            try:
                if not member.up:
                    await member.start()
            except (OSError, EOFError, TimeoutError, ValueError, WherefromError):
                await member.end()
                _fail(job, Busy("No process could be started for this picture; the log says why.", 10))
            else:
                await self._work(member, job, slow=True)

    async def _restarted(self, member: _Member) -> bool:
        try:
            await member.start()
        except (OSError, EOFError, TimeoutError, ValueError, WherefromError):
            self._failed += 1
            await member.end()
            await asyncio.sleep(_AGAIN * min(30, 2**self._failed))
            return False
        self._failed = 0
        return True

    async def _work(self, member: _Member, job: _Job, *, slow: bool = False) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            async with asyncio.timeout_at(job.end):
                said = await member.ask(job.message)
        except TimeoutError:
            await self._lose(member)
            _fail(job, Busy(f"This took longer than {self.deadline:g} seconds and was stopped.", 5))
        except (OSError, EOFError, ValueError, TypeError):
            await self._lose(member)
            _fail(job, Corrupt(f"The process that worked on this died of it ({member.ending})."))
        except asyncio.CancelledError:
            _fail(job, Busy("The service is stopping."))
            raise
        else:
            if "error" in said:
                _fail(job, error_of(said))
            elif not job.answer.done():
                job.answer.set_result(said["answer"])
        if not slow:
            self._seconds += 0.1 * (loop.time() - start - self._seconds)

    async def _lose(self, member: _Member) -> None:
        self.replaced += 1
        await member.end()


class _Member:
    """One process."""

    def __init__(self, plan: dict[str, Any], module: str) -> None:
        self._plan, self._module = plan, module
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.up = False
        self.ending = ""

    async def start(self) -> None:
        """Raises OSError, EOFError, TimeoutError or ValueError, or what the process says is wrong."""
        ours, theirs = socket.socketpair()
        path = (str(Path(__file__).parent.parent.parent), os.environ.get("PYTHONPATH", ""))
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "MALLOC_ARENA_MAX": "2",
            **dict.fromkeys(_THREADS, "1"),  # as many processes as cores: threads would only be in the way
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {self._module} import serve; serve({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.PIPE,  # nothing is ever written: it closes when the parent is gone
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        async with asyncio.timeout(_STARTING):
            said = await self.ask(self._plan)
        if "error" in said:
            raise error_of(said)
        self.up = True

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._reader is None or self._writer is None:
            raise EOFError
        body = msgpack.packb(message)
        self._writer.write(HEADER.pack(len(body)))
        self._writer.write(body)
        await self._writer.drain()
        (size,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        if size > MESSAGE:
            raise ValueError(size)
        said = msgpack.unpackb(await self._reader.readexactly(size))
        if not isinstance(said, dict):
            raise TypeError
        return said

    async def end(self) -> None:
        """Kill the process, if there is one."""
        self.up = False
        process, self._process = self._process, None
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._reader = self._writer = None
        if process is not None:
            status = process.poll()
            process.kill()
            await asyncio.to_thread(process.communicate)
            status = process.returncode if status is None else status
            self.ending = f"signal {-status}" if status < 0 else f"exit {status}"


def error_of(said: Mapping[str, Any]) -> WherefromError:
    """The error that a process told of; one that was not foreseen is logged under an id."""
    if "trace" in said:
        return failed("What a search process did", str(said["trace"]))
    known = {cls.code: cls for cls in error_classes()}
    return known.get(str(said.get("error")), WherefromError)(str(said.get("reason")))


def _fail(job: _Job, error: WherefromError) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)


def _first(errors: BaseExceptionGroup[Any]) -> WherefromError:
    for error in errors.exceptions:
        if isinstance(error, WherefromError):
            return error
        if isinstance(error, BaseExceptionGroup):
            return _first(error)
    raise AssertionError
