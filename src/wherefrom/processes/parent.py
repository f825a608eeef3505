"""Starting and ending child processes that speak over a socket."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from wherefrom.errors import WherefromError

GRACE = 2.0
"""Seconds beyond the limit before a silent child is killed."""

STARTING, STARTS = 60.0, 3
"""Seconds that a child may take to come up, and how often it is tried."""


def started(
    module: str, *arguments: object, handles: Sequence[int] = ()
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process that runs `serve(handle, *arguments)` of a module, and our end of the socket to it.

    Arguments are plain values; `handles` are descriptors that it is given besides. Raises WherefromError
    where the system has no such processes, OSError where it can start no more.
    """
    if os.name != "posix" or find_spec("fcntl") is None or find_spec("resource") is None:
        raise WherefromError(
            "Pictures are decoded in processes with limits of their own, which Wherefrom can set up on Linux "
            "and macOS; on Windows, use it in WSL or a container."
        )
    ours, theirs = socket.socketpair()
    path = (str(Path(__file__).parent.parent.parent), os.environ.get("PYTHONPATH", ""))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    said = ", ".join(map(repr, (theirs.fileno(), *arguments)))
    with theirs:
        try:
            process = subprocess.Popen(
                # -P: or else a msgpack.py in the present folder, among the pictures, would be run.
                [sys.executable, "-P", "-c", f"from {module} import serve; serve({said})"],
                pass_fds=[theirs.fileno(), *handles],
                env=environment,
                stdin=subprocess.PIPE,  # nothing is ever written: it closes when the parent is gone
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which ends its children itself
            )
        except BaseException:
            ours.close()
            raise
    return process, ours


def ended(process: subprocess.Popen[bytes], channel: socket.socket, patience: float = 0.0) -> int:
    """How a process ended: by itself within `patience` seconds, or else by force."""
    channel.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    process.kill()
    process.communicate()  # which closes its standard input
    return process.returncode


def abandoned(process: subprocess.Popen[bytes], channel: socket.socket) -> None:
    """Let go of a process that belongs to the one that this was forked off from, and end nothing."""
    channel.close()
    if process.stdin is not None:
        process.stdin.close()
    process.returncode = 0  # it is not ours to wait for


def ending(status: int) -> str:
    """A process's end in words."""
    return f"signal {-status}" if status < 0 else f"exit {status}"


def no_start(status: int | None, module: str) -> WherefromError:
    """What is raised where children do not come up."""
    how = ending(status) if status is not None else f"nothing was heard for {STARTING:g} seconds"
    return WherefromError(
        f"The processes that decode pictures cannot be started here ({how}). "
        f"Running {sys.executable} -c 'import {module}' says more."
    )
