"""Listing: a page of a collection's images, by a filter and words, in an order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import Engine
from wherefrom.errors import UsageError
from wherefrom.filters.terms import And, Filter, Or, Term
from wherefrom.records import Image
from wherefrom.search.lookup import answers

SORTS = {
    "added": ("added", True),
    "newest": ("date", True),
    "oldest": ("date", False),
    "biggest": ("pixels", True),
    "smallest": ("pixels", False),
}
"""Sorts by name: the engine's order, and whether it is turned round."""

_FIELDS = ("uri", "title", "alt", "page", "creator", "credit", "copyright")
_MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of images: `total` of all pages, and after which key and place the next one begins."""

    images: tuple[Image, ...]
    total: int
    next: tuple[int, int] | None


def listed(
    engine: Engine,
    *,
    filter: str | Filter | None,
    words: str | None,
    sort: str,
    limit: int,
    after: tuple[int, int] | None,
) -> Listed:
    """The images that a filter lets through and that have every word somewhere in what is said of them.

    Raises UsageError for a filter, sort or limit of no use.
    """
    if sort not in SORTS:
        raise UsageError(f"Images are sorted by one of {', '.join(SORTS)}, not {sort[:40]!r}.")
    if limit < 1:
        raise UsageError(f"The limit is the number of images wanted, at least 1, not {limit}.")
    by, turned = SORTS[sort]
    keys = engine.ordered(by)
    for wanted in _wanted(filter, words):
        allowed = engine.matching(wanted, answers(engine))
        keys = keys[np.isin(keys, allowed, assume_unique=True)]
    if turned:
        keys = keys[::-1]
    start = _start(keys, after)
    page = keys[start : start + limit].tolist()
    found = engine.images(page)
    end = start + len(page)
    following = (page[-1], end) if page and end < len(keys) else None
    return Listed(tuple(found[key] for key in page if key in found), len(keys), following)


def _wanted(filter: str | Filter | None, words: str | None) -> Iterator[str | Filter]:
    if filter is not None:
        yield filter
    said = (words or "").split()
    if len(said) > _MOST_WORDS:
        raise UsageError(f"Images are looked up by at most {_MOST_WORDS} words.")
    each: list[Filter] = [Or(tuple(Term(field, ":", _plain(word)) for field in _FIELDS)) for word in said]
    if each:
        yield each[0] if len(each) == 1 else And(tuple(each))


def _plain(word: str) -> str:
    """A word without the stars, which stand for anything in a filter."""
    return word.replace("*", "") or word


def _start(keys: NDArray[np.int64], after: tuple[int, int] | None) -> int:
    """Where a page begins: behind a key, or at the place where it was when it is gone."""
    if after is None:
        return 0
    key, place = after
    found = np.flatnonzero(keys == key)
    return int(found[0]) + 1 if len(found) else min(place, len(keys))
