"""How each benchmark's figures are told: a section of RESULTS.md, where peers are better, README lines.

Every function takes the JSON that the script of its job prints, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sections_copies as copies
import sections_service as service
import sections_sound as sound
import sections_speed as speed

Result = Any
"""One job's JSON, as its script makes it."""


def _nothing(_: Result) -> list[Any]:
    return []


@dataclass(frozen=True)
class Section:
    """A title; `body` gives Markdown, `lost` what a peer does better, `headline` rows of (what, figure)."""

    title: str
    body: Callable[[Result], str]
    lost: Callable[[Result], list[str]] = _nothing
    headline: Callable[[Result], list[tuple[str, str]]] = _nothing


SECTIONS: dict[str, Section] = {
    "copies": Section(
        "Copies and parts, beside peers", copies.copies, copies.copies_lost, copies.copies_headline
    ),
    "recall": Section("Whole copies", copies.recall),
    "strangers": Section("Unrelated pictures", copies.strangers),
    "similar": Section(
        "Look-alikes, walls, and what embeddings add to copies", copies.similar, copies.similar_lost
    ),
    "duplicates": Section("Duplicates", copies.duplicates),
    "changes": Section("Edits of pixels named", copies.changes),
    "search_scale": Section(
        "Search as a collection grows", speed.search_scale, headline=speed.search_scale_headline
    ),
    "indexing": Section("Indexing", speed.indexing, speed.indexing_lost, speed.indexing_headline),
    "hamming": Section("Fingerprints", speed.hamming, speed.hamming_lost, speed.hamming_headline),
    "hamming_large": Section(
        "100 million fingerprints", speed.hamming_large, headline=speed.hamming_large_headline
    ),
    "vectors": Section("Vectors", speed.vectors, speed.vectors_lost, speed.vectors_headline),
    "words": Section("The words index", speed.words),
    "updates": Section("Adding known features", speed.updates),
    "cold": Section("Cold search", speed.cold),
    "outcomes": Section("Outcomes", sound.outcomes, headline=sound.outcomes_headline),
    "crash": Section("Crashes", sound.crash, headline=sound.crash_headline),
    "service": Section("The service under load", service.service, headline=service.service_headline),
    "service_long": Section("The service over 20,000 requests", service.service),
    "page_feel": Section("How the page feels", service.page_feel, headline=service.page_feel_headline),
}
"""By job, in the order of RESULTS.md."""
