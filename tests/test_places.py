"""Places: links, moved files and disks that are away, in what is found, listed and told to go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import folder_of
from wherefrom import places
from wherefrom.cli.main import run
from wherefrom.collection import Collection
from wherefrom.groups import Group
from wherefrom.sources.folder import file_uri


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    plain = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=plain) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two pictures, 0.jpg and 1.jpg or so."""
    folder_of(tmp_path / "pictures", 2)
    return tmp_path / "pictures"


def quick(photos: Collection) -> list[Group]:
    return list(photos.duplicates(parts=False))


Told = Callable[..., str]


@pytest.fixture
def told(
    photos: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Told:
    """What the command line prints of the collection, on both streams."""

    monkeypatch.setenv("WHEREFROM_MODEL", "none")

    def tell(*command: str) -> str:
        photos.close()  # as the next command has to write
        run([*command, "-c", str(tmp_path / "photos.wherefrom")])
        printed = capsys.readouterr()
        return printed.out + printed.err

    return tell


def test_a_symbolic_link_is_the_place_of_its_file(photos: Collection, folder: Path) -> None:
    (first, _) = sorted(folder.iterdir())
    link = folder / "000.jpg"
    link.symlink_to(first.name)
    assert len(photos.add(folder).known) == 1
    assert quick(photos) == []
    (image,) = photos.find(first)
    assert [one.path for one in image.sightings] == [str(first), str(link)]
    assert image.sightings[0].link is None
    assert image.sightings[1].link == ("symbolic", file_uri(first))
    assert image.sightings[1].as_json()["link"] == {"kind": "symbolic", "uri": file_uri(first)}


def test_a_link_to_a_copy_frees_nothing_and_is_never_kept(photos: Collection, folder: Path) -> None:
    (first, _) = sorted(folder.iterdir())
    copy = folder / "zz copy.jpg"
    copy.write_bytes(first.read_bytes())
    (folder / "000.jpg").symlink_to(copy.name)  # which comes first in order of name
    photos.add(folder)
    (group,) = quick(photos)
    files = {str(first), str(copy)}
    assert group.place is not None
    assert group.place.path in files
    assert [one.place.path for one in group.others if one.place] == list(files - {group.place.path})
    assert group.spare_bytes == first.stat().st_size
    links = [*group.links, *(link for one in group.others for link in one.links)]
    assert [one.path for one in links] == [str(folder / "000.jpg")]


def test_names_of_one_file_are_one_place(photos: Collection, folder: Path) -> None:
    (first, second) = sorted(folder.iterdir())
    os.link(first, folder / "hard.jpg")
    (folder / "best").mkdir()
    (folder / "best" / "b.jpg").symlink_to(Path("..") / second.name)
    (folder.parent / "other way").symlink_to(folder)
    photos.add([folder / "best", folder, folder.parent / "other way"])
    assert quick(photos) == []
    (image,) = photos.find(first)
    assert [one.link and one.link.kind for one in image.sightings] == [
        None,
        "hard",
        "symbolic",
        "symbolic",
    ]
    (image,) = photos.find(second)
    assert image.path == str(second)


def test_a_link_whose_file_was_changed_is_no_copy_of_it(photos: Collection, folder: Path) -> None:
    (first, second) = sorted(folder.iterdir())
    (folder / "zz").mkdir()
    (folder / "zz" / "link.jpg").symlink_to(first)
    photos.add(folder)
    first.write_bytes(second.read_bytes())
    photos.add(first)  # and not the link, which is known by what was there
    (group,) = quick(photos)
    names = {one.place.path for one in group.others if one.place} | {group.place and group.place.path}
    assert names == {str(first), str(second)}


def test_a_folder_that_was_renamed_is_moved(photos: Collection, folder: Path) -> None:
    photos.add(folder)
    new = folder.rename(folder.parent / "new")
    (found,) = [match for match in photos.search(sorted(new.iterdir())[0]) if match.kind == "identical"]
    assert [one.there for one in found.sightings] == [False]
    report = photos.add(new)
    assert (len(report.known), report.moved, report.gone) == (2, 2, 2)
    (found,) = [match for match in photos.search(sorted(new.iterdir())[0]) if match.kind == "identical"]
    assert [(one.there, one.gone is None) for one in found.sightings] == [(True, True), (False, False)]
    assert found.path == str(sorted(new.iterdir())[0])
    assert found.uri == file_uri(found.path)
    assert quick(photos) == []
    new.rename(folder)
    assert photos.add(folder).moved == 2  # and back
    assert {one.path for image in photos.select() for one in image.sightings if not one.gone} == {
        str(one) for one in folder.iterdir()
    }


def test_a_collection_that_has_both_places_learns_of_it(photos: Collection, folder: Path) -> None:
    photos.add(folder)
    copies = folder.parent / "copies"
    copies.mkdir()
    for file in folder.iterdir():
        (copies / file.name).write_bytes(file.read_bytes())
    photos.add(copies)
    assert len(quick(photos)) == 2
    for file in folder.iterdir():
        file.unlink()
    assert quick(photos) == []  # asked before anything was indexed again
    report = photos.add(copies)
    assert (len(report.known), report.moved) == (2, 2)


def test_what_is_gone_is_neither_kept_nor_kept_for(photos: Collection, folder: Path, told: Told) -> None:
    from PIL import Image

    (first, _) = sorted(folder.iterdir())
    with Image.open(first) as image:
        image.save(folder / "larger.png")
        image.resize((image.width // 2, image.height // 2)).save(folder / "smaller.png")
    photos.add(folder)
    (group,) = quick(photos)
    assert len(group.others) == 2
    (folder / "larger.png").unlink()
    first.unlink()
    assert quick(photos) == []
    lines = told("list").splitlines()
    assert sum("[not there any more]" in line for line in lines) == 2


def test_the_command_line_says_what_is_gone(photos: Collection, folder: Path, told: Told) -> None:
    (first, second) = sorted(folder.iterdir())
    copies = [folder / f"copy {number}.jpg" for number in range(2)]
    for copy in copies:
        copy.write_bytes(first.read_bytes())
    photos.add(folder)
    assert "(+2 more)" in told("search", str(first))
    copies[0].unlink()
    assert "(+1 more)" in told("search", str(first))
    moved = second.rename(folder.parent / "moved.jpg")
    assert f"{second} [not there any more]" in told("search", str(moved))
    said = told("index", str(moved))
    assert "1 file is gone; it was marked as missing. It was met elsewhere." in said
    assert "not there" not in told("search", str(moved))


def test_a_disk_that_is_away_is_not_moved(
    photos: Collection, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = tmp_path / "media"
    disk = media / "disk"
    monkeypatch.setattr(places, "MOUNTS", (str(media),))
    (first, second) = sorted(folder.iterdir())
    (disk / "DCIM").mkdir(parents=True)
    (disk / "DCIM" / "a.jpg").write_bytes(first.read_bytes())
    photos.add([disk, folder])
    away = disk.rename(tmp_path / "in the drawer")
    assert photos.add(folder, prune=True).gone == 0
    assert photos.prune(disk) == 0
    (image,) = photos.find(first)
    assert [(one.path, one.there) for one in image.sightings] == [
        (str(first), True),
        (str(disk / "DCIM" / "a.jpg"), None),
    ]
    assert quick(photos) == []  # nothing is to go for the sake of it, and it cannot go
    away.rename(disk)
    (group,) = quick(photos)
    assert len(group.others) == 1
    assert second.exists()


def test_what_was_only_told_is_not_looked_for(photos: Collection, folder: Path, tmp_path: Path) -> None:
    from wherefrom.receiving import Upload

    (first, second) = sorted(folder.iterdir())
    secret = tmp_path / "secret"
    photos.receive(
        [Upload(first.read_bytes(), file_uri(secret)), Upload(second.read_bytes(), file_uri(second))]
    )
    for image in photos.select():
        (image,) = photos.find(image.id)
        assert [(one.there, one.link) for one in image.sightings] == [(None, None)]


def test_a_door_that_is_closed_hides_nothing_for_good(tmp_path: Path) -> None:
    assert places.standing("/proc/1/nothing of the kind").there in (None, False)
    assert places.is_away("/no such folder at the root/a.jpg")
    assert not places.is_away(str(tmp_path / "gone" / "a.jpg"))
    assert places.standing(str(tmp_path)).there is False  # a folder is no file
