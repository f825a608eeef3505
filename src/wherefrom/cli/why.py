"""Why an image was found or was not: what a search's stages said of it, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wherefrom.cli.common import (
    first_place,
    put,
)
from wherefrom.errors import NotFound, UsageError
from wherefrom.places import looked
from wherefrom.records import short_id

if TYPE_CHECKING:
    from wherefrom.collection import Collection
    from wherefrom.search.account import Account
    from wherefrom.search.request import SearchRequest


def check_why(images: Sequence[str], regions: Sequence[object], thing: int | None, *, one: bool) -> None:
    """Raises UsageError for a search of which it cannot be said why."""
    if not images:
        raise UsageError("--why tells of a search for a picture: give an IMAGE.")
    if not one:
        raise UsageError("--why tells of one search: give one IMAGE, and no folder.")
    if len(regions) > 1 or thing is not None:
        raise UsageError("--why tells of one search: give one --region at most, and no --object.")


def explained(photos: Collection, query: Any, wanted: str, asked: SearchRequest) -> Account:
    """What such a search said of the image of an id, or seen at a path or uri."""
    found = photos.find(wanted)
    if not found:
        raise NotFound(f"There is no image {wanted} in this collection.")
    return photos.explain(query, found[0].id, asked)


def print_account(told: Account | None) -> None:
    """The account on stdout: what became of the image, and what each stage said."""
    from wherefrom.search.telling import stages

    if told is None:
        return
    put(f"why {first_place(looked(told.image).sightings)} ({short_id(told.image.id)})")
    put(f"  {told.reason}")
    for name, said in stages(told.as_json()):
        put(f"  {name + ':':<12} {said}")
