"""URLs that would make the server talk to what its users cannot reach: refused, and nothing is given away.

Every case goes through the routes that take a URL, with names that a stub looks up and real servers on
loopback; the guard fails a test that connects anywhere else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.sources.server import Network, Server, answer, drip, redirect
from wherefrom.server.access import OpenDoor
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.service import Service
from wherefrom.settings import Settings

NAMES = {
    "inside.test": [["10.1.2.3"]],
    "mixed.test": [["8.8.8.8", "192.168.0.1"]],
    "mapped.test": [["::ffff:169.254.169.254"]],
    "zoned.test": [["fe80::1%eth0"]],
    "six.test": [["fd00:ec2::254"]],
    "tunnel.test": [["2002:a9fe:a9fe::"]],
    "here.test": [["127.0.0.1"]],
}

BLOCKED = """
    http://127.0.0.1/ http://127.1.2.3/ http://0.0.0.0/ http://10.0.0.1/ http://172.16.5.4/ http://192.168.1.1/
    http://100.64.0.1/ http://169.254.169.254/latest/meta-data/ http://168.63.129.16/ http://100.100.100.200/
    http://192.0.0.192/ http://224.0.0.1/ http://255.255.255.255/ http://198.18.0.1/
    http://[::]/ http://[::1]/ http://[::ffff:127.0.0.1]/ http://[::ffff:a9fe:a9fe]/ http://[::127.0.0.1]/
    http://[64:ff9b::169.254.169.254]/ http://[64:ff9b:1::1]/ http://[2002:7f00:1::]/ http://[2001:0:4136:e378::1]/
    http://[fe80::1]/ http://[fc00::1]/ http://[fd00:ec2::254]/ http://[fec0::1]/ http://[ff02::1]/
    http://[::ffff:0:127.0.0.1]/ http://[100::1]/ http://[2001:db8::1]/
    http://localhost/ http://LOCALHOST./ https://localhost:8765/ http://127。0。0。1/ http://①②⑦.0.0.1/
    http://inside.test/ http://mixed.test/ http://mapped.test/ http://zoned.test/ http://six.test/
    http://tunnel.test/ http://here.test:8765/api/v1/jobs https://inside.test/
"""

MALFORMED = """
    http://2130706433/ http://0x7f000001/ http://017700000001/ http://0x7f.0.0.1/ http://0177.0.0.1/ http://127.1/
    http://127.0.0.1.0/ http://[fe80::1%25eth0]/ http://[::1%lo]/ http://user@127.0.0.1/ http://8.8.8.8@127.0.0.1/
    http://8.8.8.8\\@127.0.0.1/ http:///127.0.0.1/ http://a.test:22/ http://a.test:6000000/ file:///etc/passwd
    gopher://127.0.0.1:6379/_FLUSHALL ftp://a.test/ data:image/png;base64,AA dict://127.0.0.1:11211/
    //127.0.0.1/ http://127.0.0.1%2f@a.test/ jar:http://a.test!/ http://[::1/ http://faß.test/
"""

ROUTES = ("/api/v1/search", "/api/v1/images")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    network.names |= NAMES
    network.guard(monkeypatch)
    return network


@pytest.fixture
def serve() -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda *answers, **options: stack.enter_context(Server(*answers, **options))


def client_of(folder: Path, deadline: float = 4.0, **settings: Any) -> TestClient:
    """What is fetched waits half of the deadline for a process that searches, and there is none."""
    config = Config((("photos", folder),), Settings(max_bytes=10_000, **settings), deadline=deadline)
    app = create_app(Service(config), config, OpenDoor())
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def asked(client: TestClient, route: str, url: str) -> tuple[int, str, str]:
    """Status, code and sentence of the answer."""
    said = client.post(route, json={"url": url})
    assert said.headers["content-type"] == "application/problem+json", said.text
    problem = json.loads(said.text)
    return said.status_code, problem["code"], problem["detail"]


@pytest.mark.parametrize("url", BLOCKED.split())
def test_addresses_that_are_not_public(tmp_path: Path, network: Network, url: str) -> None:
    client = client_of(tmp_path)
    told = {asked(client, route, url) for route in ROUTES}
    ((status, code, detail),) = told
    assert (status, code) == (403, "blocked-address")
    assert network.connected == []
    # Neither which address nor of what kind: no oracle for names within.
    assert not any(
        word in detail for word in ("10.", "169", "192", "fd00", "private", "link", "test", "this machine")
    )


@pytest.mark.parametrize("url", MALFORMED.split())
def test_spellings_that_are_refused(tmp_path: Path, network: Network, url: str) -> None:
    client = client_of(tmp_path)
    for route in ROUTES:
        status, code, _ = asked(client, route, url)
        assert (status, code) == (400, "usage")
    assert (network.lookups, network.connected) == ([], [])


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://inside.test/",
        "//mapped.test/",
        "http://[fd00:ec2::254]/latest/",
        "http://10.0.0.1/",
    ],
)
def test_redirects_to_what_is_not_public(tmp_path: Path, network: Network, serve: Any, location: str) -> None:
    server = serve(redirect(location))
    client = client_of(tmp_path, allow_private="127.0.0.0/8")
    status, code, detail = asked(client, ROUTES[0], server.url)
    assert (status, code) == (403, "blocked-address")
    assert "169" not in detail
    assert network.connected == ["127.0.0.1"]


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://0x7f000001/", "http://a@b/"]
)
def test_redirects_to_what_is_no_url_for_us(
    tmp_path: Path, network: Network, serve: Any, location: str
) -> None:
    client = client_of(tmp_path, allow_private="127.0.0.0/8")
    assert asked(client, ROUTES[0], serve(redirect(location)).url)[:2] == (502, "fetch")
    assert network.connected == ["127.0.0.1"]


def test_a_name_that_changes_is_looked_up_once(tmp_path: Path, network: Network, serve: Any) -> None:
    server = serve(answer(b"no picture"))
    network.names["rebind.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    client = client_of(tmp_path, deadline=1.0, allow_private="127.0.0.0/8")
    client.post(ROUTES[0], json={"url": f"http://rebind.test:{server.port}/"})
    assert network.lookups == ["rebind.test"]
    assert network.connected == ["127.0.0.1"]
    network.names["rebind.test"] = [["127.0.0.1"], ["169.254.169.254"]]
    server = serve(redirect("/again"))
    assert asked(client, ROUTES[0], f"http://rebind.test:{server.port}/")[:2] == (403, "blocked-address")


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (redirect("/round"), 502, "fetch"),
        (answer(bytes(10_001)), 502, "fetch"),
        (answer(b"", length=10**15), 502, "fetch"),
        (drip(b"HTTP/1.1 200 OK\r\n\r\n", bytes(4096), 0), 502, "fetch"),
        (
            drip(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"400\r\n" + bytes(1024) + b"\r\n",
                0,
            ),
            502,
            "fetch",
        ),
        (drip(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n", 0), 502, "fetch"),
        (drip(b"HTTP/1.1 200 OK\r\n\r\n", b"a", 0.05), 502, "fetch"),
        (drip(b"", b"H", 0.05), 502, "fetch"),
        (drip(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.05), 502, "fetch"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", 502, "fetch"),
        (b"", 502, "fetch"),
        (answer(b"x" * 10, "Content-Encoding: gzip"), 502, "fetch"),
        (answer(b"", status="401 Who"), 502, "fetch"),
        (answer(b"", status="500 Oh"), 502, "fetch"),
    ],
    ids=range(14),
)
def test_servers_that_lie_drip_or_never_end(
    tmp_path: Path, network: Network, serve: Any, said: Any, status: int, code: str
) -> None:
    server = serve(said)
    client = client_of(tmp_path, allow_private="127.0.0.0/8 ::1", fetch_seconds=0.4)
    begun = time.monotonic()
    told = asked(client, ROUTES[0], server.url)
    assert told[:2] == (status, code)
    assert time.monotonic() - begun < 10
    assert "Traceback" not in told[2]
    assert "/src/" not in told[2]


def test_nothing_of_ours_is_sent(
    tmp_path: Path, network: Network, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve(answer(b"")), serve(answer(b"", "Set-Cookie: a=b"), answer(b""))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("http_proxy", proxy.url)
    client = client_of(tmp_path, deadline=1.0, allow_private="127.0.0.0/8")
    headers = {
        "Authorization": "Bearer wherefrom_secret",
        "Cookie": "session=secret",
        "Referer": "http://localhost/x",
    }
    for _ in range(2):
        client.post(ROUTES[0], json={"url": server.url}, headers=headers)
    assert proxy.requests == []
    assert len(server.requests) == 2
    for request in server.requests:
        assert not any(
            word in request.lower() for word in (b"secret", b"cookie", b"referer", b"authorization")
        )


def test_there_are_enough_cases() -> None:
    assert len({*BLOCKED.split(), *MALFORMED.split()}) > 60
