"""What is asked of a search, and the order in which its matches are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from wherefrom.errors import UsageError

MOST = 200
"""Matches of an answer at most."""

SORTS = ("best", "changed", "biggest", "smallest", "newest", "oldest")
"""Best match, most changed, most and fewest pixels, last and first seen."""

Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a search: as for `Collection.search`, and the order.

    `kinds` is a text as people write it: `claims`, `all` or names with commas, None for the library's
    default; `like` and `unlike` are ids.
    """

    region: Region | None = None
    object: int | None = None
    kinds: str | None = None
    filter: str | None = None
    sort: str = "best"
    limit: int = 20
    min_score: float = 0.0
    text: str | None = None
    colours: str | None = None
    ignore_background: bool = False
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    @property
    def has_wishes(self) -> bool:
        """Whether it says enough to search without a picture."""
        return bool(self.like or self.text or self.colours)

    def as_plain(self) -> dict[str, Any]:
        """As msgpack takes it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """What `as_plain` gave, with lists for tuples."""
        known: dict[str, Any] = {one.name: plain[one.name] for one in fields(cls) if one.name in plain}
        for name in ("region", "like", "unlike"):
            if isinstance(known.get(name), list):
                known[name] = tuple(known[name])
        return cls(**known)

    def options(self) -> dict[str, Any]:
        """The arguments of `Collection.search`."""
        plain = {name: value for name, value in self.as_plain().items() if name not in ("sort", "kinds")}
        return plain | {"kinds": kinds_of(self.kinds)}


def kinds_of(text: str | None) -> str | list[str] | None:
    """The kinds in a text, as `Collection.search` takes them."""
    if text is None or text.strip() in ("", "claims"):
        return None if text is None or not text.strip() else ["identical", "same", "copy", "partial"]
    if text.strip() == "all":
        return "all"
    return [kind.strip() for kind in text.split(",") if kind.strip()]


def region_of(text: str) -> Region:
    """The region in a text: left,top,right,bottom. Raises UsageError."""
    try:
        left, top, right, bottom = (float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"A region reads left,top,right,bottom in pixels, not {text[:80]!r}.") from None
    return left, top, right, bottom


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
