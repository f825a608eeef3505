"""MatchEngine knows images by filepaths; here they are sightings.

A filepath is any text. What was added under one was seen at `matchengine:///` and the filepath, quoted; what
came here by other ways goes by its uri, and what was never seen anywhere by its id. So everything in a
collection has a filepath, and each filepath means one place.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from wherefrom.records import ID_PREFIX

PREFIX = "matchengine:///"

_PLACE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ID = re.compile(re.escape(ID_PREFIX) + "[0-9a-f]{64}")


def uri_of(filepath: str) -> str:
    """Where an image with this filepath was seen, or the id that it is."""
    if _ID.fullmatch(filepath) or (_PLACE.match(filepath) and not filepath.lower().startswith(PREFIX)):
        return filepath
    return PREFIX + quote(filepath, safe="/", errors="surrogatepass")


def filepath_of(uri: str) -> str:
    """The filepath of a place."""
    if not uri.startswith(PREFIX):
        return uri
    return unquote(uri.removeprefix(PREFIX), errors="surrogatepass")


def filepaths_of(identifier: str, sightings: list[dict[str, Any]]) -> list[str]:
    """Every filepath of an image: of the places where it still is, or else its id."""
    found = dict.fromkeys(filepath_of(place["uri"]) for place in sightings if place["gone"] is None)
    return list(found) or [identifier]


def name_of(url: str) -> str:
    """The filepath that clients give what they add by URL, unless told: the last part of its path."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or url
