"""Untrusted bytes to a `Picture`: upright, sRGB, no larger than matching needs.

The order is fixed: how many bytes, which format (by its leading bytes), how many pixels (by its
header), and only then memory for pixels. A time limit needs a process that can be killed: see
`wherefrom.workers`, where indexing decodes, and `wherefrom.decoding`, where queries are.

Large pictures are decoded at a reduced size: while the shorter side stays at `WORKING_SIDE` or more, JPEG
and JPEG 2000 are halved inside the decoder and everything else by averaging whole pixels. Of a ribbon whose
shorter side is small, `MOST_PIXELS` are given at most, and `LONGEST_SIDE` along it.
"""

from __future__ import annotations

import math
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from wherefrom.errors import (
    Corrupt,
    PictureError,
    TooLarge,
    Truncated,
    Unreadable,
)
from wherefrom.picture import formats, lenient
from wherefrom.picture.colour import WORKING_SIDE, bounded, to_pixels
from wherefrom.picture.formats import Format
from wherefrom.picture.frames import Watched, watch
from wherefrom.picture.jpeg import decode_jpeg
from wherefrom.picture.limits import DEFAULT_LIMITS, HEAVY_PIXELS, Limits, check_pixels
from wherefrom.picture.pages import decode_tiff
from wherefrom.picture.picture import Facts, Picture, Pixels, upright
from wherefrom.picture.pillow import count_frames, decoder, loaded, opened, statements
from wherefrom.picture.refusals import broken, recognise

_DOUBLE = ("webp", "avif")  # formats whose decoders need twice the memory that others do


def decode(
    data: bytes,
    *,
    colour: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    gate: AbstractContextManager[object] | None = None,
    least: int = WORKING_SIDE,
) -> Picture:
    """Decode a file's bytes.

    With `colour` False a picture whose file stores luma apart (JPEG) is given as luma alone, which
    costs a quarter less; others come in colour all the same. `gate` is entered while a picture of more
    than `HEAVY_PIXELS` is decoded in full, so that a caller with several workers can let one at a time.
    A JPEG may be halved while its shorter side stays at `least` pixels or more.

    Raises a `PictureError`: EmptyFile, NotAPicture, UnsupportedFormat, MissingExtra, TooLarge, TooSlow
    (drawings and documents alone), Truncated or Corrupt, each with a sentence, and Unreadable where the
    system kept a decoder from its work; and nothing else, whatever the bytes. What the machine may be to
    blame for is `passing`. Never warns.
    """
    kind = recognise(data, len(data), limits)
    stated = formats.stated_size(kind.name, data)
    if stated is not None:
        check_pixels(kind, *stated, limits.pixels // (2 if kind.name in _DOUBLE else 1))
    try:
        with warnings.catch_warnings():
            # Decoders warn of large or odd files; the caps here decide, and damage ends in an error.
            warnings.simplefilter("ignore")
            done = _strictly(kind, data, colour, limits, gate or nullcontext(), least)
            return Picture(bounded(done.pixels), done.facts)
    except PictureError:
        raise
    except MemoryError:
        said = f"Decoding this {kind.title} file needs more memory than there is, or than is allowed."
        raise TooLarge(said).may_pass() from None
    except Exception as error:
        if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno is not None):
            # Of the system, and not of the file: a library that could not be loaded, no file descriptors.
            said = f"This {kind.title} file could not be decoded just now: {error}."
            raise Unreadable(said).may_pass() from error
        raise broken(kind, data, error) from error


def _strictly(
    kind: Format,
    data: bytes,
    colour: bool,
    limits: Limits,
    gate: AbstractContextManager[object],
    least: int,
) -> Picture:
    """Decode what is sound; what is not, and is read here, leniently in a second try."""
    if kind.extra is not None:
        from wherefrom.picture import extras

        return extras.decode(kind, data, limits, gate)
    try:
        return _decode_builtin(kind, data, colour, limits, gate, least)
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, PictureError) and not isinstance(error, Truncated | Corrupt):
            raise
        refused = error if isinstance(error, PictureError) else broken(kind, data, error)
        if not isinstance(refused, Truncated | Corrupt) or getattr(error, "errno", None) is not None:
            raise
        found = _leniently(kind, data, colour, limits, least)
        if found is None:
            raise
        return found


def _leniently(kind: Format, data: bytes, colour: bool, limits: Limits, least: int) -> Picture | None:
    """What is there of a file that is damaged or cut short, with a note; None where that is too little."""
    try:
        if kind.name == "tiff":
            return decode_tiff(kind, data, limits, nullcontext(), partly=True)
        found = lenient.mended(kind.name, data, limits.pixels)
        if found is None:
            return None
        mended = formats.FORMATS[found.format]
        picture = _decode_builtin(mended, found.data, colour, limits, nullcontext(), least)
        orientation = 1
        if found.kept < 1:
            with opened(found.format, found.data) as image:
                orientation = statements(image)[1]
    except (ImportError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - what cannot be mended stays what it was
        return None
    facts = replace(
        picture.facts, format=kind.name, bytes=len(data), missing=found.missing, notes=(found.note,)
    )
    return _cut(Picture(picture.pixels, facts), found.kept, orientation)


def _cut(picture: Picture, kept: float, orientation: int) -> Picture:
    """The picture without the last of the rows of its file, which is turned by `orientation`."""
    if kept >= 1:
        return picture
    # Where the rows that are there come to lie when the file's are turned upright.
    there = np.zeros((1000, 1000), np.uint8)
    there[: int(1000 * kept)] = 1
    lies = upright(there, orientation)
    across, down = np.flatnonzero(lies.any(axis=0)) / 1000, np.flatnonzero(lies.any(axis=1)) / 1000

    def box(high: int, wide: int) -> tuple[slice, slice]:
        rows = slice(math.ceil(down[0] * high), max(1, int((down[-1] + 0.001) * high)))
        return rows, slice(math.ceil(across[0] * wide), max(1, int((across[-1] + 0.001) * wide)))

    rows, columns = box(picture.facts.height, picture.facts.width)
    pixels = np.ascontiguousarray(picture.pixels[box(*picture.pixels.shape[:2])])
    size = {"width": columns.stop - columns.start, "height": rows.stop - rows.start}
    return Picture(pixels, replace(picture.facts, **size))


def _decode_builtin(
    kind: Format,
    data: bytes,
    colour: bool,
    limits: Limits,
    gate: AbstractContextManager[object],
    least: int,
) -> Picture:
    if kind.name == "tiff":
        return decode_tiff(kind, data, limits, gate)
    with opened(kind.name, data) as image:
        width, height = image.size
        if kind.name == "jpeg":
            credit, orientation = statements(image)
            frames, watched = 1, Watched()
            pixels = decode_jpeg(kind, image, data, colour, limits, gate, least)
        else:
            check_pixels(kind, width, height, limits.pixels)
            frames = count_frames(image)

            def frame(number: int) -> Pixels:
                image.seek(number)
                check_pixels(kind, *image.size, limits.pixels)
                return to_pixels(loaded(kind.name, image, data))

            with gate if width * height > HEAVY_PIXELS else nullcontext():
                pixels = to_pixels(loaded(kind.name, image, data))
                credit, orientation = statements(image)  # behind the pixels of a PNG, where it may lie
                watched = watch(frames, pixels, frame, width * height)
                pixels = frame(watched.shown) if watched.shown else pixels
    if orientation >= 5:
        width, height = height, width
    facts = Facts(kind.name, width, height, len(data), frames, credit, decoder(), *watched)
    return Picture(upright(pixels, orientation), facts)
