"""The report of an evaluation: every figure of a run, in one object that goes to JSON and back.

JSON (`format` 1) has the members of `Report` by their names. A share is an object `{"hits", "of", "share",
"low", "high"}`: so many of so many, and the ends of its 95 % interval (Wilson); `share` is null of none.
A spread of numbers is `{"n", "mean", "p50", "p95", "p99"}`. Scores are 0 to 100, times milliseconds, all
other figures 0 to 1. Numbers are rounded to six places. A key is never left out; what is not known is null.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self

from wherefrom.errors import UsageError
from wherefrom.evaluate import measures
from wherefrom.evaluate.measures import Bin, Operating, Rate, Spread
from wherefrom.evaluate.terminal import table
from wherefrom.evaluate.trials import Alarm, Facts, Trial

__all__ = ["FORMAT", "Areas", "Miss", "Report", "Row", "report_of", "table"]

FORMAT = 1
"""The version of the JSON. What is read must have it."""

PRECISIONS = (0.99, 0.999)
"""The precisions at which recall is told."""

TEN = 10
"""What `ten` counts: finds among so many claims."""

_POINTS = 200  # of the curve of precision over recall, at most
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Areas:
    """How well the areas told lie on the true ones: intersection over union, 0 to 1, over `n` finds.

    `p5` is what all but the worst twentieth reach.
    """

    n: int
    mean: float
    p5: float


@dataclass(frozen=True, slots=True)
class Row:
    """Some trials together: an edit, a family of edits, or all of them.

    `first` and `ten` are how many originals came first, or among the first ten, as a claim. Of those that
    were claimed: `kind` is how many with a kind that fits, `areas` how well they were placed (None where
    nothing can be compared), `named` how many of the edits done were named, and `precise` how many of the
    edits named were done.
    """

    name: str
    family: str
    strength: float | None
    n: int
    first: Rate
    ten: Rate
    kind: Rate
    areas: Areas | None
    named: Rate
    precise: Rate


@dataclass(frozen=True, slots=True)
class Miss:
    """A trial whose original did not come first: `place` is where it stood, None where nowhere."""

    edit: str
    uri: str
    original: str
    place: int | None
    account: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Report:
    """Every figure of a run.

    `sample` is a fingerprint of what was tried: two runs with the same one searched for the same copies of
    the same pictures. `edits` and `families` are rows in the order of the suite; `ranks` is recall within
    1, 2 ... claims; `average_precision` is µAP over all claims and queries, held-out ones among them, `curve`
    its (threshold, precision, recall), thinned; `operating` recall at 99 and 99.9 % precision. `alarms` is
    how many held-out pictures were claimed to be something. `kinds` are (what was fit, what was given, how
    often); `names` (name of an edit, recall, precision of naming it); `bins` and `calibration_error` how far
    scores may be believed. `misses` are all trials whose original did not come first.
    """

    facts: Facts
    sample: str
    overall: Row
    families: tuple[Row, ...]
    edits: tuple[Row, ...]
    ranks: tuple[Rate, ...]
    average_precision: float | None
    operating: tuple[Operating, ...]
    curve: tuple[tuple[float, float, float], ...]
    alarms: Rate
    kinds: tuple[tuple[str, str, int], ...]
    names: tuple[tuple[str, Rate, Rate], ...]
    bins: tuple[Bin, ...]
    calibration_error: float | None
    latency_ms: Mapping[str, Spread]
    bytes_per_image: float | None
    misses: tuple[Miss, ...]

    def as_json(self) -> dict[str, Any]:
        """The report in numbers, texts, lists and dicts, as the module's docstring has it."""
        return {"format": FORMAT, **_plain(self), "facts": self.facts.as_plain()}

    def figures(self) -> dict[str, Any]:
        """The same without what another run of the same pictures by the same program changes: times.

        Two runs with one seed give equal figures.
        """
        plain = self.as_json()
        for name in ("started", "seconds", "machine"):
            del plain["facts"][name]
        del plain["latency_ms"]
        return plain

    @classmethod
    def from_json(cls, plain: object) -> Self:
        """The inverse of `as_json`; raises UsageError for what is no report, or one of another format."""
        if not isinstance(plain, Mapping) or "format" not in plain:
            raise UsageError("That is no report of an evaluation; wherefrom evaluate --out FILE writes one.")
        if plain["format"] != FORMAT:
            raise UsageError(
                f"That report is of format {plain['format']!r}, and this program reads {FORMAT}. "
                f"Make it anew with this version: wherefrom evaluate --out FILE"
            )
        try:
            return cls(
                facts=Facts.from_plain(plain["facts"]),
                sample=str(plain["sample"]),
                overall=_row(plain["overall"]),
                families=tuple(map(_row, plain["families"])),
                edits=tuple(map(_row, plain["edits"])),
                ranks=tuple(map(_rate, plain["ranks"])),
                average_precision=plain["average_precision"],
                operating=tuple(Operating(**one) for one in plain["operating"]),
                curve=tuple((float(t), float(p), float(r)) for t, p, r in plain["curve"]),
                alarms=_rate(plain["alarms"]),
                kinds=tuple((str(fit), str(given), int(n)) for fit, given, n in plain["kinds"]),
                names=tuple((str(name), _rate(one), _rate(other)) for name, one, other in plain["names"]),
                bins=tuple(Bin(**{**one, "true": _rate(one["true"])}) for one in plain["bins"]),
                calibration_error=plain["calibration_error"],
                latency_ms={str(stage): Spread(**one) for stage, one in plain["latency_ms"].items()},
                bytes_per_image=plain["bytes_per_image"],
                misses=tuple(Miss(**one) for one in plain["misses"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                f"That report cannot be read ({type(error).__name__}: {error}): it is damaged, or something "
                f"else wrote it. Make it anew: wherefrom evaluate --out FILE"
            ) from error


def report_of(facts: Facts, trials: Iterable[Trial], alarms: Iterable[Alarm]) -> Report:
    """The report of a run. It depends on what was tried and found, and not on the order."""
    done = sorted(trials, key=lambda trial: (trial.edit, trial.original, trial.seed))
    held = sorted(alarms, key=lambda alarm: (alarm.uri, alarm.id))
    by_edit = _grouped(done, lambda trial: trial.edit, _suite_order(facts, done))
    edits = [_row_of(name, some[0].family, some[0].strength, some) for name, some in by_edit.items()]
    by_family = _grouped(done, lambda trial: trial.family, list(dict.fromkeys(row.family for row in edits)))
    pairs = measures.pairs_of(done, held)
    points = measures.precision_recall(pairs, len(done))
    bins = measures.reliability(pairs)
    timings = [*(trial.timings_ms for trial in done), *(alarm.timings_ms for alarm in held)]
    return Report(
        facts=facts,
        sample=_sample(done, held),
        overall=_row_of("all edits", "", None, done),
        families=tuple(_row_of(name, name, None, some) for name, some in by_family.items()),
        edits=tuple(sorted(edits, key=lambda row: list(by_family).index(row.family))),
        ranks=tuple(measures.rank_curve(done)),
        average_precision=measures.average_precision(pairs, len(done)),
        operating=tuple(measures.operating_point(pairs, len(done), one) for one in PRECISIONS),
        curve=tuple(_thinned(points)),
        alarms=measures.false_alarms(held),
        kinds=tuple((*cell, count) for cell, count in measures.kind_confusion(done).items()),
        names=tuple((name, *both) for name, both in measures.edits_named(done).items()),
        bins=tuple(bins),
        calibration_error=measures.calibration_error(bins),
        latency_ms=measures.latency(timings),
        bytes_per_image=sum(facts.bytes.values()) / facts.images if facts.bytes and facts.images else None,
        misses=tuple(miss for some in by_edit.values() for miss in _missed(some)),
    )


def _row_of(name: str, family: str, strength: float | None, trials: Sequence[Trial]) -> Row:
    overlaps = [trial.overlap for trial in trials if trial.overlap is not None]
    areas = None
    if overlaps:
        mean = sum(sorted(overlaps)) / len(overlaps)
        areas = Areas(len(overlaps), mean, measures.percentile(overlaps, 5))
    named, precise = measures.naming(trials)
    return Row(
        name,
        family,
        strength,
        len(trials),
        measures.recall(trials),
        measures.recall(trials, TEN),
        measures.kinds_right(trials),
        areas,
        named,
        precise,
    )


def _suite_order(facts: Facts, trials: Sequence[Trial]) -> list[str]:
    met = dict.fromkeys(trial.edit for trial in trials)
    known = [name for name in facts.edits if name in met]
    return [*known, *(name for name in met if name not in known)]


def _grouped(trials: Sequence[Trial], of: Any, order: Sequence[str]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {name: [] for name in order}
    for trial in trials:
        groups[of(trial)].append(trial)
    return groups


def _missed(trials: Iterable[Trial]) -> Iterable[Miss]:
    for trial in trials:
        place = measures.place(trial)
        if place != 1:
            yield Miss(trial.edit, trial.uri, trial.original, place, trial.account)


def _sample(trials: Sequence[Trial], alarms: Sequence[Alarm]) -> str:
    """What was tried, as a number: the ids say it, whatever the folder was called."""
    hashed = hashlib.sha256()
    for trial in trials:
        hashed.update(f"{trial.edit}\0{trial.original}\0{trial.seed}\n".encode())
    for identifier in sorted(alarm.id for alarm in alarms):
        hashed.update(f"{identifier}\n".encode())
    return hashed.hexdigest()[:32]


def _thinned(points: Sequence[tuple[float, float, float]]) -> Sequence[tuple[float, float, float]]:
    if len(points) <= _POINTS:
        return points
    step = (len(points) - 1) / (_POINTS - 1)
    return [points[round(number * step)] for number in range(_POINTS)]


def _plain(value: Any) -> Any:
    if isinstance(value, Rate):
        ends = {"share": value.share, "low": value.low, "high": value.high}
        return {"hits": value.hits, "of": value.of, **_plain(ends)}
    if isinstance(value, Facts):
        return value.as_plain()
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def _rate(plain: Mapping[str, Any]) -> Rate:
    hits, of = plain["hits"], plain["of"]
    if not (isinstance(hits, int) and isinstance(of, int) and 0 <= hits <= of):
        raise ValueError(f"{hits!r} of {of!r} is no share")
    return Rate(hits, of)


def _row(plain: Mapping[str, Any]) -> Row:
    rates = {name: _rate(plain[name]) for name in ("first", "ten", "kind", "named", "precise")}
    areas = None if plain["areas"] is None else Areas(**plain["areas"])
    return Row(**{**plain, **rates, "areas": areas})
