"""How many edited copies that show the whole are found first, and how many unrelated pictures are claimed.

Every picture of the folder is indexed except `unrelated` of them, spread evenly, which are searched for
afterwards and must not be claimed. `originals` of the indexed ones, photographs first, are edited by each
edit of tone and of geometry and searched for: it counts when the first claim is the original.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import wherefrom
from benchmarks.common import place_of, spaced
from benchmarks.trying import (
    RELATED,
    Asked,
    first,
    gathered,
    original,
    pictures,
    stranger,
    task_of,
    working,
)
from wherefrom.evaluate.edits import GEOMETRY, TONE

BANDS = {"99.5 to 100": 99.5, "99 to 99.5": 99.0, "97 to 99": 97.0, "95 to 97": 95.0}
_TOP = 5  # claims whose scores are looked at


def run(
    folder: str | None = None, originals: int = 300, unrelated: int = 400, jobs: int = 0
) -> tuple[dict[str, Any], list[str]]:
    every = pictures(place_of(folder), once=False)
    held_out = spaced(every, unrelated)
    kept = [path for path in every if path not in set(held_out)]
    single = [path for path in kept if not set(RELATED) & set(path.parts)]
    photos = [path for path in single if "photos" in path.parts] or single
    others = [path for path in single if path not in set(photos)]
    chosen = (photos + spaced(others, max(0, originals - len(photos))))[:originals]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "c.wherefrom"
        with wherefrom.open(place, create=True) as collection:
            collection.add(kept)
            asked = [Asked(task_of(collection.engine, path, (*TONE, *GEOMETRY), 0)) for path in chosen]
            with working(place, (), (), jobs) as pool:
                trials = [
                    one for some, _ in gathered(pool.imap(original, asked), "originals") for one in some
                ]
            claimed = [stranger(collection, path) for path in sorted(held_out)]
            indexed = len(collection)
    rows: dict[str, Any] = {}
    bands = {band: [0, 0] for band in BANDS}
    for name in (*TONE, *GEOMETRY):
        some = [trial for trial in trials if trial.edit == name]
        scores = [trial.claims[0].score for trial in some if first(trial)]
        missed = [Path(trial.uri).stem for trial in some if not first(trial)]
        low = min(scores, default=0.0)
        rows[name] = {"recall": len(scores) / len(some), "lowest_score": low, "missed": missed}
    for trial in trials:
        for claim in trial.claims[:_TOP]:
            band = next(name for name, least in BANDS.items() if claim.score >= least)
            bands[band][0] += claim.id == trial.original
            bands[band][1] += 1
    result = {
        "indexed": indexed,
        "originals": len(chosen),
        "unrelated": len(held_out),
        "recall_at_1": rows,
        "claims_on_unrelated": [claim for claims, _ in claimed for claim in claims],
        "true_by_score": bands,
        "search_ms_p50": round(1e3 * median(seconds for _, seconds in claimed), 2),
    }
    bars = {**dict.fromkeys(TONE, 0.99), **dict.fromkeys(GEOMETRY, 0.95)}
    return result, [f"{name} is below its bar" for name, bar in bars.items() if rows[name]["recall"] < bar]
