"""The documentation is true: pages are fresh, commands parse, snippets run, links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

from tests.scenes import folder_of
from whence.cli.main import commands
from whence.engine.syntax import parse
from whence.engine.terms import ALIASES, FIELDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("name", ["commands.md", "errors.md"])
def test_generated_pages_are_fresh(name: str) -> None:
    made = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"][name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run: make docs"


def test_every_option_has_help() -> None:
    for command in commands.commands.values():
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (command.name, parameter.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_documentation_parse(page: Path) -> None:
    for block in blocks(page, "(?:sh|console)"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[0] != "whence":
                continue
            command = commands.commands[words[1]]
            command.make_context(words[1], words[2:])


def test_filters_in_the_documentation_parse() -> None:
    page = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    told = page.partition("## Fields\n")[2].partition("## ")[0]
    rows = re.findall(r"^\| `.*\| (.*) \|$", told, re.M)
    examples = [example for row in rows for example in re.findall(r"`([^`]+)`", row)]
    assert len(examples) > 20
    for example in examples:
        parse(example)
    assert {*FIELDS, *ALIASES} <= set(re.findall(r"`(\w+)`", told))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = blocks(page, "python")
    if not snippets:
        pytest.skip("no snippets on this page")
    files = folder_of(tmp_path / "Pictures", 3)
    files[0].rename(tmp_path / "query.jpg")
    (tmp_path / "a.jpg").write_bytes(files[1].read_bytes())
    (tmp_path / "b.jpg").write_bytes(files[2].read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for snippet in snippets:
        exec(compile(snippet, str(page), "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
