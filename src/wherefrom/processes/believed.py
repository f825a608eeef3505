"""What a child says is believed when it can be true: types, lengths, ranges and kinds are looked at.

A decoder that hostile bytes have taken over says what they want it to say. Whatever could not have come of
decoding a picture is a ValueError here, and the caller's `Corrupt`; nothing else is ever raised.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from wherefrom.errors import Corrupt, MachineFault, PictureError, error_classes
from wherefrom.picture.colour import LONGEST_SIDE, MOST_PIXELS, WORKING_SIDE
from wherefrom.picture.formats import FORMATS
from wherefrom.picture.limits import Limits
from wherefrom.picture.metadata import MAX_TEXT, Credit
from wherefrom.picture.picture import Facts
from wherefrom.picture.signs import Signs

_TEXT = 4 * MAX_TEXT  # characters of any text: a message, a decoder's name
_MOST = 2**31 - 1
_RANGES = {"quality": (0, 100), "width": (1, _MOST), "height": (1, _MOST), "frames": (1, _MOST)}
_NAMES = {"int": int, "str": str, "bool": bool, "float": float, "bytes": bytes}


def error_of(message: Mapping[str, Any]) -> PictureError | MachineFault:
    """The error that a child tells of, with whether it may pass."""
    code, reason = message["error"], message["reason"]
    if not isinstance(code, str) or not isinstance(reason, str) or not 0 < len(reason) <= _TEXT:
        raise ValueError("no error")
    if code == MachineFault.code:
        return MachineFault(reason.encode(errors="replace").decode())
    known = {cls.code: cls for cls in error_classes() if issubclass(cls, PictureError)}
    error = known.get(code, Corrupt)(reason.encode(errors="replace").decode())
    error.passing = message.get("passing") is True
    return error


def facts_of(message: Mapping[str, Any], size: int, limits: Limits) -> Facts:
    """The facts of a picture in a file of `size` bytes, under the limits that it was decoded with."""
    told = members_of(Facts, message, limits)
    if told["bytes"] != size:
        raise ValueError("another size")
    return Facts(**told)


def shape_of(shape: object, facts: Facts) -> tuple[int, ...]:
    """The shape of decoded pixels: no more than the picture is said to have, and than are worked on."""
    sides = tuple(shape) if isinstance(shape, list) else ()
    whole = all(type(side) is int and side > 0 for side in sides)
    if not whole or len(sides) not in (2, 3) or (len(sides) == 3 and sides[2] != 3):
        raise ValueError("no shape")
    most = min(max(facts.width * facts.height, WORKING_SIDE**2), MOST_PIXELS)
    if sides[0] * sides[1] > most or max(sides) > LONGEST_SIDE:
        raise ValueError("more pixels than there are")
    return sides


def members_of(cls: type[Any], message: object, limits: Limits) -> dict[str, Any]:
    """The members of a dataclass with a picture's facts, each of its type and in its range.

    Those that are left out have their default; there are no others.
    """
    if not isinstance(message, dict):
        raise ValueError("no members")  # noqa: TRY004 - a lie, and no mistake of a caller
    found: dict[str, Any] = {}
    for field in fields(cls):
        if field.name in message:
            found[field.name] = _member(field.name, str(field.type), message[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"no {field.name}")
    if len(found) != len(message):
        raise ValueError("more members than there are")
    if found["format"] not in FORMATS:
        raise ValueError("no format")
    if not 0 <= found["bytes"] <= limits.bytes:
        raise ValueError("more bytes than are allowed")
    if found["width"] * found["height"] > max(limits.pixels, limits.scaled_pixels):
        raise ValueError("more pixels than are allowed")
    return found


def _member(name: str, kind: str, value: object) -> Any:
    if kind.endswith("Credit"):
        return _credit(value)
    if kind.removesuffix(" | None") == "Signs":
        return None if value is None else _signs(value)
    if kind.endswith(" | None"):
        return None if value is None else _member(name, kind.removesuffix(" | None"), value)
    if (inner := re.fullmatch(r"tuple\[(\w+), \.\.\.\]", kind)) is not None:
        if not isinstance(value, list) or len(value) > _TEXT:
            raise ValueError(name)
        return tuple(_member(name, inner[1], one) for one in value)
    if kind not in _NAMES:
        return value  # features and digests, which the caller knows
    if type(value) is not _NAMES[kind]:
        raise ValueError(name)
    if isinstance(value, int):
        least, most = _RANGES.get(name, (-(2**63), 2**63 - 1))
        if not least <= value <= most:
            raise ValueError(name)
    elif isinstance(value, str | bytes) and len(value) > _TEXT:
        raise ValueError(name)
    return value


def _credit(value: object) -> Credit:
    if not isinstance(value, dict) or not set(value) <= set(Credit.__slots__):
        raise ValueError("no credit")
    for text in value.values():
        if text is not None and (not isinstance(text, str) or len(text) > MAX_TEXT):
            raise ValueError("no credit")
    return Credit.from_json(value)


def _signs(value: object) -> Signs:
    if not isinstance(value, dict):
        raise ValueError("no signs")  # noqa: TRY004 - a lie, and no mistake of a caller
    told: dict[str, Any] = {}
    for field in fields(Signs):
        if field.name in value:
            told[field.name] = _member(f"signs.{field.name}", str(field.type), value[field.name])
    signs = Signs(**told)
    shares = (signs.grid, signs.sharp)
    if (
        len(told) != len(value)
        or signs.software not in (None, "camera", "editor", "app")
        or (signs.quality is not None and not 1 <= signs.quality <= 100)
        or any(share is not None and not (math.isfinite(share) and share >= 0) for share in shares)
    ):
        raise ValueError("no signs")
    return signs
