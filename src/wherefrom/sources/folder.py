"""Folders of files: every file below them, once, whatever its name."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from wherefrom.engine.marker import is_marker, marker_of
from wherefrom.errors import Excluded, Unreadable, WherefromError
from wherefrom.records import FileStamp
from wherefrom.sources.leaving import LeavingOut, Pattern
from wherefrom.uris import SAFE, file_uri, path_of

__all__ = ["FoundFile", "Unopened", "file_uri", "is_collection", "path_of", "walk"]

_OUTSIDE = "This link leads out of the folders allowed."


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to look at: its path, and what tells whether it has changed."""

    path: str
    uri: str
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class Unopened:
    """A path that could not be looked at, and why."""

    uri: str
    error: WherefromError


def walk(
    root: str | os.PathLike[str],
    *,
    may_follow: Callable[[str], bool] | None = None,
    leaving: LeavingOut | None = None,
) -> Iterator[FoundFile | Unopened]:
    """Every regular file at or below `root`, in order of name within each folder.

    Links to files are followed and counted under their own name. Links to folders are followed after
    everything that lies below `root` itself, and only to folders not seen yet: loops end, and a file
    inside `root` keeps its own path whatever points there. Folders that hold a collection are passed
    over. What cannot be read is given as `Unopened`, and so is a link that `may_follow` does not let through,
    and every file that is left out, with the error `Excluded`; without `leaving`, nothing is.
    """
    start = os.path.abspath(root)
    try:
        status = os.stat(start)
    except (OSError, ValueError) as error:
        yield Unopened(file_uri(start), Unreadable.of(error))
        return
    if not stat.S_ISDIR(status.st_mode):
        yield _found(start, status)
        return
    seen: set[tuple[int, int]] = set()
    known = () if leaving is None else leaving.at(start)
    waiting, links = [(start, status, known)], deque[tuple[str, os.stat_result, tuple[Pattern, ...]]]()
    while waiting or links:
        folder, status, known = waiting.pop() if waiting else links.popleft()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        uri = file_uri(folder)
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            yield Unopened(uri, Unreadable.of(error))
            continue
        if any(is_marker(entry.name) for entry in entries):
            continue
        below = []
        prefix = uri if uri.endswith("/") else uri + "/"
        if leaving is not None:
            known = leaving.below(folder, [entry.name for entry in entries], known)
        own = os.path.basename(folder)  # noqa: PTH119
        for entry in entries:
            if leaving is not None:
                is_folder = _is_folder(entry)
                if why := leaving.why(entry.path, entry.name, own, is_folder, known):
                    yield from _left_out(entry.path, is_folder and not entry.is_symlink(), Excluded(why))
                    continue
            if may_follow is not None and entry.is_symlink() and not may_follow(entry.path):
                yield Unopened(prefix + _quoted(entry.name), Unreadable(_OUTSIDE))
                continue
            try:
                status = entry.stat()
            except OSError as error:
                nowhere = isinstance(error, FileNotFoundError) and entry.is_symlink()
                told = Unreadable("This link leads to nothing.") if nowhere else Unreadable.of(error)
                yield Unopened(prefix + _quoted(entry.name), told)
                continue
            if not stat.S_ISDIR(status.st_mode):
                yield _found(entry.path, status, prefix + _quoted(entry.name))
            elif entry.is_symlink():
                links.append((entry.path, status, known))
            else:
                below.append((entry.path, status, known))
        waiting.extend(reversed(below))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, links followed; not where that cannot be told, as of a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _left_out(path: str, is_folder: bool, error: Excluded) -> Iterator[Unopened]:
    """Every file of what is left out, links not followed: each gets an outcome."""
    waiting = [path]
    if not is_folder:
        yield Unopened(file_uri(path), error)
        return
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as failure:
            yield Unopened(file_uri(folder), Unreadable.of(failure))
            continue
        if any(is_marker(entry.name) for entry in entries):
            continue
        below = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            else:
                yield Unopened(file_uri(entry.path), error)
        waiting.extend(reversed(below))


def _found(path: str, status: os.stat_result, uri: str | None = None) -> FoundFile | Unopened:
    uri = uri or file_uri(path)
    if not stat.S_ISREG(status.st_mode):
        return Unopened(uri, Unreadable("This is a device, a pipe or a socket, not a file."))
    return FoundFile(path, uri, FileStamp(status.st_size, status.st_mtime_ns))


def _quoted(name: str) -> str:
    return name if name.isascii() and name.isalnum() else quote_from_bytes(os.fsencode(name), SAFE)


def is_collection(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is a collection of ours."""
    return marker_of(Path(path)).is_file()
