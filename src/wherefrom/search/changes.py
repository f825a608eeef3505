"""Changes: what was done to a picture's pixels, measured after alignment and named only where it shows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wherefrom.features.blocking import blocking
from wherefrom.search import tone
from wherefrom.search.agreement import Shared, Shifts, agreement
from wherefrom.search.alignment import Aligned, Mask, Matrix, Pixels, align, luma, margin_of, with_margin
from wherefrom.search.answer import Edit
from wherefrom.search.masks import hidden
from wherefrom.search.overlays import differing, overlays, plainly
from wherefrom.search.recolouring import recolouring
from wherefrom.search.visible import Box, visible
from wherefrom.search.windows import window

# Where `benchmarks/changes.py` sets them: on half of its photographs, the other half being reported.
_AGREEMENT, _AGREEING = 0.35, 0.4  # below both, edits would be those of another picture
_TONE = 0.02  # share of the range
# A fainter one may be an encoder's doing. JPEG and JPEG XL at their hardest reach 0.031, and the curve leaves
# 0.44 to 0.67 of what differs; brightness and contrast changed by 5 to 10 % leave 0.33 at most.
_FAINT_TONE, _LEFT = 0.04, 0.4
_BLUR = 1.0  # working pixels
_NOISE = 6.5  # grey levels
_COMPRESSION = 0.32  # of blocking

_FRAMED = 0.97  # of a side that has an edge in both pictures
_ENOUGH = 0.1  # share of the common area: less beside what differs cannot be measured alone
_CELL = 12  # working pixels: blocks in which noise is looked for


@dataclass(frozen=True, slots=True)
class Changes:
    """What was done to the pixels, and how far the pictures agree.

    `edits` are those of `recolouring`, `tone`, `blur`, `noise`, `compression`, `mask` and `overlay`.
    `agreement` is 0 to 1: the same content is above 0.8 whatever its tones, other content below 0.3;
    `agreeing` is the share of the textured blocks that agree, `textured` the share of the common area that
    has texture. `differing` is the share of the common area that differs in one piece, and `framed` how many
    of its sides both pictures have an edge along: many for a window in which each shows something of its own.
    `shared` says how far they agree where neither is flat, and `shifts` how far parts lie from where a smooth
    map has them. `covered` is the share of the common area within boxes around overlays, masks left out;
    `visible` the box of the match (left, top, right, bottom in its pixels) beyond which the query shows other
    things, if any.
    """

    edits: tuple[Edit, ...]
    agreement: float
    agreeing: float
    textured: float
    differing: float = 0.0
    framed: int = 0
    shared: Shared = field(default_factory=Shared)
    shifts: Shifts = field(default_factory=Shifts)
    covered: float = 0.0
    visible: Box | None = None


def changes(
    query: Pixels,
    match: Pixels,
    transform: Matrix,
    *,
    negative: bool = False,
    area: ArrayLike | None = None,
    query_full: Pixels | None = None,
    match_full: Pixels | None = None,
) -> Changes | None:
    """What was done to the match to make the query; None where what both show is too small to be looked at.

    `query` and `match` are uint8, (h, w, 3) RGB or (h, w) luma, reduced or not; `transform` takes pixels of
    the given match to pixels of the given query; `area` (n, 2) is the convex polygon in query pixels where
    both show the same, None all that both cover. `negative` says that the query's tones are inverted.
    `query_full` and `match_full` are the pictures before any reduction: compression shows only in these.
    (0, 0) is the outer corner of the first pixel. No edits are named where the pictures do not agree.
    """
    if negative:
        match = 255 - match
    aligned = align(query, match, transform, area)
    if aligned is None:
        return None
    same = agreement(aligned)
    done = _Done([], 0.0, None)
    if same.correlation >= _AGREEMENT or same.agreeing >= _AGREEING:
        sizes = (match.shape[1], match.shape[0]), (query.shape[1], query.shape[0])
        done = _done(aligned, same.other, np.asarray(transform, np.float64), *sizes)
        amount = _compression(
            query if query_full is None else query_full, match if match_full is None else match_full
        )
        if amount is not None:
            done.edits.append(Edit("compression", round(amount, 3)))
    pane = window(aligned, same.other)
    return Changes(
        tuple(done.edits),
        round(same.correlation, 4),
        round(same.agreeing, 4),
        round(same.textured, 4),
        round(pane.share, 4),
        int((pane.edges >= _FRAMED).sum()),
        same.shared,
        same.shifts,
        round(done.covered, 4),
        done.visible,
    )


class _Done(NamedTuple):
    """All edits but compression, the share within boxes around overlays, and the visible box of the match."""

    edits: list[Edit]
    covered: float
    visible: Box | None


def _done(
    aligned: Aligned, other: Mask, transform: Matrix, match: tuple[int, int], query: tuple[int, int]
) -> _Done:
    """What was done; all but masks and overlays are measured beside what plainly shows something else."""
    edits: list[Edit] = []
    beside = aligned.mask & ~other
    if beside.sum() <= _ENOUGH * aligned.mask.sum():
        beside = aligned.mask
    colours = recolouring(aligned, beside)
    if colours is not None:
        edits.append(colours.edit)
        if colours.pixels is not None:
            aligned = replace(aligned, match=colours.pixels)
        else:
            aligned = replace(aligned, query=luma(aligned.query), match=luma(aligned.match))
    alike = replace(aligned, mask=beside)
    toned = tone.fit(alike).apply(aligned.match)
    amount = tone.change(alike, toned)
    plain = amount >= _TONE and (amount >= _FAINT_TONE or tone.left(alike, toned) <= _LEFT)
    if plain and (colours is None or colours.edit.name == "grey"):
        edits.append(Edit("tone", round(amount, 4)))  # else it goes with the colours
    sigma = _blur(alike, toned)
    if sigma >= _BLUR:
        edits.append(Edit("blur", round(sigma / aligned.scale, 2)))
    noise = _noise(alike, toned)
    noisy = noise >= _NOISE
    if noisy:
        edits.append(Edit("noise", round(noise, 1)))
    differs = differing(aligned, toned, sigma, noisy=noisy)
    laid = overlays(aligned, toned, differs, beside, sigma)
    faint, _ = plainly(differs, beside)
    box = visible(aligned, faint, transform, match, query) if laid.edits else None
    if box is not None:
        shown = aligned.mask & _within(aligned, box, transform)
        if shown.sum() > _ENOUGH * aligned.mask.sum():
            aligned, beside = replace(aligned, mask=shown), beside & shown
        else:
            box = None
    whole = np.count_nonzero(with_margin(aligned.mask))
    mask = hidden(aligned, faint)
    if mask is not None:
        edits.append(Edit("mask", round(mask.share, 4)))
        aligned, beside = replace(aligned, mask=aligned.mask & ~mask.where), beside & ~mask.where
    covered = laid.boxed
    if box is not None or mask is not None:
        laid = overlays(aligned, toned, differs, beside, sigma)
        if box is None:
            covered = laid.boxed
    rest = float(np.count_nonzero(aligned.mask) / whole)  # of the pixels that overlays are shares of
    edits.extend(replace(edit, amount=round((edit.amount or 0.0) * rest, 4)) for edit in laid.edits)
    return _Done(edits, covered, box)


def _within(aligned: Aligned, box: Box, transform: Matrix) -> Mask:
    """Where a box of the match lies in the frame, less a margin: (h, w) bool."""
    import cv2

    left, top, right, bottom = box
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]], np.float64)
    placed = corners @ (np.linalg.inv(aligned.outward) @ transform).T
    inside = np.zeros(aligned.mask.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(placed[:, :2] / placed[:, 2:] - 0.5).astype(np.int32)], 1)
    side = 2 * margin_of(inside.shape) + 1
    return np.asarray(cv2.erode(inside, np.ones((side, side), np.uint8), borderValue=1) > 0)


def _blur(aligned: Aligned, toned: Pixels) -> float:
    """The sigma in working pixels of the Gaussian that takes the match's detail to the query's.

    From the cross-spectrum over the match's power spectrum, which noise and overlays do not bend: the
    transfer function of the linear system between the two (Bendat and Piersol, Random Data), fitted by a
    Gaussian with weights of the gradient's power.
    """
    import cv2

    height, width = aligned.mask.shape
    window = cv2.blur(cv2.erode(aligned.mask.astype(np.float32), np.ones((13, 13), np.uint8)), (13, 13))
    size = cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)
    spectra = []
    for pixels in (aligned.query, toned):
        grey = luma(pixels).astype(np.float32)
        level = float((grey * window).sum() / max(float(window.sum()), 1.0))
        padded = np.zeros(size, np.float32)
        padded[:height, :width] = (grey - level) * window
        spectra.append(cv2.split(cv2.dft(padded, flags=cv2.DFT_COMPLEX_OUTPUT)[:, : size[1] // 2]))
    bins = _bins(*size)
    (real, imaginary), (own_real, own_imaginary) = spectra
    cross = np.bincount(bins, (real * own_real + imaginary * own_imaginary).ravel(), 64)[2:32]
    power = np.bincount(bins, (own_real**2 + own_imaginary**2).ravel(), 64)[2:32]
    frequency = (np.arange(2, 32) + 0.5) / 64
    transfer = cross / np.maximum(power, 1e-9)
    weights = power * frequency**2
    weights /= max(float(weights.sum()), 1e-9)
    sigmas = np.concatenate(([0.0], np.geomspace(0.3, 12, 48)))
    curves = np.exp(-2 * (np.pi * sigmas[:, None] * frequency) ** 2)
    gains = (curves * transfer * weights).sum(1) / np.maximum((curves**2 * weights).sum(1), 1e-12)
    gains = np.clip(gains, 0.3, 1.2)
    errors = ((gains[:, None] * curves - transfer) ** 2 * weights).sum(1)
    return float(sigmas[int(errors.argmin())])


@lru_cache(maxsize=8)
def _bins(height: int, width: int) -> NDArray[np.intp]:
    """The frequency of each coefficient of half a transform, in 64ths of a cycle per pixel, flat."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[: width // 2])
    return np.asarray(radius * 64, np.intp).ravel()


def _noise(aligned: Aligned, toned: Pixels) -> float:
    """The standard deviation of noise that the match has not, in grey levels of the query's luma.

    The response to Immerkær's mask (1996, Fast noise variance estimation), less what the match's own
    response explains, in blocks that are neither black nor white: where the match has none, along the
    line through its quietest and its loudest third, as what grows with detail is misalignment.
    """
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6

    def blocks(grey: NDArray[np.float32]) -> NDArray[np.float32]:
        half = _CELL // 2
        return np.asarray(cv2.boxFilter(grey, -1, (_CELL, _CELL))[half::_CELL, half::_CELL], np.float32)

    query, match = luma(aligned.query).astype(np.float32), luma(toned).astype(np.float32)
    high, other = (np.asarray(cv2.filter2D(part, -1, kernel), np.float32) for part in (query, match))
    usable = (blocks(aligned.mask.astype(np.float32)) > 0.98) & (np.abs(blocks(query) - 127) < 103)
    if usable.sum() < 16:
        return 0.0
    common, energy, own = (
        blocks(high * other)[usable],
        blocks(high * high)[usable],
        blocks(other * other)[usable],
    )
    rest = energy - np.minimum(common**2 / np.maximum(own, 1e-3), energy)
    order = np.argsort(own, kind="stable")
    third = max(3, len(own) // 3)
    quiet, loud = order[:third], order[-third:]
    own_quiet, own_loud = float(np.median(own[quiet])), float(np.median(own[loud]))
    rest_quiet, rest_loud = float(np.median(rest[quiet])), float(np.median(rest[loud]))
    slope = min(max((rest_loud - rest_quiet) / max(own_loud - own_quiet, 1e-3), 0.0), 1.0)
    found = rest_quiet - max(slope, 0.3) * own_quiet
    return float(np.sqrt(max(found, 0.0))) / _passed(round(aligned.scale, 2))


@lru_cache(maxsize=64)
def _passed(scale: float) -> float:
    """The share of white noise that reaching the working size and the mask of `_noise` leave."""
    import cv2

    white = np.random.default_rng(0).normal(0, 1, (200, 200)).astype(np.float32)
    size = round(200 * scale)
    small = cv2.resize(white, (size, size), interpolation=cv2.INTER_AREA) if scale < 1 else white
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    return max(float(cv2.filter2D(small, -1, kernel).std()), 0.05)


def _compression(query: Pixels, match: Pixels) -> float | None:
    """How strong JPEG's grid is in the query; None where it is not seen, or is the match's own."""
    found = blocking(query)
    if found < _COMPRESSION or found < blocking(match) + 0.1:
        return None
    return found
