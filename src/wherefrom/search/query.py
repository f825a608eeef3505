"""A query: a picture read, and all by which it may be known."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from wherefrom.decoding import decoded
from wherefrom.errors import UsageError, named
from wherefrom.features.embedding import Embedding, embedder
from wherefrom.features.fingerprint import QueryCode, Shares, query_codes
from wherefrom.features.keypoints import LEAST, Variant, query_keypoints
from wherefrom.features.registry import View
from wherefrom.picture.limits import Limits
from wherefrom.picture.picture import Picture
from wherefrom.search.answer import QueryFacts
from wherefrom.search.direction import Side
from wherefrom.search.explain import Frame
from wherefrom.search.request import Region
from wherefrom.settings import Settings

if TYPE_CHECKING:
    from wherefrom.features.objects import Detector

_WHOLE: Shares = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A picture to search for.

    `picture` is the part of it that is searched and `in_colour` gives the whole, as RGB if it has a file;
    `side` gives the whole with its file's bytes, of which a direction is told;
    `codes` and `variants` are what it may be known by. `embedding` gives that of the part, computed when it
    is first asked for, and None where no model computes any.
    """

    picture: Picture
    in_colour: Callable[[], Picture]
    side: Callable[[], Side]
    digest: bytes | None
    codes: Sequence[QueryCode]
    quality: int
    variants: Sequence[Variant]
    frame: Frame
    limits: Limits
    decode_ms: float
    features_ms: float
    embedding: Callable[[], Embedding | None]

    @classmethod
    def read(
        cls, source: Any, settings: Settings, region: Region | None = None, start: float | None = None
    ) -> Query:
        """Read a path, URL, bytes or Picture; times count from `start` (of `time.perf_counter`).

        Raises a PictureError or FetchError when it cannot be read, UsageError for a source or region
        of no use.
        """
        return cls.read_regions(source, settings, [region], start)[0]

    @classmethod
    def read_regions(
        cls,
        source: Any,
        settings: Settings,
        regions: Iterable[Region | None],
        start: float | None = None,
    ) -> list[Query]:
        """A query for each region, None being all of it; the picture is read once, in the first one's time.

        Raises what `read` raises.
        """
        start = time.perf_counter() if start is None else start
        picture, data = picture_of(source, settings)
        facts = picture.facts
        wanted = [_WHOLE if one is None else _shares_of(one, facts.width, facts.height) for one in regions]
        digest = hashlib.sha256(data).digest() if data is not None else None

        @cache
        def in_colour() -> Picture:
            if data is None:
                return picture
            found = decoded(data, limits=settings.limits)
            if found.pixels.ndim == 3:
                return found
            return Picture(np.repeat(found.pixels[..., None], 3, axis=2), found.facts)  # a grey file is known

        @cache
        def side() -> Side:
            return Side(in_colour(), data, None, facts.credit.taken, settings.limits)

        queries = []
        for shares in wanted:
            began = time.perf_counter()
            part = picture if shares == _WHOLE else _cut(picture, shares)
            codes, quality = query_codes(part)
            variants = query_keypoints(part)
            height, width = part.pixels.shape[:2]
            done = time.perf_counter()
            queries.append(
                cls(
                    part,
                    in_colour,
                    side,
                    digest if shares == _WHOLE else None,
                    codes,
                    quality,
                    variants,
                    Frame(facts.width, facts.height, shares, (width, height)),
                    settings.limits,
                    (began - start) * 1e3,
                    (done - began) * 1e3,
                    cache(partial(_embedding, in_colour, shares, settings)),
                )
            )
            start = time.perf_counter()
        return queries

    @property
    def view(self) -> View:
        """The part that is searched, as features see it."""
        shares = self.frame.region
        return View(
            self.picture, lambda: self.in_colour() if shares == _WHOLE else _cut(self.in_colour(), shares)
        )

    @property
    def is_whole(self) -> bool:
        """Whether all of the picture is searched."""
        return self.frame.region == _WHOLE

    @property
    def notes(self) -> list[str]:
        """What is to be said of the query whatever is found."""
        notes = []
        if not self.codes:
            notes.append(
                "This picture is nearly blank, so only identical files can be found."
                if len(self.variants[0].keypoints) < LEAST
                else "Most of this picture is plain, so it is looked for by its details alone."
            )
        elif len(self.variants[0].keypoints) < LEAST:
            notes.append("This picture has too little texture to be found by its parts.")
        if any(code.box is not None for code in self.codes):
            notes.append(
                "Plain borders were found around this picture; it was searched with and without them."
            )
        if self.picture.facts.frames > 1:
            which = "the first was searched"
            if self.picture.facts.shown:
                number = self.picture.facts.shown + 1
                which = f"number {number}, the first with something in it, was searched"
            notes.append(f"The file has {self.picture.facts.frames} frames or pages; {which}.")
        notes.extend(self.picture.facts.notes)
        return notes

    def facts(self, extra: Iterable[str] = (), shown: Embedding | None = None) -> QueryFacts:
        """The query's part of the answer; `shown` is its embedding where it was looked at."""
        facts, frame = self.picture.facts, self.frame
        blank = not self.codes and len(self.variants[0].keypoints) < LEAST
        seen = None if blank else shown  # whatever is said of a blank picture is wrong
        labels = () if seen is None else tuple(seen.labels())
        boxes = () if seen is None else tuple(frame.pixels(box) for box in seen.regions)
        notes = (*self.notes, *extra)
        return QueryFacts(facts.width, facts.height, facts.format, self.quality, notes, labels, boxes)


def object_of(picture: Picture, number: int, settings: Settings) -> Region:
    """The box of the first, second ... thing that a picture shows. Raises UsageError when there is none."""
    boxes = things_of(picture, embedding_of(picture, settings), settings)
    if not 1 <= number <= len(boxes):
        count = f"{len(boxes)} things were" if len(boxes) != 1 else "One thing was"
        raise UsageError(f"{count} found in this picture; there is no number {number}.")
    facts = picture.facts
    left, top, right, bottom = boxes[number - 1]
    return left * facts.width, top * facts.height, right * facts.width, bottom * facts.height


def things_of(picture: Picture, shown: Embedding | None, settings: Settings) -> tuple[Shares, ...]:
    """Where the things in a picture are: told by a detector where one is set, or by what was looked at."""
    if settings.detector:
        return tuple(thing.box for thing in _detector(settings.detector).detect(picture))
    return () if shown is None else shown.regions


@lru_cache(maxsize=1)
def _detector(name: str) -> Detector:
    from wherefrom.features.objects import Detector
    from wherefrom.models.store import Store

    store = Store()
    return Detector(store.card(name), store.path(name))


def _embedding(whole: Callable[[], Picture], shares: Shares, settings: Settings) -> Embedding | None:
    model = settings.recipe.model
    if model is None:
        return None
    picture = whole() if shares == _WHOLE else _cut(whole(), shares)
    shown = embedder(model).embed(picture)
    return replace(shown, regions=things_of(picture, shown, settings))


def embedding_of(source: Any, settings: Settings) -> Embedding | None:
    """The embedding of a path, URL, bytes or Picture; None where no model computes any."""
    model = settings.recipe.model
    return None if model is None else embedder(model).embed(picture_of(source, settings, colour=True)[0])


def picture_of(source: Any, settings: Settings, *, colour: bool = False) -> tuple[Picture, bytes | None]:
    """The picture of a path, URL, bytes or Picture, and the bytes of its file where there is one.

    Bytes are decoded in a process of their own, within the limits of the settings.
    """
    if isinstance(source, Picture):
        return source, None
    with named(source):
        data = _bytes_of(source, settings)
        return decoded(data, colour=colour, limits=settings.limits), data


def _bytes_of(source: Any, settings: Settings) -> bytes:
    """The bytes of a path, URL or bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str) and source.partition("://")[0].lower() in ("http", "https"):
        from wherefrom.sources.fetch import fetch

        return fetch(
            source,
            max_bytes=settings.max_bytes,
            seconds=settings.fetch_seconds,
            allow_private=settings.private_networks,
        ).data
    if isinstance(source, str | os.PathLike):
        from wherefrom.sources.folder import path_of
        from wherefrom.workers import read_file

        name = os.fspath(source)
        return read_file(path_of(name) or os.path.expanduser(name), settings.limits)[0]
    raise UsageError(f"A query is a path, a URL, bytes or a Picture, not {type(source).__name__}.")


def _shares_of(region: Region, width: int, height: int) -> Shares:
    left, top, right, bottom = region
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        upside = not (left < right and top < bottom)
        fault = (
            "has no inside: give left, top, right, bottom, in pixels."
            if upside
            else f"reaches beyond the picture ({width} × {height} pixels)."
        )
        raise UsageError(f"The region {left:g},{top:g},{right:g},{bottom:g} {fault}")
    return left / width, top / height, right / width, bottom / height


def _cut(picture: Picture, shares: Shares) -> Picture:
    height, width = picture.pixels.shape[:2]
    left, top = int(shares[0] * width), int(shares[1] * height)
    right, bottom = max(left + 1, round(shares[2] * width)), max(top + 1, round(shares[3] * height))
    return Picture(picture.pixels[top:bottom, left:right], picture.facts)
