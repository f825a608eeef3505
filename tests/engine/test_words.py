"""The words index against brute force, whatever is done to it and whenever it is opened."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.engine.models import Marks, bytes_of, restore
from wherefrom.engine import word_votes, words
from wherefrom.engine.sizes import WordSizes
from wherefrom.engine.word_files import VOCABULARY, Sealed, Segment, WordManifest, merged, segment_bytes
from wherefrom.engine.words import Postings, Votes, WordFiles, WordQuery, WordsIndex
from wherefrom.errors import CollectionDamaged, UsageError

FEATURE = "words-1"
ROW = np.dtype([("word", "u2"), ("signature", "u8"), ("angle", "u1"), ("scale", "u1")])
FEW_WORDS = np.array([0, 1, 7, 300, 65_535], np.uint16)


def rows(seed: int, count: int) -> np.ndarray:
    """Keypoints that share words, and signatures that lie near one another or about 12 bits away."""
    rng = np.random.default_rng(seed)
    found = np.zeros(count, ROW)
    found["word"] = rng.choice(FEW_WORDS, count, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    flips = rng.random((count, 64)) < rng.choice([0.02, 0.1, 0.12], (count, 1))
    found["signature"] = np.packbits(flips, axis=1).view("<u8")[:, 0]
    found["angle"] = rng.choice([0, 1, 3, 4, 12, 128, 200, 255], count)
    found["scale"] = rng.choice([0, 3, 4, 5, 8, 12, 60, 255], count)
    return found


def query(seed: int, count: int, each: int = 2) -> WordQuery:
    one = rows(seed, count)
    assigned = np.random.default_rng(seed + 1).choice(FEW_WORDS, (count, each))
    return WordQuery(assigned, one["signature"].copy(), one["angle"].copy(), one["scale"].copy())


def queries(seed: int, count: int = 6) -> list[WordQuery]:
    return [query(seed, count), query(seed + 1000, count // 2, 3), query(seed + 2000, 0)]


class MemoryWords:
    """A source whose every posting is in a dict: what the index has to equal."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.live: dict[int, np.ndarray] = {}
        self.removed: list[int] = []
        self.key = 0

    def add(self, postings: np.ndarray) -> int:
        with self.lock:
            self.live[self.key + 1] = postings
            self.key += 1
        return self.key

    def remove(self, key: int) -> None:
        with self.lock:
            del self.live[key]
            self.removed.append(key)

    def marks(self) -> Marks:
        return Marks(self.key, len(self.removed))

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self.removed[seq:], max(seq, len(self.removed))

    def words_after(self, key: int, limit: int) -> tuple[int, Postings]:
        with self.lock:
            keys = [one for one in sorted(self.live) if one > key][:limit]
            return keys[-1] if keys else key, postings_of({one: self.live[one] for one in keys})


def postings_of(images: dict[int, np.ndarray]) -> Postings:
    keys = np.repeat(np.array(list(images), np.int64), [len(one) for one in images.values()])
    every = np.concatenate([np.zeros(0, ROW), *images.values()])
    return Postings(
        keys,
        every["word"].copy(),
        every["signature"].copy(),
        every["angle"].copy(),
        every["scale"].copy(),
    )


def twin(
    live: dict[int, np.ndarray], counts: np.ndarray, images: int, asked: Sequence[WordQuery]
) -> list[tuple[int, int, int]]:
    """(score in parts of 65,536, key, variant) of every image, best first, worked out posting by posting."""
    best: dict[int, tuple[int, int]] = {}
    for key, postings in live.items():
        for variant, one in enumerate(asked):
            angles, scales = [0] * 32, [0] * 65
            for words_, signature, angle, scale in zip(
                one.words.tolist(),
                one.signatures.tolist(),
                one.angles.tolist(),
                one.scales.tolist(),
                strict=True,
            ):
                met = []
                for word, other, turned, sized in postings.tolist():
                    apart = (signature ^ other).bit_count()
                    if word in words_ and apart <= 12:
                        idf = np.log(1 + images / (1 + counts[word]))
                        weight = int(np.rint(idf**2 * (65_536 * np.exp(-((apart / 8) ** 2)))))
                        met.append((weight, (angle - turned + 4) % 256 // 8, (scale - sized + 260) // 8))
                if met:
                    weight, turn, size = max(met)
                    angles[turn] += weight
                    scales[size] += weight
            turns = max(angles[n - 1] + angles[n] + angles[(n + 1) % 32] for n in range(32))
            sizes = max(sum(scales[max(0, n - 1) : n + 2]) for n in range(65))
            if min(turns, sizes) > best.get(key, (0, 0))[0]:
                best[key] = min(turns, sizes), variant
    return sorted(((s, key, v) for key, (s, v) in best.items()), key=lambda row: (-row[0], row[1]))


def same(votes: Votes, due: Sequence[tuple[int, int, int]]) -> None:
    assert votes.keys.tolist() == [key for _, key, _ in due]
    assert votes.variants.tolist() == [variant for _, _, variant in due]
    assert votes.scores.tolist() == [np.float32(score / 65_536) for score, _, _ in due]
    assert [str(one.dtype) for one in (votes.keys, votes.variants, votes.scores)] == [
        "int64",
        "int64",
        "float32",
    ]


def check(index: WordsIndex, source: MemoryWords, asked: Sequence[WordQuery], limit: int) -> None:
    """Both paths give what comparing every posting gives."""
    index.refresh()
    parts = [*index._sealed, *index._tail]
    counts = sum((one.counts() for one in parts), np.zeros(VOCABULARY, np.int64))
    of_live = np.bincount(postings_of(source.live).words, minlength=VOCABULARY)
    assert (counts >= of_live).all()
    worded = {key: one for key, one in source.live.items() if len(one)}
    held = sum(len(one.images) for one in parts)
    assert len(index) == len(worded) <= held
    if not source.removed:
        assert (counts == of_live).all()
        assert held == len(worded)
    due = twin(worded, counts, held, asked)[:limit]
    for compiled in (False, True):
        same(index.search(asked, limit, compiled=compiled), due)


SMALL = WordSizes(seal=4, seal_at_close=3, read=8, segment=64)
"""Few images are enough for sealing, merging and compaction."""


def opened(directory: Path, source: MemoryWords, *, write: bool = True, feature: str = FEATURE) -> WordsIndex:
    return WordsIndex(directory, source, feature=feature, write=write, threads=2, sizes=SMALL)


def filled(directory: Path, count: int) -> tuple[WordsIndex, MemoryWords]:
    """Images one by one, as they come in daily life."""
    source = MemoryWords()
    index = opened(directory, source)
    for number in range(count):
        source.add(rows(number, 3))
        index.refresh()
    return index, source


def manifest_of(directory: Path) -> WordManifest:
    manifest = WordFiles(directory).manifest()
    assert manifest is not None
    return manifest


class WordsMachine(RuleBasedStateMachine):
    """One writer that comes and goes, and a reader that was there before, over one directory."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="wherefrom-words-")) / "words"
        self.source = MemoryWords()
        self.writer = opened(self.directory, self.source)
        self.reader = opened(self.directory, self.source, write=False)
        self.asked, self.limit = queries(0), 3

    def teardown(self) -> None:
        self.writer.close()
        shutil.rmtree(self.directory.parent)

    @rule(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=12), seed=st.integers(0, 1000))
    def add(self, sizes: list[int], seed: int) -> None:
        for number, size in enumerate(sizes):
            self.source.add(rows(100 * seed + number, size))

    @rule(several=st.integers(10, 50), seed=st.integers(0, 1000))
    def add_one_by_one(self, several: int, seed: int) -> None:
        for number in range(several):
            self.source.add(rows(1000 * seed + number, 2))
            self.writer.refresh()

    @precondition(lambda self: self.source.live)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        keys = sorted(self.source.live)
        for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=10, unique=True)):
            self.source.remove(key)

    @precondition(lambda self: len(self.source.live) > 10)
    @rule(kept=st.integers(0, 5))
    def remove_nearly_all(self, kept: int) -> None:
        for key in sorted(self.source.live)[kept:]:
            self.source.remove(key)

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
        WordFiles(self.directory).clear(FEATURE)
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

    @rule(seed=st.integers(0, 1000), count=st.integers(0, 8), limit=st.integers(1, 12))
    def ask_otherwise(self, seed: int, count: int, limit: int) -> None:
        self.asked, self.limit = queries(seed, count), limit

    @invariant()
    def writer_equals_brute_force(self) -> None:
        check(self.writer, self.source, self.asked, self.limit)

    @invariant()
    def reader_equals_brute_force(self) -> None:
        check(self.reader, self.source, self.asked, self.limit)

    @invariant()
    def nothing_is_damaged(self) -> None:
        assert list(opened(self.directory, self.source, write=False).damage()) == []


TestWordsMachine = WordsMachine.TestCase
TestWordsMachine.settings = settings(
    max_examples=20, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40), st.data())
def test_both_paths_equal_the_twin(seed: int, sizes: list[int], limit: int, data: st.DataObject) -> None:
    images = {3 * n + 1: rows(seed + n, size) for n, size in enumerate(sizes) if size}
    cut = data.draw(st.lists(st.integers(0, len(images)), max_size=3).map(sorted))
    keys, segments = list(images), []
    for first, last in zip([0, *cut], [*cut, len(keys)], strict=True):
        if last > first:
            segments.append(Segment.of(postings_of({key: images[key] for key in keys[first:last]})))
    gone = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    for segment in segments:
        segment.mask(np.array(gone, np.int64))
    counts = np.bincount(postings_of(images).words, minlength=VOCABULARY)
    asked = queries(seed)
    due = twin({k: v for k, v in images.items() if k not in gone}, counts, len(images), asked)[:limit]
    for compiled in (False, True):
        for threads in (1, 3):
            votes = word_votes.vote(segments, counts, asked, limit, threads=threads, compiled=compiled)
            same(votes, due)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_merging_is_building_from_what_lives(sizes: list[list[int]], data: st.DataObject) -> None:
    images: dict[int, np.ndarray] = {}
    segments: list[Segment] = []
    gone: list[int] = []
    for part in sizes:
        mine = {len(images) + n + 1: rows(len(images) + n, size) for n, size in enumerate(part)}
        images |= mine
        segments.append(Segment.of(postings_of(mine)))
        gone += data.draw(st.lists(st.sampled_from(list(mine)), unique=True))
        segments[-1].mask(np.array(gone, np.int64))
    block = data.draw(st.sampled_from([1, 5, 1 << 20]))
    joined = merged(segments, block=block)
    due = Segment.of(postings_of({key: one for key, one in images.items() if key not in gone}))
    for name in ("images", "offsets", "signatures", "details", "dead"):
        assert (getattr(joined, name) == getattr(due, name)).all()


def test_what_a_vote_means() -> None:
    """Two keypoints turned by different angles do not add up; turned alike they do."""
    image = np.zeros(2, ROW)
    image["word"], image["scale"], image["angle"] = [5, 6], 16, [10, 74]
    segment = Segment.of(postings_of({9: image}))
    both = np.zeros(2, np.uint64)
    one = WordQuery(
        np.array([[5, 5], [6, 8]], np.uint16), both, np.full(2, 10, np.uint8), np.zeros(2, np.uint8)
    )
    votes = word_votes.vote([segment], segment.counts(), [one], 5)
    weight = np.log(1 + 1 / 2) ** 2
    assert votes.scores.tolist() == pytest.approx([weight], abs=1e-4)
    turned = WordQuery(one.words, one.signatures, image["angle"] + np.uint8(128), one.scales)
    votes = word_votes.vote([segment], segment.counts(), [one, turned], 5)
    assert votes.scores.tolist() == pytest.approx([2 * weight], abs=1e-4)
    assert (votes.keys.tolist(), votes.variants.tolist()) == ([9], [1])


def test_queries_without_keypoints_or_images(tmp_path: Path) -> None:
    source = MemoryWords()
    index = opened(tmp_path / "w", source)
    for asked in ([], queries(1, 0), queries(1), [query(1, 3, 0)]):
        assert len(index.search(asked, 5)) == 0
    source.add(rows(1, 0))
    assert len(index.search(queries(1), 5)) == 0
    source.add(rows(1, 4))
    for asked in ([], queries(1, 0), [query(1, 3, 0)]):
        assert len(index.search(asked, 5)) == 0
    assert index.search([query(1, 4)], 5).keys.tolist() == [2]


def test_what_is_no_query(tmp_path: Path) -> None:
    index = opened(tmp_path / "w", MemoryWords())
    sound = query(1, 3)
    arrays = {"words": sound.words, "signatures": sound.signatures, "angles": sound.angles}
    for wrong in (
        {"words": sound.words[0]},
        {"words": sound.words.astype(np.int64)},
        {"signatures": sound.signatures[:2]},
        {"signatures": sound.signatures.astype(np.int64)},
        {"angles": sound.angles.astype(np.float32)},
    ):
        with pytest.raises(UsageError):
            index.search([WordQuery(**(arrays | wrong), scales=sound.scales)], 5)
    with pytest.raises(UsageError, match="At least 1"):
        index.search([sound], 0)


def test_a_small_collection_loads_no_compiler(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from tests.engine.test_words import MemoryWords, rows\n"
        "for name in [n for n in sys.modules if n.partition('.')[0] == 'numba' or 'kernels' in n]:\n"
        "    del sys.modules[name]\n"
        "from wherefrom.engine.words import WordQuery, WordsIndex\n"
        "source = MemoryWords()\n"
        "source.add(rows(1, 4))\n"
        "index = WordsIndex(Path(sys.argv[1]), source, feature='x', write=True)\n"
        "one = WordQuery(*(np.zeros(s, t) for s, t in [((1, 1), 'u2'), (1, 'u8'), (1, 'u1'), (1, 'u1')]))\n"
        "index.search([one], 3)\n"
        "sys.exit('numba' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "w"], check=True, cwd=Path(__file__).parents[2])


def test_sealing_merging_and_compaction_all_happen(tmp_path: Path) -> None:
    """The stateful test means nothing if its small numbers do not lead here."""
    index, source = filled(tmp_path / "w", 83)
    manifest = manifest_of(tmp_path / "w")
    assert [one.images for one in manifest.segments] == [64, 16]
    assert (manifest.key, manifest.removal) == (80, 0)
    for key in range(1, 18):
        source.remove(key)
    index.refresh()
    manifest = manifest_of(tmp_path / "w")
    assert [(one.images, one.first, one.last) for one in manifest.segments] == [(47, 18, 64), (16, 65, 80)]
    assert (manifest.key, manifest.removal) == (80, 17)
    assert {path.name for path in (tmp_path / "w").iterdir()} == {"manifest.json"} | {
        f"segment-{one.number}" for one in manifest.segments
    }
    for key in range(18, 81):
        source.remove(key)
    index.refresh()
    assert manifest_of(tmp_path / "w").segments == ()
    check(index, source, queries(4), 5)


def test_much_at_once_is_written_once(tmp_path: Path) -> None:
    source = MemoryWords()
    for number in range(150):
        source.add(rows(number, 1))
    written: list[int] = []
    plain = WordFiles.write

    def counted(files: WordFiles, number: int, sources: Sequence[Segment]) -> tuple[Sealed, Segment]:
        record, segment = plain(files, number, sources)
        written.append(record.images)
        return record, segment

    with patch.object(WordFiles, "write", counted):
        index = opened(tmp_path / "w", source)
    assert written == [64, 64, 22]
    assert index._tail == []


def test_a_posting_is_written_a_bounded_number_of_times() -> None:
    """However the tail is sealed, at 64 images or at closing with fewer."""
    for seals in ([64] * 400, [17, 64, 33] * 150, [20] * 600, [16, 250] * 120):
        segments: list[list[Segment]] = []
        written = 0

        def of(images: int) -> Segment:
            return Segment.in_memory(images, 0)

        for images in seals:
            plan = words.merge_plan([*segments, [of(images)]], WordSizes(seal=64, segment=4096))
            fresh = [group for group in plan if len(group) > 1] + ([plan[-1]] if len(plan[-1]) == 1 else [])
            sizes = [sum(one.live for one in group) for group in fresh]
            assert max(sizes) <= 4096
            written += sum(sizes)
            segments = [[of(sum(one.live for one in group))] for group in plan]
        assert written < 6 * sum(seals)
        assert len(segments) < 12 + sum(seals) / 1024


def test_images_without_words_move_the_watermark_too(tmp_path: Path) -> None:
    source = MemoryWords()
    for _ in range(64):
        source.add(rows(0, 0))
    opened(tmp_path / "w", source).close()
    manifest = manifest_of(tmp_path / "w")
    assert (manifest.key, manifest.segments) == (64, ())


def test_a_tail_of_which_nothing_is_left_is_sealed_too(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 3)
    for key in (1, 2, 3):
        source.remove(key)
    check(index, source, queries(1), 3)
    index.close()
    assert (manifest_of(tmp_path / "w").key, manifest_of(tmp_path / "w").segments) == (3, ())


def test_a_reader_follows_a_writer_through_everything(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 10)
    reader = opened(tmp_path / "w", source, write=False)
    for step in range(12):
        for number in range(17):
            source.add(rows(1000 * step + number, 2))
        for key in list(source.live)[:: 3 + step]:
            source.remove(key)
        index.refresh()
        check(reader, source, queries(step), 9)
    index.close()
    check(reader, source, queries(100), 9)


def test_deletes_show_at_once_and_everywhere(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 23)
    reader = opened(tmp_path / "w", source, write=False)
    for key in (1, 9, 20, 21, 23):
        asked = [
            WordQuery(one["word"][:, None], one["signature"], one["angle"], one["scale"])
            for one in [source.live[key]]
        ]
        for one in (index, reader):
            assert key in one.search(asked, 23).keys
        source.remove(key)
        for one in (index, reader):
            assert key not in one.search(asked, 23).keys


def test_what_a_reader_knows_to_be_gone_does_not_return_with_a_seal(tmp_path: Path) -> None:
    """The writer learns of additions first, and seals what has been removed meanwhile."""
    index, source = filled(tmp_path / "w", 3)
    reader = opened(tmp_path / "w", source, write=False)
    source.remove(2)
    check(reader, source, queries(1), 9)
    source.add(rows(3, 3))
    index.refresh()
    assert [one.images for one in manifest_of(tmp_path / "w").segments] == [4]
    check(reader, source, queries(1), 9)


def test_a_reader_sees_what_a_rebuild_has_changed(tmp_path: Path) -> None:
    """Features computed anew come under keys that the reader has read."""
    index, source = filled(tmp_path / "w", 50)
    readers = [opened(tmp_path / "w", source, write=False) for _ in range(2)]
    for key in source.live:
        source.live[key] = rows(5000 + key, 3)
    index.stop_writing()
    WordFiles(tmp_path / "w").clear(FEATURE)
    check(readers[0], source, queries(3), 8)
    opened(tmp_path / "w", source)
    source.add(rows(51, 3))
    for reader in readers:
        check(reader, source, queries(3), 60)


def test_words_of_another_version_are_replaced_by_what_the_source_has_now(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 40)
    index.close()
    before = bytes_of(tmp_path / "w")
    for key in source.live:
        source.live[key] = rows(5000 + key, 3)
    check(opened(tmp_path / "w", source, write=False, feature="words-2"), source, queries(3), 8)
    assert bytes_of(tmp_path / "w") == before  # a reader leaves the files alone
    writer = opened(tmp_path / "w", source, feature="words-2")
    check(writer, source, queries(3), 8)
    assert manifest_of(tmp_path / "w").feature == "words-2"
    assert list(writer.damage()) == []


def test_an_index_ahead_of_its_source_is_refused(tmp_path: Path) -> None:
    """As when the catalog comes from a backup: the keys would be given again to other images."""
    index, _ = filled(tmp_path / "w", 40)
    index.close()
    _, source = filled(tmp_path / "other", 30)
    with pytest.raises(CollectionDamaged, match=r"knows more than the catalog.*wherefrom rebuild"):
        opened(tmp_path / "w", source)


def test_a_source_in_disorder_is_refused(tmp_path: Path) -> None:
    source = MemoryWords()
    source.key = 3
    for wrong in ([3, 2], [0], [9]):
        found = postings_of({key: rows(key, 1) for key in wrong})
        with (
            patch.object(source, "words_after", lambda *_, found=found: (3, found)),
            pytest.raises(CollectionDamaged, match="disorder"),
        ):
            opened(tmp_path / "w", source)


def test_a_disk_that_takes_nothing_costs_speed_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index, source = filled(tmp_path / "w", 50)
    sealed = bytes_of(tmp_path / "w")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with patch("os.posix_fallocate", full), caplog.at_level(logging.WARNING):
        for number in range(100):
            source.add(rows(100 + number, 2))
            if number % 10 == 0:
                index.refresh()
        for key in range(1, 46):
            source.remove(key)
        check(index, source, queries(5), 7)
    assert 1 < caplog.text.count("stays in memory") < 12
    assert bytes_of(tmp_path / "w") == sealed
    index.close()  # there is room again
    assert list(opened(tmp_path / "w", source, write=False).damage()) == []
    check(opened(tmp_path / "w", source, write=False), source, queries(5), 7)
    assert [one.images for one in manifest_of(tmp_path / "w").segments][-1] > 30


def test_a_failing_sync_leaves_the_old_state(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 19)
    before = bytes_of(tmp_path / "w")
    with patch("os.fsync", side_effect=OSError(5, "I/O error")):
        source.add(rows(20, 3))
        check(index, source, queries(5), 7)
    after = bytes_of(tmp_path / "w")
    after.pop("manifest.draft", None)
    assert after == before


class Killed(BaseException):
    """Ends a writer without anything of it being cleaned up."""


def killed_at(step: int, work: object) -> bool:
    """Run `work()` up to the step-th call that changes the directory; whether it got that far."""
    left = [step]

    def watched(plain: object) -> object:
        def call(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return plain(*args, **kwargs)  # type: ignore[operator]

        return call

    with ExitStack() as stack:
        for name in ("allocate", "sync", "sync_directory", "delete", "merged"):
            target = f"wherefrom.engine.word_files.{name}"
            stack.enter_context(
                patch(target, watched(getattr(sys.modules["wherefrom.engine.word_files"], name)))
            )
        stack.enter_context(patch.object(Path, "replace", watched(Path.replace)))
        stack.enter_context(patch.object(Path, "write_text", watched(Path.write_text)))
        try:
            work()  # type: ignore[operator]
        except Killed:
            return True
    return False


@pytest.mark.parametrize("what", ["first seal", "seal", "merge", "compaction"])
def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path, what: str) -> None:
    directory = tmp_path / "w"
    index, source = filled(directory, {"first seal": 3, "seal": 7, "merge": 63, "compaction": 21}[what])
    index.stop_writing()
    if what == "compaction":
        for key in range(1, 9):
            source.remove(key)
    else:
        source.add(rows(999, 4))
    before = bytes_of(directory) if directory.exists() else {}
    for step in range(1, 100):
        directory.mkdir(exist_ok=True)
        restore(directory, before)
        if not killed_at(step, lambda: opened(directory, source)):
            break
        reader = opened(directory, source, write=False)
        check(reader, source, queries(7), 9)
        assert list(reader.damage()) == []
        writer = opened(directory, source)
        check(writer, source, queries(7), 9)
        check(reader, source, queries(7), 9)
        assert list(writer.damage()) == []
        named = {f"segment-{one.number}" for one in manifest_of(directory).segments}
        assert {path.name for path in directory.iterdir()} - {"manifest.draft"} == named | {"manifest.json"}
    assert step > 6


def test_a_process_that_is_killed_anywhere(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.engine.test_words import MemoryWords, opened, rows\n"
        "source = MemoryWords()\n"
        "for number in range(80): source.add(rows(number, 2))\n"
        "index = opened(Path(sys.argv[1]), source)\n"
        "print('ready', flush=True)\n"
        "for number in range(80, 5000):\n"
        "    source.add(rows(number, 2))\n"
        "    index.refresh()\n"
    )
    source = MemoryWords()
    for number in range(5000):
        source.add(rows(number, 2))
    for pause in (0.01, 0.05, 0.11):
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "w")],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            child.send_signal(signal.SIGKILL)
        assert manifest_of(tmp_path / "w").key >= 80
        assert list(opened(tmp_path / "w", source, write=False).damage()) == []


def test_damage_is_told_by_kind(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 64)
    index.close()

    def told() -> str:
        return "\n".join(opened(tmp_path / "w", source, write=False).damage())

    assert told() == ""
    kept = source.live[40]
    del source.live[40]
    assert "the words of 1 images belong to no image" in told()
    source.live[40] = kept.copy()
    for name in ("word", "signature", "angle", "scale"):
        source.live[40][name][1] ^= 1
        assert "1 of 64 images differ from the catalog, the first of image number 40" in told()
        source.live[40][name][1] ^= 1
    source.live[40] = kept[:2]
    assert "differ" in told()
    source.live[40] = kept[::-1].copy()
    assert told() == ""
    source.add(rows(64, 3))
    index = opened(tmp_path / "w", source)
    index._key = 65
    index._tail = []
    assert list(index.damage()) == [
        "words index: the words of 1 of 65 images are missing, the first of image number 65. "
        "Run: wherefrom rebuild"
    ]


def test_a_flip_anywhere_in_a_segment_is_told_and_crashes_nothing(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 20)
    index.close()
    number = manifest_of(tmp_path / "w").segments[0].number
    path = tmp_path / "w" / f"segment-{number}"
    sound = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(60):
        wrong = bytearray(sound)
        place = rng.integers(len(sound)) if rng.random() < 0.5 else rng.integers(700)
        wrong[place] ^= 1 << rng.integers(8)
        path.write_bytes(wrong)
        reader = opened(tmp_path / "w", source, write=False)
        for compiled in (False, True):
            reader.search(queries(6), 5, compiled=compiled)
        assert list(reader.damage()) == [
            f"words index: {path} is not what was written. Run: wherefrom rebuild"
        ]
    for key in range(1, 8):
        source.remove(key)
    with pytest.raises(CollectionDamaged, match=rf"{path.name} is not what was written"):
        opened(tmp_path / "w", source)


@pytest.mark.parametrize("how", ["missing", "shorter", "longer"])
def test_segments_of_other_sizes_are_refused(tmp_path: Path, how: str) -> None:
    index, source = filled(tmp_path / "w", 20)
    index.close()
    path = WordFiles(tmp_path / "w").path(manifest_of(tmp_path / "w").segments[-1].number)
    if how == "missing":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size + (8 if how == "longer" else -8))
    with pytest.raises(CollectionDamaged, match=rf"{path.name}.*wherefrom rebuild"):
        opened(tmp_path / "w", source)


def test_a_lost_manifest_is_told_and_made_anew(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 20)
    index.close()
    (tmp_path / "w" / "manifest.json").unlink()
    reader = opened(tmp_path / "w", source, write=False)
    check(reader, source, queries(6), 5)
    told = list(reader.damage())
    assert told
    assert all("manifest.json is missing. Run: wherefrom rebuild" in one for one in told)
    opened(tmp_path / "w", source)
    assert list(reader.damage()) == []


def test_every_flip_in_a_manifest_is_found(tmp_path: Path) -> None:
    index, _ = filled(tmp_path / "w", 20)
    index.close()
    files, manifest = WordFiles(tmp_path / "w"), manifest_of(tmp_path / "w")
    path = tmp_path / "w" / "manifest.json"
    sound, harmless = path.read_bytes(), 0
    for place in range(len(sound)):
        for bit in (0, 3, 6):
            path.write_bytes(sound[:place] + bytes([sound[place] ^ 1 << bit]) + sound[place + 1 :])
            try:
                assert files.manifest() == manifest  # white space for white space
                harmless += 1
            except CollectionDamaged:
                pass
    assert harmless < 60


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"manifest": [], "crc": 223132457}', "\xff"])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CollectionDamaged, match="wherefrom rebuild"):
        WordFiles(tmp_path).manifest()


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"more": 1},
        {"key": 3},
        {"segments": [1]},
        {"first": 0},
        {"images": 65_537},
        {"last": -1},
    ],
)
def test_impossible_manifests(tmp_path: Path, wrong: dict[str, int]) -> None:
    filled(tmp_path / "w", 20)
    body = json.loads(manifest_of(tmp_path / "w").to_text())["manifest"]
    ((name, value),) = wrong.items()
    (body["segments"][0] if name in body["segments"][0] else body)[name] = value
    with patch("wherefrom.engine.word_files.crc_of", return_value=0):
        (tmp_path / "w" / "manifest.json").write_text(json.dumps({"manifest": body, "crc": 0}))
        with pytest.raises(CollectionDamaged):
            WordFiles(tmp_path / "w").manifest()


def test_clearing_uses_numbers_that_nobody_has_seen(tmp_path: Path) -> None:
    filled(tmp_path / "w", 20)
    files, before = WordFiles(tmp_path / "w"), manifest_of(tmp_path / "w")
    for prepare in ("sound", "damaged", "missing", "no directory", "a file"):
        path = tmp_path / "w" / "manifest.json"
        if prepare == "damaged":
            path.write_text("{")
        elif prepare != "sound":
            path.unlink()
        if prepare in ("no directory", "a file"):
            (tmp_path / "w").rmdir()
            if prepare == "a file":
                (tmp_path / "w").touch()
        files.clear("words-2")
        cleared = manifest_of(tmp_path / "w")
        assert (cleared.segments, cleared.feature, cleared.key) == ((), "words-2", 0)
        assert cleared.generation == cleared.epoch > before.generation
        assert [one.name for one in (tmp_path / "w").iterdir()] == ["manifest.json"]


def test_what_a_segment_takes() -> None:
    assert segment_bytes(65_536, 200 * 65_536) / 65_536 == pytest.approx(2412, abs=0.1)


def test_searches_in_many_threads_while_one_adds(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 30)
    reader = opened(tmp_path / "w", source, write=False)
    wanted = source.live[7]
    asked = [WordQuery(wanted["word"][:, None], wanted["signature"], wanted["angle"], wanted["scale"])]
    wrong: list[object] = []
    done = threading.Event()

    def search(one: WordsIndex) -> None:
        while not done.is_set():
            try:
                if 7 not in one.search(asked, 1000).keys:
                    wrong.append("lost")
            except BaseException as error:
                wrong.append(error)
                raise

    threads = [threading.Thread(target=search, args=(one,)) for one in (index, reader, reader)]
    for thread in threads:
        thread.start()
    try:
        for number in range(150):
            source.add(rows(10_000 + number, 2))
            index.refresh()
            if number % 20 == 19:
                for key in sorted(source.live)[20:-5]:
                    source.remove(key)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_what_changes_while_damage_is_looked_for_is_none(tmp_path: Path) -> None:
    index, source = filled(tmp_path / "w", 60)
    plain = source.words_after

    def and_meanwhile(key: int, limit: int) -> object:
        if source.key < 80:
            source.remove(min(source.live))
            source.remove(max(source.live))
            source.add(rows(5000 + source.key, 3))
        return plain(key, limit)

    with patch.object(source, "words_after", and_meanwhile):
        assert list(index.damage()) == []


def test_the_rarest_words_are_asked_first_and_the_most_frequent_not_at_all() -> None:
    counts = np.zeros(1 << 16, np.int64)
    counts[[1, 2, 3, 4]] = 5, 100, 10, 6
    none = np.zeros(4, np.uint8)
    query = WordQuery(np.array([[1], [2], [3], [4]], np.uint16), np.zeros(4, np.uint64), none, none)
    for most, asked in ((200, [1, 2, 3, 4]), (21, [1, 3, 4]), (20, [1, 4]), (4, [])):
        assert word_votes._asked([query], counts, 50, most).words.tolist() == asked
