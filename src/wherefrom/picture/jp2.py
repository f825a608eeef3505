"""JPEG 2000 of other depths than 8 bits, which Pillow gives wrong: it lets white run over to black."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from wherefrom.errors import MissingExtra, UnsupportedFormat
from wherefrom.picture.samples import image_of_samples, to_8_bits

if TYPE_CHECKING:
    from PIL import Image

_START = b"\xff\x4f\xff\x51"  # start of codestream, and of SIZ


def depths(data: bytes) -> list[int]:
    """The bits of each component (ITU-T T.800, A.5.1), negative where it has a sign; [] where not said."""
    at = data.find(_START)
    try:
        (count,) = struct.unpack_from(">H", data, at + 4 + 36)
        said = [data[at + 42 + 3 * number] for number in range(min(count, 16_384))]
    except (struct.error, IndexError):
        return []
    return [] if at < 0 else [-(one & 0x7F) - 1 if one & 0x80 else one + 1 for one in said]


def is_plain(data: bytes) -> bool:
    """Whether all components have 8 bits, so that the general decoder is right."""
    return {abs(bits) for bits in depths(data)} <= {8}


def read(data: bytes) -> Image.Image:
    """The picture as an 8-bit Pillow image.

    Raises MissingExtra where the decoder is not installed, UnsupportedFormat for components that differ.
    """
    from wherefrom.picture import extras

    kinds = set(depths(data))
    bits = abs(next(iter(kinds)))
    if len(kinds) != 1 or not 1 <= bits <= 16 or b"pclr" in data[: max(0, data.find(_START))]:
        raise UnsupportedFormat("This JPEG 2000 file mixes depths in a way that is not read here.")
    if not extras.installed("jxl"):
        raise MissingExtra(f"Reading JPEG 2000 of {bits} bits needs an extra: pip install 'wherefrom[jxl]'.")
    import imagecodecs

    values = np.asarray(imagecodecs.jpeg2k_decode(data, numthreads=1))
    values = values[:, :, None] if values.ndim == 2 else values
    black = 0.0 if min(kinds) > 0 else -float(1 << (bits - 1))
    count = values.shape[2]
    if values.ndim != 3 or not 1 <= count <= 4:
        raise UnsupportedFormat(f"This JPEG 2000 file has {count} components, which are not read here.")
    seen = to_8_bits(values, black + (1 << bits) - 1, black)
    return image_of_samples(seen, "straight" if count in (2, 4) else None)
