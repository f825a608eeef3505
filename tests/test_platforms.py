"""Windows and macOS, as far as Linux can tell: what they lack is hidden, and everything is imported.

Each test is a process of its own, in which modules and calls of other systems are taken away before the first
import of ours.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path

import wherefrom
from tests.scenes import encoded, picture

HIDE = """
import os, signal, sys
import importlib, selectors, socket, subprocess, tempfile, asyncio, multiprocessing
import concurrent.futures.process
for name in ("numpy", "cv2", "PIL.Image", "onnxruntime", "sqlalchemy", "numba", "fastapi",
             "uvicorn", "click", "prometheus_client", "limits",
             "limits.storage", "multipart", "pypdfium2"):
    try:
        importlib.import_module(name)  # what is not ours may look at the system as it is
    except ImportError:
        pass
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None  # as if there were no such module
for name in ("sched_getaffinity", "posix_fallocate", "O_CLOEXEC", "O_NONBLOCK", "O_ASYNC", "O_NOFOLLOW",
             "O_DIRECTORY", "register_at_fork", "fork", "pread", "pwrite", "getuid", "geteuid", "statvfs"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("setitimer", "alarm", "SIGALRM", "SIGIO", "SIGKILL", "SIGHUP", "SIGXCPU", "ITIMER_REAL"):
    if hasattr(signal, name):
        delattr(signal, name)
"""


def elsewhere(body: str, cwd: Path, system: str = "win32") -> subprocess.CompletedProcess[str]:
    """Run Python where there is none of what only Linux has; `sys.platform` says so for our modules."""
    program = HIDE + f"sys.platform = {system!r}\n" + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_module_is_imported_where_posix_is_missing(tmp_path: Path) -> None:
    folder = str(Path(wherefrom.__file__).parent)
    names = [module.name for module in pkgutil.walk_packages([folder], "wherefrom.")]
    assert len(names) > 150
    for system in ("win32", "darwin"):
        body = f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\nprint('all')"
        done = elsewhere(body, tmp_path, system)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout == "all\n"


def test_one_sentence_where_something_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(picture(1)))
    for arguments in (["index", "a.jpg"], ["compare", "a.jpg", "a.jpg"]):
        done = elsewhere(f"from wherefrom.cli.main import run\nsys.exit(run({arguments!r}))", tmp_path)
        assert done.returncode not in (0, 1), done
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "WSL" in done.stderr
        assert done.stdout == ""
