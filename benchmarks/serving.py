"""A service in processes of its own for benchmarks, the memory of each, and programs asked by line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.case import ROOT
from benchmarks.outcomes import family

_STARTING = 120.0
_DIRECT = urllib.request.ProxyHandler({})


class Service:
    """One that runs: its process, its address and what it has said."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
        self.port = int(url.rpartition(":")[2])

    @property
    def processes(self) -> list[int]:
        """The server first, then those that search."""
        return [self.process.pid, *sorted(set(family(self.process.pid)) - {self.process.pid})]

    def memory(self) -> dict[int, int]:
        """Bytes that each process has for itself: not what it reads of files, which is the page cache."""
        return {pid: anonymous(pid) for pid in self.processes}

    def metric(self, name: str) -> float:
        """One of its figures; 0 where it is not told."""
        with urllib.request.build_opener(_DIRECT).open(f"{self.url}/metrics", timeout=30) as answer:
            found = re.search(rf"^{name}(?:_total)? (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def kill(self) -> None:
        """`kill -9`: no farewell."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


def anonymous(pid: int) -> int:
    """Bytes of a process that no file backs; 0 where the system does not tell or it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


@contextmanager
def served(collection: Path, *options: str) -> Iterator[Service]:
    """A service of a collection on a port that is free, with no model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wherefrom.cli.main", "serve", "-c", str(collection), "--port", "0", *options],
        env=os.environ | {"WHEREFROM_MODEL": "none", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said, there = list[str](), threading.Event()

    def listen() -> None:
        for line in process.stderr or ():
            if not there.is_set():
                said.append(line)
            if "Ctrl-C" in line:
                there.set()
        there.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        found = re.search(r"http://[^/\s]+", "".join(said)) if there.wait(_STARTING) else None
        if not found:
            sys.exit("The service did not start: " + "".join(said))
        yield Service(process, found[0])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


class Asked:
    """A program of ours in a process of its own that answers lines of JSON with lines of JSON."""

    def __init__(self, module: str, *given: str, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | dict(environment or {}),
        )

    def ask(self, **order: Any) -> Any:
        """What came of an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=30)


def clients_of(folder: Path) -> Asked:
    """A process that plays the clients: see `loading`."""
    return Asked("benchmarks.loading", str(folder))
