"""The README's commands in the shells that people use: each starts our program, and hands on the same words.

A builtin or an alias of a shell may take a name of ours, and quotes, `#` and `>=` mean other things in each.
All commands are handed to a recorder on the PATH; the first of them really run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks, lines_of, words_of
from tests.world import World

SHELLS = ("bash", "zsh", "ksh", "dash")
REALLY_RUN = 2  # of the first commands: index, search
RECORDER = """#!{python}
import json, subprocess, sys
with open({record!r}, "a", encoding="utf-8") as file:
    print(json.dumps(sys.argv[1:]), file=file)
if sum(1 for _ in open({record!r}, encoding="utf-8")) <= {number}:
    sys.exit(subprocess.call([{python!r}, "-m", "wherefrom", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("shells"))


def commands() -> list[str]:
    """The README's commands of ours, but those that serve for ever."""
    lines = [
        line
        for block in blocks(ROOT / "README.md", "sh")
        if block.left_out is None
        for line in lines_of(block.text)
    ]
    return [line for line in lines if words_of(line)[1][:1] == ["wherefrom"]]


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_of_the_readme_reach_our_program(shell: str, world: World, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    path = world.restore()
    record = tmp_path / "record"
    recorder = tmp_path / "bin" / "wherefrom"
    recorder.parent.mkdir()
    text = RECORDER.format(python=sys.executable, record=str(record), number=REALLY_RUN)
    recorder.write_text(text, encoding="utf-8")
    recorder.chmod(0o755)
    lines = commands()
    assert lines[0].startswith("wherefrom index"), lines[0]
    assert lines[1].startswith("wherefrom search"), lines[1]
    # Nobody types a comment in zsh unless it is told to take comments.
    comments = "setopt interactivecomments\n" if shell == "zsh" else ""
    script = comments + "".join(f"{line} || exit $?\n" for line in bare(lines))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("WHEREFROM_", "WHENCE_"))
    }
    environment |= {
        "HOME": str(path),
        "PATH": f"{recorder.parent}{os.pathsep}{os.environ['PATH']}",
        "WHEREFROM_REGISTRY": "none",
        "WHEREFROM_WORKERS": "1",
    }
    done = subprocess.run(
        [program, "-c", script],
        cwd=path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "cat.jpg" in done.stdout, (done.stdout, done.stderr)
    told = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    wanted = [
        [word.replace("~", str(path), 1) if word.startswith("~") else word for word in words_of(line)[1][1:]]
        for line in lines
    ]
    assert told == wanted


def bare(lines: list[str]) -> list[str]:
    """Commands without the comments behind them, as they are typed."""
    return [line.partition("  #")[0] for line in lines]
