"""What the benchmarks share: where pictures are, what was measured on, and how figures are written."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared" / "data" / "images"
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


def machine() -> dict[str, Any]:
    """What the figures were measured on; no name of it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": cores,
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


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 5th and 95th percentile, in milliseconds."""
    import numpy as np

    low, middle, high = np.percentile(np.array(seconds) * 1e3, [5, 50, 95])
    return {"p50": round(float(middle), 3), "p5": round(float(low), 3), "p95": round(float(high), 3)}


def figure(value: object, digits: int = 2) -> str:
    """A cell: thousands parted, numbers with a fraction rounded to `digits`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value).replace("|", "/").replace("\n", " ")


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], digits: int = 2) -> str:
    """A table in Markdown."""
    lines = [" | ".join(titles), " | ".join("---" for _ in titles)]
    lines += [" | ".join(figure(cell, digits) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
