"""Edits that leave everything where it was: tone, colour, blur, noise, compression, printing."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from wherefrom.evaluate.edited import Random

Pixels = NDArray[np.float32]
"""float32 (height, width, 3), 0 to 255."""


def encoded(image: Image.Image, kind: str, quality: int = 90) -> bytes:
    """An image as the bytes of a file: `JPEG`, `PNG`, `WEBP` or `AVIF`."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, kind, compress_level=1)
    elif kind == "AVIF":
        image.save(buffer, kind, quality=quality, speed=8, max_threads=1)
    else:
        image.save(buffer, kind, quality=quality)
    return buffer.getvalue()


def recoded(image: Image.Image, kind: str, quality: int) -> Image.Image:
    """An image after being saved to a lossy format and read again."""
    with Image.open(io.BytesIO(encoded(image, kind, quality))) as opened:
        return opened.convert("RGB")


def pixels_of(image: Image.Image) -> Pixels:
    """The values of an RGB image."""
    return np.asarray(image, np.float32)


def image_of(values: NDArray[np.floating]) -> Image.Image:
    """An RGB image of values (height, width, 3), rounded and held to 0 to 255."""
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def gamma(image: Image.Image, power: float) -> Image.Image:
    """Every channel raised to a power: below 1 brightens, above 1 darkens."""
    curve = [round(255 * (level / 255) ** power) for level in range(256)]
    return image.point(curve * 3)


def noisy(image: Image.Image, random: Random, sigma: float) -> Image.Image:
    """Gaussian noise of a standard deviation in grey levels, apart for each channel."""
    return image_of(pixels_of(image) + random.normal(0, sigma, (image.height, image.width, 3)))


def blurred(image: Image.Image, sigma: float) -> Image.Image:
    """A Gaussian blur of a standard deviation in pixels."""
    return image.filter(ImageFilter.GaussianBlur(sigma))


def grey(image: Image.Image) -> Image.Image:
    """Without colour."""
    return image.convert("L").convert("RGB")


def warm(image: Image.Image) -> Image.Image:
    """Most of the way to sepia, blacks lifted."""
    values = pixels_of(image)
    luma = values @ np.array([0.299, 0.587, 0.114], np.float32)
    sepia = luma[..., None] * np.array([1.08, 0.92, 0.70], np.float32)
    return image_of(16 + 0.92 * (0.35 * values + 0.65 * sepia))


def cold(image: Image.Image) -> Image.Image:
    """Faded and bluish: little contrast, half the colour, blacks far from black."""
    values = pixels_of(ImageEnhance.Color(image).enhance(0.5))
    return image_of(values * np.array([0.60, 0.68, 0.74], np.float32) + np.array([44, 52, 66], np.float32))


def stark(image: Image.Image) -> Image.Image:
    """High-contrast black and white."""
    return grey(image).point([_s_curve(level / 255, 2.2) for level in range(256)] * 3)


def crossed(image: Image.Image) -> Image.Image:
    """Cross-processed: a curve of its own for each channel, and dark corners."""
    red = [_s_curve(level / 255, 1.6) for level in range(256)]
    green = [_s_curve(level / 255, 1.25) for level in range(256)]
    blue = [round(40 + 0.68 * level) for level in range(256)]
    return image_of(pixels_of(image.point(red + green + blue)) * vignette(image.width, image.height, 0.6))


def vignette(width: int, height: int, depth: float) -> Pixels:
    """Factors (height, width, 1): 1 in the middle, `1 - depth` in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.asarray(1 - depth * ((x * x + y * y) / 2) ** 1.5, np.float32)[..., None]


def _s_curve(share: float, strength: float) -> int:
    rising = float(share**strength)
    return round(255 * rising / (rising + float((1 - share) ** strength)))


def halftoned(image: Image.Image, pitch: float) -> Image.Image:
    """Black dots on white in rows at 45 degrees, `pitch` pixels apart, as in a newspaper."""
    fine = 3  # dots are drawn at so many times the size, for smooth edges
    width, height = image.size
    luma = np.asarray(
        image.convert("L").resize((width * fine, height * fine), Image.Resampling.BICUBIC), np.float32
    )
    y, x = np.mgrid[: height * fine, : width * fine].astype(np.float32) / np.float32(fine * pitch)
    turn = np.float32(np.pi * np.sqrt(2))
    threshold = 127.5 + 62 * (np.cos(turn * (x + y)) + np.cos(turn * (x - y)))
    dots = Image.fromarray(np.where(luma > threshold, 255, 0).astype(np.uint8))
    return dots.resize((width, height), Image.Resampling.BOX).convert("RGB")


def pixelated(image: Image.Image, block: int) -> Image.Image:
    """Blocks of one colour, `block` pixels wide."""
    small = (max(1, round(image.width / block)), max(1, round(image.height / block)))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)
