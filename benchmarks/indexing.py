"""How fast pictures are indexed, beside peers' hashes of the same files and beside decoding alone.

    pip install -r benchmarks/requirements.txt
    python benchmarks/indexing.py [--folder DIR] [--files 300] [--large 40] [--repeat 5] [--json]

Two sets in one run, one core: the folder's JPEGs (or generated ones of 500 pixels without a folder), and
12-megapixel JPEGs made of them. Peers read and decode the same files: imagehash pHash, imagededup PHash,
perception PDQ. `wherefrom` is everything that indexing does: read, SHA-256, decode, credit, fingerprint,
catalog
and index, through one worker process. Each round runs every contender once, in turn; medians and the spread
of the rounds are given. The files are in the page cache.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import common

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy comes

SHARED = common.SHARED / "photos"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=SHARED)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--large", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as scratch:
        small = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))[
            : options.files
        ]
        if not small:
            small = generated(Path(scratch) / "small", options.files)
        sets = {
            "500-pixel JPEG as found": small,
            "500-pixel JPEG at quality 75": recoded(small, Path(scratch) / "recoded"),
            "12-megapixel JPEG": enlarged(small, Path(scratch) / "large", options.large),
        }
        result = {
            "machine": platform.processor() or platform.machine(),
            "cores": 1,
            "versions": common.versions(),
            **{name: measured(files, Path(scratch), options.repeat) for name, files in sets.items()},
        }
    if options.json:
        print(json.dumps(result))
    else:
        show(result, list(sets))
    return 0


def generated(folder: Path, count: int) -> list[Path]:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.scenes import picture

    folder.mkdir()
    for number in range(count):
        picture(number, 500, 375).save(folder / f"{number}.jpg", quality=90)
    return sorted(folder.iterdir())


def recoded(files: list[Path], folder: Path) -> list[Path]:
    from PIL import Image

    folder.mkdir()
    for number, path in enumerate(files):
        Image.open(path).convert("RGB").save(folder / f"{number}.jpg", quality=75)
    return sorted(folder.iterdir())


def enlarged(files: list[Path], folder: Path, count: int) -> list[Path]:
    from PIL import Image, ImageFilter

    folder.mkdir()
    for number, path in enumerate(files[:count]):
        image = Image.open(path).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        # Grain: a resized picture alone has nothing at its finest scale and decodes too easily.
        grain = Image.effect_noise(image.size, 24).convert("RGB")
        image = Image.blend(image, grain, 0.12).filter(ImageFilter.UnsharpMask(1, 60))
        image.save(folder / f"{number}.jpg", quality=88)
    return sorted(folder.iterdir())


def contenders() -> dict[str, Callable[[Path], object]]:
    from PIL import Image

    from wherefrom.picture.decode import decode

    found: dict[str, Callable[[Path], object]] = {
        "decode alone (Pillow, full)": lambda path: Image.open(path).load(),
        "decode alone (wherefrom)": lambda path: decode(path.read_bytes(), colour=False),
    }
    with contextlib.suppress(ImportError):
        import imagehash

        found["imagehash pHash"] = lambda path: imagehash.phash(Image.open(path))
    with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
        from imagededup.methods import PHash

        method = PHash(verbose=False)
        found["imagededup PHash"] = lambda path: method.encode_image(image_file=path)
    with contextlib.suppress(ImportError):
        import cv2
        from perception import hashers

        cv2.setNumThreads(1)
        pdq = hashers.PDQHash()
        found["perception PDQ"] = lambda path: pdq.compute(str(path))
    return found


def measured(files: list[Path], scratch: Path, repeat: int) -> dict[str, object]:
    import wherefrom
    from wherefrom.settings import Settings

    others = contenders()
    times: dict[str, list[float]] = {name: [] for name in (*others, "wherefrom index")}
    for round_ in range(repeat + 1):
        for name, work in others.items():
            start = time.perf_counter()
            for path in files:
                work(path)
            times[name].append((time.perf_counter() - start) / len(files))
        target = scratch / f"round-{len(files)}-{round_}.wherefrom"
        with wherefrom.open(target, create=True, settings=Settings(workers=1)) as photos:
            photos.add(files[:1])  # the worker's start is not what is measured
            start = time.perf_counter()
            report = photos.add(files[1:])
            times["wherefrom index"].append((time.perf_counter() - start) / (len(files) - 1))
            assert not report.failed, report.failed
    milliseconds = {name: sorted(1e3 * t for t in taken[1:]) for name, taken in times.items()}
    rows = {
        name: {
            "median_ms": round(statistics.median(t), 3),
            "min_ms": round(t[0], 3),
            "max_ms": round(t[-1], 3),
        }
        for name, t in milliseconds.items()
    }
    ours = rows["wherefrom index"]["median_ms"]
    peers = {
        name: row["median_ms"]
        for name, row in rows.items()
        if name not in ("wherefrom index",) and "alone" not in name
    }
    return {
        "files": len(files),
        "median_bytes": sorted(p.stat().st_size for p in files)[len(files) // 2],
        "rows": rows,
        "times_the_fastest_peer": round(min(peers.values()) / ours, 2) if peers else None,
        "of_decode_alone": round(rows["decode alone (wherefrom)"]["median_ms"] / ours, 2),
        "of_full_decode_alone": round(rows["decode alone (Pillow, full)"]["median_ms"] / ours, 2),
    }


def show(result: dict[str, object], names: list[str]) -> None:
    print(f"machine {result['machine']}, one core; {result['versions']}")
    for name in names:
        part = result[name]
        assert isinstance(part, dict)
        print(f"\n{part['files']} files, {name}, median {part['median_bytes']:,} bytes\n")
        print("| | median ms | min | max |\n|---|---|---|---|")
        for row, values in part["rows"].items():
            print(f"| {row} | {values['median_ms']} | {values['min_ms']} | {values['max_ms']} |")
        alone, full = part["of_decode_alone"], part["of_full_decode_alone"]
        print(f"\nrate over the fastest peer's: {part['times_the_fastest_peer']};", end=" ")
        print(f"over decoding alone: {alone} (ours), {full} (Pillow, full)")


if __name__ == "__main__":
    sys.exit(main())
