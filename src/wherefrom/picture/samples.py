"""Samples of any depth to 8 bits: what stands for white, and alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.picture.picture import Pixels

if TYPE_CHECKING:
    from PIL import Image

_OVER = 0.05  # share of floats that may lie over white: highlights


def to_8_bits(values: NDArray[Any], white: float, black: float = 0.0) -> Pixels:
    """Values from `black` to `white` as 0 to 255, rounded and cut to these; what is no number is black."""
    if white - black == 255 and black == 0 and values.dtype == np.uint8:
        return values
    wide = np.float64 if values.dtype.itemsize > 4 else np.float32
    shares = np.nan_to_num(values.astype(wide), nan=black, posinf=black, neginf=black)
    shares -= wide(black)
    shares *= wide(255.0 / (white - black))
    shares += wide(0.5)
    seen: Pixels = np.clip(shares, 0, 255).astype(np.uint8)
    return seen


def white_of_floats(top: float, over_one: float, whole_numbers: bool) -> float:
    """What stands for white among floats: 1, 255 or 65535, or the highest of them where that is more.

    `top` is the highest; `over_one` the share of them that is over 1, which highlights may be.
    """
    if top <= 1 or (over_one <= _OVER and not whole_numbers):
        return 1.0
    return next((white for white in (255.0, 65535.0) if top <= white), top)


def image_of_samples(samples: Pixels, alpha: str | None = None) -> Image.Image:
    """8-bit samples, (h, w, n), as a Pillow image: grey, RGB or (n = 4 without alpha) CMYK.

    The last one is `alpha` where that is "straight" or "premultiplied".
    """
    from PIL import Image

    if alpha == "premultiplied":
        opaque = samples[:, :, -1:].astype(np.uint16)
        colours = samples[:, :, :-1].astype(np.uint32) * 255 // np.maximum(opaque, 1)
        samples = np.dstack([np.minimum(colours, 255).astype(np.uint8), samples[:, :, -1:]])
    count = samples.shape[2]
    if count == 1:
        return Image.fromarray(np.ascontiguousarray(samples[:, :, 0]))
    if count == 4 and alpha is None:
        # Not by `fromarray`, which takes four channels for RGBA.
        return Image.frombytes("CMYK", samples.shape[1::-1], np.ascontiguousarray(samples).tobytes())
    return Image.fromarray(np.ascontiguousarray(samples))
