"""Several queries, folders and standard input on one command, and JSON a document a line."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import ImageOps

from tests.scenes import encoded, folder_of, picture
from wherefrom.cli.main import run
from wherefrom.collection import Collection
from wherefrom.errors import Exit


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("batch")
    folder_of(root / "pictures", 3)
    asked = root / "asked"
    (asked / "deeper").mkdir(parents=True)
    (asked / ".thumbnails").mkdir()
    (asked / "a.png").write_bytes(encoded(ImageOps.mirror(picture(1)), "PNG"))
    (asked / "b.png").write_bytes(encoded(picture(77), "PNG"))
    (asked / "deeper" / "c.jpg").write_bytes(encoded(picture(2)))
    shutil.copy(asked / "a.png", asked / ".thumbnails" / "t.png")
    (asked / "notes.txt").write_text("not a picture")
    (root / "broken.jpg").write_bytes(encoded(picture(0))[:100])
    assert run(["index", str(root / "pictures"), "-q", "-c", str(root / "photos.wherefrom")]) == Exit.OK
    return root


@pytest.fixture
def home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def called(capsys: pytest.CaptureFixture[str], *arguments: str, expect: int = 0) -> tuple[str, str]:
    code = run(list(arguments))
    out, err = capsys.readouterr()
    assert code == expect, (code, out, err)
    return out, err


def lines_of(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def pipe(data: bytes) -> None:
        stream = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stream)

    return pipe


def test_files_folders_and_standard_input_in_one_go(
    home: Path, capsys: pytest.CaptureFixture[str], piped: Any
) -> None:
    piped(encoded(picture(0)))
    words = ("asked/a.png", "asked", "-", "broken.jpg")
    out, err = called(capsys, "search", *words, "--json", expect=Exit.SOME_FAILED)
    documents = json.loads(out)
    names = ["asked/a.png", "asked/a.png", "asked/b.png", "asked/deeper/c.jpg", "-", "broken.jpg"]
    assert [one["query_path"] for one in documents] == names
    assert [len(one["matches"]) for one in documents[:-1]] == [1, 1, 0, 1, 1]
    assert documents[-1] == {"query_path": "broken.jpg", "error": documents[-1]["error"]}
    assert documents[-1]["error"]["path"] == "broken.jpg"
    assert "wherefrom: broken.jpg: " in err
    assert "skipped in folders: 2 files (1 excluded, 1 not-a-picture)" in err

    piped(encoded(picture(0)))
    out, _ = called(capsys, "search", *words, "--jsonl", expect=Exit.SOME_FAILED)
    untimed = [{**one, "timings_ms": None} for one in documents]
    assert [{**one, "timings_ms": None} for one in lines_of(out)] == untimed


def test_one_file_keeps_its_one_document(home: Path, capsys: pytest.CaptureFixture[str], piped: Any) -> None:
    one = json.loads(called(capsys, "search", "asked/a.png", "--json")[0])
    assert set(one) == {"query", "matches", "timings_ms", "query_path"}
    piped(encoded(ImageOps.mirror(picture(1)), "PNG"))
    same = json.loads(called(capsys, "search", "-", "--json")[0])
    assert (same["query_path"], same["matches"]) == ("-", one["matches"])
    (line,) = lines_of(called(capsys, "search", "asked/a.png", "--jsonl")[0])
    assert line["matches"] == one["matches"]
    (folder,) = json.loads(called(capsys, "search", "asked/deeper", "--json")[0])
    assert folder["query_path"] == "asked/deeper/c.jpg"


def test_people_see_a_block_for_each(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone, _ = called(capsys, "search", "asked/a.png")
    assert alone.startswith("kind ")
    out, err = called(capsys, "search", "asked/a.png", "asked/b.png")
    assert out == f"asked/a.png:\n{alone}"
    assert "asked/b.png:" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["asked/a.png", "asked/b.png"], Exit.OK),
        (["asked/b.png", "asked/b.png"], Exit.NOTHING_FOUND),
        (["asked/b.png", "nothere.jpg"], Exit.SOME_FAILED),
        (["nothere.jpg", "broken.jpg", "http://127.0.0.1/x.jpg"], Exit.PICTURE),
        (["asked/.thumbnails", "sha256:12"], Exit.SOME_FAILED),
        (["asked/a.png", "asked/b.png", "--limit", "0"], Exit.USAGE),
        (["asked/a.png", "asked/b.png", "--filter", "width>>"], Exit.USAGE),
        (["asked/a.png", "asked/b.png", "--why", "pictures/picture 001.jpg"], Exit.USAGE),
        (["asked/deeper", "--why", "pictures/picture 001.jpg"], Exit.USAGE),
        (["asked/a.png", "--json", "--jsonl"], Exit.USAGE),
        (["-", "-"], Exit.USAGE),
        (["asked/a.png", "asked/b.png", "--region", "0,0,9000,9000"], Exit.PICTURE),
    ],
)
def test_how_it_ends(home: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: Exit) -> None:
    _, err = called(capsys, "search", *words, expect=code)
    assert "Traceback" not in err


def test_a_folder_without_pictures_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "empty").mkdir(exist_ok=True)
    out, err = called(capsys, "search", "empty", "--json", expect=Exit.NOTHING_FOUND)
    assert json.loads(out) == []
    assert "There was no picture to search for." in err


def test_standard_input_has_limits(
    home: Path, capsys: pytest.CaptureFixture[str], piped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(b"")
    _, err = called(capsys, "search", "-", expect=Exit.PICTURE)
    assert "standard input: " in err
    monkeypatch.setenv("WHEREFROM_MAX_BYTES", "1000")
    piped(b"x" * 1001)
    (line,) = lines_of(called(capsys, "search", "-", "--jsonl", expect=Exit.PICTURE)[0])
    assert (line["query_path"], line["error"]["code"]) == ("-", "too-large")
    assert "1,000 bytes" in line["error"]["message"]


def test_regions_objects_and_drawings_go_with_several(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    regions = ("--region", "0,0,400,300", "--region", "0,0,300,300")
    words = ("search", "asked/a.png", "asked/deeper/c.jpg")
    out, _ = called(capsys, *words, *regions, "--jsonl", "--draw", str(tmp_path / "proofs"))
    assert [len(one["answers"]) for one in lines_of(out)] == [2, 2]
    assert {one.name for one in (tmp_path / "proofs").iterdir()} == {"001 a", "002 c"}
    assert all(any(one.iterdir()) for one in (tmp_path / "proofs").iterdir())


def test_what_nobody_foresaw_stops_no_other_query(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Collection.ask

    def failing(self: Collection, query: Any, *options: Any) -> Any:
        if query == "asked/b.png":
            raise ZeroDivisionError("for a test")
        return ask(self, query, *options)

    monkeypatch.setattr(Collection, "ask", failing)
    words = ("search", "asked/b.png", "asked/a.png", "--jsonl")
    first, second = lines_of(called(capsys, *words, expect=Exit.FAULT)[0])
    assert "ZeroDivisionError" in first["error"]["message"]
    assert len(second["matches"]) == 1


def test_each_line_is_out_before_the_next_query_and_ctrl_c_leaves_it(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "wherefrom", "search", "asked/a.png", "-", "--jsonl"],
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["query_path"] == "asked/a.png"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (Exit.INTERRUPTED, b"")
    assert b"interrupted" in err


def test_other_commands_print_lines(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEREFROM_REGISTRY", str(tmp_path / "known"))
    listed = lines_of(called(capsys, "list", "--jsonl")[0])
    assert listed == json.loads(called(capsys, "list", "--json")[0])
    assert len(listed) == 3

    (tmp_path / "more").mkdir()
    shutil.copy("pictures/picture 001.jpg", tmp_path / "more" / "a.jpg")
    shutil.copy("pictures/picture 001.jpg", tmp_path / "more" / "b.jpg")
    shutil.copy("asked/notes.txt", tmp_path / "more")
    other = str(tmp_path / "other.wherefrom")
    outcomes = lines_of(called(capsys, "index", str(tmp_path / "more"), "-c", other, "--jsonl")[0])
    assert sorted(one["status"] for one in outcomes) == ["added", "known", "skipped"]
    assert [one["code"] for one in outcomes if one["status"] == "skipped"] == ["not-a-picture"]

    groups = lines_of(called(capsys, "duplicates", "-c", other, "--jsonl")[0])
    assert groups == json.loads(called(capsys, "duplicates", "-c", other, "--json")[0])["groups"]
    assert len(groups) == 1
    known = lines_of(called(capsys, "collections", "--jsonl")[0])
    assert known == json.loads(called(capsys, "collections", "--json")[0])
