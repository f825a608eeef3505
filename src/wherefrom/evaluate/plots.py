"""Charts as SVG, drawn here: text that stays text, colours from the page's CSS variables, no script.

Each function gives one `<svg>` with a title and a description, which say in words what it shows. Colours
are classes and variables (`--ink`, `--quiet`, `--line`, `--band`, `--accent`, `--paper`) with a fallback,
so that light and dark are the page's own choice. Figures are shares, 0 to 1, and the axes say per cent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from wherefrom.evaluate.measures import Bin, Operating, Rate, Spread
from wherefrom.evaluate.report import Row
from wherefrom.evaluate.saying import interval, milliseconds, percent

STYLE = """
.chart{display:block;width:100%;height:auto;font:11px/1.2 system-ui,sans-serif;overflow:visible}
.chart text{fill:var(--quiet,#5c6370);font-variant-numeric:tabular-nums}
.chart .strong{fill:var(--ink,#16181d)}
.chart .grid{stroke:var(--line,#e2e5ea);stroke-width:1}
.chart .axis{stroke:var(--quiet,#8a909c);stroke-width:1}
.chart .band{fill:var(--band,#cfdff5)}
.chart .curve{fill:none;stroke:var(--accent,#1f5fa8);stroke-width:2;stroke-linejoin:round}
.chart .ideal{fill:none;stroke:var(--quiet,#8a909c);stroke-width:1;stroke-dasharray:4 3}
.chart .bar{stroke:var(--accent,#1f5fa8);stroke-width:2}
.chart .dot{fill:var(--accent,#1f5fa8);stroke:var(--paper,#fff);stroke-width:1.5}
.chart .b50{fill:var(--accent,#1f5fa8)}
.chart .b95{fill:var(--accent,#1f5fa8);opacity:.5}
.chart .b99{fill:var(--accent,#1f5fa8);opacity:.22}
"""
"""What a page that shows these charts puts in its style sheet."""

Point = tuple[float, float]

_FLOORS = {0.0: 0.25, 0.2: 0.2, 0.4: 0.2, 0.6: 0.1, 0.8: 0.05, 0.9: 0.02}
"""Where an axis of shares may begin, and in which steps it goes on from there."""

_LEAST = 0.001
"""Milliseconds that an axis of times reaches at least."""


class _Plot:
    """Elements over a field of shares: x and y from 0 to 1, the origin at the bottom left."""

    def __init__(
        self,
        size: tuple[int, int],
        margins: tuple[int, int, int, int],
        floor: float = 0.0,
    ) -> None:
        """`margins` are left, top, right, bottom in pixels; shares below `floor` are not shown."""
        self.width, self.height = size
        self.left, self.top, right, bottom = margins
        self.across, self.down = self.width - self.left - right, self.height - self.top - bottom
        self.floor = floor
        self.parts: list[str] = []

    def x(self, share: float) -> float:
        return self.left + share * self.across

    def y(self, share: float) -> float:
        inside = (min(1.0, max(self.floor, share)) - self.floor) / (1 - self.floor)
        return self.top + (1 - inside) * self.down

    def add(self, element: str) -> None:
        self.parts.append(element)

    def text(self, x: float, y: float, said: str, anchor: str = "middle", kind: str = "") -> None:
        style = f' class="{kind}"' if kind else ""
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(said)}</text>')

    def line(self, start: Point, end: Point, kind: str) -> None:
        (a, b), (c, d) = start, end
        self.add(f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}" class="{kind}"/>')

    def curve(self, points: Sequence[Point], kind: str = "curve") -> None:
        if points:
            self.add(f'<polyline points="{_joined(points)}" class="{kind}"/>')

    def band(self, upper: Sequence[Point], lower: Sequence[Point]) -> None:
        self.add(f'<polygon points="{_joined([*upper, *reversed(lower)])}" class="band"/>')

    def dot(self, at: Point, said: str) -> None:
        """A point that says what it is when it is pointed at."""
        title = f"<title>{escape(said)}</title>"
        self.add(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.5" class="dot">{title}</circle>')

    def shares(self) -> None:
        """Lines across at round shares, with their per cent."""
        step = _FLOORS[self.floor]
        for number in range(round((1 - self.floor) / step) + 1):
            share = self.floor + number * step
            height = self.y(share)
            self.line((self.x(0), height), (self.x(1), height), "axis" if number == 0 else "grid")
            self.text(self.left - 6, height + 4, f"{100 * share:.3g} %", "end")

    def svg(self, title: str, told: str) -> str:
        name = "chart-" + "".join(letter if letter.isalnum() else "-" for letter in title.lower())
        names = f"{name} {name}-desc"
        return (
            f'<svg class="chart" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-labelledby="{names}">'
            f'<title id="{name}">{escape(title)}</title>'
            f'<desc id="{name}-desc">{escape(told)}</desc>{"".join(self.parts)}</svg>'
        )


def floor_of(rates: Sequence[Rate]) -> float:
    """Where an axis of these shares may begin: the highest of a few round ones below all intervals."""
    return _floor(min((rate.low for rate in rates if rate.of), default=0.0))


def _floor(low: float) -> float:
    return max(floor for floor in _FLOORS if floor <= max(low, 0.0))


def strength_chart(name: str, unit: str, rows: Sequence[Row], floor: float = 0.0) -> str:
    """How much of a family of edits is found, by strength: a line, and the 95 % intervals as a band.

    `rows` are the steps in the order in which they are shown, two at least; `unit` is that of their strength.
    """
    plot = _Plot((280, 190), (46, 12, 16, 44), floor)
    plot.shares()
    places = [plot.x((number + 0.5) / len(rows)) for number in range(len(rows))]
    firsts = [row.first for row in rows]
    plot.band(
        [(x, plot.y(rate.high)) for x, rate in zip(places, firsts, strict=True)],
        [(x, plot.y(rate.low)) for x, rate in zip(places, firsts, strict=True)],
    )
    middles = [(x, plot.y(rate.share or 0.0)) for x, rate in zip(places, firsts, strict=True)]
    plot.curve(middles)
    for at, row in zip(middles, rows, strict=True):
        plot.dot(at, f"{row.name}: {_told(row.first)}")
        label = row.name if row.strength is None else f"{row.strength:g}".replace("-", "−")
        plot.text(at[0], plot.height - 28, label)
    plot.text(plot.x(0.5), plot.height - 9, unit)
    return plot.svg(
        f"{name}: found first, by strength", "; ".join(f"{row.name}: {_told(row.first)}" for row in rows)
    )


def rank_chart(ranks: Sequence[Rate]) -> str:
    """Recall within 1, 2 ... claims."""
    plot = _Plot((560, 250), (52, 14, 20, 46), floor_of(ranks[:1]))
    plot.shares()
    last = max(len(ranks) - 1, 1)
    places = [plot.x(number / last) for number in range(len(ranks))]
    plot.band(
        [(x, plot.y(rate.high)) for x, rate in zip(places, ranks, strict=True)],
        [(x, plot.y(rate.low)) for x, rate in zip(places, ranks, strict=True)],
    )
    points = [(x, plot.y(rate.share or 0.0)) for x, rate in zip(places, ranks, strict=True)]
    plot.curve(points)
    for number, (at, rate) in enumerate(zip(points, ranks, strict=True), 1):
        if number == 1 or number % 5 == 0:
            plot.dot(at, f"within {number}: {_told(rate)}")
            plot.text(at[0], plot.height - 28, f"{number}")
    plot.text(plot.x(0.5), plot.height - 9, "claims looked at")
    shown = [number for number in (1, 5, 10, 20) if number <= len(ranks)]
    return plot.svg(
        "Found among the first claims",
        "; ".join(f"within {number}: {_told(ranks[number - 1])}" for number in shown),
    )


def precision_chart(curve: Sequence[tuple[float, float, float]], operating: Sequence[Operating]) -> str:
    """Precision over recall as the least score falls; points are (threshold, precision, recall)."""
    low = min((precision for _, precision, _ in curve), default=0.0)
    plot = _Plot((560, 250), (52, 14, 20, 46), _floor(low))
    plot.shares()
    for number in range(5):
        plot.text(plot.x(number / 4), plot.height - 28, f"{25 * number} %")
    steps: list[Point] = []
    before = 0.0
    for _, precision, found in curve:  # between two thresholds nothing is known: a step
        steps += [(plot.x(before), plot.y(precision)), (plot.x(found), plot.y(precision))]
        before = found
    plot.curve(steps)
    told = []
    for one in operating:
        if one.recall is None:
            told.append(f"{100 * one.precision:g} % precision is reached by no score")
            continue
        said = (
            f"{100 * one.precision:g} % precision: {100 * one.recall:.1f} % found, at score {one.threshold:g}"
        )
        told.append(said)
        reached = next((precision for score, precision, _ in curve if score == one.threshold), one.precision)
        plot.dot((plot.x(one.recall), plot.y(reached)), said)
    plot.text(plot.x(0.5), plot.height - 9, "found (recall), with precision upwards")
    return plot.svg("Precision over recall", "; ".join(told))


def reliability_chart(bins: Sequence[Bin]) -> str:
    """What scores said against what was true, by range of scores; the dashes are what the scores said."""
    # Scores that may be claimed lie close together: each range has as much room as any other.
    shares = [one.true for one in bins]
    stated = min((one.stated for one in bins), default=0.0)
    plot = _Plot((560, 270), (52, 14, 20, 62), min(floor_of(shares), _floor(stated)))
    plot.shares()
    for number, one in enumerate(bins):
        middle = plot.x((number + 0.5) / len(bins))
        left, right = plot.x((number + 0.12) / len(bins)), plot.x((number + 0.88) / len(bins))
        said = f"scores {one.low:g} to {one.high:g}: {_told(one.true)} true"
        plot.line((left, plot.y(one.stated)), (right, plot.y(one.stated)), "ideal")
        plot.line((middle, plot.y(one.true.low)), (middle, plot.y(one.true.high)), "bar")
        plot.dot((middle, plot.y(one.true.share or 0.0)), said)
        plot.text(middle, plot.height - 44, f"{one.low:g}–{one.high:g}")
        plot.text(middle, plot.height - 30, f"n {one.true.of:,}")
    plot.text(plot.x(0.5), plot.height - 9, "score; true claims upwards, dashes where the score said")
    return plot.svg(
        "Reliability of scores",
        "; ".join(
            f"scores {one.low:g} to {one.high:g} said {100 * one.stated:.1f} %, {_told(one.true)} were true"
            for one in bins
        ),
    )


def latency_chart(latency: Mapping[str, Spread]) -> str:
    """The times of each stage: as long as half, 95 and 99 % of the searches took at most."""
    longest = max([_LEAST, *(one.p99 for one in latency.values())])
    plot = _Plot((560, 34 * len(latency) + 48), (78, 8, 72, 40))
    step = _round_step(longest)
    for number in range(int(longest / step) + 1):
        x = plot.x(number * step / longest)
        plot.line((x, plot.top), (x, plot.top + plot.down), "axis" if number == 0 else "grid")
        plot.text(x, plot.height - 24, f"{number * step:g}")
    for number, (stage, one) in enumerate(latency.items()):
        top = plot.top + 34 * number + 7
        for kind, value in (("b99", one.p99), ("b95", one.p95), ("b50", one.p50)):
            wide = plot.x(value / longest) - plot.left
            plot.add(
                f'<rect x="{plot.left}" y="{top}" width="{wide:.1f}" height="20" rx="2" class="{kind}"/>'
            )
        plot.text(plot.left - 8, top + 14, stage, "end", "strong")
        plot.text(plot.x(one.p99 / longest) + 6, top + 14, milliseconds(one.p99), "start")
    plot.text(plot.x(0.5), plot.height - 6, "milliseconds: half of all searches, 95 %, 99 %")
    return plot.svg(
        "Time taken by stage",
        "; ".join(
            f"{stage}: half {milliseconds(one.p50)}, 95 % {milliseconds(one.p95)}, "
            f"99 % {milliseconds(one.p99)} ms"
            for stage, one in latency.items()
        ),
    )


def _round_step(longest: float) -> float:
    """A round number that goes into it four times or more, but not ten."""
    power = 10.0 ** math.floor(math.log10(longest / 4))
    return max(one * power for one in (1, 2, 5) if longest / (one * power) >= 4)


def _joined(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _told(rate: Rate) -> str:
    return f"{percent(rate)} ({interval(rate)}) of {rate.of:,}"
