"""How much memory there is: of the machine, or of the container that this process lives in."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from pathlib import Path

_UNKNOWN = 8 * 1024**3  # where the system does not say
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@lru_cache(maxsize=1)
def available() -> int:
    """Bytes of memory that the machine has, or its container may take, whichever is less."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        found = 0
    found = found if found > 0 else _UNKNOWN
    for path in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
            found = min(found, int(Path(path).read_text()))
    return found


def share(part: float, least: int, most: int) -> int:
    """A part (0 to 1) of what there is, in bytes, and never below `least` or above `most`."""
    return max(least, min(most, int(part * available())))
