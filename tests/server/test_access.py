"""Who may do what, at every route that there is."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from wherefrom.errors import NotFound, UsageError
from wherefrom.records import now
from wherefrom.server.access import Door, needs_of
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.keys import Keys, Rate, Scope
from wherefrom.server.limiting import Limiter
from wherefrom.server.safety import check_host, key_file
from wherefrom.server.service import Service
from wherefrom.server.watch import KeyWatch

PUBLIC = {
    "/",
    "/index.html",
    "/icon.svg",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/readyz",
}
"""What needs no key, beside the page's files: no route comes here that shows or changes a collection."""

PUBLIC_BELOW = ("/css/", "/js/", "/docs/")

SIGNED = {"/rest/overlay/", "/rest/image/"}
"""What the holder of a signed link may see."""


class Nothing:
    """Stands where a service would: who came that far was let in, and is told that nothing is there."""

    def __getattr__(self, name: str) -> Any:
        raise NotFound("behind the door")


class Texts(dict[str, str]):
    """The keys that tests send, by what they are."""


def config_of(folder: Path, **options: Any) -> Config:
    return Config((("photos", folder),), **({"originals": True, "file_actions": True} | options))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Texts]:
    folder = tmp_path_factory.mktemp("access")
    keys = Keys(folder / "keys.db", create=True)
    texts = Texts()
    for scope in Scope:
        texts[scope.value] = keys.create(scope.value, scope)[0]
    texts["expired"] = keys.create("expired", Scope.ADMIN, expires=now() - 1)[0]
    texts["revoked"] = keys.create("revoked", Scope.ADMIN)[0]
    keys.revoke("revoked")
    texts["unknown"] = texts["admin"][:-2] + ("aa" if texts["admin"][-2:] != "aa" else "bb")
    return folder, texts


def app_with(folder: Path, door: Door, **options: Any) -> FastAPI:
    config = config_of(folder, **options)
    app = create_app(Service(config), config, door)
    for name in ("service", "jobs", "tokens", "pictures"):
        setattr(app.state, name, Nothing())
    return app


def client_of(app: FastAPI, **options: Any) -> TestClient:
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False, **options)


def is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(PUBLIC_BELOW)


def asked(client: TestClient, method: str, path: str, key: str | None) -> Any:
    url = re.sub(r"\{(\w+)(:\w+)?\}", lambda m: "sha256:" + "0" * 64 if m[1] == "id" else "photos", path)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.request(method, url, headers=headers, follow_redirects=False)


def test_every_route_says_what_it_needs_and_gets_it(place: tuple[Path, Texts]) -> None:
    folder, texts = place
    door = Door(KeyWatch(folder / "keys.db"), failures=Rate(100_000, 60))
    app = app_with(folder, door)
    # From elsewhere: some routes let this machine in.
    client = client_of(app, client=("192.0.2.1", 5000))
    found = needs_of(app)
    assert {"/api/v1/search", "/api/v1/images", "/api/v1/jobs", "/api/v1/labels"} <= {row[1] for row in found}
    silent = [row[:2] for row in found if not row[2] and not is_public(row[1])]
    assert silent == [], "these routes say nothing of who may use them: Depends(needs(...))"
    for method, path, needed in found:
        wanted = [scope for scope in needed if scope is not None]
        if not wanted:
            assert is_public(path) or path in SIGNED, path
            status = asked(client, method, path, None).status_code
            assert status in ({400, 403, 404} if path in SIGNED else {200, 404, 500, 503}), path
            continue
        assert not is_public(path), path
        for who in ("none", "unknown", "expired", "revoked"):
            said = asked(client, method, path, texts.get(who))
            assert said.status_code == 401, (method, path, who)
            assert said.headers["www-authenticate"].startswith("Bearer realm="), (method, path, who)
            assert who in ("none", "unknown") or who in said.text, (method, path, who)
        for scope in Scope:
            said = asked(client, method, path, texts[scope.value])
            if all(scope.includes(one) for one in wanted):
                assert said.status_code not in (401, 403), (method, path, scope)
            else:
                assert said.status_code == 403, (method, path, scope)
                assert (
                    f'scope="{max(wanted, key=list(Scope).index).value}"' in said.headers["www-authenticate"]
                )
                assert f"of the scope {wanted[-1].value}" in said.text, (method, path, scope)


def test_the_table_of_scopes_in_the_docs_is_that_of_the_routes(place: tuple[Path, Texts]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    section = page.partition("## Scopes")[2].partition("\n## ")[0]
    told = {
        (method, path): Scope(scope)
        for scope, routes in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.M)
        for methods, path in re.findall(r"((?:`[A-Z]+`, )*`[A-Z]+) (/[^`]*)`", routes)
        for method in re.findall("[A-Z]+", methods)
    }
    found = {}
    for method, path, needed in needs_of(app_with(place[0], Door())):
        scopes = [scope for scope in needed if scope is not None]
        if scopes and not path.endswith("/"):
            found[method, path] = max(scopes, key=list(Scope).index)
    assert told == found
    assert told["DELETE", "/api/v1/images/{id}"] is Scope.ADMIN


def test_what_changes_a_collection_needs_more_than_search(place: tuple[Path, Texts]) -> None:
    app = app_with(place[0], Door())
    for method, path, needed in needs_of(app):
        if path.startswith("/api/v1/") and method in ("PUT", "PATCH", "DELETE"):
            assert Scope.SEARCH not in needed, (method, path)
        if method == "DELETE" or "delete" in path:
            assert needed == [Scope.ADMIN], (method, path)
        if path.startswith("/api/v1/jobs"):
            assert needed == [Scope.ADMIN]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer KEY"},
        {"authorization": "bearer  KEY "},
        {"X-API-Key": "KEY"},
        {"x-goog-api-key": "KEY"},
        {"Authorization": "Basic " + "BASIC"},
        {"Authorization": "Basic " + "BASIC2"},
    ],
)
def test_ways_to_send_a_key(place: tuple[Path, Texts], headers: dict[str, str]) -> None:
    folder, texts = place
    client = client_of(app_with(folder, Door(KeyWatch(folder / "keys.db"))))
    key = texts["search"]
    basic = [base64.b64encode(one.encode()).decode() for one in (f"{key}:", f"user:{key}")]
    sent = {
        name: value.replace("KEY", key).replace("BASIC2", basic[1]).replace("BASIC", basic[0])
        for name, value in headers.items()
    }
    assert client.get("/api/v1/labels", headers=sent).status_code == 404
    assert client.get("/api/v1/labels?key=" + key).status_code == 401  # addresses end up in logs


def test_wrong_keys_are_counted_by_address_and_right_ones_go_on(place: tuple[Path, Texts]) -> None:
    folder, texts = place
    app = app_with(folder, Door(KeyWatch(folder / "keys.db"), failures=Rate(3, 60)))
    client, other = client_of(app, client=("192.0.2.1", 1)), client_of(app, client=("192.0.2.2", 1))
    said = [asked(client, "GET", "/api/v1/labels", texts["unknown"]) for _ in range(5)]
    assert [one.status_code for one in said] == [401, 401, 401, 429, 429]
    assert 1 <= int(said[4].headers["retry-after"]) <= 60
    assert said[4].headers["content-type"] == "application/problem+json"
    assert asked(client, "GET", "/api/v1/labels", texts["search"]).status_code == 404
    assert asked(other, "GET", "/api/v1/labels", texts["unknown"]).status_code == 401


def test_rates_of_keys_and_what_is_told_of_them(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.db", create=True)
    slow, _ = keys.create("slow", Scope.SEARCH, rate=Rate(2, 60))
    usual, _ = keys.create("usual", Scope.SEARCH)
    door = Door(KeyWatch(tmp_path / "keys.db"), rate=Rate(5, 60), limiter=Limiter(clock=lambda: 0.0))
    client = client_of(app_with(tmp_path, door))
    said = [asked(client, "GET", "/api/v1/labels", slow) for _ in range(3)]
    assert [one.status_code for one in said] == [404, 404, 429]
    assert [one.headers["ratelimit-remaining"] for one in said] == ["1", "0", "0"]
    assert said[2].headers["ratelimit"] == '"key";r=0;t=60'
    assert said[2].headers["retry-after"] == "60"
    assert said[2].json()["code"] == "too-many-requests"
    assert asked(client, "GET", "/api/v1/labels", usual).headers["ratelimit-policy"] == '"key";q=5;w=60'
    # What the key does not allow counts too.
    assert asked(client, "GET", "/api/v1/jobs", usual).headers["ratelimit-remaining"] == "3"


def test_without_keys_each_address_may_have_a_rate(tmp_path: Path) -> None:
    client = client_of(app_with(tmp_path, Door(anonymous=Rate(2, 60))), client=("127.0.0.1", 1))
    assert [client.get("/api/v1/labels").status_code for _ in range(3)] == [404, 404, 429]
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8765", True),
        ("photos.localhost", True),
        ("127.0.0.1:80", True),
        ("127.9.9.9", True),
        ("[::1]:8765", True),
        ("localhost.", True),
        ("mine.test", True),
        ("evil.test", False),
        ("localhost.evil.test", False),
        ("127.0.0.1.evil.test", False),
        ("192.0.2.1", False),
        ("[2001:db8::1]", False),
        ("", False),
        ("[", False),
        ("[::1", False),
        ("localhost:[", True),
    ],
)
def test_names_of_this_machine(tmp_path: Path, host: str, allowed: bool) -> None:
    client = client_of(app_with(tmp_path, Door(hosts=["Mine.test"])))
    said = client.get("/api/v1/labels", headers={"host": host})
    assert said.status_code == (404 if allowed else 403)
    assert allowed or "wherefrom keys create" in said.json()["detail"]


@pytest.mark.parametrize(
    ("method", "headers", "allowed"),
    [
        ("POST", {}, True),
        ("POST", {"origin": "http://localhost"}, True),
        ("POST", {"origin": "http://localhost", "sec-fetch-site": "same-origin"}, True),
        ("POST", {"origin": "https://page.test", "sec-fetch-site": "cross-site"}, True),
        ("POST", {"origin": "http://localhost:3000"}, False),
        ("POST", {"origin": "https://evil.test"}, False),
        ("POST", {"origin": "null"}, False),
        ("POST", {"sec-fetch-site": "cross-site"}, False),
        ("POST", {"sec-fetch-site": "same-site"}, False),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ("DELETE", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ("GET", {"referer": "https://evil.test/a"}, False),
        ("GET", {"referer": "http://localhost/a"}, True),
        ("GET", {"sec-fetch-site": "same-site"}, True),
        ("GET", {"sec-fetch-site": "none"}, True),
        ("POST", {"referer": "https://evil.test/a"}, False),
        ("POST", {"referer": "http://localhost/a"}, True),
        ("GONE", {}, True),
        ("GONE", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ("GONE", {"referer": "https://evil.test/a"}, False),
    ],
)
def test_pages_of_other_sites(tmp_path: Path, method: str, headers: dict[str, str], allowed: bool) -> None:
    client = client_of(app_with(tmp_path, Door(origins=["https://page.test"])))
    paths = {"GET": "/api/v1/labels", "DELETE": "/api/v1/jobs/x", "POST": "/api/v1/jobs"}
    # What removes by GET is not to be reached by a link.
    path = paths.get(method, "/photos/rest/delete/?filepaths[0]=a.jpg")
    said = client.request("GET" if method == "GONE" else method, path, headers=headers)
    assert (said.status_code != 403) == allowed


def test_with_keys_it_does_not_matter_where_a_request_comes_from(place: tuple[Path, Texts]) -> None:
    folder, texts = place
    client = client_of(app_with(folder, Door(KeyWatch(folder / "keys.db"))))
    headers = {"host": "photos.test", "origin": "https://evil.test", "x-api-key": texts["search"]}
    assert client.get("/api/v1/labels", headers=headers).status_code == 404


def test_figures_are_told_to_who_has_a_key_or_to_all(place: tuple[Path, Texts]) -> None:
    folder, texts = place
    app = app_with(folder, Door(KeyWatch(folder / "keys.db")))
    near, far = client_of(app, client=("127.0.0.1", 1)), client_of(app, client=("192.0.2.1", 1))
    assert near.get("/metrics").status_code == 401
    assert far.get("/metrics").status_code == 401
    assert asked(far, "GET", "/metrics", texts["search"]).status_code not in (401, 403)
    opened = app_with(folder, Door(KeyWatch(folder / "keys.db")), metrics_open=True)
    assert client_of(opened, client=("192.0.2.1", 1)).get("/metrics").status_code not in (401, 403)


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything", "X-Real-IP", "Via"],
)
def test_without_keys_nothing_that_was_handed_on_is_answered(tmp_path: Path, header: str) -> None:
    client = client_of(app_with(tmp_path, Door()))
    assert client.get("/api/v1/labels").status_code == 404
    said = client.get("/api/v1/labels", headers={header: "127.0.0.1"})
    assert said.status_code == 403
    assert "wherefrom keys create" in said.json()["detail"]


def test_who_is_let_in_without_keys_gets_files_and_others_do_not(place: tuple[Path, Texts]) -> None:
    folder, texts = place
    path = "/api/v1/images/sha256:" + "0" * 64 + "/original"
    behind = {"originals": None}
    assert client_of(app_with(folder, Door(), **behind)).get(path).status_code == 404
    keyed = client_of(app_with(folder, Door(KeyWatch(folder / "keys.db")), **behind))
    assert asked(keyed, "GET", path, texts["search"]).status_code == 403
    assert "--originals" in asked(keyed, "GET", path, texts["admin"]).text
    refused = client_of(app_with(folder, Door(), originals=False))
    assert refused.get(path).status_code == 403


def test_a_server_that_others_reach_is_never_without_keys(tmp_path: Path) -> None:
    client = client_of(app_with(tmp_path, Door(KeyWatch(tmp_path / "keys.db"), near=False)))
    assert client.get("/api/v1/labels").status_code == 401


def test_where_a_server_without_keys_may_listen(place: tuple[Path, Texts], tmp_path: Path) -> None:
    open_to_all, with_keys = Door(KeyWatch(tmp_path / "none.db")), Door(KeyWatch(place[0] / "keys.db"))
    for host in ("127.0.0.1", "::1", "localhost", "127.0.0.2"):
        check_host(host, open_to_all)
    for host in ("0.0.0.0", "::", "192.0.2.1", "photos.test"):
        check_host(host, with_keys)
        with pytest.raises(UsageError, match="Make a key first"):
            check_host(host, open_to_all)
    assert key_file(config_of(tmp_path)) == tmp_path / "keys.db"
