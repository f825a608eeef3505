"""The image that a child tells of: its facts and features, looked at before they are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from wherefrom.engine.records import FileStamp, NewImage
from wherefrom.features.embedding import EXTRA, dimension_of
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS, PALETTE, Recipe
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import BYTES
from wherefrom.features.palette import Palette
from wherefrom.picture.limits import Limits
from wherefrom.processes.believed import members_of


def stamp_of(message: Mapping[str, Any]) -> FileStamp | None:
    """The stamp of the file that was read, if one was. Raises ValueError."""
    stated = message.get("stamp")
    if stated is None:
        return None
    if not isinstance(stated, list) or len(stated) != 2 or any(type(one) is not int for one in stated):
        raise ValueError("no stamp")
    size, moment = stated
    if not (0 <= size < 2**63 and -(2**63) <= moment < 2**63):
        raise ValueError("no stamp")
    return FileStamp(size, moment)


def image_of_message(
    message: object, limits: Limits, recipe: Recipe, digest: bytes | None = None
) -> NewImage:
    """The image of a message under the limits and recipe that it was made with; `digest` where it is known.

    Raises ValueError for what could not have come of a picture.
    """
    told = members_of(NewImage, message, limits)
    if told.get("place") is not None or type(told["digest"]) is not bytes or len(told["digest"]) != 32:
        raise ValueError("no digest")
    if digest is not None and told["digest"] != digest:
        raise ValueError("another digest")
    _check_features(told["features"], recipe, told["quality"])
    return NewImage(**told)


def _check_features(features: object, recipe: Recipe, quality: int) -> None:
    if not isinstance(features, dict) or set(features) != {FINGERPRINT, KEYPOINTS, PALETTE, EMBEDDING}:
        raise ValueError("other features")
    if any(type(data) is not bytes for data in features.values()):
        raise ValueError("features of no bytes")
    known = Fingerprint.from_bytes(features[FINGERPRINT])
    if known.quality != quality:
        raise ValueError("another quality")
    if known.inside is not None and not (
        known.inside[0] < known.inside[2] and known.inside[1] < known.inside[3]
    ):
        raise ValueError("no box")
    count, rest = divmod(len(features[KEYPOINTS]), BYTES)
    if rest or count > recipe.kept:
        raise ValueError("other keypoints")
    Palette.from_bytes(features[PALETTE])
    _check_embedding(features[EMBEDDING], recipe)


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
