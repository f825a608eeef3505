"""A decoded picture and the facts that its file states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import UsageError
from wherefrom.picture.metadata import Credit

Pixels = NDArray[np.uint8]
"""(height, width) luma or (height, width, 3) sRGB, upright, origin top left."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says about the picture in it.

    `width` and `height` are those of the whole upright picture in pixels, whatever size it was
    decoded at; `frames` counts the frames of an animation or the pages of a document; `bytes` is the
    size of the file; `decoder` names what decoded it, since bits drift a little from one decoder to
    the next. Of several frames the one numbered `shown` (0 is the first) is the picture, and `codes` such
    files apart (see `wherefrom.picture.frames`). `missing` is the
    share of the picture that the file lacks: 0 for a whole one; `width` and `height` are then those of what
    is there. `notes` are sentences on what was read and what was not.
    """

    format: str
    width: int
    height: int
    bytes: int
    frames: int = 1
    credit: Credit = field(default_factory=Credit)
    decoder: str = ""
    shown: int = 0
    codes: str = ""
    missing: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Decoded pixels, upright and sRGB, with what the file says about itself.

    `pixels` may be smaller than `facts` says: pictures are decoded at the size that matching needs
    (see `decode`). A two-dimensional array is luma: BT.601, as JPEG defines it.
    """

    pixels: Pixels
    facts: Facts

    @classmethod
    def from_array(cls, pixels: Pixels) -> Picture:
        """A picture of pixels that you hold: uint8, (h, w) luma or (h, w, 3) sRGB.

        More of them than are worked on (see `wherefrom.picture.colour.bounded`) are averaged.

        Raises UsageError for any other shape or dtype, or when there are no pixels.
        """
        shaped = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
        if pixels.dtype != np.uint8 or not shaped or 0 in pixels.shape:
            raise UsageError(
                f"A picture is a uint8 array of shape (height, width) or (height, width, 3); "
                f"this one is {pixels.dtype} of shape {pixels.shape}."
            )
        from wherefrom.picture.colour import bounded

        height, width = pixels.shape[:2]
        return cls(bounded(pixels), Facts("array", width, height, pixels.nbytes, decoder="array"))

    @property
    def luma(self) -> NDArray[np.float32]:
        """(h, w) float32 in 0..255: 0.299 R + 0.587 G + 0.114 B, not rounded."""
        if self.pixels.ndim == 2:
            return self.pixels.astype(np.float32)
        luma = np.empty(self.pixels.shape[:2], np.float32)
        for rows in self._blocks():
            luma[rows] = self.pixels[rows].astype(np.float32) @ _BT601
        return luma

    @property
    def luma8(self) -> NDArray[np.uint8]:
        """(h, w) uint8: `luma`, rounded."""
        if self.pixels.ndim == 2:
            return self.pixels
        luma = np.empty(self.pixels.shape[:2], np.uint8)
        for rows in self._blocks():
            luma[rows] = self.pixels[rows].astype(np.float32) @ _BT601 + np.float32(0.5)
        return luma

    def _blocks(self) -> Iterator[slice]:
        """Rows that are computed together: of all at once the floats would take a dozen times the memory."""
        height, width = self.pixels.shape[:2]
        rows = max(1, _BLOCK // width)
        return (slice(top, top + rows) for top in range(0, height, rows))


_BLOCK = 2**18  # pixels whose luma is computed together
_BT601 = np.array([0.299, 0.587, 0.114], np.float32)

# EXIF orientation to (quarter turns counter-clockwise, then mirror left-right).
_UPRIGHT = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned the way that an EXIF orientation (1 to 8; others count as 1) asks for."""
    if orientation not in _UPRIGHT:
        return pixels
    turns, mirror = _UPRIGHT[orientation]
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)
