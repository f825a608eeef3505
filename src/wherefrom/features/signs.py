"""Signs: read out of a file's bytes and pixels, what they say of its own history.

Kept of a camera's EXIF is that a camera wrote it, never which one; no place, no serial number, no name of a
program. Signs are a pure function of the bytes and the decoded picture; hostile bytes give fewer signs, and
no error.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wherefrom.features.blocking import blocking
from wherefrom.picture.picture import Picture
from wherefrom.picture.signs import Signs

LOSSLESS = ("png", "bmp", "tiff", "pnm", "gif")
"""Formats whose files keep every pixel, or are taken to."""

_READ = 1 << 20  # bytes of a block that are looked at
_PARTS = 20_000  # segments or chunks that are looked at
_EXPOSURE = (0x829A, 0x829D, 0x8827, 0x927C, 0x9201, 0x9202)  # what cameras alone write
_ORIENTATION = 0x0112
_MAKE, _MODEL, _SOFTWARE, _SUB_IFD = 0x010F, 0x0110, 0x0131, 0x8769
_WIDE, _HIGH = 0xA002, 0xA003
_EDITORS = re.compile(
    rb"photoshop|lightroom|gimp|paint|snapseed|affinity|darktable|capture one|rawtherapee|luminar|picasa|"
    rb"acd systems|irfanview|xnview|imagemagick|pixelmator|canva|polarr|vsco|photoscape|corel|dxo|digikam|"
    rb"camedia master|google|instagram|topaz|upscal",
    re.IGNORECASE,
)
_APPS = re.compile(rb"screenshot|whatsapp|telegram|facebook|twitter|browser|chrome|firefox", re.IGNORECASE)


def signs_of(data: bytes, picture: Picture) -> Signs:
    """The signs of a file, `picture` being what it was decoded to, at any size."""
    facts = picture.facts
    said = exif_of(data, facts.format)
    size = {facts.width, facts.height}
    software = _software(said)
    stated = {said.get(_WIDE), said.get(_HIGH)} - {None, 0}
    camera = bool(said.get(_MAKE)) and bool(said.get(_MODEL)) and any(tag in said for tag in _EXPOSURE)
    altered = software in ("editor", "app") or (bool(stated) and stated != size and facts.format == "jpeg")
    tables, subsampled = jpeg_tables(data) if facts.format == "jpeg" else (None, None)
    whole = picture.pixels.shape[:2] == (facts.height, facts.width)
    lossless = facts.format in LOSSLESS or (facts.format == "webp" and b"VP8L" in data[:64])
    grid = sharp = None
    if whole and min(picture.pixels.shape[:2]) >= 64:
        sharp = round(sharpness(_middle(picture.luma8).astype(np.float32)), 4)
    if whole and lossless:
        grid = round(blocking(picture.luma8), 3)
    return Signs(
        (camera or facts.format == "raw") and not altered,
        altered,
        software,
        None if tables is None else quality_of(tables),
        subsampled,
        lossless,
        grid,
        sharp,
        facts.codes or None,
        facts.missing,
        " ".join(facts.notes) or None,
    )


def sharpness(grey: NDArray[np.float32]) -> float:
    """The energy in a picture's topmost half octave over that in the octave below it."""
    power, frequency = np.abs(spectrum(grey)) ** 2, radius(*grey.shape)
    below = float(power[(frequency > 0.175) & (frequency < 0.35)].sum())
    return float(power[(frequency >= 0.35) & (frequency < 0.5)].sum()) / max(below, 1e-9)


def spectrum(grey: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Half the spectrum of luma (h, w), faded out towards its edges."""
    window = np.outer(np.hanning(grey.shape[0]), np.hanning(grey.shape[1])).astype(np.float32)
    return np.fft.rfft2((grey - grey.mean()) * window).astype(np.complex64)


def radius(height: int, width: int) -> NDArray[np.float64]:
    """The frequency of each coefficient of `spectrum`, in cycles a pixel."""
    return np.asarray(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]))


def _middle(grey: Any, side: int = 256) -> Any:
    top, left = max(0, (grey.shape[0] - side) // 2), max(0, (grey.shape[1] - side) // 2)
    return grey[top : top + side, left : left + side]


def _software(said: Mapping[int, Any]) -> str | None:
    name = said.get(_SOFTWARE)
    if not isinstance(name, bytes) or not name.strip(b"\0 "):
        return None
    if _APPS.search(name):
        return "app"
    return "editor" if _EDITORS.search(name) else "camera" if said.get(_MAKE) else "editor"


def jpeg_tables(data: bytes) -> tuple[NDArray[np.int64] | None, bool | None]:
    """The luma quantisation of a JPEG, int64 (8, 8) by rows, and whether its colours are subsampled."""
    tables: dict[int, Any] = {}
    at = 2
    for _ in range(_PARTS):
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            break
        mark = data[at + 1]
        if mark == 0xFF:
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        if mark == 0xDB:
            while len(body) >= 65:
                wide = body[0] >> 4
                length = 128 if wide else 64
                if len(body) < 1 + length:
                    break
                kind = ">u2" if wide else "u1"
                tables[body[0] & 15] = np.frombuffer(body[1 : 1 + length], kind).astype(np.int64)
                body = body[1 + length :]
        elif mark in (0xC0, 0xC1, 0xC2) and len(body) >= 9:
            factors = [body[7 + 3 * number : 9 + 3 * number] for number in range(body[5])]
            if not factors or len(factors[0]) < 2 or factors[0][1] not in tables:
                return None, None
            flat = np.zeros(64, np.int64)
            flat[_ZIGZAG] = tables[factors[0][1]]
            return flat.reshape(8, 8), len(factors) > 1 and factors[0][0] != 0x11
        elif mark == 0xDA or size < 2:
            break
        at += 2 + size
    return None, None


def quality_of(tables: NDArray[np.int64]) -> int:
    """The quality, 1 to 100, at which the Independent JPEG Group's tables are as coarse as these."""
    scale = 100 * float(tables.sum()) / _STANDARD_SUM
    return int(np.clip(round(100 - scale / 2 if scale <= 100 else 5000 / scale), 1, 100))


_STANDARD_SUM = 3_688  # of the luma table in annex K of the standard
_ZIGZAG = [
    *(0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6),
    *(7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31),
    *(39, 46, 53, 60, 61, 54, 47, 55, 62, 63),
]


def exif_of(data: bytes, format: str) -> dict[int, Any]:
    """The tags that are looked at, of a file's EXIF block: texts as bytes, numbers as int."""
    block = _block(data, format)
    try:
        return _tags(block) if block else {}
    except (struct.error, IndexError, ValueError):
        return {}


def orientation_of(data: bytes) -> int:
    """The EXIF orientation of a JPEG's bytes, 1 where none is stated."""
    return int(exif_of(data, "jpeg").get(_ORIENTATION, 1) or 1)


def _block(data: bytes, format: str) -> bytes:
    """A file's TIFF block, from its byte order on; empty where there is none."""
    if format in ("tiff", "raw"):
        return data if data[:2] in (b"II", b"MM") else b""
    if format == "jpeg":
        at = 2
        for _ in range(_PARTS):
            if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] in (0xDA, 0xD9):
                break
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
                return data[at + 10 : at + 2 + size]
            if size < 2:
                break
            at += 2 + size
        return b""
    if format in ("png", "webp"):
        name = b"eXIf" if format == "png" else b"EXIF"
        at, order, lead = (8, "big", 8) if format == "png" else (12, "little", 8)
        for _ in range(_PARTS):
            if at + 8 > len(data):
                break
            size_at, name_at = (at, at + 4) if format == "png" else (at + 4, at)
            size = int.from_bytes(data[size_at : size_at + 4], "big" if order == "big" else "little")
            if data[name_at : name_at + 4] == name:
                return data[at + lead : at + lead + size].removeprefix(b"Exif\0\0")
            at += lead + size + (4 if format == "png" else size % 2)
        return b""
    found = re.search(rb"Exif\0\0(?=II\*\0|MM\0\*)", data)
    return data[found.end() : found.end() + _READ] if found else b""


def _tags(block: bytes) -> dict[int, Any]:
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"
    found = _directory(block, int.from_bytes(block[4:8], order), order)
    below = found.pop(_SUB_IFD, None)
    return found | (_directory(block, below, order) if isinstance(below, int) else {})


def _directory(block: bytes, at: int, order: Literal["little", "big"]) -> dict[int, Any]:
    count = min(int.from_bytes(block[at : at + 2], order), 500)
    wanted = {_ORIENTATION, _MAKE, _MODEL, _SOFTWARE, _SUB_IFD, _WIDE, _HIGH, *_EXPOSURE}
    found: dict[int, Any] = {}
    for place in range(at + 2, min(at + 2 + 12 * count, len(block) - 11), 12):
        tag = int.from_bytes(block[place : place + 2], order)
        kind = int.from_bytes(block[place + 2 : place + 4], order)
        if tag not in wanted or tag in found:
            continue
        length = int.from_bytes(block[place + 4 : place + 8], order)
        if kind == 2:
            start = place + 8 if length <= 4 else int.from_bytes(block[place + 8 : place + 12], order)
            found[tag] = block[start : start + min(length, 200)].strip(b"\0 ")
        elif kind == 3:
            found[tag] = int.from_bytes(block[place + 8 : place + 10], order)
        elif kind in (4, 13):
            found[tag] = int.from_bytes(block[place + 8 : place + 12], order)
        else:
            found[tag] = True  # that it is there is all that counts
    return found
