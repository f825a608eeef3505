"""Measures: what a list of trials and of alarms says, as numbers. Nothing here reads a file or a picture.

A *trial* searched for an edited copy of an image that is in the collection, an *alarm* for a picture that
is not. A claim of a trial is right when it names the original, or an image that was found beforehand to be
a copy of it (`Trial.related`); every claim of an alarm is wrong. Shares are 0 to 1, scores 0 to 100 and
higher is surer, times are milliseconds. Where there is nothing to count, a measure is None and no number
is made up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wherefrom.evaluate.trials import Alarm, FalseClaim, Trial

Z95 = 1.959963984540054
"""The normal deviate within which 95 % of its distribution lie."""

CURVE = 20
"""Places that the rank curve tells of."""

EDGES = (0.0, 50.0, 90.0, 95.0, 96.0, 97.0, 98.0, 99.0, 99.5, 99.8, 100.0)
"""Scores between which claims are counted together: finer where claims are."""

PERCENTS = (50, 95, 99)
"""The percentiles of times that are told."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many, with the interval in which the true share lies with 95 % confidence.

    The interval is Wilson's (1927), which keeps its promise for few trials and for shares near 0 and 1.
    """

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """The share, None of none."""
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float:
        """The lower end of the interval, 0 of none."""
        return wilson(self.hits, self.of)[0]

    @property
    def high(self) -> float:
        """The upper end of the interval, 1 of none."""
        return wilson(self.hits, self.of)[1]

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.hits + other.hits, self.of + other.of)


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and something claimed of it: how surely, and whether it is true.

    `counts` is False for a right claim beside a better one of the same query: a second copy of the original
    in the collection, which is neither one more find nor a fault.
    """

    score: float
    true: bool
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Operating:
    """The most that is found while a share of what is claimed is true, and the least score that gives it.

    `recall` and `threshold` are None where no score reaches that precision.
    """

    precision: float
    recall: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Bin:
    """The claims whose score lies from `low` to below `high` (100 itself is in the last).

    `stated` is their mean score as a share: how many of them the scores said are true; `true` how many were.
    """

    low: float
    high: float
    stated: float
    true: Rate


@dataclass(frozen=True, slots=True)
class Spread:
    """How numbers are spread: how many there are, their mean, and percentiles."""

    n: int
    mean: float
    p50: float
    p95: float
    p99: float


def wilson(hits: int, of: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share: (low, high) within 0 to 1, (0, 1) of none.

    Raises ValueError for counts that are none.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} of {of} is no share")
    if of == 0:
        return 0.0, 1.0
    share, weight = hits / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    reach = z * math.sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    # At the ends the formula gives 0 and 1 but for rounding.
    return 0.0 if hits == 0 else middle - reach, 1.0 if hits == of else middle + reach


def place(trial: Trial) -> int | None:
    """Where the first right claim of a trial stands, 1 for the first of all; None where there is none."""
    right = {trial.original, *trial.related}
    return next((number for number, claim in enumerate(trial.claims, 1) if claim.id in right), None)


def recall(trials: Iterable[Trial], within: int = 1) -> Rate:
    """How many trials have a right claim among their first `within`."""
    places = [place(trial) for trial in trials]
    return Rate(sum(1 for found in places if found is not None and found <= within), len(places))


def rank_curve(trials: Sequence[Trial], most: int = CURVE) -> list[Rate]:
    """Recall within 1, 2 ... `most` claims: the cumulative match characteristic."""
    places = [place(trial) for trial in trials]
    return [
        Rate(sum(1 for found in places if found is not None and found <= within), len(places))
        for within in range(1, most + 1)
    ]


def pairs_of(trials: Iterable[Trial], alarms: Iterable[Alarm] = ()) -> list[Pair]:
    """Every claim of every query, right or wrong; of a query's right ones the surest alone counts."""
    pairs: list[Pair] = []
    for trial in trials:
        right = {trial.original, *trial.related}
        best: float | None = max((claim.score for claim in trial.claims if claim.id in right), default=None)
        for claim in trial.claims:
            true = claim.id in right
            pairs.append(Pair(claim.score, true, not true or claim.score == best))
            if true and claim.score == best:
                best = None
    pairs += [Pair(claim.score, False) for alarm in alarms for claim in wrong_claims(alarm)]
    return pairs


def wrong_claims(alarm: Alarm) -> list[FalseClaim]:
    """What was claimed of a picture that is not there, but for images that turned out to be that picture."""
    return [claim for claim in alarm.claims if claim.id not in alarm.duplicates]


def precision_recall(pairs: Iterable[Pair], queries: int) -> list[tuple[float, float, float]]:
    """(threshold, precision, recall) at each score that occurs, surest first.

    Precision is of all claims that count at or above the threshold, over all queries together; recall is of
    `queries`, those that have something to find. Claims of one score stand or fall together, so that the
    order in which they come changes nothing.
    """
    counted = sorted((pair for pair in pairs if pair.counts), key=lambda pair: -pair.score)
    points: list[tuple[float, float, float]] = []
    true = claimed = 0
    for score, tied in groupby(counted, key=lambda pair: pair.score):
        for pair in tied:
            claimed += 1
            true += pair.true
        points.append((score, true / claimed, true / queries if queries else 0.0))
    return points


def average_precision(pairs: Iterable[Pair], queries: int) -> float | None:
    """Micro average precision (µAP), 0 to 1: the area below precision over recall, all queries ranked as one.

    The measure of the Image Similarity Challenge (Douze et al., 2021, arXiv:2106.09672), with queries that
    have nothing to find among them, and with ties taken together. None without a query that has something to
    find.
    """
    if not queries:
        return None
    area = before = 0.0
    for _, precision, found in precision_recall(pairs, queries):
        area += precision * (found - before)
        before = found
    return area


def operating_point(pairs: Iterable[Pair], queries: int, precision: float) -> Operating:
    """The most recall at which precision is still as asked, and the score from which that is so.

    Of thresholds that find as much the highest is given. It is what was seen, not what is sure:
    `wherefrom.evaluate.calibration` fits thresholds that keep a promise.
    """
    good = [
        (found, score)
        for score, share, found in precision_recall(pairs, queries)
        if share >= precision - 1e-12 and found > 0
    ]
    if not good:
        return Operating(precision, None, None)
    found, score = max(good)
    return Operating(precision, found, score)


def reliability(pairs: Iterable[Pair], edges: Sequence[float] = EDGES) -> list[Bin]:
    """How many claims of each range of scores were true; ranges without a claim are left out.

    Second copies of an original count here: what was said of them is true as well.
    """
    claims = list(pairs)
    bins: list[Bin] = []
    for number in range(len(edges) - 1):
        low, high = edges[number], edges[number + 1]
        last = number == len(edges) - 2
        inside = [pair for pair in claims if low <= pair.score < high or (last and pair.score == high)]
        if inside:
            stated = math.fsum(pair.score for pair in inside) / (100 * len(inside))
            bins.append(Bin(low, high, stated, Rate(sum(pair.true for pair in inside), len(inside))))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Expected calibration error, 0 to 1, lower is better: how far what scores say lies off what is true.

    The mean of the bins' differences, each weighted by its claims (Naeini et al., 2015). None without claims.
    """
    claims = sum(one.true.of for one in bins)
    if not claims:
        return None
    return math.fsum(abs(one.true.hits - one.stated * one.true.of) for one in bins) / claims


def kinds_right(trials: Iterable[Trial]) -> Rate:
    """Of the originals that were found, how many were given a kind that is fit for the edit."""
    found = [(trial, kind) for trial in trials if (kind := kind_given(trial)) is not None]
    return Rate(sum(kind in fitting(trial) for trial, kind in found), len(found))


def kind_given(trial: Trial) -> str | None:
    """The kind that the trial's original, and no relation of it, was claimed to be; None where it was not."""
    return next((claim.kind for claim in trial.claims if claim.id == trial.original), None)


def fitting(trial: Trial) -> list[str]:
    """The kinds that are right for a trial, by name."""
    return sorted(trial.kind_expected)


def kind_confusion(trials: Iterable[Trial]) -> dict[tuple[str, str], int]:
    """How often (what was fit, what was given) occurred: `copy or same`, and `none` where nothing was."""
    counts: dict[tuple[str, str], int] = {}
    for trial in trials:
        cell = (" or ".join(fitting(trial)), kind_given(trial) or "none")
        counts[cell] = counts.get(cell, 0) + 1
    return dict(sorted(counts.items()))


def edits_named(trials: Iterable[Trial]) -> dict[str, tuple[Rate, Rate]]:
    """For each name of an edit (recall, precision) of naming it, over the originals that were found.

    Recall is of the times it was done, precision of the times it was named.
    """
    done: dict[str, int] = {}
    named: dict[str, int] = {}
    both: dict[str, int] = {}
    for trial in trials:
        if kind_given(trial) is None:
            continue
        expected, said = set(trial.expected), set(trial.named)
        for counts, names in ((done, expected), (named, said), (both, expected & said)):
            for name in names:
                counts[name] = counts.get(name, 0) + 1
    return {
        name: (Rate(both.get(name, 0), done.get(name, 0)), Rate(both.get(name, 0), named.get(name, 0)))
        for name in sorted(done.keys() | named.keys())
    }


def naming(trials: Iterable[Trial]) -> tuple[Rate, Rate]:
    """(recall, precision) of naming edits, over all names together."""
    recalled, precise = Rate(0, 0), Rate(0, 0)
    for one, other in edits_named(trials).values():
        recalled, precise = recalled + one, precise + other
    return recalled, precise


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which that percentage of the values lies, straight between neighbours.

    The same as NumPy's default. Raises ValueError of none.
    """
    if not values:
        raise ValueError("nothing has no percentiles")
    ordered = sorted(values)
    where = (len(ordered) - 1) * percent / 100
    below = math.floor(where)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (where - below)


def spread(values: Sequence[float]) -> Spread | None:
    """How numbers are spread; None of none."""
    if not values:
        return None
    return Spread(
        len(values),
        math.fsum(values) / len(values),
        *(percentile(values, percent) for percent in PERCENTS),
    )


def latency(timings: Iterable[Mapping[str, float]]) -> dict[str, Spread]:
    """The times of each stage over all searches that went through it, in the order in which they are met."""
    stages: dict[str, list[float]] = {}
    for one in timings:
        for stage, value in one.items():
            stages.setdefault(stage, []).append(value)
    return {stage: made for stage, values in stages.items() if (made := spread(values)) is not None}


def false_alarms(alarms: Iterable[Alarm]) -> Rate:
    """How many pictures that have nothing to find were claimed to be something."""
    counted = [bool(wrong_claims(alarm)) for alarm in alarms]
    return Rate(sum(counted), len(counted))
