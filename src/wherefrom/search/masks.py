"""Masks: what one tone hides of a picture from its frame inwards, as a circle cut out on white or a rounded
corner does. It is no thing that was laid over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wherefrom.search.alignment import Aligned, Mask, luma, with_margin

_BAND = 5  # working pixels inside the outline of the common area: where a mask begins
_PLAIN = 12  # grey levels, in any channel, within which pixels have the mask's tone
_EVEN = 5.0  # grey levels: standard deviation of what is of one tone
_LEAST_BAND = 0.03  # share of the band that it takes
_LEAST, _MOST = 0.004, 0.6  # share of the common area that is hidden
_CORNERS = 2  # of what both show that a mask reaches
_DIFFERENT = 0.3  # of a piece: pixels where the match plainly shows something else


class Hidden(NamedTuple):
    """Where a plain mask hides the match, (h, w) bool of the frame, and its share of the common area."""

    where: Mask
    share: float


def hidden(aligned: Aligned, differs: Mask) -> Hidden | None:
    """What a plain mask hides, of pixels that plainly differ (h, w); None where there is none."""
    import cv2

    inside = aligned.mask.astype(np.uint8)
    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    inner = cv2.erode(padded, np.ones((2 * _BAND + 1, 2 * _BAND + 1), np.uint8))[1:-1, 1:-1]
    band = aligned.mask & (inner == 0)
    edge = band & differs
    if np.count_nonzero(edge) < _LEAST_BAND * np.count_nonzero(band):
        return None
    grey, below = luma(aligned.query), luma(aligned.match)
    counts = np.bincount(grey[edge] // 4, minlength=64)
    near = np.convolve(counts, np.ones(3), "same")
    peak = int(near.argmax())
    toned = edge & (np.abs(grey.astype(np.int16) // 4 - peak) <= 1)
    tone = np.median(aligned.query[toned], axis=0)
    apart = np.abs(aligned.query.astype(np.int16) - tone.astype(np.int16))
    plain = (apart if apart.ndim == 2 else apart.max(axis=2)) <= _PLAIN
    count, labels, boxes, _ = cv2.connectedComponentsWithStats((plain & aligned.mask).astype(np.uint8))
    where, hides = np.zeros_like(aligned.mask), False
    for label in range(1, count):
        if boxes[label, 4] < 16:
            continue
        piece = labels == label
        if not (piece & band).any() or (piece & differs).sum() < _DIFFERENT * boxes[label, 4]:
            continue
        if float(grey[piece].std()) < _EVEN:
            where |= piece
            hides = hides or float(below[piece].std()) > _EVEN
    # Where the match is as plain all over, only its tone is another; letters at the frame are no mask.
    if (
        not hides
        or _corners(where, aligned.mask) < _CORNERS
        or np.count_nonzero(where & band) < _LEAST_BAND * np.count_nonzero(band)
    ):
        return None
    # The common area has a margin, in which the mask goes on, and what rings along its edge belongs to it.
    whole, grown = with_margin(aligned.mask), with_margin(where)
    rim = (cv2.dilate(where.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & whole
    share = float(np.count_nonzero((grown & plain & whole) | rim) / np.count_nonzero(whole))
    return Hidden(rim & aligned.mask, share) if _LEAST < share < _MOST else None


def _corners(where: Mask, inside: Mask) -> int:
    """How many of the four corners of what both show are hidden."""
    rows, columns = np.nonzero(inside)
    ends = [(flip * rows + turn * columns).argmin() for flip in (1, -1) for turn in (1, -1)]
    return sum(
        bool(where[max(rows[at] - 2, 0) : rows[at] + 3, max(columns[at] - 2, 0) : columns[at] + 3].any())
        for at in ends
    )
