"""Whose turn it is to write to a collection, where several processes want to.

One holds the writer's lock (`lock.py`). Whoever waits for it holds a second file, so that the one that has
the lock sees it and lets go between two changes; then it waits for its own next turn. So a service and
`wherefrom index` beside it both get on. Who is not asked to wait is refused at once, as ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wherefrom.errors import CollectionLocked

_LOOK = 0.05  # seconds between tries
_PAUSE = 0.2  # that whoever let go leaves to who waits
_AGAIN = 600.0  # that whoever let go waits for its next turn, at least


class Turns:
    """The turns of one process at one collection. Thread-safe.

    `seconds` is how long a first turn is waited for; `on_wait` is told why, once, when that is more than a
    moment.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "writer.waiting"
        self._lock = threading.Lock()
        self._changes = 0
        self._last = time.monotonic()
        self._let_go: float | None = None
        self.seconds = 0.0
        self.on_wait: Callable[[CollectionLocked], None] | None = None

    def take(self, attempt: Callable[[], None]) -> None:
        """Have a turn by `attempt`, which raises CollectionLocked while somebody else has one."""
        self._last = time.monotonic()
        pause = 0.0 if self._let_go is None else self._let_go + _PAUSE - self._last
        if pause > 0:
            time.sleep(pause)
        seconds = self.seconds if self._let_go is None else max(self.seconds, _AGAIN)
        try:
            attempt()
        except CollectionLocked:
            if seconds <= 0:
                raise
            self._wait(attempt, seconds)
        self._let_go = None

    def _wait(self, attempt: Callable[[], None], seconds: float) -> None:
        begun, told = time.monotonic(), False
        with self._announced():
            while True:
                time.sleep(_LOOK)
                try:
                    return attempt()
                except CollectionLocked as error:
                    waited = time.monotonic() - begun
                    if waited > seconds:
                        raise
                    if waited > 1 and not told and self.on_wait is not None:
                        self.on_wait(error)
                        told = True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Something is changed meanwhile: the turn is not over before its end."""
        with self._lock:
            self._changes += 1
        try:
            yield
        finally:
            with self._lock:
                self._changes -= 1
            self._last = time.monotonic()

    def is_over(self, idle: float) -> bool:
        """Whether to let go: nothing is being changed, and somebody waits, or nothing was for so long."""
        with self._lock:
            if self._changes:
                return False
        return time.monotonic() - self._last >= idle or self._is_wanted()

    def over(self) -> None:
        """This process has let go."""
        self._let_go = time.monotonic()

    @contextmanager
    def _announced(self) -> Iterator[None]:
        import fcntl

        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:  # then it is waited for without a word
            yield
            return
        try:
            with contextlib.suppress(OSError):  # held while a holder looks: the next try will do
                fcntl.flock(handle, fcntl.LOCK_SH)
            yield
        finally:
            os.close(handle)

    def _is_wanted(self) -> bool:
        import fcntl

        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False
