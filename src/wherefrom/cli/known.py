"""The command that lists the collections known on this machine: collections."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from wherefrom.cli.common import as_json, as_lines, check_forms, done, print_json, put, say, table
from wherefrom.errors import Exit, WherefromError
from wherefrom.known import forget, known
from wherefrom.printing import plain, size


@click.command(short_help="List the collections known on this machine.")
@click.option("--forget", "gone", metavar="DIR", help="Take this one out of the list; it is left as it is.")
@as_json
@as_lines
def collections(gone: str | None, json_output: bool, lines: bool) -> None:
    """List the collections that were made or changed from the command line on this machine, the latest first.

    The list holds their places and nothing else. The setting `registry` is another file for it, or `none`.
    """
    from wherefrom.settings import load

    check_forms(json_output, lines)
    settings = load()
    if gone is not None:
        path = Path(os.path.abspath(os.path.expanduser(gone)))
        there = forget(path, settings.registry)
        if json_output or lines:
            print_json({"forgotten": there})
        say(f"{plain(str(path))} {'is out of the list.' if there else 'was not in the list.'}")
        done(Exit.OK if there else Exit.NOTHING_FOUND)
    found = [_facts(path) for path in known(settings.registry)]
    if json_output:
        print_json(found)
    elif lines:
        for one in found:
            print_json(one, line=True)
    elif found:
        rows = [
            (
                str(one["path"]),
                "" if one["images"] is None else f"{one['images']:,}",
                "" if one["bytes"] is None else size(one["bytes"]),
                _local(one["changed"]) if one["state"] == "there" else one["state"],
            )
            for one in found
        ]
        put(table(rows, ("collection", "images", "size", "last change"), right=(1, 2)))
    if not found:
        say("No collection is known here. Make one with: wherefrom index FOLDER")
        done(Exit.NOTHING_FOUND)


def _facts(path: Path) -> dict[str, Any]:
    from wherefrom.sources.folder import is_collection

    facts: dict[str, Any] = {"path": str(path), "state": "missing"}
    facts |= {"images": None, "bytes": None, "changed": None}
    if not is_collection(path):
        return facts
    sizes, times = [], []
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.stat(os.path.join(folder, name))  # noqa: PTH118
            except OSError:
                continue
            sizes.append(status.st_size)
            if name.startswith("catalog."):
                times.append(status.st_mtime)
    facts |= {"state": "there", "bytes": sum(sizes)}
    if times:
        facts["changed"] = datetime.fromtimestamp(max(times)).astimezone().isoformat(timespec="seconds")
    try:
        facts["images"] = _count(path)
    except WherefromError as error:
        facts["state"] = f"cannot be used: {error}"
    return facts


def _count(path: Path) -> int:
    """How many images there are, from the catalog alone: no index is opened, and nothing is migrated."""
    from contextlib import closing

    from wherefrom.engine.catalog import Catalog

    with closing(Catalog(path)) as catalog:
        return catalog.count()


def _local(text: str | None) -> str:
    return "" if text is None else text[:16].replace("T", " ")
