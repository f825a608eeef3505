"""The palette: up to eight dominant colours of a picture with their shares, and which are background.

Colours are found in CIELAB on 64 pixels a side: a histogram, k-means with seeds taken in
turn where most weight lies farthest from those before (deterministic; after Celebi, Kingravi and Vela, "A
comparative study of efficient initialization methods for the k-means clustering algorithm", 2013), then the
nearest clusters made one until all are told apart by eye. How much palettes answer colours that somebody
asks for is in `resemblance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.colours import hex_codes, names_of
from wherefrom.features.lab import lab, rgb
from wherefrom.features.scalespace import Floats
from wherefrom.picture.picture import Picture, Pixels

VERSION = "lab-1"

MOST = 8
"""Colours of a palette at most."""

WIDTH = 4 * MOST + 4
"""Bytes of a palette: eight times L*, a*, b* and share, the mask of the background, and three zeros."""

LEAST_SHARE = 0.01
"""Of a colour that is told; less is noise and edges."""

_SIDE = (
    64  # longer side at which colours are looked at: more changes the shares by less than they are kept to
)
_CELLS = 16**3  # of the histogram: 16 levels of red, green and blue each
_SEEDS = 10
_ROUNDS = 3
_ALIKE = 12.0  # ΔE*ab below which two clusters are one colour: shading and noise reach that far
_RING = 2  # pixels at the edge that show the background
_PLAIN = 5.0  # root mean square of ΔE*ab within a plain background: paper, a studio's wall, a sky
_SHADE = 30.0  # ΔE*ab from the background up to which a plain colour at the edge is its shadow
_OF_RING = 0.7  # share of the ring that the background covers
_MAIN = 0.5  # share that its main colour does
_PART = 0.08  # share that each further one does
_LEFT = 0.02  # share that something else has to have: a blank picture has no background


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """n colours, 0 to 8, largest share first.

    `labs` is float32 (n, 3) L*, a*, b*; `shares` float32 (n,), adding up to 1; `background` bool (n,).
    """

    labs: Floats
    shares: Floats
    background: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.shares)

    def to_bytes(self) -> bytes:
        """`WIDTH` bytes: L* × 2.55, a* + 128, b* + 128 and share × 255 of eight colours, the mask, zeros."""
        row = np.zeros(WIDTH, np.uint8)
        colours = row[: 4 * MOST].reshape(MOST, 4)[: len(self)]
        scaled = self.labs * np.array([2.55, 1, 1], np.float32) + np.array([0, 128, 128], np.float32)
        colours[:, :3] = np.clip(np.rint(scaled), 0, 255)
        colours[:, 3] = np.clip(np.rint(self.shares * 255), 1, 255)
        row[4 * MOST] = sum(1 << int(number) for number in np.flatnonzero(self.background))
        return row.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`, to what a byte can say; raises ValueError for what it never gives."""
        if len(data) != WIDTH:
            raise ValueError(f"a palette has {WIDTH} bytes, not {len(data)}")
        row = np.frombuffer(data, np.uint8)
        colours = row[: 4 * MOST].reshape(MOST, 4)
        mask = np.unpackbits(row[4 * MOST : 4 * MOST + 1], bitorder="little").astype(bool)
        there = colours[:, 3] > 0
        count = int(there.sum())
        if not there[:count].all() or mask[count:].any() or row[4 * MOST + 1 :].any():
            raise ValueError("these bytes are no palette")
        values = colours[:count].astype(np.float32)
        labs = np.stack([values[:, 0] / np.float32(2.55), values[:, 1] - 128, values[:, 2] - 128], axis=1)
        return cls(labs, values[:, 3] / max(1.0, float(values[:, 3].sum())), mask[:count])

    def as_json(self) -> list[dict[str, object]]:
        """The colours in the shape that all faces share."""
        columns = (
            hex_codes(rgb(self.labs)),
            names_of(self.labs),
            [round(share, 4) for share in self.shares.tolist()],
            self.background.tolist(),
        )
        names = ("colour", "name", "share", "background")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def nothing() -> Palette:
    """The palette of an image whose picture cannot be had: it has no colours and answers none."""
    return Palette(np.empty((0, 3), np.float32), np.empty(0, np.float32), np.empty(0, np.bool_))


def palette(picture: Picture) -> Palette:
    """The dominant colours of a picture; of one in luma, its greys."""
    pixels = _reduced(picture.pixels)
    colours, weights, bin_of = _histogram(pixels)
    labs = lab(colours)
    centres, members = _clusters(labs, weights)
    shares = np.bincount(members, weights, len(centres)).astype(np.float32)
    centres, shares, members = _merged(centres, shares / shares.sum(), members)
    order = np.argsort(-shares, kind="stable")
    order = order[shares[order] >= LEAST_SHARE]
    places = np.full(len(shares), -1, np.intp)
    places[order] = np.arange(len(order))
    background = _background(pixels.shape[:2], labs, bin_of, places[members], len(order))
    kept = shares[order] / shares[order].sum()
    if kept[~background].sum() < _LEFT:
        background[:] = False
    return Palette(centres[order], kept, background)


def _reduced(pixels: Pixels) -> Pixels:
    """(h, w, 3) of up to `_SIDE` pixels a side."""
    import cv2

    height, width = pixels.shape[:2]
    factor = _SIDE / max(height, width)
    small = pixels
    if factor < 1:
        # Pixels are left out, not averaged: that would make colours along edges that nobody sees.
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.repeat(small[:, :, None], 3, axis=2) if small.ndim == 2 else small


def _histogram(pixels: Pixels) -> tuple[NDArray[np.uint8], Floats, NDArray[np.intp]]:
    """The mean colours (n, 3) of the cells of the histogram, their pixels (n,), and each pixel's cell."""
    flat = pixels.reshape(-1, 3)
    channels = [np.ascontiguousarray(flat[:, channel]) for channel in range(3)]
    red, green, blue = (channel.astype(np.intp) >> 4 for channel in channels)
    cells = red << 8 | green << 4 | blue
    pixels_in = np.bincount(cells, minlength=_CELLS)
    there = np.flatnonzero(pixels_in)
    number = np.empty(_CELLS, np.intp)
    number[there] = np.arange(len(there))
    weights = pixels_in[there]
    sums = [np.bincount(cells, channel, _CELLS)[there] for channel in channels]
    means = np.rint(np.stack(sums, axis=1) / weights[:, None]).astype(np.uint8)
    return means, weights.astype(np.float32), number[cells]


def _clusters(labs: Floats, weights: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Centres (k, 3) of up to `_SEEDS` clusters, none empty, and which one each colour belongs to."""
    squares = np.einsum("ij,ij->i", labs, labs)
    chosen = [int(np.argmax(weights))]
    nearest = _apart(labs, squares, labs[chosen[0]])
    while len(chosen) < _SEEDS:
        value = weights * nearest
        best = int(np.argmax(value))
        if nearest[best] < 1:
            break
        chosen.append(best)
        np.minimum(nearest, _apart(labs, squares, labs[best]), out=nearest)
    centres = labs[chosen]
    weighted = np.column_stack([labs * weights[:, None], weights])
    members = np.zeros(len(labs), np.intp)
    for _ in range(_ROUNDS):
        distances = np.einsum("ij,ij->i", centres, centres) - 2 * (labs @ centres.T)
        now = np.argmin(distances, axis=1)
        sums = (now == np.arange(len(centres))[:, None]).astype(np.float32) @ weighted
        there = sums[:, 3] > 0
        same = np.array_equal(now, members)
        members = (np.cumsum(there) - 1)[now]
        centres = sums[there, :3] / sums[there, 3:]
        if same:
            break
    return centres, members


def _apart(labs: Floats, squares: Floats, point: Floats) -> Floats:
    found: Floats = squares - 2 * (labs @ point) + point @ point
    return found


def _merged(
    centres: Floats, shares: Floats, members: NDArray[np.intp]
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Clusters nearer than `_ALIKE` made one, then those that change least until `MOST` are left."""
    centres, shares = centres.copy(), shares.copy()
    renamed = np.arange(len(shares))
    live = np.ones(len(shares), np.bool_)
    left = len(shares)
    apart = np.square(centres[:, None] - centres[None]).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    while left > 1:
        least = int(np.argmin(apart))
        if apart.flat[least] >= _ALIKE**2:
            if left <= MOST:
                break
            # Ward's cost, now that all that is left can be told apart.
            least = int(np.argmin(apart * (shares[:, None] * shares / (shares[:, None] + shares))))
        left -= 1
        one, other = sorted(divmod(least, len(shares)))
        both = shares[one] + shares[other]
        centres[one] = (centres[one] * shares[one] + centres[other] * shares[other]) / both
        shares[one] = both
        live[other] = False
        renamed[renamed == other] = one
        apart[other] = apart[:, other] = np.inf
        row = np.where(live, np.square(centres - centres[one]).sum(axis=1), np.inf)
        row[one] = np.inf
        apart[one] = apart[:, one] = row
    numbers = np.cumsum(live) - 1
    return centres[live], shares[live], numbers[renamed[members]]


def _background(
    shape: tuple[int, ...],
    labs: Floats,
    bin_of: NDArray[np.intp],
    colour_of: NDArray[np.intp],
    count: int,
) -> NDArray[np.bool_]:
    """Which of `count` colours are background: they cover the edge, and each is plain there."""
    cells = bin_of.reshape(shape)
    edges = (cells[:_RING], cells[-_RING:], cells[_RING:-_RING, :_RING], cells[_RING:-_RING, -_RING:])
    ring = np.concatenate([edge.ravel() for edge in edges])
    colours = colour_of[ring]
    told = colours[colours >= 0]
    pixels = np.bincount(told, minlength=count).astype(np.float32)
    covered = pixels / np.float32(len(ring))
    main = int(np.argmax(covered))
    if covered[main] < _MAIN:
        return np.zeros(count, np.bool_)
    seen, there = labs[ring][colours >= 0], np.maximum(pixels, 1)
    means = np.stack([np.bincount(told, seen[:, axis], count) for axis in range(3)], axis=1) / there[:, None]
    off = np.square(seen - means[told]).sum(axis=1)
    plain = np.bincount(told, off, count) / there <= _PLAIN**2
    near = np.square(means - means[main]).sum(axis=1) <= _SHADE**2
    found: NDArray[np.bool_] = plain & near & (covered >= _PART)
    if not plain[main] or covered[found].sum() < _OF_RING:
        found[:] = False
    return found
