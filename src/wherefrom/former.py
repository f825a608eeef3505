"""The former name. Until version 0.2 the program was called Whence; what was made and set then still counts.

Settings `WHENCE_*`, the settings file `whence.toml`, the default collection `photos.whence`, keys that begin
with `whence_`, the marker `whence.json` in a collection and the folder of caches `whence` are read where
their successors are missing. Whoever relies on a setting of that kind is told so once, in one line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

_log = logging.getLogger("wherefrom")

PREFIX, _OLD_PREFIX = "WHEREFROM_", "WHENCE_"
COLLECTION, _OLD_COLLECTION = "photos.wherefrom", "photos.whence"
FILE, _OLD_FILE = "wherefrom.toml", "whence.toml"
CACHES, _OLD_CACHES = "wherefrom", "whence"
OLD_MARKER = "whence.json"
OLD_KEY_MARK = "whence"


def variable(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """What the environment says of a setting (`COLLECTION`), by its present name or its former one."""
    if (said := environment.get(PREFIX + name)) is not None:
        return said
    if (said := environment.get(_OLD_PREFIX + name)) is not None:
        _tell(f"{_OLD_PREFIX + name} is read as {PREFIX + name}; please rename it.")
    return said


def settings_file(environment: Mapping[str, str] = os.environ) -> tuple[Path, bool]:
    """The settings file, and whether it was named on purpose; it need not be there."""
    if (named := variable("CONFIG", environment)) is not None:
        return Path(named), True
    return _present(Path(FILE), Path(_OLD_FILE)), False


def default_collection() -> str:
    """Where a collection is looked for when nothing says where.

    The nearest `photos.wherefrom` from the present folder upwards, as git looks for a repository: up to the
    home folder or the top of the file system, and above the present folder only what belongs to this user.
    Where there is none, `photos.wherefrom` in the present folder.
    """
    for folder in _upwards():
        for name in (COLLECTION, _OLD_COLLECTION):
            if (folder / name).is_dir():
                return str(_present(folder / COLLECTION, folder / _OLD_COLLECTION))
    return COLLECTION


def _upwards() -> Iterator[Path]:
    """The present folder, as "", and the folders above it in which a collection may be looked for."""
    yield Path()
    try:
        folder = Path.cwd()
        home, device = Path("~").expanduser(), folder.stat().st_dev
        while folder not in (home, folder.parent):
            folder = folder.parent
            status = folder.stat()
            if status.st_dev != device:
                return
            if _is_ours(folder / COLLECTION) or _is_ours(folder / _OLD_COLLECTION):
                yield folder
    except (OSError, RuntimeError):  # the present folder is gone, or there is no home
        return


def _is_ours(path: Path) -> bool:
    if not path.is_dir():
        return False
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def caches(home: Path) -> Path:
    """Our folder in the user's folder of caches; models that were downloaded before stay where they are."""
    new, old = home / CACHES, home / _OLD_CACHES
    return old if old.is_dir() and not new.exists() else new


def _present(new: Path, old: Path) -> Path:
    if new.exists() or not old.exists():
        return new
    _tell(f"{old} is read; its name is {new} now, please rename it.")
    return old


@lru_cache(maxsize=64)
def _tell(sentence: str) -> None:
    _log.warning("wherefrom: %s", sentence)
