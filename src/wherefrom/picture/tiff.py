"""TIFF files whose samples the general decoder does not give right: read here, or refused.

What is read: integers of 1 to 16, 24, 32 and 64 bits, signed and unsigned, and floats of 16, 32 and 64; grey,
white-is-zero, RGB, palettes and CMYK, with and without alpha; samples together or in planes, strips or tiles,
both predictors. Compressed blocks are unpacked by libtiff, as bytes. TIFF 6.0; predictor 3 after Adobe's
TIFF Technical Note 3.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import Corrupt, TooLarge, Truncated, UnsupportedFormat
from wherefrom.picture.directories import Directory
from wherefrom.picture.picture import Pixels
from wherefrom.picture.samples import image_of_samples, to_8_bits, white_of_floats

if TYPE_CHECKING:
    from PIL import Image

_PACKED = {1, 5, 8, 32773, 32946, 34925, 50000}  # losslessly, and of bytes: none, LZW, deflate, PackBits ...
_DECODED = _PACKED | {2, 3, 4, 6, 7, 50001}  # by the general decoder
_COMPRESSIONS = {
    32766: "NeXT",
    32809: "ThunderScan",
    32908: "PixarFilm",
    32909: "PixarLog",
    32947: "Kodak DCS",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogL",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34713: "Nikon NEF",
    34715: "JBIG2",
    34887: "LERC",
    34892: "lossy JPEG",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}  # channels of white-is-zero, black-is-zero, RGB, palette, CMYK
_WHITE_IS_ZERO, _PALETTE, _CMYK = 0, 3, 5
_BITS = {1: {*range(1, 17), 24, 32, 64}, 2: {8, 16, 32, 64}, 3: {16, 32, 64}}
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_BAND = 32 * 1024 * 1024  # bytes of samples that are worked on at a time
_BLOCK = 1 << 30  # bytes of the largest strip or tile


@dataclass(frozen=True, slots=True)
class Layout:
    """How the samples of a page lie in its file, as its directory says."""

    page: Directory
    width: int
    height: int
    bits: tuple[int, ...]
    formats: tuple[int, ...]
    samples: int
    apart: bool
    compression: int
    predictor: int
    meaning: int
    extra: tuple[int, ...]
    tiled: bool
    block: tuple[int, int]  # width and rows of a strip or tile
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def kind(self) -> int:
        """Unsigned, signed or floats; samples of no stated kind count as unsigned."""
        return _UNSIGNED if self.formats[0] == 4 else self.formats[0]

    @property
    def together(self) -> int:
        """How many samples of a pixel lie together in a block."""
        return 1 if self.apart else self.samples

    @property
    def row(self) -> int:
        """Bytes in a row of a block."""
        return (self.block[0] * self.together * self.bits[0] + 7) // 8

    @property
    def across(self) -> int:
        """How many blocks lie side by side."""
        return -(-self.width // self.block[0])

    @property
    def down(self) -> int:
        """How many blocks lie below each other."""
        return -(-self.height // self.block[1])


def layout_of(page: Directory) -> Layout:
    """What a directory says of its samples. Raises Truncated or Corrupt where it does not say enough."""
    width, height = page.integer(256, 0), page.integer(257, 0)
    if width < 1 or height < 1:
        if not page.whole:
            raise Truncated("The TIFF file ends before the picture does.")
        raise Corrupt("The TIFF file is damaged: it does not say how large its picture is.")
    bits = page.integers(258) or [1]
    samples = page.integer(277, len(bits))
    tiled = 322 in page.tags
    rows = min(page.integer(278, height), height)
    block = (page.integer(322, 0), page.integer(323, 0)) if tiled else (width, rows)
    starts, sizes = (page.integers(tag) for tag in ((324, 325) if tiled else (273, 279)))
    if not 1 <= samples <= 64 or min(block) < 1:
        raise Corrupt("The TIFF file is damaged: its parts contradict each other.")
    formats = page.integers(339) or [1]
    return Layout(
        page,
        width,
        height,
        tuple((bits * samples)[:samples]) if len(bits) == 1 else tuple(bits[:samples]),
        tuple((formats * samples)[:samples]) if len(formats) == 1 else tuple(formats[:samples]),
        samples,
        page.integer(284, 1) == 2 and samples > 1,
        page.integer(259, 1),
        page.integer(317, 1),
        page.integer(262, 1 if samples < 3 else 2),
        tuple(page.integers(338)),
        tiled,
        block,
        tuple(starts),
        tuple(sizes),
    )


def is_plain(layout: Layout) -> bool:
    """Whether the general decoder gives these samples right: of 1 or 8 bits, unsigned and together.

    Raises UnsupportedFormat for a compression that nothing here undoes.
    """
    if layout.compression not in _DECODED:
        name = _COMPRESSIONS.get(layout.compression, f"scheme {layout.compression}")
        raise UnsupportedFormat(f"This TIFF file is compressed by {name}, which is not read here.")
    if layout.meaning not in (*_COLOURS, 4, 6, 8):
        raise UnsupportedFormat(
            f"This TIFF file has colours of kind {layout.meaning}, which are not read here."
        )
    shallow = set(layout.bits) <= {8} or (layout.bits == (1,) and not layout.apart)
    unsigned = set(layout.formats) <= {1, 4}
    return shallow and unsigned and not (layout.apart and layout.compression in _PACKED)


def read(layout: Layout, *, lenient: bool = False) -> tuple[Image.Image, int]:
    """The page as an 8-bit Pillow image without its orientation, and how many of its rows are there.

    Fewer than all only if `lenient`; else Truncated is raised. Raises UnsupportedFormat for samples that are
    not read, or that could be meant in several ways; TooLarge for blocks that are too large.
    """
    _check(layout)
    colours = _COLOURS[layout.meaning]
    extra = layout.extra or ((2,) if layout.meaning == 2 and layout.samples == 4 else ())
    opacity = next((n for n, what in enumerate(extra) if what in (1, 2)), None)
    kept = list(range(colours))
    alpha = None
    if opacity is not None and layout.meaning in (0, 1, 2) and colours + opacity < layout.samples:
        kept.append(colours + opacity)
        alpha = "premultiplied" if extra[opacity] == 1 else "straight"
    palette = _palette(layout) if layout.meaning == _PALETTE else None
    black, white = (0.0, 1.0) if palette is not None else _range(layout, kept, lenient)
    seen = np.zeros((layout.height, layout.width, len(kept)), np.uint8 if palette is None else np.uint16)
    there = layout.height
    for top, left, number, values, whole in _bands(layout, kept, lenient):
        rows, columns = values.shape[:2]
        part = values if palette is not None else to_8_bits(values, white, black)
        seen[top : top + rows, left : left + columns, number : number + values.shape[2]] = part
        there = min(there, top + whole) if whole < rows else there
    if palette is not None:
        image = image_of_samples(palette[np.minimum(seen[:there, :, 0], len(palette) - 1)])
    else:
        if layout.meaning == _WHITE_IS_ZERO:
            seen[:, :, 0] = 255 - seen[:, :, 0]
        if there < 1:
            raise Truncated("The TIFF file ends before the picture does.")
        image = image_of_samples(seen[:there], alpha)
    profile = _bytes_of(layout.page, 34675)
    if profile:
        image.info["icc_profile"] = profile
    return image, there


def _check(layout: Layout) -> None:
    bits, kinds = set(layout.bits), set(layout.formats)
    described = f"{layout.samples} samples of {'/'.join(str(one) for one in sorted(bits))} bits"
    fits = (
        layout.meaning in _COLOURS
        and layout.compression in _PACKED
        and len(bits) == len(kinds) == 1
        and len(layout.bits) == len(layout.formats) == layout.samples
        and layout.kind in _BITS
        and layout.bits[0] in _BITS[layout.kind]
        and layout.predictor in ((1, 2, 3) if layout.kind == _FLOAT else (1, 2))
        and not (layout.predictor > 1 and layout.bits[0] % 8)
        and layout.samples >= _COLOURS[layout.meaning]
        and not (layout.meaning == _PALETTE and (layout.bits[0] > 16 or layout.kind != _UNSIGNED))
    )
    if not fits:
        raise UnsupportedFormat(f"This TIFF file has {described}, stored in a way that is not read here.")
    blocks = layout.across * layout.down * (layout.samples if layout.apart else 1)
    if layout.row * layout.block[1] > _BLOCK:
        raise TooLarge(f"A part of this TIFF file unpacks to more than {_BLOCK:,} bytes.")
    if len(layout.starts) < blocks or len(layout.sizes) < blocks:
        raise Truncated("The TIFF file ends before the picture does.")


def _range(layout: Layout, kept: list[int], lenient: bool) -> tuple[float, float]:
    """The values of black and white.

    Integers of up to 24 bits have the whole range. Wider ones, which hold 8 or 16 bits as often as not, have
    the least of the ranges of 8, 16 and all their bits that holds them; floats see `white_of_floats`.
    """
    bits = layout.bits[0]
    if layout.kind == _UNSIGNED and bits <= 24:
        return 0.0, float(2**bits - 1)
    stated = [layout.page.numbers(tag) for tag in (340, 341)]
    least, top, over, whole, count = 0.0, 0.0, 0, True, 0
    for _, _, _, values, _ in _bands(layout, kept[: _COLOURS[layout.meaning]], lenient):
        found = values[np.isfinite(values)] if layout.kind == _FLOAT else values
        least, top = min(least, float(found.min(initial=0))), max(top, float(found.max(initial=0)))
        if layout.kind == _FLOAT:
            over += int((found > 1).sum())
            whole = whole and bool((found == np.trunc(found)).all())
            count += found.size
    if layout.kind == _FLOAT:
        return 0.0, white_of_floats(top, over / max(1, count), whole)
    if layout.kind == _SIGNED and least < 0:
        if all(stated) and stated[0][0] < stated[1][0]:
            return float(stated[0][0]), float(stated[1][0])
        raise UnsupportedFormat(
            "This TIFF file has samples below zero, and does not say which of them is black."
        )
    all_bits = float(2 ** (bits - (layout.kind == _SIGNED)) - 1)
    shorter = (255.0, 65535.0) if bits > 16 else (255.0,) if bits > 8 else ()
    return 0.0, next((white for white in shorter if top <= white), all_bits)


def _bands(
    layout: Layout, kept: list[int], lenient: bool
) -> Iterator[tuple[int, int, int, NDArray[Any], int]]:
    """(top, left, channel, values, rows there): kept samples, (rows, columns, channels), block by block."""
    across, down, (wide, high) = layout.across, layout.down, layout.block
    per = max(1, _BAND // max(1, layout.row * high * 8))
    for number, plane in enumerate(kept if layout.apart else [0]):
        for start in range(0, across * down, per):
            places = range(start, min(start + per, across * down))
            for place, (raw, whole) in zip(places, _blocks(layout, plane, places, lenient), strict=True):
                top, left = place // across * high, place % across * wide
                values = _samples(layout, raw)
                if not layout.apart:
                    values = values[:, :, kept]
                rows, columns = layout.height - top, layout.width - left
                yield top, left, number, values[:rows, :columns], min(whole, rows)


def _blocks(
    layout: Layout, plane: int, places: range, lenient: bool
) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The bytes of blocks, (rows, bytes of a row), and how many of the rows are there."""
    first = plane * layout.across * layout.down
    sizes = [_rows(layout, place) for place in places]
    if layout.compression != 1:
        numbers = [first + place for place in places]
        try:
            unpacked = _unpacked(layout, numbers, sizes)
        except (OSError, SyntaxError, ValueError, Truncated):
            if not lenient:
                raise
            unpacked = [
                _unpacked_or_none(layout, number, rows) for number, rows in zip(numbers, sizes, strict=True)
            ]
        for raw, rows in zip(unpacked, sizes, strict=True):
            gone = np.zeros((rows, layout.row), np.uint8)
            yield (gone, 0) if raw is None else (raw, rows)
        return
    for place, rows in zip(places, sizes, strict=True):
        start = layout.starts[first + place]
        packed = np.frombuffer(layout.page.data[max(0, start) : start + rows * layout.row], np.uint8)
        if layout.page.integer(266, 1) == 2:
            packed = np.packbits(np.unpackbits(packed, bitorder="little"))
        whole = packed.size // layout.row
        if whole < rows:
            if not lenient:
                raise Truncated("The TIFF file ends before the picture does.")
            packed = np.concatenate([packed, np.zeros(rows * layout.row - packed.size, np.uint8)])
        yield packed.reshape(rows, layout.row), whole


def _rows(layout: Layout, place: int) -> int:
    if layout.tiled:
        return layout.block[1]
    return min(layout.block[1], layout.height - place * layout.block[1])


def _unpacked_or_none(layout: Layout, number: int, rows: int) -> NDArray[np.uint8] | None:
    try:
        return _unpacked(layout, [number], [rows])[0]
    except (OSError, SyntaxError, ValueError, Truncated):
        return None


def _unpacked(layout: Layout, numbers: list[int], rows: list[int]) -> list[NDArray[np.uint8] | None]:
    """Compressed blocks as bytes, by way of a TIFF of bytes whose strips they are."""
    from PIL.TiffImagePlugin import TiffImageFile

    data = layout.page.data
    parts = [data[layout.starts[n] : layout.starts[n] + max(0, layout.sizes[n])] for n in numbers]
    if any(len(part) < layout.sizes[n] for part, n in zip(parts, numbers, strict=True)):
        raise Truncated("The TIFF file ends before the picture does.")
    starts = np.cumsum([8, *(len(part) for part in parts)]).tolist()
    size, height = starts.pop(), sum(rows)
    filling = layout.page.integer(266, 1)
    tags = [
        (256, 4, [layout.row]),
        (257, 4, [height]),
        (258, 3, [8]),
        (259, 3, [layout.compression]),
        (262, 3, [1]),
        (266, 3, [filling if filling in (1, 2) else 1]),
        (273, 4, starts),
        (277, 3, [1]),
        (278, 4, [rows[0]]),
        (279, 4, [len(part) for part in parts]),
    ]
    beyond = size + 2 + 12 * len(tags) + 4
    directory, values = struct.pack("<H", len(tags)), b""
    for tag, kind, items in tags:
        packed = struct.pack(f"<{len(items)}{'H' if kind == 3 else 'I'}", *items)
        if len(packed) > 4:
            place, values = struct.pack("<I", beyond + len(values)), values + packed
        else:
            place = packed.ljust(4, b"\0")
        directory += struct.pack("<HHI", tag, kind, len(items)) + place
    made = b"".join([b"II*\0", struct.pack("<I", size), *parts, directory, bytes(4), values])
    with TiffImageFile(io.BytesIO(made)) as image:
        image.load()
        seen = np.asarray(image)
    ends = np.cumsum(rows)
    return [seen[end - count : end] for end, count in zip(ends.tolist(), rows, strict=True)]


def _samples(layout: Layout, raw: NDArray[np.uint8]) -> NDArray[Any]:
    """The values of a block, (rows, columns, samples together)."""
    rows, (wide, bits, together) = len(raw), (layout.block[0], layout.bits[0], layout.together)
    if bits % 8:
        apart = np.unpackbits(raw, axis=1)[:, : wide * together * bits].reshape(rows, wide, together, bits)
        weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)
        found: NDArray[Any] = (apart * weights).sum(axis=3, dtype=np.uint16)
        return found
    size = bits // 8
    order = layout.page.order
    if layout.predictor == 3:
        planes = raw.reshape(rows, -1, together).cumsum(axis=1, dtype=np.uint8).reshape(rows, size, -1)
        raw, order = np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(rows, -1), ">"
    if size == 3:
        three = raw.reshape(rows, wide, together, 3)[..., :: 1 if order == "<" else -1]
        values: NDArray[Any] = np.zeros((rows, wide, together, 4), np.uint8)
        values[..., :3] = three
        values = values.view("<u4")[..., 0]
    else:
        letter = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}[layout.kind]
        values = np.ascontiguousarray(raw).view(f"{order}{letter}{size}").reshape(rows, wide, together)
    if layout.predictor == 2:
        # Differences wrap around: sums of the unsigned numbers of as many bits.
        plain = values if size == 3 else values.view(f"{order}u{size}")
        sums = plain.cumsum(axis=1, dtype=np.uint32 if size == 3 else f"u{size}")
        values = sums & 0xFFFFFF if size == 3 else sums.view(values.dtype.newbyteorder("="))
    return values


def _palette(layout: Layout) -> Pixels:
    """The colours of a palette, (n, 3): stored as all reds, greens and blues of 16 bits."""
    colours = np.array(layout.page.integers(320), np.int64)
    if not colours.size or colours.size % 3:
        raise Corrupt("The TIFF file is damaged: its palette is missing.")
    if colours.max() <= 255:  # written by programs that took them for bytes
        colours *= 257
    seen: Pixels = (np.clip(colours, 0, 65535).reshape(3, -1).T // 257).astype(np.uint8)
    return seen


def _bytes_of(page: Directory, tag: int) -> bytes:
    kind, count, place = page.tags.get(tag, (0, 0, 0))
    if kind not in (1, 7) or count <= 8:
        return b""
    (start,) = struct.unpack_from(page.order + ("Q" if page.big else "I"), page.data, place)
    return page.data[start : start + count]
