"""Recolouring: whether the colours of an aligned picture were changed for others, and how.

Colour is told as a complex number, R − (G + B) / 2 + i √3/2 (G − B), in grey levels: grey is 0, the angle is
the hue of HSV to about a degree and the length grows with saturation (Hanbury and Serra 2003, A 3D-polar
coordinate colour representation). Turning the hue multiplies it by a number of length 1, exchanging channels
turns or mirrors it, exactly; what cameras, compression and mild filters do is a real factor and a small
shift. What these do not explain was recoloured.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from wherefrom.search.alignment import Aligned, Mask, Pixels, luma
from wherefrom.search.answer import Edit

RECOLOURED = frozenset({"grey", "sepia", "tint", "channels", "hue", "recoloured"})
"""The names of the edits of colour."""

_CELL = 4  # pixels: averages over these forget what compression does to colour
_FEWEST = 12  # cells of colour: with fewer nothing is said
_COLOURED = 12.0  # grey levels from which a cell has colour
_DARK, _LIGHT = 3.0, 250.0  # grey levels beyond which a channel may have been cut off
_CAST = 28.0  # grey levels: the strongest cast that is mild
_GAIN = 3.0  # the strongest saturation that is mild
_CHANGED, _RELATIVE = 3.0, 0.12  # grey levels, and share of the colour, that no mild change leaves ...
_FREELY, _FREELY_RELATIVE = 8.0, 0.35  # ... where no hue was turned and no channels exchanged
_PLAINLY, _PLAINLY_RELATIVE = 14.0, 0.5  # ... and where nothing explains it
_EXPLAINED = 0.5  # of what is left by mild changes: what a recolouring may leave
_ONE_HUE = 0.4  # of the colours' spread about a function of brightness: what one hue leaves at most
_VARIED = 4.0  # grey levels: the spread of colours that are more than a function of brightness
_FADED = 0.2  # of that spread, ...
_LIT = 22.0  # ... and beside a picture that had none or one: less may be the light alone
_MOSTLY = 0.5  # share of the cells with colour of a picture that is in colour
_SEEN = 5.0  # ... and grey levels of colour in the mean: what is left of a picture without colours
_TINTED = 8.0  # grey levels of colour, in the mean, that were added in one hue
_BROWN = (15.0, 60.0)  # degrees: the hues of sepia
_LEAST_TURN = 12.0  # degrees
_KNOTS = 12  # of the function of brightness

Colours = NDArray[np.complex128]
Levels = NDArray[np.float64]
_LUMA = np.array([0.299, 0.587, 0.114])
_HUES = np.array([1, -0.5 + np.sqrt(0.75) * 1j, -0.5 - np.sqrt(0.75) * 1j])
_ORDERS = tuple(order for order in permutations(range(3)) if order != (0, 1, 2))


@dataclass(frozen=True, slots=True)
class Recolouring:
    """What was done to the colours, and the match's pixels with that done to them; None where no colour that
    the match has says what it became, so that only brightness can be compared."""

    edit: Edit
    pixels: Pixels | None


def recolouring(aligned: Aligned, beside: Mask | None = None) -> Recolouring | None:
    """What was done to the colours of the match, beyond what mild changes do; None where nothing was.

    `beside` is where nothing plainly differs, None all of the common area. The edit is `grey`, `sepia` or
    `tint` (in one hue), `channels` (red, green and blue exchanged), `hue` with the degrees by which all hues
    are turned, or `recoloured` where it is none of these. The amount of all but `grey` and `hue` is the mean
    change of colour as a share of the range, 0 to 1. None for pictures without colour.
    """
    if aligned.query.ndim == 2:
        return None
    ours, theirs, shown, levels, cells = _cells(aligned, beside)
    if not len(shown):
        return None
    change = round(float(np.abs(ours.colours - theirs.colours).mean()) / 255, 4)
    if ours.is_grey_beside(theirs):
        return Recolouring(Edit("grey"), None)
    if ours.is_in_one_hue(theirs):
        degrees = float(np.degrees(np.angle(ours.colours.mean())))
        name = "sepia" if _BROWN[0] < degrees < _BROWN[1] else "tint"
        return Recolouring(Edit(name, change), np.repeat(luma(aligned.match)[..., None], 3, axis=2))
    coloured = float((np.abs(ours.colours) > _COLOURED).mean()) > _MOSTLY
    if theirs.is_in_one_hue(ours) or (coloured and theirs.is_grey_beside(ours)):
        return Recolouring(Edit("recoloured", change), None)
    if cells.sum() < _FEWEST:
        return None
    query, match = ours.colours[cells], theirs.colours[cells]
    shown, levels = shown[cells], levels[cells]
    bright = ours.bright[cells]
    left = _left(query, match, bright)
    colour = float(np.abs(query).mean() + np.abs(match).mean()) / 2
    if left < max(_CHANGED, _RELATIVE * colour):
        return None
    exchanged, order = min((_left(query, levels[:, one] @ _HUES, bright), one) for one in _ORDERS)
    turn = complex((query * match.conj()).sum())
    turned = _left(query, match * turn / max(abs(turn), 1e-9), bright)
    degrees = float(np.degrees(np.angle(turn))) % 360
    if not _LEAST_TURN < degrees < 360 - _LEAST_TURN:
        turned = left
    if min(exchanged, turned) < _EXPLAINED * left:
        if exchanged < 1.1 * turned + 0.3:
            return Recolouring(Edit("channels", change), np.ascontiguousarray(aligned.match[..., order]))
        return Recolouring(Edit("hue", round(degrees, 1)), _turned(aligned.match, degrees, shown, levels))
    plain = left > max(_PLAINLY, _PLAINLY_RELATIVE * colour)
    some = left > max(_FREELY, _FREELY_RELATIVE * colour)
    if plain or (some and _freely(query, match, bright) < _EXPLAINED * left):
        return Recolouring(Edit("recoloured", change), None)
    return None


def turned_by(pixels: Pixels, degrees: float) -> Pixels:
    """Pixels (h, w, 3) with all hues of HSV turned by so many degrees."""
    import cv2

    hues = cv2.cvtColor(pixels.astype(np.float32), cv2.COLOR_RGB2HSV)
    hues[..., 0] = (hues[..., 0] + degrees) % 360
    return np.asarray(np.rint(cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)), np.uint8)


def _turned(pixels: Pixels, degrees: float, shown: Levels, levels: Levels) -> Pixels:
    """Pixels with their hues turned, in HSV or by a matrix: what takes `levels` nearer to `shown` (n, 3)."""
    plain = turned_by(np.rint(levels).astype(np.uint8)[None], degrees)[0].astype(np.float64)
    terms = np.column_stack((levels, np.full(len(levels), 255.0)))
    matrix, *_ = np.linalg.lstsq(terms, shown, rcond=None)
    if np.abs(plain - shown).mean() <= np.abs(np.clip(terms @ matrix, 0, 255) - shown).mean():
        return turned_by(pixels, degrees)
    moved = pixels.astype(np.float64) @ matrix[:3] + 255 * matrix[3]
    return np.asarray(np.rint(np.clip(moved, 0, 255)), np.uint8)


class _Side:
    """One picture's colours (n,), their brightness, what they are as a function of that, and how far from it.

    The function is a broken line, `spread` the root mean square in grey levels.
    """

    def __init__(self, levels: Levels) -> None:
        self.colours: Colours = levels @ _HUES
        self.bright: Levels = levels @ _LUMA
        low, high = self.bright.min(initial=255), self.bright.max(initial=0)
        knots = np.linspace(low, max(high, low) + 1e-6, _KNOTS)
        hats = np.maximum(1 - np.abs(self.bright[:, None] - knots) / (knots[1] - knots[0]), 0)
        normal = hats.T @ hats + 1e-3 * np.eye(_KNOTS)
        self.toned: Colours = hats @ np.linalg.solve(normal, hats.T @ self.colours)
        rest = float((np.abs(self.colours - self.toned) ** 2).sum())
        self.spread = float(np.sqrt(rest / max(len(self.colours) - _KNOTS, 1)))

    def is_grey_beside(self, other: _Side) -> bool:
        """Whether all but no colour is left of the other's."""
        faint = float(np.abs(self.colours).mean()) < _SEEN
        return other.spread > _VARIED and self.spread < _FADED * other.spread and faint

    def is_in_one_hue(self, other: _Side) -> bool:
        """Whether it has one hue, or one for each brightness, that the other has not."""
        kept = min(self.spread / max(other.spread, 1e-9), 1.0)
        cast = float(np.abs(self.toned - kept * other.toned).mean())
        if other.spread > _VARIED:
            return kept < _ONE_HUE and cast > _TINTED
        return self.spread < _VARIED and cast > _LIT


def _cells(aligned: Aligned, beside: Mask | None) -> tuple[_Side, _Side, Levels, Levels, NDArray[np.bool_]]:
    """Query and match by cells, the levels (n, 3) of both, and which cells (n,) say what became of colours.

    That are the cells with colour, and without a channel that was cut off where enough are left.
    """
    import cv2

    height, width = aligned.mask.shape
    size = max(1, width // _CELL), max(1, height // _CELL)
    mask = aligned.mask if beside is None else beside
    inside = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.98
    shown, levels = (
        cv2.resize(one, size, interpolation=cv2.INTER_AREA)
        .reshape(*inside.shape, 3)[inside]
        .astype(np.float64)
        for one in (aligned.query, aligned.match)
    )
    ours, theirs = _Side(shown), _Side(levels)
    cells = np.abs(theirs.colours) > _COLOURED  # what is laid over a grey picture in colour recolours nothing
    whole = cells & (shown.max(axis=1, initial=0) < _LIGHT) & (shown.min(axis=1, initial=255) > _DARK)
    if whole.sum() > max(_FEWEST, 0.3 * cells.sum()):
        cells = whole
    return ours, theirs, shown, levels, cells


def _left(query: Colours, match: Colours, bright: Levels) -> float:
    """What more or less saturation and a mild cast leave of the difference: mean, in grey levels."""
    return min(_fitted(query, match, shade) for shade in (np.ones(len(bright)), bright / 128))


def _fitted(query: Colours, match: Colours, shade: Levels) -> float:
    gain, cast = 1.0, 0j
    for _ in range(8):  # least absolute deviations, reweighted
        weights = 1 / np.maximum(np.abs(query - gain * match - cast * shade), 2.0)
        rest = query - cast * shade
        power = float((weights * np.abs(match) ** 2).sum())
        gain = float((weights * (rest * match.conj()).real).sum()) / max(power, 1e-9)
        gain = min(max(gain, 0.0), _GAIN)
        cast = complex((weights * shade * (query - gain * match)).sum() / (weights * shade**2).sum())
        cast *= min(1.0, _CAST / max(abs(cast), 1e-9))
    return float(np.abs(query - gain * match - cast * shade).mean())


def _freely(query: Colours, match: Colours, bright: Levels) -> float:
    """What any map of colours to colours that is linear leaves of the difference: mean, in grey levels."""
    terms = np.column_stack((match, match.conj(), np.ones(len(match)), bright / 128))
    found, *_ = np.linalg.lstsq(terms, query, rcond=None)
    return float(np.abs(query - terms @ found).mean())
