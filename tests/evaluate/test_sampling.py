"""Sampling: the seed and the names decide, and nothing else; what is passed over is said."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import wherefrom
from tests.scenes import encoded, folder_of
from wherefrom.errors import UsageError
from wherefrom.evaluate.edits import EDITS
from wherefrom.evaluate.sampling import held_out_of, images_of, pick, shuffled, split_folder
from wherefrom.evaluate.suites import ATTEMPTS, SUITES, TRIALS, suite
from wherefrom.settings import Settings

PLAIN = Settings(workers=1, model="none")


@given(st.sets(st.text(), max_size=20), st.integers(0, 5), st.randoms())
def test_the_order_is_that_of_the_seed(names: set[str], seed: int, chance: random.Random) -> None:
    mixed = sorted(names)
    chance.shuffle(mixed)
    assert shuffled(mixed, seed, str) == shuffled(sorted(names), seed, str)
    assert sorted(shuffled(mixed, seed, str)) == sorted(names)


def test_seeds_choose_differently_and_a_larger_sample_contains_the_smaller() -> None:
    names = [f"picture {number}" for number in range(100)]
    assert shuffled(names, 0, str) != shuffled(names, 1, str)
    fewer = shuffled(names[:60], 0, str)
    assert [name for name in shuffled(names, 0, str) if name in fewer] == fewer


def test_a_tenth_is_held_out_and_at_most_200() -> None:
    assert [held_out_of(count, None) for count in (0, 9, 10, 95, 2_000, 50_000)] == [0, 0, 1, 9, 200, 200]
    assert held_out_of(10, 9) == 9
    assert held_out_of(10, 0) == 0
    for asked in (10, 11, -1):
        with pytest.raises(UsageError, match="held out"):
            held_out_of(10, asked)


def test_a_folder_is_split_the_same_wherever_it_lies(tmp_path: Path) -> None:
    names = []
    for place in ("one", "another place"):
        folder_of(tmp_path / place, 6)
        (tmp_path / place / "notes.txt").write_text("no picture")
        paths, held = split_folder(tmp_path / place, 2, 7)
        names.append([Path(str(one.path)).name for one in held])
        assert len(held) == 2
        assert {*paths, *(one.path for one in held)} == set(map(str, (tmp_path / place).iterdir()))
        assert not set(paths) & {one.path for one in held}
    assert names[0] == names[1]
    assert split_folder(tmp_path / "one", 4, 1)[1] != split_folder(tmp_path / "one", 4, 2)[1]


def test_only_pictures_are_held_out(tmp_path: Path) -> None:
    folder_of(tmp_path, 2)
    for number in range(10):
        (tmp_path / f"note {number}.jpg").write_text("words")
    _, held = split_folder(tmp_path, 2, 0)
    assert {Path(str(one.path)).name for one in held} == {"picture 000.jpg", "picture 001.jpg"}


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        split_folder(tmp_path / "none", None, 0)
    with pytest.raises(UsageError, match="no files"):
        split_folder(tmp_path, None, 0)


def test_blank_pictures_and_lost_files_are_told_apart(tmp_path: Path) -> None:
    files = folder_of(tmp_path / "in", 4)
    (tmp_path / "in" / "blank.png").write_bytes(encoded(Image.new("RGB", (300, 200), "grey"), "PNG"))
    with wherefrom.open(tmp_path / "c", create=True, settings=PLAIN) as collection:
        collection.add(tmp_path / "in")
        files[2].unlink()
        order = images_of(collection.engine, 0)
        assert len(order) == 5
        picked = pick(collection.engine, order, 10)
        assert {Path(str(one.path)) for one in picked.subjects} == {files[0], files[1], files[3]}
        assert [uri.rsplit("/", 1)[1] for uri in picked.blank] == ["blank.png"]
        assert [skip.uri.rsplit("/", 1)[1] for skip in picked.skipped] == ["picture%20002.jpg"]
        barred = picked.subjects[0].key
        assert barred not in {one.key for one in pick(collection.engine, order, 10, [barred]).subjects}
        first = pick(collection.engine, order, 1).subjects
        assert first == picked.subjects[:1]


# Suites


def test_every_edit_has_its_place_in_the_suites() -> None:
    assert set(ATTEMPTS) == set(EDITS)
    assert {attempt.edit for attempt in SUITES["full"].attempts} == set(EDITS)
    assert 10 <= len(SUITES["quick"].attempts) <= 15
    kinds = {"same", "copy", "partial"}
    assert all(attempt.kinds and set(attempt.kinds) <= kinds for attempt in ATTEMPTS.values())
    curves: dict[str, list[float]] = {}
    for attempt in ATTEMPTS.values():
        if attempt.strength is not None:
            curves.setdefault(attempt.family, []).append(attempt.strength)
    assert all(len(set(steps)) == len(steps) for steps in curves.values())


@given(originals=st.integers(1, 700), seed=st.integers(0, 50), name=st.sampled_from(sorted(SUITES)))
def test_each_edit_is_tried_as_often_as_any_other(originals: int, seed: int, name: str) -> None:
    chosen = SUITES[name]
    parts = chosen.parts(originals, seed)
    assert len(parts) == originals
    counts = dict.fromkeys((attempt.edit for attempt in chosen.attempts), 0)
    for part in parts:
        assert len({attempt.edit for attempt in part}) == len(part)  # none twice
        for attempt in part:
            counts[attempt.edit] += 1
    assert max(counts.values()) - min(counts.values()) <= 1
    assert min(counts.values()) >= (originals if name == "full" else min(originals, TRIALS))
    assert parts == chosen.parts(originals, seed)


def test_500_originals_are_tried_within_the_budget() -> None:
    assert sum(map(len, SUITES["default"].parts(500, 0))) <= 10_000
    assert np.mean([len(part) for part in SUITES["full"].parts(500, 0)]) == len(ATTEMPTS)


def test_edits_can_be_chosen() -> None:
    chosen = suite("default").only(["mirror", "crop 70 %", "mirror"])
    assert [attempt.edit for attempt in chosen.attempts] == ["mirror", "crop 70 %"]
    with pytest.raises(UsageError, match="no edit 'mirrored'"):
        suite("default").only(["mirrored"])
    with pytest.raises(UsageError, match="Suites are quick, default, full"):
        suite("none")
