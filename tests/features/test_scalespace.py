"""Scale space: blurs that are what they are called, and extrema where loops over every pixel find them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.scenes import Grey, scene
from wherefrom.features.scalespace import INTERVALS, SIGMA, Octave, Points, extrema, octaves

Floats = NDArray[np.float64]

MARGIN = 5
EDGE = 10.0


def blobs(
    height: int, width: int, places: list[tuple[float, float, float]], tone: float = 120.0, grow: float = 1.0
) -> Grey:
    """Gaussian spots at (x, y) of sigma, in pixels whose middles are whole numbers, `grow` times as large."""
    y, x = np.mgrid[:height, :width]
    total = np.full((height, width), 60.0)
    for across, down, sigma in places:
        apart = (x - (across + 0.5) * grow + 0.5) ** 2 + (y - (down + 0.5) * grow + 0.5) ** 2
        total += tone * np.exp(-apart / (2 * (sigma * grow) ** 2))
    grey: Grey = np.rint(total).astype(np.uint8)
    return grey


def expected(sigma: float) -> float:
    """Where the difference of Gaussians of a Gaussian spot is extreme, of a picture blurred by 0.5 already.

    Of the blurs t and kt the difference is greatest at t² = (sigma² - 0.5²) / k.
    """
    return float(np.sqrt((sigma**2 - 0.25) / 2 ** (1 / INTERVALS)))


def strongest(points: Points) -> int:
    return int(points.strength.argmax())


# Blurs


def blurred(luma: Grey, sigma: float) -> Floats:
    """A Gaussian blur by its definition, reflected at the border without repeating it."""
    reach = int(5 * sigma) + 1
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    done = luma.astype(np.float64)
    for axis in (0, 1):
        padded = np.pad(done, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="reflect")
        done = np.apply_along_axis(np.convolve, axis, padded, kernel, "valid")
    return done


def test_levels_are_gaussian_blurs_of_the_picture() -> None:
    luma = scene(96, 120, 3)
    space = octaves(luma)
    for octave, number in ((0, 0), (0, 2), (0, 5), (1, 1), (1, 4)):
        stride = 2**octave
        assert space[octave].step == stride
        sigma = SIGMA * 2 ** (number / INTERVALS) * stride
        wanted = blurred(luma, float(np.sqrt(sigma**2 - 0.25)))[::stride, ::stride]
        inner = slice(12 // stride, -12 // stride)
        miss = np.abs(space[octave].levels[number] - wanted)[inner, inner]
        # The filters end at three sigmas.
        assert miss.max() < 0.8


def test_octaves_halve_as_long_as_there_is_something_left() -> None:
    space = octaves(scene(100, 300))
    assert [octave.levels.shape for octave in space] == [(6, 100, 300), (6, 50, 150), (6, 25, 75)]
    assert [octave.step for octave in space] == [1, 2, 4]
    assert all(octave.levels.dtype == np.float32 for octave in space)


# Known spots


@pytest.mark.parametrize("sigma", [2.2, 2.6, 3.1, 3.7, 4.4, 5.2, 6.2, 7.4, 8.8, 10.5, 12.5, 15.0])
@pytest.mark.parametrize("tone", [120.0, -50.0], ids=["light", "dark"])
def test_a_spot_is_found_where_it_is_and_as_large_as_it_is(sigma: float, tone: float) -> None:
    for x, y in ((120.0, 110.0), (121.3, 112.6), (122.75, 109.5)):
        points = extrema(octaves(blobs(230, 250, [(x, y, sigma)], tone)), 2.0)
        best = strongest(points)
        assert abs(points.x[best] - x) < 0.04 * sigma
        assert abs(points.y[best] - y) < 0.04 * sigma
        assert points.sigma[best] == pytest.approx(expected(sigma), rel=0.03)


def test_spots_side_by_side_are_found_apart() -> None:
    spots = [(40.4, 50.2, 3.0), (140.0, 60.8, 6.0), (70.6, 150.0, 4.5), (170.2, 160.2, 8.5)]
    points = extrema(octaves(blobs(220, 230, spots)), 10.0)
    assert len(points.x) == len(spots)
    for x, y, sigma in spots:
        near = int(np.hypot(points.x - x, points.y - y).argmin())
        assert np.hypot(points.x[near] - x, points.y[near] - y) < 0.05 * sigma
        assert points.sigma[near] == pytest.approx(expected(sigma), rel=0.04)


def test_a_stronger_spot_is_stronger_in_proportion() -> None:
    faint, strong = (
        extrema(octaves(blobs(120, 120, [(60, 60, 4)], tone)), 1.0).strength.max() for tone in (40.0, 120.0)
    )
    assert strong == pytest.approx(3 * faint, rel=0.02)


def test_a_line_is_no_point_but_its_end_may_be() -> None:
    y, x = np.mgrid[:160, :160]
    line = (60 + 120 * np.exp(-((x - 80 + 0.3 * (y - 80)) ** 2) / (2 * 3.0**2))).astype(np.uint8)
    points = extrema(octaves(line), 0.8)
    inner = (points.y > 40) & (points.y < 120)
    assert not inner.any()


def test_the_level_is_the_nearest_one() -> None:
    space = octaves(scene(200, 260, 5))
    points = extrema(space, 0.8)
    assert len(points.x) > 100
    steps = np.array([octave.step for octave in space])[points.octave]
    place = INTERVALS * np.log2(points.sigma / (SIGMA * steps))
    # float32 may round a half to either side
    away = np.abs(place - points.level)
    assert away[(points.level > 1) & (points.level < INTERVALS)].max() <= 0.5 + 1e-3
    assert away.max() <= 1 + 1e-3
    assert points.level.min() >= 1
    assert points.level.max() <= INTERVALS


# The twin: every pixel in a loop


def by_loops(space: list[Octave], contrast: float) -> tuple[list[Floats], list[Floats]]:
    """(surely points, perhaps points): x, y, sigma, strength; the latter are too near a bound to say."""
    sure: list[Floats] = []
    perhaps: list[Floats] = []
    for octave in space:
        levels = octave.levels
        d = np.array([(levels[i + 1] - levels[i]) for i in range(len(levels) - 1)])
        _, height, width = d.shape
        for layer in range(1, INTERVALS + 1):
            for y in range(MARGIN, height - MARGIN):
                for x in range(MARGIN, width - MARGIN):
                    value = d[layer, y, x]
                    if abs(value) <= 0.5 * contrast:
                        continue
                    around = d[layer - 1 : layer + 2, y - 1 : y + 2, x - 1 : x + 2]
                    if value != (around.max() if value > 0 else around.min()):
                        continue
                    point, slack = refined(around.astype(np.float64), (x, y, layer), octave.step, contrast)
                    if slack > 1e-3:
                        sure.append(point)
                    elif slack > -1e-3:
                        perhaps.append(point)
    return sure, perhaps


def refined(d: Floats, at: tuple[int, int, int], step: float, contrast: float) -> tuple[Floats, float]:
    """A point by one Newton step in a cube of 3 x 3 x 3, and by how much it meets the bounds on it."""
    slope = np.array([d[1, 1, 2] - d[1, 1, 0], d[1, 2, 1] - d[1, 0, 1], d[2, 1, 1] - d[0, 1, 1]]) / 2
    bend = np.empty((3, 3))
    axes = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
    for i, one in enumerate(axes):
        for j, two in enumerate(axes):
            a, b = np.array(one), np.array(two)
            if i == j:
                bend[i, j] = d[tuple(1 + a)] + d[tuple(1 - a)] - 2 * d[1, 1, 1]
            else:
                corners = (
                    d[tuple(1 + a + b)] + d[tuple(1 - a - b)] - d[tuple(1 + a - b)] - d[tuple(1 - a + b)]
                )
                bend[i, j] = corners / 4
    if abs(np.linalg.det(bend)) < 1e-9:
        return np.zeros(4), 0.0
    offset = -np.linalg.solve(bend, slope)
    strength = abs(d[1, 1, 1] + slope @ offset / 2)
    flat = np.linalg.det(bend[:2, :2])
    x, y, layer = at
    point = np.array(
        [
            (x + offset[0]) * step,
            (y + offset[1]) * step,
            SIGMA * 2 ** ((layer + offset[2]) / INTERVALS) * step,
            strength,
        ]
    )
    if flat <= 0:
        return point, float(flat)
    ratio = np.trace(bend[:2, :2]) ** 2 / flat
    bounds = [*(1 - np.abs(offset)), strength - contrast, (EDGE + 1) ** 2 / EDGE - ratio]
    return point, float(min(bounds))


def coarse_noise(height: int, width: int, seed: int) -> Grey:
    """Noise in squares of 4 pixels: single pixels are blurred away."""
    coarse = np.random.default_rng(seed).integers(256, size=(height, width), dtype=np.uint8)
    return np.kron(coarse[::4, ::4], np.ones((4, 4), np.uint8))[:height, :width]


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(16, 60),
    width=st.integers(16, 60),
    seed=st.integers(0, 2**32 - 1),
    noisy=st.booleans(),
)
def test_extrema_are_those_of_loops_over_every_pixel(height: int, width: int, seed: int, noisy: bool) -> None:
    assert_as_by_loops(coarse_noise(height, width, seed) if noisy else scene(height, width, seed % 1000), 0.8)


@pytest.mark.parametrize(("seed", "contrast"), [(0, 0.8), (1, 3.0)])
def test_extrema_of_a_larger_picture_are_those_of_loops(seed: int, contrast: float) -> None:
    assert_as_by_loops(scene(170, 210, seed), contrast)


def assert_as_by_loops(luma: Grey, contrast: float) -> None:
    space = octaves(luma)
    points = extrema(space, contrast)
    found = np.stack([points.x, points.y, points.sigma, points.strength], axis=1).astype(np.float64)
    sure, perhaps = by_loops(space, contrast)
    for point in sure:
        assert len(found)
        assert np.abs(found - point).max(axis=1).min() < 1e-2, point
    known = np.array([*sure, *perhaps]).reshape(-1, 4)
    assert len(sure) <= len(found) <= len(known)
    for one in found:
        assert np.abs(known - one).max(axis=1).min() < 1e-2, one


def test_the_twin_finds_something() -> None:
    # Of pictures without points the comparison above would say nothing.
    assert len(by_loops(octaves(coarse_noise(44, 44, 0)), 0.8)[0]) > 2
    assert len(by_loops(octaves(scene(44, 44, 1)), 0.8)[0]) > 2


# Covariance


def rows_of(points: Points) -> Floats:
    return np.stack([points.x, points.y, points.sigma, points.strength], axis=1).astype(np.float64)


def test_a_shifted_picture_has_shifted_points() -> None:
    inner = scene(120, 150, 8)

    def laid(left: int, top: int) -> Floats:
        canvas = np.full((240, 280), 128, np.uint8)
        canvas[top : top + 120, left : left + 150] = inner
        points = extrema(octaves(canvas), 0.8)
        # Up to the octave in which the shift is a whole number of pixels.
        return rows_of(points.take(np.flatnonzero(points.octave <= 2)))

    before, after = laid(60, 56), laid(68, 72)
    assert len(before) > 60
    assert before.shape == after.shape
    assert np.allclose(after, before + np.array([8, 16, 0, 0]), atol=0.03)


@pytest.mark.parametrize("grow", [1.3, 1.7, 2.0, 3.1])
def test_a_larger_picture_has_points_as_much_larger(grow: float) -> None:
    random = np.random.default_rng(4)
    spots = [
        (
            30 + 44 * column + random.uniform(-3, 3),
            30 + 44 * row + random.uniform(-3, 3),
            random.uniform(2.8, 6),
        )
        for row in range(3)
        for column in range(4)
    ]
    small = extrema(octaves(blobs(150, 195, spots, 90)), 6.0)
    side = round(150 * grow), round(195 * grow)
    large = extrema(octaves(blobs(*side, spots, 90, grow)), 6.0)
    pairs = 0
    for x, y, sigma in zip(small.x, small.y, small.sigma, strict=True):
        apart = np.hypot(large.x + 0.5 - (x + 0.5) * grow, large.y + 0.5 - (y + 0.5) * grow)
        near = int(apart.argmin())
        # The picture is taken to have a blur of 0.5, at whatever size it is drawn.
        pairs += bool(apart[near] < 0.3 * grow and abs(large.sigma[near] / (sigma * grow) - 1) < 0.06)
    # A spot whose size lies right between two octaves may be missed.
    assert pairs >= len(spots) - 1


def test_light_and_dark_change_places_in_the_negative() -> None:
    luma = scene(150, 200, 2)
    ours, theirs = (rows_of(extrema(octaves(one), 0.8)) for one in (luma, 255 - luma))
    assert len(ours) > 50
    # Order within a layer is by row, whichever kind a point is.
    assert np.allclose(ours, theirs, atol=1e-2)


# Nothing to find


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (3, 500), (500, 3), (15, 15), (16, 16), (16, 400), (11, 11), (64, 64)]
)
@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_flat_picture_has_no_points(shape: tuple[int, int], tone: int) -> None:
    points = extrema(octaves(np.full(shape, tone, np.uint8)), 0.8)
    assert [len(column) for column in points] == [0] * 6
    assert points.x.dtype == np.float32
    assert points.level.dtype == np.intp


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 500), (500, 3), (2, 2), (15, 300)])
def test_a_sliver_has_no_points_whatever_it_shows(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)
    assert len(extrema(octaves(noise), 0.8).x) == 0


def test_an_even_ramp_has_no_points() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
    assert len(extrema(octaves(ramp), 0.8).x) == 0


@settings(max_examples=15, deadline=None)
@given(contrast=st.floats(0.2, 20), seed=st.integers(0, 99))
def test_contrast_leaves_out_exactly_the_weaker_points(contrast: float, seed: int) -> None:
    space = octaves(scene(80, 100, seed))
    everything = extrema(space, 0.2)
    # Half the contrast is asked of the pixel itself, and a step of less than a pixel seldom doubles it.
    wanted = rows_of(everything.take(np.flatnonzero(everything.strength > np.float32(contrast))))
    found = rows_of(extrema(space, contrast))
    assert (found[:, 3] > contrast - 1e-5).all()
    assert len(wanted) * 0.97 <= len(found) <= len(wanted)
