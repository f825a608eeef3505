"""What a collection holds, to be read: images, where they were seen, and what they show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from wherefrom.batches import batched
from wherefrom.engine.base import Engine
from wherefrom.errors import NotFound, UsageError
from wherefrom.features.extract import EMBEDDING, PALETTE
from wherefrom.features.fingerprint import NEARLY_BLANK
from wherefrom.listing import Listed, listed
from wherefrom.places import looked
from wherefrom.records import ID_PREFIX, Image, digest_of
from wherefrom.search.lookup import LabelCount, label_counts
from wherefrom.search.pixels import bytes_of
from wherefrom.search.wishes import About
from wherefrom.settings import Settings
from wherefrom.sources.folder import file_uri

if TYPE_CHECKING:
    from wherefrom.engine.base import Selection, SightingPage
    from wherefrom.filters.terms import Filter


_BEGUN = re.compile(f"({re.escape(ID_PREFIX)})?([0-9a-f]{{6,64}})")
_DIGITS = 64  # of an id, behind its prefix


class Holding:
    """Images with their sightings and features. Thread-safe."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let files and locks go."""
        self._engine.close()

    def __len__(self) -> int:
        return self._engine.count()

    @property
    def settings(self) -> Settings:
        """What it was opened with."""
        return self._settings

    @property
    def engine(self) -> Engine:
        """What keeps the images and finds them: for what is built upon it, such as an evaluation."""
        return self._engine

    def original(self, identifier: str) -> bytes:
        """The bytes of the image of an id: of a file in which it was seen, or as they were received.

        Raises NotFound where they are nowhere any more, UsageError for what is no id.
        """
        image = self.get(identifier)
        data = bytes_of(image, self._settings.limits, self._engine.original)
        if data is None:
            raise no_file(image)
        return data

    def _allowed(self, filter: str | Filter | None) -> Selection | None:
        return None if filter is None else self._engine.select(filter)

    def get(self, identifier: str) -> Image:
        """The image of an id; raises NotFound, or UsageError for what is no id."""
        digest = digest_of(identifier)
        key = self._engine.keys_of([digest]).get(digest)
        found = self._engine.images([key]) if key is not None else {}
        if key is None or key not in found:
            raise NotFound(f"There is no image {identifier} in this collection.")
        return looked(found[key])

    def about(self, identifier: str) -> About:
        """What the image of an id shows: labels, colours, where its things are; of a blank one colours alone.

        Raises NotFound, or UsageError for what is no id.
        """
        image = self.get(identifier)
        digest = digest_of(image.id)
        key = self._engine.keys_of([digest])[digest]
        if image.quality < NEARLY_BLANK:
            return About.of(b"", self._engine.features(PALETTE, [key]).get(key, b""))
        return About.of(*(self._engine.features(kind, [key]).get(key, b"") for kind in (EMBEDDING, PALETTE)))

    @property
    def revision(self) -> str:
        """What changes whenever images are added or removed, or are seen somewhere else."""
        return self._engine.revision()

    @property
    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        return self._engine.total_bytes()

    def labels(self) -> list[LabelCount]:
        """What the images show: each label and each category with how many images have it, most first.

        The counts are those of the images that the filter `label:NAME` lets through.
        """
        return label_counts(self._engine)

    def sightings(self, prefix: str = "", *, after: str | None = None, limit: int = 100) -> SightingPage:
        """The next (image id, sighting) whose uri begins with `prefix`, gone or not, in order of uri.

        `after` is the `next` of the page before. Raises UsageError for what is none.
        """
        return self._engine.sightings(prefix, after=after, limit=limit)

    def changes(self, since: str | None = None, limit: int = 1_000) -> Changed:
        """What happened since a cursor, None for the beginning: ids of images added and of those seen
        somewhere else or no longer there, how many were removed, and the cursor to go on from.

        Raises UsageError for what is no cursor.
        """
        found = self._engine.changes(since, limit)
        known = self._engine.images([*found.added, *found.seen])
        added, seen = ([known[key].id for key in keys if key in known] for keys in (found.added, found.seen))
        return Changed(added, seen, len(found.removed), found.cursor, found.more)

    def find(self, id_or_uri: str | os.PathLike[str]) -> list[Image]:
        """The image of an id, or the images seen at a uri or path; empty when there are none.

        An id may be given by its beginning: see `whole_id`.
        """
        return [looked(image) for image in self._engine.images(self._keys(id_or_uri)).values()]

    def select(self, filter: str | Filter | None = None) -> Iterator[Image]:
        """The images that a filter lets through, or all, in the order in which they were added.

        Which these are is settled at the call; those that are removed before their turn are left out.
        Raises UsageError for a filter of no use.
        """
        keys = self._engine.select(filter)
        found = ((some, self._engine.images(some)) for some in batched(keys, 256))
        return (images[key] for some, images in found for key in some if key in images)

    def page(
        self,
        filter: str | Filter | None = None,
        *,
        words: str | None = None,
        sort: str = "added",
        limit: int = 50,
        after: str | None = None,
    ) -> Listed:
        """A page of images: those that a filter lets through and that have every one of some words in their
        uris, titles or credit.

        `sort` is added (the last one first), newest or oldest (by when it was taken, or else first seen),
        biggest or smallest; `after` is the `next` of the page before. Raises UsageError for a filter, sort
        or limit of no use.
        """
        found = listed(self._engine, filter=filter, words=words, sort=sort, limit=limit, after=after)
        return replace(found, images=tuple(looked(image) for image in found.images))

    def whole_id(self, name: str) -> str | None:
        """The id that a name stands for: an id, or the beginning of one here, of 6 hex digits or more.

        `sha256:` may be left out where there is no file, and nothing was seen, of that name. None for what is
        no id; raises UsageError where several ids begin so.
        """
        begun = _BEGUN.fullmatch(name.lower())
        if begun is None:
            return name if name.startswith(ID_PREFIX) else None
        stated, digits = begun[1], begun[2]
        if len(digits) == _DIGITS and stated:
            return ID_PREFIX + digits
        if not stated and (os.path.lexists(name) or self._engine.keys_at(file_uri(name))):
            return None
        keys = list(self._engine.select(f"id:{ID_PREFIX}{digits}"))
        if len(keys) > 1:
            raise UsageError(f"{name} is how {len(keys):,} ids here begin; give more of the one you mean.")
        if not keys:
            return ID_PREFIX + digits.ljust(_DIGITS, "0") if stated else None  # which is none of them
        return next(iter(self._engine.images(keys).values())).id

    def _keys(self, id_or_uri: str | os.PathLike[str]) -> list[int]:
        name = os.fspath(id_or_uri)
        if (whole := self.whole_id(name)) is not None:
            return list(self._engine.keys_of([digest_of(whole)]).values())
        return self._engine.keys_at(name if "://" in name else file_uri(os.path.expanduser(name)))

    def _path_of(self, image: Image) -> str | None:
        paths = (sighting.path for sighting in image.sightings)
        return next((path for path in paths if path is not None and os.path.isfile(path)), None)


class Changed(NamedTuple):
    """What happened to a collection: ids of images added, and seen elsewhere; `more` is left to be read."""

    added: list[str]
    seen: list[str]
    removed: int
    cursor: str
    more: bool


def no_file(image: Image) -> NotFound:
    """What is raised where an image's bytes are nowhere any more."""
    return NotFound(f"None of the files in which {image.id} was seen is there any more.")
