"""The words index against brute force, whatever is done to it and whenever it is opened."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute_force import (
    ROW,
    best_words,
    keypoints,
    postings_of,
    same_votes,
    word_queries,
    word_query,
)
from tests.support.derived import DerivedSuite
from tests.support.derived_kinds import WORDS
from tests.support.derived_life import Life, lives
from wherefrom.engine import word_votes, words
from wherefrom.engine.sizes import WordSizes
from wherefrom.engine.word_files import VOCABULARY, Sealed, Segment, merged, segment_bytes
from wherefrom.engine.words import WordFiles, WordQuery
from wherefrom.errors import CollectionDamaged, UsageError


class TestWords(DerivedSuite):
    kind, name = WORDS, "WORDS"


class WordsLife(Life):
    kind = WORDS


TestWordsLife = lives(WordsLife, 10, 12)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 9), max_size=30), st.integers(1, 40), st.data())
def test_both_paths_equal_the_twin(seed: int, sizes: list[int], limit: int, data: st.DataObject) -> None:
    images = {3 * n + 1: keypoints(seed + n, size) for n, size in enumerate(sizes) if size}
    cut = data.draw(st.lists(st.integers(0, len(images)), max_size=3).map(sorted))
    keys, segments = list(images), []
    for first, last in zip([0, *cut], [*cut, len(keys)], strict=True):
        if last > first:
            segments.append(Segment.of(postings_of({key: images[key] for key in keys[first:last]})))
    gone = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    for segment in segments:
        segment.mask(np.array(gone, np.int64))
    counts = np.bincount(postings_of(images).words, minlength=VOCABULARY)
    asked = word_queries(seed)
    due = best_words({k: v for k, v in images.items() if k not in gone}, counts, len(images), asked)[:limit]
    for compiled in (False, True):
        for threads in (1, 3):
            votes = word_votes.vote(segments, counts, asked, limit, threads=threads, compiled=compiled)
            same_votes(votes, due)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=6), min_size=1, max_size=5), st.data())
def test_merging_is_building_from_what_lives(sizes: list[list[int]], data: st.DataObject) -> None:
    images: dict[int, np.ndarray] = {}
    segments: list[Segment] = []
    gone: list[int] = []
    for part in sizes:
        mine = {len(images) + n + 1: keypoints(len(images) + n, size) for n, size in enumerate(part)}
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
    source = WORDS.source()
    index = WORDS.opened(tmp_path / "w", source)
    for asked in ([], word_queries(1, 0), word_queries(1), [word_query(1, 3, 0)]):
        assert len(index.search(asked, 5)) == 0
    source.add(keypoints(1, 0))
    assert len(index.search(word_queries(1), 5)) == 0
    source.add(keypoints(1, 4))
    for asked in ([], word_queries(1, 0), [word_query(1, 3, 0)]):
        assert len(index.search(asked, 5)) == 0
    assert index.search([word_query(1, 4)], 5).keys.tolist() == [2]


def test_what_is_no_query(tmp_path: Path) -> None:
    index = WORDS.opened(tmp_path / "w", WORDS.source())
    sound = word_query(1, 3)
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
        "from tests.support.brute_force import keypoints\n"
        "from tests.support.derived_kinds import WORDS\n"
        "for name in [n for n in sys.modules if n.partition('.')[0] == 'numba' or 'kernels' in n]:\n"
        "    del sys.modules[name]\n"
        "from wherefrom.engine.words import WordQuery, WordsIndex\n"
        "source = WORDS.source()\n"
        "source.add(keypoints(1, 4))\n"
        "index = WordsIndex(Path(sys.argv[1]), source, feature='x', write=True)\n"
        "one = WordQuery(*(np.zeros(s, t) for s, t in [((1, 1), 'u2'), (1, 'u8'), (1, 'u1'), (1, 'u1')]))\n"
        "index.search([one], 3)\n"
        "sys.exit('numba' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "w"], check=True, cwd=Path(__file__).parents[2])


def test_sealing_merging_and_compaction_all_happen(tmp_path: Path) -> None:
    """The stateful test means nothing if its small numbers do not lead here."""
    index, source = WORDS.filled(tmp_path / "w", 83)
    manifest = WORDS.manifest(tmp_path / "w")
    assert [one.images for one in manifest.segments] == [64, 16]
    assert (manifest.key, manifest.removal) == (80, 0)
    for key in range(1, 18):
        source.remove(key)
    index.refresh()
    manifest = WORDS.manifest(tmp_path / "w")
    assert [(one.images, one.first, one.last) for one in manifest.segments] == [(47, 18, 64), (16, 65, 80)]
    assert (manifest.key, manifest.removal) == (80, 17)
    assert {path.name for path in (tmp_path / "w").iterdir()} == {"manifest.json"} | {
        f"segment-{one.number}" for one in manifest.segments
    }
    for key in range(18, 81):
        source.remove(key)
    index.refresh()
    assert WORDS.manifest(tmp_path / "w").segments == ()
    WORDS.check(index, source, 4)


def test_much_at_once_is_written_once(tmp_path: Path) -> None:
    source = WORDS.source()
    for number in range(150):
        source.add(keypoints(number, 1))
    written: list[int] = []
    plain = WordFiles.write

    def counted(files: WordFiles, number: int, sources: Sequence[Segment]) -> tuple[Sealed, Segment]:
        record, segment = plain(files, number, sources)
        written.append(record.images)
        return record, segment

    with patch.object(WordFiles, "write", counted):
        index = WORDS.opened(tmp_path / "w", source)
    assert written == [64, 64, 22]
    assert index._tail.segments == []


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


def test_a_tail_of_which_nothing_is_left_is_sealed_too(tmp_path: Path) -> None:
    index, source = WORDS.filled(tmp_path / "w", 3)
    for key in (1, 2, 3):
        source.remove(key)
    WORDS.check(index, source, 1)
    index.close()
    assert (WORDS.manifest(tmp_path / "w").key, WORDS.manifest(tmp_path / "w").segments) == (3, ())


def test_a_flip_anywhere_in_a_segment_is_told_and_crashes_nothing(tmp_path: Path) -> None:
    index, source = WORDS.filled(tmp_path / "w", 20)
    index.close()
    number = WORDS.manifest(tmp_path / "w").segments[0].number
    path = tmp_path / "w" / f"segment-{number}"
    sound = path.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(60):
        wrong = bytearray(sound)
        place = rng.integers(len(sound)) if rng.random() < 0.5 else rng.integers(700)
        wrong[place] ^= 1 << rng.integers(8)
        path.write_bytes(wrong)
        reader = WORDS.opened(tmp_path / "w", source, write=False)
        for compiled in (False, True):
            reader.search(word_queries(6), 5, compiled=compiled)
        assert list(reader.damage()) == [
            f"words index: {path} is not what was written. Run: wherefrom rebuild"
        ]
    for key in range(1, 8):
        source.remove(key)
    with pytest.raises(CollectionDamaged, match=rf"{path.name} is not what was written"):
        WORDS.opened(tmp_path / "w", source)


def test_what_a_segment_takes() -> None:
    assert segment_bytes(65_536, 200 * 65_536) / 65_536 == pytest.approx(2412, abs=0.1)


def test_the_rarest_words_are_asked_first_and_the_most_frequent_not_at_all() -> None:
    counts = np.zeros(1 << 16, np.int64)
    counts[[1, 2, 3, 4]] = 5, 100, 10, 6
    none = np.zeros(4, np.uint8)
    query = WordQuery(np.array([[1], [2], [3], [4]], np.uint16), np.zeros(4, np.uint64), none, none)
    for most, asked in ((200, [1, 2, 3, 4]), (21, [1, 3, 4]), (20, [1, 4]), (4, [])):
        assert word_votes._asked([query], counts, 50, most).words.tolist() == asked
