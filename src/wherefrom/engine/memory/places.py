"""Where images were seen, and what happened: worked out from what was told."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock
from typing import Any

from wherefrom.engine.base import Changes, SightingPage
from wherefrom.engine.memory.contents import TEXTS, Contents, Spot
from wherefrom.engine.statements import storable
from wherefrom.errors import UsageError
from wherefrom.records import FileStamp, Place, Refusal, SeenAt, Sighting, image_id

_TRIES = 3  # how often a file is tried that failed in passing, before it is believed


class MemoryPlaces(ABC):
    """Sightings, refusals and changes."""

    lock: RLock
    clock: Callable[[], int]

    @property
    @abstractmethod
    def contents(self) -> Contents:
        """What is held."""

    @abstractmethod
    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are here."""

    def tell(self, key: int, place: Place, present: int) -> None:
        """Take in that an image was seen at a place, at the present if nothing else is said."""
        here, uri, moment = self.contents, storable(place.uri), place.moment
        if moment is None:
            # The present comes after all that was seen here, whatever the clock says.
            seen = [here.last_seen(spot) + (spot[1] != key) for spot in here.at(uri)]
            moment = max([present, *seen])
        spot = (uri, key, storable(place.page or ""))
        said: dict[str, Any] = {name: (text := getattr(place, name)) and storable(text) for name in TEXTS}
        here.see(spot, replace(place, moment=moment, **said))
        here.refusals.pop(uri, None)

    # Where they were seen

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri, whether or not they are still there."""
        with self.lock:
            return sorted({key for _, key, _ in self.contents.at(storable(uri))})

    def sightings(self, prefix: str, *, after: str | None, limit: int) -> SightingPage:
        """The next sightings whose uri begins with `prefix`, gone or not, in order of uri, image and page."""
        with self.lock:
            here = self.contents
            behind: Spot = ("", 0, "")
            if after is not None:
                uri, digest, page = _place_in(after)
                # What else is at the uri of an image that is gone comes again.
                behind = (uri, self.keys_of([digest]).get(digest, 0), page)
            spots = sorted(
                spot for spot in here.told if spot > behind and spot[0].startswith(storable(prefix))
            )
            rows = [
                (image_id(here.images[spot[1]].new.digest), here.sighting(spot)) for spot in spots[:limit]
            ]
            following = None
            if len(spots) > limit:
                uri, key, page = spots[limit - 1]
                following = "at " + json.dumps([uri, here.images[key].new.digest.hex(), page])
            return SightingPage(rows, following)

    def present_under(self, prefix: str) -> Iterator[SeenAt]:
        """Where images are at present: at a uri, or below it."""
        with self.lock:
            uri = storable(prefix)
            below = uri.rstrip("/") + "/"
            return iter([at for at in self._present() if at.uri == uri or at.uri.startswith(below)])

    def several_places(self, keys: Sequence[int]) -> dict[int, list[SeenAt]]:
        """The files in which images are at present, of those that are in several places."""
        with self.lock:
            here, found = self.contents, dict[int, list[SeenAt]]()
            for key in keys:
                spots = [spot for spot in here.at(key) if here.gone(spot) is None]
                files = [spot for spot in spots if here.shown(spot).stamp is not None]
                if len(spots) > 1 and files:
                    found[key] = [SeenAt(key, uri, page or None) for uri, _, page in files]
            return found

    def _present(self) -> list[SeenAt]:
        here = self.contents
        spots = [spot for spot in sorted(here.told) if here.gone(spot) is None]
        return [SeenAt(key, uri, page or None) for uri, key, page in spots]

    def mark_gone(self, places: Sequence[SeenAt]) -> None:
        """Remember that images are no longer where they were; what is marked keeps its moment."""
        with self.lock:
            self._miss([_spot(at) for at in places])

    def _miss(self, spots: Sequence[Spot]) -> None:
        here, present = self.contents, self.clock()
        with self.changing(spot[0] for spot in spots):
            for spot in spots:
                if spot in here.told and here.gone(spot) is None:
                    here.missing[spot] = max(here.last_seen(spot) + 1, present)

    def recognise(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by uri, size and time: their digest, or why they were refused."""
        with self.lock:
            here, present = self.contents, self.clock()
            found: dict[str, bytes | Refusal] = {}
            with self.changing(uri for uri, _ in files):
                for uri, stamp in dict(files).items():
                    there = [spot for spot in here.at(uri) if here.gone(spot) is None]
                    same = [spot for spot in there if here.shown(spot).stamp == stamp]
                    for spot in same:
                        found[uri] = here.images[spot[1]].new.digest
                        moment = max(here.last_seen(spot), present)
                        here.told[spot].append(replace(here.shown(spot), moment=moment))
                    if not same and uri in here.refusals:
                        refusal, tries = here.refusals[uri]
                        believed = not refusal.passing or tries >= _TRIES
                        if believed and (refusal.stamp, refusal.reader) == (stamp, reader):
                            found[uri] = replace(refusal, passing=False)
            return found

    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture; an image seen there is gone, if the file has changed."""
        with self.lock:
            here = self.contents
            latest = {storable(row.uri): replace(row, reason=storable(row.reason)) for row in rows}
            self._miss(
                [
                    spot
                    for uri, row in latest.items()
                    for spot in here.at(uri)
                    if here.shown(spot).stamp != row.stamp
                ]
            )
            for uri, row in latest.items():
                before, tries = here.refusals.get(uri, (row, 0))
                same = (before.stamp, before.reader) == (row.stamp, row.reader)
                if same and tries and not before.passing:
                    tries = _TRIES  # it was believed already
                here.refusals[uri] = (replace(row, uri=uri), tries + 1 if same else 1)

    # Changes

    @contextmanager
    def changing(self, uris: Iterable[str]) -> Iterator[None]:
        """Note whose sightings at some uris change meanwhile."""
        here, touched = self.contents, sorted({*uris})

        def state() -> dict[Spot, Sighting]:
            spots = [spot for uri in touched for spot in here.at(uri) if spot[1] in here.images]
            return {spot: replace(here.sighting(spot), last_seen="") for spot in spots}

        before = state()
        yield
        after = state()
        changed = {spot[1] for spot in {*before, *after} if before.get(spot) != after.get(spot)}
        here.log.extend(("seen", key) for key in sorted(changed) if key in here.images)

    def revision(self) -> str:
        """What changes whenever images, sightings or fields do."""
        return f"revision-{len(self.contents.log)}"

    def changes(self, since: str | None, limit: int) -> Changes:
        """What happened since a cursor, None for the beginning: what was noted is gone through again."""
        with self.lock:
            log = self.contents.log
            (start,) = (0,) if since is None else numbers_in("log", since, 1)
            added: dict[int, None] = {}
            removed: dict[int, None] = {}
            seen: dict[int, None] = {}
            end = start
            while end < len(log) and max(len(added), len(removed), len(seen)) < limit:
                what, key = log[end]
                end += 1
                if what == "added":
                    added[key] = None
                elif what == "removed":
                    if key in added:
                        del added[key]
                    else:
                        removed[key] = None
                    seen.pop(key, None)
                elif what == "seen" and key not in added:
                    seen[key] = None
            more = any(what != "fields" for what, _ in log[end:])
            return Changes(list(added), list(removed), list(seen), f"log-{end}", more)


def _spot(at: SeenAt) -> Spot:
    return storable(at.uri), at.key, storable(at.page or "")


def numbers_in(what: str, text: str, count: int) -> list[int]:
    """The numbers in a cursor that begins with a word. Raises UsageError."""
    word, *numbers = text.split("-")
    if word != what or len(numbers) != count or not all(one.isdecimal() for one in numbers):
        raise UsageError(f"{text[:40]!r} is no cursor: pass on the one that came with the page before.")
    return [int(one) for one in numbers]


def _place_in(text: str) -> tuple[str, bytes, str]:
    try:
        uri, digest, page = json.loads(text.removeprefix("at "))
        return str(uri), bytes.fromhex(digest), str(page)
    except (ValueError, TypeError, RecursionError):
        raise UsageError(f"{text[:40]!r} is no cursor: pass on the one that came with the page.") from None
