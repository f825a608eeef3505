"""What a decoder gives, in any mode and under any profile, to 8-bit pixels in sRGB at working size."""

from __future__ import annotations

import functools
import io
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wherefrom.picture.picture import Pixels

if TYPE_CHECKING:
    from PIL import Image

WORKING_SIDE = 512
"""The shorter side, in pixels, below which a picture is never reduced while decoding."""

MOST_PIXELS = 16_777_216
"""Pixels of a picture as it is worked on, whatever its shape: what is beyond is averaged."""

LONGEST_SIDE = 40_960
"""The longer side, in pixels, of a picture as it is worked on: 40 times the longest shorter side."""

_STRIP_PIXELS = 4_000_000
_PROFILE_BYTES = 4 * 1024 * 1024
_SAME_COLOUR = 4  # of 255, by which a profile may differ from sRGB and still count as it


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
        return _through_profile(image, None)
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


def bounded(pixels: Pixels, most: int = MOST_PIXELS, longest: int = LONGEST_SIDE) -> Pixels:
    """Pixels of which there are at most so many, on sides of at most `longest`: the rest is averaged.

    A ribbon is averaged further along its length, where that alone is beyond the bounds.
    """
    height, width = pixels.shape[:2]
    if height * width <= most and max(height, width) <= longest:
        return pixels
    factor = min(math.ceil(math.sqrt(max(1.0, height * width / most))), height, width)
    short, long = math.ceil(min(height, width) / factor), max(height, width)
    along = max(factor, math.ceil(long / min(longest, most // short)))
    factors = (along, factor) if width >= height else (factor, along)
    return np.ascontiguousarray(image_of(pixels).reduce(factors))


def image_of(pixels: Pixels) -> Image.Image:
    """Pixels as a Pillow image."""
    from PIL import Image

    return Image.fromarray(pixels)


def _to_8_bit(image: Image.Image, white: float) -> Image.Image:
    shares = np.clip(_finite(image) * (255.0 / white) + 0.5, 0, 255)
    return image_of(shares.astype(np.uint8))


def _through_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours under an ICC profile (None: CIELAB as Pillow has it) to sRGB."""
    from PIL import ImageCms

    try:
        converted = ImageCms.applyTransform(image, _transform(profile, image.mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile, or one for other colours: the pixels are used as they stand
    if converted is None:
        return image
    return converted.convert("L") if image.mode == "L" else converted


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes | None, mode: str) -> Any:
    """From a profile to sRGB. Making one takes as long as applying it, and a camera's profiles repeat."""
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else _made_profile("LAB")
    return ImageCms.buildTransform(source, _made_profile("sRGB"), mode, "RGB")


@functools.lru_cache(maxsize=2)
def _made_profile(name: Literal["sRGB", "LAB"]) -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile(name)


@functools.lru_cache(maxsize=16)
def tones_of(profile: bytes | None, mode: str) -> Pixels | None:
    """What an ICC profile makes of each level of grey: uint8 (256,); None where that is not enough.

    For luma alone this stands for the whole profile: greys, which all RGB profiles share an axis for,
    come out exactly, and the luma of colours within a few levels, at a thirtieth of the time.
    """
    if not profile or is_srgb(profile):
        return UNCHANGED
    if mode != "RGB" or profile[16:20] != b"RGB ":
        return None
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    seen: Pixels = np.asarray(_through_profile(image_of(ramp), profile))[0, :, 1].copy()
    return seen


UNCHANGED: Pixels = np.arange(256, dtype=np.uint8)


@functools.lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile leaves sRGB as it is, whatever it is called; as nearly all do.

    Told by what becomes of a lattice of colours. False for profiles of other than RGB; True for what is
    over `_PROFILE_BYTES` or no profile at all, since nothing can be done with it.
    """
    if len(profile) > _PROFILE_BYTES or profile[36:40] != b"acsp":
        return True
    if profile[16:20] != b"RGB ":
        return False
    steps = np.array([0, 64, 128, 192, 255], np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    seen = np.asarray(_through_profile(image_of(lattice), profile))
    return bool(np.abs(seen.astype(int) - lattice).max() <= _SAME_COLOUR)
