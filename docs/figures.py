"""Draw the figures of the documentation, by the code that they explain: `python docs/figures.py`.

The photographs come with scikit-image (`pip install 'wherefrom[demo]'`): Chelsea the cat by Stéfan van der
Walt (CC0), the rocket by SpaceX (CC0), the astronaut by NASA and the coffee by Rachel Michetti (public
domain and CC0). Nothing in a figure is drawn by hand: matches, words, lines and areas are those found.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import wherefrom
from wherefrom.evaluate.edits import edited, encoded
from wherefrom.features import fingerprint
from wherefrom.features.keypoints import Keypoints, query_keypoints
from wherefrom.picture.picture import Picture
from wherefrom.search import draw
from wherefrom.search.answer import Evidence, Match
from wherefrom.search.verify import matched, verify
from wherefrom.search.wording import listed

PICTURES = Path(__file__).parent / "pictures"

PAPER, INK, FAINT, LINE = (250, 250, 248), (38, 42, 48), (110, 116, 124), (222, 222, 216)
BLUE, ORANGE, SKY = (0, 114, 178), (230, 119, 0), (86, 180, 233)
GAP = 24

EDITS = {
    "crop 30 %": "cropped to 30 %",
    "negative": "negative",
    "rotate 30": "turned by 30°",
    "stickers": "stickers",
    "collage 25 %": "in a collage",
    "photo of a screen": "photo of a screen",
}


def photograph(name: str) -> Image.Image:
    """One of scikit-image's, in RGB."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        sys.exit("The photographs need an extra: pip install 'wherefrom[demo]'.")
    with Image.open(Path(found.origin).parent / "data" / name) as opened:
        return opened.convert("RGB")


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all figures."""
    return ImageFont.load_default(size)


def sheet(width: int, height: int) -> Image.Image:
    """Paper to draw on."""
    return Image.new("RGB", (width, height), PAPER)


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """An image as large as fits, none of it cut."""
    return ImageOps.contain(image, (width, height), Image.Resampling.LANCZOS)


def told(image: Image.Image, place: tuple[float, float], words: str, size: float, **how: object) -> None:
    """Words on a sheet."""
    ImageDraw.Draw(image).text(place, words, how.pop("fill", INK), font(size), **how)  # type: ignore[arg-type]


def save(image: Image.Image, name: str, quality: int = 80) -> None:
    """Write a figure, small enough to be kept in the repository."""
    path = PICTURES / f"{name}.webp"
    image.save(path, "WEBP", quality=quality, method=6)
    print(f"{path.name}: {image.width}×{image.height}, {path.stat().st_size / 1000:.0f} kB")


def best(photos: wherefrom.Collection, image: Image.Image) -> Match:
    """The first match of an image that is searched for as a JPEG file."""
    answer = photos.search(encoded(image, "JPEG"))
    if not len(answer):
        sys.exit("An edited photograph was not found: the figures would not be true.")
    return answer[0]


# The front page


def front(photos: wherefrom.Collection) -> None:
    """A post that shows a mirrored cat, with what both show joined to the original; below it more edits."""
    cat = photograph("chelsea.png")
    posted = edited("text over", edited("mirror", cat).image, 3).image
    posted = edited("screenshot 40 %", posted, 4).image
    match = best(photos, posted)
    width, tall = 1280, 560
    page = sheet(width, tall + 312)
    query = fitted(posted, 470, tall - 40)
    original = fitted(cat, 640, tall - 40)
    left = (GAP, 20 + (tall - 40 - query.height) // 2)
    right = (width - GAP - original.width, 20 + (tall - 40 - original.height) // 2 - 40)
    page.paste(query, left)
    page.paste(original, right)
    layer = joined(page.size, match.evidence, (posted, query, left), (cat, original, right))
    page.paste(layer, (0, 0), layer)
    y = right[1] + original.height + 16
    told(page, (right[0], y), f"{match.kind.value}, {match.score:.1f}", 26, fill=BLUE)
    for number, line in enumerate(wrapped("; ".join(listed(match.evidence.edits)), 66)):
        told(page, (right[0], y + 40 + 26 * number), line, 18)
    strip(photos, page, cat, tall + 16)
    save(page, "front", 74)


def wrapped(words: str, columns: int) -> list[str]:
    """Lines of so many letters; a number stays with its sign."""
    lines = textwrap.wrap(words.replace(" %", "\u00a0%"), columns)
    return [line.replace("\u00a0", " ") for line in lines]  # which the font cannot draw


def strip(photos: wherefrom.Collection, page: Image.Image, cat: Image.Image, top: int) -> None:
    """More edits of a photograph in a row, each with what a search said of it."""
    ImageDraw.Draw(page).line((GAP, top, page.width - GAP, top), LINE, 2)
    each = (page.width - 2 * GAP - (len(EDITS) - 1) * 16) // len(EDITS)
    others = [photograph(name) for name in ("coffee.png", "rocket.jpg", "astronaut.png")]
    for number, (name, words) in enumerate(EDITS.items()):
        image = edited(name, cat, 1, others).image
        match = best(photos, image)
        small = fitted(image, each, 190)
        x = GAP + number * (each + 16)
        page.paste(small, (x + (each - small.width) // 2, top + 24 + (190 - small.height) // 2))
        middle = x + each / 2
        told(page, (middle, top + 232), words, 18, anchor="mm")
        told(page, (middle, top + 260), f"{match.kind.value}, {match.score:.1f}", 18, fill=BLUE, anchor="mm")


AGAIN = {
    "JPEG q10": "jpeg q10",
    "turned": "rotate 30",
    "cropped": "crop 70 %",
    "stretched": "aspect 1.3",
    "warm": "filter warm",
}

Panel = tuple[Image.Image, Image.Image, tuple[int, int]]
"""A picture, how it is shown, and where."""


def joined(
    size: tuple[int, int], evidence: Evidence, query: Panel, match: Panel, most: int = 48
) -> Image.Image:
    """Outlines of what both show, and lines between points that agree: RGBA, twice as fine and reduced."""
    fine = Image.new("RGBA", (2 * size[0], 2 * size[1]))
    pen = ImageDraw.Draw(fine)

    def place(panel: Panel, x: float, y: float) -> tuple[float, float]:
        whole, shown, at = panel
        return 2 * (at[0] + x * shown.width / whole.width), 2 * (at[1] + y * shown.height / whole.height)

    for panel, area in ((query, evidence.query_area), (match, evidence.match_area)):
        outline = [place(panel, *corner) for corner in area or ()]
        pen.line([*outline, outline[0]], (*BLUE, 255), 6, "curve")
    for x, y, u, v in evidence.points[:: max(1, len(evidence.points) // most)]:
        ends = (place(query, x, y), place(match, u, v))
        pen.line(ends, (*SKY, 150), 2)
        for end in ends:
            pen.ellipse((end[0] - 6, end[1] - 6, end[0] + 6, end[1] + 6), (*SKY, 255), (255, 255, 255, 255))
    return fine.resize(size, Image.Resampling.BOX)


# How it works


def fingerprints() -> None:
    """Fingerprints as 16 × 16 squares, of a photograph, of two edits, and of another photograph."""
    cat = photograph("chelsea.png")
    small = edited("resize 25 %", edited("jpeg q10", edited("grey", cat).image).image).image
    shown = (
        ("a photograph", cat),
        ("grey, compressed, reduced", small),
        ("cropped to 70 %", edited("crop 70 %", cat, 2).image),
        ("another photograph", photograph("coffee.png")),
    )  # fmt: skip
    each, tall = 280, 190
    page = sheet(GAP + len(shown) * (each + GAP), 2 * GAP + tall + 16 + each + 72)
    first: np.ndarray | None = None
    for number, (words, image) in enumerate(shown):
        x = GAP + number * (each + GAP)
        small = fitted(image, each, tall)
        page.paste(small, (x + (each - small.width) // 2, GAP + (tall - small.height) // 2))
        code = fingerprint.fingerprint(Picture.from_array(np.asarray(image))).code
        bits = np.unpackbits(code)[::-1].reshape(16, 16)
        first = bits if first is None else first
        squares(page, (x, GAP + tall + 16), each, bits, bits != first)
        told(page, (x + each / 2, page.height - 58), words, 18, anchor="mm")
        far = int((bits != first).sum())
        said = "256 bits" if number == 0 else f"{far} bits differ"
        told(page, (x + each / 2, page.height - 30), said, 18, fill=ORANGE if far else BLUE, anchor="mm")
    save(page, "fingerprint")


def squares(page: Image.Image, at: tuple[int, int], side: int, bits: np.ndarray, differ: np.ndarray) -> None:
    """256 bits, those set dark, those that differ orange."""
    pen = ImageDraw.Draw(page)
    step = side / 16
    for row in range(16):
        for column in range(16):
            x, y = at[0] + column * step, at[1] + row * step
            on, off = (ORANGE, (250, 222, 190)) if differ[row, column] else (INK, (232, 232, 226))
            pen.rectangle((x, y, x + step - 2, y + step - 2), on if bits[row, column] else off)


def points_of(image: Image.Image) -> Keypoints:
    """The keypoints of an image as a query, upright."""
    return query_keypoints(Picture.from_array(np.asarray(image)))[0].keypoints


def words() -> None:
    """Keypoints of a photograph, and four of its words as they are found again in edits of it."""
    cat = photograph("chelsea.png")
    mine = points_of(cat)
    seen = {"original": cat} | {said: edited(name, cat, 1).image for said, name in AGAIN.items()}
    points = {said: points_of(image) for said, image in seen.items()}
    width, each, rows = 620, 92, 4
    shown = cat.resize((width, round(width * cat.height / cat.width)), Image.Resampling.LANCZOS)
    right = 2 * GAP + width + 16
    page = sheet(right + len(seen) * (each + 8) + GAP - 8, 2 * GAP + shown.height + 36)
    page.paste(shown, (GAP, GAP))
    layer = Image.new("RGBA", (2 * page.width, 2 * page.height))
    pen = ImageDraw.Draw(layer)
    for row in range(len(mine)):
        x, y = (2 * (GAP + value) for value in (mine.x[row] * shown.width, mine.y[row] * shown.height))
        radius = 2 * 1.6 * sigma(mine, row) * width / 512
        angle = 2 * np.pi * mine.angles[row] / 256
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(*SKY, 235), width=3)
        pen.line((x, y, x + radius * np.cos(angle), y + radius * np.sin(angle)), (*SKY, 235), 3)
    small = layer.resize(page.size, Image.Resampling.BOX)
    page.paste(small, (0, 0), small)
    for number, found in enumerate(common(points, rows)):
        y = GAP + number * ((shown.height - each) // (rows - 1))
        for place, (said, row) in enumerate(found.items()):
            page.paste(patch(seen[said], points[said], row, each), (right + place * (each + 8), y))
    for place, said in enumerate(seen):
        told(page, (right + place * (each + 8) + each / 2, page.height - GAP - 12), said, 15, anchor="mm")
    told(
        page, (GAP, page.height - GAP - 12), f"{len(mine)} keypoints: place, size, direction", 18, anchor="lm"
    )
    save(page, "words")


def sigma(points: Keypoints, row: int) -> float:
    """The scale of a keypoint, in pixels of a picture whose longer side is 512."""
    return float(2 ** (points.scales[row] / 16))


def common(points: Mapping[str, Keypoints], count: int) -> list[dict[str, int]]:
    """Words that all of these have: for each word a keypoint (its row) of every one, large ones first."""
    rows: dict[int, dict[str, int]] = {}
    for said, some in points.items():
        for row, word in enumerate(some.words[:, 0].tolist()):
            if 0.1 < some.x[row] < 0.9 and 0.1 < some.y[row] < 0.9:  # so that there is something around it
                rows.setdefault(word, {}).setdefault(said, row)
    first = next(iter(points))
    whole = [found for found in rows.values() if len(found) == len(points)]
    whole.sort(key=lambda found: -sigma(points[first], found[first]))
    apart: list[dict[str, int]] = []
    for found in whole:
        x, y = points[first].x[found[first]], points[first].y[found[first]]
        near = (abs(points[first].x[o[first]] - x) + abs(points[first].y[o[first]] - y) < 0.1 for o in apart)
        if not any(near):
            apart.append(found)
    return apart[:count]


def patch(image: Image.Image, points: Keypoints, row: int, side: int) -> Image.Image:
    """What a keypoint looks at, turned upright."""
    scale = max(image.size) / 512
    reach = 12 * sigma(points, row) * scale / side
    angle = 2 * np.pi * points.angles[row] / 256
    cos, sin = reach * np.cos(angle), reach * np.sin(angle)
    x, y = points.x[row] * image.width, points.y[row] * image.height
    half = side / 2
    matrix = (cos, -sin, x - half * cos + half * sin, sin, cos, y - half * sin - half * cos)
    return image.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def geometry() -> None:
    """Keypoints of like words in two pictures: all of them, and those that one geometry explains."""
    cat = photograph("chelsea.png")
    query = edited("rotate 15", edited("crop 50 %", cat, 2).image).image
    ours, theirs = points_of(query), points_of(cat)
    pairs = matched(ours, theirs)
    found = verify(ours, query.size, theirs, cat.size)
    if found is None:
        sys.exit("No geometry was found: the figure would not be true.")
    page = sheet(1280, 300)

    def ends(rows: Iterable[int], others: Iterable[int]) -> list[tuple[float, ...]]:
        both = zip(rows, others, strict=True)
        return [(float(ours.x[q]), float(ours.y[q]), float(theirs.x[m]), float(theirs.y[m])) for q, m in both]

    every, kept = ends(pairs.query, pairs.match), ends(found.query, found.match)
    for number, (some, colour, said) in enumerate(
        (
            (every, ORANGE, f"{len(every)} pairs of keypoints look alike"),
            (kept, BLUE, f"{len(kept)} of them agree on one geometry"),
        )
    ):
        x = GAP + number * 628
        first, second = fitted(query, 270, 330), fitted(cat, 318, 330)
        places = ((x, GAP), (x + 286, GAP))
        page.paste(first, places[0])
        page.paste(second, places[1])
        layer = Image.new("RGBA", (2 * page.width, 2 * page.height))
        pen = ImageDraw.Draw(layer)
        for a, b, c, d in some:
            start = (2 * (places[0][0] + a * first.width), 2 * (places[0][1] + b * first.height))
            end = (2 * (places[1][0] + c * second.width), 2 * (places[1][1] + d * second.height))
            pen.line((start, end), (*colour, 170), 2)
            for one in (start, end):
                pen.ellipse((one[0] - 4, one[1] - 4, one[0] + 4, one[1] + 4), (*colour, 255))
        small = layer.resize(page.size, Image.Resampling.BOX)
        page.paste(small, (0, 0), small)
        told(page, (x + 302, 268), said, 20, anchor="mm")
    save(page, "geometry")


def pixels(photos: wherefrom.Collection) -> None:
    """A query with things laid over it, the original brought into its frame, and what then differs."""
    cat = photograph("chelsea.png")
    query = edited("stickers", edited("filter warm", edited("rotate 5, cropped", cat).image).image, 5).image
    match = best(photos, query)
    laid = draw.warped(match.evidence, query, cat)
    laid = Image.alpha_composite(Image.new("RGBA", query.size, PAPER), laid)
    shown = (
        ("the query", query),
        ("the original, laid into its frame", laid.convert("RGB")),
        ("what differs, once the tones are made equal", draw.difference(match.evidence, query, cat)),
    )
    each = 400
    page = sheet(GAP + 3 * (each + GAP), 2 * GAP + round(each * query.height / query.width) + 84)
    for number, (said, image) in enumerate(shown):
        x = GAP + number * (each + GAP)
        page.paste(fitted(image, each, each), (x, GAP))
        told(page, (x + each / 2, page.height - 84), said, 19, anchor="mm")
    phrase = f"{match.kind.value}, {match.score:.1f}: " + "; ".join(listed(match.evidence.edits))
    for number, line in enumerate(wrapped(phrase, 130)):
        told(page, (page.width / 2, page.height - 48 + 24 * number), line, 17, fill=BLUE, anchor="mm")
    save(page, "pixels")


def main() -> None:
    """Draw all of them."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"):
            photograph(name).save(Path(folder) / f"{Path(name).stem}.png")
        with wherefrom.open(Path(folder) / "figures.wherefrom", create=True) as photos:
            photos.add(sorted(Path(folder).glob("*.png")))
            front(photos)
            pixels(photos)
    fingerprints()
    words()
    geometry()


if __name__ == "__main__":
    main()
