"""The orders in which images are listed: keys by size, by date, by when they were added."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, func, select

from wherefrom.engine.tables import images, sightings
from wherefrom.errors import UsageError

ORDERS = ("added", "date", "pixels")
"""When an image was added; when it was taken, or else first seen, or added; how many pixels it has."""

_TAKEN = func.json_extract(images.c.credit, "$.taken")


def _dates() -> Select[tuple[int]]:
    first = (
        select(sightings.c.image_id, func.min(sightings.c.first_seen).label("moment"))
        .group_by(sightings.c.image_id)
        .subquery()
    )
    moment = func.coalesce(first.c.moment, images.c.added) / 1_000_000
    date = func.coalesce(_TAKEN, func.strftime("%Y-%m-%dT%H:%M:%SZ", moment, "unixepoch"))
    joined = images.outerjoin(first, first.c.image_id == images.c.id)
    return select(images.c.id).select_from(joined).order_by(date, images.c.id)


_QUERIES = {
    "added": select(images.c.id).order_by(images.c.id),
    "date": _dates(),
    "pixels": select(images.c.id).order_by(images.c.width * images.c.height, images.c.id),
}


def ordered(connection: Connection, by: str) -> NDArray[np.int64]:
    """The keys of all images in one of `ORDERS`, rising: int64. Raises UsageError for no order."""
    if by not in _QUERIES:
        raise UsageError(f"Images are listed by {', '.join(ORDERS)}, not by {by!r}.")
    return np.fromiter((row[0] for row in connection.execute(_QUERIES[by])), np.int64)
