"""Answers in the JSON that all faces share, for mappings to be tried on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wherefrom.search.answer import Answer, Edit, Evidence, Kind, Match, QueryFacts

# isort: split
from wherefrom.models.labels import Label
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image, Sighting

Json = dict[str, Any]


def sighting(
    uri: str,
    page: str | None = None,
    title: str | None = None,
    day: str = "2026-03-04",
    *,
    gone: bool = False,
) -> Sighting:
    return Sighting(uri, page, title, None, f"{day}T10:00:00Z", "2026-11-20T10:00:00Z", day if gone else None)


def match(
    number: int = 0,
    kind: str = "same",
    score: float = 99.0,
    *sightings: Sighting,
    size: tuple[int, int] = (400, 300),
    coverage: tuple[float | None, float | None] = (1.0, 1.0),
    edits: Sequence[str] = (),
    labels: Sequence[Label] = (),
) -> Match:
    """A match whose id ends in a number."""
    image = Image(
        f"sha256:{number:064x}", *size, "jpeg", 1234, 1, 90, "2026-03-04T10:00:00Z", Credit(), sightings
    )
    evidence = Evidence(
        "keypoints",
        query_coverage=coverage[0],
        match_coverage=coverage[1],
        edits=tuple(Edit(name) for name in edits),
    )
    return Match(Kind(kind), score, image, evidence, labels=tuple(labels))


def answer(
    *matches: Match, quality: int = 90, notes: Sequence[str] = (), labels: Sequence[Label] = ()
) -> Json:
    """An answer as JSON."""
    facts = QueryFacts(640, 480, "jpeg", quality, tuple(notes), tuple(labels))
    return Answer(facts, matches, {"total": 12.0}).as_json()
