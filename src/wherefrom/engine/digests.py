"""From digest to key: which image has these bytes.

Digests fall anywhere, so that an index on them is written all over: a page at every commit for each image
added. The index is therefore a table of its own that is written for many images at a time, and covers those
up to the key in `digests_until`. The digests of the few images since then are looked through, and the
writer remembers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from wherefrom.batches import batched
from wherefrom.engine.statements import CHUNK, rows_where_in
from wherefrom.errors import CollectionDamaged

PREFIX = 8
"""Bytes of a digest that the index holds; the rest is compared where they agree."""

SEAL_MOST = 65_536
"""Images since the last seal at which the index of any collection is written."""

_SEALED = (
    "SELECT i.digest, i.id FROM digests AS d JOIN images AS i ON i.id = d.image_id WHERE d.prefix IN ({})"
)
_TAIL = "SELECT digest, id FROM images WHERE id > (SELECT key FROM digests_until) AND digest IN ({})"
_UNTIL = text("SELECT key FROM digests_until")
_RECENT = text("SELECT digest, id FROM images WHERE id > :until")
_SEAL = text(
    "INSERT INTO digests SELECT substr(digest, 1, 8), id FROM images WHERE id > :until ORDER BY 1, 2"
)
_SET_UNTIL = text("UPDATE digests_until SET key = :key")
_FORGET = """
    DELETE FROM digests WHERE (prefix, image_id) IN
    (SELECT substr(digest, 1, 8), id FROM images WHERE id IN ({}))
"""
_LACKING = text("""
    SELECT count(*) FROM images AS i
    WHERE i.id <= (SELECT max(key) FROM digests_until)
    AND NOT EXISTS (SELECT 1 FROM digests AS d WHERE d.prefix = substr(i.digest, 1, 8) AND d.image_id = i.id)
""")
_SURPLUS = text("""
    SELECT count(*) FROM digests AS d
    WHERE d.image_id > (SELECT max(key) FROM digests_until)
    OR NOT EXISTS (SELECT 1 FROM images AS i WHERE i.id = d.image_id AND substr(i.digest, 1, 8) = d.prefix)
""")
_BOUNDS = text("SELECT count(*), coalesce(max(key), 0) FROM digests_until")
_SHARED = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM digests AS d JOIN images AS i ON i.id = d.image_id
        WHERE d.prefix IN (SELECT prefix FROM digests GROUP BY prefix HAVING count(*) > 1)
        GROUP BY i.digest HAVING count(*) > 1)
""")


def keys_of(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The keys of those digests that are in the catalog."""
    found = sealed_keys(connection, digests)
    for chunk in batched(digests, CHUNK):
        found.update((row[0], row[1]) for row in rows_where_in(connection, _TAIL, chunk))
    return found


def sealed_keys(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The keys of those digests that the index covers."""
    found: dict[bytes, int] = {}
    wanted = set(digests)
    for chunk in batched({digest[:PREFIX] for digest in digests}, CHUNK):
        rows = rows_where_in(connection, _SEALED, chunk)
        found.update((row[0], row[1]) for row in rows if row[0] in wanted)
    return found


def until(connection: Connection) -> int:
    """The highest key that the index covers."""
    key = connection.execute(_UNTIL).scalar_one()
    if not isinstance(key, int):
        raise CollectionDamaged("The catalog's index of digests is damaged. Run: wherefrom check")
    return key


def seal(connection: Connection, key: int) -> None:
    """Write the index for all images up to `key`, the highest there is."""
    connection.execute(_SEAL, {"until": until(connection)})
    connection.execute(_SET_UNTIL, {"key": key})


def is_due(covered: int, key: int, least: int) -> bool:
    """Whether enough has been added since the last seal: a sixteenth of it all, and at least so many."""
    return key - covered >= max(least, min(SEAL_MOST, covered // 16))


def forget(connection: Connection, keys: Iterable[int]) -> None:
    """Drop images from the index, before their rows go."""
    for chunk in batched(keys, CHUNK):
        rows_where_in(connection, _FORGET, chunk)


def derive(connection: Connection, key: int) -> None:
    """Write the index anew for all images, whatever it holds."""
    connection.execute(text("DELETE FROM digests"))
    connection.execute(text("DELETE FROM digests_until"))
    connection.execute(text("INSERT INTO digests_until (id, key) VALUES (1, 0)"))
    seal(connection, key)


def are_wrong(connection: Connection, key: int) -> bool:
    """Whether the index is not what the images give, of which `key` is the highest there ever was."""
    rows, covered = connection.execute(_BOUNDS).one()
    wrong = sum(connection.execute(query).scalar_one() for query in (_LACKING, _SURPLUS))
    return bool(rows != 1 or not 0 <= covered <= key or wrong)


def shared(connection: Connection) -> int:
    """How many digests belong to several images, which none may."""
    return int(connection.execute(_SHARED).scalar_one())


class RecentDigests:
    """The digests that the index does not cover yet, as the writer remembers them.

    They belong to one state of the catalog, and are read again when it is found in another.
    """

    def __init__(self) -> None:
        self._state: tuple[int, ...] = ()
        self._keys: dict[bytes, int] = {}

    def at(self, connection: Connection, state: tuple[int, ...]) -> dict[bytes, int]:
        """Key by digest, in this state: covered key, highest key, last removal."""
        if state != self._state:
            rows = connection.execute(_RECENT, {"until": state[0]})
            self._state, self._keys = state, {row[0]: row[1] for row in rows}
        return self._keys

    def go_on(self, state: tuple[int, ...], fresh: dict[bytes, int]) -> None:
        """Take over what has been added, once it is committed; all is forgotten when it was sealed."""
        if state[0] != self._state[0]:
            self._keys = {}
        else:
            self._keys.update(fresh)
        self._state = state
