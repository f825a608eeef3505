"""The plain twin of every engine: brute force over what is in memory, gone when it is closed.

It keeps what it was told as it was told, and works out every answer when it is asked, without an index: so
that it says what an engine does as plainly as can be, and nothing that makes another one fast can be wrong
in it too. It is also an engine for tests and for a few hundred pictures: `wherefrom.open("memory://")`.
"""

from __future__ import annotations

from wherefrom.engine.memory.contents import Contents
from wherefrom.engine.memory.engine import MemoryEngine

__all__ = ["Contents", "MemoryEngine"]
