"""The command that puts collections on the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from wherefrom.cli.common import say
from wherefrom.errors import UsageError


@click.command(short_help="Serve collections over HTTP, with a page for people.")
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="[NAME=]DIR",
    help="A collection to serve; the first one is the default. Its name is the directory's, or NAME.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8765,
    show_default=True,
    metavar="N",
    help="The port to listen on; 0 for any that is free.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=0,
    metavar="N",
    help="Processes that search. Default: one per core.",
)
@click.option(
    "--queue",
    type=click.IntRange(1, 100_000),
    default=64,
    show_default=True,
    metavar="N",
    help="Requests that may wait for them; further ones are told to come again.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds in which a request is answered, or told to come again.",
)
@click.option(
    "--originals/--no-originals",
    default=None,
    help="Let the files of images out. Default: only as long as there are no keys.",
)
@click.option(
    "--allow-file-actions/--no-file-actions",
    "file_actions",
    default=None,
    help="Let callers of the scope admin move duplicates that could go to this machine's bin. Default: only "
    "as long as there are no keys and no --allow-origin.",
)
@click.option("--metrics-open", is_flag=True, help="Show /metrics to all; else it asks for a key.")
@click.option(
    "--public-url",
    default="",
    metavar="URL",
    help="Where others reach the service, for links that it gives, such as https://pictures.example.org.",
)
@click.option(
    "--index-root",
    "index_roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="A folder below which callers with an admin key may have files indexed.",
)
@click.option(
    "--backup-root",
    "backup_roots",
    multiple=True,
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="A folder below which callers with an admin key may have backups written; made if it is not there.",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="A site whose pages may use the API, such as https://example.org.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A further name under which this machine is asked without keys.",
)
@click.option(
    "--rate", default="", metavar="N/UNIT", help="What keys are allowed: 100/minute. Default: no limit."
)
@click.option(
    "--anonymous-rate",
    default="",
    metavar="N/UNIT",
    help="What each address is allowed where no key is needed. Default: no limit.",
)
@click.option(
    "--max-upload",
    type=click.IntRange(1_000, 2**31 - 1),
    default=32 * 1024 * 1024,
    show_default=True,
    metavar="BYTES",
    help="The largest body of a request.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "plain"]),
    default=None,
    help="Lines of the log, on stderr. Default: plain on a terminal, else json.",
)
def serve(
    collections: tuple[str, ...], host: str, originals: bool | None, log_format: str | None, **given: Any
) -> None:
    """Serve collections over HTTP: an API, a page for people, and the APIs of TinEye, MatchEngine and Vision.

    Without keys it listens on this machine alone; `wherefrom keys create NAME` makes one. The page and the
    description of the API (/docs) are at the address that is printed.
    """
    try:
        from wherefrom.server.config import Config
        from wherefrom.server.running import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "wherefrom":
            raise
        raise UsageError(
            f"Serving needs {error.name}, which is not installed here. Run: pip install 'wherefrom[serve]'"
        ) from error
    from wherefrom.settings import load

    settings = load()
    given["public_url"] = _address(given["public_url"])
    for name in ("index_roots", "backup_roots"):
        given[name] = tuple(Path(root).expanduser().resolve() for root in given[name])
    for root in given["backup_roots"]:
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"The folder {root} for backups cannot be made ({error.strerror}).") from error
    config = Config(
        named(collections or (settings.collection,)),
        settings,
        host=host,
        originals=originals,
        log_format=log_format or ("plain" if sys.stderr.isatty() else "json"),
        **given,
    )
    run(config, say)


def named(collections: tuple[str, ...]) -> tuple[tuple[str, Path], ...]:
    """Names and directories of what -c said. Raises UsageError for a URL that is none of a directory."""
    from wherefrom.engine.opening import directory_of

    found = []
    for text in collections:
        name, equals, path = text.partition("=")
        if not equals or "/" in name:
            name, path = "", text
        directory = directory_of(path)
        found.append((name or directory.name.removesuffix(".wherefrom") or "collection", directory))
    return tuple(found)


def _address(url: str) -> str:
    """An address without the last slash. Raises UsageError for what is none."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise UsageError(f"--public-url is an address such as https://pictures.example.org, not {url!r}.")
    return url.rstrip("/")
