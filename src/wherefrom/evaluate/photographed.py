"""Edits that photograph a picture again: off a screen, off paper."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from wherefrom.evaluate.edited import Edited, Matrix, Random, corners, homography, moved, placed, within
from wherefrom.evaluate.tone import Pixels, blurred, image_of, noisy, pixels_of

_WORKING_SIDE = 1024  # pixels; a photograph of a picture shows no more than that


def off_screen(image: Image.Image, random: Random) -> Edited:
    """A screen in a dark room: slight keystone, moiré, glare, blur, another tone."""
    small = within(image, _WORKING_SIDE)
    width, height = small.image.size
    canvas, matrix = _stand(random, width, height, around=0.11, keystone=0.045)
    room = Image.new("RGB", canvas, "#17171b")
    bezel = 0.02 * max(width, height)
    frame = Image.new("RGB", (round(width + 2 * bezel), round(height + 2 * bezel)), "#060607")
    room = placed(frame, matrix @ moved(-bezel, -bezel), room)
    shown = image_of(_lit(random, pixels_of(small.image)))
    shot = pixels_of(blurred(placed(shown, matrix, room), 0.8)) + _glare(random, *canvas)
    shot = shot * np.array([0.94, 0.99, 1.07], np.float32) + 5
    done = noisy(image_of(shot), random, 3)
    names = frozenset({"perspective", "embedded", "tone"})
    return _after(small, Edited(done, matrix, names))


def off_print(image: Image.Image, random: Random) -> Edited:
    """A print with a white margin on a table: keystone, uneven light, noise, slight blur."""
    small = within(image, _WORKING_SIDE)
    width, height = small.image.size
    canvas, matrix = _stand(random, width, height, around=0.16, keystone=0.07)
    margin = 0.05 * max(width, height)
    paper = Image.new("RGB", (round(width + 2 * margin), round(height + 2 * margin)), "#f4f1ea")
    table = placed(paper, matrix @ moved(-margin, -margin), _table(random, *canvas))
    printed = image_of(22 + 0.84 * pixels_of(small.image))  # paper is never black
    shot = blurred(placed(printed, matrix, table), 0.7)
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: canvas[1], : canvas[0]].astype(np.float32)
    slope = (x / canvas[0] - 0.5) * np.cos(angle) + (y / canvas[1] - 0.5) * np.sin(angle)
    light = (0.9 + 0.4 * slope)[..., None] * np.array([1.05, 1.0, 0.9])
    done = noisy(image_of(pixels_of(shot) * light), random, 6)
    return _after(small, Edited(done, matrix, frozenset({"perspective", "embedded", "tone"})))


def _after(first: Edited, second: Edited) -> Edited:
    return first.then(lambda _image, _random, _others: second, np.random.default_rng(0))


def _stand(
    random: Random, width: int, height: int, around: float, keystone: float
) -> tuple[tuple[int, int], Matrix]:
    """A canvas with space `around`, and the homography that lays the picture's corners into it."""
    space = around * max(width, height)
    canvas = (round(width + 2 * space), round(height + 2 * space))
    outline = corners(width, height)
    shift = random.uniform(-keystone, keystone, (4, 2)) * max(width, height)
    return canvas, homography(outline, outline + space + shift)


def _lit(random: Random, values: Pixels) -> Pixels:
    """The pixels of a screen as a sensor's grid sees them: bands of colour that drift."""
    height, width = values.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = random.uniform(0, np.pi), random.uniform(7, 14)
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
    phase = phase + 2.5 * np.sin(2 * np.pi * y / (0.7 * height) + random.uniform(0, 6))
    bands = np.stack([np.cos(phase + shift) for shift in (0.0, 0.7, 1.4)], axis=-1)
    return np.asarray(values * (0.95 + 0.07 * bands), np.float32)


def _glare(random: Random, width: int, height: int) -> Pixels:
    """A lamp's reflection: light added around a point, (height, width, 1)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    across, down = random.uniform(0.15, 0.85, 2)
    away = np.hypot((x - across * width) / width, (y - down * height) / height)
    return np.asarray(70 * np.exp(-((away / 0.28) ** 2)), np.float32)[..., None]


def _table(random: Random, width: int, height: int) -> Image.Image:
    """Boards with a grain."""
    grain = random.normal(0, 1, (height, 1)).cumsum(axis=0)
    grain = 12 * (grain - grain.mean()) / (grain.std() + 1e-6)
    base = np.array([132.0, 98.0, 70.0]) * random.uniform(0.7, 1.1)
    rough = random.normal(0, 4, (height, width))
    table = image_of((base + (grain + rough)[..., None]).astype(np.float32))
    draw = ImageDraw.Draw(table)
    for number in range(1, 4):
        draw.line([(0, height * number / 4), (width, height * number / 4)], fill="#3c2a1c", width=2)
    return table
