"""Tensors out of a PyTorch checkpoint, without PyTorch and without running anything.

A checkpoint is a pickle, and a pickle is a program: unpickling one can do whatever its maker likes. Here it
is never unpickled. Its instructions are read one at a time by a small interpreter that knows the few that
build a dictionary of tensors, and three names (`_NAMES`), which stand for inert values. All else is refused.

Two containers are read: the archive that PyTorch has written since 1.6, and the stream of pickles followed
by raw storages from before. The hash of the file is compared before a byte of it is understood.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickletools
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import ModelError

MAX_BYTES = 2 * 1024**3
"""No file larger than this is read."""

Tensors = dict[str, NDArray[Any]]

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the stream format
_STREAM_VERSION = 1001
_PICKLE_BYTES = 16 * 1024**2
_STEPS = 2_000_000  # instructions of one pickle
_DIMENSIONS = 8

_STORAGES = {
    ("torch", f"{kind}Storage"): np.dtype(code)
    for kind, code in {
        "Float": "<f4",
        "Double": "<f8",
        "Half": "<f2",
        "Long": "<i8",
        "Int": "<i4",
        "Short": "<i2",
        "Char": "i1",
        "Byte": "u1",
        "Bool": "?",
    }.items()
}
_DICTIONARY = ("collections", "OrderedDict")
_REBUILD = ("torch._utils", "_rebuild_tensor_v2")
_NAMES = {_DICTIONARY, _REBUILD, *_STORAGES}


@dataclass(frozen=True, slots=True)
class _Name:
    """A name out of a module, never looked up."""

    of: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers that lie elsewhere in the file."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A view of a storage; offset and strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: str | os.PathLike[str], sha256: str | None = None) -> Tensors:
    """The tensors of a checkpoint by their names: read-only views of the file's bytes, in any strides.

    `sha256` is what the file's bytes must hash to, in hex; None only for a file that you made yourself.
    Raises `ModelError` for a file that cannot be read, hashes otherwise, is damaged, holds anything but a
    flat dictionary of tensors, or whose tensors reach beyond their storages.
    """
    name = f"The checkpoint {Path(path).name}"
    data = _bytes(path, name)
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256.lower():
        raise ModelError(
            f"{name} is not the file that is expected: its SHA-256 is {found}, not {sha256}. Install it "
            f"again."
        )
    try:
        tensors = _from_archive(data) if data[:4] == b"PK\x03\x04" else _from_stream(data)
    except _Refused as error:
        raise ModelError(f"{name} is not read: {error}. Get the file again from where it came.") from None
    except MemoryError:
        raise ModelError(f"{name} needs more memory than there is.") from None
    return tensors


class _Refused(ValueError):
    """Why a checkpoint is not read, as half a sentence."""


def _bytes(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                raise ModelError(f"{name} is not a regular file of at most {MAX_BYTES} bytes.")
            return file.read(status.st_size)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"{name} cannot be read: {reason}.") from error


# Containers


def _from_stream(data: bytes) -> Tensors:
    """Five pickles (mark, version, machine, tensors, order of storages), then count and numbers of each."""
    stream = io.BytesIO(data)
    if _interpreted(stream) != _MAGIC or _interpreted(stream) != _STREAM_VERSION:
        raise _Refused("it is no checkpoint of PyTorch")
    machine = _interpreted(stream)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise _Refused("its numbers are not little-endian")
    wanted = _flat(_interpreted(stream))
    storages = _storages_of(wanted)
    order = _interpreted(stream)
    if not isinstance(order, list) or any(not isinstance(key, str) for key in order):
        raise _Refused("its list of storages is damaged")
    if len(set(order)) != len(order) or set(order) != set(storages):
        raise _Refused("its list of storages does not agree with its tensors")
    place = stream.tell()
    numbers: Tensors = {}
    for key in order:
        storage = storages[key]
        length = storage.count * storage.dtype.itemsize
        if len(data) < place + 8 + length:
            raise _Refused("it ends too early")
        if struct.unpack_from("<q", data, place)[0] != storage.count:
            raise _Refused("a storage is of another size than its tensors say")
        numbers[key] = np.frombuffer(data, storage.dtype, storage.count, place + 8)
        place += 8 + length
    return _tensors(wanted, numbers)


def _from_archive(data: bytes) -> Tensors:
    """A zip archive NAME/data.pkl, NAME/data/KEY; uncompressed, as PyTorch writes it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = {info.filename: info for info in archive.infolist()}
            pickles = [name for name in inside if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1 or len(inside) != len(archive.infolist()):
                raise _Refused("it is an archive, but no checkpoint of PyTorch")
            root = pickles[0].partition("/")[0]

            def member(name: str, most: int) -> bytes:
                info = inside.get(f"{root}/{name}")
                if info is None:
                    raise _Refused(f"{name} is missing in it")
                # Stored means that it is as large as it says and no larger: nothing can swell.
                if info.compress_type != zipfile.ZIP_STORED or not 0 <= info.file_size <= most:
                    raise _Refused(f"{name} in it is compressed or too large")
                return archive.read(info)

            if f"{root}/byteorder" in inside and member("byteorder", 16) != b"little":
                raise _Refused("its numbers are not little-endian")
            wanted = _flat(_interpreted(io.BytesIO(member("data.pkl", _PICKLE_BYTES))))
            numbers: Tensors = {}
            for key, storage in _storages_of(wanted).items():
                length = storage.count * storage.dtype.itemsize
                if not key.isalnum() or len(raw := member(f"data/{key}", length)) != length:
                    raise _Refused("a storage is of another size than its tensors say")
                numbers[key] = np.frombuffer(raw, storage.dtype)
    except _Refused:
        raise
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, struct.error) as error:
        raise _Refused("the archive is damaged") from error
    return _tensors(wanted, numbers)


# Tensors


def _flat(value: object) -> dict[str, _Tensor]:
    """What a checkpoint holds. Refuses what is no flat dictionary of tensors."""
    if not isinstance(value, dict) or not value:
        raise _Refused("it holds no tensors")
    if not all(isinstance(name, str) and isinstance(one, _Tensor) for name, one in value.items()):
        raise _Refused("it holds other things than tensors")
    return value


def _storages_of(wanted: Mapping[str, _Tensor]) -> dict[str, _Storage]:
    """Every storage that is referred to."""
    found: dict[str, _Storage] = {}
    for tensor in wanted.values():
        if found.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise _Refused("it contradicts itself about a storage")
    return found


def _tensors(wanted: Mapping[str, _Tensor], numbers: Tensors) -> Tensors:
    return {name: _viewed(tensor, numbers[tensor.storage.key]) for name, tensor in wanted.items()}


def _viewed(tensor: _Tensor, numbers: NDArray[Any]) -> NDArray[Any]:
    if 0 in tensor.shape:
        return np.empty(tensor.shape, numbers.dtype)
    size = numbers.itemsize
    # A view, never a copy: a small file can name one storage a million times.
    return np.ndarray(
        tensor.shape, numbers.dtype, numbers, tensor.offset * size, [step * size for step in tensor.strides]
    )


def _checked_tensor(arguments: object) -> _Tensor:
    """A tensor from what `_rebuild_tensor_v2` is given: storage, offset, sizes, strides, and more."""
    match arguments:
        case (_Storage() as storage, int() as offset, tuple() as shape, tuple() as strides, *_):
            pass
        case _:
            raise _Refused("a tensor in it is malformed")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > _DIMENSIONS:
        raise _Refused("a tensor in it is malformed")
    if not all(type(number) is int and 0 <= number <= MAX_BYTES for number in numbers):
        raise _Refused("a tensor in it is malformed")
    # Not larger than its storage: else strides of 0 would make of a small file more than memory holds.
    count, last = 1, offset
    for length, step in zip(shape, strides, strict=True):
        count *= length
        last += (length - 1) * step
    if count > storage.count or (last >= storage.count if count else offset > storage.count):
        raise _Refused("a tensor in it reaches beyond its storage")
    return _Tensor(storage, offset, shape, strides)


def _checked_storage(said: object) -> _Storage:
    match said:
        case ("storage", _Name(of), str() as key, str(), int() as count, *_) if of in _STORAGES:
            dtype = _STORAGES[of]
            if not 0 <= count * dtype.itemsize <= MAX_BYTES:
                raise _Refused("a storage in it is too large")
            return _Storage(key, dtype, count)
    raise _Refused("a storage in it is malformed or of a kind that is not read")


# The interpreter


def _interpreted(stream: io.BytesIO) -> object:
    """The value that one pickle builds; the stream then stands behind it."""
    machine = _Machine()
    start = stream.tell()
    try:
        for _ in range(_STEPS):
            operation = _OPERATIONS[stream.read(1)]
            if operation.name == "GLOBAL":  # its reader would take what no name has for escapes, and warn
                argument: Any = (_line(stream), _line(stream))
            else:
                argument = operation.arg.reader(stream) if operation.arg else None
            if operation.name == "STOP":
                return machine.stack.pop()
            machine.step(operation.name, argument)
            if stream.tell() - start > _PICKLE_BYTES:
                break
    except _Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error) as error:
        raise _Refused("what describes its tensors is damaged, or is something else") from error
    raise _Refused("what describes its tensors is too long")


def _line(stream: io.BytesIO) -> str:
    return stream.readline(256).decode("ascii").removesuffix("\n")


class _Machine:
    """The part of the pickle machine that state dictionaries need. Values are plain data and inert."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Do one instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._memo[argument])
        elif name != "PROTO":
            _ACTS[name](self, argument)

    def mark(self, _: Any) -> None:
        self._marks.append(len(self.stack))

    def long_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def small_tuple(self, length: int) -> None:
        values = [self.stack.pop() for _ in range(length)]
        self.stack.append(tuple(reversed(values)))

    def appends(self, _: Any) -> None:
        values = self._since_mark()
        self._last(list).extend(values)

    def append(self, _: Any) -> None:
        value = self.stack.pop()
        self._last(list).append(value)

    def set_items(self, _: Any) -> None:
        values = self._since_mark()
        self._set(values)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def name(self, argument: tuple[str, str]) -> None:
        if argument not in _NAMES:
            raise _Refused("it would call what is no part of a tensor")
        self.stack.append(_Name(argument))

    def persistent(self, _: Any) -> None:
        self.stack.append(_checked_storage(self.stack.pop()))

    def reduce(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        match called:
            case _Name(of) if of == _DICTIONARY and arguments == ():
                self.stack.append({})
            case _Name(of) if of == _REBUILD:
                self.stack.append(_checked_tensor(arguments))
            case _:
                raise _Refused("it holds other things than tensors")

    def build(self, _: Any) -> None:
        # State of the dictionary itself: the versions of its modules, which we have no use for.
        self.stack.pop()
        self._last(dict)

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _last(self, kind: type[Any]) -> Any:
        if type(self.stack[-1]) is not kind:
            raise _Refused("what describes its tensors is damaged")
        return self.stack[-1]

    def _set(self, values: list[Any]) -> None:
        into = self._last(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str:
                raise _Refused("it holds other things than tensors")
            into[key] = value


_VALUES = {"BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"}
_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_ACTS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "TUPLE": _Machine.long_tuple,
    "TUPLE1": lambda machine, _: machine.small_tuple(1),
    "TUPLE2": lambda machine, _: machine.small_tuple(2),
    "TUPLE3": lambda machine, _: machine.small_tuple(3),
    "APPENDS": _Machine.appends,
    "APPEND": _Machine.append,
    "SETITEMS": _Machine.set_items,
    "SETITEM": _Machine.set_item,
    "GLOBAL": _Machine.name,
    "BINPERSID": _Machine.persistent,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
_KNOWN = {*_VALUES, *_CONSTANTS, *_ACTS, "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "PROTO", "STOP"}
_OPERATIONS: dict[bytes, Any] = {
    operation.code.encode("latin-1"): operation
    for operation in pickletools.opcodes
    if operation.name in _KNOWN
}
"""By their byte; what is not here is refused before its argument is looked at."""
