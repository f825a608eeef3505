"""The command that copies a collection while it is in use: backup."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from wherefrom.cli.common import as_json, done, in_collection, opened, print_json, say
from wherefrom.errors import Exit
from wherefrom.printing import counted, plain, size

_SECONDS = 10.0  # between lines that tell of progress


@click.command(short_help="Copy a collection while it is in use.")
@click.argument("directory", metavar="DIR")
@in_collection
@as_json
def backup(directory: str, collection: str | None, json_output: bool) -> None:
    """Copy a collection to a directory that is new or empty, also while it is served and added to.

    The copy is the collection as it was at one moment, with the files of pictures that were uploaded. It is
    opened like any other, and makes its indexes anew then. Pictures in folders of yours and keys of the
    service are not in it.
    """
    begun = time.monotonic()
    with opened(collection) as photos:
        copied = photos.backup(directory, progress=_told())
    if json_output:
        print_json({"directory": directory, **copied._asdict()})
    what = f"{counted(copied.images, 'image')} and {counted(copied.files, 'uploaded file')}"
    say(f"Copied {what}, {size(copied.bytes)}, in {time.monotonic() - begun:.1f} s.")
    if copied.damaged:
        named = ", ".join(map(plain, copied.damaged[:3])) + (" ..." if len(copied.damaged) > 3 else "")
        count = counted(len(copied.damaged), "uploaded file")
        say(f"{count} were damaged before this copy was made, and are so in it: {named}.")
        say("What can be done: wherefrom check")
        done(Exit.SOME_FAILED)
    say(f"To look it over: wherefrom check -c {plain(directory)}")


def _told() -> Callable[[int, int], None]:
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            say(f"{size(done)} of {size(total)} copied")

    return tell
