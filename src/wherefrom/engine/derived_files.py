"""The files of a derived index: a directory whose manifest says which of its files count.

Every file that holds rows has a name PREFIX-NUMBER. What counts is what `manifest.json` says: it is written
after the files that it names last, and replaced whole, so that a crash at any instant leaves the old state or
the new one. What it does not name is deleted. A file that a reader may have mapped is never made shorter,
since touching what is gone would kill the reader.
"""

from __future__ import annotations

import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.files import Stamp, crc_of, delete, stamp_of, sync, sync_directory
from wherefrom.engine.scan import large_pages
from wherefrom.errors import CollectionDamaged

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What the files hold: the rows of version `feature` for the source's keys up to `key`.

    Rows of keys removed up to removal number `removal` are not in them. `generation` is the highest number
    that one of the files has had. Kinds of indexes add fields of their own, all with defaults.
    """

    feature: str
    generation: int = 0
    key: int = 0
    removal: int = 0

    FORMAT: ClassVar[int] = 1

    @property
    def line(self) -> int:
        """Stays the same for as long as a reader's tail goes on where the files end."""
        return self.generation

    def same_kind(self, other: Self) -> bool:
        """Whether both are of the same feature in the same version."""
        return self.feature == other.feature

    def begun(self, seen: int = 0) -> Self:
        """A manifest of nothing, whose number is above `seen` and, hardly otherwise, any that ever was."""
        return replace(self, generation=max(seen, time.time_ns() // 1000) + 1)

    def check(self) -> None:
        """Raise ValueError for numbers that contradict each other."""

    def to_text(self) -> str:
        """The manifest as JSON, with a checksum of itself."""
        body = {**asdict(self), "format": self.FORMAT}
        return json.dumps({"manifest": body, "crc": crc_of(body)})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse of `to_text`; raises AttributeError, KeyError, TypeError or ValueError for all else."""
        document = json.loads(text)
        body = document["manifest"]
        if document["crc"] != crc_of(body):
            raise ValueError("its checksum is wrong")
        manifest = cls.of_format(body["format"], {key: body[key] for key in body if key != "format"})
        manifest.check()
        return manifest

    @classmethod
    def of_format(cls, number: int, body: dict[str, Any]) -> Self:
        """A manifest of what was read, which has this format; raises as `from_text` does."""
        if number != cls.FORMAT:
            raise ValueError(f"it has format {number}, not {cls.FORMAT}")
        return cls(**body)


M = TypeVar("M", bound=Manifest)


class DerivedFiles(ABC, Generic[M]):
    """The files of one directory, and which manifest is the present one."""

    PREFIXES: ClassVar[tuple[str, ...]]
    """What the names of the files begin with; a number may follow, which says which of several it is."""

    def __init__(self, directory: Path, name: str, blank: M) -> None:
        """Look at `directory`; nothing is made or read yet.

        `name`: what the index is called when something is wrong, as in "vectors index". `blank`: a manifest
        of nothing, of the feature and version that are wanted.
        """
        self.directory = directory
        self.name = name
        self.blank = blank

    @abstractmethod
    def named(self, manifest: M) -> set[Path]:
        """The files that a manifest names."""

    @property
    def stamp(self) -> Stamp | None:
        """Changes whenever a manifest is published; None while there is none."""
        return stamp_of(self.directory / MANIFEST)

    def manifest(self) -> M | None:
        """What has been published; None when nothing has. Raises CollectionDamaged."""
        path = self.directory / MANIFEST
        try:
            return self.blank.from_text(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.damaged(f"{path} cannot be read ({error})") from error

    def publish(self, manifest: M) -> None:
        """Write the manifest of files that last, and delete what it does not name. Raises OSError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        target = self.directory / MANIFEST
        draft = target.with_suffix(".draft")
        draft.write_text(manifest.to_text())
        sync(draft)
        sync_directory(self.directory)  # the files' names last before one relies on them
        draft.replace(target)
        sync_directory(self.directory)
        self.sweep(manifest)

    def sweep(self, manifest: M) -> None:
        """Delete what a manifest does not name; readers that have mapped it keep what they have."""
        named = self.named(manifest)
        for path in self._numbered():
            if path not in named:
                delete(path)

    def numbers(self) -> set[int]:
        """The numbers that the files have."""
        numbers = [path.name.partition("-")[2] for path in self._numbered()]
        return {int(number) for number in numbers if number.isdecimal()}

    def forget(self, numbers: Iterable[int]) -> None:
        """Delete the files of these numbers, but for what has been published, if only just."""
        wanted, known = {str(number) for number in numbers}, None
        with contextlib.suppress(CollectionDamaged):
            known = self.manifest()
        named = self.named(known) if known else set()
        for path in self._numbered():
            if path.name.partition("-")[2] in wanted and path not in named:
                delete(path)

    def clear(self) -> None:
        """Publish that there are no rows, under a number that no reader has seen.

        Raises OSError when that cannot be written.
        """
        if self.directory.exists() and not self.directory.is_dir():
            self.directory.unlink()
        seen = self.numbers()
        with contextlib.suppress(CollectionDamaged):
            before = self.manifest()
            seen.add(before.generation if before else 0)
        self.publish(self.blank.begun(max(seen, default=0)))

    def strays(self) -> list[Path]:
        """Files of rows, when there is no manifest to say what they are."""
        return [] if self.stamp else self._numbered()

    def damaged(self, what: str) -> CollectionDamaged:
        """The error that says what is wrong with the files."""
        return CollectionDamaged(f"The {self.name} is damaged: {what}. Run: wherefrom rebuild")

    def mapped(self, path: Path, due: int, *, longer: bool = False, write: bool = False) -> NDArray[np.uint8]:
        """The first `due` bytes of a file, at least 1; `longer` where there may be more.

        Raises CollectionDamaged when it is not there or not as long.
        """
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise self.damaged(f"{path} is missing") from None
        if size < due or (size > due and not longer):
            raise self.damaged(f"{path} has {size:,} bytes where {due:,} are due")
        try:
            mapped: np.memmap[Any, Any] = np.memmap(path, np.uint8, "r+" if write else "r", shape=(due,))
        except (OSError, ValueError) as error:
            raise self.damaged(f"{path} cannot be read ({error})") from error
        large_pages(mapped)
        return mapped.view(np.ndarray)

    def _numbered(self) -> list[Path]:
        try:
            there = sorted(self.directory.iterdir())
        except OSError:
            return []
        return [path for path in there if path.name.partition("-")[0].rstrip("0123456789") in self.PREFIXES]
