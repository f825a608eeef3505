"""A decoder of queries that hangs, dies or lies at the bidding of a file's last bytes."""

from __future__ import annotations

import ctypes
import os
import socket
import time
from typing import Any

import msgpack

from wherefrom.picture.decode import decode as _decode
from wherefrom.picture.picture import Picture
from wherefrom.processes import decoder
from wherefrom.processes.frames import framed

HANG, EXIT, SLEEP, NO_MEMORY, TWICE, DRIP, HOLD = (
    b"%-8b" % word for word in (b"HANG", b"EXIT", b"SLEEP", b"NOMEM", b"TWICE", b"DRIP", b"HOLD")
)
LIE = b"LIE"
"""Before msgpack of a message and a byte of its length: that is told instead."""

_handle = -1


def lie(message: dict[str, Any]) -> bytes:
    """What a file ends with so that its decoder tells this message."""
    body: bytes = msgpack.packb(message)
    return LIE + body + bytes([len(body)])


def _hostile(data: bytes, **options: Any) -> Picture:
    word = data[-8:]
    if word == HANG:
        ctypes.PyDLL(None).sleep(1000)
    elif word == EXIT:
        os._exit(3)
    elif word == SLEEP:
        time.sleep(0.4)
    elif word == NO_MEMORY:
        raise MemoryError
    elif word == TWICE:
        os.write(_handle, framed([{"ready": True}]))
    elif word == DRIP:
        while True:
            os.write(_handle, framed([{"ready": True}]))
            time.sleep(0.05)
    elif word == HOLD:
        while True:
            os.write(_handle, framed([{"holding": True}]))
            time.sleep(0.05)
    size = data[-1]
    if data[-1 - size - len(LIE) :].startswith(LIE):
        with socket.socket(fileno=os.dup(_handle)) as channel:
            channel.sendall(framed([msgpack.unpackb(data[-1 - size : -1])]))
            channel.sendall(bytes(64))
        time.sleep(1000)
    return _decode(data, **options)


def serve(handle: int, gate: int) -> None:
    """As `wherefrom.processes.decoder.serve`, with the decoder above."""
    global _handle
    _handle = handle
    vars(decoder)["decode"] = _hostile
    decoder.serve(handle, gate)
