"""A search from end to end: recall, verify, explain, rank, and say why nothing was found."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Any

import numpy as np

from wherefrom.engine.base import Engine, Selection
from wherefrom.errors import FeatureMismatch, ModelError, ModelMissing
from wherefrom.features.embedding import Embedding
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint, fingerprint
from wherefrom.features.keypoints import ASKED, LEAST, Keypoints, keypoints
from wherefrom.features.registry import nominators
from wherefrom.picture.picture import Picture
from wherefrom.picture.signs import Signs
from wherefrom.printing import counted
from wherefrom.records import Image, digest_of, image_id
from wherefrom.search.answer import Answer, Kind, Match
from wherefrom.search.direction import Side, directed
from wherefrom.search.explain import identical
from wherefrom.search.frames import only_begins
from wherefrom.search.judging import judged, proof_of, should_agree, word_queries
from wherefrom.search.pixels import Read, confirms, looked_at, original, sides
from wherefrom.search.placing import Proof
from wherefrom.search.query import Query, picture_of
from wherefrom.search.rank import ranked
from wherefrom.search.recall import CLAIM_RADIUS, Candidate, cost, recall
from wherefrom.search.request import Kinds, kinds_of
from wherefrom.search.similar import Likeness, Wish, alike, folded, matches_of
from wherefrom.settings import Settings

_LOOKED_UP = 1_000
VERIFIED = 40  # images by visual words, and as many by fingerprint, whose keypoints are compared
_IN_A_ROW = 6  # candidates that fail after some were proven, before the rest are passed over
_HINTS = 3  # matches that keypoints only suggest, whose pixels are compared
_LOOKED_AT = 10  # best matches whose pixels are compared
_DIRECTED = 3  # best matches of which it is told which was made from which


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """An image that may be the query: by fingerprint, and the variants under which to compare keypoints."""

    candidate: Candidate | None
    variants: frozenset[int]


_ALIKE = Suspect(None, frozenset({0, 1}))


def find(
    engine: Engine,
    query: Query,
    *,
    limit: int = 20,
    kinds: Kinds = None,
    min_score: float = 0.0,
    wish: Wish | None = None,
    allowed: Selection | None = None,
) -> Answer:
    """Search for a query that has been read; raises UsageError for a kind that there is not.

    Look-alikes are searched for when their kind is asked for; `wish` says of what beside the query. With
    `allowed` nothing else is found.
    """
    wanted = kinds_of(kinds)
    start = time.perf_counter()
    alike_asked = Kind.SIMILAR in wanted
    same_bytes = engine.keys_of([query.digest]) if query.digest is not None else {}
    same = _among(same_bytes.values(), allowed)
    suspects = _suspects(engine, query, limit, allowed)
    recalled = time.perf_counter()
    matches = _matches(engine, query, suspects, same)
    shown, found = None, list[Likeness]()
    proven = time.perf_counter()
    if alike_asked or not matches:
        shown, found = _likenesses(engine, query, wish or Wish(), limit, allowed, needed=alike_asked)
    looked_up = time.perf_counter() - proven
    if not matches or alike_asked:
        # What looks alike may be a copy that neither fingerprint nor words told.
        asked = min(VERIFIED, limit) if matches else VERIFIED
        seen = same | set(suspects)
        more = {one.key: _ALIKE for one in found[:asked] if one.key not in seen}
        matches = ranked([*matches, *_matches(engine, query, more, set())])
    matches = _looked_at(matches, query, sides(query.limits, engine.original))
    kept = [match for match in matches if match.kind in wanted and match.score >= min_score]
    if alike_asked and len(kept) < limit:
        kept += lookalikes(engine, found, limit - len(kept), min_score, {match.id for match in matches})
    done = time.perf_counter()
    timings = {
        "decode": query.decode_ms,
        "features": query.features_ms,
        "recall": (recalled - start + looked_up) * 1e3,
        "verify": (done - recalled - looked_up) * 1e3,
        "total": query.decode_ms + query.features_ms + (done - start) * 1e3,
    }
    why = _why_nothing(engine, query, matches, kept, allowed)
    return Answer(query.facts(why, shown if alike_asked else None), tuple(kept[:limit]), timings)


def _likenesses(
    engine: Engine,
    query: Query,
    wish: Wish,
    limit: int,
    allowed: Selection | None,
    *,
    needed: bool,
) -> tuple[Embedding | None, list[Likeness]]:
    """What the query shows and what looks like it; nothing for want of a model, where it is not `needed`."""
    if not needed and (len(query.variants[0].keypoints) < LEAST or engine.count() == 0):
        return None, []  # no copy could be proven
    try:
        shown = query.embedding()
        if shown is None:
            if needed:
                raise ModelMissing("No model computes embeddings here (the setting `model` is none).")
            return None, []
        return shown, alike(engine, replace(wish, like=(shown, *wish.like)), limit, allowed)
    except (ModelMissing, ModelError, FeatureMismatch):
        if needed:
            raise
        return None, []


def lookalikes(
    engine: Engine,
    found: Sequence[Likeness],
    limit: int,
    min_score: float = 0.0,
    but: Collection[str] = (),
    *,
    by_colour: bool = False,
) -> list[Match]:
    """The best `limit` look-alikes of a ranking, but those of these ids, near-copies folded into one."""
    claimed = set(engine.keys_of([digest_of(one) for one in but]).values())
    groups = folded(engine, [one for one in found if one.key not in claimed], limit)
    matches = matches_of(engine, groups, by_colour=by_colour)
    return [match for match in matches if match.score >= min_score]


def compare(first: Any, second: Any, settings: Settings) -> Match | None:
    """Describe `second` as a match for the query `first`; None when they are not one picture."""
    query = Query.read(first, settings)
    picture, data = picture_of(second, settings)
    digest = hashlib.sha256(data if data is not None else picture.pixels.tobytes()).digest()
    known, points, facts = fingerprint(picture), keypoints(picture, ASKED), picture.facts
    image = Image(
        image_id(digest),
        facts.width,
        facts.height,
        facts.format,
        facts.bytes,
        facts.frames,
        known.quality,
        "",
        facts.credit,
        signs=Signs(frames=facts.codes or None, missing=facts.missing),
    )
    if query.digest == digest:
        return Match(Kind.IDENTICAL, 100.0, image, identical(image))
    found = [
        Candidate(0, int(np.bitwise_count(code.code ^ target).sum()), code, trimmed)
        for code in query.codes
        for target, trimmed in ((known.code, False), (known.trimmed, True))
        if target is not None and known.usable
    ]
    best = min((one for one in found if one.distance <= CLAIM_RADIUS), key=cost, default=None)
    proof, colour = proof_of(query, image, points, range(len(query.variants))), None
    if proof is None or not proof.sure:
        # The strongest alone, as a collection has them: of a poor copy they are the ones that are left.
        points = keypoints(picture, settings.keypoints)
        proof = proof_of(query, image, points, range(len(query.variants))) or proof
    if proof is not None and not proof.sure:
        colour = picture if data is None else picture_of(data, settings, colour=True)[0]
        hinted = judged(query, image, None, proof, None)
        if hinted is None or not confirms(hinted, query.in_colour(), colour):
            proof = None
    if proof is None and best is not None and should_agree(query, points, best):
        return None
    match = judged(query, image, best, proof, known.inside)
    if match is None:
        return None
    colour = colour or (picture if data is None else picture_of(data, settings, colour=True)[0])
    side = Side(colour, data, None, facts.credit.taken, settings.limits)
    looked = _looked_at([match], query, lambda _: side)
    return looked[0] if looked else None


def _among(keys: Iterable[int], allowed: Selection | None) -> set[int]:
    return {key for key in keys if allowed is None or key in allowed}


def _suspects(engine: Engine, query: Query, limit: int, allowed: Selection | None) -> dict[int, Suspect]:
    found = recall(engine, query.codes, allowed)
    # Of a picture with thousands of copies only the nearest are looked up: enough to fill any answer.
    near = nsmallest(max(_LOOKED_UP, 4 * limit), found, key=cost)
    suspects: dict[int, Suspect] = {}
    for place, candidate in enumerate(near):
        code = candidate.code
        # There is no variant that is both mirrored and negative.
        variant = 1 if code.mirrored else 2 if code.negative else 0
        tried = place < VERIFIED and not (code.mirrored and code.negative)
        suspects[candidate.key] = Suspect(candidate, frozenset([variant] if tried else []))
    if len(query.variants[0].keypoints) >= LEAST:
        for key, variant, _ in engine.near_words(word_queries(query), VERIFIED, within=allowed):
            known = suspects.get(key, Suspect(None, frozenset()))
            suspects[key] = Suspect(known.candidate, known.variants | {variant})
    for _, nominate in nominators():
        for key in nominate(engine, query.view, VERIFIED, allowed)[:VERIFIED]:
            known = suspects.get(key, Suspect(None, frozenset()))
            suspects[key] = Suspect(known.candidate, known.variants | _ALIKE.variants)
    return suspects


def _matches(engine: Engine, query: Query, suspects: dict[int, Suspect], same_bytes: set[int]) -> list[Match]:
    images = engine.images([*suspects, *same_bytes])
    compared = [key for key, suspect in suspects.items() if suspect.variants and key not in same_bytes]
    points = engine.features(KEYPOINTS, compared)
    boxed = [key for key, one in suspects.items() if one.candidate is not None and one.candidate.trimmed]
    boxes = {
        key: Fingerprint.from_bytes(data).inside for key, data in engine.features(FINGERPRINT, boxed).items()
    }
    matches = [
        Match(Kind.IDENTICAL, 100.0, images[key], identical(images[key]))
        for key in same_bytes
        if key in images
    ]
    proven, failed = 0, 0
    hints: list[tuple[int, Proof]] = []
    for key, suspect in suspects.items():
        image = images.get(key)
        if image is None or key in same_bytes:
            continue
        known = Keypoints.from_bytes(points.get(key, b""))
        # The further down, the fewer words spoke for it: after one that is true, many in a row are none.
        tried = bool(suspect.variants) and not (proven and failed >= _IN_A_ROW)
        proof = proof_of(query, image, known, suspect.variants) if tried else None
        if proof is not None and not proof.sure:
            hints.append((key, proof))
            proof = None
        if tried:
            proven, failed = (proven + 1, 0) if proof is not None else (proven, failed + 1)
        candidate = suspect.candidate
        if tried and proof is None and candidate is not None and should_agree(query, known, candidate):
            continue
        match = judged(query, image, candidate, proof, boxes.get(key))
        if match is not None:
            matches.append(match)
    if not matches:
        matches = _confirmed(engine, query, images, hints)
    return ranked(matches)


def _confirmed(
    engine: Engine, query: Query, images: dict[int, Image], hints: Sequence[tuple[int, Proof]]
) -> list[Match]:
    """Matches whose keypoints only suggest them, where the files are at hand and their pixels agree."""
    read, kept = original(query.limits, engine.original), list[Match]()
    for key, proof in sorted(hints, key=lambda hint: -hint[1].geometry.inliers)[:_HINTS]:
        match = judged(query, images[key], None, proof, None)
        picture = read(images[key])
        if match is not None and picture is not None and confirms(match, query.in_colour(), picture):
            kept.append(match)
    return kept


def _looked_at(matches: Sequence[Match], query: Query, read: Read) -> list[Match]:
    """Matches after the best have been looked at; those that the pixels refute are left out.

    Of the very best it is told which was made from which, where the whole of the query was searched.
    """
    kept: list[Match] = []
    colour: Picture | None = None
    for place, match in enumerate(matches):
        side = read(match.image) if place < _LOOKED_AT and match.kind is not Kind.IDENTICAL else None
        if side is None:
            kept.append(match)
            continue
        colour = colour or query.in_colour()
        looked = looked_at(match, colour, side.picture)
        if looked is not None and len(kept) < _DIRECTED and query.is_whole:
            looked = directed(looked, query.side(), side)
        if looked is not None:
            kept.append(looked)
    return ranked([only_begins(match, query.picture.facts) for match in kept])


def _why_nothing(
    engine: Engine,
    query: Query,
    matches: Sequence[Match],
    kept: Sequence[Match],
    allowed: Selection | None,
) -> list[str]:
    if kept:
        return []
    if matches:
        kinds = ", ".join(sorted({match.kind.value for match in matches}))
        return [f"Nothing of the kinds and scores asked for; left out: {len(matches)} of kind {kinds}."]
    count = engine.count()
    if count == 0:
        return ["The collection is empty."]
    if allowed is not None and not len(allowed):
        return [f"The filter lets none of the {counted(count, 'image')} through."]
    if not query.codes and len(query.variants[0].keypoints) < LEAST:
        return []
    if allowed is not None:
        return [f"No match among the {counted(len(allowed), 'image')} that the filter lets through."]
    return [f"No match among {counted(count, 'image')}."]
