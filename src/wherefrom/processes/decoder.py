"""In a process that decodes for `wherefrom.decoding`: bytes in, pixels out. Loads no more than that needs."""

from __future__ import annotations

import select
import socket
import sys
from typing import Any, BinaryIO

import numpy as np

from wherefrom.errors import PictureError, TooLarge
from wherefrom.picture.decode import decode
from wherefrom.picture.jpeg import decode_stored
from wherefrom.picture.limits import Limits
from wherefrom.processes.child import (
    Gate,
    clear_alarm,
    end_with_parent,
    limit_memory,
    received,
    send,
    set_alarm,
)

IDLE = 300.0
"""Seconds without a task after which the process ends itself."""


def serve(handle: int, gate: int) -> None:
    """Decode what comes over a socket until it closes, or nothing has come for long."""
    end_with_parent()
    limited = False
    channel = socket.socket(fileno=handle)
    stream = channel.makefile("rb")
    send(channel, [{"ready": True}])
    while select.select([channel], [], [], IDLE)[0]:
        try:
            task = received(stream)
        except EOFError:
            return
        limits = Limits(*task["limits"])
        if not limited:  # by its first task, before which it has read nothing
            limit_memory(limits.memory)
            limited = True
        set_alarm(limits.seconds)
        _perform(channel, stream, gate, limits, task)
        clear_alarm()
    sys.exit(0)


def _perform(
    channel: socket.socket, stream: BinaryIO, gate: int, limits: Limits, task: dict[str, Any]
) -> None:
    body = memoryview(b"")
    try:
        data, turn = stream.read(task["bytes"]), Gate(channel, gate, limits.seconds)
        if task["stored"]:
            picture = decode_stored(data, limits, turn)
        else:
            picture = decode(data, colour=task["colour"], limits=limits, gate=turn, least=task["least"])
        facts = picture.facts
        told = {name: getattr(facts, name) for name in facts.__slots__ if name != "credit"}
        pixels = np.ascontiguousarray(picture.pixels)
        message: dict[str, Any] = {"facts": told | {"credit": facts.credit.as_json()}, "shape": pixels.shape}
        body = pixels.data.cast("B")
    except PictureError as error:
        message = {"error": error.code, "reason": str(error), "passing": error.passing}
    except MemoryError:
        reason = "Decoding this file needs more memory than there is, or than is allowed."
        message = {"error": TooLarge.code, "reason": reason, "passing": True}
    send(channel, [message])
    channel.sendall(body)
