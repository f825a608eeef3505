"""Surroundings: what figures of room and time have to be read with."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

from wherefrom.engine.marker import is_marker


def sizes(directory: str) -> dict[str, int]:
    """Bytes on the disk by part of a collection: each file or folder at its top."""
    sizes: dict[str, int] = {}
    top = Path(directory)
    for path in sorted(top.rglob("*")):
        if path.is_file() and not is_marker(path.name) and not path.name.endswith((".lock", "-shm", "-wal")):
            part = path.relative_to(top).parts[0].split(".")[0]
            sizes[part] = sizes.get(part, 0) + path.stat().st_size
    return sizes


def machine() -> dict[str, Any]:
    """What a figure of time has to be read with: cores, processor, system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "cores": cores,
        "cpu": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
