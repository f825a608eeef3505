"""Leaving out: innards of other programs, junk, and patterns as git understands them."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import wherefrom
from tests.scenes import folder_of
from wherefrom.cli.main import run
from wherefrom.collection import Collection
from wherefrom.sources.folder import FoundFile, path_of, walk
from wherefrom.sources.leaving import LeavingOut, innards, library_of

INNARDS = (
    "2019/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
    ".thumbnails/large/a.png",
    ".cache/thumbnails/large/a.png",
    "Photos Library.photoslibrary/resources/derivatives/1.jpg",
    "Photos Library.photoslibrary/database/x.db",
    "old.aplibrary/Previews/1.jpg",
    "Lightroom Previews.lrdata/A/1.jpg",
    ".picasaoriginals/a.jpg",
    ".stversions/a.jpg",
    "$RECYCLE.BIN/S-1-5/a.jpg",
    ".Trash-1000/files/a.jpg",
    ".Trash/a.jpg",
    ".git/a.jpg",
    "site/node_modules/x/icon.png",
    "__MACOSX/._a.jpg",
    "lost+found/#1",
    "System Volume Information/a",
)
JUNK = (
    ".DS_Store",
    "Thumbs.db",
    "2019/desktop.ini",
    "._a.jpg",
    "a.xmp",
    "a.jpg.xmp",
    "IMG_1.AAE",
    ".wherefromignore",
)
PICTURES = (
    "a.jpg",
    "2019/thumbnails/a.jpg",
    "Photos Library.photoslibrary/originals/1/1.heic",
    "iPhoto.photolibrary/Masters/2012/a.jpg",
    "cache/a.jpg",
    "trash/a.jpg",
    "git/a.jpg",
)


def made(root: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def kept(root: Path, leaving: LeavingOut) -> set[str]:
    return {
        str(Path(one.path).relative_to(root))
        for one in walk(root, leaving=leaving)
        if isinstance(one, FoundFile)
    }


def test_innards_and_junk_are_left_out_and_every_file_is_told(tmp_path: Path) -> None:
    made(tmp_path, (*INNARDS, *JUNK, *PICTURES))
    every = list(walk(tmp_path, leaving=LeavingOut()))
    assert {path_of(one.uri) for one in every} == {
        str(tmp_path / name) for name in (*INNARDS, *JUNK, *PICTURES)
    }
    assert len(every) == len(INNARDS) + len(JUNK) + len(PICTURES)
    assert kept(tmp_path, LeavingOut()) == set(PICTURES)
    assert Counter(
        getattr(one, "error", None) and one.error.code for one in every if not isinstance(one, FoundFile)
    ) == {"excluded": len(INNARDS) + len(JUNK)}
    assert len(kept(tmp_path, LeavingOut(defaults=False))) == len(every)


def test_a_folder_that_is_named_is_walked_whatever_it_is_called(tmp_path: Path) -> None:
    made(
        tmp_path,
        (
            ".cache/thumbnails/large/a.png",
            "My.photoslibrary/originals/1.jpg",
            "My.photoslibrary/private/2.jpg",
        ),
    )
    assert kept(tmp_path / ".cache" / "thumbnails", LeavingOut()) == {"large/a.png"}
    assert kept(tmp_path / "My.photoslibrary", LeavingOut()) == {"originals/1.jpg"}


def test_innards_are_known_by_their_path() -> None:
    for name in INNARDS:
        if "._" not in name:
            assert innards(f"/home/anna/{name}"), name
    for name in PICTURES:
        assert innards(f"/home/anna/{name}") is None, name
    assert (
        library_of("/home/anna/Photos Library.photoslibrary/originals/1.heic")
        == "Photos Library.photoslibrary"
    )
    assert library_of("/home/anna/photoslibrary/1.heic") is None


LINES = """
# a comment
*.png
!keep.png
/top.jpg
copies/
sub/*.gif
**/deep/x.jpg
a/**/z.jpg
[ab]1.jpg
[!ab]2.jpg
odd\\ name.jpg
\\#hash.jpg
\\!bang.jpg
what?.jpg
trailing.jpg\x20\x20
**/end
abc/**
bad[.jpg
"""
TREE = (
    *("a.png", "keep.png", "x/keep.png", "top.jpg", "x/top.jpg", "copies/1.jpg"),
    *("x/copies/1.jpg", "x/sub/a.gif", "b/z.jpg", "sub/a.gif", "sub/y/a.gif", "deep/x.jpg"),
    *("q/r/deep/x.jpg", "a/z.jpg", "a/b/z.jpg", "a/b/c/z.jpg", "a1.jpg", "c1.jpg"),
    *("a2.jpg", "c2.jpg", "odd name.jpg", "#hash.jpg", "!bang.jpg", "what1.jpg"),
    *("what.jpg", "trailing.jpg", "p/end/1.jpg", "abc/1.jpg", "abc/d/1.jpg", "x/abc/1.jpg"),
    *("bad[.jpg", "copies.jpg", "ä.jpg"),
)  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git is what patterns are held to")
def test_patterns_are_those_of_git(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    made(root, TREE)
    (root / "x" / ".gitignore").write_text("!sub/\n*.gif\n!/abc\nq*\n")
    (root / ".gitignore").write_text(LINES)
    for file in (root / ".gitignore", root / "x" / ".gitignore"):
        (file.parent / ".wherefromignore").write_bytes(file.read_bytes())
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    command = ["git", "-C", str(root), "check-ignore", "-z", "--stdin", "--no-index"]
    out = subprocess.run(command, input="\0".join(TREE).encode(), capture_output=True, check=False).stdout
    ignored = {name for name in out.decode().split("\0") if name}
    found = {name for name in kept(root, LeavingOut()) if name in TREE}
    assert set(TREE) - found == ignored
    assert 15 < len(ignored) < len(TREE)


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    plain = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=plain) as opened:
        yield opened


def test_what_was_in_before_stays_until_it_is_pruned(photos: Collection, tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures" / "@eaDir", 2)
    folder_of(tmp_path / "pictures" / "mine", 1, first=40)
    everything = photos.add(tmp_path / "pictures", default_excludes=False)
    assert len(everything.added) == 3
    report = photos.add(tmp_path / "pictures")
    assert ([len(report.known), len(report.skipped)], report.offered, len(photos)) == ([1, 2], 3, 3)
    report = photos.add(tmp_path / "pictures", prune=True)
    assert (report.taken_out, report.gone, len(photos)) == (2, 0, 1)
    report = photos.add(tmp_path / "pictures", exclude=["mine/"], prune=True)
    assert (report.taken_out, report.offered, len(photos)) == (1, 3, 0)


def test_thumbnails_that_are_in_are_never_told_to_go(photos: Collection, tmp_path: Path) -> None:
    (file,) = folder_of(tmp_path / "pictures", 1)
    thumbs = tmp_path / "pictures" / "@eaDir" / file.name
    thumbs.mkdir(parents=True)
    (thumbs / "SYNOPHOTO_THUMB_XL.jpg").write_bytes(file.read_bytes())
    photos.add(tmp_path / "pictures", default_excludes=False)
    assert list(photos.duplicates(parts=False)) == []


def test_the_command_line_says_in_one_line_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEREFROM_MODEL", "none")
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "pictures", 1)
    made(tmp_path / "pictures", (".DS_Store", "Thumbs.db", "._a.jpg", "copy of a.jpg"))
    (tmp_path / "pictures" / "note.txt").write_text("not a picture")
    (tmp_path / "pictures" / "a.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ")
    run(["index", "pictures", "--exclude", "copy*"])
    said = capsys.readouterr().err
    assert "left out: 3 files of other programs, 1 file by patterns" in said
    assert "1 video: not read" in said
    assert "note.txt" in said
    assert "DS_Store" not in said
    run(["index", "pictures", "--exclude", "copy*"])
    said = capsys.readouterr().err
    assert "2 refused as before" in said
    assert "note.txt" not in said
    run(["index", "pictures", "--exclude", "copy*", "-v"])
    assert "note.txt" in capsys.readouterr().err
    run(["index", "pictures", "--exclude", "copy*", "-q"])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")
    run(["index", "pictures", "-q"])
    assert "copy of a.jpg" in capsys.readouterr().err  # is empty: it failed for the first time
