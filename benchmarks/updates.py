"""How fast images with known features go in and out, durably and searchable at once.

Images with random digests and fingerprints, each with a place, are added to a new collection in batches. A
batch is one transaction that has reached the disk when `add` returns; one of it is then searched for by
fingerprint and must be found, and that time counts too. Making the records does not. The rate is given for
each tenth of the run, since what slows down with size is what matters. Then images are removed.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.filled import known
from benchmarks.timing import middle, size_of
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.features.extract import FINGERPRINT
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.records import NewImage

BAR = 22_000  # images a second
TRIMMED = 0.1  # share of images with a second code, of what lies inside their bars
RADIUS = 31


def run(rows: int = 1_000_000, batch: int = 1_000, at: str | None = None) -> tuple[dict[str, Any], list[str]]:
    with tempfile.TemporaryDirectory(dir=at) as scratch:
        result = measured(Path(scratch) / "c.wherefrom", rows, batch)
    slowest = min(result["added_a_second"])
    return result, [f"{slowest:,} images a second in a tenth, of {BAR:,}"] if slowest < BAR else []


def measured(directory: Path, rows: int, batch: int) -> dict[str, Any]:
    rng = np.random.default_rng(2024)
    seconds, search_ms = list[float](), list[float]()
    engine = EmbeddedEngine(directory, create=True)
    for images in batches(rng, rows, batch):
        start = time.perf_counter()
        keys = [key for key, new in engine.add(images) if new]
        between = time.perf_counter()
        number = int(rng.integers(len(images)))
        code = Fingerprint.from_bytes(images[number].features[FINGERPRINT]).code
        hits = engine.near_codes(code[None], RADIUS)
        assert any(hit.key == keys[number] and hit.distance == 0 for hit in hits), "added and not found"
        end = time.perf_counter()
        seconds.append(end - start)
        search_ms.append(1e3 * (end - between))
    gone = rng.permutation(np.arange(1, rows + 1))[: max(1, rows // 10)]
    start = time.perf_counter()
    for first in range(0, len(gone), batch):
        some = gone[first : first + batch].tolist()
        code = Fingerprint.from_bytes(engine.features(FINGERPRINT, some[:1])[some[0]]).code
        assert engine.remove(some) == len(some)
        assert not any(hit.key == some[0] for hit in engine.near_codes(code[None], 0)), "removed and found"
    removed = time.perf_counter() - start
    engine.close()
    tenths = [part for part in np.array_split(np.array(seconds), 10) if len(part)]
    return {
        "rows": rows,
        "batch": batch,
        "added_a_second": [round(batch * len(part) / part.sum()) for part in tenths],
        "added_a_second_overall": round(rows / sum(seconds)),
        "slowest_batch_ms": round(1e3 * max(seconds), 1),
        "search_ms": [middle(part.tolist()) for part in np.array_split(search_ms, 10) if len(part)],
        "removed_a_second": round(len(gone) / removed),
        "bytes_an_image": round(size_of(directory) / (rows - len(gone)), 1),
    }


def batches(rng: np.random.Generator, rows: int, batch: int) -> Iterator[list[NewImage]]:
    """Images of random fingerprints."""
    for first in range(0, rows, batch):
        noise = rng.integers(256, size=(min(batch, rows - first), 64), dtype=np.uint8)
        trimmed = rng.random(len(noise)) < TRIMMED
        yield [
            known(
                hashlib.sha256(one.tobytes()).digest(),
                {FINGERPRINT: fingerprint(one, bool(barred)).to_bytes()},
                f"file:///home/photos/{number // 1000:06}/IMG_{number:08}.jpg",
                number,
            )
            for number, (one, barred) in enumerate(zip(noise, trimmed, strict=True), first)
        ]


def fingerprint(noise: NDArray[np.uint8], barred: bool) -> Fingerprint:
    if barred:
        return Fingerprint(noise[:32], 100, trimmed=noise[32:], inside=(0.0, 0.125, 1.0, 0.875))
    return Fingerprint(noise[:32], 100)
