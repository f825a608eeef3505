"""The engines that there are, held to the suite."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.engine import DIMENSION, OURS, Clock, EngineSuite
from wherefrom.engine.base import Engine
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.memory import MemoryEngine
from wherefrom.engine.sizes import CatalogSizes, CellSizes, CodeSizes, ColumnSizes, Sizes, WordSizes

SMALL = Sizes(
    CatalogSizes(digests=3, settle=2, page=2),
    CodeSizes(seal=4, read=3, seal_at_close=2, hashed=8),
    WordSizes(seal=3, read=3, seal_at_close=2, segment=6),
    ColumnSizes(seal=4, read=3, seal_at_close=2),
    CellSizes(least_rows=200_000),
)
"""A few images are enough for all that happens to many."""


class TestEmbedded(EngineSuite):
    examples = 6

    def make(self, directory: Path, clock: Clock) -> Engine:
        return EmbeddedEngine(
            directory, create=True, versions=OURS, dimension=DIMENSION, sizes=SMALL, clock=clock
        )

    def again(self, engine: Engine, directory: Path, clock: Clock) -> Engine:
        engine.close()
        return self.make(directory, clock)


class TestMemory(EngineSuite):
    """Another twin: what it is held to holds of itself, and nothing depends on what came before."""

    examples = 4

    def make(self, directory: Path, clock: Clock) -> Engine:
        return MemoryEngine(versions=OURS, dimension=DIMENSION, clock=clock)

    def again(self, engine: Engine, directory: Path, clock: Clock) -> Engine:
        assert isinstance(engine, MemoryEngine)
        held = engine.contents
        engine.close()
        return MemoryEngine(versions=OURS, dimension=DIMENSION, clock=clock, contents=held)
