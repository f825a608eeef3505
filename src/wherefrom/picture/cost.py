"""What decoding a picture may cost, told by its markers alone: who has a queue lets slow ones wait apart."""

from __future__ import annotations

import struct

from wherefrom.picture import formats

_PIXELS = 200_000_000
"""Pixels gone through, once for each scan of a JPEG, beyond which a picture is slow: about a second."""

_DENSE = 4 * 1024 * 1024  # bytes of formats that are slow for each byte, beyond which a picture is
_APART = ("pdf", "raw", "svg")  # formats whose files have a process of their own


def is_slow(data: bytes) -> bool:
    """Whether decoding may take more than about a second: never for what is no picture.

    No pixel is decoded, and no more than a glance is taken at the bytes.
    """
    kind = formats.sniff(data)
    if kind is None:
        return False
    if kind.name == "jpeg":
        # 0xFF is stuffed inside of scans, so that each of these begins one, or lies in a comment.
        return _jpeg_pixels(data) * data.count(b"\xff\xda") > _PIXELS
    if kind.name == "png":
        width, height = struct.unpack(">II", data[16:24]) if len(data) >= 24 else (0, 0)
        return bool(width * height > _PIXELS // 4)
    return kind.extra in _APART or len(data) > _DENSE


def _jpeg_pixels(data: bytes) -> int:
    """The pixels of the frame that a JPEG states (ITU-T T.81, B.2.2), 0 where it states none."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return int(width * height)
        alone = marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8
        position += (
            (1 if marker == 0xFF else 2)
            if alone
            else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        )
    return 0
