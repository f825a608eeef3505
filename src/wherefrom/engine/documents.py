"""Documents: named JSON values that are kept with a collection, such as how its scores are to be read.

Each function works on a connection that the `Catalog` gives it, inside its transaction.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from wherefrom.engine.statements import insert_rows
from wherefrom.engine.sums import crcs, with_crcs
from wherefrom.engine.tables import documents
from wherefrom.errors import CollectionDamaged

_OF = select(documents).where(documents.c.name == bindparam("of_name"))
_REMOVE = delete(documents).where(documents.c.name == bindparam("of_name"))


def read(connection: Connection, name: str) -> Any:
    """The value of that name, None when there is none. Raises CollectionDamaged for what was not written."""
    row = connection.execute(_OF, {"of_name": name}).one_or_none()
    if row is None:
        return None
    try:
        if crcs([(row.name, row.data)]) == [row.crc]:
            return json.loads(row.data)
    except (TypeError, ValueError):
        pass
    raise CollectionDamaged(
        f"The {name} that is kept with this collection is not what was written. "
        f"To drop it, run: wherefrom rebuild"
    )


def put(connection: Connection, name: str, value: Any) -> bool:
    """Keep a value, of what JSON has, in place of what had that name; None takes it away.

    Gives whether there was one before.
    """
    before = connection.execute(_REMOVE, {"of_name": name}).rowcount > 0
    if value is not None:
        text = json.dumps(value, ensure_ascii=True, sort_keys=True, allow_nan=False)
        insert_rows(connection, documents, with_crcs([(name, text)]))
    return before
