"""Files under any name: one line for each on the command line, and no control character as it is."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scenes import encoded, picture
from wherefrom.cli.common import shown_place, table_lines
from wherefrom.cli.main import run
from wherefrom.errors import Exit
from wherefrom.sources.folder import file_uri

NAMES = [
    b"line\nbreak.jpg",
    b"tab\there.jpg",
    b"\x1b[31mred.jpg",
    b"bell\x07.jpg",
    b"\x1b]0;title\x07\x1b[2J.jpg",
    b"caf\xe9 \xff.jpg",
    "gpj.\u202egnp \u2028 \x85.jpg".encode(),
    b"-dash \r\n.jpg",
]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A present folder with a picture under each name, and the first one twice."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "odd\n\x1b[1m"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / os.fsdecode(name)).write_bytes(encoded(picture(number)))
    (folder / "again\n.jpg").write_bytes(encoded(picture(0)))
    (folder / "broken\x1b[0m\n.jpg").write_bytes(encoded(picture(0))[:200])
    return folder


def harmless(text: str) -> bool:
    return not any(
        unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in text.replace("\n", "")
    )


def test_every_command_prints_names_as_marks(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, expect: int = Exit.OK) -> tuple[list[str], list[str]]:
        assert run(list(arguments)) == expect, arguments
        out, err = capsys.readouterr()
        assert harmless(out), out
        assert harmless(err), err
        assert "\u202e" not in out + err
        return out.splitlines(), err.splitlines()

    _, err = said("index", str(odd), "-v", expect=Exit.SOME_FAILED)
    assert len(err) == len(NAMES) + 2 + 1
    _, err = said("index", str(odd), "-q", "--retry", expect=Exit.SOME_FAILED)
    assert any(r"broken\x1b[0m\n.jpg" in line for line in err)
    for name in NAMES:
        out, _ = said("search", str(odd / os.fsdecode(name)))
        assert len(out) == 2, out  # the headings, and a line for the match
    assert r"odd\n\x1b[1m/again\n.jpg" in "".join(said("search", str(odd / "again\n.jpg"))[0])
    assert len(said("list")[0]) == len(NAMES)
    assert len(said("show", str(odd / "tab\there.jpg"))[0]) >= 3
    assert len(said("duplicates")[0]) < 12
    said("check")
    said("doctor", "--quick")
    said("search", str(odd / "tab\there.jpg"), "--why", str(odd / "tab\there.jpg"))
    said("search", "none\n\x1b[31m.jpg", expect=Exit.PICTURE)
    said("index", "none\n\x1b[31m", "-c", "new\n\x1b[31m", expect=Exit.USAGE)
    said("check", "-c", "no\n\x1b[31m", expect=Exit.COLLECTION)
    said("search", "a.jpg", "--kinds", "\x1b[31m\n", expect=Exit.USAGE)
    said("search", "a.jpg", "--limit", "\x1b[31m\n", expect=Exit.USAGE)
    said("show", "\x1b[31m\n", expect=Exit.NOTHING_FOUND)
    said("backup", "copy\n\x1b[31m")
    said("search", str(odd / "tab\there.jpg"), "--draw", "drawn\n\x1b[31m")


def test_json_has_names_as_they_are(odd: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["index", str(odd), "-q"])
    capsys.readouterr()
    assert run(["list", "--json"]) == Exit.OK
    uris = {place["uri"] for image in json.loads(capsys.readouterr().out) for place in image["sightings"]}
    assert {file_uri(odd / os.fsdecode(name)) for name in NAMES} <= uris


name = st.binary(min_size=1, max_size=40).map(lambda text: text.replace(b"/", b"\x1b").replace(b"\0", b"\n"))


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(name, min_size=1, max_size=6))
def test_any_names_give_a_line_each(names: list[bytes]) -> None:
    shown = [shown_place(file_uri(os.fsdecode(b"/" + one))) for one in names]
    assert all(harmless(one) and "\n" not in one for one in shown)
    rows = [(os.fsdecode(one), f"{len(one)}") for one in names]
    lines = table_lines(rows, ("where", "bytes"), right=(1,))
    assert len(lines) == len(names) + 1
    assert all(harmless(line) and len((line + "|").splitlines()) == 1 for line in lines)


def test_a_place_in_a_filter_is_pointed_at_and_a_name_is_one_line(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["index", "-q", str(odd / "again\n.jpg")]) == Exit.OK
    capsys.readouterr()
    assert run(["list", "--filter", "wid>2"]) == Exit.USAGE
    first, text, caret = capsys.readouterr().err.splitlines()
    assert first.startswith("wherefrom: ")
    assert (text, caret) == ("  wid>2", "  ^")
    assert run(["show", "no\n  such\n  ^.jpg"]) == Exit.NOTHING_FOUND
    assert len(capsys.readouterr().err.splitlines()) == 1
