"""Uploads: pictures that come as bytes, with where they were seen and what is to be remembered of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from wherefrom.records import FieldValue, Place, image_id


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture's bytes and what is said of it.

    `uri` is where it was seen, `page` with `title` and `alt` what stood around it; `name` is its file's name
    and `fields` are attached to the image. What has no `uri` is seen at `upload://` and a name of its own
    when anything is said of it, and nowhere otherwise.
    """

    data: bytes = field(repr=False)
    uri: str | None = None
    page: str | None = None
    title: str | None = None
    alt: str | None = None
    name: str | None = None
    fields: Mapping[str, FieldValue | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The image's id."""
        return image_id(hashlib.sha256(self.data).digest())

    @property
    def place(self) -> Place | None:
        """Where the image is seen; None for nowhere."""
        if self.uri is None and not (self.page or self.title or self.alt or self.name):
            return None
        uri = self.uri or f"upload://{self.id[7:23]}/{quote(self.name or 'picture')}"
        return Place(uri, self.page, self.title, self.alt)

    @property
    def known_as(self) -> str:
        """What outcomes call it: where it is seen, or else its id."""
        place = self.place
        return self.id if place is None else place.uri
