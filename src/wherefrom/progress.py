"""Progress of a long run, on stderr: a line that is rewritten on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from typing import TextIO

from wherefrom.outcome import Report
from wherefrom.printing import counted

_TERMINAL_SECONDS = 0.1
_PLAIN_SECONDS = 10.0


class ProgressLine:
    """Shows how many files are done, how fast, and how long the rest will take."""

    def __init__(self, roots: Sequence[str] = (), stream: TextIO | None = None) -> None:
        """Start the clock, and count the files below `roots` meanwhile, to tell how much is left."""
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._start = self._shown = time.monotonic()
        self._total: int | None = None
        self._closed = False
        threading.Thread(target=self._count, args=(list(roots),), daemon=True).start()

    def update(self, report: Report) -> None:
        """Show where the run is, unless that was done a moment ago."""
        moment = time.monotonic()
        if moment - self._shown >= (_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS):
            self._shown = moment
            self._write(self._text(report))

    def close(self, report: Report) -> None:
        """Show where the run ended."""
        self._closed = True
        if self._terminal:
            self._write(self._text(report))
            self._stream.write("\n")

    def _count(self, roots: list[str]) -> None:
        total = 0
        for root in roots:
            if not os.path.isdir(root):
                total += 1
                continue
            for _, _, files in os.walk(root, followlinks=False):
                total += len(files)
                if self._closed:
                    return
        self._total = total

    def _text(self, report: Report) -> str:
        seconds = time.monotonic() - self._start
        done = report.offered
        rate = done / seconds if seconds > 0 else 0.0
        parts = [counted(done, "file")]
        if self._total is not None and self._total > done:
            parts = [f"{done:,} of {counted(self._total, 'file')}"]
            if rate > 0:
                parts.append(f"{duration((self._total - done) / rate)} left")
        parts.insert(1, f"{rate:,.0f}/s")
        counts = (
            (len(report.added), "added"),
            (len(report.known), "known"),
            (len(report.skipped), "skipped"),
            (len(report.failed), "failed"),
        )
        parts += [f"{count:,} {name}" for count, name in counts if count]
        return " · ".join(parts)

    def _write(self, text: str) -> None:
        if self._terminal:
            width = shutil.get_terminal_size().columns
            self._stream.write("\r" + text[: width - 1].ljust(width - 1))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """A length of time in words: `46 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
