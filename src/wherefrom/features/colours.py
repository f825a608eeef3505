"""Colours as people write them: names, codes and weights to CIELAB, and back to a readable name.

The names are the 148 of CSS Color Module Level 4, in any case, with or without spaces or hyphens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import UsageError
from wherefrom.features.lab import lab
from wherefrom.features.scalespace import Floats

MOST_WANTED = 8
"""Colours that can be asked for at once: as many as a palette has."""

NAMES = {
    "black": "black #222222",
    "grey": "grey dimgrey darkgrey slategrey lightslategrey darkslategrey #404040 #555555 #959595",
    "silver": "silver lightgrey gainsboro",
    "white": "white snow whitesmoke ghostwhite floralwhite azure mintcream ivory aliceblue honeydew seashell "
    "lavenderblush",
    "red": "red crimson firebrick tomato orangered indianred",
    "maroon": "maroon darkred",
    "brown": "brown saddlebrown sienna chocolate peru rosybrown #5c4033 #3d2b1f",
    "orange": "orange darkorange coral sandybrown",
    "yellow": "yellow gold goldenrod khaki palegoldenrod lemonchiffon lightyellow lightgoldenrodyellow",
    "beige": "beige linen antiquewhite oldlace bisque blanchedalmond papayawhip cornsilk moccasin "
    "navajowhite wheat tan burlywood peachpuff",
    "olive": "olive darkolivegreen olivedrab darkgoldenrod darkkhaki #4b5320",
    "lime": "lime chartreuse lawngreen greenyellow limegreen springgreen mediumspringgreen yellowgreen",
    "green": "green darkgreen forestgreen seagreen mediumseagreen darkseagreen lightgreen palegreen",
    "teal": "teal darkcyan lightseagreen cadetblue mediumaquamarine",
    "cyan": "cyan turquoise mediumturquoise darkturquoise aquamarine paleturquoise lightcyan",
    "skyblue": "skyblue lightskyblue deepskyblue lightblue powderblue lightsteelblue cornflowerblue",
    "blue": "blue mediumblue royalblue dodgerblue steelblue slateblue mediumslateblue",
    "navy": "navy darkblue midnightblue darkslateblue",
    "purple": "purple indigo rebeccapurple blueviolet darkviolet darkorchid mediumpurple mediumorchid "
    "darkmagenta violet plum thistle lavender",
    "magenta": "magenta orchid mediumvioletred deeppink",
    "pink": "pink lightpink hotpink palevioletred mistyrose salmon lightsalmon darksalmon lightcoral",
}
"""Readable names, which are CSS names themselves, each with colours that are called so: all that CSS names,
and a few darker ones that it lacks."""

_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_WEIGHT = re.compile(rf"(?P<colour>.*?)(?:\s*:\s*|\s+)(?P<weight>{_NUMBER})\s*(?P<percent>%?)", re.DOTALL)
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
_RGB = re.compile(r"rgb\((\d{1,3})(?:\s*,\s*|\s+)(\d{1,3})(?:\s*,\s*|\s+)(\d{1,3})\)")
_APART = re.compile(r",(?![^()]*\))")
_EXAMPLE = "Write for example: red, #ffcc00 or rgb(0, 128, 128)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A colour asked for: L*, a*, b*, and the share of the picture wanted of it, above 0 to 1.

    `weight` is None where only its presence is wanted; that goes for all colours asked for or for none.
    """

    lab: tuple[float, float, float]
    weight: float | None = None


def parse_colours(text: str) -> list[Wanted]:
    """The colours in a text such as `red`, `teal, white`, `red:2, #ffcc00` or `red:2, #ffcc00, teal 30%`.

    Commas part up to `MOST_WANTED` colours: CSS names, `#rgb`, `#rrggbb` or `rgb(r, g, b)`. Without any
    weights all have to be there, however much of each. A percentage is a share of the picture; plain
    weights, 1 where none is given, divide what the percentages leave among their colours. Where there are
    percentages alone and they leave something, that may be of any colour. Raises UsageError.
    """
    parts = [part.strip() for part in _APART.split(text)]
    if not any(parts):
        raise UsageError(f"No colour is given. {_EXAMPLE}.")
    if len(parts) > MOST_WANTED:
        raise UsageError(f"{len(parts)} colours are asked for; ask for {MOST_WANTED} at most.")
    wanted, weights, shares = [], [], []
    for part in parts:
        found = _WEIGHT.fullmatch(part)
        colour, weight, percent = found.group("colour", "weight", "percent") if found else (part, None, "")
        wanted.append(colour_of(colour))
        weights.append(None if weight is None or percent else _positive(float(weight), part))
        shares.append(_positive(float(weight), part) / 100 if weight and percent else None)
    labs = [(float(row[0]), float(row[1]), float(row[2])) for row in lab(np.array(wanted, np.uint8))]
    return [Wanted(*row) for row in zip(labs, _divided(weights, shares), strict=True)]


def colour_of(text: str) -> tuple[int, int, int]:
    """The red, green and blue, 0 to 255, of a colour's name or code; raises UsageError."""
    from PIL import ImageColor

    plain = text.strip().lower()
    name = re.sub(r"[\s-]+", "", plain)
    if name in ImageColor.colormap:
        plain = str(_hex_of(name))
    if _HEX.fullmatch(plain):
        digits = plain[1:] if len(plain) == 7 else "".join(2 * digit for digit in plain[1:])
        red, green, blue = bytes.fromhex(digits)
        return red, green, blue
    if found := _RGB.fullmatch(plain):
        values = [int(value) for value in found.groups()]
        if max(values) > 255:
            raise UsageError(f"{text.strip()!r} is no colour: red, green and blue go from 0 to 255.")
        return values[0], values[1], values[2]
    near = get_close_matches(name, ImageColor.colormap, 1)
    hint = f"; did you mean {near[0]}?" if near else f". {_EXAMPLE}."
    raise UsageError(f"{text.strip()[:80]!r} is no colour{hint}")


def names_of(labs: Floats) -> list[str]:
    """The readable name of each colour, L*, a*, b* (n, 3): that of the nearest colour in `NAMES`.

    Nearest by HyAB, made for large differences: |ΔL*| + √(Δa*² + Δb*²) (Abasi, Tehran and Fairchild,
    "Distance metrics for very large color differences", 2020), with chroma drawn together as in DIN99.
    """
    names, references = _references()
    apart = _drawn_together(labs)[:, None] - references[None]
    difference = np.abs(apart[:, :, 0]) + np.hypot(apart[:, :, 1], apart[:, :, 2])
    return [names[number] for number in np.argmin(difference, axis=1).tolist()]


def _drawn_together(labs: Floats) -> Floats:
    """L*, a*, b* with ln(1 + 0.045 C*) / 0.045 for chroma: a muted brown is nearer to brown than to grey."""
    chroma = np.maximum(np.hypot(labs[:, 1], labs[:, 2]), np.float32(1e-3))
    found = labs.copy()
    found[:, 1:] *= (np.log1p(np.float32(0.045) * chroma) / (np.float32(0.045) * chroma))[:, None]
    return found


def hex_codes(colours: NDArray[np.uint8]) -> list[str]:
    """Colours, uint8 (n, 3), as `#rrggbb`."""
    return [f"#{row.tobytes().hex()}" for row in colours]


@cache
def _references() -> tuple[list[str], Floats]:
    pairs = [(name, each) for name, alike in NAMES.items() for each in alike.split()]
    colours = np.array([colour_of(each) for _, each in pairs], np.uint8)
    return [name for name, _ in pairs], _drawn_together(lab(colours))


def _hex_of(name: str) -> str:
    from PIL import ImageColor

    red, green, blue = ImageColor.getrgb(name)[:3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _positive(weight: float, part: str) -> float:
    if not 0 < weight < math.inf:
        raise UsageError(f"The weight in {part!r} is nothing; leave the colour out, or give it some.")
    return weight


def _divided(weights: Sequence[float | None], shares: Sequence[float | None]) -> list[float | None]:
    """The share of the picture that each colour is to have, None for all where no weight is given."""
    if not any(weights) and not any(shares):
        return [None] * len(weights)
    left = 1 - sum(share or 0 for share in shares)
    if left < -1e-9:
        raise UsageError("The percentages come to more than 100; a picture has no more than that.")
    plain = [weight or 1.0 for weight, share in zip(weights, shares, strict=True) if share is None]
    if plain and left < 1e-9:
        raise UsageError("The percentages leave nothing for the other colours; lower them.")
    return [
        share if share is not None else left * (weight or 1.0) / sum(plain)
        for weight, share in zip(weights, shares, strict=True)
    ]
