"""Refusals: what a file is by its leading bytes, and why it is not read."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from wherefrom.errors import (
    Corrupt,
    EmptyFile,
    MissingExtra,
    NotAPicture,
    PictureError,
    TooLarge,
    Truncated,
)
from wherefrom.errors import UnsupportedFormat as Unsupported
from wherefrom.picture import formats, kinds
from wherefrom.picture.formats import Format
from wherefrom.picture.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    pass


def recognise(head: bytes, size: int, limits: Limits = DEFAULT_LIMITS) -> Format:
    """The format of a file of `size` bytes that begins with `head` (all of it, or at least `formats.HEAD`).

    No pixel is decoded.

    Raises EmptyFile, NotAPicture, UnsupportedFormat, MissingExtra or TooLarge (by bytes).
    """
    if size == 0:
        raise EmptyFile("The file is empty.")
    kind = formats.sniff(head)
    if kind is None or not kind.decoded or head[:4] == _JPEG_LS:
        raise _unread(head)
    if kind.extra is not None:
        from wherefrom.picture import extras

        if not extras.installed(kind.extra):
            raise MissingExtra(f"Reading {kind.title} needs an extra: pip install 'wherefrom[{kind.extra}]'.")
    if size > limits.bytes:
        raise TooLarge(f"The file has {size:,} bytes; the limit is {limits.bytes:,}.")
    return kind


def _unread(head: bytes) -> PictureError:
    """Why a file is not read whose first bytes belong to no format that is."""
    known = kinds.kind_of(head[: formats.HEAD])
    if known is not None and known.is_picture:
        return Unsupported(f"This is {known.words}, which is not read here.")
    if known is not None:
        return NotAPicture(f"This is {known.words}; only pictures are read.")
    if not head.strip(b"\0"):
        return NotAPicture("It begins with nothing but zeros: this is not a picture, or a copy that failed.")
    return NotAPicture("This is not a picture: its first bytes belong to no picture format.")


def broken(kind: Format, data: bytes, error: Exception) -> PictureError:
    """What is wrong with a file that a decoder tripped over."""
    if type(error).__name__ == "DecompressionBombError":  # Pillow's own cap: a GIF's frame beyond its screen
        return TooLarge(f"The {kind.title} file unfolds to more pixels than are allowed.")
    if (variant := kinds.variant_of(kind.name, data)) is not None:
        return Unsupported(f"This is {variant}, which is not read here.")
    if formats.is_cut_short(kind.name, data):
        return Truncated(f"The {kind.title} file ends before the picture does.")
    said = error.args[0] if error.args else ""
    detail = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    detail = re.sub(r"\bb'([ -~]*?)'", r"\1", detail.split("\n")[0]).strip().rstrip(".")[:160]
    if kind.name == "raw" and detail.startswith("Unsupported file format"):
        return Unsupported("This camera RAW file is of a kind that is not read here.")
    if not detail or isinstance(error, LookupError | TypeError | AttributeError | struct.error):
        detail = "its parts contradict each other"  # what a decoder trips over says nothing to people
    return Corrupt(f"The {kind.title} file is damaged: {detail}.")


_JPEG_LS = b"\xff\xd8\xff\xf7"
