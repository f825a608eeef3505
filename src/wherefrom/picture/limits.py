"""Limits: what a picture may cost, checked before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wherefrom.errors import (
    Corrupt,
    TooLarge,
)
from wherefrom.picture.formats import Format

if TYPE_CHECKING:
    pass


HEAVY_PIXELS = 24_000_000
"""A picture decoded in full with more pixels than this passes through the caller's `gate`."""

SMALL_SIDE = 256
"""The shorter side, in pixels, that is enough to see what a picture shows and its colours."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. Every cap is checked before memory is taken.

    `bytes` is the file's size; `pixels` caps pictures that have to be decoded in full (WebP and AVIF count
    twice, since their decoders need twice the memory) and `scaled_pixels` JPEGs that need not be;
    `seconds` and `memory`, the address space of a process that decodes, in bytes, are enforced where decoding
    can be killed.
    """

    bytes: int = 256 * 1024 * 1024
    pixels: int = 100_000_000
    scaled_pixels: int = 250_000_000
    seconds: float = 30.0
    memory: int = 3 * 1024**3


DEFAULT_LIMITS = Limits()


def check_pixels(kind: Format, width: int, height: int, cap: int) -> None:
    """Raise TooLarge when a picture of this size is over `cap` pixels, Corrupt when it has no area."""
    if width < 1 or height < 1:
        raise Corrupt(f"This {kind.title} file states a size of {width} × {height}.")
    if width * height > cap:
        raise TooLarge(
            f"The picture has {width:,} × {height:,} pixels; the limit is {cap / 1e6:,.0f} million."
        )
