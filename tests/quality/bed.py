"""The pictures of the quality gate: photographs that come with scikit-image, and generated scenes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.quality.gate import FLOORS, Bed, trials_of
from tests.scenes import encoded, picture, scene
from wherefrom.models.store import DEFAULT
from wherefrom.settings import Settings

ORIGINALS = ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "camera.png")
INDEXED = ("brick.png", "coins.png", "page.png", "ihc.png", "moon.png", "grass.png")
STRANGERS = ("gravel.png", "hubble_deep_field.jpg", "retina.jpg", "text.png", "cell.png", "color.png")
"""None is part of another, and none is indexed."""

SCENES = 2  # generated originals beside the photographs
FILLED = 320  # generated pictures beside them, of which each index has to nominate every one
SIDE = 480  # longer side in pixels of the photographs


def made(folder: Path) -> Bed:
    """Write what is indexed into a folder, and give all that the gate needs."""
    folder.mkdir()
    originals = []
    for name in ORIGINALS:
        originals.append((name, photograph(name)))
    originals += [(f"scene {number}", picture(number)) for number in range(SCENES)]
    others = [photograph(name) for name in STRANGERS[:4]]
    indexed = []
    for name, image in [*originals, *zip(INDEXED, map(photograph, INDEXED), strict=True)]:
        indexed.append((name, saved(image, folder / f"{name}.jpg")))
    for number in range(FILLED):
        name = f"filled {number}"
        indexed.append((name, saved(filler(number), folder / f"{name}.jpg")))
    files = dict(indexed)
    kept = [(name, files[name], image) for name, image in originals]
    return Bed(
        [  # each edit of four originals, and each original under eleven edits: half of all pairs
            *trials_of(kept[::2], others, list(FLOORS)[::2]),
            *trials_of(kept[1::2], others, list(FLOORS)[1::2]),
        ],
        [
            *((name, encoded(photograph(name))) for name in STRANGERS),
            *((f"scene {number}", encoded(picture(number))) for number in range(500, 506)),
        ],
        indexed,
        Settings(workers=1, model=DEFAULT),
    )


def filler(seed: int) -> Image.Image:
    """A generated picture that no other is like, to a network either: shapes and letters over texture."""
    random = np.random.default_rng([7, seed])
    width, height = (240, 180) if seed % 2 else (180, 240)
    canvas = Image.new("RGB", (width, height), _colour(random))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(random.integers(3, 12))):
        x, y = random.uniform(-0.2, 1, 2) * (width, height)
        across, down = random.uniform(0.1, 0.8, 2) * (width, height)
        shape = (draw.ellipse, draw.rectangle)[int(random.integers(2))]
        shape((x, y, x + across, y + down), fill=_colour(random))
    for _ in range(4):
        letters = "".join(chr(65 + int(one)) for one in random.integers(0, 26, 4))
        place = random.uniform(0, 0.8, 2) * (width, height)
        font = ImageFont.load_default(float(random.uniform(14, 60)))
        draw.text((place[0], place[1]), letters, _colour(random), font)
    texture = Image.fromarray(scene(height, width, 9000 + seed)).convert("RGB")
    return Image.blend(canvas, texture, float(random.uniform(0.15, 0.5)))


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(one) for one in random.integers(0, 256, 3))
    return red, green, blue


def photograph(name: str) -> Image.Image:
    """One of the photographs, at most `SIDE` pixels long."""
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.origin is not None
    with Image.open(Path(found.origin).parent / "data" / name) as opened:
        image = opened.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image


def saved(image: Image.Image, path: Path) -> bytes:
    """Write a picture as JPEG; gives the bytes of the file."""
    data = encoded(image)
    path.write_bytes(data)
    return data
