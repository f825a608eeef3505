"""How many edited copies are found first, and how many unrelated pictures are claimed.

    python benchmarks/recall.py [--folder DIR] [--originals 300] [--unrelated 400] [--json]

Every picture of the folder is indexed except `--unrelated` of them, spread evenly, which are searched
for afterwards and must not be claimed. `--originals` of the indexed ones are edited by every edit of the
suite, written as real files (JPEG at quality 90 unless the edit says otherwise) and searched for: it
counts when the first match is the original and the match is a claim. Files of one folder named in
`RELATED` (published near-duplicates, views of one scene, one meme template) are no unrelated pairs and
are left out of the false claims; every other claim is printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import wherefrom
from common import SHARED
from wherefrom.evaluate.edits import GEOMETRY, TONE, edit, encoded
from wherefrom.picture.decode import decode

RELATED = ("copies", "exif_orientation", "formats", "instances", "memes", "pairs")
BANDS = {"99.5 to 100": 99.5, "99 to 99.5": 99.0, "97 to 99": 97.0, "95 to 97": 95.0}
CLAIMS = {"identical", "same", "copy", "partial"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=SHARED)
    parser.add_argument("--originals", type=int, default=300)
    parser.add_argument("--unrelated", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    files = sorted(path for path in options.folder.rglob("*") if path.is_file())
    pictures = [path for path in files if usable(path)]
    held_out = set(spread(pictures, options.unrelated))
    kept = [path for path in pictures if path not in held_out]
    # Photographs first: product shots and templates repeat within themselves.
    single = [path for path in kept if not set(RELATED) & set(path.parts)]
    photos = [path for path in single if "photos" in path.parts] or single
    others = [path for path in single if path not in set(photos)]
    originals = (photos + spread(others, max(0, options.originals - len(photos))))[: options.originals]

    with (
        tempfile.TemporaryDirectory() as scratch,
        wherefrom.open(Path(scratch) / "c.wherefrom", create=True) as all_,
    ):
        all_.add(kept)
        rows, distances, bands = recall(all_, originals)
        claims, nearest = false_claims(all_, sorted(held_out))
        indexed = len(all_)
    result = {
        "machine": platform.processor() or platform.machine(),
        "indexed": indexed,
        "originals": len(originals),
        "unrelated": len(held_out),
        "recall_at_1": rows,
        "claims_on_unrelated": claims,
        "true_by_score": bands,
        "distance_histogram_true": dict(sorted(distances.items())),
        "search_ms_p50": nearest,
    }
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    bars = {**dict.fromkeys(TONE, 0.99), **dict.fromkeys(GEOMETRY, 0.95)}
    return int(any(rows[name]["recall"] < bar for name, bar in bars.items()))


def usable(path: Path) -> bool:
    try:
        decode(path.read_bytes(), colour=False)
    except wherefrom.PictureError:
        return False
    return True


def spread(items: list[Path], count: int) -> list[Path]:
    step = len(items) / count if count else 1
    return [items[int(i * step)] for i in range(min(count, len(items)))]


def recall(
    photos: wherefrom.Collection, originals: list[Path]
) -> tuple[dict[str, dict[str, Any]], Counter[int], dict[str, list[int]]]:
    from PIL import Image, ImageOps

    rows: dict[str, dict[str, Any]] = {}
    bands: dict[str, list[int]] = {band: [0, 0] for band in BANDS}
    distances: Counter[int] = Counter()
    images = {path: ImageOps.exif_transpose(Image.open(path)).convert("RGB") for path in originals}
    ids = {path: photos.find(path)[0].id for path in originals}
    for name in (*TONE, *GEOMETRY):
        found, scores, missed = 0, [], []
        for path in originals:
            answer = photos.search(encoded(edit(name, images[path]), "JPEG", 90), limit=5)
            first = answer[0] if len(answer) else None
            for match in answer:
                band = next(name for name, least in BANDS.items() if match.score >= least)
                bands[band][0] += match.id == ids[path]
                bands[band][1] += 1
            if first is not None and first.id == ids[path] and first.kind in CLAIMS:
                found += 1
                scores.append(first.score)
                distances[first.evidence.distance or 0] += 1
            else:
                missed.append(path.stem)
        rows[name] = {
            "recall": found / len(originals),
            "lowest_score": min(scores, default=0.0),
            "missed": missed,
        }
    return rows, distances, bands


def related(one: str, other: str) -> bool:
    """Whether both are of the folders whose pictures repeat each other."""
    return any(f"/{name}/" in one for name in RELATED) and any(f"/{name}/" in other for name in RELATED)


def false_claims(photos: wherefrom.Collection, queries: list[Path]) -> tuple[list[dict[str, object]], float]:
    claims: list[dict[str, object]] = []
    times = []
    for path in queries:
        start = time.perf_counter()
        answer = photos.search(path)
        times.append(time.perf_counter() - start)
        claims.extend(
            {
                "query": "/".join(path.parts[-3:]),
                "match": "/".join(match.sightings[0].uri.split("/")[-3:]),
                "kind": match.kind.value,
                "score": match.score,
                "distance": match.evidence.distance,
            }
            for match in answer
            if match.kind in CLAIMS and not related(path.as_posix(), match.sightings[0].uri)
        )
    return claims, round(1e3 * sorted(times)[len(times) // 2], 2)


def show(result: dict[str, object]) -> None:
    print(f"{result['originals']} originals among {result['indexed']} images; machine {result['machine']}\n")
    print("| edit | recall@1 as a claim | lowest score | missed |\n|---|---|---|---|")
    rows = result["recall_at_1"]
    assert isinstance(rows, dict)
    for name, row in rows.items():
        print(
            f"| {name} | {row['recall']:.3f} | {row['lowest_score']:.1f} | {', '.join(row['missed'][:4])} |"
        )
    print("\n| score | matches | of them true |\n|---|---|---|")
    bands = result["true_by_score"]
    assert isinstance(bands, dict)
    for band, (true, total) in bands.items():
        print(f"| {band} | {total:,} | {true:,} |")
    claims = result["claims_on_unrelated"]
    assert isinstance(claims, list)
    print(f"\n{len(claims)} claims on {result['unrelated']} queries held out of the index:")
    for claim in claims:
        print("  ", *claim.values())
    print(f"\nmedian search {result['search_ms_p50']} ms; distances of true matches:")
    print("  ", result["distance_histogram_true"])


if __name__ == "__main__":
    sys.exit(main())
