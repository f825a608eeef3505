"""Which engine a collection is opened on: by a path or a URL."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wherefrom.errors import UsageError
from wherefrom.uris import path_of

if TYPE_CHECKING:
    from wherefrom.engine.base import Engine

MEMORY = "memory"
"""The scheme of a collection in memory."""

_KNOWN = "a directory, as a path or a file:// URL, or memory:// for one that is forgotten when it is closed"


def open_engine(
    target: str | os.PathLike[str], *, create: bool, versions: Mapping[str, str], dimension: int
) -> Engine:
    """The engine of a collection, which with `create` is made where there is none.

    A path or a `file://` URL is a directory. `memory://NAME` is empty and in memory: a new one each time,
    whatever its name. `versions` and `dimension` are those of the features: see `EmbeddedEngine`.

    Raises UsageError for a URL of another kind, CollectionMissing, CollectionDamaged, CollectionTooNew or
    CollectionError.
    """
    if scheme_of(target) == MEMORY:
        from wherefrom.engine.memory import MemoryEngine

        return MemoryEngine(versions=versions, dimension=dimension)
    from wherefrom.engine.embedded import EmbeddedEngine

    return EmbeddedEngine(directory_of(target), create=create, versions=versions, dimension=dimension)


def scheme_of(target: str | os.PathLike[str]) -> str | None:
    """The scheme of a URL; None for a path."""
    scheme, mark, _ = os.fspath(target).partition("://")
    return scheme.lower() if mark and "/" not in scheme else None


def directory_of(target: str | os.PathLike[str]) -> Path:
    """The directory that a path or a `file://` URL names, made absolute. Raises UsageError for other URLs."""
    name = os.fspath(target)
    if scheme_of(name) == MEMORY:
        raise UsageError(f"A collection in memory has no directory; name one in place of {name}.")
    if scheme_of(name) is None:
        return Path(os.path.abspath(os.path.expanduser(name)))
    path = path_of("file" + name[len("file") :]) if scheme_of(name) == "file" else None
    if path is None:
        raise UsageError(f"No collection can be opened at {_without_user(name)}: name {_KNOWN}.")
    return Path(path)


def _without_user(url: str) -> str:
    """A URL without the name and password of whoever may use it."""
    return re.sub(r"//[^/?#]*@", "//", url)
