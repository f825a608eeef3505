"""Untrusted bytes to a `Picture`: upright, sRGB, no larger than matching needs.

The order is fixed: how many bytes, which format (by its leading bytes), how many pixels (by its
header), and only then memory for pixels. A time limit needs a process that can be killed: see
`whence.workers`, where indexing decodes.

Large pictures are decoded at a reduced size: while the shorter side stays at `WORKING_SIDE` or more,
JPEG is halved inside the decoder (1/2, 1/4, 1/8) and everything else by averaging whole pixels.
"""

from __future__ import annotations

import functools
import io
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
    from PIL import Image

WORKING_SIDE = 512
"""The shorter side, in pixels, below which a picture is never reduced while decoding."""

HEAVY_PIXELS = 24_000_000
"""A picture decoded in full with more pixels than this passes through the caller's `gate`."""

_STRIP_PIXELS = 4_000_000
_ORIENTATION_TAG = 274
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
    Truncated or Corrupt, each with a sentence.
    """
    kind = recognise(data[: formats.HEAD], len(data), limits)
    try:
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
    """The format of a file of `size` bytes that begins with `head`; no pixel is decoded.

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
    if formats.is_cut_short(kind.name, data):
        return Truncated(f"The {kind.title} file ends before the picture does.")
    detail = str(error).split("\n")[0].strip().rstrip(".") or type(error).__name__
    return Corrupt(f"The {kind.title} file is damaged: {detail[:160]}.")


def _decode_builtin(
    kind: Format, data: bytes, colour: bool, limits: Limits, gate: AbstractContextManager[object]
) -> Picture:
    from PIL import Image

    with warnings.catch_warnings():
        # Pillow warns of large or odd files; the caps here decide, and damage ends in an error.
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=_pillow_names(kind.name)) as image:
            width, height = image.size
            whole = kind.name != "jpeg" or "progressive" in image.info
            check_pixels(kind, width, height, limits.pixels if whole else limits.scaled_pixels)
            orientation, credit = _statements(image)
            frames = int(getattr(image, "n_frames", 1)) if kind.name != "jpeg" else 1
            if kind.name == "jpeg":
                pixels = _decode_jpeg(image, data, colour)
            else:
                with gate if width * height > HEAVY_PIXELS else nullcontext():
                    image.load()
                    if image.size != (width, height):  # TIFF: turned upright while it loads
                        orientation = 1
                        width, height = image.size
                    elif kind.name == "tiff":
                        orientation = 1
                    pixels = to_pixels(image)
    if orientation >= 5:
        width, height = height, width
    facts = Facts(kind.name, width, height, len(data), frames, credit, _decoder())
    return Picture(upright(pixels, orientation), facts)


def _statements(image: Image.Image) -> tuple[int, Credit]:
    """Orientation and credit: parsed only where the file has something to parse."""
    exif, iptc, xmp = blocks_of(image)
    orientation = 1
    if exif is not None:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
        orientation = value if isinstance(value, int) else 1
    credit = read_credit(exif, iptc, xmp) if exif or iptc or xmp else Credit()
    return orientation, credit


def _decode_jpeg(image: Image.Image, data: bytes, colour: bool) -> Pixels:
    factor = _jpeg_factor(image.size)
    profile = image.info.get("icc_profile")
    wide = bool(profile) and image.mode == "RGB" and not is_srgb(profile)
    if image.mode in ("L", "RGB") and not colour and not wide:
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
    strips = []
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        strip = image if box[3] - top == image.height else image.crop(box)
        plain = _to_srgb(strip, profile)
        if factor > 1 and plain.height >= factor:
            plain = plain.reduce(factor)
        elif factor > 1:
            continue  # a last strip thinner than one output row
        strips.append(np.asarray(plain if plain.mode in ("L", "RGB") else plain.convert("RGB")))
    return np.ascontiguousarray(strips[0] if len(strips) == 1 else np.concatenate(strips))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Any mode to L or RGB in sRGB, alpha on white."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, layer).convert("RGB")
    elif image.mode in ("1", "P"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if profile and image.mode in ("RGB", "CMYK") and not is_srgb(profile):
        image = _through_profile(image, profile)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _to_8_bit(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Pixels:
    """16-bit and 32-bit integers and floats to 0..255.

    Integers over 255 are taken as 16-bit; floats of at most 1 as shares of white.
    """
    numbers = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(numbers.max(initial=0.0))
    if values.dtype.kind == "f":
        scale = 255.0 if top <= 1.0 else 1.0
    else:
        scale = 1 / 257 if values.dtype.itemsize == 2 or top > 255 else 1.0
    result: Pixels = np.clip(numbers * scale + 0.5, 0, 255).astype(np.uint8)
    return result


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, _srgb_profile(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile, or one for other colours: the pixels are used as they stand
    return image if converted is None else converted


@functools.lru_cache(maxsize=1)
def _srgb_profile() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


@functools.lru_cache(maxsize=64)
def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile says that it is sRGB already (as nearly all do); False when unreadable."""
    from PIL import ImageCms

    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return "srgb" in ImageCms.getProfileDescription(parsed).lower()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False


def _pillow_names(name: str) -> tuple[str, ...]:
    return {
        "jpeg": ("JPEG", "MPO"),
        "jp2": ("JPEG2000",),
        "pnm": ("PPM",),
    }.get(name, (name.upper(),))


@functools.lru_cache(maxsize=1)
def _decoder() -> str:
    import PIL
    from PIL import features

    return f"pillow {PIL.__version__}, libjpeg-turbo {features.version_feature('libjpeg_turbo')}"
