"""Figures as people read them, and the sentences that say what a run has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherefrom.printing import counted

if TYPE_CHECKING:
    from wherefrom.evaluate.measures import Rate
    from wherefrom.evaluate.report import Report, Row

_WEAK = 3  # edits that the summary names
_LITTLE = 30  # trials of an edit below which it is not named: chance would say which
_ALL_FOUND = 0.999


def summary(report: Report) -> list[str]:
    """What a run has shown: a few sentences, the most important first."""
    told = [_found(report)]
    if weak := _weakest(report):
        told.append(weak)
    told.append(_alarmed(report))
    total = report.latency_ms.get("total")
    if total is not None:
        told.append(
            f"Half of the searches took {milliseconds(total.p50)} ms or less, "
            f"all but one in a hundred {milliseconds(total.p99)} ms."
        )
    return told


def _found(report: Report) -> str:
    rate, facts = report.overall.first, report.facts
    if not rate.of:
        return f"Nothing was tried: of {counted(facts.images, 'image')} none could be sampled."
    return (
        f"Of {counted(rate.of, 'edited copy', 'edited copies')} of {counted(facts.sampled, 'picture')} "
        f"{percent(rate)} were found first among {counted(facts.images, 'image')} "
        f"(95 % interval {interval(rate)} %)."
    )


def _weakest(report: Report) -> str:
    """The edits of which least is found, where that is less than nearly everything."""
    rows = [row for row in report.edits if row.n >= min(_LITTLE, report.facts.sampled or _LITTLE)]
    weak = sorted((row for row in rows if _share(row) < _ALL_FOUND), key=lambda row: (_share(row), row.name))
    if not weak:
        return "No edit stands out as one that hides a picture." if report.edits else ""
    named = [f"{row.name} ({percent(row.first)})" for row in weak[:_WEAK]]
    return f"Hardest edits: {', '.join(named)}."


def _share(row: Row) -> float:
    share = row.first.share
    return 1.0 if share is None else share


def _alarmed(report: Report) -> str:
    alarms = report.alarms
    if not alarms.of:
        return "No pictures were held out, so that nothing is known of false alarms."
    strangers = counted(alarms.of, "picture")
    if not alarms.hits:
        return (
            f"Of {strangers} that are not in the collection none was claimed to be in it "
            f"(at most {100 * alarms.high:.2g} % at 95 % confidence)."
        )
    return f"Of {strangers} that are not in the collection {alarms.hits:,} raised a false alarm."


def percent(rate: Rate | None, digits: int = 1) -> str:
    """A share in per cent: `97.8 %`, `100 %`; a dash of none. All but one is never told to be all."""
    if rate is None or rate.share is None:
        return "–"
    return f"{_number(rate, digits)} %"


def _number(rate: Rate, digits: int) -> str:
    if rate.hits in (0, rate.of):
        return "100" if rate.hits else "0"
    told = f"{100 * rate.hits / rate.of:.{digits}f}"
    if float(told) == 100:
        return f"{100 - 10**-digits:.{digits}f}"
    return told if float(told) else f"{10**-digits:.{digits}f}"


def interval(rate: Rate) -> str:
    """The ends of a share's interval in per cent, `95.1–98.9`; a dash of none."""
    return f"{100 * rate.low:.1f}–{100 * rate.high:.1f}" if rate.of else "–"


def milliseconds(value: float) -> str:
    """A time in milliseconds, to three figures or so."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def byte_count(amount: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def duration(seconds: float) -> str:
    """A time that people wait: `42 s`, `3 min 20 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def part(name: str) -> str:
    """The name of something that takes room, as a word for people."""
    return name.replace("_", " ")
