"""How fast images with known features go in and out, durably and searchable at once.

    python benchmarks/updates.py [--rows 1000000] [--batch 1000] [--json]

Images with random digests and fingerprints, each with a place, are added to a new collection in batches.
A batch is one transaction that has reached the disk (`synchronous=FULL`) when `add` returns; some of it
are then searched for by fingerprint and must be found, and that time counts too. Making the records does
not. The rate is given for each tenth of the run, since what slows down with size is what matters. Then
images are removed, and the collection is closed and opened again in a new process, where the first search
is timed as well. Exit code 1 when the slowest tenth stays below the bar.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.features.extract import FINGERPRINT
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.picture.metadata import Credit
from wherefrom.records import FileStamp, NewImage, Place

BAR = 22_000  # images a second
TRIMMED = 0.1  # share of images with a second code, of what lies inside their bars
RADIUS = 31


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--sample", type=int, default=1, help="images of each batch that are searched for")
    parser.add_argument(
        "--folder", type=Path, help="where to put the collection; default: a temporary folder"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--reopen", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reopen is not None:
        return reopen(options.reopen)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        result = measure(Path(scratch) / "c.wherefrom", options.rows, options.batch, options.sample)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return int(min(result["added_a_second"]) < BAR)


def measure(directory: Path, rows: int, batch: int, sample: int) -> dict:
    rng = np.random.default_rng(2024)
    seconds: list[float] = []
    search_ms: list[float] = []
    engine = EmbeddedEngine(directory, create=True)
    for images in batches(rng, rows, batch):
        start = time.perf_counter()
        keys = [key for key, new in engine.add(images) if new]
        middle = time.perf_counter()
        for number in rng.integers(len(images), size=sample).tolist():
            code = Fingerprint.from_bytes(images[number].features[FINGERPRINT]).code
            hits = engine.near_codes(code[None], RADIUS)
            assert any(hit.key == keys[number] and hit.distance == 0 for hit in hits), "added and not found"
        end = time.perf_counter()
        seconds.append(end - start)
        search_ms.append(1e3 * (end - middle) / max(1, sample))
    start = time.perf_counter()
    engine.close()
    closing = time.perf_counter() - start

    start = time.perf_counter()
    engine = EmbeddedEngine(directory)
    gone = rng.permutation(np.arange(1, rows + 1))[: max(1, rows // 10)]
    removing = time.perf_counter()
    for first in range(0, len(gone), batch):
        chunk = gone[first : first + batch].tolist()
        code = Fingerprint.from_bytes(engine.features(FINGERPRINT, chunk[:1])[chunk[0]]).code
        assert engine.remove(chunk) == len(chunk)
        assert not any(hit.key == chunk[0] for hit in engine.near_codes(code[None], 0)), "removed and found"
    removed = time.perf_counter() - removing
    engine.close()
    files = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    again = subprocess.run(
        [sys.executable, __file__, "--reopen", directory], check=True, capture_output=True, text=True
    )
    parts = np.array_split(np.array(seconds), 10)
    return {
        "machine": platform.processor() or platform.machine(),
        "rows": rows,
        "batch": batch,
        "added_a_second": [round(batch * len(part) / part.sum()) for part in parts if len(part)],
        "added_a_second_overall": round(rows / sum(seconds)),
        "slowest_batch_ms": round(1e3 * max(seconds), 1),
        "search_ms": [
            round(float(np.median(part)), 2) for part in np.array_split(search_ms, 10) if len(part)
        ],
        "close_s": round(closing, 2),
        "removed_a_second": round(len(gone) / removed),
        "bytes_an_image": round(files / (rows - len(gone)), 1),
        **json.loads(again.stdout),
    }


def batches(rng: np.random.Generator, rows: int, batch: int) -> Iterator[list[NewImage]]:
    for first in range(0, rows, batch):
        noise = rng.integers(256, size=(min(batch, rows - first), 64), dtype=np.uint8)
        trimmed = rng.random(len(noise)) < TRIMMED
        yield [
            NewImage(
                digest=hashlib.sha256(noise[i].tobytes()).digest(),
                width=1600,
                height=1200,
                format="JPEG",
                bytes=345_678,
                frames=1,
                quality=100,
                credit=Credit(),
                decoder="libjpeg-turbo",
                features={FINGERPRINT: fingerprint(noise[i], bool(trimmed[i])).to_bytes()},
                place=Place(
                    f"file:///home/photos/{(first + i) // 1000:06}/IMG_{first + i:08}.jpg",
                    stamp=FileStamp(345_678, 1_700_000_000_000_000_000 + first + i),
                ),
            )
            for i in range(len(noise))
        ]


def fingerprint(noise: np.ndarray, trimmed: bool) -> Fingerprint:
    if trimmed:
        return Fingerprint(noise[:32], 100, trimmed=noise[32:], inside=(0.0, 0.125, 1.0, 0.875))
    return Fingerprint(noise[:32], 100)


def reopen(directory: Path) -> int:
    start = time.perf_counter()
    engine = EmbeddedEngine(directory)
    opened = time.perf_counter()
    code = np.zeros((1, 32), np.uint8)
    engine.near_codes(code, RADIUS)
    first = time.perf_counter()
    engine.near_codes(code, RADIUS)
    second = time.perf_counter()
    engine.close()
    times = {"open_ms": opened - start, "first_search_ms": first - opened, "next_search_ms": second - first}
    print(json.dumps({name: round(1e3 * value, 2) for name, value in times.items()}))
    return 0


def show(result: dict) -> None:
    print(f"{result['rows']:,} images in batches of {result['batch']:,}; machine {result['machine']}\n")
    print("| tenth of the run | images/s, durable and found | a search, ms |\n|---|---|---|")
    for number, (rate, found) in enumerate(zip(result["added_a_second"], result["search_ms"], strict=True)):
        print(f"| {number + 1} | {rate:,} | {found:.2f} |")
    print(f"| all | {result['added_a_second_overall']:,} | |\n")
    print(f"slowest batch {result['slowest_batch_ms']:,} ms; bar {BAR:,} images/s in every tenth")
    print(
        f"removed {result['removed_a_second']:,} images/s; {result['bytes_an_image']} bytes of disk an image"
    )
    print(f"closed in {result['close_s']} s; opened in {result['open_ms']} ms, the first search takes")
    print(
        f"{result['first_search_ms']} ms more (code is loaded for it), the next {result['next_search_ms']} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
