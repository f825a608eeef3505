"""Uris of files: paths as the catalog knows them, whatever bytes their names have."""

from __future__ import annotations

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes

SAFE = "/!$&'()*+,:;=@-._~"
"""What stands in such a uri as it is, beside letters and digits."""


def file_uri(path: str | os.PathLike[str]) -> str:
    """The `file:///` uri of a path, made absolute; any byte that a file name can hold survives."""
    return "file://" + quote_from_bytes(os.fsencode(os.path.abspath(path)), SAFE)


def path_of(uri: str) -> str | None:
    """The path in a `file://` uri of this machine; None for other uris."""
    host, slash, path = uri.removeprefix("file://").partition("/")
    if not uri.startswith("file://") or not slash or host not in ("", "localhost"):
        return None
    try:
        return os.fsdecode(unquote_to_bytes(os.fsencode("/" + path)))
    except UnicodeEncodeError:  # half a character, which is in no file's name
        return None
