"""How long a search takes as a collection grows, and what the collection weighs.

    python benchmarks/search_scale.py [--images 10000 100000 1000000] [--folder DIR] [--queries 100]
                                      [--at DIR] [--json]

Collections are filled with real features, perturbed: each filler has the keypoints of four pictures of the
folder, drawn by chance (44 of each), after a similarity of its own (turned, scaled, moved), with 5 of the 64
bits of each signature flipped on average; words stay, so that frequent words are as frequent as they are. Its
fingerprint is a picture's with 60 bits flipped. Half of the folder's pictures are also added as they are, by
the library, and these are searched for: edited (cropped to half, written over, turned by 15 degrees, saved at
JPEG quality 30, set into a screenshot), as bytes of a JPEG, through `Collection.search`, warm, all cores.
The other half gives the fillers. Each size is reached from the one before.

Also given: the rate at which the words index is derived from stored keypoints, what one more image costs,
bytes on disk an image, and resident memory after every page of both indexes was read.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import wherefrom
from common import SHARED
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.evaluate.edits import edit, encoded
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import KEPT, Keypoints
from wherefrom.picture.metadata import Credit
from wherefrom.records import FileStamp, NewImage, Place
from wherefrom.sources.folder import file_uri

EDITS = ("crop 50 %", "text over", "rotate 15", "jpeg q30", "screenshot 40 %")
PARTS, FLIPS, CODE_FLIPS = 4, 5 / 64, 60
BATCH = 1_000
BARS = {"p50_ms": 120.0, "p95_ms": 250.0, "resident_gb": 6.0}  # at a million


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=SHARED)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--at", type=Path, help="where to put the collection; default: a temporary folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.at) as scratch:
        rows = list(measured(Path(scratch) / "c.wherefrom", options))
    if options.json:
        print(json.dumps(rows))
    else:
        show(rows)
    last = rows[-1]
    return int(last["images"] >= 1_000_000 and any(last[name] > bar for name, bar in BARS.items()))


def measured(directory: Path, options: argparse.Namespace) -> Iterator[dict]:
    """A row of figures for each size."""
    files = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    wanted = files[::2][:1_000]
    with wherefrom.open(directory, create=True) as collection:
        collection.add(wanted)
        seeds = _features(files[1::2][:1_000])
    rng = np.random.default_rng(2026)
    queries = list(_queries(wanted, options.queries, rng))
    engine = EmbeddedEngine(directory)
    made = 0
    for size in sorted(options.images):
        start, before = time.perf_counter(), engine.count()
        while (missing := size - engine.count()) > 0:
            engine.add(list(fillers(seeds, rng, min(BATCH, missing), made)))
            made += BATCH
        adding = (engine.count() - before) / (time.perf_counter() - start)
        single = []
        for _ in range(30):
            one = list(fillers(seeds, rng, 1, made := made + 1))
            start = time.perf_counter()
            engine.add(one)
            single.append(1e3 * (time.perf_counter() - start))
        engine.close()
        yield {
            "images": size,
            "filled_a_second": round(adding),
            **searched(directory, queries),
            "one_more_ms": round(float(np.median(single)), 2),
            **derived(directory),
        }
        engine = EmbeddedEngine(directory)
    engine.close()


def searched(directory: Path, queries: list[tuple[bytes, str]]) -> dict:
    """Times of searches, by stage, and how many found their picture first."""
    import subprocess

    with tempfile.TemporaryDirectory() as scratch:
        for number, (data, uri) in enumerate(queries):
            (Path(scratch) / f"{number:04}.jpg").write_bytes(data)
            (Path(scratch) / f"{number:04}.txt").write_text(uri)
        # In a process of its own: what is resident is then the search's alone.
        done = subprocess.run(
            [sys.executable, "-c", SEARCH, str(directory), scratch],
            check=True,
            capture_output=True,
            text=True,
            env=SINGLE,
        )
    return json.loads(done.stdout)


# As the command line sets it: on small matrices more threads of BLAS are slower.
SINGLE = os.environ | {"OPENBLAS_NUM_THREADS": "1"}

SEARCH = """
import json, sys, time
from pathlib import Path
import numpy as np
import wherefrom
folder = Path(sys.argv[2])
times, stages, first = [], [], 0
with wherefrom.open(sys.argv[1]) as collection:
    queries = [(p.read_bytes(), p.with_suffix(".txt").read_text()) for p in sorted(folder.glob("*.jpg"))]
    for data, _ in queries[:5]:
        collection.search(data)
    for data, uri in queries:
        start = time.perf_counter()
        answer = collection.search(data)
        times.append(1e3 * (time.perf_counter() - start))
        stages.append(answer.timings_ms)
        first += bool(answer) and any(s.uri == uri for s in answer[0].sightings)
    engine = collection._engine
    for segment in engine._indexes.words()._sealed:
        for pages in (segment.images, segment.offsets, segment.signatures, segment.details):
            pages.sum()
    engine._indexes.fingerprints()._sealed.planes.sum()
    status = Path("/proc/self/status").read_text()
resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
print(json.dumps({
    "p50_ms": round(float(np.median(times)), 1), "p95_ms": round(float(np.percentile(times, 95)), 1),
    "stages_ms": {name: round(float(np.median([s[name] for s in stages])), 1) for name in stages[0]},
    "first": round(first / len(times), 3), "resident_gb": round(resident / 1e6, 2)}))
"""


def derived(directory: Path) -> dict:
    """Bytes an image on disk, and the rate at which the words index comes out of the catalog."""
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    shutil.rmtree(directory / "words")
    engine = EmbeddedEngine(directory)
    engine._become_writer()
    start = time.perf_counter()
    engine._indexes.words()
    seconds = time.perf_counter() - start
    count = engine.count()
    engine.close()
    return {"bytes_an_image": round(size / count), "derived_a_second": round(count / seconds)}


def _features(files: list[Path]) -> list[tuple[Fingerprint, Keypoints]]:
    """The features of pictures that have enough of them."""
    from wherefrom.picture.decode import decode
    from wherefrom.workers import image_of

    found = []
    for path in files:
        try:
            made = image_of(decode(path.read_bytes(), colour=False), b"").features
        except wherefrom.WherefromError:
            continue
        known, points = Fingerprint.from_bytes(made[FINGERPRINT]), Keypoints.from_bytes(made[KEYPOINTS])
        if known.usable and len(points) >= KEPT // 2:
            found.append((known, points))
    return found


def fillers(
    seeds: list[tuple[Fingerprint, Keypoints]], rng: np.random.Generator, count: int, first: int
) -> Iterator[NewImage]:
    """Images that were never pictures, of perturbed features."""
    for number in range(first, first + count):
        chosen = rng.choice(len(seeds), PARTS, replace=False)
        points = _mixed([seeds[i][1] for i in chosen], rng)
        flips = np.zeros(256, np.uint8)
        flips[rng.choice(256, CODE_FLIPS, replace=False)] = 1
        code = seeds[chosen[0]][0].code ^ np.packbits(flips)
        yield NewImage(
            digest=rng.bytes(32),
            width=800,
            height=600,
            format="JPEG",
            bytes=123_456,
            frames=1,
            quality=100,
            credit=Credit(),
            decoder="filler",
            features={FINGERPRINT: Fingerprint(code, 100).to_bytes(), KEYPOINTS: points.to_bytes()},
            place=Place(f"file:///fillers/{number // 1000}/{number}.jpg", stamp=FileStamp(123_456, number)),
        )


def _mixed(parts: list[Keypoints], rng: np.random.Generator) -> Keypoints:
    rows = [rng.choice(len(p), min(len(p), KEPT // PARTS), replace=False) for p in parts]
    taken = [p.take(r) for p, r in zip(parts, rows, strict=True)]
    x, y, angles, scales, words, signatures = (
        np.concatenate([getattr(p, name) for p in taken])
        for name in ("x", "y", "angles", "scales", "words", "signatures")
    )
    turn, zoom = rng.integers(256), rng.uniform(0.7, 1.4)
    cos, sin = zoom * np.cos(turn * np.pi / 128), zoom * np.sin(turn * np.pi / 128)
    across, down = x - 0.5, y - 0.5
    flips = np.packbits(rng.random((len(x), 64)) < FLIPS, axis=1).view(np.uint64).ravel()
    return Keypoints(
        np.clip(0.5 + cos * across - sin * down, 0, 0.999).astype(np.float32),
        np.clip(0.5 + sin * across + cos * down, 0, 0.999).astype(np.float32),
        (angles + turn).astype(np.uint8),
        np.clip(scales + 16 * np.log2(zoom), 0, 255).astype(np.uint8),
        words,
        signatures ^ flips,
    )


def _queries(files: list[Path], count: int, rng: np.random.Generator) -> Iterator[tuple[bytes, str]]:
    for number, index in enumerate(rng.permutation(len(files))[:count].tolist()):
        with Image.open(files[index]) as opened:
            image = opened.convert("RGB")
        image.thumbnail((800, 800))
        done = edit(EDITS[number % len(EDITS)], image, number)
        yield encoded(done, "JPEG", 90), file_uri(files[index])


def show(rows: list[dict]) -> None:
    """Markdown tables."""
    print(f"Machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores\n")
    print("| images | search p50, ms | p95 | features | recall | verify | found first | resident, GB |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        stage = row["stages_ms"]
        print(
            f"| {row['images']:,} | {row['p50_ms']} | {row['p95_ms']} | {stage['features']} "
            f"| {stage['recall']} | {stage['verify']} | {row['first']} | {row['resident_gb']} |"
        )
    print("\n| images | added, images/s | one more, ms | words derived, images/s | bytes an image |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['images']:,} | {row['filled_a_second']:,} | {row['one_more_ms']} "
            f"| {row['derived_a_second']:,} | {row['bytes_an_image']:,} |"
        )


if __name__ == "__main__":
    sys.exit(main())
