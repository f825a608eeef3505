"""Bodies: none is read before its sender was let in, none is larger or later than it may be, at any route."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from tests.server.running import Running, served
from tests.server.test_access import Nothing, Texts, app_with, place
from wherefrom.collection import open_collection
from wherefrom.server import gate, protocol
from wherefrom.server.access import Door, needs_of, routes_of
from wherefrom.server.keys import Keys, Rate, Scope
from wherefrom.server.watch import KeyWatch
from wherefrom.settings import Settings

__all__ = ["place"]
MOST = 200_000
PIECE = b" " * 50_000


class Sender:
    """The client's side of a request: what was taken of its body, and what it was told."""

    def __init__(self, kind: str) -> None:
        self.kind, self.taken, self.status, self.whole = kind, 0, 0, False

    async def receive(self) -> dict[str, Any]:
        if self.whole:
            await asyncio.Event().wait()
        self.whole = self.kind in ("none", "huge")
        await asyncio.sleep(0.01 if self.kind == "dripping" else 0)
        body = {"none": b"", "huge": b" " * (MOST + 1), "endless": PIECE, "dripping": b" "}[self.kind]
        self.taken += len(body)
        assert self.taken < 4 * MOST, "it is read without end"
        return {"type": "http.request", "body": body, "more_body": not self.whole}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]


def scope_of(method: str, path: str, key: str | None, kind: str) -> dict[str, Any]:
    url = re.sub(r"\{(\w+)(:\w+)?\}", lambda m: "sha256:" + "0" * 64 if m[1] == "id" else "photos", path)
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    headers += [(b"authorization", f"Bearer {key}".encode())] if key else []
    lengths = {"huge": (b"content-length", b"9999999"), "none": (b"content-length", b"0")}
    headers.append(lengths.get(kind, (b"transfer-encoding", b"chunked")))
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": url,
        "raw_path": url.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.1", 5000),
        "server": ("127.0.0.1", 80),
    }


def test_no_route_has_its_body_read_by_the_framework(place: tuple[Path, Texts]) -> None:
    app = app_with(place[0], Door())
    read = [route.path for route in routes_of(app) if getattr(route, "body_field", None) is not None]
    assert read == [], "the framework reads these bodies before the key is asked for: use body_of and valid"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_routes_with_all_keys_and_all_bodies(
    place: tuple[Path, Texts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "SECONDS", 0.3)
    monkeypatch.setattr(gate, "STRANGER_SECONDS", 0.1)
    folder, texts = place
    door = Door(KeyWatch(folder / "keys.db"), failures=Rate(100_000, 60))
    app = app_with(folder, door, max_upload=MOST)
    keys = {"none": None, **{name: texts[name] for name in texts}}

    async def ask(method: str, path: str, key: str | None, kind: str) -> Sender:
        sender = Sender(kind)
        async with asyncio.timeout(30):
            # What was not foreseen is told, and raised again for the log.
            with contextlib.suppress(RuntimeError):
                await app(scope_of(method, path, key, kind), sender.receive, sender.send)  # type: ignore[arg-type]
        return sender

    asked = [
        (method, path, [one for one in needed if one is not None], who, kind)
        for method, path, needed in needs_of(app)
        for who in (keys if needed != [None] and needed else ["none"])
        for kind in ("none", "huge", "endless", "dripping")
    ]

    async def walk() -> list[Sender]:
        turn = asyncio.Semaphore(100)

        async def one(method: str, path: str, who: str, kind: str) -> Sender:
            async with turn:
                return await ask(method, path, keys[who], kind)

        return await asyncio.gather(*(one(method, path, who, kind) for method, path, _, who, kind in asked))

    door.open()
    try:
        done = asyncio.run(walk())
    finally:
        door.close()
    assert len(done) > 1_000
    for (method, path, wanted, who, kind), sender in zip(asked, done, strict=True):
        let_in = who in [one.value for one in Scope] and all(Scope(who).includes(one) for one in wanted)
        where = (method, path, who, kind, sender.status)
        assert sender.status, where
        if wanted and not let_in:
            assert sender.status in (401, 403), where
            assert sender.taken == 0, where
        else:
            assert sender.taken <= MOST + len(PIECE) + 1, where
            assert kind != "dripping" or sender.taken < 100, where


def test_a_body_is_not_handed_over_where_nobody_was_asked() -> None:
    """A route without a door fails, rather than to read what a stranger sends."""
    app = FastAPI()

    @app.post("/forgotten")
    async def forgotten(said: dict[str, str]) -> dict[str, str]:
        return said

    app.add_middleware(gate.Gate, most=MOST)
    sender = Sender("huge")
    asyncio.run(app(scope_of("POST", "/forgotten", None, "huge"), sender.receive, sender.send))  # type: ignore[arg-type]
    assert sender.taken == 0
    assert sender.status >= 400


# On a real wire


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gate")
    open_collection(folder / "photos", create=True, settings=Settings(model="none", workers=1)).close()
    Keys(folder / "photos" / "keys.db", create=True).create("a", Scope.SEARCH)
    with served(folder / "photos", options=("--workers", "1")) as running:
        yield running


def memory_of(number: int) -> int:
    """KiB that a process holds."""
    text = Path(f"/proc/{number}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1])


def test_without_a_key_nothing_is_taken_in(server: Running) -> None:
    before = memory_of(server.process.pid)
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    got, sent = b"", 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as channel:
        channel.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            got = channel.recv(65_536)
            while sent < 400_000_000:
                channel.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
                if sent % (1 << 24) == 0:
                    assert memory_of(server.process.pid) - before < 30_000
                    time.sleep(0.2)
    assert got.startswith(b"HTTP/1.1 401")
    assert sent < 400_000_000, "it is hung up on"
    assert memory_of(server.process.pid) - before < 30_000


# The limits of connections, with a server that has few of them


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch, place: tuple[Path, Texts]) -> Iterator[tuple[int, Any, Texts]]:
    monkeypatch.setattr(protocol, "CONNECTIONS", 12)
    app = app_with(place[0], Door(KeyWatch(place[0] / "keys.db")), max_upload=MOST)
    app.state.service = Nothing()
    channel = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=protocol.Protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[channel])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(channel.getsockname()[1]), server, place[1]
    server.force_exit = server.should_exit = True
    thread.join()
    channel.close()


def said_to(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as channel:
        channel.sendall(sent)
        return channel.recv(65_536)


def test_who_holds_connections_keeps_nobody_out(crowded: tuple[int, Any, Texts]) -> None:
    port, server, texts = crowded
    started = (
        b"POST /api/v1/search HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\nContent-Type: image/png\r\n"
    )
    with contextlib.ExitStack() as held:
        key = f"Authorization: Bearer {texts['search']}\r\n".encode()
        friend = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        friend.sendall(started + key + b"\r\n" + b"x" * 100)
        time.sleep(0.2)
        for number in range(40):
            one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            one.sendall(started + (b"\r\n" if number % 2 else b""))
        assert said_to(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert len(server.server_state.connections) <= 13
        # Whose key was right is not hung up on for those.
        friend.sendall(b"x" * 8900)
        assert friend.recv(65_536).startswith(b"HTTP/1.1 404")


def test_one_address_has_its_share_of_the_connections(
    crowded: tuple[int, Any, Texts], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, server, _ = crowded
    monkeypatch.setattr(protocol, "FROM_ONE", 4)
    monkeypatch.setattr(protocol, "is_loopback", lambda _: False)
    with contextlib.ExitStack() as held:
        for _ in range(9):
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        assert said_to(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert len(server.server_state.connections) <= 5
