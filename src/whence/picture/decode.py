"""Untrusted bytes to a `Picture`: upright, sRGB, no larger than matching needs.

The order is fixed: how many bytes, which format (by its leading bytes), how many pixels (by its
header), and only then memory for pixels. A time limit needs a process that can be killed: see
`whence.workers`, where indexing decodes.

Large pictures are decoded at a reduced size: while the shorter side stays at `WORKING_SIDE` or more,
JPEG is halved inside the decoder (1/2, 1/4, 1/8) and everything else by averaging whole pixels.
"""

from __future__ import annotations

import functools
import importlib
import io
import logging
import struct
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whence.errors import Corrupt, EmptyFile, MissingExtra, NotAPicture, PictureError, TooLarge, Truncated
from whence.errors import UnsupportedFormat as Unsupported
from whence.picture import formats
from whence.picture.formats import Format
from whence.picture.metadata import Credit, blocks_of, read_credit
from whence.picture.picture import Facts, Picture, Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageFile

WORKING_SIDE = 512
"""The shorter side, in pixels, below which a picture is never reduced while decoding."""

HEAVY_PIXELS = 24_000_000
"""A picture decoded in full with more pixels than this passes through the caller's `gate`."""

_STRIP_PIXELS = 4_000_000
_PROFILE_BYTES = 4 * 1024 * 1024
_SAME_COLOUR = 4  # of 255, by which a profile may differ from sRGB and still count as it
# EXIF orientation to (quarter turns counter-clockwise, then mirror left-right).
_UPRIGHT = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. Every cap is checked before memory is taken.

    `bytes` is the file's size; `pixels` caps pictures that have to be decoded in full and
    `scaled_pixels` JPEGs that need not be; `seconds` is enforced where decoding can be killed.
    """

    bytes: int = 256 * 1024 * 1024
    pixels: int = 100_000_000
    scaled_pixels: int = 250_000_000
    seconds: float = 30.0


DEFAULT_LIMITS = Limits()


def decode(
    data: bytes,
    *,
    colour: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    gate: AbstractContextManager[object] | None = None,
) -> Picture:
    """Decode a file's bytes.

    With `colour` False a picture whose file stores luma apart (JPEG) is given as luma alone, which
    costs a quarter less; others come in colour all the same. `gate` is entered while a picture of more
    than `HEAVY_PIXELS` is decoded in full, so that a caller with several workers can let one at a time.

    Raises a `PictureError`: EmptyFile, NotAPicture, UnsupportedFormat, MissingExtra, TooLarge,
    Truncated or Corrupt, each with a sentence; and nothing else, whatever the bytes. Never warns.
    """
    kind = recognise(data, len(data), limits)
    stated = formats.stated_size(kind.name, data)
    if stated is not None:
        check_pixels(kind, *stated, limits.pixels)
    try:
        with warnings.catch_warnings():
            # Decoders warn of large or odd files; the caps here decide, and damage ends in an error.
            warnings.simplefilter("ignore")
            if kind.extra is not None:
                from whence.picture import extras

                return extras.decode(kind, data, limits, gate or nullcontext())
            return _decode_builtin(kind, data, colour, limits, gate or nullcontext())
    except PictureError:
        raise
    except MemoryError:
        raise TooLarge(f"Decoding this {kind.title} file needs more memory than is allowed.") from None
    except Exception as error:
        raise _broken(kind, data, error) from error


def recognise(head: bytes, size: int, limits: Limits = DEFAULT_LIMITS) -> Format:
    """The format of a file of `size` bytes that begins with `head` (all of it, or at least `formats.HEAD`).

    No pixel is decoded.

    Raises EmptyFile, NotAPicture, UnsupportedFormat, MissingExtra or TooLarge (by bytes).
    """
    if size == 0:
        raise EmptyFile("The file is empty.")
    kind = formats.sniff(head)
    if kind is None:
        raise NotAPicture("This is not a picture: its first bytes belong to no picture format.")
    if not kind.decoded:
        raise Unsupported(f"{kind.title} files are not supported.")
    if kind.extra is not None:
        from whence.picture import extras

        if not extras.installed(kind.extra):
            raise MissingExtra(f"Reading {kind.title} needs an extra: pip install 'whence[{kind.extra}]'.")
    if size > limits.bytes:
        raise TooLarge(f"The file has {size:,} bytes; the limit is {limits.bytes:,}.")
    return kind


def check_pixels(kind: Format, width: int, height: int, cap: int) -> None:
    """Raise TooLarge when a picture of this size is over `cap` pixels, Corrupt when it has no area."""
    if width < 1 or height < 1:
        raise Corrupt(f"This {kind.title} file states a size of {width} × {height}.")
    if width * height > cap:
        raise TooLarge(
            f"The picture has {width:,} × {height:,} pixels; the limit is {cap / 1e6:,.0f} million."
        )


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned the way that an EXIF orientation (1 to 8; others count as 1) asks for."""
    if orientation not in _UPRIGHT:
        return pixels
    turns, mirror = _UPRIGHT[orientation]
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)


def _broken(kind: Format, data: bytes, error: Exception) -> PictureError:
    if type(error).__name__ == "DecompressionBombError":  # Pillow's own cap: a GIF's frame beyond its screen
        return TooLarge(f"The {kind.title} file unfolds to more pixels than are allowed.")
    if formats.is_cut_short(kind.name, data):
        return Truncated(f"The {kind.title} file ends before the picture does.")
    detail = str(error).split("\n")[0].strip().rstrip(".") or type(error).__name__
    return Corrupt(f"The {kind.title} file is damaged: {detail[:160]}.")


def _decode_builtin(
    kind: Format, data: bytes, colour: bool, limits: Limits, gate: AbstractContextManager[object]
) -> Picture:
    with _opened(kind.name, data) as image:
        width, height = image.size
        if kind.name == "jpeg":
            credit, orientation = _statements(image)
            frames = 1
            pixels = _decode_jpeg(kind, image, data, colour, limits, gate)
        else:
            check_pixels(kind, width, height, limits.pixels)
            frames = _frames(image)
            # Read before the pixels of a TIFF, which is closed by then, and behind those of a PNG, since
            # it may lie there in the file.
            credit, orientation = _statements(image) if kind.name == "tiff" else (Credit(), 1)
            with gate if width * height > HEAVY_PIXELS else nullcontext():
                image.load()
                width, height = image.size  # a TIFF is turned upright while it loads
                pixels = to_pixels(image)
            if kind.name == "tiff":
                orientation = 1
            else:
                credit, orientation = _statements(image)
    if orientation >= 5:
        width, height = height, width
    facts = Facts(kind.name, width, height, len(data), frames, credit, _decoder())
    return Picture(upright(pixels, orientation), facts)


def _opened(name: str, data: bytes) -> ImageFile.ImageFile:
    # Not Image.open, which has a cap of its own for the whole program and looks at several formats.
    module, cls = _PILLOW[name]
    logging.getLogger("PIL").addHandler(_SILENT)  # so that nothing is printed where nobody listens
    opened: ImageFile.ImageFile = getattr(importlib.import_module(f"PIL.{module}"), cls)(io.BytesIO(data))
    return opened


def _frames(image: ImageFile.ImageFile) -> int:
    """How many frames or pages; those behind the first damaged one are not counted."""
    try:
        return int(getattr(image, "n_frames", 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        image.seek(0)
        return 1


def _statements(image: Image.Image) -> tuple[Credit, int]:
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
) -> Pixels:
    buffered = not _in_one_pass(data)
    check_pixels(kind, *image.size, limits.pixels if buffered else limits.scaled_pixels)
    factor = _jpeg_factor(image.size)
    profile = image.info.get("icc_profile")
    heavy = image.width * image.height > HEAVY_PIXELS and (buffered or factor == 1)
    with gate if heavy else nullcontext():
        if image.mode in ("L", "RGB") and not colour and not (profile and not is_srgb(profile)):
            import simplejpeg

            # In strict mode it refuses what libjpeg merely warns of; Pillow then decides.
            try:
                luma: Pixels = simplejpeg.decode_jpeg(data, "GRAY", min_factor=factor, strict=True)
                return luma[:, :, 0]
            except ValueError:
                pass
        image.draft(image.mode, (image.width // factor, image.height // factor))
        image.load()
        return to_pixels(image)


def _in_one_pass(data: bytes) -> bool:
    """Whether a JPEG can be decoded row by row; otherwise its coefficients are all held in memory.

    So it is when one scan holds all components (ITU-T T.81, B.2): not in progressive files, and not in
    others whose components come one after the other.
    """
    position, components = 2, 0
    while position + 10 <= len(data):
        if data[position] != 0xFF or data[position + 1] == 0xFF:
            position += 1
            continue
        marker = data[position + 1]
        if marker == 0xDA:
            return data[position + 4] == components
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            components = data[position + 9]
            if marker not in (0xC0, 0xC1):
                return False
        alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8
        position += 2 if alone else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _jpeg_factor(size: tuple[int, int]) -> int:
    factor = 1
    while factor < 8 and min(size) // (2 * factor) >= WORKING_SIDE:
        factor *= 2
    return factor


def to_pixels(image: Image.Image) -> Pixels:
    """A loaded Pillow image of any mode as sRGB (or luma) pixels at working size.

    Alpha is laid on white. Works in strips, so that what it allocates stays small beside the image.
    """
    profile = image.info.get("icc_profile")
    factor = max(1, min(image.size) // WORKING_SIDE) if min(image.size) >= 2 * WORKING_SIDE else 1
    rows = max(factor, _STRIP_PIXELS // image.width // factor * factor)
    boxes = [
        (0, top, image.width, min(top + rows, image.height))
        for top in range(0, image.height, rows)
        if image.height - top >= factor or top == 0  # not a last strip thinner than one output row
    ]
    white = _white(image, boxes) if image.mode.startswith(("I", "F")) else 0.0
    strips = []
    for box in boxes:
        strip = image if len(boxes) == 1 else image.crop(box)
        plain = _to_8_bit(strip, white) if white else _to_srgb(strip, profile)
        if factor > 1:
            plain = plain.reduce(factor)
        strips.append(np.asarray(plain))
    return np.ascontiguousarray(strips[0] if len(strips) == 1 else np.concatenate(strips))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Any mode of 8 bits to L or RGB in sRGB, alpha on white."""
    from PIL import Image

    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, layer).convert("RGB")
    elif image.mode == "LAB":
        return _through_profile(image, _lab_profile())
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile and not is_srgb(profile):
        image = _through_profile(image, profile)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _white(image: Image.Image, boxes: list[tuple[int, int, int, int]]) -> float:
    """The value that stands for white in an image of integers over 8 bits or of floats.

    Integers are of 16 bits where the format says so or one of them is over 255; floats are shares of
    white, or of 255 when one of them is over 1. Values over 65535 are scaled by the highest.
    """
    if image.mode.startswith("I;16") or image.format == "PPM":
        return 65535.0
    top = max(float(_finite(image.crop(box)).max(initial=0.0)) for box in boxes)
    if image.mode == "F":
        return 1.0 if top <= 1 else 255.0 if top <= 255 else top
    return 255.0 if top <= 255 else max(65535.0, top)


def _finite(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _to_8_bit(image: Image.Image, white: float) -> Image.Image:
    from PIL import Image

    shares = np.clip(_finite(image) * (255.0 / white) + 0.5, 0, 255)
    return Image.fromarray(shares.astype(np.uint8))


def _through_profile(image: Image.Image, profile: Any) -> Image.Image:
    """Colours under an ICC profile (its bytes, or one made by Pillow) to sRGB."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile) if isinstance(profile, bytes) else profile)
        converted = ImageCms.profileToProfile(image, source, _srgb_profile(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile, or one for other colours: the pixels are used as they stand
    if converted is None:
        return image
    return converted.convert("L") if image.mode == "L" else converted


@functools.lru_cache(maxsize=1)
def _srgb_profile() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


@functools.lru_cache(maxsize=1)
def _lab_profile() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("LAB")


@functools.lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile leaves sRGB as it is, whatever it is called; as nearly all do.

    Told by what becomes of a lattice of colours. False for profiles of other than RGB; True for what is
    over `_PROFILE_BYTES` or no profile at all, since nothing can be done with it.
    """
    from PIL import Image

    if len(profile) > _PROFILE_BYTES or profile[36:40] != b"acsp":
        return True
    if profile[16:20] != b"RGB ":
        return False
    steps = np.array([0, 64, 128, 192, 255], np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    seen = np.asarray(_through_profile(Image.fromarray(lattice), profile))
    return bool(np.abs(seen.astype(int) - lattice).max() <= _SAME_COLOUR)


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
_SILENT = logging.NullHandler()


@functools.lru_cache(maxsize=1)
def _decoder() -> str:
    import PIL
    from PIL import features

    return f"pillow {PIL.__version__}, libjpeg-turbo {features.version_feature('libjpeg_turbo')}"
