"""One writer at a time: a lock that the operating system drops when its holder dies.

It is of the process that took it: a child that is forked off lets its copy go.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from weakref import WeakSet

from wherefrom.errors import CollectionError, CollectionLocked
from wherefrom.records import iso, now


class WriterLock:
    """An exclusive `flock` on a file that says who holds it."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises CollectionLocked, naming the holder, when another process has it."""
        try:
            import fcntl
        except ImportError:
            raise CollectionError(
                "Collections are written to on Linux and macOS; on Windows, use WSL or a container."
            ) from None
        self._path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CollectionError(
                f"{path.parent} cannot be written to ({error.strerror}). Check its permissions."
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _holder(self._handle)
            os.close(self._handle)
            raise CollectionLocked(
                f"{who} is writing to {path.parent}. "
                f"Wait until it is done and try again; searching works meanwhile."
            ) from None
        except OSError as error:
            os.close(self._handle)
            raise CollectionError(
                f"{path} cannot be locked ({error.strerror}). A collection is written to on a disk of this "
                f"machine, or on a network file system that has locks."
            ) from error
        note = {"pid": os.getpid(), "command": Path(sys.argv[0]).name or "python", "since": iso(now())}
        with contextlib.suppress(OSError):  # the note is a courtesy: a full disk does not stop the lock
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(note).encode(), 0)
        _HELD.add(self)

    def check(self) -> None:
        """Raise CollectionError when the file that is locked is not the one at its path any more."""
        if self._handle < 0 or not same_file(os.fstat(self._handle), self._path):
            raise CollectionError(
                f"{self._path} was deleted or replaced while this process was writing to the collection, and "
                f"another may be writing to it by now. Nothing was changed; open the collection again."
            )

    def release(self) -> None:
        """Let the next writer in."""
        _HELD.discard(self)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def same_file(status: os.stat_result, path: Path) -> bool:
    """Whether a file is the one that is at a path."""
    try:
        there = path.stat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)


_HELD: WeakSet[WriterLock] = WeakSet()


def _forked() -> None:
    # Or else the lock would be held until the last child has ended.
    for lock in list(_HELD):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _holder(handle: int) -> str:
    try:
        note = json.loads(os.pread(handle, 4096, 0))
        if note["pid"] == os.getpid():
            return "This process has the collection open elsewhere and"
        return f"Another process ({note['pid']}, {note['command']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "Another process"
