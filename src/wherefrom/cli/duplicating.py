"""What `wherefrom duplicates` does beyond telling: files go, decisions are kept, and both are taken back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wherefrom.cli.common import done, print_json, put, say, shown_place
from wherefrom.errors import Exit, NotFound, UsageError
from wherefrom.printing import counted, plain, size
from wherefrom.sources.folder import file_uri

if TYPE_CHECKING:
    from wherefrom.acting.doing import Result, Step
    from wherefrom.collection import Collection
    from wherefrom.groups import Group

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--exact", is_flag=True, help="Only files that are the same, byte for byte."),
    click.option("--filter", metavar="TEXT", help="Only images that this lets through."),
    click.option(
        "--sort",
        type=click.Choice(("files", "bytes")),
        default="files",
        help="The group with most files first (the default), or that which frees most bytes.",
    ),
    click.option(
        "--prefer",
        multiple=True,
        metavar="FOLDER",
        help="Keep the file in this folder where bytes are equal, or nothing says which was first.",
    ),
    click.option("--html", metavar="FILE", help="Write one page with pictures of all groups into a file."),
    click.option("--print0", is_flag=True, help="Print the paths that could go, each ended by a zero byte."),
    click.option("--trash", is_flag=True, help="Move what could go to the system's bin."),
    click.option("--move-to", metavar="DIR", help="Move what could go below this folder, as it lies."),
    click.option("--hardlink", is_flag=True, help="Make files of the same bytes names of the one kept."),
    click.option("--reflink", is_flag=True, help="Let files of the same bytes share what they hold."),
    click.option("--dry-run", is_flag=True, help="Say what would be done to which file, and do nothing."),
    click.option("--yes", is_flag=True, help="Do it without asking."),
    click.option("--undo", is_flag=True, help="Take back what was last done to files."),
    click.option(
        "--not-duplicates", "apart", nargs=2, metavar="A B", help="Remember that these two are no duplicates."
    ),
    click.option("--keep-both", "both", nargs=2, metavar="A B", help="Remember that these two are kept."),
    click.option("--undecide", nargs=2, metavar="A B", help="Take back what was said of these two."),
)


def acting(command: F) -> F:
    """The options for what could go. A and B are ids, uris or paths."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_form(chosen: dict[str, Any], csv_output: bool, json_output: bool, lines: bool) -> None:
    """Raises UsageError where forms of output exclude each other, or what is to be done."""
    acts = ("trash", "move_to", "hardlink", "reflink", "undo", "apart", "both", "undecide")
    forms = {"--csv": csv_output, "--html": chosen["html"], "--json": json_output, "--jsonl": lines}
    given = [name for name, wanted in (forms | {"--print0": chosen["print0"]}).items() if wanted]
    if len(given) > 1:
        raise UsageError("Choose one of --csv, --html, --json, --jsonl and --print0.")
    if given and given[0] in ("--csv", "--html", "--print0") and any(chosen[name] for name in acts):
        raise UsageError(f"{given[0]} tells of duplicates and does nothing to them: give it by itself.")
    if chosen["html"]:
        from wherefrom.present.sheet import check_target

        check_target(chosen["html"])


def write_page(photos: Collection, groups: Sequence[Group], path: str) -> None:
    """The groups as one page with pictures."""
    from wherefrom.present.grouped import pieces, smalls
    from wherefrom.present.sheet import write
    from wherefrom.search.pixels import original

    read = original(photos.settings.limits, photos.engine.original)
    write(path, pieces(groups, smalls(read)))
    say(f"Written to {plain(path)}.")


def way_of(chosen: dict[str, Any]) -> tuple[str, str | None] | None:
    """What is to be done to files, and the folder; None for nothing. Raises UsageError for several."""
    ways = [name for name in ("trash", "hardlink", "reflink") if chosen[name]]
    ways += ["move"] if chosen["move_to"] else []
    if len(ways) > 1:
        raise UsageError("Choose one of --trash, --move-to, --hardlink and --reflink.")
    if not ways and (chosen["dry_run"] or chosen["yes"]):
        raise UsageError("Say what is to be done: --trash, --move-to DIR, --hardlink or --reflink.")
    return (ways[0], chosen["move_to"]) if ways else None


def decided(photos: Collection, chosen: dict[str, Any], json_output: bool) -> bool:
    """Keep or take back a decision, or undo what was done to files; gives whether that was asked for."""
    if chosen["undo"]:
        _undo(photos, json_output)
        return True
    for name, said in _SAID.items():
        if chosen[name]:
            ids = [_id(photos, one) for one in chosen[name]]
            if name == "undecide":
                count = photos.undecide(ids)
                said = said if count else "Nothing was said of these two."
            else:
                (photos.not_duplicates if name == "apart" else photos.keep_both)(ids)
            if json_output:
                print_json({"ids": ids, "decision": name})
            say(said)
            return True
    return False


_SAID = {
    "apart": "These are not told as duplicates of each other again; --undecide A B takes it back.",
    "both": "Both are kept from now on; --undecide A B takes it back.",
    "undecide": "What was said of these two is forgotten.",
}


def _id(photos: Collection, name: str) -> str:
    found = photos.find(name)
    if not found:
        raise NotFound(f"There is no image {name} in this collection.")
    if len(found) > 1:
        here = [image for image in found if any(one.there for one in image.sightings if one.path == name)]
        found = here or found
    return found[0].id


def print_paths(groups: Sequence[Group]) -> None:
    """The paths that could go, as they are in the file system, each ended by a zero byte."""
    from wherefrom.acting.doing import steps

    plan, _ = steps(groups, "trash")
    sys.stdout.flush()
    sys.stdout.buffer.write(b"".join(os.fsencode(step.path) + b"\0" for step in plan))
    sys.stdout.buffer.flush()


def do(
    photos: Collection,
    groups: Sequence[Group],
    way: str,
    folder: str | None,
    chosen: dict[str, Any],
    json_output: bool,
) -> None:
    """Say what will be done, ask, do it, and say what was done. Ends the command where it is not all well."""
    from wherefrom.acting.doing import check_way, steps

    check_way(way, folder)
    plan, passed = steps(groups, way)
    if json_output and chosen["dry_run"]:
        print_json({"would": [_step(step) for step in plan], "passed": [_result(one) for one in passed]})
    if not plan:
        say("There is nothing that could go." if not passed else "There is nothing that could be done so.")
        _tell_passed(passed)
        if json_output and not chosen["dry_run"]:
            print_json({"done": [], "passed": [_result(one) for one in passed], "freed": 0})
        return
    total = sum(step.bytes for step in plan)
    files = counted(len(plan), "file")
    if chosen["dry_run"] or not chosen["yes"]:
        if not json_output:
            for step in plan:
                put(f"{shown_place(file_uri(step.path))}  (keeps {shown_place(file_uri(step.kept))})")
        say(f"{files}, {size(total)}, would {_WOULD[way].format(folder=plain(folder or ''))}.")
        _tell_passed(passed)
    if chosen["dry_run"]:
        return
    if not chosen["yes"]:
        if not sys.stdin.isatty():
            say("Nothing was done: there is nobody to ask. Give --yes to do it.")
            done(Exit.USAGE)
        if not click.confirm("Go on?", err=True):
            say("Nothing was done.")
            return
    acted = photos.act(groups, way, folder)
    if json_output:
        document = {"run": acted.run, "done": [_result(one) for one in acted.done], "freed": acted.freed}
        print_json(document | {"passed": [_result(one) for one in acted.passed]})
    count = counted(len(acted.done), "file")
    said = f"{count}, {size(acted.freed)}, {_DID[way].format(folder=plain(folder or ''))}."
    say(f"{said} wherefrom duplicates --undo takes it back." if acted.done else "Nothing was done.")
    _tell_passed(acted.passed)
    if acted.passed:
        done(Exit.SOME_FAILED)


_WOULD = {
    "trash": "be moved to the bin",
    "move": "be moved to {folder}",
    "hardlink": "become other names of the files that are kept",
    "reflink": "share what they hold with the files that are kept",
}
_DID = {
    "trash": "moved to the bin",
    "move": "moved to {folder}",
    "hardlink": "are now other names of the files that are kept",
    "reflink": "share now what they hold with the files that are kept",
}


def _tell_passed(passed: Sequence[Result]) -> None:
    for one in passed:
        say(f"passed over: {shown_place(file_uri(one.step.path))}: {plain(one.why or '')}")


def _undo(photos: Collection, json_output: bool) -> None:
    back = photos.undo_acts()
    failed = [(path, why) for path, why in back if why is not None]
    if json_output:
        print_json({"undone": [{"uri": file_uri(path), "why": why} for path, why in back]})
    for path, why in failed:
        say(f"not undone: {shown_place(file_uri(path))}: {plain(why or '')}")
    if not back:
        say("There is nothing to undo.")
        done(Exit.NOTHING_FOUND)
    say(f"{counted(len(back) - len(failed), 'file')} as before.")
    if failed:
        done(Exit.SOME_FAILED)


def _step(step: Step) -> dict[str, object]:
    return {
        "group": step.group,
        "uri": file_uri(step.path),
        "id": step.id,
        "bytes": step.bytes,
        "kept": {"uri": file_uri(step.kept), "id": step.kept_id},
    }


def _result(one: Result) -> dict[str, object]:
    return {**_step(one.step), "now": None if one.now is None else file_uri(one.now), "why": one.why}
