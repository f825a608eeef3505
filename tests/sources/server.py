"""A real web server on loopback that says exactly what a test wants said, and a guard against all else."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

Handler = Callable[[socket.socket, threading.Event], None]

# Made for these tests and of no use elsewhere: for the name pictures.test, its own authority, until 2120.
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBfDCCASOgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1waWN0dXJl
cy50ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1waWN0dXJlcy50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIDmb
/AoRaoAK8XgbNLtRQFpTdwL10dmfU4btzA7MTPI7PsJZ0wAOOwtZqrRmHToc2kdp
6iuaPKGNqMks9A+Wo6NcMFowGAYDVR0RBBEwD4INcGljdHVyZXMudGVzdDAPBgNV
HRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIChDAdBgNVHQ4EFgQUzzaat85ayt7U
GHfBt/zq6ib/wmMwCgYIKoZIzj0EAwIDRwAwRAIgO/Mxpi9nxHPAD5f0Mbg/tiBI
DKux9rKSQemr/hyP/nMCIAOTA+0JkS6F8NJ8fdPdkWaOpfDxv1SblaokzXTHD7Jw
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghO3oNUWgTHvgoHhH
oeeI1Op0A/dXkSGNrZMhW0EyVxehRANCAAQgOZv8ChFqgArxeBs0u1FAWlN3AvXR
2Z9Thu3MDsxM8js+wlnTAA47C1mqtGYdOhzaR2nqK5o8oY2oySz0D5aj
-----END PRIVATE KEY-----
"""

# Hosts that no fetch may connect to unless told so. The names at the end get their addresses in a test.
BLOCKED = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 127.0.0.1.
    168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1
    198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    [::] [::1] [0:0:0:0:0:0:0:1] [::127.0.0.1] [::8.8.8.8] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe]
    [::FFFF:10.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::808:808]
    [100::1] [2001::1] [2001:0:4136:e378::1] [2001:db8::1] [2002:7f00:1::] [2002:808:808::1] [3ffe::1]
    [3fff::1] [4000::1] [5f00::1] [fc00::1] [fd00:ec2::254] [fe80::1] [fec0::1] [ff02::1]
    127。0。0。1 １２７.０.０.１ ①②⑦.0.0.1 ⓛocalhost localhost LOCALHOST.
    inside.test mixed.test zoned.test mapped.test
"""

# URLs that are refused before anything is looked up, and some that white space cannot part.
MALFORMED = r"""
    http://2130706433/ http://0x7f000001/ http://017700000001/ http://0x7f.1/ http://127.1/ http://0177.0.0.1/
    http://0x7f.0x0.0x0.0x1/ http://127.0.0.1.0/ http://256.0.0.1/ http://0x/ http://1.1.1.0x/ http://00.0.0.0/
    http://[fe80::1%25eth0]/ http://[::1%lo]/ http://[::1/ http://::1/ http://[127.0.0.1]/ http://[v1.a]/
    http://[::1]x/ http://[]/ http://user@8.8.8.8/ http://a:b@8.8.8.8/ http://8.8.8.8@127.0.0.1/
    http://8.8.8.8%40127.0.0.1/ http://8.8.8.8\@127.0.0.1/ http:\\127.0.0.1\ http://8.8.8.8\.a.test/
    http://a%2etest/ http:// http:///a http://:80/ http://./ http://../ http://a..test/ http://.a.test/
    http://a.test../ http://-a.test/ http://a,b/ http:a.test //a.test/ a.test http://faß.test/ http://℀.test/
    http://a.test:22/ http://a.test:0/ http://a.test:65536/ http://a.test:999999/ http://a.test:+80/
    http://a.test:８０/ http://a.test:80:80/ http://a.test:x/ ftp://a.test/ file:///etc/passwd httpſ://a.test/
    gopher://a.test:70/ data:image/png;base64,AA javascript:0 ws://a.test/
"""
MALFORMED_TOO = [
    *(
        "",
        "http://a b/",
        "http://a.test/\r\nHost: b",
        "http://a.test\n/",
        "http://a.te\tst/",
        "http://\0a.test/",
    ),
    *("http://a\x7f/", "http://a\u200db.test/", "http://a\ud800.test/", "http://a.test/\ud800"),
    *(f"http://{'a' * 64}.test/", f"http://{'a.' * 127}test/", f"http://a.test/{'a' * 8200}"),
]


class Server:
    """Gives each request the next of `answers`, and the last again and again.

    An answer is the bytes to send, or a function of the connection and of an event that is set when the
    test is over. `requests` holds the head of every request, `names` the name that TLS was asked for.
    """

    def __init__(self, *answers: bytes | Handler, tls: Path | None = None, host: str = "127.0.0.1") -> None:
        self._answers = answers
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls)
            self._tls.sni_callback = lambda _sock, name, _context: self.names.append(name)
        self._over = threading.Event()
        self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._listener.bind((host, 0))
        self._listener.listen()
        self._listener.settimeout(0.02)
        self.port: int = self._listener.getsockname()[1]
        scheme, shown = "https" if tls else "http", f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{shown}:{self.port}"
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
                with connection:
                    connection.settimeout(5)
                    self._serve(connection)
            except OSError:
                continue  # nobody came, or the client hung up: what a test expects, it asserts

    def _serve(self, plain: socket.socket) -> None:
        sock = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
        with sock:
            head = b""
            while b"\r\n\r\n" not in head and (piece := sock.recv(4096)):
                head += piece
            self.requests.append(head)
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
            if isinstance(answer, bytes):
                sock.sendall(answer)
            else:
                answer(sock, self._over)


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A well-formed answer, but for a `length` that lies."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Content-Type: image/png", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"moved", f"Location: {location}", status=status)


def drip(start: bytes, piece: bytes, pause: float) -> Handler:
    """First `start`, then `piece` again and again with a pause before each, until the client goes."""

    def handle(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(start)
        while not over.wait(pause):
            sock.sendall(piece)

    return handle


class Outside(AssertionError):
    """Something tried to connect to an address other than loopback."""


class Network:
    """What may be looked up, and what was looked up and connected to."""

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {"localhost": [["127.0.0.1"]]}  # an answer per lookup
        self.lookups: list[str] = []
        self.connected: list[str] = []
        self.wait: Callable[[], object] = lambda: None

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.lookups.append(host)
        self.wait()
        answers = self.names.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(None, None, 0, "", (address, port)) for address in now]

    def guard(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between the program and every network but loopback."""
        connect = socket.socket.connect

        def guarded(sock: socket.socket, address: tuple[str, int]) -> None:
            self.connected.append(address[0])
            if not ipaddress.ip_address(address[0]).is_loopback:
                raise Outside(address[0])
            connect(sock, address)

        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket, "getaddrinfo", self.getaddrinfo)
