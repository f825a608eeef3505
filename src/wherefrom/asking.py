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
from wherefrom.records import Image, digest_of
from wherefrom.search.answer import Answer, Kind, Match, QueryFacts
from wherefrom.search.calibration import DOCUMENT, Calibration, least_score
from wherefrom.search.find import compare, find, lookalikes
from wherefrom.search.pixels import sides
from wherefrom.search.query import Query, object_of, picture_of
from wherefrom.search.request import Kinds, Region, SearchRequest, region_of
from wherefrom.search.similar import alike
from wherefrom.search.wishes import read_wishes

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
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
        kinds: Kinds = None,
        region: Region | str | None = None,
        object: int | None = None,
        min_score: float | None = None,
        precision: float | None = None,
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
        request = SearchRequest(
            kinds,
            limit,
            region,
            object,
            min_score,
            precision,
            filter,
            tuple(like),
            tuple(unlike),
            text,
            colours,
            ignore_background,
        )
        return self.ask(query, request)[0]

    def search_regions(
        self,
        query: Any,
        regions: Iterable[Region | str],
        *,
        limit: int = 20,
        kinds: Kinds = None,
        min_score: float | None = None,
        precision: float | None = None,
        filter: str | Filter | None = None,
    ) -> list[Answer]:
        """Search for several parts of a picture, which is read once: an answer for each, in their order.

        The rest is as for `search`. The first answer's timings have the reading; UsageError without regions.
        """
        wanted = [region_of(region) for region in regions]
        if not wanted:
            raise UsageError("There are no regions to search for.")
        request = SearchRequest(kinds, limit, min_score=min_score, precision=precision, filter=filter)
        return self.ask(query, request, wanted)

    def ask(
        self, query: Any, request: SearchRequest, regions: Sequence[Region | None] | None = None
    ) -> list[Answer]:
        """What a request says, as `search` does it: an answer for each of several `regions`, or one.

        `query` may be None where the request has wishes. Raises as `search` does.
        """
        if query is None:
            return [self._wished(request)]
        start = time.perf_counter()
        least, allowed = request.least_score(self.calibration()), self._allowed(request.filter)
        source = self._source(query)
        parts = [request.part] if regions is None else regions
        if request.object is not None:
            with named(query):
                picture, data = picture_of(source, self._settings, colour=True)
            parts = [object_of(picture, request.object, self._settings)]
            source = picture if data is None else data  # a URL is fetched once
        wish = read_wishes(request, self._source, self._settings) if request.has_wishes else None
        with named(query):
            queries = Query.read_regions(source, self._settings, parts, start)
        options: dict[str, Any] = {"limit": request.limit, "kinds": request.wanted, "min_score": least}
        return [_looked(find(self._engine, read, wish=wish, allowed=allowed, **options)) for read in queries]

    def _wished(self, request: SearchRequest) -> Answer:
        """Look-alikes without a query picture."""
        start = time.perf_counter()
        if Kind.SIMILAR not in request.wanted or request.needs_picture:
            raise UsageError(
                "A search needs a picture; only look-alikes can be had of other pictures, text or colours."
            )
        wish = read_wishes(request, self._source, self._settings)
        least, allowed = request.least_score(self.calibration()), self._allowed(request.filter)
        read = time.perf_counter()
        found = alike(self._engine, wish, request.limit, allowed)
        matches = lookalikes(self._engine, found, request.limit, least, by_colour=not wish.wanted)
        done = time.perf_counter()
        times = {"decode": 0.0, "features": read - start, "recall": done - read, "verify": 0.0}
        timings = {name: 1e3 * value for name, value in (times | {"total": done - start}).items()}
        notes = () if matches else ("Nothing here is like that.",)
        return _looked(Answer(QueryFacts(0, 0, "", 0, notes), tuple(matches), timings))

    def _source(self, query: Any) -> Any:
        """What to read for a query: for an id, the bytes of the image."""
        if isinstance(query, str) and (whole := self.whole_id(query)) is not None:
            return self.original(whole)
        return query

    def why(
        self,
        query: Any,
        identifier: str,
        *,
        limit: int = 20,
        kinds: Kinds = None,
        region: Region | str | None = None,
        min_score: float | None = None,
        precision: float | None = None,
        filter: str | Filter | None = None,
    ) -> Account:
        """What each stage of a search said of the image of an id: why it was found, or at which stage not.

        The rest is as for `search`, and raises the same; NotFound when there is no such image.
        """
        request = SearchRequest(kinds, limit, region, min_score=min_score, precision=precision, filter=filter)
        return self.explain(query, identifier, request)

    def explain(self, query: Any, identifier: str, request: SearchRequest) -> Account:
        """The same for a request."""
        from wherefrom.search.account import account

        digest = digest_of(self.get(identifier).id)
        key = self._engine.keys_of([digest])[digest]
        with named(query):
            read = Query.read(self._source(query), self._settings, request.part)
        return account(
            self._engine,
            read,
            key,
            limit=request.limit,
            kinds=request.wanted,
            min_score=request.least_score(self.calibration()),
            allowed=self._allowed(request.filter),
        )

    def compare(self, first: Any, second: Any) -> Match | None:
        """Whether two pictures are one: a Match that describes `second` as seen from `first`, or None."""
        return compare(first, second, self._settings)

    def draw(self, query: Any, match: Match, *, height: int = 480) -> PIL.Image.Image:
        """The proof of a match: the query and the image found, side by side, with what both show.

        `query` is what was searched for: a path, URL, bytes, Picture, PIL image or id. Raises NotFound where
        the image's bytes are nowhere any more, UsageError for a look-alike, of which nothing is proven, and a
        PictureError or FetchError for a query that cannot be read.
        """
        found = self.original(match.id)
        return match.evidence.draw(self._source(query), found, height=height, settings=self._settings)

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
