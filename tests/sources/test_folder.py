"""Walking a disk: every file once, whatever its name; a reason for what cannot be looked at; no loops."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherefrom.engine.embedded import MARKER
from wherefrom.errors import Unreadable
from wherefrom.records import FileStamp
from wherefrom.sources.folder import FoundFile, Unopened, file_uri, is_collection, path_of, walk
from wherefrom.sources.leaving import LeavingOut

# What a file name can hold: any bytes but zero and the slash, up to 255 of them.
NAMES = st.binary(min_size=1, max_size=255).map(lambda raw: raw.replace(b"\0", b"0").replace(b"/", b"s"))
PATHS = st.lists(NAMES.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=5).map(b"/".join)


def found(root: Path | str) -> list[str]:
    """Paths of the files below, relative to the root, in the order they come."""
    return [os.path.relpath(one.path, root) for one in walk(root) if isinstance(one, FoundFile)]


def reasons(root: Path | str) -> dict[str, str]:
    """Why things below the root could not be looked at."""
    return {one.uri: str(one.error) for one in walk(root) if isinstance(one, Unopened)}


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))


# URIs


@given(PATHS)
def test_any_path_survives_as_a_uri(raw: bytes) -> None:
    path = os.fsdecode(b"/" + raw)
    uri = file_uri(path)
    assert path_of(uri) == path
    assert uri.isascii()
    assert uri.isprintable()
    assert not set(uri) & set(' "<>\\^`{|}%?#') - {"%"}
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    assert os.fsdecode(unquote_to_bytes(parts.path)) == path


@given(PATHS, PATHS)
def test_two_paths_are_two_uris(one: bytes, other: bytes) -> None:
    assert (file_uri(os.fsdecode(b"/" + one)) == file_uri(os.fsdecode(b"/" + other))) == (one == other)


def test_uris_read_as_people_expect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert file_uri("/photos/2024 May/a+b.jpg") == "file:///photos/2024%20May/a+b.jpg"
    assert file_uri("/größe.jpg") == "file:///gr%C3%B6%C3%9Fe.jpg"
    assert file_uri("/100%.jpg") == "file:///100%25.jpg"
    assert file_uri("/") == "file:///"
    monkeypatch.chdir(tmp_path)
    assert file_uri("a/../b.jpg") == file_uri(tmp_path / "b.jpg")


@pytest.mark.parametrize(
    "uri", ["", "/a.jpg", "https://x/a.jpg", "file:", "file://", "file://server/share/a.jpg", "FILE"]
)
def test_what_is_no_path_here(uri: str) -> None:
    assert path_of(uri) is None


def test_a_uri_may_name_this_machine() -> None:
    assert path_of("file://localhost/a%20b.jpg") == "/a b.jpg"


# Walking


def test_every_file_in_order(tmp_path: Path) -> None:
    make(
        tmp_path,
        "b.jpg",
        "a.txt",
        "c/z.jpg",
        "c/a/deep",
        "B",
        "c/b.jpg",
        "d/e/f/g/h",
        ".hidden/x",
        "no extension",
    )
    (tmp_path / "empty folder").mkdir()
    assert found(tmp_path) == [
        "B",
        "a.txt",
        "b.jpg",
        "no extension",
        ".hidden/x",
        "c/b.jpg",
        "c/z.jpg",
        "c/a/deep",
        "d/e/f/g/h",
    ]
    assert reasons(tmp_path) == {}


def test_stamps_and_uris_are_those_of_the_file(tmp_path: Path) -> None:
    make(tmp_path, "some folder/ü & %.jpg")
    (one,) = walk(tmp_path)
    assert isinstance(one, FoundFile)
    status = os.stat(one.path)
    assert one.stamp == FileStamp(status.st_size, status.st_mtime_ns)
    assert one.uri == file_uri(one.path)
    assert list(walk(one.path)) == [one]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        NAMES.filter(lambda name: len(name) < 200 and name not in (b".", b"..")),
        min_size=1,
        max_size=8,
        unique=True,
    )
)
def test_names_of_any_bytes(names: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as made:
        root = os.fsencode(made)
        for name in names:
            Path(os.fsdecode(root + b"/" + name)).touch()
        ones = [one for one in walk(made) if isinstance(one, FoundFile)]
        assert {os.fsencode(one.path) for one in ones} == {root + b"/" + name for name in names}
        for one in ones:
            assert one.uri == file_uri(one.path)
            assert path_of(one.uri) == one.path


def test_a_file_itself_may_be_given(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "link").symlink_to("a.jpg")
    assert [one.uri for one in walk(tmp_path / "a.jpg")] == [file_uri(tmp_path / "a.jpg")]
    assert [one.uri for one in walk(tmp_path / "link")] == [file_uri(tmp_path / "link")]


def test_the_root_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a b.jpg", "c")
    true = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: true(tmp_path if path == "/" else path))
    assert [one.uri for one in walk("/")] == ["file:///a%20b.jpg", "file:///c"]


def test_what_is_not_there(tmp_path: Path) -> None:
    for path in (
        tmp_path / "gone",
        str(tmp_path) + "/nul\0byte",
        tmp_path / ("x" * 300),
        tmp_path / "a" / "b",
    ):
        (one,) = walk(path)
        assert isinstance(one, Unopened)
        assert isinstance(one.error, Unreadable)
        assert one.uri == file_uri(path)
        assert str(one.error).startswith(("It cannot be opened: ", "No such file."))


def test_pipes_and_sockets_and_devices(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "null").symlink_to(os.devnull)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        told = reasons(tmp_path)
    assert set(told) == {file_uri(tmp_path / name) for name in ("pipe.jpg", "null", "socket")}
    assert set(told.values()) == {"This is a device, a pipe or a socket, not a file."}
    assert found(tmp_path) == ["a.jpg"]


# Links


def test_links_to_files_count_under_their_own_name(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "z.jpg").symlink_to("a.jpg")
    assert found(tmp_path) == ["a.jpg", "z.jpg"]
    first, second = walk(tmp_path)
    assert isinstance(first, FoundFile)
    assert isinstance(second, FoundFile)
    assert first.stamp == second.stamp


def test_broken_links_and_links_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    told = reasons(tmp_path)
    assert told.pop(file_uri(tmp_path / "broken")) == "This link leads to nothing."
    assert len(told) == 3
    assert all("symbolic links" in reason for reason in told.values())
    # What is to be left out is looked at first: that ends no walk either.
    found = list(walk(tmp_path, leaving=LeavingOut()))
    assert [type(one) for one in found] == [Unopened] * 4


def test_loops_of_links_end(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c.jpg", "a/d.jpg")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / "other").symlink_to("a/b")
    assert found(tmp_path) == ["a/d.jpg", "a/b/c.jpg"]


def test_a_file_keeps_its_own_path_whatever_points_there(tmp_path: Path) -> None:
    make(tmp_path, "pictures/2024/a.jpg")
    (tmp_path / "all").symlink_to("pictures")
    (tmp_path / "pictures" / "1-latest").symlink_to("2024")
    assert found(tmp_path) == ["pictures/2024/a.jpg"]


def test_links_that_lead_out_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "outside/x.jpg", "outside/deep/y.jpg", "root/a.jpg")
    for name in ("first", "second"):
        (tmp_path / "root" / name).symlink_to(tmp_path / "outside")
    assert found(tmp_path / "root") == ["a.jpg", "first/x.jpg", "first/deep/y.jpg"]


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    make(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert [one.uri for one in walk(tmp_path / "link")] == [file_uri(tmp_path / "link" / "a.jpg")]


# What cannot be read


def refusing(monkeypatch: pytest.MonkeyPatch, refused: Path, error: Callable[[str], OSError]) -> None:
    true = os.scandir

    def scandir(path: str) -> object:
        if path == str(refused):
            raise error(path)
        return true(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_cannot_be_read_does_not_stop_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a/x.jpg", "b/y.jpg", "c/z.jpg")
    refusing(monkeypatch, tmp_path / "b", lambda path: PermissionError(13, "Permission denied", path))
    assert found(tmp_path) == ["a/x.jpg", "c/z.jpg"]
    assert reasons(tmp_path) == {file_uri(tmp_path / "b"): "You may not read this file."}


WALKER = """
import os, sys
from wherefrom.sources.folder import FoundFile, walk
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for one in walk(sys.argv[1]):
    print(one.uri, "found" if isinstance(one, FoundFile) else one.error)
"""


def test_permissions_as_a_user_without_them() -> None:
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)
        make(root, "a.jpg", "shut/x.jpg", "seen/y.jpg")
        (root / "shut").chmod(0o000)
        (root / "seen").chmod(0o444)  # its names can be listed, and nothing can be said of them
        walked = subprocess.run(
            [sys.executable, "-c", WALKER, made], capture_output=True, text=True, timeout=30, check=False
        )
        (root / "shut").chmod(0o755)
        (root / "seen").chmod(0o755)
    assert walked.stderr == ""
    assert walked.stdout.splitlines() == [
        f"{file_uri(root / 'a.jpg')} found",
        f"{file_uri(root / 'seen' / 'y.jpg')} You may not read this file.",
        f"{file_uri(root / 'shut')} You may not read this file.",
    ]


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b/c.jpg")
    walking = walk(tmp_path)
    assert isinstance(next(walking), FoundFile)
    (tmp_path / "b" / "c.jpg").unlink()
    (tmp_path / "b").rmdir()
    (left,) = walking
    assert isinstance(left, Unopened)


def test_paths_longer_than_the_system_takes(tmp_path: Path) -> None:
    before = Path.cwd()
    make(tmp_path, "a.jpg")
    os.chdir(tmp_path)
    try:
        for _ in range(20):  # 20 × 250 characters: beyond 4096
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        Path("deep.jpg").touch()
    finally:
        os.chdir(before)
    assert found(tmp_path) == ["a.jpg"]
    (reason,) = reasons(tmp_path).values()
    assert reason == "It cannot be opened: file name too long."


# Collections


def test_collections_are_passed_over(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.jpg",
        f"photos.wherefrom/{MARKER}",
        "photos.wherefrom/planes/x",
        "z/b.jpg",
        f"z/c/{MARKER}",
        "z/c/y",
    )
    assert found(tmp_path) == ["a.jpg", "z/b.jpg"]
    assert list(walk(tmp_path / "photos.wherefrom")) == []
    assert is_collection(tmp_path / "photos.wherefrom")
    assert not is_collection(tmp_path)
