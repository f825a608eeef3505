"""Names that people try first, completion, plurals, and what is the machine's fault."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.scenes import encoded, picture
from wherefrom.cli.main import run
from wherefrom.doctor.kept import _skipped
from wherefrom.errors import Exit
from wherefrom.printing import size


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert run(["completion", shell]) == Exit.OK
    assert f"_WHEREFROM_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_completion_completes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_WHEREFROM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "wherefrom sea")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        run([])
    assert "search" in capsys.readouterr().out


@pytest.mark.parametrize(("alias", "name"), [("find", "search"), ("add", "index"), ("rm", "remove")])
def test_other_names(capsys: pytest.CaptureFixture[str], alias: str, name: str) -> None:
    assert run([alias, "--help"]) == Exit.OK
    told = capsys.readouterr().out
    assert run([name, "--help"]) == Exit.OK
    assert told.splitlines()[1:] == capsys.readouterr().out.splitlines()[1:]
    assert run(["--help"]) == Exit.OK
    assert f"\n  {alias} " not in capsys.readouterr().out


def test_one_thing_is_said_as_one() -> None:
    assert (size(1), size(2)) == ("1 byte", "2 bytes")
    assert (_skipped(1), _skipped(1200)) == ("1 file was skipped", "1,200 files were skipped")


def test_too_many_open_files_are_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture(1), "PNG"))
    (tmp_path / "b.png").write_bytes(encoded(picture(2), "PNG"))
    opening = os.open

    def refused(path: Any, *rest: Any, **options: Any) -> int:
        if str(path).endswith("a.png"):
            raise OSError(errno.EMFILE, "Too many open files", path)
        return opening(path, *rest, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "open", refused)
    assert run(["compare", "a.png", "b.png"]) == Exit.FAULT
    assert "a.png cannot be opened now: too many files are open." in capsys.readouterr().err
