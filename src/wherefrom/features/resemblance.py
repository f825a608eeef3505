"""How much palettes answer colours that somebody asks for.

A colour of a palette counts for one asked for by exp(-ΔE² / 2σ²), with ΔE² = (ΔL* / 2)² + (Δa*² + Δb*²) / S²
and S = 1 + 0.015 C*, C* being the chroma of the colour asked for. That is the form of ΔE*94 (CIE 116-1995):
lightness halved as for textiles, since shading makes many of one colour, and its S_H for chroma, too, since
by its S_C a grey would be nearly red. ΔE² is a term of L* and a term of a*, b*: two tables of 256 and 65,536
entries answer for any palette, so that a million take a fraction of a second.

Invariants, which the tests hold:
- The order of the colours asked for does not matter, nor that of a palette's.
- 1 is the highest, reached by a palette of just these colours in the shares asked for (equal ones where none
  are given); 0 is a palette without any of them, or without colours at all.
- The farther a palette's one colour is from the one colour asked for, the lower.
- A colour that is missing cannot be made up for by more of another: the mean is geometric.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import UsageError
from wherefrom.features.colours import MOST_WANTED, Wanted
from wherefrom.features.palette import MOST, WIDTH
from wherefrom.features.scalespace import Floats

SIGMA = 10.0
"""ΔE at which a colour counts 0.61; at twice that, 0.14."""

_LIGHTNESS, _CHROMA = 2.0, 0.015
_ENOUGH = 0.05  # share at which a colour counts half where only its presence is wanted
_FLOOR = 0.001  # what a missing colour leaves of the mean, so that one of two is still more than none
_CHUNK = 1 << 13  # palettes at a time: what is worked on stays in the cache
_TINY = np.float32(1e-30)
_REST = 0.005  # share that may be of any colour below which that is rounding


def resemblance(wanted: Sequence[Wanted], rows: NDArray[np.uint8], ignore_background: bool = False) -> Floats:
    """How much each palette, uint8 (n, WIDTH), answers the colours wanted: float32 (n,), 0 to 1.

    With weights, a palette is to have the colours in these shares, and what they leave of anything else;
    each counts in proportion to its weight. Without, all of them are to be there. `ignore_background`
    takes the palettes without their background. Raises UsageError for no colours, too many, or a mixture.
    """
    tables, weights = _tables(wanted, rows)
    targets = _targets(weights)
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _CHUNK):
        amounts = _amounts(tables, rows[start : start + _CHUNK], ignore_background)
        found[start : start + _CHUNK] = (
            _presence(amounts) if targets is None else _proportion(amounts, targets)
        )
    return found


def share_of(wanted: Wanted, rows: NDArray[np.uint8], ignore_background: bool = False) -> Floats:
    """The share of each picture that has the colour wanted, near colours in part: float32 (n,), 0 to 1."""
    tables, _ = _tables([wanted], rows)
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        found[chunk] = _amounts(tables, rows[chunk], ignore_background)[0]
    return found


_Table = tuple[Floats, Floats]


def _tables(wanted: Sequence[Wanted], rows: NDArray[np.uint8]) -> tuple[list[_Table], list[float | None]]:
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != WIDTH:
        raise UsageError(f"Palettes are uint8 of shape (n, {WIDTH}); these are {rows.dtype} of {rows.shape}.")
    if not 0 < len(wanted) <= MOST_WANTED:
        raise UsageError(f"{len(wanted)} colours are asked for; ask for 1 to {MOST_WANTED}.")
    merged: dict[tuple[float, float, float], list[float | None]] = {}
    for one in wanted:  # one colour asked for twice is one colour, of both weights
        merged.setdefault(one.lab, []).append(one.weight)
    given = [one.weight is None for one in wanted]
    if any(given) and not all(given):
        raise UsageError("Some colours have weights and some have none; give all of them one, or none.")
    weights = [None if None in each else sum(one or 0 for one in each) for each in merged.values()]
    return [_table(*colour) for colour in merged], weights


def _table(lightness: float, a: float, b: float) -> _Table:
    """What each L* counts, float32 (256,), and each a* + 256 × b*, float32 (65536,), as bytes."""
    levels = np.arange(256, dtype=np.float64)
    along = ((levels / 2.55 - lightness) / _LIGHTNESS) ** 2
    across, down = np.meshgrid(levels - 128, levels - 128)
    beside = ((across - a) ** 2 + (down - b) ** 2) / (1 + _CHROMA * np.hypot(a, b)) ** 2
    light, colour = (np.exp(-one / (2 * SIGMA**2)).astype(np.float32) for one in (along, beside))
    return light, colour.ravel()


def _amounts(tables: Sequence[_Table], rows: NDArray[np.uint8], ignore_background: bool) -> Floats:
    """The share of each palette that answers each colour: float32 (k, n). Each part answers one at most."""
    words = np.ascontiguousarray(rows).view("<u4")
    colours = words[:, :MOST]
    shares = (colours >> 24).astype(np.float32)
    if ignore_background:
        shares[(words[:, MOST:] >> np.arange(MOST, dtype=np.uint32)) & 1 == 1] = 0
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    light, beside = (colours & 255).astype(np.intp), (colours >> 8 & 0xFFFF).astype(np.intp)
    near = [table[0][light] * table[1][beside] for table in tables]
    if len(near) == 1:
        alone: Floats = np.einsum("ij,ij->i", near[0], shares)
        return alone[None]
    # To the fourth power: what is between two colours is divided, and what is near one is its own.
    claims = [np.square(np.square(one)) for one in near]
    total = np.full(shares.shape, _TINY, np.float32)
    for claim in claims:
        total += claim
    shares /= total
    return np.stack([np.einsum("ij,ij,ij->i", *pair, shares) for pair in zip(near, claims, strict=True)])


def _targets(weights: Sequence[float | None]) -> Floats | None:
    """The shares wanted, float32 (k,) or (k + 1,) with what may be of any colour; None for presence."""
    if None in weights:
        return None
    given = np.array(weights, np.float64)
    if not np.isfinite(given).all() or given.min() <= 0 or given.sum() > 1 + 1e-6:
        raise UsageError("The weights of colours are shares above 0 that come to 1 at most.")
    rest = 1 - given.sum()
    given = np.append(given, rest) if rest > _REST else given / given.sum()
    return given.astype(np.float32)


def _proportion(amounts: Floats, targets: Floats) -> Floats:
    if len(targets) > len(amounts):
        amounts = np.vstack([amounts, np.maximum(1 - amounts.sum(axis=0), 0)])
    return _mean(np.minimum(amounts / targets[:, None], np.float32(1)), targets)


def _presence(amounts: Floats) -> Floats:
    count = len(amounts)
    best = 1 / count / (1 / count + _ENOUGH)
    there: Floats = amounts / ((amounts + np.float32(_ENOUGH)) * np.float32(best))
    return _mean(there, np.full(count, 1 / count, np.float32))


def _mean(met: Floats, weights: Floats) -> Floats:
    """The weighted geometric mean of (k, n), each from 0 to about 1, cut off at 1."""
    logs = np.log(met * np.float32(1 - _FLOOR) + np.float32(_FLOOR))
    mean = np.exp(weights @ logs)
    found: Floats = np.clip((mean - np.float32(_FLOOR)) / np.float32(1 - _FLOOR), 0, 1).astype(np.float32)
    return found
