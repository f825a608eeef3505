"""Truth: how well an answer agrees with what was done to make its query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from wherefrom.evaluate.edited import Edited, Points, carried, corners
from wherefrom.search.answer import Match, Polygon

_CELLS = 512  # a side of the grid on which areas are compared
_SURE = 0.9  # agreement of pixels from which two pictures are one beyond doubt ...
_WHOLE = 0.9  # ... where so much of one of them is in the other
_NEAR = 16  # bits, where the pixels cannot be looked at


@dataclass(frozen=True, slots=True)
class Held:
    """An answer held to the truth.

    `overlap` and `match_overlap` are intersection over union, 0 to 1, of what the evidence says that both
    show with what both do show, in the query and in the match; None where that cannot be told. `expected`
    are the edits that are to be named and `named` those that are; a change of size counts where it was
    above 5 %.
    """

    overlap: float | None
    match_overlap: float | None
    expected: tuple[str, ...]
    named: tuple[str, ...]


def held_to_truth(size: tuple[int, int], done: Edited, match: Match, *, covered: bool = False) -> Held:
    """How well the evidence of a match agrees with what was done to a picture of `size` pixels.

    `covered` says that the picture's outline is not what is left of it.
    """
    evidence = match.evidence
    named = {edit.name for edit in evidence.edits}
    if "scale" not in done.names:
        named.discard("scale")
    here: float | None = None
    there: float | None = None
    area, source = evidence.query_area, evidence.match_area
    if done.transform is not None and evidence.transform is not None and area and not covered:
        truth = carried(np.asarray(done.transform, np.float64), corners(*size))
        here = overlap(_points(truth), area, done.image.size)
        if source:
            # Everything of the match that the query's frame shows.
            back = carried(np.asarray(np.linalg.inv(done.transform), np.float64), corners(*done.image.size))
            shown = (match.image.width / size[0], match.image.height / size[1])
            whole = (match.image.width, match.image.height)
            there = overlap(_points(back * shown), source, whole)
    return Held(here, there, tuple(sorted(done.names)), tuple(sorted(named)))


def overlap(
    one: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]], size: tuple[int, int]
) -> float:
    """Intersection over union of two polygons within a picture, counted on a grid of 512 by 512."""
    grids = []
    for polygon in (one, other):
        grid = Image.new("1", (_CELLS, _CELLS))
        points = [(_CELLS * x / size[0] - 0.5, _CELLS * y / size[1] - 0.5) for x, y in polygon]
        ImageDraw.Draw(grid).polygon(points, fill=1)
        grids.append(np.asarray(grid))
    union = int((grids[0] | grids[1]).sum())
    return int((grids[0] & grids[1]).sum()) / union if union else 0.0


def beyond_doubt(match: Match) -> bool:
    """Whether a claim about a picture that nobody edited is true whatever one thinks of the search.

    Fingerprints and keypoints made the claim, so something else has to bear it out: equal bytes, or pixels
    that agree in all that one of the two shows; where a file is not at hand, fingerprints that are almost
    equal.
    """
    evidence = match.evidence
    if evidence.method == "sha256":
        return True
    if evidence.agreement is None:
        return evidence.distance is not None and evidence.distance <= _NEAR
    shown = max(evidence.query_coverage or 0.0, evidence.match_coverage or 0.0)
    return evidence.agreement >= _SURE and shown >= _WHOLE


def _points(polygon: Points) -> Polygon:
    return tuple((float(x), float(y)) for x, y in polygon)
