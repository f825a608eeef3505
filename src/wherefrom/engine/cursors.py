"""Cursors: where a reader goes on, as text that means something to the engine alone."""

from __future__ import annotations

import base64
import json
import re

from wherefrom.errors import UsageError

_NUMBER = re.compile("[0-9]{1,18}")


def cursor(*numbers: int) -> str:
    """The text of some numbers."""
    return ".".join(map(str, numbers))


def read_cursor(text: str, count: int) -> list[int]:
    """The inverse of `cursor`. Raises UsageError for what is none of so many numbers."""
    numbers = text.split(".")
    if len(numbers) != count or not all(map(_NUMBER.fullmatch, numbers)):
        raise _no_cursor(text)
    return [int(one) for one in numbers]


def place_cursor(uri: str, digest: bytes, page: str) -> str:
    """The text of a sighting: its uri, image and page."""
    said = json.dumps([uri, digest.hex(), page]).encode()
    return base64.urlsafe_b64encode(said).decode().rstrip("=")


def read_place(text: str) -> tuple[str, bytes, str]:
    """The inverse of `place_cursor`. Raises UsageError for what is none."""
    try:
        uri, digest, page = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if isinstance(uri, str) and isinstance(page, str):
            return uri, bytes.fromhex(digest), page
    except (ValueError, TypeError, RecursionError):
        pass
    raise _no_cursor(text)


def _no_cursor(text: str) -> UsageError:
    return UsageError(f"{text[:40]!r} is no cursor: pass on the one that came with the page before.")
