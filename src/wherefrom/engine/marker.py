"""The marker: the small file that makes a directory a collection, and says in which format."""

from __future__ import annotations

import json
import uuid
import zlib
from pathlib import Path

from wherefrom.engine.files import fsync
from wherefrom.errors import CollectionDamaged, CollectionError, CollectionTooNew
from wherefrom.former import OLD_MARKER
from wherefrom.records import iso, now

MARKER = "wherefrom.json"
"""Its name; folders that hold it are never indexed."""

_FORMAT = 1


def marker_of(directory: Path) -> Path:
    """Where the marker of a collection is, or would be."""
    new, old = directory / MARKER, directory / OLD_MARKER
    return old if old.exists() and not new.exists() else new


def is_marker(name: str) -> bool:
    """Whether a file of this name makes its folder a collection."""
    return name in (MARKER, OLD_MARKER)


def read_marker(directory: Path) -> bool:
    """Whether there is a marker in `directory`.

    Raises CollectionDamaged when it is not what was written, CollectionTooNew when a later version wrote
    it, CollectionError when `directory` cannot be a collection.
    """
    path = marker_of(directory)
    try:
        marker = json.loads(path.read_bytes())
        number, crc = marker["format"], marker.pop("crc")
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise CollectionError(f"{directory} is a file; a collection is a directory.") from None
    except PermissionError as error:
        raise CollectionError(f"{path} cannot be read ({error.strerror}). Check its permissions.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CollectionDamaged(f"{path} cannot be read ({error}). Run: wherefrom rebuild") from error
    if crc != _crc(marker):
        raise CollectionDamaged(f"{path} is not what was written. Run: wherefrom rebuild")
    if number != _FORMAT:
        raise CollectionTooNew(f"{directory} was made by a later version of Wherefrom; upgrade Wherefrom.")
    return True


def write_marker(directory: Path) -> None:
    """Put a new marker in the place of what is there, if anything. Raises OSError."""
    body: dict[str, object] = {"format": _FORMAT, "id": str(uuid.uuid4()), "created": iso(now())}
    draft = directory / (MARKER + ".draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(body | {"crc": _crc(body)}, file)
        file.write("\n")
        file.flush()
        fsync(file.fileno())
    draft.replace(directory / MARKER)
    (directory / OLD_MARKER).unlink(missing_ok=True)


def left_half_made(directory: Path, catalog: str) -> bool:
    """Whether nothing is in `directory` but what making a collection leaves before the marker is there."""
    ours = {"writer.lock", MARKER + ".draft"}
    return all(path.name in ours or path.name.startswith(catalog) for path in directory.iterdir())


def _crc(body: object) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())
