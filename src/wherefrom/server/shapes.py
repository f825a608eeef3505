"""The shapes of requests and answers, as OpenAPI tells them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from wherefrom.server.problems import MEDIA

CollectionName = Annotated[
    str | None, Query(max_length=100, description="A collection that is served; the first one by default.")
]
ID = "sha256:[0-9a-fA-F]{64}"
"""What an image's id looks like."""

ImageId = Annotated[str, Path(pattern=f"^{ID}$", description="sha256: and 64 hex digits.")]
Token = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{8,64}$", description="The `token` of an answer's query.")]


class Shape(BaseModel):
    """What all shapes have in common: nothing beyond their fields."""

    model_config = ConfigDict(extra="forbid")


class Link(Shape):
    """How a place leads to a file of another name."""

    kind: Literal["symbolic", "hard"]
    uri: str


class Sighting(Shape):
    """A place where an image was seen."""

    uri: str
    page: str | None
    title: str | None
    alt: str | None
    first_seen: str
    last_seen: str
    gone: str | None
    caption: str | None = Field(description="What the page writes below it.")
    how: str | None = Field(description="The way in which the page has it, as img or og:image.")
    published: str | None = Field(description="When the page says that it appeared.")
    there: bool | None = Field(
        description="Whether its file was there when it was looked at; null where that is not known."
    )
    link: Link | None = Field(description="The file that this place is a link to, or the same as.")


class Credit(Shape):
    """What an image's file says of its maker."""

    creator: str | None
    credit_line: str | None
    copyright: str | None
    rights_url: str | None
    licensor: str | None
    taken: str | None


class Label(Shape):
    """Something that a picture shows."""

    name: str
    parent: str | None
    confidence: float


Polygon = list[list[float]]
Kind = Literal["identical", "same", "copy", "partial", "similar"]


class Edit(Shape):
    """Something that was done to the match to make the query."""

    name: str
    amount: float | None
    area: Polygon | None


class Coverage(Shape):
    """Shares of both pictures that show the same."""

    query: float | None
    match: float | None


class Reason(Shape):
    """Why one picture is called the source of another, said of the source."""

    code: str
    text: str


class Direction(Shape):
    """Which of query and match was likely made from the other."""

    source: Literal["query", "match"] = Field(alias="from")
    why: list[Reason]
    sure: float = Field(description="How often such judgements were right where it was measured.")


class Evidence(Shape):
    """How we know."""

    method: str
    distance: int | None
    inliers: int | None
    transform: list[list[float]] | None
    query_area: Polygon | None
    match_area: Polygon | None
    coverage: Coverage
    agreement: float | None
    similarity: float | None
    direction: Direction | None
    edits: list[Edit]
    points: list[list[float]]


class BareMatch(Shape):
    """An image that is a match, without addresses."""

    id: str
    kind: Kind
    score: float
    width: int
    height: int
    format: str
    bytes: int
    sightings: list[Sighting]
    credit: Credit
    evidence: Evidence
    direction: Direction | None
    copies: list[str]
    labels: list[Label]
    sentence: str = Field(description="What was done to it, in words.")


class Match(BareMatch):
    """An image that is a match."""

    sightings_total: int
    sightings_url: str = Field(description="All places, where there are more than the first twenty.")
    image_url: str
    thumbnail_url: str
    original_url: str | None


class QueryFacts(Shape):
    """What is known of the query."""

    width: int
    height: int
    format: str
    quality: int
    notes: list[str]
    labels: list[Label]
    objects: list[list[float]]
    token: str


class Counts(Shape):
    """Matches of the whole answer, by kind."""

    identical: int
    same: int
    copies: int = Field(alias="copy")
    partial: int
    similar: int


class SearchAnswer(Shape):
    """A page of an answer."""

    query: QueryFacts
    matches: list[Match]
    timings_ms: dict[str, float]
    total: int
    counts: Counts
    next: str | None


class Comparison(Shape):
    """What two pictures are to each other."""

    match: BareMatch | None


class Outcome(Shape):
    """What became of a picture that was offered."""

    uri: str
    id: str | None
    status: Literal["added", "known", "skipped", "failed"]
    reason: str | None
    code: str | None


class Outcomes(Shape):
    """What became of all of them."""

    outcomes: list[Outcome]
    added: int
    known: int
    skipped: int
    failed: int


class Image(Shape):
    """An image of a collection."""

    id: str
    width: int
    height: int
    format: str
    bytes: int
    frames: int
    quality: int
    added: str
    credit: Credit
    sightings: list[Sighting]
    fields: dict[str, str | float | bool]
    sightings_total: int
    sightings_url: str = Field(description="All places, where there are more than the first twenty.")
    image_url: str
    thumbnail_url: str
    original_url: str | None


class Images(Shape):
    """A page of images."""

    images: list[Image]
    total: int
    next: str | None


class AboutImage(Image):
    """An image, and what it shows."""

    labels: list[Label]
    colours: list[dict[str, Any]]
    objects: list[list[float]]


Answers = dict[int | str, dict[str, Any]]
"""What a route says of its answers, by status."""


def problems(*statuses: int) -> Answers:
    """The errors that a route may answer with, beside those of all: for its `responses`."""
    shape = {"content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {status: {"description": STATUSES[status], **shape} for status in sorted({*statuses})}


STATUSES = {
    400: "The request cannot be used.",
    401: "No key was given, or none that is valid.",
    403: "The key does not allow this, or an address is not public.",
    404: "There is no such thing.",
    405: "This is not supported here.",
    408: "The request did not come in time.",
    409: "Another process is writing, or features are of another version.",
    413: "The body, or the picture, is too large.",
    415: "The body, or the picture, is of a kind that is not taken.",
    422: "The picture cannot be read.",
    429: "The key's rate is used up.",
    500: "Something went wrong here.",
    502: "A URL could not be fetched.",
    503: "There is no room or time at present; Retry-After says when to try again.",
}
"""What a status says here."""
