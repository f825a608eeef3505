"""Findings: what is broken or could be better, why, and what cures it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wherefrom.errors import Exit


class Level(StrEnum):
    """How much a finding matters."""

    BROKEN = "broken"
    """Something cannot be used until it is cured."""
    ADVICE = "advice"
    """It works, and is slower, in danger, or able to do less than it could."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: a word for programs, and sentences for people.

    `exit` is what a program should end with on account of it: 0 for advice.
    """

    code: str
    what: str
    cure: str
    level: Level = Level.ADVICE
    exit: Exit = Exit.OK

    def as_json(self) -> dict[str, object]:
        """The finding in numbers and texts."""
        return {"code": self.code, "level": self.level.value, "what": self.what, "cure": self.cure}


def broken(code: str, what: str, cure: str, exit: Exit) -> Finding:
    """A finding without whose cure something cannot be used."""
    return Finding(code, what, cure, Level.BROKEN, exit)
