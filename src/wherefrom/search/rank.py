"""Ranking: how sure we are of a match, and in which order matches are given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import UsageError
from wherefrom.search.answer import Kind, Match
from wherefrom.search.verify import Geometry

_ORDER = {kind: place for place, kind in enumerate(Kind)}

# Score by distance in bits, from `benchmarks/scores.py`; straight between the points.
_POINTS: tuple[tuple[int, float], ...] = ((0, 99.9), (31, 99.0), (46, 95.0))


# Of a logistic regression on `features_of_proof`, the constant last: `training/scores.py` fits them.
_PROOF = (2.5055, 5.0387, 2.9228, 2.3926, -9.4177)
_PROVEN, _SUREST = 95.0, 99.9  # 100 is kept for identical bytes


def score_of(distance: int) -> float:
    """The score of a match by fingerprint at a distance in bits: 0 to 100, higher is surer.

    100 is kept for identical bytes. `docs/scores.md` says what share of the answers at each score was
    true where it was measured.
    """
    for (near, high), (far, low) in pairwise(_POINTS):
        if distance <= far:
            return round(high - (high - low) * (distance - near) / (far - near), 1)
    return 0.0


def score_of_proof(geometry: Geometry) -> float:
    """The score of a proven match by keypoints: 95 to 99.9, the more of them agree the higher.

    The regression says how likely a pair of which nothing else is known is true; one that `proves` accepts
    is surer than that, so that it only sets the place within what proven matches reach.
    """
    *weights, constant = _PROOF
    logit = float(features_of_proof(geometry) @ np.array(weights)) + constant
    return round(_PROVEN + (_SUREST - _PROVEN) / (1 + math.exp(-min(30.0, max(-30.0, logit)))), 1)


def features_of_proof(geometry: Geometry) -> NDArray[np.float64]:
    """float64 (4,): what the score of a geometry follows from, each the more the surer."""
    return np.array(
        [
            math.log(geometry.inliers),
            math.log(max(geometry.density, 1e-3)),
            min(geometry.evenness, 1.0),
            min(geometry.query_evenness, 1.0),
        ]
    )


def precision_score(share: float) -> float:
    """The least score to ask for, so that at least this share (0.5 to 0.9999) of the answers is true.

    A score is the percentage of the answers at this score or above that were true where it was measured.
    Raises UsageError for a share of no use.
    """
    if not 0.5 <= share <= 0.9999:
        raise UsageError(f"The share of answers that must be true is from 0.5 to 0.9999, not {share:g}.")
    return round(100 * share, 6)


def ranked(matches: Iterable[Match]) -> list[Match]:
    """Matches by score, surest first, then by kind, strongest first, then the larger picture, then the id."""
    return sorted(matches, key=lambda m: (-m.score, _ORDER[m.kind], -m.image.width * m.image.height, m.id))
