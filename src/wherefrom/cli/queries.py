"""What a search is asked on the command line: files, addresses, ids, folders and standard input."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wherefrom.errors import (
    MachineFault,
    PictureError,
    TooLarge,
    Unreadable,
    UsageError,
    WherefromError,
    named,
)

if TYPE_CHECKING:
    from wherefrom.settings import Settings

STDIN = "-"
"""The word for standard input."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. `name` is what it was called by, `source` what can be searched for, or why nothing can.

    `walked` is True for a file that was found in a folder: what is no picture there is passed over.
    """

    name: str
    source: str | bytes | WherefromError
    walked: bool = False


@dataclass(slots=True)
class Queries:
    """The queries of a command line, in order. Folders are walked as `index` walks them, while it goes on.

    `skipped` counts what was passed over in folders, by the code of its reason.
    """

    words: Sequence[str]
    settings: Settings
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Raises UsageError where standard input is asked for twice, or is a keyboard."""
        if self.words.count(STDIN) > 1:
            raise UsageError("Standard input is one picture: give - once.")
        if STDIN in self.words and sys.stdin is not None and sys.stdin.isatty():
            raise UsageError("- reads a picture from standard input: cat query.jpg | wherefrom search -")

    @property
    def is_one(self) -> bool:
        """Whether there is one query, and no folder."""
        return len(self.words) == 1 and _folder_of(self.words[0]) is None

    def __iter__(self) -> Iterator[Asked]:
        for word in self.words:
            folder = _folder_of(word)
            if word == STDIN:
                yield Asked(word, _standard_input(self.settings.max_bytes))
            elif folder is not None:
                yield from self._walked(word, folder)
            else:
                yield Asked(word, word)

    def skips(self, query: Asked, error: WherefromError) -> bool:
        """Whether what was found in a folder is no picture to search for; it is counted then."""
        if query.walked and isinstance(error, PictureError) and error.skips:
            self.skipped[error.code] += 1
            return True
        return False

    def _walked(self, word: str, folder: str) -> Iterator[Asked]:
        from wherefrom.sources.folder import Unopened, path_of, walk
        from wherefrom.sources.leaving import LeavingOut

        start = os.path.abspath(folder)
        for found in walk(folder, leaving=LeavingOut()):
            path = path_of(found.uri) or found.uri
            inside = os.path.relpath(path, start)
            name = os.path.join(folder, inside) if inside != "." else word  # noqa: PTH118
            if isinstance(found, Unopened):
                found.error.path = name
                yield Asked(name, found.error, walked=True)
            else:
                yield Asked(name, path, walked=True)


def _folder_of(word: str) -> str | None:
    """The folder that a word names; None for anything else."""
    from wherefrom.sources.folder import path_of

    path = path_of(word) or os.path.expanduser(word)
    return path if word != STDIN and os.path.isdir(path) else None


def _standard_input(most: int) -> bytes | WherefromError:
    """The bytes of standard input, or what is wrong with them."""
    try:
        with named("standard input"):
            data = sys.stdin.buffer.read(most + 1)
            if len(data) > most:
                raise TooLarge(f"It has more than {most:,} bytes, which is the limit (max_bytes).")
            return data
    except (PictureError, MachineFault) as error:
        return error
    except (OSError, ValueError, AttributeError) as error:
        known = error if isinstance(error, OSError | ValueError) else ValueError("it is closed")
        refused = Unreadable.of(known)
        refused.path = "standard input"
        return refused
