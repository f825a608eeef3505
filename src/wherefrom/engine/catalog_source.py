"""One kind of the catalog's features as what an index is derived from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from wherefrom.engine.catalog import Catalog, Marks
from wherefrom.engine.column_files import MOST_PARTS, PART_BITS
from wherefrom.engine.rows import Codes, Numbers
from wherefrom.errors import CollectionDamaged
from wherefrom.features.registry import Feature

R = TypeVar("R")


class CatalogSource(Generic[R]):
    """The `Source` of an index: the features of a kind, packed as its rows."""

    def __init__(
        self, catalog: Catalog, kind: str, name: str, pack: Callable[[list[int], list[bytes]], R]
    ) -> None:
        """`pack` makes rows of keys, rising, and the feature of each; it raises CollectionDamaged for what
        is none. `name` is what the features are called, as in "fingerprints"."""
        self._catalog = catalog
        self._kind = kind
        self._name = name
        self._pack = pack

    def marks(self) -> Marks:
        """How far the catalog has come."""
        return self._catalog.marks()

    def removals_after(self, seq: int) -> tuple[list[int], int]:
        """The keys removed since removal `seq`, and the number of the last removal."""
        return self._catalog.removals_after(seq)

    def rows_after(self, key: int, limit: int) -> tuple[int, R]:
        """The last of the next `limit` keys, or `key` itself when there are no more, and their rows.

        Raises CollectionDamaged when something else than features of the kind is kept as such.
        """
        rows = self._catalog.features_after(self._kind, key, limit)
        keys = [row[0] for row in rows]
        if not all(isinstance(one, int) for one in keys) or (np.diff([key, *keys]) <= 0).any():
            raise CollectionDamaged(f"The catalog's {self._name} are in disorder. Run: wherefrom check")
        return keys[-1] if keys else key, self._pack(keys, [row[1] for row in rows])


def column_source(catalog: Catalog, feature: Feature, width: int) -> CatalogSource[tuple[Numbers, Codes]]:
    """Parts of `width` bytes each: the entries and rows of those that are not empty."""

    def packed(keys: list[int], data: list[bytes]) -> tuple[Numbers, Codes]:
        entries: list[int] = []
        rows: list[bytes] = []
        for key, one in zip(keys, data, strict=True):
            parts = _parts(feature, key, one)
            if any(len(part) != width for part in parts) or len(parts) > MOST_PARTS:
                raise _damaged(feature, key)
            entries += (
                [(key << PART_BITS) + part for part in range(len(parts))]
                if feature.many
                else [key] * len(parts)
            )
            rows += parts
        return np.array(entries, np.int64), np.frombuffer(b"".join(rows), np.uint8).reshape(-1, width)

    return CatalogSource(catalog, feature.kind, feature.nouns[1], packed)


def _parts(feature: Feature, key: int, data: object) -> list[bytes]:
    try:
        if isinstance(data, bytes):
            return feature.parts(data)
    except Exception as error:
        raise _damaged(feature, key) from error
    raise _damaged(feature, key)


def _damaged(feature: Feature, key: int) -> CollectionDamaged:
    return CollectionDamaged(
        f"The {feature.nouns[0]} of image number {key} is damaged. Run: wherefrom rebuild"
    )
