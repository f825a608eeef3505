"""Untrusted bytes to a `Picture`: upright, sRGB, no larger than matching needs.

The order is fixed: how many bytes, which format (by its leading bytes), how many pixels (by its
header), and only then memory for pixels. A time limit needs a process that can be killed: see
`wherefrom.workers`, where indexing decodes, and `wherefrom.decoding`, where queries are.

Large pictures are decoded at a reduced size: while the shorter side stays at `WORKING_SIDE` or more, JPEG
and JPEG 2000 are halved inside the decoder and everything else by averaging whole pixels. Of a ribbon whose
shorter side is small, `MOST_PIXELS` are given at most, and `LONGEST_SIDE` along it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import math
import re
import struct
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wherefrom.errors import (
    Corrupt,
    EmptyFile,
    MissingExtra,
    NotAPicture,
    PictureError,
    TooLarge,
    Truncated,
    Unreadable,
)
from wherefrom.errors import UnsupportedFormat as Unsupported
from wherefrom.picture import formats, kinds, lenient, tiff
from wherefrom.picture.colour import UNCHANGED, WORKING_SIDE, bounded, image_of, is_srgb, to_pixels, tones_of
from wherefrom.picture.directories import count_pictures, headed, pictures
from wherefrom.picture.formats import Format
from wherefrom.picture.frames import MOST, Watched, watch
from wherefrom.picture.metadata import Credit, blocks_of, read_credit
from wherefrom.picture.picture import Facts, Picture, Pixels, upright
from wherefrom.picture.samples import image_of_samples, to_8_bits

if TYPE_CHECKING:
    from PIL import Image, ImageFile

HEAVY_PIXELS = 24_000_000
"""A picture decoded in full with more pixels than this passes through the caller's `gate`."""

SMALL_SIDE = 256
"""The shorter side, in pixels, that is enough to see what a picture shows and its colours."""

_DOUBLE = ("webp", "avif")  # formats whose decoders need twice the memory that others do


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. Every cap is checked before memory is taken.

    `bytes` is the file's size; `pixels` caps pictures that have to be decoded in full (WebP and AVIF count
    twice, since their decoders need twice the memory) and `scaled_pixels` JPEGs that need not be;
    `seconds` and `memory`, the address space of a process that decodes, in bytes, are enforced where decoding
    can be killed.
    """

    bytes: int = 256 * 1024 * 1024
    pixels: int = 100_000_000
    scaled_pixels: int = 250_000_000
    seconds: float = 30.0
    memory: int = 3 * 1024**3


DEFAULT_LIMITS = Limits()


def decode(
    data: bytes,
    *,
    colour: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    gate: AbstractContextManager[object] | None = None,
    least: int = WORKING_SIDE,
) -> Picture:
    """Decode a file's bytes.

    With `colour` False a picture whose file stores luma apart (JPEG) is given as luma alone, which
    costs a quarter less; others come in colour all the same. `gate` is entered while a picture of more
    than `HEAVY_PIXELS` is decoded in full, so that a caller with several workers can let one at a time.
    A JPEG may be halved while its shorter side stays at `least` pixels or more.

    Raises a `PictureError`: EmptyFile, NotAPicture, UnsupportedFormat, MissingExtra, TooLarge, TooSlow
    (drawings and documents alone), Truncated or Corrupt, each with a sentence, and Unreadable where the
    system kept a decoder from its work; and nothing else, whatever the bytes. What the machine may be to
    blame for is `passing`. Never warns.
    """
    kind = recognise(data, len(data), limits)
    stated = formats.stated_size(kind.name, data)
    if stated is not None:
        check_pixels(kind, *stated, limits.pixels // (2 if kind.name in _DOUBLE else 1))
    try:
        with warnings.catch_warnings():
            # Decoders warn of large or odd files; the caps here decide, and damage ends in an error.
            warnings.simplefilter("ignore")
            done = _strictly(kind, data, colour, limits, gate or nullcontext(), least)
            return Picture(bounded(done.pixels), done.facts)
    except PictureError:
        raise
    except MemoryError:
        said = f"Decoding this {kind.title} file needs more memory than there is, or than is allowed."
        raise TooLarge(said).may_pass() from None
    except Exception as error:
        if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno is not None):
            # Of the system, and not of the file: a library that could not be loaded, no file descriptors.
            said = f"This {kind.title} file could not be decoded just now: {error}."
            raise Unreadable(said).may_pass() from error
        raise _broken(kind, data, error) from error


def decode_stored(
    data: bytes, limits: Limits = DEFAULT_LIMITS, gate: AbstractContextManager[object] | None = None
) -> Picture:
    """The luma that a JPEG stores: at full size, not turned, in the file's own colours.

    Raises what `decode` raises, and UnsupportedFormat for files that are no JPEG.
    """
    import simplejpeg

    kind = recognise(data, len(data), limits)
    if kind.name != "jpeg":
        raise Unsupported(f"A {kind.title} file stores no luma apart.")
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        check_pixels(kind, width, height, limits.pixels)
        with (gate or nullcontext()) if width * height > HEAVY_PIXELS else nullcontext():
            luma: Pixels = simplejpeg.decode_jpeg(data, "GRAY", strict=False)[:, :, 0]
    except ValueError as error:
        raise _broken(kind, data, error) from error
    return Picture(luma, Facts(kind.name, width, height, len(data)))


def _strictly(
    kind: Format,
    data: bytes,
    colour: bool,
    limits: Limits,
    gate: AbstractContextManager[object],
    least: int,
) -> Picture:
    """Decode what is sound; what is not, and is read here, leniently in a second try."""
    if kind.extra is not None:
        from wherefrom.picture import extras

        return extras.decode(kind, data, limits, gate)
    try:
        return _decode_builtin(kind, data, colour, limits, gate, least)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, PictureError) and not isinstance(error, Truncated | Corrupt):
            raise
        broken = error if isinstance(error, PictureError) else _broken(kind, data, error)
        if not isinstance(broken, Truncated | Corrupt) or getattr(error, "errno", None) is not None:
            raise
        found = _leniently(kind, data, colour, limits, least)
        if found is None:
            raise
        return found


def _leniently(kind: Format, data: bytes, colour: bool, limits: Limits, least: int) -> Picture | None:
    """What is there of a file that is damaged or cut short, with a note; None where that is too little."""
    try:
        if kind.name == "tiff":
            return _decode_tiff(kind, data, limits, nullcontext(), partly=True)
        found = lenient.mended(kind.name, data, limits.pixels)
        if found is None:
            return None
        mended = formats.FORMATS[found.format]
        picture = _decode_builtin(mended, found.data, colour, limits, nullcontext(), least)
        orientation = 1
        if found.kept < 1:
            with _opened(found.format, found.data) as image:
                orientation = _statements(image)[1]
    except (ImportError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - what cannot be mended stays what it was
        return None
    facts = replace(
        picture.facts, format=kind.name, bytes=len(data), missing=found.missing, notes=(found.note,)
    )
    return _cut(Picture(picture.pixels, facts), found.kept, orientation)


def _cut(picture: Picture, kept: float, orientation: int) -> Picture:
    """The picture without the last of the rows of its file, which is turned by `orientation`."""
    if kept >= 1:
        return picture
    # Where the rows that are there come to lie when the file's are turned upright.
    there = np.zeros((1000, 1000), np.uint8)
    there[: int(1000 * kept)] = 1
    lies = upright(there, orientation)
    across, down = np.flatnonzero(lies.any(axis=0)) / 1000, np.flatnonzero(lies.any(axis=1)) / 1000

    def box(high: int, wide: int) -> tuple[slice, slice]:
        rows = slice(math.ceil(down[0] * high), max(1, int((down[-1] + 0.001) * high)))
        return rows, slice(math.ceil(across[0] * wide), max(1, int((across[-1] + 0.001) * wide)))

    rows, columns = box(picture.facts.height, picture.facts.width)
    pixels = np.ascontiguousarray(picture.pixels[box(*picture.pixels.shape[:2])])
    size = {"width": columns.stop - columns.start, "height": rows.stop - rows.start}
    return Picture(pixels, replace(picture.facts, **size))


def recognise(head: bytes, size: int, limits: Limits = DEFAULT_LIMITS) -> Format:
    """The format of a file of `size` bytes that begins with `head` (all of it, or at least `formats.HEAD`).

    No pixel is decoded.

    Raises EmptyFile, NotAPicture, UnsupportedFormat, MissingExtra or TooLarge (by bytes).
    """
    if size == 0:
        raise EmptyFile("The file is empty.")
    kind = formats.sniff(head)
    if kind is None or not kind.decoded or head[:4] == _JPEG_LS:
        raise _unread(head)
    if kind.extra is not None:
        from wherefrom.picture import extras

        if not extras.installed(kind.extra):
            raise MissingExtra(f"Reading {kind.title} needs an extra: pip install 'wherefrom[{kind.extra}]'.")
    if size > limits.bytes:
        raise TooLarge(f"The file has {size:,} bytes; the limit is {limits.bytes:,}.")
    return kind


def _unread(head: bytes) -> PictureError:
    """Why a file is not read whose first bytes belong to no format that is."""
    known = kinds.kind_of(head[: formats.HEAD])
    if known is not None and known.is_picture:
        return Unsupported(f"This is {known.words}, which is not read here.")
    if known is not None:
        return NotAPicture(f"This is {known.words}; only pictures are read.")
    if not head.strip(b"\0"):
        return NotAPicture("It begins with nothing but zeros: this is not a picture, or a copy that failed.")
    return NotAPicture("This is not a picture: its first bytes belong to no picture format.")


def check_pixels(kind: Format, width: int, height: int, cap: int) -> None:
    """Raise TooLarge when a picture of this size is over `cap` pixels, Corrupt when it has no area."""
    if width < 1 or height < 1:
        raise Corrupt(f"This {kind.title} file states a size of {width} × {height}.")
    if width * height > cap:
        raise TooLarge(
            f"The picture has {width:,} × {height:,} pixels; the limit is {cap / 1e6:,.0f} million."
        )


def _broken(kind: Format, data: bytes, error: Exception) -> PictureError:
    if type(error).__name__ == "DecompressionBombError":  # Pillow's own cap: a GIF's frame beyond its screen
        return TooLarge(f"The {kind.title} file unfolds to more pixels than are allowed.")
    if (variant := kinds.variant_of(kind.name, data)) is not None:
        return Unsupported(f"This is {variant}, which is not read here.")
    if formats.is_cut_short(kind.name, data):
        return Truncated(f"The {kind.title} file ends before the picture does.")
    said = error.args[0] if error.args else ""
    detail = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    detail = re.sub(r"\bb'([ -~]*?)'", r"\1", detail.split("\n")[0]).strip().rstrip(".")[:160]
    if kind.name == "raw" and detail.startswith("Unsupported file format"):
        return Unsupported("This camera RAW file is of a kind that is not read here.")
    if not detail or isinstance(error, LookupError | TypeError | AttributeError | struct.error):
        detail = "its parts contradict each other"  # what a decoder trips over says nothing to people
    return Corrupt(f"The {kind.title} file is damaged: {detail}.")


def _decode_builtin(
    kind: Format,
    data: bytes,
    colour: bool,
    limits: Limits,
    gate: AbstractContextManager[object],
    least: int,
) -> Picture:
    if kind.name == "tiff":
        return _decode_tiff(kind, data, limits, gate)
    with _opened(kind.name, data) as image:
        width, height = image.size
        if kind.name == "jpeg":
            credit, orientation = _statements(image)
            frames, watched = 1, Watched()
            pixels = _decode_jpeg(kind, image, data, colour, limits, gate, least)
        else:
            check_pixels(kind, width, height, limits.pixels)
            frames = _frames(image)

            def frame(number: int) -> Pixels:
                image.seek(number)
                check_pixels(kind, *image.size, limits.pixels)
                return to_pixels(_loaded(kind.name, image, data))

            with gate if width * height > HEAVY_PIXELS else nullcontext():
                pixels = to_pixels(_loaded(kind.name, image, data))
                credit, orientation = _statements(image)  # behind the pixels of a PNG, where it may lie
                watched = watch(frames, pixels, frame, width * height)
                pixels = frame(watched.shown) if watched.shown else pixels
    if orientation >= 5:
        width, height = height, width
    facts = Facts(kind.name, width, height, len(data), frames, credit, _decoder(), *watched)
    return Picture(upright(pixels, orientation), facts)


def _decode_tiff(
    kind: Format,
    data: bytes,
    limits: Limits,
    gate: AbstractContextManager[object],
    *,
    partly: bool = False,
) -> Picture:
    """The first page with something in it that is a picture in its own right.

    If `partly`, the first page as far as it goes.
    """
    pages = pictures(data, MOST)
    if not pages:
        raise Truncated("The TIFF file ends before the picture does.")
    first = tiff.layout_of(pages[0])
    check_pixels(kind, first.width, first.height, limits.pixels)
    if partly:
        return _half_tiff(kind, first, len(pages))
    with gate if first.width * first.height > HEAVY_PIXELS else nullcontext():
        pixels, size = _page(kind, first, limits)
        # Each page is read out of a copy of the file.
        cost = max(first.width * first.height, len(data) // 4)
        count = count_pictures(data) if len(pages) == MOST else len(pages)
        watched = watch(count, pixels, lambda n: _page(kind, tiff.layout_of(pages[n]), limits)[0], cost)
        if watched.shown:
            pixels, size = _page(kind, tiff.layout_of(pages[watched.shown]), limits)
    credit, _ = _statements(_Stated(headed(pages[0])))
    return Picture(pixels, Facts(kind.name, *size, len(data), count, credit, _decoder(), *watched))


def _half_tiff(kind: Format, layout: tiff.Layout, pages: int) -> Picture:
    """A page as far as it goes, with a note; raises Truncated where that is too little."""
    image, there = tiff.read(layout, lenient=True)
    if there < lenient.LEAST * layout.height:
        raise Truncated("The TIFF file ends before the picture does.")
    orientation = layout.page.integer(274, 1)
    size = image.size if orientation < 5 else image.size[::-1]
    missing = max(1 - there / layout.height, lenient.DETAIL)
    credit, _ = _statements(_Stated(headed(layout.page)))
    facts = Facts(kind.name, *size, len(layout.page.data), pages, credit, _decoder())
    facts = replace(facts, missing=missing, notes=(lenient.said(missing),))
    return Picture(upright(to_pixels(image), orientation), facts)


def _page(kind: Format, layout: tiff.Layout, limits: Limits) -> tuple[Pixels, tuple[int, int]]:
    """A page upright, and its width and height, by the decoder that gives its samples right."""
    check_pixels(kind, layout.width, layout.height, limits.pixels)
    if tiff.is_plain(layout):
        with _opened("tiff", headed(layout.page)) as opened:
            opened.load()  # which turns it upright
            return to_pixels(opened), opened.size
    image, _ = tiff.read(layout)
    orientation = layout.page.integer(274, 1)
    size = image.size if orientation < 5 else image.size[::-1]
    return upright(to_pixels(image), orientation), size


class _Stated:
    """What `blocks_of` looks at of a TIFF that Pillow cannot open."""

    format = "TIFF"

    def __init__(self, data: bytes) -> None:
        self.info: dict[str, object] = {}
        self.fp = io.BytesIO(data)


def _opened(name: str, data: bytes) -> ImageFile.ImageFile:
    # Not Image.open, which has a cap of its own for the whole program and looks at several formats.
    module, cls = _PILLOW[name]
    _silence()
    opened: ImageFile.ImageFile = getattr(importlib.import_module(f"PIL.{module}"), cls)(io.BytesIO(data))
    return opened


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


def _frames(image: ImageFile.ImageFile) -> int:
    """How many frames; those behind the first damaged one are not counted."""
    try:
        return int(getattr(image, "n_frames", 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error):
        image.seek(0)
        return 1


def _statements(image: Image.Image | _Stated) -> tuple[Credit, int]:
    """Credit and orientation: parsed only where the file has something to parse."""
    exif, iptc, xmp = blocks_of(image)
    credit = read_credit(exif, iptc, xmp) if exif or iptc or xmp else Credit()
    return credit, formats.orientation_of(exif) if exif else 1


def _decode_jpeg(
    kind: Format,
    image: ImageFile.ImageFile,
    data: bytes,
    colour: bool,
    limits: Limits,
    gate: AbstractContextManager[object],
    side: int,
) -> Pixels:
    buffered = not formats.is_jpeg_in_one_pass(data)
    check_pixels(kind, *image.size, limits.pixels if buffered else limits.scaled_pixels)
    factor = _halved(image.size, 3, side)
    profile = image.info.get("icc_profile")
    heavy = image.width * image.height > HEAVY_PIXELS and (buffered or factor == 1)
    with gate if heavy else nullcontext():
        least = {"min_width": -(-image.width // factor), "min_height": -(-image.height // factor)}
        if image.mode in ("L", "RGB") and not colour and (tones := tones_of(profile, image.mode)) is not None:
            import simplejpeg

            # In strict mode it refuses what libjpeg merely warns of; Pillow then decides.
            with contextlib.suppress(ValueError):
                luma: Pixels = simplejpeg.decode_jpeg(data, "GRAY", **least, strict=True)[:, :, 0]
                luma = luma if tones is UNCHANGED else tones[luma]
                return luma if min(luma.shape) < 2 * WORKING_SIDE else to_pixels(image_of(luma))
        if image.mode == "RGB" and side < WORKING_SIDE and (not profile or is_srgb(profile)):
            import simplejpeg

            with contextlib.suppress(ValueError):
                small: Pixels = simplejpeg.decode_jpeg(data, "RGB", **least, strict=True)
                return small
        image.draft(image.mode, (image.width // factor, image.height // factor))
        image.load()
        return to_pixels(image)


def _loaded(name: str, image: Any, data: bytes) -> Image.Image:
    """An opened picture with its pixels, those of JPEG 2000 halved while they are decoded where possible."""
    if name != "jp2":
        image.load()
        plain: Image.Image = image
        return _keyed(image, data) if name == "png" else plain
    from wherefrom.picture import jp2

    if not jp2.is_plain(data):
        return jp2.read(data)
    image.reduce = _halved(image.size, formats.jp2_halvings(data)).bit_length() - 1
    image.load()
    image.reduce = 0  # which is the method of every other image's again
    loaded: Image.Image = image
    return loaded


def _keyed(image: Any, data: bytes) -> Image.Image:
    """A PNG whose clear grey Pillow compares with pixels of another depth: made what the file says."""
    loaded: Image.Image = image
    key, depth = image.info.get("transparency"), data[24]
    if data[25] != 0 or not isinstance(key, int):
        return loaded
    if depth in (2, 4):
        image.info["transparency"] = key * 255 // (2**depth - 1)
    elif depth == 16:
        values = np.asarray(image)
        opaque = np.where(values == key, 0, 255).astype(np.uint8)
        made = image_of_samples(np.dstack([to_8_bits(values, 65535), opaque]), "straight")
        made.info |= {name: value for name, value in image.info.items() if name != "transparency"}
        return made
    return loaded


def _halved(size: tuple[int, int], times: int, least: int = WORKING_SIDE) -> int:
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
_JPEG_LS = b"\xff\xd8\xff\xf7"


@functools.lru_cache(maxsize=1)
def _decoder() -> str:
    import PIL
    from PIL import features

    return f"pillow {PIL.__version__}, libjpeg-turbo {features.version_feature('libjpeg_turbo')}"
