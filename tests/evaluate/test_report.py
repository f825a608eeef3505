"""The report: what it counts, that it goes to JSON and back, and how it is told in a terminal."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluate import runs
from wherefrom.errors import UsageError
from wherefrom.evaluate.measures import Rate, Spread, recall
from wherefrom.evaluate.report import FORMAT, Report, report_of, table
from wherefrom.evaluate.saying import duration, interval, percent, summary
from wherefrom.evaluate.trials import Alarm, Trial


def made(**options: object) -> Report:
    return report_of(runs.facts(), *runs.run(3, wrong=0.05, **options))  # type: ignore[arg-type]


@given(runs.trials, runs.alarms)
def test_it_goes_to_json_and_back(trials: list[Trial], alarms: list[Alarm]) -> None:
    written = json.dumps(report_of(runs.facts(), trials, alarms).as_json(), allow_nan=False)
    read = Report.from_json(json.loads(written))
    assert json.dumps(read.as_json(), allow_nan=False) == written
    assert table(read)
    assert summary(read)


@given(runs.trials, runs.alarms, st.randoms())
def test_order_changes_nothing(trials: list[Trial], alarms: list[Alarm], chance: random.Random) -> None:
    keyed = [replace(trial, original=runs.image_id(n % 3)) for n, trial in enumerate(trials)]
    distinct = list({(trial.edit, trial.original): trial for trial in keyed}.values())
    before = report_of(runs.facts(), distinct, alarms)
    chance.shuffle(distinct)
    assert report_of(runs.facts(), distinct, alarms).figures() == before.figures()


@given(runs.trials)
def test_rows_are_parts_of_the_whole(trials: list[Trial]) -> None:
    report = report_of(runs.facts(), trials, [])
    assert report.overall.first == recall(trials)
    for rows in (report.edits, report.families):
        assert sum(row.n for row in rows) == len(trials)
        for name in ("first", "ten", "kind", "named", "precise"):
            parts = sum((getattr(row, name) for row in rows), Rate(0, 0))
            assert parts == getattr(report.overall, name)
    for row in report.edits:
        assert row.first == recall([trial for trial in trials if trial.edit == row.name])
    assert len(report.misses) == report.overall.n - report.overall.first.hits
    assert sum(count for _, _, count in report.kinds) == len(trials)


def test_rows_stand_in_the_order_of_the_suite() -> None:
    assert [row.name for row in made().edits] == list(runs.EDITS)
    assert [row.name for row in made().families] == ["crop", "jpeg", "flip"]


def test_the_sample_is_what_was_tried_and_not_what_came_of_it() -> None:
    trials, alarms = runs.run(1)
    assert made(misses=0.9).sample == made(misses=0.0).sample
    here = report_of(runs.facts(), trials, alarms).sample
    assert report_of(runs.facts(source="elsewhere"), trials, alarms).sample == here
    assert report_of(runs.facts(), trials[1:], alarms).sample != here
    assert report_of(runs.facts(), trials, alarms[1:]).sample != here


def test_figures_leave_time_out() -> None:
    trials, alarms = runs.run(1)
    slower = [replace(trial, timings_ms={"total": 9e9}) for trial in trials]
    later = runs.facts(started="2027-01-01T00:00:00Z", seconds=9.0, machine={"cores": 64})
    assert report_of(later, slower, alarms).figures() == report_of(runs.facts(), trials, alarms).figures()
    assert "latency_ms" not in made().figures()


def test_other_formats_and_other_files_are_refused() -> None:
    plain = made().as_json()
    with pytest.raises(UsageError, match="format 99"):
        Report.from_json(plain | {"format": 99})
    wrong: object
    for wrong in (None, [], {}, "text", 3):
        with pytest.raises(UsageError, match="no report"):
            Report.from_json(wrong)
    for name in sorted(plain):
        if name != "format":
            with pytest.raises(UsageError, match="cannot be read"):
                Report.from_json({key: value for key, value in plain.items() if key != name})
    assert plain["format"] == FORMAT
    for broken in ({"hits": 3, "of": 2}, {"hits": "1", "of": 2}, None, 4):
        with pytest.raises(UsageError, match="cannot be read"):
            Report.from_json(plain | {"alarms": broken})


def test_the_table_fits_a_terminal() -> None:
    told = table(made())
    assert max(len(line) for line in told.splitlines()) <= 100
    for said in ("crop 90 %", "all edits", "95 % interval", "False alarms", "total", "On the disk"):
        assert said in told


def test_a_long_name_does_not_break_the_table() -> None:
    trials, _ = runs.run(1, edits=["mirror"])
    long = [replace(trial, edit="x" * 300, family="y" * 300) for trial in trials]
    assert max(map(len, table(report_of(runs.facts(), long, [])).splitlines())) <= 100


def test_a_run_of_nothing_is_told_as_such() -> None:
    report = report_of(runs.facts(sampled=0, held_out=0, edits={}, bytes={}), [], [])
    assert "Nothing was tried" in table(report)
    assert (report.overall.first.share, report.average_precision, report.bytes_per_image) == (
        None,
        None,
        None,
    )


def test_the_summary_says_what_was_seen() -> None:
    told = " ".join(summary(made(misses=0.0)))
    assert "Of 240 edited copies of 40 pictures 100 % were found first among 1,240 images" in told
    assert "No edit stands out" in told
    assert "Hardest edits" in " ".join(summary(made(misses=0.2)))
    quiet = " ".join(summary(report_of(runs.facts(), *runs.run(1))))
    assert "none was claimed to be in it" in quiet


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_all_and_none_are_said_only_of_all_and_none(hits: int, of: int) -> None:
    hits = min(hits, of)
    told = percent(Rate(hits, of))
    assert (told == "100 %") == (hits == of)
    assert (told == "0 %") == (hits == 0)
    assert abs(float(told.split()[0]) - 100 * hits / of) <= 0.1


def test_figures_for_people() -> None:
    assert (percent(Rate(0, 0)), interval(Rate(0, 0)), percent(None)) == ("–", "–", "–")
    assert [duration(seconds) for seconds in (3.2, 60, 200, 3_900)] == [
        "3 s",
        "1 min",
        "3 min 20 s",
        "1 h 5 min",
    ]
    assert isinstance(made().latency_ms["total"], Spread)
