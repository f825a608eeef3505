"""The quality gate: what a collection has to find, and each of its stages by itself, as a list of faults.

`faults` is all of it over a `Bed` of pictures, and gives sentences that say which part fell short and by how
much; none when all is well. Its four parts can be run alone: `search_faults` holds edited copies to the floor
of their edit, `stranger_faults` searches for pictures that are not there, `index_faults` asks each index by
itself for every picture, and `proof_faults` holds verification to pairs that are and are not one picture.

The parts look different faults up: an index that loses a picture in a hundred does not show in answers, which
have three indexes to come from, and does where each has to nominate every picture alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import wherefrom
from wherefrom.engine.base import Engine, WordQuery
from wherefrom.evaluate.edited import carried, corners
from wherefrom.evaluate.edits import edited, encoded
from wherefrom.features.embedding import embedder
from wherefrom.features.extract import KEYPOINTS
from wherefrom.features.fingerprint import QueryCode, query_codes
from wherefrom.features.keypoints import Keypoints, query_keypoints
from wherefrom.picture.decode import decode
from wherefrom.search import verify
from wherefrom.search.answer import CLAIMS, Kind, Match
from wherefrom.search.recall import recall
from wherefrom.settings import Settings

NOMINATED = 40  # images that a search looks at, by words and by likeness
PAIRS = 3  # other pictures that each is held against
SHOWN = 4  # pictures that a fault names

WHOLE = frozenset({Kind.SAME})
EDITED = frozenset({Kind.SAME, Kind.COPY})
COPY = frozenset({Kind.COPY})
PART = frozenset({Kind.PARTIAL})


class Floor(NamedTuple):
    """What is asked of one edit.

    `missed` of its trials may be missed; those found have a kind of `kinds`. `overlap` is the least median
    intersection over union of the area said to show the original with the true one; of the edits that were
    made at least the share `named` are named, and of those that are named at least `true` were made. None
    where nothing is asked.
    """

    kinds: frozenset[Kind]
    missed: int = 0
    overlap: float | None = 0.97
    named: float | None = 1.0
    true: float | None = 0.9


FLOORS: dict[str, Floor] = {
    "jpeg q10": Floor(WHOLE, named=0.8),
    "resize 25 %": Floor(WHOLE),
    "grey": Floor(EDITED, named=0.8),  # one of the photographs is grey to begin with
    "gamma 0.6": Floor(EDITED),
    "noise 20": Floor(EDITED),
    "blur 2": Floor(EDITED, named=0.7),
    "mirror": Floor(COPY),
    "turn 90": Floor(COPY),
    "negative": Floor(COPY),
    "border 10 % white": Floor(COPY),
    "letterbox 16:9": Floor(COPY),
    "rotate 15": Floor(COPY),
    "crop 70 %": Floor(COPY),
    "crop 50 %": Floor(COPY),
    "crop 30 %": Floor(COPY | PART, missed=1),
    "caption below": Floor(COPY),
    "text over": Floor(COPY, missed=1),
    "stickers": Floor(COPY),
    "screenshot 40 %": Floor(COPY | PART, named=0.8, true=0.8),
    "collage 25 %": Floor(PART),
    "photo of a screen": Floor(COPY | PART, missed=1, overlap=0.9, named=0.5, true=0.5),
    "three random edits": Floor(EDITED | PART, missed=1, named=0.6),
}


@dataclass(frozen=True, eq=False)
class Trial:
    """An edited copy as the bytes of a file, and the truth about it.

    `outline` is the true place of the original in it, float64 (n, 2) pixels, None where that is not known.
    """

    edit: str
    original: str
    data: bytes
    size: tuple[int, int]
    outline: NDArray[np.float64] | None
    names: frozenset[str]


@dataclass(frozen=True, eq=False)
class Probe:
    """One indexed picture, slightly recoded: what each index is asked, and the image that it has to name."""

    name: str
    digest: bytes
    size: tuple[int, int]
    codes: Sequence[QueryCode]
    keypoints: Keypoints
    vector: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bed:
    """What the gate runs over: files as (name, bytes), all of which but the strangers are indexed."""

    trials: Sequence[Trial]
    strangers: Sequence[tuple[str, bytes]]
    indexed: Sequence[tuple[str, bytes]]
    settings: Settings = field(default_factory=Settings)


def faults(
    collection: wherefrom.Collection, engine: Engine, bed: Bed, probes: Sequence[Probe] | None = None
) -> list[str]:
    """All that is wrong with how a collection searches; `engine` is that of the same collection.

    `probes` are those of all that is indexed, where they have been computed already.
    """
    probes = probes_of(bed.indexed, bed.settings) if probes is None else probes
    return [
        *search_faults(collection, bed.trials),
        *stranger_faults(collection, bed.strangers),
        *index_faults(engine, probes),
        *proof_faults(engine, probes),
    ]


# Answers


def trials_of(
    pictures: Sequence[tuple[str, bytes, Image.Image]], others: Sequence[Image.Image], edits: Iterable[str]
) -> list[Trial]:
    """Every edit of every picture (its name, the bytes of its file, its pixels), saved as JPEG."""
    found = []
    for number, (_, data, image) in enumerate(pictures):
        original = "sha256:" + hashlib.sha256(data).hexdigest()
        for name in edits:
            done = edited(name, image, number, others)
            outline = None if done.transform is None else carried(done.transform, corners(*image.size))
            query = encoded(done.image, "JPEG", 90)
            found.append(Trial(name, original, query, done.image.size, outline, done.names))
    return found


def search_faults(collection: wherefrom.Collection, trials: Sequence[Trial]) -> list[str]:
    """Where copies are missed, others claimed, or the evidence is not what was done to them."""
    found: list[str] = []
    for name in dict.fromkeys(trial.edit for trial in trials):
        some = [trial for trial in trials if trial.edit == name]
        found += _edit_faults(name, some, [_claims(collection, trial.data) for trial in some])
    return found


def stranger_faults(collection: wherefrom.Collection, strangers: Sequence[tuple[str, bytes]]) -> list[str]:
    """Pictures that are not in the collection, and are claimed to be."""
    claimed = [name for name, data in strangers if _claims(collection, data)]
    if not claimed:
        return []
    return [f"Held-out pictures: {len(claimed)} of {len(strangers)} claimed ({_some(claimed)})."]


def _claims(collection: wherefrom.Collection, data: bytes) -> list[Match]:
    return [match for match in collection.search(data, limit=10) if match.kind in CLAIMS]


def _edit_faults(name: str, trials: Sequence[Trial], answers: Sequence[list[Match]]) -> list[str]:
    floor, found = FLOORS[name], []
    pairs = list(zip(trials, answers, strict=True))
    hits = [(trial, claims[0]) for trial, claims in pairs if claims and claims[0].id == trial.original]
    missed = len(trials) - len(hits)
    if missed > floor.missed:
        found.append(
            f"Recall of {name}: {missed} of {len(trials)} copies missed; at most {floor.missed} may be."
        )
    wrong = sum(match.id != trial.original for trial, claims in pairs for match in claims)
    if wrong:
        found.append(f"Wrong claims for {name}: {wrong}; there may be none.")
    kinds = sorted({match.kind.value for _, match in hits if match.kind not in floor.kinds})
    if kinds:
        found.append(f"Kinds of {name}: {', '.join(kinds)} instead of {', '.join(sorted(floor.kinds))}.")
    areas = [_overlap(trial, match) for trial, match in hits if trial.outline is not None]
    if floor.overlap is not None and areas and median(areas) < floor.overlap:
        found.append(f"Areas of {name}: {median(areas):.2f} in the median, less than {floor.overlap}.")
    return found + _naming_faults(name, floor, hits)


def _naming_faults(name: str, floor: Floor, hits: Sequence[tuple[Trial, Match]]) -> list[str]:
    right = made = named = 0
    for trial, match in hits:
        names = {edit.name for edit in match.evidence.edits}
        if "scale" not in trial.names:
            names.discard("scale")  # by less than is counted as one
        right, made, named = right + len(names & trial.names), made + len(trial.names), named + len(names)
    found = []
    if floor.named is not None and made and right < floor.named * made:
        found.append(f"Named edits of {name}: {right} of {made}, less than {floor.named:.0%}.")
    if floor.true is not None and named and right < floor.true * named:
        found.append(f"Named edits of {name}: {named - right} of {named} were not made.")
    return found


def _overlap(trial: Trial, match: Match) -> float:
    """Intersection over union of the area that a match says shows the original with the true one."""
    area = match.evidence.query_area
    if trial.outline is None or not area:
        return 0.0
    grids = []
    for polygon in (trial.outline.tolist(), area):
        grid = Image.new("1", (256, 256))
        points = [(256 * x / trial.size[0] - 0.5, 256 * y / trial.size[1] - 0.5) for x, y in polygon]
        ImageDraw.Draw(grid).polygon(points, fill=1)
        grids.append(np.asarray(grid))
    return float((grids[0] & grids[1]).sum() / max(1, (grids[0] | grids[1]).sum()))


# Stages


def probes_of(files: Sequence[tuple[str, bytes]], settings: Settings) -> list[Probe]:
    """Probes for indexed files: a little smaller and saved again, with a query's features of that."""
    model = settings.recipe.model
    assert model is not None, "the gate looks at embeddings as well"
    found = []
    for name, data in files:
        picture = decode(recoded(data))
        codes, _ = query_codes(picture)
        height, width = picture.pixels.shape[:2]
        points = query_keypoints(picture)[0].keypoints
        vector = embedder(model).embed(picture).vector
        found.append(Probe(name, hashlib.sha256(data).digest(), (width, height), codes, points, vector))
    return found


def recoded(data: bytes) -> bytes:
    """A picture at 95 % of its size, as JPEG at quality 80."""
    picture = Image.fromarray(decode(data).pixels)
    size = round(0.95 * picture.width), round(0.95 * picture.height)
    return encoded(picture.resize(size, Image.Resampling.LANCZOS), "JPEG", 80)


def index_faults(engine: Engine, probes: Sequence[Probe]) -> list[str]:
    """Indexes that do not nominate every picture for a slightly recoded copy of it."""
    keys = engine.keys_of([probe.digest for probe in probes])
    lost = [probe.name for probe in probes if probe.digest not in keys]
    found = [f"Catalog: {len(lost)} of {len(probes)} pictures are not there ({_some(lost)})."] if lost else []
    asked: dict[str, Callable[[Probe], Iterable[int]]] = {
        "Fingerprint index": lambda probe: [one.key for one in recall(engine, probe.codes)],
        "Words index": lambda probe: [one.key for one in engine.near_words([_words(probe)], NOMINATED)],
        "Vectors index": lambda probe: [
            one.key for one in engine.near_vectors(probe.vector[None], NOMINATED)
        ],
    }
    for name, nominated in asked.items():
        missed = [probe.name for probe in probes if keys.get(probe.digest, -1) not in set(nominated(probe))]
        if missed:
            found.append(f"{name}: {len(missed)} of {len(probes)} pictures not nominated ({_some(missed)}).")
    return found


def proof_faults(engine: Engine, probes: Sequence[Probe]) -> list[str]:
    """Whether keypoints prove what is one picture, and nothing else."""
    keys = engine.keys_of([probe.digest for probe in probes])
    images = engine.images(list(keys.values()))
    points = {
        key: Keypoints.from_bytes(data) for key, data in engine.features(KEYPOINTS, list(images)).items()
    }

    def proven(probe: Probe, other: Probe) -> bool:
        key = keys[other.digest]
        size = images[key].width, images[key].height
        found = verify.verify(probe.keypoints, probe.size, points[key], size)
        return found is not None and verify.proves(found)

    here = [probe for probe in probes if probe.digest in keys]
    unproven = [probe.name for probe in here if not proven(probe, probe)]
    wrong = [
        probe.name
        for number, probe in enumerate(here)
        for step in range(1, PAIRS + 1)
        if proven(probe, here[(number + 7 * step) % len(here)])
    ]
    found = []
    if unproven:
        found.append(f"Verification: {len(unproven)} of {len(here)} copies not proven ({_some(unproven)}).")
    if wrong:
        pairs = PAIRS * len(here)
        found.append(f"Verification: {len(wrong)} of {pairs} unrelated pairs proven ({_some(wrong)}).")
    return found


def _words(probe: Probe) -> WordQuery:
    points = probe.keypoints
    return WordQuery(points.words, points.signatures, points.angles, points.scales)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
