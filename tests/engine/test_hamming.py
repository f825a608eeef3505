"""The Hamming index against brute force, whatever is done to it and whenever it is opened."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from tests.support.brute_force import MemorySource, code, distances
from tests.support.derived import DerivedSuite
from tests.support.derived_kinds import CODES
from tests.support.derived_life import Life, lives
from wherefrom.engine.hamming import HammingIndex


class TestCodes(DerivedSuite):
    kind, name = CODES, "CODES"


class CodesLife(Life):
    kind = CODES


TestCodesLife = lives(CodesLife, 15, 20)


def filled(directory: Path, count: int) -> tuple[HammingIndex, MemorySource[list[np.ndarray]]]:
    source = CODES.source()
    for number in range(count):
        source.add([code(number)])
    return CODES.opened(directory, source), source


def test_sealing_growing_hashing_and_compaction_all_happen(tmp_path: Path) -> None:
    """The stateful test means nothing if its small numbers do not lead here."""
    index, source = filled(tmp_path / "h", 100)
    files = CODES.files(tmp_path / "h")
    manifest = files.manifest()
    assert manifest is not None
    assert manifest.rows == manifest.key == 100
    assert index.hashed >= 40
    assert sorted(manifest.hash_sums) == sorted(path.name for path in files.hashes(manifest).iterdir())
    assert len(manifest.hash_sums) == 4
    before = manifest.generation
    for key in range(1, 61):
        source.remove(key)
    index.refresh()
    manifest = files.manifest()
    assert manifest is not None
    assert (manifest.rows, manifest.removal) == (40, 60)
    assert manifest.generation > before
    assert [entry for entries, _ in index for entry in entries] == [2 * key for key in range(61, 101)]
    names = {path.name for path in (tmp_path / "h").iterdir()}
    assert names == {"manifest.json"} | {
        f"{name}-{manifest.generation}" for name in ("planes", "entries", "hashes")
    }


def test_rows_that_the_hash_tables_do_not_cover_are_scanned(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 70)
    index.close()
    for number in range(70, 76):
        source.add([code(number)])
    CODES.opened(tmp_path / "h", source).close()
    source.add([code(76)])
    index = CODES.opened(tmp_path / "h", source)
    manifest = CODES.files(tmp_path / "h").manifest()
    assert manifest is not None
    assert (manifest.hashed, manifest.rows, index.hashed) == (70, 76, 70)
    for number in (0, 69, 70, 75, 76):
        CODES.check(index, source, number)


def test_several_queries_at_once(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 90)
    asked = np.stack([code(3), code(77), code(12_345)])
    found = index.within(asked, 120)
    for number in range(3):
        mine = found.query == number
        ours = list(zip(found.entry[mine].tolist(), found.distance[mine].tolist(), strict=True))
        assert ours == [row for row in distances(source, asked[number]) if row[1] <= 120]
    assert index.within(asked[:0], 120).query.size == 0
    assert index.nearest(asked, 1).entry.tolist()[:2] == [8, 156]


def test_hash_tables_that_cannot_be_built_are_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = OSError(28, "No space left on device")
    with patch("wherefrom.engine.mih.MultiIndex.build", side_effect=full):
        index, source = filled(tmp_path / "h", 100)
        assert "without hash tables" in caplog.text
        assert index.hashed == 0
        CODES.check(index, source, 50)
    index.close()
    manifest = CODES.files(tmp_path / "h").manifest()
    assert manifest is not None
    assert (manifest.rows, manifest.hashed) == (100, 0)
