"""Pictures that tests make: structure at every scale, no two alike."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Grey = NDArray[np.uint8]


def scene(height: int = 300, width: int = 400, seed: int = 0) -> Grey:
    """A picture with structure at every scale, like a photograph's spectrum."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for octave in range(2, 7):
        coarse = random.normal(0, 1, (2**octave, 2**octave))
        rows = np.linspace(0, 2**octave - 1, height)
        columns = np.linspace(0, 2**octave - 1, width)
        total += coarse[rows.astype(int)][:, columns.astype(int)] / 2 ** (octave / 2)
    total -= total.min()
    grey: Grey = (total / total.max() * 255).astype(np.uint8)
    return grey


@cache
def _pixels(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """Those of `picture`: tests ask for the same few again and again."""
    once, other = scene(height, width, 3 * seed), scene(height, width, 3 * seed + 1)
    return np.dstack([once, other, once])


def picture(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """A colour picture of its own for each seed."""
    return Image.fromarray(_pixels(seed, width, height))


def grained(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """The same as a camera has it: without sharp steps, and with grain, so that its size tells of it."""
    soft = np.asarray(picture(seed, width, height).filter(ImageFilter.GaussianBlur(0.7)), np.float64)
    grain = np.random.default_rng(seed).normal(0, 10, (height, width, 1))
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    """The bytes of a file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def folder_of(path: Path, count: int, first: int = 0) -> list[Path]:
    """`count` JPEG files in a folder, which is made."""
    path.mkdir(parents=True, exist_ok=True)
    files = [path / f"picture {number:03}.jpg" for number in range(first, first + count)]
    for number, file in enumerate(files, first):
        file.write_bytes(encoded(picture(number)))
    return files
