"""Progress: a line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from wherefrom import progress
from wherefrom.outcome import Outcome, Report, Status
from wherefrom.progress import ProgressLine, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(added: int) -> Report:
    found = Report()
    for number in range(added):
        found.record(Outcome(Status.ADDED, f"file:///{number}"))
    return found


def test_a_terminal_sees_one_line_with_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_TERMINAL_SECONDS", 0.0)
    for number in range(10):
        (tmp_path / str(number)).touch()
    stream = Terminal()
    line = ProgressLine([str(tmp_path), str(tmp_path / "1")], stream)
    deadline = time.monotonic() + 5
    while "of 11 files" not in stream.getvalue() and time.monotonic() < deadline:
        line.update(report(4))
    line.close(report(11))
    text = stream.getvalue()
    assert "4 of 11 files" in text
    assert "left" in text
    assert "/s" in text
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert "11 added" in text.split("\r")[-1]


def test_elsewhere_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    line = ProgressLine([], stream)
    for _ in range(100):
        line.update(report(1))
    assert stream.getvalue() == ""
    monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
    line.update(report(2))
    line.close(report(2))
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (46, "46 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
