"""Galleries: the pictures of a run that are worth a look, small enough to travel inside the report."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SIDE = 240
"""Pixels of the longer side of a thumbnail."""

_QUALITY = 72


@dataclass(frozen=True, slots=True)
class Miss:
    """An edited copy whose original did not come first: both pictures, and what each stage said.

    `said` are (stage, sentence), in the order of the stages; `verdict` is the short of it. `original` and
    `query` are the bytes of JPEG thumbnails, empty where there is none; `place` is where the original stood
    among the claims, None where it was not there.
    """

    edit: str
    uri: str
    original: bytes
    query: bytes
    place: int | None = None
    verdict: str = ""
    said: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """A picture that is not in the collection, and the image that it was claimed to be."""

    uri: str
    claimed_uri: str
    query: bytes
    claimed: bytes
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Example:
    """What an edit does to a picture, for a strip that shows all of them."""

    edit: str
    family: str
    query: bytes


@dataclass(frozen=True, slots=True)
class Galleries:
    """What the page shows besides figures. Each may be a selection: the report says how many there are."""

    misses: Sequence[Miss] = ()
    alarms: Sequence[FalseAlarm] = ()
    examples: Sequence[Example] = ()


def thumbnail(image: Image.Image, side: int = SIDE) -> bytes:
    """A picture as the bytes of a JPEG at most `side` pixels wide and high, never enlarged, on white."""
    from PIL import Image

    if image.mode not in ("RGB", "L"):
        flat = image.convert("RGBA")
        paper = Image.new("RGBA", flat.size, "white")
        image = Image.alpha_composite(paper, flat).convert("RGB")
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    written = BytesIO()
    small.save(written, "JPEG", quality=_QUALITY, optimize=True)
    return written.getvalue()


def data_uri(jpeg: bytes) -> str:
    """The bytes of a JPEG as an address that holds them."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
