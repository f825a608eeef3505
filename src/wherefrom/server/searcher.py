"""In a search process: opens the collections to read, and answers one request at a time until the end."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import msgpack

from wherefrom.collection import Collection, open_collection
from wherefrom.errors import TooLarge, WherefromError
from wherefrom.processes.memory import share
from wherefrom.server.logs import set_up_logs
from wherefrom.server.pool import HEADER, MESSAGE
from wherefrom.settings import Settings

MEMORY = (512 * 1024**2, 3 * 1024**3)
"""The least and the most bytes that a process is allowed beyond what it has when it is ready: half of what
the machine has is shared by all of them, where the setting `max_memory` does not say."""


def serve(handle: int) -> None:
    """Answer what comes over a socket until it closes."""
    from wherefrom.processes.child import end_with_parent
    from wherefrom.server.tasks import TASKS

    end_with_parent()
    channel = socket.socket(fileno=handle)
    stream = channel.makefile("rb")
    plan = _read(stream)
    if plan is None:
        return
    set_up_logs(plan.get("log_format", "json"))
    logging.getLogger("wherefrom").setLevel(logging.WARNING)
    try:
        collections = _opened(plan)
    except WherefromError as error:
        _send(channel, _told(error))
        return
    except Exception:  # noqa: BLE001 - whatever it is, the server logs it
        _send(channel, {"error": WherefromError.code, "trace": traceback.format_exc()})
        return
    _limit_memory(memory_of(plan))
    _send(channel, {"answer": None})
    while (message := _read(stream)) is not None:
        verb = message.pop("verb")
        try:
            said = {"answer": TASKS[verb](collections, **message)}
        except WherefromError as error:
            said = _told(error)
        except MemoryError:
            said = _told(TooLarge("This needs more memory than is allowed."))
        except Exception:  # noqa: BLE001 - whatever it is, the process goes on, and the server logs it
            said = {"error": WherefromError.code, "trace": traceback.format_exc()}
        _send(channel, said)
        del message, said  # a large one is not held while nothing is asked


def _told(error: WherefromError) -> dict[str, str]:
    return {"error": error.code, "reason": str(error)}


def _read(stream: io.BufferedReader) -> dict[str, Any] | None:
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    (size,) = HEADER.unpack(head)
    body = stream.read(size) if size <= MESSAGE else b""
    if len(body) < size or size > MESSAGE:
        return None
    found: dict[str, Any] = msgpack.unpackb(body)
    return found


def _send(channel: socket.socket, said: dict[str, Any]) -> None:
    body = msgpack.packb(said)
    channel.sendall(HEADER.pack(len(body)))
    channel.sendall(body)


def _opened(plan: dict[str, Any]) -> dict[str, Collection]:
    """The collections of a plan, warm: models, compiled code and indexes are loaded."""
    import cv2

    cv2.setNumThreads(1)
    settings = Settings(**plan["settings"])
    found = {name: open_collection(Path(path), settings=settings) for name, path in plan["collections"]}
    for collection in found.values():
        _warm(collection)
    return found


def _warm(collection: Collection) -> None:
    import numpy as np

    from wherefrom.picture.picture import Picture

    noise = np.random.default_rng(1).integers(0, 255, (24, 32, 3), np.uint8)
    picture = Picture.from_array(np.kron(noise, np.ones((16, 16, 1), np.uint8)))
    for kinds in (None, "all"):
        with contextlib.suppress(WherefromError):  # which is for who searches to hear
            collection.search(picture, kinds=kinds)
    collection.compare(picture, picture)


def memory_of(plan: dict[str, Any]) -> int:
    """The bytes that each search process may take beyond what it has when it is ready."""
    stated: int = plan["settings"]["max_memory"]
    return stated or share(0.5 / plan["processes"], *MEMORY)


def _limit_memory(memory: int) -> None:
    if sys.platform != "linux":  # elsewhere a limit on data is refused, or means something else
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack
    most = pages * resource.getpagesize() + memory
    highest = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = most if highest == resource.RLIM_INFINITY else min(most, highest)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
