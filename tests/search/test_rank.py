"""Scores and order."""

from __future__ import annotations

from itertools import pairwise

from wherefrom.picture.metadata import Credit
from wherefrom.records import Image
from wherefrom.search.answer import Evidence, Kind, Match
from wherefrom.search.rank import ranked, score_of
from wherefrom.search.recall import CLAIM_RADIUS


def test_scores_fall_with_distance_and_stay_below_identical() -> None:
    scores = [score_of(distance) for distance in range(257)]
    assert all(near >= far for near, far in pairwise(scores))
    assert scores[0] < 100
    assert scores[CLAIM_RADIUS] > 0
    assert scores[CLAIM_RADIUS + 1] == 0


def match(kind: Kind, score: float, width: int = 10, letter: str = "a") -> Match:
    image = Image("sha256:" + letter * 64, width, 10, "png", 1, 1, 100, "", Credit())
    return Match(kind, score, image, Evidence("fingerprint"))


def test_order_is_by_score_then_kind_then_size_then_id() -> None:
    wanted = [
        match(Kind.IDENTICAL, 100),
        match(Kind.SAME, 99, 20),
        match(Kind.SAME, 99, 10, "a"),
        match(Kind.SAME, 99, 10, "b"),
        match(Kind.COPY, 99, 90),
        match(Kind.SAME, 95),
    ]
    assert ranked(reversed(wanted)) == wanted
