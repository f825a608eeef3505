"""Duplicates: which files of a whole collection are one picture, what was made from which, and which to keep.

Pairs of near codes come from multi-index hashing, so that the work grows with the number of images and not
with its square. With `parts`, every image is also looked for by its kept keypoints, and what it meets is
proven by geometry: that finds crops and pictures with something laid over them. Pairs that are one picture
make families (`families`); an image that only contains another is said to do so, and joins nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wherefrom.batches import batched
from wherefrom.engine import mih, scan
from wherefrom.engine.base import Engine
from wherefrom.families import CLOSE, Branch, Look, trees
from wherefrom.features.fingerprint import turned_codes
from wherefrom.keeping import one_shot, ordered, paired, why
from wherefrom.meetings import Progress, Union, by_words, known_of, settled
from wherefrom.places import is_at_hand, looked, spots
from wherefrom.records import Image, Sighting
from wherefrom.relations import Known, Relation, Tones, bars_seen, related
from wherefrom.search.answer import Direction, Edit, Evidence, Kind, Match
from wherefrom.search.direction import by_files, directed
from wherefrom.search.find import is_among
from wherefrom.search.frames import alike
from wherefrom.search.pixels import Read, looked_at
from wherefrom.search.placing import area

Compared = Callable[[Known, Known], Relation | None]

RADIUS = mih.RADIUS
"""Bits within which two images are taken for one picture: half of a search, since groups chain."""

_SCANNED = 2_000  # images below which every pair is simply compared
_BATCH = 1_024  # codes searched for at a time
_JOINED = 4_096  # pairs joined at a time
_NEAREST = 3  # pairs of an image that are kept besides those that hold a group together
_KNOWN = 4_096  # comparisons that are remembered
_COVERED = 0.3  # by what differs, likewise: screens of one application are alike around what they show
_AGREEMENT = 0.85  # of pixels, for images whose fingerprints are not near: two photographs agree less


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that shows the picture of its group: which image, where, and how it comes from its parent.

    `place` is None for an image that was added without a place. `parent` is the id of the image of the group
    that it was likely made from, `edits` what was then done, and `kind`, `score` (0 to 100) and `distance`
    (bits of 256, None where fingerprints are not near) what it is to that one. A further place of an image
    has the image itself as its parent. `links` are the other places that lead to the same file.

    `suggestion` is `spare` where the file could go, since what it was made from, or the same bytes, stay;
    `choice` where nothing says which of the two was first; `keep` where it belongs to one that is kept, as
    RAW and JPEG of one shot do; `part` where the two only share a part. `why` says so in a phrase, and
    `direction` why its parent is called its source.
    """

    image: Image
    place: Sighting | None
    kind: Kind
    distance: int | None
    parent: str
    score: float
    edits: tuple[Edit, ...] = ()
    suggestion: str = "spare"
    why: str = ""
    direction: Direction | None = None
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
            "suggestion": self.suggestion,
            "why": self.why,
            "direction": None if self.direction is None else self.direction.as_json(),
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
        found = ordered(looked(self.image))
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
    `kind` is `picture`; in a group of the kind `parts` nothing is one picture: the others are crops,
    screenshots and the like of the first, and none could go.
    """

    keep: Image
    place: Sighting | None
    why: str
    others: tuple[Duplicate, ...]
    parts: tuple[Part, ...] = ()
    kind: str = "picture"
    links: tuple[Sighting, ...] = ()

    @property
    def choice(self) -> bool:
        """Whether it is the reader's choice which of some files to keep: nothing says which was first."""
        return any(other.suggestion == "choice" for other in self.others)

    @property
    def spare(self) -> tuple[Duplicate, ...]:
        """The files that could go."""
        return tuple(other for other in self.others if other.suggestion == "spare")

    @property
    def spare_bytes(self) -> int:
        """What removing those that could go would free."""
        return sum(other.image.bytes for other in self.spare)

    def as_json(self) -> dict[str, object]:
        """The group in the shape that all faces share."""
        uri = self.place.uri if self.place else None
        return {
            "keep": {"id": self.keep.id, "uri": uri, "why": self.why, **_facts(self.keep)}
            | _at(self.place, self.links),
            "others": [other.as_json() for other in self.others],
            "parts": [part.as_json() for part in self.parts],
            "kind": self.kind,
            "choice": self.choice,
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
    allowed: NDArray[np.int64] | None = None,
    exact: bool = False,
) -> Iterator[Group]:
    """Every group, the one with most files first; then those of the kind `parts`.

    With `turned` also mirrored, turned and negative copies; with `parts` also crops and whatever else is met
    by its keypoints, which takes some milliseconds an image. `look` compares the pixels of what is about to
    be told, and by `tones` bars that are written on are known. With `allowed`, keys that rise, no other image
    is told; with `exact` only files that are the same byte for byte.
    """
    entries, codes = _all_codes(engine)
    if allowed is not None or exact:
        wanted = np.zeros(len(entries), bool) if exact or allowed is None else np.isin(entries // 2, allowed)
        entries, codes = entries[wanted], codes[wanted]
    keys = entries // 2
    union = Union()
    near = _near(keys, codes, turned)
    for one, other in near.holding:
        union.join(one, other)
    for key in engine.seen_twice():
        if allowed is None or is_among(key, allowed):
            union.add(key)
    met: list[Relation] = []
    if parts:
        seen = by_words(engine, np.unique(keys).tolist(), union, turned, progress)
        met = settled([one for one in seen if allowed is None or _lets(allowed, one)], union)
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
    yield from _part_groups(met, {key: number for number, keys in enumerate(found) for key in keys}, look)


def _lets(allowed: NDArray[np.int64], relation: Relation) -> bool:
    return is_among(relation.source.key, allowed) and is_among(relation.made.key, allowed)


def looks(read: Read) -> Look:
    """What compares the pixels of two images whose files `read` still finds, and tells which was made from
    which; others stay as they are. What was looked at once is known."""
    cached = lru_cache(maxsize=8)(read)
    known: dict[tuple[int, str], Match | None] = {}

    def look(made: Known, match: Match) -> Match | None:
        name = made.key, match.id
        if name not in known:
            if len(known) >= _KNOWN:
                known.clear()
            known[name] = compare(made, match)
        return known[name]

    def compare(made: Known, match: Match) -> Match | None:
        query, other = cached(made.image), cached(match.image)
        if query is None or other is None:
            return match
        seen = looked_at(match, query.picture, other.picture)
        if seen is not None and match.evidence.distance is None:
            covered = _covered(seen.evidence)
            if (seen.evidence.agreement or 0.0) < _AGREEMENT or covered >= _COVERED:
                return None
        return None if seen is None else directed(seen, query, other)

    return look


def _covered(evidence: Evidence) -> float:
    """The share of what both show that lies within the outlines of what differs, or is masked."""
    outlines = [edit.area for edit in evidence.edits if edit.name == "overlay" and edit.area]
    masked = sum(edit.amount or 0.0 for edit in evidence.edits if edit.name == "mask")
    if not outlines or not evidence.query_area:
        return masked
    shown = max(area(np.array(evidence.query_area)), 1.0)
    return masked + sum(area(np.array(outline)) for outline in outlines) / shown


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
        group = _group(tree, shared, compared, look)
        if group is not None:
            yield group


def _group(
    tree: Sequence[Branch], shared: Sequence[Relation], compared: Compared, look: Look | None
) -> Group | None:
    root = tree[0].known
    below: dict[int, list[Branch]] = {}
    for branch in tree[1:]:
        if branch.parent is not None:
            below.setdefault(branch.parent.key, []).append(branch)
    images = [branch.known.image for branch in tree]
    others: list[Duplicate] = []
    reasons: list[str] = []
    keep: Sighting | None = None
    kept_links: tuple[Sighting, ...] = ()
    waiting = [tree[0]]
    while waiting:
        branch = waiting.pop()
        image, match = looked(branch.known.image), branch.match
        files = ordered(image)
        first, links = files[0] if files else (None, ())
        if match is not None:
            evidence = match.evidence
            made = Duplicate(image, first, match.kind, evidence.distance, match.id, match.score)
            suggestion, why_so, told = _suggested(branch, root, images, compared, look)
            reasons += [reason.text for reason in told.why] if told is not None else []
            made = replace(made, edits=evidence.edits, direction=told, links=links)
            others.append(replace(made, suggestion=suggestion, why=why_so))
        elif first is not None:
            keep, kept_links = first, links
        for place, links in files[1:]:
            again = Duplicate(image, place, Kind.IDENTICAL, 0, image.id, 100.0, why="the same bytes")
            others.append(replace(again, links=links))
        waiting.extend(reversed(below.get(branch.known.key, ())))
    others = _apart(keep, others)
    if not others:
        return None
    inside = {branch.known.key for branch in tree}
    parts = [part for relation in shared if (part := _part(relation, inside)) is not None]
    parts.sort(key=lambda part: (part.member, -part.score, part.image.id))
    shown = [root.image, *(one.image for one in others if one.image.id != root.image.id)]
    text = why(shown, reasons)
    if any(one.suggestion == "choice" for one in others):
        text = _UNKNOWN
    return Group(root.image, keep, text, tuple(others), tuple(parts), links=kept_links)


_UNKNOWN = "your choice: nothing says for sure which of them was first"
_FRAMES = "of the several frames or pages only one was compared"


def _suggested(
    branch: Branch, root: Known, images: Sequence[Image], compared: Compared, look: Look | None
) -> tuple[str, str, Direction | None]:
    """What is suggested for a file that is not the first of its group, why, and what says so."""
    image, match, parent = branch.known.image, branch.match, branch.parent
    assert match is not None
    assert parent is not None
    told = _told(branch.known, match)
    if (told is None or told.source != "match") and parent is not root:
        relation = compared(root, branch.known)
        if relation is not None and relation.joins:
            direct = relation.match if look is None else look(relation.made, relation.match)
            found = None if direct is None else _told(relation.made, direct)
            if found is not None:
                forward = (found.source == "match") == (relation.source is root)
                told = replace(found, source="match" if forward else "query")
    for other in images:
        if other.id != image.id and one_shot(other, image) is not None:
            return "keep", paired(other, image), told
    if any(edit.name in ("crop", "embedded") for edit in match.evidence.edits):
        return "part", "it shows a part of the picture", told
    if max(one.frames for one in (image, match.image)) > 1:
        return "choice", _FRAMES, None
    if told is not None and told.source == "match":
        return "spare", told.sentence, told
    return "choice", "nothing says which of the two was first", None


def _told(made: Known, match: Match) -> Direction | None:
    """Which of two was first: by their pixels where these were compared, else by what is kept of them."""
    if match.evidence.direction is not None or match.evidence.agreement is not None:
        return match.evidence.direction
    return by_files(made.image, match.image)


def _part_groups(met: Sequence[Relation], number_of: Mapping[int, int], look: Look | None) -> Iterator[Group]:
    """Images with those that show a part of them, or have them as a part, and are one picture with none."""
    found: dict[int, tuple[Known, list[Duplicate]]] = {}
    told: set[tuple[int, int]] = set()
    for relation in met:
        source, made = relation.source, relation.made
        ours, theirs = number_of.get(source.key), number_of.get(made.key)
        if relation.joins or (ours is not None and ours == theirs):
            continue
        # Of two families that share a part it is said once.
        pair = (source.key if ours is None else -1 - ours, made.key if theirs is None else -1 - theirs)
        if pair in told or pair[::-1] in told or not (_is_there(source.image) and _is_there(made.image)):
            continue
        match = relation.match if look is None else look(made, relation.match)
        if match is None:
            continue
        told.add(pair)
        evidence, image = match.evidence, made.image
        place, links = ordered(looked(image))[0]
        one = Duplicate(image, place, Kind.PARTIAL, evidence.distance, match.id, match.score, links=links)
        one = replace(one, edits=evidence.edits, suggestion="part", why=_SHARED, direction=evidence.direction)
        found.setdefault(source.key, (source, []))[1].append(one)
    for source, others in found.values():
        others.sort(key=lambda one: (-one.score, one.image.id))
        place, links = ordered(looked(source.image))[0]
        yield Group(source.image, place, _SHARING, tuple(others), kind="parts", links=links)


def _is_there(image: Image) -> bool:
    seen = looked(image)
    return bool(seen.sightings) and is_at_hand(seen)


_SHARED = "the two share a part and are not one picture"
_SHARING = "the others share a part with it: none could go for another's sake"


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
