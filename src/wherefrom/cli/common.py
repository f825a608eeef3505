"""What the commands share: the collection option, output, and errors as sentences with exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wherefrom.errors import CollectionLocked, CollectionMissing, Exit, UsageError, WherefromError
from wherefrom.printing import plain, plain_lines, size

if TYPE_CHECKING:
    from wherefrom.collection import Collection
    from wherefrom.records import Image, Sighting
    from wherefrom.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

NOT_THERE = "not there any more"
"""What is said of a place whose file is gone."""

as_json = click.option("--json", "json_output", is_flag=True, help="Print one JSON document on stdout.")
as_lines = click.option("--jsonl", "lines", is_flag=True, help="Print a JSON document a line on stdout.")


def check_forms(json_output: bool, lines: bool) -> None:
    """Raises UsageError where two forms of JSON are asked for."""
    if json_output and lines:
        raise UsageError("Choose one of --json and --jsonl.")


def in_collection(command: F) -> F:
    """The option -c/--collection."""
    return click.option(
        "-c",
        "--collection",
        "collection",
        metavar="DIR",
        help="The collection: a directory, or its URL. Default: $WHEREFROM_COLLECTION, then the nearest "
        "photos.wherefrom, in this folder or above.",
    )(command)


_TURN_SECONDS = 60.0
"""How long a command waits while another process is writing."""


def opened(path: str | None, *, create: bool = False) -> AbstractContextManager[Collection]:
    """The collection that a command works on; with `create`, it is made, and remembered as known.

    Raises CollectionMissing, which names those that are known.
    """
    from wherefrom.collection import open_collection
    from wherefrom.engine.opening import MEMORY, directory_of, scheme_of
    from wherefrom.known import remember
    from wherefrom.settings import load

    settings = load()
    where = path or settings.collection
    try:
        found = open_collection(where, create=create, settings=settings)
    except CollectionMissing as error:
        raise _missing(error, path, settings) from error
    if create and scheme_of(where) != MEMORY:
        remember(directory_of(where), settings.registry)
    found.wait_for_turn(_TURN_SECONDS, told_to_wait)
    return found


def _missing(error: CollectionMissing, path: str | None, settings: Settings) -> CollectionMissing:
    """The same, with what can be done instead: the collections that are known are named."""
    from wherefrom.former import COLLECTION
    from wherefrom.known import known
    from wherefrom.sources.folder import is_collection

    said = str(error)
    if path is None and settings.collection == COLLECTION:
        said = "There is no collection in this folder or above. Make one with: wherefrom index FOLDER"
    others = [str(one) for one in known(settings.registry) if is_collection(one)][:5]
    if others:
        said += f" Or choose one that is known with -c: {', '.join(others)}"
    return CollectionMissing(said)


def told_to_wait(error: CollectionLocked) -> None:
    """Say who is writing to the collection, while a command waits for its turn."""
    say(f"{str(error).partition('. ')[0]}. Waiting for it to let go; Ctrl-C stops.")


def say(text: str = "") -> None:
    """Words for people: on stderr, so that stdout holds nothing but results."""
    click.echo(plain_lines(text), err=True)


def put(text: str = "") -> None:
    """A result for people, on stdout: one line or several."""
    click.echo(plain_lines(text))


def print_json(document: object, *, line: bool = False) -> None:
    """The one JSON document of a command, or one of several as a `line`; it is written at once."""
    indent = 2 if sys.stdout.isatty() and not line else None
    click.echo(json.dumps(document, ensure_ascii=True, indent=indent))


def error_json(error: WherefromError) -> dict[str, str | None]:
    """An error for programs: its code, the sentence, and the file, address or id that it is about."""
    return {"code": error.code, "message": str(error), "path": error.path}


def fail(error: WherefromError, json_output: bool) -> int:
    """Tell of an error; gives the exit code. With JSON the error is a document too."""
    if json_output:
        with contextlib.suppress(OSError, ValueError):  # which may be what went wrong
            print_json({"error": error_json(error)})
    with contextlib.suppress(OSError, ValueError):
        say(f"wherefrom: {_told(str(error))}")
    return int(error.exit_code)


def _told(said: str) -> str:
    """A sentence on one line; where it points at a place in a text, that stands below it."""
    lines = said.split("\n")
    pointed = len(lines) == 3 and lines[2].strip() == "^"
    return "\n".join(map(plain, lines)) if pointed else plain(said)


def shown_place(uri: str) -> str:
    """A uri as people know it: a local file by its path, below the present folder if it lies there."""
    from wherefrom.sources.folder import path_of

    path = path_of(uri)
    if path is None:
        return plain(uri)
    here = os.getcwd()  # noqa: PTH109 - a path of bytes that are no UTF-8 stays one
    inside = path.startswith(here.rstrip("/") + "/")
    return plain(os.path.relpath(path, here) if inside else path)


def first_place(sightings: Sequence[Sighting]) -> str:
    """Where an image was seen, in one line: the first place, and how many others are there too."""
    if not sightings:
        return "(added without a place)"
    first, *rest = sightings
    others = sum(1 for one in rest if one.there is not False and one.gone is None and one.link is None)
    return shown_place(first.uri) + about_place(first) + (f" (+{others} more)" if others else "")


def about_place(sighting: Sighting) -> str:
    """What there is to say of how a place stands, in brackets; nothing of one that is there."""
    if sighting.gone is not None or sighting.there is False:
        return f" [{NOT_THERE}]"
    if sighting.there is None and sighting.stamp is not None:
        return " [out of reach at present]"
    if sighting.link is None:
        return ""
    kind = "link to" if sighting.link.kind == "symbolic" else "the same file as"
    return f" [{kind} {shown_place(sighting.link.uri)}]"


def described(image: Image) -> str:
    """Size and format of an image."""
    return f"{image.width}×{image.height} {image.format}, {size(image.bytes)}"


def table(rows: Sequence[Sequence[str]], headings: Sequence[str], right: Sequence[int] = ()) -> str:
    """Columns in line; those numbered in `right` are set to the right."""
    return "\n".join(table_lines(rows, headings, right))


def table_lines(
    rows: Sequence[Sequence[str]], headings: Sequence[str], right: Sequence[int] = ()
) -> list[str]:
    """The lines of a table, that of the headings first: one for each row, whatever is in its cells."""
    from unicodedata import combining, east_asian_width

    def wide(text: str) -> int:
        return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)

    everything = [[plain(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(wide(row[i]) for row in everything) for i in range(len(headings))]
    lines = []
    for row in everything:
        cells = []
        for i, cell in enumerate(row):
            space = " " * (widths[i] - wide(cell))
            cells.append(space + cell if i in right else cell + space)
        lines.append("  ".join(cells).rstrip())
    return lines


def done(code: Exit | int) -> None:
    """End the command with an exit code."""
    raise click.exceptions.Exit(int(code))
