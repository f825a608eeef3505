"""Accounts: what each stage of a search says of one given image, and at which of them it was lost.

The stages are gone through again for that image alone, with the functions that a search goes through them
with. They are told apart as a search orders them: what the query is known by, who nominates the image
(fingerprint, words, looks), what keypoints say, what pixels say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wherefrom.engine.base import Engine, Selection
from wherefrom.errors import FeatureMismatch, ModelError, ModelMissing, NotFound
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import LEAST, Keypoints
from wherefrom.features.registry import feature, nominators
from wherefrom.printing import counted
from wherefrom.records import Image
from wherefrom.search.answer import CLAIMS, Answer, Match
from wherefrom.search.find import VERIFIED, find
from wherefrom.search.judging import judged, proof_of, should_agree, word_queries
from wherefrom.search.pixels import compared, original
from wherefrom.search.placing import Proof
from wherefrom.search.query import Query
from wherefrom.search.recall import CLAIM_RADIUS, Candidate, cost
from wherefrom.search.similar import Wish, alike
from wherefrom.search.telling import refusal
from wherefrom.search.verdict import confirms, is_another_view, refutes
from wherefrom.search.verify import Geometry, lacking, suggests, verify

_BITS = 256
_ASKED = 4_000  # images by visual words among which the place of one is told


@dataclass(frozen=True, slots=True)
class FingerprintStage:
    """What fingerprints say: whether the query's and the image's can be used at all, the least distance in
    bits that any way of being a copy gives (None without two that can be used), and whether that is near."""

    query_usable: bool
    image_usable: bool
    distance: int | None
    near: bool

    def as_json(self) -> dict[str, object]:
        """The stage in the shape that all faces share."""
        return {
            "query_usable": self.query_usable,
            "image_usable": self.image_usable,
            "distance": self.distance,
            "radius": CLAIM_RADIUS,
            "near": self.near,
        }


@dataclass(frozen=True, slots=True)
class PlaceStage:
    """Where an index that nominates candidates has the image: `place` from 1, None where it is not among
    those looked through; `asked` says whether that index was asked, and `nominated` whether its keypoints
    were to be compared."""

    asked: bool
    place: int | None
    nominated: bool

    def as_json(self) -> dict[str, object]:
        """The stage in the shape that all faces share."""
        return {"asked": self.asked, "place": self.place, "nominated": self.nominated}


@dataclass(frozen=True, slots=True)
class GeometryStage:
    """What keypoints say, compared whether or not anything nominated the image.

    `verdict` is `proves`, `suggests` or `none`; `query` and `image` are how many keypoints there are,
    `inliers` how many agree on one geometry; `lacks` are phrases that say what is missing for a proof.
    """

    verdict: str
    query: int
    image: int
    inliers: int
    lacks: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """The stage in the shape that all faces share."""
        return {
            "verdict": self.verdict,
            "query": self.query,
            "image": self.image,
            "inliers": self.inliers,
            "lacks": list(self.lacks),
        }


@dataclass(frozen=True, slots=True)
class PixelStage:
    """What pixels say. `looked` is whether they could be compared: the file is at hand, and fingerprint or
    keypoints say how the two lie. `agreement` is 0 to 1, `differing` the share of what both should show that
    shows something else in one piece, and `another_view` whether parallax shows that a scene was photographed
    again from another place."""

    looked: bool
    agreement: float | None = None
    differing: float | None = None
    another_view: bool = False
    refuted: bool = False
    confirmed: bool = False

    def as_json(self) -> dict[str, object]:
        """The stage in the shape that all faces share."""
        return {
            "looked": self.looked,
            "agreement": self.agreement,
            "differing": self.differing,
            "another_view": self.another_view,
            "refuted": self.refuted,
            "confirmed": self.confirmed,
        }


@dataclass(frozen=True, slots=True)
class Account:
    """What each stage of a search said of one image.

    `found` is the match that the search gave, and `place` where it stood, from 1. `stage` is where it was
    lost: `query` (too little in it to search by), `filter`, `recall` (nothing nominated it), `geometry`,
    `pixels`, `rank` (proven, and passed over for others or cut off), or `found`. `reason` says so in one
    sentence for people. `others` are further kinds of features that nominate, by their names.
    """

    image: Image
    fingerprint: FingerprintStage
    words: PlaceStage
    looks: PlaceStage
    geometry: GeometryStage
    pixels: PixelStage
    stage: str
    reason: str
    found: Match | None = None
    place: int | None = None
    others: Mapping[str, PlaceStage] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The account in the shape that all faces share."""
        found = None
        if self.found is not None:
            found = {"kind": self.found.kind.value, "score": self.found.score, "place": self.place}
        return {
            "id": self.image.id,
            "stage": self.stage,
            "reason": self.reason,
            "found": found,
            "fingerprint": self.fingerprint.as_json(),
            "words": self.words.as_json(),
            "looks": self.looks.as_json(),
            "others": {kind: stage.as_json() for kind, stage in self.others.items()},
            "geometry": self.geometry.as_json(),
            "pixels": self.pixels.as_json(),
        }


def account(
    engine: Engine,
    query: Query,
    key: int,
    *,
    limit: int = 20,
    kinds: Iterable[str] | None = None,
    min_score: float = 0.0,
    allowed: Selection | None = None,
    answer: Answer | None = None,
) -> Account:
    """What each stage says of the image of a key; NotFound when there is none.

    The settings are those of `find`; `answer` is what it gave, where that is known already.
    """
    image = engine.images([key]).get(key)
    if image is None:
        raise NotFound("There is no such image in this collection.")
    options: dict[str, Any] = {"kinds": kinds, "min_score": min_score, "allowed": allowed}
    answer = answer or find(engine, query, limit=limit, **options)
    place = next((number for number, one in enumerate(answer, 1) if one.id == image.id), None)
    found = answer[place - 1] if place is not None else None
    known = engine.features(FINGERPRINT, [key]).get(key)
    printed = Fingerprint.from_bytes(known) if known else None
    points = Keypoints.from_bytes(engine.features(KEYPOINTS, [key]).get(key, b""))
    best = _nearest(key, query, printed)
    near = best is not None and best.distance <= CLAIM_RADIUS
    stages = (
        FingerprintStage(
            bool(query.codes),
            printed is not None and printed.usable,
            None if best is None else best.distance,
            near,
        ),
        _words(engine, query, key, allowed),
        _looks(engine, query, key, allowed, {one.id for one in answer if one.kind in CLAIMS} - {image.id}),
    )
    others = {
        kind: _placed(list(nominate(engine, query.view, VERIFIED, allowed)), key, VERIFIED)
        for kind, nominate in nominators()
    }
    geometry, proof = _geometry(query, image, points)
    candidate = best if near else None
    inside = printed.inside if printed is not None else None
    sure = proof if proof is not None and proof.sure else None
    contradicted = sure is None and candidate is not None and should_agree(query, points, candidate)
    match = None if contradicted else judged(query, image, candidate, sure, inside)
    hint = match is None and proof is not None
    pixels = _pixels(engine, query, judged(query, image, None, proof, None) if hint else match, hint=hint)
    stage, reason = (
        ("found", _found(found, place))
        if found is not None and place is not None
        else _lost(query, stages, others, geometry, pixels, contradicted, _is_barred(key, allowed), points)
    )
    if stage == "rank":
        reason = _passed_over(engine, query, key, answer, options, limit)
    return Account(image, *stages, geometry, pixels, stage, reason, found, place, others)


def _nearest(key: int, query: Query, printed: Fingerprint | None) -> Candidate | None:
    """The simplest way in which the fingerprints are near, or the nearest where none is."""
    if printed is None or not printed.usable:
        return None
    ways = [
        Candidate(key, int(np.bitwise_count(code.code ^ target).sum()), code, trimmed)
        for code in query.codes
        for target, trimmed in ((printed.code, False), (printed.trimmed, True))
        if target is not None
    ]
    near = [one for one in ways if one.distance <= CLAIM_RADIUS]
    return min(near, key=cost) if near else min(ways, key=lambda one: one.distance, default=None)


def _words(engine: Engine, query: Query, key: int, allowed: Selection | None) -> PlaceStage:
    if len(query.variants[0].keypoints) < LEAST:
        return PlaceStage(asked=False, place=None, nominated=False)
    votes = engine.near_words(word_queries(query), _ASKED, within=allowed)
    return _placed([one.key for one in votes], key, VERIFIED)


def _looks(
    engine: Engine, query: Query, key: int, allowed: Selection | None, others: Collection[str]
) -> PlaceStage:
    """Looks are asked only where fingerprints and words found nothing."""
    nothing = PlaceStage(asked=False, place=None, nominated=False)
    if len(query.variants[0].keypoints) < LEAST:
        return nothing
    try:
        shown = query.embedding()
        if shown is None:
            return nothing
        found = alike(engine, Wish((shown,)), VERIFIED, allowed)
    except (ModelMissing, ModelError, FeatureMismatch):
        return nothing
    stage = _placed([one.key for one in found], key, VERIFIED)
    return PlaceStage(asked=not others, place=stage.place, nominated=stage.nominated and not others)


def _placed(keys: list[int], key: int, nominated: int) -> PlaceStage:
    place = keys.index(key) + 1 if key in keys else None
    return PlaceStage(asked=True, place=place, nominated=place is not None and place <= nominated)


def _is_barred(key: int, allowed: Selection | None) -> bool:
    return allowed is not None and key not in allowed


def _geometry(query: Query, image: Image, points: Keypoints) -> tuple[GeometryStage, Proof | None]:
    asked = len(query.variants[0].keypoints)
    proof = proof_of(query, image, points, range(len(query.variants)))
    if proof is not None:
        rare = proof.variant.mirrored or proof.variant.negative
        lacks = tuple(lacking(proof.geometry, rare=rare))
        verdict = "proves" if proof.sure else "suggests"
        return GeometryStage(verdict, asked, len(points), proof.geometry.inliers, lacks), proof
    tried = [
        (found, variant.mirrored or variant.negative)
        for variant in query.variants
        if (found := _verified(query, variant.keypoints, points, image)) is not None
    ]
    if not tried:
        return GeometryStage("none", asked, len(points), 0, ("no arrangement of them agrees",)), None
    geometry, rare = max(tried, key=lambda one: one[0].inliers)
    lacks = tuple(lacking(geometry, rare=rare))
    if rare and suggests(geometry) and not lacks:
        lacks = ("a mirror image or a negative needs twice as many",)
    return GeometryStage("none", asked, len(points), geometry.inliers, lacks), None


def _verified(query: Query, ours: Keypoints, theirs: Keypoints, image: Image) -> Geometry | None:
    return verify(ours, query.frame.size, theirs, (image.width, image.height))


def _pixels(engine: Engine, query: Query, match: Match | None, *, hint: bool) -> PixelStage:
    """What the pixels say of a match; one that keypoints only suggest has to be `confirmed` by them."""
    picture = None if match is None else original(query.limits, engine.original)(match.image)
    if match is None or picture is None:
        return PixelStage(looked=False)
    seen = compared(match, query.in_colour(), picture)
    if seen is None:
        return PixelStage(looked=False)
    return PixelStage(
        looked=True,
        agreement=round(seen.agreement, 4),
        differing=round(seen.differing, 4),
        another_view=is_another_view(seen),
        refuted=refutes(seen, match.evidence),
        confirmed=not hint or confirms(seen, match.evidence),
    )


def _lost(
    query: Query,
    stages: tuple[FingerprintStage, PlaceStage, PlaceStage],
    others: Mapping[str, PlaceStage],
    geometry: GeometryStage,
    pixels: PixelStage,
    contradicted: bool,
    barred: bool,
    points: Keypoints,
) -> tuple[str, str]:
    """The stage at which an image was lost, and the reason in a sentence."""
    printed, words, looks = stages
    if barred:
        return "filter", "It was left out of the search before it began."
    if not query.codes and len(query.variants[0].keypoints) < LEAST:
        return "query", (
            f"There is too little in the query to search by: a fingerprint of quality {query.quality} of 100 "
            f"and {len(query.variants[0].keypoints)} keypoints."
        )
    if not (printed.near or any(one.nominated for one in (words, looks, *others.values()))):
        unseen = [_unseen(printed, words, looks, len(points)), *_unnamed(others)]
        return "recall", f"Nothing nominated it: {'; '.join(unseen)}."
    lacks = "; ".join(geometry.lacks)
    if geometry.verdict == "suggests" and (contradicted or not printed.near):
        if pixels.looked and pixels.confirmed:
            return "rank", ""
        seen = (
            f"its pixels agree to {pixels.agreement}" if pixels.looked else "its file could not be looked at"
        )
        return "pixels", f"Its keypoints only suggest it ({lacks}), and {seen}."
    if contradicted:
        return "geometry", (
            f"Its fingerprint is near ({printed.distance} of {_BITS} bits), but keypoints speak against it: "
            f"{lacks}."
        )
    if geometry.verdict == "none" and not printed.near:
        return "geometry", f"It was nominated, but its keypoints do not prove it: {lacks}."
    if pixels.refuted:
        return "pixels", f"The pixels refute it: {refusal(pixels.as_json())}."
    return "rank", ""


def _unnamed(others: Mapping[str, PlaceStage]) -> list[str]:
    named = ((feature(kind).nouns[1], stage.place) for kind, stage in others.items())
    return [
        f"its {nouns} are not among the candidates" if place is None else f"by {nouns} it comes {place}th"
        for nouns, place in named
    ]


def _unseen(printed: FingerprintStage, words: PlaceStage, looks: PlaceStage, points: int) -> str:
    if not printed.query_usable or not printed.image_usable:
        whose = "query" if not printed.query_usable else "image"
        said = [f"the {whose} has too little in it for a fingerprint"]
    else:
        said = [f"fingerprints differ in {printed.distance} of {_BITS} bits, more than {CLAIM_RADIUS}"]
    if not words.asked:
        said.append("the query has too little texture for words")
    elif points < LEAST:
        said.append(f"the image has only {points} keypoints")
    elif words.place is None:
        said.append("no visual words speak for it")
    else:
        said.append(f"by visual words it comes {words.place}th, after the {VERIFIED} that are verified")
    if looks.asked:
        said.append(
            "its looks are not among the candidates" if looks.place is None else f"by looks {looks.place}th"
        )
    return "; ".join(said)


def _passed_over(
    engine: Engine, query: Query, key: int, answer: Answer, options: dict[str, Any], limit: int
) -> str:
    """Why an image that could be proven is not in an answer."""
    image = engine.images([key])[key]
    if options["kinds"] is not None or options["min_score"] > 0 or len(answer) >= limit:
        wider = find(engine, query, limit=max(1_000, limit), allowed=options["allowed"])
        place = next((number for number, one in enumerate(wider, 1) if one.id == image.id), None)
        if place is not None and place > limit:
            return (
                f"It was found, in place {place}: after the {counted(limit, 'match', 'matches')} asked for."
            )
        if place is not None:
            found = wider[place - 1]
            return (
                f"It was found as {found.kind.value} with score {found.score:.1f}, which was not asked for."
            )
    return "It could be proven, and was passed over: several candidates before it in a row were not."


def _found(match: Match, place: int) -> str:
    return f"It was found in place {place}: {match.kind.value}, score {match.score:.1f}."
