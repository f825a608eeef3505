"""The tables of the page, as HTML. Whatever users or files named is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from wherefrom.evaluate.saying import duration, interval, percent
from wherefrom.printing import counted

if TYPE_CHECKING:
    from wherefrom.evaluate.measures import Rate
    from wherefrom.evaluate.report import Report, Row

_HEADINGS = (
    "edit",
    "tried",
    "found first",
    "95 % interval",
    "",
    "in ten",
    "kind right",
    "areas",
    "edits named",
)


def edits_table(report: Report) -> str:
    """A row for each edit below its family, and one for all."""
    rows: list[str] = []
    for family in report.families:
        members = [row for row in report.edits if row.family == family.name]
        if len(members) > 1:
            rows.append(_row(family, "family"))
            rows += [_row(row, "member") for row in members]
        else:
            rows += [_row(row, "family") for row in members]
    rows.append(_row(report.overall, "total"))
    note = (
        "“Found first”: the original is the first claim; bars show the 95 % interval (Wilson) around it. "
        "“Areas”: how far the area told and the true one are the same (intersection over union). "
        "“Edits named”: of the edits that were done, how many were told."
    )
    return f'<p class="note">{note}</p>' + _table(_HEADINGS, rows)


def _row(row: Row, kind: str) -> str:
    name = escape(row.name)
    first = f'<th scope="row">{name}</th>' if kind != "member" else f"<td>{name}</td>"
    areas = "" if row.areas is None else f"{row.areas.mean:.2f}"
    cells = (percent(row.ten), percent(row.kind), areas, percent(row.named))
    return (
        f'<tr class="{kind}">{first}<td>{row.n:,}</td><td>{percent(row.first)}</td>'
        f'<td class="quiet">{interval(row.first)}</td><td class="meter">{_meter(row.first)}</td>'
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def _meter(rate: Rate) -> str:
    """A bar from 0 to 100 % with the interval and the share on it; the figures are beside it in words."""
    if rate.share is None:
        return ""
    low, wide, share = 100 * rate.low, 100 * (rate.high - rate.low), 100 * rate.share
    return (
        '<svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ground" y="3" width="100" height="6"/>'
        f'<rect class="reach" x="{low:.2f}" y="1" width="{wide:.2f}" height="10"/>'
        f'<rect class="mark" x="{min(share, 99.2):.2f}" y="0" width="0.8" height="12"/></svg>'
    )


def confusion_table(report: Report) -> str:
    """What was fit beside what was given; right cells are plain, wrong ones marked."""
    if not report.kinds:
        return ""
    given = ("identical", "same", "copy", "partial", "none")
    fits = sorted({fit for fit, _, _ in report.kinds})
    counts = {(fit, kind): number for fit, kind, number in report.kinds}
    rows = []
    for fit in fits:
        cells = []
        for kind in given:
            number = counts.get((fit, kind), 0)
            wrong = number and kind not in fit.split(" or ")
            told = f"{number:,}" if number else ""
            cells.append(f'<td class="wrong">{told}</td>' if wrong else f"<td>{told}</td>")
        rows.append(f'<tr><th scope="row">{escape(fit)}</th>{"".join(cells)}</tr>')
    note = (
        "How many copies were given each kind, by the kinds that are right for the edit; wrong ones are red."
    )
    headings = ("right", *given[:-1], "not found")
    return f'<p class="note">{note}</p>' + _table(headings, rows)


def names_table(report: Report) -> str:
    """How often each edit is named when it was done, and done when it is named."""
    if not report.names:
        return ""
    rows = [
        (name, f"{done.of:,}", percent(done), interval(done), f"{said.of:,}", percent(said), interval(said))
        for name, done, said in report.names
    ]
    headings = ("edit", "done", "of them named", "95 % interval", "named", "of them done", "95 % interval")
    note = "Of copies whose original was found: what was done, and what the evidence names."
    return f'<p class="note" style="margin-top:1.6rem">{note}</p>' + table_of(headings, rows)


def facts_list(report: Report) -> str:
    """What was run, on what, and what was left out."""
    facts = report.facts
    known = [
        ("collection", facts.source),
        ("images", f"{facts.images:,}"),
        ("sampled", counted(facts.sampled, "original")),
        ("held out", counted(facts.held_out, "picture")),
        ("left out", f"{counted(facts.blank, 'picture')} with too little to see" if facts.blank else ""),
        ("suite", f"{facts.suite}, {counted(len(report.edits), 'edit')}"),
        ("seed", str(facts.seed)),
        ("sample", report.sample),
        ("Wherefrom", facts.version),
        ("features", _listed(facts.features)),
        ("settings", _listed(facts.settings)),
        ("machine", _listed(facts.machine)),
        ("started", facts.started),
        ("took", duration(facts.seconds) if facts.seconds else ""),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{escape(_readable(said))}</dd>" for name, said in known if said)
    return f'<dl class="facts">{listed}</dl>{_skipped(report)}'


def _listed(values: Mapping[str, Any], above: str = "") -> str:
    """Names and values in a row; what lies within another is named after it."""
    told = []
    for name, value in values.items():
        inside = isinstance(value, Mapping)
        told.append(_listed(value, f"{above}{name} ") if inside else f"{above}{name} {value}")
    return ", ".join(told)


def _skipped(report: Report) -> str:
    skipped = report.facts.skipped
    if not skipped:
        return ""
    rows = [(skip.uri, skip.reason) for skip in skipped]
    inside = "".join(
        f"<dt>{escape(_readable(uri))}</dt><dd>{escape(_readable(why))}</dd>" for uri, why in rows
    )
    return (
        f"<details><summary>{counted(len(rows), 'thing')} could not be tried</summary>"
        f'<dl class="facts">{inside}</dl></details>'
    )


def table_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, the first column being the name of the row."""
    made = []
    for name, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        made.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return _table(headings if any(headings) else (), made)


def _table(headings: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in headings)
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    table = f"<table>{top}<tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="scroll" role="group" aria-label="Table" tabindex="0">{table}</div>'


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
