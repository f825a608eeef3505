"""Groups: what is told of files that are one picture: which is kept, and what could go and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherefrom.keeping import ordered
from wherefrom.places import looked
from wherefrom.records import Image, Sighting
from wherefrom.search.answer import Direction, Edit, Kind


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A file that shows the picture of its group: which image, where, and how it comes from its parent.

    `place` is None for an image that was added without a place. `parent` is the id of the image of the group
    that it was likely made from, `edits` what was then done, and `kind`, `score` (0 to 100) and `distance`
    (bits of 256, None where fingerprints are not near) what it is to that one. A further place of an image
    has the image itself as its parent. `links` are the other places that lead to the same file.

    `suggestion` is `spare` where the file could go, since what it was made from, or the same bytes, stay;
    `choice` where nothing says which of the two was first; `keep` where it belongs to one that is kept, as
    RAW and JPEG of one shot do; `part` where the two only share a part. `why` says so in a phrase, and
    `direction` why its parent is called its source.
    """

    image: Image
    place: Sighting | None
    kind: Kind
    distance: int | None
    parent: str
    score: float
    edits: tuple[Edit, ...] = ()
    suggestion: str = "spare"
    why: str = ""
    direction: Direction | None = None
    links: tuple[Sighting, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The duplicate in the shape that all faces share."""
        return {
            "id": self.image.id,
            "uri": self.place.uri if self.place else None,
            "kind": self.kind.value,
            "distance": self.distance,
            "parent": self.parent,
            "score": self.score,
            "edits": [edit.as_json() for edit in self.edits],
            "suggestion": self.suggestion,
            "why": self.why,
            "direction": None if self.direction is None else self.direction.as_json(),
            **_facts(self.image),
            **_at(self.place, self.links),
        }


@dataclass(frozen=True, slots=True)
class Part:
    """An image outside a group that contains, or is contained in, one of the group's.

    `member` is the id of the group's image, `contains` True where that one contains the other; `share` is how
    much of the containing image shows the other (0 to 1).
    """

    member: str
    contains: bool
    image: Image
    score: float
    share: float

    @property
    def place(self) -> Sighting | None:
        """Where the other image is."""
        found = ordered(looked(self.image))
        return found[0][0] if found else None

    def as_json(self) -> dict[str, object]:
        """The part in the shape that all faces share."""
        return {
            "member": self.member,
            "relation": "contains" if self.contains else "contained in",
            "id": self.image.id,
            "uri": self.place.uri if self.place else None,
            "score": self.score,
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are one picture: the likely original, suggested to be kept and why, and the others.

    Every one of them is another file that was there when the group was made: links and other names of a file
    are the `links` of the one that is told. The others come with every parent before its children. `parts`
    are images that share a part with one of the group, and belong to it no more than that.
    `kind` is `picture`; in a group of the kind `parts` nothing is one picture: the others are crops,
    screenshots and the like of the first, and none could go.
    """

    keep: Image
    place: Sighting | None
    why: str
    others: tuple[Duplicate, ...]
    parts: tuple[Part, ...] = ()
    kind: str = "picture"
    links: tuple[Sighting, ...] = ()

    @property
    def choice(self) -> bool:
        """Whether it is the reader's choice which of some files to keep: nothing says which was first."""
        return any(other.suggestion == "choice" for other in self.others)

    @property
    def spare(self) -> tuple[Duplicate, ...]:
        """The files that could go."""
        return tuple(other for other in self.others if other.suggestion == "spare")

    @property
    def spare_bytes(self) -> int:
        """What removing those that could go would free."""
        return sum(other.image.bytes for other in self.spare)

    def as_json(self) -> dict[str, object]:
        """The group in the shape that all faces share."""
        uri = self.place.uri if self.place else None
        return {
            "keep": {"id": self.keep.id, "uri": uri, "why": self.why, **_facts(self.keep)}
            | _at(self.place, self.links),
            "others": [other.as_json() for other in self.others],
            "parts": [part.as_json() for part in self.parts],
            "kind": self.kind,
            "choice": self.choice,
            "spare_bytes": self.spare_bytes,
        }


def _facts(image: Image) -> dict[str, object]:
    return {"width": image.width, "height": image.height, "format": image.format, "bytes": image.bytes}


def _at(place: Sighting | None, links: Sequence[Sighting]) -> dict[str, object]:
    return {"path": place.path if place else None, "links": [one.uri for one in links]}
