"""Decoding for those who ask: the bytes of queries and of matches, in processes that can be killed.

Bytes that hang a decoder, kill it or eat memory end a process of their own and not the program that asks.
The processes are started when they are first needed and kept, one for each picture that is decoded at the
same time, up to one a core and at least two; one that has had nothing to do for minutes ends. Pixels come
back over the same socket: that costs a few milliseconds, and no memory is shared that the other side could
cut off under our feet.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
import threading
import time
from dataclasses import astuple
from typing import IO, TYPE_CHECKING, Any

import msgpack

from wherefrom.errors import Corrupt, MachineFault, PictureError, TooSlow, WherefromError
from wherefrom.processes.frames import HEADER, LONGEST, framed
from wherefrom.processes.parent import GRACE, STARTING, STARTS, abandoned, ended, ending, no_start, started

if TYPE_CHECKING:
    from wherefrom.picture.limits import Limits
    from wherefrom.picture.picture import Picture

MODULE = "wherefrom.processes.decoder"


def decoded(
    data: bytes, *, colour: bool = True, limits: Limits | None = None, least: int | None = None
) -> Picture:
    """What `wherefrom.picture.decode.decode` gives, made in another process and within the time of `limits`.

    Thread-safe. Raises a PictureError (TooSlow and Corrupt also for a decoder that hangs or dies), and
    WherefromError where no process can be started.
    """
    from wherefrom.picture.colour import WORKING_SIDE
    from wherefrom.picture.formats import HEAD
    from wherefrom.picture.limits import DEFAULT_LIMITS
    from wherefrom.picture.refusals import recognise

    limits = limits or DEFAULT_LIMITS
    recognise(data[:HEAD], len(data), limits)  # what is no picture costs no process
    return _kept.decoded(data, colour, limits, least or WORKING_SIDE)


def decoded_stored(data: bytes, limits: Limits | None = None) -> Picture:
    """What `wherefrom.picture.decode.decode_stored` gives, made in another process as `decoded` does."""
    from wherefrom.picture.formats import HEAD
    from wherefrom.picture.limits import DEFAULT_LIMITS
    from wherefrom.picture.refusals import recognise

    limits = limits or DEFAULT_LIMITS
    recognise(data[:HEAD], len(data), limits)
    return _kept.decoded(data, False, limits, 0, stored=True)


def prepare() -> None:
    """Have a process started, if there is none, while the caller is at something else.

    This module loads little, so that a program can do it first and load the rest meanwhile.
    """
    _kept.prepare()


class Decoders:
    """A number of processes that decode, one picture at a time each."""

    def __init__(self, count: int, module: str = MODULE) -> None:
        """Start none yet; `module` has the `serve` that they run."""
        self._count, self._module = count, module
        self._idle: list[_Decoder] = []
        self._busy: set[_Decoder] = set()
        self._free = threading.Condition()
        self._gate: IO[bytes] | None = None

    def decoded(
        self, data: bytes, colour: bool, limits: Limits, least: int, *, stored: bool = False
    ) -> Picture:
        """As the functions above; waits while all are at work."""
        for last in (False,) * (STARTS - 1) + (True,):
            decoder, keep = self._taken(limits.memory), False
            try:
                said = decoder.ask(data, colour, limits, least, stored, self._count)
                keep = True
            except TimeoutError:
                if not decoder.ready:
                    raise no_start(None, self._module) from None
                why = f"Decoding took longer than {limits.seconds:g} seconds."
                raise TooSlow(why).may_pass() from None
            except (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError):
                decoder.end(1.0)
                if decoder.asleep:
                    continue  # it had ended itself for want of work, just now
                if decoder.ready:
                    why = f"The decoder died on this file ({ending(decoder.status)})."
                    raise Corrupt(why).may_pass() from None
                if last:
                    raise no_start(decoder.status, self._module) from None
                continue
            finally:
                self._give_back(decoder, keep)
            if isinstance(said, PictureError | MachineFault):
                raise said
            return said
        raise no_start(None, self._module)

    def prepare(self) -> None:
        """Start a process, if there is none."""
        with self._free:
            if not self._idle and not self._busy:
                with contextlib.suppress(OSError, WherefromError):  # who decodes will hear of it
                    self._idle.append(self._new())

    def close(self) -> None:
        """End every process."""
        with self._free:
            for decoder in (*self._idle, *self._busy):
                decoder.end()
            self._idle.clear()
            if self._gate is not None:
                self._gate.close()
                self._gate = None

    def abandon(self) -> None:
        """In a child that was forked: let go of what belongs to the parent, and end nothing."""
        for decoder in (*self._idle, *self._busy):
            decoder.abandon()
        if self._gate is not None:
            self._gate.close()

    def _taken(self, memory: int) -> _Decoder:
        with self._free:
            while not self._idle and len(self._busy) >= self._count:
                self._free.wait()
            while self._idle:
                decoder = self._idle.pop()
                if decoder.memory in (None, memory) and decoder.alive:
                    break
                decoder.end()
            else:
                decoder = self._new()
            self._busy.add(decoder)
            return decoder

    def _new(self) -> _Decoder:
        if self._gate is None:
            self._gate = tempfile.TemporaryFile(prefix="wherefrom-gate-")  # noqa: SIM115 - see `close`
        return _Decoder(self._module, self._gate.fileno())

    def _give_back(self, decoder: _Decoder, keep: bool) -> None:
        if not keep:
            decoder.end()
        with self._free:
            self._busy.discard(decoder)
            if keep:
                self._idle.append(decoder)
            self._free.notify()


class _Decoder:
    """One process."""

    def __init__(self, module: str, gate: int) -> None:
        self.memory: int | None = None  # of its address space, once it has had a task
        self.ready = False
        self.status = 0
        self._heard = False  # of the present task
        self._process, self._socket = started(module, gate, handles=[gate])

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def asleep(self) -> bool:
        """Whether it had ended of itself before it took up its task."""
        return self.ready and self.status == 0 and not self._heard

    def ask(
        self, data: bytes, colour: bool, limits: Limits, least: int, stored: bool, count: int
    ) -> Picture | PictureError | MachineFault:
        """The picture, or what is wrong with it, as the process says.

        Raises TimeoutError, and OSError, EOFError, ValueError, TypeError, LookupError or AttributeError when
        it died or says what cannot be true.
        """
        import numpy as np

        from wherefrom.picture.picture import Picture
        from wherefrom.processes.believed import error_of, facts_of, shape_of

        patience = limits.seconds + GRACE
        self.memory = limits.memory
        end = time.monotonic() + (patience if self.ready else STARTING)
        self._heard = False
        wanted = {"colour": colour, "least": least, "stored": stored}
        task = {"limits": list(astuple(limits)), "bytes": len(data), **wanted}
        if self.ready:
            self._send(task, data, end)
        while True:
            for message in self._message(end):
                if "ready" in message and not self.ready:
                    self.ready = True
                    end = time.monotonic() + patience
                    self._send(task, data, end)
                elif "holding" in message:  # others decode heavy pictures, each in its time
                    self._heard = True
                    end = time.monotonic() + (count * patience if message["holding"] is True else patience)
                    count = max(0, count - 1)  # which is not believed for ever
                else:
                    self._heard = True
                    if "error" in message:
                        return error_of(message)
                    facts = facts_of(message["facts"], len(data), limits)
                    pixels = np.empty(shape_of(message["shape"], facts), np.uint8)
                    self._exactly(pixels.data.cast("B"), end)
                    return Picture(pixels, facts)

    def end(self, patience: float = 0.0) -> None:
        """End it, if it has not ended within `patience` seconds."""
        self.status = ended(self._process, self._socket, patience)

    def abandon(self) -> None:
        """Let go of it without ending it."""
        abandoned(self._process, self._socket)

    def _send(self, task: dict[str, Any], data: bytes, end: float) -> None:
        self._until(end)
        self._socket.sendall(framed(task))
        self._socket.sendall(data)

    def _message(self, end: float) -> list[Any]:
        (size,) = HEADER.unpack(self._exactly(bytearray(HEADER.size), end))
        if size > LONGEST:
            raise ValueError(size)
        parts: list[Any] = msgpack.unpackb(self._exactly(bytearray(size), end))
        return parts

    def _exactly(self, buffer: Any, end: float) -> Any:
        view = memoryview(buffer)
        while view:
            self._until(end)
            count = self._socket.recv_into(view)
            if not count:
                raise EOFError
            view = view[count:]
        return buffer

    def _until(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


def _processes() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, cores)


_kept = Decoders(_processes())


def _forked() -> None:
    global _kept
    _kept.abandon()
    _kept = Decoders(_processes())


def _end() -> None:
    _kept.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
atexit.register(_end)
