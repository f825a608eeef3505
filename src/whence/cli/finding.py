"""Commands that look for pictures: search, compare."""

from __future__ import annotations

import click

from whence.cli.common import (
    as_json,
    described,
    done,
    first_place,
    in_collection,
    opened,
    print_json,
    say,
    table,
)
from whence.errors import Exit, UsageError


def _kinds(text: str | None) -> list[str] | None:
    return None if text is None else [kind.strip() for kind in text.split(",") if kind.strip()]


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        left, top, right, bottom = (float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"A region reads LEFT,TOP,RIGHT,BOTTOM in pixels, not {text!r}.") from None
    return left, top, right, bottom


@click.command(short_help="Find where a picture comes from.")
@click.argument("image", metavar="IMAGE")
@in_collection
@click.option("--kinds", metavar="K,K", help="Only these kinds: identical, same, copy, partial, similar.")
@click.option(
    "--limit", type=int, default=20, show_default=True, metavar="N", help="At most so many matches."
)
@click.option("--region", metavar="L,T,R,B", help="Search for a part of the picture, in pixels.")
@as_json
def search(
    image: str, collection: str | None, kinds: str | None, limit: int, region: str | None, json_output: bool
) -> None:
    """Find where IMAGE (a file, a URL, or the id of an indexed image) comes from."""
    with opened(collection) as photos:
        answer = photos.search(image, limit=limit, kinds=_kinds(kinds), region=_region(region))
    if json_output:
        print_json(answer.as_json())
    else:
        rows = [
            (
                match.kind.value,
                f"{match.score:.1f}",
                edits_in_words(match.evidence.as_json()),
                described(match.image),
                first_place(match.sightings),
            )
            for match in answer
        ]
        if rows:
            click.echo(table(rows, ("kind", "score", "what was done", "picture", "where"), right=(1,)))
    for note in answer.query.notes:
        say(note)
    if not answer.matches:
        say("Nothing found.")
        done(Exit.NOTHING_FOUND)


@click.command(short_help="Tell whether two pictures are one.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@as_json
def compare(first: str, second: str, json_output: bool) -> None:
    """Tell whether two pictures are one, and what was done to B to make A. Needs no collection."""
    from whence.search.find import compare as compare_pictures
    from whence.settings import load

    match = compare_pictures(first, second, load())
    if json_output:
        print_json({"match": None if match is None else match.as_json()})
    if match is None:
        say("Not the same picture, as far as fingerprints tell; parts of pictures are not compared yet.")
        done(Exit.NOTHING_FOUND)
        return
    if not json_output:
        edits = edits_in_words(match.evidence.as_json())
        click.echo(f"{match.kind.value}, score {match.score:.1f}, {edits or 'nothing changed'}")


def edits_in_words(evidence: dict[str, object]) -> str:
    """What was done, as people say it: `mirrored, turned 90°, border 19 %`."""
    edits = evidence["edits"]
    assert isinstance(edits, list)
    words = []
    for edit in edits:
        amount = edit["amount"]
        words.append(
            {
                "mirror": "mirrored",
                "negative": "negative",
                "rotate": f"turned {amount or 0:g}°",
                "border": f"border {100 * (amount or 0):.0f} %",
                "crop": f"borders cut off ({100 * (amount or 0):.0f} %)",
                "scale": f"{100 * (amount or 0):.0f} % size",
                "aspect": f"{'widened' if (amount or 1) > 1 else 'narrowed'} ×{amount or 1:.2f}",
            }.get(edit["name"], str(edit["name"]))
        )
    return ", ".join(words)
