"""Filepaths of a real collection: pages and counts against the plain list, forgetting and replacing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import encoded, folder_of, picture
from wherefrom.collection import Collection
from wherefrom.receiving import Upload
from wherefrom.server.compat import entries
from wherefrom.server.compat.filepaths import filepaths_of, uri_of
from wherefrom.server.compat.reading import MOST_TEXT


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven images: some in several places, some in none, some gone from one, some that are files."""
    path = tmp_path_factory.mktemp("made")
    with wherefrom.open(path / "logos", create=True) as opened:
        for number in range(9):
            data = encoded(picture(number, 200, 150))
            places = [uri_of(f"{number}/{place}") for place in range(number % 4)]
            opened.receive([Upload(data, uri=uri) for uri in places] or [Upload(data)])
        opened.add(folder_of(path / "files", 2, 20))
        entries.forget(opened, "3/1")
    return path / "logos"


@pytest.fixture
def logos(made: Path, tmp_path: Path) -> Iterator[Collection]:
    """A copy of it for each test."""
    with wherefrom.open(shutil.copytree(made, tmp_path / "logos")) as opened:
        yield opened


def plain(collection: Collection) -> list[str]:
    return [
        path
        for image in collection.select()
        for path in filepaths_of(image.id, [place.as_json() for place in image.sightings])
    ]


def test_pages_are_parts_of_the_list_and_the_count_is_its_length(logos: Collection) -> None:
    whole = plain(logos)
    assert entries.count(logos) == len(whole) == 16
    for start in range(len(whole) + 2):
        assert entries.page(logos, start, None) == (whole[start:], False)
        for end in range(start, len(whole) + 3):
            assert entries.page(logos, start, end) == (whole[start:end], False), (start, end)


def test_an_empty_collection(tmp_path: Path) -> None:
    with wherefrom.open(tmp_path / "empty", create=True) as opened:
        assert (entries.count(opened), entries.page(opened, 0, 5), entries.page(opened, 2, None)) == (
            0,
            ([], False),
            ([], False),
        )


def test_a_list_is_cut_where_it_grows_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wherefrom.open(tmp_path / "many", create=True) as opened:
        data = encoded(picture(1, 60, 40))
        opened.receive([Upload(data, f"https://a.test/{n:03}{'x' * 8000}") for n in range(160)])
        whole = plain(opened)
        assert len(whole) == 160
        seen: list[str] = []
        is_cut = True
        while is_cut:
            some, is_cut = entries.page(opened, len(seen), None)
            assert sum(map(len, some)) <= MOST_TEXT
            seen += some
        assert seen == whole
        monkeypatch.setattr(entries, "MOST_LISTED", 7)
        assert entries.page(opened, 3, None) == (whole[3:10], True)
        assert entries.page(opened, 153, None) == (whole[153:], False)


def test_a_filepath_is_forgotten_alone_and_the_last_takes_the_image(logos: Collection) -> None:
    (identifier,) = entries.at(logos, "2/0")
    assert entries.at(logos, "2/1") == [identifier]
    assert entries.forget(logos, "2/0")
    assert not entries.forget(logos, "2/0")
    assert entries.at(logos, "2/0") == []
    assert len(logos) == 11
    assert entries.forget(logos, "2/1")
    assert len(logos) == 10


def test_images_without_a_place_go_by_their_id(logos: Collection) -> None:
    (identifier,) = (path for path in plain(logos)[:1])
    assert identifier.startswith("sha256:")
    assert entries.at(logos, identifier) == [identifier]
    assert entries.forget(logos, identifier)
    assert not entries.forget(logos, identifier)


def test_only_images_whose_last_place_was_taken_are_removed(logos: Collection) -> None:
    one, other = entries.at(logos, "1/0"), entries.at(logos, "2/0")
    for path in ("1/0", "2/0"):
        logos.receive([Upload(encoded(picture(50)), uri=uri_of(path))])
    entries.remove_unseen(logos, [*one, *other])
    assert logos.find(one[0]) == []
    assert entries.at(logos, "2/1") == other
