"""Drawn pictures of any size, shape and depth, in pairs: what no measure may stumble over."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from wherefrom.evaluate.edited import Random
from wherefrom.evaluate.scenery import scenery

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
"""Pillow's names of what a PNG may hold."""

CONTENTS = ("plain", "noise", "photo", "gradient", "lines")
KINSHIPS = ("none", "itself", "resized", "mirrored", "turned", "cropped", "recoloured", "pasted")
"""How the second picture of a pair comes from the first."""

MOST_SIDE = 200
MOST_ASPECT = 40


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures: the size and mode of each, what the first shows, and how the second comes from it.

    The same numbers draw the same pixels. Sides are at least 1; `seed` is not negative.
    """

    first: tuple[int, int]
    second: tuple[int, int]
    modes: tuple[str, str]
    content: str
    kinship: str
    seed: int

    def files(self) -> tuple[bytes, bytes]:
        """Both as PNG files."""
        random = np.random.default_rng(self.seed)
        one = _content(self.content, random, *self.first)
        if self.kinship == "none":
            other = _content(CONTENTS[int(random.integers(len(CONTENTS)))], random, *self.second)
        else:
            other = _kin(self.kinship, one, random, self.second)
        return _file(one, self.modes[0], random), _file(other, self.modes[1], random)


def a_pair(random: Random) -> Pair:
    """A pair in which every size, shape, mode, content and kinship has its chance."""

    def chosen(names: tuple[str, ...]) -> str:
        return names[int(random.integers(len(names)))]

    first = _size(random)
    second = first if random.uniform() < 0.3 else _size(random)
    modes = chosen(MODES), chosen(MODES)
    return Pair(first, second, modes, chosen(CONTENTS), chosen(KINSHIPS), int(random.integers(2**31)))


def size_of(longer: int, aspect: float, *, upright: bool) -> tuple[int, int]:
    """Width and height of a longer side and how many times as long as the other it is."""
    shorter = max(1, round(longer / aspect))
    return (shorter, longer) if upright else (longer, shorter)


def _size(random: Random) -> tuple[int, int]:
    longer = int(random.integers(1, MOST_SIDE + 1))
    aspect = float(np.exp(random.uniform(0, np.log(MOST_ASPECT)) * random.integers(2)))
    return size_of(longer, aspect, upright=bool(random.integers(2)))


def _content(name: str, random: Random, width: int, height: int) -> Image.Image:
    if name == "photo":  # drawn large, so that a thin one still shows something
        return scenery(random, max(width, 64), max(height, 64)).resize((width, height), Image.Resampling.BOX)
    colours = random.integers(0, 256, (2, 3))
    if name == "noise":
        return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
    if name == "gradient":
        across = (np.linspace(0, 1, width)[None, :] + np.linspace(0, 1, height)[:, None])[..., None] / 2
        return Image.fromarray((colours[0] * (1 - across) + colours[1] * across).astype(np.uint8))
    red, green, blue = (int(value) for value in colours[0])
    image = Image.new("RGB", (width, height), (red, green, blue))
    if name == "lines":
        draw = ImageDraw.Draw(image)
        for _ in range(int(random.integers(1, 12))):
            ends = [float(value) for value in random.uniform(0, 1, 4) * [width, height, width, height]]
            red, green, blue = (int(value) for value in random.integers(0, 256, 3))
            draw.line(ends, (red, green, blue), int(random.integers(1, 5)))
    return image


def _kin(name: str, one: Image.Image, random: Random, size: tuple[int, int]) -> Image.Image:
    if name == "itself":
        return one
    if name == "mirrored":
        return ImageOps.mirror(one)
    if name == "turned":
        return one.transpose(Image.Transpose.ROTATE_90)
    if name == "cropped":
        left, top = (int(random.integers(0, side)) // 3 for side in one.size)
        one = one.crop((left, top, one.width, one.height))
    elif name == "recoloured":
        return Image.merge("RGB", one.split()[1:] + one.split()[:1])
    elif name == "pasted":
        sheet = Image.new("RGB", size, "white")
        sheet.paste(one, (size[0] // 4, size[1] // 4))
        return sheet
    return one.resize(size, Image.Resampling.BICUBIC)


def _file(image: Image.Image, mode: str, random: Random) -> bytes:
    if mode == "I;16":
        deep = np.asarray(image.convert("L"), np.uint16) * 257
        image = Image.fromarray(deep)
    else:
        alpha = Image.fromarray(random.integers(0, 256, image.size[::-1], np.uint8))
        clear = random.integers(3)  # all of it, none, or here and there
        image = image.convert("RGB" if mode == "P" else mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(int(255 * clear) if clear < 2 else alpha)
        elif mode == "P":
            image = image.quantize(16)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
