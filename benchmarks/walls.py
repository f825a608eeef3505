"""Pictures hung on walls: framed, in a room, photographed from the side, about a fifth of the shot."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from wherefrom.evaluate.edited import Edited, Random, corners, homography, moved, placed, within
from wherefrom.evaluate.edits import EDITS
from wherefrom.evaluate.suites import ATTEMPTS, Attempt
from wherefrom.evaluate.tone import image_of, noisy, pixels_of

ON_A_WALL = "framed on a wall"
_PAINTS = ((214, 206, 190), (168, 184, 176), (120, 134, 158), (226, 222, 218))


def hung(image: Image.Image, random: Random) -> Edited:
    shown = within(image, 560).image
    mount, frame = 0.06 * max(shown.size), 0.04 * max(shown.size)
    around = mount + frame
    red, green, blue = (np.array([110.0, 78.0, 48.0]) * random.uniform(0.35, 1.5)).clip(0, 255).astype(int)
    size = round(shown.width + 2 * around), round(shown.height + 2 * around)
    framed = Image.new("RGB", size, (int(red), int(green), int(blue)))
    inner = (frame, frame, framed.width - frame, framed.height - frame)
    ImageDraw.Draw(framed).rectangle(inner, fill="#f3efe6", outline="#5a4a3a", width=2)
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
    outline += spare * [random.uniform(0.25, 0.75), random.uniform(0.1, 0.35)] + near * max(framed.size)
    matrix = homography(corners(*framed.size), outline)
    shadow = placed(Image.new("RGB", framed.size, "#6d675f"), moved(6, 9) @ matrix, wall)
    shot = pixels_of(placed(framed, matrix, Image.blend(wall, shadow, 0.6)))
    light = 1.0 + 0.35 * (np.linspace(0, 1, side)[None, :, None] - 0.5) * random.choice([-1, 1])
    warm = np.array([1.04, 1.0, 0.93], np.float32)
    return Edited(noisy(image_of((shot * light * warm).astype(np.float32)), random, 4), None, frozenset())


def papered(random: Random, width: int, height: int) -> Image.Image:
    """A wall in one of some colours, rough, with a skirting, a sideboard and a lamp before it."""
    base = np.array(_PAINTS[random.integers(4)])
    rough = random.normal(0, 5, (height // 3 + 1, width // 3 + 1)).astype(np.float32)
    grain = np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BILINEAR))
    wall = image_of((base + grain[..., None]).astype(np.float32))
    draw = ImageDraw.Draw(wall)
    left = random.uniform(0.05, 0.5)
    foot = left + 0.06

    def box(x0: float, y0: float, x1: float, y1: float, fill: str, outline: str | None = None) -> None:
        draw.rectangle((x0 * width, y0 * height, x1 * width, y1 * height), fill, outline)

    box(0, 0.9, 1, 1, "#5e4630")
    box(0, 0.88, 1, 0.9, "#efece6")
    box(left, 0.78, left + 0.4, 0.93, "#7a5638", "#3a2616")
    box(left + 0.2, 0.78, left + 0.203, 0.93, "#3a2616")
    box(foot - 0.002, 0.6, foot + 0.002, 0.78, "#303030")
    shade = ((foot - 0.05, 0.62), (foot + 0.05, 0.62), (foot + 0.03, 0.52), (foot - 0.03, 0.52))
    draw.polygon([(x * width, y * height) for x, y in shade], "#f2e2b6")
    return wall


EDITS[ON_A_WALL] = lambda image, random, _: hung(image, random)
ATTEMPTS[ON_A_WALL] = Attempt(ON_A_WALL, "photographed", covered=True)
