"""The vocabulary: the file that is shipped, nearest leaves as brute force finds them, and signatures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.scenes import scene
from wherefrom.features import vocabulary as module
from wherefrom.features.descriptors import descriptors, orientations
from wherefrom.features.keypoints import VERSION as KEYPOINTS_VERSION
from wherefrom.features.scalespace import Floats, extrema, octaves
from wherefrom.features.vocabulary import (
    BRANCHES,
    DIMENSIONS,
    LEAVES,
    VERSION,
    WORDS,
    Vocabulary,
    signatures,
    vocabulary,
)

FILE = Path(module.__file__).with_name("vocabulary.npz")


def projected(seed: int, count: int | None = None) -> Floats:
    """Descriptors of a drawn picture, projected."""
    space = octaves(scene(200, 260, seed))
    points = extrema(space, 0.8)
    _, angles = orientations(space, points, several=False)
    found = vocabulary().project(descriptors(space, points, angles))
    return found if count is None else found[:count]


def apart(points: Floats, centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances (n, m) in float64, one row after another."""
    return np.array([((row.astype(np.float64) - centres) ** 2).sum(axis=1) for row in points])


def leaves(known: Vocabulary) -> NDArray[np.float64]:
    return known.leaves.astype(np.float64) * known.unit


# The file


def test_the_file_is_what_the_program_expects() -> None:
    known = vocabulary()
    assert known.version == VERSION
    assert VERSION in KEYPOINTS_VERSION
    assert known.mean.shape == (128,)
    assert known.projection.shape == (128, DIMENSIONS)
    assert known.branches.shape == (BRANCHES, DIMENSIONS)
    assert known.leaves.shape == (65_536, DIMENSIONS) == (WORDS, DIMENSIONS)
    assert [a.dtype for a in (known.mean, known.projection, known.branches)] == [np.float32] * 3
    assert known.leaves.dtype == np.int8
    assert all(np.isfinite(a).all() for a in (known.mean, known.projection, known.branches))
    assert np.iinfo(np.uint16).max == WORDS - 1


def test_the_file_is_small_enough_to_ship() -> None:
    assert FILE.stat().st_size < 10_000_000


def test_the_file_names_the_pictures_it_was_trained_on() -> None:
    names = vocabulary().pictures
    assert len(names) > 100
    assert len(set(names)) == len(names)
    assert list(names) == sorted(names)
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"grocery", "clothing", "kodak", "exif_orientation", "scikit-image"}
    assert not any(name.startswith("/") or ".." in name for name in names)


def test_it_is_loaded_once() -> None:
    assert vocabulary() is vocabulary()


def test_projection_keeps_angles_between_axes() -> None:
    # Principal components and a rotation: columns are unit vectors, none along another.
    projection = vocabulary().projection.astype(np.float64)
    assert np.abs(projection.T @ projection - np.eye(DIMENSIONS)).max() < 1e-3


def test_leaves_lie_below_their_branches() -> None:
    known = vocabulary()
    nearest = [
        apart(middle[None].astype(np.float32), known.branches.astype(np.float64)).argmin()
        for middle in leaves(known).reshape(BRANCHES, LEAVES, DIMENSIONS).mean(axis=1)[::37]
    ]
    assert np.mean(np.array(nearest) == np.arange(BRANCHES)[::37]) > 0.9


def test_saved_and_loaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = vocabulary()
    known.save(tmp_path / "again.npz")
    monkeypatch.setattr(module, "_FILE", tmp_path / "again.npz")
    again = module.vocabulary.__wrapped__()
    for name in ("mean", "projection", "branches", "leaves"):
        assert (getattr(again, name) == getattr(known, name)).all(), name
        assert getattr(again, name).dtype == getattr(known, name).dtype, name
    assert (again.version, again.unit, again.pictures) == (known.version, known.unit, known.pictures)


# Projection and signatures


def test_projection_is_by_its_formula() -> None:
    known = vocabulary()
    found = np.random.default_rng(0).random((9, 4, 4, 8), np.float32)
    wanted = (found.reshape(9, 128).astype(np.float64) - known.mean) @ known.projection.astype(np.float64)
    assert np.abs(known.project(found) - wanted).max() < 1e-5
    assert known.project(found).dtype == np.float32
    assert known.project(found[:0]).shape == (0, DIMENSIONS)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_signatures_are_the_signs(numbers: list[int]) -> None:
    # A dimension is above zero where the bit of its number is set; zero itself is not above.
    signs = [[1.0 if number >> bit & 1 else [-1.0, 0.0][bit % 2] for bit in range(64)] for number in numbers]
    found = signatures(np.array(signs, np.float32).reshape(-1, 64))
    assert found.dtype == np.uint64
    assert found.tolist() == numbers


def test_signs_split_real_descriptors_about_evenly() -> None:
    found = np.concatenate([projected(seed) for seed in range(6)])
    shares = (found > 0).mean(axis=0)
    assert ((shares > 0.15) & (shares < 0.85)).all()


# Words


def test_words_are_the_nearest_leaves_of_the_nearest_branch() -> None:
    known = vocabulary()
    points = projected(1, 60)
    assert len(points) == 60
    found = known.words(points)
    assert found.dtype == np.uint16
    assert found.shape == (60, 1)
    centres = leaves(known).reshape(BRANCHES, LEAVES, DIMENSIONS)
    branch = apart(points, known.branches.astype(np.float64)).argmin(axis=1)
    for row, point in enumerate(points):
        assert found[row, 0] // LEAVES == branch[row]
        near = apart(point[None], centres[branch[row]])[0]
        assert near[found[row, 0] % LEAVES] <= near.min() + 1e-5


@pytest.mark.parametrize(("count", "branches"), [(1, 3), (2, 3), (5, 3), (3, 1), (64, 1), (8, 10), (2, 1024)])
def test_several_words_are_nearest_first(count: int, branches: int) -> None:
    known = vocabulary()
    points = projected(2, 12)
    found = known.words(points, count, branches)
    assert found.dtype == np.uint16
    assert found.shape == (12, count)
    everything = leaves(known)
    near = apart(points, known.branches.astype(np.float64))
    for row, point in enumerate(points):
        taken = np.sort(near[row].argsort()[:branches])
        below = (taken[:, None] * LEAVES + np.arange(LEAVES)).ravel()
        distance = apart(point[None], everything[below])[0]
        wanted = np.sort(distance)[:count]
        assert len(set(found[row].tolist())) == count
        assert set((found[row] // LEAVES).tolist()) <= set(taken.tolist())
        ours = apart(point[None], everything[found[row]])[0]
        # float32 leaves leaves that are equally near in either order.
        assert np.abs(ours - wanted).max() < 1e-5


def test_more_branches_find_leaves_as_near_or_nearer() -> None:
    known = vocabulary()
    points = projected(3)
    everything = leaves(known)

    def distance(branches: int) -> NDArray[np.float64]:
        words = known.words(points, 1, branches)[:, 0]
        return np.asarray(((points - everything[words]) ** 2).sum(axis=1))

    one, three, ten = (distance(branches) for branches in (1, 3, 10))
    assert (three <= one + 1e-5).all()
    assert (ten <= three + 1e-5).all()
    assert (three < one - 1e-5).any()


def test_a_row_has_the_same_words_whatever_lies_beside_it() -> None:
    known = vocabulary()
    points = projected(4, 50)
    order = np.random.default_rng(0).permutation(50)
    assert (known.words(points[order], 2, 3) == known.words(points, 2, 3)[order]).all()
    assert (known.words(points[7:8], 2, 3) == known.words(points, 2, 3)[7:8]).all()


def test_the_centres_are_words_of_their_own() -> None:
    known = vocabulary()
    numbers = np.random.default_rng(5).integers(WORDS, size=40)
    centres = leaves(known)[numbers].astype(np.float32)
    found = known.words(centres, 1, BRANCHES)[:, 0]
    same = ((leaves(known)[found] - centres) ** 2).sum(axis=1) < 1e-6
    assert same.all()


@pytest.mark.parametrize(("count", "branches"), [(1, 1), (3, 2)])
def test_no_points(count: int, branches: int) -> None:
    found = vocabulary().words(np.zeros((0, DIMENSIONS), np.float32), count, branches)
    assert found.dtype == np.uint16
    assert found.shape == (0, count)
    assert signatures(np.zeros((0, DIMENSIONS), np.float32)).shape == (0,)
