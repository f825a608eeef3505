"""Ids by their beginning, and times as people read them."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import encoded, picture
from wherefrom.cli.main import run
from wherefrom.errors import Exit
from wherefrom.printing import local


def twins() -> Iterator[bytes]:
    """Two pictures whose ids begin with the same six digits."""
    pixels = encoded(picture(5, 64, 48).convert("L"), "PPM").partition(b"\n")[2]
    seen: dict[str, bytes] = {}
    for number in range(200_000):
        data = b"P5\n# %d\n" % number + pixels
        begun = hashlib.sha256(data).hexdigest()[:6]
        if begun in seen:
            yield from (seen[begun], data)
            return
        seen[begun] = data
    raise AssertionError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder, with a collection of three pictures, two of them with ids that begin alike."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHEREFROM_MODEL", "none")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(encoded(picture(0)))
    for name, data in zip("bc", twins(), strict=True):
        (tmp_path / "pictures" / f"{name}.pgm").write_bytes(data)
    settings = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open("photos.wherefrom", create=True, settings=settings) as photos:
        assert len(photos.add("pictures").added) == 3
    return tmp_path


def test_ids_are_taken_by_their_beginning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str, expect: int = Exit.OK) -> tuple[str, str]:
        assert run(list(arguments)) == expect, arguments
        return capsys.readouterr()

    whole = hashlib.sha256((here / "pictures" / "a.jpg").read_bytes()).hexdigest()
    twin = hashlib.sha256((here / "pictures" / "b.pgm").read_bytes()).hexdigest()
    listed = said("list")[0].splitlines()
    assert listed[0].split()[0] == whole[:12]
    assert len(listed) == 3
    for begun in (whole, whole[:12], whole[:7], whole[:6].upper(), f"sha256:{whole[:6]}", f"sha256:{whole}"):
        assert said("show", begun)[0].splitlines()[0] == f"sha256:{whole}"
        (found,) = json.loads(said("show", begun, "--json")[0])
        assert found["id"] == f"sha256:{whole}"
        assert "a.jpg" in said("search", begun)[0]
    said("attach", whole[:8], "mine=true")
    assert "a.jpg" in said("search", "pictures/a.jpg", "--why", whole[:8])[0]
    for command in (["show"], ["search"], ["remove"], ["attach"]):
        fields = ["mine=true"] if command == ["attach"] else []
        _, err = said(*command, twin[:6], *fields, expect=Exit.USAGE)
        assert err == f"wherefrom: {twin[:6]} is how 2 ids here begin; give more of the one you mean.\n"
    assert "There is no image 0123456" in said("show", "0123456", expect=Exit.NOTHING_FOUND)[1]
    assert "first 6 or more" in said("show", "sha256:012", expect=Exit.USAGE)[1]
    (here / whole[:8]).write_bytes(encoded(picture(9)))  # a file of that name is meant before an id
    said("search", whole[:8], expect=Exit.NOTHING_FOUND)
    (here / whole[:8]).unlink()
    said("remove", whole[:8])
    said("show", f"sha256:{whole}", expect=Exit.NOTHING_FOUND)


def test_times_are_local_for_people_and_universal_for_programs(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", "pictures/a.jpg", "--json"]) == Exit.OK
    (image,) = json.loads(capsys.readouterr().out)
    monkeypatch.setitem(os.environ, "TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert run(["show", "pictures/a.jpg"]) == Exit.OK
        out = capsys.readouterr().out
        assert f"added {local(image['added'])}\n" in out
        assert image["added"] not in out
        assert local("2024-03-01T20:30:00Z") == "2024-03-02 05:30"
    finally:
        monkeypatch.delitem(os.environ, "TZ")
        time.tzset()
    assert (local(None), local("no time")) == ("", "no time")
