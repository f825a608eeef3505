"""The image that a child tells of: its facts and features, looked at before they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wherefrom.features.extract import FINGERPRINT, Recipe
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.registry import features
from wherefrom.picture.limits import Limits
from wherefrom.processes.believed import members_of
from wherefrom.records import FileStamp, NewImage


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


def _check_features(found: object, recipe: Recipe, quality: int) -> None:
    kinds = features()
    if not isinstance(found, dict) or set(found) != set(kinds):
        raise ValueError("other features")
    for kind, data in found.items():
        if type(data) is not bytes:
            raise ValueError("features of no bytes")
        for part in kinds[kind].parts(data) if kinds[kind].many else [data]:
            kinds[kind].check(part, recipe)
    if Fingerprint.from_bytes(found[FINGERPRINT]).quality != quality:
        raise ValueError("another quality")
