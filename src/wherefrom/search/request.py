"""Requests: what is asked of a search, read and checked in one place for library, command line and HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

from wherefrom.errors import UsageError
from wherefrom.search.answer import CLAIMS, Kind

if TYPE_CHECKING:
    from wherefrom.filters.terms import Filter
    from wherefrom.search.calibration import Calibration

Region = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the whole upright picture."""

Kinds = str | Iterable[str] | None
"""Kinds of match as people name them: names, `claims` and `all`, in a sequence or a text with commas."""


@dataclass(frozen=True)
class SearchRequest:
    """What is asked of a search beside the picture. Raises UsageError for what is invalid.

    `kinds` are the kinds of match wanted, by default all claims, and with wishes all kinds; `region` is the
    part of the picture to be searched for, as four numbers or `left,top,right,bottom`, and `object` the
    number of a thing that it shows, from 1. Matches are of a score of `min_score` (0 to 100) or more, or from
    the score on at which at least a share `precision` (0.5 to 0.9999) of them is true. `filter` lets only
    some images through. `like`, `unlike`, `text` and `colours` are wishes: what look-alikes are wanted of.
    """

    kinds: Kinds = None
    limit: int = 20
    region: Region | str | None = None
    object: int | None = None
    min_score: float | None = None
    precision: float | None = None
    filter: str | Filter | None = None
    like: Sequence[Any] = ()
    unlike: Sequence[Any] = ()
    text: str | None = None
    colours: str | None = None
    ignore_background: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "like", tuple(self.like))
        object.__setattr__(self, "unlike", tuple(self.unlike))
        object.__setattr__(self, "kinds", kinds_of(self.kinds, wishes=self.has_wishes))
        object.__setattr__(self, "region", region_of(self.region))
        if self.limit < 1:
            raise UsageError(f"The limit is the number of matches wanted, at least 1, not {self.limit}.")
        if self.min_score is not None and not 0 <= self.min_score <= 100:
            raise UsageError(f"A score is from 0 to 100, not {self.min_score:g}.")
        if self.min_score is not None and self.precision is not None:
            raise UsageError("Choose one of a least score and a precision.")
        if self.precision is not None:
            from wherefrom.search.rank import precision_score

            precision_score(self.precision)
        if self.region is not None and self.object is not None:
            raise UsageError("Choose one of a region and an object.")
        if self.colours:
            from wherefrom.features.colours import parse_colours

            parse_colours(self.colours)

    @property
    def wanted(self) -> frozenset[Kind]:
        """The kinds of match wanted."""
        assert isinstance(self.kinds, frozenset)
        return self.kinds

    @property
    def part(self) -> Region | None:
        """The region, read."""
        assert not isinstance(self.region, str)
        return self.region

    @property
    def has_wishes(self) -> bool:
        """Whether look-alikes are wanted of something beside the picture."""
        return bool(self.like or self.unlike or self.text or self.colours)

    @property
    def needs_picture(self) -> bool:
        """Whether its wishes do not say enough to search by them alone."""
        return not (self.like or self.text or self.colours)

    def least_score(self, calibration: Calibration | None) -> float:
        """The least score of a match; a precision is read by a collection's calibration, if it has one."""
        if self.precision is None:
            return self.min_score or 0.0
        from wherefrom.search.calibration import least_score

        return least_score(calibration, self.precision)

    def as_plain(self) -> dict[str, Any]:
        """The request in numbers, texts, lists and dicts. Its filter and wishes have to be texts."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return plain | {"kinds": sorted(self.wanted), "like": list(self.like), "unlike": list(self.unlike)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `as_plain`."""
        return cls(**plain)


def kinds_of(said: Kinds, *, wishes: bool = False) -> frozenset[Kind]:
    """The kinds that were named; without any all claims, and with `wishes` all. Raises UsageError."""
    if said is None:
        return frozenset(Kind) if wishes else frozenset(CLAIMS)
    names = [name.strip() for name in (said.split(",") if isinstance(said, str) else said)]
    found: set[Kind] = set()
    for name in names:
        if name in ("all", "claims"):
            found |= set(Kind) if name == "all" else set(CLAIMS)
        elif name in set(Kind):
            found.add(Kind(name))
        else:
            raise UsageError(_unknown_kind(name))
    if not found:
        raise UsageError(f"Name a kind: {', '.join(Kind)}, claims or all.")
    return frozenset(found)


def region_of(said: str | Sequence[float] | None) -> Region | None:
    """The region that four numbers, or a text of them with commas, are. Raises UsageError."""
    if said is None:
        return None
    try:
        numbers = [float(number) for number in (said.split(",") if isinstance(said, str) else said)]
        left, top, right, bottom = numbers
    except (ValueError, TypeError):
        raise UsageError(f"A region reads LEFT,TOP,RIGHT,BOTTOM in pixels, not {str(said)[:80]!r}.") from None
    return left, top, right, bottom


def _unknown_kind(name: str) -> str:
    """What to say of a kind that there is not, with the one that was meant where that can be guessed."""
    near = get_close_matches(name.strip().lower(), [*Kind, "claims", "all"], 1)
    meant = f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(Kind)}, claims and all."
    return f'Unknown kind "{name[:80]}". {meant}'
