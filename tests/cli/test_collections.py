"""Where a collection is looked for, which are known, and what a slip of the keyboard must not make."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.scenes import encoded, picture
from wherefrom.cli.main import run
from wherefrom.errors import Exit
from wherefrom.former import default_collection
from wherefrom.known import forget, known, registry, remember


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with `Pictures/2024/a.jpg`, as the present folder; the list of collections is in it."""
    path = tmp_path / "home"
    (path / "Pictures" / "2024").mkdir(parents=True)
    (path / "Pictures" / "2024" / "a.jpg").write_bytes(encoded(picture(1)))
    monkeypatch.chdir(path)
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("XDG_STATE_HOME", str(path / "state"))
    monkeypatch.setenv("WHEREFROM_REGISTRY", "")
    monkeypatch.delenv("WHEREFROM_COLLECTION", raising=False)
    return path


def test_a_collection_is_looked_for_upwards(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert default_collection() == "photos.wherefrom"
    assert run(["index", "Pictures", "-q"]) == Exit.OK
    monkeypatch.chdir(home / "Pictures" / "2024")
    assert default_collection() == str(home / "photos.wherefrom")
    assert run(["search", "a.jpg"]) == Exit.OK
    assert run(["index", ".", "-q"]) == Exit.OK
    assert not (home / "Pictures" / "2024" / "photos.wherefrom").exists()
    (home / "Pictures" / "photos.whence").mkdir()
    assert default_collection() == str(home / "Pictures" / "photos.whence")  # the nearest one
    monkeypatch.setenv("WHEREFROM_COLLECTION", str(home / "other"))
    assert run(["check"]) == Exit.COLLECTION
    monkeypatch.delenv("WHEREFROM_COLLECTION")
    (home / "Pictures" / "photos.whence").rmdir()
    (home.parent / "photos.wherefrom").mkdir()
    (home / "photos.wherefrom").rename(home / "elsewhere")
    assert default_collection() == "photos.wherefrom"  # nothing above the home folder is taken
    capsys.readouterr()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_somebody_else_is_not_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "photos.wherefrom").mkdir()
    os.chown(home / "photos.wherefrom", 12345, 12345)
    monkeypatch.chdir(home / "Pictures")
    assert default_collection() == "photos.wherefrom"


def test_known_collections_are_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def listed(expect: int = Exit.OK) -> Any:
        assert run(["collections", "--json"]) == expect
        return json.loads(capsys.readouterr().out)

    assert listed(Exit.NOTHING_FOUND) == []
    assert run(["index", "Pictures", "-q"]) == Exit.OK
    assert run(["index", "Pictures", "-q", "-c", "two\n"]) == Exit.OK
    two, one = listed()
    assert (one["path"], two["path"]) == (str(home / "photos.wherefrom"), str(home / "two\n"))
    assert (one["state"], one["images"]) == ("there", 1)
    assert one["bytes"] > 10_000
    assert one["changed"].startswith("20")
    (home / "two\n").rename(home / "away")
    assert [entry["state"] for entry in listed()] == ["missing", "there"]
    assert run(["collections"]) == Exit.OK
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert r"two\n" in out
    assert "missing" in out
    assert run(["collections", "--forget", "two\n"]) == Exit.OK
    assert run(["collections", "--forget", "two\n"]) == Exit.NOTHING_FOUND
    capsys.readouterr()
    assert [entry["path"] for entry in listed()] == [str(home / "photos.wherefrom")]
    (home / "Pictures" / "deep").mkdir()
    assert run(["check", "-c", "nowhere"]) == Exit.COLLECTION
    assert str(home / "photos.wherefrom") in capsys.readouterr().err


def test_the_list_can_be_switched_off_and_is_in_nobodys_way(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WHEREFROM_REGISTRY", "none")
    assert run(["index", "Pictures", "-q"]) == Exit.OK
    assert not (home / "state").exists()
    assert registry("None") is None
    path = tmp_path / "list" / "c.json"
    remember(Path("/a"), str(path))
    remember(Path("/b"), str(path))
    assert known(str(path)) == [Path("/b"), Path("/a")]
    assert forget(Path("/b"), str(path))
    for text in ("", "[]", "{}", '{"collections": 5}', "\0", '{"collections": [1, null, "/x"]}'):
        path.write_text(text)
        assert known(str(path)) in ([], [Path("/x")])
    remember(Path("/c"), str(tmp_path / "list"))  # a folder: cannot be written, and nothing is said
    (tmp_path / "file").write_text("")
    remember(Path("/c"), str(tmp_path / "file" / "c.json"))


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["index", "Pictuers"], Exit.USAGE, "Pictuers: no such file or folder"),
        (["index", "Pictures", "Pictuers"], Exit.USAGE, "Pictuers: no such file or folder"),
        (["index", "file:///no/such/folder"], Exit.USAGE, "no such file or folder"),
        (
            ["search", "Pictures/2024/a.jpg"],
            Exit.COLLECTION,
            "There is no collection in this folder or above",
        ),
        (["backup", "copy"], Exit.COLLECTION, "There is no collection"),
        (["evaluate", "--sample", "1"], Exit.COLLECTION, "There is no collection"),
        (["keys", "create", "name"], Exit.COLLECTION, "There is no collection"),
        (["keys", "list"], Exit.COLLECTION, "There is no collection"),
        (["check", "-c", "phtos"], Exit.COLLECTION, "There is no collection at"),
        (["rebuild"], Exit.COLLECTION, "There is no collection"),
        (["serve", "-c", "phtos"], Exit.COLLECTION, "There is no collection at"),
        (["duplicates"], Exit.COLLECTION, "There is no collection"),
        (["attach", "a", "b=c"], Exit.COLLECTION, "There is no collection"),
        (["remove", "a"], Exit.COLLECTION, "There is no collection"),
        (["list"], Exit.COLLECTION, "There is no collection"),
    ],
)
def test_a_slip_makes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, word: str
) -> None:
    before = sorted(home.rglob("*"))
    assert run(arguments) == code
    assert word in capsys.readouterr().err
    assert sorted(home.rglob("*")) == before
