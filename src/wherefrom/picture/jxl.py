"""JPEG XL: what its header states (ISO/IEC 18181-1, Annex D), and its samples at the depth stated there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import Corrupt, Truncated, UnsupportedFormat
from wherefrom.picture.samples import image_of_samples, to_8_bits

if TYPE_CHECKING:
    from PIL import Image

_BARE = b"\xff\x0a"
_HEAD = 96  # bytes of a codestream in which what is asked of its header ends
_ENDS = "The JPEG XL file ends before the picture does."
_SHARES = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_DEPTHS = ((8, 0), (10, 0), (12, 0), (1, 6))


class _Fields:
    """The fields of a header, the first in the lowest bits; zeros beyond its end."""

    def __init__(self, head: bytes) -> None:
        self._bits = int.from_bytes(head, "little")
        self.at = 0

    def take(self, count: int) -> int:
        value = (self._bits >> self.at) & ((1 << count) - 1)
        self.at += count
        return value

    def one_of(self, *ways: tuple[int, int]) -> int:
        """A number in one of four ways: so much, and so many bits added to it."""
        base, count = ways[self.take(2)]
        return base + self.take(count)

    def size(self) -> tuple[int, int]:
        """A SizeHeader: width and height."""
        small = self.take(1)

        def side() -> int:
            return 8 * (self.take(5) + 1) if small else self.one_of((1, 9), (1, 13), (1, 18), (1, 30))

        height = side()
        ratio = self.take(3)
        if ratio:
            return height * _SHARES[ratio][0] // _SHARES[ratio][1], height
        return side(), height

    def depth(self) -> tuple[int, bool]:
        """A BitDepth: bits of a sample, and whether it is a float."""
        if self.take(1):
            bits = self.one_of((32, 0), (16, 0), (24, 0), (1, 6))
            self.take(4)  # of them in the exponent
            return bits, True
        return self.one_of(*_DEPTHS), False

    def pass_preview(self) -> None:
        ways = (
            ((16, 0), (32, 0), (1, 5), (33, 9)) if self.take(1) else ((1, 6), (65, 8), (321, 10), (1345, 12))
        )
        self.one_of(*ways)
        if not self.take(3):
            self.one_of(*ways)

    def pass_animation(self) -> None:
        self.one_of((100, 0), (1000, 0), (1, 10), (1, 30))
        self.one_of((1, 0), (1001, 0), (1, 8), (1, 10))
        self.one_of((0, 0), (0, 3), (0, 16), (0, 32))
        self.take(1)


@dataclass(frozen=True, slots=True)
class Header:
    """What a JPEG XL file states: (width, height), bits of a sample, whether these are floats.

    `lossy` is True where there are colours alone, kept as XYB, so that the depth is a mere remark; `depth_at`
    is the bit of the codestream where that stands.
    """

    size: tuple[int, int]
    bits: int = 8
    floats: bool = False
    lossy: bool = True
    depth_at: int = 0

    @classmethod
    def of(cls, data: bytes) -> Header:
        """Read it. Raises Truncated or Corrupt where a file has no codestream."""
        codestream = data if data[:2] == _BARE else codestream_of(data, _HEAD)
        if codestream[:2] != _BARE:
            raise Corrupt("The JPEG XL file is damaged: it has no codestream.")
        fields = _Fields(codestream[:_HEAD])
        fields.take(16)
        size = fields.size()
        if fields.take(1):  # all by default
            return cls(size)
        if fields.take(1):  # extra fields
            fields.take(3)  # orientation
            if fields.take(1):
                fields.size()
            if fields.take(1):
                fields.pass_preview()
            if fields.take(1):
                fields.pass_animation()
        at = fields.at
        bits, floats = fields.depth()
        fields.take(1)
        plain = fields.one_of((0, 0), (1, 0), (2, 4), (1, 12)) == 0
        return cls(size, bits, floats, plain and bool(fields.take(1)), at)


def codestream_of(data: bytes, enough: int | None = None) -> bytes:
    """The codestream in a container of boxes (ISO/IEC 18181-2), or `enough` bytes of its beginning.

    Raises Truncated.
    """
    position, found = 0, b""
    while position + 8 <= len(data):
        size, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        body = position + 8
        if size == 1:
            size, body = int.from_bytes(data[body : body + 8], "big"), body + 8
        if name in (b"jxlc", b"jxlp"):
            body += 4 if name == b"jxlp" else 0  # the number of the part comes first
            found += data[body : position + size if size >= 8 else None]
            if name == b"jxlc" or (enough is not None and len(found) >= enough):
                return found
        if size < 8:
            return found
        position += size
    if found:
        return found
    raise Truncated(_ENDS)


def read(data: bytes, number: int = 0) -> tuple[Image.Image, int]:
    """A frame, by its number, as an 8-bit Pillow image, and how many frames there are.

    Raises Truncated, Corrupt or UnsupportedFormat.
    """
    import imagecodecs

    header = Header.of(data)
    try:
        frames = _frames(data)
        given, bits = data, header.bits
        if header.lossy and not header.floats and 8 < bits < 16:
            given, bits = _finer(data, header)
        values = np.asarray(imagecodecs.jpegxl_decode(given, index=number, numthreads=1))
    except RuntimeError as error:
        if "frame count" in str(error) or "MORE_INPUT" in str(error):
            raise Truncated(_ENDS) from error
        raise
    values = values[:, :, None] if values.ndim == 2 else values
    count = values.shape[2]
    if count > 4:  # further channels are no colours
        values, count = values[:, :, :3], 3
    white = _white(bits, header.floats, values)
    if count in (1, 3) and not header.floats:
        white *= _left_dark(header.bits, values, white)
    seen = to_8_bits(values, white)
    return image_of_samples(seen, "straight" if count in (2, 4) else None), frames


def _finer(data: bytes, header: Header) -> tuple[bytes, int]:
    """A lossy file with the highest depth remarked that fits in its place, and that depth.

    The decoder rounds to it: 12 bits where 10 or 12 were, else 16.
    """
    codestream = bytearray(data if data[:2] == _BARE else codestream_of(data))
    short = header.bits in (10, 12)
    # Behind the mark of floats: which of the ways it is in two bits, and for the last way six that add to 1.
    at, count, field = (header.depth_at + 1, 2, 2) if short else (header.depth_at + 3, 6, 15)
    for number in range(count):
        place, bit = divmod(at + number, 8)
        codestream[place] = codestream[place] & ~(1 << bit) | (field >> number & 1) << bit
    return bytes(codestream), 12 if short else 16


def _white(bits: int, floats: bool, values: NDArray[Any]) -> float:
    """The value that stands for white; raises UnsupportedFormat when header and samples disagree."""
    if values.dtype.kind == "f":
        return 1.0
    if floats or not 1 <= bits <= 8 * values.dtype.itemsize or int(values.max(initial=0)) >= 1 << bits:
        raise UnsupportedFormat(f"This JPEG XL file has samples of {bits} bits, which are not read here.")
    return float((1 << bits) - 1)


def _left_dark(bits: int, values: NDArray[Any], white: float) -> float:
    """The share of white that white has, 1 but in files of 9 to 15 bits by `cjxl` 0.7 and before.

    That took samples of n bits for such of 16 (libjxl issue 1889), and so left white at 2^n / 2^16 of the
    range: 4 of 255 for 10 bits. No picture ends there otherwise, or it is black; for 13 bits and more,
    where it might, the brightest have to lie just below.
    """
    share = ((1 << bits) - 1) / 65535
    if not 8 < bits < 16:
        return 1.0
    brightest = float(np.percentile(values, 99.5)) / white
    return share if (0.0 if bits <= 12 else 0.85) * share <= brightest <= 1.06 * share else 1.0


def _frames(data: bytes) -> int:
    # The decoder tells how many frames there are only where it refuses too small a place for them.
    import imagecodecs

    try:
        imagecodecs.jpegxl_decode(data, numthreads=1, out=np.empty(0, np.uint8))
    except ValueError as error:
        shape = re.search(r" shape=\((\d+), \d+, \d+, \d+\)", str(error))
        return int(shape[1]) if shape else 1
    return 1
