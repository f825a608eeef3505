"""A second try at files that are nearly sound: what is there is read, and what is missing is said.

A file is mended into one that decoders take: an end marker is put to a JPEG, damaged texts are left out of a
PNG, and rows that are not there are cut off. How far the picture goes is told by decoding twice, with other
bytes in the place of those that are missing: rows that come out alike are there.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np

from wherefrom.picture.formats import is_cut_short
from wherefrom.picture.picture import Pixels

LEAST = 0.1
"""Share of the rows that has to be there."""

DETAIL = 0.01
"""What counts as missing where it is detail, whose share nobody knows."""

_FILL = bytes(range(1, 250)) * 12  # no 0xFF in it: what decoders take for more of the picture
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type of a PNG
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


class Mended(NamedTuple):
    """A file that decoders take, of a format by its name, and a sentence on it.

    `kept` is the share of its rows that is true: the rest is to be cut off. `missing` is the share of the
    whole picture that is not there.
    """

    format: str
    data: bytes
    kept: float
    missing: float
    note: str


def mended(name: str, data: bytes, most: int) -> Mended | None:
    """A file of a format mended, None where that cannot be done; `most` caps its pixels."""
    if name == "jpeg":
        return _jpeg(data)
    if name == "png":
        return _png(data, most)
    if name == "gif":
        return _gif(data, most)
    if name == "webp":
        return _webp(data)
    return None


def said(missing: float) -> str:
    """The sentence on a picture of which rows are missing."""
    percent = "less than 1" if missing < 0.01 else f"{100 * missing:.0f}"
    return f"The last {percent} % of the rows are missing from the file; what is there was read."


def _jpeg(data: bytes) -> Mended | None:
    import simplejpeg

    if not is_cut_short("jpeg", data) or b"\xff\xda" not in data:
        return None
    data = data[:-1] if data.endswith(b"\xff") else data
    ended = data + b"\xff\xd9"
    try:
        simplejpeg.decode_jpeg(ended, "GRAY", min_width=1, min_height=1, strict=True)
    except ValueError:
        pass
    else:
        note = "The end marker of the file is missing; all of the picture is there."
        return Mended("jpeg", ended, 1.0, 0.0, note)
    if data.count(b"\xff\xda") > 1 and b"\xff\xc2" in data:  # progressive, and its first scan is whole
        note = "The file ends early: all of the picture is there, but not its finest detail."
        return Mended("jpeg", ended, 1.0, DETAIL, note)
    one, other = (
        simplejpeg.decode_jpeg(data + more + b"\xff\xd9", "GRAY", min_width=1, min_height=1, strict=False)
        for more in (b"", _FILL)
    )
    return _cut("jpeg", ended, one, other)


def _cut(name: str, data: bytes, one: Pixels, other: Pixels) -> Mended | None:
    """The rows above the first in which two decodings differ, and a little less: filters reach up."""
    if one.shape != other.shape:
        return None
    rows = one.reshape(len(one), -1) != other.reshape(len(other), -1)
    there = int(np.argmax(rows.any(axis=1))) if rows.any() else len(one)
    kept = max(0, there - 1) / len(one) if there < len(one) else 1.0
    if kept < LEAST:
        return None
    return Mended(name, data, kept, max(1 - kept, DETAIL), said(max(1 - kept, DETAIL)))


def _webp(data: bytes) -> Mended | None:
    from PIL import Image

    stated = int.from_bytes(data[4:8], "little") + 8
    if not len(data) < stated <= 4 * len(data) + 65536 or b"ANIM" in data[:64]:
        return None
    seen = []
    for fill in (b"\0", b"\xa5"):
        padded = data + fill * (stated - len(data))
        with Image.open(io.BytesIO(padded), formats=["WEBP"]) as image:
            seen.append(np.asarray(image.convert("RGB")))
    return _cut("webp", data + bytes(stated - len(data)), *seen)


def _png(data: bytes, most: int) -> Mended | None:
    chunks, damaged = _chunks(data)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if colour not in _CHANNELS or depth not in _DEPTHS[colour] or not 0 < width * height <= most:
        return None
    row = 1 + (width * depth * _CHANNELS[colour] + 7) // 8
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    there = len(_inflated(packed, row * height)) // row
    kept = [
        (name, body) for name, body in chunks if name not in (b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")
    ]
    if there == height:
        names = ", ".join(dict.fromkeys(damaged))
        what = f"A part without pixels is damaged ({names})" if names else "The end of the file is missing"
        rest = [(name, body) for name, body in chunks if name != b"IEND"]
        return Mended("png", _as_png(rest), 1.0, 0.0, f"{what}; all of the picture is there.")
    if there < LEAST * height or interlaced:
        return None
    rows = _inflated(packed, row * height)[: there * row]
    head = struct.pack(">II", width, there) + chunks[0][1][8:]
    body = [(b"IHDR", head), *kept[1:], (b"IDAT", zlib.compress(rows, 1))]
    missing = 1 - there / height
    return Mended("png", _as_png(body), 1.0, missing, said(missing))


def _chunks(data: bytes) -> tuple[list[tuple[bytes, bytes]], list[str]]:
    """The chunks of a PNG whose sums are right, and all of IDAT; and the names of the others that went."""
    found: list[tuple[bytes, bytes]] = []
    damaged: list[str] = []
    at = 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        right = data[at + 8 + size : at + 12 + size] == struct.pack(">I", zlib.crc32(name + body))
        if right or name == b"IDAT":
            found.append((name, body))
        elif name[:1].isupper():
            break  # a palette or header that is not to be trusted
        elif name.isalpha():
            damaged.append(name.decode("ascii", "replace"))
        at += 12 + size
        if name == b"IEND":
            break
    return found, damaged


def _inflated(packed: bytes, most: int) -> bytes:
    """What can be unpacked, up to so many bytes: in small steps, since damage takes a whole step with it."""
    unpacking, found = zlib.decompressobj(), bytearray()
    for at in range(0, len(packed), 512):
        try:
            found += unpacking.decompress(packed[at : at + 512], most - len(found) + 1)
        except zlib.error:
            break
        if len(found) >= most or unpacking.eof:
            break
    return bytes(found[:most])


def _as_png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in (*chunks, (b"IEND", b"")):
        parts.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
    return b"".join(parts)


def _gif(data: bytes, most: int) -> Mended | None:
    """The first frame as a PNG: what of it is there, where it covers the screen and comes row by row."""
    screen, flags = struct.unpack_from("<HH", data, 6), data[10]
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    palette, clear = data[13:at], None
    while at + 8 <= len(data) and data[at] == 0x21:
        if data[at + 1] == 0xF9 and data[at + 3] & 1:
            clear = data[at + 6]
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if at + 11 > len(data) or data[at] != 0x2C:
        return None
    left, top, width, height = struct.unpack_from("<HHHH", data, at + 1)
    own, at = data[at + 9], at + 10
    if (left, top, width, height) != (0, 0, *screen) or own & 0x40 or not 0 < width * height <= most // 8:
        return None
    if own & 0x80:
        palette, at = data[at : at + (3 << (own & 7) + 1)], at + (3 << (own & 7) + 1)
    least, packed, at = data[at], bytearray(), at + 1
    while at < len(data) and data[at]:
        packed += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    values = _unpacked_gif(bytes(packed), least, width * height)
    there = len(values) // width
    if there < LEAST * height or not palette:
        return None
    rows = b"".join(b"\0" + values[n * width : (n + 1) * width] for n in range(there))
    head = struct.pack(">IIBBBBB", width, there, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"PLTE", palette)]
    if clear is not None and clear < 256:
        chunks.append((b"tRNS", b"\xff" * clear + b"\0"))
    missing = 1 - there / height
    note = said(missing) if missing else "The end of the file is missing; all of its first frame is there."
    return Mended("png", _as_png([*chunks, (b"IDAT", zlib.compress(rows, 1))]), 1.0, missing, note)


def _unpacked_gif(packed: bytes, least: int, most: int) -> bytes:
    """LZW as GIF89a has it (Appendix F), as far as it goes."""
    clear, end = 1 << least, (1 << least) + 1
    if not 2 <= least <= 8:
        return b""
    start = [bytes([n]) for n in range(clear)] + [b"", b""]
    table, size, last = list(start), least + 1, b""
    found = bytearray()
    bits = held = 0
    for byte in packed:
        bits |= byte << held
        held += 8
        while held >= size:
            code, bits, held = bits & ((1 << size) - 1), bits >> size, held - size
            if code == clear:
                table, size, last = list(start), least + 1, b""
                continue
            if code == end or code > len(table) or (not last and code >= clear):
                return bytes(found)
            entry = table[code] if code < len(table) else last + last[:1]
            if last and len(table) < 4096:
                table.append(last + entry[:1])
                if len(table) == 1 << size and size < 12:
                    size += 1
            found += entry
            last = entry
            if len(found) >= most:
                return bytes(found[:most])
    return bytes(found)
