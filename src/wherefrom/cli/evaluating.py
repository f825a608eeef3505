"""The command that measures what can be found: evaluate."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wherefrom.cli.common import as_json, done, in_collection, opened, print_json, put, say
from wherefrom.errors import Exit, UsageError
from wherefrom.printing import counted, plain

if TYPE_CHECKING:
    from wherefrom.evaluate.baseline import Fall, Rise
    from wherefrom.evaluate.report import Report
    from wherefrom.evaluate.running import Run
    from wherefrom.evaluate.suites import Suite
    from wherefrom.search.calibration import Calibration
    from wherefrom.settings import Settings

BELOW = 1
"""The exit code where a figure fell below the baseline."""

_TERMINAL_SECONDS, _PLAIN_SECONDS = 0.2, 10.0


@click.command(short_help="Measure what edits of your pictures can be found, and what it costs.")
@click.argument("folder", required=False, metavar="[FOLDER]")
@in_collection
@click.option(
    "--sample", type=int, default=500, show_default=True, metavar="N", help="Try at most so many originals."
)
@click.option(
    "--suite",
    "suite_name",
    default="default",
    show_default=True,
    metavar="quick|default|full",
    help="What is tried: a few telling edits; all edits, on originals by turns; all edits on all originals.",
)
@click.option(
    "--edits",
    multiple=True,
    metavar="NAME",
    help="Only this edit. May be given several times; an unknown NAME is answered with all there are.",
)
@click.option(
    "--held-out",
    type=int,
    metavar="N",
    help="Hold out so many pictures, which must not be found. Default: a tenth, at most 200.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="What chance is made of.")
@click.option(
    "--jobs", type=int, default=0, metavar="N", help="Work in so many processes. Default: one per core."
)
@click.option("--out", metavar="FILE", help="Write the report as JSON into a file, for --baseline later.")
@click.option("--html", metavar="FILE", help="Write a page with plots and galleries that needs no network.")
@click.option(
    "--gallery", type=int, default=60, show_default=True, metavar="N", help="Misses shown on that page."
)
@click.option(
    "--baseline",
    metavar="FILE",
    help="Compare with an earlier report; exit code 1 when a figure fell by more than its tolerance.",
)
@click.option(
    "--calibrate",
    is_flag=True,
    help="Keep with the collection which scores --precision has to ask for, as proven here.",
)
@click.option("--forget-calibration", "forget", is_flag=True, help="Undo --calibrate, and evaluate nothing.")
@click.option(
    "--tolerance",
    multiple=True,
    metavar="NAME=SHARE",
    help="How far a figure may fall: recall=0.02, say. May be given several times.",
)
@click.option(
    "--resume/--fresh", "resume", default=True, help="Go on with a run that was stopped, or begin anew."
)
@as_json
def evaluate(
    folder: str | None,
    collection: str | None,
    suite_name: str,
    edits: tuple[str, ...],
    out: str | None,
    html: str | None,
    gallery: int,
    baseline: str | None,
    tolerance: tuple[str, ...],
    calibrate: bool,
    forget: bool,
    resume: bool,
    json_output: bool,
    **numbers: Any,
) -> None:
    """Edit a sample of pictures in every way, search for each, and report how many are found.

    With FOLDER its pictures are indexed for the occasion, in a place of their own; without, the collection is
    evaluated, and written to only with --calibrate. Two runs with one seed give the same figures.
    """
    from wherefrom.evaluate.baseline import tolerances_of
    from wherefrom.evaluate.plans import Plan, check
    from wherefrom.evaluate.running import evaluate as run
    from wherefrom.settings import load

    if forget:
        _forget_calibration(collection, folder, json_output)
        return
    if calibrate and folder is not None:
        raise UsageError(
            "--calibrate keeps what it finds with a collection: give one with -c, and no FOLDER."
        )
    settings = load()
    plan = Plan(_suite(suite_name, edits), folder, collection, **numbers)
    check(plan)
    if gallery < 0:
        raise UsageError(f"The gallery shows some misses, or 0 for none, not {gallery}.")
    for path in filter(None, (out, html)):
        _check_target(path)
    before = _baseline(baseline) if baseline else None
    if tolerance and before is None:
        raise UsageError("--tolerance says how far a figure may fall: it needs --baseline FILE.")
    asked = _Asked(out, html, gallery, before, tolerances_of(tolerance), calibrate)
    line = _Line()
    try:
        found = run(plan, settings, fresh=not resume, told=line)
    except (KeyboardInterrupt, click.Abort):
        line.close()
        say("Stopped. The same command goes on from here; with --fresh it begins anew.")
        raise
    finally:
        line.close()
    code = _tell(found, settings, asked, json_output)
    found.forget()
    done(code)


@dataclass(frozen=True)
class _Asked:
    """What is to become of a report."""

    out: str | None
    html: str | None
    gallery: int
    baseline: Report | None
    tolerances: Mapping[str, float]
    calibrate: bool


def _suite(name: str, edits: tuple[str, ...]) -> Suite:
    from wherefrom.evaluate.suites import suite

    chosen = suite(name)
    return chosen.only(edits) if edits else chosen


def _tell(found: Run, settings: Settings, asked: _Asked, json_output: bool) -> int:
    """Write and print what was found; gives the exit code."""
    from wherefrom.evaluate.baseline import compared, risen
    from wherefrom.evaluate.report import report_of, table

    report = report_of(found.facts, found.trials, found.alarms)
    document = report.as_json()
    if asked.out:
        _write(asked.out, json.dumps(document, indent=1) + "\n")
    if asked.html:
        from wherefrom.evaluate.page import write_page
        from wherefrom.evaluate.picturing import galleries_of

        write_page(report, galleries_of(found, settings.limits, asked.gallery), asked.html)
    fell = rose = []
    if asked.baseline is not None:
        fell = compared(report, asked.baseline, asked.tolerances)
        rose = risen(report, asked.baseline, asked.tolerances)
        document["baseline"] = {"fell": [asdict(one) for one in fell], "rose": [asdict(one) for one in rose]}
    fitted = _calibrated(found) if asked.calibrate else None
    if fitted is not None:
        document["calibration"] = fitted.as_json()
    if json_output:
        print_json(document)
    else:
        put(table(report))
    if fitted is not None:
        from wherefrom.evaluate.calibration import told

        say(told(fitted))
    for path in (asked.out, asked.html):
        if path:
            say(f"Written to {plain(str(path))}.")
    if asked.baseline is not None:
        _compare(fell, rose)
    return BELOW if fell else Exit.OK


def _calibrated(found: Run) -> Calibration:
    """Fit how the collection's scores are to be read, and keep it with the collection."""
    from wherefrom.evaluate.calibration import calibration_of

    fitted = calibration_of(found.facts, found.trials, found.alarms)
    with opened(found.facts.source) as photos:
        photos.calibrate(fitted)
    return fitted


def _forget_calibration(collection: str | None, folder: str | None, json_output: bool) -> None:
    if folder is not None:
        raise UsageError("A calibration is kept with a collection: give one with -c, and no FOLDER.")
    with opened(collection) as photos:
        forgotten = photos.forget_calibration()
    if json_output:
        print_json({"forgotten": forgotten})
    say("The calibration is forgotten." if forgotten else "There was no calibration.")


def _compare(fell: Sequence[Fall], rose: Sequence[Rise]) -> None:
    for one in rose:
        say(f"better: {one.said}")
    for two in fell:
        say(f"worse: {two.said}")
    say(
        f"{counted(len(fell), 'figure')} fell below the baseline."
        if fell
        else "Nothing fell below the baseline."
    )


def _write(path: str, text: str) -> None:
    """Whole, or not at all."""
    target = Path(path)
    beside = target.with_name(f".{target.name}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(
            f"{path} cannot be written ({error.strerror}). Choose another place for it."
        ) from error


def _check_target(path: str) -> None:
    """Said before the work, which may take a while."""
    target = Path(path).absolute()
    if target.is_dir() or not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written. Name a file in a folder that is there and yours.")


def _baseline(path: str) -> Report:
    from wherefrom.evaluate.report import Report

    try:
        plain = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"The baseline {path} cannot be read: {error}.") from error
    return Report.from_json(plain)


class _Line:
    """Shows on stderr what is being done, how fast, and how long the rest will take."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._what, self._start, self._shown = "", 0.0, 0.0

    def __call__(self, what: str, finished: int, before: int, total: int) -> None:
        from wherefrom.progress import duration

        moment = time.monotonic()
        if what != self._what:
            self.close()
            self._what, self._start, self._shown = what, moment, 0.0
        last = finished == total
        if moment - self._shown < (_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS) and not last:
            return
        self._shown = moment
        parts = [f"{what}: {finished:,} of {total:,}"]
        here = finished - before
        if before:
            parts.append(f"{before:,} from the run that was stopped")
        if here and not last:
            rate = here / max(moment - self._start, 1e-6)
            parts.append(f"{duration((total - finished) / rate)} left")
        text = " · ".join(parts)
        click.echo(f"\r{text.ljust(79)}" if self._terminal else text, nl=not self._terminal, err=True)

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._terminal and self._what:
            say()
        self._what = ""
