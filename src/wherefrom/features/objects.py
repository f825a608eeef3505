"""Objects: which things a picture shows, of the 80 kinds of COCO, and where each of them is.

A detector is a network that a user added, of a card of the task `detection`. Two ways in which they say what
they found are understood. YOLOX (Ge et al. 2021) answers for each place of three grids, and for one thing
several times: what overlaps a surer one of its kind is dropped. RT-DETR (Zhao et al. 2024) answers once.

A confidence is the network's own and not calibrated: it orders what was found, and a thing found is a hint,
never evidence.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelError, UsageError
from wherefrom.models.cards import Card
from wherefrom.models.coco import kinds
from wherefrom.picture.picture import Picture

Floats = NDArray[np.float32]
Shares = tuple[float, float, float, float]
"""left, top, right, bottom as shares of the width and the height."""

LEAST = 0.35
"""Confidence from which a thing is told."""

OVERLAP = 0.45
"""Of two boxes of one kind, intersection over union from which they are of one thing."""

_STRIDES = (8, 16, 32)  # pixels of the input from one place of a YOLOX grid to the next
_MOST = 1000  # answers that are looked at, the surest
_FARTHEST = 10.0  # logarithm of a box's side in steps of its grid, beyond any input
_ROUNDING = 1e-3  # by which shares may lie outside of 0 to 1


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a picture shows.

    `name` is that of its class in COCO, such as `dog`; `confidence` is above 0 and up to 1; `box` is left,
    top, right, bottom as shares, 0 to 1, of the whole upright picture.
    """

    name: str
    confidence: float
    box: Shares

    @property
    def parent(self) -> str:
        """The category that a person would look under, one of those of the labels."""
        return kinds().parent(self.name)


class Detector:
    """Finds things by one model. Thread-safe."""

    def __init__(self, card: Card, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Open the file of a detector: `UsageError` for another card, and what `open_session` raises."""
        from wherefrom.models.session import open_session

        if card.boxes is None:
            raise UsageError(f"The model {card.name} finds no objects: choose one of the task detection.")
        self.card = card
        self._session = open_session(card, path, threads)

    def detect(self, picture: Picture, least: float = LEAST) -> list[Thing]:
        """The things in a picture, colour or luma, of any size, whose confidence is at least `least`.

        The surest come first. Raises `ModelError` when the model fails or answers in another form than its
        card says, and ValueError for a `least` that is not between 0 and 1.
        """
        from wherefrom.models.session import prepared

        if not 0 <= least <= 1:
            raise ValueError(f"a confidence is 0 to 1, not {least}")
        pixels = picture.pixels
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        out = self._session.run(prepared(pixels, self.card))
        read = _from_grids if self.card.boxes == "yolox" else _from_queries
        boxes, shares = read(out, self.card)
        found = shares.argmax(axis=1)
        sure = shares[np.arange(len(shares)), found]
        order = np.argsort(-sure, kind="stable")[:_MOST]
        order = order[(sure[order] >= least) & (sure[order] > 0)]
        boxes = _of_picture(boxes[order], pixels.shape[:2], self.card)
        sound = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        order, boxes = order[sound], boxes[sound]
        if self.card.boxes == "yolox":
            kept = distinct(boxes, found[order])
            order, boxes = order[kept], boxes[kept]
        return [_thing(*one) for one in zip(found[order], sure[order], boxes, strict=True)]


def distinct(boxes: Floats, found: NDArray[np.intp], overlap: float = OVERLAP) -> NDArray[np.intp]:
    """Which of some boxes, (n, 4) as left, top, right, bottom and surest first, are of things of their own.

    A box is dropped when its intersection over union with a kept one before it, of the same kind in `found`
    (n,), is more than `overlap`. Gives places in order: greedy non-maximum suppression.
    """
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    waiting, kept = np.arange(len(boxes)), []
    while len(waiting):
        first, rest = waiting[0], waiting[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[rest, :2])
        high = np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        same = (shared > overlap * (sizes[first] + sizes[rest] - shared)) & (found[rest] == found[first])
        waiting = rest[~same]
    return np.array(kept, np.intp)


def _thing(number: np.intp, confidence: np.float32, box: Floats) -> Thing:
    left, top, right, bottom = box.tolist()
    return Thing(kinds().names[number], min(1.0, float(confidence)), (left, top, right, bottom))


# What the models answer, as boxes (n, 4), left, top, right, bottom in pixels of the input, and (n, 80) shares


def _from_grids(out: dict[str, Floats], card: Card) -> tuple[Floats, Floats]:
    """Of YOLOX: each box lies off a place of a grid, in steps of that, and its size is a logarithm."""
    answers = out["boxes"][0]
    places, steps = _grids(card.input_size)
    count = len(kinds().names)
    if answers.shape != (len(places), 5 + count):
        raise _other(card, f"it gives boxes of the shape {answers.shape}, not {(len(places), 5 + count)}")
    shares = answers[:, 4:]
    if shares.min() < -_ROUNDING or shares.max() > 1 + _ROUNDING:
        raise _other(card, "it gives confidences that are not 0 to 1")
    centres = (answers[:, :2] + places) * steps
    halves = np.exp(np.minimum(answers[:, 2:4], _FARTHEST)) * steps / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    return boxes.astype(np.float32), np.clip(shares[:, :1] * shares[:, 1:], 0, 1)


def _grids(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """The places of the grids of an input of (height, width), row by row: (n, 2) x and y, (n, 1) steps."""
    places, steps = [], []
    for step in _STRIDES:
        y, x = np.mgrid[: size[0] // step, : size[1] // step]
        places.append(np.stack([x.ravel(), y.ravel()], axis=1))
        steps.append(np.full((x.size, 1), step))
    return np.concatenate(places).astype(np.float32), np.concatenate(steps).astype(np.float32)


def _from_queries(out: dict[str, Floats], card: Card) -> tuple[Floats, Floats]:
    """Of DETR: centres and sizes in shares of the input, and a logit for each kind by itself."""
    boxes, logits = out["boxes"][0], out["logits"][0]
    count = len(kinds().names)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or logits.shape != (len(boxes), count):
        raise _other(
            card, f"it gives boxes {boxes.shape} and logits {logits.shape}, not (n, 4) and (n, {count})"
        )
    height, width = card.input_size
    centres, halves = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.concatenate([centres - halves, centres + halves], axis=1)
    shares = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))  # beyond, float32 overflows
    return corners * np.array([width, height, width, height], np.float32), shares.astype(np.float32)


def _of_picture(boxes: Floats, shape: tuple[int, ...], card: Card) -> Floats:
    """Boxes in pixels of the input as shares of a picture of the shape (height, width), cut to it."""
    height, width = card.input_size
    if card.crop == "pad":  # the picture lies at the top left, as large as fits
        scale = min(width / shape[1], height / shape[0])
        width, height = max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
    return np.clip(boxes / np.array([width, height, width, height], np.float32), 0, 1).astype(np.float32)


def _other(card: Card, why: str) -> ModelError:
    return ModelError(f"The file is not the model that the card {card.name} describes: {why}.")
