"""Formats whose decoders are optional: HEIC, JPEG XL, camera RAW, SVG and PDF.

Each extra is one function from bytes to pixels and facts. A document gives its first page, as an
animation gives its first frame. The colour profile inside a JPEG XL or a RAW file is not looked at: their
decoders give colours of their own, for nearly every file sRGB.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import NamedTuple

from wherefrom.errors import PictureError, TooLarge, UnsupportedFormat
from wherefrom.picture.apart import drawn
from wherefrom.picture.colour import to_pixels
from wherefrom.picture.formats import Format
from wherefrom.picture.frames import MOST, Watched, watch
from wherefrom.picture.limits import HEAVY_PIXELS, Limits, check_pixels
from wherefrom.picture.metadata import Credit, blocks_of, read_credit
from wherefrom.picture.picture import Facts, Picture, Pixels

_MODULES = {"heic": "pi_heif", "jxl": "imagecodecs", "raw": "rawpy", "svg": "resvg_py", "pdf": "pypdfium2"}
_CELL = 128  # side of a page in pixels, where all are looked through
_RENDERED_SIDE = 1024  # longer side, in pixels, at which SVG and PDF are drawn: they have none of their own
_SVG_BYTES = 32 * 1024 * 1024  # parsed XML takes ten times its bytes and more
_HEAVY_RAW = 32 * 1024 * 1024  # bytes beyond which a RAW file is taken for a heavy one

Gate = AbstractContextManager[object]


class _Decoded(NamedTuple):
    pixels: Pixels
    width: int
    height: int
    frames: int = 1
    credit: Credit = Credit()
    watched: Watched = Watched()


def installed(extra: str) -> bool:
    """Whether the decoder behind an extra can be imported."""
    return importlib.util.find_spec(_MODULES[extra]) is not None


def decode(kind: Format, data: bytes, limits: Limits, gate: Gate) -> Picture:
    """Decode a format behind an extra that is installed; raises as `wherefrom.picture.decode.decode`."""
    name = kind.extra or ""
    done = _DECODERS[name](kind, data, limits, gate)
    decoder = f"{_MODULES[name]} {version(_MODULES[name].replace('_', '-'))}"
    facts = Facts(
        kind.name, done.width, done.height, len(data), done.frames, done.credit, decoder, *done.watched
    )
    return Picture(done.pixels, facts)


def _heavy(width: int, height: int, gate: Gate) -> Gate:
    return gate if width * height > HEAVY_PIXELS else nullcontext()


def _heic(kind: Format, data: bytes, limits: Limits, gate: Gate) -> _Decoded:
    import pi_heif

    container = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    width, height = container.size
    check_pixels(kind, width, height, limits.pixels)
    with _heavy(width, height, gate):
        image = container.to_pillow()  # turned upright by the library, as the container asks
        credit = read_credit(*blocks_of(image))
        pixels = to_pixels(image)

        def frame(number: int) -> Pixels:
            wide, high = container[number].size
            check_pixels(kind, wide, high, limits.pixels)
            return to_pixels(container[number].to_pillow())

        watched = watch(len(container), pixels, frame, width * height)
        pixels = frame(watched.shown) if watched.shown else pixels
        return _Decoded(pixels, image.width, image.height, len(container), credit, watched)


def _jxl(kind: Format, data: bytes, limits: Limits, gate: Gate) -> _Decoded:
    from wherefrom.picture import jxl

    width, height = jxl.Header.of(data).size
    check_pixels(kind, width, height, limits.pixels)
    with _heavy(width, height, gate):
        image, frames = jxl.read(data)
        pixels = to_pixels(image)
        # Each frame is decoded from the first one on.
        watched = watch(
            frames, pixels, lambda number: to_pixels(jxl.read(data, number)[0]), width * height * frames // 2
        )
        pixels = to_pixels(jxl.read(data, watched.shown)[0]) if watched.shown else pixels
        return _Decoded(pixels, image.width, image.height, frames, watched=watched)


def _raw(_kind: Format, data: bytes, limits: Limits, gate: Gate) -> _Decoded:
    # How large it is only its decoder knows: any may be heavy.
    with gate if len(data) > _HEAVY_RAW else nullcontext():
        done = drawn("raw", data, limits)
    return _Decoded(to_pixels(done.image), done.width, done.height)


def _svg(kind: Format, data: bytes, limits: Limits, _gate: Gate) -> _Decoded:
    from xml.etree.ElementTree import tostring

    from defusedxml import ElementTree, EntitiesForbidden

    if len(data) > _SVG_BYTES:
        raise TooLarge(f"The SVG file has {len(data):,} bytes; the limit is {_SVG_BYTES:,}.")
    try:
        root = ElementTree.fromstring(data, forbid_dtd=False)
    except EntitiesForbidden:
        raise UnsupportedFormat("The SVG file defines XML entities; they are not expanded.") from None
    # References that leave the file are cut out, so that a drawing cannot show what else is on this disk.
    for element in root.iter():
        for name in [n for n in element.attrib if n.rpartition("}")[2] == "href"]:
            if not _stays_inside(element.attrib[name]):
                del element.attrib[name]
    width, height = _svg_sides(root.attrib)
    root.attrib |= {"width": str(width), "height": str(height)}
    check_pixels(kind, width, height, limits.pixels)
    try:
        drawing = tostring(root)
    except RecursionError:
        raise UnsupportedFormat("The SVG file nests its parts too deep to be drawn.") from None
    done = drawn("svg", drawing, limits, text=b"text" in data)
    return _Decoded(to_pixels(done.image), done.width, done.height)


def _stays_inside(target: str) -> bool:
    target = target.strip().lower()
    return target.startswith("#") or (
        target.startswith("data:image/") and not target.startswith("data:image/svg")
    )


_LENGTH = re.compile(
    r"\s*\+?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?\s*(px|pt|pc|mm|cm|q|in|em|ex)?\s*", re.IGNORECASE
)
_UNITS = {
    "pt": 4 / 3,
    "pc": 16,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "q": 24 / 25.4,
    "in": 96,
    "em": 16,
    "ex": 8,
}


def _svg_sides(attributes: dict[str, str]) -> tuple[int, int]:
    """The size in pixels to draw at: the longer side is `_RENDERED_SIDE`, the shorter one at least 1.

    The shape is that of width and height where the root states them as lengths, of the viewBox where it
    does not, and that of a browser's empty frame where there is neither. A viewBox is put in where there
    is none, so that the drawing is scaled and not cut.
    """
    box = [
        float(n)
        for n in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?", attributes.get("viewBox", ""))
    ]
    shape = (box[2], box[3]) if len(box) == 4 and box[2] > 0 and box[3] > 0 else None
    width, height = (_length(attributes.get(name, "")) for name in ("width", "height"))
    if shape is None:
        width, height = width or height or 300.0, height or width or 150.0
        attributes["viewBox"] = f"0 0 {width} {height}"
    else:
        if not (width and height):
            attributes["preserveAspectRatio"] = "none"  # it fits, but for the rounding to whole pixels
        ratio = shape[0] / shape[1]
        width, height = (
            width or (height * ratio if height else shape[0]),
            height or (width / ratio if width else shape[1]),
        )
    scale = _RENDERED_SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _length(text: str) -> float | None:
    found = _LENGTH.fullmatch(text)
    if found is None:
        return None
    return float(found[1] + (found[2] or "")) * _UNITS.get((found[3] or "").lower(), 1) or None


def _pdf(_kind: Format, data: bytes, limits: Limits, _gate: Gate) -> _Decoded:
    done = drawn("pdf", data, limits, side=_RENDERED_SIDE, page=0)
    watched = _looked_through(data, done.pages, limits) if done.pages > 1 else Watched()
    if watched.shown:
        done = drawn("pdf", data, limits, side=_RENDERED_SIDE, page=watched.shown)
    return _Decoded(to_pixels(done.image), done.width, done.height, done.pages, watched=watched)


def _looked_through(data: bytes, pages: int, limits: Limits) -> Watched:
    """All pages of a document, drawn small in a process of their own: what they cost is not the first's."""
    count = min(pages, MOST)
    try:
        strip = to_pixels(drawn("pages", data, limits, cell=_CELL, count=count).image)
    except (PictureError, ValueError):
        return Watched()
    cells = strip.reshape(count, _CELL, _CELL, -1)
    return watch(pages, cells[0], lambda number: cells[number], _CELL * _CELL)


_DECODERS: dict[str, Callable[[Format, bytes, Limits, Gate], _Decoded]] = {
    "heic": _heic,
    "jxl": _jxl,
    "raw": _raw,
    "svg": _svg,
    "pdf": _pdf,
}
