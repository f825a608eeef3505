"""Filepaths in a collection, as MatchEngine lists, counts and deletes them: one or more for each image."""

from __future__ import annotations

from collections.abc import Sequence

from wherefrom.batches import batched
from wherefrom.collection import Collection
from wherefrom.filters.terms import Term
from wherefrom.records import Image
from wherefrom.server.compat.filepaths import filepaths_of, uri_of
from wherefrom.server.compat.reading import Room

MOST_LISTED = 10_000
"""Filepaths of one list."""


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
    engine, several = collection.engine, _several(collection)
    found: list[str] = []
    place = 0  # of the first filepath of the images whose turn it is
    for keys in batched(engine.select(None), 256):
        counts = [len(several[key]) if key in several else 1 for key in keys]
        after = place + sum(counts)
        if after > start:
            images = engine.images(keys)
            for key, count in zip(keys, counts, strict=True):
                paths = _paths_of(images[key]) if key in images else []
                found += [path for at, path in enumerate(paths, place) if start <= at < end]
                place += count
        place = after
        if place >= end:
            break
    return found


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
        for keys in batched(engine.select(Term("places", ">=", 2.0)), 256)
        for key, image in engine.images(keys).items()
    }


def _is_at(image: Image, uri: str) -> bool:
    return any(place.uri == uri and place.gone is None for place in image.sightings)


def _paths_of(image: Image) -> list[str]:
    return filepaths_of(image.id, [place.as_json() for place in image.sightings])
