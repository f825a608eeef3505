"""Two pictures in one frame: the match warped onto the query, and where both should show the same.

Coordinates are those of `answer.py`: (0, 0) is the outer corner of the first pixel, its centre (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels = NDArray[np.uint8]
Grey = NDArray[np.float32]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

WORKING_SIDE = 400  # pixels of the longer side: enough to see every edit that is named, in milliseconds
_SMALLEST = 24  # working pixels: a smaller common area shows nothing
_MARGIN = 0.01  # of the working side: edges of the common area belong to neither
_REACH = 3.0  # working pixels: what refinement may move; more is another alignment


@dataclass(frozen=True, slots=True)
class Aligned:
    """Query and match in one working frame.

    `query` and `match` are uint8 of one shape, (h, w, 3) when both had colour and (h, w) otherwise; `mask`
    is True where both show the same, a margin left off. `scale` is working pixels per pixel of the query,
    `outward` (3, 3) takes working pixels to pixels of the query.
    """

    query: Pixels
    match: Pixels
    mask: Mask
    scale: float
    outward: Matrix


def luma(pixels: Pixels) -> Pixels:
    """The BT.601 luma of RGB or luma pixels, (h, w) uint8."""
    import cv2

    return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def align(query: Pixels, match: Pixels, transform: Matrix, area: ArrayLike | None = None) -> Aligned | None:
    """Both pictures in a frame of at most 400 pixels, in which neither has to be enlarged.

    `transform` takes pixels of the match to pixels of the query, `area` (n, 2) is the polygon in query pixels
    where both show the same, None all that the match covers. The transform's last pixel or two are refined.
    None when the common area is too small to be looked at.
    """
    import cv2

    if query.ndim != match.ndim:
        query, match = luma(query), luma(match)
    outline = _common(query, match, transform, area)
    if outline is None:
        return None
    density = _density(transform, outline)
    if not 1e-3 < density < 1e3:
        return None
    longest = float(np.ptp(outline, axis=0).max())
    scale = min(1.0, WORKING_SIDE / longest, max(1 / density, _SMALLEST / longest))
    left, top = np.maximum(np.floor(outline.min(0)), 0)
    right, bottom = np.minimum(np.ceil(outline.max(0)), (query.shape[1], query.shape[0]))
    part = query[int(top) : int(bottom), int(left) : int(right)]
    width, height = round(part.shape[1] * scale), round(part.shape[0] * scale)
    if min(width, height) < _SMALLEST:
        return None
    if (width, height) != (part.shape[1], part.shape[0]):
        part = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    across, down = width / (right - left), height / (bottom - top)
    place = np.array([[across, 0, -left * across], [0, down, -top * down], [0, 0, 1]])
    mask = np.zeros((height, width), np.uint8)
    corners = (np.column_stack((outline, np.ones(len(outline)))) @ place.T)[:, :2] - 0.5
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 255)
    margin = margin_of(mask.shape)
    cv2.rectangle(mask, (0, 0), (width - 1, height - 1), 0, margin)
    shape = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * margin + 1, 2 * margin + 1))
    mask = np.asarray(cv2.erode(mask, shape), np.uint8)
    if np.count_nonzero(mask) < _SMALLEST**2:
        return None
    forth = place @ np.asarray(transform, np.float64)
    match, shrunk = _shrunk(match, density * scale)
    forth = forth @ np.linalg.inv(shrunk)
    better = _refined(luma(part), luma(match), forth, mask)
    warped = warp(match, better @ forth, (width, height))
    return Aligned(np.ascontiguousarray(part), warped, mask > 0, scale, np.linalg.inv(place))


def margin_of(shape: tuple[int, ...]) -> int:
    """The working pixels that are left off at each edge of a frame, and again of what both show."""
    return max(2, round(_MARGIN * max(shape)))


def with_margin(mask: Mask) -> Mask:
    """A part of a frame, (h, w) bool, with the margins that were left off around what both show."""
    import cv2

    side = 4 * margin_of(mask.shape) + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def warp(match: Pixels, transform: Matrix, size: tuple[int, int], *, fast: bool = False) -> Pixels:
    """The match through a homography into a frame of (width, height) pixels, its edges drawn out.

    Cubic; linear when it is to be `fast`.
    """
    import cv2

    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = np.linalg.inv(half) @ transform @ half
    way = cv2.INTER_LINEAR if fast else cv2.INTER_CUBIC
    return np.asarray(
        cv2.warpPerspective(match, centred, size, flags=way, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _common(query: Pixels, match: Pixels, transform: Matrix, area: ArrayLike | None) -> Matrix | None:
    """The polygon in query pixels that both pictures cover; None when it is empty or turned inside out."""
    import cv2

    height, width = match.shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64)
    mapped = corners @ np.asarray(transform, np.float64).T
    if not np.isfinite(mapped).all() or (mapped[:, 2] <= 1e-9).any() or np.linalg.cond(transform) > 1e12:
        return None
    covered = (mapped[:, :2] / mapped[:, 2:]).astype(np.float32)
    height, width = query.shape[:2]
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    _, common = cv2.intersectConvexConvex(covered, frame)
    if area is not None and common is not None:
        hull = cv2.convexHull(np.asarray(area, np.float32).reshape(-1, 1, 2))
        _, common = cv2.intersectConvexConvex(common, hull)
    return None if common is None or len(common) < 3 else common.reshape(-1, 2).astype(np.float64)


def _density(transform: Matrix, outline: Matrix) -> float:
    """Query pixels per match pixel, linear, in the middle of the common area."""
    back = np.linalg.inv(np.asarray(transform, np.float64))
    middle = outline.mean(0)
    points = np.array([[*middle, 1], [middle[0] + 1, middle[1], 1], [middle[0], middle[1] + 1, 1]]) @ back.T
    flat = points[:, :2] / points[:, 2:]
    (a, b), (c, d) = flat[1] - flat[0], flat[2] - flat[0]
    return float(1 / np.sqrt(max(abs(a * d - b * c), 1e-12)))


def _shrunk(match: Pixels, density: float) -> tuple[Pixels, Matrix]:
    """The match reduced so that warping skips no pixel, and the matrix from its pixels to the reduced."""
    import cv2

    if density > 0.8:
        return match, np.eye(3)
    height, width = match.shape[:2]
    size = (max(1, round(width * density)), max(1, round(height * density)))
    small = cv2.resize(match, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.diag([size[0] / width, size[1] / height, 1.0])


def _refined(query: Pixels, match: Pixels, transform: Matrix, mask: Pixels) -> Matrix:
    """The small affine step, in working pixels, that brings the warped match nearer to the query.

    Enhanced correlation coefficient (Evangelidis and Psarakis 2008), at half size. The identity when it does
    not converge, or wants more than a few pixels: then it has met something else.
    """
    import cv2

    height, width = query.shape
    factor = min(1.0, 0.5 * WORKING_SIDE / max(width, height))
    size = (round(width * factor), round(height * factor))
    reduce = np.diag([size[0] / width, size[1] / height, 1.0])
    soft = np.asarray(cv2.GaussianBlur(match, (3, 3), 0), np.uint8) if factor < 1 else match
    warped = warp(soft, reduce @ transform, size, fast=True)
    target, inside = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (query, mask))
    step = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 6, 1e-4)
    try:
        _, found = cv2.findTransformECC(target, warped, step, cv2.MOTION_AFFINE, stop, inside, 5)
    except cv2.error:
        return np.eye(3)  # OpenCV's word for "did not converge"
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    forward = half @ np.vstack((np.asarray(found, np.float64), [0, 0, 1])) @ np.linalg.inv(half)
    corners = np.array([[0, 0, 1], [size[0], 0, 1], [size[0], size[1], 1], [0, size[1], 1]], np.float64)
    if np.abs((corners @ forward.T - corners)[:, :2]).max() > _REACH * factor:
        return np.eye(3)
    return np.asarray(np.linalg.inv(reduce) @ np.linalg.inv(forward) @ reduce, np.float64)
