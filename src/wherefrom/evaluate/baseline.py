"""Comparison with an earlier report: which figures fell by more than is tolerated, and which rose."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wherefrom.errors import UsageError
from wherefrom.evaluate.measures import Rate
from wherefrom.evaluate.saying import byte_count, milliseconds, percent

if TYPE_CHECKING:
    from wherefrom.evaluate.report import Report, Row

MINIMUM: Mapping[str, float] = {
    "recall": 0.01,
    "recall10": 0.01,
    "kinds": 0.02,
    "areas": 0.02,
    "edits": 0.02,
    "alarms": 0.005,
    "average": 0.01,
    "calibration": 0.01,
    "latency": math.inf,
    "bytes": 0.1,
}
"""How far a figure may fall in any case, by name.

`recall` and `recall10` are of originals that came first and among ten, `kinds` of kinds that fit, `areas`
of the mean overlap, `edits` of the recall and the precision of naming, `alarms` of held-out pictures
claimed, `average` of µAP and of recall at 99 and 99.9 % precision, `calibration` of the calibration error:
all of these as shares, 0.01 being a percentage point. `latency` (the median and the 95th percentile of a
search's time) and `bytes` (of an image) are relative: 0.1 lets them grow by a tenth. Times are another
machine's business unless a tolerance is given for them.
"""

_ROW_TRIALS = 1.5  # of one edit: one trial more or less is no fall, whatever the share
_ROW_AREAS = 0.03  # of one edit, whose mean overlap is of few


@dataclass(frozen=True, slots=True)
class Fall:
    """A figure that became worse by more than its tolerance, or is no longer told.

    `what` names it as the report does, `name` is that of its tolerance; `before` and `now` are the figures
    (`now` is None where the newer report has none), `said` both as a sentence.
    """

    what: str
    name: str
    before: float
    now: float | None
    tolerance: float
    said: str


@dataclass(frozen=True, slots=True)
class Rise:
    """A figure that became better by more than its tolerance."""

    what: str
    name: str
    before: float
    now: float
    said: str


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of a report. `better` is 1 where more is better, -1 where less is; `rate` is what it was
    counted on, if it was; `one_edit` tells figures of one edit from those of all."""

    name: str
    value: float
    better: int
    rate: Rate | None = None
    told: str = ""
    relative: bool = False
    one_edit: bool = False


def compared(report: Report, baseline: Report, tolerances: Mapping[str, float] | None = None) -> list[Fall]:
    """What became worse than in the baseline, in the order of the report; empty when nothing did.

    A figure may fall by its tolerance. By default that is `MINIMUM`; where two runs did not try the same
    copies of the same pictures, also by what chance explains: by what keeps the 95 % interval of the
    difference (Newcombe 1998, method 10, of Wilson's intervals) about zero. `tolerances` are taken as they
    are, for all figures of that name. What the baseline has and the report lacks has fallen.

    Raises UsageError for a baseline of another suite, and for a tolerance of no use.
    """
    return [change for change in _changes(report, baseline, tolerances) if isinstance(change, Fall)]


def risen(report: Report, baseline: Report, tolerances: Mapping[str, float] | None = None) -> list[Rise]:
    """What became better than in the baseline by more than its tolerance; raises as `compared` does."""
    return [change for change in _changes(report, baseline, tolerances) if isinstance(change, Rise)]


def tolerances_of(texts: Iterable[str]) -> dict[str, float]:
    """Tolerances as they are written: `recall=0.01`. Raises UsageError for one that cannot be."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UsageError(f"A tolerance reads NAME=SHARE, such as recall=0.01, not {text!r}.") from None
    return _checked(found)


def _checked(tolerances: Mapping[str, float] | None) -> dict[str, float]:
    known = dict(tolerances or {})
    for name, value in known.items():
        if name not in MINIMUM:
            raise UsageError(f"There is no tolerance {name!r}. There are: {', '.join(MINIMUM)}.")
        if not value >= 0:  # also where it is no number at all
            raise UsageError(f"A tolerance is 0 or more, not {value:g} ({name}).")
    return known


def _changes(
    report: Report, baseline: Report, tolerances: Mapping[str, float] | None
) -> Iterator[Fall | Rise]:
    stated = _checked(tolerances)
    if report.facts.suite != baseline.facts.suite:
        raise UsageError(
            f"The baseline is of the suite {baseline.facts.suite!r}, and this run of {report.facts.suite!r}: "
            f"the two tried different things. Give a baseline of the same suite, or make one: "
            f"wherefrom evaluate --suite {report.facts.suite} --out FILE"
        )
    same = report.sample == baseline.sample
    ours, theirs = _figures(report), _figures(baseline)
    for what, before in theirs.items():
        now = ours.get(what)
        if now is None:
            said = f"{what}: {before.told} in the baseline, and not in this report"
            yield Fall(what, before.name, before.value, None, stated.get(before.name, 0.0), said)
            continue
        allowed = stated.get(before.name)
        gain = (now.value - before.value) * before.better
        if allowed is None:
            allowed = _allowed(before, now, same, falls=gain < 0)
        change = gain / abs(before.value) if before.relative and before.value else gain
        said = f"{what}: {before.told} → {now.told}"
        if change < -allowed - 1e-9:
            yield Fall(what, before.name, before.value, now.value, allowed, said)
        elif change > allowed + 1e-9:
            yield Rise(what, before.name, before.value, now.value, said)


def _allowed(before: _Figure, now: _Figure, same: bool, *, falls: bool) -> float:
    least = MINIMUM[before.name]
    old, new = before.rate, now.rate
    if before.one_edit and before.name == "areas":
        return max(least, _ROW_AREAS)
    if old is None or new is None or not old.of or not new.of:
        return least
    if before.one_edit:
        least = max(least, _ROW_TRIALS / min(old.of, new.of))
    return least if same else max(least, _by_chance(old, new, falls=falls == (before.better > 0)))


def _by_chance(old: Rate, new: Rate, *, falls: bool) -> float:
    """How far the share may move down, or up, before the interval of the difference leaves zero out."""
    before, now = (old.share or 0.0), (new.share or 0.0)
    if falls:
        return math.hypot(before - old.low, new.high - now)
    return math.hypot(old.high - before, now - new.low)


def _figures(report: Report) -> dict[str, _Figure]:
    """Every figure that may fall, by what it is called."""
    found: dict[str, _Figure] = dict(_of_row(report.overall, one_edit=False))
    for row in report.edits:
        found.update(_of_row(row, one_edit=True))
    if report.average_precision is not None:
        value = report.average_precision
        found["average precision (µAP)"] = _Figure(
            "average", value, 1, _as_rate(value, report), f"{value:.4f}"
        )
    for one in report.operating:
        value = one.recall or 0.0
        what = f"found at {100 * one.precision:g} % precision"
        found[what] = _Figure("average", value, 1, _as_rate(value, report), f"{100 * value:.1f} %")
    if (share := report.alarms.share) is not None:
        found["false alarms"] = _Figure("alarms", share, -1, report.alarms, percent(report.alarms))
    if report.calibration_error is not None:
        value = report.calibration_error
        found["calibration error"] = _Figure("calibration", value, -1, told=f"{100 * value:.1f} points")
    if total := report.latency_ms.get("total"):
        for name, value in (("median time", total.p50), ("95th percentile of time", total.p95)):
            told = f"{milliseconds(value)} ms"
            found[name] = _Figure("latency", value, -1, told=told, relative=True)
    if report.bytes_per_image is not None:
        value = report.bytes_per_image
        found["bytes an image"] = _Figure("bytes", value, -1, told=byte_count(value), relative=True)
    return found


def _as_rate(value: float, report: Report) -> Rate:
    """What a figure of all trials would be as a share of them: its chance is of that size."""
    return Rate(min(report.overall.n, round(value * report.overall.n)), report.overall.n)


def _of_row(row: Row, *, one_edit: bool) -> Iterator[tuple[str, _Figure]]:
    rates = [
        ("found first", "recall", row.first),
        ("found among ten", "recall10", row.ten),
        ("kind right", "kinds", row.kind),
        ("edits named", "edits", row.named),
        ("named edits right", "edits", row.precise),
    ]
    for what, name, rate in rates:
        if (share := rate.share) is not None:
            yield f"{row.name}, {what}", _Figure(name, share, 1, rate, percent(rate), one_edit=one_edit)
    if row.areas is not None:
        mean = row.areas.mean
        yield f"{row.name}, areas", _Figure("areas", mean, 1, told=f"{mean:.3f}", one_edit=one_edit)
