"""Commands that show what there is: show, list, duplicates, demo."""

from __future__ import annotations

import csv
import io
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from wherefrom.cli.common import (
    about_place,
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
    shown_place,
)
from wherefrom.cli.duplicating import acting, check_form, decided, do, print_paths, way_of, write_page
from wherefrom.cli.lookalikes import lines_about
from wherefrom.errors import Exit, NotFound, UsageError
from wherefrom.places import looked
from wherefrom.preferring import ordered
from wherefrom.printing import counted, local, plain, size
from wherefrom.records import short_id
from wherefrom.search.wording import in_words

if TYPE_CHECKING:
    from wherefrom.groups import Group
    from wherefrom.records import FieldValue, Image, Sighting

_WIDTH = 80  # columns that lines are folded to; places are never folded
_LITTLE = 50  # quality below which it is said
_DESCRIBED = 25  # columns that size and format of nearly every picture need
_DEEPEST = 8  # levels of a tree that are set in further
_SECONDS = 10.0  # between lines that tell of progress


@click.command(short_help="Show what is known of an image.")
@click.argument("name", metavar="ID|URI|PATH")
@in_collection
@as_json
def show(name: str, collection: str | None, json_output: bool) -> None:
    """Show what a collection knows of an image, by its id or by where it was seen."""
    with opened(collection) as photos:
        images = [(image, photos.about(image.id)) for image in photos.find(name)]
    if not images:
        raise NotFound(f"There is no image {name} in this collection.")
    if json_output:
        print_json([image.as_json() | about.as_json() for image, about in images])
        return
    for image, about in images:
        put(image.id)
        for line in (*_facts(image), *lines_about(about), *_attached(image), *_places(image)):
            put(f"  {plain(line)}")


def _facts(image: Image) -> Iterator[str]:
    frames = f", {counted(image.frames, 'frame')}" if image.frames > 1 else ""
    little = f", little to know it by (quality {image.quality} of 100)" if image.quality < _LITTLE else ""
    yield f"{described(image)}{frames}{little}, added {local(image.added)}"
    for field, value in image.credit.as_json().items():
        if value:
            yield f"{field.replace('_', ' ')}: {value}"


def _attached(image: Image) -> Iterator[str]:
    for name, value in image.fields.items():
        yield f"field {name}: {_as_written(value)}"


def _places(image: Image) -> Iterator[str]:
    for sighting in image.sightings:
        how = f", gone {local(sighting.gone)}" if sighting.gone else ""
        times = f"{local(sighting.first_seen)} to {local(sighting.last_seen)}{how}"
        yield f"seen {shown_place(sighting.uri)}{about_place(sighting)} ({times})"


def _as_written(value: FieldValue) -> str:
    """A field's value as `attach` takes it: text that would be read as something else in quotes."""
    if isinstance(value, str):
        from wherefrom.filters.parser import typed

        return value if typed(value) == value else f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}"


@click.command("list", short_help="List the images, or those that a filter lets through.")
@in_collection
@click.option("--filter", metavar="TEXT", help='Only images that this lets through: "type:jpeg width>=1000".')
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many. Default: all.")
@as_json
@as_lines
def list_images(
    collection: str | None, filter: str | None, limit: int | None, json_output: bool, lines: bool
) -> None:
    """List the images in the order in which they were added: id, size and format, and a place of each."""
    check_forms(json_output, lines)
    with opened(collection) as photos:
        found = islice(photos.select(filter), limit)
        count = 0
        if json_output:
            documents = [looked(image).as_json() for image in found]
            print_json(documents)
            count = len(documents)
        for image in found:  # which are done with where one document was wanted
            count += 1
            if lines:
                print_json(looked(image).as_json(), line=True)
                continue
            place = first_place(looked(image).sightings)
            put(f"{short_id(image.id)}  {described(image):<{_DESCRIBED}}  {place}")
    say(f"{counted(count, 'image')}.")
    if not count:
        done(Exit.NOTHING_FOUND)


@click.command(short_help="Group the files that are one picture.")
@in_collection
@click.option("--csv", "csv_output", is_flag=True, help="Print CSV on stdout, a line for each file.")
@click.option("--upright", is_flag=True, help="Leave out mirrored, turned and negative copies: quicker.")
@click.option("--quick", is_flag=True, help="Compare whole pictures alone: no crops, and no file is opened.")
@acting
@as_json
@as_lines
def duplicates(
    collection: str | None,
    csv_output: bool,
    upright: bool,
    quick: bool,
    json_output: bool,
    lines: bool,
    **chosen: Any,
) -> None:
    """Group the files that are one picture: the likely original, which is suggested to be kept, and what was
    made from it, and how. Nothing is touched unless --trash, --move-to, --hardlink or --reflink says so, and
    then only what could go: each file is read again right before, and --undo takes it back.
    """
    check_form(chosen, csv_output, json_output, lines)
    way = way_of(chosen)
    if lines and way is not None:
        raise UsageError("What is done to files is one document: use --json.")
    with opened(collection) as photos:
        if decided(photos, chosen, json_output or lines):
            return
        options = {name: chosen[name] for name in ("exact", "filter", "prefer")}
        found = photos.duplicates(turned=not upright, parts=not quick, progress=_looked_for(), **options)
        groups = list(ordered(found, chosen["sort"]))
        if way is not None:
            do(photos, groups, *way, chosen, json_output)
            return
        if chosen["html"]:
            write_page(photos, groups, chosen["html"])
    if chosen["print0"]:
        print_paths(groups)
    elif json_output:
        print_json({"groups": [group.as_json() for group in groups]})
    elif lines:
        for group in groups:
            print_json(group.as_json(), line=True)
    elif csv_output:
        click.echo(_as_csv(groups), nl=False)
    elif not chosen["html"]:
        _print(groups)
    pictures = [group for group in groups if group.kind == "picture"]
    spare = sum(len(group.spare) for group in pictures)
    freed = size(sum(group.spare_bytes for group in pictures))
    choices = sum(1 for group in pictures for other in group.others if other.suggestion == "choice")
    said = f"{counted(len(pictures), 'group')}; {counted(spare, 'file')} could go, {freed}"
    said += f"; {counted(choices, 'file')} left to your choice" if choices else ""
    parts = sum(len(group.others) for group in groups if group.kind == "parts")
    say(f"{said}; {counted(parts, 'file')} that only share a part." if parts else f"{said}.")
    if not groups:
        done(Exit.NOTHING_FOUND)


def _print(groups: Sequence[Group]) -> None:
    """The groups, and in a section of their own those that only share a part."""
    pictures = [group for group in groups if group.kind == "picture"]
    for number, group in enumerate(pictures, 1):
        put("\n".join(_family(number, group)) + "\n")
    if len(pictures) < len(groups):
        put("Crops and parts: these share a part, and none could go for another's sake.\n")
    for number, group in enumerate((one for one in groups if one.kind == "parts"), len(pictures) + 1):
        put("\n".join(_sharing(number, group)) + "\n")


def _sharing(number: int, group: Group) -> list[str]:
    lines = [f"{number}. {counted(len(group.others) + 1, 'file')} that share a part"]
    lines += _entry(1, _shown(group.place, group.keep), "", group.keep)
    for other in group.others:
        edits = ", ".join(in_words(edit) for edit in other.edits)
        lines += _entry(2, _shown(other.place, other.image), f"part {other.score:.1f}: {edits}", other.image)
    return lines


def _looked_for() -> Callable[[int, int], None]:
    """What tells of progress, every ten seconds."""
    told = time.monotonic()

    def tell(number: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            say(f"{number:,} of {counted(total, 'image')} looked for")

    return tell


def _family(number: int, group: Group) -> list[str]:
    """A group as lines: a tree of files, each with how it comes from the one that it is below."""
    spare = f"{counted(len(group.spare), 'file')} could go, {size(group.spare_bytes)}"
    if not group.spare:
        spare = "your choice" if group.choice else "none could go"
    lines = [f"{number}. {counted(len(group.others) + 1, 'file')}, one picture; {spare}"]
    first = group.why if group.choice else f"keep; {group.why}"
    lines += _entry(1, _shown(group.place, group.keep), first, group.keep)
    lines += _parts(group, group.keep, 1)
    depths = {group.keep.id: 1}
    for other in group.others:
        depth = depths[other.parent] + 1
        again = other.parent == other.image.id
        if not again:
            depths[other.image.id] = depth
        edits = ", ".join(in_words(edit) for edit in other.edits)
        what = "identical, byte for byte" if again else f"{other.kind.value} {other.score:.1f}"
        what += f": {edits}" if edits else ""
        if not again:
            what += f"; {_SUGGESTED[other.suggestion]}: {other.why}"
        lines += _entry(depth, _shown(other.place, other.image), what, other.image)
        if not again:
            lines += _parts(group, other.image, depth)
    return lines


_SUGGESTED = {"spare": "could go", "choice": "your choice", "keep": "keep", "part": "a part"}


def _entry(depth: int, place: str, what: str, image: Image) -> list[str]:
    indent = "  " * min(depth, _DEEPEST)
    facts = f"{described(image)}; {what}" if what else described(image)
    wrapped = textwrap.wrap(facts, _WIDTH, initial_indent=f"{indent}    ", subsequent_indent=f"{indent}    ")
    return [f"{indent}{place}", *wrapped]


def _parts(group: Group, image: Image, depth: int) -> list[str]:
    indent = "  " * min(depth, _DEEPEST)
    lines = []
    for part in group.parts:
        if part.member == image.id:
            relation = "contains" if part.contains else "is contained in"
            lines.append(f"{indent}    {relation} {_shown(part.place, part.image)}")
    return lines


def _shown(place: Sighting | None, image: Image) -> str:
    return shown_place(place.uri) if place else short_id(image.id)


def _as_csv(groups: Sequence[Group]) -> str:
    names = ("group", "suggestion", "why", "kind", "width", "height", "format", "bytes", "uri", "id")

    def path_of(place: Sighting | None) -> str:
        return (place.path if place else None) or ""

    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow((*names, "parent", "score", "edits", "path"))
    for number, group in enumerate(groups, 1):
        keep = group.keep
        facts = (keep.width, keep.height, keep.format, keep.bytes)
        uri = group.place.uri if group.place else ""
        first = "part" if group.kind == "parts" else "choice" if group.choice else "keep"
        writer.writerow(
            (number, first, group.why, "", *facts, uri, keep.id, "", "", "", path_of(group.place))
        )
        for one in group.others:
            image, uri = one.image, one.place.uri if one.place else ""
            facts = (image.width, image.height, image.format, image.bytes)
            edits = "; ".join(in_words(edit) for edit in one.edits)
            row = (number, one.suggestion, one.why, one.kind.value, *facts, uri, image.id)
            writer.writerow((*row, one.parent, one.score, edits, path_of(one.place)))
    return buffer.getvalue()


@click.command(short_help="See it at work on real photographs.")
@click.option("--keep", metavar="DIR", help="Keep the pictures and the collection there.")
@as_json
def demo(keep: str | None, json_output: bool) -> None:
    """Edit real photographs in a dozen ways, index the originals, and find each edit again.

    The photographs come with scikit-image: pip install 'wherefrom[demo]'.
    """
    from wherefrom.cli.demonstration import demonstrate

    done(demonstrate(keep, json_output))
