"""A worker whose decoder hangs, dies or eats memory at the bidding of a file's last bytes.

Given to `Workers` in place of its own module, so that what hostile files do now and then happens at will.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from wherefrom import workers
from wherefrom.features.extract import Recipe
from wherefrom.picture.limits import Limits
from wherefrom.processes.frames import framed
from wherefrom.records import NewImage

HANG, LOCK, EXIT, SEGV, KILL, ABORT, RAISE, MEMORY, BABBLE, HEAVY, LIE, HOLD = (
    b"%-8b" % word
    for word in (
        b"HANG",
        b"LOCK",
        b"EXIT",
        b"SEGV",
        b"KILL",
        b"ABORT",
        b"RAISE",
        b"MEMORY",
        b"BABBLE",
        b"HEAVY",
        b"LIE",
        b"HOLD",
    )
)
HEAVY_SECONDS = 0.4

_PLAIN = Recipe()
_new_image = workers.new_image
_handle = -1


def _hostile(
    data: bytes, limits: Limits, gate: AbstractContextManager[object], recipe: Recipe = _PLAIN
) -> NewImage:
    word = data[-8:]
    if word == HANG:
        time.sleep(1000)
    elif word == LOCK:
        ctypes.PyDLL(None).sleep(1000)  # in C, and no Python signal handler would ever run
    elif word == EXIT:
        os._exit(3)
    elif word == SEGV:
        ctypes.string_at(0)
    elif word == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == ABORT:
        os.abort()
    elif word == RAISE:
        raise AssertionError("a mistake of ours")
    elif word == MEMORY:
        return _hostile(bytes(1 << 40), limits, gate, recipe)
    elif word == BABBLE:
        os.write(_handle, b"\x04\0\0\0junk and more junk")
    elif word == LIE:
        image = _new_image(data, limits, gate, recipe)
        return replace(image, width=1 << 63)
    elif word == HOLD:
        while True:
            os.write(_handle, framed([{"holding": True}]))
            time.sleep(0.05)
    elif word == HEAVY:
        with gate:
            time.sleep(HEAVY_SECONDS)
    return _new_image(data, limits, gate, recipe)


def serve(handle: int, limits: tuple[Any, ...], gate: int, recipe: dict[str, Any]) -> None:
    """As `wherefrom.workers.serve`, with the decoder above."""
    global _handle
    _handle = handle
    workers.new_image = _hostile
    workers.serve(handle, limits, gate, recipe)
