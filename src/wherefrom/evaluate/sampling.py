"""Sampling: which pictures of a folder or a collection are tried, and which are held out.

What is chosen follows from the seed and from the names alone: the order in which a folder or a collection is
read, and how many processes there are, change nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from wherefrom.batches import batched
from wherefrom.engine.base import Engine
from wherefrom.errors import UsageError
from wherefrom.evaluate.trials import Skip
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import LEAST, Keypoints
from wherefrom.picture import formats
from wherefrom.printing import counted
from wherefrom.records import Image, digest_of
from wherefrom.sources.folder import FoundFile, path_of, walk

MOST_HELD_OUT = 200
"""Pictures held out, at most, where it is not said how many."""

_BATCH = 256
T = TypeVar("T")


class Subject(NamedTuple):
    """A picture to try: the key and id of its image (0 and "" where it is in no collection), its file.

    `path` is None where the collection keeps the bytes itself.
    """

    key: int
    id: str
    uri: str
    path: str | None


@dataclass
class Picked:
    """What was picked, in the order of picking, and what was met on the way and passed over.

    `blank` are the uris of pictures with too little in them for any search.
    """

    subjects: list[Subject] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)


def held_out_of(count: int, asked: int | None) -> int:
    """How many of so many pictures are held out: as many as asked, or a tenth, at most 200.

    Raises UsageError where that leaves nothing to search through.
    """
    if asked is None:
        return min(MOST_HELD_OUT, count // 10)
    if not 0 <= asked < max(count, 1):
        raise UsageError(
            f"{counted(asked, 'picture')} cannot be held out of {count:,}: at least one has to be left to be "
            f"searched for. Give --held-out a smaller number."
        )
    return asked


def shuffled(things: Iterable[T], seed: int, name: Callable[[T], str]) -> list[T]:
    """Things in an order of chance that follows from the seed and each one's name alone."""

    def place(thing: T) -> tuple[bytes, str]:
        called = name(thing)
        # Names of files hold any bytes.
        said = f"{seed}\0{called}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(said, digest_size=16).digest(), called

    return sorted(things, key=place)


def split_folder(
    folder: str | os.PathLike[str], held_out: int | None, seed: int
) -> tuple[list[str], list[Subject]]:
    """The files of a folder: those to be indexed, and the pictures held out.

    What cannot be opened is among those to be indexed, where it gets its outcome. Raises UsageError for what
    is no folder, or one without a file.
    """
    root = os.path.abspath(os.path.expanduser(folder))
    if not os.path.isdir(root):
        raise UsageError(f"{root} is no folder. Give the folder whose pictures are to be tried.")
    found = list(walk(root))
    files = [one for one in found if isinstance(one, FoundFile)]
    if not files:
        raise UsageError(f"There are no files in {root}.")
    wanted = held_out_of(len(files), held_out)
    held: list[Subject] = []
    for file in shuffled(files, seed, lambda one: os.path.relpath(one.path, root)):
        if len(held) == wanted:
            break
        if _looks_like_a_picture(file.path):
            held.append(Subject(0, "", file.uri, file.path))
    left_out = {one.path for one in held}
    paths = [one.path for one in files if one.path not in left_out]
    # A path that cannot be opened is given again when the folder is added: its outcome belongs to the run.
    paths += [path for one in found if not isinstance(one, FoundFile) and (path := path_of(one.uri))]
    return paths, held


def images_of(engine: Engine, seed: int) -> list[tuple[str, int]]:
    """(id, key) of every image of a collection, shuffled."""
    keys = engine.select(None)
    known = [(image.id, key) for some in batched(keys, _BATCH) for key, image in engine.images(some).items()]
    return shuffled(known, seed, lambda one: one[0])


def pick(engine: Engine, order: Sequence[tuple[str, int]], count: int, but: Iterable[int] = ()) -> Picked:
    """The first `count` images of an order (`images_of`) that can be tried, but those of some keys.

    Passed over are images without a file at hand, and those with too little in them for any search.
    """
    barred = set(but)
    picked = Picked()
    waiting = (key for _, key in order if key not in barred)
    for keys in batched(waiting, _BATCH):
        for subject, image, blank in _looked_up(engine, keys):
            if len(picked.subjects) >= count:
                return picked
            uri = subject.uri if subject else image.sightings[0].uri if image.sightings else image.id
            if blank:
                picked.blank.append(uri)
            elif subject is None:
                picked.skipped.append(
                    Skip(uri, "None of the files in which it was seen is at hand: it cannot be edited.")
                )
            else:
                picked.subjects.append(subject)
    return picked


def _looked_up(engine: Engine, keys: Sequence[int]) -> Iterator[tuple[Subject | None, Image, bool]]:
    images = engine.images(keys)
    prints, points = engine.features(FINGERPRINT, keys), engine.features(KEYPOINTS, keys)
    for key in keys:
        if key in images:
            blank = _is_blank(prints.get(key, b""), points.get(key, b""))
            yield _at_hand(engine, key, images[key]), images[key], blank


def _is_blank(printed: bytes, points: bytes) -> bool:
    usable = bool(printed) and Fingerprint.from_bytes(printed).usable
    return not usable and len(Keypoints.from_bytes(points)) < LEAST


def _at_hand(engine: Engine, key: int, image: Image) -> Subject | None:
    for sighting in image.sightings:
        path = path_of(sighting.uri)
        if path is not None and sighting.gone is None and os.path.isfile(path):
            return Subject(key, image.id, sighting.uri, path)
    if engine.original(digest_of(image.id)) is None:
        return None
    return Subject(key, image.id, image.sightings[0].uri if image.sightings else image.id, None)


def _looks_like_a_picture(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            kind = formats.sniff(file.read(formats.HEAD))
    except OSError:
        return False
    return kind is not None and kind.decoded
