"""Duplicates: which files of a whole collection are one picture, and which of them to keep.

Pairs of near codes come from multi-index hashing, so that the work grows with the number of images and
not with its square; pairs that share a member make one group.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whence.engine import mih, scan
from whence.engine.base import Engine
from whence.engine.batches import batched
from whence.engine.records import Image, Sighting
from whence.features.extract import FINGERPRINT
from whence.features.fingerprint import Fingerprint, turned_codes
from whence.search.answer import Kind

RADIUS = mih.RADIUS
"""Bits within which two images are taken for one picture: half of a search, since groups chain."""

_SCANNED = 2_000  # images below which every pair is simply compared
_BATCH = 4_096  # codes searched for at a time


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that shows the picture of its group: which image, where, and what it is to the one kept.

    `place` is None for an image that was added without a place. `distance` is in bits of 256.
    """

    image: Image
    place: Sighting | None
    kind: Kind
    distance: int

    def as_json(self) -> dict[str, object]:
        """The duplicate in the shape that all faces share."""
        return {
            "id": self.image.id,
            "uri": self.place.uri if self.place else None,
            "kind": self.kind.value,
            "distance": self.distance,
            **_facts(self.image),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are one picture: the one suggested to keep and why, and the others."""

    keep: Image
    place: Sighting | None
    why: str
    others: tuple[Duplicate, ...]

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
            "spare_bytes": self.spare_bytes,
        }


def _facts(image: Image) -> dict[str, object]:
    return {"width": image.width, "height": image.height, "format": image.format, "bytes": image.bytes}


def groups(engine: Engine, *, turned: bool = True) -> Iterator[Group]:
    """Every group, the one with most files first. With `turned` also mirrored, turned and negative copies."""
    entries, codes = _all_codes(engine)
    union = _Union()
    for key in engine.seen_twice():
        union.find(key)
    for one, other in _pairs(codes, turned):
        union.join(*sorted((int(entries[one]) // 2, int(entries[other]) // 2)))
    found = sorted(union.groups(), key=lambda keys: (-len(keys), keys[0]))
    for batch in batched(found, 100):
        keys = [key for group in batch for key in group]
        images, marks = engine.images(keys), engine.features(FINGERPRINT, keys)
        for group in batch:
            members = [(images[key], Fingerprint.from_bytes(marks[key])) for key in group if key in images]
            if (made := _group(members)) is not None:
                yield made


def _all_codes(engine: Engine) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    batches = list(engine.codes())
    entries = [np.zeros(0, np.int64), *(batch[0] for batch in batches)]
    codes = [np.zeros((0, 32), np.uint8), *(batch[1] for batch in batches)]
    return np.concatenate(entries), np.concatenate(codes)


def _pairs(codes: NDArray[np.uint8], turned: bool) -> Iterator[tuple[int, int]]:
    """Pairs of rows within `RADIUS`; with `turned` in any orientation, or one the negative of the other."""
    planes = np.ascontiguousarray(codes.view("<u8").T)
    with tempfile.TemporaryDirectory(prefix="whence-duplicates-") as folder:
        index = mih.MultiIndex.build(planes, Path(folder)) if len(codes) > _SCANNED else None
        for start in range(0, len(codes), _BATCH):
            batch = codes[start : start + _BATCH]
            for mirrored, degrees, negative, variants in turned_codes(batch):
                if not turned and (mirrored or degrees or negative):
                    continue
                queries = np.ascontiguousarray(variants).view("<u8")
                hits = index.within(queries, RADIUS) if index else scan.within(planes, queries, RADIUS)
                rows = hits.query + start
                later = hits.row > rows  # every pair is met from both sides
                yield from zip(rows[later].tolist(), hits.row[later].tolist(), strict=True)


class _Union:
    """Disjoint sets of keys; a key is in one as soon as it has been looked for."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def find(self, key: int) -> int:
        self._parent.setdefault(key, key)
        root = key
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[key] != root:
            self._parent[key], key = root, self._parent[key]
        return root

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.find(one), self.find(other)))
        self._parent[second] = first

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = {}
        for key in sorted(self._parent):
            found.setdefault(self.find(key), []).append(key)
        return list(found.values())


def _group(members: list[tuple[Image, Fingerprint]]) -> Group | None:
    members = sorted(members, key=lambda member: _merit(member[0]))
    if not members:
        return None
    keep, known = members[0]
    others: list[Duplicate] = []
    places = _places(keep)
    others.extend(Duplicate(keep, place, Kind.IDENTICAL, 0) for place in places[1:])
    for image, mark in members[1:]:
        kind, distance = _relation(known, mark)
        others.extend(Duplicate(image, place, kind, distance) for place in _places(image))
    return Group(keep, places[0], _why(members), tuple(others)) if others else None


def _places(image: Image) -> list[Sighting | None]:
    return [place for place in image.sightings if place.gone is None] or [None]


def _merit(image: Image) -> tuple[float, float, str, str]:
    """Lowest for the image to keep: the most pixels, then most bytes a pixel, then the earliest."""
    pixels = image.width * image.height
    return -pixels, -image.bytes / pixels, _date(image), image.id


def _date(image: Image) -> str:
    return image.credit.taken or (image.sightings[0].first_seen if image.sightings else image.added)


def _why(members: list[tuple[Image, Fingerprint]]) -> str:
    if len(members) == 1:
        return "the files are the same, byte for byte"
    first, second = members[0][0], members[1][0]
    if first.width * first.height > second.width * second.height:
        return f"largest: {first.width} × {first.height}"
    if first.bytes > second.bytes:
        return "least compressed of the largest"
    return "earliest of equals"


def _relation(kept: Fingerprint, other: Fingerprint) -> tuple[Kind, int]:
    """What an image is to the one kept, and the distance by the nearest of all ways.

    Members of one group need not be near each other: they may be joined by one between them.
    """
    plain = int(np.bitwise_count(kept.code ^ other.code).sum())
    if plain <= RADIUS:
        return Kind.SAME, plain
    targets = [code for code in (kept.code, kept.trimmed) if code is not None]
    sources = [code for code in (other.code, other.trimmed) if code is not None]
    variants = [codes for _, _, _, codes in turned_codes(np.stack(sources))]
    distance = min(
        int(np.bitwise_count(codes ^ code).sum(axis=1).min()) for codes in variants for code in targets
    )
    return Kind.COPY, min(plain, distance)
