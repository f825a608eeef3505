from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import folder_of
from wherefrom.cli.main import run
from wherefrom.collection import Collection
from wherefrom.engine.copying import UNFINISHED
from wherefrom.engine.originals import FOLDER as UPLOADS
from wherefrom.errors import CollectionError, CollectionMissing, UsageError


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few pages at a time that a small catalog takes several steps as well."""
    monkeypatch.setattr("wherefrom.engine.copying._PAGES", 3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("backup")
    folder_of(place / "pictures", 12)
    with wherefrom.open(place / "photos.wherefrom", create=True) as photos:
        photos.add(place / "pictures")
    kept = place / "photos.wherefrom" / UPLOADS / "ab"
    kept.mkdir(parents=True)
    (kept / "abcd").write_bytes(b"uploaded")
    (kept / "abce.new").write_bytes(b"uplo")
    (place / "photos.wherefrom" / "keys.db").write_bytes(b"secret")
    return place


def test_a_copy_opens_as_the_collection_it_was(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "copy"
    told: list[tuple[int, int]] = []
    with wherefrom.open(place / "photos.wherefrom") as photos:
        copied = photos.backup(target, progress=lambda done, total: told.append((done, total)))
        ids = [image.id for image in photos.select()]
    assert (copied.images, copied.files) == (12, 1)
    assert copied.bytes == sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    assert told[-1][0] == told[-1][1] > 0
    assert len(told) > 5
    there = {path.name for path in target.iterdir()}
    assert there == {"catalog.sqlite", "wherefrom.json", UPLOADS}  # no index, no keys, no lock, no note
    assert (target / UPLOADS / "ab" / "abcd").read_bytes() == b"uploaded"
    assert (target / "wherefrom.json").read_bytes() == (
        place / "photos.wherefrom" / "wherefrom.json"
    ).read_bytes()
    with wherefrom.open(target) as copy:
        assert [image.id for image in copy.select()] == ids
        assert copy.check() == []
        picture = next((place / "pictures").iterdir())
        assert copy.search(picture)[0].kind == "identical"
        assert copy.add(place / "pictures").known


def test_directories_of_no_use(place: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(place / "photos.wherefrom")
    with wherefrom.open(place / "photos.wherefrom") as photos:
        for path, words in (
            (tmp_path / "file", "is a file"),
            (tmp_path / "full", "There is something in"),
            (place / "photos.wherefrom", "inside the collection"),
            (place / "photos.wherefrom" / "x", "inside the collection"),
            (tmp_path / "link" / "x", "inside the collection"),
        ):
            with pytest.raises(UsageError, match=words):
                photos.backup(path)
        assert (tmp_path / "full" / "mine").read_text() == "x"
        photos.backup(tmp_path / "empty")
        with pytest.raises(UsageError, match="There is something in"):
            photos.backup(tmp_path / "empty")


def test_one_moment_is_copied_while_others_write(place: Path, tmp_path: Path) -> None:
    with wherefrom.open(tmp_path / "busy.wherefrom", create=True) as photos:
        photos.add(place / "pictures")
        ids = [image.id for image in photos.select()]
        over = threading.Event()

        def change() -> None:
            number = 0
            while not over.is_set():
                number += 1
                photos.attach(ids[number % len(ids)], a=number, b=number)

        writer = threading.Thread(target=change)
        writer.start()
        try:
            for number in range(5):
                # A pause within: without a snapshot the copying would begin anew, or be torn.
                photos.backup(tmp_path / f"copy {number}", progress=lambda *_: time.sleep(0.003))
        finally:
            over.set()
            writer.join()
    for number in range(5):
        with wherefrom.open(tmp_path / f"copy {number}") as copy:
            assert copy.check() == []
            assert all(image.fields.get("a") == image.fields.get("b") for image in copy.select())


def stopped(source: Path, target: Path, ready: int) -> None:
    def wait(*_: int) -> None:
        os.write(ready, b"x")
        time.sleep(60)

    with wherefrom.open(source) as photos:
        photos.backup(target, progress=wait)


def test_a_kill_leaves_nothing_that_looks_finished(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    reader, writer = os.pipe()
    process = multiprocessing.get_context("fork").Process(
        target=stopped, args=(place / "photos.wherefrom", target, writer)
    )
    process.start()
    os.read(reader, 1)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    os.close(reader)
    os.close(writer)
    assert (target / UNFINISHED).exists()
    with pytest.raises(CollectionMissing):
        wherefrom.open(target)
    with pytest.raises(CollectionError):
        wherefrom.open(target, create=True)
    with (
        wherefrom.open(place / "photos.wherefrom") as photos,
        pytest.raises(UsageError, match="never finished"),
    ):
        photos.backup(target)


@pytest.mark.parametrize("step", range(6))
def test_stopping_at_any_step_leaves_nothing_that_looks_finished(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Every write that lasts is a place at which a crash may come."""
    from wherefrom.engine import copying

    calls = 0

    def fails(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(copying, "sync", fails)
    monkeypatch.setattr(copying, "sync_directory", fails)
    target = tmp_path / "copy"
    with wherefrom.open(place / "photos.wherefrom") as photos:
        try:
            photos.backup(target)
        except CollectionError as error:
            assert "No space left" in str(error)  # noqa: PT017
        else:
            pytest.fail("it did not notice")
    if (target / "wherefrom.json").exists():
        with wherefrom.open(target) as copy:
            assert len(copy) == 12
            assert (target / UPLOADS / "ab" / "abcd").read_bytes() == b"uploaded"
    else:
        with pytest.raises(CollectionMissing):
            wherefrom.open(target)


def test_what_progress_raises_ends_it(place: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def enough(*_: int) -> None:
        raise Enough

    with wherefrom.open(place / "photos.wherefrom") as photos:
        with pytest.raises(Enough):
            photos.backup(tmp_path / "copy", progress=enough)
        assert len(photos) == 12


def test_the_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(place / "photos.wherefrom")
    assert run(["backup", str(tmp_path / "a"), "-c", source]) == 0
    assert "Copied 12 images and 1 uploaded file" in capsys.readouterr().err
    assert run(["backup", str(tmp_path / "a"), "-c", source]) == 2
    with sqlite3.connect(tmp_path / "a" / "catalog.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_sightings_labels_and_forgetting(tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 3)
    (tmp_path / "pictures" / "again.jpg").write_bytes(files[0].read_bytes())
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True) as photos:
        photos.add(tmp_path / "pictures")
        _forgetting(photos, files, (tmp_path / "pictures").as_uri())


def _forgetting(photos: Collection, files: list[Path], folder: str) -> None:
    every = photos.sightings().rows
    assert [at.uri for _, at in every] == sorted(at.uri for _, at in every)
    assert len(every) == 4
    walked, after = [], None
    while True:
        page = photos.sightings(folder + "/", after=after, limit=1)
        walked += page.rows
        if (after := page.next) is None:
            break
    assert walked == every
    assert photos.sightings("https://").rows == []
    before = photos.revision
    assert photos.forget(files[0].as_uri()) == 1  # seen elsewhere too: it stays
    assert len(photos) == 3
    assert [at.gone is None for _, at in photos.sightings(files[0].as_uri()).rows] == [False]
    assert photos.revision != before
    assert photos.forget(files[1].as_uri()) == 1
    assert len(photos) == 2
    assert photos.revision != before
    with pytest.raises(wherefrom.NotFound):
        photos.forget("file:///nothing")
    assert photos.check() == []
