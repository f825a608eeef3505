"""The report as a table for a terminal, within 100 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wherefrom.evaluate.saying import byte_count, interval, milliseconds, percent, summary
from wherefrom.evaluate.saying import part as named_part
from wherefrom.printing import counted

if TYPE_CHECKING:
    from wherefrom.evaluate.report import Report, Row

WIDTH = 100
"""Columns that the table fills at most."""

_HEADINGS = ("", "tried", "first", "95 % interval", "in ten", "kind right", "areas", "edits named")
_STAGES = ("", "p50", "p95", "p99")


def table(report: Report) -> str:
    """The report for people who sit at a terminal; lines end without a line break at the last.

    A row for each edit below its family; `areas` is how far the area told and the true one are the same
    (intersection over union, the mean).
    """
    blocks = [_wrapped(summary(report)), _edits(report), _alarms(report), _surety(report)]
    blocks += [_times(report), _room(report)]
    return "\n\n".join(block for block in blocks if block)


def _edits(report: Report) -> str:
    rows: list[Sequence[str]] = []
    for family in report.families:
        members = [row for row in report.edits if row.family == family.name]
        if len(members) == 1:
            rows.append(_cells(members[0], members[0].name))
            continue
        rows.append(_cells(family, family.name))
        rows += [_cells(row, "  " + row.name) for row in members]
    rows.append(())
    rows.append(_cells(report.overall, report.overall.name))
    return columns([_HEADINGS, *rows])


def _cells(row: Row, name: str) -> tuple[str, ...]:
    return (
        _short(name),
        f"{row.n:,}",
        percent(row.first),
        interval(row.first),
        percent(row.ten),
        percent(row.kind),
        "" if row.areas is None else f"{row.areas.mean:.2f}",
        percent(row.named),
    )


def _alarms(report: Report) -> str:
    if not report.alarms.of:
        return "False alarms: no pictures were held out, so none could occur."
    said = (
        f"False alarms: {report.alarms.hits:,} of {counted(report.alarms.of, 'picture')} that are not there "
        f"were claimed to be something ({percent(report.alarms)}, {interval(report.alarms)} %)."
    )
    return _wrapped([said])


def _surety(report: Report) -> str:
    if not report.bins:
        return ""
    rows = [("score", "claims", "of them true", "95 % interval")]
    rows += [
        (f"{one.low:g} to {one.high:g}", f"{one.true.of:,}", percent(one.true), interval(one.true))
        for one in report.bins
    ]
    lines = [columns(rows)]
    if report.calibration_error is not None:
        off = f"{100 * report.calibration_error:.1f}"
        lines.append(f"Scores lie {off} points off what was true, on average.")
    return "\n".join(lines)


def _times(report: Report) -> str:
    rows = [
        (stage, *(milliseconds(value) for value in (one.p50, one.p95, one.p99)))
        for stage, one in report.latency_ms.items()
    ]
    return columns([("milliseconds", "p50", "p95", "p99"), *rows]) if rows else ""


def _room(report: Report) -> str:
    if report.bytes_per_image is None:
        return ""
    parts = sorted(report.facts.bytes.items(), key=lambda part: -part[1])
    told = ", ".join(f"{named_part(name)} {byte_count(size / report.facts.images)}" for name, size in parts)
    return _wrapped([f"On the disk {byte_count(report.bytes_per_image)} an image: {told}."])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows in line, the first column to the left and the others to the right; an empty row is a line."""
    count = max(len(row) for row in rows)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in rows:
        if not row:
            lines.append("─" * (sum(widths) + 2 * (count - 1)))
            continue
        cells = [row[0].ljust(widths[0]), *(cell.rjust(widths[i]) for i, cell in enumerate(row[1:], 1))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _short(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _wrapped(sentences: Iterable[str]) -> str:
    from textwrap import wrap

    text = " ".join(sentences).replace(" %", "\N{NO-BREAK SPACE}%")  # a figure and its unit stay together
    return "\n".join(wrap(text, WIDTH)).replace("\N{NO-BREAK SPACE}", " ")
