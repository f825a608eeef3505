"""Edits that move pixels: crops, turns, other shapes, frames, a swirl."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from wherefrom.evaluate.edited import (
    Edited,
    Random,
    carried,
    corners,
    homography,
    moved,
    sized,
    stretched,
    turned,
    warped,
)


def resized(image: Image.Image, factor: float) -> Edited:
    """An image at `factor` times its width and height."""
    return sized(image, max(1, round(image.width * factor)), max(1, round(image.height * factor)))


def reshaped(image: Image.Image, across: float, down: float) -> Edited:
    """An image stretched: its width and its height times a factor each."""
    done = sized(image, max(1, round(image.width * across)), max(1, round(image.height * down)))
    return Edited(done.image, done.transform, frozenset({"aspect"}))


def mirrored(image: Image.Image) -> Edited:
    """Left and right changed over."""
    matrix = moved(image.width, 0) @ stretched(-1, 1)
    return Edited(ImageOps.mirror(image), matrix, frozenset({"mirror"}))


def flipped(image: Image.Image) -> Edited:
    """Top and bottom changed over: a mirror image that was turned by two right angles."""
    matrix = moved(0, image.height) @ stretched(1, -1)
    return Edited(ImageOps.flip(image), matrix, frozenset({"mirror", "rotate"}))


def quarter_turned(image: Image.Image, quarters: int) -> Edited:
    """Turned clockwise by one to three right angles."""
    width, height = image.size
    transpose, matrix = {
        1: (Image.Transpose.ROTATE_270, [[0, -1, height], [1, 0, 0], [0, 0, 1]]),
        2: (Image.Transpose.ROTATE_180, [[-1, 0, width], [0, -1, height], [0, 0, 1]]),
        3: (Image.Transpose.ROTATE_90, [[0, 1, 0], [-1, 0, width], [0, 0, 1]]),
    }[quarters]
    return Edited(image.transpose(transpose), np.array(matrix, np.float64), frozenset({"rotate"}))


def rotated(image: Image.Image, degrees: float) -> Edited:
    """Turned clockwise on a canvas that holds all of it; the canvas's corners are black."""
    turn = turned(degrees)
    outline = carried(turn, corners(*image.size))
    low, high = outline.min(axis=0), outline.max(axis=0)
    width, height = (int(np.ceil(extent - 1e-6)) for extent in high - low)
    middle = (low + high) / 2
    matrix = moved(width / 2 - middle[0], height / 2 - middle[1]) @ turn
    return Edited(warped(image, matrix, (width, height)), matrix, frozenset({"rotate"}))


def rotated_inside(image: Image.Image, degrees: float) -> Edited:
    """Turned clockwise and cut to the largest upright rectangle of its shape that it fills."""
    angle, (width, height) = np.deg2rad(degrees), image.size
    share = 1 / (np.cos(angle) + np.sin(angle) * max(width / height, height / width))
    size = (max(1, int(width * share)), max(1, int(height * share)))
    matrix = moved(size[0] / 2, size[1] / 2) @ turned(degrees) @ moved(-width / 2, -height / 2)
    return Edited(warped(image, matrix, size), matrix, frozenset({"rotate", "crop"}))


def cropped(image: Image.Image, random: Random, share: float) -> Edited:
    """A part of `share` of the area, anywhere in the picture and of its shape."""
    width, height = _part(image, share)
    left = int(random.integers(image.width - width + 1))
    top = int(random.integers(image.height - height + 1))
    return _cut(image, left, top, width, height)


def cropped_at(image: Image.Image, share: float, across: float, down: float) -> Edited:
    """A part of `share` of the area and of the picture's shape, at a place.

    (0, 0) is the top left corner, (1, 1) the bottom right one, (0.5, 0.5) the middle.
    """
    width, height = _part(image, share)
    left, top = round(across * (image.width - width)), round(down * (image.height - height))
    return _cut(image, left, top, width, height)


def _part(image: Image.Image, share: float) -> tuple[int, int]:
    side = np.sqrt(share)
    return max(1, round(image.width * side)), max(1, round(image.height * side))


def _cut(image: Image.Image, left: int, top: int, width: int, height: int) -> Edited:
    part = image.crop((left, top, left + width, top + height))
    return Edited(part, moved(-left, -top), frozenset({"crop"}))


def tilted(image: Image.Image, random: Random, share: float) -> Edited:
    """Seen at an angle: each corner moved inward by up to `share` of the sides; black around it."""
    width, height = image.size
    inward = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * random.uniform(0, share, (4, 2))
    outline = corners(width, height)
    matrix = homography(outline, outline + inward * [width, height])
    return Edited(warped(image, matrix, image.size), matrix, frozenset({"perspective"}))


def bordered(image: Image.Image, share: float, colour: str) -> Edited:
    """A frame around an image, `share` of the longer side wide."""
    wide = round(share * max(image.size))
    return Edited(ImageOps.expand(image, wide, colour), moved(wide, wide), frozenset({"border"}))


def letterboxed(image: Image.Image, aspect: float) -> Edited:
    """Black bars that bring an image to an aspect (width to height)."""
    width, height = image.size
    canvas = Image.new("RGB", (max(width, round(height * aspect)), max(height, round(width / aspect))))
    left, top = round((canvas.width - width) / 2), round((canvas.height - height) / 2)
    canvas.paste(image, (left, top))
    return Edited(canvas, moved(left, top), frozenset({"border"}))


def swirled(image: Image.Image, degrees: float) -> Edited:
    """The middle turned by `degrees`, less and less outward; no homography says where pixels went."""
    import cv2

    width, height = image.size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    away = np.hypot(x, y) / (0.35 * min(width, height))
    angle = np.deg2rad(degrees) * np.clip(1 - away, 0, 1) ** 2
    across = x * np.cos(angle) + y * np.sin(angle) + (width - 1) / 2
    down = y * np.cos(angle) - x * np.sin(angle) + (height - 1) / 2
    bent = cv2.remap(
        np.asarray(image),
        across.astype(np.float32),
        down.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return Edited(Image.fromarray(np.asarray(bent, np.uint8)), None, frozenset())
