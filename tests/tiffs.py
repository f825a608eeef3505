"""TIFFs of every layout, made by hand: any depth, planes, strips or tiles, compression and predictor."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.pictures import Order, Tag, tiff

PACKED = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773, "zstd": 50000}


def layered(
    values: NDArray[Any],
    *more: Tag,
    order: Order = "<",
    packing: str = "none",
    predictor: int = 1,
    apart: bool = False,
    tile: tuple[int, int] | None = None,
    rows: int = 7,
    bits: int | None = None,
) -> bytes:
    """A TIFF of (h, w) or (h, w, channels) numbers; `tile` is (width, height), else strips of `rows`.

    `bits` packs unsigned numbers into fewer bits than their type has.
    """
    values = values[:, :, None] if values.ndim == 2 else values
    height, width, channels = values.shape
    depth = bits or 8 * values.dtype.itemsize
    wide, high = tile or (width, min(rows, height))
    planes = [values[:, :, n : n + 1] for n in range(channels)] if apart else [values]
    blocks: list[bytes] = []
    for plane in planes:
        for top in range(0, height, high):
            for left in range(0, width, wide):
                part = plane[top : top + high, left : left + wide]
                if tile is not None:
                    gaps = ((0, high - part.shape[0]), (0, wide - part.shape[1]), (0, 0))
                    part = np.pad(part, gaps, mode="edge")
                blocks.append(_packed(_bytes(part, order, predictor, depth), packing))
    starts = np.cumsum([8, *map(len, blocks)]).tolist()[:-1]
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags: list[Tag] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [depth] * channels),
        (259, 3, [PACKED[packing]]),
        (262, 3, [1 if channels < 3 else 2]),
        (277, 3, [channels]),
        (284, 3, [2 if apart else 1]),
        (317, 3, [predictor]),
        (339, 3, [kind] * channels),
    ]
    if channels in (2, 4):
        tags.append((338, 3, [2]))
    if tile is None:
        tags += [(273, 4, starts), (278, 4, [high]), (279, 4, list(map(len, blocks)))]
    else:
        tags += [(322, 4, [wide]), (323, 4, [high]), (324, 4, starts), (325, 4, list(map(len, blocks)))]
    given = {tag for tag, _, _ in more}
    return tiff([*(tag for tag in tags if tag[0] not in given), *more], order=order, body=b"".join(blocks))


def _bytes(part: NDArray[Any], order: Order, predictor: int, bits: int) -> bytes:
    size = part.dtype.itemsize
    if predictor == 2:
        plain = part.view(f"u{size}")
        part = np.concatenate([plain[:, :1], plain[:, 1:] - plain[:, :-1]], axis=1)
    if predictor == 3:
        high, wide, channels = part.shape
        flat = np.ascontiguousarray(part.astype(part.dtype.newbyteorder(">"))).view(np.uint8)
        planes = flat.reshape(high, wide * channels, size).transpose(0, 2, 1).reshape(high, -1, channels)
        first, later = planes[:, :1], planes[:, 1:] - planes[:, :-1]
        return np.concatenate([first, later], axis=1).tobytes()
    if bits == 24:
        four = part.astype("<u4").view(np.uint8).reshape(*part.shape, 4)[..., :3]
        return np.ascontiguousarray(four if order == "<" else four[..., ::-1]).tobytes()
    if bits % 8:
        digits = part[..., None] >> np.arange(bits - 1, -1, -1) & 1
        return np.packbits(digits.astype(np.uint8).reshape(len(part), -1), axis=1).tobytes()
    return part.astype(part.dtype.newbyteorder(order)).tobytes()


def _packed(raw: bytes, packing: str) -> bytes:
    import imagecodecs

    if packing == "none":
        return raw
    if packing == "deflate":
        return zlib.compress(raw)
    return bytes(getattr(imagecodecs, f"{packing}_encode")(raw))
