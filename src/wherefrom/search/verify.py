"""Verification: whether two pictures show the same thing in the same arrangement, and by which homography.

Signatures are matched, each match says how the one picture would lie in the other (its two keypoints have a
place, a scale and an orientation), the one that most others agree with is refined to a homography, and that
is judged: by how many agree and how widely they are spread, by how much of what both pictures should show
does agree, and by whether pictures are ever bent like that. Coordinates are *frames*: pixels of a picture
whose longer side is 512.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.keypoints import Keypoints

FRAME = 512.0
"""Longer side of a frame."""

NEAR = 18
"""Bits in which the signatures of a match may differ."""

_PLACE = 14.0  # frame pixels by which a match may miss a similarity
_ANGLE = 24  # 256ths of a turn
_SCALE = 14  # sixteenths of an octave
_TRIED = 64  # matches whose similarity is tried, nearest signatures first
_REFINED = 5.0  # frame pixels by which an inlier may miss the homography
_LEAST = 4  # matches that agree on a similarity before more is tried
_ENOUGH, _WEIGHT, _APART = 8, 3.2, 9.8  # inliers, those times their density, mean bits between them
_DENSE, _EVEN, _QUERY_EVEN = 0.13, 0.72, 0.5  # see `Geometry`: below them one part is shared, not the picture
_SPARSE, _CLUMPED, _COARSE = 0.4, 3.5, 4  # where few agree, how unevenly they may; cells a side
_PART_INLIERS, _PART_DENSE, _PART_SIDE = 20, 0.45, 0.35  # of a part that is a picture of its own
_HINT_APART = 12.5  # as `_APART`, for a closer look
_GRID = 6  # cells a side over the common area

Matrix = NDArray[np.float64]
Size = tuple[int, int]
Box = tuple[float, float, float, float]
Sides = tuple[float, float, float, float]


class Pairs(NamedTuple):
    """Matched keypoints: rows of the query's, rows of the candidate's, bits between them."""

    query: NDArray[np.intp]
    match: NDArray[np.intp]
    distance: NDArray[np.int64]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Pairs:
        """Some of them."""
        return Pairs(self.query[rows], self.match[rows], self.distance[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """How a candidate lies in the query.

    `transform` takes frame pixels of the candidate to frame pixels of the query; `query` and `match` are the
    inliers' rows and `distance` the mean of the bits between them. `density` is the share of the candidate's
    keypoints that should be seen in the query and agree; `evenness` tells how evenly these are spread among
    all that should be, and `query_evenness` the same of the query's: near 1 where misses are chance, and low
    where one part of the pictures agrees and another does not. `clumping` is near 1 by chance, and high where
    agreement comes in clumps. `part` is the box (left, top, right, bottom in frame pixels of the candidate)
    outside which nothing agrees, None where the whole does.
    """

    transform: Matrix
    query: NDArray[np.intp]
    match: NDArray[np.intp]
    distance: float
    density: float
    evenness: float
    query_evenness: float
    clumping: float
    part: Box | None

    @property
    def inliers(self) -> int:
        """How many keypoints agree, each counted once."""
        return len(self.match)


def frame_of(width: int, height: int) -> tuple[float, float]:
    """The size of the frame of a picture."""
    factor = FRAME / max(width, height)
    return width * factor, height * factor


def matched(query: Keypoints, candidate: Keypoints) -> Pairs:
    """Each query keypoint with the candidate's nearest, where that is near."""
    apart = np.bitwise_count(query.signatures[:, None] ^ candidate.signatures[None, :])
    best = apart.argmin(axis=1)
    distance = apart[np.arange(len(best)), best].astype(np.int64)
    rows = np.flatnonzero(distance <= NEAR)
    return Pairs(rows, best[rows], distance[rows])


def verify(query: Keypoints, query_size: Size, candidate: Keypoints, candidate_size: Size) -> Geometry | None:
    """How the candidate lies in the query, or None when too little agrees to say. Sizes are in pixels."""
    if min(len(query), len(candidate)) < _LEAST:
        return None
    pairs = matched(query, candidate)
    if len(pairs.query) < _LEAST:
        return None
    here, there = frame_of(*query_size), frame_of(*candidate_size)
    ours = np.stack([query.x * here[0], query.y * here[1]], axis=1).astype(np.float64)
    theirs = np.stack([candidate.x * there[0], candidate.y * there[1]], axis=1).astype(np.float64)
    agreeing = _similar(query, candidate, ours, theirs, pairs)
    if agreeing is None:
        return None
    fitted = _refined(ours, theirs, pairs, agreeing)
    if fitted is None:
        return None
    transform, inliers = fitted
    if not plausible(transform, there):
        return None
    kept = pairs.take(inliers)
    sides = _sides(transform, query, candidate, ours, theirs, kept)
    part = None
    if not _even(sides):
        part = _box(theirs, kept)
        wide, high = part[2] - part[0], part[3] - part[1]
        sized = wide > _PART_SIDE * there[0] and high > _PART_SIDE * there[1]
        if len(kept.match) >= _PART_INLIERS and sized and 0.4 < wide / max(high, 1) < 2.5:
            # A caption, a logo or the frame of an app that both show is no picture that both show.
            inside = _sides(transform, query, candidate, ours, theirs, kept, part)
            part, sides = (part, inside) if _even(inside) and inside[0] > _PART_DENSE else (None, sides)
        else:
            part = None
    return Geometry(
        transform,
        kept.query,
        kept.match,
        float(kept.distance.mean()),
        *sides,
        part,
    )


def proves(geometry: Geometry, *, rare: bool = False) -> bool:
    """Whether so much agrees, and so evenly, that both show one picture.

    Wrong pairs reach 5 inliers by chance, and theirs differ in 14 bits on average; another photograph of the
    same thing has more, of 10 bits and above. What shares a caption, a watermark or the frame of an app with
    the query has many more, but in one place, or few among many. Of what is `rare`, a mirror image or a
    negative, twice as much must agree: letters and buttons are like their own mirror images.
    """
    return not lacking(geometry, rare=rare)


def lacking(geometry: Geometry, *, rare: bool = False) -> list[str]:
    """What a geometry lacks to prove anything, as phrases; empty where it proves one picture."""
    found = []
    if geometry.inliers < _ENOUGH:
        found.append(f"too few keypoints agree ({geometry.inliers})")
    elif geometry.inliers * geometry.density < _WEIGHT * (1 + rare):
        found.append(f"too few of the keypoints that should agree do ({100 * geometry.density:.0f} %)")
    if geometry.distance >= _APART:
        found.append(f"those that agree differ too much ({geometry.distance:.1f} bits on average)")
    if not _even((geometry.density, geometry.evenness, geometry.query_evenness, geometry.clumping)):
        found.append("they lie in one part of what both should show")
    return found


def suggests(geometry: Geometry) -> bool:
    """Whether enough agrees that it is worth looking at the pixels, which then have to agree well.

    Wherever that is: a photograph of a screen has fewer keypoints of the picture on it and noise in their
    signatures, and what was cut out or written on has none in one part of it.
    """
    return geometry.inliers >= _ENOUGH and geometry.distance < _HINT_APART


def plausible(transform: Matrix, there: tuple[float, float]) -> bool:
    """Whether a homography bends a frame as cameras and people do.

    It must keep the frame convex and the right way round, and neither squeeze it by more than 3, nor shrink
    or enlarge it by more than 16, nor make one part of it 6 times as large as another.
    """
    corners = np.array([[0, 0], [there[0], 0], [there[0], there[1]], [0, there[1]]], np.float64)
    weights = np.c_[corners, np.ones(4)] @ transform[2]
    if (weights <= 1e-3 * abs(transform[2, 2])).any():
        return False
    middle = np.array([[there[0] / 2, there[1] / 2]])
    for spot in (*(corners * 0.9 + middle * 0.1), middle[0]):
        local = jacobian(transform, spot)
        grown = float(np.linalg.det(local))
        if grown <= 0:
            return False
        large, small = np.linalg.svd(local, compute_uv=False)
        if large > 3.5 * small:
            return False
    sizes = [float(np.linalg.det(jacobian(transform, spot))) for spot in (*corners, middle[0])]
    return 1 / 256 < sizes[-1] < 256 and max(sizes) < 36 * min(sizes)


def mapped(transform: Matrix, points: Matrix) -> Matrix:
    """Points (n, 2) after a homography."""
    moved = np.c_[points, np.ones(len(points))] @ transform.T
    return np.asarray(moved[:, :2] / moved[:, 2:])


def jacobian(transform: Matrix, point: Matrix) -> Matrix:
    """The 2 × 2 derivative of a homography at a point."""
    x, y, w = transform @ np.array([point[0], point[1], 1.0])
    top = transform[:2, :2] * w - np.outer([x, y], transform[2, :2])
    return np.asarray(top / w**2)


def _similar(
    query: Keypoints, candidate: Keypoints, ours: Matrix, theirs: Matrix, pairs: Pairs
) -> NDArray[np.intp] | None:
    """The pairs that agree on one similarity, of which there are most."""
    turn = query.angles[pairs.query].astype(np.int16) - candidate.angles[pairs.match]
    zoom = query.scales[pairs.query].astype(np.int16) - candidate.scales[pairs.match]
    # The nearest signatures alone say where the candidate may lie; all then say how many agree.
    tried = np.argsort(pairs.distance, kind="stable")[:_TRIED]
    angle, scale = turn[tried] * np.float32(np.pi / 128), np.exp2(zoom[tried] / np.float32(16))
    turned = scale * np.exp(np.complex64(1j) * angle)
    # As complex numbers. Row i: where the similarity of pair i takes every pair's keypoint of the candidate.
    q = (ours[pairs.query] @ [1, 1j]).astype(np.complex64)
    m = (theirs[pairs.match] @ [1, 1j]).astype(np.complex64)
    apart = (m[None, :] - m[tried, None]) * turned[:, None]
    # A keypoint's own scale and angle are rough: what lies further away may miss by more.
    agree = np.abs(apart + (q[tried, None] - q[None, :])) < _PLACE + np.float32(0.12) * np.abs(apart)
    agree &= np.abs(((turn[None, :] - turn[tried, None]) & 255).astype(np.uint8).view(np.int8)) <= _ANGLE
    agree &= np.abs(zoom[None, :] - zoom[tried, None]) <= _SCALE
    weights = (1.0 - pairs.distance / 40).astype(np.float32)
    # A keypoint of the candidate counts once, however many of the query's take it for theirs.
    crowd = np.bincount(pairs.match, minlength=len(candidate))[pairs.match]
    best = int((agree @ (weights / crowd)).argmax())
    rows = np.flatnonzero(agree[best])
    return rows if len(set(pairs.match[rows].tolist())) >= _LEAST else None


def _refined(
    ours: Matrix, theirs: Matrix, pairs: Pairs, agreeing: NDArray[np.intp]
) -> tuple[Matrix, NDArray[np.intp]] | None:
    """A homography that most of the agreeing pairs follow, and its inliers, one for each keypoint."""
    import cv2

    q, m = ours[pairs.query], theirs[pairs.match]
    found: Any
    found, _ = cv2.estimateAffine2D(
        m[agreeing], q[agreeing], method=cv2.USAC_MAGSAC, ransacReprojThreshold=_PLACE / 2, maxIters=500
    )
    if found is None:
        return None
    transform: Matrix = np.vstack([found, [0.0, 0.0, 1.0]])
    rows = _inliers(transform, q, m, pairs, _PLACE)
    if len(rows) >= 8:
        found, _ = cv2.findHomography(m[rows], q[rows], cv2.USAC_MAGSAC, _REFINED, maxIters=1000)
        if found is not None and np.isfinite(found).all() and abs(found[2, 2]) > 1e-9:
            better = np.asarray(found / found[2, 2], np.float64)
            after = _inliers(better, q, m, pairs, _REFINED)
            # Eight numbers fit some noise: two more must agree than with six.
            if len(after) >= len(_inliers(transform, q, m, pairs, _REFINED)) + 2:
                transform, rows = better, after
    rows = _inliers(transform, q, m, pairs, _REFINED)
    if len(rows) < _LEAST:
        return None
    return transform, rows


def _inliers(transform: Matrix, q: Matrix, m: Matrix, pairs: Pairs, reach: float) -> NDArray[np.intp]:
    """The pairs that a transform explains, the nearest signature for each keypoint of either side."""
    miss = np.hypot(*(mapped(transform, m) - q).T)
    rows = np.flatnonzero(miss < reach)
    rows = rows[np.lexsort((miss[rows], pairs.distance[rows]))]
    for side in (pairs.match, pairs.query):
        _, first = np.unique(side[rows], return_index=True)
        rows = rows[np.sort(first)]
    return rows


def _sides(
    transform: Matrix,
    query: Keypoints,
    candidate: Keypoints,
    ours: Matrix,
    theirs: Matrix,
    kept: Pairs,
    part: Box | None = None,
) -> Sides:
    """Density and evenness of what agrees, within a part of the candidate or all of it."""
    grown = np.sqrt(abs(float(np.linalg.det(jacobian(transform, theirs[kept.match].mean(axis=0))))))
    ahead = mapped(transform, theirs)
    back = mapped(np.asarray(np.linalg.inv(transform), np.float64), ours)
    # What the other picture shows smaller than the smallest found in it was not to be found.
    here, there = np.exp2(query.scales / 16), np.exp2(candidate.scales / 16)
    shown = _within(ahead, ours) & (there * grown > np.percentile(here, 10))
    seen = _within(back, theirs) & (here / grown > np.percentile(there, 10))
    rows = np.ones(len(kept.match), np.bool_)
    if part is not None:
        box = np.array(part).reshape(2, 2)
        shown &= _within(theirs, box)
        seen &= _within(back, box)
        rows = _within(theirs[kept.match], box)
    shown[kept.match[rows]] = True
    seen[kept.query[rows]] = True
    density = int(rows.sum()) / int(shown.sum())
    return (
        density,
        _evenness(theirs, shown, kept.match[rows]),
        _evenness(ours, seen, kept.query[rows]),
        _clumping(theirs, shown, kept.match[rows]),
    )


def _even(sides: Sides) -> bool:
    density, evenness, query_evenness, clumping = sides
    if density < _SPARSE and clumping > _CLUMPED:
        return False
    return density > _DENSE and evenness > _EVEN and query_evenness > _QUERY_EVEN


def _box(theirs: Matrix, kept: Pairs) -> Box:
    """Where the inliers lie, but for the outermost twentieth on each side."""
    low, high = np.percentile(theirs[kept.match], (5, 95), axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _within(points: Matrix, others: Matrix) -> NDArray[np.bool_]:
    """Which points lie where the others do."""
    low, high = others.min(axis=0), others.max(axis=0)
    return np.asarray(((points >= low) & (points <= high)).all(axis=1))


def _evenness(points: Matrix, due: NDArray[np.bool_], met: NDArray[np.intp]) -> float:
    """In how many cells over the due points some are met, to how many it would be were they met at random."""
    expected, found = _cells(points, due, met, _GRID)
    share = min(len(met) / int(due.sum()), 1.0)
    random = float((1 - (1 - share) ** expected).sum())
    return float((found > 0).sum()) / random


def _clumping(points: Matrix, due: NDArray[np.bool_], met: NDArray[np.intp]) -> float:
    """How much more the share of points met differs from cell to cell than by chance, which gives 1."""
    expected, found = _cells(points, due, met, _COARSE)
    share = min(len(met) / int(due.sum()), 1.0)
    chance = share * (1 - share) * float(expected.sum())
    return float(((found - share * expected) ** 2).sum()) / chance if chance > 0 else 0.0


def _cells(
    points: Matrix, due: NDArray[np.bool_], met: NDArray[np.intp], side: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """How many points are due and how many are met in each cell of a grid over the due ones."""
    low, high = points[due].min(axis=0), points[due].max(axis=0)
    cell = (side * (points - low) / np.maximum(high - low, 1)).astype(np.intp)
    number = np.clip(cell, 0, side - 1) @ [side, 1]
    return np.bincount(number[due], minlength=side**2), np.bincount(number[met], minlength=side**2)
