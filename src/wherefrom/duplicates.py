"""Duplicates: which files of a whole collection are one picture, what was made from which, and which to keep.

Pairs of near codes come from multi-index hashing, so that the work grows with the number of images and not
with its square. With `parts`, every image is also looked for by its kept keypoints, and what it meets is
proven by geometry: that finds crops and pictures with something laid over them. Pairs that are one picture
make families (`families`); an image that only contains another is said to do so, and joins nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine import mih, scan
from wherefrom.engine.base import Engine
from wherefrom.engine.batches import batched
from wherefrom.engine.records import Image, Sighting
from wherefrom.families import CLOSE, Branch, Look, trees
from wherefrom.features.fingerprint import turned_codes
from wherefrom.meetings import Progress, Union, by_words, known_of, settled
from wherefrom.places import is_at_hand, looked, spots
from wherefrom.relations import Known, Relation, Tones, bars_seen, merit, related
from wherefrom.search.answer import Edit, Kind, Match
from wherefrom.search.frames import alike
from wherefrom.search.pixels import Original, looked_at

RADIUS = mih.RADIUS
"""Bits within which two images are taken for one picture: half of a search, since groups chain."""

_SCANNED = 2_000  # images below which every pair is simply compared
_BATCH = 1_024  # codes searched for at a time
_JOINED = 4_096  # pairs joined at a time
_NEAREST = 3  # pairs of an image that are kept besides those that hold a group together
_COVERED = 0.35  # by overlays, likewise: screens of one application are alike around what they show
_AGREEMENT = 0.85  # of pixels, for images whose fingerprints are not near: two photographs agree less


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that shows the picture of its group: which image, where, and how it comes from its parent.

    `place` is None for an image that was added without a place. `parent` is the id of the image of the group
    that it was likely made from, `edits` what was then done, and `kind`, `score` (0 to 100) and `distance`
    (bits of 256, None where fingerprints are not near) what it is to that one. A further place of an image
    has the image itself as its parent. `links` are the other places that lead to the same file.
    """

    image: Image
    place: Sighting | None
    kind: Kind
    distance: int | None
    parent: str
    score: float
    edits: tuple[Edit, ...] = ()
    links: tuple[Sighting, ...] = ()

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
            **_at(self.place, self.links),
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
        found = spots(looked(self.image))
        return found[0][0] if found else None

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

    Every one of them is another file that was there when the group was made: links and other names of a file
    are the `links` of the one that is told. The others come with every parent before its children. `parts`
    are images that share a part with one of the group, and belong to it no more than that.
    """

    keep: Image
    place: Sighting | None
    why: str
    others: tuple[Duplicate, ...]
    parts: tuple[Part, ...] = ()
    links: tuple[Sighting, ...] = ()

    @property
    def spare_bytes(self) -> int:
        """What removing the others would free."""
        return sum(other.image.bytes for other in self.others)

    def as_json(self) -> dict[str, object]:
        """The group in the shape that all faces share."""
        uri = self.place.uri if self.place else None
        return {
            "keep": {"id": self.keep.id, "uri": uri, "why": self.why, **_facts(self.keep)}
            | _at(self.place, self.links),
            "others": [other.as_json() for other in self.others],
            "parts": [part.as_json() for part in self.parts],
            "spare_bytes": self.spare_bytes,
        }


def _facts(image: Image) -> dict[str, object]:
    return {"width": image.width, "height": image.height, "format": image.format, "bytes": image.bytes}


def _at(place: Sighting | None, links: Sequence[Sighting]) -> dict[str, object]:
    return {"path": place.path if place else None, "links": [one.uri for one in links]}


def groups(
    engine: Engine,
    *,
    turned: bool = True,
    parts: bool = True,
    look: Look | None = None,
    tones: Tones | None = None,
    progress: Progress | None = None,
) -> Iterator[Group]:
    """Every group, the one with most files first.

    With `turned` also mirrored, turned and negative copies; with `parts` also crops and whatever else is met
    by its keypoints, which takes some milliseconds an image. `look` compares the pixels of what is about to
    be told, and by `tones` bars that are written on are known.
    """
    entries, codes = _all_codes(engine)
    keys = entries // 2
    union = Union()
    near = _near(keys, codes, turned)
    for one, other in near.holding:
        union.join(one, other)
    for key in engine.seen_twice():
        union.add(key)
    met: list[Relation] = []
    if parts:
        met = settled(list(by_words(engine, np.unique(keys).tolist(), union, turned, progress)), union)
    for relation in met:
        if relation.joins:
            union.join(relation.source.key, relation.made.key)
    found = sorted(union.groups(), key=lambda group: (-len(group), group[0]))
    plan = _Plan(found, near, met)
    for numbers in batched(range(len(found)), 100):
        small = [number for number in numbers if len(found[number]) <= CLOSE]
        textured = {key for number in small for key in found[number]} if parts else set()
        known = known_of(engine, [key for number in numbers for key in found[number]], textured)
        for number in numbers:
            members = _at_hand([known[key] for key in found[number] if key in known])
            yield from _groups_of(members, plan, number, turned=turned, look=look, tones=tones)


def looks(read: Original) -> Look:
    """What compares the pixels of two images whose files `read` still finds; others stay as they are."""
    cached = lru_cache(maxsize=8)(read)

    def look(made: Known, match: Match) -> Match | None:
        query, picture = cached(made.image), cached(match.image)
        if query is None or picture is None:
            return match
        seen = looked_at(match, query, picture)
        if seen is None or match.evidence.distance is not None:
            return seen
        covered = sum(edit.amount or 0.0 for edit in seen.evidence.edits if edit.name == "overlay")
        return seen if (seen.evidence.agreement or 0.0) >= _AGREEMENT and covered < _COVERED else None

    return look


@dataclass(frozen=True, slots=True)
class _Near:
    """Pairs of keys near by fingerprint: those that hold groups together, and a few more of each image."""

    holding: list[tuple[int, int]]
    others: list[tuple[int, int]]


class _Plan:
    """What is known within and between groups, by the number of the group."""

    def __init__(self, found: Sequence[Sequence[int]], near: _Near, met: Sequence[Relation]) -> None:
        number_of = {key: number for number, keys in enumerate(found) for key in keys}
        self.near: dict[int, dict[tuple[int, int], None]] = {}
        self.joined: dict[int, list[Relation]] = {}
        self.parts: dict[int, list[Relation]] = {}
        for pair in (*near.holding, *near.others):
            self.near.setdefault(number_of[pair[0]], {})[min(pair), max(pair)] = None
        for relation in met:
            ends = [number_of.get(known.key) for known in (relation.source, relation.made)]
            if relation.joins and ends[0] is not None:
                self.joined.setdefault(ends[0], []).append(relation)
            elif ends[0] != ends[1] and relation.is_part:
                for number in ends:
                    if number is not None:
                        self.parts.setdefault(number, []).append(relation)


def _all_codes(engine: Engine) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    batches = list(engine.codes())
    entries = [np.zeros(0, np.int64), *(batch[0] for batch in batches)]
    codes = [np.zeros((0, 32), np.uint8), *(batch[1] for batch in batches)]
    return np.concatenate(entries), np.concatenate(codes)


def _near(keys: NDArray[np.int64], codes: NDArray[np.uint8], turned: bool) -> _Near:
    """Near pairs, of thousands of equal images no more than a few each."""
    near = _Near([], [])
    if not len(keys):
        return near
    names, number = np.unique(keys, return_inverse=True)
    parent = np.arange(len(names))

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = int(parent[one])
        return one

    def join(ones: NDArray[np.int64], others: NDArray[np.int64]) -> None:
        for start in range(0, len(ones), _JOINED):
            a, b = ones[start : start + _JOINED], others[start : start + _JOINED]
            for row in np.flatnonzero(parent[parent[a]] != parent[parent[b]]).tolist():
                first, second = sorted((find(int(a[row])), find(int(b[row]))))
                if first != second:
                    parent[second] = first
                    near.holding.append((int(names[a[row]]), int(names[b[row]])))

    # Equal codes first: what is equal to one image is near whatever that is near.
    _, first, same = np.unique(codes.view("V32").ravel(), return_index=True, return_inverse=True)
    join(number[first[same]], number)
    for ones, others in _hits(np.ascontiguousarray(codes[first]), turned):
        a, b = number[first[ones]], number[first[others]]
        join(a, b)
        rank = np.arange(len(ones)) - np.searchsorted(ones, ones)
        few = (rank < _NEAREST) & (a != b)
        near.others.extend(zip(names[a[few]].tolist(), names[b[few]].tolist(), strict=True))
    return near


def _pairs(codes: NDArray[np.uint8], turned: bool) -> Iterator[tuple[int, int]]:
    """Pairs of rows within `RADIUS`; with `turned` in any orientation, or one the negative of the other."""
    for ones, others in _hits(codes, turned):
        yield from zip(ones.tolist(), others.tolist(), strict=True)


def _hits(codes: NDArray[np.uint8], turned: bool) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The pairs in batches: rows, ascending, and later rows, of each row the nearest first."""
    planes = np.ascontiguousarray(codes.view("<u8").T)
    with tempfile.TemporaryDirectory(prefix="wherefrom-duplicates-") as folder:
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
                yield rows[later], hits.row[later]


def _groups_of(
    members: Sequence[Known],
    plan: _Plan,
    number: int,
    *,
    turned: bool,
    look: Look | None,
    tones: Tones | None,
) -> Iterator[Group]:
    known = {one.key: one for one in members}

    def compared(one: Known, other: Known) -> Relation | None:
        if not alike(one.image, other.image):
            return None  # with one first page they are not yet one document
        return related(*sorted((one, other), key=lambda known: known.key), turned=turned)

    relations = list(plan.joined.get(number, ()))
    for one, other in plan.near.get(number, ()):
        if one in known and other in known:
            relation = compared(known[one], known[other])
            if relation is not None:
                relations.append(relation)
    if tones is not None and len(members) <= CLOSE:
        relations = [bars_seen(relation, tones) for relation in relations]
    shared = plan.parts.get(number, ())
    for tree in trees(members, relations, compared, look):
        group = _group(tree, shared)
        if group is not None:
            yield group


def _group(tree: Sequence[Branch], shared: Sequence[Relation]) -> Group | None:
    root = tree[0].known
    below: dict[int, list[Branch]] = {}
    for branch in tree[1:]:
        if branch.parent is not None:
            below.setdefault(branch.parent.key, []).append(branch)
    others: list[Duplicate] = []
    keep: Sighting | None = None
    kept_links: tuple[Sighting, ...] = ()
    waiting = [tree[0]]
    while waiting:
        branch = waiting.pop()
        image, match = looked(branch.known.image), branch.match
        files = spots(image)
        first, links = files[0] if files else (None, ())
        if match is not None:
            evidence = match.evidence
            made = Duplicate(image, first, match.kind, evidence.distance, match.id, match.score)
            others.append(replace(made, edits=evidence.edits, links=links))
        elif first is not None:
            keep, kept_links = first, links
        for place, links in files[1:]:
            again = Duplicate(image, place, Kind.IDENTICAL, 0, image.id, 100.0)
            others.append(replace(again, links=links))
        waiting.extend(reversed(below.get(branch.known.key, ())))
    others = _apart(keep, others)
    if not others:
        return None
    inside = {branch.known.key for branch in tree}
    parts = [part for relation in shared if (part := _part(relation, inside)) is not None]
    parts.sort(key=lambda part: (part.member, -part.score, part.image.id))
    images = [branch.known.image for branch in tree]
    return Group(root.image, keep, _why(images), tuple(others), tuple(parts), kept_links)


def _part(relation: Relation, inside: set[int]) -> Part | None:
    source, made = relation.source, relation.made
    contains = source.key in inside
    if contains == (made.key in inside):
        return None
    member, other = (source, made) if contains else (made, source)
    share = relation.match.evidence.match_coverage
    return Part(member.image.id, contains, other.image, relation.match.score, share or 0.0)


def _at_hand(members: Sequence[Known]) -> list[Known]:
    """The members with their places as they stand; those that are nowhere at hand are left out.

    Where none is at hand, as in a collection whose files are elsewhere, all are told that are not gone.
    """
    every = [(one, looked(one.image)) for one in members]
    here = [one for one, image in every if is_at_hand(image)]
    return here or [one for one, image in every if spots(image)]


def _apart(keep: Sighting | None, others: Sequence[Duplicate]) -> list[Duplicate]:
    """The others that are files of their own: a place whose file changed may lead to another one's by now."""
    seen = {keep.file} if keep is not None and keep.file is not None else set()
    found = []
    for one in others:
        file = one.place.file if one.place is not None else None
        if file is None or file not in seen:
            found.append(one)
            seen.update(() if file is None else (file,))
    return found


def _why(images: Sequence[Image]) -> str:
    """Why the first is kept."""
    if len(images) == 1:
        return "the files are the same, byte for byte"
    first, second = images[0], min(images[1:], key=merit)
    pixels = first.width * first.height
    if pixels > second.width * second.height:
        return f"largest: {first.width} × {first.height}"
    if pixels < second.width * second.height:
        return "shows it whole and without a border"
    if first.bytes > second.bytes:
        return "least compressed of the largest"
    return "earliest of equals"
