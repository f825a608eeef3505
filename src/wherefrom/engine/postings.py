"""The catalog's keypoints as the postings that the words index is derived from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.catalog import Catalog
from wherefrom.engine.catalog_source import CatalogSource
from wherefrom.engine.word_files import Postings
from wherefrom.errors import CollectionDamaged
from wherefrom.features.extract import KEYPOINTS
from wherefrom.features.keypoints import BYTES, columns


def posting_source(catalog: Catalog) -> CatalogSource[Postings]:
    """The images that have keypoints kept."""
    return CatalogSource(catalog, KEYPOINTS, "keypoints", _postings)


def _postings(keys: list[int], data: list[bytes]) -> Postings:
    for key, one in zip(keys, data, strict=True):
        if not isinstance(one, bytes) or len(one) % BYTES:
            raise CollectionDamaged(
                f"The keypoints of image number {key} are damaged. Run: wherefrom rebuild"
            )
    counts = np.array([len(one) // BYTES for one in data], np.int64)
    starts = np.cumsum(counts) - counts
    total = int(counts.sum())
    words, signatures = np.empty(total, np.uint16), np.empty(total, np.uint64)
    angles, scales = np.empty(total, np.uint8), np.empty(total, np.uint8)
    # Most images have the same number of keypoints: those are taken apart together.
    for count in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == count)
        places = (starts[rows, None] + np.arange(count)).ravel()
        found = columns(b"".join(data[row] for row in rows.tolist()), count)
        angles[places], scales[places], words[places], signatures[places] = (
            found[0].ravel(),
            found[1].ravel(),
            found[2].ravel(),
            found[3].ravel(),
        )
    numbers: NDArray[np.int64] = np.repeat(np.array(keys, np.int64), counts)
    return Postings(numbers, words, signatures, angles, scales)
