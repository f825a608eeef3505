"""Acting on duplicates: nothing is lost, whatever changes, fails or is killed; all can be undone."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import folder_of
from wherefrom.acting import files
from wherefrom.acting.doing import Acted, steps
from wherefrom.acting.journal import FILE_NAME
from wherefrom.cli.main import run
from wherefrom.collection import Collection
from wherefrom.errors import Exit
from wherefrom.groups import Group

PLAIN = wherefrom.Settings(model="none", workers=1)


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=PLAIN) as opened:
        yield opened


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home's bin, on the disk of the pictures."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setenv("WHEREFROM_MODEL", "none")
    return tmp_path / "share" / "Trash"


@pytest.fixture
def folder(tmp_path: Path, photos: Collection) -> Path:
    """Two pictures, and a copy of each in `copies`, two of the first."""
    made = folder_of(tmp_path / "pictures", 2)
    (tmp_path / "pictures" / "copies").mkdir()
    for name, file in zip(
        ("a copy.jpg", "b copy.jpg", "c copy.jpg"), (made[0], made[1], made[0]), strict=True
    ):
        copy = tmp_path / "pictures" / "copies" / name
        copy.write_bytes(file.read_bytes())
        os.utime(copy, (2_000_000_000, 2_000_000_000))
    photos.add(tmp_path / "pictures")
    return tmp_path / "pictures"


def found(photos: Collection) -> list[Group]:
    return list(photos.duplicates(exact=True))


def content(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def why(acted: Acted) -> list[str]:
    return [one.why or "" for one in acted.passed]


def test_files_go_to_the_bin_and_come_back(photos: Collection, folder: Path, bin: Path) -> None:
    before = content(folder)
    acted = photos.act(found(photos), "trash")
    assert (len(acted.done), acted.passed) == (3, [])
    assert set(content(folder)) == {"picture 000.jpg", "picture 001.jpg"}
    assert {one.name for one in (bin / "files").iterdir()} == {"a copy.jpg", "b copy.jpg", "c copy.jpg"}
    note = (bin / "info" / "a copy.jpg.trashinfo").read_text()
    assert note.startswith("[Trash Info]\nPath=")
    assert "a%20copy.jpg\nDeletionDate=20" in note
    assert acted.freed == sum(one.stat().st_size for one in (bin / "files").iterdir())
    assert found(photos) == []
    assert all(sum(not one.gone for one in image.sightings) == 1 for image in photos.select())
    assert [one for _, one in photos.undo_acts()] == [None] * 3
    assert content(folder) == before
    assert (folder / "copies" / "a copy.jpg").stat().st_mtime == 2_000_000_000
    assert [*(bin / "files").iterdir(), *(bin / "info").iterdir()] == []
    assert sum(len(group.others) for group in found(photos)) == 3
    assert photos.undo_acts() == []


def test_names_in_the_bin_are_not_overwritten(photos: Collection, folder: Path, bin: Path) -> None:
    (bin / "files").mkdir(parents=True)
    (bin / "files" / "a copy.jpg").write_text("of somebody else")
    photos.act(found(photos), "trash")
    assert (bin / "files" / "a copy.jpg").read_text() == "of somebody else"
    assert (bin / "files" / "a copy 2.jpg").stat().st_size > 100
    photos.undo_acts()
    assert (folder / "copies" / "a copy.jpg").is_file()


def test_files_move_to_a_folder_as_they_lay(photos: Collection, folder: Path, tmp_path: Path) -> None:
    before = content(folder)
    away = tmp_path / "away"
    (away / "copies").mkdir(parents=True)
    (away / "copies" / "b copy.jpg").write_text("in the way")
    acted = photos.act(found(photos), "move", away)
    assert len(acted.done) == 3
    assert set(content(away)) == {f"copies/{name}.jpg" for name in ("a copy", "b copy", "b copy 2", "c copy")}
    assert (away / "copies" / "b copy.jpg").read_text() == "in the way"
    photos.undo_acts()
    assert content(folder) == before


def test_what_changed_is_passed_over(photos: Collection, folder: Path, bin: Path) -> None:
    groups = found(photos)
    copies = folder / "copies"
    data = (copies / "a copy.jpg").read_bytes()
    (copies / "a copy.jpg").write_bytes(data[:-1] + b"!")  # of the same size
    (copies / "c copy.jpg").unlink()
    (copies / "c copy.jpg").symlink_to(folder / "picture 000.jpg")
    (folder / "picture 001.jpg").write_bytes(b"overwritten")
    acted = photos.act(groups, "trash")
    assert acted.done == []
    assert sorted(why(acted)) == [
        "it has changed meanwhile",  # a link by now, and no file
        "it has changed since it was indexed",
        "the file to keep has changed since it was indexed",
    ]
    assert len(content(folder)) == 5
    (folder / "picture 000.jpg").unlink()
    assert any(
        "of the file to keep: it is not there any more" in one for one in why(photos.act(groups, "trash"))
    )
    assert not bin.exists()


def test_hard_links_are_made_and_parted_again(photos: Collection, folder: Path) -> None:
    before = content(folder)
    acted = photos.act(found(photos), "hardlink")
    assert len(acted.done) == 3
    assert (folder / "picture 000.jpg").stat().st_nlink == 3
    assert content(folder) == before
    assert found(photos) == []  # which frees nothing more
    assert len(photos.add(folder).known) == 5
    assert [one for _, one in photos.undo_acts()] == [None] * 3
    assert {one.stat().st_nlink for one in folder.rglob("*.jpg")} == {1}
    assert content(folder) == before
    assert (folder / "copies" / "a copy.jpg").stat().st_mtime == 2_000_000_000


def test_blocks_are_shared_where_the_file_system_can(photos: Collection, folder: Path) -> None:
    before = content(folder)
    acted = photos.act(found(photos), "reflink")
    assert content(folder) == before
    if acted.done:
        assert (folder / "copies" / "a copy.jpg").stat().st_mtime == 2_000_000_000
    else:
        assert set(why(acted)) == {"the file system cannot let files share what they hold"}
    assert not [name for name in content(folder) if files.MARK in name]


def test_only_the_same_bytes_are_linked(photos: Collection, folder: Path) -> None:
    from PIL import Image

    with Image.open(folder / "picture 000.jpg") as image:
        image.resize((image.width // 2, image.height // 2)).save(folder / "small.jpg")
    photos.add(folder)
    groups = list(photos.duplicates(parts=False))
    small = str(folder / "small.jpg")
    assert small in {one.place.path for group in groups for one in group.others if one.place}
    for way in ("hardlink", "reflink"):
        assert small not in {step.path for step in steps(groups, way)[0]}


def test_a_library_of_another_program_is_left_alone(photos: Collection, tmp_path: Path, bin: Path) -> None:
    (first,) = folder_of(tmp_path / "My.photoslibrary" / "originals", 1)
    (first.parent / "again.jpg").write_bytes(first.read_bytes())
    photos.add(tmp_path / "My.photoslibrary")
    plan, passed = steps(found(photos), "trash")
    assert plan == []
    assert [one.why for one in passed] == ["it lies in My.photoslibrary, which another program looks after"]


@pytest.mark.skipif(
    not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev,
    reason="two file systems are needed",
)
def test_another_disk(photos: Collection, folder: Path, bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(folder)
    other = Path("/tmp" if os.stat(folder).st_dev == os.stat("/dev/shm").st_dev else "/dev/shm")
    away = other / f"wherefrom-away-{os.getpid()}"
    try:
        acted = photos.act(found(photos), "move", away)
        assert len(acted.done) == 3
        assert (away / "copies" / "a copy.jpg").stat().st_mtime == 2_000_000_000
        photos.undo_acts()
        assert content(folder) == before
        assert [one for one in away.rglob("*") if one.is_file()] == []
        # The bin of a disk that is not the home's lies at its top; where none can be made, it is said.
        monkeypatch.setenv("XDG_DATA_HOME", str(away / "share"))
        acted = photos.act(found(photos), "trash")
        assert {one.now is not None and "/.Trash" in one.now for one in acted.done} <= {True}
        assert {one.why for one in acted.passed} <= {"there is no bin on its disk; give --move-to a folder"}
        photos.undo_acts()
        assert content(folder) == before
    finally:
        shutil.rmtree(away, ignore_errors=True)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_loses_nothing(
    photos: Collection, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The disk says no while the copy to another one is written."""

    def across(*_: object) -> None:
        raise OSError(errno.EXDEV, "across")

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    before, groups = content(folder), found(photos)
    monkeypatch.setattr(os, "rename", across)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    acted = photos.act(groups, "move", tmp_path / "away")
    assert acted.done == []
    assert len(set(why(acted))) == 1
    assert why(acted)[0] in files._WHY.values()
    assert content(folder) == before
    assert content(tmp_path / "away") == {}
    monkeypatch.undo()
    assert photos.undo_acts() == []


@pytest.mark.skipif(
    shutil.which("unshare") is None or os.geteuid() != 0, reason="a small disk has to be made"
)
def test_a_disk_that_is_full_or_only_read(photos: Collection, folder: Path, tmp_path: Path) -> None:
    """On real file systems, in a name space of their own."""
    before = content(folder)
    away, path = tmp_path / "away", tmp_path / "photos.wherefrom"
    away.mkdir()
    groups = len(found(photos))
    photos.close()
    act = f"{sys.executable} -m wherefrom duplicates --exact --move-to {away} --yes -c {path}"
    environment = os.environ | {"WHEREFROM_MODEL": "none"}
    for options, said in (
        ("size=16k", "there is no room left"),
        ("size=9m,ro", "what it lies on may only be read"),
    ):
        script = f"mount -t tmpfs -o {options} tmpfs {away} || exit 99; {act}"
        command = ["unshare", "-m", "sh", "-c", script]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if ended.returncode in (1, 99) and "passed" not in ended.stderr:
            pytest.skip("no file system can be mounted here")
        assert ended.returncode == Exit.SOME_FAILED, ended.stderr
        assert said in ended.stderr
        kept = content(folder)
        assert all(before[name] == data for name, data in kept.items())
        assert {"picture 000.jpg", "picture 001.jpg"} <= set(kept)
    assert groups == 2


KILLED = """
import os, signal, sys
import wherefrom
from wherefrom.acting import bin, files, journal
from wherefrom.collection import Collection
from wherefrom.engine.embedded import EmbeddedEngine

def dies(owner, name, after):
    real = getattr(owner, name)
    def stop(*arguments, **options):
        if after:
            real(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, stop)

place, way, instant, target = sys.argv[1:5]
with wherefrom.open(place, settings=wherefrom.Settings(model="none", workers=1)) as photos:
    groups = list(photos.duplicates(exact=True))
    photos.engine.mark_gone([])
    if instant == "rename":
        dies(os, "rename", True)
    elif instant == "before":
        dies(os, "rename" if way in ("trash", "move") else "link", False)
    elif instant == "link":
        dies(os, "link", True)
    elif instant == "half":
        dies(files, "_put", False)
    elif instant == "catalog":
        dies(journal.Journal, "done", True)
    photos.act(groups, way, target or None)
"""


@pytest.mark.parametrize(
    ("way", "instant"),
    [
        ("trash", "before"),
        ("trash", "rename"),
        ("trash", "catalog"),
        ("move", "before"),
        ("move", "rename"),
        ("hardlink", "before"),
        ("hardlink", "link"),
        ("hardlink", "catalog"),
    ],
)
def test_a_kill_at_any_instant_loses_nothing(
    photos: Collection, folder: Path, tmp_path: Path, bin: Path, way: str, instant: str
) -> None:
    before = content(folder)
    path = tmp_path / "photos.wherefrom"
    photos.close()
    target = str(tmp_path / "away") if way == "move" else ""
    command = [sys.executable, "-c", KILLED, str(path), way, instant, target]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with wherefrom.open(path, settings=PLAIN) as again:
        everywhere = [*content(folder).values(), *content(tmp_path / "away").values(), *content(bin).values()]
        assert sorted(data for data in everywhere if data[:2] == b"\xff\xd8" and data in before.values())
        assert sum(data in before.values() for data in everywhere) >= len(before)
        assert [one for _, one in again.undo_acts()] == [None]
        assert {name: data for name, data in content(folder).items() if files.MARK not in name} == before
        assert not [name for name in content(folder) if files.MARK in name]
        assert again.check() == []
        assert sum(len(group.others) for group in found(again)) == 3
    assert (path / FILE_NAME).is_file()


Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(photos: Collection, tmp_path: Path, capsys: pytest.CaptureFixture[str], bin: Path) -> Said:
    def tell(*options: str) -> tuple[int, str, str]:
        photos.close()
        code = run(["duplicates", *options, "-c", str(tmp_path / "photos.wherefrom")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return tell


def test_the_command_says_first_and_asks(folder: Path, said: Said) -> None:
    before = content(folder)
    code, out, err = said("--exact", "--trash", "--dry-run")
    assert code == Exit.OK
    assert f"{folder}/copies/a copy.jpg  (keeps {folder}/picture 000.jpg)" in out
    assert "3 files," in err
    assert "would be moved to the bin." in err
    code, _, err = said("--exact", "--trash")  # with nobody to ask
    assert code == Exit.USAGE
    assert "Nothing was done: there is nobody to ask. Give --yes to do it." in err
    assert content(folder) == before
    code, _, err = said("--exact", "--trash", "--yes")
    assert code == Exit.OK
    assert "moved to the bin. wherefrom duplicates --undo takes it back." in err
    assert len(content(folder)) == 2
    code, _, err = said("--undo")
    assert (code, err) == (Exit.OK, "3 files as before.\n")
    assert content(folder) == before
    assert said("--undo")[0] == Exit.NOTHING_FOUND
    assert said("--trash", "--hardlink")[0] == Exit.USAGE
    assert said("--yes")[0] == Exit.USAGE


def test_paths_for_other_programs(
    photos: Collection, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    odd = os.fsencode(folder) + b"/odd \xff\n copy.jpg"
    shutil.copy(os.fsencode(folder / "picture 001.jpg"), odd)
    photos.add(folder)
    place = str(photos.engine.directory)
    photos.close()
    ended = subprocess.run(
        [sys.executable, "-m", "wherefrom", "duplicates", "--exact", "--print0", "-c", place],
        capture_output=True,
        check=True,
        env=os.environ | {"WHEREFROM_MODEL": "none"},
    )
    assert odd in ended.stdout.split(b"\0")
    assert len(ended.stdout.split(b"\0")) == 4 + 1


def test_what_was_decided_is_remembered(photos: Collection, folder: Path, said: Said) -> None:
    from PIL import Image

    with Image.open(folder / "picture 000.jpg") as image:
        image.resize((image.width // 2, image.height // 2)).save(folder / "small.jpg", quality=60)
    photos.add(folder)
    first, small = (photos.find(folder / name)[0].id for name in ("picture 000.jpg", "small.jpg"))

    def members() -> dict[str, str]:
        with wherefrom.open(folder.parent / "photos.wherefrom", settings=PLAIN) as again:
            groups = list(again.duplicates(parts=False))
        return {one.place.path or "": one.suggestion for group in groups for one in group.others if one.place}

    path = str(folder / "small.jpg")
    assert path in members()
    assert said("--not-duplicates", first, path)[0] == Exit.OK
    assert path not in members()
    assert said("--undecide", first, small)[0] == Exit.OK
    assert path in members()
    assert said("--keep-both", first, small)[0] == Exit.OK
    assert members()[path] == "keep"
    with wherefrom.open(folder.parent / "photos.wherefrom", settings=PLAIN) as again:
        again.undecide([first, small])
        again.keep_both([first])
        left = {one.place and one.place.path for group in found(again) for one in group.others}
        assert left == {str(folder / "copies" / "b copy.jpg")}
    assert said("--not-duplicates", first, "sha256:" + "0" * 64)[0] == Exit.NOTHING_FOUND


def test_order_preference_and_filter(photos: Collection, folder: Path) -> None:
    (group,) = [
        one for one in photos.duplicates(exact=True, prefer=[folder / "copies"]) if len(one.others) == 2
    ]
    assert group.place is not None
    assert group.place.path is not None
    assert group.place.path.startswith(str(folder / "copies"))
    assert {one.place.path for one in group.others if one.place} >= {str(folder / "picture 000.jpg")}
    assert len(list(photos.duplicates(parts=False, filter='uri:"*picture%20000*"'))) == 1
    from wherefrom.preferring import ordered

    freed = [one.spare_bytes for one in ordered(photos.duplicates(exact=True), "bytes")]
    assert freed == sorted(freed, reverse=True)
