"""Writers that are killed at a step of their work, and directories put back to what they were."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch


class Killed(BaseException):
    """Ends a writer without anything of it being cleaned up."""


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Run `work()` up to the step-th call that changes a file or directory; whether it got that far."""
    left = [step]

    def watched(plain: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return plain(*args, **kwargs)

        return call

    plain_open, watched_open = Path.open, watched(Path.open)

    def opening(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        call: Callable[..., object] = plain_open if mode in ("r", "rb") else watched_open
        return call(path, mode, *args, **kwargs)

    with ExitStack() as stack:
        stack.enter_context(patch.object(Path, "open", opening))
        for name in ("mkdir", "replace", "rename", "unlink", "write_bytes", "write_text"):
            stack.enter_context(patch.object(Path, name, watched(getattr(Path, name))))
        for name in ("fsync", "posix_fallocate"):
            stack.enter_context(patch.object(os, name, watched(getattr(os, name))))
        stack.enter_context(patch.object(shutil, "rmtree", watched(shutil.rmtree)))
        try:
            work()
        except Killed:
            return True
    return False


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, by its path."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def restore(directory: Path, files: dict[str, bytes]) -> None:
    """Put a directory back to what `bytes_of` found; it is there afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(directory)) not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for name, data in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != data:
            target.write_bytes(data)
