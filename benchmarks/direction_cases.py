"""Pairs of which it is known which was made from which: edits, enlargements, thumbnails, and what files say.

Each is (name, original, what was made of it), both as bytes. Some are there to mislead: enlargements that
were sharpened, blocks of a camera that an editor kept, a camera's photograph of a screen that shows a picture
without any.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from tests.pictures import dng

from wherefrom.evaluate.edits import edit

Random = np.random.Generator
Picture = Image.Image
Pair = tuple[str, bytes, bytes]
_Ways = Image.Resampling

FACTORS = (1.5, 2.0, 3.0, 4.3)
LARGEST = 1_600  # pixels a side of an enlargement
SIDES = (48, 40, 32, 24)  # pixels of the shorter side of thumbnails
TIMES = ("2019:05:05 10:00:00", "2022:11:01 18:20:00")


def sized(factor: float) -> Callable[[Picture], Picture]:
    """What changes the size by a factor."""

    def resize(image: Picture) -> Picture:
        return _to(image, factor, _Ways.LANCZOS if factor < 1 else _Ways.BICUBIC)

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
    "to 10 %": sized(0.1),
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


def edits(images: list[tuple[bytes, Picture]], backgrounds: list[Picture]) -> Iterator[Pair]:
    """What people do to pictures, saved as JPEG, PNG or WebP."""
    for number, (data, image) in enumerate(images):
        for name in (*OWN, *EDITS):
            random = np.random.default_rng([number, *name.encode()])
            made = OWN[name](image) if name in OWN else edit(name, image, number, backgrounds)
            yield name, data, _as_named(name, made, random)


def sizes(images: list[tuple[bytes, Picture]], _: list[Picture]) -> Iterator[Pair]:
    """Enlargements of every kind, and thumbnails down to icons."""
    for number, (data, image) in enumerate(images):
        random = np.random.default_rng([number, 5])
        half = (image.width // 4, image.height // 4, image.width * 3 // 4, image.height * 3 // 4)
        for base in (_to(image, 0.5, _Ways.LANCZOS), image.crop(half)):
            small = saved(base, str(random.choice(["PNG", "90", "75"])))
            shown = Image.open(io.BytesIO(small)).convert("RGB")
            for name, enlarge in ENLARGED.items():
                factor = float(random.choice(FACTORS))
                factor = min(factor, LARGEST / max(shown.size))
                if factor >= 1.3:
                    yield name, small, saved(enlarge(shown, factor), str(random.choice(["PNG", "95", "75"])))
        for side in SIDES:
            way = random.choice([_Ways.LANCZOS, _Ways.BICUBIC, _Ways.BOX])
            icon = _to(image, side / min(image.size), way)
            yield f"thumbnail of {side} px", data, saved(icon, str(random.choice(["PNG", "90", "75"])))
            large = ENLARGED[str(random.choice(list(ENLARGED)))](icon, float(random.choice([3, 4.3, 8])))
            made = saved(large, str(random.choice(["PNG", "95", "75"])))
            yield f"enlarged icon of {side} px", saved(icon, "PNG"), made


def _plainly(way: Image.Resampling) -> Callable[[Picture, float], Picture]:
    return lambda image, factor: _to(image, factor, way)


def _unsharp(image: Picture, factor: float) -> Picture:
    return _to(image, factor, _Ways.LANCZOS).filter(ImageFilter.UnsharpMask(2, 150, 2))


def _sharpest(image: Picture, factor: float) -> Picture:
    """As programs sharpen that promise detail."""
    return _to(image, factor, _Ways.LANCZOS).filter(ImageFilter.UnsharpMask(1.2 * factor, 300, 1))


ENLARGED: dict[str, Callable[[Picture, float], Picture]] = {
    "enlarged, nearest": _plainly(_Ways.NEAREST),
    "enlarged, bilinear": _plainly(_Ways.BILINEAR),
    "enlarged, bicubic": _plainly(_Ways.BICUBIC),
    "enlarged, Lanczos": _plainly(_Ways.LANCZOS),
    "enlarged, unsharp mask": _unsharp,
    "enlarged, sharpened most": _sharpest,
}


def files(images: list[tuple[bytes, Picture]], backgrounds: list[Picture]) -> Iterator[Pair]:
    """What only the files say: blocks of cameras, dates, sensor data, missing rows."""
    for number, (_, large) in enumerate(images):
        image = _to(large, min(1.0, 900 / max(large.size)), _Ways.LANCZOS)
        random = np.random.default_rng([number, 6])
        taken = saved(image, "93", exif=block(image, TIMES[0]))
        shown = Image.open(io.BytesIO(taken)).convert("RGB")
        toned = ImageEnhance.Color(ImageEnhance.Brightness(shown).enhance(1.12)).enhance(1.15)
        sharp = shown.filter(ImageFilter.UnsharpMask(1.5, 80, 1))
        yield "camera, then without a block", taken, saved(toned, "92")
        yield "camera, then sharpened without a block", taken, saved(sharp, "PNG")
        yield "camera, then with the block kept", taken, saved(toned, "92", exif=block(image, TIMES[0]))
        named = block(image, TIMES[0], "GIMP 2.10.34")
        yield "camera, then saved by an editor", taken, saved(toned, "95", exif=named)
        yield "camera, then mirrored", taken, saved(ImageOps.mirror(toned), "PNG")
        yield "camera, then cut", taken, saved(edit("crop 70 %", shown, number), "92")
        plain = saved(image, "93")
        screen = edit("photo of a screen", image, number, backgrounds)
        yield "photographed from a screen", plain, saved(screen, "93", exif=block(screen, TIMES[1]))
        again = saved(toned, "92", exif=block(toned, TIMES[1], "Instagram"))
        yield "dated, then later by an app", taken, again
        later = saved(toned, "92", exif=block(toned, TIMES[1]))
        yield "dated, then later by a camera", taken, later
        even = image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))
        raw = dng(image=even)
        yield "raw, then developed", raw, saved(even, "92")
        yield "raw, then developed with a block", raw, saved(even, "92", exif=block(even, TIMES[0]))
        yield "raw, then toned and smaller", raw, saved(_to(toned, 0.6, _Ways.LANCZOS), "85")
        whole = saved(image, "90")
        yield "whole, then cut short", whole, whole[: int(len(whole) * random.uniform(0.55, 0.9))]


CASES: dict[str, Callable[[list[tuple[bytes, Picture]], list[Picture]], Iterator[Pair]]] = {
    "edits": edits,
    "sizes": sizes,
    "files": files,
}


def block(image: Picture, moment: str, software: str | None = None) -> bytes:
    """EXIF as a camera writes it."""
    stated = Image.Exif()
    stated[0x010F], stated[0x0110], stated[0x0132] = "Orion", "Orion D7", moment
    if software is not None:
        stated[0x0131] = software
    below = stated.get_ifd(0x8769)
    below[0x829A], below[0x829D], below[0x8827] = 0.004, 2.8, 200
    below[0x9003], below[0xA002], below[0xA003] = moment, image.width, image.height
    return stated.tobytes()


def saved(image: Picture, kind: str, **options: Any) -> bytes:
    """The bytes of a PNG, a WebP, or of a JPEG of a quality."""
    buffer = io.BytesIO()
    if kind == "PNG":
        image.save(buffer, kind, **options)
    elif kind == "WEBP":
        image.save(buffer, kind, quality=85, **options)
    else:
        image.save(buffer, "JPEG", quality=int(kind), **options)
    return buffer.getvalue()


def _as_named(name: str, image: Picture, random: Random) -> bytes:
    """An edit's file: as it says, else by chance."""
    quality = str(random.integers(70, 96))
    if name == "saved as PNG":
        return saved(image, "PNG")
    if name.startswith("saved at"):
        return saved(image, name.rpartition(" ")[2])
    if name in OWN:
        return saved(image, quality)
    return saved(image, str(random.choice([quality, "PNG", "WEBP"], p=[0.6, 0.3, 0.1])))


def _to(image: Picture, factor: float, way: Image.Resampling) -> Picture:
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), way)
