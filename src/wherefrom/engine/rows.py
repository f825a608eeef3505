"""Rows of codes: in memory, and in files that only grow and are published by a manifest.

`RowFiles` keeps rows in two files of fixed capacity, planes and entries. What counts is what
`manifest.json` says: it is written after the rows have been synced, and replaced whole, so that a crash
at any instant leaves the old state or the new one. More capacity, or rows left out, means new files under
the next generation number; the old ones are deleted once the manifest names the new. A file that a reader
may have mapped is never made shorter, since touching what is gone would kill the reader.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.files import (
    Stamp,
    allocate,
    crc_of,
    crc_of_file,
    delete,
    stamp_of,
    sync,
    sync_directory,
)
from wherefrom.engine.scan import large_pages
from wherefrom.errors import CollectionDamaged

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
        for variant in range(int((last - first).max(initial=0))):
            rows = (first + variant)[first + variant < last]
            self.dead[rows] = True
        self.removed = int(np.count_nonzero(self.dead[: self.count]))

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

    def codes(self, first: int, stop: int) -> Codes:
        """The codes of rows first..stop, uint8 (n, 32)."""
        words = np.ascontiguousarray(self.planes[:, first:stop].T)
        return words.view(np.uint8).reshape(-1, 8 * WORDS)

    def view(self) -> Rows:
        """The rows as they are now: appending to the original does not show here."""
        return replace(self)


@dataclass(frozen=True)
class Manifest:
    """What the files hold: `rows` codes of version `feature` for the source's keys up to `key`.

    Rows of keys removed up to removal number `removal` are not in them; `hashed` rows are covered by
    hash tables, 0 for none, whose files have the CRC-32 sums in `hash_sums`.
    """

    feature: str
    generation: int = 0
    rows: int = 0
    capacity: int = 0
    key: int = 0
    removal: int = 0
    hashed: int = 0
    hash_sums: dict[str, int] = field(default_factory=dict)
    format: int = _FORMAT

    def to_text(self) -> str:
        """The manifest as JSON, with a checksum of itself."""
        body = asdict(self)
        return json.dumps({"manifest": body, "crc": crc_of(body)})

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """The inverse of `to_text`; raises ValueError, KeyError or TypeError for anything else."""
        document = json.loads(text)
        body = document["manifest"]
        if document["crc"] != crc_of(body):
            raise ValueError("its checksum is wrong")
        manifest = cls(**body)
        if manifest.format != _FORMAT:
            raise ValueError(f"it has format {manifest.format}, not {_FORMAT}")
        if not 0 <= manifest.hashed <= manifest.rows <= manifest.capacity:
            raise ValueError("its numbers are impossible")
        return manifest


class RowFiles:
    """The files of one directory, and which manifest is the present one."""

    def __init__(self, directory: Path, *, write: bool) -> None:
        """Look at `directory`; nothing is made or read yet."""
        self.directory = directory
        self._write = write

    @property
    def stamp(self) -> Stamp | None:
        """Changes whenever a manifest is published; None while there is none."""
        return stamp_of(self.directory / "manifest.json")

    def manifest(self) -> Manifest | None:
        """What has been published; None when nothing has. Raises CollectionDamaged."""
        path = self.directory / "manifest.json"
        try:
            return Manifest.from_text(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise _damaged(f"{path} cannot be read ({error})") from error

    def rows(self, manifest: Manifest) -> Rows:
        """The rows that a manifest names, mapped; none is masked. Raises CollectionDamaged."""
        if manifest.capacity == 0:
            return Rows.empty()
        planes = self._mapped("planes", WORDS, manifest).reshape(WORDS, manifest.capacity)
        entries = self._mapped("entries", 1, manifest).view(np.int64)
        return Rows(planes, entries, np.zeros(manifest.rows, np.bool_), manifest.rows)

    def grown(self, manifest: Manifest, rows: Rows, capacity: int) -> Manifest:
        """New files of `capacity` rows that begin with the live ones of `rows`; not yet published.

        Raises OSError when there is no room for them; nothing of them is left then.
        """
        live = rows.live() if rows.removed else None
        count = rows.count if live is None else len(live)
        fresh = replace(
            manifest,
            generation=manifest.generation + 1,
            rows=count,
            capacity=capacity,
            hashed=0,
            hash_sums={},
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            for name, words in (("planes", WORDS), ("entries", 1)):
                path = self._path(name, fresh)
                path.unlink(missing_ok=True)
                with path.open("xb") as file:
                    allocate(file.fileno(), words * capacity * 8)
        except OSError:
            self.forget(fresh)
            raise
        target = self.rows(fresh)
        for start in range(0, count, _COPY):
            stop = min(count, start + _COPY)
            part = slice(start, stop) if live is None else live[start:stop]
            target.planes[:, start:stop] = rows.planes[:, part]
            target.entries[start:stop] = rows.entries[part]
        return fresh

    def clear(self, feature: str) -> None:
        """Publish that there are no rows, under a generation that no reader has seen.

        Raises OSError when that cannot be written.
        """
        if self.directory.exists() and not self.directory.is_dir():
            self.directory.unlink()
        numbers = [path.name.partition("-")[2] for path in self._of_generations()]
        seen = [int(number) for number in numbers if number.isdecimal()]
        with contextlib.suppress(CollectionDamaged):
            before = self.manifest()
            seen.append(before.generation if before else 0)
        # What is gone may have had any number, but hardly one as high as the seconds since 1970.
        self.publish(Manifest(feature, generation=max([*seen, int(time.time())]) + 1))

    def hashes(self, manifest: Manifest) -> Path:
        """The directory of a manifest's hash tables."""
        return self.directory / f"hashes-{manifest.generation}" / str(manifest.hashed)

    def hash_sums(self, manifest: Manifest) -> dict[str, int]:
        """The CRC-32 of each file of a manifest's hash tables, by name. Raises OSError."""
        return {path.name: crc_of_file(path) for path in sorted(self.hashes(manifest).iterdir())}

    def publish(self, manifest: Manifest) -> None:
        """Make the files of a manifest last, then the manifest, then delete what it does not name."""
        if manifest.capacity:
            for name in ("planes", "entries"):
                sync(self._path(name, manifest))
        self.directory.mkdir(parents=True, exist_ok=True)
        target = self.directory / "manifest.json"
        draft = target.with_suffix(".draft")
        draft.write_text(manifest.to_text())
        sync(draft)
        draft.replace(target)
        sync_directory(self.directory)
        self.sweep(manifest)

    def sweep(self, manifest: Manifest) -> None:
        """Delete what a manifest does not name; readers that have mapped it keep what they have."""
        for path in self._of_generations():
            if path.name.partition("-")[2] != str(manifest.generation):
                delete(path)
        hashes = self.hashes(manifest)
        with contextlib.suppress(OSError):
            for path in hashes.parent.iterdir():
                if path != hashes or not manifest.hashed:
                    delete(path)

    def forget(self, manifest: Manifest) -> None:
        """Delete the files of a manifest that was never published."""
        for path in self._of_generations():
            if path.name.partition("-")[2] == str(manifest.generation):
                delete(path)

    def forget_hashes(self, manifest: Manifest) -> None:
        """Delete hash tables that were never published."""
        delete(self.hashes(manifest))

    def strays(self) -> list[Path]:
        """Files of rows, when there is no manifest to say what they are."""
        return [] if self.stamp else self._of_generations()

    def _of_generations(self) -> list[Path]:
        try:
            there = sorted(self.directory.iterdir())
        except OSError:
            return []
        return [path for path in there if path.name.partition("-")[0] in ("planes", "entries", "hashes")]

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
        mapped = np.memmap(path, np.uint64, "r+" if self._write else "r")
        large_pages(mapped)
        return mapped.view(np.ndarray)


def _damaged(what: str) -> CollectionDamaged:
    return CollectionDamaged(f"The fingerprint index is damaged: {what}. Run: wherefrom rebuild")
