"""Places: how the files in which images were seen stand at the moment of asking.

A catalog remembers where a file was. Whether it is still there, whether the place is a link, and whether two
places are one file, only the disk knows: it is asked here, by `lstat` and without opening anything. Only
places that were met as files (which have a stamp) are looked at: of a uri that somebody merely told, whether
there is such a file is nobody's business.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from wherefrom.records import FileStamp, Image, Link, SeenAt, Sighting
from wherefrom.sources.folder import file_uri, path_of
from wherefrom.sources.leaving import innards

MOUNTS = ("/media", "/mnt", "/net", "/run/media", "/Volumes", "/autofs", "/misc")
"""Folders below which disks come and go."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a path stands: `there` is None where that cannot be known, as of a disk that is away.

    `file` is the device and number of the file that it leads to, and `modified` that file's time in ns.
    """

    there: bool | None
    file: tuple[int, int] | None = None
    modified: int = 0
    target: str | None = None  # the path that a symbolic link leads to in the end


def standing(path: str, stamp: FileStamp | None = None) -> Standing:
    """How a path stands now. With a stamp, a file of another size is not the one that was there."""
    target = None
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.path.realpath(path)
            status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Standing(None if is_away(target or path) else False, target=target)
    except (OSError, ValueError):
        return Standing(None, target=target)
    if not stat.S_ISREG(status.st_mode) or (stamp is not None and status.st_size != stamp.size):
        return Standing(False, target=target)
    number = (status.st_dev, status.st_ino) if status.st_ino else None
    return Standing(True, number, status.st_mtime_ns, target)


def is_away(path: str) -> bool:
    """Whether a path that is missing may be on a disk or share that is away, or behind a closed door.

    It is for good reason missing where its nearest folder that exists can be looked into, and is neither the
    root, nor the place of a mount that is not made.
    """
    folder = str(Path(os.path.abspath(path)).parent)
    while True:
        try:
            with os.scandir(folder) as listing:
                empty = next(listing, None) is None
            break
        except (FileNotFoundError, NotADirectoryError):
            folder = str(Path(folder).parent)
        except OSError:
            return True
    if folder == str(Path(folder).parent) or folder in MOUNTS:
        return True
    if any(_holds(point, path) and not os.path.ismount(point) for point in _stated_mounts()):
        return True
    if os.path.ismount(folder):
        return False
    base = next((mounts for mounts in MOUNTS if _holds(mounts, folder)), None)
    if base is None:
        return False
    # /media/anna and /media/disk are folders of mounts, or mounts; an empty one has nothing on it.
    deep = os.path.relpath(folder, base).count(os.sep)
    return deep == 0 or (deep == 1 and empty)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


@lru_cache(maxsize=1)
def _stated_mounts() -> tuple[str, ...]:
    """The places that /etc/fstab mounts something at, but the root."""
    try:
        with open("/etc/fstab", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
            fields = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return ()
    points = (one[1].replace("\\040", " ") for one in fields if len(one) > 2 and one[1].startswith("/"))
    return tuple(point.rstrip("/") for point in points if point.rstrip("/"))


def looked(image: Image) -> Image:
    """An image with its sightings as they stand: those that are there first, and files before links to them.

    Places that are one file are told by `link`, which leads from the others to the one that is shown for it.
    The order is otherwise kept.
    """
    if not image.sightings:
        return image
    stands: list[tuple[Sighting, Standing | None]] = []
    for sighting in image.sightings:
        path = None if sighting.stamp is None else path_of(sighting.uri)
        stands.append((sighting, None if path is None else standing(path, sighting.stamp)))
    owners = _owners(stands)
    told = []
    for place, (sighting, how) in enumerate(stands):
        if sighting.gone is not None or how is None:
            told.append(replace(sighting, there=None if sighting.gone is None else False, link=None))
            continue
        link = None
        owner = place if how.file is None else owners[how.file]
        if owner != place:
            kind = "symbolic" if how.target is not None or _is_behind_link(sighting.uri) else "hard"
            link = Link(kind, stands[owner][0].uri)
        elif how.target is not None:
            link = Link("symbolic", file_uri(how.target))
        told.append(replace(sighting, there=how.there, link=link, file=how.file, modified=how.modified))
    told.sort(key=_rank)
    return replace(image, sightings=tuple(told))


def _owners(stands: Sequence[tuple[Sighting, Standing | None]]) -> dict[tuple[int, int], int]:
    """Which of the places that are one file is shown for it: the file itself, and else the first."""
    found: dict[tuple[int, int], list[int]] = {}
    for place, (sighting, how) in enumerate(stands):
        if how is not None and how.file is not None and sighting.gone is None:
            found.setdefault(how.file, []).append(place)

    def is_link(place: int) -> bool:
        sighting, how = stands[place]
        return (how is not None and how.target is not None) or _is_behind_link(sighting.uri)

    return {
        number: places[0] if len(places) == 1 else min(places, key=lambda place: (is_link(place), place))
        for number, places in found.items()
    }


def _is_behind_link(uri: str) -> bool:
    """Whether a place, or a folder that it lies in, is a symbolic link."""
    path = path_of(uri)
    return path is not None and os.path.realpath(path) != os.path.abspath(path)


def _rank(sighting: Sighting) -> int:
    if sighting.there is False:
        return 4
    if sighting.there is None and sighting.stamp is not None:
        return 3  # on a disk that is away
    if sighting.link is None:
        return 0
    return 1 if sighting.link.kind == "hard" else 2


def spots(image: Image) -> list[tuple[Sighting, tuple[Sighting, ...]]]:
    """The files of an image that was looked at, each with the other places that lead to it.

    What is not there any more is left out, and so is what is away where anything is at hand, and what lies in
    the innards of other programs, as thumbnails do: that neither goes nor is anything kept for it.
    """
    at_hand = [one for one in image.sightings if _is_at_hand(one)]
    left = at_hand or [one for one in image.sightings if one.there is None and one.gone is None]
    found: dict[tuple[int, int] | str, list[Sighting]] = {}
    for one in left:
        found.setdefault(one.file or one.uri, []).append(one)
    return [(places[0], tuple(places[1:])) for places in found.values()]


def is_at_hand(image: Image) -> bool:
    """Whether an image that was looked at has a place that is there, or is in no file at all."""
    return not image.sightings or any(map(_is_at_hand, image.sightings))


def _is_at_hand(sighting: Sighting) -> bool:
    path = sighting.path
    return _rank(sighting) < 3 and (path is None or innards(path) is None)


def vanished(places: Iterable[SeenAt]) -> list[SeenAt]:
    """Those whose files are gone for all that can be told."""
    paths = ((at, path_of(at.uri)) for at in places)
    return [at for at, path in paths if path is not None and standing(path).there is False]
