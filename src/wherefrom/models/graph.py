"""Writes ONNX files: the few messages of its protocol buffers that a network of convolutions needs.

ONNX is read by the runtime, which brings its own reader; the package that writes it would be a second copy of
that, with compiled code, to be used once at first use. The wire format is that of Protocol Buffers: a field
is its number and kind as a varint, then a varint, four bytes, or a length and as many bytes. Field numbers
are those of `onnx.proto3`; files are of IR version 8 and operator set 13.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPERATORS = 8, 13

Attribute = int | float | str | Sequence[int]

_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
_FLOAT, _INTEGER, _TEXT, _INTEGERS = 1, 2, 3, 7  # AttributeProto.AttributeType


class Graph:
    """A graph under construction. Tensors are known by name; every node gives one output."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare a float32 input; a word in the shape is a length that varies. Gives its name back."""
        self._inputs.append(_value(name, shape))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> None:
        """Declare a tensor of the graph as float32 output."""
        self._outputs.append(_value(name, shape))

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Keep an array in the file; gives its name back."""
        if name in self._constants:
            raise ValueError(name)
        values = np.asarray(values)
        fields = [_varint(1, length) for length in values.shape]
        fields += [_varint(2, _TYPES[values.dtype.name]), _text(8, name)]
        raw = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        self._constants[name] = b"".join([*fields, _bytes(9, raw)])
        return name

    def has(self, name: str) -> bool:
        """Whether there is a constant of this name."""
        return name in self._constants

    def node(self, kind: str, inputs: Iterable[str], output: str, **attributes: Attribute) -> str:
        """Apply an operator; gives the name of its output back."""
        fields = [_text(1, one) for one in inputs]
        fields += [_text(2, output), _text(3, output), _text(4, kind)]
        fields += [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(b"".join(fields))
        return output

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """The file; `metadata` goes into it as it is."""
        graph = [_bytes(1, node) for node in self._nodes]
        graph += [_text(2, self._name)]
        graph += [_bytes(5, tensor) for tensor in self._constants.values()]
        graph += [_bytes(11, one) for one in self._inputs] + [_bytes(12, one) for one in self._outputs]
        model = [_varint(1, IR_VERSION), _text(2, "wherefrom"), _bytes(7, b"".join(graph))]
        model += [_bytes(8, _varint(2, OPERATORS))]
        model += [_bytes(14, _text(1, key) + _text(2, value)) for key, value in metadata.items()]
        return b"".join(model)


def _attribute(name: str, value: Attribute) -> bytes:
    start = _text(1, name)
    if isinstance(value, str):
        return start + _text(4, value) + _varint(20, _TEXT)
    if isinstance(value, float):
        return start + _key(2, 5) + struct.pack("<f", value) + _varint(20, _FLOAT)
    if isinstance(value, int):
        return start + _varint(3, value) + _varint(20, _INTEGER)
    return start + b"".join(_varint(8, one) for one in value) + _varint(20, _INTEGERS)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """ValueInfoProto of a float32 tensor."""
    lengths = [_text(2, one) if isinstance(one, str) else _varint(1, one) for one in shape]
    dimensions = b"".join(_bytes(1, length) for length in lengths)
    tensor = _varint(1, _TYPES["float32"]) + _bytes(2, dimensions)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _key(field: int, kind: int) -> bytes:
    return _number(field << 3 | kind)


def _varint(field: int, value: int) -> bytes:
    return _key(field, 0) + _number(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, 2) + _number(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode("utf-8"))


def _number(value: int) -> bytes:
    """A varint: seven bits a byte, the lowest first; negative numbers as two's complement of 64 bits."""
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
