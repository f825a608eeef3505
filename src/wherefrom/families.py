"""Families: the images that are one picture as a tree, from the likely original to what was made of it.

The root is the image that nothing else precedes: it has not been cut or framed as others have not, and of
those it is the largest, then the least compressed, then the oldest; where pixels tell nothing of two, the one
that more of the others are told to be made of. The others are hung below it one at a
time, each by the relation in which least was done of all that reach from the tree to an image outside (Prim
1957). That is greedy: an image hangs where it is nearest, which is likely and no proof that it came that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from wherefrom.keeping import merit
from wherefrom.relations import Known, Relation, change, explained, geometry_of
from wherefrom.search.answer import Match

Look = Callable[[Known, Match], Match | None]
"""(what was made, its source as a match): the match after pixels are compared, None when they refute it."""

Related = Callable[[Known, Known], Relation | None]

CLOSE = 64
"""Members up to which every one is compared with the root by keypoints too."""

_BACK, _ASKED = 4, 12  # steps from a root to what it was made of, and relations looked at in each
_RIVALS = 2  # images that nothing tells from the root, of which it is counted what was made of them
_SAID = 3  # of `merit`: signs, pixels and words
_LOOKED_AT = 32  # relations of a family whose pixels are compared
_AGAINST = 4.0  # added to the change of a relation that is taken against its direction
_DEEPER = 0.15  # added for each level: of copies that are alike, none is made from another
_BITS = 64.0  # of distance between fingerprints that weigh as much as a change of 1
_PART = 0.7  # share of a picture below which what shows it may be one part of several
_APART = 0.2  # share of the smaller of two parts that the other may cover for them to lie apart

_NUMBERS = count()  # that no two relations on a heap are ever compared themselves

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """An image of a family. `match` describes its parent as seen from it; both are None for the root."""

    known: Known
    parent: Known | None
    match: Match | None
    depth: int = 0


def composed(relations: Iterable[Relation], akin: Callable[[int, int], bool]) -> set[tuple[int, int]]:
    """The joining pairs, as keys (source, made), that do not join after all: parts of a composition.

    Of one image that shows two others in places of their own, the two not being related themselves, neither
    is a crop: it was put together from them, and shall not make them one family. `akin` tells what is known
    to be related otherwise.
    """
    joined = [relation for relation in relations if relation.joins]
    kin = {frozenset((one.source.key, one.made.key)) for one in joined}
    parts: dict[int, list[Relation]] = {}
    for relation in joined:
        shown = relation.match.evidence.match_coverage
        if shown is not None and shown < _PART:
            parts.setdefault(relation.source.key, []).append(relation)
    found: set[tuple[int, int]] = set()
    for source, ones in parts.items():
        for number, one in enumerate(ones):
            for other in ones[number + 1 :]:
                first, second = one.made.key, other.made.key
                related = frozenset((first, second)) in kin or akin(first, second)
                if not related and _overlap(_box(one), _box(other)) < _APART:
                    found |= {(source, first), (source, second)}
    return found


def trees(
    members: Sequence[Known], relations: Iterable[Relation], related: Related, look: Look | None = None
) -> list[list[Branch]]:
    """The members as trees, each with its root first and every parent before its children.

    There is one tree unless `look` refutes what held the members together. `relations` are those known
    among them; up to `CLOSE` members, `related` is asked for those to the root.
    """
    rest = {known.key: known for known in members}
    known_ones = list(relations)
    found: list[list[Branch]] = []
    while rest:
        here = [one for one in known_ones if one.source.key in rest and one.made.key in rest]
        tree = _tree(rest, here, related, look)
        for branch in tree:
            del rest[branch.known.key]
        found.append(tree)
    return found


def _tree(
    members: dict[int, Known], relations: list[Relation], related: Related, look: Look | None
) -> list[Branch]:
    cut = dict.fromkeys(members, False)
    for relation in relations:
        if relation.cut:
            cut[relation.made.key] = True
    root = min(members.values(), key=lambda known: (cut[known.key], merit(known.image)))
    ways: dict[int, list[Relation]] = {key: [] for key in members}
    for relation in relations:
        ways[relation.source.key].append(relation)
        ways[relation.made.key].append(relation)
    if len(members) <= CLOSE:
        _meet(root, members, ways, related)
    first = root if look is None else _earliest(root, ways, look)
    if first is not root:
        root = first
        if len(members) <= CLOSE:
            _meet(root, members, ways, related)
    if look is not None and 2 < len(members) <= CLOSE:
        root = _surest(root, members, ways, related, look)
    tree = {root.key: Branch(root, None, None)}
    heap: list[tuple[float, int, int, Relation]] = []
    _reach(root, ways, tree, heap)
    looked = 0
    while heap and len(tree) < len(members):
        _, _, _, relation = heappop(heap)
        forward = relation.source.key in tree
        parent, made = (relation.source, relation.made) if forward else (relation.made, relation.source)
        if made.key in tree:
            continue
        match = relation.match if forward else explained(made, parent, geometry_of(made, parent))
        if match is not None and look is not None and looked < _LOOKED_AT:
            looked += 1
            match = look(made, match)
        if match is not None:
            tree[made.key] = Branch(made, parent, match, tree[parent.key].depth + 1)
            _reach(made, ways, tree, heap)
    return list(tree.values())


def _meet(root: Known, members: dict[int, Known], ways: dict[int, list[Relation]], related: Related) -> None:
    """Compare all that are not compared with the root yet."""
    met = {key for one in ways[root.key] for key in (one.source.key, one.made.key)}
    for known in members.values():
        if known.key not in met and known.key != root.key:
            near = related(root, known)
            if near is not None and near.joins:
                ways[root.key].append(near)


def _earliest(root: Known, ways: dict[int, list[Relation]], look: Look) -> Known:
    """What the root itself was made of, as the pixels tell: the root where they tell nothing else."""
    seen = {root.key}
    for _ in range(_BACK):
        older: list[Known] = []
        for relation in ways[root.key][:_ASKED]:
            match = look(relation.made, relation.match)
            told = None if match is None else match.evidence.direction
            if told is not None:
                source = relation.source if told.source == "match" else relation.made
                older += [] if source.key in seen else [source]
        if not older:
            break
        root = min(older, key=lambda known: merit(known.image))
        seen.add(root.key)
    return root


def _surest(
    root: Known, members: dict[int, Known], ways: dict[int, list[Relation]], related: Related, look: Look
) -> Known:
    """Of the root and those that nothing tells from it, the one that most others are told to be made of.

    None is put before the root that is smaller, or is named for what was done to it: of a picture and its
    mirror image, others that were mirrored look like the latter's.
    """
    made, untold = _made_of(root, ways, look)
    bound = merit(root.image)[:_SAID]
    rivals = [known for known in untold if merit(known.image)[:_SAID] <= bound]
    rivals.sort(key=lambda known: merit(known.image))
    for rival in rivals[:_RIVALS]:
        _meet(rival, members, ways, related)
        others, _ = _made_of(rival, ways, look)
        if others > made:
            root, made = rival, others
    return root


def _made_of(known: Known, ways: dict[int, list[Relation]], look: Look) -> tuple[int, list[Known]]:
    """How many images are told to be made of one, and those of one picture of which nothing tells which was
    first."""
    made, untold = 0, []
    for relation in ways[known.key][:_ASKED]:
        match = look(relation.made, relation.match)
        if match is None:
            continue
        told = match.evidence.direction
        if told is not None:
            made += known.key == (relation.source if told.source == "match" else relation.made).key
        elif match.evidence.agreement is not None:
            untold.append(relation.made if relation.source.key == known.key else relation.source)
    return made, untold


def _reach(
    known: Known,
    ways: dict[int, list[Relation]],
    tree: dict[int, Branch],
    heap: list[tuple[float, int, int, Relation]],
) -> None:
    """Put the relations that lead from an image out of the tree on the heap, least change first."""
    for relation in ways[known.key]:
        forward = relation.source.key == known.key
        other = relation.made if forward else relation.source
        if other.key in tree:
            continue
        evidence = relation.match.evidence
        cost = change(evidence.edits) + (evidence.distance or 0) / _BITS + _DEEPER * tree[known.key].depth
        cost += 0 if forward else _AGAINST
        heappush(heap, (cost, other.key, next(_NUMBERS), relation))


def _box(relation: Relation) -> Box:
    """Where the source shows what was made of it: left, top, right, bottom in its pixels."""
    area = relation.match.evidence.match_area
    if not area:
        return 0.0, 0.0, float(relation.source.image.width), float(relation.source.image.height)
    across, down = zip(*area, strict=True)
    return min(across), min(down), max(across), max(down)


def _overlap(one: Box, other: Box) -> float:
    """The share of the smaller box that both cover."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return max(0.0, wide) * max(0.0, high) / max(1e-9, min(areas))
