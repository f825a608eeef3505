"""Whether an ONNX file keeps weights in other files, which it may name as it likes.

A tensor's data may lie at any path that the file states: what is read there would come out as embeddings.
Such models are refused here, whatever the runtime thinks of the path. The fields are those of `onnx.proto3`;
messages that cannot hold a tensor are passed over unread.
"""

from __future__ import annotations

import mmap
import os

_TENSOR, _SPARSE, _GRAPH, _NODE, _ATTRIBUTE, _FUNCTION, _TRAINING, _MODEL = range(8)
_INSIDE = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_KEY = b"location"  # without which no tensor's data can be found elsewhere


def has_external_data(path: str | os.PathLike[str]) -> bool:
    """Whether a tensor of an ONNX file lies elsewhere.

    Raises ValueError for what is no message of protocol buffers, OSError where it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        if os.fstat(file.fileno()).st_size == 0:
            raise ValueError("the file is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(_KEY) >= 0 and _says_so(data)


def _says_so(data: mmap.mmap) -> bool:
    waiting = [(_MODEL, 0, len(data))]
    while waiting:
        kind, place, end = waiting.pop()
        while place < end:
            key, place = _number(data, place, end)
            field, wire = key >> 3, key & 7
            if wire == _VARINT:
                value, place = _number(data, place, end)
                if kind == _TENSOR and field == _DATA_LOCATION and value:
                    return True
            elif wire == _BYTES:
                size, place = _number(data, place, end)
                if place + size > end:
                    raise ValueError("a part of it is longer than the whole")
                if kind == _TENSOR and field == _EXTERNAL_DATA:
                    return True
                if (inner := _INSIDE[kind].get(field)) is not None:
                    waiting.append((inner, place, place + size))
                place += size
            elif wire in (_EIGHT, _FOUR):
                place += 8 if wire == _EIGHT else 4
            else:
                raise ValueError("it has a field of no kind that there is")
    return False


def _number(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """A varint and the place behind it."""
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("it ends within a number")
