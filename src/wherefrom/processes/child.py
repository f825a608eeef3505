"""In a child process: its limits, its end, and how it is spoken to.

Nothing here loads more than Python itself: a child has to be there soon.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import Any, BinaryIO

import msgpack

from wherefrom.processes.frames import HEADER, framed


def end_with_parent() -> None:
    """Have the kernel end this process when the parent does, even inside a decoder that hangs.

    The parent holds the other end of standard input. When that closes, Linux sends SIGIO, which ends a
    process that does not handle it; elsewhere the end of the socket or the alarm does, later.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the parent
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if sys.platform == "linux":
        import fcntl

        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)


def limit_memory(memory: int) -> None:
    """Allow so many bytes of address space, where the system counts it, and no core dumps."""
    import resource

    for kind, wanted in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        highest = resource.getrlimit(kind)[1]
        wanted = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
        with contextlib.suppress(OSError, ValueError):  # macOS has the name and not the thing
            resource.setrlimit(kind, (wanted, wanted))


def set_alarm(seconds: float) -> None:
    """End this process when one task takes far too long: twice its `seconds`, and a minute.

    The parent ends a decoder that hangs long before; this is for when there is no parent any more.
    """
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds + 60)


def clear_alarm() -> None:
    """Take `set_alarm` back."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def send(channel: socket.socket, said: Any) -> None:
    """Tell the parent a message."""
    channel.sendall(framed(said))


def received(stream: BinaryIO) -> Any:
    """The parent's next message; raises EOFError when it will say no more."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    return msgpack.unpackb(stream.read(HEADER.unpack(header)[0]))


class Gate(contextlib.AbstractContextManager["Gate"]):
    """Lets one process at a time decode a heavy picture; waiting does not count as being slow."""

    def __init__(self, channel: socket.socket, file: int, seconds: float) -> None:
        """`file` is a descriptor that all processes share, and `seconds` what a picture may take."""
        self._channel, self._file, self._seconds = channel, file, seconds

    def __enter__(self) -> Gate:
        import fcntl

        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            send(self._channel, [{"holding": True}])
            clear_alarm()
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            set_alarm(self._seconds)
            send(self._channel, [{"holding": False}])
        return self

    def __exit__(self, *_: object) -> None:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_UN)
