"""Windows: whether two aligned pictures agree around something that each shows differently.

Two screens of one app agree in all of the app and differ in the picture that each shows; so do two pages of
one layout. What was laid over one picture differs in one place as well, but there only the one picture has
an edge around it, while a window has the same edge in both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.search.alignment import Aligned, Mask, luma

_EDGE = 6.0  # grey levels over two pixels, from which there is an edge
_REACH = 0.06  # of the working side: how far from the outline of the difference an edge is looked for
_ENDS = 0.1  # of a side, left off at each end


class Window(NamedTuple):
    """The largest piece that differs: its share of the common area, and its sides with an edge in both.

    `edges` (4,) is how much of the left, right, top and bottom side has an edge at the same place in both
    pictures, 0 to 1.
    """

    share: float
    edges: NDArray[np.float64]


def window(aligned: Aligned, other: Mask) -> Window:
    """The largest piece of `other`, True where aligned pictures plainly differ."""
    import cv2

    differs = (other & aligned.mask).astype(np.uint8)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(differs, connectivity=4)
    if count < 2:
        return Window(0.0, np.zeros(4))
    left, top, width, height, area = boxes[1:][int(boxes[1:, 4].argmax())].tolist()
    reach = max(6, round(_REACH * max(differs.shape)))
    query, match = (
        np.asarray(cv2.GaussianBlur(luma(one), (0, 0), 1.0), np.float32)
        for one in (aligned.query, aligned.match)
    )
    edges = np.zeros(4)
    for at, (spot, low, high, across) in enumerate(
        (
            (left, top, top + height, False),
            (left + width, top, top + height, False),
            (top, left, left + width, True),
            (top + height, left, left + width, True),
        )
    ):
        ends = int(_ENDS * (high - low))
        span = slice(low + ends, max(high - ends, low + ends + 1))
        near = slice(max(spot - reach, 0), spot + reach)
        edges[at] = _shared(*(_strong(one.T if across else one, span, near) for one in (query, match)))
    return Window(float(area) / float(aligned.mask.sum()), edges)


def _strong(grey: NDArray[np.float32], span: slice, near: slice) -> NDArray[np.float64]:
    """How much of each column near a side is an edge, 0 to 1, give or take a pixel."""
    steps = np.abs(grey[span, 2:] - grey[span, :-2])[:, near] > _EDGE
    if steps.shape[1] < 4:
        return np.zeros(1)
    wide = steps[:, 3:] | steps[:, 2:-1] | steps[:, 1:-2] | steps[:, :-3]
    return np.asarray(wide.mean(axis=0), np.float64)


def _shared(query: NDArray[np.float64], match: NDArray[np.float64]) -> float:
    return float(np.minimum(query, match).max())
