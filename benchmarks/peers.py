"""Other programs' ways to find copies, each a signature and a threshold, beside Wherefrom in `copies`.

All compare with every indexed image: no index of theirs can lose anything. "image-match" is the signature of
H. C. Wong, M. Bern and D. Goldberg, "An image signature for any kind of image", ICIP 2002, written anew from
the paper: a grey picture is cropped to where its detail is, a 9 by 9 grid of mean levels is laid over it, and
each level is compared with its eight neighbours in five steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]


@dataclass(frozen=True)
class Peer:
    """A way to find copies.

    `features` of a picture are an array; `distances` are those of a query's features to each row of what
    `stack` makes of the features of all. What is at most `most` away is found, as `usual` says. A `slow` one
    takes a good part of a second for a picture, and is tried on some originals alone.
    """

    usual: str
    most: float
    features: Callable[[Image.Image], Array]
    distances: Callable[[Array, Any], Array]
    stack: Callable[[Sequence[Array]], Any] = np.stack
    slow: bool = False

    def within(self, query: Array, indexed: Any) -> list[int]:
        """The rows that are found, nearest first."""
        far = self.distances(query, indexed)
        near = np.flatnonzero(far <= self.most)
        return [int(row) for row in near[np.argsort(far[near], kind="stable")]]


def bits(query: Array, indexed: Array) -> Array:
    """Hamming distances of a packed code, or of the nearest of several, to each row."""
    return np.asarray(np.bitwise_count(indexed[None] ^ np.atleast_2d(query)[:, None]).sum(axis=2).min(axis=0))


def pdq(image: Image.Image) -> Array:
    import pdqhash

    return np.packbits(np.array(pdqhash.compute_dihedral(np.array(image))[0], np.uint8), axis=1)


def phash(image: Image.Image) -> Array:
    import imagehash

    return np.packbits(imagehash.phash(image).hash.ravel())


@cache
def _method(name: str) -> Any:
    import imagededup.methods

    return getattr(imagededup.methods, name)(verbose=False)


def imagededup(name: str) -> Peer:
    def features(image: Image.Image) -> Array:
        code = bytes.fromhex(_method(name).encode_image(image_array=np.array(image)))
        return np.frombuffer(code, np.uint8)

    return Peer("Hamming distance ≤ 10 of 64, imagededup's default", 10, features, bits)


def crop_resistant(image: Image.Image) -> Array:
    import imagehash

    regions = imagehash.crop_resistant_hash(image).segment_hashes
    return np.packbits(np.array([one.hash.ravel() for one in regions]), axis=1)


def regions_apart(query: Array, indexed: tuple[Array, Array]) -> Array:
    """As `ImageMultiHash` compares: more regions first, nearer ones among as many; 0 and less is found."""
    codes, starts = indexed
    apart = np.bitwise_count(codes[None] ^ query[:, None]).sum(axis=2)
    nearest = np.minimum.reduceat(apart, starts, axis=1)  # (regions of the query, images)
    close = nearest <= 16
    regions = close.sum(axis=0)
    worse = np.where(close, nearest, 0).sum(axis=0) / np.maximum(64 * regions, 1)
    return np.where(regions > 0, worse - regions, np.inf)


def with_starts(rows: Sequence[Array]) -> tuple[Array, Array]:
    return np.concatenate(rows), np.cumsum([0, *(len(row) for row in rows[:-1])])


GRID, SAME = 9, 0.45
_EQUAL = 2.0  # grey levels of 255: a smaller difference is none
_KEPT = (5, 95)  # percentiles of the detail along each side
_NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))


def signature(image: Image.Image) -> Array:
    """int8 (648,): eight steps of -2 to 2 for each of the 81 points, row by row; 0 beyond the grid."""
    grey = np.asarray(image.convert("L"), np.float64)
    side = max(2.0, np.floor(0.5 + min(grey.shape) / 20))
    levels = np.empty((GRID, GRID))
    for i, y in enumerate(np.linspace(*_detailed(grey), GRID + 2)[1:-1]):
        for j, x in enumerate(np.linspace(*_detailed(grey.T), GRID + 2)[1:-1]):
            levels[i, j] = grey[_around(y, side, grey.shape[0]), _around(x, side, grey.shape[1])].mean()
    padded = np.pad(levels, 1, constant_values=np.nan)
    shifted = [padded[1 + dy : 1 + dy + GRID, 1 + dx : 1 + dx + GRID] - levels for dy, dx in _NEIGHBOURS]
    return _steps(np.nan_to_num(np.stack(shifted, axis=-1))).ravel()


def _detailed(grey: Array) -> tuple[int, int]:
    """The rows to keep: where the running sum of detail passes its own 5th and 95th percentile.

    Nine tenths of the sum itself would be another reading of the paper; it is much less steady under noise
    and compression, so the peer gets this one.
    """
    sums = np.cumsum(np.abs(np.diff(grey, axis=1)).sum(axis=1))
    low, high = np.percentile(sums, _KEPT)
    first, last = np.searchsorted(sums, low, "right"), np.searchsorted(sums, high, "left")
    if last <= first:  # nothing to see anywhere
        first, last = len(grey) * np.array(_KEPT) // 100
    return int(first), max(int(first) + 1, int(last))


def _around(middle: float, side: float, limit: int) -> slice:
    first = min(max(0, int(middle - side / 2)), limit - 1)
    return slice(first, max(first + 1, min(limit, int(middle + side / 2))))


def _steps(differences: Array) -> Array:
    """Darker and lighter ones are each parted at their median into a little and much."""
    steps = np.zeros(differences.shape, np.int8)
    for sign in (-1, 1):
        of_sign = sign * differences > _EQUAL
        if of_sign.any():
            median = np.median(np.abs(differences[of_sign]))
            steps[of_sign] = sign
            steps[of_sign & (np.abs(differences) > median)] = 2 * sign
    return steps


def normalised(query: Array, indexed: Array) -> Array:
    """The norm of the difference over the sum of the norms, 0 to 1, to each row of float64 (n, 648)."""
    single = np.asarray(query, np.float64)
    squares, own = np.einsum("ij,ij->i", indexed, indexed), single @ single
    apart = np.sqrt(np.maximum(squares + own - 2 * (indexed @ single), 0))
    return np.asarray(apart / np.maximum(np.sqrt(squares) + np.sqrt(own), 1e-9))


def as_numbers(rows: Sequence[Array]) -> Array:
    return np.stack(rows).astype(np.float64)


PEERS: dict[str, Peer] = {
    "PDQ": Peer(
        "Hamming distance ≤ 31 of 256, the best of 8 orientations",
        31,
        pdq,
        bits,
        lambda rows: np.stack([row[0] for row in rows]),
    ),
    "pHash": Peer("Hamming distance ≤ 10 of 64", 10, phash, bits),
    "imagededup PHash": imagededup("PHash"),
    "imagededup DHash": imagededup("DHash"),
    "imagededup WHash": imagededup("WHash"),
    "crop-resistant": Peer(
        "at least one region within 25 % of 64 bits", 0, crop_resistant, regions_apart, with_starts, slow=True
    ),
    "image-match": Peer(
        f"normalised distance < {SAME}", float(np.nextafter(SAME, 0)), signature, normalised, as_numbers
    ),
}
