"""Drawn landscapes, for edits that show a picture among others where no others are given."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from wherefrom.evaluate.edited import Others, Random

_SKIES = (
    ((120, 170, 220), (230, 225, 200)),
    ((60, 50, 110), (240, 150, 90)),
    ((150, 160, 170), (215, 220, 225)),
)
_HILLS = ((86, 110, 90), (120, 96, 70), (70, 90, 120), (60, 100, 60), (140, 130, 110))


def scenery(random: Random, width: int, height: int) -> Image.Image:
    """A landscape: sky, a sun, ranges of hills, houses, grain."""
    top, bottom = (np.array(colour, np.float64) for colour in _SKIES[int(random.integers(len(_SKIES)))])
    down = np.linspace(0, 1, height)[:, None, None]
    sky = np.broadcast_to(top + (bottom - top) * down, (height, width, 3))
    image = Image.fromarray(np.ascontiguousarray(sky).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    size = min(width, height)
    x, y, radius = random.uniform(0, width), random.uniform(0, height / 3), size * random.uniform(0.04, 0.1)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 244, 210))
    for layer in range(int(random.integers(3, 6))):
        _hills(draw, random, width, height, layer)
    for _ in range(int(random.integers(2, 9))):
        _house(draw, random, width, height)
    grain = random.normal(0, 9, (height, width, 1))
    grained = np.clip(np.asarray(image, np.float64) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(grained).filter(ImageFilter.GaussianBlur(0.6))


def companions(others: Others, random: Random, sizes: list[tuple[int, int]]) -> list[Image.Image]:
    """One picture for each size, cut to fill it: different ones of `others`, or drawn where they run out."""
    order = random.permutation(len(others))
    return [
        ImageOps.fit(others[order[place]], size) if place < len(others) else scenery(random, *size)
        for place, size in enumerate(sizes)
    ]


def _hills(draw: ImageDraw.ImageDraw, random: Random, width: int, height: int, layer: int) -> None:
    level = height * (0.35 + 0.13 * layer)
    x = np.linspace(0, 1, 64)
    ridge = np.zeros(64)
    for wave in (1, 2, 4, 9):
        ridge += np.sin(2 * np.pi * (wave * x * random.uniform(0.6, 1.4) + random.uniform())) / wave
    line = [(float(a * width), float(level - height * 0.08 * b)) for a, b in zip(x, ridge, strict=True)]
    colour = np.array(_HILLS[int(random.integers(len(_HILLS)))]) * random.uniform(0.6, 1.2)
    red, green, blue = (int(value) for value in np.clip(colour, 0, 255))
    draw.polygon([(0.0, float(height)), *line, (float(width), float(height))], fill=(red, green, blue))


def _house(draw: ImageDraw.ImageDraw, random: Random, width: int, height: int) -> None:
    side = min(width, height) * random.uniform(0.05, 0.16)
    x, y = random.uniform(0, width - side), random.uniform(0.55 * height, height - side)
    walls = tuple(int(value) for value in random.integers(90, 240, 3))
    draw.rectangle((x, y, x + side, y + side), fill=walls)
    roof = tuple(int(value) for value in random.integers(40, 150, 3))
    draw.polygon([(x, y), (x + side / 2, y - side * 0.6), (x + side, y)], fill=roof)
    for column in (0.2, 0.6):
        left = x + column * side
        draw.rectangle((left, y + 0.3 * side, left + 0.2 * side, y + 0.55 * side), fill=(40, 50, 70))
