"""Whether what was done to a picture's pixels is named, and nothing else.

    python benchmarks/changes.py ../shared/data/images [--pictures 150] [--half first|second|both] [--json]

Edits photographs (`FOLDER/photos`), saves them as JPEG, and measures the changes with a transform that is off
by up to a pixel. An edit counts where it is visible: tone by 3 % of the range, colour where there was some.
The thresholds in `search/changes.py` are chosen on the first half of the photographs; the default is the
second half, which they have not seen. Then the agreement of the same pictures, of others, and of pictures
that share a frame only (`FOLDER/screens`, `FOLDER/memes`).

Fails when an edit's recall or a name's precision is below 0.9.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wherefrom.evaluate.edits import edit, recoded
from wherefrom.search.changes import Changes, changes

Random = np.random.Generator
Editor = Callable[[Image.Image, Random], Image.Image]

FLOOR = 0.9
VISIBLE = 0.03  # of the range: a change of tone that people see
COLOUR = 10.0  # grey levels between channels: a picture that is not grey to begin with
SAVED = 90
UNSEEN = Changes((), 0.0, 0.0, 0.0)


def text_over(image: Image.Image, random: Random) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(14, image.width // 12))
    place = (image.width * random.uniform(0.05, 0.25), image.height * random.uniform(0.1, 0.7))
    draw.text(place, "When it works\nat first try", "white", font, stroke_width=2, stroke_fill="black")
    return image


def logo(image: Image.Image, _: Random) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    side = min(image.size) * 0.18
    x, y = image.width - side * 1.3, image.height - side * 1.3
    draw.rounded_rectangle((x, y, x + side, y + side), side / 5, "#c02060")
    draw.ellipse((x + side * 0.2, y + side * 0.2, x + side * 0.8, y + side * 0.8), "#f0f0f0")
    return image


def sticker(image: Image.Image, random: Random) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    side = min(image.size) * 0.3
    x = random.uniform(0.1, 0.9) * (image.width - side)
    y = random.uniform(0.1, 0.9) * (image.height - side)
    draw.ellipse((x, y, x + side, y + side), "#ffd23f", "black", 3)
    for eye in (0.33, 0.67):
        centre = x + eye * side, y + 0.38 * side
        draw.ellipse((centre[0] - 5, centre[1] - 5, centre[0] + 5, centre[1] + 5), "black")
    draw.arc((x + 0.25 * side, y + 0.3 * side, x + 0.75 * side, y + 0.78 * side), 20, 160, "black", 4)
    return image


def caption(image: Image.Image, _: Random) -> Image.Image:
    image = image.copy()
    draw = ImageDraw.Draw(image)
    top = image.height * 0.82
    draw.rectangle((0, top, image.width, image.height), "white")
    draw.text((12, top + 6), "nobody:   me at 3 am:", "black", ImageFont.load_default(image.width // 18))
    return image


def watermark(image: Image.Image, _: Random) -> Image.Image:
    layer = Image.new("RGBA", image.size, (255, 255, 255, 0))
    font = ImageFont.load_default(image.width // 7)
    ImageDraw.Draw(layer).text(
        (image.width / 2, image.height / 2), "EXAMPLE", (255, 255, 255, 120), font, anchor="mm"
    )
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def shifted(image: Image.Image, _: Random) -> Image.Image:
    matrix = (1, 0, 1, 0, 1, 1)  # a pixel that the transform does not know of
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def named(name: str) -> Editor:
    return lambda image, random: edit(name, image, int(random.integers(1000)))


def plain(change: Callable[[Image.Image], Image.Image]) -> Editor:
    return lambda image, _: change(image)


# The edit, the name it should be given, and names that would not be wrong
CASES: dict[str, tuple[Editor, str | None, set[str]]] = {
    "none": (plain(lambda i: i), None, set()),
    "jpeg q75": (plain(lambda i: recoded(i, "JPEG", 75)), None, set()),
    "resize 50 %": (named("resize 50 %"), None, set()),
    "resize 200 %": (named("resize 200 %"), None, set()),
    "moved 1 pixel": (shifted, None, set()),
    "jpeg q50": (named("jpeg q50"), None, {"compression"}),
    "jpeg q10": (named("jpeg q10"), "compression", {"blur"}),
    "jpeg q20": (plain(lambda i: recoded(i, "JPEG", 20)), "compression", set()),
    "grey": (named("grey"), "grey", set()),
    "gamma 0.6": (named("gamma 0.6"), "tone", set()),
    "gamma 1.6": (named("gamma 1.6"), "tone", set()),
    "brightness +30 %": (named("brightness +30 %"), "tone", set()),
    "brightness -40 %": (named("brightness -40 %"), "tone", set()),
    "contrast +50 %": (named("contrast +50 %"), "tone", set()),
    "contrast -50 %": (named("contrast -50 %"), "tone", set()),
    "saturation +80 %": (named("saturation +80 %"), "tone", set()),
    "sharpen": (named("sharpen"), None, {"noise", "tone"}),
    "blur 1": (named("blur 1"), None, {"blur"}),
    "blur 2": (named("blur 2"), "blur", set()),
    "blur 4": (named("blur 4"), "blur", set()),
    "noise 10": (named("noise 10"), None, {"noise"}),
    "noise 20": (named("noise 20"), "noise", set()),
    "noise 35": (named("noise 35"), "noise", {"tone"}),
    "text over": (text_over, "overlay", set()),
    "logo": (logo, "overlay", set()),
    "sticker": (sticker, "overlay", set()),
    "caption inside": (caption, "overlay", set()),
    "watermark": (watermark, "overlay", set()),
    "sticker, gamma 0.6": (lambda i, r: edit("gamma 0.6", sticker(i, r)), "overlay", {"tone"}),
    "filter warm": (named("filter warm"), "tone", set()),
    "filter vignette": (named("filter vignette"), "tone", set()),
    "sticker, blur 2": (
        lambda i, r: edit("blur 2", sticker(i, r)),
        "overlay",
        {"blur"},
    ),
    "sticker, resize 50 %": (lambda i, r: edit("resize 50 %", sticker(i, r)), "overlay", set()),
}
LOSSLESS = ("jpeg",)  # these are saved by the edit itself


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--half", choices=("first", "second", "both"), default="second")
    parser.add_argument("--only", help="one edit, with what was found in each picture")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = sorted(path for path in (options.folder / "photos").rglob("*") if path.is_file())
    files = files[: options.pictures]
    halves = {"first": files[0::2], "second": files[1::2], "both": files}
    pictures = [opened(path) for path in halves[options.half]]
    cases = {name: case for name, case in CASES.items() if options.only in (None, name)}
    result = measured(pictures, cases, bool(options.only))
    if not options.only:
        result["agreement"] = agreements(pictures, options.folder)
    result["machine"] = platform.machine()
    print(json.dumps(result)) if options.json else show(result)
    short = [
        name for name, row in result["edits"].items() if row["recall"] is not None and row["recall"] < FLOOR
    ]
    short += [name for name, value in result["precision"].items() if value < FLOOR]
    return int(bool(short))


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def off(size: tuple[int, int], other: tuple[int, int], random: Random) -> np.ndarray:
    """The transform from one size to another, its corners off by up to a pixel of the query."""
    x, y = random.uniform(-0.7, 0.7, 2)
    grow, tilt = random.uniform(-0.001, 0.001, 2)
    scale = np.diag([other[0] / size[0], other[1] / size[1], 1.0])
    return np.array([[1 + grow, -tilt, x], [tilt, 1 + grow, y], [0, 0, 1]]) @ scale


def measured(
    pictures: list[Image.Image], cases: dict[str, tuple[Editor, str | None, set[str]]], each: bool
) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    right: dict[str, int] = defaultdict(int)
    claimed: dict[str, int] = defaultdict(int)
    wrong: dict[str, list[str]] = defaultdict(list)
    times: list[float] = []
    busy: list[float] = []
    agreeing: list[float] = []
    for name, (editor, wanted, allowed) in cases.items():
        hits = counted = 0
        named_else: dict[str, int] = defaultdict(int)
        amounts = []
        for number, picture in enumerate(pictures):
            random = np.random.default_rng([number, *name.encode()])
            query = editor(picture, random)
            visible = is_visible(picture, query, wanted)
            if not name.startswith(LOSSLESS):
                query = recoded(query, "JPEG", SAVED)
            arrays = np.asarray(query), np.asarray(picture)
            start, before = time.perf_counter(), time.process_time()
            found = changes(*arrays, off(picture.size, query.size, random)) or UNSEEN
            times.append(time.perf_counter() - start)
            busy.append(time.process_time() - before)
            agreeing.append(found.agreement)
            names = {edit.name for edit in found.edits}
            counted += visible
            hits += visible and wanted in names
            amounts += [edit.amount for edit in found.edits if edit.name == wanted and edit.amount][:1]
            for one in names:
                claimed[one] += 1
                good = one == wanted or one in allowed
                right[one] += good
                if not good:
                    named_else[one] += 1
                    wrong[one].append(name)
            if each:
                print(number, visible, found.agreement, [(e.name, e.amount) for e in found.edits])
        rows[name] = {
            "wanted": wanted,
            "visible": counted,
            "recall": round(hits / counted, 3) if wanted and counted else None,
            "amount": round(float(np.median(amounts)), 3) if amounts else None,
            "wrongly": dict(named_else),
            "agreement": round(float(np.percentile(agreeing[-len(pictures) :], 5)), 3),
        }
    return {
        "pictures": len(pictures),
        "edits": rows,
        "precision": {name: round(right[name] / claimed[name], 3) for name in sorted(claimed)},
        "ms": {
            "median": round(1e3 * float(np.median(times)), 1),
            "processor": round(1e3 * float(np.median(busy)), 1),
            "p95": round(1e3 * float(np.percentile(times, 95)), 1),
        },
    }


def is_visible(picture: Image.Image, query: Image.Image, wanted: str | None) -> bool:
    if wanted in ("tone", "grey"):
        before = np.asarray(picture, np.float64)
        if wanted == "grey":
            return bool(np.ptp(before, axis=2).mean() > COLOUR)
        return bool(np.abs(np.asarray(query, np.float64) - before).mean() / 255 >= VISIBLE)
    return True


def agreements(pictures: list[Image.Image], folder: Path) -> dict[str, Any]:
    """Percentiles of agreement and of the share agreeing for pairs that are not the same picture."""
    found: dict[str, list[Changes]] = {"other photographs": [], "captioned alike": []}
    for one, other in zip(pictures, pictures[1:] + pictures[:1], strict=True):
        found["other photographs"].append(forced(one, other))
        random = np.random.default_rng(0)
        found["captioned alike"].append(forced(caption(one, random), caption(other.resize(one.size), random)))
    for name in ("screens", "memes"):
        others = [opened(path) for path in sorted((folder / name).rglob("*")) if path.suffix != ".gif"]
        found[f"other {name}"] = [forced(one, other) for one, other in pairs(others)]
    return {
        name: {
            "pairs": len(values),
            **{
                key: [
                    round(float(np.percentile([getattr(v, key) for v in values], p)), 3)
                    for p in (50, 95, 100)
                ]
                for key in ("agreement", "agreeing")
            },
        }
        for name, values in found.items()
        if values
    }


def pairs(pictures: list[Image.Image]) -> Iterator[tuple[Image.Image, Image.Image]]:
    for number, picture in enumerate(pictures):
        for other in pictures[number + 1 : number + 4]:
            yield picture, other


def forced(one: Image.Image, other: Image.Image) -> Changes:
    scale = np.diag([one.width / other.width, one.height / other.height, 1.0])
    return changes(np.asarray(one), np.asarray(other), scale) or UNSEEN


def show(result: dict[str, Any]) -> None:
    print(
        f"{result['pictures']} photographs, {result['ms']['median']} ms a call"
        f" (95 %: {result['ms']['p95']} ms; processor time {result['ms']['processor']} ms)\n"
    )
    print("| edit | named | visible in | recall | median amount | named wrongly | agreement, 5 % |")
    print("|---|---|---|---|---|---|---|")
    for name, row in result["edits"].items():
        wrongly = ", ".join(f"{key} {count}" for key, count in row["wrongly"].items())
        recall = "" if row["recall"] is None else f"{row['recall']:.3f}"
        cells = (name, row["wanted"] or "nothing", row["visible"], recall, row["amount"] or "", wrongly)
        print("|", " | ".join(str(cell) for cell in (*cells, row["agreement"])), "|")
    print("\n| name | precision |\n|---|---|")
    for name, value in result["precision"].items():
        print(f"| {name} | {value:.3f} |")
    if "agreement" in result:
        print("\n| not the same | pairs | agreement: median, 95 %, most | agreeing: median, 95 %, most |")
        print("|---|---|---|---|")
        for name, row in result["agreement"].items():
            print(f"| {name} | {row['pairs']} | {row['agreement']} | {row['agreeing']} |")


if __name__ == "__main__":
    raise SystemExit(main())
