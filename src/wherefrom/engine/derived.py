"""The life of a derived index: rows that follow from a source, in files that can be thrown away.

Two parts hold every row. *Sealed* rows lie in files (see `derived_files`). The *tail* holds in memory what
the source has gained since; every process keeps its own and reads it from the source, so that a row can be
found as soon as its transaction has committed, here and in every other process. When the tail has grown the
writer seals it. Removed rows are masked at once, and left out when a quarter of the files is masked.

A kind of index says what holds its rows (a `Part`), how they are written and opened, and how they differ
from the source; when any of that happens is decided here.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.derived_files import DerivedFiles, M
from wherefrom.engine.files import Stamp
from wherefrom.engine.sizes import TailSizes
from wherefrom.errors import CollectionDamaged

CURE = "Run: wherefrom rebuild"

Numbers = NDArray[np.int64]
R = TypeVar("R")  # rows as the source gives them
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)
_log = logging.getLogger("wherefrom.engine.derived")


class Marks(Protocol):
    """How far a source has come."""

    @property
    def key(self) -> int:
        """The highest key that it ever gave."""
        ...

    @property
    def removal(self) -> int:
        """The number of its last removal."""
        ...


class Source(Protocol[R_co]):
    """What an index is derived from. Keys rise as they are added and are never given twice."""

    def marks(self) -> Marks:
        """How far the source has come."""
        ...

    def rows_after(self, key: int, limit: int) -> tuple[int, R_co]:
        """The last of the next `limit` keys, and their rows in order of key; a key may have none.

        The key returned equals the one given when there are no more.
        """
        ...

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        ...


class Part(Protocol[R_contra]):
    """Rows in order of their keys, in files or in memory."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        ...

    @property
    def removed(self) -> int:
        """How many of them are masked."""
        ...

    @property
    def is_thin(self) -> bool:
        """Whether so many are masked that the others are to be written anew."""
        ...

    def append(self, rows: R_contra, /) -> None:
        """Add rows of higher keys."""
        ...

    def mask(self, keys: Numbers, /) -> None:
        """Mask the rows of these keys."""
        ...

    def beyond(self, key: int, /) -> Self:
        """A copy of the rows of keys above `key`."""
        ...

    def view(self) -> Self:
        """The rows as they are now: appending to the original does not show here, masking may."""
        ...


P = TypeVar("P", bound=Part[Any])


class State(NamedTuple, Generic[M, P]):
    """An index at one moment: what is sealed, what is not, and how far the source was read."""

    manifest: M
    sealed: P
    tail: P
    key: int
    removal: int


class Written(NamedTuple, Generic[M, P]):
    """Files that last and are not yet published: what they hold, opened, and the tail that is left."""

    manifest: M
    sealed: P
    tail: P


class DerivedIndex(ABC, Generic[M, R, P]):
    """Rows derived from a `Source`. Thread-safe; whatever is asked first catches up with the source."""

    KEYS_A_ROW: ClassVar[int] = 1
    """Keys without rows that count as much as one row when it comes to sealing."""

    def __init__(self, files: DerivedFiles[M], source: Source[R], sizes: TailSizes, *, write: bool) -> None:
        """An index in files that only one object may `write`; the rest of it is ready.

        Raises CollectionDamaged when the files contradict the manifest.
        """
        self._files = files
        self._source = source
        self._sizes = sizes
        self._write = write
        self._lock = threading.RLock()
        self._manifest = files.blank
        self._stamp: Stamp | None = None
        self._sealed = self._opened(files.blank, goes_on=False)
        self._tail = self._empty()
        self._key = self._removal = 0  # how far the source has been read
        self._seal_at, self._compact_at = sizes.seal, sizes.compact
        self._load()
        if write and files.manifest() == self._manifest:
            files.sweep(self._manifest)
        self.refresh()

    @property
    def name(self) -> str:
        """What the index is called when something is wrong."""
        return self._files.name

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._files.directory

    @property
    def writing(self) -> bool:
        """Whether the files are this object's to change."""
        return self._write

    def refresh(self) -> None:
        """Read from the source what is new; whatever is asked does so by itself."""
        with self._lock:
            if not self._write and self._files.stamp != self._stamp:
                self._load()
            self._catch_up()

    def stop_writing(self) -> None:
        """Leave the files to another object; what is under way or begins later stays right."""
        with self._lock:
            self._write = False

    def close(self) -> None:
        """Seal what has not been where that is worth it; what was taken from here stays right."""
        with self._lock:
            if self._unsealed() >= self._sizes.seal_at_close:
                self._store_if_possible(tail=True)
            self._write = False

    def damage(self) -> Iterator[str]:
        """Every way in which the index differs from its source, a sentence each."""
        state = self._state()
        for path in self._files.strays():
            yield f"{self.name}: {path} is there and manifest.json is missing. {CURE}"
        yield from self._differences(state)

    # What a kind of index says

    @abstractmethod
    def _empty(self) -> P:
        """A tail without rows."""

    @abstractmethod
    def _opened(self, manifest: M, *, goes_on: bool) -> P:
        """The rows that a manifest names, none of them masked; changes nothing. Raises CollectionDamaged.

        `goes_on`: this index holds the files of an earlier manifest of the same line.
        """

    @abstractmethod
    def _written(self, *, tail: bool) -> Written[M, P]:
        """Write the tail, at least if asked to, and anew what is thin; changes nothing else.

        Every new file has a number above that of the present manifest. Raises OSError.
        """

    @abstractmethod
    def _differences(self, state: State[M, P]) -> Iterator[str]:
        """How the rows, and the files in which they lie, differ from what is due, a sentence each."""

    def _at_a_time(self) -> int:
        """How many rows to read from the source next."""
        return self._sizes.read

    def _full_at(self, to_come: int) -> int:  # noqa: ARG002 - for kinds that look ahead
        """The rows in the tail at which it is sealed, when so many keys are still to be read."""
        return self._seal_at

    # When it happens

    def _state(self) -> State[M, P]:
        """What there is after catching up with the source."""
        with self._lock:
            self.refresh()
            return State(self._manifest, self._sealed.view(), self._tail.view(), self._key, self._removal)

    def _load(self) -> None:
        """Take what is published as one's own, again when the writer replaces it meanwhile."""
        while True:
            stamp = self._files.stamp
            try:
                return self._take(self._files.manifest(), stamp)
            except CollectionDamaged:
                if self._files.stamp == stamp:
                    raise

    def _take(self, manifest: M | None, stamp: Stamp | None) -> None:
        blank = self._files.blank
        if manifest is None or not blank.same_kind(manifest):
            # Nothing yet, or another version: what the source gives now comes in its place.
            manifest = blank.begun(manifest.generation if manifest else 0)
        marks = self._source.marks()
        if manifest.key > marks.key or manifest.removal > marks.removal:
            raise CollectionDamaged(
                f"The {self.name} knows more than the catalog, which may have come from a backup. {CURE}"
            )
        goes_on = manifest.line == self._manifest.line and self._key >= manifest.key
        self._sealed = self._opened(manifest, goes_on=goes_on)
        # Sealed rows are unmasked now: what was removed since is read again, for them and for the tail.
        if goes_on:
            self._tail = self._tail.beyond(manifest.key)
            self._removal = min(self._removal, manifest.removal)
        else:
            self._tail, self._key, self._removal = self._empty(), manifest.key, manifest.removal
        self._manifest, self._stamp = manifest, stamp

    def _catch_up(self) -> None:
        marks = self._source.marks()
        while self._key < marks.key:
            key, rows = self._source.rows_after(self._key, self._at_a_time())
            if key == self._key:
                self._key = marks.key  # the keys up to there have gone again, or have no rows
                break
            self._tail.append(rows)
            self._key = key
            if self._write and self._unsealed() >= self._full_at(marks.key - key):
                self._store_if_possible(tail=True)
        if self._removal < marks.removal:
            removed, self._removal = self._source.removals_after(self._removal)
            keys = np.array(removed, np.int64)
            self._sealed.mask(keys)
            self._tail.mask(keys)
        if self._write and self._sealed.removed > self._compact_at and self._sealed.is_thin:
            self._store_if_possible(tail=False)

    def _unsealed(self) -> int:
        """Rows in the tail, or what the keys since the last seal come to where that is more."""
        return max(self._tail.count, (self._key - self._manifest.key) // self.KEYS_A_ROW)

    def _store_if_possible(self, *, tail: bool) -> None:
        """Store what is this object's to store, or go on in memory when the disk does not take it.

        Nothing depends on it.
        """
        if not self._write:
            return
        try:
            self._store(tail=tail)
            self._seal_at, self._compact_at = self._sizes.seal, self._sizes.compact
        except OSError as error:
            self._seal_at = 2 * max(self._sizes.seal, self._unsealed())
            self._compact_at = 2 * max(self._sizes.compact, self._sealed.removed)
            _log.warning("The %s stays in memory for now: %s", self.name, error)

    def _store(self, *, tail: bool) -> None:
        if self._stamp is None:
            # Files without a manifest are then the trace of a lost manifest, never of a crash.
            self._files.publish(self._manifest)
            self._stamp = self._files.stamp
        try:
            written = self._written(tail=tail)
            self._files.publish(written.manifest)
        except OSError:
            self._files.forget(one for one in self._files.numbers() if one > self._manifest.generation)
            raise
        self._manifest, self._sealed, self._tail = written
        self._stamp = self._files.stamp
