"""SIFT descriptors (Lowe 2004), of all points at once, as RootSIFT (Arandjelović & Zisserman 2012).

Around each point a square of 12 sigma is sampled in a fixed grid, turned to the point's orientation; the
gradients of the samples fall into 4 × 4 cells of 8 directions with linear weights in place and direction.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.scalespace import Floats, Octave, Points

CELLS, DIRECTIONS = 4, 8
LENGTH = CELLS * CELLS * DIRECTIONS

_SAMPLES = 16  # a side, of the square
_WINDOW = 12.0  # side of the square in sigmas
_TURNS = 36  # bins of the orientation histogram
_TURN_WINDOW = 9.0  # side of its square in sigmas
_SECOND = 0.8  # of the highest peak, from which another peak is an orientation too
_CLIP = 0.2


def orientations(space: list[Octave], points: Points, *, several: bool) -> tuple[NDArray[np.intp], Floats]:
    """(number of the point, angle in radians) of the main gradient directions around points.

    One for each point, in order; with `several` also those of other high peaks, after all the first.
    """
    count = len(points.x)
    gx, gy = _gradients(space, points, np.zeros(count, np.float32), _TURN_WINDOW)
    offsets = _offsets(_TURN_WINDOW)
    weight = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2)).astype(np.float32)
    size = np.hypot(gx, gy) * weight
    bins = np.arctan2(gy, gx) * np.float32(_TURNS / (2 * np.pi))
    numbers = (np.rint(bins).astype(np.int64) % _TURNS) + (np.arange(count) * _TURNS)[:, None, None]
    counts = np.bincount(numbers.ravel(), size.ravel(), count * _TURNS)
    histogram = counts.reshape(count, _TURNS).astype(np.float32)
    for _ in range(2):
        histogram = (np.roll(histogram, 1, 1) + histogram + np.roll(histogram, -1, 1)) / np.float32(3)
    before, after = np.roll(histogram, 1, 1), np.roll(histogram, -1, 1)
    bend = before - 2 * histogram + after
    peak = np.arange(_TURNS) + 0.5 * (before - after) / np.where(bend == 0, 1, bend)
    first = histogram.argmax(axis=1)
    who, which = np.arange(count), first
    if several:
        high = (histogram > before) & (histogram > after)
        high &= histogram > _SECOND * histogram.max(axis=1, keepdims=True)
        high[who, first] = False
        more = np.nonzero(high)
        who, which = np.concatenate([who, more[0]]), np.concatenate([which, more[1]])
    angles = (peak[who, which] * (2 * np.pi / _TURNS)) % (2 * np.pi)
    return who.astype(np.intp), angles.astype(np.float32)


def descriptors(space: list[Octave], points: Points, angles: Floats) -> Floats:
    """Unit vectors float32 (n, 4, 4, 8): cells down and along the orientation, then direction."""
    count = len(points.x)
    if not count:
        return np.zeros((0, CELLS, CELLS, DIRECTIONS), np.float32)
    gx, gy = _gradients(space, points, angles, _WINDOW)
    size = np.hypot(gx, gy).reshape(count, -1, 1)
    turn = (np.arctan2(gy, gx) * np.float32(DIRECTIONS / (2 * np.pi))).reshape(count, -1, 1)
    # 1 less the distance around the circle from each direction, where that is above 0.
    turn %= DIRECTIONS
    shares = turn - np.arange(DIRECTIONS, dtype=np.float32)
    np.abs(shares, out=shares)
    shares -= DIRECTIONS / 2
    np.abs(shares, out=shares)
    shares -= DIRECTIONS / 2 - 1
    np.maximum(shares, 0, out=shares)
    shares *= size
    found = np.matmul(_cells(), shares)
    flat = found.reshape(count, LENGTH)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    flat = np.minimum(flat, _CLIP)
    flat = np.sqrt(flat / np.maximum(flat.sum(axis=1, keepdims=True), 1e-6))
    whole: Floats = flat.astype(np.float32).reshape(count, CELLS, CELLS, DIRECTIONS)
    return whole


def mirrored(found: Floats) -> Floats:
    """The descriptors that the mirrored picture has at the mirrored points: no pixel is needed."""
    return np.ascontiguousarray(found[:, ::-1, :, -np.arange(DIRECTIONS) % DIRECTIONS])


def negative(found: Floats) -> Floats:
    """The descriptors that the negative has at the same points, whose orientations turn by half."""
    return np.ascontiguousarray(found[:, ::-1, ::-1])


def _offsets(window: float) -> Floats:
    return ((np.arange(_SAMPLES) - (_SAMPLES - 1) / 2) * (window / _SAMPLES)).astype(np.float32)


def _gradients(space: list[Octave], points: Points, angles: Floats, window: float) -> tuple[Floats, Floats]:
    """Differences along and across each point's angle at the grid's samples, float32 (n, 16, 16) each."""
    import cv2

    count, side = len(points.x), _SAMPLES + 2
    spacing = window / _SAMPLES
    grid = ((np.arange(side) - (side - 1) / 2) * spacing).astype(np.float32)
    patches = np.empty((count, side * side), np.float32)
    along, across = np.tile(grid, side), np.repeat(grid, side)
    for number, octave in enumerate(space):
        for level in np.unique(points.level[points.octave == number]).tolist():
            rows = np.flatnonzero((points.octave == number) & (points.level == level))
            sigma = (points.sigma[rows] / octave.step)[:, None]
            cos, sin = np.cos(angles[rows])[:, None] * sigma, np.sin(angles[rows])[:, None] * sigma
            x = points.x[rows, None] / octave.step + along * cos - across * sin
            y = points.y[rows, None] / octave.step + along * sin + across * cos
            patches[rows] = cv2.remap(
                octave.levels[level],
                x.astype(np.float32),
                y.astype(np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
    square = patches.reshape(count, side, side)
    return square[:, 1:-1, 2:] - square[:, 1:-1, :-2], square[:, 2:, 1:-1] - square[:, :-2, 1:-1]


@cache
def _cells() -> Floats:
    """float32 (16, 256): what each sample gives to each cell, linear in its place and Gaussian overall."""
    place = (np.arange(_SAMPLES) + 0.5) * CELLS / _SAMPLES - 0.5
    share = np.maximum(0, 1 - np.abs(place[None, :] - np.arange(CELLS)[:, None]))
    fall = np.exp(-(_offsets(_WINDOW) ** 2) / (2 * (_WINDOW / 2) ** 2))
    line = share * fall
    cells: Floats = np.einsum("ay,bx->abyx", line, line).reshape(CELLS * CELLS, -1).astype(np.float32)
    return cells
