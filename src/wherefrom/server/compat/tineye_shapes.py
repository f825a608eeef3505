"""TinEye's answers: the shapes of its commercial REST API, made of ours.

As its documentation, its own client `pytineye` and the pages of its help centre on errors and filters tell
them. Every answer has `stats`, `code`, `messages` and `results`; `code` repeats the status of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wherefrom.errors import BlockedAddress, FetchError, PictureError, TooLarge, WherefromError
from wherefrom.server.compat.reading import Json, Room, domain_of, is_claim, one_of, overlaps, whole_number

MOST_BACKLINKS = 100
"""Backlinks of a match at most; `backlink_limit` may say less, and 0 stands for as many as there may be."""

UNLIMITED = 2**31 - 1
"""Searches that a key without a limit is told to have left."""

_NEVER = "9999-12-31 23:59:59 UTC"
_SORTS = ("score", "size", "crawl_date")
BAD_URL = "Invalid or missing URL."
BAD_IMAGE = "Couldn't identify/download image file."
_TOO_SIMPLE = "The image is too small or too simple."
_WORDS = {
    401: "Please provide a valid API key.",
    402: "You have no more searches available.",
    429: "Too many requests.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asked for besides the picture."""

    offset: int = 0
    limit: int = 100
    sort: str = "score"
    ascending: bool = False
    domain: str = ""
    tags: tuple[str, ...] = ()
    backlinks: int = MOST_BACKLINKS

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Wanted:
        """The parameters of a request; raises UsageError for a value of no use."""
        return cls(
            whole_number(given.get("offset"), "offset", 0),
            whole_number(given.get("limit"), "limit", 100),
            one_of(given.get("sort"), "sort", _SORTS),
            one_of(given.get("order"), "order", ("desc", "asc")) == "asc",
            given.get("domain", "").strip().lower().removeprefix("www."),
            tuple(tag for tag in given.get("tags", "").split(",") if tag),
            whole_number(given.get("backlink_limit"), "backlink_limit", MOST_BACKLINKS),
        )


@dataclass(frozen=True, slots=True)
class Links:
    """How the pictures of an answer are addressed: by the id of a match."""

    image: Callable[[str], str]
    overlay: Callable[[str], str]


def body(results: Any, seconds: float, stats: Mapping[str, int] | None = None) -> Json:
    """A successful answer that took so many seconds."""
    return {"stats": _stats(seconds) | dict(stats or {}), "code": 200, "messages": [], "results": results}


def failure(code: int, *messages: str) -> Json:
    """An answer that says what is wrong: TinEye's own words first, where it has some for this."""
    words = [_WORDS[code]] if code in _WORDS else []
    return {"stats": _stats(0.0), "code": code, "messages": [*words, *messages], "results": []}


def told(error: WherefromError) -> tuple[int, tuple[str, ...]]:
    """The code and the messages for what went wrong with the query."""
    if isinstance(error, BlockedAddress):
        return 400, (BAD_URL, str(error))
    if isinstance(error, PictureError | FetchError) and not isinstance(error, TooLarge):
        return 400, (BAD_IMAGE, str(error))
    return error.http_status, (str(error),)


def too_simple(answer: Json) -> tuple[str, ...]:
    """The messages for a query without detail, where nothing was found; none for any other."""
    if answer["matches"] or answer["query"]["quality"] > 0:
        return ()
    notes = [
        note
        for note in answer["query"]["notes"]
        if note.startswith(("This picture is nearly blank", "Most of this picture is plain"))
    ]
    return (_TOO_SIMPLE, *notes) if notes else ()


def found(answer: Json, wanted: Wanted, links: Links, seconds: float) -> Json:
    """A search's answer: the page that was asked for, and counts of everything."""
    every = [one for one in answer["matches"] if is_claim(one)]
    kept = [one for one in every if _passes(one, wanted)]
    if wanted.sort != "score" or wanted.ascending:  # they come by score, surest first
        kept.sort(key=_keys(wanted), reverse=not wanted.ascending)
    page = kept[wanted.offset : wanted.offset + wanted.limit]
    stats = {
        "total_results": len(every),
        "total_filtered_results": len(kept),
        "total_backlinks": sum(len(one["sightings"]) for one in every),
        "total_collection": 0,
        "total_stock": 0,
    }
    room = Room()
    return body({"matches": [_match(one, wanted, links, room) for one in page]}, seconds, stats)


def remaining(left: int | None, start: datetime | None, end: datetime | None, seconds: float) -> Json:
    """The answer to `remaining_searches`: `left` until `end`, None for a key without a limit or an end."""
    searches = UNLIMITED if left is None else left
    bundle = {
        "remaining_searches": searches,
        "start_date": _moment(start or datetime.now(UTC)),
        "expire_date": _NEVER if end is None else _moment(end),
    }
    return body({"bundles": [bundle], "total_remaining_searches": searches}, seconds)


def _match(match: Json, wanted: Wanted, links: Links, room: Room) -> Json:
    places = _places(match, wanted)
    most = min(wanted.backlinks or MOST_BACKLINKS, MOST_BACKLINKS)
    told = room.first([place["uri"] + (place["page"] or "") for place in places], most)
    web = [domain for domain in (domain_of(place["uri"]) for place in places) if domain]
    return {
        "image_url": links.image(match["id"]),
        "domain": web[0] if web else "",
        "score": round(match["score"], 2),
        "query_match_percent": overlaps(match)[0],
        "width": match["width"],
        "height": match["height"],
        "size": match["width"] * match["height"],
        "format": (match["format"] or "").upper(),
        "filesize": match["bytes"],
        "overlay": links.overlay(match["id"]),
        "tags": [],
        "backlinks": [_backlink(place) for place in places[:told]],
    }


def _backlink(place: Json) -> Json:
    return {"url": place["uri"], "backlink": place["page"] or "", "crawl_date": place["first_seen"][:10]}


def _places(match: Json, wanted: Wanted) -> list[Json]:
    return [place for place in match["sightings"] if wanted.domain in ("", domain_of(place["uri"]))]


def _passes(match: Json, wanted: Wanted) -> bool:
    # Nothing here is tagged as stock or as a collection, so a filter by tags lets nothing through.
    return not wanted.tags and (not wanted.domain or bool(_places(match, wanted)))


def _keys(wanted: Wanted) -> Callable[[Json], tuple[Any, ...]]:
    def area(match: Json) -> tuple[Any, ...]:
        return match["width"] * match["height"], match["score"]

    def crawled(match: Json) -> tuple[Any, ...]:
        dates = [place["first_seen"] for place in match["sightings"]]
        return (min(dates) if wanted.ascending else max(dates)) if dates else "", match["score"]

    def score(match: Json) -> tuple[Any, ...]:
        return (match["score"],)

    return {"size": area, "crawl_date": crawled, "score": score}[wanted.sort]


def _stats(seconds: float) -> dict[str, Any]:
    return {"timestamp": f"{datetime.now(UTC).timestamp():.2f}", "query_time": f"{seconds:.2f}"}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
