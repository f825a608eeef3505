"""One writer at a time: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from pathlib import Path

from wherefrom.engine.records import iso, now
from wherefrom.errors import CollectionError, CollectionLocked


class WriterLock:
    """An exclusive `flock` on a file that says who holds it."""

    def __init__(self, path: Path) -> None:
        """Take the lock; raises CollectionLocked, naming the holder, when another process has it."""
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

    def release(self) -> None:
        """Let the next writer in."""
        os.close(self._handle)


def _holder(handle: int) -> str:
    try:
        note = json.loads(os.pread(handle, 4096, 0))
        if note["pid"] == os.getpid():
            return "This process has the collection open elsewhere and"
        return f"Another process ({note['pid']}, {note['command']}, since {note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "Another process"
