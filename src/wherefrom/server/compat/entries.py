"""Filepaths in a collection, as MatchEngine lists, counts and deletes them: one or more for each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wherefrom.batches import batched
from wherefrom.collection import Collection
from wherefrom.records import Image
from wherefrom.server.compat.filepaths import filepaths_of, uri_of
from wherefrom.server.compat.reading import Room

MOST_LISTED = 10_000
"""Filepaths of one list."""

_EVERY = "width>=0"  # a filter that lets every image through


def count(collection: Collection) -> int:
    """How many filepaths there are."""
    return len(collection) + sum(len(paths) - 1 for paths in _several(collection).values())


def page(collection: Collection, start: int, end: int | None) -> tuple[list[str], bool]:
    """The filepaths from `start` up to `end`, None for all that follow, in the order of adding.

    They are cut after 10,000, or a million characters; the flag tells whether they were. Only the images that
    have them are read.
    """
    found = _page(
        collection, start, start + MOST_LISTED + 1 if end is None else min(end, start + MOST_LISTED + 1)
    )
    kept = Room().first(found, MOST_LISTED)
    return found[:kept], kept < len(found)


def _page(collection: Collection, start: int, end: int) -> list[str]:
    engine = collection.engine
    keys = engine.matching(_EVERY)
    several = _several(collection)
    counts = np.ones(len(keys), np.int64)
    for key, paths in several.items():
        place = int(np.searchsorted(keys, key))
        if place < len(keys) and keys[place] == key:  # it may have been added meanwhile
            counts[place] = len(paths)
    ends = counts.cumsum()
    first = int(np.searchsorted(ends, start, side="right"))
    last = int(np.searchsorted(ends, end, side="left")) + 1
    found: list[str] = []
    for some in batched(keys[first:last].tolist(), 256):
        images = engine.images(some)
        found += [path for key in some if key in images for path in _paths_of(images[key])]
    skipped = start - int(ends[first] - counts[first]) if first < len(keys) else 0
    return found[skipped : skipped + max(0, end - start)]


def at(collection: Collection, path: str) -> list[str]:
    """The ids of the images that have a filepath."""
    uri = uri_of(path)
    return [image.id for image in collection.find(uri) if image.id == uri or _is_at(image, uri)]


def forget(collection: Collection, path: str) -> bool:
    """Take a filepath back, and the image when it was its last one; False where there is none."""
    uri = uri_of(path)
    if not at(collection, path):
        return False
    return (collection.forget(uri) if "://" in uri else collection.remove(uri)) > 0


def remove_unseen(collection: Collection, identifiers: Sequence[str]) -> None:
    """Remove those of these images that other images have taken the last place of."""
    for identifier in identifiers:
        for image in collection.find(identifier):
            if all(place.gone is not None for place in image.sightings):
                collection.remove(identifier)


def _several(collection: Collection) -> dict[int, list[str]]:
    """The filepaths of the images that are in several places."""
    engine = collection.engine
    return {
        key: _paths_of(image)
        for keys in batched(engine.seen_twice(), 256)
        for key, image in engine.images(keys).items()
    }


def _is_at(image: Image, uri: str) -> bool:
    return any(place.uri == uri and place.gone is None for place in image.sightings)


def _paths_of(image: Image) -> list[str]:
    return filepaths_of(image.id, [place.as_json() for place in image.sightings])
