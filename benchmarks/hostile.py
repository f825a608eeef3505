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
from tests.pictures import png_chunk, svg

BASES = 150
FORMATS = {
    **{"jpeg": 48, "progressive": 8, "grey": 3, "cmyk": 2, "png": 10, "palette": 2, "webp": 7, "gif": 4},
    **{"tiff": 4, "bmp": 3, "avif": 3, "jp2": 2, "pnm": 1, "svg": 1, "jxl": 1, "again": 1},
}
Chance = random.Random
Good = list[Path]


def make(root: Path, files: int, hostile: int) -> Counter[str]:
    """Fill a folder; returns how many hostile files of each kind are in it."""
    chance = Chance(20)
    folders = [root / f"folder {number:02}" for number in range(40)]
    for folder in folders:
        folder.mkdir(parents=True)
    bases = [scene(seed) for seed in range(BASES)]
    good: Good = []
    for number in range(files - hostile):
        kind = chance.choices(list(FORMATS), list(FORMATS.values()))[0] if good else "jpeg"
        path = chance.choice(folders) / f"picture {number:05}.{kind}"
        again = chance.choice(good[:50]).read_bytes() if kind == "again" else b""
        path.write_bytes(again or encoded(bases[number % BASES], kind, number, chance))
        good.append(path)
    kinds = Counter[str]()
    makers: list[tuple[str, Any]] = [*BYTES.items(), *FILES.items()]
    for number in range(hostile):
        name, maker = makers[number % len(makers)]
        kinds[name] += 1
        path = chance.choice(folders) / f"{name}~{number:03}.jpg"
        if name in BYTES:
            path.write_bytes(maker(chance, good))
        else:
            maker(path, chance, good)
    (root / "folder 00" / "up").symlink_to("..")  # a loop of folders, which is no file
    return kinds


def scene(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return Image.fromarray(small).resize((480, 360), Image.Resampling.BICUBIC)


def encoded(base: Image.Image, kind: str, number: int, chance: Chance) -> bytes:
    """A slightly other picture each time: cut at the sides, resized now and then, of any quality."""
    left, top = chance.randrange(12), chance.randrange(12)
    image = base.crop((left, top, 480 - chance.randrange(12), 360 - chance.randrange(12)))
    if number % 50 == 0:
        image = image.resize((2400, 1800))
    image.putpixel((number % image.width, number // image.width % image.height), (number % 256, 0, 255))
    quality = chance.choice((60, 75, 85, 92))
    if kind == "svg":
        circles = (
            f'<circle cx="{chance.random() * 90:.1f}" cy="{chance.random() * 60:.1f}" '
            f'r="{chance.random() * 20:.1f}" fill="rgb({chance.randrange(256)},{chance.randrange(256)},90)"/>'
            for _ in range(30)
        )
        return svg("".join(circles))
    if kind == "jxl":
        try:
            import imagecodecs
        except ImportError:
            kind = "png"
        else:
            return bytes(imagecodecs.jpegxl_encode(np.asarray(image), effort=3))
    mode = {"grey": "L", "cmyk": "CMYK", "palette": "P", "gif": "P"}.get(kind)
    options: dict[str, tuple[str, dict[str, Any]]] = {
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
    }
    name, extra = options.get(kind, ("JPEG", {"quality": quality}))
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, name, **extra)
    return stream.getvalue()


# What hostile files are made of


def png(
    width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, before: bytes = b""
) -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + png_chunk(b"IDAT", rows) + png_chunk(b"IEND")


@functools.cache
def zeros(count: int) -> bytes:
    """So many of them, deflated."""
    packer, block = zlib.compressobj(6), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count & 0xFFFFF)), packer.flush()])


def jpeg(**options: Any) -> bytes:
    stream = io.BytesIO()
    scene(7).save(stream, "JPEG", quality=80, **options)
    return stream.getvalue()


def _jpeg_of(side: int, marker: bytes, **options: Any) -> bytes:
    """A JPEG that says that it is a square of that side."""
    data = bytearray(jpeg(**options))
    struct.pack_into(">HH", data, data.index(marker) + 5, side, side)
    return bytes(data)


def _cut(data: bytes, chance: Chance, least: int = 1, spare: int = 0) -> bytes:
    return data[: chance.randrange(least, len(data) - spare)]


def _damaged(data: bytearray, chance: Chance) -> bytes:
    place = chance.randrange(len(data) // 4, len(data))
    data[place : place + 200] = chance.randbytes(200)
    return bytes(data)


def _damaged_head(data: bytearray, chance: Chance) -> bytes:
    for _ in range(10):
        data[chance.randrange(min(200, len(data)))] = chance.randrange(256)
    return bytes(data)


def _gif(screen: bytes) -> bytes:
    frame = b",\0\0\0\0\xff\xff\xff\xff\0\x08" + b"\xff" + bytes(255) + b"\0;"
    return b"GIF89a" + screen + b"\xf0\0\0\0\0\0\xff\xff\xff" + frame


def _endless_gif() -> bytes:
    stream = io.BytesIO()
    Image.new("P", (64, 64)).save(stream, "GIF")
    data = stream.getvalue()
    return data[:-1] + data[data.index(b",", 19) : -1] * 100_000 + b";"


def _tiff_page(*tags: tuple[int, int], after: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<H", len(tags)) + body + struct.pack("<I", after)


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _text_bomb(chance: Chance) -> bytes:
    name, head = chance.choice(((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")))
    return png(4, 4, zlib.compress(bytes(52)), before=png_chunk(name, head + zeros(500_000_000)))


def _entities() -> str:
    inside = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    return f"<!DOCTYPE svg [{inside}]>"


def _boxes(chance: Chance) -> bytes:
    brand = chance.choice((b"heic", b"avif", b"mif1", b"crx "))
    return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1" + brand + b"\0\0\x10\0meta" + chance.randbytes(4088)


_BMP = struct.pack("<IIIIiiHHIIiiII", 1000, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
_HUGE_TIFF = (
    *((256, 60_000), (257, 60_000), (258, 8), (259, 1), (262, 1)),
    *((273, 8), (277, 1), (278, 60_000), (279, 999)),
)
_NOISE = '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="100000000"/></filter>'

BYTES: dict[str, Callable[[Chance, Good], bytes]] = {
    "cut": lambda c, good: _cut(c.choice(good).read_bytes(), c),
    "cut-jpeg": lambda c, _: _cut(jpeg(), c, 20, 2),
    "damaged-middle": lambda c, good: _damaged(bytearray(c.choice(good).read_bytes()), c),
    "damaged-head": lambda c, good: _damaged_head(bytearray(c.choice(good).read_bytes()), c),
    "empty": lambda c, _: b"",
    "words": lambda c, _: b"This is a text, whatever its name says.\n" * 50,
    "all-zero": lambda c, _: bytes(100_000),
    "noise": lambda c, _: c.randbytes(50_000),
    "noise-behind-a-head": lambda c, good: c.choice(good).read_bytes()[:48] + c.randbytes(20_000),
    "stated-60000-square": lambda c, _: png(60_000, 60_000, zlib.compress(bytes(1000))),
    "bomb-20000-square": lambda c, _: png(20_000, 20_000, zeros(20_000 * 60_001)),
    "bomb-under-the-cap": lambda c, _: png(9_990, 9_990, zeros(9_990 * 29_971)),
    "bomb-of-grey-16": lambda c, _: png(9_990, 9_990, zeros(9_990 * 19_981), depth=16, colour=0),
    "huge-gif": lambda c, _: _gif(b"\xff\xff\xff\xff"),
    "gif-frame-beyond-its-screen": lambda c, _: _gif(b"\x10\0\x10\0"),
    "endless-gif": lambda c, _: _endless_gif(),
    "huge-tiff": lambda c, _: b"II*\0\x08\0\0\0" + _tiff_page(*_HUGE_TIFF),
    "endless-tiff": lambda c, _: (
        b"II*\0\x08\0\0\0" + b"".join(_tiff_page((256, 5), after=8 + 18 * n) for n in range(1, 100_001))
    ),
    "huge-webp": lambda c, _: _riff(b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2),
    "huge-bmp": lambda c, _: b"BM" + _BMP + bytes(946),
    "huge-jpeg": lambda c, _: _jpeg_of(65_500, b"\xff\xc0"),
    "large-jpeg-of-nothing": lambda c, _: _jpeg_of(15_000, b"\xff\xc0"),
    "large-progressive-of-nothing": lambda c, _: _jpeg_of(
        9_900, b"\xff\xc2", progressive=True, subsampling=0
    ),
    "huge-pnm": lambda c, _: b"P6 60000 60000 255\n" + bytes(1000),
    "pixels-in-words": lambda c, _: b"P3 9000 9000 255\n" + b"7 " * (28 << 20),  # more than there is time for
    "text-bomb": lambda c, _: _text_bomb(c),
    "bad-exif": lambda c, _: jpeg(
        exif=b"Exif\0\0" + c.choice((b"", b"II*\0", b"II*\0\xff\xff\xff\xff", c.randbytes(300)))
    ),
    "bad-profile": lambda c, _: jpeg(icc_profile=bytes(36) + b"acsp" + c.randbytes(400)),
    "entity-bomb": lambda c, _: svg("<text>&a9;</text>", prolog=_entities()),
    "drawing-without-end": lambda c, _: svg(_NOISE + '<rect width="9" height="9" filter="url(#f)"/>'),
    "drawing-too-deep": lambda c, _: svg(
        '<g opacity="0.9">' * 700 + '<rect width="9" height="9"/>' + "</g>" * 700
    ),
    "document-of-nothing": lambda c, _: b"%PDF-1.7\n" + c.randbytes(3000) + b"\n%%EOF\n",
    "boxes-of-nothing": lambda c, _: _boxes(c),
}


def sparse(path: Path, _: Chance, good: Good) -> None:
    path.write_bytes(good[0].read_bytes())
    os.truncate(path, 300 << 20)


def other_extension(path: Path, chance: Chance, good: Good) -> None:
    name = path.with_suffix(chance.choice((".txt", ".exe", ".mp4", "")))
    name.write_bytes(chance.choice(good).read_bytes())


def name_of_any_bytes(path: Path, _: Chance, good: Good) -> None:
    name = os.fsencode(path.parent) + b"/" + path.stem.encode() + b"\xff\xfe \n\x01 caf\xe9%?#&.jpg"
    Path(os.fsdecode(name)).write_bytes(good[1].read_bytes())


def unreadable(path: Path, _: Chance, good: Good) -> None:
    path.write_bytes(good[2].read_bytes())
    path.chmod(0)  # which stops everybody but root


FILES: dict[str, Callable[[Path, Chance, Good], None]] = {
    "sparse": sparse,
    "other-extension": other_extension,
    "name-of-any-bytes": name_of_any_bytes,
    "pipe": lambda path, _, __: os.mkfifo(path),
    "broken-link": lambda path, _, __: path.symlink_to("nowhere"),
    "link-to-itself": lambda path, _, __: path.symlink_to(path.name),
    "device": lambda path, _, __: path.symlink_to("/dev/zero"),
    "unreadable": unreadable,
}
