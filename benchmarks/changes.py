"""Whether what was done to a picture's pixels is named, and nothing else.

Edits photographs, saves them as JPEG, and measures the changes with a transform that is off by up to a pixel.
An edit counts where it is visible: tone by 3 % of the range, colour where there was some. The thresholds in
`search/changes.py` are chosen on the first half of the photographs; the default is the second half, which
they have not seen. Below its bar is an edit's recall or a name's precision under 0.9.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.common import SHARED
from benchmarks.timing import middle
from wherefrom.evaluate.edits import edit, recoded
from wherefrom.search.changes import Changes, changes

Random = np.random.Generator
Picture = Image.Image
Editor = Callable[[Picture, Random], Picture]

FLOOR = 0.9
VISIBLE = 0.03  # of the range: a change of tone that people see
COLOUR = 10.0  # grey levels between channels: a picture that is not grey to begin with
UNSEEN = Changes((), 0.0, 0.0, 0.0)


def text_over(image: Picture, random: Random) -> Picture:
    image = image.copy()
    font = ImageFont.load_default(max(14, image.width // 12))
    place = (image.width * random.uniform(0.05, 0.25), image.height * random.uniform(0.1, 0.7))
    said = "When it works\nat first try"
    ImageDraw.Draw(image).text(place, said, "white", font, stroke_width=2, stroke_fill="black")
    return image


def logo(image: Picture, _: Random) -> Picture:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    side = min(image.size) * 0.18
    x, y = image.width - side * 1.3, image.height - side * 1.3
    draw.rounded_rectangle((x, y, x + side, y + side), side / 5, "#c02060")
    draw.ellipse((x + side * 0.2, y + side * 0.2, x + side * 0.8, y + side * 0.8), "#f0f0f0")
    return image


def sticker(image: Picture, random: Random) -> Picture:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    side = min(image.size) * 0.3
    x, y = random.uniform(0.1, 0.9) * (image.width - side), random.uniform(0.1, 0.9) * (image.height - side)
    draw.ellipse((x, y, x + side, y + side), "#ffd23f", "black", 3)
    for eye in (0.33, 0.67):
        across, down = x + eye * side, y + 0.38 * side
        draw.ellipse((across - 5, down - 5, across + 5, down + 5), "black")
    draw.arc((x + 0.25 * side, y + 0.3 * side, x + 0.75 * side, y + 0.78 * side), 20, 160, "black", 4)
    return image


def caption(image: Picture, _: Random) -> Picture:
    image = image.copy()
    draw, top = ImageDraw.Draw(image), image.height * 0.82
    draw.rectangle((0, top, image.width, image.height), "white")
    draw.text((12, top + 6), "nobody:   me at 3 am:", "black", ImageFont.load_default(image.width // 18))
    return image


def watermark(image: Picture, _: Random) -> Picture:
    layer = Image.new("RGBA", image.size, (255, 255, 255, 0))
    font, centre = ImageFont.load_default(image.width // 7), (image.width / 2, image.height / 2)
    ImageDraw.Draw(layer).text(centre, "EXAMPLE", (255, 255, 255, 120), font, anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def shifted(image: Picture, _: Random) -> Picture:
    matrix = (1, 0, 1, 0, 1, 1)  # a pixel that the transform does not know of
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


OWN: dict[str, Editor] = {
    "none": lambda image, _: image,
    "jpeg q75": lambda image, _: recoded(image, "JPEG", 75),
    "jpeg q20": lambda image, _: recoded(image, "JPEG", 20),
    "moved 1 pixel": shifted,
    "text over": text_over,
    "logo": logo,
    "sticker": sticker,
    "caption inside": caption,
    "watermark": watermark,
    "sticker, gamma 0.6": lambda image, random: edit("gamma 0.6", sticker(image, random)),
    "sticker, blur 2": lambda image, random: edit("blur 2", sticker(image, random)),
    "sticker, resize 50 %": lambda image, random: edit("resize 50 %", sticker(image, random)),
}
CASES: tuple[tuple[str | None, str, tuple[str, ...]], ...] = (
    # The name that should be given, names that would not be wrong, and edits: of `OWN`, or of evaluate
    (None, "", ("none", "jpeg q75", "resize 50 %", "resize 200 %", "moved 1 pixel")),
    (None, "compression", ("jpeg q50",)),
    ("compression", "blur", ("jpeg q10",)),
    ("compression", "", ("jpeg q20",)),
    ("grey", "", ("grey",)),
    ("tone", "", ("gamma 0.6", "gamma 1.6", "brightness +30 %", "brightness -40 %")),
    ("tone", "", ("contrast +50 %", "contrast -50 %", "saturation +80 %")),
    (None, "noise tone", ("sharpen",)),
    (None, "blur", ("blur 1",)),
    ("blur", "", ("blur 2", "blur 4")),
    (None, "noise", ("noise 10",)),
    ("noise", "", ("noise 20",)),
    ("noise", "tone", ("noise 35",)),
    ("overlay", "", ("text over", "logo", "sticker", "caption inside", "watermark")),
    ("overlay", "tone", ("sticker, gamma 0.6",)),
    ("tone", "", ("filter warm", "filter vignette")),
    ("overlay", "blur", ("sticker, blur 2",)),
    ("overlay", "", ("sticker, resize 50 %",)),
)


def run(
    folder: str | None = None, pictures: int = 150, half: str = "second"
) -> tuple[dict[str, Any], list[str]]:
    """`half` of the photographs is first, second or both."""
    home = Path(folder) if folder else SHARED / "photos"
    files = sorted(path for path in home.rglob("*") if path.is_file())[:pictures]
    chosen = {"first": files[0::2], "second": files[1::2], "both": files}[half]
    images = [Image.open(path).convert("RGB") for path in chosen]
    right, claimed = Counter[str](), Counter[str]()
    rows: dict[str, Any] = {}
    times: list[tuple[float, float]] = []
    for wanted, allowed, name in ((one, other, name) for one, other, names in CASES for name in names):
        visible = hits = 0
        wrongly = Counter[str]()
        for number, picture in enumerate(images):
            random = np.random.default_rng([number, *name.encode()])
            made = (
                OWN[name](picture, random) if name in OWN else edit(name, picture, int(random.integers(1000)))
            )
            seen = is_visible(picture, made, wanted)
            query = made if name.startswith("jpeg") else recoded(made, "JPEG", 90)
            arrays, matrix = (np.asarray(query), np.asarray(picture)), off(picture.size, query.size, random)
            start, busy = time.perf_counter(), time.process_time()
            found = changes(*arrays, matrix) or UNSEEN
            times.append((time.perf_counter() - start, time.process_time() - busy))
            names = {one.name for one in found.edits}
            good = {one for one in names if one == wanted or one in allowed.split()}
            visible, hits = visible + seen, hits + (seen and wanted in names)
            claimed.update(names)
            right.update(good)
            wrongly.update(names - good)
        recall = round(hits / visible, 3) if wanted and visible else None
        rows[name] = {"wanted": wanted, "visible": visible, "recall": recall, "wrongly": dict(wrongly)}
    precision = {name: round(right[name] / count, 3) for name, count in sorted(claimed.items())}
    clock, processor = zip(*times, strict=True)
    ms = {
        "median": middle([1e3 * one for one in clock], 1),
        "processor": middle([1e3 * one for one in processor], 1),
    }
    short = [name for name, row in rows.items() if row["recall"] is not None and row["recall"] < FLOOR]
    short += [name for name, value in precision.items() if value < FLOOR]
    result = {"pictures": len(images), "edits": rows, "precision": precision, "ms": ms}
    return result, [f"{name} is below {FLOOR}" for name in short]


def off(size: tuple[int, int], other: tuple[int, int], random: Random) -> Any:
    """The transform from one size to another, its corners off by up to a pixel of the query."""
    x, y = random.uniform(-0.7, 0.7, 2)
    grow, tilt = random.uniform(-0.001, 0.001, 2)
    scale = np.diag([other[0] / size[0], other[1] / size[1], 1.0])
    return np.array([[1 + grow, -tilt, x], [tilt, 1 + grow, y], [0, 0, 1]]) @ scale


def is_visible(picture: Picture, query: Picture, wanted: str | None) -> bool:
    before = np.asarray(picture, np.float64)
    if wanted == "grey":
        return bool(np.ptp(before, axis=2).mean() > COLOUR)
    return wanted != "tone" or bool(np.abs(np.asarray(query, np.float64) - before).mean() / 255 >= VISIBLE)
