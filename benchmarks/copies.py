"""How many copies are found, edit by edit, beside peers on the same pictures in the same run.

The first `originals` photographs are edited by every edit of the suite (`wherefrom.evaluate.edits`), saved as
JPEG at quality 90 and searched for among all pictures of the folder but the held-out ones (`trying.parted`).
Recall@1 as a claim: the first claim is the original; for a peer, the nearest picture is the original and
within the peer's usual threshold. A wrong claim is any other. Where the truth is known, Wherefrom's evidence
is held to it. False claims: the held-out pictures as they are; and pictures that share a style and nothing
else, where both were given the same caption, watermark, text or app around them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from PIL import Image

import wherefrom
from benchmarks.common import place_of, say, spaced
from benchmarks.peers import PEERS
from benchmarks.trying import (
    Asked,
    beside,
    first,
    gathered,
    image_of,
    nobody,
    original,
    parted,
    shown,
    task_of,
    working,
    wrong,
)
from wherefrom.evaluate.edits import BARS, SUITE, edit, encoded
from wherefrom.evaluate.measures import naming
from wherefrom.evaluate.trials import Trial
from wherefrom.search.answer import CLAIMS

STYLES = ("caption above", "caption below", "text over", "watermark", "screenshot 40 %", "photo of a screen")
OURS = "wherefrom"
Row = tuple[Trial, dict[str, Any]]


def run(
    folder: str | None = None,
    originals: int = 300,
    edits: Sequence[str] = SUITE,
    peers: Sequence[str] = tuple(PEERS),
    indexed: int = 10**9,
    held_out: int = 400,
    styled: int = 60,
    slow_originals: int = 60,
    minutes: float | None = None,
    seed: int = 0,
    jobs: int = 0,
) -> tuple[dict[str, Any], list[str]]:
    """`minutes` is a time after which no original is begun; those that were done count."""
    paths, every, others = parted(place_of(folder), originals)
    rest = [path for path in every if path not in set(paths)]
    every, others = [*paths, *spaced(rest, max(0, indexed - len(paths)))], spaced(others, held_out)
    there = [name for name in peers if installed(name)]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "all.wherefrom"
        with wherefrom.open(place, create=True) as collection:
            collection.add(every)
            tasks = [
                task_of(collection.engine, path, edits, seed + number, beside(others, number))
                for number, path in enumerate(paths)
            ]
            with working(place, there, every, jobs) as pool:
                until = time.time() + 60 * minutes if minutes else None
                asked = [
                    Asked(
                        task,
                        tuple(one for one in there if number < slow_originals or not PEERS[one].slow),
                        until if number >= (jobs or 1) else None,
                    )
                    for number, task in enumerate(tasks)
                ]
                trials = gathered(pool.imap_unordered(original, asked), "originals")
                unrelated = gathered(pool.imap_unordered(nobody, others), "held out")
            rows = [row for some, beside_them in trials for row in zip(some, beside_them, strict=True)]
            mistaken = [
                {"edit": trial.edit, "original": Path(trial.uri).name, "match": shown(collection, name)}
                for trial, _ in rows
                for name in wrong(trial)
            ]
            count = len(collection)
        styles = [
            {
                "style": style,
                "indexed": len(paths[:styled]),
                "searched": len(others[:styled]),
                "claims": claims,
            }
            for style in STYLES
            for claims in [style_claims(Path(scratch), style, paths[:styled], others[:styled], seed)]
        ]
    table = {name: summed([row for row in rows if row[0].edit == name]) for name in edits}
    claims = [claim for some, _ in unrelated for claim in some]
    result = {
        "indexed": count,
        "originals": len(trials),
        "slow_originals": min(slow_originals, len(paths)),
        "held_out": len(others),
        "seed": seed,
        "contenders": [OURS, *there],
        "edits": table,
        "unrelated": {
            OURS: {
                "queries_claimed": sum(bool(some) for some, _ in unrelated),
                "pictures_claimed": len(claims),
            }
        }
        | {
            name: {
                "queries_claimed": sum(counts[name] > 0 for _, counts in unrelated),
                "pictures_claimed": sum(counts[name] for _, counts in unrelated),
            }
            for name in there
        },
        "claims": claims,
        "styles": styles,
        "ms_per_query": {OURS: round(median(trial.timings_ms["total"] for trial, _ in rows), 2)}
        | {name: round(median(row["ms"][name] for _, row in rows if name in row["ms"]), 2) for name in there},
        "usual": {name: PEERS[name].usual for name in there},
        "slow": [name for name in there if PEERS[name].slow],
        "wrong": mistaken,
    }
    below = [f"{name} is below its bar" for name in edits if table[name]["recall"][OURS] < BARS.get(name, 0)]
    below += [f"{len(claims)} claims on held-out pictures"] * bool(claims)
    return result, below + [f"claims by style: {one['style']}" for one in styles if one["claims"]]


def installed(name: str) -> bool:
    """Whether a peer is installed; says when it is not."""
    try:
        PEERS[name].features(Image.effect_noise((64, 64), 60).convert("RGB"))
    except ImportError:
        say(f"{name} is not installed (benchmarks/requirements.txt): it is left out")
        return False
    return True


def summed(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of one edit."""
    hits = [first(trial) for trial, _ in rows]
    found = [trial for (trial, _), hit in zip(rows, hits, strict=True) if hit]
    recalled, precise = naming(found)
    areas = sorted(trial.overlap for trial in found if trial.overlap is not None)
    by_peer: dict[str, list[bool]] = {}
    ours: dict[str, list[bool]] = {}  # of the originals that a peer was tried on
    mistakes = {OURS: sum(len(wrong(trial)) for trial, _ in rows)}
    for (_, row), hit in zip(rows, hits, strict=True):
        for name, right in row["found"].items():
            by_peer.setdefault(name, []).append(right)
            ours.setdefault(name, []).append(hit)
            mistakes[name] = mistakes.get(name, 0) + row["wrong"][name]
    return {
        "bar": BARS.get(rows[0][0].edit),
        "recall": {name: mean(some) for name, some in ({OURS: hits} | by_peer).items()},
        "beside": {name: mean(some) for name, some in ({OURS: hits} | ours).items()},
        "wrong": mistakes,
        "area_overlap_median": areas[len(areas) // 2] if areas else None,
        "edits_recall": recalled.share,
        "edits_precision": precise.share,
        "missed": sorted(Path(trial.uri).name for trial, _ in rows if not first(trial)),
    }


def style_claims(
    place: Path, style: str, kept: Sequence[Path], asked: Sequence[Path], seed: int
) -> list[dict[str, Any]]:
    """What is claimed of pictures of one style among others of the same words, app and so on."""
    with wherefrom.open(place / f"style {STYLES.index(style)}.wherefrom", create=True) as collection:
        names: dict[str, str] = {}
        for path in kept:
            report = collection.add(encoded(edit(style, image_of(path), seed), "JPEG"))
            names |= {str(one.id): path.name for one in report.added}
        return [
            {"style": style, "query": path.name, "match": names[match.id], "kind": match.kind.value}
            for path in asked
            for match in collection.search(encoded(edit(style, image_of(path), seed), "JPEG"), limit=10)
            if match.kind in CLAIMS
        ]
