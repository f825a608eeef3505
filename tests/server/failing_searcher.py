"""A search process that answers, hangs, dies or babbles as it is told; see `test_pool.py`.

It speaks for itself: dozens are started, and the real one imports all that searches.
"""

from __future__ import annotations

import io
import os
import socket
import time
from typing import Any

import msgpack

from wherefrom.errors import CollectionMissing
from wherefrom.server.pool import HEADER


def _read(stream: io.BufferedReader) -> Any:
    head = stream.read(HEADER.size)
    return msgpack.unpackb(stream.read(HEADER.unpack(head)[0])) if head else None


def _send(channel: socket.socket, said: dict[str, Any]) -> None:
    body = msgpack.packb(said)
    channel.sendall(HEADER.pack(len(body)) + body)


def serve(handle: int) -> None:
    channel = socket.socket(fileno=handle)
    stream = channel.makefile("rb")
    plan = _read(stream)
    assert plan is not None
    if plan.get("missing"):
        _send(channel, {"error": CollectionMissing.code, "reason": "There is nothing."})
        return
    if plan.get("dies"):
        os._exit(3)
    once = plan.get("starts")  # a file in which starts are counted
    if once:
        with open(once, "a") as file:  # noqa: PTH123
            file.write(f"{os.getpid()}\n")
    _send(channel, {"answer": None})
    while (message := _read(stream)) is not None:
        match message["verb"]:
            case "echo":
                _send(channel, {"answer": message["data"]})
            case "pid":
                _send(channel, {"answer": os.getpid()})
            case "sleep":
                time.sleep(message["seconds"])
                _send(channel, {"answer": "slept"})
            case "die":
                os._exit(7)
            case "raise":
                _send(channel, {"error": message["code"], "reason": "It is so."})
            case "babble":
                body = msgpack.packb([1, 2, 3])
                channel.sendall(len(body).to_bytes(4, "little") + body)
            case "boast":
                channel.sendall(b"\xff\xff\xff\xff")
                time.sleep(60)
