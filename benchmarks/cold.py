"""How long `wherefrom search` takes from shell to answer, in a new process each time.

A collection of so many images (random fingerprints, and a real picture) is searched with an edited copy of
the real one. The page cache is warm; the process is not. A Python that imports NumPy and ends is timed in
turn, as the floor of any such program.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tests.scenes import encoded, picture

from benchmarks.timing import Contest, extremes
from benchmarks.updates import batches
from wherefrom.engine.embedded import EmbeddedEngine

COMMAND = [sys.executable, "-m", "wherefrom.cli.main"]
FLOOR = "python -c 'import numpy'"


def run(images: int = 10_000, repeat: int = 9) -> tuple[dict[str, Any], list[str]]:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        engine = EmbeddedEngine(home / "photos.wherefrom", create=True)
        for some in batches(np.random.default_rng(0), images, 1_000):
            engine.add(some)
        engine.close()
        (home / "one.jpg").write_bytes(encoded(picture(1)))
        (home / "query.jpg").write_bytes(encoded(picture(1).resize((200, 150))))
        called = partial(subprocess.run, cwd=home, check=True, capture_output=True)
        called([*COMMAND, "index", "one.jpg", "-q"])

        def search() -> None:
            done = called([*COMMAND, "search", "query.jpg", "--json"])
            assert json.loads(done.stdout)["matches"][0]["kind"] == "same"

        floor = partial(called, [sys.executable, "-c", "import numpy"])
        times = Contest({"wherefrom search": search, FLOOR: floor}).held(repeat)
    rows = {name: extremes(some, "s") for name, some in times.items()}
    slow = rows["wherefrom search"]["median_s"]
    return {"images": images, "rows": rows}, [f"{slow} s, which is a second or more"] if slow >= 1 else []
