"""What `duplicates` finds in a folder with published near-duplicates, how much of it is true, and how long.

`FAMILIES` are the published sets of which the file names or their authors say that they are one picture; a
file in none of them is known to have no copy, as far as anybody has looked: a pair with one counts as wrong.
Once by fingerprints alone, and once by parts as well.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import wherefrom
from benchmarks.common import place_of
from wherefrom.sources.folder import path_of

FAMILIES = (
    r"copies/pdq_(bridge|dihedral)/",
    r"copies/image_match/MonaLisa",
    r"copies/libpuzzle/luxmarket_tshirt01",
    r"copies/libpuzzle/pic-a-",
    r"exif_orientation/Portrait",
    r"(copies/imagededup_tests|formats)/ukbench09380",
    r"screens/[68]\.jpg",  # two screens of one story, the one with the bar of the telephone
)
Pairs = set[tuple[str, ...]]


def run(folder: str | None = None) -> tuple[dict[str, Any], list[str]]:
    home = place_of(folder)
    with (
        tempfile.TemporaryDirectory() as scratch,
        wherefrom.open(Path(scratch) / "c.wherefrom", create=True) as photos,
    ):
        report = photos.add(home)
        ids = {one.id for one in (*report.added, *report.known) if one.id is not None}
        files = files_of([photos.get(name) for name in ids], home)
        families = [[file for file in files if re.match(family, file)] for family in FAMILIES]
        truth: Pairs = {pair for some in families for pair in itertools.combinations(some, 2)}
        rows = [measured(photos, home, truth, parts) for parts in (False, True)]
        result = {"images": len(photos), "true_pairs": len(truth), "rows": rows}
    low = [
        f"precision {row['precision']:.3f} with parts={row['parts']}"
        for row in rows
        if row["precision"] < 0.95
    ]
    return result, low


def files_of(images: list[wherefrom.Image], folder: Path) -> list[str]:
    """Where these images were seen, below the folder, sorted."""
    paths = [path_of(sighting.uri) for image in images for sighting in image.sightings]
    return sorted({os.path.relpath(path, folder) for path in paths if path is not None})


def measured(photos: wherefrom.Collection, folder: Path, truth: Pairs, parts: bool) -> dict[str, Any]:
    start = time.perf_counter()
    groups = list(photos.duplicates(parts=parts))
    seconds = time.perf_counter() - start
    found: Pairs = set()
    for group in groups:
        images = {image.id: image for image in (group.keep, *(other.image for other in group.others))}
        found |= set(itertools.combinations(files_of(list(images.values()), folder), 2))
    return {
        "parts": parts,
        "groups": len(groups),
        "pairs": len(found),
        "precision": len(found & truth) / max(1, len(found)),
        "recall": len(found & truth) / max(1, len(truth)),
        "ms_per_image": 1e3 * seconds / len(photos),
        "contained": sum(len(group.parts) for group in groups),
        "wrong": sorted(found - truth),
        "missed": sorted(truth - found),
    }
