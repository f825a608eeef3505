"""The journal of a run: what is finished, so that a run that was stopped goes on where it was.

A file of JSON lines. Each finished piece of work is one line, written when it is done and brought to the disk
now and then: a run that is killed loses at most what it was doing, and a machine that loses power the last
seconds. A last line that was torn is cut off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_SYNC_SECONDS = 2.0


class Journal:
    """Finished work by key. One process at a time may have it open for writing."""

    def __init__(self, path: Path) -> None:
        """Open the journal at a path, or begin it; its folder must be there."""
        self._file: IO[bytes] = path.open("a+b")
        self._done: dict[str, Any] = {}
        self._spent = 0.0
        self._start = self._synced = time.monotonic()
        self._file.seek(0)
        sound = 0
        for line in self._file:
            try:
                entry = json.loads(line)
                key, value, seconds = entry["key"], entry["value"], float(entry["seconds"])
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            self._done[key] = value
            self._spent = max(self._spent, seconds)
            sound += len(line)
        self._file.truncate(sound)
        self._before = self._spent

    def __contains__(self, key: str) -> bool:
        return key in self._done

    def __getitem__(self, key: str) -> Any:
        return self._done[key]

    def __len__(self) -> int:
        return len(self._done)

    def __iter__(self) -> Iterator[str]:
        return iter(self._done)

    @property
    def resumed(self) -> int:
        """How many pieces of work are finished, at present."""
        return len(self._done)

    @property
    def seconds(self) -> float:
        """How long the run has taken, earlier parts of it included as far as their last finished work."""
        return self._before + time.monotonic() - self._start

    def append(self, key: str, value: Any) -> None:
        """Write down that a piece of work is finished; `value` is what JSON can hold."""
        entry = {"key": key, "seconds": round(self.seconds, 3), "value": value}
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        # What JSON makes of it, so that a run that was resumed and one that was not hold the same.
        self._done[key] = json.loads(json.dumps(value))
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def close(self) -> None:
        """Bring everything to the disk and let the file go."""
        if not self._file.closed:
            self._sync()
            self._file.close()

    def _sync(self) -> None:
        with suppress(OSError):  # a file system that cannot
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()
