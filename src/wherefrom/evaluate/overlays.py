"""Edits that write and draw on pictures: captions, watermarks, logos, stickers."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wherefrom.evaluate.edited import Edited, Random, kept, moved

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

CAPTIONS = (
    ("when the kettle finally boils", "and the tea is all gone"),
    ("me explaining my weekend plans", "to the neighbour's dog"),
    ("nobody at all", "my alarm clock on a Sunday"),
    ("the recipe said twenty minutes", "that was three hours ago"),
    ("found this in the attic today", "does anyone know what it is?"),
    ("first day of the holidays", "last day of the holidays"),
    ("they said it could not be done", "they were quite right"),
    ("waiting for the bus since Tuesday", "it has become a lifestyle"),
)
_MARKS = ("SAMPLE", "© North Quay Pictures", "PREVIEW ONLY", "stock-of-things.example", "do not copy")
_FACES = ("#ffcc33", "#ffd966", "#f7b733")
_SHAPES = ("#e63946", "#2a9d8f", "#457b9d", "#f4a261", "#8338ec")


def font_for(words: str, width: float, size: float) -> Font:
    """The default font at `size` pixels, or smaller where the words would be wider than `width`."""
    font = ImageFont.load_default(max(6.0, size))
    wide = font.getlength(words)
    return font if wide <= width else ImageFont.load_default(max(6.0, size * width / wide))


def captioned(image: Image.Image, random: Random, *, above: bool) -> Edited:
    """Two lines of text in a bar outside the picture: black on white above it, or white on black below."""
    width, height = image.size
    lines = CAPTIONS[int(random.integers(len(CAPTIONS)))]
    size = max(9.0, width / 17)
    bar = round(3.2 * size)
    canvas = Image.new("RGB", (width, height + bar), "white" if above else "black")
    canvas.paste(image, (0, bar if above else 0))
    draw = ImageDraw.Draw(canvas)
    font = font_for(max(lines, key=len), 0.92 * width, size)
    for number, line in enumerate(lines):
        y = (0 if above else height) + bar * (0.3 + 0.4 * number)
        draw.text((width / 2, y), line, "black" if above else "white", font, anchor="mm")
    return Edited(canvas, moved(0, bar if above else 0), frozenset({"border"}))


def written_over(image: Image.Image, random: Random) -> Edited:
    """Big white letters with black outlines, at the top and at the bottom."""
    done, (width, height) = image.copy(), image.size
    draw = ImageDraw.Draw(done)
    size = max(10.0, min(width, 1.4 * height) / 8)
    lines = CAPTIONS[int(random.integers(len(CAPTIONS)))]
    for line, y, anchor in zip(lines, (0.03 * height, 0.97 * height), ("ma", "md"), strict=True):
        words = line.upper()
        draw.text(
            (width / 2, y),
            words,
            "white",
            font_for(words, 0.94 * width, size),
            anchor=anchor,
            stroke_width=max(1, round(size / 14)),
            stroke_fill="black",
        )
    return kept(done, "overlay")


def watermarked(image: Image.Image, random: Random) -> Edited:
    """Half-transparent words again and again, on a slant."""
    width, height = image.size
    words = _MARKS[int(random.integers(len(_MARKS)))]
    side = int(np.ceil(np.hypot(width, height)))
    size = max(9.0, min(width, height) / 13)
    font = font_for(words, side, size)
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    step = font.getlength(words) + 2.5 * size
    rows = int(side / (3.2 * size)) + 1
    for row in range(rows):
        x = -step * float(random.uniform()) - (row % 2) * step / 2
        while x < side:
            draw.text((x, row * 3.2 * size), words, 105, font)
            x += step
    mask = mask.rotate(30, Image.Resampling.BICUBIC)
    left, top = (side - width) // 2, (side - height) // 2
    done = image.copy()
    done.paste("white", (0, 0), mask.crop((left, top, left + width, top + height)))
    return kept(done, "overlay")


def badged(image: Image.Image, random: Random) -> Edited:
    """An opaque logo, 15 % of the shorter side wide, in one of the corners."""
    width, height = image.size
    side = max(8, round(0.15 * min(width, height)))
    margin = round(0.25 * side)
    right, low = (bool(value) for value in random.integers(0, 2, 2))
    place = (width - side - margin if right else margin, height - side - margin if low else margin)
    done = image.copy()
    done.paste(_logo(random, side), place)
    return kept(done, "overlay")


def _logo(random: Random, side: int) -> Image.Image:
    fine = Image.new("RGB", (side * 3, side * 3), _SHAPES[int(random.integers(len(_SHAPES)))])
    draw, size = ImageDraw.Draw(fine), side * 3
    draw.ellipse((0.14 * size, 0.1 * size, 0.86 * size, 0.82 * size), fill="white")
    angle = float(random.uniform(0, 120))
    draw.pieslice((0.24 * size, 0.2 * size, 0.76 * size, 0.72 * size), angle, angle + 230, fill="#202020")
    words = "".join(chr(65 + int(value)) for value in random.integers(0, 26, 4))
    draw.text((size / 2, 0.9 * size), words, "white", font_for(words, size, 0.17 * size), anchor="mm")
    return fine.resize((side, side), Image.Resampling.LANCZOS)


def stickered(image: Image.Image, random: Random) -> Edited:
    """Some faces and coloured shapes stuck anywhere, each about a sixth of the shorter side."""
    done, (width, height) = image.copy(), image.size
    draw = ImageDraw.Draw(done)
    for number in range(int(random.integers(4, 7))):
        side = min(width, height) * float(random.uniform(0.13, 0.2))
        x, y = float(random.uniform(0, width - side)), float(random.uniform(0, height - side))
        if number % 2 == 0:
            _face(draw, x, y, side, _FACES[int(random.integers(len(_FACES)))])
        else:
            _shape(draw, random, x, y, side)
    return kept(done, "overlay")


def _face(draw: ImageDraw.ImageDraw, x: float, y: float, side: float, colour: str) -> None:
    draw.ellipse((x, y, x + side, y + side), fill=colour, outline="#a06a10", width=max(1, round(side / 30)))
    for across in (0.28, 0.6):
        eye = (x + across * side, y + 0.28 * side, x + (across + 0.12) * side, y + 0.48 * side)
        draw.ellipse(eye, fill="#402008")
    mouth = (x + 0.22 * side, y + 0.3 * side, x + 0.78 * side, y + 0.82 * side)
    draw.arc(mouth, 20, 160, fill="#402008", width=max(1, round(side / 14)))


def _shape(draw: ImageDraw.ImageDraw, random: Random, x: float, y: float, side: float) -> None:
    colour = _SHAPES[int(random.integers(len(_SHAPES)))]
    kind = int(random.integers(3))
    if kind == 0:
        draw.rounded_rectangle((x, y, x + side, y + 0.6 * side), side / 8, fill=colour)
    elif kind == 1:
        draw.regular_polygon((x + side / 2, y + side / 2, side / 2), 3, float(random.uniform(0, 120)), colour)
    else:
        spikes = []
        for number in range(10):
            angle, reach = np.pi * number / 5, side * (0.5 if number % 2 else 0.22)
            spikes.append((x + side / 2 + reach * np.sin(angle), y + side / 2 + reach * np.cos(angle)))
        draw.polygon(spikes, fill=colour)
