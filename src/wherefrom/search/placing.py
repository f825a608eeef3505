"""Placing: from a verified geometry to evidence, with areas, transform and the edits of shape named.

A transform is taken apart into what people do: mirrored, turned, squeezed, put into perspective, cropped,
framed or set into something larger. Keypoints place a picture to about a hundredth of its side; less is not
claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.keypoints import Keypoints, Variant
from wherefrom.records import Image
from wherefrom.search.answer import Edit, Evidence, Kind, Polygon, Transform
from wherefrom.search.explain import Frame
from wherefrom.search.verify import FRAME, Geometry, Matrix, Size, jacobian, mapped

_TURN = 1.5  # degrees
_ASPECT = 0.04  # relative
_SCALE = 0.02  # relative
_CROP = 0.03  # share of the match that is missing
_OUTSIDE = 0.03  # share of the query that shows something else
_BENT = 0.008  # of the longer side: how far a corner lies from where an affine map has it
_PLAIN_TONE = 25  # grey levels
_PLAIN = 0.92  # share of one tone in what surrounds a framed picture ...
_WRITTEN, _WRITTEN_SHARE = 0.5, 0.6  # ... and in bars that are written on, beside so much of the query
_REACHED = 0.85  # of the query's sides: the corners that turning leaves are no border
_COPY_QUERY, _COPY_MATCH = 0.7, 0.25  # shares that a copy shows: of a larger query, of the match
_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """A candidate's geometry, the query's variant that it holds for, and both sides' keypoints.

    One that is not `sure` has to be confirmed by the pixels.
    """

    geometry: Geometry
    variant: Variant
    keypoints: Keypoints
    sure: bool = True


def placed(
    proof: Proof, image: Image, frame: Frame, luma: NDArray[np.uint8], distance: int | None
) -> tuple[Kind, Evidence]:
    """The kind of a proven candidate and the evidence for it.

    `luma` is the query's region in working pixels; `distance` the bits between the fingerprints, if known.
    """
    left, top = frame.region[0] * frame.width, frame.region[1] * frame.height
    width = (frame.region[2] - frame.region[0]) * frame.width
    height = (frame.region[3] - frame.region[1]) * frame.height
    transform = _whole(proof, (width, height), (image.width, image.height))
    outline = _rectangle(image.width, image.height)
    part = proof.geometry.part
    if part is not None:
        grown = max(image.width, image.height) / FRAME
        outline = np.array([[part[i], part[j]] for i, j in ((0, 1), (2, 1), (2, 3), (0, 3))]) * grown
    shown = _clipped(mapped(transform, outline), width, height)
    source = mapped(np.asarray(np.linalg.inv(transform), np.float64), shown)
    query_share = area(shown) / (width * height)
    match_share = min(1.0, area(source) / (image.width * image.height))
    edits = [
        *_shape(transform, source, (width, height), proof.variant),
        *_extent(query_share, match_share, shown, luma, (width, height), transform),
    ]
    changed = [edit for edit in edits if edit.name != "scale"]
    kind = Kind.SAME
    embedded = any(edit.name == "embedded" for edit in edits)
    if part is not None or match_share < _COPY_MATCH or (embedded and query_share < _COPY_QUERY):
        kind = Kind.PARTIAL
    elif changed:
        kind = Kind.COPY
    move = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    moved = move @ transform
    return kind, Evidence(
        "keypoints",
        distance=distance,
        inliers=proof.geometry.inliers,
        transform=_rows(moved),
        query_area=_polygon(shown + np.array([left, top])),
        match_area=_polygon(source),
        query_coverage=round(query_share * width * height / (frame.width * frame.height), 4),
        match_coverage=round(match_share, 4),
        edits=tuple(edits),
        points=_points(proof, frame, image),
    )


def cut_to(evidence: Evidence, box: tuple[float, float, float, float], query: Size, match: Size) -> Evidence:
    """Evidence in which only a box of the match (left, top, right, bottom in its pixels) is shown.

    Sizes are width and height in pixels. What is missing counts as crop, and as no part of what both show.
    """
    if evidence.transform is None or evidence.match_area is None:
        return evidence
    left, top, right, bottom = box
    corner = np.array([left, top])
    kept = _clipped(np.array(evidence.match_area) - corner, right - left, bottom - top) + corner
    shown = mapped(np.array(evidence.transform), kept)
    query_share = area(shown) / (query[0] * query[1])
    match_share = min(1.0, area(kept) / (match[0] * match[1]))
    amounts = {"crop": round(1 - match_share, 4), "embedded": round(query_share, 4)}
    edits = [
        replace(edit, amount=amounts[edit.name]) if edit.name in amounts else edit for edit in evidence.edits
    ]
    if not any(edit.name == "crop" for edit in edits):
        edits.append(Edit("crop", amounts["crop"]))
    return replace(
        evidence,
        query_area=_polygon(shown),
        match_area=_polygon(kept),
        query_coverage=round(query_share, 4),
        match_coverage=round(match_share, 4),
        edits=tuple(edits),
    )


def agrees(exact: Evidence, rough: Evidence, query: tuple[int, int], image: Image) -> bool:
    """Whether two transforms take the image to the same place, within what keypoints can tell."""
    if exact.transform is None or rough.transform is None:
        return False
    outline = _rectangle(image.width, image.height)
    ends = [mapped(np.array(one.transform), outline) for one in (exact, rough)]
    return bool(np.abs(ends[0] - ends[1]).max() < 0.025 * max(query))


def with_points(exact: Evidence, rough: Evidence) -> Evidence:
    """A fingerprint's exact evidence with the keypoints that agree."""
    return replace(exact, method="keypoints", inliers=rough.inliers, points=rough.points)


def area(polygon: Matrix) -> float:
    """The area of a polygon, float64 (n, 2)."""
    if len(polygon) < 3:
        return 0.0
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _whole(proof: Proof, query: tuple[float, float], match: tuple[float, float]) -> Matrix:
    """From pixels of the match to pixels of the query's region."""
    inward = np.diag([FRAME / max(match)] * 2 + [1.0])
    outward = np.diag([max(query) / FRAME] * 2 + [1.0])
    found: Matrix = outward @ proof.geometry.transform @ inward
    if proof.variant.mirrored:
        found = np.array([[-1.0, 0, query[0]], [0, 1, 0], [0, 0, 1]]) @ found
    return np.asarray(found / found[2, 2], np.float64)


def _shape(
    transform: Matrix,
    source: Matrix,
    query: tuple[float, float],
    variant: Variant,
) -> list[Edit]:
    """What was done to the shape: mirrored, negative, turned, squeezed, bent, scaled."""
    edits = []
    bent = _bend(transform, source) / max(query)
    local = jacobian(transform, source.mean(axis=0))
    if variant.mirrored:
        edits.append(Edit("mirror"))
        local = local @ np.diag([-1.0, 1.0])
    if variant.negative:
        edits.append(Edit("negative"))
    left, sizes, right = np.linalg.svd(local)
    turn = left @ right
    degrees = float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))
    if abs(degrees) > (_TURN if bent < _BENT else 5 * _TURN):
        quarter = 90 * round(degrees / 90)
        near = quarter if abs(degrees - quarter) < _TURN else degrees
        edits.append(Edit("rotate", round(near % 360, 1)))
    across, down = np.hypot(*local)  # how much longer a step to the right and one down have become
    stretch = float(across / down) if abs(np.sin(np.radians(degrees))) < 0.7 else float(down / across)
    skewed = abs(float(local[:, 0] @ local[:, 1])) / (across * down)
    if bent > _BENT or skewed > 0.1:
        edits.append(Edit("perspective", round(float(max(bent, skewed / 4)), 3)))
    elif abs(stretch - 1) > _ASPECT:
        edits.append(Edit("aspect", round(stretch, 3)))
    ratio = float(np.sqrt(np.prod(sizes)))
    if abs(ratio - 1) > _SCALE:
        edits.append(Edit("scale", round(ratio, 3)))
    return edits


def _bend(transform: Matrix, source: Matrix) -> float:
    """How far, in query pixels, the area's corners lie from where the nearest affine map puts them."""
    ends = mapped(transform, source)
    plain = np.c_[source, np.ones(len(source))]
    fitted, *_ = np.linalg.lstsq(plain, ends, rcond=None)
    return float(np.abs(plain @ fitted - ends).max())


def _extent(
    query_share: float,
    match_share: float,
    shown: Matrix,
    luma: NDArray[np.uint8],
    query: tuple[float, float],
    transform: Matrix,
) -> list[Edit]:
    """What is missing of the match, and what surrounds it in the query."""
    edits = []
    if 1 - match_share > _CROP:
        edits.append(Edit("crop", round(1 - match_share, 4)))
    if 1 - query_share > _OUTSIDE:
        plain = _plainness(shown, luma, query)
        reached = np.ptp(shown, axis=0) / query
        askew = _is_askew(transform)
        bars = plain > _WRITTEN and query_share > _WRITTEN_SHARE and reached.max() > 0.97
        if plain > _PLAIN or (bars and not askew):
            if not (askew and reached.min() > _REACHED):
                edits.append(Edit("border", round(1 - query_share, 4)))
        else:
            edits.append(Edit("embedded", round(query_share, 4)))
    return edits


def _is_askew(transform: Matrix) -> bool:
    """Whether sides that were upright are no longer."""
    local = np.abs(transform[:2, :2])
    return bool(min(local[0].min() / local[0].max(), local[1].min() / local[1].max()) > 0.02) or bool(
        np.abs(transform[2, :2]).max() > 1e-5
    )


def _plainness(shown: Matrix, luma: NDArray[np.uint8], query: tuple[float, float]) -> float:
    """The share of what surrounds the match that is of one tone."""
    import cv2

    height, width = luma.shape
    corners = shown * [width / query[0], height / query[1]]
    outside = np.ones((height, width), np.uint8)
    cv2.fillConvexPoly(outside, np.rint(corners).astype(np.int32), 0)
    away = cv2.erode(outside, np.ones((5, 5), np.uint8), borderValue=1)
    tones = luma[away > 0]
    if len(tones) < 64:
        return 1.0
    middle = int(np.median(tones))
    return float((np.abs(tones.astype(np.int16) - middle) < _PLAIN_TONE).mean())


def _clipped(polygon: Matrix, width: float, height: float) -> Matrix:
    """The part of a convex polygon inside the rectangle from the origin (Sutherland & Hodgman 1974)."""
    points: Sequence[NDArray[np.float64]] = list(polygon)
    for axis, bound, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        kept: list[NDArray[np.float64]] = []
        for here, after in zip(points, [*points[1:], *points[:1]], strict=True):
            inside, next_inside = (sign * (p[axis] - bound) >= 0 for p in (here, after))
            if inside:
                kept.append(here)
            if inside != next_inside:
                share = (bound - here[axis]) / (after[axis] - here[axis])
                kept.append(here + share * (after - here))
        points = kept
    return np.array(points, np.float64).reshape(-1, 2)


def _rectangle(width: float, height: float) -> Matrix:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _polygon(corners: Matrix) -> Polygon:
    return tuple((round(x, 2), round(y, 2)) for x, y in corners.tolist())


def _points(proof: Proof, frame: Frame, image: Image) -> tuple[tuple[float, float, float, float], ...]:
    ours, theirs = proof.variant.keypoints, proof.keypoints
    query, match = proof.geometry.query[:_POINTS], proof.geometry.match[:_POINTS]
    across = 1 - ours.x[query] if proof.variant.mirrored else ours.x[query]
    left, top, right, bottom = frame.region
    columns = (
        (left + across * (right - left)) * frame.width,
        (top + ours.y[query] * (bottom - top)) * frame.height,
        theirs.x[match] * image.width,
        theirs.y[match] * image.height,
    )
    return tuple(
        (round(a, 1), round(b, 1), round(c, 1), round(d, 1)) for a, b, c, d in np.stack(columns, 1).tolist()
    )


def _rows(matrix: Matrix) -> Transform:
    rows = [(float(a), float(b), float(c)) for a, b, c in np.round(matrix, 8).tolist()]
    return rows[0], rows[1], rows[2]
