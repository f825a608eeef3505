"""Originals: kept by their content, gone with their images, and nothing left over for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from wherefrom.engine.originals import FOLDER, Originals
from wherefrom.errors import CollectionError


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def files(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in (folder / FOLDER).rglob("*") if path.is_file()}


def test_bytes_are_kept_by_their_content_and_let_go(tmp_path: Path) -> None:
    kept = Originals(tmp_path)
    assert kept.path(digest(b"a")) is None
    kept.keep({digest(one): one for one in (b"a", b"b", b"c")})
    kept.keep({digest(b"a"): b"a"})
    assert files(tmp_path) == {b"a", b"b", b"c"}
    path = kept.path(digest(b"a"))
    assert path is not None
    assert Path(path).read_bytes() == b"a"
    kept.remove([digest(b"a"), digest(b"z")])
    assert kept.path(digest(b"a")) is None
    assert files(tmp_path) == {b"b", b"c"}


def test_what_was_cut_short_is_written_anew(tmp_path: Path) -> None:
    kept = Originals(tmp_path)
    kept.keep({digest(b"whole"): b"whole"})
    path = kept.path(digest(b"whole"))
    assert path is not None
    Path(path).write_bytes(b"who")
    kept.keep({digest(b"whole"): b"whole"})
    assert files(tmp_path) == {b"whole"}


def test_what_belongs_to_nothing_is_swept(tmp_path: Path) -> None:
    kept = Originals(tmp_path)
    kept.keep({digest(one): one for one in (b"a", b"b", b"c")})
    (tmp_path / FOLDER / digest(b"a").hex()[:2] / "half.new").write_bytes(b"half")
    known = {digest(b"b")}
    swept = sum(kept.sweep(one, lambda asked: known & set(asked)) for one in kept.folders())
    assert swept == 3
    assert files(tmp_path) == {b"b"}
    assert list(Originals(tmp_path / "none").folders()) == []


def test_a_disk_that_takes_nothing_is_told_of(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file is in the way")
    with pytest.raises(CollectionError, match="could not be kept"):
        Originals(tmp_path).keep({digest(b"a"): b"a"})
