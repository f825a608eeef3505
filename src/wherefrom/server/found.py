"""Groups of duplicates, kept in a file as lines of JSON: a page is read without the rest, and outlives us."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

_log = logging.getLogger("wherefrom.server")


class Found:
    """The groups that one job found. Written once, then read by page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.groups = self.files = self.spare = 0
        self._starts: list[int] = []
        self._file: BinaryIO | None = None

    @classmethod
    @contextmanager
    def written(cls, folder: Path, collection: str, job: str) -> Iterator[Found]:
        """Write groups: they take the place of those of an earlier job once all are there."""
        found = cls(_path(folder, collection, job))
        draft = found.path.with_suffix(".draft")
        try:
            with draft.open("wb") as found._file:
                yield found
            draft.replace(found.path)
        finally:
            draft.unlink(missing_ok=True)
        for other in folder.glob(f"duplicates-{_plain(collection)}-*.jsonl"):
            if other != found.path:
                other.unlink(missing_ok=True)

    def add(self, group: dict[str, Any]) -> None:
        """Add a group."""
        assert self._file is not None
        self.groups += 1
        self.files += len(group["others"]) + 1 if group.get("kind") != "parts" else 0
        self.spare += group["spare_bytes"]
        self._file.write(json.dumps(group).encode() + b"\n")

    @classmethod
    def of(cls, folder: Path, collection: str, job: str) -> Found | None:
        """The groups of a job; None when they are not there any more."""
        found = cls(_path(folder, collection, job))
        try:
            with found.path.open("rb") as file:
                at = 0
                for line in file:
                    found._starts.append(at)
                    at += len(line)
        except OSError:
            return None
        found.groups = len(found._starts)
        return found

    def page(self, start: int, limit: int) -> list[dict[str, Any]]:
        """The groups numbered from `start` on, 0 being the first. Raises OSError."""
        some = self._starts[start : start + limit]
        if not some:
            return []
        with self.path.open("rb") as file:
            file.seek(some[0])
            return [cast("dict[str, Any]", json.loads(file.readline())) for _ in some]


def _path(folder: Path, collection: str, job: str) -> Path:
    return folder / f"duplicates-{_plain(collection)}-{job}.jsonl"


def _plain(name: str) -> str:
    return os.fsencode(name).hex() if not name.replace("_", "a").isalnum() or not name.isascii() else name
