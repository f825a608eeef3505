"""Formats whose decoders are optional: HEIC, JPEG XL, camera RAW, SVG and PDF.

Each extra is one function from bytes to (pixels, width, height, frames, decoder). A document gives its
first page, as an animation gives its first frame.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from whence.errors import Corrupt
from whence.picture.decode import HEAVY_PIXELS, Limits, check_pixels, to_pixels
from whence.picture.formats import Format
from whence.picture.metadata import Credit, blocks_of, read_credit
from whence.picture.picture import Facts, Picture, Pixels

_MODULES = {"heic": "pi_heif", "jxl": "imagecodecs", "raw": "rawpy", "svg": "resvg_py", "pdf": "pypdfium2"}
_RENDERED_SIDE = (
    1024  # longer side, in pixels, at which SVG and PDF are drawn: they have no size of their own
)

Gate = AbstractContextManager[object]


class _Decoded(NamedTuple):
    pixels: Pixels
    width: int
    height: int
    frames: int = 1
    credit: Credit = Credit()


def installed(extra: str) -> bool:
    """Whether the decoder behind an extra can be imported."""
    return importlib.util.find_spec(_MODULES[extra]) is not None


def decode(kind: Format, data: bytes, limits: Limits, gate: Gate) -> Picture:
    """Decode a format behind an extra that is installed; raises as `whence.picture.decode.decode`."""
    name = kind.extra or ""
    done = _DECODERS[name](kind, data, limits, gate)
    decoder = f"{_MODULES[name]} {version(_MODULES[name].replace('_', '-'))}"
    facts = Facts(kind.name, done.width, done.height, len(data), done.frames, done.credit, decoder)
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
        return _Decoded(to_pixels(image), image.width, image.height, len(container), credit)


def _jxl(kind: Format, data: bytes, limits: Limits, gate: Gate) -> _Decoded:
    import imagecodecs
    from PIL import Image

    width, height = jxl_size(data)
    check_pixels(kind, width, height, limits.pixels)
    with _heavy(width, height, gate):
        values = np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))
        if values.ndim == 4:  # (frames, h, w, channels)
            frames, values = len(values), values[0]
        else:
            frames = 1
        if values.dtype != np.uint8:
            scale = 255.0 if values.dtype.kind == "f" else 1 / 257
            values = np.clip(values.astype(np.float32) * scale + 0.5, 0, 255).astype(np.uint8)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[:, :, 0]
        image = Image.fromarray(values)
        return _Decoded(to_pixels(image), image.width, image.height, frames)


def jxl_size(data: bytes) -> tuple[int, int]:
    """Width and height that a JPEG XL file states (ISO/IEC 18181-1, SizeHeader); raises Corrupt."""
    start = data.find(b"\xff\x0a") if data[:2] != b"\xff\x0a" else 0
    if start < 0 or len(data) < start + 12:
        raise Corrupt("The JPEG XL file is damaged: it has no codestream.")
    bits = int.from_bytes(data[start + 2 : start + 12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    shares = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
    if ratio:
        return height * shares[ratio][0] // shares[ratio][1], height
    return side(), height


def _raw(kind: Format, data: bytes, limits: Limits, gate: Gate) -> _Decoded:
    import rawpy
    from PIL import Image

    with rawpy.imread(io.BytesIO(data)) as sensor:
        sizes = sensor.sizes
        check_pixels(kind, sizes.width, sizes.height, limits.pixels)
        with _heavy(sizes.width, sizes.height, gate):
            half = min(sizes.width, sizes.height) >= 1024
            pixels = sensor.postprocess(use_camera_wb=True, half_size=half, output_bps=8)
        width, height = (sizes.height, sizes.width) if sizes.flip in (5, 6) else (sizes.width, sizes.height)
    return _Decoded(to_pixels(Image.fromarray(pixels)), width, height)


def _svg(kind: Format, data: bytes, limits: Limits, _gate: Gate) -> _Decoded:
    import resvg_py
    from defusedxml import ElementTree
    from PIL import Image

    # Entities and external documents are refused; references that leave the file are cut out, so
    # that a drawing cannot show what else lies on this disk.
    root = ElementTree.fromstring(data, forbid_dtd=False)
    for element in root.iter():
        for name in [n for n in element.attrib if n.rpartition("}")[2] == "href"]:
            target = element.attrib[name].strip()
            if not target.startswith("#") and not (
                target.startswith("data:image/") and not target.startswith("data:image/svg")
            ):
                del element.attrib[name]
    from xml.etree.ElementTree import tostring

    width, height = _svg_size(root.attrib)
    wide = _RENDERED_SIDE if width >= height else None
    high = None if wide else _RENDERED_SIDE
    png = resvg_py.svg_to_bytes(svg_string=tostring(root, encoding="unicode"), width=wide, height=high)
    image = Image.open(io.BytesIO(bytes(png)))
    check_pixels(kind, image.width, image.height, limits.pixels)
    image.load()
    return _Decoded(to_pixels(image), image.width, image.height)


def _svg_size(attributes: dict[str, str]) -> tuple[float, float]:
    """Width and height of a drawing in its own units; square when it states none."""
    box = [float(n) for n in re.findall(r"[-+.\deE]+", attributes.get("viewBox", ""))]
    if len(box) == 4 and box[2] > 0 and box[3] > 0:
        return box[2], box[3]
    sides = [re.match(r"\s*([.\d]+)", attributes.get(name, "")) for name in ("width", "height")]
    if all(sides):
        return float(sides[0][1]), float(sides[1][1])  # type: ignore[index]
    return 1.0, 1.0


def _pdf(kind: Format, data: bytes, limits: Limits, _gate: Gate) -> _Decoded:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    try:
        page = document[0]
        width, height = page.get_size()
        check_pixels(kind, round(width), round(height), limits.pixels)
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
