"""Orders in which the matches of an answer are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wherefrom.errors import UsageError

MOST = 200
"""Matches of an answer at most."""

SORTS = ("best", "changed", "biggest", "smallest", "newest", "oldest")
"""Best match, most changed, most and fewest pixels, last and first seen."""


def arranged(matches: Sequence[dict[str, Any]], sort: str) -> list[dict[str, Any]]:
    """Matches, as JSON and best first, in another order; equal ones stay best first. Raises UsageError."""
    if sort == "best":
        return list(matches)
    if sort == "changed":
        return sorted(matches, key=_likeness)
    if sort in ("biggest", "smallest"):
        sign = -1 if sort == "biggest" else 1
        return sorted(matches, key=lambda one: sign * one["width"] * one["height"])
    if sort == "oldest":
        return sorted(matches, key=lambda one: min(_seen(one), default="~"))
    if sort == "newest":
        return sorted(matches, key=lambda one: max(_seen(one), default=""), reverse=True)
    raise UsageError(f"Matches are sorted by one of {', '.join(SORTS)}, not {sort[:40]!r}.")


def _seen(match: Mapping[str, Any]) -> Iterable[str]:
    return [sighting["first_seen"] for sighting in match["sightings"]]


def _likeness(match: Mapping[str, Any]) -> tuple[int, float]:
    """How little was done: look-alikes, which are no copies, come last."""
    evidence = match["evidence"]
    if match["kind"] == "similar":
        return 1, -float(match["score"])
    agreement = 1.0 if evidence["agreement"] is None else float(evidence["agreement"])
    covered = [share for share in evidence["coverage"].values() if share is not None]
    ranks = {"identical": 1.0, "same": 0.75, "copy": 0.4, "partial": 0.2}
    return 0, ranks[match["kind"]] + 0.3 * (agreement * min(covered, default=1.0))
