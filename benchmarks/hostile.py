"""A folder of pictures in a dozen formats with hostile files among them, the same each time."""

from __future__ import annotations

import functools
import io
import os
import random
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BASES = 150
FORMATS = {
    "jpeg": 48,
    "progressive": 8,
    "grey": 3,
    "cmyk": 2,
    "png": 10,
    "palette": 2,
    "webp": 7,
    "gif": 4,
    "tiff": 4,
    "bmp": 3,
    "avif": 3,
    "jp2": 2,
    "pnm": 1,
    "svg": 1,
    "jxl": 1,
    "again": 1,
}


def make(root: Path, files: int, hostile: int) -> Counter[str]:
    """Fill a folder; returns how many hostile files of each kind are in it."""
    chance = random.Random(20)
    root.mkdir(parents=True)
    for number in range(40):
        (root / f"folder {number:02}").mkdir()
    folders = sorted(root.iterdir())
    bases = [scene(seed) for seed in range(BASES)]
    names, weights = list(FORMATS), list(FORMATS.values())
    good: list[Path] = []
    for number in range(files - hostile):
        kind = chance.choices(names, weights)[0] if good else "jpeg"
        path = chance.choice(folders) / f"picture {number:05}.{kind}"
        path.write_bytes(
            chance.choice(good[:50]).read_bytes()
            if kind == "again"
            else encoded(bases[number % BASES], kind, number, chance)
        )
        good.append(path)
    kinds: Counter[str] = Counter()
    makers = list(HOSTILE.items())
    for number in range(hostile):
        name, maker = makers[number % len(makers)]
        kinds[name] += 1
        maker(chance.choice(folders) / f"{name}~{number:03}.jpg", chance, good)
    (root / "folder 00" / "up").symlink_to("..")  # a loop of folders, which is no file
    return kinds


def scene(seed: int) -> Image.Image:
    random_numbers = np.random.default_rng(seed)
    small = random_numbers.integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(small).resize((480, 360), Image.Resampling.BICUBIC)


def encoded(base: Image.Image, kind: str, number: int, chance: random.Random) -> bytes:
    """A slightly other picture each time: cut at the sides, resized now and then, of any quality."""
    left, top = chance.randrange(12), chance.randrange(12)
    image = base.crop((left, top, 480 - chance.randrange(12), 360 - chance.randrange(12)))
    if number % 50 == 0:
        image = image.resize((2400, 1800))
    image.putpixel((number % image.width, number // image.width % image.height), (number % 256, 0, 255))
    quality = chance.choice((60, 75, 85, 92))
    if kind == "svg":
        shapes = "".join(
            f'<circle cx="{chance.random() * 90:.1f}" cy="{chance.random() * 60:.1f}" '
            f'r="{chance.random() * 20:.1f}" fill="rgb({chance.randrange(256)},{chance.randrange(256)},90)"/>'
            for _ in range(30)
        )
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 60">{shapes}</svg>'.encode()
    if kind == "jxl":
        try:
            import imagecodecs
        except ImportError:
            kind = "png"
        else:
            return bytes(imagecodecs.jpegxl_encode(np.asarray(image), effort=3))
    mode = {"grey": "L", "cmyk": "CMYK", "palette": "P", "gif": "P"}.get(kind)
    name, extra = {
        "progressive": ("JPEG", {"quality": quality, "progressive": True}),
        "palette": ("PNG", {}),
        "avif": ("AVIF", {"quality": quality, "speed": 10}),
        "webp": ("WEBP", {"quality": quality, "method": 0}),
        "tiff": ("TIFF", {"compression": chance.choice(("raw", "tiff_lzw", "tiff_deflate", "jpeg"))}),
        "jp2": ("JPEG2000", {"quality_mode": "rates", "quality_layers": [20]}),
        "pnm": ("PPM", {}),
        "bmp": ("BMP", {}),
        "gif": ("GIF", {}),
        "png": ("PNG", {"compress_level": 1}),
    }.get(kind, ("JPEG", {"quality": quality}))
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, name, **extra)
    return stream.getvalue()


Maker = Callable[[Path, random.Random, list[Path]], None]
HOSTILE: dict[str, Maker] = {}


def hostile(maker: Maker) -> Maker:
    HOSTILE[maker.__name__.replace("_", "-")] = maker
    return maker


def written(make_bytes: Callable[[random.Random, list[Path]], bytes]) -> Maker:
    """A hostile file that is nothing but its bytes."""

    def maker(path: Path, chance: random.Random, good: list[Path]) -> None:
        path.write_bytes(make_bytes(chance, good))

    maker.__name__ = make_bytes.__name__
    return hostile(maker)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, before: bytes = b""
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@functools.cache
def zeros(count: int) -> bytes:
    packer = zlib.compressobj(6)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & 0xFFFFF)), packer.flush()])


def jpeg(**options: Any) -> bytes:
    stream = io.BytesIO()
    scene(7).save(stream, "JPEG", quality=80, **options)
    return stream.getvalue()


@written
def cut(chance: random.Random, good: list[Path]) -> bytes:
    data = chance.choice(good).read_bytes()
    return data[: chance.randrange(1, len(data))]


@written
def cut_jpeg(chance: random.Random, _: list[Path]) -> bytes:
    data = jpeg()
    return data[: chance.randrange(20, len(data) - 2)]


@written
def damaged_middle(chance: random.Random, good: list[Path]) -> bytes:
    data = bytearray(chance.choice(good).read_bytes())
    place = chance.randrange(len(data) // 4, len(data))
    data[place : place + 200] = chance.randbytes(200)
    return bytes(data)


@written
def damaged_head(chance: random.Random, good: list[Path]) -> bytes:
    data = bytearray(chance.choice(good).read_bytes())
    for _ in range(10):
        data[chance.randrange(min(200, len(data)))] = chance.randrange(256)
    return bytes(data)


@written
def empty(_: random.Random, __: list[Path]) -> bytes:
    return b""


@written
def words(_: random.Random, __: list[Path]) -> bytes:
    return b"This is a text, whatever its name says.\n" * 50


@written
def all_zero(_: random.Random, __: list[Path]) -> bytes:
    return bytes(100_000)


@written
def noise(chance: random.Random, _: list[Path]) -> bytes:
    return chance.randbytes(50_000)


@written
def noise_behind_a_head(chance: random.Random, good: list[Path]) -> bytes:
    return chance.choice(good).read_bytes()[:48] + chance.randbytes(20_000)


@written
def stated_60000_square(_: random.Random, __: list[Path]) -> bytes:
    return png(60_000, 60_000, zlib.compress(bytes(1000)))


@written
def bomb_20000_square(_: random.Random, __: list[Path]) -> bytes:
    return png(20_000, 20_000, zeros(20_000 * 60_001))


@written
def bomb_under_the_cap(_: random.Random, __: list[Path]) -> bytes:
    return png(9_990, 9_990, zeros(9_990 * 29_971))


@written
def bomb_of_grey_16(_: random.Random, __: list[Path]) -> bytes:
    return png(9_990, 9_990, zeros(9_990 * 19_981), depth=16, colour=0)


@written
def huge_gif(_: random.Random, __: list[Path]) -> bytes:
    frame = b",\0\0\0\0\xff\xff\xff\xff\0\x08" + b"\xff" + bytes(255) + b"\0;"
    return b"GIF89a\xff\xff\xff\xff\xf0\0\0\0\0\0\xff\xff\xff" + frame


@written
def gif_frame_beyond_its_screen(_: random.Random, __: list[Path]) -> bytes:
    frame = b",\0\0\0\0\xff\xff\xff\xff\0\x08" + b"\xff" + bytes(255) + b"\0;"
    return b"GIF89a\x10\0\x10\0\xf0\0\0\0\0\0\xff\xff\xff" + frame


@written
def endless_gif(_: random.Random, __: list[Path]) -> bytes:
    stream = io.BytesIO()
    Image.new("P", (64, 64)).save(stream, "GIF")
    data = stream.getvalue()
    return data[:-1] + data[data.index(b",", 19) : -1] * 100_000 + b";"


@written
def huge_tiff(_: random.Random, __: list[Path]) -> bytes:
    tags = (
        (256, 60_000),
        (257, 60_000),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 60_000),
        (279, 999),
    )
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body + bytes(4)


@written
def endless_tiff(_: random.Random, __: list[Path]) -> bytes:
    page = struct.pack("<HHHII", 1, 256, 4, 1, 5)
    pages = b"".join(page + struct.pack("<I", 8 + 18 * (n + 1)) for n in range(100_000))
    return b"II*\0\x08\0\0\0" + pages


@written
def huge_webp(_: random.Random, __: list[Path]) -> bytes:
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2
    return b"RIFF" + struct.pack("<I", len(body)) + body


@written
def huge_bmp(_: random.Random, __: list[Path]) -> bytes:
    return (
        b"BM"
        + struct.pack("<IIIIiiHHIIiiII", 1000, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
        + bytes(946)
    )


@written
def huge_jpeg(_: random.Random, __: list[Path]) -> bytes:
    data = bytearray(jpeg())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 65_500, 65_500)
    return bytes(data)


@written
def large_jpeg_of_nothing(_: random.Random, __: list[Path]) -> bytes:
    data = bytearray(jpeg())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 15_000, 15_000)
    return bytes(data)


@written
def large_progressive_of_nothing(_: random.Random, __: list[Path]) -> bytes:
    data = bytearray(jpeg(progressive=True, subsampling=0))
    struct.pack_into(">HH", data, data.index(b"\xff\xc2") + 5, 9_900, 9_900)
    return bytes(data)


@written
def huge_pnm(_: random.Random, __: list[Path]) -> bytes:
    return b"P6 60000 60000 255\n" + bytes(1000)


@written
def pixels_in_words(_: random.Random, __: list[Path]) -> bytes:
    return b"P3 9000 9000 255\n" + b"7 " * (28 << 20)  # more to read than there is time


@written
def text_bomb(chance: random.Random, _: list[Path]) -> bytes:
    name, head = chance.choice(((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")))
    return png(4, 4, zlib.compress(bytes(52)), before=chunk(name, head + zeros(500_000_000)))


@written
def bad_exif(chance: random.Random, _: list[Path]) -> bytes:
    return jpeg(
        exif=b"Exif\0\0" + chance.choice((b"", b"II*\0", b"II*\0\xff\xff\xff\xff", chance.randbytes(300)))
    )


@written
def bad_profile(chance: random.Random, _: list[Path]) -> bytes:
    return jpeg(icc_profile=bytes(36) + b"acsp" + chance.randbytes(400))


@written
def entity_bomb(_: random.Random, __: list[Path]) -> bytes:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    return (
        f'<!DOCTYPE svg [{entities}]><svg xmlns="http://www.w3.org/2000/svg"><text>&a9;</text></svg>'.encode()
    )


@written
def drawing_without_end(_: random.Random, __: list[Path]) -> bytes:
    noise = '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="100000000"/></filter>'
    shape = '<rect width="9" height="9" filter="url(#f)"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{noise}{shape}</svg>'.encode()


@written
def drawing_too_deep(_: random.Random, __: list[Path]) -> bytes:
    inside = '<g opacity="0.9">' * 700 + '<rect width="9" height="9"/>' + "</g>" * 700
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{inside}</svg>'.encode()


@written
def document_of_nothing(chance: random.Random, _: list[Path]) -> bytes:
    return b"%PDF-1.7\n" + chance.randbytes(3000) + b"\n%%EOF\n"


@written
def boxes_of_nothing(chance: random.Random, _: list[Path]) -> bytes:
    brand = chance.choice((b"heic", b"avif", b"mif1", b"crx "))
    return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1" + brand + b"\0\0\x10\0meta" + chance.randbytes(4088)


@hostile
def sparse(path: Path, _: random.Random, good: list[Path]) -> None:
    path.write_bytes(good[0].read_bytes())
    with path.open("r+b") as file:
        file.truncate(300 << 20)


@hostile
def other_extension(path: Path, chance: random.Random, good: list[Path]) -> None:
    path.with_suffix(chance.choice((".txt", ".exe", ".mp4", ""))).write_bytes(
        chance.choice(good).read_bytes()
    )


@hostile
def name_of_any_bytes(path: Path, _: random.Random, good: list[Path]) -> None:
    name = os.fsencode(path.parent) + b"/" + path.stem.encode() + b"\xff\xfe \n\x01 caf\xe9%?#&.jpg"
    Path(os.fsdecode(name)).write_bytes(good[1].read_bytes())


@hostile
def pipe(path: Path, _: random.Random, __: list[Path]) -> None:
    os.mkfifo(path)


@hostile
def broken_link(path: Path, _: random.Random, __: list[Path]) -> None:
    path.symlink_to("nowhere")


@hostile
def link_to_itself(path: Path, _: random.Random, __: list[Path]) -> None:
    path.symlink_to(path.name)


@hostile
def device(path: Path, _: random.Random, __: list[Path]) -> None:
    path.symlink_to("/dev/zero")


@hostile
def unreadable(path: Path, _: random.Random, good: list[Path]) -> None:
    path.write_bytes(good[2].read_bytes())
    path.chmod(0)  # which stops everybody but root
