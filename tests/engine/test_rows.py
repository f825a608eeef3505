"""Rows in memory and in files: what is published is what is read, and a broken file is refused."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.models import code
from wherefrom.engine.rows import Manifest, RowFiles, Rows
from wherefrom.errors import CollectionDamaged


def rows_of(keys: list[int]) -> Rows:
    rows = Rows.empty()
    rows.append(np.array([2 * key for key in keys], np.int64), np.stack([code(key) for key in keys]))
    return rows


def published(directory: Path, count: int = 10, *, capacity: int = 16) -> tuple[RowFiles, Manifest]:
    files = RowFiles(directory, write=True)
    manifest = files.grown(Manifest("tests-1"), rows_of(list(range(1, count + 1))), capacity)
    manifest = replace(manifest, key=count)
    files.publish(manifest)
    return files, manifest


@given(st.lists(st.integers(0, 60), max_size=30), st.lists(st.integers(-5, 70), max_size=20))
def test_masking_is_that_of_a_set(keys: list[int], removed: list[int]) -> None:
    entries = sorted({2 * key + key % 2 for key in keys} | {2 * key for key in keys})
    rows = Rows.empty()
    for part in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
        rows.append(np.array(part, np.int64), np.zeros((len(part), 32), np.uint8))
    rows.mask(np.array(removed, np.int64))
    live = [entry for entry in entries if entry // 2 not in removed]
    assert rows.entries[rows.live()].tolist() == live
    assert rows.removed == len(entries) - len(live)
    rows.drop_until(30)
    assert rows.entries[rows.live()].tolist() == [entry for entry in live if entry // 2 > 30]
    assert rows.removed == rows.count - len(rows.live())


def test_a_view_does_not_grow() -> None:
    rows = rows_of([1, 2, 3])
    view = rows.view()
    rows.append(np.array([2 * n for n in range(4, 5000)], np.int64), np.zeros((4996, 32), np.uint8))
    assert view.count == 3
    assert view.entries[:3].tolist() == [2, 4, 6]


def test_what_is_published_is_read(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    again = RowFiles(tmp_path / "h", write=False)
    assert again.manifest() == manifest
    rows = again.rows(manifest)
    assert rows.entries[: rows.count].tolist() == [2 * n for n in range(1, 11)]
    assert (rows.planes[:, :10].T.copy().view(np.uint8) == np.stack([code(n) for n in range(1, 11)])).all()
    with pytest.raises(ValueError, match="read-only"):
        rows.entries[0] = 1
    assert files.stamp == again.stamp is not None


def test_growing_never_touches_files_that_a_reader_may_have_mapped(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    mapped = files.rows(manifest)
    # A file of the next generation that somebody left there, and a reader of it.
    stray = tmp_path / "h" / f"planes-{manifest.generation + 1}"
    stray.write_bytes(bytes(4 * 16 * 8))
    seen = np.memmap(stray, np.uint8, "r")
    grown = files.grown(manifest, replace(mapped), 32)
    assert len(bytes(seen)) == 512  # would be the end of this process, had the file been made shorter
    files.publish(grown)
    assert mapped.entries[:10].tolist() == [2 * n for n in range(1, 11)]
    assert sorted(path.name for path in (tmp_path / "h").iterdir()) == [
        f"entries-{grown.generation}",
        "manifest.json",
        f"planes-{grown.generation}",
    ]


def test_growing_leaves_masked_rows_out(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    rows = files.rows(manifest)
    rows.mask(np.array([2, 3, 10], np.int64))
    grown = files.grown(manifest, rows, 16)
    assert files.rows(grown).entries[: grown.rows].tolist() == [2 * n for n in (1, 4, 5, 6, 7, 8, 9)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_no_room_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    files, manifest = published(tmp_path / "h")
    before = sorted(path.name for path in (tmp_path / "h").iterdir())
    with (
        patch("os.posix_fallocate", side_effect=[None, OSError(number, "full")]),
        pytest.raises(OSError, match="full"),
    ):
        files.grown(manifest, files.rows(manifest), 32)
    assert sorted(path.name for path in (tmp_path / "h").iterdir()) == before


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_file_systems_without_allocation_are_written_to(tmp_path: Path, number: int) -> None:
    with patch("os.posix_fallocate", side_effect=OSError(number, "not here")):
        files, manifest = published(tmp_path / "h")
    assert (tmp_path / "h" / f"planes-{manifest.generation}").stat().st_blocks * 512 >= 4 * 16 * 8
    assert files.rows(manifest).entries[9] == 20


def test_systems_without_the_call_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    files, manifest = published(tmp_path / "h")
    assert files.rows(manifest).entries[9] == 20


def test_a_failing_sync_is_not_passed_over(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    with patch("os.fsync", side_effect=OSError(errno.EIO, "I/O error")), pytest.raises(OSError, match="I/O"):
        files.publish(replace(manifest, key=11))
    assert files.manifest() == manifest


def test_clearing_uses_a_generation_that_nobody_has_seen(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    for prepare in ("sound", "damaged", "missing", "no directory", "a file"):
        path = tmp_path / "h" / "manifest.json"
        if prepare == "damaged":
            path.write_text("{")
        elif prepare == "missing":
            path.unlink()
        elif prepare in ("no directory", "a file"):
            path.unlink()
            (tmp_path / "h").rmdir()
            if prepare == "a file":
                (tmp_path / "h").touch()
        files.clear("tests-2")
        cleared = files.manifest()
        assert cleared is not None
        assert (cleared.rows, cleared.feature) == (0, "tests-2")
        assert cleared.generation > manifest.generation
        assert [one.name for one in (tmp_path / "h").iterdir()] == ["manifest.json"]
        manifest = replace(cleared, generation=manifest.generation)


def test_every_flip_in_a_manifest_is_found(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    path = tmp_path / "h" / "manifest.json"
    sound, harmless = path.read_bytes(), 0
    for place in range(len(sound)):
        for bit in (0, 3, 6):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :])
            with contextlib.suppress(CollectionDamaged):
                assert files.manifest() == manifest  # white space for white space
                harmless += 1
    assert harmless < 30
    path.write_bytes(sound)
    assert files.manifest() == manifest


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"manifest": {}, "crc": 0}', '{"manifest": [], "crc": 223132457}', "\xff"],
)
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
        RowFiles(tmp_path, write=False).manifest()


@pytest.mark.parametrize("wrong", [{"rows": 17}, {"hashed": 11}, {"rows": -1}, {"format": 2}, {"more": 1}])
def test_impossible_manifests(tmp_path: Path, wrong: dict[str, int]) -> None:
    files, manifest = published(tmp_path / "h")
    body = json.loads(manifest.to_text())["manifest"] | wrong
    with patch("wherefrom.engine.rows.crc_of", return_value=0):
        (tmp_path / "h" / "manifest.json").write_text(json.dumps({"manifest": body, "crc": 0}))
        with pytest.raises(CollectionDamaged):
            files.manifest()


@pytest.mark.parametrize("name", ["planes", "entries"])
@pytest.mark.parametrize("how", ["missing", "shorter", "longer"])
def test_files_of_other_sizes_are_refused(tmp_path: Path, name: str, how: str) -> None:
    files, manifest = published(tmp_path / "h")
    path = tmp_path / "h" / f"{name}-{manifest.generation}"
    if how == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size + (8 if how == "longer" else -8))
    with pytest.raises(CollectionDamaged, match=rf"{name}.*wherefrom rebuild"):
        files.rows(manifest)
