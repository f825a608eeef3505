"""Galleries: the pictures of a run that are worth a look, small enough to travel inside the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Miss:
    """An edited copy whose original did not come first: both pictures, and what each stage said.

    `said` are (stage, sentence), in the order of the stages; `verdict` is the short of it. `original` and
    `query` are the bytes of JPEG thumbnails, empty where there is none; `place` is where the original stood
    among the claims, None where it was not there.
    """

    edit: str
    uri: str
    original: bytes
    query: bytes
    place: int | None = None
    verdict: str = ""
    said: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A picture that is not in the collection, and the image that it was claimed to be."""

    uri: str
    claimed_uri: str
    query: bytes
    claimed: bytes
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Example:
    """What an edit does to a picture, for a strip that shows all of them."""

    edit: str
    family: str
    query: bytes


@dataclass(frozen=True, slots=True)
class Galleries:
    """What the page shows besides figures. Each may be a selection: the report says how many there are."""

    misses: Sequence[Miss] = ()
    alarms: Sequence[FalseAlarm] = ()
    examples: Sequence[Example] = ()
