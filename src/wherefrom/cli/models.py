"""Commands for models: list, add, import, remove, use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wherefrom.cli.common import as_json, print_json, put, say, table
from wherefrom.printing import plain, size

if TYPE_CHECKING:
    from wherefrom.models.store import Listed, Store


@click.group(short_help="List, add and choose models.")
def models() -> None:
    """List, add and choose the neural networks that embed, label and detect.

    They lie in $WHEREFROM_MODELS, or in the user's folder of caches.
    """


@models.command("list", short_help="List the models, installed or not.")
@as_json
def list_models(json_output: bool) -> None:
    """List the models that are installed, and those that can be."""
    store = _store()
    chosen = store.current()
    listed = store.listed()
    if json_output:
        print_json([_as_json(one, chosen) for one in listed])
        return
    rows = [
        (
            ("* " if one.card.name == chosen else "  ") + one.card.name,
            one.state.value,
            size(one.path.stat().st_size) if one.path and one.path.is_file() else "",
            one.card.licence,
            one.card.title,
        )
        for one in listed
    ]
    put(table(rows, ("  model", "state", "size", "licence", "what it is"), right=(2,)))
    say("* embeds pictures. `wherefrom models use NAME` chooses another.")


@models.command(short_help="Download or build a model.")
@click.argument("name", metavar="NAME|CARD.toml")
@as_json
def add(name: str, json_output: bool) -> None:
    """Install a model: download it, which nothing else does, or build it from a package.

    What is downloaded is taken only if its SHA-256 is the one that the model's card names.
    """
    path = _store().add(name)
    _tell(path.stem.partition("@")[0], str(path), "installed", json_output)


@models.command("import", short_help="Install a model's file that is at hand.")
@click.argument("file", metavar="FILE")
@click.option("--card", metavar="NAME|CARD.toml", help="What the file is. Default: known by its SHA-256.")
@click.option("--text", metavar="FILE", help="The ONNX file of the model's text side, if it takes words.")
@click.option("--tokenizer", metavar="FILE", help="The tokenizer.json that goes with it.")
@as_json
def import_model(
    file: str, card: str | None, text: str | None, tokenizer: str | None, json_output: bool
) -> None:
    """Install an ONNX file that is at hand, without the network.

    A model that finds pictures by words has two files more: --text and --tokenizer.
    """
    path = _store().import_file(file, card, text=text, tokenizer=tokenizer)
    _tell(path.stem, str(path), "installed", json_output)


@models.command(short_help="Remove a model's files.")
@click.argument("name", metavar="NAME")
@as_json
def remove(name: str, json_output: bool) -> None:
    """Remove the files of a model. What was computed with it stays in the collections."""
    _store().remove(name)
    _tell(name, None, "removed", json_output)


@models.command(short_help="Choose the model that embeds pictures.")
@click.argument("name", metavar="NAME")
@as_json
def use(name: str, json_output: bool) -> None:
    """Choose the model that embeds pictures from now on."""
    store = _store()
    store.use(name)
    _tell(name, str(store.path(name)), "chosen", json_output)


def _store() -> Store:
    from wherefrom.models.store import Store

    return Store()


def _tell(name: str, path: str | None, what: str, json_output: bool) -> None:
    if json_output:
        print_json({"model": name, "done": what, "path": path})
    else:
        say(f"{name} {what}" + (f": {plain(path)}" if path else "."))


def _as_json(one: Listed, chosen: str) -> dict[str, object]:
    from wherefrom.models.building import how_to_get

    return one.card.as_json() | {
        "state": one.state.value,
        "path": None if one.path is None else str(one.path),
        "how": how_to_get(one.card) if one.path is None else None,
        "chosen": one.card.name == chosen,
    }
