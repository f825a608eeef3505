"""A service in processes of its own for benchmarks, the memory of each, and clients that ask it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import loading
from outcomes import family

_STARTING = 120.0


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

    def kept(self) -> int:
        """Bytes of searches that the server keeps on purpose."""
        return int(self.metric("wherefrom_searches_kept_bytes"))

    def metric(self, name: str) -> float:
        """One of its figures; 0 where it is not told."""
        with urllib.request.build_opener(_DIRECT).open(f"{self.url}/metrics", timeout=30) as answer:
            found = re.search(rf"^{name}(?:_total)? (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def kill(self) -> None:
        """`kill -9`: no farewell."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)


_DIRECT = urllib.request.ProxyHandler({})


def anonymous(pid: int) -> int:
    """Bytes of a process that no file backs; 0 where the system does not tell or it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Anonymous:\s+(\d+) kB", text, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


@contextmanager
def served(collection: Path, *options: str, model: str = "none") -> Iterator[Service]:
    """A service of a collection on a port that is free, with no model unless one is named."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wherefrom.cli.main", "serve", "-c", str(collection), "--port", "0", *options],
        env=os.environ | {"WHEREFROM_MODEL": model, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    there = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if not there.is_set():
                said.append(line)
            if "Ctrl-C" in line:
                there.set()
        there.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        found = there.wait(_STARTING) and re.search(r"http://[^/\s]+", "".join(said))
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


class Clients:
    """A process that plays the clients: see `loading.py`."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, loading.__file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, port: int, **order: Any) -> dict[str, Any]:
        """What came of an order."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"port": port} | order) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def close(self) -> None:
        """Send them home."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
