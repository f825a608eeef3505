"""The built-in kinds of features, as the registry takes them."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from wherefrom.features import fingerprint, keypoints, palette
from wherefrom.features.embedding import EXTRA, dimension_of, embedder, version_of
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS, PALETTE
from wherefrom.features.registry import Codes, Columns, Feature, FilterField, View, Words

if TYPE_CHECKING:
    from wherefrom.features.extract import Recipe
    from wherefrom.features.registry import Rows


@cache
def _blank() -> bytes:
    code = np.zeros(fingerprint.CODE_BYTES, np.uint8)
    return fingerprint.Fingerprint(code, quality=0, usable=False).to_bytes()


def _check_fingerprint(data: bytes, _: Recipe) -> None:
    inside = fingerprint.Fingerprint.from_bytes(data).inside
    if inside is not None and not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise ValueError("no box")


def _check_keypoints(data: bytes, recipe: Recipe) -> None:
    count, rest = divmod(len(data), keypoints.BYTES)
    if rest or count > recipe.kept:
        raise ValueError("other keypoints")


def _check_palette(data: bytes, _: Recipe) -> None:
    palette.Palette.from_bytes(data)


def _check_embedding(data: bytes, recipe: Recipe) -> None:
    if recipe.model is None:
        if data:
            raise ValueError("an embedding by no model")
        return
    dimension = dimension_of(recipe.model.card)
    if len(data) != dimension + 4 + EXTRA:
        raise ValueError("another embedding")
    scale = float(np.frombuffer(data, "<f4", 1, dimension)[0])
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError("no embedding")


def _embedded(view: View, recipe: Recipe) -> list[bytes]:
    model = recipe.model
    return [b"" if model is None else embedder(model).embed(view.colour()).to_bytes()]


def _coloured(wanted: object) -> Rows:
    from wherefrom.features.filtering import coloured  # which no worker needs

    return coloured(wanted)


def _labelled(wanted: object) -> Rows:
    from wherefrom.features.filtering import labelled

    return labelled(wanted)


BUILT_IN = (
    Feature(
        FINGERPRINT,
        ("fingerprint", "fingerprints"),
        lambda _: fingerprint.VERSION,
        lambda view, _: [fingerprint.fingerprint(view.picture).to_bytes()],
        _check_fingerprint,
        _blank(),
        Codes("hamming"),
        "copies",
    ),
    Feature(
        KEYPOINTS,
        ("keypoints", "keypoints"),
        lambda _: keypoints.VERSION,
        lambda view, recipe: [keypoints.keypoints(view.picture, recipe.kept).to_bytes()],
        _check_keypoints,
        index=Words("words"),
        finds="copies",
    ),
    Feature(
        PALETTE,
        ("palette", "palettes"),
        lambda _: palette.VERSION,
        lambda view, _: [palette.palette(view.colour()).to_bytes()],
        _check_palette,
        index=Columns("palettes", "palettes index", lambda _: (palette.WIDTH,)),
        filters=(FilterField("colour", _coloured),),
    ),
    Feature(
        EMBEDDING,
        ("embedding", "embeddings"),
        version_of,
        _embedded,
        _check_embedding,
        index=Columns("vectors", "vectors index", lambda d: (d, 4, EXTRA) if d else (), vectors=True),
        finds="similar",
        filters=(FilterField("label", _labelled),),
    ),
)
"""In the order in which they are computed."""
