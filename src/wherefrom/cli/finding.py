"""Commands that look for pictures: search, compare."""

from __future__ import annotations

import shutil
import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wherefrom.cli.batch import Batch
from wherefrom.cli.common import (
    as_json,
    as_lines,
    check_forms,
    described,
    done,
    first_place,
    in_collection,
    opened,
    print_json,
    put,
    say,
    table_lines,
)
from wherefrom.cli.drawing import HOWS, check_folder, check_target, draw_matches, draw_pair, held, safe_stem
from wherefrom.cli.lookalikes import check_wishes, shown_by, shown_in, wishes
from wherefrom.cli.queries import Asked, Queries
from wherefrom.cli.why import check_why, explained, print_account
from wherefrom.errors import Exit, UsageError, WherefromError, named
from wherefrom.printing import plain

if TYPE_CHECKING:
    from wherefrom.search.account import Account
    from wherefrom.search.answer import Answer, Evidence, Match
    from wherefrom.search.request import Region


@click.command(short_help="Find where a picture comes from, or what looks like it.")
@click.argument("images", nargs=-1, metavar="[IMAGE...]")
@in_collection
@click.option(
    "--kinds",
    metavar="all|K,K",
    help="Only these kinds: identical, same, copy, partial, similar. Default: all but similar, and with "
    "--like, --unlike, --text or --colours all.",
)
@click.option("--filter", metavar="TEXT", help='Only images that this lets through: "type:jpeg width>=1000".')
@click.option(
    "--limit", type=int, default=20, show_default=True, metavar="N", help="At most so many matches."
)
@click.option("--min-score", type=float, metavar="N", help="Only matches of this score (0 to 100) or more.")
@click.option(
    "--precision",
    type=float,
    metavar="SHARE",
    help="Only matches from the score at which at least this share is correct: 0.99, say.",
)
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="L,T,R,B",
    help="Search for a part of the picture, in pixels. Given several times, each gets its own answer.",
)
@wishes
@click.option("--draw", "folder", metavar="DIR", help="Draw the proof of each match into a PNG file there.")
@click.option(
    "--why", metavar="ID", help="Also say what each stage of the search said of this image: an id or a path."
)
@as_json
@as_lines
def search(
    images: tuple[str, ...],
    collection: str | None,
    kinds: str | None,
    filter: str | None,
    limit: int,
    min_score: float | None,
    precision: float | None,
    regions: tuple[str, ...],
    thing: int | None,
    folder: str | None,
    why: str | None,
    json_output: bool,
    lines: bool,
    **wanted: Any,
) -> None:
    """Find where each IMAGE comes from: a file, a folder of files, a URL, the id of an indexed image, or -
    for standard input.

    Several are answered one after another, and one that cannot be read stops none: the command ends in 5
    then, and in 3 where none could be read. As JSON they are one list, or a document a line with --jsonl.

    Look-alikes, which prove nothing, are found where --kinds has similar or all, or where --like, --unlike,
    --text or --colours say what they are wanted of; IMAGE may then be left out.
    """
    from wherefrom.decoding import prepare

    check_forms(json_output, lines)
    if images or wanted.get("like"):
        prepare()  # it comes up while the rest is loaded
    from wherefrom.search.request import SearchRequest, region_of
    from wherefrom.settings import load

    check_wishes(images[0] if images else None, wanted, regions, thing, folder)
    parts = [region for text in regions if (region := region_of(text)) is not None]
    asked = SearchRequest(
        kinds, limit, parts[0] if len(parts) == 1 else None, thing, min_score, precision, filter, **wanted
    )
    if folder:
        check_folder(folder)
    settings = load()
    queries = Queries(images, settings)
    if why is not None:
        check_why(images, parts, thing, one=queries.is_one)
    numbered = not parts and thing is None  # objects count in the whole picture
    told: Account | None = None
    with opened(collection) as photos:

        def ask(query: Asked, number: int) -> list[Answer]:
            nonlocal told
            source: Any = query.source
            with named("standard input") if isinstance(source, bytes) else nullcontext():
                if folder:
                    source = held(source, settings)
                found = photos.ask(source, asked, parts if len(parts) > 1 else None)
                if why is not None:
                    told = explained(photos, source, why, asked)
            if folder:
                draw_matches(
                    photos, source, found, folder if queries.is_one else _below(folder, number, query)
                )
            return found

        def tell(query: Asked, found: list[Answer]) -> None:
            if json_output or lines:
                for answer in found if queries.is_one else ():  # who reads several has the notes in them
                    _notes(answer, numbered)
                return
            if not queries.is_one:
                _head(query.name, found)
            _print_answers(found, parts, numbered)
            print_account(told)

        def document(found: list[Answer]) -> dict[str, Any]:
            return _document(found, parts) | ({} if told is None else {"why": told.as_json()})

        if queries.is_one and not lines:
            (query,) = queries
            if isinstance(query.source, WherefromError):
                raise query.source
            found = ask(query, 1)
            if json_output:
                print_json({"query_path": query.name} | document(found))
            tell(query, found)
            matched = any(answer.matches for answer in found)
            done(Exit.OK if matched else Exit.NOTHING_FOUND)
        if not images:
            found = photos.ask(None, asked)
            if json_output or lines:
                print_json(document(found), line=lines)
            tell(Asked("", ""), found)
            done(Exit.OK if found[0].matches else Exit.NOTHING_FOUND)
        if filter is not None:
            photos.select(filter)  # which says when it is invalid, before the first query is read
        done(Batch(ask, document, tell, json_output=json_output, lines=lines).run(queries))


def _document(answers: list[Answer], parts: list[Region]) -> dict[str, Any]:
    """The JSON of the answers to one query."""
    if len(parts) < 2:
        return answers[0].as_json()
    both = zip(parts, answers, strict=True)
    return {"answers": [{"region": list(part), **answer.as_json()} for part, answer in both]}


def _head(name: str, answers: list[Answer]) -> None:
    """The line above the answers to one of several queries: with results where there are any."""
    title = f"{plain(name)}:"
    (put if any(answer.matches for answer in answers) else say)(title)


def _below(folder: str, number: int, query: Asked) -> str:
    """The folder for the drawings of one of several queries."""
    return str(Path(folder) / f"{number:03} {safe_stem(query.name) or 'query'}")


def _print_answers(answers: list[Answer], parts: list[Region], numbered: bool) -> None:
    for number, answer in enumerate(answers):
        if len(parts) > 1:
            title = f"region {','.join(f'{value:g}' for value in parts[number])}"
            if answer.matches:
                put(("\n" if number else "") + title)
            else:
                say(("\n" if number else "") + title)
        if answer.matches:
            put(_matches(answer))
        _notes(answer, numbered)


def _notes(answer: Answer, numbered: bool) -> None:
    if shown := shown_in(answer.query, numbered=numbered):
        say(shown)
    for note in answer.query.notes:
        say(plain(note))
    if not answer.matches and not any(note.startswith("No match") for note in answer.query.notes):
        say("Nothing found.")


def _matches(answer: Answer) -> str:
    """A line for each match, and below it what was done to it, or what a look-alike shows."""
    rows = [
        (match.kind.value, f"{match.score:.1f}", described(match.image), first_place(match.sightings))
        for match in answer
    ]
    heading, *lines = table_lines(rows, ("kind", "score", "picture", "where"), right=(1,))
    indent = " " * heading.index("picture")
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
    told = [heading]
    for line, match in zip(lines, answer, strict=True):
        told.append(line)
        if said := plain(_said_below(match)).replace(" %", "\N{NO-BREAK SPACE}%"):
            lines_of_it = textwrap.wrap(said, max(40, width) - len(indent), break_long_words=False)
            told += [indent + part.replace("\N{NO-BREAK SPACE}", " ") for part in lines_of_it]
    return "\n".join(told)


def _said_below(match: Match) -> str:
    if match.kind == "similar":
        return shown_by(match)
    said = _said(match.evidence)
    if _is_lost(match):
        said.append("its file is not there any more, so its pixels could not be compared")
    return "; ".join(said)


def _is_lost(match: Match) -> bool:
    """Whether less is known of a match because none of its files is there."""
    if match.evidence.agreement is not None or match.evidence.method == "sha256":
        return False
    return bool(match.sightings) and all(one.gone or one.there is False for one in match.sightings)


def _said(evidence: Evidence) -> list[str]:
    from wherefrom.search.wording import likely, listed

    said = listed(evidence.edits)
    return said if evidence.direction is None else [*said, likely(evidence.direction)]


@click.command(short_help="Tell whether two pictures are one.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--draw", "target", metavar="FILE", help="Draw the proof into a .png, .jpg or .webp file.")
@click.option(
    "--how",
    type=click.Choice(HOWS),
    help="What to draw: both side by side (the default), B laid into A's frame, or where they differ.",
)
@as_json
def compare(first: str, second: str, target: str | None, how: str | None, json_output: bool) -> None:
    """Tell whether two pictures are one, and what was done to B to make A. Needs no collection."""
    from wherefrom.decoding import prepare

    prepare()  # it comes up while the rest is loaded
    from wherefrom.search.find import compare as compare_pictures
    from wherefrom.settings import load

    settings = load()
    query, other = first, second
    if how is not None and target is None:
        raise UsageError("--how says what to draw: it needs --draw FILE.")
    if target is not None:
        check_target(target)
        query, other = held(first, settings), held(second, settings)
    match = compare_pictures(query, other, settings)
    if json_output:
        print_json({"match": None if match is None else match.as_json()})
    if match is None:
        say("Not one picture, nor a part of it, as far as fingerprints and keypoints tell.")
        if target is not None:
            say("There is nothing to draw.")
        done(Exit.NOTHING_FOUND)
        return
    if not json_output:
        put(f"{match.kind.value}, score {match.score:.1f}")
        for said in _said(match.evidence) or ["nothing changed"]:
            put(f"  {plain(said)}")
        put(f"known by {known_by(match.evidence)}")
    if target is not None:
        draw_pair(match.evidence, query, other, how or HOWS[0], target, settings)
        say(f"Drawn in {plain(target)}.")


def known_by(evidence: Evidence) -> str:
    """The proof in a line: `87 keypoints that agree; fingerprints 12 of 256 bits apart`."""
    if evidence.method == "sha256":
        return "its bytes, which are equal"
    proofs = []
    if evidence.inliers is not None:
        proofs.append(f"{evidence.inliers} keypoints that agree")
    if evidence.distance is not None:
        proofs.append(f"fingerprints {evidence.distance} of 256 bits apart")
    if evidence.agreement is not None:
        proofs.append(f"pixels that agree to {evidence.agreement:.2f}")
    return "; ".join(proofs)
