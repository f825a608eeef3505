"""Other programs' ways to find copies, each a signature and a threshold, for `copies.py`.

A peer turns an image into features, and says which of the indexed images lie within its usual threshold
of a query, nearest first. All compare with every indexed image: no index of theirs can lose anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

import image_match


class Peer(Protocol):
    """What `copies.py` asks of a peer; `usual` says which threshold is applied.

    A `slow` one takes a good part of a second for a picture, and is tried on some originals alone.
    """

    usual: str
    slow: bool

    def features(self, image: Image.Image) -> Any: ...
    def index(self, rows: Sequence[Any]) -> None: ...
    def within(self, features: Any) -> list[int]: ...


def _ordered(distances: Any, most: float) -> list[int]:
    near = np.flatnonzero(distances <= most)
    return [int(row) for row in near[np.argsort(distances[near], kind="stable")]]


class PDQ:
    """PDQ with the hashes of a query's eight orientations."""

    usual = "Hamming distance ≤ 31 of 256, the best of 8 orientations"
    slow = False

    def features(self, image: Image.Image) -> Any:
        import pdqhash

        hashes, _quality = pdqhash.compute_dihedral(np.array(image))
        return np.packbits(np.array(hashes, np.uint8), axis=1)

    def index(self, rows: Sequence[Any]) -> None:
        self._codes = np.stack([row[0] for row in rows])

    def within(self, features: Any) -> list[int]:
        bits = np.bitwise_count(self._codes[None] ^ features[:, None]).sum(axis=2)
        return _ordered(bits.min(axis=0), 31)


class PHash:
    """ImageHash's DCT hash."""

    usual = "Hamming distance ≤ 10 of 64"
    slow = False

    def features(self, image: Image.Image) -> Any:
        import imagehash

        return np.packbits(imagehash.phash(image).hash.ravel())

    def index(self, rows: Sequence[Any]) -> None:
        self._codes = np.stack(rows)

    def within(self, features: Any) -> list[int]:
        return _ordered(np.bitwise_count(self._codes ^ features).sum(axis=1), 10)


class Imagededup:
    """One of imagededup's hashes, within the distance that its search for duplicates has by default."""

    usual = "Hamming distance ≤ 10 of 64, imagededup's default"
    slow = False
    hash = ""

    def __init__(self) -> None:
        import imagededup.methods

        self._method = getattr(imagededup.methods, self.hash)(verbose=False)

    def features(self, image: Image.Image) -> Any:
        return np.frombuffer(bytes.fromhex(self._method.encode_image(image_array=np.array(image))), np.uint8)

    def index(self, rows: Sequence[Any]) -> None:
        self._codes = np.stack(rows)

    def within(self, features: Any) -> list[int]:
        return _ordered(np.bitwise_count(self._codes ^ features).sum(axis=1), 10)


class DedupPHash(Imagededup):
    """imagededup's DCT hash."""

    hash = "PHash"


class DedupDHash(Imagededup):
    """imagededup's hash of differences."""

    hash = "DHash"


class DedupWHash(Imagededup):
    """imagededup's wavelet hash."""

    hash = "WHash"


class CropResistant:
    """ImageHash's hash of each bright and dark region; compared as its `ImageMultiHash` compares."""

    usual = "at least one region within 25 % of 64 bits"
    slow = True

    def features(self, image: Image.Image) -> Any:
        import imagehash

        hashes = imagehash.crop_resistant_hash(image).segment_hashes
        return np.packbits(np.array([one.hash.ravel() for one in hashes]), axis=1)

    def index(self, rows: Sequence[Any]) -> None:
        self._codes = np.concatenate(rows)
        self._starts = np.cumsum([0, *(len(row) for row in rows[:-1])])

    def within(self, features: Any) -> list[int]:
        bits = np.bitwise_count(self._codes[None] ^ features[:, None]).sum(axis=2)
        nearest = np.minimum.reduceat(bits, self._starts, axis=1)  # (regions of the query, images)
        close = nearest <= 16
        regions = close.sum(axis=0)
        # More regions first, and nearer ones among as many.
        worse = np.where(close, nearest, 0).sum(axis=0) / np.maximum(64 * regions, 1)
        return _ordered(np.where(regions > 0, worse - regions, np.inf), 0)


class ImageMatch:
    """The signature of Wong, Bern and Goldberg; see `image_match.py`."""

    usual = f"normalised distance < {image_match.SAME}"
    slow = False

    def features(self, image: Image.Image) -> Any:
        return image_match.signature(image)

    def index(self, rows: Sequence[Any]) -> None:
        self._signatures = np.stack(rows).astype(np.float64)

    def within(self, features: Any) -> list[int]:
        below = float(np.nextafter(image_match.SAME, 0))
        return _ordered(image_match.distances(features, self._signatures), below)


PEERS: dict[str, type[Peer]] = {
    "PDQ": PDQ,
    "pHash": PHash,
    "imagededup PHash": DedupPHash,
    "imagededup DHash": DedupDHash,
    "imagededup WHash": DedupWHash,
    "crop-resistant": CropResistant,
    "image-match": ImageMatch,
}
