"""What tests of the engine share: images made of numbers, a source in memory, and brute force."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.support.brute_force import Code, code
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.sizes import CatalogSizes, CodeSizes, Sizes
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import Keypoints
from wherefrom.picture.metadata import Credit
from wherefrom.records import FileStamp, NewImage, Place, now


class Clock:
    """A clock that stands: `present` is in microseconds since 1970 UTC; None is the real one."""

    def __init__(self, present: int | None = None) -> None:
        self.present = present

    def __call__(self) -> int:
        return now() if self.present is None else self.present


def digest(seed: int) -> bytes:
    return hashlib.sha256(b"image %d" % seed).digest()


def uri(seed: int) -> str:
    return f"file:///pictures/{seed // 100:03}/{seed:06}.jpg"


def stamp(seed: int) -> FileStamp:
    return FileStamp(1000 + seed, 1_700_000_000_000_000_000 + seed)


def new_image(
    seed: int,
    *,
    at: str | None = None,
    stamped: FileStamp | None = None,
    usable: bool = True,
    trimmed: bool = False,
    placed: bool = True,
    data: bytes | None = None,
    credit: Credit | None = None,
) -> NewImage:
    """An image with everything that the catalog keeps, all of it following from `seed`."""
    place = Place(at or uri(seed), stamp=stamped or stamp(seed)) if placed else None
    inner = {"trimmed": code(-seed - 1), "inside": (0.0, 0.125, 1.0, 0.875)} if trimmed else {}
    known = Fingerprint(code(seed), 100, usable, **inner)  # type: ignore[arg-type]
    return NewImage(
        digest=digest(seed),
        width=640 + seed % 7,
        height=480,
        format="JPEG",
        bytes=1000 + seed,
        frames=1,
        quality=100,
        credit=credit or Credit(),
        decoder="tests",
        features={FINGERPRINT: known.to_bytes() if data is None else data, KEYPOINTS: points(seed)},
        place=place,
    )


def points(seed: int) -> bytes:
    """A few keypoints that follow from `seed`; one image in six has none."""
    return points_of(seed, 0 if seed % 6 == 5 else 5 + seed % 4)


def points_of(seed: int, count: int) -> bytes:
    rng = np.random.default_rng([7, seed])
    return Keypoints(
        rng.random(count, np.float32),
        rng.random(count, np.float32),
        rng.integers(256, size=count, dtype=np.uint8),
        rng.integers(16, 100, size=count, dtype=np.uint8),
        rng.integers(1 << 16, size=(count, 1), dtype=np.uint16),
        rng.integers(1 << 63, size=count, dtype=np.uint64),
    ).to_bytes()


def new_images(seeds: Iterable[int]) -> list[NewImage]:
    """Several of them; one in five also has a trimmed code, one in seven is not usable."""
    return [new_image(seed, trimmed=seed % 5 == 0, usable=seed % 7 != 3) for seed in seeds]


SMALL = Sizes(CatalogSizes(digests=16, settle=8), CodeSizes(seal=32, compact=32, seal_at_close=4, hashed=64))
"""Few images are enough for everything that happens to many."""


def small(directory: Path, *, create: bool = False) -> EmbeddedEngine:
    return EmbeddedEngine(directory, create=create, sizes=SMALL)


def distance(one: Code, other: Code) -> int:
    return int(np.bitwise_count(one ^ other).sum())
