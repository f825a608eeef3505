"""What the foreign APIs read of an answer, in the JSON that all faces share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from wherefrom.errors import UsageError

Json = dict[str, Any]

MOST_PLACES = 20
"""Places of an image that an answer tells of, unless its API has another number."""

MOST_TEXT = 1024 * 1024
"""Characters of addresses in an answer, after which a match has no more than its first place."""

_WHOLE = 0.9  # coverage of both pictures from which an edited copy is one of the whole
_YES = {"1", "true", "yes", "on"}
_NO = {"", "0", "false", "no", "off"}


def is_web(uri: str) -> bool:
    """Whether a sighting was on the web."""
    return uri.partition("://")[0].lower() in ("http", "https")


def domain_of(uri: str) -> str:
    """The host that a web address names, in lower case and without `www.`; empty for everything else."""
    if not is_web(uri):
        return ""
    try:
        return (urlsplit(uri).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


class Room:
    """What is left of the text that an answer may have."""

    def __init__(self) -> None:
        self._left = MOST_TEXT

    def first(self, texts: Sequence[str], most: int) -> int:
        """How many of these there is room for, in their order: at least one, where there is one."""
        for place, text in enumerate(texts[:most]):
            self._left -= len(text)
            if self._left < 0:
                return max(1, place)
        return min(most, len(texts))


def is_claim(match: Json) -> bool:
    """Whether the match is said to be the same picture, or to share a part with it."""
    return bool(match["kind"] != "similar")


def is_mirrored(match: Json) -> bool:
    """Whether the query shows the match mirrored."""
    return any(edit["name"] == "mirror" for edit in match["evidence"]["edits"])


def overlaps(match: Json) -> tuple[float, float]:
    """How much of the query, and of the match, both show, in percent; all of it where nothing is known."""
    coverage = match["evidence"]["coverage"]
    query, other = (100.0 if share is None else 100.0 * share for share in coverage.values())
    return round(query, 2), round(other, 2)


def is_full(match: Json) -> bool:
    """Whether the match is a claim about all of both pictures, resized or edited as they may be."""
    return match["kind"] in ("identical", "same") or (
        match["kind"] == "copy" and min(overlaps(match)) >= 100 * _WHOLE
    )


def whole_number(value: str | None, name: str, otherwise: int, least: int = 0) -> int:
    """A parameter that counts something; raises UsageError when it is no whole number of `least` or more."""
    if value is None or value == "":
        return otherwise
    if not value.isascii() or not value.removeprefix("-").isdigit() or len(value) > 9 or int(value) < least:
        raise UsageError(f"{name} is a whole number of {least} or more, not {value[:80]!r}.")
    return int(value)


def number(value: str | None, name: str, otherwise: float, most: float) -> float:
    """A parameter from 0 to `most`; raises UsageError when it is none."""
    if value is None or value == "":
        return otherwise
    try:
        given = float(value)
    except ValueError:
        given = -1.0
    if not 0 <= given <= most:
        raise UsageError(f"{name} is a number from 0 to {most:g}, not {value[:80]!r}.")
    return given


def truth(value: str | None, name: str, *, otherwise: bool) -> bool:
    """A parameter that is true or false, as clients spell it; raises UsageError when it is neither."""
    if value is None:
        return otherwise
    if value.lower() not in _YES | _NO:
        raise UsageError(f"{name} is true or false, not {value[:80]!r}.")
    return value.lower() in _YES


def one_of(value: str | None, name: str, choices: Sequence[str]) -> str:
    """A parameter with few values, the first where none is given; raises UsageError for any other."""
    if value is None or value == "":
        return choices[0]
    if value not in choices:
        raise UsageError(f"{name} is one of {', '.join(choices)}, not {value[:80]!r}.")
    return value
