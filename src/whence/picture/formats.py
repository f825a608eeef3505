"""Which picture format a file is in, told by its leading bytes and never by its name."""

from __future__ import annotations

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
        Format("ico", "icon", "image/x-icon", decoded=False),
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


def sniff(head: bytes) -> Format | None:
    """The format that a file's first bytes (up to `HEAD`) belong to, or None for no picture at all."""
    name = _sniff(head)
    return FORMATS[name] if name else None


def _sniff(head: bytes) -> str | None:
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "raw" if _is_sensor_tiff(head) else "tiff"
    if head[4:8] == b"ftyp":
        return _sniff_brand(head)
    if head[:2] == b"BM" and len(head) >= 26 and head[6:10] == b"\0\0\0\0":
        return "bmp"
    if len(head) > 3 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#":
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


def _is_sensor_tiff(head: bytes) -> bool:
    order = "<" if head[:1] == b"I" else ">"
    try:
        (offset,) = struct.unpack_from(order + "I", head, 4)
        (count,) = struct.unpack_from(order + "H", head, offset)
        tags: dict[int, tuple[int, int]] = {}
        for i in range(min(count, 128)):
            tag, _kind, length, value = struct.unpack_from(order + "HHII", head, offset + 2 + 12 * i)
            tags[tag] = (length, value)
    except struct.error:
        return False
    if _TAG_DNG in tags or _TAG_CFA in tags:
        return True
    if _TAG_MAKE not in tags or _TAG_SUBIFDS not in tags or _TAG_SUBFILE not in tags:
        return False
    length, value = tags[_TAG_MAKE]
    return head[value : value + min(length, 32)].startswith(_RAW_MAKERS)


def _is_svg(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", "ignore")
    else:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "ignore")
    text = text.lstrip()
    return (
        text.startswith("<") and ("<svg" in text or "<svg:svg" in text) and "<html" not in text[:256].lower()
    )


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
    if name in ("avif", "heic", "jp2", "jxl") and data[:2] not in (b"\xff\x4f", b"\xff\x0a"):
        return _boxes_end(data) > len(data)
    if name == "jp2":
        return not data.endswith(b"\xff\xd9")
    if name == "pdf":
        return b"%%EOF" not in data[-2048:]
    if name == "svg":
        return b"</svg" not in data[-4096:] and b"</svg:svg" not in data[-4096:]
    return False


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
