"""Verification: planted transforms are found with their inliers, and chance proves nothing."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wherefrom.features.keypoints import Keypoints
from wherefrom.search.verify import (
    FRAME,
    NEAR,
    Geometry,
    Matrix,
    frame_of,
    jacobian,
    mapped,
    matched,
    plausible,
    proves,
    verify,
)

SIZE = (800, 600)
THERE = (512.0, 384.0)


def similarity(degrees: float, scale: float, across: float = 0, down: float = 0) -> Matrix:
    """About the middle of a frame of 512 × 384, and moved."""
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    return np.asarray(shift(256 + across, 192 + down) @ turn @ shift(-256, -192))


def shift(across: float, down: float) -> Matrix:
    return np.array([[1.0, 0, across], [0, 1, down], [0, 0, 1]])


def tilted(strength: float) -> Matrix:
    """A perspective by which the right side becomes smaller."""
    tilt = np.eye(3)
    tilt[2, 0] = strength / 512
    return np.asarray(shift(20, 30) @ tilt)


class Planted(NamedTuple):
    query: Keypoints
    match: Keypoints
    pairs: set[tuple[int, int]]


def keypoints(places: Matrix, angles: Matrix, scales: Matrix, signatures: NDArray[np.uint64]) -> Keypoints:
    """Of places in a frame of 512 × 384, angles in radians and sigmas."""
    return Keypoints(
        (places[:, 0] / THERE[0]).astype(np.float32),
        (places[:, 1] / THERE[1]).astype(np.float32),
        (np.rint(angles * 128 / math.pi).astype(np.int64) % 256).astype(np.uint8),
        np.clip(np.rint(16 * np.log2(scales)), 0, 255).astype(np.uint8),
        np.zeros((len(places), 1), np.uint16),
        signatures,
    )


def drawn(count: int, random: np.random.Generator) -> tuple[Matrix, Matrix, Matrix, NDArray[np.uint64]]:
    return (
        random.uniform(0, 1, (count, 2)) * THERE,
        random.uniform(0, 2 * math.pi, count),
        random.uniform(8, 30, count),
        random.integers(1 << 64, size=count, dtype=np.uint64),
    )


def some(count: int, seed: int) -> Keypoints:
    return keypoints(*drawn(count, np.random.default_rng(seed)))


def altered(signatures: NDArray[np.uint64], random: np.random.Generator, most: int = 9) -> NDArray[np.uint64]:
    """Signatures with up to `most` bits changed."""
    done = signatures.copy()
    for row in range(len(done)):
        for bit in random.choice(64, int(random.integers(most + 1)), replace=False):
            done[row] ^= np.uint64(1) << np.uint64(bit)
    return done


def planted(
    transform: Matrix, *, count: int = 150, outliers: int = 100, liars: int = 25, seed: int = 0
) -> Planted:
    """A candidate, and the query that shows it through a transform among other things.

    Half of the keypoints in sight are found again, half a pixel off or so; `liars` look like keypoints of the
    candidate and lie anywhere.
    """
    random = np.random.default_rng(seed)
    places, angles, scales, signatures = drawn(count, random)
    moved = mapped(transform, places)
    inside = (moved >= 0).all(axis=1) & (moved[:, 0] < THERE[0]) & (moved[:, 1] < THERE[1])
    shown = random.permutation(np.flatnonzero(inside))[: max(40, count // 2)]
    local = np.array([jacobian(transform, places[row]) for row in shown])
    ahead = np.stack([np.cos(angles[shown]), np.sin(angles[shown])], axis=1)
    turned = np.einsum("nij,nj->ni", local, ahead)
    other = drawn(outliers + liars, random)
    copied = random.integers(count, size=liars)
    order = random.permutation(len(shown) + outliers + liars)
    query = keypoints(
        np.concatenate([moved[shown] + random.normal(0, 0.5, (len(shown), 2)), other[0]]),
        np.concatenate(
            [np.arctan2(turned[:, 1], turned[:, 0]) + random.normal(0, 0.08, len(shown)), other[1]]
        ),
        np.concatenate([scales[shown] * np.sqrt(np.linalg.det(local)), other[2]]),
        np.concatenate([altered(signatures[shown], random), other[3][:outliers], signatures[copied]]),
    ).take(order)
    place = np.argsort(order)
    pairs = {(int(place[number]), int(row)) for number, row in enumerate(shown)}
    return Planted(query, keypoints(places, angles, scales, signatures), pairs)


def found_in(case: Planted) -> Geometry:
    found = verify(case.query, SIZE, case.match, SIZE)
    assert found is not None
    return found


def assert_recovered(case: Planted, transform: Matrix, reach: float) -> None:
    found = found_in(case)
    assert proves(found)
    pairs = set(zip(found.query.tolist(), found.match.tolist(), strict=True))
    assert len(pairs) == found.inliers
    assert len(pairs & case.pairs) >= 0.97 * len(pairs)
    assert len(pairs & case.pairs) >= 0.85 * len(case.pairs)
    shown = np.array([[case.match.x[row], case.match.y[row]] for _, row in case.pairs], np.float64) * THERE
    miss = np.hypot(*(mapped(found.transform, shown) - mapped(transform, shown)).T)
    assert miss.max() < reach
    assert found.part is None
    assert 0.3 < found.density <= 1
    assert found.distance < 10


# Planted transforms


@pytest.mark.parametrize("degrees", [0, 5, 45, 90, 180, 260, 345])
@pytest.mark.parametrize("scale", [0.2, 0.5, 1.0, 1.7, 3.0])
def test_similarities_are_recovered(degrees: float, scale: float) -> None:
    transform = similarity(degrees, scale, 30, -20)
    case = planted(transform, count=200 if scale < 2 else 600, seed=round(degrees + 1000 * scale))
    assert_recovered(case, transform, 2.0)


@pytest.mark.parametrize("strength", [0.1, 0.25, 0.45])
@pytest.mark.parametrize("degrees", [0, 70, 200])
def test_perspectives_are_recovered(strength: float, degrees: float) -> None:
    transform = similarity(degrees, 0.7) @ tilted(strength)
    assert_recovered(planted(transform, count=250, seed=round(degrees)), transform, 3.0)


@pytest.mark.parametrize(("across", "down"), [(1.3, 1.0), (1.0, 1.3), (0.5, 0.75)])
def test_squeezed_pictures_are_recovered(across: float, down: float) -> None:
    transform = np.diag([across, down, 1.0])
    assert_recovered(planted(transform, count=300), transform, 2.0)


@settings(max_examples=25, deadline=None)
@given(
    degrees=st.floats(0, 360),
    scale=st.floats(0.25, 1.5),
    across=st.floats(-60, 60),
    down=st.floats(-60, 60),
    tilt=st.floats(0, 0.3),
    seed=st.integers(0, 999),
)
def test_any_view_is_recovered(
    degrees: float, scale: float, across: float, down: float, tilt: float, seed: int
) -> None:
    transform = similarity(degrees, scale, across, down) @ tilted(tilt)
    case = planted(transform, count=300, seed=seed)
    if len(case.pairs) >= 30:
        # A mild perspective may pass for none: inliers may miss by 5.
        assert_recovered(case, transform, 6.0)


def test_a_few_true_pairs_among_many_false_ones() -> None:
    transform = similarity(20, 0.6)
    case = planted(transform, count=80, outliers=400, liars=60, seed=3)
    few = sorted(case.pairs)[:14]
    hidden = {query for query, _ in case.pairs} - {query for query, _ in few}
    rows = np.array([row for row in range(len(case.query)) if row not in hidden])
    found = verify(case.query.take(rows), SIZE, case.match, SIZE)
    assert found is not None
    assert proves(found)
    pairs = {
        (int(rows[query]), match) for query, match in zip(found.query, found.match.tolist(), strict=True)
    }
    assert len(pairs & set(few)) >= 11
    middle = np.array([[256.0, 192.0]])
    assert np.abs(mapped(found.transform, middle) - mapped(transform, middle)).max() < 6


def test_sizes_in_pixels_do_not_matter_but_their_shape_does() -> None:
    case = planted(similarity(30, 0.8), count=200)
    small, large = (
        verify(case.query, size, case.match, other)
        for size, other in ((SIZE, SIZE), ((80, 60), (4000, 3000)))
    )
    assert small is not None
    assert large is not None
    assert np.allclose(small.transform, large.transform)
    assert frame_of(800, 600) == frame_of(80, 60) == THERE
    assert frame_of(600, 800) == (384, 512)
    assert frame_of(1, 1) == (FRAME, FRAME)


def test_the_same_question_has_the_same_answer() -> None:
    case = planted(similarity(30, 0.8) @ tilted(0.2), count=200)
    one, two = found_in(case), found_in(case)
    assert (one.transform == two.transform).all()
    assert one.query.tolist() == two.query.tolist()


def test_every_keypoint_agrees_once() -> None:
    transform = similarity(10, 0.9)
    case = planted(transform, count=200)
    rows = np.concatenate([np.arange(len(case.query)), np.arange(len(case.query))])
    twice = verify(case.query.take(rows), SIZE, case.match, SIZE)
    assert twice is not None
    assert len(set(twice.match.tolist())) == len(set(twice.query.tolist())) == twice.inliers
    assert twice.inliers <= len(case.pairs) * 1.05


# Chance


@pytest.mark.parametrize("start", [0, 50, 100, 150])
def test_unrelated_pictures_prove_nothing(start: int) -> None:
    for seed in range(start, start + 50):
        found = verify(some(500, 2 * seed), SIZE, some(200, 2 * seed + 1), SIZE)
        assert found is None or not proves(found), seed


def test_alike_details_in_another_arrangement_prove_nothing() -> None:
    for seed in range(40):
        case = planted(np.eye(3), count=150, outliers=50, liars=0, seed=seed)
        random = np.random.default_rng(seed)
        places = random.permutation(len(case.query))
        jumbled = Keypoints(
            case.query.x[places],
            case.query.y[places],
            *(getattr(case.query, name) for name in ("angles", "scales", "words", "signatures")),
        )
        found = verify(jumbled, SIZE, case.match, SIZE)
        assert found is None or not proves(found), seed


def test_the_right_places_with_other_signatures_prove_nothing() -> None:
    case = planted(similarity(15, 0.8), count=200)
    random = np.random.default_rng(0)
    other = random.integers(1 << 64, size=len(case.query), dtype=np.uint64)
    blind = Keypoints(
        case.query.x, case.query.y, case.query.angles, case.query.scales, case.query.words, other
    )
    found = verify(blind, SIZE, case.match, SIZE)
    assert found is None or not proves(found)


# Nothing to go by


def one_place(found: Keypoints, across: float, down: float) -> Keypoints:
    x, y = np.full(len(found), across, np.float32), np.full(len(found), down, np.float32)
    return Keypoints(x, y, found.angles, found.scales, found.words, found.signatures)


@pytest.mark.parametrize(("query", "match"), [(0, 0), (0, 50), (50, 0), (1, 50), (50, 1), (1, 1), (3, 3)])
def test_too_few_keypoints(query: int, match: int) -> None:
    # The same ones, so that what there is agrees.
    assert verify(some(50, 1).take(np.arange(query)), SIZE, some(50, 1).take(np.arange(match)), SIZE) is None


def test_all_matches_on_one_point() -> None:
    found = some(60, 2)
    for query, match in (
        (one_place(found, 0.5, 0.5), one_place(found, 0.25, 0.5)),
        (one_place(found, 0.5, 0.5), found),
        (found, one_place(found, 0.5, 0.5)),
    ):
        geometry = verify(query, SIZE, match, SIZE)
        assert geometry is None or not proves(geometry)


@pytest.mark.parametrize("down", [0.0, 0.5])
def test_all_matches_on_a_line(down: float) -> None:
    found = some(60, 3)
    line = Keypoints(
        found.x, np.full(60, down, np.float32), found.angles, found.scales, found.words, found.signatures
    )
    geometry = verify(line, SIZE, line, SIZE)
    # What lies across the line is not to be told: no wild transform may be claimed.
    if geometry is not None and proves(geometry):
        corners = np.array([[0, 0], [512, 0], [512, 384], [0, 384.0]])
        assert np.abs(mapped(geometry.transform, corners) - corners).max() < 30


def test_all_signatures_the_same() -> None:
    found = some(80, 4)
    same = np.zeros(80, np.uint64)
    alike = Keypoints(found.x, found.y, found.angles, found.scales, found.words, same)
    geometry = verify(alike, SIZE, alike, SIZE)
    assert geometry is None or not proves(geometry)


# Matching


def test_matches_are_the_nearest_within_reach() -> None:
    random = np.random.default_rng(6)
    match = some(40, 6)
    rows = random.integers(40, size=30)
    signatures = match.signatures[rows].copy()
    bits = [int(b) for b in random.integers(0, 30, 30)]
    for place, count in enumerate(bits):
        for bit in random.choice(64, count, replace=False):
            signatures[place] ^= np.uint64(1) << np.uint64(bit)
    query = some(30, 7)
    query = Keypoints(query.x, query.y, query.angles, query.scales, query.words, signatures)
    pairs = matched(query, match)
    wanted = []
    for place, one in enumerate(signatures.tolist()):
        apart = [(one ^ other).bit_count() for other in match.signatures.tolist()]
        if min(apart) <= NEAR:
            wanted.append((place, apart.index(min(apart)), min(apart)))
    assert list(zip(*(column.tolist() for column in pairs), strict=True)) == wanted
    assert 5 < len(wanted) < 30
    assert NEAR in [distance for *_, distance in wanted] or max(bits) != NEAR
    kept = pairs.take(pairs.distance < 5)
    assert (kept.distance < 5).all()
    assert len(kept.query) == sum(distance < 5 for *_, distance in wanted)


# What is plausible and what proves


def bend(right: float) -> Matrix:
    """The frame's right side becomes `right` times as high, about the middle of the left."""
    matrix = np.eye(3)
    matrix[2, 0] = (1 / right - 1) / THERE[0]
    return np.asarray(shift(0, 192) @ matrix @ shift(0, -192))


@pytest.mark.parametrize(
    ("name", "matrix", "wanted"),
    [
        ("nothing", np.eye(3), True),
        ("moved far away", shift(4000, -3000), True),
        ("turned", similarity(123, 1), True),
        ("small", similarity(0, 1 / 12), True),
        ("large", similarity(0, 12), True),
        ("too small", similarity(0, 1 / 17), False),
        ("too large", similarity(0, 17), False),
        ("squeezed by 3", np.diag([3.0, 1, 1]), True),
        ("squeezed by 4", np.diag([4.0, 1, 1]), False),
        ("squeezed by 4 downwards", np.diag([1.0, 4, 1]), False),
        ("skewed", np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, 1.0]]), True),
        ("skewed to a sliver", np.array([[1, 3.0, 0], [0, 1, 0], [0, 0, 1.0]]), False),
        ("mirrored", np.array([[-1, 0, 512], [0, 1, 0], [0, 0, 1.0]]), False),
        ("upside down in a mirror", np.diag([1.0, -1, 1]), False),
        ("flat", np.diag([1.0, 0, 1]), False),
        ("nothing left", np.diag([0.0, 0, 1]), False),
        ("tilted", bend(0.6), True),
        ("tilted the other way", bend(1.6), True),
        ("tilted as far as may be", bend(0.32), True),
        ("one side over six times as large", bend(0.3), False),
        ("tilted to nothing", bend(0.1), False),
        ("a side behind the eye", np.array([[1, 0, 0], [0, 1, 0], [-1 / 400, 0, 1.0]]), False),
        ("folded over at the middle", np.array([[1, 0, 0], [0, 1, 0], [-1 / 256, 0, 1.0]]), False),
    ],
)
def test_what_cameras_and_people_do(name: str, matrix: Matrix, wanted: bool) -> None:
    assert plausible(matrix, THERE) is wanted, name


@settings(max_examples=40, deadline=None)
@given(degrees=st.floats(0, 360), scale=st.floats(0.08, 12), x=st.floats(-900, 900), y=st.floats(-900, 900))
def test_any_similarity_is_plausible_and_none_in_a_mirror(
    degrees: float, scale: float, x: float, y: float
) -> None:
    transform = similarity(degrees, scale, x, y)
    assert plausible(transform, THERE)
    assert not plausible(transform @ np.diag([-1.0, 1, 1]), THERE)


def geometry(
    inliers: int,
    distance: float,
    *,
    density: float = 0.5,
    evenness: float = 0.95,
    query_evenness: float = 0.9,
    clumping: float = 1.0,
) -> Geometry:
    rows = np.arange(inliers)
    shape = (density, evenness, query_evenness, clumping)
    return Geometry(np.eye(3), rows, rows, distance, *shape, None)


@pytest.mark.parametrize(
    ("inliers", "distance", "wanted"),
    [
        (4, 0.0, False),
        (5, 0.0, False),
        (5, 14.0, False),
        (7, 15.0, False),
        (30, 8.0, True),
        (100, 10.0, False),
    ],
)
def test_so_many_must_agree(inliers: int, distance: float, wanted: bool) -> None:
    assert proves(geometry(inliers, distance)) is wanted


def test_more_and_nearer_never_proves_less() -> None:
    proved = np.array(
        [[proves(geometry(inliers, distance)) for inliers in range(31)] for distance in range(NEAR + 1)]
    )
    assert (np.diff(proved.astype(int), axis=1) >= 0).all()
    assert (np.diff(proved.astype(int), axis=0) <= 0).all()
    assert proved[:, -1].any()
    assert not proved[:, :6].any()


@pytest.mark.parametrize(
    ("density", "evenness", "query_evenness", "wanted"),
    [(0.5, 0.9, 0.8, True), (0.06, 0.9, 0.8, False), (0.5, 0.5, 0.8, False), (0.5, 0.9, 0.3, False)],
)
def test_what_agrees_must_be_dense_and_even(
    density: float, evenness: float, query_evenness: float, wanted: bool
) -> None:
    one = geometry(60, 4.0, density=density, evenness=evenness, query_evenness=query_evenness)
    assert proves(one) is wanted


@pytest.mark.parametrize(
    ("density", "clumping", "wanted"), [(0.3, 1.5, True), (0.3, 5.0, False), (0.6, 5.0, True)]
)
def test_few_that_agree_must_not_come_in_clumps(density: float, clumping: float, wanted: bool) -> None:
    assert proves(geometry(60, 4.0, density=density, clumping=clumping)) is wanted


def shared_part(share: float, seed: int) -> tuple[Keypoints, Keypoints]:
    """Two pictures that are alike in their upper `share` to the last bit, and unrelated below."""
    random = np.random.default_rng(seed)
    ours, theirs, strip = some(300, 3 * seed), some(200, 3 * seed + 1), some(round(300 * share), 3 * seed + 2)
    strip = Keypoints(
        strip.x,
        (strip.y * share).astype(np.float32),
        strip.angles,
        strip.scales,
        strip.words,
        altered(strip.signatures, random, 3),
    )
    below = [one.take(np.flatnonzero(one.y > share)) for one in (ours, theirs)]
    both = [
        Keypoints(
            *(
                np.concatenate([getattr(one, name), getattr(strip, name)])
                for name in ("x", "y", "angles", "scales", "words", "signatures")
            )
        )
        for one in below
    ]
    return both[0], both[1]


@pytest.mark.parametrize("share", [0.12, 0.2, 0.3])
def test_a_strip_that_both_show_proves_nothing(share: float) -> None:
    for seed in range(12):
        query, match = shared_part(share, seed)
        found = verify(query, SIZE, match, SIZE)
        assert found is not None
        assert found.inliers > 20
        assert not proves(found)


def test_half_a_picture_that_both_show_is_a_part() -> None:
    for seed in range(12):
        query, match = shared_part(0.6, seed)
        found = verify(query, SIZE, match, SIZE)
        assert found is not None
        assert proves(found)
        assert found.part is not None
        left, top, right, bottom = found.part
        assert max(left, top) < 65
        assert 445 < right < 512
        assert 0.5 * 384 < bottom < 0.62 * 384


# Homographies


MATRIX = np.array([[1.1, 0.2, 30.0], [-0.1, 0.9, 12.0], [2e-4, -3e-4, 1.0]])


def test_points_are_mapped_one_by_one() -> None:
    points = np.random.default_rng(0).uniform(0, 500, (7, 2))
    for point, moved in zip(points, mapped(MATRIX, points), strict=True):
        x, y, w = (row @ [*point, 1.0] for row in MATRIX)
        assert moved == pytest.approx((x / w, y / w))
    assert mapped(MATRIX, np.zeros((0, 2))).shape == (0, 2)
    assert np.allclose(mapped(np.linalg.inv(MATRIX), mapped(MATRIX, points)), points)
    assert np.allclose(mapped(5 * MATRIX, points), mapped(MATRIX, points))


@settings(max_examples=30, deadline=None)
@given(x=st.floats(0, 512), y=st.floats(0, 512), factor=st.sampled_from([1.0, -2.0, 0.1]))
def test_the_jacobian_is_that_of_finite_differences(x: float, y: float, factor: float) -> None:
    step = 1e-4
    ends = mapped(MATRIX, np.array([[x + step, y], [x - step, y], [x, y + step], [x, y - step]]))
    wanted = np.stack([ends[0] - ends[1], ends[2] - ends[3]], axis=1) / (2 * step)
    assert np.allclose(jacobian(factor * MATRIX, np.array([x, y])), wanted, atol=1e-6)
