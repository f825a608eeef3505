from __future__ import annotations

import importlib
import ipaddress
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

# isort: split
from tests.sources import server as say
from tests.sources.server import Handler, Network, Outside, Server, answer, drip, redirect

# isort: split
from wherefrom.errors import BlockedAddress, FetchError, UsageError
from wherefrom.sources.fetch import Address, Fetched, fetch
from wherefrom.version import __version__

LOOPBACK = ("127.0.0.0/8", "::1/128")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LOOK_UP = socket.getaddrinfo
door = importlib.import_module("wherefrom.sources.fetch")


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    network.guard(monkeypatch)
    return network


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda *answers, **options: stack.enter_context(Server(*answers, **options))


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pictures.pem"
    path.write_text(say.CERTIFICATE + say.KEY)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def get(url: str, *, max_bytes: int = 10_000, seconds: float = 5, redirects: int = 3) -> Fetched:
    return fetch(url, max_bytes=max_bytes, seconds=seconds, redirects=redirects, allow_private=LOOPBACK)


# What is asked for, and what comes back


def test_gives_url_bytes_type_and_status(serve: Serve) -> None:
    server = serve(answer(PNG))
    got = get(f"{server.url}/a%20b/c d?x=1|2&y=é#part")
    assert got == Fetched(f"{server.url}/a%20b/c%20d?x=1%7C2&y=%C3%A9", PNG, "image/png", 200)


def test_the_request_is_plain(serve: Serve) -> None:
    server = serve(answer(PNG))
    get(server.url)
    assert server.requests == [
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUser-Agent: Wherefrom/{__version__}\r\n"
        f"Accept: image/*,*/*;q=0.8\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n".encode()
    ]


def test_headers_in_odd_clothes(serve: Serve) -> None:
    server = serve(b"HTTP/1.0 200\nCONTENT-LENGTH:\t3 , 3\nContent-Encoding: identity\n\nabc")
    assert get(server.url) == Fetched(server.url + "/", b"abc", None, 200)


def test_interim_and_empty_answers(serve: Serve) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert get(serve(early + answer(PNG)).url).data == PNG
    assert get(serve(early + b"HTTP/1.1 204 Nothing\r\n\r\nabc").url).data == b""


def test_over_ipv6(serve: Serve) -> None:
    try:
        server = serve(answer(PNG), host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    assert get(server.url).data == PNG
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]


def test_proxies_in_the_environment_are_ignored(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(answer(b"proxy")), serve(answer(PNG))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    assert get(server.url).data == PNG
    assert proxy.requests == []


@pytest.mark.parametrize("status", [302, 304, 404, 429, 503])  # 302: without a Location
def test_other_statuses_are_errors_that_name_them(serve: Serve, status: int) -> None:
    cure = "again later" if status in {429, 503} else "the URL in a browser"
    with pytest.raises(FetchError, match=f"answered with status {status}: try {cure}"):
        get(serve(answer(PNG, status=f"{status} Words")).url)


# Caps on bytes and time


@pytest.mark.parametrize("size", [0, 1, 9_999, 10_000])
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
def test_bodies_up_to_the_cap(serve: Serve, size: int, framing: str) -> None:
    body = random.Random(size).randbytes(size)
    said = answer(body) if framing == "length" else b"HTTP/1.1 200 OK\r\n\r\n" + body
    if framing == "chunks":
        pieces = [body[at : at + 997] for at in range(0, size, 997)]
        said = (
            CHUNKED.upper()
            + b"".join(b"%X ;a=b\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            + b"0\r\n\r\n"
        )
    assert get(serve(said).url).data == body


@pytest.mark.parametrize(
    "said",
    [
        answer(bytes(10_001)),
        answer(b"", length=10**17),  # refused before a byte of it is read
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(10_001),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", bytes(4096), 0),
        CHUNKED + b"FFFFFFFFFFFFFFFF\r\n",
        CHUNKED + b"2000\r\n" + bytes(8192) + b"\r\n2000\r\n",
    ],
    ids=["length", "claim", "close", "endless", "chunk", "chunks"],
)
def test_bodies_over_the_cap(serve: Serve, said: bytes | Handler) -> None:
    with pytest.raises(FetchError, match="larger than 10000 bytes"):
        get(serve(said).url)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more and more\r\n"),
        (b"HTTP/1.1 200 ", b"O" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        (CHUNKED, b"1;" + b"x" * 1000 + b"\r\na\r\n"),
        (CHUNKED, b"0" * 1000),
    ],
    ids=["headers", "status", "interim", "chunk extensions", "chunk size"],
)
def test_endless_wrapping_is_cut(serve: Serve, start: bytes, piece: bytes) -> None:
    with pytest.raises(FetchError, match=r"too many headers|endless line"):
        get(serve(drip(start, piece, 0)).url)


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX-A: ", answer(b"", length=9000), b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["silence", "headers", "length", "close"],
)
def test_one_deadline_stops_drip_feeds(serve: Serve, start: bytes) -> None:
    server = serve(drip(start, b"a", 0.03) if start else lambda sock, over: over.wait(5))
    begun = time.monotonic()
    with pytest.raises(FetchError, match=r"Stopped after 0\.25 seconds"):
        get(server.url, seconds=0.25)
    assert 0.2 < time.monotonic() - begun < 4


def test_redirects_share_the_deadline(serve: Serve) -> None:
    def slow(sock: socket.socket, over: threading.Event) -> None:
        over.wait(0.15)
        sock.sendall(redirect("/again"))

    with pytest.raises(FetchError, match="Stopped after"):
        get(serve(slow).url, seconds=0.25)


def test_lookups_share_the_deadline(monkeypatch: pytest.MonkeyPatch, network: Network) -> None:
    monkeypatch.setattr(door, "_LOOKUPS", slots := threading.BoundedSemaphore(1))
    over = threading.Event()
    network.wait = lambda: over.wait(5)
    for words, seconds in (("Stopped after 0.1", 0.1), ("Too many host names", 0.1), ("Stopped after", 1e-9)):
        with pytest.raises(FetchError, match=words):
            get("http://slow.test/", seconds=seconds)
    over.set()
    assert slots.acquire(timeout=5)


def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(door, "_LOOKUPS", slots := threading.BoundedSemaphore(1))
    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(FetchError, match="No thread is left"):
        get("http://localhost/")
    assert slots.acquire(blocking=False)


# Servers that lie or break


def test_a_length_that_is_too_short_ends_the_answer(serve: Serve) -> None:
    assert get(serve(answer(b"abcdef", length=3)).url).data == b"abc"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (answer(b"abc", length=9), "broke off 6 bytes before the end"),
        (b"", "broke off its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "broke off its answer"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/2 200 OK\r\n\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", "header line that is not one"),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", "header line that is not one"),
        (answer(b"a", "Content-Length: 2"), "contradicts itself"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", "contradicts itself"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nabc", "contradicts itself"),
        (answer(PNG, "Content-Encoding: gzip"), "compresses its answer"),
        (answer(PNG, "Transfer-Encoding: gzip, chunked"), "compresses its answer"),
        (CHUNKED + b"-1\r\nabc", "chunk without a size"),
        (CHUNKED + b"\r\nabc", "chunk without a size"),
        (CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n", "chunk of another size"),
        (CHUNKED + b"3\r\nab", "broke off 1 bytes before the end"),
        (CHUNKED + b"3\r\nabc\r\n", "broke off its answer"),
    ],
)
def test_broken_answers_are_refused(serve: Serve, said: bytes, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        get(serve(said).url)


@pytest.mark.parametrize(
    ("host", "is_what"), [("127.0.0.1", "this machine"), ("10.1.2.3", "in a private network")]
)
def test_a_blocked_address_is_told_with_what_to_do(host: str, is_what: str) -> None:
    with pytest.raises(BlockedAddress) as blocked:
        fetch(f"http://{host}/a.jpg", max_bytes=9, seconds=1)
    assert str(blocked.value) == (
        f"{host} is {is_what}, and only public addresses are fetched. "
        f"Give the file, or allow the network with allow_private."
    )


def test_unknown_names(network: Network) -> None:
    network.names |= {"empty.test": [[]], "odd.test": [["not an address"]]}
    for host in ("unknown.test", "empty.test", "odd.test"):
        with pytest.raises(FetchError, match=f"No address is known for {host}: check its spelling"):
            get(f"http://{host}/")


# Which addresses may be reached


@pytest.mark.parametrize("host", say.BLOCKED.split())
def test_addresses_that_are_not_public(network: Network, host: str) -> None:
    network.names |= {"inside.test": [["10.1.2.3"]], "mixed.test": [["8.8.8.8", "2606:4700::1", "10.0.0.1"]]}
    network.names |= {"zoned.test": [["fe80::1%eth0"]], "mapped.test": [["::ffff:169.254.169.254"]]}
    for scheme in ("http", "https"):
        with pytest.raises(BlockedAddress, match="only public addresses are fetched"):
            fetch(f"{scheme}://{host}/", max_bytes=9, seconds=1)
    assert network.connected == []


@pytest.mark.parametrize("url", say.MALFORMED.split() + say.MALFORMED_TOO)
def test_urls_that_are_malformed(network: Network, url: str) -> None:
    with pytest.raises(UsageError) as caught:
        get(url)
    assert str(caught.value).endswith(".")
    assert (network.lookups, network.connected) == ([], [])


def test_public_addresses_are_reached_for(network: Network) -> None:
    network.names["xn--bcher-kva.test"] = [["1.1.1.1"]]
    for host in ("8.8.8.8", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]", "[2606:4700:0::1]", "bücher.test"):
        with pytest.raises(Outside):
            fetch(f"http://{host}/", max_bytes=9, seconds=1)
    assert network.connected == ["8.8.8.8", "8.8.8.8", "64:ff9b::808:808", "2606:4700::1", "1.1.1.1"]


def test_whatever_python_calls_private_is_blocked() -> None:
    draw = random.Random(7)
    drawn = [draw.getrandbits(128) for _ in range(3000)]
    drawn += [
        edge for net, _ in door._NOT_PUBLIC for edge in (int(net[0]) - 1, int(net[0]), int(net[-1]) + 1)
    ]
    addresses: list[Address] = [ipaddress.IPv4Address(n % 2**32) for n in drawn]
    addresses += [ipaddress.IPv6Address(n % 2**128) for n in drawn]
    public = [address for address in addresses if door._not_public(address, []) is None]
    assert len(public) > 2500
    assert [address for address in public if not address.is_global or address.is_multicast] == []


def test_the_machine_looks_names_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", LOOK_UP)
    assert get(f"http://localhost:{serve(answer(PNG)).port}/").data == PNG


def test_an_address_of_this_machine_is_known_when_it_answers(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if loopback were the public address of this machine, which no list can name.
    monkeypatch.setattr(door, "_not_public", lambda *_: None)
    server = serve(answer(PNG))
    with pytest.raises(BlockedAddress, match="this machine"):
        fetch(server.url, max_bytes=9999, seconds=2)
    assert server.requests in ([], [b""])  # connected, and nothing was asked
    assert get(server.url).data == PNG


def test_allowed_networks_are_reached(network: Network) -> None:
    for url in ("http://10.1.2.3/", "http://[::ffff:10.1.2.3]/"):
        with pytest.raises(Outside):
            fetch(url, max_bytes=9, seconds=1, allow_private=["10.1.0.0/16"])
        with pytest.raises(BlockedAddress):
            fetch(url, max_bytes=9, seconds=1, allow_private=["10.2.0.0/16", "fc00::/7"])


def test_a_name_is_looked_up_once_and_pinned(serve: Serve, network: Network) -> None:
    server = serve(answer(PNG))
    network.names["rebind.test"] = [["127.0.0.1", "127.0.0.2"], ["169.254.169.254"]]
    assert get(f"http://ReBind.test.:{server.port}/").url == f"http://rebind.test:{server.port}/"
    assert (network.lookups, network.connected) == (["rebind.test"], ["127.0.0.1"])
    assert f"Host: rebind.test:{server.port}\r\n".encode() in server.requests[0]
    with pytest.raises(BlockedAddress):
        get("http://rebind.test/")


def test_the_next_address_is_tried_and_four_at_most(serve: Serve, network: Network) -> None:
    server = serve(answer(PNG))
    network.names["many.test"] = [["127.0.0.2", "127.0.0.3", "127.0.0.1"]]
    assert get(f"http://many.test:{server.port}/").data == PNG
    network.names["more.test"] = [["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.1"]]
    with pytest.raises(FetchError, match="Nothing usable came"):
        get(f"http://more.test:{server.port}/")
    assert network.connected[3:] == ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]


# Redirects and https


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_three_redirects_are_followed(serve: Serve, status: str) -> None:
    hops = [redirect("/b?c", status), redirect("d", status), redirect("é\tf g", status)]
    server = serve(*hops, answer(PNG))
    assert get(server.url + "/a#x") == Fetched(f"{server.url}/%C3%A9%09f%20g", PNG, "image/png", 200)
    assert [head.split()[1] for head in server.requests] == [b"/a", b"/b?c", b"/d", b"/%C3%A9%09f%20g"]


@pytest.mark.parametrize("redirects", [0, 3])
def test_one_redirect_too_many(serve: Serve, redirects: int) -> None:
    server = serve(redirect("/round"))
    with pytest.raises(FetchError, match=f"redirects more than {redirects} times"):
        get(server.url, redirects=redirects)
    assert len(server.requests) == redirects + 1


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "metadata.test"])
def test_a_redirect_to_an_inner_address(serve: Serve, network: Network, host: str) -> None:
    network.names["metadata.test"] = [["169.254.169.254"]]
    with pytest.raises(BlockedAddress, match="the local link"):
        get(serve(redirect(f"http://{host}/latest/meta-data/")).url)
    assert network.connected == ["127.0.0.1"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "//a:b@c.test/", "http://0x7f.1/", "//[/", "\\\\a"])
def test_a_redirect_to_a_url_that_is_refused(serve: Serve, network: Network, url: str) -> None:
    with pytest.raises(FetchError, match="redirects to a URL that cannot be used"):
        get(serve(redirect(url)).url)
    assert network.connected == ["127.0.0.1"]


def test_https_at_the_pinned_address(serve: Serve, network: Network, certificate: Path) -> None:
    server = serve(redirect("/b"), answer(PNG), tls=certificate)
    network.names["pictures.test"] = [["127.0.0.1"]]
    got = get(f"https://pictures.test:{server.port}/")
    assert (got.url, got.data) == (f"https://pictures.test:{server.port}/b", PNG)
    assert (server.names, network.connected) == (["pictures.test"] * 2, ["127.0.0.1"] * 2)


def test_certificates_are_checked(serve: Serve, network: Network, certificate: Path) -> None:
    server = serve(answer(PNG), tls=certificate)
    network.names |= {"pictures.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    with pytest.raises(FetchError, match="certificate"):
        get(f"https://other.test:{server.port}/")
    certificate.write_text("")
    with pytest.raises(FetchError, match="certificate"):
        get(f"https://pictures.test:{server.port}/")
    assert server.requests == []


def test_https_stays_https(serve: Serve, network: Network, certificate: Path) -> None:
    plain = serve(answer(PNG))
    server = serve(redirect(plain.url), tls=certificate)
    network.names["pictures.test"] = [["127.0.0.1"]]
    with pytest.raises(FetchError, match="from https to http"):
        get(f"https://pictures.test:{server.port}/")
    assert plain.requests == []


def test_a_handshake_that_never_ends_is_stopped(serve: Serve) -> None:
    server = serve(lambda sock, over: over.wait(5))
    with pytest.raises(FetchError, match="Stopped after"):
        get(server.url.replace("http", "https"), seconds=0.2)


@pytest.mark.parametrize("options", [{"max_bytes": 0}, {"seconds": 0}, {"seconds": 1e9}, {"redirects": -1}])
def test_options_out_of_range(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="max_bytes above 0"):
        get("http://localhost/", **options)


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["intranet"], "127.0.0.0/8"])
def test_networks_that_are_none(networks: list[str]) -> None:
    with pytest.raises(UsageError, match="allow_private takes networks"):
        fetch("http://localhost/", max_bytes=9, seconds=1, allow_private=networks)
