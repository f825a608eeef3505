"""Inner products of int8 rows and int16 queries, about as fast as rows come from memory.

Importing this module imports Numba. Two things a compiler does not do by itself make the difference:

- Rows are asked of memory 4 KB before they are looked at: by what the processor guesses alone, a core gets
  half of what memory could send it. Asking for what is never read, or is not there, does no harm.
- Where the processor has VNNI (`vpdpbusd`), which multiplies 32 bytes at a time and adds, a query is split
  into two rows of bytes, 256 × high + low. That instruction wants its first bytes unsigned: a row's are
  raised by 128, and what this adds is taken off at the start. Elsewhere numbers of 16 bits are multiplied.

Sums are exact and do not depend on the way. Numba keeps compiled kernels by the file that they are in: who
changes this one has to touch `vector_kernels.py`, too.
"""

from __future__ import annotations

from typing import Any

import numba.core.config
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

_AHEAD = 4096  # bytes; with 1 KB a scan takes 20 % longer, with 8 KB the same
_LINE = 64  # bytes that memory gives at a time
_WIDTH, _LANES = 32, 8  # bytes, and sums of four products, of one instruction
_COUNT = 256  # numbers of a row for which the steps are written out: as many as an embedding has

_BYTE, _WORD, _SIZE = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BYTES = ir.VectorType(_BYTE, _WIDTH)
_WORDS = ir.VectorType(_WORD, _LANES)


def _has_vnni() -> bool:
    """Whether what is compiled here may use VNNI: not if Numba is told to compile for another processor."""
    has = get_host_cpu_features()
    there = has.get("avxvnni") or (has.get("avx512vnni") and has.get("avx512vl"))
    config: Any = numba.core.config
    return bool(there) and (config.CPU_NAME, config.CPU_FEATURES) == (None, None)


def _begin(context: Any, builder: Any, kind: Any, array: Any) -> tuple[Any, Any]:
    """Where an array begins, and the length of its last axis."""
    there = context.make_array(kind)(context, builder, array)
    return there.data, builder.extract_value(there.shape, kind.ndim - 1)


def _ask(_context: Any, row: Any, _at: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = _begin(context, builder, signature.args[0], args[0])[0]
        place = builder.bitcast(builder.gep(start, [args[1]]), _BYTE.as_pointer())
        form = ir.FunctionType(ir.VoidType(), [place.type, _WORD, _WORD, _WORD])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [place.type], form)
        builder.call(ask, [place, _WORD(0), _WORD(3), _WORD(1)])  # to read, to be kept, data
        return context.get_dummy_value()

    return types.void(row, types.int64), emit


def _sum(_context: Any, row: Any, parts: Any) -> Any:
    """The inner product of `_COUNT` numbers, step by step: a loop would take half as long again."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        codes, length = _begin(context, builder, signature.args[0], args[0])
        high, _ = _begin(context, builder, signature.args[1], args[1])
        low = builder.gep(high, [length])
        form = ir.FunctionType(_WORDS, [_WORDS, _WORDS, _WORDS])
        multiply = builder.module.declare_intrinsic("llvm.x86.avx512.vpdpbusd.256", (), form)

        def taken(start: Any, step: int) -> Any:
            place = builder.bitcast(builder.gep(start, [_SIZE(step)]), _BYTES.as_pointer())
            return builder.load(place, align=1)

        sums = [_WORDS([0] * _LANES)] * 2
        for step in range(0, _COUNT, _WIDTH):
            raised = builder.bitcast(builder.xor(taken(codes, step), _BYTES([128] * _WIDTH)), _WORDS)
            for part, start in enumerate((high, low)):
                asked = builder.bitcast(taken(start, step), _WORDS)
                sums[part] = builder.call(multiply, [sums[part], raised, asked])
        lanes = builder.add(builder.shl(sums[0], _WORDS([8] * _LANES)), sums[1])
        form = ir.FunctionType(_WORD, [_WORDS])
        add = builder.module.declare_intrinsic(f"llvm.vector.reduce.add.v{_LANES}i32", (), form)
        return builder.call(add, [lanes])

    return types.int32(row, parts), emit


_ask_for: Any = intrinsic(_ask)
_sum_of: Any = intrinsic(_sum)


@njit(nogil=True)
def ask_for(row: NDArray[np.int8], rows: int) -> None:
    """Have memory send the row that lies `rows` further on, or what lies in its place."""
    for at in range(0, row.shape[0], _LINE):
        _ask_for(row, rows * row.shape[0] + at)


@njit(nogil=True)
def ask_ahead(row: NDArray[np.int8]) -> None:
    """Have memory send what follows a row by 4 KB."""
    for at in range(0, row.shape[0], _LINE):
        _ask_for(row, _AHEAD + at)


@njit(nogil=True)
def _split(queries: NDArray[np.int16]) -> Any:
    count, length = queries.shape
    parts = np.empty((count, 2, length), np.int8)
    starts = np.zeros(count, np.int32)
    for q in range(count):
        for j in range(length):
            number = np.int32(queries[q, j])
            low = ((number + 128) & 255) - 128
            parts[q, 0, j], parts[q, 1, j] = (number - low) >> 8, low
            if length == _COUNT:
                starts[q] -= 128 * number
    return parts, starts


@njit(nogil=True)
def _dot_of_bytes(row: NDArray[np.int8], parts: NDArray[np.int8], start: np.int32) -> Any:
    if row.shape[0] == _COUNT:
        return np.int32(start + _sum_of(row, parts))
    total = start
    for j in range(row.shape[0]):
        total += np.int32(row[j]) * (256 * np.int32(parts[0, j]) + np.int32(parts[1, j]))
    return np.int32(total)


@njit(nogil=True)
def _dots_of_bytes(
    rows: NDArray[np.int8], parts: NDArray[np.int8], start: np.int32, out: NDArray[np.float32]
) -> None:
    if rows.shape[1] == _COUNT:  # asked once: the loop is then a third quicker
        for i in range(rows.shape[0]):
            ask_ahead(rows[i])
            out[i] = np.float32(start + _sum_of(rows[i], parts))
    else:
        for i in range(rows.shape[0]):
            out[i] = np.float32(_dot_of_bytes(rows[i], parts, start))


@njit(nogil=True)
def _whole(queries: NDArray[np.int16]) -> Any:
    return queries.copy().reshape((queries.shape[0], 1, queries.shape[1])), np.zeros(
        queries.shape[0], np.int32
    )


@njit(nogil=True)
def _dot_of_numbers(row: NDArray[np.int8], parts: NDArray[np.int16], start: np.int32) -> Any:
    total = start
    for j in range(row.shape[0]):
        total += np.int32(row[j]) * np.int32(parts[0, j])
    return np.int32(total)


@njit(nogil=True)
def _dots_of_numbers(
    rows: NDArray[np.int8], parts: NDArray[np.int16], start: np.int32, out: NDArray[np.float32]
) -> None:
    for i in range(rows.shape[0]):
        ask_ahead(rows[i])
        out[i] = np.float32(_dot_of_numbers(rows[i], parts, start))


# laid(queries): queries, int16 (q, d) of ±32,639 at most, as the others take them: parts (q, …, d), starts.
# dot(row, parts[q], starts[q]): the inner product of a row, int8 (d,) and contiguous, and a query; int32.
# dots(rows, parts[q], starts[q], out): those of rows, int8 (n, d), put into `out`, float32 (n,).
laid: Any
dot: Any
dots: Any
if _has_vnni():
    laid, dot, dots = _split, _dot_of_bytes, _dots_of_bytes
else:
    laid, dot, dots = _whole, _dot_of_numbers, _dots_of_numbers
