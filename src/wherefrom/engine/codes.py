"""The catalog's fingerprints as the codes that the Hamming index is derived from."""

from __future__ import annotations

import numpy as np

from wherefrom.engine.catalog import Catalog
from wherefrom.engine.catalog_source import CatalogSource
from wherefrom.engine.rows import Codes, Numbers
from wherefrom.errors import CollectionDamaged
from wherefrom.features.extract import FINGERPRINT
from wherefrom.features.fingerprint import CODE_BYTES, PLAIN_BYTES, TRIMMED_BYTES, Fingerprint

_USABLE = np.array([Fingerprint.from_bytes(bytes([n]) + bytes(CODE_BYTES)).usable for n in range(256)])
"""Whether a fingerprint that begins with this byte is usable: the rest has no say in that."""

_CODE = np.arange(1, 1 + CODE_BYTES)
_TRIMMED = _CODE + CODE_BYTES


def code_source(catalog: Catalog) -> CatalogSource[tuple[Numbers, Codes]]:
    """The usable fingerprints: entry 2 × key is an image's code, 2 × key + 1 its trimmed one."""
    return CatalogSource(catalog, FINGERPRINT, "fingerprints", _packed)


def _packed(numbers: list[int], data: list[bytes]) -> tuple[Numbers, Codes]:
    """The entries and codes of the fingerprints of these keys, in order."""
    keys = np.array(numbers, np.int64)
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
