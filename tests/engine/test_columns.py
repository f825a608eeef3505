"""Columns against a dict of rows, whatever is done to them and whenever they are opened."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from tests.engine.models import Marks, bytes_of, restore
from wherefrom.engine.column_files import ColumnFiles, ColumnManifest
from wherefrom.engine.columns import Columns, ColumnSource
from wherefrom.engine.sizes import ColumnSizes
from wherefrom.errors import CollectionDamaged

FEATURE = "tests-1"
WIDTHS = (6, 2)


def row(seed: int) -> bytes:
    """Eight bytes of its own for each seed."""
    return np.random.default_rng([3, abs(seed), seed < 0]).bytes(sum(WIDTHS))


class MemoryColumns:
    """A source whose every row is in a dict; b"" is no row."""

    def __init__(self, width: int = sum(WIDTHS)) -> None:
        self.width = width
        self.lock = threading.Lock()
        self.live: dict[int, bytes] = {}
        self.removed: list[int] = []
        self.key = 0

    def add(self, data: bytes) -> int:
        with self.lock:
            self.live[self.key + 1] = data
            self.key += 1
            return self.key

    def remove(self, key: int) -> None:
        with self.lock:
            del self.live[key]
            self.removed.append(key)

    def marks(self) -> Marks:
        return Marks(self.key, len(self.removed))

    def rows_after(self, key: int, limit: int) -> tuple[int, NDArray[np.int64], NDArray[np.uint8]]:
        with self.lock:
            there = [one for one in sorted(self.live.items()) if one[0] > key][:limit]
        kept = [one for one in there if one[1]]
        data = np.frombuffer(b"".join(one[1] for one in kept), np.uint8).reshape(-1, self.width)
        return there[-1][0] if there else key, np.array([one[0] for one in kept], np.int64), data

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self.removed[seq:], max(seq, len(self.removed))

    def rows(self) -> dict[int, bytes]:
        """What columns have to hold."""
        return {key: data for key, data in sorted(self.live.items()) if data}


SMALL = ColumnSizes(seal=16, seal_at_close=4, read=10)
"""Few rows are enough for sealing and compaction."""


def opened(directory: Path, source: MemoryColumns, *, write: bool = True, feature: str = FEATURE) -> Columns:
    return Columns(directory, source, WIDTHS, feature=feature, write=write, name="tests index", sizes=SMALL)


def filled(directory: Path, count: int) -> tuple[Columns, MemoryColumns]:
    source = MemoryColumns()
    for number in range(1, count + 1):
        source.add(row(number))
    return opened(directory, source), source


def held(columns: Columns) -> dict[int, bytes]:
    """Every live row, in the order in which they lie."""
    _, *parts = columns.snapshot()
    found: dict[int, bytes] = {}
    for part in parts:
        assert [one.shape for one in part.fields] == [(part.count, width) for width in WIDTHS]
        assert part.removed == np.count_nonzero(part.dead)
        for keys, fields in part.live():
            joined = np.concatenate(fields, axis=1)
            found.update(zip(keys.tolist(), (one.tobytes() for one in joined), strict=True))
    return found


def check(columns: Columns, source: MemoryColumns) -> None:
    there, grouped = held(columns), columns.snapshot().sealed.grouped
    assert list(there.items())[grouped:] == sorted(there.items())[grouped:]
    assert there == source.rows()
    assert len(columns) == len(source.rows())
    for part in columns.snapshot()[1:]:
        keys = np.array(sorted(source.rows())[::3], np.int64)
        places = part.places(keys)
        assert sorted(part.keys[places].tolist()) == [key for key in keys if key in part.keys]
        assert (np.diff(places) > 0).all()


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


def manifest_of(directory: Path) -> ColumnManifest:
    manifest = ColumnFiles(directory, "tests index").manifest()
    assert manifest is not None
    return manifest


class ColumnsMachine(RuleBasedStateMachine):
    """One writer that comes and goes, and a reader that was there before, over one directory."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="wherefrom-columns-")) / "c"
        self.source = MemoryColumns()
        self.writer = opened(self.directory, self.source)
        self.reader = opened(self.directory, self.source, write=False)

    def teardown(self) -> None:
        self.writer.close()
        shutil.rmtree(self.directory.parent)

    @rule(seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=30), every=st.integers(2, 9))
    def add(self, seeds: list[int], every: int) -> None:
        for seed in seeds:
            self.source.add(b"" if seed % every == 0 else row(seed))

    @precondition(lambda self: self.source.live)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        keys = sorted(self.source.live)
        for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=20, unique=True)):
            self.source.remove(key)

    @precondition(lambda self: len(self.source.live) > 20)
    @rule(kept=st.integers(0, 5))
    def remove_nearly_all(self, kept: int) -> None:
        for key in sorted(self.source.live)[kept:]:
            self.source.remove(key)

    @rule(rows=st.integers(0, 90), groups=st.integers(1, 9))
    def group(self, rows: int, groups: int) -> None:
        least = self.writer.snapshot().sealed.grouped
        assert group(self.writer, max(rows, least), groups)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.writer = opened(self.directory, self.source)

    @rule()
    def die(self) -> None:
        """A writer that is killed closes nothing."""
        self.writer = opened(self.directory, self.source)

    @rule()
    def rebuild(self) -> None:
        self.writer.stop_writing()
        ColumnFiles(self.directory, "tests index").clear(FEATURE, WIDTHS)
        self.writer = opened(self.directory, self.source)

    @rule()
    def throw_away(self) -> None:
        """With nobody writing, the files can simply go."""
        self.writer.stop_writing()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.writer = opened(self.directory, self.source)

    @rule()
    def another_reader(self) -> None:
        self.reader = opened(self.directory, self.source, write=False)

    @invariant()
    def both_hold_what_the_source_holds(self) -> None:
        check(self.writer, self.source)
        check(self.reader, self.source)

    @invariant()
    def nothing_is_damaged(self) -> None:
        assert list(opened(self.directory, self.source, write=False).damage()) == []


TestColumnsMachine = ColumnsMachine.TestCase
TestColumnsMachine.settings = settings(
    max_examples=30, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_sealing_in_place_and_compaction_happen(tmp_path: Path) -> None:
    """The stateful test means nothing if its small numbers do not lead here."""
    columns, source = filled(tmp_path / "c", 40)
    first = manifest_of(tmp_path / "c")
    assert (first.rows, first.key) == (40, 40)
    for number in range(20):
        source.add(row(100 + number))
    columns.refresh()
    second = manifest_of(tmp_path / "c")
    assert (second.rows, second.generation) == (60, first.generation)
    for key in range(1, 31):
        source.remove(key)
    columns.refresh()
    third = manifest_of(tmp_path / "c")
    assert (third.rows, third.removal) == (30, 30)
    assert third.generation > first.generation
    check(columns, source)
    names = {f"{name}-{third.generation}" for name in ("keys", "field0", "field1")}
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"manifest.json", *names}


def test_rows_in_groups_are_published_once_and_outlive_what_follows(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    reader = opened(tmp_path / "c", source, write=False)
    source.remove(3)
    first = manifest_of(tmp_path / "c")
    assert group(columns, 50, 7)
    second = manifest_of(tmp_path / "c")
    assert (second.generation, second.rows, second.grouped) == (first.generation + 1, 59, 49)
    for one in (columns, reader, opened(tmp_path / "c", source, write=False)):
        check(one, source)
        assert one.snapshot().sealed.grouped == 49
    names = {f"{name}-{second.generation}" for name in ("keys", "field0", "field1", "order")}
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"manifest.json", *names}
    for key in range(10, 40):
        source.remove(key)
    columns.refresh()
    third = manifest_of(tmp_path / "c")
    assert (third.rows, third.grouped) == (29, 19)
    check(reader, source)
    assert group(columns, 29, 2)
    check(columns, source)
    assert list(columns.damage()) == []


def test_what_changes_while_rows_are_laid_in_groups(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    reader = opened(tmp_path / "c", source, write=False)
    generation, groups = columns.snapshot().generation, np.arange(60, dtype=np.int32) % 5

    def meanwhile(_: int, sizes: NDArray[np.int64]) -> None:
        assert sizes.tolist() == [12] * 5
        for number in range(61, 100):
            source.add(row(number))
        for key in (*range(1, 41), 70):
            source.remove(key)
        for one in (columns, reader):
            check(one, source)

    assert columns.group(generation, groups, meanwhile)
    assert columns.snapshot().sealed.grouped == 20  # and then the removed ones were dropped
    for one in (columns, reader):
        check(one, source)
    assert list(columns.damage()) == []
    assert not columns.group(generation, groups, meanwhile)
    generation = columns.snapshot().generation
    assert not columns.group(generation, groups[:20], lambda *_: columns.stop_writing())
    check(opened(tmp_path / "c", source), source)


def test_groups_that_find_no_room_change_nothing(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    before = bytes_of(tmp_path / "c")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with patch("wherefrom.engine.column_files.sync", full), pytest.raises(OSError, match="No space"):
        group(columns, 60, 4)
    with pytest.raises(OSError, match="No space"):
        columns.group(columns.snapshot().generation, np.zeros(60, np.int32), full)
    assert bytes_of(tmp_path / "c") == before
    check(columns, source)
    assert group(columns, 60, 4)
    check(columns, source)


def test_manifests_from_before_there_were_groups_are_read(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    columns.close()
    old = {key: value for key, value in vars(manifest_of(tmp_path / "c")).items() if key != "grouped"}
    with patch("wherefrom.engine.column_files.asdict", lambda _: {**old, "format": 1}):
        text = manifest_of(tmp_path / "c").to_text()
    (tmp_path / "c" / "manifest.json").write_text(text)
    check(opened(tmp_path / "c", source), source)


def test_removed_rows_that_are_still_in_the_files_stay_removed(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 40)
    source.remove(7)
    source.remove(40)
    columns.refresh()
    for number in range(20):
        source.add(row(100 + number))
    columns.refresh()
    assert manifest_of(tmp_path / "c").rows == 60
    check(columns, source)
    check(opened(tmp_path / "c", source, write=False), source)


def test_images_without_a_row_move_the_watermark_too(tmp_path: Path) -> None:
    source = MemoryColumns()
    for _ in range(40):
        source.add(b"")
    opened(tmp_path / "c", source).close()
    manifest = manifest_of(tmp_path / "c")
    assert (manifest.key, manifest.rows) == (40, 0)


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
    ColumnFiles(tmp_path / "c", "tests index").clear(FEATURE, WIDTHS)
    assert sealed.fields[0][0].tobytes() == row(1)[: WIDTHS[0]]


def test_a_feature_of_another_version_or_width_is_replaced(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    columns.close()
    for key in source.live:
        source.live[key] = row(-key)
    for write in (False, True):
        other = opened(tmp_path / "c", source, write=write, feature="tests-2")
        check(other, source)
    other.close()
    assert manifest_of(tmp_path / "c").feature == "tests-2"
    wide = Columns(
        tmp_path / "c", source, (4, 4), feature="tests-2", write=True, name="tests index", sizes=SMALL
    )
    wide.close()
    assert manifest_of(tmp_path / "c").widths == (4, 4)
    assert list(wide.damage()) == []


def test_columns_ahead_of_their_source_are_refused(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    columns.close()
    source.key = 45
    with pytest.raises(CollectionDamaged, match=r"tests index knows more.*wherefrom rebuild"):
        opened(tmp_path / "c", source)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 40)
    group(columns, 30, 3)
    columns.close()
    whole = bytes_of(tmp_path / "c")
    for name, data in whole.items():
        for broken in (b"", data[:-1], None):
            restore(tmp_path / "c", whole)
            (tmp_path / "c" / name).unlink()
            if broken is not None:
                (tmp_path / "c" / name).write_bytes(broken)
            if name == "manifest.json" and broken is None:
                told = list(opened(tmp_path / "c", source, write=False).damage())
                assert len(told) == len(whole) - 1
                assert all("manifest.json is missing. Run: wherefrom rebuild" in one for one in told)
                continue
            with pytest.raises(CollectionDamaged, match=r"tests index is damaged: .*wherefrom rebuild"):
                opened(tmp_path / "c", source)
    for text in ("{}", "[]", "7", whole["manifest.json"].decode().replace("40", "41", 1)):
        restore(tmp_path / "c", whole)
        (tmp_path / "c" / "manifest.json").write_text(text)
        with pytest.raises(CollectionDamaged, match="cannot be read"):
            opened(tmp_path / "c", source)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 41},
        {"rows": -1},
        {"widths": ()},
        {"widths": (0, 8)},
        {"format": 3},
        {"more": 1},
        {"grouped": 41},
    ],
)
def test_a_manifest_of_impossible_numbers_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    columns, source = filled(tmp_path / "c", 40)
    columns.close()
    manifest = manifest_of(tmp_path / "c")
    with patch("wherefrom.engine.column_files.asdict", lambda one: {**vars(one), **change}):
        text = manifest.to_text()
    (tmp_path / "c" / "manifest.json").write_text(text)
    with pytest.raises(CollectionDamaged, match="cannot be read"):
        opened(tmp_path / "c", source)


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
            told = list(opened(tmp_path / "c", source, write=False).damage())
            wanted = "in disorder" if name.startswith(("keys", "order")) else "1 of 40 rows differ"
            assert any(wanted in one for one in told)
        restore(tmp_path / "c", whole)


def test_damage_is_told_by_kind(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 50)
    columns.close()

    def told() -> str:
        return "\n".join(opened(tmp_path / "c", source, write=False).damage())

    assert told() == ""
    kept = source.live[40]
    del source.live[40]
    assert "tests index: 1 rows belong to no image" in told()
    source.live[40] = b""
    assert "tests index: 1 rows belong to no image" in told()
    source.live[40] = row(-40)
    assert "1 of 50 rows differ from the catalog, the first of image number 40" in told()
    source.live[40] = kept
    source.live[0], source.live[51] = row(3), row(4)
    assert told() == ""  # beyond what has been told of: still to come
    del source.live[0], source.live[51]
    with patch.object(MemoryColumns, "add", lambda self, data: self.live.setdefault(17, data)):
        del source.live[17]
        opened(tmp_path / "d", source).close()
        source.add(row(17))
    assert "1 of 50 rows are missing, the first of image number 17" in "\n".join(
        opened(tmp_path / "d", source, write=False).damage()
    )


def test_what_changes_while_damage_is_looked_for_is_none(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 60)
    plain = source.rows_after

    def and_meanwhile(key: int, limit: int) -> object:
        if source.key < 80:
            source.remove(min(source.live))
            source.remove(max(source.live))
            source.add(row(5000 + source.key))
        return plain(key, limit)

    with patch.object(source, "rows_after", and_meanwhile):
        assert list(columns.damage()) == []


def test_a_disk_that_takes_nothing_costs_speed_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    columns, source = filled(tmp_path / "c", 50)
    manifest = manifest_of(tmp_path / "c")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with patch("wherefrom.engine.column_files.sync", full), caplog.at_level(logging.WARNING):
        for number in range(100):
            source.add(row(1000 + number))
            columns.refresh()
        for key in range(1, 46):
            source.remove(key)
        check(columns, source)
        check(opened(tmp_path / "c", source, write=False), source)
    assert "tests index stays in memory" in caplog.text
    assert manifest_of(tmp_path / "c") == manifest
    columns.close()  # there is room again
    assert manifest_of(tmp_path / "c").key == source.key
    check(opened(tmp_path / "c", source, write=False), source)
    assert list(opened(tmp_path / "c", source, write=False).damage()) == []


class Killed(BaseException):
    """Ends a writer without anything of it being cleaned up."""


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run `work()` up to the step-th call that changes the directory; whether it got that far."""
    left = [step]

    def watched(plain: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return plain(*args, **kwargs)

        return call

    module = sys.modules["wherefrom.engine.column_files"]
    with ExitStack() as stack:
        for name in ("sync", "sync_directory", "delete"):
            stack.enter_context(
                patch(f"wherefrom.engine.column_files.{name}", watched(getattr(module, name)))
            )
        for name in ("replace", "write_text", "write_bytes", "open"):
            stack.enter_context(patch.object(Path, name, watched(getattr(Path, name))))
        try:
            work()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("what", ["first seal", "seal", "compaction", "groups"])
def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path, what: str) -> None:
    directory = tmp_path / "c"
    columns, source = filled(directory, 12 if what == "first seal" else 60)
    columns.stop_writing()
    for key in range(1, 40 if what == "compaction" else 4):
        source.remove(key)
    for number in range(20):
        source.add(row(900 + number))
    before = bytes_of(directory) if directory.exists() else {}

    def work() -> None:
        columns = opened(directory, source)
        if what == "groups":
            group(columns, 60, 5)

    for step in range(1, 100):
        directory.mkdir(exist_ok=True)
        restore(directory, before)
        if not killed_at(step, work):
            break
        reader = opened(directory, source, write=False)
        check(reader, source)
        assert list(reader.damage()) == []
        writer = opened(directory, source)
        check(writer, source)
        check(reader, source)
        assert list(writer.damage()) == []
        found = manifest_of(directory)
        names = ("keys", "field0", "field1", *(["order"] if found.grouped else []))
        named = {f"{name}-{found.generation}" for name in names}
        assert {path.name for path in directory.iterdir()} - {"manifest.draft"} == named | {"manifest.json"}
    assert step > 6


def test_what_a_crash_left_behind_the_last_row_is_written_over(tmp_path: Path) -> None:
    columns, source = filled(tmp_path / "c", 40)
    columns.close()
    for path in (tmp_path / "c").iterdir():
        if path.name != "manifest.json":
            with path.open("ab") as file:
                file.write(b"half of a row, or several")
    source.add(row(41))
    check(opened(tmp_path / "c", source, write=False), source)
    for number in range(42, 80):
        source.add(row(number))
    writer = opened(tmp_path / "c", source)
    check(writer, source)
    assert list(writer.damage()) == []


def test_a_process_that_is_killed_anywhere(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.engine.test_columns import MemoryColumns, opened, row\n"
        "source = MemoryColumns()\n"
        "for number in range(80): source.add(row(number))\n"
        "columns = opened(Path(sys.argv[1]), source)\n"
        "print('ready', flush=True)\n"
        "for number in range(80, 5000):\n"
        "    source.add(row(number))\n"
        "    if number % 5 == 0 or number % 1000 < 500: source.remove(number - 60)\n"
        "    columns.refresh()\n"
    )
    source = MemoryColumns()
    for number in range(5000):
        source.add(row(number))
    for pause in (0.01, 0.05, 0.11):
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "c")],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            child.send_signal(signal.SIGKILL)
        manifest = manifest_of(tmp_path / "c")
        assert manifest.key >= 70
        sealed = ColumnFiles(tmp_path / "c", "tests index").rows(manifest)
        for keys, fields in sealed.live():
            joined = np.concatenate(fields, axis=1)
            for key, data in zip(keys.tolist(), joined, strict=True):
                assert data.tobytes() == source.live[key]


def kept_as(rows: list[tuple[Any, Any]], width: int = 8) -> tuple[int, list[int], list[bytes]]:
    catalog: Any = SimpleNamespace(features_after=lambda *_: rows)
    last, keys, data = ColumnSource(catalog, "palette", width).rows_after(2, 100)
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
    with pytest.raises(CollectionDamaged, match=r"palette feature of image number 4 is damaged"):
        kept_as([(3, row(3)), (4, data)])


@pytest.mark.parametrize("keys", [[4, 3], [3, 3], [2, 3], [-1, 4], ["3", 4], [None, 4], [3, 4.5]])
def test_keys_in_disorder_are_damage(keys: list[Any]) -> None:
    with pytest.raises(CollectionDamaged, match="in disorder"):
        kept_as([(key, row(1)) for key in keys])
