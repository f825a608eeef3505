"""A real server in a process of its own, for tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

STARTING = 60.0


class Running:
    """A server that runs: where it is, and what it has said."""

    def __init__(self, process: subprocess.Popen[str], url: str, said: list[str]) -> None:
        self.process, self.url, self.said = process, url, said

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)  # type: ignore[arg-type]

    def end(self, number: int = signal.SIGINT) -> int:
        """End it with a signal; gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def served(*collections: Path | str, options: tuple[str, ...] = (), model: str = "none") -> Iterator[Running]:
    """A server of these collections, on a port that is free."""
    named = [part for one in collections for part in ("-c", str(one))]
    process = subprocess.Popen(
        [sys.executable, "-m", "wherefrom.cli.main", "serve", *named, "--port", "0", *options],
        env=os.environ | {"WHEREFROM_MODEL": model, "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    found = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            found.set() if "Ctrl-C" in line else None
        found.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        assert found.wait(STARTING), said
        match = re.search(r"http://[^/\s]+", "".join(said))
        assert match is not None, "".join(said)
        yield Running(process, match[0], said)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
        thread.join(10)
        assert process.stderr is not None
        process.stderr.close()
