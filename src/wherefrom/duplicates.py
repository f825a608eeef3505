"""Duplicates: which files of a whole collection are one picture, what was made from which, and which to keep.

Pairs of near codes come from multi-index hashing, so that the work grows with the number of images and not
with its square. With `parts`, every image is also looked for by its kept keypoints, and what it meets is
proven by geometry: that finds crops and pictures with something laid over them. Pairs that are one picture
make families (`families`); an image that only contains another is said to do so, and joins nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from wherefrom.batches import batched
from wherefrom.engine.base import Engine, NearPairs, Selection
from wherefrom.families import CLOSE, Branch, Look, trees
from wherefrom.filters.terms import Term
from wherefrom.groups import Duplicate, Group, Part
from wherefrom.keeping import one_shot, ordered, paired, why
from wherefrom.meetings import Progress, Union, by_words, known_of, settled
from wherefrom.places import is_at_hand, looked, spots
from wherefrom.records import Image, Sighting
from wherefrom.relations import Known, Relation, Tones, bars_seen, related
from wherefrom.search.answer import Direction, Evidence, Kind, Match
from wherefrom.search.direction import by_files, directed
from wherefrom.search.frames import alike
from wherefrom.search.pixels import Read, looked_at
from wherefrom.search.placing import area

Compared = Callable[[Known, Known], Relation | None]

RADIUS = 31
"""Bits within which two images are taken for one picture: two thirds of a search, since groups chain."""

_KNOWN = 4_096  # comparisons that are remembered
_COVERED = 0.3  # by what differs, likewise: screens of one application are alike around what they show
_AGREEMENT = 0.85  # of pixels, for images whose fingerprints are not near: two photographs agree less


def groups(
    engine: Engine,
    *,
    turned: bool = True,
    parts: bool = True,
    look: Look | None = None,
    tones: Tones | None = None,
    progress: Progress | None = None,
    allowed: Selection | None = None,
    exact: bool = False,
) -> Iterator[Group]:
    """Every group, the one with most files first; then those of the kind `parts`.

    With `turned` also mirrored, turned and negative copies; with `parts` also crops and whatever else is met
    by its keypoints, which takes some milliseconds an image. `look` compares the pixels of what is about to
    be told, and by `tones` bars that are written on are known. With `allowed` no other image is
    told; with `exact` only files that are the same byte for byte.
    """
    union = Union()
    near = NearPairs([], []) if exact else engine.near_pairs(RADIUS, turned=turned, within=allowed)
    for one, other in near.holding:
        union.join(one, other)
    for key in engine.select(Term("places", ">=", 2.0)):
        if allowed is None or key in allowed:
            union.add(key)
    met: list[Relation] = []
    if parts:
        seen = by_words(
            engine, list(engine.select(None) if allowed is None else allowed), union, turned, progress
        )
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


def _lets(allowed: Selection, relation: Relation) -> bool:
    return relation.source.key in allowed and relation.made.key in allowed


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


class _Plan:
    """What is known within and between groups, by the number of the group."""

    def __init__(self, found: Sequence[Sequence[int]], near: NearPairs, met: Sequence[Relation]) -> None:
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
    return by_files(made.image, match.image, match.evidence)


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
