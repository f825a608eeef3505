"""The Hamming index against brute force, whatever is done to it and whenever it is opened."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.engine.models import Code, MemorySource, bytes_of, code, flipped
from wherefrom.engine.hamming import Found, HammingIndex
from wherefrom.engine.rows import RowFiles
from wherefrom.errors import CollectionDamaged

FEATURE = "tests-1"

CENTRES = [code(n) for n in range(4)]
codes = st.builds(flipped, st.sampled_from(CENTRES), st.lists(st.integers(0, 255), max_size=40, unique=True))


@contextmanager
def small_numbers() -> Iterator[None]:
    with patch.multiple("wherefrom.engine.hamming", SEAL_ROWS=16, SEAL_AT_CLOSE=4, MIH_ROWS=40):
        yield


@pytest.fixture
def small() -> Iterator[None]:
    """Few rows are enough for sealing, compaction and hash tables."""
    with small_numbers():
        yield


def opened(directory: Path, source: MemorySource, *, write: bool = True) -> HammingIndex:
    return HammingIndex(directory, source, feature=FEATURE, write=write)


def pairs(found: Found) -> list[tuple[int, int]]:
    assert found.query.tolist() == [0] * len(found.query)
    return list(zip(found.entry.tolist(), found.distance.tolist(), strict=True))


def check(index: HammingIndex, source: MemorySource, query: Code, radius: int, k: int) -> None:
    """The index gives what comparing every code gives."""
    everything = source.distances(query)
    assert pairs(index.within(query[None], radius)) == [row for row in everything if row[1] <= radius]
    assert pairs(index.nearest(query[None], k)) == everything[:k]
    assert len(index) == len(everything)


class IndexMachine(RuleBasedStateMachine):
    """One writer that comes and goes, and a reader that was there before, over one directory."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = ExitStack()
        self.numbers.enter_context(small_numbers())
        self.directory = Path(tempfile.mkdtemp(prefix="wherefrom-hamming-")) / "hamming"
        self.source = MemorySource()
        self.writer = opened(self.directory, self.source)
        self.reader = opened(self.directory, self.source, write=False)
        self.query, self.radius, self.k = CENTRES[0], 0, 1
        self.most_hashed = 0

    def teardown(self) -> None:
        self.writer.close()
        self.numbers.close()
        shutil.rmtree(self.directory.parent)

    @rule(images=st.lists(st.lists(codes, min_size=0, max_size=2), min_size=1, max_size=12))
    def add(self, images: list[list[Code]]) -> None:
        for variants in images:
            self.source.add(variants)

    @rule(several=st.integers(20, 60), seed=st.integers(0, 1000))
    def add_many(self, several: int, seed: int) -> None:
        for number in range(several):
            self.source.add([code(1000 * seed + number)])

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

    @rule()
    def catch_up(self) -> None:
        self.writer.refresh()

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
        RowFiles(self.directory, write=True).clear(FEATURE)
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

    @rule(query=codes, radius=st.one_of(st.integers(0, 45), st.integers(0, 256)), k=st.integers(1, 30))
    def ask_otherwise(self, query: Code, radius: int, k: int) -> None:
        self.query, self.radius, self.k = query, radius, k

    @precondition(lambda self: self.source.live)
    @rule(data=st.data(), radius=st.integers(0, 31), k=st.integers(1, 4))
    def ask_for_something_there(self, data: st.DataObject, radius: int, k: int) -> None:
        rows = [one for variants in self.source.live.values() for _, one in variants]
        bits = data.draw(st.lists(st.integers(0, 255), max_size=5, unique=True))
        near = data.draw(st.sampled_from(rows[-40:] or CENTRES))
        self.query, self.radius, self.k = flipped(near, bits), radius, k

    @invariant()
    def writer_equals_brute_force(self) -> None:
        check(self.writer, self.source, self.query, self.radius, self.k)

    @invariant()
    def reader_equals_brute_force(self) -> None:
        check(self.reader, self.source, self.query, self.radius, self.k)

    @invariant()
    def nothing_is_damaged(self) -> None:
        fresh = opened(self.directory, self.source, write=False)
        assert list(fresh.damage()) == []
        everything = [entry for entries, _ in fresh for entry in entries.tolist()]
        assert everything == sorted(row[0] for rows in self.source.live.values() for row in rows)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


def filled(directory: Path, count: int, first: int = 0) -> tuple[HammingIndex, MemorySource]:
    source = MemorySource()
    for number in range(first, first + count):
        source.add([code(number)])
    return opened(directory, source), source


@pytest.mark.usefixtures("small")
def test_sealing_growing_hashing_and_compaction_all_happen(tmp_path: Path) -> None:
    """The stateful test means nothing if its small numbers do not lead here."""
    index, source = filled(tmp_path / "h", 100)
    files = RowFiles(tmp_path / "h", write=False)
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


@pytest.mark.usefixtures("small")
def test_images_without_codes_move_the_watermark_too(tmp_path: Path) -> None:
    source = MemorySource()
    for _ in range(40):
        source.add([])
    opened(tmp_path / "h", source).close()
    manifest = RowFiles(tmp_path / "h", write=False).manifest()
    assert manifest is not None
    assert (manifest.key, manifest.rows) == (40, 0)


@pytest.mark.usefixtures("small")
def test_a_reader_follows_a_writer_through_everything(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 10)
    reader = opened(tmp_path / "h", source, write=False)
    for step in range(12):
        for number in range(17):
            source.add([code(1000 * step + number)])
        for key in list(source.live)[:: 3 + step]:
            source.remove(key)
        index.refresh()
        check(reader, source, code(1000 * step + 5), 128, 9)
    index.close()
    check(reader, source, code(11_005), 128, 9)


@pytest.mark.usefixtures("small")
def test_rows_that_the_hash_tables_do_not_cover_are_scanned(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 70)
    index.close()
    for number in range(70, 76):
        source.add([code(number)])
    opened(tmp_path / "h", source).close()
    source.add([code(76)])
    index = opened(tmp_path / "h", source)
    manifest = RowFiles(tmp_path / "h", write=False).manifest()
    assert manifest is not None
    assert (manifest.hashed, manifest.rows, index.hashed) == (70, 76, 70)
    for number in (0, 69, 70, 75, 76):
        check(index, source, code(number), 20, 3)


@pytest.mark.usefixtures("small")
def test_a_reader_sees_what_a_rebuild_has_changed(tmp_path: Path) -> None:
    """Features computed anew come under keys that the reader has read."""
    index, source = filled(tmp_path / "h", 50)
    readers = [opened(tmp_path / "h", source, write=False) for _ in range(2)]
    for key in source.live:
        source.live[key] = [(2 * key, code(-key))]
    index.stop_writing()
    RowFiles(tmp_path / "h", write=True).clear(FEATURE)
    check(readers[0], source, code(-50), 0, 1)
    with patch("wherefrom.engine.hamming._READ", 20):
        opened(tmp_path / "h", source)  # seals forty rows and leaves ten
    source.add([code(51)])
    for reader in (*readers, index):
        check(reader, source, code(-50), 100, 60)


@pytest.mark.usefixtures("small")
def test_several_queries_at_once(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 90)
    asked = np.stack([code(3), code(77), code(12_345)])
    found = index.within(asked, 120)
    for number in range(3):
        mine = found.query == number
        ours = list(zip(found.entry[mine].tolist(), found.distance[mine].tolist(), strict=True))
        assert ours == [row for row in source.distances(asked[number]) if row[1] <= 120]
    assert index.within(asked[:0], 120).query.size == 0
    assert index.nearest(asked, 1).entry.tolist()[:2] == [8, 156]


def test_codes_of_another_version_are_replaced_by_what_the_source_has_now(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 2000)
    index.close()
    for key in source.live:
        source.live[key] = [(2 * key, code(-key))]
    other = HammingIndex(tmp_path / "h", source, feature="tests-2", write=False)
    check(other, source, code(-5), 0, 3)
    assert RowFiles(tmp_path / "h", write=False).manifest() is not None  # a reader leaves the files alone
    writer = HammingIndex(tmp_path / "h", source, feature="tests-2", write=True)
    check(writer, source, code(-5), 0, 3)
    writer.close()
    manifest = RowFiles(tmp_path / "h", write=False).manifest()
    assert manifest is not None
    assert manifest.feature == "tests-2"


def test_an_index_ahead_of_its_source_is_refused(tmp_path: Path) -> None:
    """As when the catalog comes from a backup: the keys would be given again to other images."""
    index, _ = filled(tmp_path / "h", 2000)
    index.close()
    source = MemorySource()
    for number in range(1500):
        source.add([code(-number)])
    with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
        opened(tmp_path / "h", source)


@pytest.mark.usefixtures("small")
def test_a_disk_that_takes_nothing_costs_speed_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index, source = filled(tmp_path / "h", 50)
    sealed = bytes_of(tmp_path / "h")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with patch("os.posix_fallocate", full), caplog.at_level(logging.WARNING):
        for number in range(200):
            source.add([code(100 + number)])
            if number % 10 == 0:
                index.refresh()
        for key in range(1, 46):
            source.remove(key)
        check(index, source, code(150), 130, 7)
    assert "stays in memory" in caplog.text
    kept = bytes_of(tmp_path / "h")
    assert {name for name in kept if "planes" in name} == {name for name in sealed if "planes" in name}
    index.close()  # there is room again
    assert list(opened(tmp_path / "h", source, write=False).damage()) == []
    check(opened(tmp_path / "h", source, write=False), source, code(150), 130, 7)


@pytest.mark.usefixtures("small")
def test_hash_tables_that_cannot_be_built_are_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = OSError(28, "No space left on device")
    with patch("wherefrom.engine.mih.MultiIndex.build", side_effect=full):
        index, source = filled(tmp_path / "h", 100)
        assert "without hash tables" in caplog.text
        assert index.hashed == 0
        check(index, source, code(50), 31, 7)
    index.close()
    manifest = RowFiles(tmp_path / "h", write=False).manifest()
    assert manifest is not None
    assert (manifest.rows, manifest.hashed) == (100, 0)


@pytest.mark.usefixtures("small")
def test_damage_is_told_by_kind(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 100)
    index.close()

    def told() -> str:
        return "\n".join(opened(tmp_path / "h", source, write=False).damage())

    assert told() == ""
    kept = source.live[40]
    del source.live[40]
    assert "1 rows belong to no image" in told()
    source.live[40] = [(80, code(9999))]
    assert "1 of 100 rows differ from the catalog, the first of image number 40" in told()
    source.live[40] = [*kept, (81, code(9998))]
    assert "1 of 101 rows are missing, the first of image number 40" in told()
    source.live[40] = kept
    assert told() == ""


@pytest.mark.usefixtures("small")
def test_what_changes_while_damage_is_looked_for_is_none(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 60)
    plain = source.entries_after

    def and_meanwhile(key: int, limit: int) -> object:
        if source.key < 80:
            source.remove(min(source.live))
            source.remove(max(source.live))
            source.add([code(5000 + source.key)])
        return plain(key, limit)

    with patch.object(source, "entries_after", and_meanwhile):
        assert list(index.damage()) == []


@pytest.mark.usefixtures("small")
def test_searches_in_many_threads_while_one_adds(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "h", 30)
    wanted = code(7)
    wrong: list[object] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            try:
                if pairs(index.within(wanted[None], 0)) != [(16, 0)]:
                    wrong.append("lost")
            except BaseException as error:
                wrong.append(error)
                raise

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(150):
            source.add([code(10_000 + number)])
            index.refresh()
            if number % 20 == 19:
                for key in sorted(source.live)[20:-5]:
                    source.remove(key)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
