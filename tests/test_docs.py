"""The documentation is true: pages are fresh, commands and snippets run, links lead somewhere.

Blocks of a page run one after another, in a small world (`world.py`). A block behind a comment
`<!-- not run: why -->` needs what a test has not, a server or a network: its commands, options and names are
checked all the same.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import wherefrom
from tests.world import World
from wherefrom.cli.main import commands, run
from wherefrom.errors import Exit
from wherefrom.filters.parser import parse
from wherefrom.filters.terms import ALIASES, FIELDS
from wherefrom.models.store import default_directory

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))

PARSED_ALONE = {"serve", "demo", "evaluate", "models add", "models import", "models use", "models remove"}
"""Commands that take minutes, run for ever, download, or change what belongs to the user."""

MAY_FIND_NOTHING = {"search", "compare", "duplicates", "list"}
ELSEWHERE = {"pip", "make", "docker", "podman", "curl", "sudo", "systemctl", "git", "python", "mount", "cd"}
"""Programs that are not run; what is asked of some of them is checked."""

SHELL = {"cp", "mkdir", "mv", "ls", "cat", "rm", "tar", "touch", "echo", "printf", "head", "jq"}
SLUG = re.compile(r"[^\w\- ]")


class Block(NamedTuple):
    """A block of code: its language, its text, and why it is not run, if it is not."""

    language: str
    text: str
    left_out: str | None


def blocks(page: Path, *languages: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"(?:^<!-- not run: (.+?) -->\n+)?^```(\w+)\n(.*?)^```", text, re.M | re.S)
    return [Block(language, body, why or None) for why, language, body in found if language in languages]


def identity(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def made(default_model: None, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("docs"))


@pytest.fixture
def world(made: World, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder of whoever follows a page."""
    monkeypatch.setenv("WHEREFROM_MODELS", str(default_directory()))
    for name in ("WHEREFROM_COLLECTION", "WHEREFROM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    path = made.restore()
    monkeypatch.chdir(path)
    monkeypatch.setenv("HOME", str(path))
    return path


# What is generated


@pytest.mark.parametrize("name", GENERATOR["PAGES"])
def test_generated_pages_are_fresh(name: str) -> None:
    made = GENERATOR["PAGES"][name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run: make docs"


def test_every_option_has_help() -> None:
    for command in GENERATOR["every_command"]().values():
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (command.name, parameter.name)


def test_filters_in_the_documentation_parse() -> None:
    page = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    told = page.partition("## Fields\n")[2].partition("## ")[0]
    rows = re.findall(r"^\| `.*\| (.*) \|$", told, re.M)
    examples = [example for row in rows for example in re.findall(r"`([^`]+)`", row)]
    assert len(examples) > 20
    for example in examples:
        parse(example)
    assert {*FIELDS, *ALIASES} <= set(re.findall(r"`(\w+)`", told))


# Blocks of code


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_blocks_run(page: Path, world: Path) -> None:
    some = [block for block in blocks(page, "sh", "python", "text") if block.left_out is None]
    if not any(block.language != "text" for block in some):
        pytest.skip("no blocks to run on this page")
    said = ""
    for block in some:
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), {})
        elif block.language == "text":
            told = set(re.findall(r"[\w.]+/[\w./-]+", block.text))
            assert block.text.startswith("$ ") or all(path in said for path in told), (block.text, said)
        else:
            said = "".join(follow(line) for line in lines_of(block.text))


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_blocks_that_are_not_run_name_what_there_is(page: Path) -> None:
    for block in blocks(page, "sh", "python", "text"):
        if block.language == "text":
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    check(line[2:])
        elif block.language == "sh":
            for line in lines_of(block.text):
                check(line)
        else:
            for node in ast.walk(ast.parse(block.text)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    assert node.value.id != "wherefrom" or node.attr in wherefrom.__all__, node.attr


def lines_of(text: str) -> Iterator[str]:
    """Commands, those over several lines in one."""
    yield from (line for line in text.replace("\\\n", " ").splitlines() if line.strip())


def words_of(line: str) -> tuple[dict[str, str], list[str]]:
    """What is set in the environment, and the words of a command, without comments."""
    words = shlex.split(line, comments=True)
    settings = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    return settings, words


def resolved(words: list[str]) -> tuple[click.Command, list[str], str]:
    """The command that words ask for, what it is given, and its name; KeyError for one that is not there."""
    command, rest, names = commands.commands[words[0]], words[1:], [words[0]]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        names.append(rest[0])
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest, " ".join(names)


def check(line: str) -> None:
    """A command that is there, options that it has; for other programs, what they are asked for."""
    _, words = words_of(line)
    for part in " ".join(shlex.quote(word) for word in words).split(" '|' "):
        some = shlex.split(part)
        if some[:1] == ["wherefrom"] and len(some) > 1 and some[1] not in ("--version", "--help"):
            command, rest, name = resolved(some[1:])
            before = [word for word in rest if word not in (">", "2>")]
            if ">" in rest:
                before = rest[: rest.index(">")]
            with contextlib.suppress(click.exceptions.Exit):
                command.make_context(name, list(before))
        elif some[:2] == ["pip", "install"]:
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            asked = {one for word in some for one in re.findall(r"wherefrom\[([\w,]+)\]", word)}
            assert {one for several in asked for one in several.split(",")} <= set(extras), line
        elif some[:1] == ["make"]:
            assert re.search(rf"^{some[1]}:", (ROOT / "Makefile").read_text(), re.M), line
        elif some[:1] == ["curl"]:
            check_route(some)


def check_route(words: list[str]) -> None:
    """A request of the service goes to a route that there is."""
    routes = GENERATOR["routes"]()
    address = next(word for word in words if "://" in word)
    path = re.sub(r"^\w+://[^/]+", "", address).partition("?")[0]
    method = words[words.index("-X") + 1] if "-X" in words else None
    if method is None:
        method = "POST" if {"-F", "-d", "--data-binary", "--json"} & set(words) else "GET"
    known = [m for m, route in routes if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route)), path)]
    assert method in known or not routes, (method, path)


def follow(line: str) -> str:
    """Run a command of the documentation, ours in this process; gives what it prints."""
    settings, words = words_of(line)
    if not words or words[0] in ELSEWHERE:
        return ""
    if words[0] != "wherefrom" or "|" in words or "&&" in words:
        assert words[0] in SHELL, f"{words[0]} is not run here: put <!-- not run: why --> before the block"
        done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout
    target = None
    if ">" in words:
        target, words = words[-1], words[:-2]
    arguments = [os.path.expanduser(word) for word in words[1:]]
    _, _, name = resolved(arguments)
    if name in PARSED_ALONE or any(word.startswith("http") for word in arguments):
        return ""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for key, value in settings.items():
            patch.setenv(key, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
    assert code == Exit.OK or (code == Exit.NOTHING_FOUND and name in MAY_FIND_NOTHING), (line, code, err)
    if target is not None:
        Path(target).write_text(out.getvalue(), encoding="utf-8")
    return out.getvalue()


def test_figures_of_the_limits_are_those_measured() -> None:
    page = (ROOT / "docs" / "explanation" / "limits.md").read_text(encoding="utf-8")
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```|^\|[^\n]*$|\]\([^)]*\)", "", page, flags=re.M | re.S)
    figures = re.findall(r"\d[\d,.]*\d(?: (?:%|ms|million))?", prose)
    assert len(figures) > 3
    for figure in set(figures) - {"985", "1,000"}:  # where the table ends, and what it counts in
        assert figure in results or figure.removesuffix(" ms") in results, figure


# Links and pictures


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made by those who show Markdown."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {SLUG.sub("", title.lower()).strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


def test_every_page_can_be_reached_from_the_front() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and target.endswith(".md"):
                waiting.append((page.parent / target).resolve())
    pages = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name != "decisions"}
    assert pages <= seen, [identity(page) for page in pages - seen]


def test_pictures_are_small_and_used() -> None:
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for picture in sorted((ROOT / "docs" / "pictures").iterdir()):
        assert picture.stat().st_size < 200_000, picture.name
        assert picture.name in shown, picture.name
