"""A messy folder, as people have: about 400 files of seven years, with the truth about each.

    python -m tests.messy FOLDER [--seed N]

Originals with a camera's block and without, many edited copies, crops, collages, backups, RAW beside JPEG,
films beside photographs, bursts, certificates and screens that differ in a name or a picture alone, links,
broken files, names in many scripts, pages with one cover.
"""

from __future__ import annotations

import argparse
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from tests.pictures import dng, heic, pdf
from tests.scenes import scene

Picture = Image.Image
Random = np.random.Generator
SUBJECTS = 56
EDITED, EACH = 44, 3  # originals of which something was made, and how much of each
BACKED, AGAIN = 50, 6  # originals of which there is a backup, and then those beside which there is a copy
NAMES = ("Фото", "صورة", "照片", "été à la mer", "a" * 180, "new\nline", "IMG", "DSC", "P")


@dataclass
class Truth:
    """What every file is, by its path below the folder.

    `subject` is the number of the scene that it shows, None of a file that shows none; `made` whether it was
    made from another file; `same` the path of the file whose bytes it has; `part` whether it shows a part or
    is put together of several; `set` the name of the pictures that look like it, each of a subject of its
    own; `outcome` what adding says of it.
    """

    files: dict[str, File] = field(default_factory=dict)


@dataclass
class File:
    """See `Truth`."""

    subject: int | None
    made: bool = False
    same: str | None = None
    part: bool = False
    outcome: str = "added"
    set: str | None = None
    shot: str | None = None


def subject(seed: int, width: int = 272, height: int = 204, frame: int = 0) -> Picture:
    """A scene of its own with soft and sharp things and fine grain in it.

    `frame` is the number of a shot of it: between two of them things move, and the grain is another.
    """
    random = np.random.default_rng([7, seed])
    channels = [scene(height, width, 9_000 + 3 * seed + n) for n in (0, 1, 0)]
    image = Image.fromarray(np.dstack(channels)).filter(ImageFilter.GaussianBlur(3))
    draw = ImageDraw.Draw(image)
    for number in range(70):
        if number == 58 and frame:
            random = np.random.default_rng([7, seed, frame])
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        wide, high = (int(side) for side in random.integers(6, 50, 2))
        colour = tuple(int(level) for level in random.integers(0, 256, 3))
        (draw.ellipse if random.random() < 0.5 else draw.rectangle)((x, y, x + wide, y + high), fill=colour)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
    grain = random.normal(0, 7, (height, width, 1))
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def block(moment: str, size: tuple[int, int]) -> bytes:
    """EXIF as a camera writes it."""
    stated = Image.Exif()
    stated[0x010F], stated[0x0110], stated[0x0132] = "Orion", "Orion D7", moment
    below = stated.get_ifd(0x8769)
    below[0x829A], below[0x829D], below[0x8827] = 0.004, 2.8, 200
    below[0x9003], below[0xA002], below[0xA003] = moment, size[0], size[1]
    return stated.tobytes()


def jpeg(image: Picture, quality: int = 92, **options: Any) -> bytes:
    """The bytes of a JPEG."""
    return saved(image, "JPEG", quality=quality, **options)


def saved(image: Picture, kind: str, **options: Any) -> bytes:
    """The bytes of a file of a kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"compress_level": 1} if kind == "PNG" else {}), **options)
    return buffer.getvalue()


def _written(image: Picture, random: Random) -> Picture:
    done = image.copy()
    draw = ImageDraw.Draw(done)
    top = int(random.integers(20, image.height // 2))
    draw.rectangle((16, top, image.width - 50, top + 50), fill="#f0e020")
    draw.text((26, top + 5), "WHAT A DAY", "black", font_size=36)
    return done


def _captioned(image: Picture) -> Picture:
    done = ImageOps.expand(image, (0, 60, 0, 0), "white")
    ImageDraw.Draw(done).text((20, 10), "nobody expects it", "black", font_size=34)
    return done


def _screenshot(image: Picture) -> Picture:
    screen = Image.new("RGB", (390, 844), "#101418")
    draw = ImageDraw.Draw(screen)
    draw.text((20, 14), "9:41", "white", font_size=20)
    for row in range(9):
        draw.rectangle((20, 520 + 32 * row, 340 - 13 * row, 536 + 32 * row), fill="#39424e")
    screen.paste(image.resize((390, 292), Image.Resampling.LANCZOS), (0, 180))
    return screen


def _half(image: Picture) -> Picture:
    wide, high = int(image.width * 0.66), int(image.height * 0.66)
    return image.crop((30, 24, 30 + wide, 24 + high))


def _scaled(image: Picture, factor: float, way: Image.Resampling = Image.Resampling.BICUBIC) -> Picture:
    return image.resize((round(image.width * factor), round(image.height * factor)), way)


def _sharpened(image: Picture) -> Picture:
    """Enlarged as programs do that promise detail."""
    large = _scaled(image, 2, Image.Resampling.LANCZOS)
    return large.filter(ImageFilter.UnsharpMask(2.4, 250, 1))


def _sent(image: Picture) -> bytes:
    """As a messenger sends it, with its name."""
    stated = Image.Exif()
    stated[0x0131] = "WhatsApp"
    return jpeg(_scaled(image, 0.8), 72, exif=stated.tobytes())


Edit = tuple[str, bool, Callable[[Picture, Random], bytes]]
EDITS: tuple[Edit, ...] = (
    # name, whether it shows a part, bytes
    ("mirrored for the layout.png", False, lambda i, _: saved(ImageOps.mirror(i), "PNG")),
    ("png re-save of camera file.png", False, lambda i, _: saved(i, "PNG")),
    ("upscaled by some AI site.jpg", False, lambda i, _: jpeg(_scaled(i, 2), 95)),
    ("upscaled.png", False, lambda i, _: saved(_scaled(i, 2), "PNG")),
    ("IMG-20200101-WA0030.jpg", False, lambda i, _: jpeg(_scaled(i, 0.6), 70)),
    ("for the web.webp", False, lambda i, _: saved(_scaled(i, 0.7), "WEBP", quality=80)),
    ("turned.jpg", False, lambda i, _: jpeg(i.transpose(Image.Transpose.ROTATE_90), 96)),
    ("meme 65.jpg", False, lambda i, random: jpeg(_written(i, random), 88)),
    ("caption.png", False, lambda i, _: saved(_captioned(i), "PNG")),
    ("framed.png", False, lambda i, _: saved(ImageOps.expand(i, 30, "white"), "PNG")),
    ("grey.tif", False, lambda i, _: saved(ImageOps.grayscale(i), "TIFF")),
    ("sepia.jpg", False, lambda i, _: jpeg(ImageOps.colorize(ImageOps.grayscale(i), "#241408", "#fff2d8"))),
    ("small file.jpg", False, lambda i, _: jpeg(i, 35)),
    ("modern.avif", False, lambda i, _: saved(i, "AVIF", quality=60, speed=10)),
    ("brighter.png", False, lambda i, _: saved(ImageEnhance.Brightness(i).enhance(1.4), "PNG")),
    ("soft.jpg", False, lambda i, _: jpeg(i.filter(ImageFilter.GaussianBlur(2)), 92)),
    ("crop.jpg", True, lambda i, _: jpeg(_half(i), 93)),
    ("crop, enlarged.png", True, lambda i, _: saved(_scaled(_half(i), 2), "PNG")),
    ("Screenshot_2021.png", True, lambda i, _: saved(_screenshot(i), "PNG")),
    ("thumb.jpg", False, lambda i, _: jpeg(_scaled(i, 0.35), 80)),
    ("pixels.png", False, lambda i, _: saved(_scaled(i, 2, Image.Resampling.NEAREST), "PNG")),
    ("larger-gigapixel.png", False, lambda i, _: saved(_sharpened(i), "PNG")),
    ("enhanced.jpg", False, lambda i, _: jpeg(_sharpened(i), 96)),
    ("avatar.png", False, lambda i, _: saved(_scaled(i, 0.2, Image.Resampling.LANCZOS), "PNG")),
    ("flipped.png", False, lambda i, _: saved(ImageOps.flip(i), "PNG")),
    ("mirrored, written on.png", False, lambda i, random: saved(_written(ImageOps.mirror(i), random), "PNG")),
    ("mirrored, enlarged.png", False, lambda i, _: saved(_scaled(ImageOps.mirror(i), 1.5), "PNG")),
    ("sent.jpg", False, lambda i, _: _sent(i)),
)


class Folder:
    """What is being written."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = np.random.default_rng(seed)
        self.seed = seed
        self.truth = Truth()
        self.written: dict[bytes, str] = {}

    def put(self, name: str, data: bytes, **facts: Any) -> str:
        """Write a file, with the truth about it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        first = self.written.setdefault(data, name)
        if facts.get("made") and first != name:  # a PNG saved again can be the same, byte for byte
            facts |= {"same": first, "outcome": "known"}
        self.truth.files[name] = File(**facts)
        return name


def make(root: Path, seed: int = 0) -> Truth:
    """Write the folder; gives the truth about it."""
    folder = Folder(root, seed)
    originals = [_original(folder, number) for number in range(SUBJECTS)]
    _edits(folder, originals)
    _backups(folder, originals)
    _together(folder, originals)
    _pages(folder, originals)
    _bursts(folder)
    _templates(folder, originals)
    _oddities(folder, originals)
    return folder.truth


def _original(folder: Folder, number: int) -> tuple[str, bytes, Picture]:
    image = subject(1_000 * folder.seed + number)
    year, kind = 2017 + number % 7, number % 4
    moment = f"{year}:0{1 + number % 9}:1{number % 10} 12:30:{number % 60:02}"
    stem = f"{NAMES[number % len(NAMES)]} {number:03}"
    if kind == 3:
        name, data = f"{year}/{stem}.png", saved(image, "PNG")
    elif kind == 2:
        name, data = f"{year}/{stem}.jpg", jpeg(image, 90)
    else:
        name, data = f"{year}/{stem}.JPG", jpeg(image, 94, exif=block(moment, image.size))
    folder.put(name, data, subject=number)
    return name, data, Image.open(io.BytesIO(data)).convert("RGB")


def _edits(folder: Folder, originals: list[tuple[str, bytes, Picture]]) -> None:
    for number, (_, _, image) in enumerate(originals[:EDITED]):
        for turn in range(EACH):
            name, part, edit = EDITS[(EACH * number + turn + folder.seed) % len(EDITS)]
            place = ("edits", f"{2017 + number % 7}", "From phone", "export")[int(folder.random.integers(4))]
            data = edit(image, folder.random)
            stem, dot, ending = name.rpartition(".")
            folder.put(f"{place}/{stem} {number}{dot}{ending}", data, subject=number, made=True, part=part)


def _backups(folder: Folder, originals: list[tuple[str, bytes, Picture]]) -> None:
    for number, (name, data, _) in enumerate(originals[:BACKED]):
        where = ("Backup of Backup", "Kopie", "old phone/DCIM")[number % 3]
        folder.put(f"{where}/{Path(name).name}", data, subject=number, same=name, outcome="known")
    for number, (name, data, _) in enumerate(originals[BACKED : BACKED + AGAIN], BACKED):
        stem, dot, ending = name.rpartition(".")
        copied = f"{stem} (1){dot}{ending}"
        folder.put(copied, data, subject=number, same=name, outcome="known")


def _together(folder: Folder, originals: list[tuple[str, bytes, Picture]]) -> None:
    """Files of one shot, and pictures of several."""
    for number in range(4):
        image = subject(500_000 + 1_000 * folder.seed + number, 384, 288)
        shot = f"shot {number}"
        stem = f"DCIM/DSC_{4000 + number}"
        raw = folder.put(f"{stem}.DNG", dng(image=image), subject=900 + number, shot=shot)
        data = jpeg(image, 93, exif=block("2019:05:05 10:00:00", image.size))
        name = folder.put(f"{stem}.JPG", data, subject=900 + number, shot=shot)
        folder.put(f"Backup/DSC_{4000 + number}.JPG", data, subject=900 + number, same=name, outcome="known")
        assert raw != name
    (folder.root / "2018/IMG_0001.MOV").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(400))
    folder.truth.files["2018/IMG_0001.MOV"] = File(None, outcome="skipped")
    folder.put("2018/IMG_0001.HEIC", heic(), subject=950, shot="live")
    for number in range(0, 12, 4):
        sheet = Image.new("RGB", (640, 480), "white")
        for place in range(4):
            tile = originals[28 + (number + place) % 16][2].resize((310, 230), Image.Resampling.LANCZOS)
            sheet.paste(tile, (5 + 320 * (place % 2), 5 + 240 * (place // 2)))
        folder.put(f"collage {number}.jpg", jpeg(sheet), subject=None, made=True, part=True)


def _pages(folder: Folder, originals: list[tuple[str, bytes, Picture]]) -> None:
    """Files of several frames or pages that share the first."""
    cover = subject(700_000 + folder.seed)
    for which in range(2):
        pages = [originals[38 + 2 * which + n][2].copy() for n in range(2)]
        for kind, ending in (("TIFF", "tif"), ("GIF", "gif"), ("PDF", "pdf")):
            shown = [
                one.quantize(64, Image.Quantize.FASTOCTREE) if kind == "GIF" else one
                for one in (cover, *pages)
            ]
            data = saved(shown[0], kind, save_all=True, append_images=shown[1:])
            folder.put(f"Scans/document {which}.{ending}", data, subject=800)
    folder.put("Scans/blank.pdf", pdf(2), subject=810)


def _bursts(folder: Folder) -> None:
    """Shots of one scene, a moment apart: alike, and each of them the only one of its kind."""
    size = (272, 204)
    for number in range(14):
        for frame in range(2):
            image = subject(300_000 + 1_000 * folder.seed + number, *size, frame=frame + 1)
            options = {"exif": block(f"2021:07:{10 + number} 09:30:0{frame}", size)} if number % 2 else {}
            name = f"2021/burst {number} {frame}.jpg"
            folder.put(name, jpeg(image, 93, **options), subject=3_000 + 2 * number + frame, set="burst")


def _templates(folder: Folder, originals: list[tuple[str, bytes, Picture]]) -> None:
    """Pictures that share all but what they are about: a name, a photograph, a number."""
    ground = subject(600_000 + folder.seed, 420, 300).filter(ImageFilter.GaussianBlur(6))
    people = (
        "Ada Lovelace",
        "Emmy Noether",
        "Lise Meitner",
        "Hedy Lamarr",
        "Rosalind Franklin",
        "Mary Anning",
    )
    for number, person in enumerate(people):
        sheet = ground.copy()
        draw = ImageDraw.Draw(sheet)
        draw.rectangle((30, 30, 390, 270), outline="#7a5a10", width=6, fill="#fdf8e8")
        draw.text((70, 50), "CERTIFICATE", "#7a5a10", font_size=44)
        draw.text((70, 130), person, "black", font_size=34)
        draw.text((70, 220), "has passed the examination", "#404040", font_size=20)
        name = f"Scans/certificate {person}.{'png' if number % 2 else 'jpg'}"
        folder.put(
            name,
            saved(sheet, "PNG") if number % 2 else jpeg(sheet),
            subject=4_000 + number,
            set="certificate",
        )
    for number in range(10):
        photograph = originals[number][2]
        shown = photograph.crop((0, 0, 200, 150)).filter(ImageFilter.GaussianBlur(1))
        screen = _screenshot(ImageOps.mirror(shown))
        name = f"Screens/Screenshot_2022{number:02}.png"
        folder.put(name, saved(screen, "PNG"), subject=5_000 + number, set="screen")


def _oddities(folder: Folder, originals: list[tuple[str, bytes, Picture]]) -> None:
    random = folder.random
    for number in range(50):
        side = int(random.choice((16, 24, 32, 48, 64)))
        pixels = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        icon = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
        folder.put(f"icons/icon {number}.png", saved(icon, "PNG"), subject=2_000 + number)
    for number, (name, _, image) in enumerate(originals[:26]):
        small = jpeg(_scaled(image, 0.4), 75)
        place = f"{Path(name).parent}/@eaDir/thumb {number}.jpg"
        folder.put(place, small, subject=number, made=True, outcome="skipped")
    broken = {
        "2019/half.jpg": ("added", originals[3][1][: len(originals[3][1]) // 3]),
        "2019/text.jpg": ("skipped", b"this is no picture at all\n" * 9),
        "2019/empty.png": ("failed", b""),
        "2020/.DS_Store": ("skipped", b"\0\0\0\1Bud1" + bytes(200)),
        "2020/Thumbs.db": ("skipped", b"\xd0\xcf\x11\xe0" + bytes(200)),
        "2020/notes.txt": ("skipped", b"remember the milk"),
    }
    for name, (outcome, data) in broken.items():
        folder.put(name, data, subject=None, outcome=outcome)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", originals[0][1])
    folder.put("2021/holiday.zip", packed.getvalue(), subject=None, outcome="skipped")
    for number in range(3):
        name = originals[SUBJECTS - 3 + number][0]
        link = folder.root / f"links/soft {number}.jpg"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(folder.root / name)
        os.link(folder.root / name, folder.root / f"links/hard {number}.jpg")
        for kind in ("soft", "hard"):
            folder.truth.files[f"links/{kind} {number}.jpg"] = File(
                SUBJECTS - 3 + number, same=name, outcome="known"
            )
    os.mkfifo(folder.root / "2022/pipe.jpg")
    folder.truth.files["2022/pipe.jpg"] = File(None, outcome="failed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"{len(make(asked.folder, asked.seed).files)} files in {asked.folder}")
