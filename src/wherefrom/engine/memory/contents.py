"""What the engine in memory holds, and what follows from it of where an image was seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from wherefrom.records import FieldValue, NewImage, Place, Refusal, Sighting, iso

TEXTS = ("title", "alt", "caption", "how", "published")
"""The texts of a place."""

Spot = tuple[str, int, str]
"""What a sighting is known by, in the order in which they are listed: uri, key of the image, page or ""."""


@dataclass
class Kept:
    """An image: what was given, when it was added, and what was changed since."""

    new: NewImage
    added: int
    versions: dict[str, str]
    features: dict[str, bytes]
    fields: dict[str, FieldValue] = field(default_factory=dict)


@dataclass
class Contents:
    """All that an engine holds: another one that is opened upon it goes on from there."""

    last: int = 0
    images: dict[int, Kept] = field(default_factory=dict)
    told: dict[Spot, list[Place]] = field(default_factory=dict)  # each with its moment
    spots: dict[str | int, set[Spot]] = field(default_factory=lambda: defaultdict(set))  # by uri, and by key
    missing: dict[Spot, int] = field(default_factory=dict)  # when somebody looked, and it was not there
    refusals: dict[str, tuple[Refusal, int]] = field(default_factory=dict)  # and how often
    documents: dict[str, str] = field(default_factory=dict)
    originals: dict[bytes, bytes] = field(default_factory=dict)
    log: list[tuple[str, int]] = field(default_factory=list)  # added, removed, seen, fields; and of which key

    def at(self, which: str | int) -> list[Spot]:
        """The spots at a uri, or those of an image, in order."""
        return sorted(self.spots.get(which, ()))

    def see(self, spot: Spot, place: Place) -> None:
        """Keep what was told of a spot."""
        self.told.setdefault(spot, []).append(place)
        for which in spot[:2]:
            self.spots[which].add(spot)

    def forget(self, spot: Spot) -> None:
        """Forget all that was told of it."""
        del self.told[spot]
        self.missing.pop(spot, None)
        for which in spot[:2]:
            self.spots[which].discard(spot)

    def first(self, spot: Spot) -> int:
        """When an image was first seen there."""
        return min(moment_of(place) for place in self.told[spot])

    def last_seen(self, spot: Spot) -> int:
        """And when last."""
        return max(moment_of(place) for place in self.told[spot])

    def shown(self, spot: Spot) -> Place:
        """What counts of what was told: that of the last moment, and of several things the greatest."""
        return max(self.told[spot], key=lambda place: (moment_of(place), _texts(place), _stamp(place)))

    def gone(self, spot: Spot) -> int | None:
        """When an image was found to be gone: missed, or another one seen there instead."""
        last = self.last_seen(spot)
        instead = [one for one in self.at(spot[0]) if one[1] != spot[1] and self.last_seen(one) > last]
        ends = [self.first(one) if self.first(one) > last else self.last_seen(one) for one in instead]
        return min([*ends, *(end for end in [self.missing.get(spot, 0)] if end > last)], default=None)

    def sighting(self, spot: Spot) -> Sighting:
        """The sighting at a spot."""
        said, (uri, _, page) = self.shown(spot), spot
        first, last, gone = iso(self.first(spot)), iso(self.last_seen(spot)), iso(self.gone(spot))
        more = (said.caption, said.how, said.published)
        around = (page or None, said.title, said.alt)
        return Sighting(uri, *around, first or "", last or "", gone, *more, stamp=said.stamp)


def moment_of(place: Place) -> int:
    """When it was seen, which is known of all that is kept."""
    assert place.moment is not None
    return place.moment


def _texts(place: Place) -> tuple[tuple[bool, str], ...]:
    return tuple((text is not None, text or "") for text in (getattr(place, name) for name in TEXTS))


def _stamp(place: Place) -> tuple[int, int]:
    return (-1, -1) if place.stamp is None else (place.stamp.size, place.stamp.mtime_ns)
