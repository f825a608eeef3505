"""Whence: reverse image search for collections that you hold yourself.

    import whence
    with whence.open("photos.whence", create=True) as photos:
        photos.add("~/Pictures")
        for match in photos.search("query.jpg"):
            print(match.kind, match.score, match.sightings[0].uri)

The names below are the whole public surface. They are imported when first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from whence.version import __version__

if TYPE_CHECKING:
    from whence.collection import Collection
    from whence.collection import open_collection as open
    from whence.duplicates import Group
    from whence.engine.records import Image, Sighting
    from whence.errors import (
        BlockedAddress,
        Busy,
        CollectionDamaged,
        CollectionError,
        CollectionLocked,
        CollectionMissing,
        CollectionTooNew,
        Conflict,
        Corrupt,
        EmptyFile,
        FeatureMismatch,
        FetchError,
        Forbidden,
        MissingExtra,
        ModelError,
        ModelMissing,
        NotAPicture,
        NotFound,
        PictureError,
        ServiceError,
        SlowRequest,
        TooLarge,
        TooManyRequests,
        TooSlow,
        Truncated,
        Unauthorised,
        Unreadable,
        UnsupportedFormat,
        UsageError,
        WhenceError,
        WrongBody,
    )
    from whence.outcome import Outcome, Report
    from whence.picture.decode import Limits, decode
    from whence.picture.metadata import Credit
    from whence.picture.picture import Facts, Picture
    from whence.search.answer import Answer, Edit, Evidence, Kind, Match
    from whence.settings import Settings

_HOMES = {
    "whence.collection": ("Collection", "open"),
    "whence.duplicates": ("Group",),
    "whence.engine.records": ("Image", "Sighting"),
    "whence.errors": (
        "BlockedAddress",
        "Busy",
        "CollectionDamaged",
        "CollectionError",
        "CollectionLocked",
        "CollectionMissing",
        "CollectionTooNew",
        "Conflict",
        "Corrupt",
        "EmptyFile",
        "FeatureMismatch",
        "FetchError",
        "Forbidden",
        "MissingExtra",
        "ModelError",
        "ModelMissing",
        "NotAPicture",
        "NotFound",
        "PictureError",
        "ServiceError",
        "SlowRequest",
        "TooLarge",
        "TooManyRequests",
        "TooSlow",
        "Truncated",
        "Unauthorised",
        "Unreadable",
        "UnsupportedFormat",
        "UsageError",
        "WhenceError",
        "WrongBody",
    ),
    "whence.outcome": ("Outcome", "Report"),
    "whence.picture.decode": ("Limits", "decode"),
    "whence.picture.metadata": ("Credit",),
    "whence.picture.picture": ("Facts", "Picture"),
    "whence.search.answer": ("Answer", "Edit", "Evidence", "Kind", "Match"),
    "whence.settings": ("Settings",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "BlockedAddress",
    "Busy",
    "Collection",
    "CollectionDamaged",
    "CollectionError",
    "CollectionLocked",
    "CollectionMissing",
    "CollectionTooNew",
    "Conflict",
    "Corrupt",
    "Credit",
    "Edit",
    "EmptyFile",
    "Evidence",
    "Facts",
    "FeatureMismatch",
    "FetchError",
    "Forbidden",
    "Group",
    "Image",
    "Kind",
    "Limits",
    "Match",
    "MissingExtra",
    "ModelError",
    "ModelMissing",
    "NotAPicture",
    "NotFound",
    "Outcome",
    "Picture",
    "PictureError",
    "Report",
    "ServiceError",
    "Settings",
    "Sighting",
    "SlowRequest",
    "TooLarge",
    "TooManyRequests",
    "TooSlow",
    "Truncated",
    "Unauthorised",
    "Unreadable",
    "UnsupportedFormat",
    "UsageError",
    "WhenceError",
    "WrongBody",
    "__version__",
    "decode",
    "open",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), "open_collection" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
