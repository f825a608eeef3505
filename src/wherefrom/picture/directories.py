"""Directories of a TIFF (TIFF 6.0, section 2; BigTIFF): tags and their numbers, whatever the bytes.

EXIF blocks are TIFFs, too. Nothing here raises for damage: what is not there is empty.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Order = Literal["<", ">"]

_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q"}
_MOST = 1_000_000  # numbers of one tag that are read
_NEW_SUBFILE, _SUBFILE, _SUBIFDS = 254, 255, 330
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory: tag to (type, count, place of the value field); `following` is the next one's place.

    `place` is its own; `whole` tells whether all of it is there. `data` is the file.
    """

    data: bytes
    order: Order
    big: bool
    place: int
    tags: dict[int, tuple[int, int, int]]
    following: int
    whole: bool

    def numbers(self, tag: int) -> list[float]:
        """The values of a tag of integers or floats; empty when it is missing, of another type or cut off."""
        kind, count, place = self.tags.get(tag, (0, 0, 0))
        letter = _LETTERS.get(kind)
        if letter is None or not 0 < count <= _MOST:
            return []
        try:
            if count * struct.calcsize(letter) > (8 if self.big else 4):
                (place,) = struct.unpack_from(self.order + ("Q" if self.big else "I"), self.data, place)
            return list(struct.unpack_from(f"{self.order}{count}{letter}", self.data, place))
        except (struct.error, OverflowError):
            return []

    def integers(self, tag: int) -> list[int]:
        """The values of a tag of integers, as `numbers`."""
        return [int(value) for value in self.numbers(tag) if abs(value) < 1 << 63]

    def integer(self, tag: int, otherwise: int) -> int:
        """The first value of a tag of integers, or what stands for it."""
        return next(iter(self.integers(tag)), otherwise)

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture in its own right: no reduced copy and no mask of another."""
        if self.integer(_SUBFILE, 1) == 2:
            return False
        return not self.integer(_NEW_SUBFILE, 0) & (_REDUCED | _MASK)


def directories(data: bytes) -> Iterator[Directory]:
    """The chain of directories of a TIFF, up to the first that is damaged (itself the last given)."""
    order: Order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    except struct.error:
        return
    while place and place not in seen:
        seen.add(place)
        found = directory_at(data, place, order, big)
        yield found
        if not found.whole:
            return
        place = found.following


def directory_at(data: bytes, place: int, order: Order, big: bool) -> Directory:
    """The directory at a place in a file."""
    size, counted, count_size, entry = (20, "Q", 8, "HHQ") if big else (12, "H", 2, "HHI")
    tags: dict[int, tuple[int, int, int]] = {}
    following, whole = 0, False
    try:
        (count,) = struct.unpack_from(order + counted, data, place)
        first = place + count_size
        for start in range(first, min(first + size * count, len(data)), size):
            tag, kind, length = struct.unpack_from(order + entry, data, start)
            value = start + struct.calcsize("=" + entry)
            if value + size - struct.calcsize("=" + entry) > len(data):
                break
            tags.setdefault(tag, (kind, length, value))
        whole = first + size * count <= len(data)
        (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, first + size * count)
    except (struct.error, OverflowError):
        pass
    return Directory(data, order, big, place, tags, following, whole)


def pictures(data: bytes, most: int) -> list[Directory]:
    """The directories of a TIFF that are pictures in their own right, up to `most` of them.

    Where none is, the first such one below the first directory (SubIFDs), else that itself.
    """
    first: Directory | None = None
    found: list[Directory] = []
    for one in directories(data):
        first = first or one
        if one.is_picture and (one.whole or not found):
            found.append(one)
        if len(found) == most:
            break
    if found or first is None:
        return found
    below = (directory_at(data, at, first.order, first.big) for at in first.integers(_SUBIFDS)[:64])
    return [next((one for one in below if one.tags and one.is_picture), first)]


def count_pictures(data: bytes) -> int:
    """How many pages a TIFF has: directories that are pictures in their own right, at least 1."""
    return max(1, sum(one.is_picture and one.whole for one in directories(data)))


def headed(found: Directory) -> bytes:
    """The file with its header leading straight to a directory, for decoders that take the first."""
    data, (at, letter) = found.data, (8, "Q") if found.big else (4, "I")
    pointer = struct.pack(found.order + letter, found.place)
    return data if data.startswith(pointer, at) else data[:at] + pointer + data[at + len(pointer) :]
