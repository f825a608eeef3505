"""Where the keypoints of a picture are: extrema of the difference of Gaussians (Lowe 2004), in whole arrays.

Every step works on all points at once, so that NumPy and OpenCV's filters do the work and no loop runs
over points. Two differences from the usual programs: the picture is not enlarged first (it is decoded at
a size that has the fine detail), and a point's place is refined by one step of Newton's method.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

INTERVALS = 3
"""Levels of blur to an octave."""

SIGMA = 1.6
"""Blur of an octave's first level, in pixels of that octave."""

_SIGMA_GIVEN = 0.5  # blur that a picture is taken to have
_LEAST_SIDE = 16  # of the coarsest octave, in pixels
_EDGE = 10.0  # ratio of principal curvatures above which a point lies on an edge
_MARGIN = 5  # pixels of an octave at its border where no points are taken

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Octave:
    """Blurred levels, float32 (INTERVALS + 3, h, w), of which a pixel is `step` pixels of the picture."""

    levels: Floats
    step: float


class Points(NamedTuple):
    """Extrema: x, y and sigma in pixels of the picture given, strength in grey levels, and where they are."""

    x: Floats
    y: Floats
    sigma: Floats
    strength: Floats
    octave: NDArray[np.intp]
    level: NDArray[np.intp]  # the nearest one

    def take(self, rows: NDArray[np.intp]) -> Points:
        """Some of the points."""
        taken: list[Any] = [column[rows] for column in self]
        return Points(*taken)


def octaves(luma: NDArray[np.uint8]) -> list[Octave]:
    """The scale space of (h, w) uint8 luma: blurs of 1.6 times 2^(i/3), each octave at half the size."""
    import cv2

    first = (SIGMA**2 - _SIGMA_GIVEN**2) ** 0.5
    base: Floats = np.asarray(cv2.GaussianBlur(luma.astype(np.float32), (0, 0), first), np.float32)
    made, step = [], 1.0
    while min(base.shape) >= _LEAST_SIDE:
        levels = np.empty((INTERVALS + 3, *base.shape), np.float32)
        levels[0] = base
        for i in range(1, INTERVALS + 3):
            before, after = (SIGMA * 2 ** (n / INTERVALS) for n in (i - 1, i))
            more = (after**2 - before**2) ** 0.5
            size = 2 * math.ceil(3.5 * more) + 1
            cv2.GaussianBlur(levels[i - 1], (size, size), more, dst=levels[i])
        made.append(Octave(levels, step))
        base = np.ascontiguousarray(levels[INTERVALS, ::2, ::2])
        step *= 2
    return made


def extrema(space: list[Octave], contrast: float) -> Points:
    """The extrema of the difference of Gaussians that are stronger than `contrast` grey levels."""
    found = [part for number, octave in enumerate(space) for part in _of_octave(octave, number, contrast)]
    if not found:
        nothing, none = np.zeros(0, np.float32), np.zeros(0, np.intp)
        return Points(nothing, nothing, nothing, nothing, none, none)
    whole: list[Any] = [np.concatenate(columns) for columns in zip(*found, strict=True)]
    return Points(*whole)


def _of_octave(octave: Octave, number: int, contrast: float) -> Iterator[Points]:
    import cv2

    difference = octave.levels[1:] - octave.levels[:-1]
    if min(difference.shape[1:]) <= 2 * _MARGIN:
        return
    kernel = np.ones((3, 3), np.uint8)
    for layer in range(1, INTERVALS + 1):
        below, here, above = difference[layer - 1 : layer + 2]
        top = cv2.dilate(cv2.max(cv2.max(below, here), above), kernel)
        bottom = cv2.erode(cv2.min(cv2.min(below, here), above), kernel)
        # A pixel that is the highest or lowest of its 27 neighbours, and not just by noise.
        top, bottom = np.maximum(top, 0.5 * contrast), np.minimum(bottom, -0.5 * contrast)
        found = cv2.bitwise_or(cv2.compare(here, top, cv2.CMP_GE), cv2.compare(here, bottom, cv2.CMP_LE))
        found[:_MARGIN] = found[-_MARGIN:] = 0
        found[:, :_MARGIN] = found[:, -_MARGIN:] = 0
        places = cv2.findNonZero(found)
        if places is not None:
            columns, rows = np.asarray(places, np.intp)[:, 0].T
            yield _refined(octave, number, difference, layer, rows, columns, contrast)


def _refined(
    octave: Octave,
    number: int,
    d: Floats,
    layer: int,
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    contrast: float,
) -> Points:
    """The extrema at these pixels of a layer that stand a closer look, placed between pixels and layers."""
    value, up, down = d[layer, y, x], d[layer + 1], d[layer - 1]
    mid = d[layer]
    dx, dy = (mid[y, x + 1] - mid[y, x - 1]) / 2, (mid[y + 1, x] - mid[y - 1, x]) / 2
    ds = (up[y, x] - down[y, x]) / 2
    dxx = mid[y, x + 1] + mid[y, x - 1] - 2 * value
    dyy = mid[y + 1, x] + mid[y - 1, x] - 2 * value
    dss = up[y, x] + down[y, x] - 2 * value
    dxy = (mid[y + 1, x + 1] - mid[y + 1, x - 1] - mid[y - 1, x + 1] + mid[y - 1, x - 1]) / 4
    dxs = (up[y, x + 1] - up[y, x - 1] - down[y, x + 1] + down[y, x - 1]) / 4
    dys = (up[y + 1, x] - up[y - 1, x] - down[y + 1, x] + down[y - 1, x]) / 4
    # The 3 x 3 system by its adjugate.
    a, b, c = dyy * dss - dys**2, dxs * dys - dxy * dss, dxy * dys - dyy * dxs
    determinant = dxx * a + dxy * b + dxs * c
    safe = np.where(np.abs(determinant) < 1e-12, np.float32(np.inf), determinant)
    ox = -(a * dx + b * dy + c * ds) / safe
    oy = -(b * dx + (dxx * dss - dxs**2) * dy + (dxy * dxs - dxx * dys) * ds) / safe
    os = -(c * dx + (dxy * dxs - dxx * dys) * dy + (dxx * dyy - dxy**2) * ds) / safe
    strength = np.abs(value + 0.5 * (dx * ox + dy * oy + ds * os))
    flat = dxx * dyy - dxy**2
    good = (np.abs(ox) < 1) & (np.abs(oy) < 1) & (np.abs(os) < 1) & (strength > contrast)
    good &= (flat > 0) & ((dxx + dyy) ** 2 * _EDGE < (_EDGE + 1) ** 2 * flat)
    keep = np.flatnonzero(good)
    place = layer + os[keep]
    count = len(keep)
    return Points(
        ((x[keep] + ox[keep]) * octave.step).astype(np.float32),
        ((y[keep] + oy[keep]) * octave.step).astype(np.float32),
        (SIGMA * 2 ** (place / INTERVALS) * octave.step).astype(np.float32),
        strength[keep].astype(np.float32),
        np.full(count, number, np.intp),
        np.clip(np.rint(place), 1, INTERVALS).astype(np.intp),
    )
