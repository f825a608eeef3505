"""Real encoded pictures of every format, made in memory; most of them show the same four quadrants.

`quadrants` is red, green, blue and yellow in reading order on a 96 × 64 ground, so that any turn,
mirroring or doubled turn shows: see `shows_quadrants`.
"""

from __future__ import annotations

import base64
import functools
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 96, 64
RED, GREEN, BLUE, YELLOW = (230, 40, 40), (40, 190, 60), (40, 60, 220), (240, 230, 90)
COLOURS = (RED, GREEN, BLUE, YELLOW)


def quadrants(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """The picture that nearly every file here shows when it is upright."""
    pixels = np.empty((height, width, 3), np.uint8)
    for number, colour in enumerate(COLOURS):
        rows = slice(0, height // 2) if number < 2 else slice(height // 2, height)
        columns = slice(0, width // 2) if number % 2 == 0 else slice(width // 2, width)
        pixels[rows, columns] = colour
    return Image.fromarray(pixels)


def shows_quadrants(pixels: NDArray[np.uint8], tolerance: float = 12.0) -> bool:
    """Whether pixels, in colour or luma, show the quadrants upright: compared at their middles."""
    height, width = pixels.shape[:2]
    for number, colour in enumerate(COLOURS):
        y, x = (height // 4, 3 * height // 4)[number // 2], (width // 4, 3 * width // 4)[number % 2]
        seen = pixels[y - 2 : y + 3, x - 2 : x + 3].astype(float).mean(axis=(0, 1))
        wanted = np.array(colour, float)
        if pixels.ndim == 2:
            wanted = wanted @ np.array([0.299, 0.587, 0.114])
        if np.abs(seen - wanted).max() > tolerance:
            return False
    return True


# How the upright picture is stored under each EXIF orientation.
STORED: dict[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(orientation: int, image: Image.Image | None = None) -> Image.Image:
    """An upright picture as it lies in a file of this orientation."""
    image = image or quadrants()
    turn = STORED[orientation]
    return image if turn is None else image.transpose(turn)


def exif_of(orientation: int, order: Order = "<") -> bytes:
    """An EXIF block that states nothing but an orientation, in either byte order, without `Exif\\0\\0`."""
    return tiff([(274, 3, [orientation])], order=order)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """What Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# PNG


def png_chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int,
    height: int,
    *,
    depth: int = 8,
    colour: int = 2,
    rows: bytes = b"",
    before: Sequence[bytes] = (),
    after: Sequence[bytes] = (),
) -> bytes:
    """A PNG by hand: `rows` are the filtered scanlines; `before` and `after` are chunks around IDAT."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(rows, 9))
    parts = (b"\x89PNG\r\n\x1a\n", head, *before, data, *after, png_chunk(b"IEND"))
    return b"".join(parts)


def png_of(pixels: NDArray[Any], **options: Any) -> bytes:
    """A PNG by hand of 8- or 16-bit pixels, (h, w) grey or (h, w, channels)."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, depth=8 * pixels.dtype.itemsize, colour=colour, rows=rows, **options)


# TIFF: one value list per tag; several pages are several lists.

_TIFF_TYPES = {1: "B", 2: "c", 3: "H", 4: "I", 7: "B", 8: "h", 10: "i", 11: "f"}
Tag = tuple[int, int, Sequence[Any]]
Order = Literal["<", ">"]


def tiff(*pages: Iterable[Tag], order: Order = "<", body: bytes = b"") -> bytes:
    """A TIFF by hand. `body` lies right behind the 8 bytes of header: strips start at offset 8.

    Rationals (types 5 and 10) are given as a flat list of numerators and denominators.
    """
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(body))
    out = bytearray(head + body)
    for number, page in enumerate(pages):
        tags = sorted(page)
        start = len(out)
        beyond = start + 2 + 12 * len(tags) + 4
        directory, values = struct.pack(order + "H", len(tags)), b""
        for tag, kind, items in tags:
            letter = "I" if kind == 5 else _TIFF_TYPES[kind]
            raw = struct.pack(f"{order}{len(items)}{letter}", *items)
            count = len(items) // 2 if kind in (5, 10) else len(items)
            directory += struct.pack(order + "HHI", tag, kind, count)
            if len(raw) <= 4:
                directory += raw.ljust(4, b"\0")
            else:
                directory += struct.pack(order + "I", beyond + len(values))
                values += raw + b"\0" * (len(raw) % 2)
        after = beyond + len(values) if number + 1 < len(pages) else 0
        out += directory + struct.pack(order + "I", after) + values
    return bytes(out)


def text(words: str) -> list[bytes]:
    """A value of TIFF type 2."""
    return [bytes([byte]) for byte in words.encode() + b"\0"]


def tiff_of(pixels: NDArray[Any], *more: Tag, order: Order = "<") -> bytes:
    """An uncompressed TIFF of (h, w) or (h, w, channels) integers or floats."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    kinds = {"u": 1, "i": 2, "f": 3}
    tags: list[Tag] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [8 * pixels.dtype.itemsize] * channels),
        (259, 3, [1]),
        (262, 3, [1 if channels == 1 else 2]),
        (273, 4, [8]),
        (277, 3, [channels]),
        (278, 4, [height]),
        (279, 4, [pixels.nbytes]),
        (339, 3, [kinds[pixels.dtype.kind]] * channels),
    ]
    given = {tag for tag, _, _ in more}
    kept = [tag for tag in tags if tag[0] not in given]
    return tiff([*kept, *more], order=order, body=pixels.astype(pixels.dtype.newbyteorder(order)).tobytes())


def dng(orientation: int = 1, width: int = 512, height: int = 384, image: Image.Image | None = None) -> bytes:
    """Sensor data of the quadrants, or of an image, under an RGGB filter, as a camera would store them."""
    seen = np.asarray(stored(orientation, image or quadrants(width, height)), np.float32) / 255
    linear = np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)
    mosaic = linear[:, :, 1].copy()
    mosaic[0::2, 0::2] = linear[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = linear[1::2, 1::2, 2]
    to_camera = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    matrix = [
        part for value in (to_camera * 10000).round().astype(int).ravel() for part in (int(value), 10000)
    ]
    return tiff_of(
        (mosaic * 60000 + 0.5).astype(np.uint16),
        (254, 4, [0]),
        (262, 3, [32803]),
        (271, 2, text("Wherefrom")),
        (272, 2, text("Test Camera")),
        (274, 3, [orientation]),
        (33421, 3, [2, 2]),
        (33422, 1, [0, 1, 1, 2]),
        (50706, 1, [1, 4, 0, 0]),
        (50707, 1, [1, 1, 0, 0]),
        (50708, 2, text("Wherefrom Test Camera")),
        (50717, 4, [60000]),
        (50721, 10, matrix),
        (50728, 5, [1, 1] * 3),
        (50778, 3, [21]),
    )


# ISO base media: HEIC by hand around 105 coded bytes

_HEVC_HEAD = (
    b"0RwOV0058x000009`FGC{rLC*01pFT0096PKmiN^|NjGU00093kN^M!000939=ZZRVE_RDD?$MQ18@KU0|1Z!00RI30{|YNFo6Y@"
    b">PacCZUPz%2mk;B0LTCU0{{p>VgLaE2SfqEa<C#m"
)
_HEVC = (
    b"0001GC;_inU`QP#zyH;B|N9b>A2sG38;f@4ueFK)G1!OzIwCl1+byK4xBqgOW958@{WyUmCVGp>BUW*i^VTCFyjZ#~^WyQ5lpPc%"
    b"Q|lLn-#6u${;JLUhDPt`JA;~)nCT-ys{"
)
# EXIF orientation as the container's own (quarter turns counter-clockwise, then a mirroring or None:
# 0 swaps top and bottom, 1 left and right).
_TURNS = {1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def heic(
    orientation: int = 1, *, exif: bytes = b"", size: tuple[int, int] = (WIDTH, HEIGHT), icc: bytes = b""
) -> bytes:
    """The quadrants as HEIC, stored upright and to be turned as `orientation` says by irot and imir."""
    turns, mirror = _TURNS[orientation]
    full = b"\0\0\0\0"
    colours = b"prof" + icc if icc else b"nclx\0\x01\0\x0d\0\x06\x80"
    properties = [
        box(b"hvcC", base64.b85decode(_HEVC_HEAD)),
        box(b"ispe", full, struct.pack(">II", *size)),
        box(b"colr", colours),
        box(b"irot", bytes([turns])),
    ]
    if mirror is not None:
        properties.append(box(b"imir", bytes([mirror])))
    coded = base64.b85decode(_HEVC)
    block = struct.pack(">I", 6) + b"Exif\0\0" + exif if exif else b""
    count = 2 if exif else 1
    links = bytes(0x80 | (n + 1) if n != 1 else n + 1 for n in range(len(properties)))
    items = [box(b"infe", b"\x02\0\0\0", struct.pack(">HH", 1, 0), b"hvc1\0")]
    if exif:
        items.append(box(b"infe", b"\x02\0\0\x01", struct.pack(">HH", 2, 0), b"Exif\0"))

    def meta(start: int) -> bytes:
        where = struct.pack(">HHHII", 1, 0, 1, start, len(coded))
        if exif:
            where += struct.pack(">HHHII", 2, 0, 1, start + len(coded), len(block))
        parts = [
            full,
            box(b"hdlr", full, full, b"pict", bytes(13)),
            box(b"pitm", full, struct.pack(">H", 1)),
            box(b"iloc", full, b"\x44\0", struct.pack(">H", count), where),
            box(b"iinf", full, struct.pack(">H", count), *items),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", full, struct.pack(">IHB", 1, 1, len(links)), links),
            ),
        ]
        if exif:
            parts.append(box(b"iref", full, box(b"cdsc", struct.pack(">HHH", 2, 1, 1))))
        return box(b"meta", *parts)

    head = box(b"ftyp", b"heic", full, b"mif1heicmiaf")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", coded, block)


# Documents


def svg(inside: str = "", attributes: str = 'viewBox="0 0 96 64"', prolog: str = "") -> bytes:
    """A drawing: the quadrants when nothing else is given."""
    if not inside:
        places = ((0, 0), (48, 0), (0, 32), (48, 32))
        inside = "".join(
            f'<rect x="{x}" y="{y}" width="48" height="32" fill="rgb{colour}"/>'
            for (x, y), colour in zip(places, COLOURS, strict=True)
        )
    return f'{prolog}<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


def pdf(pages: int = 1, *, box: str = "0 0 96 64", rotate: int = 0, content: bytes | None = None) -> bytes:
    """A document whose first page shows the quadrants; the others are blank."""
    if content is None:
        places = ((0, 32), (48, 32), (0, 0), (48, 0))
        content = b"".join(
            b"%.4f %.4f %.4f rg %d %d 48 32 re f\n" % (*(part / 255 for part in colour), x, y)
            for (x, y), colour in zip(places, COLOURS, strict=True)
        )
    kids = " ".join(f"{4 + n} 0 R" for n in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>".encode(),
        b"<</Length %d>>stream\n" % len(content) + content + b"\nendstream",
    ]
    for number in range(pages):
        shown = "/Contents 3 0 R" if number == 0 else ""
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Rotate {rotate}{shown}>>".encode())
    out, places_of = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places_of.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places_of)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def slow_pdf(levels: int = 10, times: int = 10) -> bytes:
    """A PDF of some 2,000 bytes that asks for `times` ** `levels` rectangles: each form shows the next."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 96 64]/Contents 4 0 R/Resources<</XObject<</F 5 0 R>>>>>>",
        b"<</Length 5>>stream\n/F Do\nendstream",
    ]
    for level in range(levels):
        last = level == levels - 1
        body = b"0 0 9 9 re f " if last else b"/F Do " * times
        inner = b"" if last else b"/Resources<</XObject<</F %d 0 R>>>>" % (6 + level)
        head = b"<</Type/XObject/Subtype/Form/BBox[0 0 96 64]%b/Length %d>>" % (inner, len(body))
        objects.append(head + b"stream\n" + body + b"\nendstream")
    data = b"%PDF-1.4\n"
    for number, one in enumerate(objects, 1):
        data += b"%d 0 obj%b endobj\n" % (number, one)
    return data + b"trailer<</Root 1 0 R/Size %d>>\n%%%%EOF\n" % (len(objects) + 1)


def slow_jpeg(side: int = 6000, scans: int = 400) -> bytes:
    """A progressive JPEG of few bytes that asks to go through all its pixels again and again."""
    data = encode(Image.new("L", (side, side), 77), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def jxl(values: NDArray[Any] | None = None, **options: Any) -> bytes:
    import imagecodecs

    pixels = np.asarray(quadrants()) if values is None else values
    return bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(pixels), lossless=True, **options))


# One real file of every format and variant

_SAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jpeg": ("jpeg", lambda: encode(quadrants(), "JPEG", quality=95, subsampling=0)),
    "progressive": ("jpeg", lambda: encode(quadrants(), "JPEG", quality=95, progressive=True)),
    "png": ("png", lambda: encode(quadrants(), "PNG")),
    "apng": ("png", lambda: animation("PNG")),
    "webp": ("webp", lambda: encode(quadrants(), "WEBP", quality=95)),
    "lossless": ("webp", lambda: encode(quadrants(), "WEBP", lossless=True)),
    "animated": ("webp", lambda: animation("WEBP", lossless=True)),
    "gif": ("gif", lambda: animation("GIF")),
    "tiff": ("tiff", lambda: encode(quadrants(), "TIFF")),
    "tiff-lzw": ("tiff", lambda: encode(quadrants(), "TIFF", compression="tiff_lzw")),
    "pages": ("tiff", lambda: animation("TIFF")),
    "bmp": ("bmp", lambda: encode(quadrants(), "BMP")),
    "avif": ("avif", lambda: encode(quadrants(), "AVIF", quality=95, subsampling="4:4:4")),
    "jp2": ("jp2", lambda: encode(quadrants(), "JPEG2000")),
    "j2k": ("jp2", lambda: encode(quadrants(), "JPEG2000", no_jp2=True)),
    "ppm": ("pnm", lambda: encode(quadrants(), "PPM")),
    "heic": ("heic", heic),
    "jxl": ("jxl", lambda: jxl(usecontainer=True)),
    "codestream": ("jxl", lambda: jxl(usecontainer=False)),
    "dng": ("raw", dng),
    "svg": ("svg", svg),
    "pdf": ("pdf", lambda: pdf(pages=3)),
}
NAMES = tuple(_SAMPLES)
BUILTIN = tuple(name for name in NAMES if _SAMPLES[name][0] not in ("heic", "jxl", "raw", "svg", "pdf"))


def animation(kind: str, **options: Any) -> bytes:
    """Three frames or pages; the first shows the quadrants."""
    others = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("black", "white")]
    return encode(quadrants(), kind, save_all=True, append_images=others, **options)


@functools.cache
def sample(name: str) -> bytes:
    """The bytes of one of `NAMES`."""
    return _SAMPLES[name][1]()


def format_of(name: str) -> str:
    """The name of the format that a sample is in."""
    return _SAMPLES[name][0]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A file with some damage: cut, bytes changed, taken out or put in."""
    damaged = bytearray(data)
    kind = chance.choice(("cut", "change", "change", "change", "take", "put"))
    place = chance.randrange(min(len(damaged), chance.choice((64, 600, len(damaged)))))
    if kind == "cut":
        del damaged[place:]
    elif kind == "take":
        del damaged[place : place + chance.randrange(1, 40)]
    elif kind == "put":
        damaged[place:place] = chance.randbytes(chance.randrange(1, 40))
    else:
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(place, len(damaged))] = chance.choice((0, 1, 127, 128, 255))
    return bytes(damaged)


def assert_sentence(error: Exception) -> None:
    """An error speaks to people: one sentence, and no names out of a program's inside."""
    words = str(error)
    assert words[:1].isupper()
    assert words.endswith(".")
    assert not any(mark in words for mark in ("\n", "<_io", "b'", "object at 0x"))
