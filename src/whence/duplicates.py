"""Duplicates: which files of a whole collection are one picture, what was made from which, and which to keep.

Pairs of near codes come from multi-index hashing, so that the work grows with the number of images and not
with its square. With `parts`, every image is also looked for by its kept keypoints, and what it meets is
proven by geometry: that finds crops and pictures with something laid over them. Pairs that are one picture
make families (`families`); an image that only contains another is said to do so, and joins nothing.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whence.engine import mih, scan
from whence.engine.base import Engine
from whence.engine.batches import batched
from whence.engine.records import Image, Sighting
from whence.engine.word_votes import WordQuery
from whence.families import CLOSE, Branch, Look, composed, trees
from whence.features.extract import FINGERPRINT, KEYPOINTS
from whence.features.fingerprint import Fingerprint, turned_codes
from whence.features.keypoints import Keypoints
from whence.relations import Known, Relation, merit, related
from whence.search.answer import Edit, Kind

RADIUS = mih.RADIUS
"""Bits within which two images are taken for one picture: half of a search, since groups chain."""

Progress = Callable[[int, int], None]
"""Told (images looked for by their keypoints, images in all)."""

_SCANNED = 2_000  # images below which every pair is simply compared
_BATCH = 1_024  # codes searched for at a time
_JOINED = 4_096  # pairs joined at a time
_NEAREST = 3  # pairs of an image that are kept besides those that hold a group together
_MET, _VERIFIED = 40, 20  # images that visual words are asked for, and those of them that are compared
_OF_ONE, _ASKED_OF_ONE = 3, 64  # of one group of fingerprints: compared for an image, and asked for at all
_LOADED = 256  # images whose features are read at a time


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that shows the picture of its group: which image, where, and how it comes from its parent.

    `place` is None for an image that was added without a place. `parent` is the id of the image of the group
    that it was likely made from, `edits` what was then done, and `kind`, `score` (0 to 100) and `distance`
    (bits of 256, None where fingerprints are not near) what it is to that one. A further place of an image
    has the image itself as its parent.
    """

    image: Image
    place: Sighting | None
    kind: Kind
    distance: int | None
    parent: str
    score: float
    edits: tuple[Edit, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The duplicate in the shape that all faces share."""
        return {
            "id": self.image.id,
            "uri": self.place.uri if self.place else None,
            "kind": self.kind.value,
            "distance": self.distance,
            "parent": self.parent,
            "score": self.score,
            "edits": [edit.as_json() for edit in self.edits],
            **_facts(self.image),
        }


@dataclass(frozen=True, slots=True)
class Part:
    """An image outside a group that contains, or is contained in, one of the group's.

    `member` is the id of the group's image, `contains` True where that one contains the other; `share` is how
    much of the containing image shows the other (0 to 1).
    """

    member: str
    contains: bool
    image: Image
    score: float
    share: float

    @property
    def place(self) -> Sighting | None:
        """Where the other image is."""
        return _places(self.image)[0]

    def as_json(self) -> dict[str, object]:
        """The part in the shape that all faces share."""
        return {
            "member": self.member,
            "relation": "contains" if self.contains else "contained in",
            "id": self.image.id,
            "uri": self.place.uri if self.place else None,
            "score": self.score,
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are one picture: the likely original, suggested to be kept and why, and the others.

    The others come with every parent before its children. `parts` are images that share a part with one of
    the group, and belong to it no more than that.
    """

    keep: Image
    place: Sighting | None
    why: str
    others: tuple[Duplicate, ...]
    parts: tuple[Part, ...] = ()

    @property
    def spare_bytes(self) -> int:
        """What removing the others would free."""
        return sum(other.image.bytes for other in self.others)

    def as_json(self) -> dict[str, object]:
        """The group in the shape that all faces share."""
        uri = self.place.uri if self.place else None
        return {
            "keep": {"id": self.keep.id, "uri": uri, "why": self.why, **_facts(self.keep)},
            "others": [other.as_json() for other in self.others],
            "parts": [part.as_json() for part in self.parts],
            "spare_bytes": self.spare_bytes,
        }


def _facts(image: Image) -> dict[str, object]:
    return {"width": image.width, "height": image.height, "format": image.format, "bytes": image.bytes}


def groups(
    engine: Engine,
    *,
    turned: bool = True,
    parts: bool = True,
    look: Look | None = None,
    progress: Progress | None = None,
) -> Iterator[Group]:
    """Every group, the one with most files first.

    With `turned` also mirrored, turned and negative copies; with `parts` also crops and whatever else is met
    by its keypoints, which takes some milliseconds an image. `look` compares the pixels of what is about to
    be told.
    """
    entries, codes = _all_codes(engine)
    union = _Union(entries // 2)
    near = _near(union, entries // 2, codes, turned)
    for key in engine.seen_twice():
        union.find(key)
    met: list[Relation] = []
    if parts:
        met = list(_by_words(engine, np.unique(entries // 2).tolist(), union, turned, progress))
    taken_apart = composed(met, lambda one, other: union.find(one) == union.find(other))
    met = [
        replace(one, joins=one.joins and (one.source.key, one.made.key) not in taken_apart) for one in met
    ]
    for relation in met:
        if relation.joins:
            union.join(relation.source.key, relation.made.key)
    found = sorted(union.groups(), key=lambda keys: (-len(keys), keys[0]))
    plan = _Plan(found, met, near)
    for batch in batched(enumerate(found), 100):
        for number, keys in batch:
            known = _known(engine, keys, points=parts and len(keys) <= CLOSE)
            yield from _groups_of(list(known.values()), plan, number, turned, look)


class _Union:
    """Disjoint sets of keys; a key is in a set as soon as it has been looked for."""

    def __init__(self, keys: NDArray[np.int64]) -> None:
        self._parent: dict[int, int] = {}

    def find(self, key: int) -> int:
        self._parent.setdefault(key, key)
        root = key
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[key] != root:
            self._parent[key], key = root, self._parent[key]
        return root

    def join(self, one: int, other: int) -> bool:
        first, second = sorted((self.find(one), self.find(other)))
        self._parent[second] = first
        return first != second

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for key in sorted(self._parent):
            found.setdefault(self.find(key), []).append(key)
        return list(found.values())
