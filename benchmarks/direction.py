"""Whether the direction between two pictures is right where it is said, and how often it is said.

    python benchmarks/direction.py ../shared/data/images [--pictures 40] [--skip 0] [--json]

Edits photographs (`FOLDER/photos`, `kodak` and `camera`) in many ways, saves them as JPEG, PNG or WebP, and
compares original and edit both ways round. Counts each reason by itself, every kind of edit, and how often
the two ways round contradict each other.

Fails where less than 0.97 of what is said is right, of all or by one reason, or where the two ways round
contradict each other.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from wherefrom.evaluate.edits import edit
from wherefrom.search.answer import Direction
from wherefrom.search.find import compare
from wherefrom.settings import Settings

BAR = 0.97
PLAIN = Settings(model="none")
Random = np.random.Generator
Picture = Image.Image


def sized(factor: float) -> Callable[[Picture], Picture]:
    """What changes the size by a factor."""

    def resize(image: Picture) -> Picture:
        size = (round(image.width * factor), round(image.height * factor))
        return image.resize(size, Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC)

    return resize


def sepia(image: Picture) -> Picture:
    """In one colour."""
    return ImageOps.colorize(ImageOps.grayscale(image), "#241408", "#fff2d8")


OWN: dict[str, Callable[[Picture], Picture]] = {
    "saved again": lambda image: image,
    "saved as PNG": lambda image: image,
    "saved at 97": lambda image: image,
    "saved at 35": lambda image: image,
    "to 70 %": sized(0.7),
    "to 50 %": sized(0.5),
    "to 25 %": sized(0.25),
    "to 150 %": sized(1.5),
    "to 200 %": sized(2),
    "to 300 %": sized(3),
    "sepia": sepia,
}
EDITS = (
    *("grey", "brightness +30 %", "contrast -50 %", "gamma 1.6", "filter warm", "filter vignette", "blur 1"),
    *("blur 2", "sharpen", "noise 10", "mirror", "turn 90", "rotate 10", "rotate 10, cropped", "aspect 1.3"),
    *("crop 90 %", "crop 70 %", "crop 50 %", "crop 30 %", "border 10 % white", "letterbox 16:9"),
    *("caption above", "caption below", "text over", "watermark", "logo", "stickers", "screenshot 40 %"),
    *("collage 25 %", "picture in picture 30 %", "photo of a screen", "two random edits"),
)


def saved(name: str, image: Picture, random: Random) -> bytes:
    """An edit's file: as it says, else by chance."""
    kind, quality = "JPEG", int(random.integers(70, 96))
    if name == "saved as PNG":
        kind = "PNG"
    elif name.startswith("saved at"):
        quality = int(name.rpartition(" ")[2])
    elif name not in OWN:
        kind = str(random.choice(["JPEG", "PNG", "WEBP"], p=[0.6, 0.3, 0.1]))
    buffer = io.BytesIO()
    image.save(buffer, kind, **({} if kind == "PNG" else {"quality": quality}))
    return buffer.getvalue()


def originals(folder: Path, count: int, skip: int) -> list[Path]:
    """Pictures of all three folders, spread evenly."""
    photos = sorted((folder / "photos").glob("*.jpg"))
    others = [*sorted((folder / "kodak").glob("*.png")), *sorted((folder / "camera").glob("*.jpg"))]
    small = [path for path in others if path.stat().st_size < 700_000]
    many = max(1, count * 3 // 5)
    chosen = photos[skip :: max(1, len(photos) // many)][:many]
    rest = small[skip % 2 :: 2] + small[1 - skip % 2 :: 2]
    return [*chosen, *rest[: count - len(chosen)]]


def pairs(paths: list[Path], backgrounds: list[Picture]) -> Iterator[tuple[str, bytes, bytes]]:
    """(edit, original, what was made of it)."""
    for number, path in enumerate(paths):
        data = path.read_bytes()
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        for name in (*OWN, *EDITS):
            random = np.random.default_rng([number, *name.encode()])
            made = OWN[name](image) if name in OWN else edit(name, image, number, backgrounds)
            yield name, data, saved(name, made, random)


def told(query: bytes, match: bytes) -> Direction | None:
    """What a comparison says of the two."""
    found = compare(query, match, PLAIN)
    return None if found is None else found.direction


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--skip", type=int, default=0, help="photographs passed over, to measure on others")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    paths = originals(asked.folder, asked.pictures, asked.skip)
    backgrounds = [
        Image.open(path).convert("RGB") for path in sorted((asked.folder / "photos").glob("*.jpg"))[3::40]
    ]
    right, wrong, silent = Counter[str](), Counter[str](), Counter[str]()
    good, bad, against = Counter[str](), Counter[str](), 0
    for name, original, made in pairs(paths, backgrounds):
        forth, back = told(made, original), told(original, made)
        against += forth is not None and back is not None and forth.source == back.source
        for said, source in ((forth, "match"), (back, "query")):
            if said is None:
                silent[name] += 1
                continue
            (right if said.source == source else wrong)[name] += 1
            for reason in said.why:
                (good if said.source == source else bad)[reason.code] += 1
    yes, no = right.total(), wrong.total()
    report = {
        "machine": platform.platform(),
        "pictures": len(paths),
        "pairs": (yes + no + silent.total()) // 2,
        "right": round(yes / max(1, yes + no), 4),
        "said": round((yes + no) / max(1, yes + no + silent.total()), 4),
        "contradictions": against,
        "reasons": {code: [good[code], bad[code]] for code in sorted(good | bad)},
        "edits": {name: [right[name], wrong[name], silent[name]] for name in (*OWN, *EDITS)},
    }
    if asked.json:
        print(json.dumps(report, indent=2))
    else:
        print(
            f"{report['pairs']} pairs, both ways round: said of {report['said']:.1%}, "
            f"right {report['right']:.2%}"
        )
        for code, (so, not_so) in report["reasons"].items():
            print(f"  {code:14} right {so:5} wrong {not_so}")
        for name, (so, not_so, nothing) in report["edits"].items():
            print(f"  {name:24} right {so:4} wrong {not_so:3} not said {nothing:4}")
        print(f"the two ways round contradict each other in {against} pairs")
    poor = [code for code in good | bad if good[code] < BAR * (good[code] + bad[code])]
    return int(report["right"] < BAR or bool(poor) or against > 0)


if __name__ == "__main__":
    raise SystemExit(main())
