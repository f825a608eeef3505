"""The shapes of an answer, the same in the library, on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, overload

from wherefrom.models.labels import Label
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image, Sighting

if TYPE_CHECKING:
    import PIL.Image

    from wherefrom.settings import Settings

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in pixels of the whole upright picture, origin top left."""

Transform = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""A 3 × 3 homography, row-major, from pixels of the match to pixels of the query."""


class Kind(StrEnum):
    """What kind of match it is, strongest first. All but `similar` are claims."""

    IDENTICAL = "identical"
    SAME = "same"
    COPY = "copy"
    PARTIAL = "partial"
    SIMILAR = "similar"


CLAIMS = frozenset(Kind) - {Kind.SIMILAR}
"""The kinds that say two pictures are one, or share a part."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Something that was done to the match to make the query.

    Names and amounts: `mirror`; `rotate`, degrees clockwise; `negative`; `border`, the share of the
    query that is border (0 to 1); `crop`, the share of the match that is missing (0 to 1); `scale`,
    the query's size over the match's, linear; `aspect`, the query's width to height over the match's;
    `perspective`, how far a corner lies off, as a share of the query's longer side; `embedded`, the share of
    the query that shows the match, the rest showing something else;
    `grey`, the match has colour and the query none; `sepia` and `tint` (one hue), `channels` (red, green and
    blue swapped) and `recoloured` (others), the mean change of colour as a share of the range (0 to 1);
    `hue`, by how many degrees all hues are turned; `tone`, the mean absolute change of brightness,
    contrast and colour as a share of the range (0 to 1); `blur`, the sigma in query pixels of the Gaussian
    that it amounts to; `noise`, the standard deviation of luma in grey levels; `compression`, how strongly
    the blocks of JPEG stand out (0 to 1); `mask`, the share of what both show that one tone hides from
    the frame inwards, as around a circle (0 to 1); `overlay`, the share of what both show whose pixels differ
    (0 to 1), one for each place; `frames`, of files of several frames or pages only what they begin with is
    one picture: 1 where they go on otherwise, None where that is not known. `area` is where in the query,
    when it is a part.
    """

    name: str
    amount: float | None = None
    area: Polygon | None = None

    def as_json(self) -> dict[str, object]:
        """The edit in the shape that all faces share."""
        return {"name": self.name, "amount": self.amount, "area": _points(self.area)}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one picture is called the source of another: a code, and a phrase."""

    code: str
    text: str

    def as_json(self) -> dict[str, str]:
        """The reason in the shape that all faces share."""
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True)
class Direction:
    """Which of the two is likely the source of the other, `query` or `match`, and why.

    `sure` is the share of such judgements that were right where it was measured, 0.97 or more.
    """

    source: Literal["query", "match"]
    why: tuple[Reason, ...]
    sure: float

    @property
    def sentence(self) -> str:
        """The first two reasons in one phrase."""
        return ", and ".join(reason.text for reason in self.why[:2])

    def as_json(self) -> dict[str, object]:
        """The direction in the shape that all faces share."""
        return {"from": self.source, "why": [reason.as_json() for reason in self.why], "sure": self.sure}


@dataclass(frozen=True, slots=True)
class Evidence:
    """How we know.

    `method` is `sha256` (the bytes are equal), `keypoints` or `fingerprint`, and for look-alikes, which have
    `similarity` and nothing else, `embedding` or `colours`; `distance` counts the differing
    bits of 256 of the fingerprints, None where they are not near; `inliers` is the number of agreeing
    keypoints, None where none were compared, and `points` are those: x, y in the query, x, y in the match.
    The areas are the parts of both pictures that show the same, and `coverage` their shares. `agreement` is
    that of the aligned pixels, 0 to 1, None where the match's file could not be looked at. `direction` says
    which of the two was made from the other, None where nothing does.
    """

    method: str
    distance: int | None = None
    inliers: int | None = None
    transform: Transform | None = None
    query_area: Polygon | None = None
    match_area: Polygon | None = None
    query_coverage: float | None = None
    match_coverage: float | None = None
    edits: tuple[Edit, ...] = ()
    points: tuple[tuple[float, float, float, float], ...] = ()
    agreement: float | None = None
    similarity: float | None = None
    direction: Direction | None = None

    def draw(
        self, query: Any, match: Any, *, height: int = 480, settings: Settings | None = None
    ) -> PIL.Image.Image:
        """Both pictures side by side, `height` pixels high or less, with what both show and what was done.

        They are the ones compared, each a path, URL, bytes, Picture or PIL image, read by `settings` (by
        default those of the environment); `Collection.draw` reads by its own. Raises a PictureError or
        FetchError when one cannot be read, UsageError for one of no use, ValueError for a height below 64.
        """
        from wherefrom.errors import UsageError
        from wherefrom.search.draw import draw, image_of
        from wherefrom.settings import load

        if self.similarity is not None:
            raise UsageError("What merely looks alike has no proof that could be drawn.")

        settings = settings or load()
        first, first_size = image_of(query, settings)
        second, second_size = image_of(match, settings)
        return draw(self, first, second, height=height, query_size=first_size, match_size=second_size)

    def as_json(self) -> dict[str, object]:
        """The evidence in the shape that all faces share."""
        return {
            "method": self.method,
            "distance": self.distance,
            "inliers": self.inliers,
            "transform": None if self.transform is None else [list(row) for row in self.transform],
            "query_area": _points(self.query_area),
            "match_area": _points(self.match_area),
            "coverage": {"query": self.query_coverage, "match": self.match_coverage},
            "agreement": self.agreement,
            "similarity": self.similarity,
            "direction": None if self.direction is None else self.direction.as_json(),
            "edits": [edit.as_json() for edit in self.edits],
            "points": [list(point) for point in self.points],
        }


@dataclass(frozen=True, slots=True)
class Match:
    """One image of an answer. `score` is 0 to 100, higher is surer; `docs/scores.md` says what it means.

    `copies` are the ids of near-copies of a look-alike that are folded under it; `labels` what it shows.
    """

    kind: Kind
    score: float
    image: Image
    evidence: Evidence
    copies: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()

    @property
    def id(self) -> str:
        """The image's id."""
        return self.image.id

    @property
    def uri(self) -> str | None:
        """The first place, which is one that is there if any is; None for what was seen nowhere."""
        return self.image.uri

    @property
    def path(self) -> str | None:
        """The first file that is there, or else the first that was; None for what was seen in no file."""
        return self.image.path

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """Where the image was seen: the places that are there first."""
        return self.image.sightings

    @property
    def credit(self) -> Credit:
        """What the image's file says of its maker."""
        return self.image.credit

    @property
    def direction(self) -> Direction | None:
        """Which of query and match was made from the other, where there is a reason to say so."""
        return self.evidence.direction

    def as_json(self) -> dict[str, object]:
        """The match in the shape that all faces share."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "score": self.score,
            "width": self.image.width,
            "height": self.image.height,
            "format": self.image.format,
            "bytes": self.image.bytes,
            "sightings": [sighting.as_json() for sighting in self.sightings],
            "credit": self.credit.as_json(),
            "evidence": self.evidence.as_json(),
            "direction": None if self.direction is None else self.direction.as_json(),
            "copies": list(self.copies),
            "labels": [label.as_json() for label in self.labels],
        }


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """What is known of the query itself. `quality` is its fingerprint's, 0 to 100; `notes` are sentences.

    `labels` are what it shows and `objects` the boxes (left, top, right, bottom in pixels) of the things in
    it, where look-alikes were asked for.
    """

    width: int
    height: int
    format: str
    quality: int
    notes: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    objects: tuple[tuple[float, float, float, float], ...] = ()

    def as_json(self) -> dict[str, object]:
        """The facts in the shape that all faces share."""
        return {
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "quality": self.quality,
            "notes": list(self.notes),
            "labels": [label.as_json() for label in self.labels],
            "objects": [[round(value, 1) for value in box] for box in self.objects],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search returns: a sequence of matches, surest first, with the query's facts and timings."""

    query: QueryFacts
    matches: tuple[Match, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    @overload
    def __getitem__(self, index: int) -> Match: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Match, ...]: ...
    def __getitem__(self, index: int | slice) -> Match | tuple[Match, ...]:
        return self.matches[index]

    def as_json(self) -> dict[str, object]:
        """The answer in the shape that all faces share."""
        return {
            "query": self.query.as_json(),
            "matches": [match.as_json() for match in self.matches],
            "timings_ms": {name: round(value, 3) for name, value in self.timings_ms.items()},
        }


def _points(polygon: Polygon | None) -> list[list[float]] | None:
    return None if polygon is None else [[round(x, 2), round(y, 2)] for x, y in polygon]
