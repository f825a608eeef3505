"""The door of the command line: whatever goes wrong before the program stands has an exit code, too.

Python ends in 1 when it cannot import what it is told to run, and so does OpenBLAS, by itself, when it gets
no memory; but 1 means "nothing found" here.
"""

import os
import sys

_FAULT = 70  # Exit.FAULT, which may be what cannot be imported


def main() -> None:
    """Run the command line and exit the process."""
    guarded = _guard_exit()
    try:
        from wherefrom.cli.main import main as started

        started()
    except SystemExit as end:
        if guarded:
            _leave(end.code if isinstance(end.code, int) else _FAULT)
        raise
    except BaseException as error:  # noqa: BLE001 - no memory or no files: any import may fail
        try:
            said = " ".join(f"{type(error).__name__}: {error}".split())[-200:]
            told = f"wherefrom: The program could not be started: memory or files ran out ({said}).\n"
            os.write(2, told.encode(errors="replace"))
        finally:
            os._exit(_FAULT)


def _guard_exit() -> bool:
    """Have a library that ends the process end it in 70; gives whether we have to leave by `_leave`.

    Only where memory is limited, where libraries do so: C's `exit` then calls `_exit(70)` first.
    """
    try:
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
            return False
        import ctypes

        libc = ctypes.CDLL(None)
        return bool(libc.__cxa_atexit(libc._exit, ctypes.c_void_p(_FAULT), None) == 0)
    except Exception:  # noqa: BLE001 - no such module or function: nothing is guarded
        return False


def _leave(code: int) -> None:
    """End as Python does, without C's `exit`."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or _FAULT
    os._exit(code)


if __name__ == "__main__":
    main()
