"""The seam between a `Collection` and where its images are kept.

`Collection` calls everything here and nothing else of an engine; `embedded.py` is one machine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.conditions import Extra
from wherefrom.engine.copying import Copied, OnPages
from wherefrom.engine.vectors import Found
from wherefrom.engine.word_votes import Votes, WordQuery
from wherefrom.errors import CollectionLocked
from wherefrom.filters.terms import Filter
from wherefrom.records import FieldValue, FileStamp, Image, NewImage, Refusal, Sighting


class CodeHit(NamedTuple):
    """A fingerprint near one of the codes asked for.

    `query` numbers the code, `key` the image; `trimmed` tells the image's inner code from its whole
    one; `distance` is in bits, lower is nearer.
    """

    query: int
    key: int
    trimmed: bool
    distance: int


class Engine(Protocol):
    """Keeps images with their sightings and features, and finds them. Thread-safe.

    What `add` returns is searchable; what `remove` returns is gone; both have been committed.
    """

    directory: Path
    """Where what is kept lies, if it is on this machine."""

    def add(
        self, images: Sequence[NewImage], originals: Mapping[bytes, bytes] | None = None
    ) -> list[tuple[int, bool]]:
        """Add images; gives each one's key and whether it was new.

        `originals` are the bytes of some of them, to be kept, by digest.
        """
        ...

    def kept(self, digest: bytes) -> str | None:
        """The path of the file in which an image's bytes are kept; None where they are not."""
        ...

    def sweep(self) -> int:
        """Delete kept bytes that belong to no image; gives how many there were."""
        ...

    def remove(self, keys: Sequence[int]) -> int:
        """Remove images; gives how many there were."""
        ...

    def set_fields(self, keys: Sequence[int], fields: Mapping[str, FieldValue | None]) -> int:
        """Give images fields, or with None take them away; gives how many images there were."""
        ...

    def document(self, name: str) -> Any:
        """The JSON value kept with the collection under that name, None when there is none."""
        ...

    def keep_document(self, name: str, value: Any) -> bool:
        """Keep a JSON value under a name, or with None forget it; gives whether there was one before."""
        ...

    def matching(self, wanted: Filter | str, extra: Extra | None = None) -> NDArray[np.int64]:
        """The keys, rising, of the images a filter lets through; `extra` answers for labels and colours."""
        ...

    def count(self) -> int:
        """How many images there are."""
        ...

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist."""
        ...

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """One kind of feature of those images that have it."""
        ...

    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are here."""
        ...

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri."""
        ...

    def near_codes(self, codes: NDArray[np.uint8], radius: int) -> list[CodeHit]:
        """Every fingerprint within `radius` bits of each code, uint8 (q, 32), nearest first per code."""
        ...

    def near_words(self, query: Sequence[WordQuery], limit: int) -> Votes:
        """The `limit` images that most visual words of a query's variants speak for, best first."""
        ...

    def near_vectors(
        self, queries: NDArray[np.float32], limit: int, *, allowed: NDArray[np.int64] | None = None
    ) -> Found:
        """The `limit` images most similar to each query, float32 (q, d) of length 1, best first.

        With `allowed`, keys that rise, only those. Nothing where no model computes embeddings.
        """
        ...

    def table(self, kind: str) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """(keys, uint8 (n, width) rows) of a kind, a batch at a time: palettes, or what is behind vectors.

        In no order.
        """
        ...

    def codes(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """(2 × key + trimmed, uint8 (n, 32) codes) of every usable fingerprint, a batch at a time."""
        ...

    def ordered(self, by: str) -> NDArray[np.int64]:
        """The keys of all images in an order: `added`, `date` or `pixels`, rising."""
        ...

    def seen_twice(self) -> list[int]:
        """The keys of images that are in several places at present."""
        ...

    def several_places(self, keys: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
        """(number, uri) of the files in which images are at present, of those that are in several places."""
        ...

    def unchanged(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by path, size and time: their digest, or why they were refused."""
        ...

    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture."""
        ...

    def present_under(self, prefix: str) -> Iterator[tuple[int, str]]:
        """(number, uri) of the sightings at or below a uri that are not marked gone."""
        ...

    def sightings_from(
        self, prefix: str, after: tuple[str, int], limit: int
    ) -> list[tuple[int, bytes, Sighting]]:
        """(image key, digest, sighting) of the next sightings whose uri begins with `prefix`, gone or not.

        They come in order of uri and key; `after` is those of the last one read, ("", 0) to begin with.
        """
        ...

    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        ...

    def revision(self) -> tuple[int, int]:
        """What changes when images are added or removed."""
        ...

    def mark_gone(self, numbers: Sequence[int]) -> None:
        """Mark sightings as no longer there."""
        ...

    def damage(self) -> Iterator[str]:
        """Everything that is wrong with what is kept, a sentence each."""
        ...

    def stale(self) -> list[int]:
        """The keys of images whose features are missing or of another version."""
        ...

    def refresh_features(self, rows: Sequence[tuple[int, str, dict[str, bytes]]]) -> None:
        """Replace the features of images: (key, decoder, data by kind)."""
        ...

    def rebuild(self) -> None:
        """Derive every index from the catalog again."""
        ...

    def backup(self, directory: Path, progress: OnPages | None = None) -> Copied:
        """Copy what is kept to a directory that is new or empty, as it is at one moment."""
        ...

    def wait_for_turn(self, seconds: float, on_wait: Callable[[CollectionLocked], None] | None) -> None:
        """Wait so long, from now on, where another process is writing; `on_wait` is told who is."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Have the lock of the collection throughout; raises CollectionLocked."""
        ...

    def let_go(self, idle: float) -> bool:
        """Let others write if nothing was changed for `idle` seconds, or they wait; gives whether it did."""
        ...

    def close(self) -> None:
        """Let files and locks go."""
        ...
