"""EfficientNet-Lite0: what the reference computes, and nearly that in 8 bits; the writer of ONNX files.

`reference.json` holds logits and means of features for the three drawn pictures of `drawn`, recorded from the
network of the project that the checkpoint belongs to, in PyTorch.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.models.graphs import drawn, saved, weights
from tests.pictures import assert_sentence
from wherefrom.errors import ModelError
from wherefrom.models.building import tensors_of
from wherefrom.models.cards import built_in_card
from wherefrom.models.checkpoint import Tensors
from wherefrom.models.efficientnet import (
    convolutions,
    float_graph,
    int8_graph,
    rounded,
    shipped_ranges,
)
from wherefrom.models.graph import Graph, _number
from wherefrom.models.session import Session, open_session

REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))


@cache
def tensors() -> Tensors:
    return tensors_of(built_in_card("efficientnet-lite0"))


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Session]:
    folder = tmp_path_factory.mktemp("graphs")
    made = {"efficientnet-lite0": float_graph(tensors()), "efficientnet-lite0-int8": int8_graph(tensors())}
    return {name: open_session(built_in_card(name), saved(folder, made[name], name)) for name in made}


@weights
def test_logits_and_features_are_those_of_the_reference(sessions: dict[str, Session]) -> None:
    batch = np.stack([drawn(number) for number in range(3)])
    found = sessions["efficientnet-lite0"].run(batch)
    assert found["logits"].argmax(axis=1).tolist() == REFERENCE["top"]
    assert np.abs(found["logits"][:, ::37] - REFERENCE["logits"]).max() < 1e-4
    assert np.abs(found["features"].mean(axis=(2, 3))[:, ::97] - REFERENCE["features"]).max() < 1e-4
    assert found["features"].shape == (3, 1280, 7, 7)
    assert 0 <= found["features"].min() <= found["features"].max() <= 6


@weights
@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite0-int8"])
def test_attention_is_the_class_activation(sessions: dict[str, Session], name: str) -> None:
    found = sessions[name].run(np.stack([drawn(number) for number in range(3)]))
    rows = tensors()["_fc.weight"][found["logits"].argmax(axis=1)]
    wanted = np.maximum(np.einsum("nc,nchw->nhw", rows, found["features"]), 0)
    assert found["attention"].shape == (3, 7, 7)
    assert np.abs(found["attention"] - wanted).max() < 1e-3


@weights
def test_a_picture_gives_the_same_alone_and_among_others(sessions: dict[str, Session]) -> None:
    batch = np.stack([drawn(number) for number in range(3)])
    for session in sessions.values():
        together, alone = session.run(batch), session.run(batch[1:2])
        assert np.abs(together["logits"][1:2] - alone["logits"]).max() < 1e-3


@weights
def test_eight_bits_are_near_the_reference(sessions: dict[str, Session]) -> None:
    batch = np.stack([drawn(number) for number in range(3)])
    exact, near = (sessions[name].run(batch)["features"] for name in sessions)
    pooled = [np.cbrt((one**3).mean(axis=(2, 3))) for one in (exact, near)]
    cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(*pooled, strict=True)]
    assert min(cosines) > 0.95


@weights
def test_ranges_are_shipped_for_every_activation() -> None:
    ranges = shipped_ranges()
    layers = list(convolutions(tensors()))
    wanted = {"image", *(layer.name for layer in layers)}
    wanted |= {f"{layer.name}.conv" for layer in layers if layer.adds}
    assert set(ranges) == wanted
    for layer in layers:
        low, high = ranges[layer.name]
        assert low <= 0 < high
        if layer.clipped:
            assert (low, high) <= (0.0, 6.0)


@weights
def test_building_is_deterministic() -> None:
    assert int8_graph(tensors()) == int8_graph(tensors())
    assert float_graph(tensors()) == float_graph(tensors())


@weights
@pytest.mark.parametrize("damage", ["missing", "shape", "kind", "nan"])
def test_other_checkpoints_are_refused(damage: str) -> None:
    name = "_blocks.3._project_conv.weight"
    others: dict[str, NDArray[Any]] = dict(tensors())
    values = others.pop(name)
    if damage == "shape":
        others[name] = values[:-1]
    elif damage == "kind":
        others[name] = values.astype(np.float64)
    elif damage == "nan":
        others[name] = np.full_like(values, np.nan)
    for build in (float_graph, int8_graph):
        with pytest.raises(ModelError) as caught:
            build(others)
        assert_sentence(caught.value)
        assert name in str(caught.value)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-6, 1e3))
def test_rounded_weights_are_near(seed: int, scale: float) -> None:
    values = (np.random.default_rng(seed).normal(0, scale, (4, 3, 2, 2))).astype(np.float32)
    values[1] = 0
    whole, steps = rounded(values)
    assert whole.dtype == np.int8
    assert np.abs(whole.astype(int)).max() <= 127
    assert (steps > 0).all()
    assert (np.abs(whole * steps[:, None, None, None] - values) <= steps[:, None, None, None] * 0.501).all()


# The writer


@given(st.integers(-(2**63), 2**64 - 1))
def test_varints(value: int) -> None:
    data = _number(value)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data)) == value % 2**64
    assert all(byte & 0x80 for byte in data[:-1])
    assert not data[-1] & 0x80


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**31))
def test_a_convolution_is_computed_as_written(stride: int, kernel: int, seed: int) -> None:
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(seed)
    kernels = rng.normal(size=(2, 3, kernel, kernel)).astype(np.float32)
    graph = Graph("one")
    graph.input("image", ("n", 3, 5, 6))
    graph.constant("w", kernels)
    graph.node("Conv", ("image", "w"), "out", strides=(stride, stride), pads=(0, 1, 1, 0))
    graph.output("out", ("n", 2, "h", "w_"))
    session = runtime.InferenceSession(graph.to_bytes({}), providers=["CPUExecutionProvider"])
    image = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    (found,) = session.run(None, {"image": image})
    padded = np.pad(image, ((0, 0), (0, 0), (0, 1), (1, 0)))
    for y in range(found.shape[2]):
        for x in range(found.shape[3]):
            part = padded[:, :, y * stride : y * stride + kernel, x * stride : x * stride + kernel]
            assert np.allclose(found[:, :, y, x], np.einsum("nchw,ochw->no", part, kernels), atol=1e-4)


def test_a_constant_is_kept_once() -> None:
    graph = Graph("one")
    graph.constant("a", np.zeros(3, np.int64))
    assert graph.has("a")
    with pytest.raises(ValueError, match="a"):
        graph.constant("a", np.zeros(3, np.int64))
