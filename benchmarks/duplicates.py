"""What `duplicates` finds in a folder with published near-duplicates, how much of it is true, and how long.

    python benchmarks/duplicates.py [--folder DIR] [--edited N] [--json]

Every picture of the folder is indexed. `FAMILIES` are the published sets of which the file names or their
authors say that they are one picture; a file in none of them is known to have no copy, as far as anybody has
looked: a pair with one is printed, to be looked at, and counted as wrong. Once by fingerprints alone, and
once by parts as well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import wherefrom
from common import SHARED

FAMILIES = (
    r"copies/pdq_(bridge|dihedral)/",
    r"copies/image_match/MonaLisa",
    r"copies/libpuzzle/luxmarket_tshirt01",
    r"copies/libpuzzle/pic-a-",
    r"exif_orientation/Portrait",
    r"(copies/imagededup_tests|formats)/ukbench09380",
    r"screens/[68]\.jpg",  # two screens of one story, the one with the bar of the telephone
)

EDITED = (
    *("crop 90 %", "crop 70 %", "crop 50 %", "caption below", "text over", "stickers", "watermark"),
    *("border 10 % white", "resize 50 %", "mirror", "jpeg q10"),
    *("screenshot 40 %", "collage 25 %"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=SHARED)
    parser.add_argument("--edited", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        wherefrom.open(Path(scratch) / "c.wherefrom", create=True) as photos,
    ):
        report = photos.add(options.folder)
        outcomes = (*report.added, *report.known)
        known = [photos.get(identifier) for identifier in {one.id for one in outcomes if one.id is not None}]
        truth = true_pairs(sorted({place for image in known for place in places(image, options.folder)}))
        rows = [measured(photos, options.folder, truth, parts) for parts in (False, True)]
        result = {
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "images": len(photos),
            "true_pairs": len(truth),
            "rows": rows,
            "edited": [joined(options.folder / "photos", name, options.edited) for name in EDITED]
            if options.edited
            else [],
        }
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return int(any(row["precision"] < 0.95 for row in rows))


def places(image: wherefrom.Image, folder: Path) -> list[str]:
    from wherefrom.sources.folder import path_of

    paths = [path_of(sighting.uri) for sighting in image.sightings]
    return [os.path.relpath(path, folder) for path in paths if path is not None]


def true_pairs(files: list[str]) -> set[tuple[str, str]]:
    families = [[file for file in files if re.match(family, file)] for family in FAMILIES]
    return {pair for family in families for pair in itertools.combinations(family, 2)}


def measured(
    photos: wherefrom.Collection, folder: Path, truth: set[tuple[str, str]], parts: bool
) -> dict[str, Any]:
    start, busy = time.perf_counter(), time.process_time()
    groups = list(photos.duplicates(parts=parts))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    found: set[tuple[str, str]] = set()
    for group in groups:
        images = {image.id: image for image in (group.keep, *(other.image for other in group.others))}
        files = sorted({place for image in images.values() for place in places(image, folder)})
        found |= set(itertools.combinations(files, 2))
    return {
        "parts": parts,
        "groups": len(groups),
        "pairs": len(found),
        "precision": len(found & truth) / max(1, len(found)),
        "recall": len(found & truth) / max(1, len(truth)),
        "ms_per_image": 1e3 * seconds / len(photos),
        "cpu_ms_per_image": 1e3 * busy / len(photos),
        "contained": sum(len(group.parts) for group in groups),
        "wrong": sorted(found - truth),
        "missed": sorted(truth - found),
    }


def joined(folder: Path, name: str, count: int) -> dict[str, Any]:
    """What became of `count` photographs and one edit of each."""
    from PIL import Image

    from wherefrom.evaluate.edits import edit, encoded

    files = sorted(folder.iterdir())[:count]
    pictures = [Image.open(file).convert("RGB") for file in files]
    originals: dict[str, int] = {}
    edits: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        wherefrom.open(Path(scratch) / "c.wherefrom", create=True) as photos,
    ):
        for number, file in enumerate(files):
            beside = [pictures[(number + step) % count] for step in (1, 2, 3)]
            made = Path(scratch) / f"{number}.jpg"
            made.write_bytes(encoded(edit(name, pictures[number], others=beside), "JPEG", 90))
            for source, numbers in ((file, originals), (made, edits)):
                (outcome,) = photos.add(source).added
                numbers[str(outcome.id)] = number
        below = joins = wrong = 0
        for group in photos.duplicates():
            members = [group.keep.id, *(other.image.id for other in group.others)]
            numbers = {one: originals.get(one, edits.get(one, -1)) for one in members}
            wrong += len(set(numbers.values())) > 1
            here = {originals[one] for one in members if one in originals}
            joins += sum(edits.get(one) in here for one in members)
            below += sum(edits.get(one) in here for one in members[1:])
    return {"edit": name, "joined": joins, "below": below, "wrong": wrong, "of": len(files)}


def show(result: dict[str, Any]) -> None:
    print(f"{result['images']} images, {result['true_pairs']} true pairs; load {result['load']}")
    print("parts  groups  pairs  precision  recall  ms an image  CPU ms")
    for row in result["rows"]:
        print(
            f"{'on' if row['parts'] else 'off':5}  {row['groups']:6}  {row['pairs']:5}  "
            f"{row['precision']:9.3f}  {row['recall']:6.3f}  {row['ms_per_image']:11.2f}  "
            f"{row['cpu_ms_per_image']:6.2f}"
        )
    for row in result["edited"]:
        print(
            f"{row['edit']:24} joined {row['joined']:3}, below its original {row['below']:3}, "
            f"groups with others {row['wrong']:3} of {row['of']}"
        )
    for row in result["rows"]:
        for name in ("wrong", "missed"):
            for pair in row[name]:
                print(f"{'on' if row['parts'] else 'off'}: {name}: {pair[0]} and {pair[1]}")


if __name__ == "__main__":
    sys.exit(main())
