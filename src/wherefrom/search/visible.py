"""The visible part: how far a match reaches in a query that goes on beside it with something else.

A tile of a collage is cut off where its neighbour begins: to keypoints it goes on below that. What lies
beyond a straight cut along a whole side is missing, not laid over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wherefrom.search.alignment import Aligned, Mask, Matrix

Box = tuple[float, float, float, float]

_SIDE = 200  # pixels of the longer side of the frame in which sides are looked at
_COVERED = 0.6  # of a line, that both pictures cover
_CUT, _WHOLE = 0.45, 0.12  # of a line, that differs: beyond a cut at least, and before it at most
_LEAST, _MOST = 0.02, 0.6  # of the match's side that is cut off
_AT_FRAME = 0.02  # of the query's longer side: nearer to its frame the query does not go on


def visible(
    aligned: Aligned, differs: Mask, transform: Matrix, match: tuple[int, int], query: tuple[int, int]
) -> Box | None:
    """The box of the match that the query shows (left, top, right, bottom in the match's pixels).

    `differs` (h, w) is where pixels differ, `transform` takes pixels of the match to the query's; sizes are
    width and height. None where it is cut off nowhere.
    """
    import cv2

    width, height = match
    scale = _SIDE / max(width, height)
    size = max(2, round(width * scale)), max(2, round(height * scale))
    back = np.diag([size[0] / width, size[1] / height, 1.0]) @ np.linalg.inv(transform) @ aligned.outward
    shown, other = (
        cv2.warpPerspective(part.astype(np.float32), back, size, flags=cv2.INTER_LINEAR)
        for part in (aligned.mask, differs & aligned.mask)
    )
    box = [0.0, 0.0, float(width), float(height)]
    found = False
    for side in range(4):
        across = side % 2 == 0  # left and right are cut by columns
        covered, differing = (part.sum(axis=0 if across else 1) for part in (shown, other))
        length = size[1] if across else size[0]
        if side > 1:
            covered, differing = covered[::-1], differing[::-1]
        lines = np.flatnonzero(covered > _COVERED * length)
        if not len(lines):
            return None
        share = differing[lines] / covered[lines]
        cut = _cut(share)
        if cut is None:
            continue
        first = int(lines[0])
        place = (first + cut) / len(covered)
        end = _middle(side, match, transform)
        if not _LEAST <= place <= _MOST or _is_at_frame(end, query):
            continue
        whole = width if across else height
        box[side] = place * whole if side < 2 else (1 - place) * whole
        found = True
    return (box[0], box[1], box[2], box[3]) if found and box[2] > box[0] and box[3] > box[1] else None


def _cut(share: NDArray[np.float32]) -> int | None:
    """How many lines lie beyond a cut: nearly all of these differ, and those behind it do not."""
    soft = np.convolve(np.pad(share, 1, mode="edge"), np.ones(3) / 3, "valid")
    agreeing = np.flatnonzero(soft < (_CUT + _WHOLE) / 2)
    if not len(agreeing) or agreeing[0] < 2:
        return None
    cut = int(agreeing[0])
    behind = share[cut + 2 : cut + 2 + max(8, cut)]
    if not len(behind) or float(np.median(behind)) > _WHOLE or float(np.mean(share[:cut])) < _CUT:
        return None
    return cut


def _middle(side: int, match: tuple[int, int], transform: Matrix) -> NDArray[np.float64]:
    """Where the middle of a side of the match lies in the query."""
    width, height = match
    spots = ((0.0, height / 2), (width / 2, 0.0), (float(width), height / 2), (width / 2, float(height)))
    x, y, w = transform @ np.array([*spots[side], 1.0])
    return np.array([x / w, y / w])


def _is_at_frame(point: NDArray[np.float64], query: tuple[int, int]) -> bool:
    near = _AT_FRAME * max(query)
    return bool(min(point[0], point[1], query[0] - point[0], query[1] - point[1]) < near)
