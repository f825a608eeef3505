"""How anything is timed here: contenders in turns, medians and spreads; and what a process takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.case import ROOT

Run = Callable[[], object]


@dataclass(frozen=True)
class Contest:
    """What is timed side by side: what is ours, what is the peers', and what nothing can be faster than."""

    ours: Mapping[str, Run]
    peers: Mapping[str, Run] = field(default_factory=dict)
    limit: Run | None = None

    def held(self, repeat: int) -> dict[str, list[float]]:
        """Seconds of each, `repeat` times, in turns: a neighbour on the machine slows all of them.

        A first round, which loads what is loaded once, is not counted.
        """
        runs = ({} if self.limit is None else {"limit": self.limit}) | dict(self.ours) | dict(self.peers)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(repeat + 1):
            for name, run in runs.items():
                seconds = taken(run)
                if turn:
                    times[name].append(seconds)
        return times


def taken(run: Run) -> float:
    """The seconds that something takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 5th and 95th percentile, in milliseconds."""
    low, middle, high = np.percentile(np.array(seconds) * 1e3, [5, 50, 95])
    return {"p50": round(float(middle), 3), "p5": round(float(low), 3), "p95": round(float(high), 3)}


def extremes(values: Sequence[float], unit: str) -> dict[str, float]:
    """Median, least and most, with the unit in the names."""
    said = {"median": float(np.median(values)), "min": min(values), "max": max(values)}
    return {f"{name}_{unit}": round(value, 3) for name, value in said.items()}


def middle(values: Sequence[float], digits: int = 2) -> float:
    """The median, rounded."""
    return round(float(np.median(values)), digits)


@contextmanager
def held_to(cores: int) -> Iterator[None]:
    """Hold this process, and those that it starts, to so many cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[-cores:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def reader(values: NDArray[np.uint64]) -> Run:
    """A run that does nothing but read all of these: no exact scan can be faster."""
    from numba import njit

    def total(words: NDArray[np.uint64]) -> int:
        found = np.uint64(0)
        for i in range(words.shape[0]):
            found += words[i]
        return int(found)

    compiled: Any = njit(total)
    flat = values.reshape(-1)
    return lambda: compiled(flat)


def apart(function: Callable[..., object], **options: Any) -> Any:
    """What a function gives in a process of its own: its memory and its caches are its alone."""
    name = f"{function.__module__}:{function.__name__}"
    command = [sys.executable, "-m", "benchmarks.child", name, json.dumps(options)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])["result"]


def stated(path: str, name: str) -> int:
    """A size that the kernel states in kB, as bytes; 0 where it does not."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def resident(name: str = "VmRSS") -> int:
    """Bytes of memory of this process, mapped pages that it touched included; `VmHWM` for the most."""
    return stated("/proc/self/status", name)


def size_of(directory: Path) -> int:
    """Bytes of all files in a directory and below."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
