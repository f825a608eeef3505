"""Fields that users attach to images: a name and a text, a number, or true or false.

Each function works on a connection that the `Catalog` gives it, inside its transaction. A row holds a text, a
number, or both for a truth: `true` and 1, `false` and 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select

from wherefrom.batches import batched
from wherefrom.engine.images import damaged_row
from wherefrom.engine.statements import CHUNK, insert_rows, one_of, storable
from wherefrom.engine.sums import with_crcs
from wherefrom.engine.tables import fields, images
from wherefrom.errors import UsageError
from wherefrom.filters.terms import NAME, OWN, RESERVED
from wherefrom.records import FieldValue

MOST = 64
"""Fields of an image at most."""

LONGEST = 1_000
"""Characters of a value at most."""

_OF = select(fields).where(one_of(fields.c.image_id)).order_by(fields.c.name)
_THERE = select(images.c.id).where(one_of(images.c.id)).order_by(images.c.id)
_REMOVE = delete(fields).where(fields.c.name == bindparam("of_name"), one_of(fields.c.image_id))
_COUNTS = select(func.count()).where(one_of(fields.c.image_id)).group_by(fields.c.image_id)
_NEXT_NAME = select(func.min(fields.c.name)).where(fields.c.name > bindparam("last"))


def checked(new: Mapping[str, FieldValue | None]) -> dict[str, FieldValue | None]:
    """The same fields as they will be kept; raises UsageError for a name or value that none can have.

    A name is a letter or underscore and up to 63 letters, digits, underscores, dots or hyphens, and none of
    the built-in ones. A number is finite; an integer is kept as a float. None stands for no field.
    """
    return {_name(name): _value(name, value) for name, value in new.items()}


def put(connection: Connection, keys: Sequence[int], new: Mapping[str, FieldValue | None]) -> int:
    """Give images fields in place of those of the same names; None takes one away.

    Images that do not exist are passed over; gives how many there were. Raises UsageError, and then the
    transaction is not to be committed.
    """
    values = checked(new)
    found = 0
    for chunk in batched(sorted(set(keys)), CHUNK):
        there = list(connection.execute(_THERE, {"values": chunk}).scalars())
        found += len(there)
        if not there:
            continue
        for name in values:
            connection.execute(_REMOVE, {"of_name": name, "values": there})
        rows = [
            (name, key, *_columns(value))
            for name, value in values.items()
            if value is not None
            for key in there
        ]
        insert_rows(connection, fields, with_crcs(rows))
        most = max(connection.execute(_COUNTS, {"values": there}).scalars(), default=0)
        if most > MOST:
            raise UsageError(f"An image may have {MOST} fields, and one would have {most}; take some away.")
    return found


def read(connection: Connection, keys: Sequence[int]) -> dict[int, dict[str, FieldValue]]:
    """The fields of up to `CHUNK` images that have any, by name, in its order.

    Raises CollectionDamaged when one cannot be what was written.
    """
    found: dict[int, dict[str, FieldValue]] = {}
    for row in connection.execute(_OF, {"values": keys}):
        found.setdefault(row.image_id, {})[row.name] = _read(row)
    return found


def names(connection: Connection) -> list[str]:
    """The name of every field that some image has, in order."""
    found: list[str] = []
    # From one to the next by the primary key: reading every row would take as long as there are images.
    while (name := connection.execute(_NEXT_NAME, {"last": found[-1] if found else ""}).scalar()) is not None:
        found.append(str(name))
    return found


def _name(name: str) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UsageError(
            f"{str(name)[:80]!r} cannot be a field's name: those begin with a letter and go on with up to 63 "
            f"letters, digits, underscores, dots or hyphens."
        )
    if name.casefold() in RESERVED or name.casefold().startswith(OWN):
        raise UsageError(f"{name!r} is a name of our own; choose another, such as my_{name.lower()}.")
    return name


def _value(name: str, value: FieldValue | None) -> FieldValue | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise UsageError(f"The field {name} has {len(value)} characters; {LONGEST} is the most.")
        return storable(value)
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number + 0.0  # no negative zero, which SQLite does not keep
    raise UsageError(f"The field {name} takes text, a finite number, or true or false; not {value!r:.80}.")


def _columns(value: FieldValue) -> tuple[str | None, float | None]:
    if isinstance(value, bool):
        return ("true", 1.0) if value else ("false", 0.0)
    return (value, None) if isinstance(value, str) else (None, value)


def _read(row: Any) -> FieldValue:
    text, number = row.text, row.number
    if isinstance(text, str) and number is None:
        return text
    if isinstance(number, float) and text is None:
        return number
    if (text, number) in (("true", 1.0), ("false", 0.0)):
        return bool(number)
    raise damaged_row("a field of image", row.image_id)
