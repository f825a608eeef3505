"""How good look-alikes are, and what copies only the embedding brings up.

Kinds: folders with a sub-folder for each kind (grocery and clothing of the measuring set). Each picture is
searched for among all others of its folder; precision@1, precision@10 and the mean average precision over the
whole ranking are of pictures of the same kind. Contenders: Wherefrom as it ranks; its vectors alone; the
network's last features averaged over the picture (the floor: what the same network gives without our work); a
colour histogram; the fingerprint. Then what each step takes, one thread. The shipped whitening has learnt
from these folders: `training/whitening.py --held-out` has figures for pictures that it does not know.

Copies: as in `copies`, the weakest edits, with embeddings and without: the same collection, opened by a
program that has no model. Walls: photographs as prints, on screens, and framed on a wall that is seen from
the side, searched for among all pictures.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

import wherefrom
from benchmarks.common import SHARED, say
from benchmarks.timing import middle
from benchmarks.trying import beside, first, id_of, parted, pictures, task_of, tried, wrong
from benchmarks.walls import ON_A_WALL
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.evaluate.trying import Bench
from wherefrom.features.embedding import dimension_of, embedder
from wherefrom.features.fingerprint import fingerprint
from wherefrom.features.palette import palette
from wherefrom.features.registry import versions_of
from wherefrom.models.session import open_session, prepared
from wherefrom.picture.decode import decode
from wherefrom.records import digest_of
from wherefrom.search.query import embedding_of
from wherefrom.search.similar import Wish, alike, folded
from wherefrom.settings import Settings, load

BARS = {"grocery": 0.62, "clothing": 0.75}
FOLDERS = [str(SHARED / name) for name in BARS]
WALL_BAR = 0.95
WEAKEST = (
    *("photo of a screen", "picture in picture 15 %", "three random edits", "crop 30 %", "screenshot 40 %"),
    *("collage 25 %", "swirl 60", "halftone 4"),
)
WALLS = ("photo of a print", "photo of a screen", ON_A_WALL)
TIMED = 100  # pictures whose steps are timed
_WARM = 5
Table = NDArray[np.float64]


def run(
    folders: Sequence[str] = FOLDERS,
    originals: int = 100,
    walls: int = 60,
    seed: int = 0,
    only: str = "",
) -> tuple[dict[str, Any], list[str]]:
    """`only` is kinds, copies or walls."""
    result: dict[str, Any] = {}
    if only in ("", "kinds"):
        homes = [Path(folder) for folder in folders]
        result["kinds"] = {home.name: kinds(home) for home in homes}
        result["steps_ms"] = steps([path for home in homes for path in pictures(home)])
    if only in ("", "copies", "walls"):
        chosen, indexed, held_out = parted(SHARED, originals)
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch) / "all.wherefrom"
            with wherefrom.open(place, create=True) as collection:
                collection.add(indexed)
                say(f"{len(collection)} pictures indexed")
            if only in ("", "copies"):
                result |= {"indexed": len(indexed), "originals": len(chosen)}
                result["copies"] = copies(place, chosen, held_out, seed)
            if only in ("", "walls"):
                with wherefrom.open(place) as collection:
                    collection.add(held_out)
                    result["among"] = len(collection)
                result["walls"] = on_walls(place, chosen[:walls], seed)
    low = [name for name, row in result.get("walls", {}).items() if row["recall"] < WALL_BAR]
    for name, part in result.get("kinds", {}).items():
        low += [name] if part["contenders"]["Wherefrom"]["p1"] < BARS.get(name, 0) else []
    return result, [f"{name} is below its bar" for name in low]


# Kinds


def kinds(folder: Path) -> dict[str, Any]:
    """How well each contender's rankings keep to the kinds of a folder."""
    paths = pictures(folder)
    names = [path.relative_to(folder).parts[0] for path in paths]
    truth = np.array([sorted(set(names)).index(name) for name in names])
    rankings = {"Wherefrom": by_wherefrom(paths), **compared(paths)}
    rows = {name: measured(similarity, truth) for name, similarity in rankings.items()}
    return {"pictures": len(paths), "kinds": len(set(names)), "contenders": rows}


def engine_of(place: Path, paths: Sequence[Path]) -> EmbeddedEngine:
    """The engine of a new collection of these pictures."""
    with wherefrom.open(place, create=True) as collection:
        collection.add(paths)
    card = load().card
    return EmbeddedEngine(place, versions=versions_of(card), dimension=dimension_of(card))


def by_wherefrom(paths: Sequence[Path]) -> Table:
    """float64 (n, n): how alike a search finds each pair, minus infinity where it does not find one."""
    settings = load()
    number = {digest_of(id_of(path)): place for place, path in enumerate(paths)}
    found = np.full((len(paths), len(paths)), -np.inf)
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(engine_of(Path(scratch) / "c.wherefrom", paths)) as engine,
    ):
        row = {key: number[digest] for digest, key in engine.keys_of(list(number)).items()}
        for asked, path in enumerate(paths):
            shown = embedding_of(path, settings)  # of the file, as a query is read
            for one in alike(engine, Wish([shown] if shown else []), len(paths)):
                found[asked, row[one.key]] = one.similarity
    return found


def compared(paths: Sequence[Path]) -> dict[str, Table]:
    """The same of the other contenders, by brute force."""
    model = load().recipe.model
    if model is None:
        sys.exit("There is no model to measure (the setting `model` is none).")
    session, vectors, raw, colours, codes = open_session(model.card, model.path), [], [], [], []
    for path in paths:
        picture = decode(path.read_bytes(), colour=True)
        pixels = in_colour(picture.pixels)
        vectors.append(embedder(model).embed(picture).vector)
        out = session.run(prepared(pixels, model.card))
        raw.append(out["features"][0].mean(axis=(1, 2)) if "features" in out else out["vector"][0])
        levels = (pixels.reshape(-1, 3) >> 5).astype(np.intp) @ (64, 8, 1)  # 8 of each colour
        colours.append(np.sqrt(np.bincount(levels, minlength=512) / len(levels)).astype(np.float32))
        codes.append(np.unpackbits(fingerprint(picture).code).astype(np.float64))
    bits = np.stack(codes)
    apart = bits @ (1 - bits).T
    return {
        "vectors alone": cosines(vectors),
        "raw pooled features": cosines(raw),
        "colour histogram": cosines(colours),
        "fingerprint": -(apart + apart.T),
    }


def in_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def cosines(rows: Sequence[NDArray[Any]]) -> Table:
    every = np.stack(rows).astype(np.float64)
    every /= np.maximum(np.linalg.norm(every, axis=1, keepdims=True), 1e-12)
    return np.asarray(every @ every.T)


def measured(similarity: Table, truth: NDArray[np.intp]) -> dict[str, float]:
    """Precision@1 and @10 and mean average precision; who has no other of its kind is not asked for."""
    rows = []
    for row, values in enumerate(similarity):
        others = np.delete(np.arange(len(truth)), row)
        same = truth[others[np.argsort(-values[others], kind="stable")]] == truth[row]
        if same.any():
            precision = np.cumsum(same) / np.arange(1, len(same) + 1)
            rows.append((same[0], same[:10].mean(), precision[same].mean()))
    return dict(zip(("p1", "p10", "map"), np.mean(rows, axis=0).tolist(), strict=True))


def steps(every: Sequence[Path]) -> dict[str, float]:
    """Medians in milliseconds over some pictures, one thread."""
    model = load().recipe.model
    if model is None:
        return {}
    paths = every[:: max(1, len(every) // TIMED)][:TIMED]
    network, session, card = embedder(model), open_session(model.card, model.path), model.card
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., Any], *given: Any) -> Any:
        start = time.perf_counter()
        done = work(*given)
        times.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
        return done

    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(engine_of(Path(scratch) / "c.wherefrom", every)) as engine,
    ):
        for path in [*paths[:_WARM], *paths]:
            data = path.read_bytes()
            timed("decode in luma", lambda data: decode(data, colour=False), data)
            picture = timed("decode in colour", lambda data: decode(data, colour=True), data)
            timed("network", session.run, timed("resize", prepared, in_colour(picture.pixels), card))
            shown = timed("embedding, all of it", network.embed, picture)
            timed("palette", palette, picture)
            timed("pack", shown.to_bytes)
            timed(
                "fold",
                folded,
                engine,
                timed(f"rank, among {len(every):,}", alike, engine, Wish([shown]), 20),
                20,
            )
    order = ("decode in luma", "decode in colour", "resize", "network", *times)
    return {name: middle(times[name][_WARM:]) for name in dict.fromkeys(order)}


# Copies, and pictures on walls


def copies(place: Path, originals: Sequence[Path], held_out: Sequence[Path], seed: int) -> dict[str, Any]:
    """Recall@1 as a claim, edit by edit, with embeddings and without."""
    whole = load()
    contenders = {"with": whole, "without": Settings(model="none", workers=whole.workers)}
    benches = {who: Bench(str(place), settings) for who, settings in contenders.items()}
    trials: dict[str, list[Any]] = {who: [] for who in benches}
    for number, path in enumerate(originals):
        for who, bench in benches.items():
            task = task_of(bench.engine, path, WEAKEST, seed + number, beside(held_out, number))
            trials[who] += tried(bench, task)
    for bench in benches.values():
        bench.close()
    times = {who: sorted(one.timings_ms["total"] for one in some) for who, some in trials.items()}
    return {
        "recall": {
            name: {who: mean(first(one) for one in some if one.edit == name) for who, some in trials.items()}
            for name in WEAKEST
        },
        "wrong": {who: sum(len(wrong(one)) for one in some) for who, some in trials.items()},
        "ms": {who: middle(some, 1) for who, some in times.items()},
        "slowest_ms": {who: round(some[int(0.95 * len(some))], 1) for who, some in times.items()},
    }


def on_walls(place: Path, originals: Sequence[Path], seed: int) -> dict[str, Any]:
    """In what share the picture comes first, as a claim."""
    with closing(Bench(str(place), load())) as bench:
        tasks = [task_of(bench.engine, path, WALLS, seed + n) for n, path in enumerate(originals)]
        trials = [trial for task in tasks for trial in tried(bench, task)]
    rows = {}
    for name in WALLS:
        some = [trial for trial in trials if trial.edit == name]
        missed = [Path(trial.uri).name for trial in some if not first(trial)]
        mistakes = sum(len(wrong(trial)) for trial in some)
        rows[name] = {"recall": 1 - len(missed) / len(some), "wrong": mistakes, "missed": missed}
    return rows
