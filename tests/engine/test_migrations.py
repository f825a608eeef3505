"""A collection that an early version made opens, migrates once, and loses nothing."""

from __future__ import annotations

import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wherefrom.collection import open_collection
from wherefrom.engine.catalog import Catalog
from wherefrom.engine.migrations import STEPS, applied
from wherefrom.settings import Settings

MADE = Path(__file__).with_name("collection-0.1.zip")
PLAIN = Settings(model="none", workers=1)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What version 0.1 made: five pictures, one in two places, one gone, two uploads, one removed, fields."""
    with zipfile.ZipFile(MADE) as archive:
        archive.extractall(tmp_path / "c")  # our own
    return tmp_path / "c"


def steps(directory: Path) -> list[str]:
    with closing(Catalog(directory)) as catalog, catalog._database.reading() as connection:
        return applied(connection)


def test_nothing_is_lost(old: Path) -> None:
    expected: list[dict[str, Any]] = json.loads((old / "expected.json").read_text())
    assert len(expected) == 5
    for _ in range(2):  # it migrates once, and opens as it is from then on
        with open_collection(old, settings=PLAIN) as photos:
            told = [image.as_json() for image in photos.select()]
            for now, then in zip(told, expected, strict=True):
                seen = {one["uri"]: one for one in now["sightings"]}  # type: ignore[attr-defined]
                assert {name: now[name] for name in then if name != "sightings"} == {
                    name: value for name, value in then.items() if name != "sightings"
                }
                assert len(seen) == len(then["sightings"])
                for sighting in then["sightings"]:
                    assert {name: seen[sighting["uri"]][name] for name in sighting} == sighting
            uploaded = [one for one in expected if one["fields"] or not one["sightings"]]
            assert photos.original(uploaded[-1]["id"]).startswith(b"\xff\xd8")
            assert photos.check() == []
            (gone,) = (at for _, at in photos.sightings().rows if at.gone is not None)
            assert gone.uri.endswith("/2.jpg")
    assert steps(old) == [name for name, _ in STEPS]


def test_its_uploads_owe_their_files(old: Path) -> None:
    with open_collection(old, settings=PLAIN) as photos:
        assert photos.check() == []
        kept = [path for path in (old / "originals").rglob("*") if path.is_file()]
        assert len(kept) == 2
        kept[0].unlink()
        (problem,) = photos.check()
        assert "is gone" in problem


def test_it_is_searched_and_grows(old: Path) -> None:
    with open_collection(old, settings=PLAIN) as photos:
        upload = next(path for path in (old / "originals").rglob("*") if path.is_file())
        assert photos.search(upload.read_bytes())[0].kind == "identical"
        changes = photos.changes(None)
        assert (len(changes.added), changes.seen) == (5, [])
        photos.remove(changes.added[0])
        assert photos.changes(changes.cursor).removed == 1
        assert photos.check() == []
