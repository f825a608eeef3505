"""Recall: which images might be the query, and by which way of being a copy.

Other features join here as further sources of candidates; what they find is verified, explained and
ranked alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wherefrom.engine.base import Nominate, Selection
from wherefrom.features.fingerprint import TRIMMED, QueryCode

CLAIM_RADIUS = 46
"""Bits within which two fingerprints are of one picture (`docs/scores.md` has the measure of it)."""

NEAR_RADIUS = 31
"""Bits within which a large collection may leave it at what it finds: what multi-index hashing reaches."""

# What a simpler explanation is worth in bits: a symmetrical picture is not told to be mirrored.
_MIRRORED_OR_TURNED, _NEGATIVE, _TRIMMED = 6, 8, 4


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An image that may be the query, by the way in which its code was met.

    `trimmed` says that the image's inner code was met, the one inside its own bars.
    """

    key: int
    distance: int
    code: QueryCode
    trimmed: bool


def recall(engine: Nominate, codes: Sequence[QueryCode], within: Selection | None = None) -> list[Candidate]:
    """The images within the claim radius of any of the codes, each by its simplest explanation."""
    if not codes:
        return []
    packed = np.stack([code.code for code in codes])
    hits = engine.near_codes(packed, CLAIM_RADIUS, enough=NEAR_RADIUS, within=within)
    best: dict[int, Candidate] = {}
    for hit in hits:
        found = Candidate(hit.key, hit.distance, codes[hit.query], trimmed=hit.part == TRIMMED)
        known = best.get(hit.key)
        if known is None or cost(found) < cost(known):
            best[hit.key] = found
    return list(best.values())


def cost(candidate: Candidate) -> int:
    """Distance in bits, with something added for every edit that the explanation needs."""
    code = candidate.code
    added = _MIRRORED_OR_TURNED * (code.mirrored or code.turned != 0) + _NEGATIVE * code.negative
    return candidate.distance + added + _TRIMMED * ((code.box is not None) + candidate.trimmed)
