"""How good look-alikes are, and what copies only the embedding brings up.

    python benchmarks/similar.py [--folder DIR ...] [--originals 100] [--walls 60] [--seed 0]
                                 [--only kinds|walls|copies] [--json]

Kinds: folders with a sub-folder for each kind (grocery and clothing of the measuring set unless others are
named). Each picture is searched for among all others of its folder; precision@1, precision@10 and the mean
average precision over the whole ranking are of pictures of the same kind. Contenders: Wherefrom as it ranks;
its vectors alone; the network's last features averaged over the picture (the floor: what the same network
gives without our work); a colour histogram; the fingerprint. Then what each step takes, one thread. The
folders of the measuring set are those that the shipped whitening has learnt from, so that the first two
contenders know them: `training/whitening.py --held-out` has figures for pictures that they do not know.

Copies: the first `--originals` photographs are edited, saved as JPEG at quality 90 and searched for among all
pictures but the held-out ones (as in `copies.py`), with embeddings and without: the same collection, opened
by a program that has no model. Recall@1 as a claim.

Walls: `--walls` of the photographs, framed and hung on a wall that is seen from the side, as prints and on
screens, searched for among all pictures. It counts when the first match is the original and a claim.

Exit code 1 when below what is asked: grocery 0.62 and clothing 0.75 of precision@1, walls 0.95.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import wherefrom
from common import SHARED, say
from copies import beside, parted, upright
from copies_report import row_of
from recall import CLAIMS, usable
from walls import hung
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.evaluate.edits import EDITS, edit, encoded
from wherefrom.features.embedding import dimension_of, embedder
from wherefrom.features.extract import EMBEDDING
from wherefrom.features.fingerprint import fingerprint
from wherefrom.features.palette import palette
from wherefrom.features.registry import versions_of
from wherefrom.models.session import open_session, prepared
from wherefrom.picture.decode import decode
from wherefrom.search.query import embedding_of
from wherefrom.search.similar import Wish, alike, folded
from wherefrom.settings import load

Floats = NDArray[np.float32]

BARS = {"grocery": 0.62, "clothing": 0.75}
WALL_BAR = 0.95
WEAKEST = (
    "photo of a screen",
    "picture in picture 15 %",
    "three random edits",
    "crop 30 %",
    "screenshot 40 %",
    "collage 25 %",
    "swirl 60",
    "halftone 4",
)
WALL_EDITS = ("photo of a print", "photo of a screen")
ON_A_WALL = "framed on a wall"
TIMED = 100  # pictures whose steps are timed


def main() -> int:
    options = arguments()
    result: dict[str, Any] = {}
    if options.only in (None, "kinds"):
        folders = options.folder or [SHARED / name for name in BARS]
        result["kinds"] = {folder.name: kinds(folder) for folder in folders}
        result["steps_ms"] = steps(folders)
    if options.only in (None, "copies", "walls"):
        result |= copies_and_walls(options)
    print(json.dumps(result)) if options.json else show(result)
    below = [
        name
        for name, rows in result.get("kinds", {}).items()
        if rows["contenders"]["Wherefrom"]["p1"] < BARS.get(name, 0)
    ]
    below += [name for name, row in result.get("walls", {}).items() if row["recall"] < WALL_BAR]
    for name in below:
        say(f"below the bar: {name}")
    return int(bool(below))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, action="append", help="a sub-folder for each kind in it")
    parser.add_argument("--originals", type=int, default=100)
    parser.add_argument("--walls", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("kinds", "copies", "walls"))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


# Kinds


def kinds(folder: Path) -> dict[str, Any]:
    """How well each contender's rankings keep to the kinds of a folder."""
    paths = distinct(folder.rglob("*"))
    names = [path.relative_to(folder).parts[0] for path in paths]
    truth = np.array([sorted(set(names)).index(name) for name in names])
    similarities = {"Wherefrom": by_wherefrom(paths), **compared(paths)}
    rows = {name: measured(similarity, truth) for name, similarity in similarities.items()}
    return {"pictures": len(paths), "kinds": len(set(names)), "contenders": rows}


def distinct(paths: Iterable[Path]) -> list[Path]:
    """The pictures among these, files of the same bytes once."""
    found: dict[bytes, Path] = {}
    for path in sorted(path for path in paths if path.is_file()):
        if usable(path):
            found.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
    return list(found.values())


def by_wherefrom(paths: Sequence[Path]) -> NDArray[np.float64]:
    """float64 (n, n): how alike a search finds each pair, minus infinity where it does not find one."""
    settings = load()
    card = settings.card
    number = {path.resolve().as_uri(): place for place, path in enumerate(paths)}
    found = np.full((len(paths), len(paths)), -np.inf)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "c.wherefrom"
        with wherefrom.open(place, create=True) as collection:
            collection.add(paths)
        with closing(
            EmbeddedEngine(place, versions=versions_of(card), dimension=dimension_of(card))
        ) as engine:
            keys = [key for some, _ in engine.table(EMBEDDING) for key in some.tolist()]
            row = {key: number[image.sightings[0].uri] for key, image in engine.images(keys).items()}
            for asked, path in enumerate(paths):
                shown = embedding_of(path, settings)  # of the file, as a query is read
                for one in alike(engine, Wish([shown] if shown else []), len(paths)):
                    found[asked, row[one.key]] = one.similarity
    return found


def compared(paths: Sequence[Path]) -> dict[str, NDArray[np.float64]]:
    """The same of the other contenders, by brute force."""
    model = load().recipe.model
    if model is None:
        sys.exit("There is no model to measure (the setting `model` is none).")
    session = open_session(model.card, model.path)
    vectors, raw, colours, codes = [], [], [], []
    for path in paths:
        picture = decode(path.read_bytes(), colour=True)
        pixels = in_colour(picture.pixels)
        vectors.append(embedder(model).embed(picture).vector)
        out = session.run(prepared(pixels, model.card))
        raw.append(out["features"][0].mean(axis=(1, 2)) if "features" in out else out["vector"][0])
        colours.append(histogram(pixels))
        codes.append(np.unpackbits(fingerprint(picture).code).astype(np.float64))
    bits = np.stack(codes)
    apart = bits @ (1 - bits).T
    return {
        "vectors alone": cosines(vectors),
        "raw pooled features": cosines(raw),
        "colour histogram": cosines([np.sqrt(one) for one in colours]),
        "fingerprint": -(apart + apart.T),
    }


def in_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def histogram(pixels: NDArray[np.uint8]) -> Floats:
    """Shares of 8 levels of red, green and blue each, float32 (512,)."""
    levels = (pixels.reshape(-1, 3) >> 5).astype(np.intp)
    cells = levels[:, 0] << 6 | levels[:, 1] << 3 | levels[:, 2]
    return (np.bincount(cells, minlength=512) / len(cells)).astype(np.float32)


def cosines(rows: Sequence[Floats]) -> NDArray[np.float64]:
    every = np.stack(rows).astype(np.float64)
    every /= np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12)
    return every @ every.T


def measured(similarity: NDArray[np.float64], truth: NDArray[np.intp]) -> dict[str, float]:
    """Precision@1 and @10 and mean average precision, each picture against all others.

    A picture without another of its kind is not asked for.
    """
    first, ten, average = [], [], []
    for row, values in enumerate(similarity):
        others = np.delete(np.arange(len(truth)), row)
        order = others[np.argsort(-values[others], kind="stable")]
        same = truth[order] == truth[row]
        if not same.any():
            continue
        precision = np.cumsum(same) / np.arange(1, len(same) + 1)
        first.append(same[0])
        ten.append(same[:10].mean())
        average.append(precision[same].mean())
    return {name: float(np.mean(part)) for name, part in (("p1", first), ("p10", ten), ("map", average))}


# What each step takes


def steps(folders: Sequence[Path]) -> dict[str, float]:
    """Medians in milliseconds over some pictures, one thread."""
    model = load().recipe.model
    if model is None:
        return {}
    paths = [path for folder in folders for path in distinct(folder.rglob("*"))]
    paths = paths[:: max(1, len(paths) // TIMED)][:TIMED]
    network = embedder(model)
    session = open_session(model.card, model.path)
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        done = work()
        times.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
        return done

    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "c.wherefrom"
        with wherefrom.open(place, create=True) as collection:
            collection.add([path for folder in folders for path in distinct(folder.rglob("*"))])
            count = len(collection)
        card = model.card
        with closing(
            EmbeddedEngine(place, versions=versions_of(card), dimension=dimension_of(card))
        ) as engine:
            for path in [*paths[:5], *paths]:
                data = path.read_bytes()
                timed("decode in luma", lambda data=data: decode(data, colour=False))
                picture = timed("decode in colour", lambda data=data: decode(data, colour=True))
                batch = timed("resize", lambda p=picture: prepared(in_colour(p.pixels), card))
                timed("network", lambda b=batch: session.run(b))
                shown = timed("embedding, all of it", lambda p=picture: network.embed(p))
                timed("palette", lambda p=picture: palette(p))
                timed("pack", shown.to_bytes)
                found = timed(f"rank, among {count:,}", lambda s=shown: alike(engine, Wish([s]), 20))
                timed("fold", lambda f=found: folded(engine, f, 20))
    return {name: round(median(values[5:]), 2) for name, values in times.items()}


# Copies, and pictures on walls


def copies_and_walls(options: argparse.Namespace) -> dict[str, Any]:
    originals, indexed, held_out = parted(SHARED, options.originals)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "all.wherefrom"
        with wherefrom.open(place, create=True) as collection:
            collection.add(indexed)
            say(f"{len(collection)} pictures indexed")
        if options.only in (None, "copies"):
            result["indexed"] = len(indexed)
            result["originals"] = len(originals)
            result["copies"] = copies(place, originals, held_out, options.seed)
        if options.only in (None, "walls"):
            with wherefrom.open(place) as collection:
                collection.add(held_out)
                result["among"] = len(collection)
                result["walls"] = walls(collection, originals[: options.walls], options.seed)
    return result


def copies(place: Path, originals: Sequence[Path], held_out: Sequence[Path], seed: int) -> dict[str, Any]:
    """Recall@1 as a claim, edit by edit, with embeddings and without."""
    settings = load()
    contenders = {"with": settings, "without": wherefrom.Settings(model="none", workers=settings.workers)}
    found: dict[str, dict[str, list[bool]]] = {}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    wrong = dict.fromkeys(contenders, 0)
    opened = {name: wherefrom.open(place, settings=one) for name, one in contenders.items()}
    for number, path in enumerate(originals):
        image, others = upright(path), [upright(other) for other in beside(held_out, number)]
        for name in WEAKEST:
            data = encoded(edit(name, image, seed + number, others), "JPEG", 90)
            for who, collection in opened.items():
                start = time.perf_counter()
                answer = collection.search(data, limit=10)
                times[who].append(time.perf_counter() - start)
                claims = [match.id for match in answer if match.kind in CLAIMS]
                found.setdefault(name, {}).setdefault(who, []).append(claims[:1] == [id_of(path)])
                wrong[who] += sum(one != id_of(path) for one in claims)
        if number % 20 == 19:
            say(f"{number + 1} of {len(originals)} originals")
    for collection in opened.values():
        collection.close()
    return {
        "recall": {name: {who: mean(row) for who, row in rows.items()} for name, rows in found.items()},
        "wrong": wrong,
        "ms": {who: round(1e3 * median(values), 1) for who, values in times.items()},
        "slowest_ms": {
            who: round(1e3 * sorted(values)[int(0.95 * len(values))], 1) for who, values in times.items()
        },
    }


def walls(collection: wherefrom.Collection, originals: Sequence[Path], seed: int) -> dict[str, Any]:
    """In what share the picture comes first, as a claim."""
    rows = {}
    for name in (*WALL_EDITS, ON_A_WALL):
        hits, wrong, missed = 0, 0, []
        for number, path in enumerate(originals):
            image = upright(path)
            random = np.random.default_rng([seed, number])
            done = edit(name, image, seed + number) if name in EDITS else hung(image, random)
            matches = list(collection.search(encoded(done, "JPEG", 90), limit=10))
            right = bool(matches) and matches[0].id == id_of(path) and matches[0].kind in CLAIMS
            hits += right
            wrong += sum(match.id != id_of(path) for match in matches)
            missed += [] if right else [path.name]
        rows[name] = {"recall": hits / len(originals), "wrong": wrong, "missed": missed}
        say(f"{name}: {hits} of {len(originals)}")
    return rows


def id_of(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


# Tables


def show(result: dict[str, Any]) -> None:
    if "kinds" in result:
        titles = [
            f"{name} ({row['pictures']} of {row['kinds']} kinds)" for name, row in result["kinds"].items()
        ]
        print("Precision@1, @10, mean average precision:\n")
        row_of("", *titles)
        row_of("---", *["---"] * len(titles))
        folders = list(result["kinds"].values())
        for name in folders[0]["contenders"]:
            cells = [folder["contenders"][name] for folder in folders]
            row_of(name, *(f"{one['p1']:.3f}, {one['p10']:.3f}, {one['map']:.3f}" for one in cells))
        print("\nWhat each step takes, median ms, one thread:\n")
        row_of("step", "ms")
        row_of("---", "---")
        for name, value in result["steps_ms"].items():
            row_of(name, f"{value:.2f}")
    if "copies" in result:
        found = result["copies"]
        print(f"\n{result['originals']} originals among {result['indexed']}, recall@1 as a claim:\n")
        row_of("edit", "with embeddings", "without")
        row_of(*["---"] * 3)
        for name, row in found["recall"].items():
            row_of(name, f"{row['with']:.3f}", f"{row['without']:.3f}")
        row_of("wrong claims", found["wrong"]["with"], found["wrong"]["without"])
        row_of("median ms a query", found["ms"]["with"], found["ms"]["without"])
        row_of("95 % within, ms", found["slowest_ms"]["with"], found["slowest_ms"]["without"])
    if "walls" in result:
        print(f"\nOn walls and screens, among {result['among']}:\n")
        row_of("", "first, as a claim", "wrong claims")
        row_of(*["---"] * 3)
        for name, row in result["walls"].items():
            row_of(name, f"{row['recall']:.3f}", row["wrong"])


if __name__ == "__main__":
    sys.exit(main())
