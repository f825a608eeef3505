"""Overlays: text, stickers, logos and watermarks, as what differs once tone and blur are accounted for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.search.alignment import Aligned, Mask, Pixels, luma
from wherefrom.search.answer import Edit, Polygon

# `benchmarks/changes.py` sets these: on half of its photographs, the other half being reported.
_LEAST = 0.005  # share of the common area that the box around an overlay has
_CORE = 0.0008  # share of the common area that plainly differs
_FAINT, _PLAIN = 14, 32  # grey levels: how far an overlay reaches, and what differs plainly
_REACH = 0.035  # of the longer side: parts nearer than this are one overlay
_USUAL = 8  # grey levels: what compression and noise leave at most; more is something laid over
_LIKE = 0.92  # correlation of gradients: the same edges
_GAPS = 7  # working pixels: gaps within an overlay that are closed
_MOST = 8  # overlays named in a picture


def differing(aligned: Aligned, toned: Pixels, sigma: float = 0.0, *, noisy: bool = False) -> Pixels:
    """By how many grey levels each pixel differs, (h, w) uint8, the greatest of its channels; 0 outside.

    A pixel differs when the query's level is outside the match's range over the pixels near, or the
    match's outside the query's: what is moved by a pixel or two does not.
    """
    import cv2

    if sigma > 0.5:
        toned = np.asarray(cv2.GaussianBlur(toned, (0, 0), sigma), np.uint8)
    calm = 2.0 if noisy else 1.0
    query, match = (np.asarray(cv2.GaussianBlur(p, (0, 0), calm), np.uint8) for p in (aligned.query, toned))
    near = np.ones((5, 5), np.uint8)
    differs = np.zeros(query.shape, np.uint8)
    for one, other in ((query, match), (match, query)):
        np.maximum(differs, cv2.subtract(one, cv2.dilate(other, near)), out=differs)
        np.maximum(differs, cv2.subtract(cv2.erode(other, near), one), out=differs)
    if differs.ndim == 3:
        red, green, blue = cv2.split(differs)
        differs = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    differs[~aligned.mask] = 0
    return differs


class Laid(NamedTuple):
    """What differs in places: the edits, and the share of the common area that the boxes around them take."""

    edits: tuple[Edit, ...]
    boxed: float


def plainly(differs: Pixels, beside: Mask) -> tuple[Mask, int]:
    """Where pixels differ more than is usual `beside` what shows something else, and how much is usual."""
    usual = min(_percentile(differs, beside, 0.75), _USUAL)
    return differs > _FAINT + 3 * usual, usual


def overlays(aligned: Aligned, toned: Pixels, differs: Pixels, beside: Mask, sigma: float = 0.0) -> Laid:
    """Parts of the query that show something else than the match, at most 8, largest first.

    `toned` is the match in the query's tones, `differs` what `differing` says of the two, `beside` where
    nothing plainly differs, from which the usual difference is taken, and `sigma` the blur in working pixels
    that the query has beyond the match. Each overlay has as amount the share of the common area whose pixels
    differ, and as area the convex hull of these in query pixels.
    """
    import cv2

    differs = np.where(aligned.mask, differs, 0).astype(np.uint8)
    if sigma > 0.5:
        toned = np.asarray(cv2.GaussianBlur(toned, (0, 0), sigma), np.uint8)
    faint, usual = plainly(differs, beside)
    reach = max(3, round(_REACH * max(differs.shape))) | 1
    solid = cv2.morphologyEx(faint.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    joined = cv2.dilate(solid, np.ones((reach, reach), np.uint8))
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    whole, boxed = float(aligned.mask.sum()), 0.0
    found: list[Edit] = []
    for label in range(1, count):
        x, y, w, h = (int(value) for value in boxes[label, :4])
        around = labels[y : y + h, x : x + w] == label
        inside = around & (solid[y : y + h, x : x + w] > 0)
        rows, columns = np.nonzero(inside)
        strong = np.count_nonzero(inside & (differs[y : y + h, x : x + w] > _PLAIN + 3 * usual))
        if not rows.size or strong < _CORE * whole:
            continue
        size = _boxed(columns, rows)
        if size < _LEAST * whole:
            continue
        chosen = around & aligned.mask[y : y + h, x : x + w]
        one, other = (np.ascontiguousarray(p[y : y + h, x : x + w]) for p in (aligned.query, toned))
        if _likeness(one, other, chosen) > _LIKE:
            continue
        boxed += size / whole
        # Where the two are alike by chance, in gaps, it differs all the same.
        region = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_GAPS, _GAPS), np.uint8))
        share = float(np.count_nonzero(region & chosen)) / whole
        found.append(Edit("overlay", round(min(share, 1.0), 4), _hull(columns + x, rows + y, aligned)))
    largest = sorted(found, key=lambda edit: -(edit.amount or 0))[:_MOST]
    return Laid(tuple(largest), min(boxed, 1.0))


def _likeness(query: Pixels, match: Pixels, chosen: Mask) -> float:
    """The correlation of the gradients of both pictures where `chosen`, -1 to 1.

    Where it is high the same edges are there, and what differs is tone that the curve did not catch.
    """
    import cv2

    slopes = []
    for pixels in (query, match):
        part = cv2.GaussianBlur(luma(pixels), (0, 0), 1.5)
        found = [cv2.Sobel(part, cv2.CV_32F, x, 1 - x, ksize=3, scale=1 / 8)[chosen] for x in (0, 1)]
        slopes.append(np.concatenate(found))
    one, other = slopes
    flat = 0.2 * len(one)  # without edges there is no likeness
    return float((one @ other) / np.sqrt((one @ one + flat) * (other @ other + flat) + 1e-9))


def _percentile(levels: Pixels, mask: Mask, share: float) -> int:
    import cv2

    counts = cv2.calcHist([levels], [0], mask.astype(np.uint8), [256], [0, 256]).ravel().cumsum()
    return int(np.searchsorted(counts, share * counts[-1]))


def _boxed(columns: NDArray[np.intp], rows: NDArray[np.intp]) -> float:
    """The pixels in the upright box around some, or in a turned one where that is much tighter."""
    import cv2

    size = float((columns.max() + 1 - columns.min()) * (rows.max() + 1 - rows.min()))
    turned = cv2.minAreaRect(np.column_stack((columns, rows)).astype(np.float32))
    tight = float((turned[1][0] + 1) * (turned[1][1] + 1))
    return tight if tight < 0.7 * size else size


def _hull(columns: NDArray[np.intp], rows: NDArray[np.intp], aligned: Aligned) -> Polygon:
    """The convex hull of pixels, in query pixels, with a tolerance of one of the frame's."""
    import cv2

    ends = np.concatenate([np.column_stack((columns + a, rows + b)) for a in (0, 1) for b in (0, 1)])
    hull = cv2.approxPolyDP(cv2.convexHull(ends.astype(np.int32)), 1.0, True).reshape(-1, 2)
    points = np.column_stack((hull, np.ones(len(hull)))) @ aligned.outward.T
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y, _ in points)
