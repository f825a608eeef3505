"""The library by itself, for `service`: searches for uploads by their numbers, one a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import wherefrom
from wherefrom.settings import Settings


def main() -> int:
    import cv2

    cv2.setNumThreads(1)
    bodies = [path.read_bytes() for path in sorted(Path(sys.argv[2]).iterdir())]
    with wherefrom.open(sys.argv[1], settings=Settings(model="none")) as collection:
        for line in sys.stdin:
            answer = collection.search(bodies[json.loads(line)["number"] % len(bodies)])
            print(json.dumps([match.id for match in answer]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
