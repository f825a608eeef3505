"""What takes a while to compute of a collection, kept until the collection changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from wherefrom.collection import Collection

T = TypeVar("T")


class Remembered(Generic[T]):
    """One value for each collection. Thread-safe: it is computed once, and others wait for it."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[str, T]] = {}
        self._lock = threading.Lock()

    def of(self, collection: Collection, compute: Callable[[Collection], T]) -> T:
        """The value of a collection as it is now."""
        with self._lock:
            revision = collection.revision
            kept = self._values.get(id(collection))
            if kept is None or kept[0] != revision:
                kept = self._values[id(collection)] = (revision, compute(collection))
            return kept[1]


class Last(Generic[T]):
    """The last value that was asked for by name, unless it was None. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[str, T] = {}
        self._lock = threading.Lock()

    def of(self, name: str, compute: Callable[[], T | None]) -> T | None:
        """The value of a name, computed where another was asked for last."""
        with self._lock:
            if name not in self._kept:
                value = compute()
                if value is None:
                    return None
                if len(self._kept) >= _NAMES:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[name] = value
            return self._kept[name]


_NAMES = 8  # of collections, mostly
