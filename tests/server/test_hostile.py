"""Clients that mean harm, on a real wire: whatever they send, they get a 4xx or are hung up on."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from tests.scenes import encoded, folder_of, picture
from tests.server.running import Running, served
from wherefrom.collection import open_collection
from wherefrom.server import protocol
from wherefrom.settings import Settings

PATH = "/api/v1/search"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("hostile")
    with open_collection(folder / "photos", create=True, settings=Settings(model="none", workers=1)) as made:
        made.add(folder_of(folder / "pictures", 2))
    options = ("--workers", "1", "--queue", "4", "--max-upload", "200000")
    with served(folder / "photos", options=options) as running:
        yield running
        assert running.process.poll() is None, "it is still there"


def wire(server: Running, sent: bytes, wait: float = 5.0) -> bytes:
    """What comes back for raw bytes, until the server hangs up or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as channel:
        try:
            channel.sendall(sent)
            got = b""
            while b"\r\n\r\n" not in got and (piece := channel.recv(65_536)):
                got += piece
        except (ConnectionError, TimeoutError):
            return b""
        return got


def mangled(data: bytes, random: random.Random) -> bytes:
    """A file after one of the things that happen to files, or are done to them."""
    spot = random.randrange(len(data))
    match random.randrange(6):
        case 0:
            return data[:spot]
        case 1:
            return data[:spot] + random.randbytes(random.randrange(1, 60)) + data[spot + 20 :]
        case 2:
            flipped = bytearray(data)
            for _ in range(20):
                flipped[random.randrange(len(flipped))] ^= 1 << random.randrange(8)
            return bytes(flipped)
        case 3:
            return data[:16] + random.randbytes(len(data) // 2)
        case 4:
            return data[:spot] + data[:spot]
        case _:
            return random.randbytes(random.randrange(200))


def test_hundreds_of_malformed_pictures_are_no_fault_of_ours(server: Running) -> None:
    dice = random.Random(7)
    whole = [
        encoded(picture(n, 96, 72), kind) for n, kind in enumerate(("JPEG", "PNG", "WEBP", "GIF", "TIFF"))
    ]
    seen: dict[int, int] = {}
    with server.client() as client:
        for n in range(200):
            data = mangled(whole[n % len(whole)], dice)
            if n % 2:
                said = client.post(PATH, content=data, headers={"Content-Type": "image/png"})
            else:
                said = client.post(PATH, files={"image": data})
            seen[said.status_code] = seen.get(said.status_code, 0) + 1
            assert said.status_code in (200, 400, 413, 415, 422), said.text
        assert seen.get(422, 0) > 20, seen
        assert client.post(PATH, files={"image": encoded(picture(0))}).json()["total"] == 1


def test_pictures_that_claim_to_be_huge_are_refused(server: Running) -> None:
    data = bytearray(encoded(picture(0, 40, 30), "PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with server.client() as client:
        said = client.post(PATH, files={"image": bytes(data)})
        assert (said.status_code, said.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 1000,
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nx",
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)),
        b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_or_hung_up_on(server: Running, sent: bytes) -> None:
    got = wire(server, sent)
    assert got == b"" or got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 3")), got[:200]


def test_a_body_without_end_is_cut_off(server: Running) -> None:
    head = (
        b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    until = time.monotonic() + 60
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as channel:
        channel.sendall(head)
        try:
            while time.monotonic() < until:
                channel.sendall(chunk)
                time.sleep(0.01)  # megabytes in a second are enough: what is asked is when it ends
        except OSError:
            pass
    assert time.monotonic() < until, "it took no more"


def test_more_than_can_be_done_is_turned_away_and_nothing_grows(server: Running) -> None:
    data = encoded(picture(1, 900, 700))
    statuses: list[int] = []

    def ask() -> None:
        with server.client() as client:
            for _ in range(6):
                said = client.post(PATH, files={"image": data})
                statuses.append(said.status_code)
                if said.status_code == 503:
                    assert int(said.headers["retry-after"]) >= 1
                    assert said.json()["code"] == "busy"

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 120
    assert set(statuses) == {200, 503}
    with server.client() as client:
        assert client.get("/api/v1/status").json()["queue"] == {"waiting": 0, "running": 0, "limit": 4}
        assert client.post(PATH, files={"image": data}).status_code == 200


def test_who_hangs_up_is_forgotten(server: Running) -> None:
    data = encoded(picture(1))
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode()
    for share in (0.0, 0.5, 1.0):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as channel:
                channel.sendall(head + data[: int(share * len(data))])
    with server.client() as client:
        for _ in range(100):
            if not client.get("/api/v1/status").json()["queue"]["waiting"]:
                break
            time.sleep(0.05)
        said = client.post(PATH, files={"image": data})
        assert said.status_code == 200
        lines = "".join(server.said)
        assert '"level": "error"' not in lines


# The wire's deadlines, with a server of our own that has shorter ones


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that says yes to everything, and waits for nobody."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(protocol, "TAKE_SECONDS", 0.3)

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        size = 30_000_000 if scope["path"] == "/much" else 2
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]}
        )  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"x" * size})  # type: ignore[operator]

    channel = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=protocol.Protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[channel])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield int(channel.getsockname()[1])
    server.should_exit = True
    thread.join()
    channel.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local"])
def test_a_head_that_does_not_come_is_not_waited_for(quick: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", quick), timeout=10) as channel:
        channel.sendall(sent)
        assert channel.recv(100) == b""


def test_a_head_that_trickles_is_not_waited_for(quick: int) -> None:
    with socket.create_connection(("127.0.0.1", quick), timeout=10) as channel:
        sent = 0
        with contextlib.suppress(OSError):
            for sent in range(500):  # noqa: B007 - how far it came
                channel.sendall(b"X")
                time.sleep(0.01)
    assert sent < 499


def test_a_second_request_that_trickles_is_not_waited_for_either(quick: int) -> None:
    with socket.create_connection(("127.0.0.1", quick), timeout=10) as channel:
        for _ in range(3):
            channel.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            got = b""
            while not got.endswith(b"xx"):
                got += channel.recv(1000)
        channel.sendall(b"GET / HT")
        assert channel.recv(1000) == b""


def test_an_answer_that_is_not_taken_is_not_kept(quick: int) -> None:
    with socket.create_connection(("127.0.0.1", quick), timeout=10) as channel:
        channel.sendall(b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1.0)
        got = 0
        try:
            while piece := channel.recv(1 << 20):
                got += len(piece)
        except ConnectionError:
            pass
        assert got < 30_000_000


def test_who_takes_its_time_but_takes_it_gets_everything(quick: int) -> None:
    with httpx.Client(trust_env=False) as client:
        assert len(client.get(f"http://127.0.0.1:{quick}/much").content) == 30_000_000
