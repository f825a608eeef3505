"""A sheet: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from wherefrom.errors import MachineFault, UsageError
from wherefrom.printing import plain

if TYPE_CHECKING:
    from PIL import Image

SIDE = 240
"""Pixels of the longer side of a thumbnail."""

_QUALITY = 72
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE)


def opening(title: str, style: str) -> str:
    """What a sheet begins with, up to and with `<main>`: nothing in it may load or run anything."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{shown(title)} · Wherefrom</title><style>{style}</style></head><body><main>"
    )


CLOSING = "</main></body></html>\n"
"""What a sheet ends with."""


def shown(text: str) -> str:
    """Text as markup: what would be markup is escaped, and what is no character for people a mark."""
    return escape(plain(text))


def check_target(path: str | os.PathLike[str]) -> None:
    """Raises UsageError for what no sheet can be written to, before any work is done."""
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{plain(str(target))} is a folder; give the name of a file for the page.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {plain(str(target.parent))} for the page.")


def write(path: str | os.PathLike[str], pieces: Iterable[str]) -> None:
    """Write a sheet, piece by piece: whole, or not at all. What is no file, such as a pipe, is written to.

    Raises UsageError where the place does not take it, MachineFault where the disk is full or fails.
    """
    check_target(path)
    target = Path(os.path.realpath(path))  # a link stays one
    special = target.exists() and not target.is_file()
    beside = target if special else target.with_name(f".{target.name[:40]}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            for piece in pieces:
                file.write(piece.encode("utf-8", "backslashreplace"))
            if not special:
                file.flush()
                os.fsync(file.fileno())
        if not special:
            beside.replace(target)
    except OSError as error:
        said = f"{plain(str(path))}: the page could not be written ({(error.strerror or str(error)).lower()})"
        if error.errno in _MACHINE:
            raise MachineFault(f"{said}. Make room, or choose another place.") from error
        raise UsageError(f"{said}; choose another place for it.") from error
    finally:
        if not special:
            beside.unlink(missing_ok=True)


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
