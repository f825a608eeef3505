"""Which picture format a file is in, told by its leading bytes and never by its name."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

HEAD = 4096
"""How many leading bytes `sniff` wants to see; fewer are fine when the file is shorter."""


@dataclass(frozen=True, slots=True)
class Format:
    """A picture format.

    `extra` names the optional dependency that decodes it (None: always decoded); `decoded` is False
    for formats that are known and not decoded by anything here.
    """

    name: str
    title: str
    mime: str
    extra: str | None = None
    decoded: bool = True


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("jpeg", "JPEG", "image/jpeg"),
        Format("png", "PNG", "image/png"),
        Format("webp", "WebP", "image/webp"),
        Format("gif", "GIF", "image/gif"),
        Format("tiff", "TIFF", "image/tiff"),
        Format("bmp", "BMP", "image/bmp"),
        Format("avif", "AVIF", "image/avif"),
        Format("jp2", "JPEG 2000", "image/jp2"),
        Format("pnm", "PNM", "image/x-portable-anymap"),
        Format("heic", "HEIC", "image/heic", extra="heic"),
        Format("jxl", "JPEG XL", "image/jxl", extra="jxl"),
        Format("raw", "camera RAW", "image/x-raw", extra="raw"),
        Format("svg", "SVG", "image/svg+xml", extra="svg"),
        Format("pdf", "PDF", "application/pdf", extra="pdf"),
        Format("psd", "Photoshop", "image/vnd.adobe.photoshop", decoded=False),
        Format("exr", "OpenEXR", "image/x-exr", decoded=False),
        Format("ico", "ICO", "image/x-icon", decoded=False),
    )
}

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\x00", "raw"),
    (b"II*\x00\x10\x00\x00\x00CR", "raw"),
    (b"8BPS", "psd"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"\x00\x00\x01\x00", "ico"),
)

# ISO base media brands (ISO/IEC 14496-12 `ftyp`): the major one first, then the compatible ones.
_BRANDS: dict[bytes, str] = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"heis": "heic",
    b"hevc": "heic",
    b"hevx": "heic",
    b"crx ": "raw",
}
_GENERIC_BRANDS = (b"mif1", b"msf1")

# TIFF tags that only a camera's sensor data carries: CFAPattern, DNGVersion, and the makers' own
# containers, which put the sensor data into a SubIFD beside a reduced preview.
_TAG_MAKE, _TAG_SUBFILE, _TAG_SUBIFDS, _TAG_CFA, _TAG_DNG = 271, 254, 330, 33422, 50706
_RAW_MAKERS = (b"NIKON", b"SONY", b"PENTAX", b"RICOH", b"SAMSUNG", b"Hasselblad", b"Leaf", b"KODAK")
_TAG_ORIENTATION = 274
_STRIPS_AND_TILES = ((273, 279), (324, 325))  # where each lies, and how many bytes it has

# What may stand before the root element of an SVG; a DOCTYPE that says svg settles it.
_PROLOG = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+(?!svg\b)[^\[>]*>)", re.DOTALL | re.IGNORECASE)
_SVG_ROOT = re.compile(r"\s*<(?:(?:\w+:)?svg[\s>/]|!DOCTYPE\s+(?:\w+:)?svg\b)")
_PNM_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+\d{1,10}"
_PNM_SIZES = re.compile(rb"P(?:[14]((?:%b){2})|[2356]((?:%b){3}))\s" % (_PNM_NUMBER, _PNM_NUMBER))


def sniff(data: bytes) -> Format | None:
    """The format that a file's bytes belong to, or None for no picture at all.

    The first `HEAD` bytes are enough for all but a camera's TIFF whose directory lies further on: that
    is taken for a plain TIFF until more is given.
    """
    name = _sniff(data)
    return FORMATS[name] if name else None


def _sniff(data: bytes) -> str | None:
    head = data[:HEAD]
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\0", b"MM\0*"):
        return "raw" if _is_sensor_tiff(data) else "tiff"
    if head[:4] in (b"II+\0", b"MM\0+"):
        return "tiff"
    if head[4:8] == b"ftyp":
        return _sniff_brand(head)
    if head[:2] == b"BM" and len(head) >= 26 and head[6:10] == b"\0\0\0\0":
        return "bmp"
    if re.match(rb"P[1-6][ \t\r\n]+[\d#]", head):
        return "pnm"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    return "svg" if _is_svg(head) else None


def _sniff_brand(head: bytes) -> str | None:
    size = min(int.from_bytes(head[:4], "big"), len(head), 256)
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, size, 4))]
    for brand in brands:
        if brand in _BRANDS:
            return _BRANDS[brand]
    return "heic" if any(b in _GENERIC_BRANDS for b in brands) else None


def _is_sensor_tiff(data: bytes) -> bool:
    order, tags, _ = _tiff_tags(data)
    if _TAG_DNG in tags or _TAG_CFA in tags:
        return True
    if _TAG_MAKE not in tags or _TAG_SUBIFDS not in tags or _TAG_SUBFILE not in tags:
        return False
    _, length, place = tags[_TAG_MAKE]
    (value,) = struct.unpack_from(order + "I", data, place)
    return data[value : value + min(length, 32)].startswith(_RAW_MAKERS)


def _tiff_tags(data: bytes) -> tuple[str, dict[int, tuple[int, int, int]], bool]:
    """The first directory of a classic TIFF: byte order, tag to (type, count, place of its value field).

    The last is whether the whole directory is there. An unfit block gives no tags; nothing is raised.
    """
    order = "<" if data[:1] == b"I" else ">"
    tags: dict[int, tuple[int, int, int]] = {}
    try:
        (offset,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, offset)
        for place in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, length = struct.unpack_from(order + "HHI", data, place)
            struct.unpack_from(order + "I", data, place + 8)
            tags[tag] = (kind, length, place + 8)
    except struct.error:
        return order, tags, False
    return order, tags, True


def orientation_of(exif: bytes) -> int:
    """The orientation (1 to 8) in a raw EXIF block; 1 where it states none or is damaged."""
    block = exif[6:] if exif.startswith(b"Exif\0\0") else exif
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    order, tags, _ = _tiff_tags(block)
    kind, count, place = tags.get(_TAG_ORIENTATION, (0, 0, 0))
    if kind not in (3, 4) or count != 1:
        return 1
    (value,) = struct.unpack_from(order + ("H" if kind == 3 else "I"), block, place)
    return value if 1 <= value <= 8 else 1


def _is_svg(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", "ignore")
    else:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "ignore")
    if not text.lstrip().startswith("<"):
        return False
    while before := _PROLOG.match(text):
        text = text[before.end() :]
    return _SVG_ROOT.match(text) is not None


def stated_size(name: str, data: bytes) -> tuple[int, int] | None:
    """The width and height in the header of a file whose decoder takes memory as soon as it is opened.

    None for other formats, and where the header does not say.
    """
    if name == "webp":
        return _webp_size(data)
    if name in ("avif", "heic"):
        sizes = [
            struct.unpack(">II", raw) for raw in re.findall(rb"ispe\0{4}(.{8})", data[: 1 << 20], re.DOTALL)
        ]
        return max(sizes, key=lambda size: size[0] * size[1], default=None)
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if len(data) < 30:
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return (width & 0x3FFF, height & 0x3FFF) if kind == b"VP8 " else None


def is_jpeg_in_one_pass(data: bytes) -> bool:
    """Whether a JPEG can be decoded row by row; otherwise its coefficients are all held in memory.

    So it is when one scan holds all components (ITU-T T.81, B.2): not in progressive files, and not in
    others whose components come one after the other.
    """
    position, components = 2, 0
    while position + 10 <= len(data):
        if data[position] != 0xFF or data[position + 1] == 0xFF:
            position += 1
            continue
        marker = data[position + 1]
        if marker == 0xDA:
            return data[position + 4] == components
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            components = data[position + 9]
            if marker not in (0xC0, 0xC1):
                return False
        alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8
        position += 2 if alone else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def jp2_halvings(data: bytes) -> int:
    """How often a JPEG 2000 picture can be halved while it is decoded (ITU-T T.800, A.6.1), 0 if unsaid."""
    position = data.find(b"\xff\x4f\xff\x51") + 2
    while 2 <= position <= len(data) - 10 and data[position] == 0xFF:
        if data[position + 1] == 0x52:
            return min(data[position + 9], 32)
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0


def is_cut_short(name: str, data: bytes) -> bool:
    """Whether a file of the format `name` ends before its own structure says that it should.

    Used to tell `Truncated` from `Corrupt` once decoding has failed; it looks at the container only.
    """
    if name == "jpeg":
        return b"\xff\xd9" not in data[-4096:]
    if name == "png":
        return b"IEND" not in data[-64:]
    if name == "gif":
        return not data.rstrip(b"\0").endswith(b";")
    if name == "webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if name == "bmp":
        return int.from_bytes(data[2:6], "little") > len(data)
    if name in ("tiff", "raw") and data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_end(data) > len(data)
    if name == "jp2":
        return not data.endswith(b"\xff\xd9") if data[:2] == b"\xff\x4f" else _boxes_end(data) > len(data)
    if name in ("avif", "heic", "jxl") and data[:2] != b"\xff\x0a":
        return _boxes_end(data) > len(data)
    if name == "pnm":
        return _pnm_end(data) > len(data)
    if name == "pdf":
        return b"%%EOF" not in data[-2048:]
    if name == "svg":
        return b"</svg" not in data[-4096:] and b":svg>" not in data[-4096:]
    return False


def _tiff_end(data: bytes) -> int:
    """Where the strips or tiles of the first page end; beyond the data when its directory is cut."""
    order, tags, whole = _tiff_tags(data)
    if not whole:
        return len(data) + 1
    end = 0
    for starts, sizes in _STRIPS_AND_TILES:
        pairs = zip(
            _numbers(data, order, tags.get(starts)), _numbers(data, order, tags.get(sizes)), strict=False
        )
        end = max([end, *(start + size for start, size in pairs)])
    return end


def _numbers(data: bytes, order: str, tag: tuple[int, int, int] | None) -> list[int]:
    kind, count, place = tag or (0, 0, 0)
    if kind not in (3, 4) or count > 1_000_000:
        return []
    if count * (2, 4)[kind - 3] > 4:
        (place,) = struct.unpack_from(order + "I", data, place)
    try:
        return list(struct.unpack_from(f"{order}{count}{'HI'[kind - 3]}", data, place))
    except struct.error:
        return [len(data) + 1] * 2  # the list itself lies beyond the end


def _pnm_end(data: bytes) -> int:
    stated = _PNM_SIZES.match(data)
    if stated is None:
        return 0
    width, height, *top = (int(n) for n in re.sub(rb"#[^\r\n]*", b"", stated[1] or stated[2]).split())
    wide = 2 if top and top[0] > 255 else 1
    # Of the kinds in words the least: one digit, and a space behind it except in P1.
    row = (width, 2 * width, 6 * width, (width + 7) // 8, wide * width, 3 * wide * width)[data[1] - ord("1")]
    return stated.end() + height * row - (1 if data[1:2] in b"23" else 0)


def _boxes_end(data: bytes) -> int:
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size == 0:
            return len(data)
        if size < 8:
            return position
        position += size
    return position if position >= len(data) else len(data) + 1
