"""Keypoints: a few hundred local features, spread over the picture, in 15 bytes each.

Points are extrema of the difference of Gaussians (`scalespace`), described by RootSIFT (`descriptors`) and
kept as visual words and 64-bit signatures (`vocabulary`). They are taken in turn from 6 × 6 parts of the
picture, the strongest of each first: by strength alone, a part with rich texture would take them all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.descriptors import descriptors, mirrored, negative, orientations
from wherefrom.features.scalespace import Floats, Points, extrema, octaves
from wherefrom.features.vocabulary import VERSION as VOCABULARY
from wherefrom.features.vocabulary import signatures, vocabulary
from wherefrom.picture.picture import Picture

VERSION = f"sift-1 {VOCABULARY}"

KEPT = 176
"""Keypoints kept of an image in a collection: six images to a page of the catalog."""

ASKED = 500
"""Keypoints of a query, which cost no room."""

LEAST = 12
"""Keypoints below which a picture has too little texture to be found by its parts."""

_KEPT_SIDE, _ASKED_SIDE = 416, 512  # longer side in pixels at which keypoints are looked for
_CONTRAST = 0.8  # grey levels: weaker extrema are no keypoints
_PARTS = 6
_STEPS = 4096  # of a place, from edge to edge
BYTES = 15
"""Of a keypoint as it is kept."""

_SCALE_STEPS = 16  # to an octave


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """n keypoints. Places are shares of the width and height; arrays are of length n.

    `angles` are in 256ths of a turn, from the x axis towards the y axis (clockwise as seen); `scales` are
    16 × log2 of sigma where the longer side is 512; `words` are uint16 (n, m), nearest first: one kept, a
    few asked.
    """

    x: Floats
    y: Floats
    angles: NDArray[np.uint8]
    scales: NDArray[np.uint8]
    words: NDArray[np.uint16]
    signatures: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Some of them."""
        return type(self)(*(getattr(self, one.name)[rows] for one in fields(self)))

    def to_bytes(self) -> bytes:
        """15 bytes each: all places of 12 bits, then all angles, scales, words and signatures."""
        across, down = (np.clip(p * _STEPS, 0, _STEPS - 1).astype(np.uint16) for p in (self.x, self.y))
        places = np.stack([across & 255, across >> 8 | (down & 15) << 4, down >> 4], axis=1).astype(np.uint8)
        words = self.words[:, 0].astype("<u2")
        parts = (places, self.angles, self.scales, words, self.signatures.astype("<u8"))
        return b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`; raises ValueError for a length that cannot be."""
        count, rest = divmod(len(data), BYTES)
        if rest:
            raise ValueError(f"keypoints have {BYTES} bytes each, which {len(data)} bytes are not")
        places = np.frombuffer(data, np.uint8, 3 * count).reshape(count, 3).astype(np.uint16)
        across, down = places[:, 0] | (places[:, 1] & 15) << 8, places[:, 1] >> 4 | places[:, 2] << 4
        half = np.float32(0.5)
        angles, scales, words, codes = columns(data, count)
        return cls(
            (across + half) / np.float32(_STEPS),
            (down + half) / np.float32(_STEPS),
            angles.ravel(),
            scales.ravel(),
            words.reshape(-1, 1),
            codes.ravel(),
        )


def columns(
    data: bytes, count: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint64]]:
    """Angles, scales, words and signatures, each (images, count), of images with `count` keypoints each.

    `data` is what `to_bytes` gave for them, one after another.
    """
    rows = np.frombuffer(data, np.uint8).reshape(len(data) // max(1, BYTES * count), BYTES * count)

    def part(start: int, stop: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(rows[:, start * count : stop * count])

    words, signatures = part(5, 7).view("<u2"), part(7, 15).view("<u8")
    return part(3, 4), part(4, 5), words.astype(np.uint16), signatures.astype(np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """Keypoints of a query as it is, mirrored left to right, or as a negative."""

    keypoints: Keypoints
    mirrored: bool = False
    negative: bool = False


def prepare() -> None:
    """Load what extraction needs, so that the first picture does not wait for it."""
    keypoints(Picture.from_array(np.zeros((64, 64), np.uint8)))


def keypoints(picture: Picture, count: int = KEPT) -> Keypoints:
    """The keypoints to keep of a picture, strongest of each part first; fewer where there is no texture."""
    points, angles, found = _extracted(picture.luma8, _KEPT_SIDE, count, several=False)
    return _quantised(points, angles, found, words=1, branches=1)


def query_keypoints(picture: Picture, count: int = ASKED, words: int = 2) -> list[Variant]:
    """The keypoints of a query, plain, mirrored and negative, with several words each."""
    points, angles, found = _extracted(picture.luma8, _ASKED_SIDE, count, several=True)
    flipped = _Placed(1 - points.x, points.y, points.sigma)
    half = np.float32(np.pi)
    return [
        Variant(_quantised(points, angles, found, words, branches=3)),
        Variant(_quantised(flipped, half - angles, mirrored(found), words, branches=3), mirrored=True),
        Variant(_quantised(points, angles + half, negative(found), words, branches=3), negative=True),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Places as shares, and sigma where the longer side is 512 pixels."""

    x: Floats
    y: Floats
    sigma: Floats


def _extracted(
    luma: NDArray[np.uint8], side: int, count: int, *, several: bool
) -> tuple[_Placed, Floats, Floats]:
    small = _reduced(luma, side)
    height, width = small.shape
    space = octaves(small)
    points = extrema(space, _CONTRAST)
    points = points.take(_spread(points, width, height, count))
    who, angles = orientations(space, points, several=several)
    points = points.take(who)
    placed = _Placed(
        (points.x + np.float32(0.5)) / width,
        (points.y + np.float32(0.5)) / height,
        points.sigma * np.float32(_ASKED_SIDE / max(width, height)),
    )
    return placed, angles, descriptors(space, points, angles)


def _reduced(luma: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    import cv2

    height, width = luma.shape
    factor = side / max(width, height)
    if factor >= 1:
        return luma
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _spread(points: Points, width: int, height: int, count: int) -> NDArray[np.intp]:
    """The numbers of `count` points, taken in turn from the parts of the picture, strongest first."""
    column = np.minimum((points.x * (_PARTS / width)).astype(np.intp), _PARTS - 1)
    row = np.minimum((points.y * (_PARTS / height)).astype(np.intp), _PARTS - 1)
    part = row * _PARTS + column
    order = np.lexsort((-points.strength, part))
    sorted_parts = part[order]
    turn = np.empty(len(part), np.intp)
    turn[order] = np.arange(len(part)) - np.searchsorted(sorted_parts, sorted_parts)
    return np.lexsort((-points.strength, turn))[:count]


def _quantised(placed: _Placed, angles: Floats, found: Floats, words: int, branches: int) -> Keypoints:
    known = vocabulary()
    projected = known.project(found)
    turns = np.rint(angles * np.float32(128 / np.pi)).astype(np.int64) % 256
    scales = np.clip(np.rint(_SCALE_STEPS * np.log2(np.maximum(placed.sigma, 1))), 0, 255)
    return Keypoints(
        placed.x.astype(np.float32),
        placed.y.astype(np.float32),
        turns.astype(np.uint8),
        scales.astype(np.uint8),
        known.words(projected, words, branches),
        signatures(projected),
    )
