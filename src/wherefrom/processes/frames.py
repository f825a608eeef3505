"""Messages between a process and its children: msgpack behind its length. Data, and never code."""

from __future__ import annotations

import struct
from typing import Any

import msgpack

HEADER = struct.Struct("<I")
"""The length of a message in bytes, before it."""

LONGEST = 64 * 1024 * 1024
"""Bytes of the longest message that is believed of a child."""


def framed(said: Any) -> bytes:
    """A message with its header."""
    body: bytes = msgpack.packb(said)
    return HEADER.pack(len(body)) + body


class Frames:
    """Messages out of bytes as they come in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def fed(self, chunk: bytes) -> list[Any]:
        """The parts of every message that is complete now, in order; a message is a list of them.

        Raises ValueError or TypeError for what is no message.
        """
        self._buffer += chunk
        parts: list[Any] = []
        while len(self._buffer) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._buffer)
            if size > LONGEST:
                raise ValueError(size)
            if len(self._buffer) < HEADER.size + size:
                break
            body = bytes(self._buffer[HEADER.size : HEADER.size + size])
            del self._buffer[: HEADER.size + size]
            parts.extend(msgpack.unpackb(body))
        return parts
