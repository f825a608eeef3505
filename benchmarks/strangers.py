"""How near the fingerprints of unrelated pictures come: what the claim radius is set by.

Every picture of the folder is a query with all its codes against every other picture's fingerprint. Files of
the folders that repeat each other (`trying.RELATED`) are not counted. The nearest pairs are named.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.common import place_of
from benchmarks.trying import pictures, related
from wherefrom.features.fingerprint import fingerprint, query_codes
from wherefrom.picture.decode import decode


def run(folder: str | None = None, within: int = 76) -> tuple[dict[str, Any], list[str]]:
    paths, targets, queries = [], [], {}
    for path in pictures(place_of(folder), once=False):
        picture = decode(path.read_bytes(), colour=False)
        known = fingerprint(picture)
        queries[path] = query_codes(picture)[0]
        codes = [code for code in (known.code, known.trimmed) if known.usable and code is not None]
        paths += [path] * len(codes)
        targets += codes
    every, near, compared = np.stack(targets), [], 0
    for path, variants in queries.items():
        strangers = np.array([other != path and not related(str(path), str(other)) for other in paths])
        compared += len(variants) * int(strangers.sum())
        for variant in variants:
            distances = np.bitwise_count(every ^ variant.code).sum(axis=1)
            for row in np.flatnonzero(strangers & (distances <= within)):
                names = ("/".join(one.parts[-2:]) for one in (path, paths[row]))
                near.append((int(distances[row]), *names))
    counts = Counter(pair[0] for pair in near)
    return {
        "pictures": len(queries),
        "codes_compared": compared,
        "within": dict(sorted(counts.items())),
        "nearest": sorted(near)[:12],
    }, []
