"""The report as one page: a single HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from wherefrom.evaluate import plots
from wherefrom.evaluate.galleries import Example, FalseAlarm, Galleries, Miss
from wherefrom.evaluate.measures import Rate
from wherefrom.evaluate.pagetables import confusion_table, edits_table, facts_list, names_table, table_of
from wherefrom.evaluate.saying import byte_count, interval, milliseconds, percent, summary
from wherefrom.present.sheet import CLOSING, data_uri, opening, write
from wherefrom.printing import counted, plain

if TYPE_CHECKING:
    from wherefrom.evaluate.report import Report, Row

_OPEN = 24
"""Misses that are open to the eye; the others unfold."""

_WEAK = 0.9
"""The share found below which an example is marked."""


def write_page(report: Report, galleries: Galleries, path: str | os.PathLike[str]) -> None:
    """Write the page to a file, as `wherefrom.present.sheet.write` does."""
    write(path, [page(report, galleries)])


def page(report: Report, galleries: Galleries) -> str:
    """The page as text: summary, pictures, charts, tables, misses. All that users named is escaped."""
    sections = [
        ("edits", "What was done to the pictures", _examples(report, galleries.examples)),
        ("strength", "How much may be done to a picture", _strengths(report)),
        ("table", "Every edit", edits_table(report)),
        ("misses", "What was missed", _misses(report, galleries.misses)),
        ("alarms", "False alarms", _alarms(report, galleries.alarms)),
        ("surety", "How far scores may be believed", _surety(report)),
        ("kinds", "Kinds and named edits", confusion_table(report) + names_table(report)),
        ("cost", "What it costs", _cost(report)),
        ("facts", "About this run", facts_list(report)),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in shown)
    body = "".join(
        f'<section id="{name}"><h2>{title}</h2>{inside}</section>' for name, title, inside in shown
    )
    style = files("wherefrom.evaluate").joinpath("page.css").read_text("utf-8") + plots.STYLE
    title = f"What is found in {_base(report.facts.source)}"
    body = body.replace(" %", "\N{NO-BREAK SPACE}%")  # a figure and its unit stay on one line
    return (
        f"{opening(title, style)}<header><h1>{escape(title)}</h1>{_head(report)}<nav>{links}</nav></header>"
        f"{body}{CLOSING}"
    )


def _head(report: Report) -> str:
    facts = report.facts
    origin = (
        f"Suite {facts.suite} · seed {facts.seed} · {facts.started[:10]} · Wherefrom {facts.version}".replace(
            " ·  ·", " ·"
        )
    )
    told = summary(report)
    lead = f'<p class="lead">{escape(told[0])}</p><p>{escape(" ".join(told[1:]))}</p>'
    return f'<p class="quiet">{escape(origin)}</p>{lead}{_tiles(report)}'


def _tiles(report: Report) -> str:
    tiles = [
        ("Found first", percent(report.overall.first), f"{interval(report.overall.first)} %"),
        ("False alarms", percent(report.alarms), _of(report.alarms, "stranger")),
        ("Kind right", percent(report.overall.kind), "of what was found"),
    ]
    if report.overall.areas is not None:
        tiles.append(("Areas", f"{report.overall.areas.mean:.2f}", "overlap with the truth"))
    if total := report.latency_ms.get("total"):
        tiles.append(
            ("A search", f"{milliseconds(total.p50)} ms", f"95 % under {milliseconds(total.p95)} ms")
        )
    if report.bytes_per_image is not None:
        tiles.append(("Room", byte_count(report.bytes_per_image), "an image, on the disk"))
    inside = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}<small>{escape(small)}</small></dd></div>"
        for name, figure, small in tiles
    )
    return f'<dl class="tiles">{inside}</dl>'


def _of(rate: Rate, noun: str) -> str:
    return f"{rate.hits:,} of {counted(rate.of, noun)}" if rate.of else "nothing held out"


def _examples(report: Report, examples: Sequence[Example]) -> str:
    if not examples:
        return ""
    rows = {row.name: row for row in report.edits}
    shown = "".join(_example(one, rows.get(one.edit)) for one in examples)
    note = "Each edit on one picture, and how many of all copies made by it were found first; red below 90 %."
    return f'<p class="note">{note}</p><div class="strip">{shown}</div>'


def _example(one: Example, row: Row | None) -> str:
    share = ""
    if row is not None:
        weak = ' class="wrong"' if (row.first.share or 0.0) < _WEAK else ""
        share = f"<br><span{weak}>{percent(row.first)} found</span>"
    return (
        f'<figure><img src="{data_uri(one.query)}" alt="A picture after: {escape(one.edit)}">'
        f"<figcaption>{escape(one.edit)}{share}</figcaption></figure>"
    )


def _strengths(report: Report) -> str:
    from wherefrom.evaluate.suites import AXES

    by_family = {
        family.name: [row for row in report.edits if row.family == family.name and row.strength is not None]
        for family in report.families
    }
    graded = {name: rows for name, rows in by_family.items() if len(rows) > 1}
    if not graded:
        return ""
    floor = plots.floor_of([row.first for rows in graded.values() for row in rows])
    charts = "".join(
        f"<section><h3>{escape(name)}</h3>"
        f"{plots.strength_chart(name, AXES.get(name, 'strength'), rows, floor)}</section>"
        for name, rows in graded.items()
    )
    begins = f" The axes begin at {100 * floor:.0f} %." if floor else ""
    note = f"Copies whose original came first, by how strong the edit is; bands are 95 % intervals.{begins}"
    return f'<p class="note">{note}</p><div class="charts">{charts}</div>'


def _misses(report: Report, misses: Sequence[Miss]) -> str:
    count = len(report.misses)
    if not count:
        return "<p>Nothing was missed.</p>" if report.overall.n else ""
    nowhere = sum(miss.place is None for miss in report.misses)
    note = (
        f"Of {counted(report.overall.n, 'copy', 'copies')} {count:,} did not bring up their original first: "
        f"{nowhere:,} not at all, {count - nowhere:,} further down."
    )
    if 0 < len(misses) < count:
        note += f" {len(misses):,} of them are shown."
    shown = [_miss(one) for one in misses]
    opened = f'<div class="pairs">{"".join(shown[:_OPEN])}</div>' if shown else ""
    rest = shown[_OPEN:]
    folded = (
        f'<details><summary>{len(rest):,} more</summary><div class="pairs">{"".join(rest)}</div></details>'
        if rest
        else ""
    )
    return f'<p class="note">{note}</p>{opened}{folded}'


def _miss(one: Miss) -> str:
    where = "not found" if one.place is None else f"came {one.place}{_ordinal(one.place)}"
    said = "".join(f"<dt>{escape(stage)}</dt><dd>{escape(sentence)}</dd>" for stage, sentence in one.said)
    verdict = f"<br>{escape(one.verdict)}" if one.verdict else ""
    return (
        f"<figure>{_two(('original', one.original), ('searched for', one.query))}"
        f"<figcaption><strong>{escape(one.edit)}</strong>, {where}<br>{_file(one.uri)}{verdict}"
        f"{f'<dl>{said}</dl>' if said else ''}</figcaption></figure>"
    )


def _alarms(report: Report, alarms: Sequence[FalseAlarm]) -> str:
    rate = report.alarms
    if not rate.of:
        return "<p>No pictures were held out of the collection, so that nothing is known of false alarms.</p>"
    if not rate.hits:
        return (
            f"<p>{counted(rate.of, 'picture')} that are not in the collection were searched for, and none "
            f"was claimed to be in it: at most {100 * rate.high:.2g} % are, at 95 % confidence.</p>"
        )
    shown = "".join(
        f"<figure>{_two(('searched for', one.query), ('claimed', one.claimed))}"
        f"<figcaption><strong>{escape(one.kind)}</strong>, score {one.score:g}<br>{_file(one.uri)}"
        f"<br>{_file(one.claimed_uri)}</figcaption></figure>"
        for one in alarms
    )
    note = (
        f"{rate.hits:,} of {counted(rate.of, 'picture')} that are not in the collection were claimed to be "
        f"in it: {percent(rate)} ({interval(rate)} %). Look closely: what shares a print or a scene, or "
        f"is the same picture after all, is shown here as well."
    )
    return f'<p class="note">{note}</p><div class="pairs">{shown}</div>'


def _surety(report: Report) -> str:
    if not report.bins:
        return ""
    charts = [
        ("Scores against the truth", plots.reliability_chart(report.bins)),
        ("Precision over recall", plots.precision_chart(report.curve, report.operating)),
        ("Found among the first claims", plots.rank_chart(report.ranks)),
    ]
    figures = []
    if report.average_precision is not None:
        figures.append(
            ("micro average precision (µAP)", f"{report.average_precision:.4f}", "all queries as one")
        )
    for one in report.operating:
        name = f"found at {100 * one.precision:g} % precision"
        if one.recall is None:
            figures.append((name, "–", "reached by no score"))
        else:
            figures.append((name, f"{100 * one.recall:.1f} %", f"from score {one.threshold:g}"))
    if report.calibration_error is not None:
        figures.append(
            ("calibration error", f"{100 * report.calibration_error:.1f} points", "scores off the truth")
        )
    numbers = table_of(("", "", ""), figures)
    drawn = "".join(f"<section><h3>{name}</h3>{svg}</section>" for name, svg in charts)
    return f'<div class="charts wide">{drawn}<section><h3>In figures</h3>{numbers}</section></div>'


def _cost(report: Report) -> str:
    parts: list[str] = []
    if report.latency_ms:
        chart = plots.latency_chart(report.latency_ms)
        parts.append(f"<section><h3>Time a search takes</h3>{chart}</section>")
    sizes, images = report.facts.bytes, report.facts.images
    if sizes and images:
        rows = [
            (name.replace("_", " "), byte_count(size), byte_count(size / images))
            for name, size in sorted(sizes.items(), key=lambda part: -part[1])
        ]
        rows.append(("in all", byte_count(sum(sizes.values())), byte_count(sum(sizes.values()) / images)))
        parts.append(
            f"<section><h3>Room on the disk</h3>{table_of(('', 'in all', 'an image'), rows)}</section>"
        )
    return f'<div class="charts wide">{"".join(parts)}</div>' if parts else ""


def _two(*pictures: tuple[str, bytes]) -> str:
    return f'<div class="two">{"".join(_captioned(*one) for one in pictures)}</div>'


def _captioned(name: str, jpeg: bytes) -> str:
    shown = f'<img src="{data_uri(jpeg)}" alt="{name}">' if jpeg else '<div class="gone">no picture</div>'
    return f"<div><span>{name}</span>{shown}</div>"


def _file(uri: str) -> str:
    return f'<span title="{escape(_place(uri))}">{escape(_base(uri))}</span>'


def _base(uri: str) -> str:
    """The last part of a path or uri, as people read it."""
    place = _place(uri)
    return place.rstrip("/").rsplit("/", 1)[-1] or place


def _place(uri: str) -> str:
    """A uri as people read it: a local file by its path, what is no character as a mark."""
    from wherefrom.sources.folder import path_of

    return plain(path_of(uri) or uri)


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
