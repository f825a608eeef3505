"""Formats whose decoders are optional: HEIC, JPEG XL, camera RAW, SVG and PDF.

Each extra is one function from bytes to pixels and facts. A document gives its first page, as an
animation gives its first frame. The colour profile inside a JPEG XL or a RAW file is not looked at: their
decoders give colours of their own, for nearly every file sRGB.
"""

from __future__ import annotations

import importlib.util
import io
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import NamedTuple

from wherefrom.errors import Corrupt, TooLarge, TooSlow, UnsupportedFormat
from wherefrom.picture.colour import to_pixels
from wherefrom.picture.decode import HEAVY_PIXELS, Limits, check_pixels
from wherefrom.picture.formats import Format
from wherefrom.picture.frames import Watched, watch
from wherefrom.picture.metadata import Credit, blocks_of, read_credit
from wherefrom.picture.picture import Facts, Picture, Pixels

_MODULES = {"heic": "pi_heif", "jxl": "imagecodecs", "raw": "rawpy", "svg": "resvg_py", "pdf": "pypdfium2"}
_RENDERED_SIDE = 1024  # longer side, in pixels, at which SVG and PDF are drawn: they have none of their own
_SVG_BYTES = 32 * 1024 * 1024  # parsed XML takes ten times its bytes and more
_PDFIUM = threading.Lock()  # the library is not made for several threads

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


def _raw(kind: Format, data: bytes, limits: Limits, gate: Gate) -> _Decoded:
    import rawpy
    from PIL import Image

    with rawpy.imread(io.BytesIO(data)) as sensor:
        sizes = sensor.sizes
        check_pixels(kind, sizes.raw_width, sizes.raw_height, limits.pixels)
        width, height = sizes.width, sizes.height
        check_pixels(kind, width, height, limits.pixels)
        with _heavy(width, height, gate):
            half = min(width, height) >= 1024
            pixels = sensor.postprocess(use_camera_wb=True, half_size=half, output_bps=8)
        if sizes.flip & 4:  # rows and columns change places
            width, height = height, width
    return _Decoded(to_pixels(Image.fromarray(pixels)), width, height)


def _svg(kind: Format, data: bytes, limits: Limits, _gate: Gate) -> _Decoded:
    from xml.etree.ElementTree import tostring

    from defusedxml import ElementTree, EntitiesForbidden
    from PIL import Image

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
    png = _drawn(drawing, b"text" in data, limits)
    image = Image.open(io.BytesIO(png))
    image.load()
    return _Decoded(to_pixels(image), image.width, image.height)


_DRAW = """
import ctypes, resource, resvg_py, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: killed when the process that waits ends
for kind, wanted in (("AS", 1 << 30), ("CPU", int(sys.argv[1])), ("CORE", 0)):
    limit = getattr(resource, "RLIMIT_" + kind)
    hard = resource.getrlimit(limit)[1]
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(limit, (wanted, wanted))
drawing = sys.stdin.buffer.read().decode()
try:
    said = bytes(resvg_py.svg_to_bytes(svg_string=drawing, skip_system_fonts=sys.argv[2] != "True"))
except ValueError as error:
    sys.exit(str(error))
sys.stdout.buffer.write(said)
"""


def _drawn(drawing: bytes, with_text: bool, limits: Limits) -> bytes:
    """A drawing as PNG, made in a process of its own.

    A few hundred bytes of SVG can ask for hours, for terabytes, or for more stack than there is, and the
    library bounds none of these. Raises TooSlow or Corrupt.
    """
    seconds = math.ceil(limits.seconds)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-c", _DRAW, str(seconds), str(with_text)],
            input=drawing,
            capture_output=True,
            timeout=limits.seconds,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TooSlow(f"Drawing it took longer than {limits.seconds:g} seconds.") from None
    if done.returncode == -signal.SIGXCPU:
        raise TooSlow(f"Drawing it took longer than {limits.seconds:g} seconds.")
    if done.returncode == 1 and b"\n" not in done.stderr.strip():
        raise Corrupt(f"The SVG file is damaged: {done.stderr.decode(errors='replace').strip().rstrip('.')}.")
    if done.returncode != 0:
        raise Corrupt("The SVG file is damaged, or asks for more than can be drawn.")
    return done.stdout


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


def _pdf(kind: Format, data: bytes, limits: Limits, _gate: Gate) -> _Decoded:
    import pypdfium2

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise UnsupportedFormat("The PDF file is locked with a password.") from error
            raise
        try:
            if len(document) == 0:
                raise Corrupt("The PDF file is damaged: it has no pages.")
            page = document[0]
            width, height = page.get_size()
            check_pixels(kind, max(1, round(width)), max(1, round(height)), limits.pixels)
            image = page.render(scale=_RENDERED_SIDE / max(width, height)).to_pil()
            return _Decoded(to_pixels(image), image.width, image.height, len(document))
        finally:
            document.close()


_DECODERS: dict[str, Callable[[Format, bytes, Limits, Gate], _Decoded]] = {
    "heic": _heic,
    "jxl": _jxl,
    "raw": _raw,
    "svg": _svg,
    "pdf": _pdf,
}
