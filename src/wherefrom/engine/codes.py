"""The catalog's fingerprints as the codes that the Hamming index is derived from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.catalog import Catalog, Marks
from wherefrom.engine.rows import Codes, Numbers
from wherefrom.errors import CollectionDamaged
from wherefrom.features.extract import FINGERPRINT
from wherefrom.features.fingerprint import CODE_BYTES, PLAIN_BYTES, TRIMMED_BYTES, Fingerprint

_USABLE = np.array([Fingerprint.from_bytes(bytes([n]) + bytes(CODE_BYTES)).usable for n in range(256)])
"""Whether a fingerprint that begins with this byte is usable: the rest has no say in that."""

_CODE = np.arange(1, 1 + CODE_BYTES)
_TRIMMED = _CODE + CODE_BYTES


class CodeSource:
    """The `Source` of the Hamming index: entry 2 × key is an image's code, 2 × key + 1 its trimmed one."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def marks(self) -> Marks:
        """How far the catalog has come."""
        return self._catalog.marks()

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        return self._catalog.removals_after(seq)

    def entries_after(self, key: int, limit: int) -> tuple[int, Numbers, Codes]:
        """The codes of the usable fingerprints among the next `limit` keys.

        Raises CollectionDamaged when something else than a fingerprint is kept as one.
        """
        rows = self._catalog.features_after(FINGERPRINT, key, limit)
        if not rows:
            return key, np.zeros(0, np.int64), np.zeros((0, CODE_BYTES), np.uint8)
        numbers = [row[0] for row in rows]
        if not all(isinstance(number, int) for number in numbers) or (np.diff([key, *numbers]) <= 0).any():
            raise CollectionDamaged("The catalog's fingerprints are in disorder. Run: wherefrom check")
        return numbers[-1], *_entries(np.array(numbers, np.int64), [row[1] for row in rows])


def _entries(keys: NDArray[np.int64], data: list[bytes]) -> tuple[Numbers, Codes]:
    """The entries and codes of the fingerprints of `keys`, in order."""
    try:
        lengths = np.array([len(one) for one in data], np.int64)
        packed = np.frombuffer(b"".join(data), np.uint8)
    except TypeError:  # not even bytes
        lengths, packed = np.zeros(len(data), np.int64), np.zeros(0, np.uint8)
    strange = (lengths != PLAIN_BYTES) & (lengths != TRIMMED_BYTES)
    if strange.any():
        raise CollectionDamaged(
            f"The fingerprint of image number {keys[np.argmax(strange)]} is damaged. Run: wherefrom rebuild"
        )
    starts = np.cumsum(lengths) - lengths
    usable = _USABLE[packed[starts]]
    trimmed = usable & (lengths == TRIMMED_BYTES)
    plain_codes = packed[starts[usable, None] + _CODE]
    if not trimmed.any():
        return 2 * keys[usable], plain_codes
    entries = np.concatenate([2 * keys[usable], 2 * keys[trimmed] + 1])
    codes = np.concatenate([plain_codes, packed[starts[trimmed, None] + _TRIMMED]])
    order = np.argsort(entries)
    return entries[order], codes[order]
