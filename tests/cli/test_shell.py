"""Names that people try first, completion, plurals, and what is the machine's fault."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wherefrom
from tests.scenes import encoded, picture
from wherefrom.cli.main import run
from wherefrom.doctor.kept import _skipped
from wherefrom.errors import Exit, MachineFault
from wherefrom.features.extract import Recipe
from wherefrom.picture.limits import Limits
from wherefrom.printing import size
from wherefrom.processes.believed import error_of
from wherefrom.sources.folder import Unopened, walk
from wherefrom.workers import _perform, read_file


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
    assert "a.png: it cannot be opened now: too many files are open." in capsys.readouterr().err


@contextlib.contextmanager
def few_files(most: int) -> Iterator[None]:
    """This process may have so many files open, and no more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_cannot_be_opened_for_want_of_files_is_the_machines_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture(1), "PNG"))
    with few_files(3):
        (found,) = walk(tmp_path)
        with pytest.raises(MachineFault, match="too many files"):
            read_file(str(path))
        told = _perform(os.fsencode(path), None, Limits(), contextlib.nullcontext(), Recipe())  # type: ignore[arg-type]
    assert isinstance(found, Unopened)
    assert isinstance(found.error, MachineFault)
    assert type(error_of(told)) is MachineFault


def test_an_index_without_files_to_open_forgets_no_picture(tmp_path: Path) -> None:
    most = 8
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(encoded(picture(1), "PNG"))
    command = [sys.executable, "-m", "wherefrom", "index", "-c", str(tmp_path / "p.wherefrom"), "pictures"]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"WHEREFROM_MODEL": "none", "WHEREFROM_WORKERS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == Exit.FAULT, ended.stderr
    assert "files" in ended.stderr
    assert "unreadable" not in ended.stderr
    with wherefrom.open(tmp_path / "p.wherefrom", create=True) as photos:
        assert len(photos.add(tmp_path / "pictures").added) == 1
