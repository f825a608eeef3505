"""Files of several frames or pages: which of them is shown, and codes by which all of them are compared.

The first is shown, but where it is blank (a fade from white, an empty title page) the first with something in
it. The codes tell whether two files go on alike: without them two documents with one cover are one picture.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.picture.colour import image_of
from wherefrom.picture.picture import Pixels

MOST = 64
"""Frames up to which all are looked at; of longer files nothing is known but the first frames."""

_SEARCHED = 30  # frames among which one is looked for that is not blank
_PIXELS = 200_000_000  # that are decoded for it, in all
_SECONDS = 5.0  # that it may take: what has no codes by then has none
_FINE, _COARSE = (16, 8), (8, 4)  # cells a side of luma, and of both colours
_FEW = 16  # frames up to which codes are fine
_BLANK = 3.0  # standard deviation of luma, in levels, below which there is nothing in a frame
_FADED = 0.5  # share of the richest frame's deviation that the one shown has
# Levels that cells may differ by, and how many times the noise, in fine codes and coarse ones. Of 80 shows
# encoded anew (GIF, WebP, APNG, AVIF, TIFF, PDF; half to one and a half times the size) 75 are alike by this.
# Of 99 with another picture, order or number of frames none is; of 40 with a small sentence more 7 are.
_SLACK, _NOISE = 2.5, (6.0, 3.0)
_NOISY = 90, 4.0  # percentile of the differences that is another encoding's noise, and the most it may be


class Watched(NamedTuple):
    """What came of looking through a file: the number of the frame shown (0 is the first), and the codes.

    `codes` are those of all frames, as text; empty where not all could be looked at.
    """

    shown: int = 0
    codes: str = ""


def watch(count: int, first: Pixels, frame: Callable[[int], Pixels], pixels: int) -> Watched:
    """Look through a file of `count` frames of about `pixels` pixels each; `frame` decodes one by its number.

    What a frame raises ends it: then there are no codes.
    """
    if count < 2:
        return Watched()
    start = time.monotonic()
    seen = [_code(first)]
    # A file of more frames than can all be known is looked into only for one that is not blank.
    wanted = count if count <= MOST else _SEARCHED if _deviation(seen[0]) < _BLANK else 1
    for number in range(1, wanted):
        if number * pixels > _PIXELS or time.monotonic() - start > _SECONDS:
            break
        try:
            seen.append(_code(frame(number)))
        except Exception:  # noqa: BLE001 - damage behind the first frame leaves the first
            break
    return Watched(_first_filled(seen), _as_text(seen) if len(seen) == count else "")


def go_on_alike(frames: tuple[int, int], codes: tuple[str | None, str | None]) -> bool:
    """Whether two files of so many frames show the same from first to last.

    Of one frame each they do. False where it is not known.
    """
    if frames == (1, 1):
        return True
    if frames[0] != frames[1] or not (codes[0] and codes[1]):
        return False
    one, other = (_from_text(text, frames[0]) for text in codes if text)
    if one is None or other is None:
        return False
    off = np.abs(one.astype(np.int16) - other)
    noise = np.percentile(off, _NOISY[0], axis=1)
    most = _SLACK + _NOISE[frames[0] > _FEW] * noise
    return bool((noise <= _NOISY[1]).all() and (off.max(axis=1) <= most).all())


def _code(pixels: Pixels) -> NDArray[np.uint8]:
    """Means of luma in 16 × 16 cells and of both colours in 8 × 8: uint8 (384,)."""
    from PIL import Image

    layers = image_of(pixels).convert("RGB").convert("YCbCr").split()
    sides = (_FINE[0], _FINE[1], _FINE[1])
    cells = [
        np.asarray(layer.resize((side, side), Image.Resampling.BOX)).ravel()
        for layer, side in zip(layers, sides, strict=True)
    ]
    return np.concatenate(cells)


def _deviation(code: NDArray[np.uint8]) -> float:
    return float(code[: _FINE[0] ** 2].std())


def _first_filled(seen: Sequence[NDArray[np.uint8]]) -> int:
    """The first frame if there is something in it, else the first that has half of what the richest has."""
    deviations = [_deviation(code) for code in seen[:_SEARCHED]]
    highest = max(deviations)
    if deviations[0] >= _BLANK or highest < _BLANK:
        return 0
    return next(number for number, one in enumerate(deviations) if one >= max(_BLANK, _FADED * highest))


def _as_text(seen: Sequence[NDArray[np.uint8]]) -> str:
    kept = np.stack(seen)
    if len(seen) > _FEW:
        parts, at = [], 0
        for fine, coarse in ((_FINE[0], _COARSE[0]), (_FINE[1], _COARSE[1]), (_FINE[1], _COARSE[1])):
            cells = kept[:, at : at + fine * fine].reshape(len(seen), coarse, fine // coarse, coarse, -1)
            parts.append(cells.mean(axis=(2, 4)).round().astype(np.uint8).reshape(len(seen), -1))
            at += fine * fine
        kept = np.concatenate(parts, axis=1)
    return base64.b85encode(kept.tobytes()).decode()


def _from_text(text: str, count: int) -> NDArray[np.uint8] | None:
    try:
        raw = np.frombuffer(base64.b85decode(text), np.uint8)
    except ValueError:
        return None
    sides = _FINE if count <= _FEW else _COARSE
    length = sides[0] ** 2 + 2 * sides[1] ** 2
    return raw.reshape(count, length) if raw.size == count * length else None
