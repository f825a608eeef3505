"""Traces: what the pixels of two pictures that are one say of which was made from which, each as a number.

All of it is measured in both directions with one yardstick, so that it does not matter which of the two was
searched for. Transforms are 3 × 3, from pixels of the second picture to pixels of the first; (0, 0) is the
outer corner of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.signs import radius, sharpness, spectrum
from wherefrom.search.alignment import Aligned, Mask, Matrix, Pixels, luma

Grey = NDArray[np.uint8]
Tables = NDArray[np.int64]

_WINDOW = 448  # pixels a side that are looked at of a large picture: more says no more
_AROUND = 17  # rows or columns that one is compared with
_LEAST = 48  # pixels a side below which nothing can be told ...
_TINY, _FAR = 16, 2.9  # ... but of a picture so much smaller, linear, that little of it tells enough
_STEPS = 4  # quantisation steps, in grey levels, below which rounding hides what a file has lost
_SLACK = 2.0  # grey levels by which rounding may move a coefficient


@dataclass(frozen=True, slots=True)
class Loss:
    """How the coefficients of another file lie about the steps of a JPEG of the same size.

    `rest` is the deviation from the JPEG's steps over that of a number drawn by chance (1 where the JPEG was
    made from the other, near 0 where the other was made from the JPEG), `strays` the share that lies further
    away than rounding to a step could bring it, and `counted` how many coefficients were looked at.
    """

    rest: float
    strays: float
    counted: int


def loss(jpeg: Grey, steps: Tables, other: Grey) -> Loss | None:
    """What a JPEG's quantisation says of another file: both are luma of one shape, as the JPEG stores it.

    `steps` (8, 8) are those of the JPEG's luma. None where too few coefficients were rounded coarsely enough.
    """
    one, two = _coefficients(jpeg), _coefficients(other)
    known = (np.abs(one) > steps / 2) & (steps >= _STEPS)
    known[:, 0, 0] = False
    counted = int(known.sum())
    if counted < 200:
        return None
    wide = np.broadcast_to(steps, one.shape)[known].astype(np.float32)
    off = np.abs(two[known] - one[known])
    rest = float(np.sqrt(np.mean((off / wide) ** 2) * 12))
    return Loss(rest, float((off > wide / 2 + _SLACK).mean()), counted)


def _coefficients(grey: Grey) -> NDArray[np.float32]:
    """The cosine transform of each block of 8 × 8, (n, 8, 8), of the middle of a picture."""
    top = max(0, (grey.shape[0] - _WINDOW) // 16) * 8
    left = max(0, (grey.shape[1] - _WINDOW) // 16) * 8
    rows, columns = (min(side, _WINDOW) // 8 for side in (grey.shape[0] - top, grey.shape[1] - left))
    part = grey[top : top + 8 * rows, left : left + 8 * columns].astype(np.float32) - 128
    blocks = part.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    return np.asarray(_COSINES @ blocks @ _COSINES.T, np.float32)


_COSINES = np.array(
    [
        [
            np.sqrt((1 if row == 0 else 2) / 8) * np.cos((2 * column + 1) * row * np.pi / 16)
            for column in range(8)
        ]
        for row in range(8)
    ],
    np.float32,
)


def detail(larger: Grey, smaller: Grey, transform: Matrix) -> tuple[float, float, float] | None:
    """Whether the larger of two pictures shows more than the smaller: (more, top, repeats).

    `transform` takes the smaller's pixels to the larger's. `more` is the energy of the larger above what
    the smaller can hold (its Nyquist frequency), less what enlarging the smaller gives, over the energy in
    the octave below; `top` is the energy of the smaller in its own topmost band over that in the band below
    it: of a picture that was itself blurred there is none. `repeats` is `repeated` of the larger. None where
    too little is common.
    """
    import cv2

    box = _common(larger, smaller, transform)
    if box is None:
        return None
    left, top, right, bottom = box
    part = larger[top:bottom, left:right].astype(np.float32)
    move = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]]) @ transform
    ratio = float(np.sqrt(abs(np.linalg.det(move[:2, :2] / move[2, 2]))))
    size = (right - left, bottom - top)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = np.linalg.inv(half) @ move @ half
    energies = []
    own = spectrum(part)
    frequency = radius(*part.shape)
    nyquist = 0.5 / ratio
    above = (frequency > 1.1 * nyquist) & (frequency < 0.5)
    below = (frequency > 0.5 * nyquist) & (frequency < 0.95 * nyquist)
    base = float((np.abs(own[below]) ** 2).sum())
    if base <= 0 or not above.any():
        return None
    for way in (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4):
        drawn = cv2.warpPerspective(
            smaller, centred, size, flags=way, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        other = spectrum(drawn)
        gain = np.real((own[below] * np.conj(other[below])).sum()) / max(
            float((np.abs(other[below]) ** 2).sum()), 1e-9
        )
        energies.append(float((np.abs(own[above] - gain * other[above]) ** 2).sum()))
    energies.append(float((np.abs(own[above]) ** 2).sum()))
    back = np.asarray(np.linalg.inv(transform), np.float64)
    there = _common(smaller, larger, back, _TINY if ratio > _FAR else _LEAST)
    if there is None:
        return None
    mine = smaller[there[1] : there[3], there[0] : there[2]].astype(np.float32)
    return min(energies) / base, sharpness(mine), repeated(larger[top:bottom, left:right])


def repeated(grey: Grey) -> float:
    """How little the rows or columns that change least change, beside those around them: near 0 where each
    tenth one repeats the one before, as in what was enlarged without smoothing; about 0.8 in photographs.

    0 where too little is shown to tell. Such an enlargement has sharp steps, which pass for detail.
    """
    least = 1.0
    seen = False
    for axis in (0, 1):
        change = np.abs(np.diff(grey.astype(np.int16), axis=axis)).mean(1 - axis)
        if len(change) < _AROUND:
            continue
        around = np.convolve(
            np.pad(change, _AROUND // 2, mode="reflect"), np.full(_AROUND, 1 / _AROUND), "valid"
        )
        told = around > 1  # grey level: of what is plain nothing can be said
        if told.sum() >= _AROUND:
            seen = True
            least = min(least, float(np.percentile(change[told] / around[told], 10)))
    return least if seen else 0.0


def _common(
    one: Grey, other: Grey, transform: Matrix, least: int = _LEAST
) -> tuple[int, int, int, int] | None:
    """An upright box of `one` in the middle of what both show: left, top, right, bottom. None where a side of
    it has less than `least` pixels."""
    height, width = other.shape[:2]
    ends = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], float) @ transform.T
    ends = ends[:, :2] / ends[:, 2:]
    low = np.maximum(np.sort(ends, axis=0)[1], 0) + 2
    high = np.minimum(np.sort(ends, axis=0)[2], (one.shape[1], one.shape[0])) - 2
    size = np.minimum(high - low, _WINDOW)
    if (size < least).any():
        return None
    start = (low + high - size) / 2
    left, top = (int(value) for value in np.ceil(start))
    wide, high_ = (int(value) for value in np.floor(size))
    return left, top, min(left + wide, one.shape[1]), min(top + high_, one.shape[0])


@dataclass(frozen=True, slots=True)
class Edges:
    """What a picture has beyond the part that another one shows too.

    `outside` is the share of it that lies beyond; `cut` how much sharper the border between the two is than
    its surroundings: about 1 where one scene goes on, much more where two were put together; the least of
    all its sides and the greatest. `plain` is the share of what lies beyond that is of one tone.
    """

    outside: float
    cut: float
    sharpest: float
    plain: float


def edges(grey: Grey, area: Matrix) -> Edges | None:
    """What lies beyond `area`, a convex polygon (n, 2) in pixels; None where nothing does."""
    import cv2

    height, width = grey.shape
    inside = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(area - 0.5).astype(np.int32), 1)
    outside = 1 - float(inside.mean())
    if outside < 0.02:
        return None
    away = cv2.erode(1 - inside, np.ones((5, 5), np.uint8), borderValue=1) > 0
    tones = grey[away]
    plain = 1.0
    if len(tones) >= 64:
        middle = int(np.median(tones))
        plain = float((np.abs(tones.astype(np.int16) - middle) < 12).mean())
    centre, found = area.mean(0), []
    reach = max(14, round(0.03 * max(grey.shape)))
    for start, end in zip(area, np.roll(area, -1, 0), strict=True):
        along = end - start
        length = float(np.hypot(*along))
        if length < 24:
            continue
        along = along / length
        normal = np.array([-along[1], along[0]])
        if (centre - start) @ normal > 0:
            normal = -normal
        middle_point = (start + end) / 2
        margin = [middle_point[0], width - middle_point[0], middle_point[1], height - middle_point[1]]
        beyond = middle_point + normal * 8
        if not (0 <= beyond[0] < width and 0 <= beyond[1] < height) or min(margin) < 4:
            continue
        steps = np.arange(0.06 * length, 0.94 * length)
        offsets = np.arange(-reach, reach + 1)
        x = start[0] + along[0] * steps[:, None] + normal[0] * offsets - 0.5
        y = start[1] + along[1] * steps[:, None] + normal[1] * offsets - 0.5
        good = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        strip = cv2.remap(
            grey.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR
        )
        jump = np.abs(np.diff(strip, axis=1))
        both = good[:, 1:] & good[:, :-1]
        counts = both.sum(0)
        profile = np.where(counts > 8, (jump * both).sum(0) / np.maximum(counts, 1), np.nan)
        near = max(4, round(0.012 * max(grey.shape)))
        near_part = profile[reach - near : reach + near]
        far = np.concatenate([profile[: reach - near - 1], profile[reach + near + 1 :]])
        if np.isnan(near_part).all() or np.isnan(far).all():
            continue
        found.append(float(np.nanmax(near_part) / (np.nanmedian(far) + 1.0)))
    if not found:
        return None
    return Edges(outside, min(found), max(found), plain)


@dataclass(frozen=True, slots=True)
class Looks:
    """What one picture has where it was laid over the other, and of the whole.

    `flat` is the share of few tones where the two differ, `rim` the mean slope of luma around it, `colours`
    how far colours vary beyond what lightness explains, `top` the energy of its finest detail.
    """

    flat: float
    rim: float
    colours: float
    top: float


def looks(aligned: Aligned, differs: Pixels, least: int = 24) -> tuple[Looks, Looks, float, float]:
    """Of query and match in one frame: their looks, the share that differs and the correlation there."""
    import cv2

    chosen = cv2.morphologyEx((differs > least).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    where = (chosen > 0) & aligned.mask
    share = float(where.sum()) / max(1.0, float(aligned.mask.sum()))
    greys = [luma(part) for part in (aligned.query, aligned.match)]
    alike = 0.0
    if where.sum() > 32:
        one, two = (grey[where].astype(np.float64) for grey in greys)
        if one.std() > 1 and two.std() > 1:
            alike = float(np.corrcoef(one, two)[0, 1])
    beside = aligned.mask & (cv2.dilate(chosen, np.ones((9, 9), np.uint8)) == 0)
    ring = cv2.dilate(chosen, np.ones((3, 3), np.uint8)) - cv2.erode(chosen, np.ones((3, 3), np.uint8))
    around = (ring > 0) & aligned.mask
    made = []
    for part, grey in zip((aligned.query, aligned.match), greys, strict=True):
        here = part[where]
        flat, rim = 0.0, 0.0
        if len(here) > 32:
            levels = (here >> 4).astype(np.int64)
            keys = levels if levels.ndim == 1 else levels @ np.array([256, 16, 1])
            counts = np.sort(np.unique(keys, return_counts=True)[1])[::-1]
            flat = float(counts[:3].sum() / len(keys))
            slopes = [cv2.Sobel(grey, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8) for x in (0, 1)]
            rim = float(np.hypot(*slopes)[around].mean()) if around.any() else 0.0
        made.append(Looks(flat, rim, _colours(part, grey, aligned), _top(grey, beside)))
    return made[0], made[1], share, alike


def _colours(part: Pixels, grey: Grey, aligned: Aligned) -> float:
    if part.ndim == 2:
        return 0.0
    here = part[aligned.mask].astype(np.float32)
    chroma = here[:, [0, 2]] - here @ np.array([0.299, 0.587, 0.114], np.float32)[:, None]
    bins = grey[aligned.mask] >> 4
    counts = np.maximum(np.bincount(bins, minlength=16), 1)
    rest = 0.0
    for column in chroma.T:
        means = np.bincount(bins, column, 16) / counts
        rest += float(np.mean((column - means[bins]) ** 2))
    return float(np.sqrt(rest / 2))


def _top(grey: Grey, where: Mask) -> float:
    import cv2

    fine = grey.astype(np.float32) - cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.0)
    return float(np.sqrt(np.mean(fine[where] ** 2) if where.any() else 0.0))


def exactly(transform: Matrix, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, bool] | None:
    """Quarter turns counter-clockwise and a mirroring that take the other to the one, pixel for pixel.

    Sizes are (width, height). None where it takes more than that.
    """
    corners = np.array([[0, 0, 1], [other[0], 0, 1], [other[0], other[1], 1], [0, other[1], 1]], float)
    ends = corners @ np.asarray(transform, float).T
    ends = ends[:, :2] / ends[:, 2:]
    slack = max(2.0, 0.012 * max(one))
    for turns in range(4):
        move, (width, height) = np.eye(3), other
        for _ in range(turns):
            move = np.array([[0.0, 1, 0], [-1, 0, width], [0, 0, 1]]) @ move
            width, height = height, width
        if (width, height) != one:
            continue
        for mirrored in (False, True):
            whole = np.array([[-1.0, 0, width], [0, 1, 0], [0, 0, 1]]) @ move if mirrored else move
            if np.abs(ends - (corners @ whole.T)[:, :2]).max() < slack:
                return turns, mirrored
    return None
