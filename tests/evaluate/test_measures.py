"""Measures against known values, and against twins that count one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate import runs
from tests.evaluate.runs import image_id
from wherefrom.evaluate.measures import (
    Bin,
    Operating,
    Pair,
    Rate,
    average_precision,
    calibration_error,
    edits_named,
    false_alarms,
    kind_confusion,
    kinds_right,
    latency,
    naming,
    operating_point,
    pairs_of,
    percentile,
    place,
    precision_recall,
    rank_curve,
    recall,
    reliability,
    spread,
    wilson,
)
from wherefrom.evaluate.trials import Alarm, Claim, FalseClaim, Trial

pairs = st.lists(st.builds(Pair, st.sampled_from(runs.SCORES), st.booleans(), st.booleans()), max_size=25)


def trial(*claims: tuple[int, float], original: int = 1, related: tuple[int, ...] = ()) -> Trial:
    made = tuple(Claim(image_id(number), "copy", score) for number, score in claims)
    return Trial(
        image_id(original),
        "file:///a",
        "mirror",
        "flip",
        None,
        0,
        made,
        related=tuple(map(image_id, related)),
    )


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=6e-5)
    assert wilson(of - hits, of) == pytest.approx((1 - high, 1 - low), abs=6e-5)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.5, 4))
def test_wilson_is_the_score_test_turned_round(hits: int, of: int, z: float) -> None:
    hits = min(hits, of)
    low, high = wilson(hits, of, z)
    assert 0 <= low <= hits / of <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(hits / of - end) == pytest.approx(z * math.sqrt(end * (1 - end) / of), abs=1e-9)


def test_an_interval_of_nothing_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert (Rate(0, 0).share, Rate(0, 0).low, Rate(0, 0).high) == (None, 0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_a_copy_of_the_original_is_right_as_well() -> None:
    assert place(trial((5, 99), (1, 98))) == 2
    assert place(trial((5, 99), (1, 98), related=(5,))) == 1
    assert place(trial((5, 99))) is None
    assert recall([trial((5, 99), (1, 98)), trial((1, 99))]) == Rate(1, 2)
    assert recall([trial((5, 99), (1, 98)), trial((1, 99))], within=2) == Rate(2, 2)


@given(runs.trials)
def test_the_rank_curve_is_recall_at_every_place(trials: list[Trial]) -> None:
    curve = rank_curve(trials, 6)
    assert curve == [recall(trials, within) for within in range(1, 7)]
    assert all(before.hits <= after.hits for before, after in itertools.pairwise(curve))


@given(runs.trials, runs.alarms)
def test_pairs_are_the_claims_and_at_most_one_find_a_query(trials: list[Trial], alarms: list[Alarm]) -> None:
    made = pairs_of(trials, alarms)
    claims = [claim.score for one in trials for claim in one.claims]
    assert sorted(pair.score for pair in made) == sorted(
        claims + [claim.score for alarm in alarms for claim in alarm.claims]
    )
    assert all(pair.counts for pair in made if not pair.true)
    found = sum(1 for one in trials if place(one) is not None)
    assert sum(1 for pair in made if pair.true and pair.counts) == found


def by_threshold(pairs: list[Pair], queries: int) -> list[tuple[float, float, float]]:
    points = []
    for score in sorted({pair.score for pair in pairs if pair.counts}, reverse=True):
        claimed = [pair for pair in pairs if pair.counts and pair.score >= score]
        true = sum(pair.true for pair in claimed)
        points.append((score, true / len(claimed), true / queries))
    return points


@given(pairs, st.integers(0, 10), st.randoms())
def test_precision_and_recall_equal_a_count_at_every_score(
    pairs: list[Pair], lost: int, order: object
) -> None:
    queries = sum(pair.true and pair.counts for pair in pairs) + lost
    if not queries:
        assert average_precision(pairs, 0) is None
        return
    due = by_threshold(pairs, queries)
    assert precision_recall(pairs, queries) == due
    area = sum(
        precision * (found - before)
        for (_, precision, found), before in zip(due, [0.0, *(point[2] for point in due)], strict=False)
    )
    got = average_precision(pairs, queries)
    assert got == pytest.approx(area)
    assert got is not None
    assert 0 <= got <= 1
    assert average_precision(sorted(pairs, key=lambda _: order.random()), queries) == got  # type: ignore[attr-defined]


@given(st.permutations(range(8)), st.integers(1, 255))
def test_average_precision_without_ties_is_the_mean_of_precisions(order: list[int], true: int) -> None:
    flags = [bool(true >> place & 1) for place in range(8)]
    made = [Pair(float(100 - place), flags[place]) for place in order]
    precisions = [sum(flags[: place + 1]) / (place + 1) for place in range(8) if flags[place]]
    assert average_precision(made, 9) == pytest.approx(sum(precisions) / 9)


def test_an_alarm_costs_average_precision() -> None:
    trials = [trial((1, 96)), trial((1, 99))]
    assert average_precision(pairs_of(trials), 2) == 1
    alarm = Alarm("file:///h", image_id(9), (FalseClaim(image_id(1), "file:///a", "copy", 97.0),))
    assert average_precision(pairs_of(trials, [alarm]), 2) == pytest.approx((1 + 2 / 3) / 2)
    known = Alarm("file:///h", image_id(9), alarm.claims, duplicates=(image_id(1),))
    assert average_precision(pairs_of(trials, [known]), 2) == 1
    assert false_alarms([alarm, known]) == Rate(1, 2)


@given(pairs, st.sampled_from((0.5, 0.8, 0.99, 1.0)))
def test_the_operating_point_finds_the_most(pairs: list[Pair], precision: float) -> None:
    queries = max(1, sum(pair.true and pair.counts for pair in pairs))
    got = operating_point(pairs, queries, precision)
    fit = [point for point in by_threshold(pairs, queries) if point[1] >= precision - 1e-12 and point[2] > 0]
    if not fit:
        assert got == Operating(precision, None, None)
    else:
        most = max(point[2] for point in fit)
        assert got.recall == most
        assert got.threshold == max(point[0] for point in fit if point[2] == most)


@given(pairs)
def test_every_claim_is_in_one_bin(pairs: list[Pair]) -> None:
    bins = reliability(pairs)
    assert sum(one.true.of for one in bins) == len(pairs)
    assert sum(one.true.hits for one in bins) == sum(pair.true for pair in pairs)
    for one in bins:
        inside = [p for p in pairs if one.low <= p.score < one.high or p.score == one.high == 100]
        assert one.true == Rate(sum(p.true for p in inside), len(inside))
        assert one.stated == pytest.approx(np.mean([p.score for p in inside]) / 100)
    error = calibration_error(bins)
    if pairs:
        due = sum(one.true.of / len(pairs) * abs((one.true.share or 0) - one.stated) for one in bins)
        assert error == pytest.approx(due)
    else:
        assert error is None


def test_calibration_of_known_bins() -> None:
    bins = [Bin(90, 95, 0.92, Rate(8, 10)), Bin(99, 100, 0.995, Rate(90, 90))]
    assert calibration_error(bins) == pytest.approx(0.1 * 0.12 + 0.9 * 0.005)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_are_those_of_numpy(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), abs=1e-6)
    made = spread(values)
    assert made is not None
    assert made.n == len(values)
    assert made.mean == pytest.approx(float(np.mean(values)), abs=1e-6)


def test_nothing_has_no_percentiles() -> None:
    assert spread([]) is None
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


@given(runs.trials)
def test_stages_are_kept_apart(trials: list[Trial]) -> None:
    told = latency(one.timings_ms for one in trials)
    for stage in ("recall", "verify", "total"):
        values = [one.timings_ms[stage] for one in trials if stage in one.timings_ms]
        assert (stage in told) == bool(values)
        if values:
            assert told[stage].n == len(values)
            assert told[stage].p95 == pytest.approx(float(np.percentile(values, 95)))


@given(runs.trials)
def test_kinds_and_names_are_counted_of_what_was_found(trials: list[Trial]) -> None:
    found = [(one, claim) for one in trials for claim in one.claims if claim.id == one.original]
    assert kinds_right(trials) == Rate(
        sum(claim.kind in one.kind_expected for one, claim in found), len(found)
    )
    cells = kind_confusion(trials)
    assert sum(cells.values()) == len(trials)
    assert sum(count for (_, given), count in cells.items() if given == "none") == len(trials) - len(found)
    by_name = edits_named(trials)
    for name in runs.NAMES:
        done = sum(name in one.expected for one, _ in found)
        named = sum(name in one.named for one, _ in found)
        both = sum(name in one.expected and name in one.named for one, _ in found)
        assert by_name.get(name, (Rate(0, 0), Rate(0, 0))) == (Rate(both, done), Rate(both, named))
    assert naming(trials) == (
        sum((one for one, _ in by_name.values()), Rate(0, 0)),
        sum((other for _, other in by_name.values()), Rate(0, 0)),
    )
