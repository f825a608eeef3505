"""Evidence as pictures: side by side, one warped onto the other, and what differs as a heat map.

The drawings take the pictures as PIL RGB images, whole and upright, at any size: `query_size` and
`match_size`, (width, height) in pixels, are those in which the evidence speaks, where they are not these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from wherefrom.printing import counted
from wherefrom.search import tone
from wherefrom.search.alignment import align
from wherefrom.search.answer import Evidence, Polygon
from wherefrom.search.overlays import differing
from wherefrom.search.query import picture_of
from wherefrom.search.wording import listed
from wherefrom.settings import Settings

Size = tuple[int, int]
Point = tuple[float, float]
Points = tuple[tuple[float, float, float, float], ...]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

LINES = 80  # lines that are drawn at most: more hide the pictures

# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
_COMMON = (0, 114, 178)
_POINT = (86, 180, 233)
_OVERLAY = (230, 119, 0)
_PAPER = (250, 250, 248)
_INK = (38, 42, 48)
_FAINT_INK = (110, 116, 124)
_DIM = (24, 27, 32, 150)
_FINE = 2  # lines are drawn at this many times the size and reduced
_HEAT = ((64, 30, 110), (178, 50, 90), (240, 130, 40), (255, 240, 170))  # little to much, dark to light
_HOTTEST = 96  # grey levels of difference that are drawn hottest


@dataclass(frozen=True, slots=True)
class _Panel:
    """A picture's place on the sheet: where, how large, and the scale from the evidence's pixels."""

    left: int
    top: int
    width: int
    height: int
    across: float
    down: float

    def place(self, x: float, y: float) -> Point:
        return self.left + x * self.across, self.top + y * self.down

    def outline(self, polygon: Polygon) -> list[Point]:
        return [self.place(x, y) for x, y in polygon]

    @property
    def box(self) -> tuple[int, int, int, int]:
        return self.left, self.top, self.left + self.width, self.top + self.height


def image_of(source: Any, settings: Settings) -> tuple[Image.Image, Size]:
    """The RGB image of a path, URL, bytes, Picture or PIL image, and the size of the whole upright picture.

    Files may be decoded at a reduced size; transparent parts become white. Raises a PictureError or
    FetchError when the source cannot be read, UsageError when it is of no use.
    """
    if isinstance(source, Image.Image):
        image = ImageOps.exif_transpose(source)
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return image.convert("RGB"), image.size
    picture, _ = picture_of(source, settings, colour=True)
    return Image.fromarray(picture.pixels).convert("RGB"), (picture.facts.width, picture.facts.height)


def draw(
    evidence: Evidence,
    query: Image.Image,
    match: Image.Image,
    *,
    height: int = 480,
    query_size: Size | None = None,
    match_size: Size | None = None,
) -> Image.Image:
    """Query and match side by side, each `height` pixels high or less, with a legend below; RGB.

    What both show is outlined and the rest dimmed, matched points are joined by at most 80 lines, spread over
    the query, and what differs is hatched on both. The legend says in words how the query differs. Raises
    ValueError for a height below 64 or a picture or size without pixels.
    """
    if height < 64:
        raise ValueError("a drawing has to be at least 64 pixels high")
    gap = max(8, height // 30)
    first = _panel(query, query_size, (gap, gap), height)
    second = _panel(match, match_size, (gap + first.width + gap, gap), height)
    tallest = max(first.height, second.height)
    width = second.left + second.width + gap
    font = ImageFont.load_default(max(11, height // 32))
    points = _spread(getattr(evidence, "points", ()), LINES)
    overlays = [edit for edit in evidence.edits if edit.name == "overlay" and edit.area]
    legend = _legend(evidence, len(points), bool(overlays), font, width - 2 * gap)
    sheet = Image.new("RGB", (width, gap + tallest + gap // 2 + legend.height + gap), _PAPER)
    for panel, picture in ((first, query), (second, match)):
        size = (panel.width, panel.height)
        sheet.paste(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3), panel.box)
    fine = (sheet.width * _FINE, (gap + tallest + gap // 2) * _FINE)
    layer = Image.new("RGBA", fine, (*_PAPER, 0))
    stroke = max(1.5, height / 220)
    for panel, area in ((first, evidence.query_area), (second, evidence.match_area)):
        _dim(layer, panel, area)
    for edit in overlays:
        _hatch(layer, first.outline(edit.area or ()), stroke, first)
        if outline := on_match(evidence, edit.area or ()):
            _hatch(layer, second.outline(outline), stroke, second)
    for panel, area in ((first, evidence.query_area), (second, evidence.match_area)):
        if area:
            _stroke(layer, panel.outline(area), stroke)
    _join(layer, points, first, second, stroke)
    layer = layer.resize((sheet.width, fine[1] // _FINE), Image.Resampling.BOX)
    sheet.paste(layer, (0, 0), layer)
    for panel, name in ((first, "query"), (second, "match")):
        _label(sheet, panel, name, font)
    sheet.paste(legend, (gap, gap + tallest + gap // 2))
    return sheet


def warped(
    evidence: Evidence,
    query: Image.Image,
    match: Image.Image,
    *,
    query_size: Size | None = None,
    match_size: Size | None = None,
) -> Image.Image:
    """The match in the query's frame: RGBA of the query image's size, transparent where the match is not.

    All transparent where the evidence has no transform.
    """
    import cv2

    if evidence.transform is None:
        return Image.new("RGBA", query.size)
    transform = _between(evidence, query, match, query_size, match_size)
    picture = match.convert("RGB")
    density = float(np.sqrt(abs(np.linalg.det(transform[:2, :2]))))
    if density < 0.8:  # reduced first, so that no pixel is skipped
        size = (max(1, round(picture.width * density)), max(1, round(picture.height * density)))
        transform = transform @ np.diag([picture.width / size[0], picture.height / size[1], 1.0])
        picture = picture.resize(size, Image.Resampling.BOX)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV counts from the middle of a pixel
    centred = np.linalg.inv(half) @ transform @ half
    pixels = np.asarray(picture)
    colours = cv2.warpPerspective(
        pixels, centred, query.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = cv2.warpPerspective(np.full(pixels.shape[:2], 255, np.uint8), centred, query.size)
    return Image.fromarray(np.dstack((colours, alpha)).astype(np.uint8), "RGBA")


def difference(
    evidence: Evidence,
    query: Image.Image,
    match: Image.Image,
    *,
    query_size: Size | None = None,
    match_size: Size | None = None,
) -> Image.Image:
    """Where the match, in the query's tones, differs: a heat map over the pale grey query; RGB, its size.

    Dark purple is a little, pale yellow 96 grey levels or more; a displacement of a pixel or two is none.
    """
    import cv2

    pale = np.asarray(query.convert("L"), np.float32) * 0.55 + 95
    base = np.repeat(pale[..., None], 3, axis=2)
    if evidence.transform is not None:
        transform = _between(evidence, query, match, query_size, match_size)
        scale = _scale(query, query_size)
        area = None if evidence.query_area is None else np.array(evidence.query_area) * scale
        pixels = np.asarray(match.convert("RGB"))
        if any(edit.name == "negative" for edit in evidence.edits):
            pixels = 255 - pixels
        aligned = align(np.asarray(query.convert("RGB")), pixels, transform, area)
        if aligned is not None:
            differs = differing(aligned, tone.fit(aligned).apply(aligned.match)).astype(np.float32)
            spread = cv2.warpPerspective(differs, aligned.outward, query.size)
            heat = np.clip(spread / _HOTTEST, 0, 1)
            stops = np.linspace(0, 1, len(_HEAT))
            colours = np.dstack([np.interp(heat, stops, channel) for channel in zip(*_HEAT, strict=True)])
            cover = np.clip((heat - 0.08) * 4, 0, 0.92)[..., None]
            base = base * (1 - cover) + colours * cover
    return Image.fromarray(np.clip(base + 0.5, 0, 255).astype(np.uint8))


def on_match(evidence: Evidence, area: Polygon) -> Polygon:
    """An area of the query, in pixels of the match; empty where the evidence has no transform."""
    if evidence.transform is None or not area:
        return ()
    back = np.linalg.inv(np.array(evidence.transform, np.float64))
    x, y, w = back @ np.vstack((np.array(area, np.float64).T, np.ones(len(area))))
    return tuple((float(a), float(b)) for a, b in zip(x / w, y / w, strict=True))


def _scale(picture: Image.Image, size: Size | None) -> Point:
    """From the evidence's pixels to the image's, across and down."""
    wide, high = size or picture.size
    if min(wide, high, picture.width, picture.height) < 1:
        raise ValueError("a picture has at least one pixel each way")
    return picture.width / wide, picture.height / high


def _between(
    evidence: Evidence,
    query: Image.Image,
    match: Image.Image,
    query_size: Size | None,
    match_size: Size | None,
) -> NDArray[np.float64]:
    """The evidence's transform, from pixels of the match image to pixels of the query image."""
    forward = np.diag([*_scale(query, query_size), 1.0])
    back = np.diag([*_scale(match, match_size), 1.0])
    return np.asarray(forward @ np.array(evidence.transform, np.float64) @ np.linalg.inv(back), np.float64)


def _panel(picture: Image.Image, size: Size | None, corner: Size, height: int) -> _Panel:
    """A picture's place: `height` high, or less where it would be wider than twice that."""
    wide, high = size or picture.size
    _scale(picture, size)
    factor = min(height / high, 2 * height / wide)
    width, tall = max(1, round(wide * factor)), max(1, round(high * factor))
    return _Panel(*corner, width, tall, width / wide, tall / high)


def _spread(points: Points, most: int) -> Points:
    """At most so many of the points, each as far as can be from those before it, in the query."""
    if len(points) <= most:
        return points
    places = np.array(points, np.float64)[:, :2]
    chosen = [0]
    distance = np.hypot(*(places - places[0]).T)
    while len(chosen) < most:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.hypot(*(places - places[chosen[-1]]).T))
    return tuple(points[number] for number in sorted(set(chosen)))


def _enlarged(points: list[Point]) -> list[Point]:
    return [(x * _FINE, y * _FINE) for x, y in points]


def _dim(layer: Image.Image, panel: _Panel, area: Polygon | None) -> None:
    """Darkens the panel outside the area; a picture without one stays as it is."""
    if not area:
        return
    box = tuple(value * _FINE for value in panel.box)
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]), 255)
    inside = [((x - panel.left) * _FINE, (y - panel.top) * _FINE) for x, y in panel.outline(area)]
    ImageDraw.Draw(mask).polygon(inside, 0)
    layer.paste(_DIM, (box[0], box[1]), mask)


def _stroke(layer: Image.Image, outline: list[Point], stroke: float) -> None:
    """A closed line in the colour of what both show, with a white rim that shows on dark pictures."""
    pen = ImageDraw.Draw(layer)
    corners = _enlarged([*outline, outline[0], outline[1 % len(outline)]])
    for colour, width in (((255, 255, 255, 230), 2.4 * stroke), ((*_COMMON, 255), 1.3 * stroke)):
        pen.line(corners, colour, max(1, round(width * _FINE)), joint="curve")


def _hatch(layer: Image.Image, outline: list[Point], stroke: float, panel: _Panel) -> None:
    """An area filled with slanting lines, and outlined."""
    box = [value * _FINE for value in panel.box]
    size = (box[2] - box[0], box[3] - box[1])
    corners = [((x - panel.left) * _FINE, (y - panel.top) * _FINE) for x, y in outline]
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(corners, 255)
    lines = Image.new("RGBA", size, (*_OVERLAY, 40))
    pen = ImageDraw.Draw(lines)
    step, width = max(6, round(6 * stroke * _FINE)), max(1, round(stroke * _FINE))
    for start in range(-size[1], size[0], step):
        pen.line((start, size[1], start + size[1], 0), (*_OVERLAY, 220), width)
    layer.paste(lines, (box[0], box[1]), mask)
    edge = ImageDraw.Draw(layer)
    closed = _enlarged([*outline, outline[0], outline[1 % len(outline)]])
    edge.line(closed, (255, 255, 255, 230), round(2.2 * stroke * _FINE), joint="curve")
    edge.line(closed, (*_OVERLAY, 255), max(1, round(1.2 * stroke * _FINE)), joint="curve")


def _join(layer: Image.Image, points: Points, first: _Panel, second: _Panel, stroke: float) -> None:
    """Lines between the points of both pictures, thin, with a dot at each end."""
    lines = Image.new("RGBA", layer.size, (*_POINT, 0))
    pen = ImageDraw.Draw(lines)
    ends = [(first.place(x, y), second.place(u, v)) for x, y, u, v in points]
    for one, other in ends:
        pen.line(_enlarged([one, other]), (*_POINT, 150), max(1, round(0.6 * stroke * _FINE)))
    radius = 1.9 * stroke * _FINE
    for one, other in ends:
        for x, y in _enlarged([one, other]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), (255, 255, 255, 235))
            inner = 0.62 * radius
            pen.ellipse((x - inner, y - inner, x + inner, y + inner), (*_COMMON, 255))
    layer.alpha_composite(lines)


def _label(sheet: Image.Image, panel: _Panel, name: str, font: Font) -> None:
    """The name of a picture, in a corner of it; left off where it would not fit."""
    high = font.getbbox("Ag")[3]
    size = round(font.getlength(name) + 0.9 * high), round(1.4 * high)
    if size[0] > panel.width or size[1] > panel.height:
        return
    plate = Image.new("RGBA", size, (*_PAPER, 0))
    pen = ImageDraw.Draw(plate)
    pen.rectangle((0, 0, *size), (*_PAPER, 225))
    pen.text((0.45 * high, 0.7 * high), name, _INK, font, anchor="lm")
    sheet.paste(plate, (panel.left, panel.top), plate)


def _legend(evidence: Evidence, lines: int, hatched: bool, font: Font, width: int) -> Image.Image:
    """The strip below: a row of keys, and what was done to the match to make the query."""
    high = round(1.5 * font.getbbox("Ag")[3])
    keys: list[tuple[str, str]] = []
    if evidence.query_area:
        keys.append(("outline", "shown by both"))
    if lines:
        total = len(getattr(evidence, "points", ()))
        drawn = f", {lines} drawn" if lines < total else ""
        keys.append(("line", counted(total, "matching point") + drawn))
    if hatched:
        keys.append(("hatch", "differs"))
    said = listed(evidence.edits)
    words = "Compared with the match: " + "; ".join(said) + "." if said else "No visible change."
    rows = _wrapped(words, font, width)
    placed, below = _rowed(keys, font, width, high)
    strip = Image.new("RGB", (width, below + high * len(rows)), _PAPER)
    pen = ImageDraw.Draw(strip)
    for x, y, kind, text in placed:
        strip.paste(_swatch(kind, high), (x, y))
        pen.text((x + 2 * high, y), text, _FAINT_INK, font)
    for number, row in enumerate(rows):
        pen.text((0, below + number * high), row, _INK, font)
    return strip


def _rowed(
    keys: list[tuple[str, str]], font: Font, width: int, high: int
) -> tuple[list[tuple[int, int, str, str]], int]:
    """Where each key goes, and the height that they take."""
    placed: list[tuple[int, int, str, str]] = []
    x = y = 0
    for kind, text in keys:
        wide = 2 * high + round(font.getlength(text))
        if x and x + wide > width:
            x, y = 0, y + high
        placed.append((x, y, kind, text))
        x += wide + high
    return placed, y + round(1.15 * high) if keys else 0


def _swatch(kind: str, high: int) -> Image.Image:
    """A key's picture, 1.6 times as wide as a row of text is high."""
    size = round(1.6 * high), round(0.8 * high)
    panel = _Panel(0, 0, *size, 1, 1)
    layer = Image.new("RGBA", (size[0] * _FINE, size[1] * _FINE), (*_PAPER, 0))
    stroke, edge = high / 14, high / 8
    box = [(edge, edge), (size[0] - edge, edge), (size[0] - edge, size[1] - edge), (edge, size[1] - edge)]
    if kind == "outline":
        _stroke(layer, box, stroke)
    elif kind == "hatch":
        _hatch(layer, box, stroke, panel)
    else:
        ends = ((2 * edge, size[1] / 2, size[0] - 2 * edge, size[1] / 2),)
        _join(layer, ends, panel, panel, stroke)
    layer = layer.resize(size, Image.Resampling.BOX)
    swatch = Image.new("RGB", size, _PAPER)
    swatch.paste(layer, (0, 0), layer)
    return swatch


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    rows = [""]
    for word in text.split(" "):
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows
