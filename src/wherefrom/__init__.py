"""Wherefrom: reverse image search for collections that you hold yourself.

    import wherefrom
    with wherefrom.open("photos.wherefrom", create=True) as photos:
        photos.add("~/Pictures")
        for match in photos.search("query.jpg"):
            print(match.kind, match.score, match.sightings[0].uri)

The names below are the whole public surface. They are imported when first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wherefrom.version import __version__

if TYPE_CHECKING:
    from wherefrom.collection import Collection
    from wherefrom.collection import open_collection as open
    from wherefrom.errors import (
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
        Excluded,
        Fault,
        FeatureMismatch,
        FetchError,
        Forbidden,
        MachineFault,
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
        WherefromError,
        WrongBody,
    )
    from wherefrom.groups import Group
    from wherefrom.outcome import Outcome, Report
    from wherefrom.picture.decode import decode
    from wherefrom.picture.limits import Limits
    from wherefrom.picture.metadata import Credit
    from wherefrom.picture.picture import Facts, Picture
    from wherefrom.records import Image, Sighting
    from wherefrom.search.answer import Answer, Edit, Evidence, Kind, Match
    from wherefrom.settings import Settings

_HOMES = {
    "wherefrom.collection": ("Collection", "open"),
    "wherefrom.groups": ("Group",),
    "wherefrom.records": ("Image", "Sighting"),
    "wherefrom.errors": (
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
        "Excluded",
        "Fault",
        "FeatureMismatch",
        "FetchError",
        "Forbidden",
        "MissingExtra",
        "MachineFault",
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
        "WherefromError",
        "WrongBody",
    ),
    "wherefrom.outcome": ("Outcome", "Report"),
    "wherefrom.picture.decode": ("decode",),
    "wherefrom.picture.limits": ("Limits",),
    "wherefrom.picture.metadata": ("Credit",),
    "wherefrom.picture.picture": ("Facts", "Picture"),
    "wherefrom.search.answer": ("Answer", "Edit", "Evidence", "Kind", "Match"),
    "wherefrom.settings": ("Settings",),
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
    "Excluded",
    "Facts",
    "Fault",
    "FeatureMismatch",
    "FetchError",
    "Forbidden",
    "Group",
    "Image",
    "Kind",
    "Limits",
    "MachineFault",
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
    "WherefromError",
    "WrongBody",
    "__version__",
    "decode",
    "open",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module 'wherefrom' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), "open_collection" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
