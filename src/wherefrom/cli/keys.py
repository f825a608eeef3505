"""Commands for the keys of the service: create, list, revoke. They work while the server runs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wherefrom.cli.common import (
    as_json,
    done,
    in_collection,
    print_json,
    put,
    say,
    table,
)
from wherefrom.errors import CollectionMissing, Exit, NotFound, UsageError
from wherefrom.printing import local

if TYPE_CHECKING:
    from collections.abc import Callable

    from wherefrom.server.keys import Key, Keys

F = TypeVar("F", bound="Callable[..., Any]")

_TIMES = ("created", "expires", "revoked", "last_used")
_UNITS = {"h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def _in_file(command: F) -> F:
    """The option --file."""
    return click.option(
        "--file",
        metavar="FILE",
        help="Where keys are kept. Default: $WHEREFROM_KEY_FILE, then keys.db in the collection.",
    )(command)


@click.group(short_help="Make, list and revoke keys of the service.")
def keys() -> None:
    """Make, list and revoke the keys by which programs may use `wherefrom serve`.

    Once there is a key, the server takes no request without one. Changes count within a second, and
    the server need not be started anew.
    """


@keys.command(short_help="Make a key; it is shown once.")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(["search", "add", "admin"]),
    default="search",
    show_default=True,
    help="What it allows; each includes those before it.",
)
@click.option(
    "--expires", metavar="WHEN", help="90d, 12h, 6w, 1y, or a date such as 2030-12-31. Default: never."
)
@click.option(
    "--rate", metavar="N/UNIT", help="Requests allowed: 100/minute, 5/second. Default: the server's."
)
@in_collection
@_in_file
@as_json
def create(
    name: str,
    scope: str,
    expires: str | None,
    rate: str | None,
    collection: str | None,
    file: str | None,
    json_output: bool,
) -> None:
    """Make a key and print it: it is kept as a hash, and cannot be shown again."""
    from wherefrom.server.keys import Keys, Rate, Scope

    allowed = None if rate is None else Rate.parse(rate)
    until = None if expires is None else _moment(expires)
    store = Keys(_path(collection, file), create=True)
    text, key = store.create(name, Scope(scope), expires=until, rate=allowed)
    if json_output:
        print_json({"key": text} | key.as_json())
        return
    put(text)
    facts = key.as_json()
    ends = f"until {local(str(facts['expires']))}" if key.expires else "until it is revoked"
    say(f"Key {key.id}, {key.name}: {key.scope.value}, {facts['rate'] or 'the usual rate'}, {ends}.")
    say("Keep it now: it is not shown again. Send it as: Authorization: Bearer KEY, or X-API-Key: KEY")


@keys.command("list", short_help="List the keys.")
@in_collection
@_in_file
@as_json
def list_keys(collection: str | None, file: str | None, json_output: bool) -> None:
    """List the keys that there are and were; exit code 1 when there never were any."""
    found = _listed(_path(collection, file))
    if json_output:
        print_json([key.as_json() for key in found])
    elif found:
        rows = [[_cell(name, value) for name, value in key.as_json().items()] for key in found]
        put(table(rows, list(found[0].as_json())))
    if not found:
        say("There are no keys: the server listens on this machine alone, and lets everybody on it in.")
        done(Exit.NOTHING_FOUND)


def _cell(name: str, value: object) -> str:
    if not value:
        return "-"
    return local(str(value)) if name in _TIMES else str(value)


@keys.command(short_help="Take keys back, for good.")
@click.argument("names", nargs=-1, required=True, metavar="NAME|ID...")
@in_collection
@_in_file
@as_json
def revoke(names: tuple[str, ...], collection: str | None, file: str | None, json_output: bool) -> None:
    """Take keys back, by name or id. Servers that run stop taking them within a second."""
    store = _store(_path(collection, file))
    revoked = [store.revoke(name) for name in names]
    if json_output:
        print_json([key.as_json() for key in revoked])
    for key in revoked:
        say(f"Key {key.id}, {key.name}, is revoked.")
    if not any(key.as_json()["state"] == "live" for key in store.every()):
        say("No key is left: the server answers nobody until one is made again.")


def _listed(path: Path) -> list[Key]:
    try:
        return _store(path).every()
    except NotFound:
        return []


def _store(path: Path) -> Keys:
    from wherefrom.server.keys import Keys

    return Keys.at(path)


def _path(collection: str | None, file: str | None) -> Path:
    """The file of keys: the one named, or that of the collection, which has to be there."""
    from wherefrom.engine.opening import directory_of
    from wherefrom.server.keys import FILE_NAME
    from wherefrom.settings import load
    from wherefrom.sources.folder import is_collection

    settings = load()
    if file or settings.key_file:
        return Path(file or settings.key_file).expanduser()
    directory = directory_of(collection or settings.collection)
    if not is_collection(directory):
        raise CollectionMissing(
            f"There is no collection at {directory} whose keys these would be. Make one with: "
            f"wherefrom index FOLDER -c {directory}, or name a file of keys with --file."
        )
    return directory / FILE_NAME


def _moment(text: str) -> int:
    """A time to come, in microseconds since 1970 UTC. Raises UsageError."""
    length = re.fullmatch(r"([0-9]{1,5})([hdwy])", text.strip().lower())
    try:
        if length is not None:
            moment = datetime.now(UTC) + timedelta(seconds=int(length[1]) * _UNITS[length[2]])
        else:
            moment = datetime.fromisoformat(text.strip())
            moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        number = int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise UsageError(
            f"A key expires after 90d, 12h, 6w or 1y, or at a date such as 2030-12-31, not {text!r}."
        ) from None
    if moment <= datetime.now(UTC):
        raise UsageError(f"{text} has passed: a key expires at a time to come.")
    return number
