"""Preferring: folders whose files are kept where nothing else decides, and the order of groups."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from wherefrom.errors import UsageError

if TYPE_CHECKING:
    from wherefrom.groups import Duplicate, Group
    from wherefrom.records import Sighting

SORTS = ("files", "bytes")
"""Orders of groups: most files first, or most bytes to be freed."""

_FREE = "nothing says which of the two was first"


def ordered(groups: Iterable[Group], sort: str) -> Iterator[Group]:
    """The groups in an order; those that only share a part stay last. Raises UsageError for no order."""
    if sort not in SORTS:
        raise UsageError(f"Groups are sorted by one of {', '.join(SORTS)}, not {sort[:40]!r}.")
    if sort == "files":
        return iter(groups)
    return iter(sorted(groups, key=lambda group: (group.kind == "parts", -group.spare_bytes)))


def preferring(groups: Iterable[Group], folders: Iterable[str]) -> Iterator[Group]:
    """The groups with files below these folders kept: of equal bytes, and where it was a choice."""
    below = [os.path.abspath(os.path.expanduser(folder)).rstrip("/") + "/" for folder in folders]
    for group in groups:
        yield _decided(group, below) if below and group.kind == "picture" else group


def _decided(group: Group, below: list[str]) -> Group:
    def is_in(place: Sighting | None) -> bool:
        path = place.path if place is not None else None
        return path is not None and any(path.startswith(folder) for folder in below)

    if not is_in(group.place):
        same = next((one for one in group.others if one.image.id == group.keep.id and is_in(one.place)), None)
        if same is not None:
            group = _swapped(group, same)
        elif group.choice:
            other = next(
                (one for one in group.others if one.suggestion == "choice" and is_in(one.place)), None
            )
            group = group if other is None or other.why != _FREE else _kept(group, other)
    if not (group.choice and is_in(group.place)):
        return group
    why = "you prefer the folder of the other"
    others = tuple(
        replace(one, suggestion="spare", why=why)
        if one.suggestion == "choice" and one.why == _FREE and not is_in(one.place)
        else one
        for one in group.others
    )
    left = any(one.suggestion == "choice" for one in others)
    return replace(group, others=others, why=group.why if left else "you prefer its folder")


def _swapped(group: Group, same: Duplicate) -> Group:
    """The group with the other file of the same bytes kept."""
    others = tuple(
        replace(one, place=group.place, links=group.links) if one is same else one for one in group.others
    )
    return replace(group, place=same.place, links=same.links, others=others)


def _kept(group: Group, other: Duplicate) -> Group:
    """The group with another of its images kept, and the one that was first below it."""
    first = replace(
        other, image=group.keep, place=group.place, links=group.links, parent=other.image.id, edits=()
    )
    again = [one for one in group.others if one.image.id == other.image.id and one is not other]
    rest = [one for one in group.others if one.image.id != other.image.id]
    return replace(
        group, keep=other.image, place=other.place, links=other.links, others=(first, *rest, *again)
    )
