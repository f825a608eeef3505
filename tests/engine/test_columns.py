"""Columns against a dict of rows, whatever is done to them and whenever they are opened."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule
from numpy.typing import NDArray

from tests.support.brute_force import COLUMN_WIDTHS, MemorySource, row
from tests.support.derived import DerivedSuite
from tests.support.derived_kinds import COLUMNS, FEATURE
from tests.support.derived_life import Life, lives
from tests.support.kills import bytes_of, killed_at, restore
from wherefrom.engine.catalog_source import column_source
from wherefrom.engine.columns import Columns
from wherefrom.engine.files import crc_of
from wherefrom.errors import CollectionDamaged
from wherefrom.features.registry import feature


def group(columns: Columns, rows: int, groups: int, seed: int = 0) -> bool:
    """Lay the first sealed rows in groups drawn at random, and hold what is told of them to what is there."""
    told: list[tuple[int, list[int]]] = []
    snapshot = columns.snapshot()
    of = np.random.default_rng(seed).integers(0, groups, min(rows, snapshot.sealed.count)).astype(np.int32)
    keys = snapshot.sealed.keys[: len(of)].copy()
    done = columns.group(snapshot.generation, of, lambda number, sizes: told.append((number, sizes.tolist())))
    if done:
        generation, sealed, _ = columns.snapshot()
        assert told[0][0] == generation
        assert sum(told[0][1]) == sealed.grouped
        places = dict(zip(keys.tolist(), of.tolist(), strict=True))
        assert [places[key] for key in sealed.keys[: sealed.grouped].tolist()] == [
            number for number, size in enumerate(told[0][1]) for _ in range(size)
        ]
    return done


class TestColumns(DerivedSuite):
    kind, name = COLUMNS, "COLUMNS"


class ColumnsLife(Life):
    kind = COLUMNS

    @rule(rows=st.integers(0, 90), groups=st.integers(1, 9))
    def group(self, rows: int, groups: int) -> None:
        least = self.writer.snapshot().sealed.grouped
        assert group(self.writer, max(rows, least), groups)


TestColumnsLife = lives(ColumnsLife, 20, 15)


def filled(directory: Path, count: int) -> tuple[Columns, MemorySource[bytes]]:
    source = COLUMNS.source(range(1, count + 1))
    return COLUMNS.opened(directory, source), source


def test_sealing_in_place_and_compaction_happen(tmp_path: Path) -> None:
    """The stateful test means nothing if its small numbers do not lead here."""
    columns, source = filled(tmp_path / "c", 40)
    first = COLUMNS.manifest(tmp_path / "c")
    assert (first.rows, first.key) == (40, 40)
    for number in range(20):
        source.add(row(100 + number))
    columns.refresh()
    second = COLUMNS.manifest(tmp_path / "c")
    assert (second.rows, second.generation) == (60, first.generation)
    for key in range(1, 31):
        source.remove(key)
    columns.refresh()
    third = COLUMNS.manifest(tmp_path / "c")
    assert (third.rows, third.removal) == (30, 30)
    assert third.generation > first.generation
    COLUMNS.check(columns, source)
    names = {f"{name}-{third.generation}" for name in ("keys", "field0", "field1")}
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"manifest.json", *names}


def test_rows_in_groups_are_published_once_and_outlive_what_follows(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    reader = COLUMNS.opened(tmp_path / "c", source, write=False)
    source.remove(3)
    first = COLUMNS.manifest(tmp_path / "c")
    assert group(columns, 50, 7)
    second = COLUMNS.manifest(tmp_path / "c")
    assert (second.generation, second.rows, second.grouped) == (first.generation + 1, 59, 49)
    for one in (columns, reader, COLUMNS.opened(tmp_path / "c", source, write=False)):
        COLUMNS.check(one, source)
        assert one.snapshot().sealed.grouped == 49
    names = {f"{name}-{second.generation}" for name in ("keys", "field0", "field1", "order")}
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"manifest.json", *names}
    for key in range(10, 40):
        source.remove(key)
    columns.refresh()
    third = COLUMNS.manifest(tmp_path / "c")
    assert (third.rows, third.grouped) == (29, 19)
    COLUMNS.check(reader, source)
    assert group(columns, 29, 2)
    COLUMNS.check(columns, source)
    assert list(columns.damage()) == []


def test_what_changes_while_rows_are_laid_in_groups(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    reader = COLUMNS.opened(tmp_path / "c", source, write=False)
    generation, groups = columns.snapshot().generation, np.arange(60, dtype=np.int32) % 5

    def meanwhile(_: int, sizes: NDArray[np.int64]) -> None:
        assert sizes.tolist() == [12] * 5
        for number in range(61, 100):
            source.add(row(number))
        for key in (*range(1, 41), 70):
            source.remove(key)
        for one in (columns, reader):
            COLUMNS.check(one, source)

    assert columns.group(generation, groups, meanwhile)
    assert columns.snapshot().sealed.grouped == 20  # and then the removed ones were dropped
    for one in (columns, reader):
        COLUMNS.check(one, source)
    assert list(columns.damage()) == []
    assert not columns.group(generation, groups, meanwhile)
    generation = columns.snapshot().generation
    assert not columns.group(generation, groups[:20], lambda *_: columns.stop_writing())
    COLUMNS.check(COLUMNS.opened(tmp_path / "c", source), source)


def test_groups_that_find_no_room_change_nothing(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    before = bytes_of(tmp_path / "c")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with patch("os.fsync", full), pytest.raises(OSError, match="No space"):
        group(columns, 60, 4)
    with pytest.raises(OSError, match="No space"):
        columns.group(columns.snapshot().generation, np.zeros(60, np.int32), full)
    assert bytes_of(tmp_path / "c") == before
    COLUMNS.check(columns, source)
    assert group(columns, 60, 4)
    COLUMNS.check(columns, source)


def test_manifests_from_before_there_were_groups_are_read(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    columns.close()
    body = json.loads(COLUMNS.manifest(tmp_path / "c").to_text())["manifest"]
    del body["grouped"]
    body["format"] = 1
    text = json.dumps({"manifest": body, "crc": crc_of(body)})
    (tmp_path / "c" / "manifest.json").write_text(text)
    COLUMNS.check(COLUMNS.opened(tmp_path / "c", source), source)


def test_a_snapshot_stays_as_it_was(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 20)
    source.add(row(21))
    _, sealed, tail = columns.snapshot()
    keys, data = tail.keys.copy(), tail.fields[0].copy()
    for number in range(22, 90):
        source.add(row(number))
        columns.refresh()
    assert (tail.count, tail.keys.tolist()) == (1, keys.tolist())
    assert (tail.fields[0] == data).all()
    assert sealed.keys.tolist() == list(range(1, 21))
    COLUMNS.files(tmp_path / "c").clear()
    assert sealed.fields[0][0].tobytes() == row(1)[: COLUMN_WIDTHS[0]]


def test_rows_of_another_width_are_replaced(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    columns.close()
    wide = Columns(
        tmp_path / "c", source, (4, 4), feature=FEATURE, write=True, name="tests index", sizes=COLUMNS.SIZES
    )
    assert COLUMNS.manifest(tmp_path / "c").widths == (4, 4)
    assert list(wide.damage()) == []


def test_a_damaged_order_of_groups_is_refused(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 40)
    group(columns, 30, 3)
    path = next((tmp_path / "c").glob("order-*"))
    for data in (b"", path.read_bytes()[:-1], path.read_bytes()[:-8] + b"\xff" * 8):
        path.write_bytes(data)
        with pytest.raises(CollectionDamaged, match=r"tests index is damaged: .*order-.*wherefrom rebuild"):
            COLUMNS.opened(tmp_path / "c", source)


def test_every_wrong_byte_of_a_row_is_told(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 40)
    for grouped in (False, True):
        if grouped:
            group(columns, 30, 3)
        whole = bytes_of(tmp_path / "c")
        assert len(whole) == 4 + grouped
        for name in sorted(set(whole) - {"manifest.json"}):
            restore(tmp_path / "c", whole)
            data = bytearray(whole[name])
            place = len(data) // 40 * 17
            data[place - place % 8 if name.startswith("order") else place] ^= 1
            (tmp_path / "c" / name).write_bytes(data)
            told = list(COLUMNS.opened(tmp_path / "c", source, write=False).damage())
            wanted = "in disorder" if name.startswith(("keys", "order")) else "1 of 40 rows differ"
            assert any(wanted in one for one in told)
        restore(tmp_path / "c", whole)


def test_a_kill_while_rows_are_laid_in_groups_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    columns.stop_writing()
    for key in range(1, 4):
        source.remove(key)
    before = bytes_of(tmp_path / "c")
    for step in range(1, 100):
        restore(tmp_path / "c", before)
        if not killed_at(step, lambda: group(COLUMNS.opened(tmp_path / "c", source), 60, 5)):
            break
        TestColumns().lives(tmp_path / "c", source, step)
    assert step > 6


def test_what_a_crash_left_behind_the_last_row_is_written_over(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 40)
    columns.close()
    for path in (tmp_path / "c").iterdir():
        if path.name != "manifest.json":
            with path.open("ab") as file:
                file.write(b"half of a row, or several")
    source.add(row(41))
    COLUMNS.check(COLUMNS.opened(tmp_path / "c", source, write=False), source)
    for number in range(42, 80):
        source.add(row(number))
    writer = COLUMNS.opened(tmp_path / "c", source)
    COLUMNS.check(writer, source)
    assert list(writer.damage()) == []


def kept_as(rows: list[tuple[Any, Any]], width: int = 8) -> tuple[int, list[int], list[bytes]]:
    catalog: Any = SimpleNamespace(features_after=lambda *_: rows)
    last, (keys, data) = column_source(catalog, feature("palette"), width).rows_after(2, 100)
    assert keys.dtype == np.int64
    assert data.dtype == np.uint8
    assert data.shape == (len(keys), width)
    return last, keys.tolist(), [one.tobytes() for one in data]


def test_the_catalogs_features_as_rows() -> None:
    assert kept_as([(3, row(3)), (5, b""), (6, row(6)), (9, b"")]) == (9, [3, 6], [row(3), row(6)])
    assert kept_as([]) == (2, [], [])
    assert kept_as([(3, b"")]) == (3, [], [])


@pytest.mark.parametrize("data", [b"short", row(1) + b"x", None, 7, "8 bytes!"])
def test_features_of_another_width_are_damage(data: object) -> None:
    with pytest.raises(CollectionDamaged, match=r"palette of image number 4 is damaged"):
        kept_as([(3, row(3)), (4, data)])


@pytest.mark.parametrize("keys", [[4, 3], [3, 3], [2, 3], [-1, 4], ["3", 4], [None, 4], [3, 4.5]])
def test_keys_in_disorder_are_damage(keys: list[Any]) -> None:
    with pytest.raises(CollectionDamaged, match="in disorder"):
        kept_as([(key, row(1)) for key in keys])
