"""The former name. Until version 0.2 the program was called Whence; what was made and set then still counts.

Settings `WHENCE_*`, the settings file `whence.toml`, the default collection `photos.whence`, keys that begin
with `whence_`, the marker `whence.json` in a collection and the folder of caches `whence` are read where
their successors are missing. Whoever relies on a setting of that kind is told so once, in one line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
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
    """Where a collection is looked for when nothing says where."""
    return str(_present(Path(COLLECTION), Path(_OLD_COLLECTION)))


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
