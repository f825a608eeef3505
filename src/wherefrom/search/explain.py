"""Explanation: from the way a candidate was met to evidence, edits named and areas drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.fingerprint import Box, Shares
from wherefrom.records import Image
from wherefrom.search.answer import Edit, Evidence, Kind, Polygon, Transform
from wherefrom.search.recall import Candidate

_WHOLE: Shares = (0.0, 0.0, 1.0, 1.0)
_SCALE_SLACK = 0.01  # relative: below it a change of size is rounding
_ASPECT_SLACK = 0.03  # relative: below it a change of shape is rounding

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """The query's size in pixels, its region as shares of that, and the size that was hashed."""

    width: int
    height: int
    region: Shares
    working: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the region in pixels."""
        left, top, right, bottom = self.region
        return max(1, round((right - left) * self.width)), max(1, round((bottom - top) * self.height))

    def pixels(self, shares: Shares) -> tuple[float, float, float, float]:
        """Shares of the region as left, top, right, bottom in pixels of the whole picture."""
        left, top, right, bottom = self.region
        across, down = right - left, bottom - top
        return (
            (left + shares[0] * across) * self.width,
            (top + shares[1] * down) * self.height,
            (left + shares[2] * across) * self.width,
            (top + shares[3] * down) * self.height,
        )

    def shares(self, box: Box | None) -> Shares:
        """A box of working pixels as shares of the region; None is all of it."""
        if box is None:
            return _WHOLE
        width, height = self.working
        return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def identical(image: Image) -> Evidence:
    """The evidence for a query whose bytes are those of the image."""
    area = _outline(_pixels(_WHOLE, image.width, image.height))
    return Evidence(
        "sha256",
        distance=0,
        transform=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        query_area=area,
        match_area=area,
        query_coverage=1.0,
        match_coverage=1.0,
    )


def explain(candidate: Candidate, image: Image, frame: Frame, inside: Shares | None) -> tuple[Kind, Evidence]:
    """The kind of a candidate and the evidence for it.

    `inside` is the box within the image's own bars, None when it has none.
    """
    code = candidate.code
    part = frame.shares(code.box)
    query_box = _nested(frame.region, part)
    match_box = inside if candidate.trimmed and inside is not None else _WHOLE
    query_pixels = _pixels(query_box, frame.width, frame.height)
    match_pixels = _pixels(match_box, image.width, image.height)

    edits: list[Edit] = []
    if code.mirrored:
        edits.append(Edit("mirror"))
    if code.turned:
        edits.append(Edit("rotate", float(code.turned)))
    if code.negative:
        edits.append(Edit("negative"))
    if part != _WHOLE:
        edits.append(Edit("border", round(1 - _share(part), 4)))
    if match_box != _WHOLE:
        edits.append(Edit("crop", round(1 - _share(match_box), 4)))
    wide, high = _size(match_pixels)
    if code.turned in (90, 270):
        wide, high = high, wide
    across, down = _size(query_pixels)
    stretch = (across / down) / (wide / high)
    if abs(stretch - 1) > _ASPECT_SLACK and abs(across * high - wide * down) > 2 * max(
        wide, high, across, down
    ):
        edits.append(Edit("aspect", round(stretch, 4)))
    ratio = float(np.sqrt(across * down / (wide * high)))
    kind = Kind.COPY if edits else Kind.SAME  # another size alone is still the same picture
    if abs(ratio - 1) > _SCALE_SLACK:
        edits.append(Edit("scale", round(ratio, 4)))
    return kind, Evidence(
        "fingerprint",
        distance=candidate.distance,
        transform=_transform(match_pixels, query_pixels, code.mirrored, code.turned),
        query_area=_outline(query_pixels),
        match_area=_outline(match_pixels),
        query_coverage=round(_share(query_box), 4),
        match_coverage=round(_share(match_box), 4),
        edits=tuple(edits),
    )


def _nested(outer: Shares, inner: Shares) -> Shares:
    width, height = outer[2] - outer[0], outer[3] - outer[1]
    return (
        outer[0] + inner[0] * width,
        outer[1] + inner[1] * height,
        outer[0] + inner[2] * width,
        outer[1] + inner[3] * height,
    )


def _share(box: Shares) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _pixels(box: Shares, width: int, height: int) -> Shares:
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def _size(box: Shares) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _outline(box: Shares) -> Polygon:
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _transform(match: Shares, query: Shares, mirrored: bool, turned: int) -> Transform:
    """Match pixels to query pixels: onto the unit square, mirrored, turned, and into the query's box."""
    unit: Matrix = np.array(
        [
            [1 / (match[2] - match[0]), 0, -match[0] / (match[2] - match[0])],
            [0, 1 / (match[3] - match[1]), -match[1] / (match[3] - match[1])],
            [0, 0, 1],
        ]
    )
    if mirrored:
        unit = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]) @ unit
    for _ in range(turned // 90):  # a quarter turn clockwise takes (x, y) to (1 - y, x)
        unit = np.array([[0.0, -1, 1], [1, 0, 0], [0, 0, 1]]) @ unit
    place = np.array([[query[2] - query[0], 0, query[0]], [0, query[3] - query[1], query[1]], [0, 0, 1]])
    rows = [(float(a), float(b), float(c)) for a, b, c in np.round(place @ unit, 6).tolist()]
    return rows[0], rows[1], rows[2]
