"""What was made and set when the program was called Whence still counts, and is said once."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import encoded, picture
from wherefrom.engine.marker import MARKER
from wherefrom.former import OLD_MARKER, _tell
from wherefrom.models.store import default_directory
from wherefrom.server.keys import parts_of
from wherefrom.settings import load


@pytest.fixture(autouse=True)
def _nothing_said_yet() -> None:
    _tell.cache_clear()


def test_former_settings_count_and_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert load({"WHENCE_WORKERS": "3"}).workers == 3
        assert load({"WHENCE_WORKERS": "3"}).workers == 3
    assert [record.message for record in caplog.records] == [
        "wherefrom: WHENCE_WORKERS is read as WHEREFROM_WORKERS; please rename it."
    ]


def test_the_present_name_wins(caplog: pytest.LogCaptureFixture) -> None:
    assert load({"WHENCE_WORKERS": "3", "WHEREFROM_WORKERS": "4"}).workers == 4
    assert not caplog.records


def test_the_former_settings_file_and_collection_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}).collection == "photos.wherefrom"
    (tmp_path / "photos.whence").mkdir()
    (tmp_path / "whence.toml").write_text("workers = 2\n")
    assert load({}).collection == "photos.whence"
    assert load({}).workers == 2
    (tmp_path / "photos.wherefrom").mkdir()
    (tmp_path / "wherefrom.toml").write_text("workers = 5\n")
    assert load({}).collection == "photos.wherefrom"
    assert load({}).workers == 5


def test_models_downloaded_before_are_found(tmp_path: Path) -> None:
    said = {"XDG_CACHE_HOME": str(tmp_path)}
    assert default_directory(said) == tmp_path / "wherefrom" / "models"
    (tmp_path / "whence").mkdir()
    assert default_directory(said) == tmp_path / "whence" / "models"
    (tmp_path / "wherefrom").mkdir()
    assert default_directory(said) == tmp_path / "wherefrom" / "models"


def test_keys_made_before_are_keys() -> None:
    rest = "_0123abcd_" + "s" * 43
    assert parts_of("whence" + rest) == parts_of("wherefrom" + rest) is not None
    assert parts_of("hence" + rest) is None


def test_a_collection_made_before_opens_as_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "old.whence"
    with wherefrom.open(directory, create=True) as photos:
        photos.add(encoded(picture(1)))
    (directory / MARKER).rename(directory / OLD_MARKER)
    before = (directory / OLD_MARKER).read_bytes()
    with wherefrom.open(directory) as photos:
        assert len(photos.search(encoded(picture(1)))) == 1
        assert photos.check() == []
        photos.add(encoded(picture(2)))
        photos.backup(tmp_path / "copy")
    assert (directory / OLD_MARKER).read_bytes() == before
    assert not (directory / MARKER).exists()
    with wherefrom.open(tmp_path / "copy") as photos:
        assert len(photos) == 2
    assert json.loads((tmp_path / "copy" / MARKER).read_bytes()) == json.loads(before)


def test_a_former_collection_is_not_indexed_as_pictures(tmp_path: Path) -> None:
    inside = tmp_path / "pictures" / "old.whence"
    inside.mkdir(parents=True)
    (inside / OLD_MARKER).write_text("{}")
    (inside / "a.jpg").write_bytes(b"x")
    with wherefrom.open(tmp_path / "c", create=True) as photos:
        assert photos.add(tmp_path / "pictures").offered == 0


def test_the_module_runs_and_says_a_former_setting_in_one_line(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHEREFROM_")}
    environment["WHENCE_COLLECTION"] = str(tmp_path / "none.whence")
    done = subprocess.run(
        [sys.executable, "-m", "wherefrom", "list"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr.count("WHENCE_COLLECTION is read as WHEREFROM_COLLECTION; please rename it.") == 1
    assert len(done.stderr.splitlines()) == 2, done.stderr
