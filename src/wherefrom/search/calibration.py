"""Calibration: which score to ask for in one collection, so that a share of its claims is true.

`wherefrom.evaluate.calibration` makes one out of searches whose answers are known; it is kept with the
collection. Without one, a score is taken to be the share that is true, as `docs/scores.md` measured it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from wherefrom.errors import CollectionDamaged
from wherefrom.search.rank import precision_score

DOCUMENT = "calibration"
"""The name under which the engine keeps it."""

FORMAT = 1

CLAIMS_BEGIN = 95.0
"""The score from which on matches are claims; below it are look-alikes, which are not calibrated here."""

SCORES = "1"
"""The version of what scores mean (`rank.py`); it rises when they change, and calibrations lapse."""

_Made = TypeVar("_Made", bound="Calibration")
_LEAST_SHARE = 0.5  # that can be asked for
_CERTAIN = 100.0  # the score of identical bytes, which need no calibration


@dataclass(frozen=True, slots=True)
class Level:
    """The claims at a score or above it: how many there were, how many were true, and the share that is
    true at least (0 to 1), at all levels at once with the calibration's confidence."""

    score: float
    claims: int
    true: int
    least: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was seen of this collection's scores.

    `levels` rise in score. `edited` and `strangers` are how many queries with and without something to find
    there were: the shares hold for such a mixture. `images` is how many were searched through, `made` when
    (ISO 8601 UTC), `version` Wherefrom's, `features` the versions of the features, by kind.
    """

    levels: tuple[Level, ...]
    confidence: float
    edited: int
    strangers: int
    images: int
    made: str
    version: str
    features: Mapping[str, str]

    def score_for(self, share: float) -> float:
        """The least score to ask for, so that at least this share (0.5 to 0.9999) of the claims is true.

        It never falls as the share rises. Where that much was proven of the claims at some score, it is the
        least such score. Where it was not, because too few claims were seen, it is the score as stated
        everywhere else, or the highest that any lower share needs; and 100, which only identical bytes have,
        where what was seen is below the share at every score. For shares below 0.95 look-alikes keep the
        scale of their own unless claims need a higher score. Raises UsageError for a share of no use.
        """
        stated = precision_score(share)
        proven = [level.score for level in self.levels if level.least >= share]
        if proven:
            lowest = min(proven)
            return stated if lowest <= CLAIMS_BEGIN and share < CLAIMS_BEGIN / 100 else lowest
        if self.contradicts(share):
            return _CERTAIN
        best = max((level.least for level in self.levels), default=0.0)
        reached = min((level.score for level in self.levels if level.least == best), default=0.0)
        return max(stated, reached) if best >= _LEAST_SHARE and reached > CLAIMS_BEGIN else stated

    def fits(self, features: Mapping[str, str]) -> bool:
        """Whether it is about scores as this program gives them for features of those versions, by kind."""
        due = {**features, "scores": SCORES}
        return all(self.features.get(kind) == version for kind, version in due.items())

    def reaches(self, share: float) -> bool:
        """Whether so high a share was proven of the claims at some score."""
        return any(level.least >= share for level in self.levels)

    def contradicts(self, share: float) -> bool:
        """Whether at every score that occurred a smaller share was true: no threshold gives as much."""
        seen = [level for level in self.levels if level.claims]
        return bool(seen) and all(level.true < share * level.claims for level in seen)

    def as_json(self) -> dict[str, Any]:
        """The calibration in numbers, texts, lists and dicts."""
        return {
            "format": FORMAT,
            "levels": [
                {"score": one.score, "claims": one.claims, "true": one.true, "least": one.least}
                for one in self.levels
            ],
            "confidence": self.confidence,
            "edited": self.edited,
            "strangers": self.strangers,
            "images": self.images,
            "made": self.made,
            "version": self.version,
            "features": dict(self.features),
        }

    @classmethod
    def from_json(cls, plain: Any) -> Self | None:
        """The inverse of `as_json`; None for one of another format, which counts as none.

        Raises CollectionDamaged for what cannot be a calibration.
        """
        try:
            if plain["format"] != FORMAT:
                return None
            rest = {name: value for name, value in plain.items() if name not in ("format", "levels")}
            return _checked(cls(levels=_levels([Level(**level) for level in plain["levels"]]), **rest))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CollectionDamaged(
                f"The calibration of this collection cannot be read ({error}). "
                f"To forget it, run: wherefrom evaluate --forget-calibration"
            ) from error


def _checked(made: _Made) -> _Made:
    if not isinstance(made.features, dict) or not all(
        isinstance(value, str) for value in (made.made, made.version, *made.features.values())
    ):
        raise ValueError("features, versions and times are texts")
    counts = (made.edited, made.strangers, made.images)
    if any(type(count) is not int or count < 0 for count in counts) or not 0 < made.confidence < 1:
        raise ValueError("counts and confidence are numbers")
    return made


def _levels(levels: Sequence[Level]) -> tuple[Level, ...]:
    for level in levels:
        if not (0 <= level.true <= level.claims and 0 <= level.least <= 1 and 0 <= level.score <= 100):
            raise ValueError(f"a level of {level.true} of {level.claims} at {level.score}")
    return tuple(sorted(levels, key=lambda level: level.score))


def least_score(calibration: Calibration | None, share: float) -> float:
    """The least score for a share, by the calibration if there is one. Raises UsageError."""
    return precision_score(share) if calibration is None else calibration.score_for(share)
