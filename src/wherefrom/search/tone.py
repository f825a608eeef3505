"""Tone: the change of brightness, contrast, gamma and colour between two aligned pictures, as one curve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wherefrom.search.alignment import Aligned, Pixels

_BLOCK = 12  # pixels: averages over these forget blur, noise and a pixel of misalignment
_FEWEST = 24  # blocks: with fewer there is no telling tone from content
_PRIOR = 2e-3  # per sample: how strongly a curve that is not measured stays what it was
_FLOOR = 2 / 255  # no block is trusted further than this
_SHADE = 0.02  # a lesser one is not seen
_DARK, _LIGHT = 4 / 255, 251 / 255  # beyond these a level may have been cut off

Levels = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tone:
    """A tone curve for each channel: a mix of the channels, bent, shaded, and cut off at both ends.

    For levels from 0 to 1 of c channels: `mix` is (c, c); `bend` (4, c) weighs one, the square, the cube and
    the root of the channel's own level; `shade` (3, c) weighs its product with x, y and x² + y², measured
    from the middle of the frame in half its longer side, as of a vignette.
    """

    mix: Levels
    bend: Levels
    shade: Levels

    def apply(self, match: Pixels) -> Pixels:
        """Pixels in the query's tones: uint8, of the frame and channels that were fitted."""
        import cv2

        levels = np.arange(256) / 255
        powers = np.column_stack((np.ones(256), levels**2, levels**3, np.sqrt(levels)))
        curve = (powers @ self.bend * 255).astype(np.float32)
        if match.ndim == 2:
            match = match[..., None]
        parts = match.shape[2]
        toned = np.asarray(cv2.LUT(match, curve.reshape(1, 256, parts)), np.float32).reshape(match.shape)
        if np.abs(self.shade).max() > _SHADE:
            x, y = _places(match.shape[1], match.shape[0])
            for part in range(parts):
                across, down, radial = (float(value) for value in self.shade[:, part])
                field = (across * x + radial * x**2) + (down * y + radial * y**2)[:, None]
                toned[..., part] += field.astype(np.float32) * match[..., part]
        mixed = cv2.transform(match.astype(np.float32), self.mix.astype(np.float32)).reshape(match.shape)
        whole = cv2.add(toned, mixed, dtype=cv2.CV_8U)  # rounds, and cuts off at both ends
        return np.asarray(whole, np.uint8).reshape(match.shape[:2] if parts == 1 else match.shape)


def fit(aligned: Aligned) -> Tone:
    """The curve that takes the match's tones to the query's.

    Least squares over block averages, reweighted so that parts that differ otherwise do not pull (Tukey's
    biweight); a level cut off at black or white only bounds the curve. The identity where there is too
    little to see.
    """
    query, match, places = _averages(aligned)
    count, channels = match.shape
    if count < _FEWEST:
        return Tone(np.eye(channels), np.zeros((4, channels)), np.zeros((3, channels)))
    table = np.array([_channel(match, query[:, one], one, places) for one in range(channels)])
    bend = table[:, [0, channels + 1, channels + 2, channels + 3]].T
    return Tone(table[:, 1 : 1 + channels], bend, table[:, -3:].T)


def change(aligned: Aligned, toned: Pixels) -> float:
    """The mean absolute change of tone in the common area as a share of the whole range, 0 to 1."""
    import cv2

    step = cv2.absdiff(aligned.match, toned)
    found = cv2.mean(step, aligned.mask.astype(np.uint8))
    channels = 1 if step.ndim == 2 else 3
    return float(sum(found[:channels]) / channels / 255)


def left(aligned: Aligned, toned: Pixels) -> float:
    """The share of the difference between the two that a change of tone leaves: 0 where it says all of it.

    Of block averages, of which what a hard encoder does to their colours is no curve. 1 where there are none.
    """
    query, match, _ = _averages(aligned)
    _, mine, _ = _averages(replace(aligned, match=toned))
    before = float(np.median(np.abs(query - match))) if len(query) else 0.0
    return float(np.median(np.abs(query - mine))) / before if before else 1.0


def _places(width: int, height: int) -> tuple[Levels, Levels]:
    """The x of each column and the y of each row, from the middle in half the longer side."""
    longer = max(width, height)
    return (2 * np.arange(width) + 1 - width) / longer, (2 * np.arange(height) + 1 - height) / longer


def _averages(aligned: Aligned) -> tuple[Levels, Levels, Levels]:
    """Block averages inside the common area: query and match (n, c) from 0 to 1, places (n, 2).

    None (n = 0) where no block lies wholly inside, as in what is hardly larger than one.
    """
    import cv2

    height, width = aligned.mask.shape
    size = (max(1, width // _BLOCK), max(1, height // _BLOCK))
    inside = cv2.resize(aligned.mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.98
    found = []
    for pixels in (aligned.query, aligned.match):
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).reshape(*inside.shape, channels)
        found.append(small[inside] / 255)
    x, y = _places(*size)
    places = np.dstack(np.broadcast_arrays(x, y[:, None]))[inside]
    return found[0], found[1], places


def _channel(match: Levels, query: Levels, channel: int, places: Levels) -> Levels:
    """One channel's coefficients: 1, mix, square, cube, root, shades."""
    own = match[:, channel]
    shades = own[:, None] * np.column_stack((places, (places**2).sum(1)))
    basis = np.column_stack((np.ones(len(own)), match, own**2, own**3, np.sqrt(own), shades))
    start = np.zeros(basis.shape[1])
    start[1 + channel] = 1
    prior = np.eye(basis.shape[1]) * _PRIOR * len(own)
    found, weights = start, np.ones(len(own))
    for turn in range(8):
        guess = basis @ found
        cut = ((query > _LIGHT) & (guess > query)) | ((query < _DARK) & (guess < query))
        target = np.where(cut, guess, query)
        if turn:
            error = np.abs(target - guess)
            spread = max(float(np.median(error[~cut])) if not cut.all() else 0.0, _FLOOR)
            if turn < 4:  # absolute deviations first: the biweight needs a start that is near
                weights = 1 / np.maximum(error, spread)
            else:
                weights = np.maximum(1 - (error / (6 * spread)) ** 2, 0) ** 2
            weights = weights / max(float(weights.mean()), 1e-9)
        weighted = basis * weights[:, None]
        found = np.linalg.solve(weighted.T @ basis + prior, weighted.T @ target + prior @ start)
    return found
