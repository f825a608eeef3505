"""What the benchmarks share: where pictures are, and what was measured on."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.case import ROOT

SHARED = ROOT.parent / "shared" / "data" / "images"
PEERS = ("faiss-cpu", "hnswlib", "usearch", "ImageHash", "imagededup", "Perception", "pdqhash")
OWN = ("numpy", "numba", "onnxruntime", "opencv-python-headless", "pillow", "simplejpeg")


def say(words: str) -> None:
    """Progress, on stderr."""
    print(words, file=sys.stderr, flush=True)


def pictures() -> tuple[Path, str]:
    """The folder of the measuring pictures, or of scikit-image's photographs, and which of them it is."""
    if SHARED.is_dir():
        return SHARED, "the measuring set"
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        sys.exit("There are no pictures: neither the measuring set nor scikit-image (wherefrom[demo]).")
    return Path(found.origin).parent / "data", "the photographs of scikit-image: too few to say much"


def place_of(folder: str | None) -> Path:
    """A folder that was named, or that of the measuring pictures."""
    return pictures()[0] if folder is None else Path(folder)


def spaced(items: Sequence[Path], count: int) -> list[Path]:
    """So many of these at most, spread evenly."""
    step = len(items) / count if count else 1
    return [items[int(number * step)] for number in range(min(count, len(items)))]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What the figures were measured on; no name of it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": cores(),
        "avx512_vpopcntdq": "avx512_vpopcntdq" in flags,
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(names: Iterable[str] = (*OWN, *PEERS)) -> dict[str, str]:
    """The versions of what takes part."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
