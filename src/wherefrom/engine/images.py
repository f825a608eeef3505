"""Images as rows of the catalog, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wherefrom.errors import CollectionDamaged
from wherefrom.picture.metadata import Credit
from wherefrom.picture.signs import Signs
from wherefrom.records import FieldValue, FileStamp, Image, NewImage, Sighting, image_id, iso

_PLAIN = Credit()


def image_values(image: NewImage, key: int, moment: int) -> tuple[object, ...]:
    """The values of an image's row, in the order of the table's columns and without the checksum."""
    credit = image.credit
    return (
        key,
        image.digest,
        image.width,
        image.height,
        image.format,
        image.bytes,
        image.frames,
        image.quality,
        None if credit == _PLAIN else json.dumps(credit.as_json()),
        moment,
    )


def image_of(
    row: Any, seen: tuple[Sighting, ...], fields: Mapping[str, FieldValue], signs: str | None = None
) -> Image:
    """The image in a row of the table; raises CollectionDamaged when its values cannot be an image's."""
    try:
        return Image(
            id=image_id(row.digest),
            width=row.width,
            height=row.height,
            format=row.format,
            bytes=row.bytes,
            frames=row.frames,
            quality=row.quality,
            added=iso(row.added) or "",
            credit=Credit.from_json(json.loads(row.credit)) if row.credit else _PLAIN,
            sightings=seen,
            fields=fields,
            signs=None if signs is None else Signs.from_json(json.loads(signs)),
        )
    except (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError) as error:
        raise damaged_row("image", row.id) from error


def sighting_of(row: Any) -> Sighting:
    """The sighting in a row of the table; raises CollectionDamaged when its values cannot be a sighting's."""
    try:
        first, last = iso(row.first_seen) or "", iso(row.last_seen) or ""
        stamp = None if row.size is None or row.mtime_ns is None else FileStamp(row.size, row.mtime_ns)
        around = row.page, row.title, row.alt
        more = row.caption, row.how, row.published
        return Sighting(row.uri, *around, first, last, iso(row.gone), *more, stamp=stamp)
    except (OSError, OverflowError, TypeError, ValueError) as error:
        raise damaged_row("sighting", row.id) from error


def damaged_row(what: str, number: int) -> CollectionDamaged:
    """The error for a row that holds what nobody wrote."""
    return CollectionDamaged(
        f"The catalog is damaged: {what} number {number} cannot be what was written. Run: wherefrom check"
    )
