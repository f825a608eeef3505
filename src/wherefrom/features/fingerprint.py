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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.picture.picture import Picture

VERSION = "pdq-1"
"""Fingerprints of different versions are never compared. Raise it when bits change on purpose."""

CODE_BYTES = 32
MIN_QUALITY = 50
"""PDQ quality (0 to 100) below which a picture has too little in it: PDQ's authors advise the same."""

NEARLY_BLANK = 10
"""PDQ quality below which a picture shows nothing that could be named."""

MIN_FILLED = 0.13
"""Share of a picture with something in it, below which it has too little: a page with a few lines of text."""

_MIN_SIDE = 16  # pixels; below it a picture has too little in it by itself
_REFERENCE_MIN_SIDE = 5  # the reference gives no hash below this
_SMALL_SIDE = 384  # pixels; queries with a longer side below this are also tried enlarged
_ENLARGED_SIDE = 512
_MAX_GAIN = 3.0
_USUAL_SIDE = 2048  # pixels, up to which the matrices of many sides are kept
_BAND = 16  # outputs whose inputs are multiplied together

Matrix = NDArray[np.float32]
Code = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are outside."""
Shares = tuple[float, float, float, float]

_BOX = struct.Struct("<4H")
_BOX_UNIT = 65_535
_UNUSABLE = 0x80  # in the byte of the quality, which needs seven bits
PLAIN_BYTES = 1 + CODE_BYTES
TRIMMED = 1
"""The part of a fingerprint that is its inner code; the whole one is part 0."""

TRIMMED_BYTES = PLAIN_BYTES + CODE_BYTES + _BOX.size


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """The fingerprint of one picture, as an index keeps it.

    `code` is uint8 (32,), the reference's bytes in the reference's order; `quality` is PDQ's, 0 to
    100. `trimmed` is the code of what lies inside plain borders or letterbox bars, where there are
    any and something lies inside, and `inside` is where: left, top, right, bottom as shares of the
    picture's width and height. `usable` is False for a picture with too little in it: its code says
    next to nothing, and it is never matched by it.
    """

    code: Code
    quality: int
    usable: bool = True
    trimmed: Code | None = None
    inside: Shares | None = None

    def to_bytes(self) -> bytes:
        """Quality, code and, where there is one, the trimmed code and its box: 33 or 73 bytes."""
        plain = bytes([self.quality | (0 if self.usable else _UNUSABLE)]) + self.code.tobytes()
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
        quality, usable = data[0] & ~_UNUSABLE, not data[0] & _UNUSABLE
        if len(data) == PLAIN_BYTES:
            return cls(code, quality, usable)
        left, top, right, bottom = (n / _BOX_UNIT for n in _BOX.unpack_from(data, 1 + 2 * CODE_BYTES))
        trimmed = np.frombuffer(data, np.uint8, CODE_BYTES, 1 + CODE_BYTES)
        return cls(code, quality, usable, trimmed, (left, top, right, bottom))


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


class Transformed(NamedTuple):
    """PDQ's view of some luma: 16 × 16 float32 coefficients, its quality, and the share that is filled."""

    coefficients: Matrix
    quality: int
    filled: float

    @property
    def usable(self) -> bool:
        """Whether there is enough in it to know it by its code."""
        return self.quality >= MIN_QUALITY and self.filled >= MIN_FILLED


def fingerprint(picture: Picture) -> Fingerprint:
    """The fingerprint to index a picture by."""
    luma = picture.luma
    whole = transform(luma)
    code, usable = bits(whole.coefficients), whole.usable and not _tiny(picture)
    for box in content_boxes(picture.luma8)[:1] if usable else []:
        inner = transform(_inside(luma, box))
        if inner.usable:
            return Fingerprint(code, whole.quality, True, bits(inner.coefficients), _shares(box, luma.shape))
    return Fingerprint(code, whole.quality, usable)


def query_codes(picture: Picture) -> tuple[list[QueryCode], int]:
    """Every code by which a query may be known, and its quality.

    The list is empty when there is too little in the picture. It holds 16 codes (8 orientations, each
    also as a negative), and 16 more each for what lies inside plain borders and for a small picture
    enlarged, since PDQ's decimation shifts by up to half a pixel of the picture it is given.
    """
    luma = picture.luma
    quality = transform(luma).quality
    if _tiny(picture):
        return [], quality
    codes: list[QueryCode] = []
    for box in (None, *content_boxes(picture.luma8)):
        view = luma if box is None else _inside(luma, box)
        # A pale copy of a picture has in it what the picture has: it is judged at full contrast.
        if not transform(_stretched(view)).usable:
            continue
        codes.extend(_variants(view, box))
        if max(view.shape) < _SMALL_SIDE:
            codes.extend(_variants(_enlarged(view), box))
    return codes, quality


def _tiny(picture: Picture) -> bool:
    return min(picture.facts.width, picture.facts.height) < _MIN_SIDE


def _stretched(luma: Matrix) -> Matrix:
    low, high = np.percentile(luma[::4, ::4], (1, 99))
    return luma * np.float32(min(_MAX_GAIN, max(1.0, 255 / max(1.0, high - low))))


def _variants(luma: Matrix, box: Box | None) -> Iterator[QueryCode]:
    for mirrored, turned, source in orientations(luma):
        yield QueryCode(bits(source), mirrored, turned, False, box)
        yield QueryCode(bits(-source), mirrored, turned, True, box)


def orientations(luma: Matrix) -> Iterator[tuple[bool, int, Matrix]]:
    """(mirrored, degrees clockwise, coefficients of the source) for the eight ways to undo a turn.

    The pixels are flipped, rather than signs of coefficients: decimation is not symmetrical, and the source
    is then decimated as it was when it was indexed. A diagonal flip does transpose the coefficients.
    """
    plain, across = transform(luma).coefficients, transform(luma[:, ::-1]).coefficients
    down, both = transform(luma[::-1]).coefficients, transform(luma[::-1, ::-1]).coefficients
    yield False, 0, plain
    yield True, 0, across
    yield False, 90, across.T
    yield True, 90, both.T
    yield False, 180, both
    yield True, 180, down
    yield False, 270, down.T
    yield True, 270, plain.T


def transform(luma: Matrix) -> Transformed:
    """PDQ's coefficients and quality of (h, w) float32 luma in 0..255.

    Pictures under 5 pixels a side give zeros and quality 0, as the reference does.
    """
    height, width = luma.shape
    if min(height, width) < _REFERENCE_MIN_SIDE:
        return Transformed(np.zeros((16, 16), np.float32), 0, 0.0)
    if (height, width) == (64, 64):
        small = luma
    else:
        rows = np.empty((64, width), np.float32)
        for start, first, last, weights in _decimation(height):
            np.matmul(weights, luma[first:last], out=rows[start : start + _BAND])
        small = np.empty((64, 64), np.float32)
        for start, first, last, weights in _decimation(width):
            np.matmul(rows[:, first:last], weights.T, out=small[:, start : start + _BAND])
    coefficients: Matrix = np.matmul(np.matmul(_COSINES, small), _COSINES.T)
    return Transformed(coefficients, *_content(small))


def bits(coefficients: Matrix) -> Code:
    """uint8 (32,): a bit for each coefficient over the median, packed as the reference prints them."""
    flat = coefficients.ravel()
    median = np.partition(flat, 127)[127]
    return np.packbits((flat > median)[::-1])


def turned_codes(codes: Code) -> Iterator[tuple[bool, int, bool, Code]]:
    """(mirrored, degrees, negative, codes of the source) from codes alone, uint8 (n, 32).

    Mirroring changes the sign of every second column of the coefficients, a diagonal flip transposes
    them; a changed sign turns a bit over, since the median is all but zero. A dozen bits differ from
    the codes of turned pixels (see `orientations`), which need the pixels.
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


def content_boxes(luma: NDArray[np.uint8]) -> list[Box]:
    """The boxes inside plain borders or letterbox bars of (h, w) uint8 luma; empty where there are none.

    A bar is a run of rows or columns at the edge, each plain and all of one tone, that takes at least
    2 % of the side; a box keeps at least a fifth of each side. There are two boxes where bars that are
    strictly plain end before lines that are nearly so: a night sky may lie beneath a black bar.
    """
    if min(luma.shape) < _MIN_SIDE or not _plain_edge(luma):
        return []
    # What counts as plain is measured by the picture's own contrast: pale pictures have fainter edges.
    contrast = float(luma[::4, ::4].std())
    boxes = [_content_box(luma, min(limit, share * contrast)) for limit, share in _PLAIN]
    return [box for i, box in enumerate(boxes) if box is not None and box not in boxes[:i]]


# Standard deviation of a plain line in grey levels, and as a share of the whole picture's: drawn bars even
# after JPEG, and bars with ringing or noise. A line's mean may lie half as far again from the first one's.
_PLAIN = ((2.0, 0.06), (7.0, 0.2))


def _plain_edge(luma: NDArray[np.uint8]) -> bool:
    limit = _PLAIN[-1][0]
    for edge in (luma[0], luma[-1], luma[:, 0], luma[:, -1]):
        # Most edges are told by their extremes alone, which cost a tenth of a standard deviation.
        if int(edge.max()) - int(edge.min()) < 10 * limit and float(edge.std()) < limit:
            return True
    return False


def _content_box(luma: NDArray[np.uint8], spread: float) -> Box | None:
    height, width = luma.shape
    top, bottom = _plain_run(luma, spread), _plain_run(luma[::-1], spread)
    if top + bottom >= height:
        return None
    middle = luma[top : height - bottom].T
    left, right = _plain_run(middle, spread), _plain_run(middle[::-1], spread)
    if left + right >= width:
        return None
    if (left or right) and not (top or bottom):
        # Bars at the sides may hide bars above and below that do not reach over them.
        middle = luma[:, left : width - right]
        top, bottom = _plain_run(middle, spread), _plain_run(middle[::-1], spread)
    box = (left, top, width - right, height - bottom)
    if box[2] - box[0] < max(_MIN_SIDE, width // 5) or box[3] - box[1] < max(_MIN_SIDE, height // 5):
        return None
    return None if box == (0, 0, width, height) else box


def _plain_run(luma: NDArray[np.uint8], spread: float) -> int:
    """How many plain rows of one tone an array begins with; 0 when they are fewer than 2 % of all."""
    count, width = luma.shape
    tone = float(luma[0].mean())
    # Sums of what differs from the first line's tone, and of its square, are exact enough in float32.
    origin, done = np.float32(round(tone)), 0
    while done < count:
        # One line first: most pictures end there.
        lines = luma[done : done + max(1, 2 * done)] - origin
        means = lines.sum(axis=1) / width
        spreads = np.sqrt(np.maximum(0, np.einsum("ij,ij->i", lines, lines) / width - means**2))
        broken = np.flatnonzero((spreads > spread) | (np.abs(means - (tone - origin)) > 1.5 * spread))
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


def _content(small: Matrix) -> tuple[int, float]:
    """How much there is in 64 × 64 luma: PDQ's quality, and the share of cells where anything changes.

    The quality is the sum of whole-percent steps between neighbours, scaled and capped at 100.
    """
    percent = small * (np.float32(100) / np.float32(255))
    # Conversion to integers cuts off the fractions, as the reference does.
    down = np.abs(percent[:-1] - percent[1:]).astype(np.int32)
    across = np.abs(percent[:, :-1] - percent[:, 1:]).astype(np.int32)
    filled = np.zeros((64, 64), np.int32)
    filled[:-1] = down
    filled[1:] += down
    filled[:, :-1] += across
    filled[:, 1:] += across
    # Every step has been counted at both of its ends.
    return min(100, int(filled.sum()) // 180), np.count_nonzero(filled) / filled.size


def _decimation(length: int) -> tuple[tuple[int, int, int, Matrix], ...]:
    """The matrix of `_computed`, kept: those of ribbons take megabytes each, and few are kept."""
    return _usual(length) if length <= _USUAL_SIDE else _long(length)


def _computed(length: int) -> tuple[tuple[int, int, int, Matrix], ...]:
    """The reference's tent filter and decimation of one side to 64, as bands of a matrix.

    Each band is (first output, first input, last input, float32 (16, inputs)). The filter is a box
    run twice, shortened at the ends; its window is ceil(length / 128), and after rounding an even one
    reaches one further to the left.
    """
    window = (length + 127) // 128
    half = (window + 2) // 2
    index = np.arange(length)
    first = np.maximum(0, index - (window - half))
    last = np.minimum(length - 1, index + half - 1)
    share = 1.0 / (last - first + 1)
    kept = ((np.arange(64) + 0.5) * length / 64).astype(int)
    # Output i averages boxes, each of which is a run of equal weights: their starts and ends are noted,
    # and summed up along the side.
    output = np.repeat(np.arange(64), (last - first + 1)[kept])
    boxes = np.concatenate([np.arange(first[k], last[k] + 1) for k in kept])
    weight = share[kept][output] * share[boxes]
    edges = np.zeros((64, length + 1))
    np.add.at(edges, (output, first[boxes]), weight)
    np.add.at(edges, (output, last[boxes] + 1), -weight)
    weights = edges.cumsum(axis=1)
    bands = []
    for start in range(0, 64, _BAND):
        begin, end = int(first[first[kept[start]]]), int(last[last[kept[start + _BAND - 1]]]) + 1
        band = np.ascontiguousarray(weights[start : start + _BAND, begin:end], np.float32)
        bands.append((start, begin, end, band))
    return tuple(bands)


_usual = functools.lru_cache(maxsize=512)(_computed)
_long = functools.lru_cache(maxsize=4)(_computed)


_COSINES: Matrix = (
    math.sqrt(2 / 64) * np.cos(np.pi / 128 * np.arange(1, 17)[:, None] * (2 * np.arange(64) + 1))
).astype(np.float32)
_ALTERNATING: Matrix = np.where(np.arange(16) % 2 == 0, -1, 1).astype(np.float32)
