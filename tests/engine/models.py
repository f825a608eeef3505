"""What tests of the engine share: images made of numbers, a source in memory, and brute force."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


Code = NDArray[np.uint8]
Pair = tuple[int, int]
"""An entry and its distance."""


def code(seed: int) -> Code:
    """A code of its own for each seed; codes of unrelated seeds lie about 128 bits apart."""
    return np.frombuffer(hashlib.sha256(b"code %d" % seed).digest(), np.uint8)


def flipped(start: Code, bits: Iterable[int]) -> Code:
    """A code with some of its 256 bits changed."""
    changed = start.copy()
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return changed


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


SMALL = Sizes(CatalogSizes(digests=16, settle=8), CodeSizes(seal=32, seal_at_close=4, hashed=64))
"""Few images are enough for everything that happens to many."""


def small(directory: Path, *, create: bool = False) -> EmbeddedEngine:
    return EmbeddedEngine(directory, create=create, sizes=SMALL)


class Marks(NamedTuple):
    key: int
    removal: int


class MemorySource:
    """A source whose every row is in a dict: what the index has to equal."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.live: dict[int, list[tuple[int, Code]]] = {}
        self.removed: list[int] = []
        self.key = 0

    def add(self, variants: Sequence[Code]) -> int:
        """The key of a new image with up to two codes."""
        with self.lock:
            key = self.key + 1
            self.live[key] = [(2 * key + n, one) for n, one in enumerate(variants)]
            self.key = key
        return key

    def remove(self, key: int) -> None:
        with self.lock:
            del self.live[key]
            self.removed.append(key)

    def marks(self) -> Marks:
        return Marks(self.key, len(self.removed))

    def entries_after(self, key: int, limit: int) -> tuple[int, NDArray[np.int64], NDArray[np.uint8]]:
        with self.lock:
            keys = [one for one in sorted(self.live) if one > key][:limit]
            rows = [row for one in keys for row in self.live[one]]
        entries = np.array([entry for entry, _ in rows], np.int64)
        codes = np.array([one for _, one in rows], np.uint8).reshape(-1, 32)
        return keys[-1] if keys else key, entries, codes

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        return self.removed[seq:], max(seq, len(self.removed))

    def distances(self, query: Code) -> list[Pair]:
        """Every live entry with its distance, nearest first and of equals the lower entry."""
        rows = [row for variants in self.live.values() for row in variants]
        return sorted(((e, distance(one, query)) for e, one in rows), key=lambda row: (row[1], row[0]))


def distance(one: Code, other: Code) -> int:
    return int(np.bitwise_count(one ^ other).sum())


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, by its path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def restore(directory: Path, files: dict[str, bytes]) -> None:
    """Put a directory back to what `bytes_of` found."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(directory)) not in files:
            path.unlink()
    for name, data in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != data:
            target.write_bytes(data)
