"""What callers give is checked, what they get is bounded, and links that they get come to an end."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from tests.scenes import encoded, picture
from wherefrom.collection import open_collection
from wherefrom.errors import Busy, Forbidden, UsageError
from wherefrom.receiving import Upload
from wherefrom.server.access import Door
from wherefrom.server.app import create_app
from wherefrom.server.compat import routing
from wherefrom.server.compat.vision import _json
from wherefrom.server.config import Config
from wherefrom.server.keys import Keys, Scope
from wherefrom.server.service import Service
from wherefrom.server.uploads import Budget, body_of, fetched
from wherefrom.server.watch import KeyWatch
from wherefrom.server.writer import check_uri
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        " file:///etc/passwd",
        "sha256:" + "0" * 64,
        "https:a",
        "HTTPX://a",
        "https://a.org/\x1b[31m",
        "https://a.org/\n",
        "upload://forged/a.jpg",
        "a.jpg",
        "//a.org/a.jpg",
    ],
)
def test_what_is_no_address_of_an_upload(uri: str) -> None:
    with pytest.raises(UsageError):
        check_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "https://a.org/a b.jpg",
        "HTTP://a.org",
        "s3://b/k",
        "ftp://a/b",
        "urn:isbn:1",
        "matchengine:///x",
    ],
)
def test_what_is_one(uri: str | None) -> None:
    check_uri(uri)


def test_json_of_many_values_is_not_read() -> None:
    with pytest.raises(UsageError, match="more than 20,000 values"):
        _json(b'{"":{}}' * 100_000)
    assert _json(b'{"requests": [{"image": {"content": "' + b"A" * 1_000_000 + b'"}}]}')


def test_what_is_fetched_counts_before_it_is_fetched() -> None:
    budget = Budget(100)
    seen: list[int] = []

    class Fetching:
        most_fetched = 60

        async def fetch(self, url: str) -> bytes:
            seen.append(budget.left)
            await asyncio.sleep(0.01)
            return b"x" * 10

    state = SimpleNamespace(budget=budget, service=Fetching(), config=SimpleNamespace(max_upload=50))
    scope = {"type": "http", "method": "POST", "headers": [], "app": SimpleNamespace(state=state)}

    async def main() -> None:
        request = Request(scope)
        async with body_of(request):
            assert await fetched(request, "http://a") == b"x" * 10
            assert budget.left == 90
            done = await asyncio.gather(
                *(fetched(request, "http://a") for _ in range(3)), return_exceptions=True
            )
            assert sum(isinstance(one, Busy) for one in done) == 2
        assert budget.left == 100

    asyncio.run(main())
    assert seen[0] == 40


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    with open_collection(tmp_path / "photos", create=True, settings=PLAIN) as made:
        data = encoded(picture(1, 60, 40))
        made.receive([Upload(data, uri=f"https://a.org/{number:04}.jpg") for number in range(45)])
    config = Config((("photos", tmp_path / "photos"),), PLAIN, workers=1)
    return create_app(Service(config), config, Door())


def test_answers_have_the_first_places_and_say_where_the_rest_is(app: FastAPI) -> None:
    with TestClient(app, base_url="http://localhost") as client:
        (image,) = client.get("/api/v1/images").json()["images"]
        assert (len(image["sightings"]), image["sightings_total"]) == (20, 45)
        seen: list[str] = []
        start: int | None = 0
        while start is not None:
            page = client.get(image["sightings_url"], params={"limit": 20, "start": start}).json()
            seen += [place["uri"] for place in page["sightings"]]
            start = page["next"]
        assert len(set(seen)) == page["total"] == 45

        # What was not foreseen is told with an id.
        async def fails(*_: Any, **__: Any) -> None:
            raise RuntimeError("a mistake of ours")

        app.state.service.run = fails
        for path in ("/api/v1/images", "/rest/image_count/"):
            loose = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
            said = loose.get(path)
            assert said.status_code == 500
            assert re.search(rf"under the id {said.headers.get('x-request-id', '[0-9a-f]{16}')}", said.text)


def test_links_end_after_a_day_and_with_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.db"
    keys = Keys(path, create=True)
    _, key = keys.create("a", Scope.SEARCH)
    watch = KeyWatch(path)
    state = SimpleNamespace(door=Door(watch), config=SimpleNamespace(public_url="https://p.org"))

    def request(query: str = "") -> Request:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], "path": "/"}
        scope |= {"query_string": query.encode(), "app": SimpleNamespace(state=state)}
        made = Request(scope)
        made.state.caller = SimpleNamespace(name=key.id)
        return made

    url = routing.signed(request(), "/rest/image/", "image", "x", collection="c")
    assert url.startswith("https://p.org/rest/image/?")
    query = url.partition("?")[2]
    routing.check_signature(request(query), "image", "x")
    for forged in (query.replace("until=", "until=9"), query.replace(f"by={key.id}", "by=other")):
        with pytest.raises(Forbidden, match="not one that was given here"):
            routing.check_signature(request(forged), "image", "x")
    moment = time.time()
    monkeypatch.setattr("wherefrom.server.compat.routing.time.time", lambda: moment + 25 * 3600)
    with pytest.raises(Forbidden, match="expired"):
        routing.check_signature(request(query), "image", "x")
    monkeypatch.undo()
    Keys.at(path).revoke(key.id)
    watch._look()
    with pytest.raises(Forbidden, match="counts no more"):
        routing.check_signature(request(query), "image", "x")
