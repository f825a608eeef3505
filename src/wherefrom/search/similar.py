"""Look-alikes: images whose embeddings are near a wish, ranked, near-copies folded into one.

Candidates come by their vectors and are ranked by these and by what they show: the network's likeliest
classes, compared as the shares of two softmaxes are by Bhattacharyya's coefficient. `benchmarks/similar.py`
measures what each gives. None of this proves anything: what is found here is `similar` and no claim.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import Engine, Selection
from wherefrom.errors import UsageError
from wherefrom.features.colours import Wanted
from wherefrom.features.embedding import Embedding, Kept
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, PALETTE
from wherefrom.features.fingerprint import CODE_BYTES, NEARLY_BLANK, Fingerprint
from wherefrom.features.registry import Fields
from wherefrom.features.resemblance import resemblance
from wherefrom.models.labels import Label, classes
from wherefrom.records import Image
from wherefrom.search.answer import Evidence, Kind, Match
from wherefrom.search.recall import CLAIM_RADIUS

_RANKED = 200  # candidates that are ranked, or ten for each one wanted
_CLASSES = 0.12  # what equal classes are worth beside equal vectors, 1
_TEMPERATURE = 1.5  # of the shares of classes as they are compared
_UNLIKE = 0.5  # what being like a picture that is not wanted costs
_COLOURS = 0.5  # what the colours asked for are worth beside a picture
# Of a logistic regression of `training/lookalikes.py` on labelled pictures held out: how likely one of
# this similarity is of the same kind as the query. 95 and above is kept for what is proven.
_SLOPE, _MIDDLE, _SUREST = 6.80, 0.785, 94.9

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What look-alikes are wanted of: pictures to be like and unlike, words as a vector, and colours."""

    like: Sequence[Embedding] = ()
    unlike: Sequence[Embedding] = ()
    words: Floats | None = None
    colours: Sequence[Wanted] = ()
    ignore_background: bool = False

    @property
    def wanted(self) -> list[Floats]:
        """The vectors to be like."""
        return [one.vector for one in self.like] + ([] if self.words is None else [self.words])

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wished for."""
        return not self.wanted and not self.colours


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """A candidate: its key, how like the wish it is (1 is an equal vector), its embedding."""

    key: int
    similarity: float
    data: bytes = b""

    @property
    def embedding(self) -> Embedding | None:
        """What it shows, None where that was not looked at."""
        return Embedding.from_bytes(self.data) if self.data else None


def alike(engine: Engine, wish: Wish, limit: int, allowed: Selection | None = None) -> list[Likeness]:
    """The candidates for a wish, most alike first: at least `limit`, where there are as many.

    Raises UsageError where only what it is to be unlike is told of pictures, FeatureMismatch.
    """
    count = max(_RANKED, 10 * limit)
    if not wish.wanted:
        if wish.unlike:
            raise UsageError("Pictures to be unlike need a picture or words to be like beside them.")
        return _by_colour(engine, wish, count, allowed)
    centre = np.mean(wish.wanted, axis=0)
    if wish.unlike:
        centre = centre - _UNLIKE * np.mean([one.vector for one in wish.unlike], axis=0)
    length = float(np.linalg.norm(centre))
    if length < 1e-6:
        return []
    found = engine.near_vectors((centre / length).astype(np.float32)[None], count, within=allowed)
    data = engine.features(EMBEDDING, [hit.key for hit in found])
    keys = [hit.key for hit in found if data.get(hit.key)]
    if not keys:
        return []
    scores: NDArray[np.float64] = _similarities(wish, Kept.of([data[key] for key in keys]))
    if wish.colours:
        scores = scores + _COLOURS * (_resemblances(engine, wish, keys) - 1)
    order = np.lexsort((np.array(keys), -scores))
    return [Likeness(keys[row], float(scores[row]), data[keys[row]]) for row in order.tolist()]


def folded(engine: Engine, found: Sequence[Likeness], limit: int) -> list[tuple[Likeness, list[int]]]:
    """The first `limit` of a ranking with near-copies folded: each with the keys of those behind it.

    Near-copies are those whose fingerprints are near, as of shots in a row and saved copies.
    """
    data = engine.features(FINGERPRINT, [one.key for one in found])
    known = [Fingerprint.from_bytes(data[one.key]) if one.key in data else None for one in found]
    codes = np.stack([_NO_CODE if one is None else one.code for one in known]) if known else _NO_CODE[None]
    usable = np.array([one is not None and one.usable for one in known], np.bool_)
    groups: list[tuple[Likeness, list[int]]] = []
    heads: list[int] = []
    for row, one in enumerate(found):
        if usable[row] and heads:
            apart = np.bitwise_count(codes[heads] ^ codes[row]).sum(axis=1)
            near = np.flatnonzero((apart <= CLAIM_RADIUS) & usable[heads])
            if len(near):
                groups[int(near[0])][1].append(one.key)
                continue
        if len(groups) < limit:
            groups.append((one, []))
            heads.append(row)
    return groups


def matches_of(
    engine: Engine, found: Sequence[tuple[Likeness, list[int]]], *, by_colour: bool
) -> list[Match]:
    """Matches of the kind `similar`."""
    images = engine.images([key for one, others in found for key in (one.key, *others)])
    matches = []
    for one, others in found:
        if one.key not in images:
            continue
        evidence = Evidence("colours" if by_colour else "embedding", similarity=round(one.similarity, 4))
        score = round(_SUREST * one.similarity, 1) if by_colour else score_of_likeness(one.similarity)
        matches.append(
            Match(
                Kind.SIMILAR,
                score,
                images[one.key],
                evidence,
                copies=tuple(images[key].id for key in others if key in images),
                labels=_labels(one, images[one.key]),
            )
        )
    return matches


def _labels(one: Likeness, image: Image) -> tuple[Label, ...]:
    if one.embedding is None or image.quality < NEARLY_BLANK:
        return ()
    return tuple(one.embedding.labels())


def score_of_likeness(similarity: float) -> float:
    """The score of a look-alike: how many of a hundred as alike were of the same kind, below 95."""
    return round(_SUREST / (1 + math.exp(-_SLOPE * (similarity - _MIDDLE))), 1)


def class_shares(numbers: NDArray[np.intp], likelihoods: Floats) -> Floats:
    """float32 (n, 1000) of unit rows: the roots of the shares of each row's classes, the rest being 0."""
    count = len(classes().names)
    shares = np.zeros((len(numbers), count + 1), np.float32)
    place = np.minimum(numbers, count)  # what is no class goes into the last, which is cut off
    np.put_along_axis(shares, place, np.exp(likelihoods / np.float32(2 * _TEMPERATURE)), axis=1)
    shares = shares[:, :count]
    return np.asarray(shares / np.maximum(np.linalg.norm(shares, axis=1, keepdims=True), 1e-9), np.float32)


def _similarities(wish: Wish, near: Kept) -> NDArray[np.float64]:
    shares = class_shares(near.classes, near.likelihoods)

    def to(one: Embedding) -> NDArray[np.float64]:
        own = Kept.of([one.to_bytes()])
        alike = shares @ class_shares(own.classes, own.likelihoods)[0]
        return np.asarray(near.vectors @ one.vector + _CLASSES * alike, np.float64)

    liked = [to(one) for one in wish.like]
    if wish.words is not None:
        liked.append(np.asarray(near.vectors @ wish.words, np.float64))
    scores = np.mean(liked, axis=0)
    if wish.unlike:
        scores = scores - _UNLIKE * np.max([to(one) for one in wish.unlike], axis=0)
    return np.asarray(scores, np.float64)


def _by_colour(engine: Engine, wish: Wish, count: int, allowed: Selection | None) -> list[Likeness]:
    def score(fields: Fields) -> Floats:
        return np.asarray(resemblance(wish.colours, fields[0], wish.ignore_background), np.float32)

    found = engine.best(PALETTE, score, count, within=allowed)
    return [Likeness(one.key, one.score) for one in found if one.score > _TINY]


_TINY = 0.02  # resemblance below which a picture has nothing of the colours
_NO_CODE = np.zeros(CODE_BYTES, np.uint8)


def _resemblances(engine: Engine, wish: Wish, keys: Sequence[int]) -> NDArray[np.float64]:
    data = engine.features(PALETTE, keys)
    there = [place for place, key in enumerate(keys) if data.get(key)]
    found = np.zeros(len(keys))
    if there:
        rows = np.frombuffer(b"".join(data[keys[place]] for place in there), np.uint8)
        found[there] = resemblance(wish.colours, rows.reshape(len(there), -1), wish.ignore_background)
    return found
