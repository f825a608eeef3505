"""What the catalog keeps, as plain values: what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wherefrom.errors import UsageError
from wherefrom.picture.metadata import Credit
from wherefrom.picture.signs import Signs
from wherefrom.uris import path_of

Features = dict[str, bytes]
"""Features by kind, each as opaque bytes."""

FieldValue = str | float | bool
"""What a field that a user attached holds."""

ID_PREFIX = "sha256:"


def image_id(digest: bytes) -> str:
    """The id of the image whose bytes have this SHA-256 digest: `sha256:` and 64 hex digits."""
    return ID_PREFIX + digest.hex()


def digest_of(identifier: str) -> bytes:
    """The digest in an image id; raises UsageError when it is none."""
    try:
        digest = bytes.fromhex(identifier.removeprefix(ID_PREFIX))
    except ValueError:
        digest = b""
    if len(digest) != 32 or not identifier.startswith(ID_PREFIX):
        raise UsageError(
            f"{identifier!r} is no image id: those read sha256: and 64 hex digits, or the first 6 or more."
        )
    return digest


def short_id(identifier: str) -> str:
    """An id as people are shown it: its first 12 hex digits, which commands take as well."""
    return identifier.removeprefix(ID_PREFIX)[:12]


def now() -> int:
    """The present, in microseconds since 1970 UTC: how the catalog keeps times."""
    return int(datetime.now(UTC).timestamp() * 1_000_000)


def iso(moment: int | None) -> str | None:
    """A catalog time as ISO 8601 UTC with seconds; None stays None."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells an unchanged file without reading it: size in bytes, modification time in ns."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image was met: a uri, and for a page on the web what stood around it.

    `how` is the way in which the page has it, as `img` or `og:image`; `published` is when the page says that
    it appeared, as ISO 8601. `moment` is when whoever tells this has seen it, in microseconds since 1970 UTC;
    None is the present.
    """

    uri: str
    page: str | None = None
    title: str | None = None
    alt: str | None = None
    stamp: FileStamp | None = None
    caption: str | None = None
    how: str | None = None
    published: str | None = None
    moment: int | None = None


class SeenAt(NamedTuple):
    """What a sighting is known by: the key of the image, where it was seen, and the page around it."""

    key: int
    uri: str
    page: str | None = None


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to add: facts, features by kind (opaque bytes), the place it was met at, and what is attached.

    A field of None takes one of that name away from an image that is there already.
    """

    digest: bytes
    width: int
    height: int
    format: str
    bytes: int
    frames: int
    quality: int
    credit: Credit
    decoder: str
    features: Features
    place: Place | None = None
    signs: Signs | None = None
    fields: Mapping[str, FieldValue | None] = field(default_factory=dict, hash=False)


class Link(NamedTuple):
    """How a place leads to a file that has another name: `symbolic` or `hard`, and the uri of that file."""

    kind: str
    uri: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One place where an image was seen. Times are ISO 8601 UTC; `gone` is when it was found missing.

    An image that is at one uri on two pages has two. `caption`, `how` and `published` are as in `Place`, by
    whoever saw it last.

    `there` is whether its file was there when it was looked at, None where it was not or cannot be known;
    `link` leads to the file that a place is a link to, or that it is the same as. `stamp` is of the file as
    it was met, None for what was told and not met; `file` and `modified` (ns) are of the file as it is.
    """

    uri: str
    page: str | None
    title: str | None
    alt: str | None
    first_seen: str
    last_seen: str
    gone: str | None = None
    caption: str | None = None
    how: str | None = None
    published: str | None = None
    there: bool | None = field(default=None, compare=False)
    link: Link | None = field(default=None, compare=False)
    stamp: FileStamp | None = field(default=None, compare=False, repr=False)
    file: tuple[int, int] | None = field(default=None, compare=False, repr=False)
    modified: int = field(default=0, compare=False, repr=False)

    @property
    def path(self) -> str | None:
        """The path of a file on this machine; None for other uris."""
        return path_of(self.uri)

    def as_json(self) -> dict[str, Any]:
        """The sighting in the shape that all faces share."""
        return {
            "uri": self.uri,
            "page": self.page,
            "title": self.title,
            "alt": self.alt,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "gone": self.gone,
            "caption": self.caption,
            "how": self.how,
            "published": self.published,
            "there": self.there,
            "link": self.link and self.link._asdict(),
        }


@dataclass(frozen=True, slots=True)
class Image:
    """One distinct file content of a collection, with the places where it was seen.

    `fields` are what users attached, by name; `signs` what its file says of its own history, None where the
    collection was made before these were kept.
    """

    id: str
    width: int
    height: int
    format: str
    bytes: int
    frames: int
    quality: int
    added: str
    credit: Credit
    sightings: tuple[Sighting, ...] = field(default=())
    fields: Mapping[str, FieldValue] = field(default_factory=dict, hash=False)
    signs: Signs | None = None

    @property
    def uri(self) -> str | None:
        """The first place, which is one that is there if any is; None for what was seen nowhere."""
        return self.sightings[0].uri if self.sightings else None

    @property
    def path(self) -> str | None:
        """The first file that is there, or else the first that was; None for what was seen in no file."""
        paths = [one.path for one in self.sightings]
        return next((path for path in paths if path is not None), None)

    def as_json(self) -> dict[str, object]:
        """The image in the shape that all faces share."""
        return {
            "id": self.id,
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "bytes": self.bytes,
            "frames": self.frames,
            "quality": self.quality,
            "added": self.added,
            "credit": self.credit.as_json(),
            "sightings": [s.as_json() for s in self.sightings],
            "fields": dict(self.fields),
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that gave no picture, remembered so that it is not tried again until it changes.

    One that is `passing` was perhaps the machine's fault: it is tried again before it is believed.
    """

    uri: str
    stamp: FileStamp
    code: str
    reason: str
    skipped: bool
    reader: str
    passing: bool = False
