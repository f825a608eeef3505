"""Decisions: what users said of duplicates, which is remembered: "not duplicates" and "keep both"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from wherefrom.errors import UsageError
from wherefrom.records import digest_of

if TYPE_CHECKING:
    from wherefrom.engine.base import Engine
    from wherefrom.groups import Duplicate, Group

DOCUMENT = "decisions"
"""The name under which a collection keeps them."""

KEPT_BOTH = "you keep both"
Pair = tuple[str, str]


class Decisions:
    """Pairs of images that are no duplicates of each other (`apart`), and that are both kept (`both`).

    A pair is two ids in order; one id twice stands for the files that hold its bytes.
    """

    def __init__(self, apart: Iterable[Pair] = (), both: Iterable[Pair] = ()) -> None:
        self.apart = set(apart)
        self.both = set(both)

    @classmethod
    def of(cls, engine: Engine) -> Decisions:
        """What is kept with a collection. Raises CollectionDamaged."""
        kept = engine.document(DOCUMENT) or {}
        return cls(
            *({(str(one), str(other)) for one, other in kept.get(name, ())} for name in ("apart", "both"))
        )

    def keep(self, engine: Engine) -> None:
        """Keep them with a collection; raises CollectionLocked where another process writes."""
        kept = {"apart": sorted(self.apart), "both": sorted(self.both)}
        engine.keep_document(DOCUMENT, kept if self.apart or self.both else None)

    def __bool__(self) -> bool:
        return bool(self.apart or self.both)

    def heeded(self, groups: Iterable[Group]) -> Iterator[Group]:
        """The groups without what is no duplicate there, and without those of which all is kept."""
        for group in groups:
            found = self._heeded(group) if self else group
            if found is not None:
                yield found

    def _heeded(self, group: Group) -> Group | None:
        staying = [group.keep.id]
        others: list[Duplicate] = []
        for one in group.others:
            id = one.image.id
            if any(_pair(id, other) in self.apart for other in staying if other != id):
                continue
            if id not in staying:
                staying.append(id)
            if one.suggestion in ("spare", "choice") and self._is_kept(one, staying):
                one = replace(one, suggestion="keep", why=KEPT_BOTH)
            others.append(one)
        if not others or all(one.why == KEPT_BOTH for one in others):
            return None
        return replace(group, others=tuple(others))

    def _is_kept(self, one: Duplicate, staying: Sequence[str]) -> bool:
        id = one.image.id
        if one.parent == id:  # a further place of the same bytes
            return (id, id) in self.both
        return any(_pair(id, other) in self.both for other in staying if other != id)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)


def pairs(ids: Sequence[str]) -> set[Pair]:
    """Every pair of some images; one that is given alone, or twice, is a pair with itself: its files.

    Raises UsageError for no ids.
    """
    found = Counter(f"sha256:{digest_of(one).hex()}" for one in ids)
    if not found:
        raise UsageError("A decision is about two images, by their ids.")
    alone = {(one, one) for one, count in found.items() if count > 1 or len(found) == 1}
    return {*combinations(sorted(found), 2), *alone}
