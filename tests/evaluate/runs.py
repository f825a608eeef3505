"""What tests of the report share: trials and alarms made by chance, without a picture."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from wherefrom.evaluate.trials import Alarm, Claim, Facts, FalseClaim, Skip, Trial

NAMES = ("crop", "mirror", "tone", "grey")
KINDS = ("same", "copy", "partial")
SCORES = (95.0, 96.5, 98.2, 99.0, 99.4, 99.9, 100.0)
EDITS = {
    "crop 90 %": ("crop", 0.9),
    "crop 50 %": ("crop", 0.5),
    "crop 30 %": ("crop", 0.3),
    "jpeg q50": ("jpeg", 50.0),
    "jpeg q10": ("jpeg", 10.0),
    "mirror": ("flip", None),
}


def image_id(number: int) -> str:
    return f"sha256:{number:064x}"


_ids = st.integers(0, 5).map(image_id)
_claims = st.lists(
    st.builds(Claim, _ids, st.sampled_from(KINDS), st.sampled_from(SCORES)),
    max_size=4,
    unique_by=lambda claim: claim.id,
).map(lambda claims: tuple(sorted(claims, key=lambda claim: -claim.score)))
_names = st.sets(st.sampled_from(NAMES)).map(lambda names: tuple(sorted(names)))
_times = st.dictionaries(st.sampled_from(("recall", "verify", "total")), st.floats(0, 1e4), max_size=3)


def _trial(edit: str, original: str, **rest: Any) -> Trial:
    family, strength = EDITS[edit]
    return Trial(original, "file:///p/a.jpg", edit, family, strength, 0, **rest)


trials = st.lists(
    st.builds(
        _trial,
        st.sampled_from(sorted(EDITS)),
        _ids,
        claims=_claims,
        kind_expected=st.sets(st.sampled_from(KINDS), min_size=1).map(lambda kinds: tuple(sorted(kinds))),
        expected=_names,
        named=_names,
        timings_ms=_times,
        related=st.sets(_ids, max_size=2).map(lambda ids: tuple(sorted(ids))),
        overlap=st.none() | st.floats(0, 1),
    ),
    max_size=12,
)
alarms = st.lists(
    st.builds(
        Alarm,
        st.just("file:///p/held.jpg"),
        st.just(image_id(99)),
        st.lists(
            st.builds(FalseClaim, _ids, st.just("file:///p/b.jpg"), st.just("copy"), st.sampled_from(SCORES)),
            max_size=2,
        ).map(tuple),
        timings_ms=_times,
    ),
    max_size=5,
)


def facts(**changed: Any) -> Facts:
    known: dict[str, Any] = {
        "version": "0.4.0",
        "seed": 7,
        "suite": "default",
        "source": "photos.wherefrom",
        "images": 1240,
        "sampled": 40,
        "held_out": 60,
        "blank": 1,
        "skipped": (Skip("file:///p/torn.jpg", "The file ends before the picture does."),),
        "edits": dict.fromkeys(EDITS, 40),
        "settings": {"keypoints": 500},
        "features": {"fingerprint": "pdq-2", "keypoints": "sift-3"},
        "bytes": {"catalog": 4_100_000, "words": 700_000, "fingerprints": 90_000},
        "started": "2026-11-20T10:00:00Z",
        "seconds": 312.5,
        "machine": {"cores": 2, "processor": "a processor"},
    }
    return Facts(**(known | changed))


def run(
    seed: int = 0,
    *,
    originals: int = 40,
    strangers: int = 60,
    misses: float = 0.1,
    edits: Sequence[str] = tuple(EDITS),
    wrong: float = 0.0,
) -> tuple[list[Trial], list[Alarm]]:
    """A run in which the share `misses` of trials finds nothing, and `wrong` of the strangers something."""
    chance = random.Random(seed)
    made = []
    for edit in edits:
        family, strength = EDITS[edit]
        for number in range(originals):
            original = image_id(number)
            found = chance.random() >= misses
            score = round(chance.uniform(96, 99.9), 1)
            times = {stage: chance.uniform(1, 40) for stage in ("decode", "features", "recall", "verify")}
            made.append(
                Trial(
                    original,
                    f"file:///p/{number}.jpg",
                    edit,
                    family,
                    strength,
                    seed,
                    (Claim(original, "copy", score),) if found else (),
                    1 if found else None,
                    ("copy", "same"),
                    chance.uniform(0.8, 1) if found else None,
                    None,
                    ("crop",),
                    ("crop",) if found else (),
                    times | {"total": sum(times.values())},
                    (),
                    None if found else {"recall": "Not among the candidates."},
                )
            )
    held = []
    for number in range(strangers):
        false = (FalseClaim(image_id(3), "file:///p/3.jpg", "copy", 96.1),)
        claims = false if chance.random() < wrong else ()
        held.append(Alarm(f"file:///q/{number}.jpg", image_id(1000 + number), claims, {"total": 20.0}))
    return made, held
