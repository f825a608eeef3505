"""The API as programs use it, on a real server."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.scenes import encoded, folder_of, picture
from tests.server.running import Running, served
from wherefrom.collection import open_collection
from wherefrom.search.find import compare
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)
ID = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return folder_of(tmp_path_factory.mktemp("pictures"), 8)


@pytest.fixture(scope="module")
def server(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("collections")
    for name, some in (("photos", files), ("other", files[:2])):
        with open_collection(folder / name, create=True, settings=PLAIN) as made:
            made.add(some)
    options = ("--workers", "1", "--max-upload", "300000")
    with served(folder / "photos", f"second={folder / 'other'}", options=options) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as one:
        yield one


def cropped(seed: int = 0) -> bytes:
    return encoded(picture(seed).crop((40, 30, 360, 270)))


def search(client: httpx.Client, data: bytes, **options: Any) -> Any:
    said = client.post("/api/v1/search", files={"image": ("q.jpg", data)}, data=options)
    assert said.status_code == 200, said.text
    return said.json()


def refused(said: httpx.Response, status: int, code: str) -> str:
    assert said.status_code == status, said.text
    assert said.headers["content-type"] == "application/problem+json"
    problem = said.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"/docs/errors#{code}"
    return str(problem["detail"])


def decoded(said: httpx.Response) -> Image.Image:
    assert said.status_code == 200, said.text
    assert said.headers["content-type"] == "image/webp"
    return Image.open(io.BytesIO(said.content))


# Searching


def test_every_way_to_give_a_picture_finds_the_same(client: httpx.Client, files: list[Path]) -> None:
    data = cropped()
    whole = search(client, data)
    match = whole["matches"][0]
    assert (match["kind"], whole["total"]) == ("copy", 1)
    assert match["sightings"][0]["uri"].endswith("000.jpg")
    assert "cropped" in match["sentence"]
    assert whole["counts"] == {"identical": 0, "same": 0, "copy": 1, "partial": 0, "similar": 0}
    raw = client.post("/api/v1/search", content=data, headers={"Content-Type": "image/jpeg"}).json()
    octets = client.post(
        "/api/v1/search", content=data, headers={"Content-Type": "application/octet-stream"}
    ).json()
    again = client.post("/api/v1/search", json={"token": whole["query"]["token"]}).json()
    for other in (raw, octets, again):
        assert [one["id"] for one in other["matches"]] == [match["id"]]
    by_id = client.post("/api/v1/search", json={"id": match["id"]}).json()
    assert by_id["matches"][0]["kind"] == "identical"
    library = compare(data, files[0].read_bytes(), PLAIN)
    assert library is not None
    assert library.as_json()["evidence"]["edits"] == match["evidence"]["edits"]  # type: ignore[index]


def test_options_come_in_the_form_the_query_string_or_json(client: httpx.Client) -> None:
    data = encoded(picture(1))
    for said in (
        client.post("/api/v1/search?kinds=copy", files={"image": data}),
        client.post("/api/v1/search", files={"image": data}, data={"kinds": "copy"}),
        client.post("/api/v1/search?kinds=all", files={"image": data}, data={"kinds": "copy"}),
    ):
        assert (said.status_code, said.json()["total"]) == (200, 0)
    token = search(client, data)["query"]["token"]
    assert client.post("/api/v1/search", json={"token": token, "kinds": "copy"}).json()["total"] == 0
    assert client.post("/api/v1/search", json={"token": token, "filter": "width>4000"}).json()["total"] == 0
    part = client.post("/api/v1/search", json={"token": token, "region": "0,0,200,300"}).json()
    assert part["matches"][0]["evidence"]["query_area"] is not None
    assert client.post("/api/v1/search", json={"token": token, "collection": "x"}).status_code == 400
    assert client.post("/api/v1/search?collection=second", json={"token": token}).json()["total"] == 1
    assert (
        client.post("/api/v1/search?collection=second", files={"image": encoded(picture(5))}).json()["total"]
        == 0
    )


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        ({"json": {}}, 400, "usage"),
        ({}, 400, "usage"),
        ({"json": {"id": "sha256:12"}}, 400, "usage"),
        ({"json": {"id": ID}}, 404, "not-found"),
        ({"json": {"token": "x" * 24}}, 404, "not-found"),
        ({"json": {"id": ID, "token": "x" * 24}}, 400, "usage"),
        ({"json": {"url": "http://127.0.0.1:8080/a.jpg"}}, 403, "blocked-address"),
        ({"json": {"url": "file:///etc/passwd"}}, 400, "usage"),
        ({"json": {"limit": "5", "id": ID}}, 400, "usage"),
        ({"json": {"nonsense": 1}}, 400, "usage"),
        ({"json": [1]}, 400, "usage"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "usage"),
        ({"content": b"\xff" * 50, "headers": {"Content-Type": "application/json"}}, 400, "usage"),
        ({"content": b"hello", "headers": {"Content-Type": "image/jpeg"}}, 415, "not-a-picture"),
        ({"content": b"", "headers": {"Content-Type": "image/jpeg"}}, 400, "usage"),
        ({"content": b"hello", "headers": {"Content-Type": "text/plain"}}, 415, "wrong-body"),
        ({"content": b"hello"}, 415, "wrong-body"),
        ({"files": {"picture": b"x"}}, 400, "usage"),
        ({"files": [("image", b"x"), ("image", b"y")]}, 400, "usage"),
        ({"files": {"image": b""}}, 422, "empty"),
        ({"files": {"image": b"\xff\xd8\xff\xe0"}}, 422, "truncated"),
        ({"content": b"x" * 300_001, "headers": {"Content-Type": "image/jpeg"}}, 413, "too-large"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "usage"),
    ],
)
def test_what_is_no_search(client: httpx.Client, send: dict[str, Any], status: int, code: str) -> None:
    assert refused(client.post("/api/v1/search", **send), status, code).endswith(".")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "sort=nice",
        "kinds=some",
        "kinds=",
        "min_score=101",
        "min_score=nan",
        "precision=1",
        "min_score=1&precision=0.9",
        "region=1,2,3",
        "region=0,0,9999,9999",
        "region=9,9,1,1",
        "object=0",
        "filter=widht>3",
        "filter=(",
        "like=me",
        "collection=nowhere",
        "nonsense=1",
    ],
)
def test_options_of_no_use(client: httpx.Client, query: str) -> None:
    said = client.post(f"/api/v1/search?{query}", files={"image": encoded(picture(0))})
    assert said.status_code in (400, 404), said.text
    assert said.json()["code"] in ("usage", "no-collection")


def test_an_answer_is_paged_as_it_was(client: httpx.Client, files: list[Path]) -> None:
    wide = [encoded(picture(20).resize((400 - 20 * n, 300 - 15 * n))) for n in range(5)]
    said = client.post("/api/v1/images", files=[("image", (f"{n}.jpg", one)) for n, one in enumerate(wide)])
    assert said.status_code == 201, said.text
    first = search(client, wide[0], limit=2)
    assert (len(first["matches"]), first["total"]) == (2, 5)
    token = first["query"]["token"]
    for one in said.json()["outcomes"]:  # a page is of the answer, whatever became of the images
        assert client.delete(f"/api/v1/images/{one['id']}").status_code == 204
    seen, cursor = [one["id"] for one in first["matches"]], first["next"]
    while cursor is not None:
        page = client.get(f"/api/v1/searches/{token}", params={"cursor": cursor, "limit": 2}).json()
        seen += [one["id"] for one in page["matches"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(one["id"] for one in said.json()["outcomes"])
    by_size = client.get(f"/api/v1/searches/{token}?sort=smallest").json()["matches"]
    assert [one["width"] for one in by_size] == [320, 340, 360, 380, 400]
    some = client.get(f"/api/v1/searches/{token}?kind=identical").json()
    assert (some["total"], some["counts"]["same"] + some["counts"]["identical"]) == (1, 5)
    refused(client.get(f"/api/v1/searches/{token}?cursor=zzz"), 400, "usage")
    refused(client.get("/api/v1/searches/" + "a" * 24), 404, "not-found")


def test_two_pictures_are_compared(client: httpx.Client) -> None:
    one, other = encoded(picture(3)), cropped(3)
    said = client.post("/api/v1/compare", files={"first": other, "second": one}).json()
    assert said["match"]["kind"] == "copy"
    assert client.post("/api/v1/compare", files={"first": one, "second": encoded(picture(4))}).json() == {
        "match": None
    }
    found = search(client, other)
    named = {"first": {"token": found["query"]["token"]}, "second": {"id": found["matches"][0]["id"]}}
    assert client.post("/api/v1/compare", json=named).json()["match"]["kind"] == "copy"
    refused(client.post("/api/v1/compare", files={"first": one}), 400, "usage")
    refused(client.post("/api/v1/compare", json={"first": {}, "second": {}}), 400, "usage")
    refused(client.post("/api/v1/compare", content=one), 415, "wrong-body")


# Pictures


def test_proofs_are_drawn(client: httpx.Client) -> None:
    found = search(client, cropped(2))
    path = f"/api/v1/searches/{found['query']['token']}"
    match = found["matches"][0]["id"]
    query = decoded(client.get(f"{path}/image?size=128"))
    assert max(query.size) == 128
    a, b = (decoded(client.get(f"{path}/proofs/{match}?how=blink-{side}&size=320")) for side in "ab")
    assert a.size == b.size == (320, 240)
    difference = [abs(x - y) for x, y in zip(a.convert("L").tobytes(), b.convert("L").tobytes(), strict=True)]
    assert sum(difference) / len(difference) < 6, "the match lies on the query"
    framed = Image.new("RGB", (600, 500), "white")
    framed.paste(picture(2), (150, 120))
    wide = search(client, encoded(framed))["query"]["token"]
    laid = decoded(client.get(f"/api/v1/searches/{wide}/proofs/{match}?how=aligned&size=600"))
    assert (laid.size, laid.getpixel((5, 5))[3]) == ((600, 500), 0)  # type: ignore[index]
    assert laid.getpixel((350, 270))[3] == 255  # type: ignore[index]
    assert decoded(client.get(f"{path}/proofs/{match}?how=difference")).size == (320, 240)
    sides = client.get(f"{path}/proofs/{match}")
    assert decoded(sides).width > 640
    tag = sides.headers["etag"]
    assert client.get(f"{path}/proofs/{match}", headers={"If-None-Match": tag}).status_code == 304
    refused(client.get(f"{path}/proofs/{ID}"), 404, "not-found")
    refused(client.get(f"{path}/proofs/{match}?how=nicely"), 400, "usage")
    refused(client.get(f"{path}/proofs/{match}?size=9999"), 400, "usage")


def test_uploads_are_kept_and_shown(server: Running, client: httpx.Client, files: list[Path]) -> None:
    data = encoded(picture(30), "PNG")
    said = client.post(
        "/api/v1/images",
        files={"image": ("thing.png", data)},
        data={"uri": "https://example.org/a.png", "page": "https://example.org/", "title": "A thing"},
    )
    assert said.status_code == 201, said.text
    outcome = said.json()["outcomes"][0]
    path = f"/api/v1/images/{outcome['id']}"
    image = client.get(path).json()
    assert [one["uri"] for one in image["sightings"]] == ["https://example.org/a.png"]
    assert image["sightings"][0]["title"] == "A thing"
    assert set(image) >= {"labels", "colours", "objects", "fields", "credit", "thumbnail_url"}
    assert max(decoded(client.get(image["thumbnail_url"] + "?size=100")).size) == 100
    original = client.get(image["original_url"])
    assert (original.content, original.headers["content-type"]) == (data, "image/png")
    assert "sandbox" in original.headers["content-security-policy"]
    found = search(client, encoded(picture(30).crop((0, 0, 300, 300))))
    assert found["matches"][0]["evidence"]["agreement"] is not None, "its pixels were looked at"
    sides = client.get(f"/api/v1/searches/{found['query']['token']}/proofs/{outcome['id']}")
    assert decoded(sides).width > 400
    assert client.post("/api/v1/search", json={"id": outcome["id"]}).json()["total"] == 1
    assert client.delete(path).status_code == 204
    for gone in (path, image["thumbnail_url"], image["original_url"]):
        refused(client.get(gone), 404, "not-found")


def test_thumbnails_and_images_have_etags(client: httpx.Client) -> None:
    image = client.get("/api/v1/images?sort=oldest&limit=1").json()["images"][0]
    for path in (image["image_url"], image["thumbnail_url"], image["original_url"]):
        said = client.get(path)
        again = client.get(path, headers={"If-None-Match": said.headers["etag"]})
        assert (said.status_code, again.status_code, again.content) == (200, 304, b"")
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(said.content))
    client.patch(image["image_url"], json={"fields": {"price": 3, "brand": "Acme", "sold": True}})
    changed = client.get(image["image_url"])
    assert changed.json()["fields"] == {"brand": "Acme", "price": 3.0, "sold": True}
    assert client.get("/api/v1/images?filter=price<4").json()["total"] == 1
    fewer = client.patch(image["image_url"], json={"fields": {"price": None}})
    assert fewer.json()["fields"] == {"brand": "Acme", "sold": True}
    for wrong in ({"fields": {"width": 3}}, {"fields": {"a": [1]}}, {"fields": 3}, {}, {"x": 1}):
        refused(client.patch(image["image_url"], json=wrong), 400, "usage")


# Images


def test_images_are_listed_page_by_page(client: httpx.Client) -> None:
    for sort in ("added", "newest", "oldest", "biggest", "smallest"):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            params = {"sort": sort, "limit": 3} | ({"cursor": cursor} if cursor else {})
            page = client.get("/api/v1/images", params=params).json()
            seen += [one["id"] for one in page["images"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == page["total"]
    named = client.get("/api/v1/images", params={"q": "PICTURE 003"}).json()
    assert [one["sightings"][0]["uri"][-7:] for one in named["images"]] == ["003.jpg"]
    assert client.get("/api/v1/images", params={"q": "100% *"}).json()["total"] == 0
    for wrong in ("limit=0", "sort=x", "cursor=x", "filter=(", "q=" + "+".join("abcdefghijklmnop")):
        refused(client.get(f"/api/v1/images?{wrong}"), 400, "usage")


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        ({"json": {}}, 400, "usage"),
        ({"json": {"url": "http://10.0.0.1/a.jpg"}}, 403, "blocked-address"),
        ({"files": {"picture": b"x"}}, 400, "usage"),
        ({"files": {"image": b"x"}, "data": {"fields": "{"}}, 400, "usage"),
        ({"files": {"image": b"x"}, "data": {"fields": '{"width": 1}'}}, 400, "usage"),
        ({"files": {"image": b"x"}, "data": {"nonsense": "1"}}, 400, "usage"),
        ({"files": {"image": b"x"}, "data": {"uri": "FILE:///etc/passwd"}}, 400, "usage"),
        ({"files": [("image", b"x"), ("image", b"y")], "data": {"uri": "https://a.org/"}}, 400, "usage"),
        ({"content": b"x"}, 415, "wrong-body"),
    ],
)
def test_what_is_not_added(client: httpx.Client, send: dict[str, Any], status: int, code: str) -> None:
    refused(client.post("/api/v1/images", **send), status, code)


def test_a_picture_is_taken_as_curl_sends_it(client: httpx.Client) -> None:
    """`--data-binary @picture.jpg` says that it is a form."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    data = encoded(picture(43))
    added = client.post("/api/v1/images", content=data, headers=form)
    assert (added.status_code, added.json()["added"]) == (201, 1)
    assert (
        client.post("/api/v1/images", content=data, headers={"Content-Type": "image/jpeg"}).status_code == 201
    )
    for headers in (form, {}):
        found = client.post("/api/v1/search", content=data, headers=headers).json()
        assert found["matches"][0]["id"] == added.json()["outcomes"][0]["id"]
    for path in ("/api/v1/images", "/api/v1/search"):
        for body in (b"url=https://a.org/a.jpg", b"x=" * 100_000, b""):
            refused(client.post(path, content=body, headers=form), 415, "wrong-body")


def test_every_picture_that_is_offered_has_an_outcome(client: httpx.Client, files: list[Path]) -> None:
    offered = [files[0].read_bytes(), b"no picture", b"", encoded(picture(40)), encoded(picture(41))[:600]]
    said = client.post("/api/v1/images", files=[("image", one) for one in offered])
    assert said.status_code == 200
    assert [one["status"] for one in said.json()["outcomes"]] == [
        "known",
        "skipped",
        "failed",
        "added",
        "failed",
    ]
    assert sum(said.json()[name] for name in ("added", "known", "skipped", "failed")) == len(offered)
    assert all(one["reason"] for one in said.json()["outcomes"] if one["status"] in ("skipped", "failed"))
    client.delete(f"/api/v1/images/{said.json()['outcomes'][3]['id']}")


# The rest


def test_status_health_and_figures(client: httpx.Client) -> None:
    status = client.get("/api/v1/status").json()
    assert [one["name"] for one in status["collections"]] == ["photos", "second"]
    assert status["scopes"] == ["search", "add", "admin"]
    assert status["queue"]["limit"] == 64
    assert client.get("/healthz").text == "ok\n"
    assert client.get("/readyz").text == "ready\n"
    search(client, cropped())
    figures = client.get("/metrics").text
    assert 'wherefrom_requests_total{method="POST",route="/api/v1/search",status="200"}' in figures
    assert 'wherefrom_images{collection="photos"}' in figures
    assert "wherefrom_search_stage_seconds_bucket" in figures
    for _ in range(3):
        client.get("/nowhere/" + str(time.time()))
        client.request("FROB", "/api/v1/status")
    again = client.get("/metrics").text
    assert "nowhere" not in again
    assert "FROB" not in again


def test_browsers_are_kept_safe(client: httpx.Client) -> None:
    for path in ("/", "/docs", "/api/v1/status", "/nowhere", "/openapi.json"):
        said = client.get(path)
        policy = said.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.headers["referrer-policy"] == "no-referrer"
        assert said.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in said.headers
        assert "server" not in said.headers
    elsewhere = client.get("/api/v1/status", headers={"Host": "evil.example:80"})
    refused(elsewhere, 403, "forbidden")
    cross = client.post("/api/v1/search", json={}, headers={"Origin": "https://evil.example"})
    refused(cross, 403, "forbidden")


def test_paths_and_methods_that_there_are_not(client: httpx.Client) -> None:
    refused(client.get("/api/v2/search"), 404, "no-route")
    refused(client.post("/nowhere"), 404, "no-route")
    said = client.put("/api/v1/images/" + ID)
    refused(said, 405, "no-method")
    assert {"GET", "PATCH", "DELETE"} <= set(said.headers["allow"].split(", "))
    said = client.get("/api/v1/search")
    refused(said, 405, "no-method")
    assert said.json()["detail"] == "GET is not supported here; see /docs."
    for path in ("/../pyproject.toml", "/%2e%2e/config.py", "/js/..%2f..%2fconfig.py", "/page/index.html"):
        refused(client.get(path), 404, "no-route")


def test_the_log_says_what_was_done_and_nothing_of_what_was_shown(
    server: Running, client: httpx.Client
) -> None:
    secret = "zyxwvu"
    client.get("/api/v1/images", params={"q": secret})
    client.post("/api/v1/search", json={"url": f"http://127.0.0.1:8080/{secret}.jpg"})
    time.sleep(0.2)
    lines = [json.loads(line) for line in server.said if line.startswith("{")]
    assert not [line for line in server.said if secret in line]
    assert not [line for line in lines if line["level"] == "error"], lines
    last = next(line for line in reversed(lines) if line["message"] == "request")
    assert {"time", "method", "route", "status", "ms", "id", "caller"} <= set(last)
