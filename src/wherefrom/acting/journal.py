"""The journal of what was done to files, in the collection's directory: what a run did can be undone.

A line is written and synced before each deed, and another after it. So whatever instant a run is stopped at,
the journal names every file that was touched, where it was and where it may be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wherefrom.engine.files import sync_directory
from wherefrom.errors import CollectionError

FILE_NAME = "deeds.jsonl"


@dataclass(frozen=True, slots=True)
class Deed:
    """One file's entry: `path` where it was, `now` where it went, `note` the bin's, `half` a name in between.

    `way` is trash, move, hardlink or reflink; `kept` the file that stays; `modified` the file's time in ns.
    Paths are as Python has them, whatever bytes are in them.
    """

    run: str
    number: int
    way: str
    path: str
    id: str
    kept: str
    modified: int
    now: str | None = None
    note: str | None = None
    half: str | None = None


class Journal:
    """The journal of one collection. Whoever writes it holds the collection's lock."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def begin(self, deed: Deed) -> None:
        """Write what is about to be done; it lasts when this returns."""
        self._write({"begin": asdict(deed)}, last=True)

    def done(self, deed: Deed) -> None:
        """Write what was done."""
        self._write({"done": asdict(deed)})

    def passed(self, deed: Deed) -> None:
        """Write that nothing was done after all."""
        self._write({"passed": [deed.run, deed.number]})

    def undone(self, deed: Deed) -> None:
        """Write that it was undone."""
        self._write({"undone": [deed.run, deed.number]}, last=True)

    def last_run(self, run: str | None = None) -> list[Deed]:
        """The deeds of a run, or of the last one, that are left to undo, the last one first."""
        standing: dict[tuple[str, int], Deed] = {}
        for line in self._lines():
            for what, value in line.items():
                if what in ("begin", "done"):
                    deed = Deed(**value)
                    standing[deed.run, deed.number] = deed
                else:
                    standing.pop((value[0], value[1]), None)
        if not standing:
            return []
        run = run or list(standing)[-1][0]
        return [deed for (name, _), deed in standing.items() if name == run][::-1]

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open(encoding="ascii") as file:
                for line in file:
                    try:
                        yield json.loads(line)
                    except ValueError:  # cut off by a crash: of a line that lasts nothing was done yet
                        continue
        except FileNotFoundError:
            return

    def _write(self, line: dict[str, object], *, last: bool = False) -> None:
        new = not self._path.exists()
        try:
            with self._path.open("a", encoding="ascii") as file:
                if not new and file.tell() and not self._ends():
                    file.write("\n")
                file.write(json.dumps(line, ensure_ascii=True) + "\n")
                file.flush()
                if last:
                    os.fsync(file.fileno())
        except OSError as error:
            raise CollectionError(
                f"What is done could not be written to {self._path} ({error.strerror}): nothing more is done."
            ) from error
        if new:
            sync_directory(self._path.parent)

    def _ends(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
