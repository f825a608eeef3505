"""How many copies are found, edit by edit, beside peers on the same pictures in the same run.

    python benchmarks/copies.py [--folder DIR] [--originals 300] [--edits NAME ...] [--seed 0]
                                [--peers NAME ... | --no-peers] [--slow-originals 60] [--minutes N]
                                [--indexed N] [--held-out 400] [--styled 60] [--jobs N] [--json]

The first `--originals` photographs are edited by every edit of the suite (`wherefrom.evaluate.edits`; the
amounts are in the names), saved as JPEG at quality 90 and searched for among all pictures of the folder
but the held-out ones: the photographs from the 301st on, the garments, and some of the products, 400 in
all. Of a folder of one's own the last third is held out, at most 400. Edits that show several pictures
show held-out ones beside the original.

Recall@1 as a claim: the first match that is a claim (identical, same, copy, partial) is the original; for
a peer, the nearest picture is the original and within the peer's usual threshold. Files of the same bytes
are one picture. A wrong claim is a claim, or a picture within the threshold, that is not the original.
Peers that take long are tried on the first `--slow-originals` alone.

Where the truth is known, Wherefrom's evidence is held to it: the area of the query that shows the original
(intersection over union with the original's outline as the edit moved it), and the names of the edits. A
change of size is expected to be named above 5 %, and ignored below.

False claims: the held-out pictures as they are; and pictures that share a style and nothing else, where
both were given the same caption, watermark, text or app around them, one indexed and the other searched.

Exit code 1 when an edit is below its bar or an unrelated picture is claimed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

import wherefrom
from common import SHARED, say
from copies_report import medians, show, summed, summed_strangers
from peers import PEERS, Peer
from recall import CLAIMS, RELATED, spread, usable
from wherefrom.evaluate.edits import BARS, EDITS, SUITE, edited, encoded
from wherefrom.evaluate.suites import ATTEMPTS
from wherefrom.evaluate.truth import held_to_truth

HELD_OUT = 400
SHARED_ORIGINALS = 300  # photographs from here on are held out
BESIDE = 4  # held-out pictures that an edit may show beside the original
STYLES = ("caption above", "caption below", "text over", "watermark", "screenshot 40 %", "photo of a screen")
STYLED = 60  # pictures of each style, indexed and searched for


def main() -> int:
    options = arguments()
    originals, indexed, held_out = parted(options.folder, options.originals)
    first = set(originals)
    others = spread([path for path in indexed if path not in first], max(0, options.indexed - len(first)))
    indexed, held_out = [*originals, *others], spread(held_out, options.held_out)
    names = options.edits or list(SUITE)
    peers = [] if options.no_peers else [one for one in options.peers or PEERS if there(one)]
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        with wherefrom.open(place / "all.wherefrom", create=True) as collection:
            report = collection.add(indexed)
            count = len(collection)
        say(f"{count} pictures indexed in {report.seconds:.0f} s; {len(report.failed)} failed")
        with working(options.jobs, place / "all.wherefrom", peers, indexed) as pool:
            work = [
                Task(
                    path,
                    names,
                    options.seed + number,
                    beside(held_out, number),
                    [peer for peer in peers if number < options.slow_originals or not PEERS[peer].slow],
                )
                for number, path in enumerate(originals)
            ]
            until = time.time() + 60 * options.minutes if options.minutes else None
            # As many as are tried at once are tried whatever the time.
            asked = ((task, until if number >= options.jobs else None) for number, task in enumerate(work))
            trials = gathered(pool.imap_unordered(try_in_time, asked), len(work), "originals")
            unrelated = gathered(pool.imap_unordered(try_stranger, held_out), len(held_out), "held out")
        styled = [
            claim
            for style in STYLES
            for claim in style_claims(
                place, style, originals[: options.styled], held_out[: options.styled], options
            )
        ]
    result: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "indexed": count,
        "originals": len(trials),
        "slow_originals": min(options.slow_originals, len(originals)),
        "held_out": len(held_out),
        "seed": options.seed,
        "contenders": ["wherefrom", *peers],
        "edits": summed(trials, names),
        "unrelated": summed_strangers(unrelated, ["wherefrom", *peers]),
        "styles": styled,
        "ms_per_query": medians(trials),
        "usual": {one: PEERS[one].usual for one in peers},
        "slow": [one for one in peers if PEERS[one].slow],
        "wrong": [wrong for trial in trials for wrong in trial["wrong_claims"]],
    }
    print(json.dumps(result)) if options.json else show(result)
    rows = result["edits"]
    below = [name for name, bar in BARS.items() if name in rows and rows[name]["recall"]["wherefrom"] < bar]
    false = any(style["claims"] for style in styled) or result["unrelated"]["wherefrom"]["claims"]
    return int(bool(below or false))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=SHARED)
    parser.add_argument("--originals", type=int, default=SHARED_ORIGINALS)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--edits", action="append", choices=list(EDITS), metavar="NAME")
    choice.add_argument("--suite", action="store_true", help="every edit of the suite (the default)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", action="append", choices=list(PEERS), help="these peers alone")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--slow-originals", type=int, default=60)
    parser.add_argument("--indexed", type=int, default=10**9, help="pictures, the originals among them")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="pictures searched for in vain")
    parser.add_argument("--styled", type=int, default=STYLED, help="pictures of each style")
    parser.add_argument("--minutes", type=float, help="begin no original after so long; those done count")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def there(peer: str) -> bool:
    """Whether a peer is installed; says when it is not."""
    try:
        PEERS[peer]().features(Image.effect_noise((64, 64), 60).convert("RGB"))
    except ImportError:
        say(f"{peer} is not installed (benchmarks/requirements.txt): it is left out")
        return False
    return True


def gathered(results: Iterator[Any], total: int, what: str) -> list[Any]:
    start, done = time.monotonic(), []
    for result in results:
        if result is None:
            continue
        done.append(result)
        if len(done) % 20 == 0 or len(done) == total:
            say(f"{len(done)} of {total} {what}, {time.monotonic() - start:.0f} s")
    return done


# Pictures


def parted(folder: Path, count: int) -> tuple[list[Path], list[Path], list[Path]]:
    """Originals, all that is indexed (originals too), and what is held out; each file's bytes once."""
    seen: set[bytes] = set()
    files = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in seen and usable(path):
            seen.add(digest)
            files.append(path)
    if folder == SHARED:
        photos = [path for path in files if "photos" in path.parts]
        candidates = photos[:SHARED_ORIGINALS]
        held_out = photos[SHARED_ORIGINALS:] + [path for path in files if "clothing" in path.parts]
        products = [path for path in files if "grocery" in path.parts]
        held_out += spread(products, max(0, HELD_OUT - len(held_out)))
    else:
        kept = len(files) - min(HELD_OUT, len(files) // 3)
        candidates, held_out = files[:kept], files[kept:]
    left_out = set(held_out)
    return candidates[:count], [path for path in files if path not in left_out], held_out


def beside(held_out: Sequence[Path], number: int) -> list[Path]:
    return [held_out[(number * BESIDE + step) % len(held_out)] for step in range(BESIDE)] if held_out else []


def upright(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return image.convert("RGB")


# Work of the processes


class Bench:
    """What a working process holds: the collection, open to read, and the peers' features."""

    collection: wherefrom.Collection
    peers: dict[str, Peer]
    indexed: list[Path]


def begin(place: Path, features: dict[str, list[Any]], indexed: list[Path]) -> None:
    Bench.collection = wherefrom.open(place)
    Bench.peers = {}
    for name, rows in features.items():
        Bench.peers[name] = PEERS[name]()
        Bench.peers[name].index(rows)
    Bench.indexed = indexed


def features_of(task: tuple[Path, list[str]]) -> dict[str, Any]:
    path, names = task
    image = upright(path)
    return {name: PEERS[name]().features(image) for name in names}


@contextlib.contextmanager
def working(jobs: int, place: Path, peers: list[str], indexed: list[Path]) -> Iterator[Any]:
    """A pool whose processes hold the collection and the peers' indexes, of what the peers can read."""
    context = multiprocessing.get_context("spawn")
    features: dict[str, list[Any]] = {name: [] for name in peers}
    readable = [path for path in indexed if opens(path)]
    if peers:
        with context.Pool(jobs) as pool:
            tasks = [(path, peers) for path in readable]
            for row in gathered(pool.imap(features_of, tasks, 4), len(tasks), "pictures for the peers"):
                for name in peers:
                    features[name].append(row[name])
    with context.Pool(jobs, begin, (place, features, readable)) as pool:
        yield pool


def opens(path: Path) -> bool:
    """Whether Pillow alone reads it, which is what the peers are given."""
    try:
        upright(path)
    except OSError:
        return False
    return True


class Task(NamedTuple):
    """One original, to be tried in one process."""

    path: Path
    edits: list[str]
    seed: int
    beside: list[Path]
    peers: list[str]


def try_in_time(asked: tuple[Task, float | None]) -> dict[str, Any] | None:
    """As `try_original`; None once the time is over."""
    task, until = asked
    return None if until is not None and time.time() > until else try_original(task)


def try_original(task: Task) -> dict[str, Any]:
    """All edits of one original, searched for by all contenders."""
    path = task.path
    image, others = upright(path), [upright(other) for other in task.beside]
    wanted = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    edits: dict[str, Any] = {}
    times: dict[str, list[float]] = defaultdict(list)
    wrong: list[dict[str, Any]] = []
    for name in task.edits:
        done = edited(name, image, task.seed, others)
        data = encoded(done.image, "JPEG", 90)
        start = time.perf_counter()
        answer = Bench.collection.search(data, limit=10)
        times["wherefrom"].append(time.perf_counter() - start)
        claims = [match for match in answer if match.kind in CLAIMS]
        found = bool(claims) and claims[0].id == wanted
        row: dict[str, Any] = {"found": {"wherefrom": found}}
        row["wrong"] = {"wherefrom": sum(match.id != wanted for match in claims)}
        wrong += [
            {"edit": name, "original": path.name, "match": file_of(match), "kind": match.kind.value}
            for match in claims
            if match.id != wanted
        ]
        if found:
            held = held_to_truth(image.size, done, claims[0], covered=ATTEMPTS[name].covered)
            row |= {"expected": list(held.expected), "named": list(held.named)}
            row |= {} if held.overlap is None else {"overlap": held.overlap}
        with Image.open(io.BytesIO(data)) as opened:
            query = opened.convert("RGB")
        for peer in task.peers:
            engine = Bench.peers[peer]
            start = time.perf_counter()
            near = [Bench.indexed[place] for place in engine.within(engine.features(query))]
            times[peer].append(time.perf_counter() - start)
            row["found"][peer] = bool(near) and near[0] == path
            row["wrong"][peer] = sum(other != path for other in near)
        edits[name] = row
    return {"original": path.name, "edits": edits, "times": dict(times), "wrong_claims": wrong}


def file_of(match: wherefrom.Match) -> str:
    return "/".join(match.sightings[0].uri.split("/")[-2:]) if match.sightings else match.id


def try_stranger(path: Path) -> dict[str, Any]:
    """A picture that is not indexed: who claims to know it."""
    claims = [
        {"query": "/".join(path.parts[-2:]), "match": file_of(match), "kind": match.kind.value}
        for match in Bench.collection.search(path, limit=10)
        if match.kind in CLAIMS and not both_repeat(path, match)
    ]
    counts = {"wherefrom": len(claims)}
    if opens(path):
        image = upright(path)
        for peer, engine in Bench.peers.items():
            counts[peer] = len(engine.within(engine.features(image)))
    return {"counts": counts, "claims": claims}


def both_repeat(path: Path, match: wherefrom.Match) -> bool:
    """Whether both are of the folders whose pictures repeat each other."""
    uris = [sighting.uri for sighting in match.sightings]
    return bool(set(RELATED) & set(path.parts)) and any(
        f"/{name}/" in uri for name in RELATED for uri in uris
    )


def style_claims(
    place: Path, style: str, kept: Sequence[Path], asked: Sequence[Path], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Pictures of one style against others of the same: one row of what was claimed."""
    folder = place / f"style {STYLES.index(style)}"
    folder.mkdir()
    for path in kept:
        (folder / f"{path.stem}.jpg").write_bytes(encoded(styled(style, path, options.seed), "JPEG"))
    claims = []
    with wherefrom.open(folder / "style.wherefrom", create=True) as collection:
        collection.add(sorted(folder.glob("*.jpg")))
        for path in asked:
            answer = collection.search(encoded(styled(style, path, options.seed), "JPEG"), limit=10)
            claims += [
                {
                    "style": style,
                    "query": path.name,
                    "match": file_of(match).split("/")[-1],
                    "kind": match.kind.value,
                }
                for match in answer
                if match.kind in CLAIMS
            ]
    say(f"style {style}: {len(claims)} claims")
    return [{"style": style, "indexed": len(kept), "searched": len(asked), "claims": claims}]


def styled(style: str, path: Path, seed: int) -> Image.Image:
    """The same seed for every picture gives every picture the same words and the same app."""
    return edited(style, upright(path), seed).image


if __name__ == "__main__":
    sys.exit(main())
