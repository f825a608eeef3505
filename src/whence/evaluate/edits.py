"""Edits: what people do to pictures before they post them again, as functions from image to image.

Each edit takes an upright RGB image and a random generator and gives the edited one; the same seed gives
the same picture. `EDITS` is the suite by name; the amount is in the name.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Random = np.random.Generator
Editor = Callable[[Image.Image, Random], Image.Image]

EDITS: dict[str, Editor] = {}


def _named(name: str, editor: Callable[[Image.Image], Image.Image]) -> None:
    EDITS[name] = lambda image, _random: editor(image)


def edit(name: str, image: Image.Image, seed: int = 0) -> Image.Image:
    """An image edited by the edit of that name; raises KeyError for an unknown one."""
    return EDITS[name](image.convert("RGB"), np.random.default_rng([seed, len(name), *name.encode()]))


def encoded(image: Image.Image, kind: str, quality: int = 90) -> bytes:
    """An image as the bytes of a file: `JPEG`, `PNG` or `WEBP`."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, kind, compress_level=1)
    else:
        image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def recoded(image: Image.Image, kind: str, quality: int) -> Image.Image:
    """An image after being saved to a lossy format and read again."""
    with Image.open(io.BytesIO(encoded(image, kind, quality))) as opened:
        return opened.convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    """An image at `factor` times its width and height."""
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.LANCZOS)


def gamma(image: Image.Image, power: float) -> Image.Image:
    """Every channel raised to a power: below 1 brightens, above 1 darkens."""
    curve = [round(255 * (level / 255) ** power) for level in range(256)]
    return image.point(curve * 3)


def noisy(image: Image.Image, random: Random, sigma: float) -> Image.Image:
    """Gaussian noise of a standard deviation in grey levels, apart for each channel."""
    values = np.asarray(image, np.float32) + random.normal(0, sigma, (image.height, image.width, 3))
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def bordered(image: Image.Image, share: float, colour: str) -> Image.Image:
    """A frame around an image, `share` of the longer side wide."""
    return ImageOps.expand(image, round(share * max(image.size)), colour)


def letterboxed(image: Image.Image, aspect: float) -> Image.Image:
    """Black bars that bring an image to an aspect (width to height)."""
    width, height = image.size
    canvas = (max(width, round(height * aspect)), max(height, round(width / aspect)))
    return ImageOps.pad(image, canvas, Image.Resampling.LANCZOS, "black")


_named("jpeg q10", lambda i: recoded(i, "JPEG", 10))
_named("jpeg q50", lambda i: recoded(i, "JPEG", 50))
_named("webp q20", lambda i: recoded(i, "WEBP", 20))
_named("resize 25 %", lambda i: resized(i, 0.25))
_named("resize 50 %", lambda i: resized(i, 0.5))
_named("resize 200 %", lambda i: resized(i, 2))
_named("grey", lambda i: i.convert("L").convert("RGB"))
_named("brightness +30 %", lambda i: ImageEnhance.Brightness(i).enhance(1.3))
_named("brightness -40 %", lambda i: ImageEnhance.Brightness(i).enhance(0.6))
_named("contrast +50 %", lambda i: ImageEnhance.Contrast(i).enhance(1.5))
_named("contrast -50 %", lambda i: ImageEnhance.Contrast(i).enhance(0.5))
_named("gamma 0.6", lambda i: gamma(i, 0.6))
_named("gamma 1.6", lambda i: gamma(i, 1.6))
_named("saturation +80 %", lambda i: ImageEnhance.Color(i).enhance(1.8))
_named("blur 1", lambda i: i.filter(ImageFilter.GaussianBlur(1)))
_named("blur 2", lambda i: i.filter(ImageFilter.GaussianBlur(2)))
_named("sharpen", lambda i: i.filter(ImageFilter.UnsharpMask(2, 150)))
EDITS["noise 10"] = lambda i, random: noisy(i, random, 10)
EDITS["noise 20"] = lambda i, random: noisy(i, random, 20)
_named("aspect 1.3", lambda i: i.resize((round(i.width * 1.3), i.height), Image.Resampling.LANCZOS))
_named("mirror", ImageOps.mirror)
_named("turn 90", lambda i: i.transpose(Image.Transpose.ROTATE_270))
_named("turn 180", lambda i: i.transpose(Image.Transpose.ROTATE_180))
_named("turn 270", lambda i: i.transpose(Image.Transpose.ROTATE_90))
_named("mirror, turn 90", lambda i: ImageOps.mirror(i).transpose(Image.Transpose.ROTATE_270))
_named("negative", ImageOps.invert)
_named("border 10 % white", lambda i: bordered(i, 0.1, "white"))
_named("border 10 % black", lambda i: bordered(i, 0.1, "black"))
_named("border 10 % blue", lambda i: bordered(i, 0.1, "#2060c0"))
_named("letterbox 16:9", lambda i: letterboxed(i, 16 / 9 if i.width / i.height < 1.7 else 4 / 3))
_named("pillarbox 1:1", lambda i: letterboxed(i, 1.0))
_named(
    "border 10 %, mirror, jpeg q30", lambda i: recoded(ImageOps.mirror(bordered(i, 0.1, "white")), "JPEG", 30)
)

TONE = (
    "jpeg q10",
    "resize 25 %",
    "grey",
    "brightness +30 %",
    "brightness -40 %",
    "contrast +50 %",
    "contrast -50 %",
    "gamma 0.6",
    "gamma 1.6",
    "blur 1",
    "noise 10",
)
"""Edits that leave a picture what and where it was: fingerprints alone find these."""

GEOMETRY = (
    "mirror",
    "turn 90",
    "turn 180",
    "turn 270",
    "negative",
    "border 10 % white",
    "border 10 % black",
    "border 10 % blue",
    "letterbox 16:9",
    "pillarbox 1:1",
)
"""Edits that orientation, the negative or trimming explains."""
