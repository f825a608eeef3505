"""What is left out of a walk: thumbnails and innards of other programs, junk, and what users name.

Patterns are those of `.gitignore`, of which this much is understood: blank lines and lines that begin with
`#` say nothing; `!` takes a pattern back (but not for what lies in a folder that is left out); a slash at the
end means folders alone; a slash elsewhere ties a pattern to the folder of its file, and without one it
matches a name at any depth; `*` and `?` match within a name, `[...]` one of some characters, `**` any number
of folders, and a backslash takes its meaning from what follows. The last pattern that matches decides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

IGNORE_FILE = ".wherefromignore"
"""The file of patterns for the folder that it lies in, and all below."""

BY_PATTERN = "It is left out by the pattern"
"""How the reason begins where a pattern of the user is one."""

_LARGEST = 256 * 1024  # bytes of such a file that are read

_FOLDERS = (
    *("@eadir", ".thumbnails", ".thumbs", ".thumb", ".@__thumb", ".xvpics", ".picasaoriginals", "*.lrdata"),
    *("*.cocatalogdb", "$recycle.bin", "recycler", ".trash*", ".dtrash", "#recycle", "@recycle", ".recycle"),
    *(".stversions", ".stfolder", ".snapshot", ".snapshots", "#snapshot", "@recently-snapshot"),
    *(".fseventsd", ".spotlight-v100", ".documentrevisions-v100", ".temporaryitems", ".appledouble"),
    *("system volume information", "__macosx", "lost+found", ".git", ".hg", ".svn", "node_modules"),
)
_PATHS = (".cache/thumbnails", ".local/share/trash")
_LIBRARIES = ("*.photoslibrary", "*.aplibrary", "*.migratedphotolibrary", "*.photolibrary")
_ORIGINALS = ("originals", "masters")
_FILES = (
    *(".ds_store", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", ".directory", ".nomedia"),
    *(
        ".picasa.ini",
        "picasa.ini",
        "zbthumbnail.info",
        ".localized",
        "._*",
        "*.xmp",
        "*.aae",
        "*.pp3",
        "*.dop",
    ),
)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_name(pattern)})" for pattern in patterns))


@lru_cache(maxsize=1)
def _known() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    return _any_of(_FOLDERS), _any_of(_LIBRARIES), _any_of([IGNORE_FILE, *_FILES])


def innards(path: str) -> str | None:
    """The folder of another program that a file lies in, such as `@eaDir`; None for a folder of people.

    Of libraries of Photos and Aperture only what is no original is meant.
    """
    parts = path.split("/")[:-1]
    for place, name in enumerate(parts):
        if _is_innards(name, parts[place - 1] if place else ""):
            return name
    return None


def library_of(path: str) -> str | None:
    """The library of Photos, Aperture or iPhoto that a file lies in, from which none should be taken."""
    return next((name for name in path.split("/")[:-1] if _known()[1].fullmatch(name.lower())), None)


def _is_innards(name: str, above: str) -> bool:
    folders, libraries, _ = _known()
    low, over = name.lower(), above.lower()
    if libraries.fullmatch(over):
        return low not in _ORIGINALS
    return folders.fullmatch(low) is not None or f"{over}/{low}" in _PATHS


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line of such a file. `base` is the folder that it is about."""

    base: str
    text: str
    matches: re.Pattern[str]
    folders_only: bool
    taken_back: bool


def patterns(lines: Iterable[str], base: str) -> Iterator[Pattern]:
    """The patterns in lines, for what lies below a folder. A line of no use is passed over, as git does."""
    for line in lines:
        text = re.sub(r"(?<!\\)[ \t]+$", "", line.rstrip("\r\n"))
        stated = text
        taken_back = text.startswith("!")
        text = text.removeprefix("!")
        if not text or text.startswith("#"):
            continue
        folders_only = text.endswith("/")
        text = text.rstrip("/")
        tied = "/" in text
        text = text.lstrip("/")
        if not text:
            continue
        try:
            found = re.compile(_path(text) if tied else f"(?:.*/)?{_name(text)}", re.DOTALL)
        except re.error:
            continue
        yield Pattern(base.rstrip("/"), stated, found, folders_only, taken_back)


def _path(pattern: str) -> str:
    """A pattern with slashes as an expression."""
    parts = pattern.split("/")
    told = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            told += ".+" if last else "(?:.*/)?"
        else:
            told += _name(part) + ("" if last else "/")
    return told


def _name(pattern: str) -> str:
    """A pattern without slashes as an expression."""
    told, place = "", 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character == "*":
            told += "[^/]*"
        elif character == "?":
            told += "[^/]"
        elif character == "\\" and place < len(pattern):
            told += re.escape(pattern[place])
            place += 1
        elif character == "[":
            end = _end_of_class(pattern, place)
            inside = pattern[place:end].replace("\\", r"\\").replace("[", r"\[").replace("&", r"\&")
            inside = f"^{inside[1:]}" if inside[:1] in ("!", "^") else inside
            told += f"(?!/)[{inside}]"
            place = end + 1
        else:
            told += re.escape(character)
    return told


def _end_of_class(pattern: str, place: int) -> int:
    """Where the bracket closes that was opened before `place`; raises re.error where none does."""
    start = place + 1 if pattern[place : place + 1] in ("!", "^") else place
    end = pattern.find("]", start + 1)  # the first inside is one of the characters
    if end < 0:
        raise re.error("a bracket that is not closed")
    return end


class LeavingOut:
    """What one walk leaves out, and why. It learns of the files of patterns on its way down."""

    def __init__(self, named: Sequence[str] = (), *, defaults: bool = True) -> None:
        """`named` are patterns of the user, for every root; `defaults` is whether ours count."""
        self._named = tuple(named)
        self._defaults = defaults

    def at(self, root: str) -> tuple[Pattern, ...]:
        """What the user named, for a walk that begins at a root."""
        return tuple(patterns(self._named, root))

    def below(self, folder: str, names: Iterable[str], known: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
        """The patterns that count in a folder, which holds these names, beside those from above."""
        if IGNORE_FILE not in names:
            return known
        try:
            with open(os.path.join(folder, IGNORE_FILE), encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH118, PTH123
                return (*known, *patterns(file.read(_LARGEST).splitlines(), folder))
        except OSError:
            return known

    def why(self, path: str, name: str, above: str, is_folder: bool, known: Sequence[Pattern]) -> str | None:
        """Why a file or folder, in one named `above`, is left out, as a sentence; None when it is not."""
        if self._defaults:
            if is_folder and _is_innards(name, above):
                return f"It lies in {name}, which other programs keep for themselves."
            if not is_folder and (_known()[2].fullmatch(name.lower()) or self._in_library(name, above)):
                return "It is a note of another program, and no picture."
        for pattern in reversed(known):
            if pattern.folders_only and not is_folder:
                continue
            if pattern.matches.fullmatch(path[len(pattern.base) + 1 :]):
                return None if pattern.taken_back else f"{BY_PATTERN} {pattern.text!r}."
        return None

    @staticmethod
    def _in_library(name: str, above: str) -> bool:
        return bool(_known()[1].fullmatch(above.lower())) and name.lower() not in _ORIGINALS
