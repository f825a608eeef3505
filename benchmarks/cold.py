"""How long `wherefrom search` takes from shell to answer, in a new process each time.

    python benchmarks/cold.py [--images 10000] [--repeat 9] [--json]

A collection of so many images (random fingerprints, and a few real pictures) is searched with an edited
copy of a real one. The page cache is warm; the process is not. A Python that imports NumPy and ends is
timed in turn, as the floor of any such program.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.scenes import encoded, picture

from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.picture.metadata import Credit
from wherefrom.records import NewImage, Place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        fill(home / "photos.wherefrom", options.images)
        (home / "one.jpg").write_bytes(encoded(picture(1)))
        (home / "query.jpg").write_bytes(encoded(picture(1).resize((200, 150))))
        wherefrom = [sys.executable, "-m", "wherefrom.cli.main"]
        subprocess.run(
            [*wherefrom, "index", "one.jpg", "-q"], cwd=home, check=True, stderr=subprocess.DEVNULL
        )
        commands = {
            "wherefrom search": [*wherefrom, "search", "query.jpg", "--json"],
            "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.repeat + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                done = subprocess.run(command, cwd=home, check=True, capture_output=True, text=True)
                times[name].append(time.perf_counter() - start)
                if name == "wherefrom search":
                    assert json.loads(done.stdout)["matches"][0]["kind"] == "same"
    rows = {
        name: {
            "median_s": round(statistics.median(taken[1:]), 3),
            "min_s": round(min(taken[1:]), 3),
            "max_s": round(max(taken[1:]), 3),
        }
        for name, taken in times.items()
    }
    result = {"machine": platform.processor() or platform.machine(), "images": options.images, "rows": rows}
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{options.images:,} images\n\n| | median s | min | max |\n|---|---|---|---|")
        for name, row in rows.items():
            print(f"| {name} | {row['median_s']} | {row['min_s']} | {row['max_s']} |")
    return int(rows["wherefrom search"]["median_s"] >= 1)


def fill(directory: Path, count: int) -> None:
    random = np.random.default_rng(0)
    engine = EmbeddedEngine(directory, create=True)
    codes = random.integers(0, 256, (count, 32), dtype=np.uint8)
    digests = random.bytes(32 * count)
    images = [
        NewImage(
            digest=digests[32 * n : 32 * n + 32],
            width=500,
            height=375,
            format="jpeg",
            bytes=100_000,
            frames=1,
            quality=100,
            credit=Credit(),
            decoder="none",
            features={"pdq": Fingerprint(codes[n], 100).to_bytes()},
            place=Place(f"file:///pictures/{n}.jpg"),
        )
        for n in range(count)
    ]
    engine.add(images)
    engine.close()


if __name__ == "__main__":
    sys.exit(main())
