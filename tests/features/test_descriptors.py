"""Descriptors: what a loop over the formulas gives, and what turning, mirroring and inverting leave alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.scenes import Grey, scene
from wherefrom.features.descriptors import (
    CELLS,
    DIRECTIONS,
    LENGTH,
    descriptors,
    mirrored,
    negative,
    orientations,
)
from wherefrom.features.scalespace import Floats, Octave, Points, extrema, octaves

# Octaves take every second pixel: of sides 32 n + 1 they take the same ones from either end.
HEIGHT, WIDTH = 225, 289


@pytest.fixture(scope="module")
def luma() -> Grey:
    return smooth(scene(HEIGHT, WIDTH, 11))


def smooth(grey: Grey) -> Grey:
    """A picture without the hard steps of the scenes, on which gradients are nowhere doubtful."""
    import cv2

    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.2), np.uint8)


def points_of(grey: Grey, contrast: float = 1.5) -> tuple[list[Octave], Points]:
    space = octaves(grey)
    return space, extrema(space, contrast)


def described(space: list[Octave], points: Points) -> tuple[Floats, Floats]:
    """The angle and descriptor (n, 128) of each point."""
    _, angles = orientations(space, points, several=False)
    return angles, flat(descriptors(space, points, angles))


def flat(found: Floats) -> Floats:
    return found.reshape(-1, LENGTH)


def apart(one: Floats, other: Floats) -> NDArray[np.float64]:
    """How far angles lie apart, in radians, 0 to half a turn."""
    return np.asarray(np.abs((one - other + math.pi) % (2 * math.pi) - math.pi), np.float64)


def moved(points: Points, x: Floats, y: Floats) -> Points:
    return points._replace(x=x.astype(np.float32), y=y.astype(np.float32))


# The twin: one sample after another


def sampled(level: Floats, x: float, y: float) -> float:
    """The value between pixels, in the 32nds of a pixel that OpenCV's remapping knows."""
    x, y = (round(np.float32(place) * 32) / 32 for place in (x, y))
    left, top = math.floor(x), math.floor(y)
    total = 0.0
    for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = min(max(row, 0), level.shape[0] - 1), min(max(column, 0), level.shape[1] - 1)
            total += down * across * float(level[inside])
    return total


def gradients(
    space: list[Octave], points: Points, row: int, angle: float, window: float
) -> list[tuple[float, float, float, float]]:
    """(place along, place across, in sigmas; gradient along, across) of the 16 × 16 samples of a point."""
    octave = space[int(points.octave[row])]
    level = octave.levels[int(points.level[row])]
    sigma, spacing = float(points.sigma[row]) / octave.step, window / 16

    def value(along: float, across: float) -> float:
        x = math.cos(angle) * along - math.sin(angle) * across
        y = math.sin(angle) * along + math.cos(angle) * across
        at_x, at_y = points.x[row] / octave.step, points.y[row] / octave.step
        return sampled(level, float(at_x) + sigma * x, float(at_y) + sigma * y)

    found = []
    for j in range(16):
        for i in range(16):
            u, v = (i - 7.5) * spacing, (j - 7.5) * spacing
            du = value(u + spacing, v) - value(u - spacing, v)
            dv = value(u, v + spacing) - value(u, v - spacing)
            found.append((u, v, du, dv))
    return found


def by_loops(space: list[Octave], points: Points, row: int, angle: float) -> Floats:
    cells = np.zeros((CELLS, CELLS, DIRECTIONS))
    for u, v, du, dv in gradients(space, points, row, angle, 12.0):
        weight = math.hypot(du, dv) * math.exp(-(u**2 + v**2) / (2 * 6**2))
        place = (u / 3 + 1.5, v / 3 + 1.5)  # a cell is 3 sigmas wide
        turn = math.atan2(dv, du) / (2 * math.pi) * DIRECTIONS % DIRECTIONS
        for cell_y in range(CELLS):
            for cell_x in range(CELLS):
                share = max(0.0, 1 - abs(place[0] - cell_x)) * max(0.0, 1 - abs(place[1] - cell_y))
                first = int(turn) % DIRECTIONS
                cells[cell_y, cell_x, first] += weight * share * (1 - turn % 1)
                cells[cell_y, cell_x, (first + 1) % DIRECTIONS] += weight * share * (turn % 1)
    cells /= math.sqrt((cells**2).sum())
    cells = np.minimum(cells, 0.2)
    return np.asarray(np.sqrt(cells / cells.sum()), np.float32)


def angle_by_loops(space: list[Octave], points: Points, row: int) -> float:
    histogram = np.zeros(36)
    for u, v, du, dv in gradients(space, points, row, 0.0, 9.0):
        weight = math.hypot(du, dv) * math.exp(-(u**2 + v**2) / (2 * 1.5**2))
        histogram[round(math.atan2(dv, du) / (2 * math.pi) * 36) % 36] += weight
    for _ in range(2):
        histogram = np.array(
            [(histogram[i - 1] + histogram[i] + histogram[(i + 1) % 36]) / 3 for i in range(36)]
        )
    top = int(histogram.argmax())
    before, here, after = histogram[top - 1], histogram[top], histogram[(top + 1) % 36]
    peak = top + (before - after) / 2 / (before - 2 * here + after)
    return float(peak * 2 * math.pi / 36 % (2 * math.pi))


def test_descriptors_are_those_of_loops_over_every_sample(luma: Grey) -> None:
    space, points = points_of(luma)
    rows = np.random.default_rng(1).choice(len(points.x), 12, replace=False).astype(np.intp)
    # Some at the border too, where the picture goes on as its last pixel.
    rows = np.append(rows, [points.x.argmin(), points.y.argmax()])
    some = points.take(rows)
    angles = np.linspace(0, 6.2, len(rows), dtype=np.float32)
    found = descriptors(space, some, angles)
    for row in range(len(rows)):
        assert np.abs(found[row] - by_loops(space, some, row, float(angles[row]))).max() < 1e-3


def test_orientations_are_those_of_loops_over_every_sample(luma: Grey) -> None:
    space, points = points_of(luma)
    rows = np.random.default_rng(2).choice(len(points.x), 20, replace=False).astype(np.intp)
    some = points.take(rows)
    who, angles = orientations(space, some, several=False)
    assert who.tolist() == list(range(20))
    wanted = np.array([angle_by_loops(space, some, row) for row in range(20)], np.float32)
    assert apart(angles, wanted).max() < 1e-4


# Turned, mirrored, negative


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_has_the_same_descriptors_at_turned_points(luma: Grey, quarters: int) -> None:
    space, points = points_of(luma)
    angles, found = described(space, points)
    x, y, sides = points.x, points.y, [WIDTH, HEIGHT]
    for number in range(quarters):  # against the clock: (x, y) goes to (y, width - 1 - x)
        x, y = y, sides[number % 2] - 1 - x
    turned = octaves(np.ascontiguousarray(np.rot90(luma, quarters)))
    again, same = described(turned, moved(points, x, y))
    assert len(points.x) > 100
    assert np.quantile(apart(again, angles - np.float32(quarters * math.pi / 2)), 0.99) < 0.01
    assert np.quantile(np.abs(same - found).max(axis=1), 0.95) < 0.02


def test_points_are_found_at_turned_places(luma: Grey) -> None:
    _, points = points_of(luma)
    _, turned = points_of(np.ascontiguousarray(np.rot90(luma)))
    ours = np.stack([points.y, WIDTH - 1 - points.x, points.sigma], axis=1)
    theirs = np.stack([turned.x, turned.y, turned.sigma], axis=1)
    miss = np.abs(ours[:, None] - theirs[None]).max(axis=2).min(axis=1)
    assert (miss < 0.1).mean() > 0.98


def test_mirrored_descriptors_are_those_of_the_mirrored_picture(luma: Grey) -> None:
    space, points = points_of(luma)
    angles, _ = described(space, points)
    found = descriptors(space, points, angles)
    flipped = octaves(np.ascontiguousarray(luma[:, ::-1]))
    there = moved(points, WIDTH - 1 - points.x, points.y)
    half = np.float32(math.pi)
    wanted = descriptors(flipped, there, half - angles)
    assert np.abs(flat(mirrored(found)) - flat(wanted)).max(axis=1).max() < 0.03
    assert np.abs(flat(found) - flat(wanted)).max(axis=1).min() > 0.05
    _, own = orientations(flipped, there, several=False)
    assert np.quantile(apart(own, half - angles), 0.99) < 0.01


def test_negative_descriptors_are_those_of_the_negative(luma: Grey) -> None:
    space, points = points_of(luma)
    angles, _ = described(space, points)
    found = descriptors(space, points, angles)
    inverted = octaves(255 - luma)
    half = np.float32(math.pi)
    wanted = descriptors(inverted, points, angles + half)
    assert np.abs(flat(negative(found)) - flat(wanted)).max(axis=1).max() < 0.03
    assert np.abs(flat(found) - flat(wanted)).max(axis=1).min() > 0.05
    _, own = orientations(inverted, points, several=False)
    assert np.quantile(apart(own, angles + half), 0.99) < 0.01


def test_mirroring_and_inverting_twice_changes_nothing() -> None:
    found = np.random.default_rng(0).random((5, CELLS, CELLS, DIRECTIONS), np.float32)
    assert (mirrored(mirrored(found)) == found).all()
    assert (negative(negative(found)) == found).all()
    assert not (mirrored(found) == found).all()
    assert not (mirrored(negative(found)) == found).all()


@pytest.mark.parametrize("angle", [0.3, 1.7, 4.0])
def test_a_turned_frame_sees_a_turned_ramp_alike(angle: float) -> None:
    y, x = np.mgrid[:128, :128]
    ramp = (np.cos(angle) * (x - 64) + np.sin(angle) * (y - 64)).astype(np.float32)
    octave = Octave(np.stack([ramp] * 6), 1.0)
    one = np.array([64], np.float32)
    point = Points(one, one, one * 0 + 4, one, np.array([0]), np.array([1]))
    _, found = orientations([octave], point, several=False)
    # One direction alone fills one bin, of 10 degrees, and does not say where in it.
    assert apart(found, np.array([angle], np.float32))[0] < 0.06
    cells = descriptors([octave], point, np.array([angle], np.float32))[0]
    # All gradients point along the orientation.
    assert (cells.argmax(axis=2) == 0).all()
    assert np.allclose(cells[:, :, 1:], 0, atol=0.1)


# Light


def test_descriptors_are_unit_vectors(luma: Grey) -> None:
    _, found = described(*points_of(luma))
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    assert found.min() >= 0


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(0.2, 2), offset=st.floats(-50, 50))
def test_brightness_and_contrast_change_nothing(gain: float, offset: float) -> None:
    space, points = points_of(smooth(scene(97, 129, 5)))
    angles, found = described(space, points)
    changed = [Octave(o.levels * np.float32(gain) + np.float32(offset), o.step) for o in space]
    again, same = described(changed, points)
    assert len(points.x) > 10
    assert np.quantile(apart(again, angles), 0.95) < 1e-3
    assert np.abs(flat(descriptors(changed, points, angles)) - found).max() < 1e-3
    assert np.quantile(np.abs(same - found).max(axis=1), 0.95) < 0.01


def test_a_paler_picture_is_described_alike(luma: Grey) -> None:
    space, points = points_of(luma, 4.0)
    angles, found = described(space, points)
    pale = octaves((luma * 0.6 + 40).astype(np.uint8))
    again, same = described(pale, points)
    assert np.quantile(apart(again, angles), 0.9) < 0.1
    assert np.quantile(np.einsum("ij,ij->i", same, found), 0.1) > 0.97


# Several orientations, none, and nothing


def test_other_high_peaks_come_after_all_first_ones(luma: Grey) -> None:
    space, points = points_of(luma)
    count = len(points.x)
    alone, first = orientations(space, points, several=False)
    who, angles = orientations(space, points, several=True)
    assert len(who) > count
    assert who[:count].tolist() == alone.tolist() == list(range(count))
    assert (angles[:count] == first).all()
    more = apart(angles[count:], first[who[count:]])
    assert more.min() > 2 * math.pi / 36
    assert ((angles >= 0) & (angles < 2 * math.pi + 1e-6)).all()


def test_a_flat_picture_gives_numbers_all_the_same() -> None:
    octave = Octave(np.full((6, 40, 40), 7, np.float32), 1.0)
    at = np.array([20], np.float32)
    point = Points(at, at, at * 0 + 2, at, np.array([0]), np.array([1]))
    who, angles = orientations([octave], point, several=True)
    assert who.tolist() == [0]
    found = descriptors([octave], point, angles)
    assert np.isfinite(found).all()
    assert (found == 0).all()


def test_no_points() -> None:
    space, points = points_of(np.zeros((64, 64), np.uint8))
    who, angles = orientations(space, points, several=True)
    assert (len(who), len(angles)) == (0, 0)
    assert descriptors(space, points, angles).shape == (0, CELLS, CELLS, DIRECTIONS)
    assert mirrored(descriptors(space, points, angles)).shape == (0, CELLS, CELLS, DIRECTIONS)
