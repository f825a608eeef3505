"""What a search process can be asked: tasks take the open collections and plain values, and give such."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from wherefrom.collection import Collection
from wherefrom.search.answer import Answer, Match
from wherefrom.search.request import SearchRequest
from wherefrom.search.wording import listed
from wherefrom.server.drawing import picture, proof, thumbnail

Collections = Mapping[str, Collection]


def search(
    collections: Collections, *, name: str, source: bytes | str | None, asked: dict[str, Any]
) -> dict[str, Any]:
    """The JSON of an answer, each match with its `sentence`."""
    answer: Answer = collections[name].ask(source, SearchRequest.from_plain(asked))[0]
    return answer.as_json() | {"matches": [match_json(match) for match in answer]}


def compare(
    collections: Collections, *, name: str, first: bytes | str, second: bytes | str
) -> dict[str, Any] | None:
    """The JSON of the match that two pictures are, with its `sentence`; None when they are none."""
    collection = collections[name]
    match = collection.compare(_read(collection, first), _read(collection, second))
    return None if match is None else match_json(match)


def match_json(match: Match) -> dict[str, Any]:
    """A match in the shape that all faces share, and what was done to it in words."""
    said = ", ".join(listed(match.evidence.edits))
    return match.as_json() | {"sentence": said}


def sleep(_: Collections, *, seconds: float) -> None:
    """Do nothing for a time: what tests fill a queue with."""
    time.sleep(seconds)


def _read(collection: Collection, source: bytes | str) -> bytes:
    return collection.original(source) if isinstance(source, str) else source


TASKS: dict[str, Callable[..., Any]] = {
    "search": search,
    "compare": compare,
    "thumbnail": thumbnail,
    "picture": picture,
    "proof": proof,
    "sleep": sleep,
}
"""Every task by its name."""
