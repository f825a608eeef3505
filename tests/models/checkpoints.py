"""Checkpoints of PyTorch, written by hand: instruction by instruction, in both containers."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = {"<f4": "Float", "<f8": "Double", "<f2": "Half", "<i8": "Long", "<i4": "Int", "|u1": "Byte"}
MAGIC = 0x1950A86A20F9469CFC6C


@dataclass
class View:
    """A tensor as a checkpoint has it: strides and offset count numbers."""

    key: str
    offset: int
    shape: Sequence[int]
    strides: Sequence[int]


@dataclass
class Checkpoint:
    """Storages by key and views of them by name; `counts` lies about the length of storages."""

    storages: dict[str, NDArray[Any]]
    views: dict[str, View]
    counts: dict[str, int] = field(default_factory=dict)
    extra: bytes = b""

    def stream(self) -> bytes:
        """The format before PyTorch 1.6."""
        machine = mapping([(text("little_endian"), b"\x88")])
        order = b"](" + b"".join(text(key) for key in self.storages) + b"e"
        parts = [pickled(number(MAGIC)), pickled(number(1001)), pickled(machine), self.tensors()]
        parts.append(pickled(order))
        for values in self.storages.values():
            parts += [struct.pack("<q", values.size), values.tobytes()]
        return b"".join(parts)

    def archive(self, compression: int = zipfile.ZIP_STORED) -> bytes:
        """The format since then."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as file:
            file.writestr("model/data.pkl", self.tensors())
            file.writestr("model/byteorder", b"little")
            for key, values in self.storages.items():
                file.writestr(f"model/data/{key}", values.tobytes())
            file.writestr("model/version", b"3\n")
        return buffer.getvalue()

    def tensors(self) -> bytes:
        """The pickle of the dictionary."""
        items = [(text(name), self.tensor(view)) for name, view in self.views.items()]
        return pickled(named("collections", "OrderedDict") + b")R" + settings(items) + self.extra)

    def tensor(self, view: View) -> bytes:
        values = self.storages[view.key]
        kind = named("torch", f"{KINDS[values.dtype.str]}Storage")
        count = number(self.counts.get(view.key, values.size))
        storage = b"(" + text("storage") + kind + text(view.key) + text("cpu") + count + b"NtQ"
        hooks = named("collections", "OrderedDict") + b")R"
        body = storage + number(view.offset) + numbers(view.shape) + numbers(view.strides) + b"\x89" + hooks
        return named("torch._utils", "_rebuild_tensor_v2") + b"(" + body + b"tR"


def of_arrays(arrays: dict[str, NDArray[Any]]) -> Checkpoint:
    """A checkpoint with a storage for each array."""
    storages, views = {}, {}
    for key, (name, values) in enumerate(arrays.items()):
        storages[str(key)] = values.ravel()
        strides = [step // values.itemsize for step in np.array(values, order="C").strides]
        views[name] = View(str(key), 0, values.shape, strides)
    return Checkpoint(storages, views)


def pickled(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def text(words: str) -> bytes:
    data = words.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def numbers(values: Sequence[int]) -> bytes:
    return b"(" + b"".join(number(one) for one in values) + b"t"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def mapping(items: list[tuple[bytes, bytes]]) -> bytes:
    return b"}" + settings(items)


def settings(items: list[tuple[bytes, bytes]]) -> bytes:
    return b"(" + b"".join(key + value for key, value in items) + b"u"
