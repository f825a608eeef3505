"""Whatever goes wrong ends in one sentence and a code of its own; 1 says "nothing found" and nothing else."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.scenes import encoded, picture
from wherefrom.cli import faults
from wherefrom.cli.main import commands, run
from wherefrom.errors import Exit, Fault, MachineFault, UsageError

PROGRAM = f"{shlex.quote(sys.executable)} -m wherefrom"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture `a.jpg`, which its collection knows."""
    path = tmp_path_factory.mktemp("faults")
    (path / "a.jpg").write_bytes(encoded(picture(1)))
    assert run(["index", str(path / "a.jpg"), "-q", "-c", str(path / "photos.wherefrom")]) == Exit.OK
    return path


def shell(home: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell there; `wherefrom` is this program."""
    line = line.replace("wherefrom", PROGRAM, 1)
    return subprocess.run(
        ["bash", "-c", line], cwd=home, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("wherefrom search a.jpg > /dev/full", "no room left"),
        ("wherefrom search a.jpg --json > /dev/full", "no room left"),
        ("wherefrom search a.jpg >&-", "standard output is closed"),
        ("ulimit -n 5; wherefrom search a.jpg", "open"),  # which file is one too many differs
        ("ulimit -v 30000; wherefrom search a.jpg", "could not be started"),
        ("ulimit -v 120000; wherefrom search a.jpg", ""),  # OpenBLAS ends the process, in words of its own
    ],
)
def test_what_the_machine_refuses_is_never_told_as_nothing_found(home: Path, line: str, word: str) -> None:
    done = shell(home, line)
    codes = (Exit.FAULT, Exit.PICTURE) if "ulimit -n" in line else (Exit.FAULT,)
    assert done.returncode in codes, (done.returncode, done.stderr)
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_closed_streams_do_no_harm(home: Path) -> None:
    assert shell(home, "wherefrom search a.jpg 2>&- <&-").returncode == Exit.OK
    assert shell(home, "wherefrom search none.jpg >&- 2>&- <&-").returncode == Exit.PICTURE
    assert "Sound" in shell(home, "wherefrom check").stderr  # nothing was written into its files


@pytest.mark.parametrize("json_output", [False, True])
def test_what_nobody_foresaw(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], json_output: bool
) -> None:
    def broken(**_: object) -> None:
        raise ValueError("zip() argument 2 is\nshorter")

    monkeypatch.setattr(commands.commands["search"], "callback", broken)
    arguments = ["search", "a.jpg", *(["--json"] if json_output else [])]
    assert run(arguments) == Exit.FAULT
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert "ValueError: zip() argument 2 is shorter" in err
    assert faults.TRACEBACK in err
    if json_output:
        assert json.loads(out)["error"]["code"] == "internal-error"
    monkeypatch.setenv(faults.TRACEBACK, "1")
    assert run(arguments) == Exit.FAULT
    assert "Traceback" in capsys.readouterr().err


def test_words_that_are_no_unicode_are_wrong_usage(home: Path) -> None:
    for option in ("--filter $'type:\\xff'", "--colours $'\\xff'", "--kinds $'\\xff'"):
        done = shell(home, f"wherefrom search a.jpg {option} --json")
        assert done.returncode == Exit.USAGE, done.stderr
        assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_click_speaks_with_our_voice(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "a.jpg", "--limit", "many", "--json"]) == Exit.USAGE
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["code"] == "usage"
    assert err.startswith("wherefrom: ")
    assert err.endswith("For help: wherefrom search --help\n")


def test_exceptions_and_what_they_mean() -> None:
    by_memory = ImportError("libx.so: failed to map segment from shared object")
    wrapped = RuntimeError("it failed")
    wrapped.__cause__ = MemoryError()
    for one in (by_memory, wrapped, OSError(24, "too many"), OSError(5, "broken", "/x"), OSError("odd")):
        assert isinstance(faults.error_of(one, []), MachineFault), one
    for two in (
        RecursionError("too deep"),
        KeyError("x"),
        AssertionError(),
        UnicodeEncodeError("a", "b", 0, 1, "c"),
    ):
        assert type(faults.error_of(two, ["search"])) is Fault, two
    odd = UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
    assert isinstance(faults.error_of(odd, ["search", "\udcff"]), UsageError)


def test_a_thread_that_fails_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    faults.guard_threads()

    def broken() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "in a thread" in err
