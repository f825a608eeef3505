"""Commands that show what there is: show, duplicates, demo."""

from __future__ import annotations

import csv
import io

import click

from whence.cli.common import (
    as_json,
    counted,
    described,
    done,
    in_collection,
    opened,
    print_json,
    say,
    shown_place,
    size,
    table,
)
from whence.errors import Exit, NotFound, UsageError


@click.command(short_help="Show what is known of an image.")
@click.argument("name", metavar="ID|URI|PATH")
@in_collection
@as_json
def show(name: str, collection: str | None, json_output: bool) -> None:
    """Show what a collection knows of an image, by its id or by where it was seen."""
    with opened(collection) as photos:
        images = photos.find(name)
    if not images:
        raise NotFound(f"There is no image {name} in this collection.")
    if json_output:
        print_json([image.as_json() for image in images])
        return
    for image in images:
        click.echo(image.id)
        click.echo(
            f"  {described(image)}, frames {image.frames}, quality {image.quality}, added {image.added}"
        )
        for field, value in image.credit.as_json().items():
            if value:
                click.echo(f"  {field.replace('_', ' ')}: {value}")
        for sighting in image.sightings:
            gone = f", gone {sighting.gone}" if sighting.gone else ""
            click.echo(
                f"  seen {shown_place(sighting.uri)} ({sighting.first_seen} to {sighting.last_seen}{gone})"
            )


@click.command(short_help="Group the files that are one picture.")
@in_collection
@click.option("--csv", "csv_output", is_flag=True, help="Print CSV on stdout, a line for each file.")
@click.option("--upright", is_flag=True, help="Leave out mirrored, turned and negative copies: quicker.")
@as_json
def duplicates(collection: str | None, csv_output: bool, upright: bool, json_output: bool) -> None:
    """Group the files that are one picture, and suggest which to keep and why. Nothing is removed."""
    if csv_output and json_output:
        raise UsageError("Choose one of --csv and --json.")
    with opened(collection) as photos:
        groups = list(photos.duplicates(turned=not upright))
    if json_output:
        print_json({"groups": [group.as_json() for group in groups]})
    else:
        rows = []
        for number, group in enumerate(groups, 1):
            keep, uri = group.keep, group.place.uri if group.place else ""
            rows.append(
                (
                    number,
                    "keep",
                    group.why,
                    "",
                    keep.width,
                    keep.height,
                    keep.format,
                    keep.bytes,
                    uri,
                    keep.id,
                )
            )
            for one in group.others:
                image, uri = one.image, one.place.uri if one.place else ""
                facts = (image.width, image.height, image.format, image.bytes)
                rows.append((number, "spare", "", one.kind.value, *facts, uri, image.id))
        if csv_output:
            names = ("group", "suggestion", "why", "kind", "width", "height", "format", "bytes", "uri", "id")
            buffer = io.StringIO()
            csv.writer(buffer).writerows([names, *rows])
            click.echo(buffer.getvalue(), nl=False)
        elif rows:
            cells = [
                (
                    str(r[0]),
                    r[1],
                    r[2] or r[3],
                    f"{r[4]}×{r[5]} {r[6]}",
                    size(r[7]),
                    shown_place(r[8] or r[9]),
                )
                for r in rows
            ]
            click.echo(table(cells, ("group", "", "why or kind", "picture", "size", "where"), right=(0, 4)))
    spare = sum(len(group.others) for group in groups)
    freed = size(sum(group.spare_bytes for group in groups))
    say(f"{counted(len(groups), 'group')}; {counted(spare, 'file')} could go, {freed}.")
    if not groups:
        done(Exit.NOTHING_FOUND)


@click.command(short_help="See it at work on real photographs.")
@click.option("--keep", metavar="DIR", help="Keep the pictures and the collection there.")
@as_json
def demo(keep: str | None, json_output: bool) -> None:
    """Edit real photographs in a dozen ways, index the originals, and find each edit again.

    The photographs come with scikit-image: pip install 'whence[demo]'.
    """
    from whence.cli.demonstration import demonstrate

    done(demonstrate(keep, json_output))
