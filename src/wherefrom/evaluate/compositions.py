"""Edits that put a picture among other things: screenshots, collages, pictures in pictures, cut-outs."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wherefrom.evaluate.edited import Edited, Others, Random, kept, moved, sized
from wherefrom.evaluate.overlays import CAPTIONS
from wherefrom.evaluate.scenery import companions

_LONGEST = 1600  # pixels of a composition's longer side, at most
_NAMES = ("Ada Winter", "m_lindqvist", "The Daily Heron", "kofi.b", "Rosa & Jun", "harbour notes")
_WORDS = (
    "quiet",
    "morning",
    "light",
    "river",
    "market",
    "old",
    "stone",
    "window",
    "garden",
    "bread",
    "train",
    "letter",
    "rain",
    "orchard",
    "evening",
    "bicycle",
    "harbour",
    "winter",
    "lamp",
    "field",
)
_LIGHT = ("#ffffff", "#16181c", "#8a8f98", "#e6e8eb", "#1d6fe0")
_DARK = ("#101216", "#eceef1", "#7d838d", "#2a2e35", "#4b93f0")
Palette = tuple[str, str, str, str, str]
"""Ground, ink, faint ink, lines, accent."""


def screenshot(image: Image.Image, random: Random, share: float) -> Edited:
    """A post in an app, `share` of its area the picture: on a telephone, or in a window for tall ones."""
    palette = (_LIGHT, _DARK)[int(random.integers(2))]
    width, height = image.size
    telephone = width >= 1.1 * height
    # How much of the width and height of the screen the picture takes.
    across, down = (1.0, share) if telephone else (share / 0.8, 0.8)
    factor = float(random.uniform(0.75, 1.1)) * max(1.0, 240 / max(width, height))
    factor = min(factor, _LONGEST / max(width / across, height / down))
    shown = sized(image, max(1, round(width * factor)), max(1, round(height * factor)))
    size = (max(1, round(shown.image.width / across)), max(1, round(shown.image.height / down)))
    screen = Image.new("RGB", size, palette[0])
    left = 0 if telephone else round(0.04 * size[0])
    top = round((0.24 if telephone else 0.14) * size[1])
    draw = ImageDraw.Draw(screen)
    (_telephone if telephone else _window)(draw, random, palette, (left, top, *shown.image.size), size)
    return _pasted(shown, screen, left, top)


def collage(image: Image.Image, random: Random, others: Others) -> Edited:
    """One of four pictures of one size, two by two: a quarter of the area."""
    factor = min(float(random.uniform(0.6, 0.9)), _LONGEST / 2 / max(image.size))
    cell = sized(image, max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    width, height = cell.image.size
    canvas = Image.new("RGB", (2 * width, 2 * height))
    mine = int(random.integers(4))
    places = [(number % 2 * width, number // 2 * height) for number in range(4)]
    left, top = places.pop(mine)
    for place, other in zip(places, companions(others, random, [(width, height)] * 3), strict=True):
        canvas.paste(other, place)
    return _pasted(cell, canvas, left, top)


def inset(image: Image.Image, random: Random, others: Others, share: float) -> Edited:
    """A picture laid somewhere on another one, of whose area it takes `share`."""
    width, height = image.size
    aspect = (width / height) ** 0.5  # nearer to square than the picture, so that the picture fits
    factor = float(random.uniform(0.6, 0.9))
    area = width * height * factor**2 / share
    factor *= min(1.0, _LONGEST / max((area * aspect) ** 0.5, (area / aspect) ** 0.5))
    shown = sized(image, max(1, round(width * factor)), max(1, round(height * factor)))
    area = shown.image.width * shown.image.height / share
    size = (
        max(shown.image.width, round((area * aspect) ** 0.5)),
        max(shown.image.height, round((area / aspect) ** 0.5)),
    )
    canvas = companions(others, random, [size])[0]
    left = int(random.integers(size[0] - shown.image.width + 1))
    top = int(random.integers(size[1] - shown.image.height + 1))
    return _pasted(shown, canvas, left, top)


def cut_out(image: Image.Image, background: Image.Image | str, *names: str) -> Edited:
    """The ellipse in the middle, four fifths of the sides, on a colour or on a picture of the same size."""
    width, height = image.size
    mask = Image.new("L", (2 * width, 2 * height), 0)
    ImageDraw.Draw(mask).ellipse((0.2 * width, 0.2 * height, 1.8 * width, 1.8 * height), fill=255)
    mask = mask.resize(image.size, Image.Resampling.BOX)
    ground = Image.new("RGB", image.size, background) if isinstance(background, str) else background
    return kept(Image.composite(image, ground, mask), *names)


def _pasted(shown: Edited, canvas: Image.Image, left: int, top: int) -> Edited:
    canvas.paste(shown.image, (left, top))
    laid = Edited(canvas, moved(left, top), frozenset({"embedded"}))
    return shown.then(lambda _image, _random, _others: laid, np.random.default_rng(0))


def _telephone(
    draw: ImageDraw.ImageDraw,
    random: Random,
    palette: Palette,
    box: tuple[int, int, int, int],
    size: tuple[int, int],
) -> None:
    ground, ink, faint, line, accent = palette
    width, height = size
    unit = height / 60
    _status(draw, random, ink, width, unit)
    draw.text((1.5 * unit, 4.6 * unit), "Moments", ink, ImageFont.load_default(2.2 * unit), anchor="lm")
    draw.line([(0, 7 * unit), (width, 7 * unit)], fill=line, width=1)
    _post(draw, random, palette, (1.5 * unit, 9 * unit), unit)
    _lines(draw, random, faint, (1.5 * unit, 12.2 * unit, width - 1.5 * unit), unit * 0.62, 1)
    y = box[1] + box[3] + 1.6 * unit
    for number in range(3):
        x = (1.5 + 4 * number) * unit
        draw.ellipse((x, y, x + 2 * unit, y + 2 * unit), outline=ink, width=max(1, round(unit / 6)))
    count = f"{int(random.integers(12, 9000)):,} likes"
    draw.text((1.5 * unit, y + 3.8 * unit), count, ink, ImageFont.load_default(1.5 * unit), anchor="lm")
    _lines(draw, random, faint, (1.5 * unit, y + 5.6 * unit, width - 1.5 * unit), unit, 3)
    low = height - 4.5 * unit
    draw.rectangle((0, low, width, height), fill=line)
    for number in range(5):
        x = width * (0.1 + 0.2 * number)
        mark = (x - 0.9 * unit, low + 1.3 * unit, x + 0.9 * unit, low + 3.1 * unit)
        draw.rounded_rectangle(mark, 0.4 * unit, fill=accent if number == 0 else ground, outline=ink)


def _window(
    draw: ImageDraw.ImageDraw,
    random: Random,
    palette: Palette,
    box: tuple[int, int, int, int],
    size: tuple[int, int],
) -> None:
    _, ink, faint, line, accent = palette
    width, height = size
    unit = min(height / 50, width / 30)
    draw.rectangle((0, 0, width, 2.6 * unit), fill=line)
    for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        x = (1 + 1.6 * number) * unit
        draw.ellipse((x, 0.8 * unit, x + unit, 1.8 * unit), fill=colour)
    field = (7 * unit, 0.5 * unit, width - 2 * unit, 2.1 * unit)
    draw.rounded_rectangle(field, 0.7 * unit, fill=palette[0])
    words = "https://moments.example/p/" + str(int(random.integers(10_000, 99_999)))
    font = ImageFont.load_default(max(6.0, 0.95 * unit))
    draw.text((7.6 * unit, 1.3 * unit), words, faint, font, anchor="lm")
    title = CAPTIONS[int(random.integers(len(CAPTIONS)))][0]
    draw.text((box[0], 5 * unit), title, ink, ImageFont.load_default(1.8 * unit), anchor="lm")
    left = box[0] + box[2] + 1.5 * unit
    _post(draw, random, palette, (left, 9 * unit), 0.9 * unit)
    button = (left, 12 * unit, left + 8 * unit, 14.4 * unit)
    draw.rounded_rectangle(button, unit, fill=accent)
    draw.text(
        (left + 4 * unit, 13.2 * unit), "Follow", "white", ImageFont.load_default(unit * 1.1), anchor="mm"
    )
    _lines(draw, random, faint, (left, 16.5 * unit, width - unit), unit, 14)
    draw.line([(0, height - 2 * unit), (width, height - 2 * unit)], fill=line, width=1)


def _status(draw: ImageDraw.ImageDraw, random: Random, ink: str, width: int, unit: float) -> None:
    clock = f"{int(random.integers(24))}:{int(random.integers(60)):02}"
    draw.text((1.5 * unit, 1.4 * unit), clock, ink, ImageFont.load_default(1.4 * unit), anchor="lm")
    for number in range(4):
        x = width - (9 - 0.9 * number) * unit
        draw.rectangle((x, (1.7 - 0.3 * number) * unit, x + 0.6 * unit, 2 * unit), fill=ink)
    battery = (width - 4.5 * unit, 0.9 * unit, width - 1.7 * unit, 2 * unit)
    draw.rounded_rectangle(battery, 0.3 * unit, outline=ink, width=max(1, round(unit / 6)))
    full = 2.4 * float(random.uniform(0.2, 1))
    draw.rectangle((battery[0] + 0.2 * unit, 1.1 * unit, battery[0] + full * unit, 1.8 * unit), fill=ink)


def _post(
    draw: ImageDraw.ImageDraw, random: Random, palette: Palette, place: tuple[float, float], unit: float
) -> None:
    x, y = place
    draw.ellipse((x, y - 1.3 * unit, x + 2.6 * unit, y + 1.3 * unit), fill=palette[4])
    name = _NAMES[int(random.integers(len(_NAMES)))]
    text = (x + 1.3 * unit, y), name[0].upper(), "white", ImageFont.load_default(1.4 * unit)
    draw.text(*text, anchor="mm")
    draw.text(
        (x + 3.4 * unit, y - 0.6 * unit), name, palette[1], ImageFont.load_default(1.3 * unit), anchor="lm"
    )
    hours = f"{int(random.integers(1, 23))} h"
    draw.text(
        (x + 3.4 * unit, y + 0.9 * unit), hours, palette[2], ImageFont.load_default(1.1 * unit), anchor="lm"
    )


def _lines(
    draw: ImageDraw.ImageDraw,
    random: Random,
    ink: str,
    place: tuple[float, float, float],
    unit: float,
    count: int,
) -> None:
    """Lines of words from `place` (left, top) to its right, the last one shorter."""
    left, top, right = place
    font = ImageFont.load_default(max(6.0, 1.3 * unit))
    for number in range(count):
        room, words = (right - left) * (0.6 if number == count - 1 else 1.0), ""
        while True:
            longer = f"{words} {_WORDS[int(random.integers(len(_WORDS)))]}".strip()
            if font.getlength(longer) > room:
                break
            words = longer
        draw.text((left, top + number * 2 * unit), words, ink, font, anchor="la")
