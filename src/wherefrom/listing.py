"""Listing: a page of a collection's images, by a filter and words, in an order."""

from __future__ import annotations

from dataclasses import dataclass

from wherefrom.engine.base import Engine
from wherefrom.errors import UsageError
from wherefrom.filters.parser import parse
from wherefrom.filters.terms import And, Filter, Or, Term
from wherefrom.records import Image

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
    """A page of images: `total` of all pages, and the cursor of the next one."""

    images: tuple[Image, ...]
    total: int
    next: str | None


def listed(
    engine: Engine,
    *,
    filter: str | Filter | None,
    words: str | None,
    sort: str,
    limit: int,
    after: str | None,
) -> Listed:
    """The images that a filter lets through and that have every word somewhere in what is said of them.

    Raises UsageError for a filter, sort or limit of no use.
    """
    if sort not in SORTS:
        raise UsageError(f"Images are sorted by one of {', '.join(SORTS)}, not {sort[:40]!r}.")
    if limit < 1:
        raise UsageError(f"The limit is the number of images wanted, at least 1, not {limit}.")
    order, descending = SORTS[sort]
    wanted = _wanted(engine, filter, words)
    within = None if wanted is None else engine.select(wanted)
    page = engine.page(within, order, descending=descending, limit=limit, after=after)
    found = engine.images(page.keys)
    return Listed(tuple(found[key] for key in page.keys if key in found), page.total, page.next)


def _wanted(engine: Engine, filter: str | Filter | None, words: str | None) -> Filter | None:
    filter = parse(filter, engine.field_names()) if isinstance(filter, str) else filter
    said = (words or "").split()
    if len(said) > _MOST_WORDS:
        raise UsageError(f"Images are looked up by at most {_MOST_WORDS} words.")
    each: list[Filter] = [Or(tuple(Term(field, ":", _plain(word)) for field in _FIELDS)) for word in said]
    parts = ([] if filter is None else [filter]) + each
    return And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def _plain(word: str) -> str:
    """A word without the stars, which stand for anything in a filter."""
    return word.replace("*", "") or word
