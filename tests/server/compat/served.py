"""A real server in a process of its own, for clients to be tried on. It fetches from this machine too.

    python -m tests.server.compat.served FOLDER

serves the collections FOLDER/photos and FOLDER/logos, and says where.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MOST = 3_000_000
"""Bytes of a body at most."""


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's collections, as long as it is needed."""
    command = [sys.executable, "-m", "tests.server.compat.served", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert "http://" in said, "the server did not start"
            yield re.findall(r"http://[0-9.]+:[0-9]+", said)[0]
        finally:
            process.terminate()
            process.wait(60)


def main(folder: Path) -> None:
    from wherefrom.server.config import Config
    from wherefrom.server.running import run
    from wherefrom.settings import Settings

    config = Config(
        tuple((name, folder / name) for name in ("photos", "logos")),
        Settings(allow_private="127.0.0.0/8"),
        port=0,
        workers=1,
        max_upload=MOST,
    )
    run(config, lambda said: print(said, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
