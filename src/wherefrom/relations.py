"""Relations: two images of a collection and, from what is kept of both, what was done to the one to make the
other.

A search has its query's pixels; here both sides are known by their fingerprints and kept keypoints alone, so
that a whole collection can be gone through without opening a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.fingerprint import Fingerprint, QueryCode, turned_codes
from wherefrom.features.keypoints import LEAST, Keypoints, Variant
from wherefrom.keeping import merit
from wherefrom.records import Image
from wherefrom.search.answer import Edit, Evidence, Kind, Match
from wherefrom.search.explain import Frame, explain
from wherefrom.search.frames import alike
from wherefrom.search.placing import Proof, agrees, placed, with_points
from wherefrom.search.rank import score_of, score_of_proof
from wherefrom.search.recall import CLAIM_RADIUS, Candidate, cost
from wherefrom.search.verify import FRAME, Geometry, frame_of, mapped, proves, verify

Tones = Callable[[Image], NDArray[np.uint8] | None]
"""The luma of an image whose file is there, (h, w), None of others."""

CLAIMED = 31
"""Bits within which fingerprints say by themselves that two images are one picture."""

_INLIERS = 20  # that join two images whose fingerprints are not near
_LARGELY = 0.7  # share of a picture that the other shows: so much of it cannot be chance company
_CROPPED = 0.45  # share below which a part is no copy of the whole
_WITHIN = 0.9  # share of a part that the whole shows
_FINER = 1.25  # how much larger than in the whole a part may be, to be cut from it
_LARGER = 1.05  # linear, from which a size is another
_UNIT = 65_535  # a fingerprint's inner box in a frame of this side
_CELLS = 256  # a side, of the stand-in for a picture's tones
_NARROW = 0.1  # of the longer side
_TONES = np.array([0, 60, 190, 250], np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """An image, its key, and the features that are kept of it."""

    key: int
    image: Image
    mark: Fingerprint
    points: Keypoints

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.width, self.image.height

    @property
    def textured(self) -> bool:
        """Whether it has keypoints enough to be compared by them."""
        return len(self.points) >= LEAST


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """Two images that share a picture: `made` has come from `source`, as far as they tell.

    `match` describes `source` as seen from `made`: its edits are what was done to the source. `joins` says
    that both are one picture; else they share a part of it.
    """

    source: Known
    made: Known
    match: Match
    joins: bool

    @property
    def is_part(self) -> bool:
        """Whether all of what was made lies in a part of the source."""
        evidence = self.match.evidence
        angled = any(edit.name == "perspective" for edit in evidence.edits)
        return not angled and (evidence.query_coverage or 0.0) >= _WITHIN

    @property
    def cut(self) -> bool:
        """Whether what was made shows less of the source, or has a border around it."""
        return any(edit.name in ("crop", "border") for edit in self.match.evidence.edits)


def related(one: Known, other: Known, *, turned: bool = True, by_keypoints: bool = False) -> Relation | None:
    """How two images are related, None when neither keypoints nor fingerprints prove that they are.

    `by_keypoints` asks for those alone that keypoints prove. With `turned` a mirrored, turned or negative
    fingerprint counts too. Kept keypoints know no mirrored pictures, and tell turned ones whatever `turned`
    says.
    """
    geometry = geometry_of(one, other)
    if geometry is None and by_keypoints:
        return None
    back = None if geometry is None else geometry_of(other, one)
    ways = (
        (one, other, explained(one, other, geometry, turned=turned)),
        (other, one, explained(other, one, back, turned=turned)),
    )
    matches = [(made, source, match) for made, source, match in ways if match is not None]
    if not matches:
        return None
    made, source, match = min(matches, key=lambda way: (_extent(way[2]), merit(way[1].image)))
    return Relation(source, made, match, _is_one(match, source.image, made.image))


def geometry_of(query: Known, match: Known) -> Geometry | None:
    """How `match` lies in `query` by their kept keypoints, where that is proven."""
    if not (query.textured and match.textured):
        return None
    found = verify(query.points, query.size, match.points, match.size)
    return found if found is not None and proves(found) else None


def explained(
    made: Known,
    source: Known,
    geometry: Geometry | None,
    *,
    turned: bool = True,
    luma: NDArray[np.uint8] | None = None,
) -> Match | None:
    """The source as a match for what was made from it, as in a search; None when nothing says that it is one.

    Where `made` is plain is told by its `luma`, (h, w) of the whole picture, else by its keypoints.
    """
    candidate = _by_fingerprint(made.mark, source.mark, turned)
    frame = Frame(*made.size, (0.0, 0.0, 1.0, 1.0), (_UNIT, _UNIT))
    exact: tuple[Kind, Evidence] | None = None
    if candidate is not None and (candidate.distance <= CLAIMED or geometry is not None):
        exact = explain(candidate, source.image, frame, source.mark.inside)
    if geometry is None:
        if exact is None or candidate is None:
            return None
        return Match(exact[0], score_of(candidate.distance), source.image, exact[1])
    tones = _tones(made, source, geometry) if luma is None else luma
    proof = Proof(geometry, Variant(made.points), source.points)
    distance = None if candidate is None else candidate.distance
    kind, evidence = placed(proof, source.image, frame, tones, distance)
    score = score_of_proof(geometry)
    if exact is not None and distance is not None:
        score = max(score, score_of(distance))
        if agrees(exact[1], evidence, made.size, source.image):
            kind, evidence = exact[0], with_points(exact[1], evidence)
    # Thousands of relations are held at once, and nobody is shown their keypoints.
    return Match(kind, score, source.image, replace(evidence, points=()))


def bars_seen(relation: Relation, tones: Tones) -> Relation:
    """A crop turned round where the pixels of the larger picture show that bars were added to the smaller.

    Bars that are written on have keypoints, and look like any other part without the pixels.
    """
    names = {edit.name for edit in relation.match.evidence.edits}
    geometry = geometry_of(relation.source, relation.made) if "crop" in names else None
    luma = tones(relation.source.image) if geometry is not None else None
    if luma is None:
        return relation
    match = explained(relation.source, relation.made, geometry, luma=luma)
    if match is None or all(edit.name != "border" for edit in match.evidence.edits):
        return relation
    return replace(relation, source=relation.made, made=relation.source, match=match)


def change(edits: tuple[Edit, ...]) -> float:
    """How much was done, for choosing the least: 0 for nothing; a plain reduction is little, a crop more."""
    return sum(_WEIGHTS[edit.name](edit.amount or 0.0) if edit.name in _WEIGHTS else 0.3 for edit in edits)


_WEIGHTS: dict[str, Callable[[float], float]] = {
    "scale": lambda ratio: 0.2 * abs(float(np.log2(ratio or 1.0))),
    "aspect": lambda ratio: 0.3 + abs(float(np.log2(ratio or 1.0))),
    "crop": lambda missing: 0.5 + 2 * missing,
    "border": lambda share: 0.5 + 2 * share,
    "embedded": lambda share: 1.0 + 2 * (1 - share),
    "mirror": lambda _: 0.8,
    "negative": lambda _: 0.8,
    "rotate": lambda _: 0.6,
    "perspective": lambda _: 1.5,
}


def _extent(match: Match) -> float:
    """How little what was made can be the source: lower for the way round that is more likely.

    What shows less has been cut; but a plain border has been added.
    """
    names = {edit.name: edit.amount or 0.0 for edit in match.evidence.edits}
    if "border" in names:
        return -1.0  # seen the other way round, it would have been cropped
    shown, covered = match.evidence.match_coverage or 1.0, match.evidence.query_coverage or 1.0
    if "embedded" in names or covered < shown:
        return 2.0
    return 0.0 if "crop" in names else 1.0


def _is_one(match: Match, source: Image, made: Image) -> bool:
    """Whether the two are one picture: not a picture and another with it as a part, nor two photographs of
    one thing.

    More is asked of pairs that keypoints alone speak for than to find them in a search, since families chain.
    Of two photographs each shows what the other does not, or the one is seen at another angle.
    """
    if match.kind not in (Kind.IDENTICAL, Kind.SAME, Kind.COPY) or not alike(source, made):
        return False
    evidence = match.evidence
    if evidence.distance is not None and evidence.distance <= CLAIM_RADIUS:
        return True
    names = {edit.name for edit in evidence.edits}
    if "perspective" in names or {"crop", "embedded"} <= names or {"crop", "border"} <= names:
        return False
    if (evidence.inliers or 0) < _INLIERS:
        return False
    shown = evidence.match_coverage
    if shown is None or shown >= _LARGELY:
        return True
    return shown >= _CROPPED and _zoom(match, source, made, shown) <= _FINER


def _zoom(match: Match, source: Image, made: Image, shown: float) -> float:
    """How much larger the common part is in what was made than in the source, linear."""
    covered = match.evidence.query_coverage or 1.0
    return float(np.sqrt(made.width * made.height * covered / max(source.width * source.height * shown, 1.0)))


def _by_fingerprint(made: Fingerprint, source: Fingerprint, turned: bool) -> Candidate | None:
    """The simplest way in which codes say that the one was made from the other."""
    if not (made.usable and source.usable):
        return None
    targets = [(source.code, False)] + ([(source.trimmed, True)] if source.trimmed is not None else [])
    codes = [made.code] + ([made.trimmed] if made.trimmed is not None else [])
    best: Candidate | None = None
    for mirrored, degrees, negative, variants in turned_codes(np.stack(codes)):
        if not turned and (mirrored or degrees or negative):
            continue
        for number, variant in enumerate(variants):
            box = None
            if number and made.inside is not None:
                left, top, right, bottom = (round(share * _UNIT) for share in made.inside)
                box = (left, top, right, bottom)
            for target, trimmed in targets:
                distance = int(np.bitwise_count(variant ^ target).sum())
                if distance > CLAIM_RADIUS:
                    continue
                found = Candidate(0, distance, QueryCode(variant, mirrored, degrees, negative, box), trimmed)
                if best is None or cost(found) < cost(best):
                    best = found
    return best


def _tones(made: Known, source: Known, geometry: Geometry) -> NDArray[np.uint8]:
    """A stand-in for the luma of `made`, which tells only where it is plain: where it has no keypoints.

    Squares around the keypoints outside the common area have four tones, and everything else is of one. They
    are a little wider than the keypoints inside lie apart: what is as rich as that is mostly covered. Near
    the edges there are no keypoints: narrow strips are plain where the fingerprint has met bars.
    """
    width, height = frame_of(*made.size)
    there = frame_of(*source.size)
    shape = max(8, round(_CELLS * height / FRAME)), max(8, round(_CELLS * width / FRAME))
    tones = np.full(shape, 128, np.uint8)
    places = np.stack([made.points.x * width, made.points.y * height], axis=1).astype(np.float64)
    try:
        inside = mapped(np.asarray(np.linalg.inv(geometry.transform), np.float64), places)
    except np.linalg.LinAlgError:
        return tones
    corners = mapped(geometry.transform, np.array([[0, 0], [there[0], 0], [0, there[1]], list(there)], float))
    strips = [*corners.min(axis=0), *(np.array([width, height]) - corners.max(axis=0))]
    if made.mark.inside is None and max(strips) < _NARROW * FRAME:
        tones.ravel()[:] = _TONES[np.arange(tones.size) % len(_TONES)]
        return tones
    slack = 0.01 * FRAME
    outside = ((inside < -slack) | (inside > np.array(there) + slack)).any(axis=1)
    shrunk = float(np.sqrt(abs(np.linalg.det(geometry.transform[:2, :2]))))
    common = min(width * height, there[0] * there[1] * shrunk**2)
    apart = np.sqrt(common / max(1, len(places) - int(outside.sum()))) * _CELLS / FRAME
    reach = int(np.clip(round(0.6 * apart), 1, _CELLS // 8))
    for x, y in places[outside].tolist():
        column, row = int(x / width * shape[1]), int(y / height * shape[0])
        near = tones[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        near[...] = _TONES[(np.arange(near.size) % len(_TONES)).reshape(near.shape)]
    return tones
