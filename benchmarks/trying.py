"""Edited copies searched for by `wherefrom.evaluate` and by peers, and pictures that are not there."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import wherefrom
from benchmarks.common import SHARED, say, spaced
from benchmarks.peers import PEERS
from wherefrom.evaluate.edits import encoded
from wherefrom.evaluate.sampling import Subject
from wherefrom.evaluate.suites import ATTEMPTS
from wherefrom.evaluate.trials import Trial
from wherefrom.evaluate.trying import QUALITY, Bench, Task, edited_source, source_of
from wherefrom.picture.decode import decode
from wherefrom.picture.limits import Limits
from wherefrom.records import digest_of, image_id
from wherefrom.search.answer import CLAIMS
from wherefrom.settings import load

RELATED = ("copies", "exif_orientation", "formats", "instances", "memes", "pairs")
"""Folders of published near-duplicates, views of one scene, one meme template: no unrelated pairs."""

HELD_OUT = 400
_SHARED_ORIGINALS = 300  # photographs from here on are held out
_BESIDE = 4  # held-out pictures that an edit may show beside the original


def usable(path: Path) -> bool:
    """Whether there is a picture in a file."""
    try:
        decode(path.read_bytes(), colour=False)
    except wherefrom.PictureError:
        return False
    return True


def id_of(path: Path) -> str:
    return image_id(hashlib.sha256(path.read_bytes()).digest())


def pictures(folder: Path, *, once: bool = True) -> list[Path]:
    """The pictures of a folder, sorted; files of the same bytes `once`."""
    found: dict[object, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name: object = id_of(path) if once else path
        if name not in found and usable(path):
            found[name] = path
    return list(found.values())


def related(one: str, other: str) -> bool:
    """Whether both are of the folders whose pictures repeat each other."""
    return all(any(f"/{name}/" in path for name in RELATED) for path in (one, other))


def parted(folder: Path, count: int) -> tuple[list[Path], list[Path], list[Path]]:
    """Originals, all that is indexed (originals too), and what is held out; each file's bytes once.

    Of the measuring set the photographs from the 301st on, the garments and some of the products are held
    out, of another folder the last third, at most 400.
    """
    files = pictures(folder)
    if folder == SHARED:
        photos = [path for path in files if "photos" in path.parts]
        candidates = photos[:_SHARED_ORIGINALS]
        held_out = photos[_SHARED_ORIGINALS:] + [path for path in files if "clothing" in path.parts]
        products = [path for path in files if "grocery" in path.parts]
        held_out += spaced(products, max(0, HELD_OUT - len(held_out)))
    else:
        kept = len(files) - min(HELD_OUT, len(files) // 3)
        candidates, held_out = files[:kept], files[kept:]
    left_out = set(held_out)
    return candidates[:count], [path for path in files if path not in left_out], held_out


def beside(held_out: Sequence[Path], number: int) -> list[str]:
    """Held-out pictures that edits of the original of that number may show beside it."""
    first = number * _BESIDE
    return [str(held_out[(first + step) % len(held_out)]) for step in range(_BESIDE)] if held_out else []


def task_of(engine: Any, path: Path, edits: Sequence[str], seed: int, others: Sequence[str] = ()) -> Task:
    """What `wherefrom.evaluate` is asked to do with an original."""
    name = id_of(path)
    (key,) = engine.keys_of([digest_of(name)]).values()
    return Task(Subject(key, name, path.resolve().as_uri(), str(path)), tuple(edits), seed, (), tuple(others))


def tried(bench: Bench, task: Task) -> tuple[Trial, ...]:
    """The trials of a task. Raises RuntimeError where one could not be tried."""
    outcome = bench.perform(task)
    if outcome.failed:
        raise RuntimeError(f"It could not be tried: {outcome.failed}")
    return outcome.trials


def first(trial: Trial) -> bool:
    """Whether the first claim is the original: recall@1 as a claim."""
    return trial.rank == 1


def wrong(trial: Trial) -> list[str]:
    """The ids that were claimed and are not the original."""
    return [claim.id for claim in trial.claims if claim.id != trial.original]


def shown(collection: wherefrom.Collection, name: str) -> str:
    """A name for an image: the end of a path."""
    seen = collection.get(name).sightings
    return "/".join(seen[0].uri.split("/")[-3:]) if seen else name


def stranger(collection: wherefrom.Collection, path: Path) -> tuple[list[dict[str, Any]], float]:
    """What is claimed of a picture that is not indexed, and the seconds that it took to say so."""
    start = time.perf_counter()
    answer = collection.search(path)
    seconds = time.perf_counter() - start
    return [
        {
            "query": "/".join(path.parts[-3:]),
            "match": shown(collection, match.id),
            "kind": match.kind.value,
            "score": match.score,
        }
        for match in answer
        if match.kind in CLAIMS
        and not any(related(path.as_posix(), sighting.uri) for sighting in match.sightings)
    ], seconds


# Work of several processes


class Asked(NamedTuple):
    """An original to be tried in one process, by Wherefrom and by some peers, if it is begun in time."""

    task: Task
    peers: tuple[str, ...] = ()
    until: float | None = None


class _Held:
    bench: Bench
    indexed: dict[str, Any]
    paths: Sequence[Path]


def begin(place: Path, features: dict[str, list[Any]], paths: Sequence[Path]) -> None:
    _Held.bench = Bench(str(place), load())
    _Held.indexed = {name: PEERS[name].stack(rows) for name, rows in features.items()}
    _Held.paths = paths


def image_of(path: Path) -> Image.Image:
    return source_of(path.read_bytes(), Limits()).image


def features_of(asked: tuple[Path, Sequence[str]]) -> dict[str, Any]:
    image = image_of(asked[0])
    return {name: PEERS[name].features(image) for name in asked[1]}


def original(asked: Asked) -> tuple[tuple[Trial, ...], list[dict[str, Any]]] | None:
    """All edits of an original: the trials, and what peers found for each; None when it is too late."""
    if asked.until is not None and time.time() > asked.until:
        return None
    task, limits = asked.task, _Held.bench.settings.limits
    trials, rows = tried(_Held.bench, task), []
    source = source_of(Path(task.subject.path or "").read_bytes(), limits) if asked.peers else None
    for trial in trials:
        row: dict[str, Any] = {"found": {}, "wrong": {}, "ms": {}}
        if source is not None:
            done = edited_source(ATTEMPTS[trial.edit], source, task.seed, task.beside, limits)
            query = Image.open(io.BytesIO(encoded(done.image, "JPEG", QUALITY))).convert("RGB")
            for name in asked.peers:
                start = time.perf_counter()
                near = PEERS[name].within(PEERS[name].features(query), _Held.indexed[name])
                row["ms"][name] = 1e3 * (time.perf_counter() - start)
                names = [str(_Held.paths[place]) for place in near]
                row["found"][name] = names[:1] == [task.subject.path]
                row["wrong"][name] = sum(other != task.subject.path for other in names)
        rows.append(row)
    return trials, rows


def nobody(path: Path) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """A picture that is not indexed: what Wherefrom claims, and how many each peer finds."""
    claims, _ = stranger(_Held.bench.collection, path)
    rows = features_of((path, list(_Held.indexed)))
    return claims, {name: len(PEERS[name].within(row, _Held.indexed[name])) for name, row in rows.items()}


@contextmanager
def working(place: Path, peers: Sequence[str], indexed: Sequence[Path], jobs: int = 0) -> Iterator[Any]:
    """A pool whose processes hold the collection and what the peers made of all that is indexed."""
    jobs, context = jobs or os.cpu_count() or 1, multiprocessing.get_context("spawn")
    features: dict[str, list[Any]] = {name: [] for name in peers}
    if peers:
        with context.Pool(jobs) as pool:
            for row in gathered(
                pool.imap(features_of, [(path, peers) for path in indexed], 4), "for the peers"
            ):
                for name in peers:
                    features[name].append(row[name])
    with context.Pool(jobs, begin, (place, features, indexed)) as pool:
        yield pool


def gathered(results: Iterator[Any], what: str) -> list[Any]:
    """What came, None left out; told of now and then."""
    start, done = time.monotonic(), []
    for result in results:
        if result is not None:
            done.append(result)
            if len(done) % 20 == 0:
                say(f"{len(done)} {what}, {time.monotonic() - start:.0f} s")
    return done
