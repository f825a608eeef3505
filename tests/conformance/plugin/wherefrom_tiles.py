"""A kind of feature in one file: the mean colours of the quarters of a picture, four parts an image.

It shows what a kind needs; it is found, filtered and told by nothing but what is written here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import Nominate, Selection
from wherefrom.errors import UsageError
from wherefrom.features.extract import Recipe
from wherefrom.features.registry import Columns, Feature, Fields, FilterField, Rows, View

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def _extract(view: View, _: Recipe) -> list[bytes]:
    pixels = view.colour().pixels
    colour = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    halves = [half for half in np.array_split(colour, 2, axis=0) if half.size]
    tiles = [tile for half in halves for tile in np.array_split(half, 2, axis=1) if tile.size]
    return [tile.reshape(-1, 3).mean(axis=0).astype(np.uint8).tobytes() for tile in tiles]


def _check(part: bytes, _: Recipe) -> None:
    if len(part) != 3:
        raise ValueError("a tile has three bytes")


def _near(colour: Sequence[int], rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    apart = rows.astype(np.float32) - np.array(colour, np.float32)
    return np.asarray(-np.abs(apart).max(axis=1), np.float32)


def _named(value: object) -> Rows:
    name = getattr(value, "text", "")
    if name not in COLOURS:
        raise UsageError(f"A tile is {', '.join(COLOURS)}; {name!r} is none of these.")
    return lambda fields: np.asarray(_near(COLOURS[name], fields[0]) > -60, np.bool_)


def _nominate(engine: Nominate, view: View, count: int, within: Selection | None) -> list[int]:
    tiles = _extract(view, Recipe())

    def score(fields: Fields) -> NDArray[np.float32]:
        return np.asarray(np.max([_near(list(tile), fields[0]) for tile in tiles], axis=0), np.float32)

    return [one.key for one in engine.best("tiles", score, count, within=within)]


TILES = Feature(
    "tiles",
    ("tile", "tiles"),
    lambda _: "1",
    _extract,
    _check,
    blank=b"\x90",
    index=Columns("tiles", "tiles index", lambda _: (3,)),
    many=True,
    filters=(FilterField("tile", _named),),
    nominate=_nominate,
)
