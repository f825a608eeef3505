"""Agreement: whether two aligned pictures show the same, block by block, whatever was done to their tones.

Zero-mean normalised cross-correlation (Lewis 1995, Fast normalized cross-correlation) of what changes over a
few pixels, in blocks of about a twelfth of the frame that overlap by half: where the blocks lie, and a pixel
further to each side. Three things follow. How far blocks agree, of all that have texture in either picture.
How far they agree where neither picture is flat. And where the correlation peaks between pixels, which is how
far each block is shifted: a picture that was edited, or printed and photographed, is shifted smoothly over
its whole, while parts of a scene that was photographed from a step aside are shifted by how far they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wherefrom.search.alignment import WORKING_SIDE, Aligned, Grey, Mask, luma

_BLOCK, _STEP = 16, 8  # pixels of half the working size
_AT = slice(_STEP // 2, None, _STEP), slice(_STEP // 2, None, _STEP)  # the middles of blocks
_MOVES = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
_TEXTURE = 5.0  # grey levels: a block whose standard deviation is less says nothing
_INSIDE = 0.7  # share of a block that both pictures cover
_AGREES = 0.55  # correlation from which a block shows the same
_DIFFERS = 0.35  # correlation below which it shows something else

_FLAT, _FLAT_SIDE = 3.0, 7  # grey levels: standard deviation of pixels around one that show nothing
_SEEN = 3  # pixels: how far a flat part reaches into what lies beside it
_SHOWN = 0.5  # share of a block that is not flat

_WELL_INSIDE = 0.9  # of a block whose shift is measured
_ALIKE = 0.6  # correlation from which a shift is one of the same thing
_CURVED = 0.02  # how much the correlation falls off within a pixel, or it has no peak
_FARTHEST = 1.5  # pixels: more is beyond what three values tell
_FITTED, _CURVES = 12, 24  # blocks from which shifts are fitted by a plane, and by a curved surface
_ROUNDS, _BEYOND = 5, 1.5  # of fitting; residuals, in medians, from which one counts less


@dataclass(frozen=True, slots=True)
class Shared:
    """Whether two aligned pictures show the same where both show something.

    Parts that are flat in either picture are left out: what a subject was cut out of, the sky that somebody
    wrote on. `blocks` is how many blocks are left; `correlation` is the median over these, 0 to 1, and
    `agreeing` and `differing` are the shares of them above 0.55 and below 0.35.
    """

    blocks: int = 0
    correlation: float = 0.0
    agreeing: float = 0.0
    differing: float = 0.0


@dataclass(frozen=True, slots=True)
class Shifts:
    """How far blocks that show the same lie from where a smooth map of the plane has them.

    `blocks` is how many were measured; `median` and `upper` are the middle and the upper quartile of the
    distances, in pixels of a frame of 200.
    """

    blocks: int = 0
    median: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether two aligned pictures show the same.

    `correlation` is the median over textured blocks of their correlation at the best move, 0 to 1;
    `agreeing` the share of these blocks above 0.55; `textured` the share of the common area that has
    texture in either picture. Without texture all three are 0: nothing was seen that could agree. `other` is
    True, (h, w) of the frame, where a block plainly shows something else.
    """

    correlation: float
    agreeing: float
    textured: float
    other: Mask
    shared: Shared = field(default_factory=Shared)
    shifts: Shifts = field(default_factory=Shifts)


def agreement(aligned: Aligned) -> Agreement:
    """Whether two aligned pictures show the same, whatever was done to their tones."""
    import cv2

    shape = aligned.query.shape
    query, match, inside = _small(aligned)
    covered = _mean(inside)[_AT]
    correlations, *variances = _correlations(_detail(query), _detail(match))
    best, usable = correlations.max(axis=0), covered > _INSIDE
    seen = np.maximum(*variances) > _TEXTURE**2
    counted = best[usable & seen]
    if not counted.size:
        return Agreement(0.0, 0.0, 0.0, np.zeros_like(aligned.mask))
    other = (usable & seen & (best < _DIFFERS)).astype(np.uint8)
    frame = cv2.resize(other, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)
    return Agreement(
        float(np.clip(np.median(counted), 0, 1)),
        float((counted > _AGREES).mean()),
        float(counted.size / usable.sum()),
        frame > 0,
        _shared(query, match, inside),
        _shifts(correlations, (covered > _WELL_INSIDE) & (variances[0] > _TEXTURE**2)),
    )


def _shared(query: Grey, match: Grey, inside: Grey) -> Shared:
    import cv2

    flat, side = np.zeros(query.shape, np.bool_), (_FLAT_SIDE, _FLAT_SIDE)
    for grey in (query, match):
        flat |= cv2.boxFilter(grey * grey, -1, side) - cv2.boxFilter(grey, -1, side) ** 2 < _FLAT**2
    near = cv2.dilate(flat.astype(np.uint8), np.ones((2 * _SEEN + 1, 2 * _SEEN + 1), np.uint8))
    shown = ((inside > 0.5) & (near == 0)).astype(np.float32)
    correlations, _, _ = _correlations(_detail(query, shown), _detail(match, shown), shown)
    counted = correlations.max(axis=0)[_mean(shown)[_AT] > _SHOWN]
    if not counted.size:
        return Shared()
    agreeing, differing = (float(part.mean()) for part in (counted > _AGREES, counted < _DIFFERS))
    return Shared(int(counted.size), float(np.clip(np.median(counted), 0, 1)), agreeing, differing)


def _shifts(correlations: NDArray[np.float32], usable: Mask) -> Shifts:
    """Shifts of blocks by the parabola through three correlations, less a surface of the second degree."""
    here = correlations[0]

    def peak(after: Grey, before: Grey) -> Grey:
        curve = 2 * here - after - before
        far = (after - before) / (2 * np.maximum(curve, _CURVED))
        return np.where(curve > _CURVED, np.clip(far, -_FARTHEST, _FARTHEST), np.nan).astype(np.float32)

    moved = np.stack([peak(*correlations[1:3]), peak(*correlations[3:5])], axis=-1)
    told = usable & (correlations.max(axis=0) > _ALIKE) & np.isfinite(moved).all(axis=-1)
    rows, columns = np.nonzero(told)
    if len(rows) < _FITTED:
        return Shifts(len(rows))
    x, y = ((part - part.mean()) / max(told.shape) for part in (columns, rows))
    surface = [np.ones(len(x)), x, y, *((x * x, x * y, y * y) if len(x) >= _CURVES else ())]
    terms, values = np.stack(surface, axis=1), moved[told].astype(np.float64)
    weights = np.ones((len(x), 1))
    for _ in range(_ROUNDS):  # iteratively reweighted, so that the most part says where the rest should lie
        found, *_ = np.linalg.lstsq(terms * weights, values * weights, rcond=None)
        apart = np.hypot(*(values - terms @ found).T)
        spread = _BEYOND * (float(np.median(apart)) + 1e-3)
        weights = (1 / np.sqrt(1 + (apart / spread) ** 2))[:, None]
    median, upper = np.percentile(apart, (50, 75)).tolist()
    return Shifts(len(rows), float(median), float(upper))


def _small(aligned: Aligned) -> tuple[Grey, Grey, Grey]:
    """Both pictures in grey at half the working size, and how much of each pixel both show."""
    import cv2

    shape = aligned.query.shape
    factor = min(1.0, 0.5 * WORKING_SIDE / max(shape[:2]))
    size = (max(8, round(shape[1] * factor)), max(8, round(shape[0] * factor)))
    whole = luma(aligned.query), luma(aligned.match), aligned.mask.astype(np.float32)
    query, match, inside = (
        np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32) for part in whole
    )
    return query, match, inside


def _detail(grey: Grey, weight: Grey | None = None) -> Grey:
    """What changes over 1 to 6 pixels; with a weight, of the pixels that have one alone."""
    import cv2

    def soft(sigma: float) -> Grey:
        if weight is None:
            return np.asarray(cv2.GaussianBlur(grey, (0, 0), sigma), np.float32)
        near = np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)
        return np.asarray(cv2.GaussianBlur(grey * weight, (0, 0), sigma) / near, np.float32)

    return np.asarray(soft(1.0) - soft(6.0), np.float32)


def _mean(grey: Grey) -> Grey:
    import cv2

    return np.asarray(cv2.boxFilter(grey, -1, (_BLOCK, _BLOCK)), np.float32)


def _correlations(
    query: Grey, match: Grey, weight: Grey | None = None
) -> tuple[NDArray[np.float32], Grey, Grey]:
    """The correlation of each block at each of the moves, (5, h, w), and its variance in query and match.

    Pixels count by their `weight`, 0 or 1; None is 1 everywhere.
    """
    share = None if weight is None else np.maximum(_mean(weight), 1e-6)

    def mean(grey: Grey) -> Grey:
        if weight is None or share is None:
            return _mean(grey)
        return np.asarray(_mean(grey * weight) / share, np.float32)

    def moments(grey: Grey) -> tuple[Grey, Grey]:
        middle = mean(grey)
        return middle, np.maximum(mean(grey * grey) - middle**2, 0)

    query_mean, query_variance = moments(query)
    spread, found = query_variance[_AT], []
    for move in _MOVES:
        moved = np.roll(match, move, (0, 1))
        moved_mean, moved_variance = moments(moved)
        covariance = (mean(query * moved) - query_mean * moved_mean)[_AT]
        found.append(covariance / np.sqrt((spread + 1) * (moved_variance[_AT] + 1)))
        if move == _MOVES[0]:
            variance = moved_variance[_AT]
    return np.stack(found), spread, variance
