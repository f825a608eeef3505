"""TinEye's shapes: what its own client reads of them, pages, sorts, filters and errors."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.compat.answers import answer, match, sighting
from wherefrom.errors import BlockedAddress, FetchError, Truncated, UsageError
from wherefrom.server.compat import tineye_shapes as shapes
from wherefrom.server.compat.tineye_shapes import Links, Wanted

LINKS = Links(lambda one: f"image {one[-1]}", lambda one: f"overlay {one[-1]}")
FOUR = answer(
    match(1, "identical", 100, sighting("https://www.a.test/1.jpg", "https://a.test/p"), size=(10, 10)),
    match(2, "copy", 99, sighting("file:///b.jpg", day="2024-01-01"), size=(30, 10), coverage=(0.5, 1)),
    match(3, "partial", 95, size=(20, 10)),
    match(4, "similar", 60, sighting("https://a.test/4.jpg")),
)


def got(**given: str) -> dict[str, Any]:
    return shapes.found(FOUR, Wanted.of(given), LINKS, 0.25)


def order(**given: str) -> str:
    return "".join(one["image_url"][-1] for one in got(**given)["results"]["matches"])


def test_a_match_has_everything_that_is_documented() -> None:
    found = got()
    assert (found["code"], found["messages"]) == (200, [])
    assert found["results"]["matches"][0] == {
        "image_url": "image 1",
        "domain": "a.test",
        "score": 100,
        "query_match_percent": 100.0,
        "width": 10,
        "height": 10,
        "size": 100,
        "format": "JPEG",
        "filesize": 1234,
        "overlay": "overlay 1",
        "tags": [],
        "backlinks": [
            {"url": "https://www.a.test/1.jpg", "backlink": "https://a.test/p", "crawl_date": "2026-03-04"}
        ],
    }
    assert found["results"]["matches"][1]["query_match_percent"] == 50.0
    assert found["results"]["matches"][1]["domain"] == ""
    stats = found["stats"]
    assert (stats["total_results"], stats["total_filtered_results"], stats["total_backlinks"]) == (3, 3, 2)
    assert (stats["total_stock"], stats["total_collection"]) == (0, 0)
    assert stats["query_time"] == "0.25"
    assert re.fullmatch(r"[0-9]+\.[0-9]{2}", stats["timestamp"])


def test_look_alikes_are_no_results() -> None:
    assert order() == "123"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"sort": "score", "order": "asc"}, "321"),
        ({"sort": "size"}, "231"),
        ({"sort": "size", "order": "asc"}, "132"),
        ({"sort": "crawl_date"}, "123"),
        ({"sort": "crawl_date", "order": "asc"}, "321"),
        ({"offset": "1", "limit": "1"}, "2"),
        ({"limit": "0"}, ""),
        ({"offset": "9"}, ""),
        ({"domain": "WWW.A.test"}, "1"),
        ({"domain": "b.test"}, ""),
        ({"tags": "stock,collection"}, ""),
    ],
)
def test_sorts_pages_and_filters(given: dict[str, str], wanted: str) -> None:
    assert order(**given) == wanted


def test_filtered_results_are_counted_apart() -> None:
    stats = got(domain="a.test")["stats"]
    assert (stats["total_results"], stats["total_filtered_results"]) == (3, 1)


def test_a_domain_keeps_its_own_backlinks_and_the_rest_are_cut() -> None:
    places = [sighting(f"https://{'ab'[n % 2]}.test/{n}", f"https://p.test/{n}") for n in range(300)]
    many = answer(match(1, "same", 99, *places))

    def links(**given: str) -> list[str]:
        (one,) = shapes.found(many, Wanted.of(given), LINKS, 0)["results"]["matches"]
        return [link["url"] for link in one["backlinks"]]

    assert (len(links()), len(links(backlink_limit="7")), len(links(backlink_limit="0"))) == (100, 7, 100)
    assert len(links(backlink_limit="300")) == 100
    assert links(domain="b.test", backlink_limit="2") == ["https://b.test/1", "https://b.test/3"]


def test_long_addresses_leave_room_for_the_first_alone() -> None:
    places = [sighting(f"https://a.test/{n}{'x' * 8000}", "https://p.test/") for n in range(300)]
    matches = [match(number, "same", 99, *places) for number in range(1, 30)]
    found = shapes.found(answer(*matches), Wanted(), LINKS, 0)
    counts = [len(one["backlinks"]) for one in found["results"]["matches"]]
    assert counts[0] == 100
    assert counts[-1] == 1
    assert len(json.dumps(found)) < 1_500_000
    assert found["stats"]["total_backlinks"] == 29 * 300


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(90, 100)), max_size=12),
    st.sampled_from(["score", "size", "crawl_date"]),
    st.sampled_from(["asc", "desc"]),
    st.integers(1, 5),
)
def test_pages_put_together_are_the_whole(
    drawn: list[tuple[int, int, int]], sort: str, way: str, limit: int
) -> None:
    drawn.sort(key=lambda one: -one[2])
    every = answer(
        *(
            match(number, "same", score, sighting("https://a.test/", day=f"2026-01-0{day}"), size=(area, 1))
            for number, (area, day, score) in enumerate(drawn)
        )
    )

    def page(offset: int, count: int) -> list[dict[str, Any]]:
        asked = {"sort": sort, "order": way, "offset": str(offset), "limit": str(count)}
        matches: list[dict[str, Any]] = shapes.found(every, Wanted.of(asked), LINKS, 0)["results"]["matches"]
        return matches

    whole = page(0, 100)
    assert [one for start in range(0, len(drawn), limit) for one in page(start, limit)] == whole
    keys: dict[str, Callable[[dict[str, Any]], Any]] = {
        "score": lambda one: one["score"],
        "size": lambda one: one["size"],
        "crawl_date": lambda one: one["backlinks"][0]["crawl_date"],
    }
    values = [keys[sort](one) for one in whole]
    assert values == sorted(values, reverse=way == "desc")
    assert len(whole) == len(drawn)


@pytest.mark.parametrize(
    "given",
    [
        *({"limit": bad} for bad in ("-1", "x", "1.5", "9" * 30, "²")),
        {"offset": "-2"},
        {"sort": "price"},
        {"order": "up"},
        {"backlink_limit": "many"},
    ],
)
def test_values_of_no_use_are_named(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        Wanted.of(given)


def test_errors_speak_tineyes_words_first() -> None:
    assert shapes.told(BlockedAddress("It is private.")) == (
        400,
        ("Invalid or missing URL.", "It is private."),
    )
    assert shapes.told(FetchError("404."))[1][0] == "Couldn't identify/download image file."
    assert shapes.told(Truncated("Cut off."))[0] == 400
    assert shapes.told(UsageError("limit is …")) == (400, ("limit is …",))
    body = shapes.failure(401, "This server asks for a key.")
    assert body["messages"] == ["Please provide a valid API key.", "This server asks for a key."]
    assert (body["code"], body["results"]) == (401, [])


def test_a_blank_query_is_told_so() -> None:
    note = "This picture is nearly blank, so only identical files can be found."
    assert shapes.too_simple(answer(quality=0, notes=[note]))[0] == "The image is too small or too simple."
    assert shapes.too_simple(answer(quality=50, notes=[note])) == ()
    assert shapes.too_simple(answer(match(), quality=0, notes=[note])) == ()
    assert shapes.too_simple(answer(quality=0)) == ()


def test_remaining_searches_with_and_without_a_limit() -> None:
    start, end = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 0, 1, tzinfo=UTC)
    limited = shapes.remaining(7, start, end, 0)["results"]
    assert limited["total_remaining_searches"] == 7
    assert limited["bundles"] == [
        {
            "remaining_searches": 7,
            "start_date": "2026-01-02 00:00:00 UTC",
            "expire_date": "2026-01-02 00:01:00 UTC",
        }
    ]
    free = shapes.remaining(None, None, None, 0)["results"]
    assert free["total_remaining_searches"] == 2**31 - 1
    assert time.strptime(free["bundles"][0]["expire_date"], "%Y-%m-%d %X UTC").tm_year == 9999
