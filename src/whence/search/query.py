"""A search from end to end: read the query, recall, explain, rank, and say why nothing was found."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

import numpy as np

from whence.engine.base import Engine
from whence.engine.records import Image, image_id
from whence.errors import UsageError
from whence.features.extract import FINGERPRINT
from whence.features.fingerprint import Fingerprint, QueryCode, Shares, fingerprint, query_codes
from whence.picture.decode import decode
from whence.picture.picture import Picture
from whence.search.answer import Answer, Kind, Match, QueryFacts
from whence.search.explain import Frame, explain, identical
from whence.search.rank import ranked, score_of
from whence.search.recall import CLAIM_RADIUS, Candidate, cost, recall
from whence.settings import Settings

_LOOKED_UP = 1_000

Region = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the whole upright picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A picture to search for, with the codes it may be known by."""

    picture: Picture
    digest: bytes | None
    codes: Sequence[QueryCode]
    quality: int
    frame: Frame
    decode_ms: float
    features_ms: float

    @classmethod
    def read(
        cls, source: Any, settings: Settings, region: Region | None = None, start: float | None = None
    ) -> Query:
        """Read a path, URL, bytes or Picture; times count from `start` (of `time.perf_counter`).

        Raises a PictureError or FetchError when it cannot be read, UsageError for a source or region
        of no use.
        """
        start = time.perf_counter() if start is None else start
        picture, digest = _picture_of(source, settings)
        decoded = time.perf_counter()
        facts = picture.facts
        shares: Shares = (0.0, 0.0, 1.0, 1.0)
        if region is not None:
            shares = _shares_of(region, facts.width, facts.height)
            picture, digest = _cut(picture, shares), None
        codes, quality = query_codes(picture)
        height, width = picture.pixels.shape[:2]
        frame = Frame(facts.width, facts.height, shares, (width, height))
        done = time.perf_counter()
        return cls(picture, digest, codes, quality, frame, (decoded - start) * 1e3, (done - decoded) * 1e3)

    @property
    def notes(self) -> list[str]:
        """What is to be said of the query whatever is found."""
        notes = []
        if not self.codes:
            notes.append(
                f"There is too little in this picture to know it by its fingerprint (quality "
                f"{self.quality} of 100): only files with the very same bytes are found."
            )
        if any(code.box is not None for code in self.codes):
            notes.append(
                "Plain borders were found around this picture; it was searched with and without them."
            )
        if self.picture.facts.frames > 1:
            notes.append(f"The file has {self.picture.facts.frames} frames or pages; the first was searched.")
        return notes

    def facts(self, extra: Iterable[str] = ()) -> QueryFacts:
        """The query's part of the answer."""
        facts = self.picture.facts
        return QueryFacts(facts.width, facts.height, facts.format, self.quality, (*self.notes, *extra))


def find(engine: Engine, query: Query, *, limit: int = 20, kinds: Iterable[str] | None = None) -> Answer:
    """Search for a query that has been read; raises UsageError for a limit or kind of no use."""
    if limit < 1:
        raise UsageError(f"The limit is the number of matches wanted, at least 1, not {limit}.")
    wanted = _kinds(kinds)
    start = time.perf_counter()
    # Of a picture with thousands of copies only the nearest are looked up: enough to fill any answer.
    candidates = nsmallest(max(_LOOKED_UP, 4 * limit), recall(engine, query.codes), key=cost)
    same_bytes = engine.keys_of([query.digest]) if query.digest is not None else {}
    recalled = time.perf_counter()
    matches = _matches(engine, query, candidates, set(same_bytes.values()))
    kept = [match for match in matches if match.kind in wanted]
    done = time.perf_counter()
    timings = {
        "decode": query.decode_ms,
        "features": query.features_ms,
        "recall": (recalled - start) * 1e3,
        "verify": (done - recalled) * 1e3,
        "total": query.decode_ms + query.features_ms + (done - start) * 1e3,
    }
    return Answer(query.facts(_why_nothing(engine, query, matches, kept)), tuple(kept[:limit]), timings)


def compare(first: Any, second: Any, settings: Settings) -> Match | None:
    """Describe `second` as a match for the query `first`; None when they are not one picture."""
    query = Query.read(first, settings)
    picture, digest = _picture_of(second, settings)
    known, facts = fingerprint(picture), picture.facts
    digest = digest or hashlib.sha256(picture.pixels.tobytes()).digest()
    image = Image(
        image_id(digest),
        facts.width,
        facts.height,
        facts.format,
        facts.bytes,
        facts.frames,
        known.quality,
        "",
        facts.credit,
    )
    if query.digest == digest:
        return Match(Kind.IDENTICAL, 100.0, image, identical(image))
    found = [
        Candidate(0, int(np.bitwise_count(code.code ^ target).sum()), code, trimmed)
        for code in query.codes
        for target, trimmed in ((known.code, False), (known.trimmed, True))
        if target is not None and known.usable
    ]
    best = min((one for one in found if one.distance <= CLAIM_RADIUS), key=cost, default=None)
    if best is None:
        return None
    kind, evidence = explain(best, image, query.frame, known.inside)
    return Match(kind, score_of(best.distance), image, evidence)


def _matches(engine: Engine, query: Query, candidates: list[Candidate], same_bytes: set[int]) -> list[Match]:
    images = engine.images([*(candidate.key for candidate in candidates), *same_bytes])
    boxed = [candidate.key for candidate in candidates if candidate.trimmed]
    boxes = {
        key: Fingerprint.from_bytes(data).inside for key, data in engine.features(FINGERPRINT, boxed).items()
    }
    matches = [
        Match(Kind.IDENTICAL, 100.0, images[key], identical(images[key]))
        for key in same_bytes
        if key in images
    ]
    for candidate in candidates:
        image = images.get(candidate.key)
        if image is not None and candidate.key not in same_bytes:
            kind, evidence = explain(candidate, image, query.frame, boxes.get(candidate.key))
            matches.append(Match(kind, score_of(candidate.distance), image, evidence))
    return ranked(matches)


def _why_nothing(engine: Engine, query: Query, matches: Sequence[Match], kept: Sequence[Match]) -> list[str]:
    if kept:
        return []
    if matches:
        kinds = ", ".join(sorted({match.kind.value for match in matches}))
        return [f"Nothing of the kinds asked for; there are {len(matches)} matches of kind {kinds}."]
    count = engine.count()
    if count == 0:
        return ["The collection is empty."]
    if not query.codes:
        return []
    return [
        f"None of the {count:,} images is this picture, whole, in any orientation, as a negative or within "
        f"plain borders. Crops, collages and other partial copies are not looked for yet."
    ]


def _kinds(kinds: Iterable[str] | None) -> set[Kind]:
    if kinds is None:
        return set(Kind)
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [name for name in names if name not in set(Kind)]
    if unknown or not names:
        raise UsageError(
            f"Kinds of match are {', '.join(Kind)}; {', '.join(unknown) or 'an empty list'} is none."
        )
    return {Kind(name) for name in names}


def _picture_of(source: Any, settings: Settings) -> tuple[Picture, bytes | None]:
    if isinstance(source, Picture):
        return source, None
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif isinstance(source, str) and source.partition("://")[0].lower() in ("http", "https"):
        from whence.sources.fetch import fetch

        data = fetch(source, max_bytes=settings.max_bytes, seconds=settings.fetch_seconds).data
    elif isinstance(source, str | os.PathLike):
        from whence.sources.folder import path_of
        from whence.workers import read_file

        name = os.fspath(source)
        data, _ = read_file(path_of(name) or os.path.expanduser(name), settings.limits)
    else:
        raise UsageError(f"A query is a path, a URL, bytes or a Picture, not {type(source).__name__}.")
    return decode(data, colour=False, limits=settings.limits), hashlib.sha256(data).digest()


def _shares_of(region: Region, width: int, height: int) -> Shares:
    left, top, right, bottom = region
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise UsageError(
            f"A region is left, top, right, bottom in pixels inside the picture of {width} × {height}; "
            f"{left:g}, {top:g}, {right:g}, {bottom:g} is not."
        )
    return left / width, top / height, right / width, bottom / height


def _cut(picture: Picture, shares: Shares) -> Picture:
    height, width = picture.pixels.shape[:2]
    left, top = int(shares[0] * width), int(shares[1] * height)
    right, bottom = max(left + 1, round(shares[2] * width)), max(top + 1, round(shares[3] * height))
    return Picture(picture.pixels[top:bottom, left:right], picture.facts)
