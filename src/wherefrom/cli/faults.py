"""Exceptions that nobody foresaw: one sentence and an exit code of their own, never a traceback.

`WHEREFROM_TRACEBACK=1` in the environment prints the traceback as well, for whoever reports or mends it.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import IO

from wherefrom.errors import Fault, MachineFault, UsageError, WherefromError

TRACEBACK = "WHEREFROM_TRACEBACK"
"""The variable that asks for tracebacks."""

_MACHINE = {
    errno.EMFILE: "This process may not open any more files. Allow more with: ulimit -n 1024",
    errno.ENFILE: "The machine has no room for more open files.",
    errno.ENOSPC: "There is no room left on the disk or device.",
    errno.EDQUOT: "There is no room left within your quota on the disk.",
    errno.ENOMEM: "There is not enough memory.",
    errno.EIO: "A disk or device could not be read or written.",
    errno.EAGAIN: "The machine has no room for another process or thread.",
}


_NO_MEMORY = ("failed to map segment", "Insufficient memory", "cannot allocate memory")
"""What libraries say that have words of their own for it."""


def error_of(error: BaseException, arguments: Sequence[str]) -> WherefromError:
    """What an exception means for the person at the command line.

    Bytes in an argument that are no UTF-8 are wrong usage; what memory, disk and limits of the machine
    refused is its fault; all else is ours.
    """
    if isinstance(error, UnicodeEncodeError) and (odd := _not_unicode(arguments)):
        return UsageError(f"{odd} has bytes that are no UTF-8, and is no file name.")
    for one in _causes(error):
        if isinstance(one, MemoryError) or any(mark in str(one) for mark in _NO_MEMORY):
            return MachineFault("There is not enough memory for this.")
        if isinstance(one, OSError) and one.errno in _MACHINE:
            where = f" ({one.filename})" if isinstance(one.filename, str) else ""
            return MachineFault(_MACHINE[one.errno] + where)
    if isinstance(error, OSError):
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return MachineFault(f"{where}{(error.strerror or str(error) or type(error).__name__).lower()}.")
    said = " ".join(str(error).split())[:300]
    return Fault(
        f"Something went wrong inside Wherefrom ({type(error).__name__}{f': {said}' if said else ''}). "
        f"Please report it; with {TRACEBACK}=1 in the environment it says where."
    )


def print_traceback(error: BaseException) -> None:
    """The traceback on stderr, where it was asked for."""
    if os.environ.get(TRACEBACK, "") not in ("", "0") and sys.stderr is not None:
        traceback.print_exception(error, file=sys.stderr)


def guard_threads() -> None:
    """Have threads that fail say so in a sentence, too."""

    def told(failed: threading.ExceptHookArgs) -> None:
        if failed.exc_value is not None and sys.stderr is not None:
            sys.stderr.write(f"wherefrom: {error_of(failed.exc_value, ())}\n")
            print_traceback(failed.exc_value)

    threading.excepthook = told


def guard_streams() -> None:
    """Have standard streams that were closed before we began fail in words, and none refuse a character.

    A closed descriptor would be given to the next file that is opened, such as a collection's catalog.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _Closed() -> IO[str]:  # noqa: N802 - reads as the class that it makes
    import io

    class Closed(io.TextIOBase):
        """Standard output that was closed: to write there is an error, not silence."""

        def write(self, _text: str) -> int:
            raise OSError(errno.EBADF, "standard output is closed")

        def flush(self) -> None:
            """Nothing waits."""

    return Closed()  # type: ignore[return-value]


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found


def _not_unicode(arguments: Sequence[str]) -> str | None:
    for one in arguments:
        if not one.isascii() and any("\ud800" <= letter <= "\udfff" for letter in one):
            return one
    return None
