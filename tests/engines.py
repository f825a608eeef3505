"""Collections on the engine that a test is run with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wherefrom.engine.base import Engine
from wherefrom.engine.memory import Contents, MemoryEngine
from wherefrom.engine.opening import directory_of, open_engine
from wherefrom.errors import CollectionMissing

ENGINES = ("embedded", "memory")


class Opener:
    """Opens engines of one name: as `open_engine` does, or in memory, where a path is opened again upon what
    it held."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._held: dict[Path, Contents] = {}

    def open(
        self, target: str | os.PathLike[str], *, create: bool, versions: Mapping[str, str], dimension: int
    ) -> Engine:
        """The engine of a collection. Raises CollectionMissing."""
        if self.name == "embedded":
            return open_engine(target, create=create, versions=versions, dimension=dimension)
        directory = directory_of(target)
        if directory not in self._held and not create:
            raise CollectionMissing(f"There is no collection at {directory}.")
        held = self._held.setdefault(directory, Contents())
        return MemoryEngine(versions=versions, dimension=dimension, contents=held)
