"""What is asked of a collection: searches, comparisons, duplicates, and how sure an answer has to be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wherefrom.deciding import Decisions
from wherefrom.duplicates import groups, looks
from wherefrom.errors import UsageError, named
from wherefrom.features.extract import VERSIONS
from wherefrom.groups import Group
from wherefrom.holding import Holding
from wherefrom.places import looked
from wherefrom.preferring import preferring
from wherefrom.records import ID_PREFIX, Image, digest_of
from wherefrom.search.answer import Answer, Kind, Match, QueryFacts
from wherefrom.search.calibration import DOCUMENT, Calibration, least_score
from wherefrom.search.find import checked, compare, find, lookalikes
from wherefrom.search.pixels import sides
from wherefrom.search.query import Query, Region, object_of, picture_of
from wherefrom.search.similar import alike
from wherefrom.search.wishes import Wishes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wherefrom.filters.terms import Filter
    from wherefrom.search.account import Account


class Asking(Holding):
    """A collection that answers. Thread-safe."""

    def search(
        self,
        query: Any,
        *,
        limit: int = 20,
        kinds: Iterable[str] | None = None,
        region: Region | None = None,
        object: int | None = None,
        min_score: float = 0.0,
        filter: str | Filter | None = None,
        like: Iterable[Any] = (),
        unlike: Iterable[Any] = (),
        text: str | None = None,
        colours: str | None = None,
        ignore_background: bool = False,
    ) -> Answer:
        """Find where a picture comes from, or what looks like it.

        `query` is a path, URL, bytes, `Picture` or the id of an image here whose file is still there;
        `kinds` are the kinds of match wanted: by default all claims, and with `"all"` look-alikes too;
        `region` (left, top, right, bottom in pixels of the upright picture) searches for a part of it, and
        `object` for the first, second ... thing that it shows; `min_score` leaves out matches that are less
        sure; `filter` lets only some images through (see `docs/filters.md`).

        Look-alikes are ranked by how much they are like the query and the pictures `like`, and `unlike`
        others; by words (`text`), with a model that has a side for them; and by `colours`, such as
        "red:2, #ffcc00", the background left out with `ignore_background`. With any of these, all kinds are
        wanted by default, and `query` may be None.

        Raises a PictureError when the query cannot be read, UsageError for a limit, kind, region or filter
        of no use, FeatureMismatch when the collection's features are of another version, ModelMissing or
        ModelError where look-alikes need a model that is not there.
        """
        wishes = Wishes(list(like), list(unlike), text, colours, ignore_background)
        if kinds is None and not wishes.are_none:
            kinds = "all"
        if query is None:
            return self._wished(wishes, limit, kinds, min_score, filter)
        return self._searched(query, [region], limit, kinds, min_score, filter, wishes, object)[0]

    def search_regions(
        self,
        query: Any,
        regions: Iterable[Region],
        *,
        limit: int = 20,
        kinds: Iterable[str] | None = None,
        min_score: float = 0.0,
        filter: str | Filter | None = None,
    ) -> list[Answer]:
        """Search for several parts of a picture, which is read once: an answer for each, in their order.

        The rest is as for `search`. The first answer's timings have the reading; UsageError without regions.
        """
        wanted = list(regions)
        if not wanted:
            raise UsageError("There are no regions to search for.")
        return self._searched(query, wanted, limit, kinds, min_score, filter)

    def _searched(
        self,
        query: Any,
        regions: Sequence[Region | None],
        limit: int,
        kinds: Iterable[str] | None,
        min_score: float,
        filter: str | Filter | None,
        wishes: Wishes | None = None,
        thing: int | None = None,
    ) -> list[Answer]:
        start = time.perf_counter()
        wanted = checked(limit, kinds, min_score)
        allowed = self._allowed(filter)
        source = self._source(query)
        if thing is not None:
            with named(query):
                picture, data = picture_of(source, self._settings, colour=True)
            regions = [object_of(picture, thing, self._settings)]
            source = picture if data is None else data  # a URL is fetched once
        wish = None if wishes is None or wishes.are_none else wishes.read(self._source, self._settings)
        with named(query):
            queries = Query.read_regions(source, self._settings, regions, start)
        return [
            _looked(
                find(
                    self._engine,
                    read,
                    limit=limit,
                    kinds=wanted,
                    min_score=min_score,
                    wish=wish,
                    allowed=allowed,
                )
            )
            for read in queries
        ]

    def _wished(
        self,
        wishes: Wishes,
        limit: int,
        kinds: Iterable[str] | None,
        min_score: float,
        filter: str | Filter | None,
    ) -> Answer:
        """Look-alikes without a query picture."""
        start = time.perf_counter()
        if Kind.SIMILAR not in checked(limit, kinds, min_score) or not wishes.have_a_subject:
            raise UsageError(
                "A search needs a picture; only look-alikes can be had of other pictures, text or colours."
            )
        wish, allowed = wishes.read(self._source, self._settings), self._allowed(filter)
        read = time.perf_counter()
        found = alike(self._engine, wish, limit, allowed)
        matches = lookalikes(self._engine, found, limit, min_score, by_colour=not wish.wanted)
        done = time.perf_counter()
        times = {"decode": 0.0, "features": read - start, "recall": done - read, "verify": 0.0}
        timings = {name: 1e3 * value for name, value in (times | {"total": done - start}).items()}
        notes = () if matches else ("Nothing here is like that.",)
        return _looked(Answer(QueryFacts(0, 0, "", 0, notes), tuple(matches), timings))

    def _source(self, query: Any) -> Any:
        """What to read for a query: for an id, the bytes of the image."""
        if isinstance(query, str) and query.startswith(ID_PREFIX):
            return self.original(query)
        return query

    def why(
        self,
        query: Any,
        identifier: str,
        *,
        limit: int = 20,
        kinds: Iterable[str] | None = None,
        region: Region | None = None,
        min_score: float = 0.0,
        filter: str | Filter | None = None,
    ) -> Account:
        """What each stage of a search said of the image of an id: why it was found, or at which stage not.

        The rest is as for `search`, and raises the same; NotFound when there is no such image.
        """
        from wherefrom.search.account import account

        digest = digest_of(self.get(identifier).id)
        key = self._engine.keys_of([digest])[digest]
        with named(query):
            read = Query.read(self._source(query), self._settings, region)
        return account(
            self._engine,
            read,
            key,
            limit=limit,
            kinds=kinds,
            min_score=min_score,
            allowed=self._allowed(filter),
        )

    def compare(self, first: Any, second: Any) -> Match | None:
        """Whether two pictures are one: a Match that describes `second` as seen from `first`, or None."""
        return compare(first, second, self._settings)

    def duplicates(
        self,
        *,
        turned: bool = True,
        parts: bool = True,
        progress: Callable[[int, int], None] | None = None,
        filter: str | Filter | None = None,
        exact: bool = False,
        prefer: Iterable[str | os.PathLike[str]] = (),
    ) -> Iterator[Group]:
        """Groups of images that are one picture, largest group first, each as a family with its likely
        original, which is suggested to be kept.

        With `turned` also mirrored, turned and negative copies. With `parts` also crops and pictures with
        something laid over them, which takes some milliseconds an image, and the pixels of what is found are
        compared where its files are still there; without, groups go by fingerprints alone. `progress` is told
        (images looked for, images in all).

        `filter` lets only some images take part; with `exact` only files with the same bytes are told;
        `prefer` are folders whose files are kept where bytes are equal or nothing says which was first. What
        was said by `not_duplicates` and `keep_both` is heeded.
        """
        allowed = self._allowed(filter)
        folders = [os.fspath(folder) for folder in prefer]

        def told(found: Iterable[Group]) -> Iterator[Group]:
            return preferring(Decisions.of(self._engine).heeded(found), folders)

        options: dict[str, Any] = {"turned": turned, "progress": progress, "allowed": allowed}
        if exact or not parts:
            return told(groups(self._engine, parts=False, exact=exact, **options))
        read = sides(self._settings.limits, self._engine.original)

        def tones(image: Image) -> NDArray[np.uint8] | None:
            side = read(image)
            return None if side is None else side.picture.luma8

        return told(groups(self._engine, look=looks(read), tones=tones, **options))

    def least_score(self, precision: float) -> float:
        """The `min_score` that leaves matches of which at least a share (0.5 to 0.9999) is true.

        By this collection's calibration where it has one, else by what scores mean everywhere. Raises
        UsageError for a share of no use.
        """
        return least_score(self.calibration(), precision)

    def calibrate(self, calibration: Calibration) -> None:
        """Keep how this collection's scores are to be read; raises CollectionLocked where another writes."""
        self._engine.keep_document(DOCUMENT, calibration.as_json())

    def calibration(self) -> Calibration | None:
        """How this collection's scores are to be read, as `calibrate` was told.

        None where it was not, or for scores or features of another version. Raises CollectionDamaged.
        """
        kept = self._engine.document(DOCUMENT)
        found = None if kept is None else Calibration.from_json(kept)
        return found if found is not None and found.fits(VERSIONS) else None

    def forget_calibration(self) -> bool:
        """Read scores as everywhere else again; gives whether there was a calibration."""
        return self._engine.keep_document(DOCUMENT, None)


def _looked(answer: Answer) -> Answer:
    """An answer with the places of its matches as they stand."""
    matches = tuple(replace(match, image=looked(match.image)) for match in answer.matches)
    return replace(answer, matches=matches)
