"""Commands that change a collection or look after it: index, attach, remove, check, rebuild."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import click

from wherefrom.cli.common import (
    as_json,
    as_lines,
    check_forms,
    done,
    in_collection,
    opened,
    print_json,
    say,
    shown_place,
    told_to_wait,
)
from wherefrom.errors import Excluded, Exit, NotAPicture, UnsupportedFormat, UsageError
from wherefrom.outcome import Outcome, Report, Status
from wherefrom.printing import counted, plain
from wherefrom.sources.leaving import BY_PATTERN

if TYPE_CHECKING:
    from wherefrom.records import FieldValue

_VIDEOS = (".mov", ".mp4", ".m4v", ".avi", ".mkv", ".mts", ".m2ts", ".3gp", ".wmv", ".mpg", ".mpeg", ".webm")
_NAMED = 10  # refused files that are named without being asked to


@click.command(short_help="Add the pictures in files and folders.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@in_collection
@click.option("--prune", is_flag=True, help="Mark files under these paths that have vanished.")
@click.option("--retry", is_flag=True, help="Read files again that were refused before and have not changed.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and folders of this name, as a line of .gitignore does. May be given often.",
)
@click.option(
    "--no-default-excludes",
    "everything",
    is_flag=True,
    help="Also look at thumbnails, bins and innards of other programs.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print each file's outcome on stderr once it is final.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but what newly failed.")
@as_json
@as_lines
def index(
    paths: tuple[str, ...],
    collection: str | None,
    prune: bool,
    retry: bool,
    exclude: tuple[str, ...],
    everything: bool,
    verbose: bool,
    quiet: bool,
    json_output: bool,
    lines: bool,
) -> None:
    """Add the pictures in files and folders (or at URLs) to a collection.

    Folders are walked to the bottom and every file is looked at, whatever its name, but those of other
    programs (thumbnails, bins, .DS_Store) and those that --exclude or a file .wherefromignore names. Files
    that have not changed since the last time are known without reading them. Ctrl-C stops cleanly: what was
    reported is in, and the same command again carries on. --jsonl prints each outcome once it is final.
    """

    def tell(outcome: Outcome, _: Report) -> None:
        if lines:
            print_json(outcome.as_json(), line=True)
        if not verbose:
            return
        reason = f" ({outcome.code}: {outcome.reason})" if outcome.reason else ""
        say(plain(f"{outcome.status.value} {outcome.uri}{reason}"))

    check_forms(json_output, lines)
    _check_there(paths, prune)
    with opened(collection, create=True) as photos, _interruptible() as stop:
        photos.wait_for_turn(math.inf, told_to_wait)
        report = photos.add(
            list(paths),
            progress=not quiet and not verbose,
            on_outcome=tell if verbose or lines else None,
            prune=prune,
            retry=retry,
            stop=stop,
            exclude=exclude,
            default_excludes=not everything,
        )
        if json_output:
            print_json(report.as_json())
        if not quiet:
            _summarise(report, len(photos), named=not verbose)
        elif not verbose:
            _name_refused([one for one in report.failed if not one.before], Status.FAILED)
    if report.interrupted:
        done(Exit.INTERRUPTED)
    if report.failed:
        done(Exit.SOME_FAILED)


def _check_there(paths: tuple[str, ...], prune: bool) -> None:
    """Raises UsageError for a path that is not there, before anything is made.

    What has vanished can be named with --prune, where a collection knows it.
    """
    from wherefrom.sources.folder import path_of

    for one in paths:
        path = path_of(one) or one
        if "://" not in path and not os.path.lexists(os.path.expanduser(path)) and not prune:
            raise UsageError(f"{plain(one)}: no such file or folder. Nothing was indexed.")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("\nwherefrom: stopping; what has been read is being written. Press Ctrl-C again to stop at once.")

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summarise(report: Report, total: int, *, named: bool) -> None:
    counts = [
        f"{len(report.added):,} added",
        f"{len(report.known):,} known",
        f"{len(report.skipped):,} skipped",
        f"{len(report.failed):,} failed",
    ]
    if report.noted:
        counts[0] += f" ({len(report.noted):,} of them damaged or not whole)"
    files, images = counted(report.offered, "file"), counted(total, "image")
    say(f"{files} in {report.seconds:.1f} s: {', '.join(counts)}. {images} in all.")
    for one in report.noted[:_NAMED]:
        say(f"  {shown_place(one.uri)}: {one.note}")
    if report.gone:
        gone = counted(report.gone, "file is gone; it was", "files are gone; they were")
        moved = "" if not report.moved else f" {report.moved:,} of them were met elsewhere."
        if report.moved == report.gone:
            moved = " It was met elsewhere." if report.gone == 1 else " All of them were met elsewhere."
        say(f"{gone} marked as missing.{moved}")
    if report.taken_out:
        say(f"{counted(report.taken_out, 'image')} left out now, and taken out of the index; files stay.")
    left_out = [one for one in report.skipped if one.code == Excluded.code]
    if left_out:
        say(_left_out(left_out))
    if named:
        skipped = [one for one in report.skipped if one.code != Excluded.code]
        before = sum(one.before for one in (*report.failed, *skipped))
        _name_refused([one for one in report.failed if not one.before], Status.FAILED)
        _name_refused([one for one in skipped if not one.before], Status.SKIPPED)
        if before:
            say(f"{before:,} refused as before; -v names them.")
    if report.interrupted:
        say("Interrupted. Run the same command again to carry on.")


def _left_out(outcomes: list[Outcome]) -> str:
    """What was left out, in one line."""
    named = sum(BY_PATTERN in (one.reason or "") for one in outcomes)
    others = len(outcomes) - named
    parts = [f"{counted(others, 'file')} of other programs"] if others else []
    parts += [f"{counted(named, 'file')} by patterns"] if named else []
    return f"left out: {', '.join(parts)}"


def _name_refused(refused: list[Outcome], status: Status) -> None:
    if not refused:
        return
    videos = [one for one in refused if _is_video(one)]
    if videos:
        say(f"{counted(len(videos), 'video')}: not read")
        refused = [one for one in refused if not _is_video(one)]
    by_code: dict[str, list[Outcome]] = {}
    for one in refused:
        by_code.setdefault(one.code or "", []).append(one)
    shown = 0
    for code, ones in sorted(by_code.items(), key=lambda pair: -len(pair[1])):
        say(f"{status.value}, {code}: {len(ones):,}")
        for one in ones[: max(1, (_NAMED - shown) // 2)]:
            say(f"  {shown_place(one.uri)}: {plain(one.reason or '')}")
            shown += 1
    if len(refused) > shown:
        say(f"  ... --json lists all {len(refused):,}, with their reasons")


def _is_video(one: Outcome) -> bool:
    return one.code in (NotAPicture.code, UnsupportedFormat.code) and one.uri.lower().endswith(_VIDEOS)


@click.command(short_help="Give images fields of your own.")
@click.argument("name", metavar="ID|URI|PATH")
@click.argument("fields", nargs=-1, required=True, metavar="NAME=VALUE...")
@in_collection
@as_json
def attach(name: str, fields: tuple[str, ...], collection: str | None, json_output: bool) -> None:
    """Give an image, or all that were seen in a place, fields to filter by; NAME= takes one away.

    true and false are truths, what reads as a number is one, and all else is text; so is what stands in
    quotes of its own: 'code="0815"'.
    """
    given: dict[str, FieldValue | None] = {}
    for field in fields:
        key, value = _field(field)
        if key in given:
            raise UsageError(f"{key} is given twice; an image has one value of each name.")
        given[key] = value
    with opened(collection) as photos:
        count = photos.attach(name, **given)
    if json_output:
        print_json({"images": count, "fields": given})
    say(f"{counted(count, 'image')} changed.")


def _field(text: str) -> tuple[str, FieldValue | None]:
    from wherefrom.filters.parser import typed

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"A field reads NAME=VALUE, or NAME= to take it away, not {text!r}.")
    if not value:
        return name, None
    if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
        return name, value[1:-1]
    return name, typed(value)


@click.command(short_help="Remove images; files are left alone.")
@click.argument("names", nargs=-1, required=True, metavar="ID|URI|PATH...")
@in_collection
@as_json
def remove(names: tuple[str, ...], collection: str | None, json_output: bool) -> None:
    """Remove images from a collection, by id or by where they were seen. Files are left alone."""
    with opened(collection) as photos:
        removed = sum(photos.remove(name) for name in names)
    if json_output:
        print_json({"removed": removed})
    say(f"{counted(removed, 'image')} removed from the index; files stay.")


@click.command(short_help="Look for damage.")
@in_collection
@as_json
def check(collection: str | None, json_output: bool) -> None:
    """Look for damage: the catalog against itself, and every index against the catalog."""
    with opened(collection) as photos:
        problems = photos.check()
        total = len(photos) if not problems else None
    if json_output:
        print_json({"clean": not problems, "problems": problems, "images": total})
    for problem in problems:
        say(plain(problem))
    if problems:
        done(Exit.COLLECTION)
    say(f"Sound: {counted(total or 0, 'image')}, and every index agrees with the catalog.")


@click.command(short_help="Derive the indexes anew.")
@in_collection
@as_json
def rebuild(collection: str | None, json_output: bool) -> None:
    """Derive every index from the catalog again, and compute features of old versions anew."""
    with opened(collection) as photos:
        lost = photos.rebuild(progress=lambda n, total: say(f"{n:,} of {counted(total, 'image')} read again"))
        total = len(photos)
    if json_output:
        lost_json = [{"id": one.id, "uri": one.uri, "reason": one.reason, "code": one.code} for one in lost]
        print_json({"images": total, "lost": lost_json})
    for one in lost:
        say(f"not read again: {shown_place(one.uri)}: {plain(one.reason or '')}")
    say(f"Rebuilt for {counted(total, 'image')}.")
    if lost:
        done(Exit.SOME_FAILED)
