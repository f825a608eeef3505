"""MatchEngine's answers: the shapes of its REST API, made of ours.

As its public documentation and clients tell them. Every answer has `status` (`ok`, `warn` where some of it
failed, `fail`), `error` (sentences), `method` and `result`, as JSON or, when asked for, as XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeVar
from urllib.parse import urlencode
from xml.etree import ElementTree

from wherefrom.errors import UsageError
from wherefrom.server.compat.filepaths import filepaths_of
from wherefrom.server.compat.reading import (
    MOST_PLACES,
    Json,
    Room,
    is_claim,
    is_mirrored,
    number,
    overlaps,
    truth,
    whole_number,
)

Value = TypeVar("Value")

_NUMBERED = re.compile(r"([a-z]+)(?:\[([0-9]{1,4})\])?")
_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search or comparison asked for besides the pictures."""

    min_score: float = 0.0
    offset: int = 0
    limit: int = 10
    flipped: bool = False
    overlay: bool = True

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Wanted:
        """The parameters of a request; raises UsageError for a value of no use."""
        return cls(
            number(given.get("min_score", given.get("minScore")), "min_score", 0.0, 100.0),
            whole_number(given.get("offset"), "offset", 0),
            whole_number(given.get("limit"), "limit", 10, -1),
            truth(given.get("check_horizontal_flip"), "check_horizontal_flip", otherwise=False),
            truth(given.get("generate_overlay"), "generate_overlay", otherwise=True),
        )


def reply(method: str, result: Iterable[Any] = (), errors: Sequence[str] = (), *, did: int = 1) -> Json:
    """An answer: `fail` where there are errors and nothing was done, `warn` where something was."""
    status = "ok" if not errors else "warn" if did else "fail"
    return {"status": status, "error": list(errors), "method": method, "result": list(result)}


def found(answer: Json, wanted: Wanted, token: str | None, shown: str) -> Json:
    """The answer to a search for what the client called `shown`; overlays go through the token."""
    result: list[Json] = []
    room = Room()
    for match in _kept(answer["matches"], wanted):
        link = {}
        if wanted.overlay and token:
            link = {"overlay": "overlay/?" + urlencode({"query": token, "target": match["id"]})}
        paths = filepaths_of(match["id"], match["sightings"])
        paths = paths[: room.first(paths, MOST_PLACES)]
        result += [{"filepath": path, **_scores(match), **link} for path in paths]
    page = result[wanted.offset : None if wanted.limit < 1 else wanted.offset + wanted.limit]
    return reply("search", page) | {"query_image": {"filepath": shown}}


def compared(match: Json | None, wanted: Wanted, shown: str) -> Json:
    """The answer to a comparison with what the client called `shown`."""
    kept = _kept([match] if match is not None else [], wanted)
    return reply("compare", [{"filepath": shown, **_scores(one)} for one in kept])


def numbered(values: Iterable[tuple[str, Value]], name: str, names: str) -> dict[int, Value]:
    """What was given as `name`, or as `names[0]`, `names[1]` … in any order, by number.

    Raises UsageError where one is given twice.
    """
    found: dict[int, Value] = {}
    for key, value in values:
        match = _NUMBERED.fullmatch(key)
        if match is None or (match[1] != names and key != name):
            continue
        place = int(match[2] or 0)
        if place in found:
            raise UsageError(f"{key} is given twice: number them, {names}[0], {names}[1] …")
        found[place] = value
    return dict(sorted(found.items()))


def as_xml(answer: Json) -> bytes:
    """An answer as the documented XML: a member is an element, and an entry of a list an `item`."""
    root = ElementTree.Element("data")
    _fill(root, answer)
    data: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return data


def _fill(element: ElementTree.Element, value: Any) -> None:
    if isinstance(value, dict):
        for name, one in value.items():
            _fill(ElementTree.SubElement(element, name), one)
    elif isinstance(value, list):
        for one in value:
            _fill(ElementTree.SubElement(element, "item"), one)
    else:
        element.text = _NO_XML.sub("\ufffd", str(value))


def _kept(matches: Iterable[Json], wanted: Wanted) -> list[Json]:
    return [
        match
        for match in matches
        if is_claim(match)
        and match["score"] >= wanted.min_score
        and (wanted.flipped or not is_mirrored(match))
    ]


def _scores(match: Json) -> Json:
    query, target = overlaps(match)
    return {
        "score": round(match["score"], 2),
        "match_percent": round(sqrt(query * target), 2),
        "query_overlap_percent": query,
        "target_overlap_percent": target,
    }
