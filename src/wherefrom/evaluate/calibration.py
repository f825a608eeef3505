"""Fitting a calibration: how high a score has to be asked for in one collection, proven by its own trials.

At each of a few scores the claims at that score or above are counted, and how many of them were true. What
is promised is not the share that was seen but one that the true share is above, with 95 % confidence at all
these scores at once: the exact bound of Clopper and Pearson (1934), its doubt shared out evenly among the
scores (Bonferroni). It only gets more careful with less data, and the threshold for a share never falls as
the share rises.

Claims of one picture under many edits are counted one by one, though they are not independent, and what is
promised holds for queries mixed as they were here: so many edited copies to so many strangers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wherefrom.evaluate.measures import pairs_of
from wherefrom.evaluate.trials import Alarm, Facts, Trial
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.search.calibration import CLAIMS_BEGIN, SCORES, Calibration, Level

LEVELS = (CLAIMS_BEGIN, 96.0, 97.0, 98.0, 99.0, 99.5, 99.8, 99.9)
"""The scores at which claims are counted."""

CONFIDENCE = 0.95
"""With which all levels together keep their promise."""

ASKED = (0.95, 0.99, 0.999)
"""The shares of true claims that people ask for, and that are told of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a calibration says of a share that is asked for.

    `score` is what to ask for. `proven` says whether so much was proven there; where it was not, `needed` is
    how many claims without a wrong one would prove it, None where more of the same would not help.
    """

    share: float
    score: float
    proven: bool
    needed: int | None
    said: str


def calibration_of(facts: Facts, trials: Sequence[Trial], alarms: Sequence[Alarm]) -> Calibration:
    """The calibration that the searches of a run give."""
    pairs = [pair for pair in pairs_of(trials, alarms) if pair.score >= CLAIMS_BEGIN]
    doubt = (1 - CONFIDENCE) / len(LEVELS)
    levels = []
    for score in LEVELS:
        above = [pair.true for pair in pairs if pair.score >= score]
        levels.append(Level(score, len(above), sum(above), at_least(sum(above), len(above), doubt)))
    return Calibration(
        tuple(levels),
        CONFIDENCE,
        len(trials),
        len(alarms),
        facts.images,
        facts.started,
        facts.version,
        {kind: facts.features.get(kind, "") for kind in (FINGERPRINT, KEYPOINTS)} | {"scores": SCORES},
    )


def at_least(true: int, claims: int, doubt: float) -> float:
    """The share that is true at least, given so many of so many; wrong with probability `doubt` at most.

    The lower bound of Clopper and Pearson: the share under which as many true ones as were seen, or more,
    would occur with just that probability. 0 of none, or where none was true.
    """
    if true == 0:
        return 0.0
    if true == claims:
        return float(doubt ** (1 / claims))
    low, high = 0.0, true / claims
    for _ in range(60):
        middle = (low + high) / 2
        if _wrong_at_most(claims - true, claims, 1 - middle) > doubt:
            high = middle
        else:
            low = middle
    return low


def needed_for(share: float, confidence: float = CONFIDENCE) -> int:
    """How many claims, all of them true, prove that a share (below 1) is true."""
    return math.ceil(math.log((1 - confidence) / len(LEVELS)) / math.log(share) - 1e-9)


def answers(calibration: Calibration, shares: Sequence[float] = ASKED) -> list[Answer]:
    """What to ask for to have these shares, and in words how far that is proven."""
    return [_answer(calibration, share) for share in shares]


def told(calibration: Calibration) -> str:
    """What was fitted, as lines for a terminal."""
    claims = calibration.levels[0].claims if calibration.levels else 0
    lines = [
        f"Fitted on {claims:,} claims: {calibration.edited:,} edited copies and {calibration.strangers:,} "
        f"pictures that are not there were searched for.",
        *(answer.said for answer in answers(calibration)),
    ]
    if not calibration.strangers:
        lines.append("No pictures were held out: what strangers are claimed to be is not in these figures.")
    return "\n".join(lines)


def _answer(calibration: Calibration, share: float) -> Answer:
    score = calibration.score_for(share)
    asked = f"--precision {share:g}"
    if calibration.reaches(share):
        level = max((one for one in calibration.levels if one.score <= max(score, CLAIMS_BEGIN)), key=_score)
        return Answer(
            share,
            score,
            True,
            None,
            f"{asked}: score {score:g} and above; {level.true:,} of {level.claims:,} claims there were true.",
        )
    if calibration.contradicts(share):
        return Answer(
            share,
            score,
            False,
            None,
            f"{asked}: no score reaches it in this collection; only identical files are given.",
        )
    needed = needed_for(share, calibration.confidence)
    most = max((one.claims for one in calibration.levels), default=0)
    why = (
        f"too few claims to prove it: {most:,}, and {needed:,} are needed without one that is wrong"
        if most < needed
        else "not proven, since some claims were wrong; more trials may tell"
    )
    return Answer(
        share, score, False, needed, f"{asked}: {why}. Score {score:g} and above is given meanwhile."
    )


def _score(level: Level) -> float:
    return level.score


def _wrong_at_most(wrong: int, claims: int, share: float) -> float:
    """The probability of `wrong` or fewer of so many, when each is with probability `share`: binomial."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return float(wrong >= claims)
    logs = [
        math.lgamma(claims + 1)
        - math.lgamma(k + 1)
        - math.lgamma(claims - k + 1)
        + k * math.log(share)
        + (claims - k) * math.log1p(-share)
        for k in range(wrong + 1)
    ]
    most = max(logs)
    return min(1.0, math.exp(most) * math.fsum(math.exp(one - most) for one in logs))
