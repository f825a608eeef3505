"""EfficientNet-Lite0 as an ONNX graph, from its checkpoint (Tan & Le 2019; the Lite variants of 2020).

A stem of 32 channels, 16 inverted residual blocks without squeeze-and-excitation, a head of 1,280 channels
and a classifier of the 1,000 classes of ImageNet; ReLU6 throughout. Batch normalisation is folded into the
convolutions. Padding is as in TensorFlow, where the network was trained: what is odd goes to the right and
below.

Two graphs are built. `float_graph` computes in float32. `int8_graph` computes convolutions on 8-bit integers
(Jacob et al. 2018): weights signed, symmetric, with a scale for each output channel; activations unsigned,
with the ranges that `training/quantisation.py` found and the package ships.

Both give `features` (n, 1280, 7, 7), `logits` (n, 1000), and `attention` (n, 7, 7), at or above 0: how much
each place speaks for the likeliest class (class activation mapping: Zhou et al. 2016).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelError
from wherefrom.models.graph import Graph

VERSION = 1
"""Of the graphs: it goes into the name of their file, and rises when what they compute changes."""

SIDE, CLASSES, CHANNELS = 224, 1000, 1280
EPSILON = 1e-3  # of batch normalisation

Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[Any]]
Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest value of each activation that is kept in 8 bits, by the name of its tensor."""

_RANGES = Path(__file__).with_name("efficientnet_lite0_ranges.json")

# Repeats, kernel, stride of the first, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    """One convolution: weights (out, in / groups, kernel, kernel) and bias (out,), the norm folded in.

    `name` is that of its output; `adds` that of a tensor that is added to it. ReLU6 follows if `clipped`.
    """

    name: str
    source: str
    weights: Floats
    bias: Floats
    stride: int
    groups: int
    clipped: bool
    adds: str | None = None

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Top, left, bottom, right: as TensorFlow pads inputs of even sides."""
        total = self.weights.shape[2] - self.stride
        before = max(total, 0) // 2
        return (before, before, max(total, 0) - before, max(total, 0) - before)


def float_graph(tensors: Tensors, also: tuple[str, ...] = ()) -> bytes:
    """The network in float32. `also` names activations to give out besides, for training.

    Raises `ModelError` for tensors of another network.
    """
    graph = Graph("efficientnet-lite0")
    graph.input("image", ("n", 3, SIDE, SIDE))
    for layer in convolutions(tensors):
        inputs = (layer.source, *_weights(graph, layer))
        raw = layer.name if not (layer.clipped or layer.adds) else f"{layer.name}.raw"
        _convolve(graph, layer, inputs, raw)
        if layer.clipped:
            graph.node("Clip", (raw, *_limits(graph)), layer.name)
        elif layer.adds:
            graph.node("Add", (raw, layer.adds), layer.name)
    for name in also:
        graph.output(name, ("n", f"{name}.c", f"{name}.h", f"{name}.w"))
    return _finished(graph, tensors, "float32")


def int8_graph(tensors: Tensors, ranges: Ranges | None = None) -> bytes:
    """The network with convolutions in 8 bits; `ranges` are those that the package ships unless given.

    Raises `ModelError` for tensors of another network.
    """
    ranges = shipped_ranges() if ranges is None else ranges
    graph = Graph("efficientnet-lite0-int8")
    graph.input("image", ("n", 3, SIDE, SIDE))
    _rounded(graph, "image", "image.8", ranges["image"])
    for layer in convolutions(tensors):
        scale = _step(ranges[layer.source])[0]
        inputs = (f"{layer.source}.8.f", *_rounded_weights(graph, layer, scale))
        # Clipping is what 8 bits do by themselves: the range of a clipped activation is [0, at most 6].
        raw = f"{layer.name}.raw"
        _convolve(graph, layer, inputs, raw)
        if layer.adds:
            _rounded(graph, raw, f"{layer.name}.conv.8", ranges[f"{layer.name}.conv"])
            raw = graph.node("Add", (f"{layer.name}.conv.8.f", f"{layer.adds}.8.f"), f"{layer.name}.sum")
        _rounded(graph, raw, f"{layer.name}.8", ranges[layer.name])
    graph.node("Identity", ("features.8.f",), "features")
    return _finished(graph, tensors, "int8")


def convolutions(tensors: Tensors) -> Iterator[Convolution]:
    """Every convolution of the network in its order; the last one's output is called `features`."""
    weights, bias = _folded(tensors, "_conv_stem", "_bn0", (32, 3, 3, 3))
    yield Convolution("stem", "image", weights, bias, 2, 1, True)
    source, width, number = "stem", 32, 0
    for repeats, kernel, first, expansion, out in _STAGES:
        for repeat in range(repeats):
            stride = first if repeat == 0 else 1
            adds = source if stride == 1 and width == out else None
            last, prefix, inner = source, f"_blocks.{number}.", width * expansion
            if expansion > 1:
                weights, bias = _folded(
                    tensors, f"{prefix}_expand_conv", f"{prefix}_bn0", (inner, width, 1, 1)
                )
                yield Convolution(f"{number}.expand", last, weights, bias, 1, 1, True)
                last = f"{number}.expand"
            shape = (inner, 1, kernel, kernel)
            weights, bias = _folded(tensors, f"{prefix}_depthwise_conv", f"{prefix}_bn1", shape)
            yield Convolution(f"{number}.depth", last, weights, bias, stride, inner, True)
            weights, bias = _folded(tensors, f"{prefix}_project_conv", f"{prefix}_bn2", (out, inner, 1, 1))
            yield Convolution(f"{number}.out", f"{number}.depth", weights, bias, 1, 1, False, adds)
            source, width, number = f"{number}.out", out, number + 1
    weights, bias = _folded(tensors, "_conv_head", "_bn1", (CHANNELS, width, 1, 1))
    yield Convolution("features", source, weights, bias, 1, 1, True)


@cache
def shipped_ranges() -> dict[str, tuple[float, float]]:
    """The ranges that come with the package."""
    said = json.loads(_RANGES.read_text(encoding="utf-8"))
    return {name: (float(low), float(high)) for name, (low, high) in said["ranges"].items()}


# Tensors of the checkpoint


def _tensor(tensors: Tensors, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    found = tensors.get(name)
    if found is None or found.shape != shape or found.dtype != np.float32:
        raise ModelError(
            f"The checkpoint is not one of EfficientNet-Lite0: {name} is missing or of another shape."
        )
    values = found.astype(np.float64)
    if not np.isfinite(values).all():
        raise ModelError(f"The checkpoint is damaged: {name} holds values that are no numbers.")
    return values


def _folded(tensors: Tensors, convolution: str, norm: str, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Weights and bias of a convolution and the normalisation after it, as one convolution."""
    weights = _tensor(tensors, f"{convolution}.weight", shape)
    gain, shift, mean, variance = (
        _tensor(tensors, f"{norm}.{name}", shape[:1])
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gain / np.sqrt(np.maximum(variance, 0) + EPSILON)
    return (
        (weights * factor[:, None, None, None]).astype(np.float32),
        (shift - mean * factor).astype(np.float32),
    )


# Parts of both graphs


def _convolve(graph: Graph, layer: Convolution, inputs: tuple[str, ...], output: str) -> None:
    graph.node(
        "Conv",
        inputs,
        output,
        kernel_shape=layer.weights.shape[2:],
        strides=(layer.stride, layer.stride),
        pads=layer.pads,
        group=layer.groups,
    )


def _weights(graph: Graph, layer: Convolution) -> tuple[str, str]:
    return (
        graph.constant(f"{layer.name}.w", layer.weights),
        graph.constant(f"{layer.name}.b", layer.bias),
    )


def _limits(graph: Graph) -> tuple[str, str]:
    """The ends of ReLU6."""
    return _once(graph, "zero", np.float32(0)), _once(graph, "six", np.float32(6))


def _once(graph: Graph, name: str, value: Any) -> str:
    return name if graph.has(name) else graph.constant(name, np.asarray(value))


def _finished(graph: Graph, tensors: Tensors, precision: str) -> bytes:
    """The classifier and the class activation map, above `features`; the file."""
    places = (SIDE // 32) ** 2
    classifier = _tensor(tensors, "_fc.weight", (CLASSES, CHANNELS)).astype(np.float32)
    graph.constant("classifier.w", classifier)
    graph.constant("classifier.b", _tensor(tensors, "_fc.bias", (CLASSES,)).astype(np.float32))
    graph.node("GlobalAveragePool", ("features",), "pooled.4")
    graph.node("Flatten", ("pooled.4",), "pooled", axis=1)
    graph.node("Gemm", ("pooled", "classifier.w", "classifier.b"), "logits", transB=1)
    graph.node("ArgMax", ("logits",), "top", axis=1, keepdims=1)  # (n, 1)
    graph.node("Gather", ("classifier.w", "top"), "row", axis=0)  # (n, 1, 1280)
    flat = graph.constant("flat", np.array([0, CHANNELS, places], np.int64))
    graph.node("Reshape", ("features", flat), "places")
    graph.node("MatMul", ("row", "places"), "spoken")  # (n, 1, 49)
    graph.node("Relu", ("spoken",), "spoken.relu")
    square = graph.constant("square", np.array([0, SIDE // 32, SIDE // 32], np.int64))
    graph.node("Reshape", ("spoken.relu", square), "attention")
    graph.output("features", ("n", CHANNELS, SIDE // 32, SIDE // 32))
    graph.output("logits", ("n", CLASSES))
    graph.output("attention", ("n", SIDE // 32, SIDE // 32))
    return graph.to_bytes({"model": "efficientnet-lite0", "version": str(VERSION), "precision": precision})


# 8 bits


def _step(span: tuple[float, float]) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of the 256 steps over a range that contains 0."""
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    scale = np.float32(max(high - low, 1e-6) / 255)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, 255))


def _rounded(graph: Graph, source: str, name: str, span: tuple[float, float]) -> None:
    """Take a tensor to 8 bits as `name`, and back as `name`.f: the pair that the runtime fuses."""
    scale, zero = _step(span)
    scaled = (
        graph.constant(f"{name}.scale", np.asarray(scale)),
        graph.constant(f"{name}.zero", np.asarray(zero)),
    )
    graph.node("QuantizeLinear", (source, *scaled), name)
    graph.node("DequantizeLinear", (name, *scaled), f"{name}.f")


def _rounded_weights(graph: Graph, layer: Convolution, scale: np.float32) -> tuple[str, str]:
    """Weights as int8 with a scale for each output channel, bias as int32 in units of both scales."""
    weights, steps = rounded(layer.weights)
    name = layer.name
    graph.constant(f"{name}.w8", weights)
    graph.constant(f"{name}.w.scale", steps)
    graph.constant(f"{name}.w.zero", np.zeros(len(steps), np.int8))
    graph.node("DequantizeLinear", (f"{name}.w8", f"{name}.w.scale", f"{name}.w.zero"), f"{name}.w", axis=0)
    units = (steps * scale).astype(np.float32)
    bias = np.clip(np.rint(layer.bias.astype(np.float64) / units), -(2**31) + 1, 2**31 - 1).astype(np.int32)
    graph.constant(f"{name}.b32", bias)
    graph.constant(f"{name}.b.scale", units)
    graph.constant(f"{name}.b.zero", np.zeros(len(units), np.int32))
    graph.node("DequantizeLinear", (f"{name}.b32", f"{name}.b.scale", f"{name}.b.zero"), f"{name}.b", axis=0)
    return f"{name}.w", f"{name}.b"


def rounded(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Weights (out, in, kernel, kernel) as int8, -127 to 127, and the scale (out,) of each channel."""
    most = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
    steps = (np.maximum(most, 1e-8) / 127).astype(np.float32)
    return np.rint(weights / steps[:, None, None, None]).astype(np.int8), steps
