"""TinEye's own client for Python against a running server."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.scenes import encoded, picture
from tests.server.compat.conftest import Served
from tests.server.compat.served import MOST
from tests.sources.server import Server, answer

pytineye = pytest.importorskip("pytineye")


class Client:
    """TinEye's own, which leaves its connections open."""

    def __init__(self, served: Served, key: str = "search") -> None:
        self._api = pytineye.TinEyeAPIRequest(f"{served.url}/rest/", served.keys.get(key, key))

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*given: Any, **asked: Any) -> Any:
            try:
                return getattr(self._api, verb)(*given, **asked)
            finally:
                self._api.http_pool.clear()

        return call


def client(served: Served, key: str = "search") -> Any:
    return Client(served, key)


def refusal(served: Served, key: str = "search", **asked: Any) -> tuple[int, list[str]]:
    """The error that a search by data gets."""
    with pytest.raises(pytineye.TinEyeAPIError) as caught:
        client(served, key).search_data(**asked)
    return caught.value.code, caught.value.message


def opened(url: str) -> Image.Image:
    """The picture that a link gives to whoever has it, without a key."""
    response = httpx.get(url)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("image/")
    return Image.open(io.BytesIO(response.content))


def test_a_search_by_data_finds_places_and_pages(served: Served, query: bytes) -> None:
    found = client(served).search_data(query)
    large, small = sorted(found.matches, key=lambda one: -one.width)
    assert (large.width, large.height, large.size, large.format) == (451, 300, 451 * 300, "PNG")
    assert large.domain == "pictures.test"
    assert (small.domain, small.format) == ("", "JPEG")
    assert min(large.score, small.score) >= 95
    (link,) = large.backlinks
    assert (link.url, link.backlink) == ("https://www.pictures.test/cat.png", "https://pages.test/cats")
    assert (datetime.now(UTC).replace(tzinfo=None) - link.crawl_date).days in (0, 1)
    assert found.stats["total_results"] == found.stats["total_backlinks"] == 2


def test_links_to_images_and_overlays_work_without_a_key(served: Served, query: bytes) -> None:
    match = max(client(served).search_data(query).matches, key=lambda one: one.width)
    assert opened(match.image_url).size == (300, 200)
    drawing = opened(match.overlay)
    assert drawing.width > 600  # both pictures, side by side
    for url in (match.overlay, match.image_url):
        changed = url.replace("signature=", "signature=x")
        assert httpx.get(changed).json()["code"] == 403
        assert httpx.get(url.partition("&signature")[0]).json()["code"] == 403
    other = match.overlay.replace("target=sha256%3A", "target=sha256%3A0")
    assert httpx.get(other).status_code == 403


def test_a_search_by_url(served: Served, query: bytes) -> None:
    with Server(answer(query)) as pictures:
        found = client(served).search_url(f"{pictures.url}/query.jpg")
    assert len(found.matches) == 2


def test_sort_order_offset_limit_and_domain(served: Served, query: bytes) -> None:
    api = client(served)

    def widths(**asked: Any) -> list[int]:
        return [match.width for match in api.search_data(query, **asked).matches]

    assert widths(sort="size") == [451, 300]
    assert widths(sort="size", order="asc") == [300, 451]
    assert widths(sort="size", offset=1, limit=5) == [300]
    assert widths(limit=0) == []
    assert widths(domain="pictures.test") == [451]
    assert len(widths(sort="crawl_date", order="asc")) == 2


def test_nothing_found_is_no_error(served: Served) -> None:
    found = client(served).search_data(encoded(picture(99)))
    assert (found.matches, found.stats["total_results"]) == ([], 0)


def test_image_count_of_each_collection(served: Served) -> None:
    assert client(served).image_count() == 3
    assert client(served).image_count(collection="logos") == 0
    assert client(served).search_data(encoded(picture(7)), collection="logos").matches == []


def test_remaining_searches_go_down_with_a_limited_key(served: Served) -> None:
    api = client(served, "counted")
    first = api.remaining_searches()
    api.image_count()
    later = api.remaining_searches()
    assert later["total_remaining_searches"] == first["total_remaining_searches"] - 2
    (bundle,) = later["bundles"]
    assert bundle["remaining_searches"] == later["total_remaining_searches"]
    assert (bundle["expire_date"] - bundle["start_date"]).total_seconds() == 3600
    assert client(served).remaining_searches()["total_remaining_searches"] > 1_000_000


def test_errors_have_tineyes_codes_and_words(served: Served, query: bytes) -> None:
    code, messages = refusal(served, data=b"no picture")
    assert (code, messages[0]) == (400, "Couldn't identify/download image file.")
    assert refusal(served, data=b"")[0] == 400
    assert refusal(served, data=query[:2000])[0] == 400
    blank = encoded(Image.new("RGB", (300, 300), "white"))
    assert refusal(served, data=blank)[1][0] == "The image is too small or too simple."
    assert refusal(served, data=query, sort="price")[0] == 400
    assert refusal(served, data=query, collection="nowhere")[0] == 404
    code, messages = refusal(served, "wherefrom_wrong", data=query)
    assert (code, messages[0]) == (401, "Please provide a valid API key.")
    assert refusal(served, data=bytes(MOST))[0] == 413


def test_urls_of_no_use(served: Served) -> None:
    def refused(url: str) -> str:
        with pytest.raises(pytineye.TinEyeAPIError) as caught:
            client(served).search_url(url)
        assert caught.value.code == 400
        first: str = caught.value.message[0]
        return first

    assert refused("http://10.0.0.1/a.jpg") == "Invalid or missing URL."
    assert refused("ftp://a.test/a.jpg") == "Invalid or missing URL."
    assert refused("") == "Invalid or missing URL."
    with Server(answer(b"", status="404 Not Found")) as pictures:
        assert refused(pictures.url) == "Couldn't identify/download image file."


def test_too_many_requests_are_told_when_to_come_again(served: Served) -> None:
    headers = {"x-api-key": served.keys["hasty"]}
    answers = [httpx.get(f"{served.url}/rest/image_count/", headers=headers) for _ in range(21)]
    last = answers[-1]
    assert (last.status_code, last.json()["code"]) == (429, 429)
    assert last.json()["messages"][0] == "Too many requests."
    assert int(last.headers["retry-after"]) >= 1


def test_without_keys_any_key_will_do(keyless: Served, query: bytes) -> None:
    assert len(client(keyless, "").search_data(query).matches) == 2
    assert client(keyless, "sandbox").remaining_searches()["total_remaining_searches"] > 1_000_000
