"""Embedding: a vector that is near that of what looks alike, what the picture shows, and where that is.

One pass of a neural network gives all three. The vector is the mean of the network's last features over the
picture, weighted by its attention, in directions in which pictures of one kind differ little and others much
(`whitening.npz`, learnt by `training/whitening.py`), at unit length: `DIMENSION` numbers of 8 bits and one
factor. The likeliest classes are kept beside it, for labels and for ranking; the attention's peaks are the
regions of the things that are shown (class activation maps: Zhou et al. 2016).

Models that give a vector of their own are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelError
from wherefrom.models.cards import Card
from wherefrom.models.labels import Label, calibrated, classes
from wherefrom.picture.picture import Picture

Floats = NDArray[np.float32]
Shares = tuple[float, float, float, float]
"""left, top, right, bottom as shares of the width and the height."""

CLASSES = 5
"""The likeliest classes, of which the logarithms of the likelihoods are kept."""

REGIONS = 3
"""Regions kept at most."""

EXTRA = 3 * CLASSES + 4 * REGIONS
"""Bytes behind the vector and its factor."""

NO_MODEL = "none"
"""The name of the model that computes nothing."""

_FORM = "1"
_ATTENDED = 0.25  # of a feature's mean that is taken where the attention is, the rest everywhere
_POWER = 3.0  # of the generalised mean (Radenović et al. 2018) where a model has no attention
_LN_STEPS = 16.0  # of a class's negative log-likelihood, to the unit
_FINE = 28  # cells a side in which regions are looked for
_PEAK = 0.45  # of the highest attention, from which a cell belongs to a region
_LEAST, _MOST = 0.02, 0.85  # share of the picture that a region has
_WHITENING = Path(__file__).with_name("whitening.npz")


class Model(NamedTuple):
    """Which model computes embeddings: its card, its file, and on what. It can be sent to another process."""

    card: Card
    path: str
    device: str = "cpu"


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """One picture's.

    `vector` is float32 (d,) of unit length; `classes` are numbers of ImageNet's classes, likeliest first, and
    `likelihoods` the natural logarithms of their shares (of the softmax), both of length n up to `CLASSES`;
    `regions` are where the things are that the picture shows, the strongest first.
    """

    vector: Floats
    classes: NDArray[np.intp]
    likelihoods: Floats
    regions: tuple[Shares, ...]

    def to_bytes(self) -> bytes:
        """d + 4 + `EXTRA` bytes: the vector as int8, what to multiply it by, classes and regions."""
        scale = float(np.abs(self.vector).max()) / 127 or 1.0
        codes = np.rint(self.vector / scale).astype(np.int8)
        extra = np.zeros(EXTRA, np.uint8)
        numbers = np.full(CLASSES, 0xFFFF, "<u2")
        numbers[: len(self.classes)] = self.classes
        extra[: 2 * CLASSES] = numbers.view(np.uint8)
        logs = np.clip(np.rint(-self.likelihoods * _LN_STEPS), 0, 255).astype(np.uint8)
        extra[2 * CLASSES : 2 * CLASSES + len(logs)] = logs
        for place, region in enumerate(self.regions):
            at = 3 * CLASSES + 4 * place
            extra[at : at + 4] = np.rint(np.array(region) * 255).astype(np.uint8)
        return b"".join((codes.tobytes(), np.float32(scale).tobytes(), extra.tobytes()))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse, to what 8 bits can say; raises ValueError for a length that cannot be."""
        length = len(data) - 4 - EXTRA
        if length < 1:
            raise ValueError(f"an embedding has more than {4 + EXTRA} bytes, not {len(data)}")
        vector = np.frombuffer(data, np.int8, length) * np.frombuffer(data, "<f4", 1, length)[0]
        vector = vector / max(float(np.linalg.norm(vector)), 1e-9)
        extra = np.frombuffer(data, np.uint8, EXTRA, length + 4)
        numbers, likelihoods = classes_of(extra[None])
        known = numbers[0] < len(classes().names)
        boxes = extra[3 * CLASSES :].reshape(REGIONS, 4) / 255
        regions = tuple((a, b, c, d) for a, b, c, d in boxes.tolist() if c > a and d > b)
        return cls(vector.astype(np.float32), numbers[0][known], likelihoods[0][known], regions)

    def labels(self, most: int = 3) -> list[Label]:
        """What the picture shows, as far as the classes go; surest first."""
        return labels_of(self.classes, self.likelihoods, most)


class Kept(NamedTuple):
    """Embeddings as they are kept, n of them: unit vectors float32 (n, d), and what `classes_of` gives."""

    vectors: Floats
    classes: NDArray[np.intp]
    likelihoods: Floats

    @classmethod
    def of(cls, rows: Sequence[bytes]) -> Kept:
        """From the bytes of at least one embedding, all of one length."""
        every = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
        length = every.shape[1] - 4 - EXTRA
        vectors = every[:, :length].view(np.int8).astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return cls(vectors, *classes_of(every[:, length + 4 :]))


def classes_of(extra: NDArray[np.uint8]) -> tuple[NDArray[np.intp], Floats]:
    """(n, CLASSES) classes and log-likelihoods of the last `EXTRA` bytes of n embeddings.

    Where there is no class the number is 65,535.
    """
    numbers = np.ascontiguousarray(extra[:, : 2 * CLASSES]).view("<u2").astype(np.intp)
    logs = extra[:, 2 * CLASSES : 3 * CLASSES].astype(np.float32) / np.float32(-_LN_STEPS)
    return numbers, logs


def labels_of(numbers: NDArray[np.intp], likelihoods: Floats, most: int = 3) -> list[Label]:
    """The labels of the classes of one picture, what they leave being spread over all others."""
    if not len(numbers):
        return []
    count = len(classes().names)
    left = max(1e-6, 1.0 - float(np.exp(likelihoods).sum())) / count
    logits = np.full(count, np.log(left), np.float32)
    logits[numbers] = likelihoods
    return calibrated(logits, most)


class Embedder:
    """Computes embeddings by one model. Thread-safe."""

    def __init__(self, model: Model, threads: int = 1) -> None:
        """Open the model: see `open_session` for what it raises."""
        from wherefrom.models.session import open_session

        self.card = model.card
        self._session = open_session(model.card, model.path, threads, model.device)

    def embed(self, picture: Picture) -> Embedding:
        """The embedding of a picture, colour or luma, of any size.

        Raises ModelError when the model fails or gives what its card does not say.
        """
        from wherefrom.models.session import prepared

        pixels = picture.pixels
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        out = self._session.run(prepared(pixels, self.card))
        attention = out["attention"][0] if "attention" in out else None
        if "features" in out and attention is not None and out["features"].shape[2:] != attention.shape:
            raise self._other(f"attention of the shape {attention.shape} to other features")
        vector = out["vector"][0] if "vector" in out else pooled(out["features"][0], attention)
        if len(vector) != self.card.dimension:
            raise self._other(f"{len(vector)} numbers, not {self.card.dimension}")
        if (made := _whitening(self.card)) is not None:
            vector = made.apply(vector)
        numbers, likelihoods = likeliest(out["logits"][0]) if "logits" in out else _NONE
        regions = () if attention is None else _regions(attention, _seen(pixels.shape[:2], self.card))
        length = max(float(np.linalg.norm(vector)), 1e-9)
        return Embedding((vector / length).astype(np.float32), numbers, likelihoods, regions)

    def _other(self, what: str) -> ModelError:
        return ModelError(f"The model {self.card.name} gives {what}: its card is that of another.")


@lru_cache(maxsize=2)
def embedder(model: Model, threads: int = 1) -> Embedder:
    """The embedder of a model, opened once."""
    return Embedder(model, threads)


def version_of(card: Card | None) -> str:
    """The version of the embeddings that a card's model gives: its name first, or `NO_MODEL`."""
    if card is None:
        return NO_MODEL
    if card.built is not None:
        from wherefrom.models.building import version

        return f"{card.name} {version()} {_FORM}.{whitening_version()}"
    return f"{card.name} {(card.sha256 or '')[:12]} {_FORM}"


def dimension_of(card: Card | None) -> int:
    """How many numbers a vector of a card's model has here; 0 without a model."""
    if card is None:
        return 0
    return DIMENSION if card.built is not None else card.dimension


class Whitening(NamedTuple):
    """What takes pooled features to a vector: (x / |x| - mean) · axes, float32 (n,) and (n, d)."""

    mean: Floats
    axes: Floats

    def apply(self, pooled: Floats) -> Floats:
        """The vector of the pooled features of one picture (n,), or of several (m, n)."""
        length = np.maximum(np.linalg.norm(pooled, axis=-1, keepdims=True), 1e-9)
        return np.asarray((pooled / length - self.mean) @ self.axes, np.float32)


DIMENSION = 256
"""Numbers of a vector of the model that comes with the package."""


@cache
def shipped() -> Whitening:
    """The whitening that comes with the package."""
    with np.load(_WHITENING) as made:
        return Whitening(made["mean"].astype(np.float32), made["axes"].astype(np.float32))


@cache
def whitening_version() -> str:
    """It changes with the file."""
    import zlib

    return f"{zlib.crc32(_WHITENING.read_bytes()):08x}"


def _whitening(card: Card) -> Whitening | None:
    return shipped() if card.built is not None else None


_NONE = (np.zeros(0, np.intp), np.zeros(0, np.float32))


def pooled(features: Floats, attention: Floats | None) -> Floats:
    """The features (c, h, w) of one picture as (c,), attention (h, w) weighing them where there is one."""
    flat = features.reshape(len(features), -1)
    if attention is None:
        raised = np.maximum(flat, 1e-6) ** np.float32(_POWER)
        return np.asarray(raised.mean(axis=1) ** np.float32(1 / _POWER), np.float32)
    weights = attention.ravel() / max(float(attention.sum()), 1e-9)
    return np.asarray(flat @ (_ATTENDED * weights + (1 - _ATTENDED) / flat.shape[1]), np.float32)


def likeliest(logits: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The likeliest classes of logits (1000,) and their log-likelihoods; none for logits of other shapes."""
    if logits.shape != (len(classes().names),):
        return _NONE
    best = np.argsort(-logits, kind="stable")[:CLASSES]
    top = logits[best[0]]
    return best, (logits[best] - top - np.log(np.exp(logits - top).sum())).astype(np.float32)


def _seen(shape: tuple[int, ...], card: Card) -> Shares:
    """The part of a picture of a shape that comes to the model."""
    if card.crop != "centre":
        return 0.0, 0.0, 1.0, 1.0
    height, width = shape[:2]
    scale = card.share * min(height / card.input_size[0], width / card.input_size[1])
    wide, tall = card.input_size[1] * scale / width, card.input_size[0] * scale / height
    return (1 - wide) / 2, (1 - tall) / 2, (1 + wide) / 2, (1 + tall) / 2


def _regions(attention: Floats, seen: Shares) -> tuple[Shares, ...]:
    """Boxes around the peaks of the attention, as shares of the whole picture, the strongest first."""
    import cv2

    fine: Any = cv2.resize(attention, (_FINE, _FINE), interpolation=cv2.INTER_LINEAR)
    highest = float(fine.max())
    if highest <= 0:
        return ()
    count, parts, boxes, _ = cv2.connectedComponentsWithStats((fine > _PEAK * highest).astype(np.uint8))
    across, down = seen[2] - seen[0], seen[3] - seen[1]
    found: list[tuple[float, Shares]] = []
    for number in range(1, count):
        left, top, wide, high = (int(value) / _FINE for value in boxes[number, :4])
        share = wide * across * high * down
        if _LEAST <= share <= _MOST:
            corner = (seen[0] + left * across, seen[1] + top * down)
            box = (*corner, corner[0] + wide * across, corner[1] + high * down)
            found.append((float(fine[parts == number].sum()), box))
    found.sort(key=lambda one: -one[0])
    return tuple(box for _, box in found[:REGIONS])
