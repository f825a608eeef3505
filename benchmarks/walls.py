"""Pictures hung on walls, for `similar.py`: framed, in a room, photographed from the side."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from wherefrom.evaluate.edited import corners, homography, moved, placed, within
from wherefrom.evaluate.tone import image_of, noisy, pixels_of


def hung(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A picture with a mount and a frame on a wall, photographed from the side: about a fifth of the shot."""
    shown = within(image, 560).image
    width, height = shown.size
    mount, frame = 0.06 * max(width, height), 0.04 * max(width, height)
    around = mount + frame
    framed = Image.new("RGB", (round(width + 2 * around), round(height + 2 * around)), wood(random))
    draw = ImageDraw.Draw(framed)
    inner = (frame, frame, framed.width - frame, framed.height - frame)
    draw.rectangle(inner, fill="#f3efe6", outline="#5a4a3a", width=2)
    framed.paste(shown, (round(around), round(around)))
    side = round(1.9 * max(framed.size))
    canvas = (side, round(side * 0.8))
    wall = papered(random, *canvas)
    # The far side of what is seen from the side is shorter, and nearer.
    far = random.uniform(0.82, 0.95)
    across, near = framed.width * random.uniform(0.75, 0.92), random.uniform(-0.03, 0.03, 2)
    outline = corners(across, framed.height)
    edge = [1, 2] if random.uniform() < 0.5 else [0, 3]
    middle = framed.height / 2
    outline[edge, 1] = middle + far * (outline[edge, 1] - middle)
    spare = np.array(canvas) - [across, framed.height]
    place = spare * [random.uniform(0.25, 0.75), random.uniform(0.1, 0.35)]
    outline += place + near * max(framed.size)
    matrix = homography(corners(*framed.size), outline)
    shadow = placed(Image.new("RGB", framed.size, "#6d675f"), moved(6, 9) @ matrix, wall)
    shot = pixels_of(placed(framed, matrix, Image.blend(wall, shadow, 0.6)))
    light = 1.0 + 0.35 * (np.linspace(0, 1, side)[None, :, None] - 0.5) * random.choice([-1, 1])
    warm = np.array([1.04, 1.0, 0.93], np.float32)
    return noisy(image_of((shot * light * warm).astype(np.float32)), random, 4)


def wood(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (np.array([110.0, 78.0, 48.0]) * random.uniform(0.35, 1.5)).clip(0, 255).astype(int)
    return int(red), int(green), int(blue)


def papered(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """A wall in one of some colours, rough, with a skirting, a sideboard and a lamp before it."""
    base = np.array(((214, 206, 190), (168, 184, 176), (120, 134, 158), (226, 222, 218))[random.integers(4)])
    rough = random.normal(0, 5, (height // 3 + 1, width // 3 + 1)).astype(np.float32)
    grain = np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BILINEAR))
    wall = image_of((base + grain[..., None]).astype(np.float32))
    draw = ImageDraw.Draw(wall)
    draw.rectangle((0, 0.9 * height, width, height), fill="#5e4630")
    draw.rectangle((0, 0.88 * height, width, 0.9 * height), fill="#efece6")
    left = random.uniform(0.05, 0.5) * width
    draw.rectangle(
        (left, 0.78 * height, left + 0.4 * width, 0.93 * height), fill="#7a5638", outline="#3a2616"
    )
    draw.line((left + 0.2 * width, 0.78 * height, left + 0.2 * width, 0.93 * height), fill="#3a2616", width=3)
    foot = left + 0.06 * width
    draw.line((foot, 0.6 * height, foot, 0.78 * height), fill="#303030", width=5)
    draw.polygon(
        [
            (foot - 0.05 * width, 0.62 * height),
            (foot + 0.05 * width, 0.62 * height),
            (foot + 0.03 * width, 0.52 * height),
            (foot - 0.03 * width, 0.52 * height),
        ],
        fill="#f2e2b6",
    )
    return wall
