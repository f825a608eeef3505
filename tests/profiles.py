"""Colour profiles made by hand, and the arithmetic of what is seen under them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    described = name.encode() + b"\0"
    white = _fixed(0.9642, 1.0, 0.8249)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(described)) + described + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + white,
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, raw in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(raw))
        body += raw + bytes(-len(raw) % 4)
    head = struct.pack(">I", start + len(body)) + b"\0\0\0\0" + b"\x02\x10\0\0" + b"mntr" + space + b"XYZ "
    return head + bytes(12) + b"acsp" + bytes(28) + white + bytes(48) + table + body


def matrix_profile(primaries: Sequence[Sequence[float]], gamma: float, *, name: str = "wide") -> bytes:
    """An ICC 2.1 display profile: columns of D50 XYZ for red, green and blue, and one gamma."""
    tags = {}
    for n, letter in enumerate((b"r", b"g", b"b")):
        tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(*(row[n] for row in primaries))
        tags[letter + b"TRC"] = _curve(gamma)
    return _profile(b"RGB ", name, tags)


def grey_profile(gamma: float) -> bytes:
    """An ICC 2.1 profile for grey pictures."""
    return _profile(b"GRAY", "grey", {b"kTRC": _curve(gamma)})


SRGB_D50 = (
    (0.4360747, 0.3850649, 0.1430804),
    (0.2225045, 0.7168786, 0.0606169),
    (0.0139322, 0.0971045, 0.7141733),
)
# Adobe RGB (1998) and Display P3, adapted to D50 by Bradford.
ADOBE_D50 = (
    (0.6097559, 0.2052401, 0.1492240),
    (0.3111242, 0.6256560, 0.0632197),
    (0.0194811, 0.0608902, 0.7448387),
)
P3_D50 = (
    (0.5151187, 0.2919778, 0.1571035),
    (0.2411892, 0.6922441, 0.0665668),
    (-0.0010505, 0.0418791, 0.7840713),
)


def in_srgb(
    values: Iterable[float], primaries: Sequence[Sequence[float]], gamma: float
) -> NDArray[np.float64]:
    """What a colour (0..255) under a matrix profile is in sRGB: the arithmetic, without a library."""
    linear = (np.array(list(values), float) / 255) ** gamma
    seen = np.linalg.solve(np.array(SRGB_D50), np.array(primaries) @ linear).clip(0, 1)
    return np.asarray(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055) * 255)
