"""The system's bin: freedesktop.org's Trash (1.0) on Linux and the BSDs, ~/.Trash on macOS.

A file goes to the bin of the disk that it is on: to the home's where it is on the home's disk, else to
`.Trash/UID` or `.Trash-UID` at the top of its own. A `.trashinfo` beside it says where it came from, so that
any file manager can put it back.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import quote_from_bytes

from wherefrom.acting.files import NotDone, move, told

NO_BIN = "there is no bin on its disk; give --move-to a folder"


def put_in_bin(path: str) -> tuple[str, str | None]:
    """Move a file to the bin; gives where it is now, and the note beside it if there is one.

    Raises NotDone where it cannot be done.
    """
    if sys.platform == "darwin":
        return _named(path, Path.home() / ".Trash"), None
    if sys.platform == "win32":
        raise NotDone("the bin of Windows cannot be used from here; give --move-to a folder")
    bin, top = _bin_of(path)
    return _with_note(path, bin, top)


def found_in_bin(path: str) -> tuple[str, str] | None:
    """Where in the bin the file is that came last from a path, and its note; None where there is none."""
    if sys.platform in ("darwin", "win32") or not Path(path).parent.is_dir():
        return None
    bin, top = _bin_of(str(Path(path).parent))
    origin = os.path.relpath(path, top) if top else os.path.abspath(path)
    line = f"Path={quote_from_bytes(os.fsencode(origin), '/')}"
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for note in (bin / "info").iterdir():
            if line in note.read_text(encoding="utf-8", errors="replace").splitlines():
                found.append((note.stat().st_mtime, note))
    for _, note in sorted(found, reverse=True):
        file = bin / "files" / note.name.removesuffix(".trashinfo")
        if file.exists() and file.stat().st_size:
            return str(file), str(note)
    return None


def _bin_of(path: str) -> tuple[Path, str | None]:
    """The bin for a file, and the top folder of its disk where that is not the home's."""
    own = os.lstat(path).st_dev
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    first = next(folder for folder in (home, *home.parents) if folder.exists())
    if first.stat().st_dev == own:
        return home / "Trash", None
    top = Path(path).parent
    while top.parent != top and os.lstat(top.parent).st_dev == own:
        top = top.parent
    number = os.getuid()
    shared = top / ".Trash"
    with contextlib.suppress(OSError):
        mode = shared.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and os.access(shared, os.W_OK):
            return shared / str(number), str(top)
    return top / f".Trash-{number}", str(top)


def _with_note(path: str, bin: Path, top: str | None) -> tuple[str, str]:
    try:
        for folder in (bin, bin / "files", bin / "info"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if bin.is_symlink():
            raise NotDone(NO_BIN)
    except OSError as error:
        raise NotDone(NO_BIN) from error
    absolute = os.path.abspath(path)
    origin = os.path.relpath(absolute, top) if top else absolute
    when = datetime.now().strftime("%Y-%m-%dT%H:%M:%S")
    text = f"[Trash Info]\nPath={quote_from_bytes(os.fsencode(origin), '/')}\nDeletionDate={when}\n"
    for name in _names(Path(path).name):
        note = bin / "info" / f"{name}.trashinfo"
        with told():
            try:
                with note.open("x", encoding="ascii") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
            except FileExistsError:
                continue
        target = str(bin / "files" / name)
        try:
            move(path, target)
        except FileExistsError:
            _drop(note)
            continue
        except BaseException:
            _drop(note)
            raise
        return target, str(note)
    raise NotDone("the bin has too many files of this name")


def _drop(note: Path) -> None:
    with contextlib.suppress(OSError):
        note.unlink()


def _named(path: str, folder: Path) -> str:
    for name in _names(Path(path).name):
        try:
            move(path, str(folder / name))
        except FileExistsError:
            continue
        return str(folder / name)
    raise NotDone("the bin has too many files of this name")


def _names(name: str) -> list[str]:
    """A name, and what it becomes where there is one already."""
    stem, dot, end = name.rpartition(".")
    if not stem:
        stem, dot, end = name, "", ""
    return [name, *(f"{stem} {number}{dot}{end}" for number in range(2, 10_000))]


def free_names(path: str) -> list[str]:
    """A path, and what it becomes where something is there already."""
    folder = str(Path(path).parent)
    return [f"{folder.rstrip('/')}/{name}" for name in _names(Path(path).name)]
