"""How near the fingerprints of unrelated pictures come: what the claim radius is set by.

    python benchmarks/strangers.py [--folder DIR] [--within 76] [--json]

Every picture of the folder is a query with all its codes against every other picture's fingerprint. Files
of the folders that repeat each other (see `recall.py`) are not counted. The nearest pairs are named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

import wherefrom
from common import SHARED
from recall import related
from wherefrom.features.fingerprint import fingerprint, query_codes
from wherefrom.picture.decode import decode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=SHARED)
    parser.add_argument("--within", type=int, default=76)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths, targets, queries = [], [], {}
    for path in sorted(path for path in options.folder.rglob("*") if path.is_file()):
        try:
            picture = decode(path.read_bytes(), colour=False)
        except wherefrom.PictureError:
            continue
        known = fingerprint(picture)
        queries[path] = query_codes(picture)[0]
        for code in (known.code, known.trimmed):
            if known.usable and code is not None:
                paths.append(path)
                targets.append(code)
    codes, near, pairs = np.stack(targets), [], 0
    for path, variants in queries.items():
        strangers = np.array([other != path and not related(str(path), str(other)) for other in paths])
        pairs += len(variants) * int(strangers.sum())
        for variant in variants:
            distances = np.bitwise_count(codes ^ variant.code).sum(axis=1)
            for row in np.flatnonzero(strangers & (distances <= options.within)):
                other = paths[row]
                near.append((int(distances[row]), "/".join(path.parts[-2:]), "/".join(other.parts[-2:])))
    near.sort()
    result = {
        "pictures": len(queries),
        "codes_compared": pairs,
        "within": dict(sorted(Counter(distance for distance, _, _ in near).items())),
        "nearest": near[:12],
    }
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{result['pictures']:,} pictures, {pairs:,} comparisons of codes of unrelated pictures")
        print(f"distance and how many: {result['within']}")
        for distance, one, other in near[:12]:
            print(f"  {distance}  {one}  {other}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
