"""Pillow, as it is used here: opened for one format, and put right where it takes samples for others."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from wherefrom.picture import formats
from wherefrom.picture.colour import WORKING_SIDE
from wherefrom.picture.metadata import Credit, blocks_of, read_credit
from wherefrom.picture.samples import image_of_samples, to_8_bits

if TYPE_CHECKING:
    from PIL import Image, ImageFile


class Stated:
    """What `blocks_of` looks at of a TIFF that Pillow cannot open."""

    format = "TIFF"

    def __init__(self, data: bytes) -> None:
        self.info: dict[str, object] = {}
        self.fp = io.BytesIO(data)


def opened(name: str, data: bytes) -> ImageFile.ImageFile:
    """A file opened by Pillow's class for a format of ours; raises what that raises."""
    # Not Image.open, which has a cap of its own for the whole program and looks at several formats.
    module, cls = _PILLOW[name]
    _silence()
    made: ImageFile.ImageFile = getattr(importlib.import_module(f"PIL.{module}"), cls)(io.BytesIO(data))
    return made


@functools.lru_cache(maxsize=1)
def _silence() -> None:
    """Keep decoders from writing to standard error, which belongs to the program: damage is raised."""
    import ctypes

    from PIL import _imaging

    logging.getLogger("PIL").addHandler(logging.NullHandler())  # where the program listens to nothing
    with contextlib.suppress(OSError, AttributeError):  # a Pillow that is built otherwise
        library = ctypes.CDLL(_imaging.__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            getattr(library, name)(None)


def count_frames(image: ImageFile.ImageFile) -> int:
    """How many frames; those behind the first damaged one are not counted."""
    try:
        return int(getattr(image, "n_frames", 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error):
        image.seek(0)
        return 1


def statements(image: Image.Image | Stated) -> tuple[Credit, int]:
    """Credit and orientation: parsed only where the file has something to parse."""
    exif, iptc, xmp = blocks_of(image)
    credit = read_credit(exif, iptc, xmp) if exif or iptc or xmp else Credit()
    return credit, formats.orientation_of(exif) if exif else 1


def loaded(name: str, image: Any, data: bytes) -> Image.Image:
    """An opened picture with its pixels, those of JPEG 2000 halved while they are decoded where possible."""
    if name != "jp2":
        image.load()
        plain: Image.Image = image
        return _keyed(image, data) if name == "png" else plain
    from wherefrom.picture import jp2

    if not jp2.is_plain(data):
        return jp2.read(data)
    image.reduce = halved(image.size, formats.jp2_halvings(data)).bit_length() - 1
    image.load()
    image.reduce = 0  # which is the method of every other image's again
    whole: Image.Image = image
    return whole


def _keyed(image: Any, data: bytes) -> Image.Image:
    """A PNG whose clear grey Pillow compares with pixels of another depth: made what the file says."""
    whole: Image.Image = image
    key, depth = image.info.get("transparency"), data[24]
    if data[25] != 0 or not isinstance(key, int):
        return whole
    if depth in (2, 4):
        image.info["transparency"] = key * 255 // (2**depth - 1)
    elif depth == 16:
        values = np.asarray(image)
        opaque = np.where(values == key, 0, 255).astype(np.uint8)
        made = image_of_samples(np.dstack([to_8_bits(values, 65535), opaque]), "straight")
        made.info |= {name: value for name, value in image.info.items() if name != "transparency"}
        return made
    return whole


def halved(size: tuple[int, int], times: int, least: int = WORKING_SIDE) -> int:
    """1, 2, 4 ...: how far a picture may be reduced by halving it at most so many times."""
    factor = 1
    while times > 0 and min(size) // (2 * factor) >= least:
        factor, times = 2 * factor, times - 1
    return factor


_PILLOW = {
    "jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "png": ("PngImagePlugin", "PngImageFile"),
    "webp": ("WebPImagePlugin", "WebPImageFile"),
    "gif": ("GifImagePlugin", "GifImageFile"),
    "tiff": ("TiffImagePlugin", "TiffImageFile"),
    "bmp": ("BmpImagePlugin", "BmpImageFile"),
    "avif": ("AvifImagePlugin", "AvifImageFile"),
    "jp2": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "pnm": ("PpmImagePlugin", "PpmImageFile"),
}


@functools.lru_cache(maxsize=1)
def decoder() -> str:
    """The libraries that decode, with their versions."""
    import PIL
    from PIL import features

    return f"pillow {PIL.__version__}, libjpeg-turbo {features.version_feature('libjpeg_turbo')}"
