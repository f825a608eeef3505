"""Tokens: a query's picture and its answer, kept for some minutes so that nothing is uploaded twice."""

from __future__ import annotations

import json
import secrets
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wherefrom.errors import NotFound

BYTES = 256 * 1024 * 1024
MINUTES = 15


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A query and its answer. `source` is bytes, an image's id, or None for wishes alone."""

    collection: str
    source: bytes | str | None = field(repr=False)
    packed: bytes = field(repr=False)
    until: float

    @property
    def answer(self) -> dict[str, Any]:
        """The answer as it was."""
        found: dict[str, Any] = json.loads(zlib.decompress(self.packed))
        return found

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.packed) + (len(self.source) if self.source else 0) + 500


class Tokens:
    """What is kept, by token: the oldest go first when there is no room, and all go after their time."""

    def __init__(
        self,
        most: int = BYTES,
        seconds: float = 60.0 * MINUTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, collection: str, source: bytes | str | None, answer: dict[str, Any]) -> str:
        """The token of a query and its answer."""
        packed = zlib.compress(json.dumps(answer).encode(), 1)
        kept = Kept(collection, source, packed, self._clock() + self._seconds)
        token = secrets.token_urlsafe(18)
        self._kept[token] = kept
        self.size += kept.size
        self._tidy()
        return token

    def get(self, token: str) -> Kept:
        """What a token names; raises NotFound."""
        self._tidy()
        kept = self._kept.get(token)
        if kept is None:
            raise NotFound("This search is not kept any more, or never was; search again.")
        return kept

    def _tidy(self) -> None:
        while self._kept:
            first = next(iter(self._kept.values()))
            if self.size <= self._most and first.until > self._clock():
                break
            self._kept.popitem(last=False)
            self.size -= first.size
