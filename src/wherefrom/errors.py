"""Everything that Wherefrom raises on purpose, in one tree.

    WherefromError
    ├── UsageError               the call itself is wrong: an unknown kind, a limit of zero
    ├── PictureError             the bytes offered are not a picture that can be used
    │   ├── EmptyFile            no bytes at all
    │   ├── NotAPicture          the leading bytes belong to no picture format
    │   ├── UnsupportedFormat    a picture format, or a variant of one, that nothing here decodes
    │   ├── Excluded             left out: of another program, or by a pattern of the user
    │   ├── MissingExtra         a known format whose decoder is not installed; names the extra
    │   ├── TooLarge             over the cap on bytes or pixels, refused before allocation
    │   ├── TooSlow              decoding outlasted its time and was stopped
    │   ├── Truncated            the file ends before the picture does
    │   ├── Corrupt              damaged inside, or the decoder died on it
    │   └── Unreadable           the file cannot be opened: permission, gone, not a file
    ├── FetchError               a URL that the user gave could not be fetched
    │   └── BlockedAddress       it leads to an address that is not public
    ├── ModelError               a model's file cannot be used: damaged, or not what its card says
    │   └── ModelMissing         not installed here; names what installs it
    ├── NotFound                 no such image or sighting in the collection
    ├── ServiceError             the service cannot do this now, or not for this caller
    │   ├── Busy                 too much is waiting, or it took too long; says when to try again
    │   ├── Unauthorised         no key was given, or none that is valid
    │   ├── Forbidden            the key, or the way the service was started, does not allow this
    │   ├── TooManyRequests      a key's rate is used up; says when to try again
    │   ├── Conflict             what is asked contradicts what is there or going on
    │   ├── SlowRequest          the request did not arrive in time
    │   └── WrongBody            a request's body of a kind that is not taken here
    ├── CollectionError          the collection cannot be used
    │   ├── CollectionMissing    nothing there, and `create` was not asked for
    │   ├── CollectionLocked     another process is writing
    │   ├── CollectionDamaged    something in it contradicts itself; names the cure
    │   ├── CollectionTooNew     written by a later version of Wherefrom
    │   └── FeatureMismatch      features of another version; names `rebuild`
    └── Fault                    what nobody foresaw went wrong: a mistake of ours
        └── MachineFault         the machine did not do what was asked of it: no memory, no room, no files

Each class knows the exit code of the command line, the HTTP status of the service and a `code`, a
word for programs. Messages are sentences for the person who must act.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import ClassVar, Self


class Exit(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    NOTHING_FOUND = 1
    USAGE = 2
    PICTURE = 3
    COLLECTION = 4
    SOME_FAILED = 5
    FAULT = 70
    INTERRUPTED = 130


class WherefromError(Exception):
    """Base of every error raised on purpose.

    `path` is the file, address or id that it is about, as it was given, where it is about one: the text of
    the error begins with it. None otherwise.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[Exit] = Exit.USAGE
    http_status: ClassVar[int] = 500
    path: str | None = None

    def __str__(self) -> str:
        said = super().__str__()
        if self.path is None or said.startswith(self.path):
            return said
        first, space, rest = said.partition(" ")
        return f"{self.path}: {first.lower() if first in _PLAIN else first}{space}{rest}"


_PLAIN = {"A", "An", "Decoding", "It", "No", "Reading", "The", "There", "This", "You"}
"""First words of sentences that are no names."""


@contextmanager
def named(source: object) -> Iterator[None]:
    """Have errors say which picture they are about, where `source` is a path, an address or an id."""
    try:
        yield
    except (PictureError, FetchError, MachineFault) as error:
        if isinstance(source, str | os.PathLike):
            error.path = os.fsdecode(source)
        raise


class UsageError(WherefromError):
    """The call itself is wrong."""

    code = "usage"
    exit_code = Exit.USAGE
    http_status = 400


class PictureError(WherefromError):
    """The bytes offered are not a picture that can be used.

    `skips` tells the two outcomes apart: True for what was never ours to read (skipped), False for a
    picture that should have been readable (failed). `passing` is True where the machine may be to blame and
    not the bytes: too little memory, a slow disk, a decoder that was killed. Such a file is tried again.
    """

    code = "picture"
    exit_code = Exit.PICTURE
    http_status = 422
    skips: ClassVar[bool] = False
    passing: bool = False

    def may_pass(self) -> Self:
        """This error, as one for which the machine may be to blame."""
        self.passing = True
        return self


class EmptyFile(PictureError):
    """No bytes at all."""

    code = "empty"


class NotAPicture(PictureError):
    """The leading bytes belong to no picture format."""

    code = "not-a-picture"
    http_status = 415
    skips = True


class UnsupportedFormat(PictureError):
    """A picture format, or a variant of one, that nothing here decodes."""

    code = "unsupported"
    http_status = 415
    skips = True


class Excluded(PictureError):
    """Left out of a folder: it belongs to another program, or a pattern of the user names it."""

    code = "excluded"
    http_status = 415
    skips = True


class MissingExtra(PictureError):
    """A known format whose decoder is not installed."""

    code = "missing-extra"
    http_status = 415
    skips = True


class TooLarge(PictureError):
    """Over the cap on bytes or pixels, refused before allocation."""

    code = "too-large"
    http_status = 413
    skips = True


class TooSlow(PictureError):
    """Decoding outlasted its time and was stopped."""

    code = "too-slow"


class Truncated(PictureError):
    """The file ends before the picture does."""

    code = "truncated"


class Corrupt(PictureError):
    """Damaged inside, or the decoder died on it."""

    code = "corrupt"


class Unreadable(PictureError):
    """The file cannot be opened."""

    code = "unreadable"

    @classmethod
    def of(cls, error: OSError | ValueError) -> Unreadable | MachineFault:
        """What the system says of a file, as a sentence; ValueError is of a name that no file can have.

        Too many open files and too little memory are the machine's fault, and say nothing of the file.
        """
        number = error.errno if isinstance(error, OSError) else None
        if number in _MACHINE:
            return MachineFault(_MACHINE[number])
        if number in _OPENING:
            return cls(_OPENING[number])
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        return cls(f"It cannot be opened: {reason}.")


_MACHINE = {
    errno.EMFILE: "It cannot be opened now: too many files are open. Allow more with: ulimit -n 1024",
    errno.ENFILE: "It cannot be opened now: too many files are open on this machine.",
    errno.ENOMEM: "It cannot be opened now: there is not enough memory.",
    errno.ENOBUFS: "It cannot be opened now: there is not enough memory.",
}

_OPENING = {
    errno.ENOENT: "No such file.",
    errno.ENOTDIR: "No such file.",
    errno.EISDIR: "This is a folder, not a picture.",
    errno.EACCES: "You may not read this file.",
    errno.EPERM: "You may not read this file.",
}


class FetchError(WherefromError):
    """A URL that the user gave could not be fetched."""

    code = "fetch"
    exit_code = Exit.PICTURE
    http_status = 502


class BlockedAddress(FetchError):
    """The URL leads to an address that is not public."""

    code = "blocked-address"
    http_status = 403


class ModelError(WherefromError):
    """A model's file cannot be used."""

    code = "model"
    http_status = 503


class ModelMissing(ModelError):
    """A model that is not installed here."""

    code = "no-model"


class NotFound(WherefromError):
    """No such image or sighting in the collection."""

    code = "not-found"
    exit_code = Exit.NOTHING_FOUND
    http_status = 404


class ServiceError(WherefromError):
    """The service cannot do this now, or not for this caller."""

    code = "service"


class Busy(ServiceError):
    """Too much is waiting, or it took too long. `retry_after` is in how many seconds to try again."""

    code = "busy"
    http_status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unauthorised(ServiceError):
    """No key was given, or none that is valid."""

    code = "unauthorised"
    http_status = 401


class Forbidden(ServiceError):
    """The key, or the way the service was started, does not allow this."""

    code = "forbidden"
    http_status = 403


class TooManyRequests(ServiceError):
    """A key's rate is used up. `retry_after` is in how many seconds to try again."""

    code = "too-many-requests"
    http_status = 429

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Conflict(ServiceError):
    """What is asked contradicts what is there or going on."""

    code = "conflict"
    http_status = 409


class SlowRequest(ServiceError):
    """The request did not arrive in time."""

    code = "slow-request"
    http_status = 408


class WrongBody(ServiceError):
    """A request's body of a kind that is not taken here."""

    code = "wrong-body"
    http_status = 415


class CollectionError(WherefromError):
    """The collection cannot be used."""

    code = "collection"
    exit_code = Exit.COLLECTION
    http_status = 503


class CollectionMissing(CollectionError):
    """Nothing there, and `create` was not asked for."""

    code = "no-collection"
    http_status = 404


class CollectionLocked(CollectionError):
    """Another process is writing."""

    code = "locked"
    http_status = 409


class CollectionDamaged(CollectionError):
    """Something in the collection contradicts itself."""

    code = "damaged"


class CollectionTooNew(CollectionError):
    """Written by a later version of Wherefrom."""

    code = "too-new"


class FeatureMismatch(CollectionError):
    """Features of another version than this program computes."""

    code = "feature-mismatch"
    http_status = 409


class Fault(WherefromError):
    """What nobody foresaw went wrong: a mistake of ours. Nothing can be told from it but that it happened."""

    code = "internal-error"
    exit_code = Exit.FAULT


class MachineFault(Fault):
    """The machine did not do what was asked of it: memory, room on a disk or open files ran out."""

    code = "machine"
    http_status = 503


def error_classes() -> list[type[WherefromError]]:
    """Every class of the tree, the base first, each parent before its children."""
    found: list[type[WherefromError]] = []
    waiting: list[type[WherefromError]] = [WherefromError]
    while waiting:
        found.append(waiting.pop(0))
        waiting.extend(found[-1].__subclasses__())
    return found
