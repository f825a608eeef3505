"""What counts as a fall, what as a rise, and which baselines are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate import runs
from wherefrom.errors import UsageError
from wherefrom.evaluate.baseline import MINIMUM, compared, risen, tolerances_of
from wherefrom.evaluate.report import Report, report_of
from wherefrom.evaluate.trials import Trial


def worse(trials: list[Trial], edit: str, count: int) -> list[Trial]:
    """The same trials, of which so many of an edit find nothing any more."""
    lost = [trial for trial in trials if trial.edit == edit and trial.claims][:count]
    return [replace(trial, claims=(), named=()) if trial in lost else trial for trial in trials]


def report(trials: list[Trial], **changed: object) -> Report:
    return report_of(runs.facts(**changed), trials, runs.run(5)[1])


TRIALS = runs.run(5, misses=0.0)[0]


def test_nothing_falls_below_itself() -> None:
    assert compared(report(TRIALS), report(TRIALS)) == []
    assert risen(report(TRIALS), report(TRIALS)) == []


@given(st.integers(0, 40))
def test_a_fall_and_a_rise_are_the_same_seen_from_both_sides(count: int) -> None:
    lower, upper = report(worse(TRIALS, "mirror", count)), report(TRIALS)
    falls, rises = compared(lower, upper), risen(upper, lower)
    assert {fall.what for fall in falls if fall.now is not None} >= {rise.what for rise in rises}
    assert risen(lower, upper) == []
    assert compared(upper, lower) == []
    # one trial of 40 is none, two are; of all 240 a hundredth is allowed
    assert any(fall.what == "mirror, found first" for fall in falls) == (count >= 2)
    assert any(fall.what == "all edits, found first" for fall in falls) == (count >= 3)


def test_a_fall_says_what_fell() -> None:
    falls = compared(report(worse(TRIALS, "mirror", 10)), report(TRIALS))
    fall = next(fall for fall in falls if fall.what == "mirror, found first")
    assert (fall.name, fall.before, fall.now) == ("recall", 1.0, 0.75)
    assert fall.said == "mirror, found first: 100 % → 75.0 %"


def test_other_samples_are_given_what_chance_explains() -> None:
    others = [replace(trial, original=trial.original.replace("sha256:0", "sha256:f")) for trial in TRIALS]
    others = [
        replace(trial, claims=tuple(claim._replace(id=trial.original) for claim in trial.claims))
        for trial in others
    ]

    def falls(count: int) -> set[str]:
        newer = report(worse(others, "mirror", count))
        return {fall.what for fall in compared(newer, report(TRIALS)) if fall.name == "recall"}

    # 40 of 40 against 37 of 40: the intervals leave that to chance; 33 of 40 not
    assert falls(3) == set()
    assert "mirror, found first" in falls(7)


def test_tolerances_that_are_given_are_taken_as_they_are() -> None:
    lower = report(worse(TRIALS, "mirror", 10))
    assert not [fall for fall in compared(lower, report(TRIALS), {"recall": 0.25}) if fall.name == "recall"]
    assert [fall for fall in compared(lower, report(TRIALS), {"recall": 0.24}) if fall.name == "recall"]
    one = report(worse(TRIALS, "mirror", 1))
    assert {fall.what for fall in compared(one, report(TRIALS), {"recall": 0})} >= {"mirror, found first"}


def test_what_is_missing_has_fallen() -> None:
    less = [trial for trial in TRIALS if trial.edit != "mirror"]
    falls = [fall for fall in compared(report(less), report(TRIALS)) if fall.now is None]
    assert "mirror, found first" in {fall.what for fall in falls}
    assert all(fall.what.startswith("mirror") for fall in falls)
    assert compared(report(TRIALS), report(less)) == []
    unheld = report_of(runs.facts(), TRIALS, [])
    assert "false alarms" in {fall.what for fall in compared(unheld, report(TRIALS))}


def test_more_false_alarms_are_a_fall() -> None:
    noisy = report_of(runs.facts(), TRIALS, runs.run(5, wrong=0.3)[1])
    falls = compared(noisy, report(TRIALS))
    assert "false alarms" in {fall.what for fall in falls}
    assert "false alarms" in {rise.what for rise in risen(report(TRIALS), noisy)}


def test_time_counts_only_when_asked_and_room_always() -> None:
    slow = [replace(trial, timings_ms={"total": 1e6}) for trial in TRIALS]
    assert compared(report(slow), report(TRIALS)) == []
    assert {fall.name for fall in compared(report(slow), report(TRIALS), {"latency": 0.5})} == {"latency"}
    large = report(TRIALS, bytes={"catalog": 50_000_000})
    assert [fall.name for fall in compared(large, report(TRIALS))] == ["bytes"]


def test_baselines_of_other_suites_are_refused() -> None:
    with pytest.raises(UsageError, match="'quick', and this run of 'default'"):
        compared(report(TRIALS), report(TRIALS, suite="quick"))


def test_tolerances_are_read_and_refused() -> None:
    assert tolerances_of(["recall=0.01", "bytes = 0.5"]) == {"recall": 0.01, "bytes": 0.5}
    assert tolerances_of([]) == {}
    for text, told in (
        ("recall", "NAME=SHARE"),
        ("recall=much", "NAME=SHARE"),
        ("recal=0.1", ", ".join(MINIMUM)),
        ("recall=-1", "0 or more"),
        ("recall=nan", "0 or more"),
    ):
        with pytest.raises(UsageError, match=told):
            tolerances_of([text])
