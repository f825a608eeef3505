"""Rows of codes: in memory, and in files that only grow and are published by a manifest.

`RowFiles` keeps rows in two files of fixed capacity, planes and entries. What counts is what
`manifest.json` says: it is written after the rows have been synced, and replaced whole, so that a crash
at any instant leaves the old state or the new one. More capacity, or rows left out, means new files under
the next generation number; the old ones are deleted once the manifest names the new.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whence.errors import CollectionDamaged

WORDS = 4
"""64-bit words in a code."""

_FORMAT = 1
_COPY = 1 << 20  # rows copied at a time

Numbers = NDArray[np.int64]
Codes = NDArray[np.uint8]


@dataclass
class Rows:
    """Planes uint64 (4, capacity), entries int64 and a mask of removed rows, `count` of them in use.

    Entries rise; an entry is 2 × key + variant.
    """

    planes: NDArray[np.uint64]
    entries: Numbers
    dead: NDArray[np.bool_]
    count: int = 0
    removed: int = 0

    @classmethod
    def empty(cls, capacity: int = 0) -> Rows:
        """No rows, and room for some."""
        planes = np.zeros((WORDS, capacity), np.uint64)
        return cls(planes, np.zeros(capacity, np.int64), np.zeros(capacity, np.bool_))

    def append(self, entries: Numbers, codes: Codes) -> None:
        """Add rows: int64 (n,) entries, each above the last, and uint8 (n, 32) codes."""
        need = self.count + len(entries)
        if need > len(self.entries):
            # Searches under way keep the arrays that they started with.
            grown = Rows.empty(max(1024, 2 * need))
            grown.planes[:, : self.count] = self.planes[:, : self.count]
            grown.entries[: self.count] = self.entries[: self.count]
            grown.dead[: self.count] = self.dead[: self.count]
            self.planes, self.entries, self.dead = grown.planes, grown.entries, grown.dead
        self.planes[:, self.count : need] = np.ascontiguousarray(codes).view("<u8").T
        self.entries[self.count : need] = entries
        self.dead[self.count : need] = False
        self.count = need

    def mask(self, keys: Numbers) -> None:
        """Mask every row of these keys."""
        used = self.entries[: self.count]
        first, last = np.searchsorted(used, 2 * keys), np.searchsorted(used, 2 * keys + 2)
        for start, stop in zip(first.tolist(), last.tolist(), strict=True):
            if stop > start:
                self.removed += int(np.count_nonzero(~self.dead[start:stop]))
                self.dead[start:stop] = True

    def drop_until(self, key: int) -> None:
        """Forget the rows of keys up to and with `key`."""
        start = int(np.searchsorted(self.entries[: self.count], 2 * key + 2))
        kept = slice(start, self.count)
        self.planes, self.entries = self.planes[:, kept].copy(), self.entries[kept].copy()
        self.dead = self.dead[kept].copy()
        self.count, self.removed = len(self.entries), int(self.dead.sum())

    def live(self) -> Numbers:
        """The numbers of the rows that are not masked."""
        return np.flatnonzero(~self.dead[: self.count])

    def view(self) -> Rows:
        """The rows as they are now: appending to the original does not show here."""
        return replace(self)


@dataclass(frozen=True)
class Manifest:
    """What the files hold: `rows` codes of version `feature` for the source's keys up to `key`.

    Rows of keys removed up to removal number `removal` are not in them; `hashed` rows are covered by
    hash tables, 0 for none.
    """

    feature: str
    generation: int = 0
    rows: int = 0
    capacity: int = 0
    key: int = 0
    removal: int = 0
    hashed: int = 0
    format: int = _FORMAT


class RowFiles:
    """The files of one directory, and which manifest is the present one."""

    def __init__(self, directory: Path, *, write: bool) -> None:
        """Look at `directory`, which is made when `write`; nothing is read yet."""
        self.directory = directory
        self._write = write
        if write:
            directory.mkdir(parents=True, exist_ok=True)

    @property
    def stamp(self) -> tuple[int, int] | None:
        """Changes whenever a manifest is published; None while there is none."""
        try:
            status = (self.directory / "manifest.json").stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def manifest(self) -> Manifest | None:
        """What has been published; None when nothing has. Raises CollectionDamaged."""
        path = self.directory / "manifest.json"
        try:
            manifest = Manifest(**json.loads(path.read_text()))
            if manifest.format != _FORMAT or not 0 <= manifest.rows <= manifest.capacity:
                raise ValueError("impossible numbers")
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise _damaged(f"{path} cannot be read ({error})") from error
        return manifest

    def rows(self, manifest: Manifest) -> Rows:
        """The rows that a manifest names, mapped; none is masked. Raises CollectionDamaged."""
        if manifest.capacity == 0:
            return Rows.empty()
        planes = self._mapped("planes", WORDS, manifest).reshape(WORDS, manifest.capacity)
        entries = self._mapped("entries", 1, manifest).view(np.int64)
        return Rows(planes, entries, np.zeros(manifest.rows, np.bool_), manifest.rows)

    def grown(self, manifest: Manifest, rows: Rows, capacity: int) -> Manifest:
        """New files of `capacity` rows that begin with the live ones of `rows`; not yet published."""
        live = rows.live() if rows.removed else None
        count = rows.count if live is None else len(live)
        fresh = replace(manifest, generation=manifest.generation + 1, rows=count, capacity=capacity, hashed=0)
        for name, words in (("planes", WORDS), ("entries", 1)):
            with self._path(name, fresh).open("wb") as file:
                # Room is taken now: a full disk is then an error here, not a crash at a later write.
                os.posix_fallocate(file.fileno(), 0, words * capacity * 8)
        target = self.rows(fresh)
        for start in range(0, count, _COPY):
            stop = min(count, start + _COPY)
            part = slice(start, stop) if live is None else live[start:stop]
            target.planes[:, start:stop] = rows.planes[:, part]
            target.entries[start:stop] = rows.entries[part]
        return fresh

    def clear(self, feature: str) -> None:
        """Publish that there are no rows, under a generation that no reader has seen."""
        try:
            before = self.manifest()
            generation = before.generation + 1 if before else 1
        except CollectionDamaged:
            generation = int(time.time())
        self.publish(Manifest(feature, generation=generation))

    def hashes(self, manifest: Manifest) -> Path:
        """The directory of a manifest's hash tables."""
        return self.directory / f"hashes-{manifest.generation}" / str(manifest.hashed)

    def publish(self, manifest: Manifest) -> None:
        """Make the files of a manifest last, then the manifest, then delete what it does not name."""
        if manifest.capacity:
            for name in ("planes", "entries"):
                _sync(self._path(name, manifest))
        target = self.directory / "manifest.json"
        draft = target.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(manifest)))
        _sync(draft)
        draft.replace(target)
        _sync(self.directory)
        self.sweep(manifest)

    def sweep(self, manifest: Manifest) -> None:
        """Delete what a manifest does not name; readers that have mapped it keep what they have."""
        for path in self.directory.iterdir():
            name, _, number = path.name.partition("-")
            if name in ("planes", "entries", "hashes") and number != str(manifest.generation):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        hashes = self.hashes(manifest)
        if hashes.parent.is_dir():
            for path in hashes.parent.iterdir():
                if path != hashes:
                    shutil.rmtree(path, ignore_errors=True)

    def _path(self, name: str, manifest: Manifest) -> Path:
        return self.directory / f"{name}-{manifest.generation}"

    def _mapped(self, name: str, words: int, manifest: Manifest) -> NDArray[Any]:
        path, due = self._path(name, manifest), words * manifest.capacity * 8
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise _damaged(f"{path} is missing") from None
        if size != due:
            raise _damaged(f"{path} has {size:,} bytes where {due:,} are due")
        return np.memmap(path, np.uint64, "r+" if self._write else "r").view(np.ndarray)


def _damaged(what: str) -> CollectionDamaged:
    return CollectionDamaged(f"The fingerprint index is damaged: {what}. Run: whence rebuild")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems do not sync directories
            os.fsync(handle)
    finally:
        os.close(handle)
