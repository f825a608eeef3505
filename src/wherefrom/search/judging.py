"""Judging one image: whether its keypoints prove it, and what match fingerprint and geometry make of it."""

from __future__ import annotations

from collections.abc import Iterable

from wherefrom.engine.base import WordQuery
from wherefrom.features.fingerprint import Shares
from wherefrom.features.keypoints import Keypoints
from wherefrom.records import Image
from wherefrom.search.answer import Evidence, Kind, Match
from wherefrom.search.explain import explain
from wherefrom.search.placing import Proof, agrees, placed, with_points
from wherefrom.search.query import Query
from wherefrom.search.rank import score_of, score_of_proof
from wherefrom.search.recall import NEAR_RADIUS, Candidate
from wherefrom.search.verify import proves, suggests, verify

_TELLING = 40  # keypoints on both sides from which some of a copy's agree
_FINE = 256  # longer side in pixels of a query that shows such detail


def word_queries(query: Query) -> list[WordQuery]:
    """What the index of visual words is asked for a query: one for each of its variants."""
    points = (variant.keypoints for variant in query.variants)
    return [WordQuery(p.words, p.signatures, p.angles, p.scales) for p in points]


def should_agree(query: Query, points: Keypoints, candidate: Candidate) -> bool:
    """Whether keypoints that do not agree speak against a fingerprint that is not very near.

    Two screens of one app, or two pages, are near by fingerprint: what they share is most of their area.
    """
    textured = min(len(points), len(query.variants[0].keypoints)) >= _TELLING
    fine = max(query.frame.working) >= _FINE
    return textured and fine and candidate.distance > NEAR_RADIUS


def proof_of(query: Query, image: Image, points: Keypoints, variants: Iterable[int]) -> Proof | None:
    """The geometry that most keypoints agree on, under any of these variants of the query.

    It is `sure` where it proves something by itself, and else has to be confirmed by the pixels.
    """
    best: Proof | None = None
    for number in variants:
        variant = query.variants[number]
        found = verify(variant.keypoints, query.frame.size, points, (image.width, image.height))
        rare = variant.mirrored or variant.negative
        if found is None or not (proves(found, rare=rare) or (not rare and suggests(found))):
            continue
        sure = proves(found, rare=rare)
        if best is None or (sure, found.inliers) > (best.sure, best.geometry.inliers):
            best = Proof(found, variant, points, sure)
    return best


def judged(
    query: Query, image: Image, candidate: Candidate | None, proof: Proof | None, inside: Shares | None
) -> Match | None:
    """The match that a fingerprint, a geometry or both make of an image."""
    exact: tuple[Kind, Evidence] | None = None
    if candidate is not None:
        exact = explain(candidate, image, query.frame, inside)
    if proof is None:
        if exact is None or candidate is None:
            return None
        return Match(exact[0], score_of(candidate.distance), image, exact[1])
    distance = candidate.distance if candidate is not None else None
    kind, evidence = placed(proof, image, query.frame, query.picture.luma8, distance)
    score = score_of_proof(proof.geometry)
    if exact is not None and distance is not None:
        score = max(score, score_of(distance))
        if agrees(exact[1], evidence, (query.frame.width, query.frame.height), image):
            kind, evidence = exact[0], with_points(exact[1], evidence)
    return Match(kind, score, image, evidence)
