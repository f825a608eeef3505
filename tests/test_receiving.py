"""Uploads: added with their bytes, found by their pixels, listed, and gone with all that is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenes import encoded, folder_of, picture
from wherefrom.collection import Collection, open_collection
from wherefrom.errors import CollectionError, NotFound, UsageError
from wherefrom.outcome import Outcome, Status
from wherefrom.receiving import Upload
from wherefrom.settings import Settings


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    with open_collection(tmp_path / "c", create=True, settings=Settings(model="none", workers=1)) as made:
        yield made


def kept(photos: Collection, tmp_path: Path) -> set[str]:
    return {"sha256:" + path.name for path in (tmp_path / "c" / "originals").rglob("*") if path.is_file()}


def test_an_upload_is_looked_at_by_its_pixels_and_read_again(photos: Collection, tmp_path: Path) -> None:
    data = encoded(picture(1))
    (outcome,) = photos.receive([Upload(data)])
    assert (outcome.status, outcome.uri) == (Status.ADDED, outcome.id)
    assert outcome.id is not None
    assert photos.original(outcome.id) == data
    assert photos.get(outcome.id).sightings == ()
    (match,) = photos.search(encoded(picture(1).crop((30, 20, 380, 280))))
    assert match.evidence.agreement is not None
    assert photos.search(outcome.id)[0].kind == "identical"
    assert photos.rebuild() == []
    photos.remove(outcome.id)
    assert kept(photos, tmp_path) == set()
    with pytest.raises(NotFound):
        photos.original(outcome.id)


def test_places_and_fields_come_with_it(photos: Collection) -> None:
    uploads = [
        Upload(encoded(picture(1)), uri="https://a.org/1.jpg", page="https://a.org/", title="One", alt="1"),
        Upload(encoded(picture(2)), name="two words.jpg", fields={"price": 2.0}),
        Upload(encoded(picture(3)), title="Three"),
    ]
    told: dict[int, Outcome] = {}
    outcomes = photos.receive(uploads, lambda number, outcome: told.update({number: outcome}))
    assert [told[n] for n in range(3)] == outcomes
    images = [photos.get(str(one.id)) for one in outcomes]
    assert images[0].sightings[0].page == "https://a.org/"
    assert images[1].sightings[0].uri == f"upload://{outcomes[1].id[7:23]}/two%20words.jpg"  # type: ignore[index]
    assert images[1].fields == {"price": 2.0}
    assert images[2].sightings[0].title == "Three"
    assert [image.id for image in photos.select('name:"two words"')] == [images[1].id]


def test_check_and_backup_look_at_uploads(photos: Collection, tmp_path: Path) -> None:
    outcomes = photos.receive([Upload(encoded(picture(n))) for n in (1, 2, 3)])
    assert photos.check() == []
    assert photos.backup(tmp_path / "sound").damaged == ()
    first, second, third = (str(outcome.id) for outcome in outcomes)
    files = {path.name: path for path in (tmp_path / "c" / "originals").rglob("*") if path.is_file()}
    data = bytearray(files[first[7:]].read_bytes())
    data[-9] ^= 1
    files[first[7:]].write_bytes(data)
    files[second[7:]].unlink()
    wrong, gone = sorted(photos.check(), key=lambda said: second in said)
    assert "is damaged" in wrong
    assert f"wherefrom remove {first}" in wrong
    assert "is gone" in gone
    assert f"wherefrom remove {second}" in gone
    copied = photos.backup(tmp_path / "copy")
    assert copied.files == 2
    assert copied.damaged == (f"originals/{first[7:9]}/{first[7:]}",)
    photos.remove(first)
    photos.remove(second)
    assert photos.check() == []
    assert photos.get(third).id == third


def test_each_upload_has_its_outcome(photos: Collection, tmp_path: Path) -> None:
    one = encoded(picture(1))
    uploads = [
        Upload(one),
        Upload(b"no picture"),
        Upload(one),
        Upload(b""),
        Upload(encoded(picture(2))[:500]),
    ]
    outcomes = photos.receive(uploads)
    assert [outcome.status.value for outcome in outcomes] == ["added", "skipped", "known", "failed", "failed"]
    assert kept(photos, tmp_path) == {outcomes[0].id}
    with pytest.raises(UsageError):
        photos.receive([Upload(encoded(picture(3))), Upload(encoded(picture(4)), fields={"width": 1})])
    assert len(photos) == 1


def test_nothing_is_added_whose_bytes_cannot_be_kept(photos: Collection, tmp_path: Path) -> None:
    (tmp_path / "c" / "originals").write_text("in the way")
    with pytest.raises(CollectionError, match="could not be kept"):
        photos.receive([Upload(encoded(picture(1)))])
    assert len(photos) == 0


def test_uploads_come_in_while_a_folder_is_indexed(photos: Collection, tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 12)
    thread = threading.Thread(target=lambda: photos.add(files))
    thread.start()
    for n in range(5):
        photos.receive([Upload(encoded(picture(50 + n)))])
    thread.join()
    assert len(photos) == 17
    assert photos.check() == []


def test_what_a_crash_leaves_is_swept(photos: Collection, tmp_path: Path) -> None:
    (outcome,) = photos.receive([Upload(encoded(picture(1)))])
    stray = tmp_path / "c" / "originals" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"never committed")
    assert photos.sweep() == 1
    assert kept(photos, tmp_path) == {outcome.id}


def test_images_are_listed_a_page_at_a_time(photos: Collection) -> None:
    sizes = [(300, 200), (100, 100), (200, 300), (400, 300)]
    for n, (width, height) in enumerate(sizes):
        photos.receive([Upload(encoded(picture(n, width, height)), name=f"n{n} 100%_x.jpg")])
    by_size = [sizes[0], sizes[2]]
    for sort, wanted in {
        "added": sizes[::-1],
        "smallest": [sizes[1], *by_size, sizes[3]],
        "biggest": [sizes[3], *by_size[::-1], sizes[1]],
    }.items():
        seen, after = [], None
        while True:
            page = photos.page(sort=sort, limit=3, after=after)
            seen += [(image.width, image.height) for image in page.images]
            if (after := page.next) is None:
                break
        assert (seen, page.total) == (wanted, 4), sort
    assert photos.page(words="N2 jpg").total == 1
    assert photos.page(words="100%").total == 4
    assert photos.page(words="n%x").total == 0
    assert photos.page("width>=300", words="jpg", sort="oldest").total == 2
    first = photos.page(limit=2)
    photos.remove(first.images[-1].id)  # the next page goes on where it was
    rest = photos.page(limit=2, after=first.next)
    assert len(rest.images) == 1 or rest.images[0].id not in {image.id for image in first.images}
    for wrong in ({"sort": "x"}, {"limit": 0}, {"words": "a " * 13}, {"filter": "("}):
        with pytest.raises(UsageError):
            photos.page(**wrong)


def test_of_several_uploads_only_the_one_with_too_many_fields_is_refused(photos: Collection) -> None:
    """They are committed together; whose fields are too many takes no other with it, and says so alone."""
    many = {f"name{number}": 1.0 for number in range(65)}
    first, second, third = photos.receive(
        [
            Upload(encoded(picture(1)), name="a.jpg", fields={"price": 1.0}),
            Upload(encoded(picture(2)), name="b.jpg", fields=many),
            Upload(encoded(picture(3)), name="c.jpg", fields={"price": 3.0}),
        ]
    )
    assert [one.status for one in (first, second, third)] == [Status.ADDED, Status.FAILED, Status.ADDED]
    assert second.code == UsageError.code
    assert "64 fields" in str(second.reason)
    assert {image.fields["price"] for image in photos.select()} == {1.0, 3.0}
    assert len(list((photos.engine.directory / "originals").rglob("*.new"))) == 0
    assert sum(path.is_file() for path in (photos.engine.directory / "originals").rglob("*")) == 2
    assert photos.check() == []
