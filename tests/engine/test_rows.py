"""Rows in memory and in files: what is published is what is read, and a broken file is refused."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.brute_force import code
from wherefrom.engine.rows import RowFiles, RowManifest, Rows


def rows_of(keys: list[int]) -> Rows:
    rows = Rows.empty()
    rows.append((np.array([2 * key for key in keys], np.int64), np.stack([code(key) for key in keys])))
    return rows


def published(directory: Path, count: int = 10, *, capacity: int = 16) -> tuple[RowFiles, RowManifest]:
    files = RowFiles(directory, "tests-1", write=True)
    manifest = files.grown(RowManifest("tests-1"), rows_of(list(range(1, count + 1))), capacity)
    manifest = replace(manifest, key=count)
    files.publish(manifest)
    return files, manifest


@given(st.lists(st.integers(0, 60), max_size=30), st.lists(st.integers(-5, 70), max_size=20))
def test_masking_is_that_of_a_set(keys: list[int], removed: list[int]) -> None:
    entries = sorted({2 * key + key % 2 for key in keys} | {2 * key for key in keys})
    rows = Rows.empty()
    for part in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
        rows.append((np.array(part, np.int64), np.zeros((len(part), 32), np.uint8)))
    rows.mask(np.array(removed, np.int64))
    live = [entry for entry in entries if entry // 2 not in removed]
    assert rows.entries[rows.live()].tolist() == live
    assert rows.removed == len(entries) - len(live)
    rows = rows.beyond(30)
    assert rows.entries[rows.live()].tolist() == [entry for entry in live if entry // 2 > 30]
    assert rows.removed == rows.count - len(rows.live())


def test_a_view_does_not_grow() -> None:
    rows = rows_of([1, 2, 3])
    view = rows.view()
    rows.append((np.array([2 * n for n in range(4, 5000)], np.int64), np.zeros((4996, 32), np.uint8)))
    assert view.count == 3
    assert view.entries[:3].tolist() == [2, 4, 6]


def test_what_is_published_is_read(tmp_path: Path) -> None:
    files, manifest = published(tmp_path / "h")
    again = RowFiles(tmp_path / "h", "tests-1")
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
