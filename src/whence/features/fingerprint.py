"""The fingerprint: 256-bit PDQ, with the eight orientations, the negative and trimmed bars.

PDQ is the perceptual hash that Facebook published in 2019 ("The TMK+PDQF video-hashing algorithm and the
PDQ image-hashing algorithm"): luma, a tent filter down to 64 × 64, the lowest 16 × 16 of its
cosine transform without the constant, one bit per coefficient: above their median or not. All of it up
to the median is linear, so the filter and the decimation are one matrix per side here; bits and
quality equal those of the reference implementation (`tests/features/test_fingerprint.py` holds
them to it) at a twelfth of its time.

Two pictures' fingerprints are compared by Hamming distance, 0 to 256; lower is nearer, and unrelated
pictures lie around 128.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whence.picture.picture import Picture

VERSION = "pdq-1"
"""Fingerprints of different versions are never compared. Raise it when bits change on purpose."""

CODE_BYTES = 32
MIN_QUALITY = 20
"""PDQ quality (0 to 100) below which a picture has too little in it to be known by its fingerprint."""

_MIN_SIDE = 16  # pixels; below it a picture has too little in it by itself
_REFERENCE_MIN_SIDE = 5  # the reference gives no hash below this
_SMALL_SIDE = 384  # pixels; queries with a longer side below this are also tried enlarged
_ENLARGED_SIDE = 512

Matrix = NDArray[np.float32]
Code = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are outside."""
Shares = tuple[float, float, float, float]

_BOX = struct.Struct("<4H")
_BOX_UNIT = 65_535
PLAIN_BYTES = 1 + CODE_BYTES
TRIMMED_BYTES = PLAIN_BYTES + CODE_BYTES + _BOX.size


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """The fingerprint of one picture, as an index keeps it.

    `code` is uint8 (32,), the reference's bytes in the reference's order; `quality` is PDQ's, 0 to
    100. `trimmed` is the code of what lies inside plain borders or letterbox bars, where there are
    any and something lies inside, and `inside` is where: left, top, right, bottom as shares of the
    picture's width and height.
    """

    code: Code
    quality: int
    trimmed: Code | None = None
    inside: Shares | None = None

    @property
    def usable(self) -> bool:
        """Whether there is enough in the picture to know it by its fingerprint."""
        return self.quality >= MIN_QUALITY

    def to_bytes(self) -> bytes:
        """Quality, code and, where there is one, the trimmed code and its box: 33 or 73 bytes."""
        plain = bytes([self.quality]) + self.code.tobytes()
        if self.trimmed is None or self.inside is None:
            return plain
        return (
            plain + self.trimmed.tobytes() + _BOX.pack(*(round(share * _BOX_UNIT) for share in self.inside))
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """The inverse of `to_bytes`; raises ValueError for another length."""
        if len(data) not in (PLAIN_BYTES, TRIMMED_BYTES):
            raise ValueError(f"a fingerprint has {PLAIN_BYTES} or {TRIMMED_BYTES} bytes, not {len(data)}")
        code = np.frombuffer(data, np.uint8, CODE_BYTES, 1)
        if len(data) == PLAIN_BYTES:
            return cls(code, data[0])
        left, top, right, bottom = (n / _BOX_UNIT for n in _BOX.unpack_from(data, 1 + 2 * CODE_BYTES))
        trimmed = np.frombuffer(data, np.uint8, CODE_BYTES, 1 + CODE_BYTES)
        return cls(code, data[0], trimmed, (left, top, right, bottom))


@dataclass(frozen=True, slots=True, eq=False)
class QueryCode:
    """One way in which a query may be a copy: the code that its source would then have.

    `mirrored` and `turned` (degrees clockwise: 0, 90, 180, 270) say what was done to the source to
    make the query: first mirrored left to right, then turned. `box` is the part of the query that was
    hashed, in working pixels, where bars were trimmed; None for the whole.
    """

    code: Code
    mirrored: bool = False
    turned: int = 0
    negative: bool = False
    box: Box | None = None


def fingerprint(picture: Picture) -> Fingerprint:
    """The fingerprint to index a picture by."""
    luma = picture.luma
    coefficients, quality = transform(luma)
    if min(picture.facts.width, picture.facts.height) < _MIN_SIDE:
        quality = 0
    code, box = bits(coefficients), content_box(picture.luma8)
    if box is not None:
        inner, inner_quality = transform(_inside(luma, box))
        if inner_quality >= MIN_QUALITY <= quality:
            return Fingerprint(code, quality, bits(inner), _shares(box, luma.shape))
    return Fingerprint(code, quality)


def query_codes(picture: Picture) -> tuple[list[QueryCode], int, Box | None]:
    """Every code by which a query may be known, its best quality, and the box inside its bars.

    The list is empty when there is too little in the picture. It holds 16 codes (8 orientations, each
    also as a negative), and 16 more each for what lies inside plain borders and for a small picture
    enlarged, since PDQ's decimation shifts by up to half a pixel of the picture it is given.
    """
    luma = picture.luma
    box = content_box(picture.luma8)
    views: list[tuple[Matrix, Box | None]] = [(luma, None)]
    if box is not None:
        views.append((_inside(luma, box), box))
    codes: list[QueryCode] = []
    best = 0
    for view, part in views:
        coefficients, quality = transform(view)
        if min(picture.facts.width, picture.facts.height) < _MIN_SIDE:
            quality = 0
        best = max(best, quality)
        if quality < MIN_QUALITY:
            continue
        codes.extend(_variants(coefficients, part))
        if max(view.shape) < _SMALL_SIDE:
            codes.extend(_variants(transform(_enlarged(view))[0], part))
    return codes, best, box


def _variants(coefficients: Matrix, box: Box | None) -> Iterator[QueryCode]:
    for mirrored, turned, oriented in orientations(coefficients):
        yield QueryCode(bits(oriented), mirrored, turned, False, box)
        yield QueryCode(bits(-oriented), mirrored, turned, True, box)


def transform(luma: Matrix) -> tuple[Matrix, int]:
    """PDQ's 16 × 16 float32 coefficients of (h, w) float32 luma in 0..255, and its quality 0..100.

    Pictures under 5 pixels a side give zeros and quality 0, as the reference does.
    """
    height, width = luma.shape
    if min(height, width) < _REFERENCE_MIN_SIDE:
        return np.zeros((16, 16), np.float32), 0
    if (height, width) == (64, 64):
        small = luma
    else:
        rows = np.empty((64, width), np.float32)
        for start, first, last, weights in _decimation(height):
            np.matmul(weights, luma[first:last], out=rows[start : start + 16])
        small = np.empty((64, 64), np.float32)
        for start, first, last, weights in _decimation(width):
            small[:, start : start + 16] = rows[:, first:last] @ weights.T
    return np.linalg.multi_dot([_COSINES, small, _COSINES.T]).astype(np.float32), _quality(small)


def bits(coefficients: Matrix) -> Code:
    """uint8 (32,): a bit for each coefficient over the median, packed as the reference prints them."""
    flat = coefficients.ravel()
    median = np.partition(flat, 127)[127]
    return np.packbits((flat > median)[::-1])


def orientations(coefficients: Matrix) -> Iterator[tuple[bool, int, Matrix]]:
    """(mirrored, degrees clockwise, coefficients of the source) for the eight ways to undo a turn.

    Mirroring flips the sign of every second column of the transform, turning upside down that of
    every second row and column, and a diagonal flip transposes it.
    """
    # A query that is the source mirrored (m) and then turned clockwise (t) has a source that is the
    # query turned back and then mirrored; in coefficients that is one transpose and two sign patterns.
    for mirrored in (False, True):
        for turned in (0, 90, 180, 270):
            source = coefficients
            for _ in range(turned // 90):
                source = source.T * _ALTERNATING[:, None]  # a quarter turn counter-clockwise
            if mirrored:
                source = source * _ALTERNATING[None, :]
            yield mirrored, turned, source


def turned_codes(codes: Code) -> Iterator[tuple[bool, int, bool, Code]]:
    """(mirrored, degrees, negative, codes of the source) from codes alone, uint8 (n, 32).

    What `orientations` does to coefficients, done to their bits: a changed sign turns a bit over, since the
    median is all but zero. A few bits differ from the codes of turned pixels.
    """
    grid = np.unpackbits(codes, axis=1)[:, ::-1].reshape(-1, 16, 16).astype(bool)
    flips = _ALTERNATING < 0
    for mirrored in (False, True):
        for turned in (0, 90, 180, 270):
            source = grid
            for _ in range(turned // 90):
                source = source.transpose(0, 2, 1) ^ flips[:, None]
            if mirrored:
                source = source ^ flips[None, :]
            for negative in (False, True):
                flat = (source ^ negative).reshape(-1, 256)[:, ::-1]
                yield mirrored, turned, negative, np.packbits(flat, axis=1)


def content_box(luma: NDArray[np.uint8]) -> Box | None:
    """The box inside plain borders or letterbox bars of (h, w) uint8 luma; None where there are none.

    A bar is a run of rows or columns at the edge, each plain and all of one tone, that takes at least
    2 % of the side; the box keeps at least a fifth of each side.
    """
    height, width = luma.shape
    if min(height, width) < _MIN_SIDE:
        return None
    top, bottom = _plain_ends(luma)
    if top + bottom >= height:
        return None
    left, right = _plain_ends(luma[top : height - bottom].T)
    if left + right >= width:
        return None
    if (left or right) and not (top or bottom):
        # Bars at the sides may hide bars above and below that do not reach over them.
        top, bottom = _plain_ends(luma[:, left : width - right])
    box = (left, top, width - right, height - bottom)
    if box == (0, 0, width, height):
        return None
    if box[2] - box[0] < max(_MIN_SIDE, width // 5) or box[3] - box[1] < max(_MIN_SIDE, height // 5):
        return None
    return box


_PLAIN_SPREAD = 7.0  # standard deviation, grey levels: above JPEG's ringing at q 10, below any texture
_SAME_TONE = 10.0  # grey levels between the mean of a line and the mean of the outermost


def _plain_ends(luma: NDArray[np.uint8]) -> tuple[int, int]:
    """How many plain lines of one tone there are at the start and at the end of an array's rows."""
    return _plain_run(luma), _plain_run(luma[::-1])


def _plain_run(luma: NDArray[np.uint8]) -> int:
    count = len(luma)
    done, tone = 0, -1.0
    while done < count:
        lines = luma[done : done + max(4, done)].astype(np.float32)
        means, spreads = lines.mean(axis=1), lines.std(axis=1)
        if tone < 0:
            tone = float(means[0])
        broken = np.flatnonzero((spreads > _PLAIN_SPREAD) | (np.abs(means - tone) > _SAME_TONE))
        if len(broken):
            done += int(broken[0])
            break
        done += len(lines)
    return done if done >= max(1, math.ceil(0.02 * count)) else 0


def _shares(box: Box, shape: tuple[int, ...]) -> Shares:
    height, width = shape
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _inside(luma: Matrix, box: Box) -> Matrix:
    left, top, right, bottom = box
    return luma[top:bottom, left:right]


def _enlarged(luma: Matrix) -> Matrix:
    from PIL import Image

    factor = _ENLARGED_SIDE / max(luma.shape)
    size = (max(1, round(luma.shape[1] * factor)), max(1, round(luma.shape[0] * factor)))
    return np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BICUBIC))


def _quality(small: Matrix) -> int:
    """PDQ's quality: the sum of whole-percent steps between neighbours, scaled and capped at 100."""
    hundred = np.float32(100) / np.float32(255)
    down = np.abs(np.trunc((small[:-1] - small[1:]) * hundred)).sum()
    across = np.abs(np.trunc((small[:, :-1] - small[:, 1:]) * hundred)).sum()
    return min(100, int(down + across) // 90)


@functools.lru_cache(maxsize=512)
def _decimation(length: int) -> tuple[tuple[int, int, int, Matrix], ...]:
    """The reference's tent filter and decimation of one side to 64, as four bands of a matrix.

    Each band is (first output, first input, last input, float32 (16, inputs)). The filter is a box
    run twice, shortened at the ends; its window is ceil(length / 128), and after rounding an even one
    reaches one further to the left.
    """
    window = (length + 127) // 128
    half = (window + 2) // 2
    index = np.arange(length)
    first = np.maximum(0, index - (window - half))
    last = np.minimum(length - 1, index + half - 1)
    inside = (index[None, :] >= first[:, None]) & (index[None, :] <= last[:, None])
    box = inside / inside.sum(axis=1, keepdims=True)
    kept = box[((np.arange(64) + 0.5) * length / 64).astype(int)] @ box
    bands = []
    for start in range(0, 64, 16):
        band = kept[start : start + 16]
        used = np.flatnonzero(band.any(axis=0))
        begin, end = int(used[0]), int(used[-1]) + 1
        bands.append((start, begin, end, np.ascontiguousarray(band[:, begin:end], np.float32)))
    return tuple(bands)


_COSINES: Matrix = (
    math.sqrt(2 / 64) * np.cos(np.pi / 128 * np.arange(1, 17)[:, None] * (2 * np.arange(64) + 1))
).astype(np.float32)
_ALTERNATING: Matrix = np.where(np.arange(16) % 2 == 0, -1, 1).astype(np.float32)
