"""How long somebody waits for what is being read: until a time, or until they say that they wait no more.

SQLite asks `is_over` every so many steps of a statement and ends it there (see `database.py`). Who set no
patience waits for ever, and can still be interrupted by Ctrl-C.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from wherefrom.errors import Busy

_present: ContextVar[Patience | None] = ContextVar("patience", default=None)


class Patience:
    """Some `seconds`, from now on, which any of some events may cut short. Thread-safe."""

    def __init__(self, seconds: float, *stops: Event) -> None:
        self.seconds, self._end = seconds, time.monotonic() + seconds
        self._stops = stops

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return time.monotonic() > self._end or any(stop.is_set() for stop in self._stops)

    @property
    def error(self) -> Busy:
        """What to raise once it is over."""
        return Busy(
            f"Reading the collection took longer than {self.seconds:g} seconds and was stopped: "
            f"ask for less, such as by a filter with fewer terms."
        )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Have this thread's reading end when it is over, with `error`."""
        token = _present.set(self)
        try:
            yield
        finally:
            _present.reset(token)


def present() -> Patience | None:
    """The patience of whoever this thread reads for; None for no end."""
    return _present.get()


def is_over() -> bool:
    """Whether whoever this thread reads for waits no more."""
    patience = _present.get()
    return patience is not None and patience.is_over
