"""The one guarded door to the network: `fetch` gets a URL that a user gave.

A URL from a user can make this machine talk to machines that the user cannot reach. So each host name is
looked up once, every address must be public, and the connection goes to an address that was checked.
Redirects pass through the same door. HTTP/1.1 is read here and not by `http.client`, which starts its
time-out anew with every byte and reads bodies of any size.

What is refused, and why:

- schemes other than http and https, and URLs with a user name or password in them;
- ports below 1024 other than 80 and 443: mail, shells and the like live there, no web pages;
- addresses that are not public, in every spelling and wrapping (see `_NOT_PUBLIC`), and this machine's own;
- a redirect from https to http: what was asked for privately is not then fetched in the open;
- compressed bodies, which could grow past the cap once unpacked; identity is asked for.

Proxies in the environment are ignored, and no cookie, credential or referrer is ever sent.
"""

from __future__ import annotations

import io
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

from wherefrom.errors import BlockedAddress, FetchError, UsageError
from wherefrom.version import __version__

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_URL_CHARACTERS = 8192
_HEAD_BYTES = 65_536
_PIECE_BYTES = 65_536
_PORTS = {"http": 80, "https": 443}
_ADDRESSES_TRIED = 4  # a name with a thousand addresses must not turn us into a port scanner
_LOOKUPS = threading.BoundedSemaphore(32)  # a lookup outlives its deadline; these are all that ever wait

# Written out, because what `ipaddress` calls global changes between releases of Python and has contained
# private forms. From the special-purpose registries of IANA (RFC 6890) and the manuals of cloud platforms.
_KINDS = {
    "this machine": "0.0.0.0/8 127.0.0.0/8 ::/128 ::1/128",
    "in a private network": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7 fec0::/10",
    "on the local link, home of cloud metadata": "169.254.0.0/16 fe80::/10",
    "a cloud platform's inner service": "168.63.129.16/32",  # Azure: public in form only
    "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    "for tests, protocols or nobody": "192.0.0.0/24 198.18.0.0/15 100::/64 2001::/23 3ffe::/16",  # and Teredo
    "a tunnel to IPv4": "192.88.99.0/24 ::/96 64:ff9b:1::/48 2002::/16",  # no web pages there: not unwrapped
    "many machines at once": "224.0.0.0/4 ff00::/8",
    "reserved": "240.0.0.0/4",
}
_NOT_PUBLIC: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), kind) for kind, networks in _KINDS.items() for network in networks.split()
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all else in IPv6 is special or not given out yet
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # how hosts with IPv6 only reach all of IPv4: unwrapped


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a URL gave.

    `url` is the last one, after redirects, without its fragment. `content_type` is the header as it was
    sent, parameters included, None without one: a claim of the server's, never proof of a format.
    """

    url: str
    data: bytes
    content_type: str | None
    status: int


def fetch(
    url: str, *, max_bytes: int, seconds: float, redirects: int = 3, allow_private: Sequence[str] = ()
) -> Fetched:
    """Get what a URL that a user gave points to, from a public address only.

    `max_bytes` caps the body and `seconds` everything together: lookups, connections, redirects and body.
    At most `redirects` redirects are followed. `allow_private` names networks (CIDR) that may be reached
    although they are not public, for an intranet that the operator trusts; none by default.

    Raises `UsageError` for a malformed URL, another scheme than http or https, a port that is refused or
    an option out of range; `BlockedAddress`, before anything is connected, when any address of the host
    is not public; `FetchError` for all that goes wrong on the way, any status but 2xx included.
    """
    if max_bytes < 1 or redirects < 0 or not 0 < seconds <= 86_400:
        raise UsageError("Give max_bytes above 0, seconds above 0 and up to a day, redirects of 0 or more.")
    try:
        allowed = [ipaddress.ip_network(network) for network in allow_private]
    except ValueError as error:
        raise UsageError(f"allow_private takes networks such as 10.1.0.0/16: {error}.") from error
    place = _Place.parse(url)
    deadline = _Deadline(seconds)
    for _ in range(redirects + 1):
        answer = _get(place, max_bytes, allowed, deadline)
        if isinstance(answer, Fetched):
            return answer
        place = _followed(place, answer)
    raise FetchError(f"The URL redirects more than {redirects} times: give the URL where a browser ends.")


class _Deadline:
    """One moment by which everything must be done."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain, above 0. Raises `FetchError` once none do."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def missed(self) -> FetchError:
        return FetchError(f"Stopped after {self._seconds:g} seconds: try again later, or allow it more time.")


@dataclass(frozen=True, slots=True)
class _Place:
    """A URL taken apart once: what is checked is what is asked for."""

    scheme: str  # "http" or "https"
    host: str  # lower-case ASCII name, or an address in its usual form, without brackets
    port: int
    target: str  # path and query, ASCII, percent-encoded
    address: Address | None  # when the host is an address

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @classmethod
    def parse(cls, url: str) -> _Place:
        """Raises `UsageError` for everything that two readers of URLs could read in two ways."""
        if len(url) > _URL_CHARACTERS:
            raise UsageError(f"The URL is longer than {_URL_CHARACTERS} characters: give a shorter one.")
        if re.search(r"[\x00-\x1f\x7f-\x9f\\]", url):
            raise UsageError("The URL contains a control character or a backslash: percent-encode it.")
        match = re.fullmatch(r"(?ai:(https?))://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", url.strip(" "))
        if match is None:
            raise UsageError(f"{url[:80]!r} is not fetched: give a URL that begins with http:// or https://.")
        scheme, authority = match[1].lower(), match[2]
        if "@" in authority:
            raise UsageError("The URL contains a user name or password, which is never sent: leave it out.")
        parts = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:%]+))(?::([0-9]{0,5}))?", authority)
        if parts is None:
            raise UsageError(f"{authority[:80]!r} is no host name: check the URL from // to the next /.")
        port = int(parts[3] or _PORTS[scheme])
        if port not in _PORTS.values() and not 1024 <= port <= 65_535:
            raise UsageError(f"Port {port} is not fetched from: use 80, 443 or one from 1024 to 65535.")
        try:
            target = quote((match[3] or "/") + (match[4] or ""), safe="!$%&'()*+,/:;=?@[]~")
            address = ipaddress.IPv6Address(parts[1]) if parts[1] else None
            host = str(address) if address else _ascii_name(parts[2])
        except ValueError as error:
            raise UsageError(f"{authority[:80]!r} or what follows it is malformed: check the URL.") from error
        return cls(scheme, host, port, target, address or _literal(host))


def _ascii_name(name: str) -> str:
    """A host name in lower-case ASCII without a trailing dot. Raises `UsageError` or `ValueError`."""
    if len(name) <= 254 and not name.isascii():
        # The rules of 2003, which Python knows, turn these into other names than today's browsers do.
        if re.search("[ßẞς\u200c\u200d]", name):
            raise UsageError(f"The host {name!r} is ambiguous: write it in its ASCII form, xn--….")
        name = name.encode("idna").decode("ascii")
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not re.fullmatch(
        r"[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*", name
    ):
        raise UsageError(f"{name[:80]!r} is not a host name: check the URL.")
    return name


def _literal(host: str) -> Address | None:
    """The address that a host spells, None for a name. Raises `UsageError` for unusual spellings of IPv4."""
    if not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", host.rpartition(".")[2]):
        return None
    try:
        return ipaddress.IPv4Address(host)
    except ValueError as error:
        raise UsageError(f"{host!r} is no plain address: write four decimal numbers, 0 to 255.") from error


def _not_public(address: Address, allowed: Sequence[Network]) -> str | None:
    """What an address is for, in words, when it may not be reached; None when it may."""
    inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address
    if any(address in network or inner in network for network in allowed):
        return None
    for network, kind in _NOT_PUBLIC:
        if inner in network:
            return kind
    return None if inner.version == 4 or inner in _GLOBAL_UNICAST else "reserved"


def _addresses(place: _Place, allowed: Sequence[Network], deadline: _Deadline) -> list[Address]:
    """Every address of the host, looked up once, each checked. Raises `BlockedAddress`."""
    found = [place.address] if place.address else _looked_up(place, deadline)
    # An IPv4 address written as IPv6 (::ffff:0:0/96) is checked and connected to as what it is.
    addresses = [getattr(address, "ipv4_mapped", None) or address for address in dict.fromkeys(found)]
    for address in addresses:
        if kind := _not_public(address, allowed):
            raise _blocked(place, kind)
    return addresses


def _looked_up(place: _Place, deadline: _Deadline) -> list[Address]:
    if not _LOOKUPS.acquire(timeout=deadline.left()):
        raise FetchError("Too many host names are being looked up at once: try again later.")
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
            # A zone id falls away: addresses that need one are blocked unless allowed.
            answers.put([ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found])
        except (OSError, ValueError) as error:
            answers.put(error)
        finally:
            _LOOKUPS.release()

    try:
        threading.Thread(target=look_up, name="wherefrom-lookup", daemon=True).start()
        answer = answers.get(timeout=deadline.left())
    except RuntimeError as error:
        _LOOKUPS.release()
        raise FetchError("No thread is left to look the host up: try again later.") from error
    except queue.Empty:
        raise deadline.missed() from None
    if isinstance(answer, Exception) or not answer:
        raise FetchError(f"No address is known for {place.host}: check its spelling, or try again later.")
    return answer


def _connected(addresses: Sequence[Address], port: int, deadline: _Deadline) -> socket.socket:
    """A socket to the first of the checked addresses that answers. Raises `OSError`."""
    problem = OSError("nobody answers")
    tried = addresses[:_ADDRESSES_TRIED]
    for index, address in enumerate(tried):
        seconds = deadline.left() / (len(tried) - index)  # the first ones leave some for the last
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            with ExitStack() as undo:
                sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                sock.settimeout(seconds)
                sock.connect((str(address), port))
                undo.pop_all()
                return sock
        except OSError as error:
            problem = error
    raise problem


def _check_other_end(sock: socket.socket, place: _Place, allowed: Sequence[Network]) -> None:
    """Raise `BlockedAddress` when a public address turns out to be one of this machine's own.

    What listens there may be kept from strangers by a firewall that this connection came from behind. The
    system tells: to an address of its own it connects from that same address.
    """
    address = ipaddress.ip_address(str(sock.getpeername()[0]).partition("%")[0])
    if str(sock.getsockname()[0]) == str(sock.getpeername()[0]) and not any(
        address in network for network in allowed
    ):
        raise _blocked(place, "this machine")


def _blocked(place: _Place, kind: str) -> BlockedAddress:
    # The network and not the address: what inner names stand for is not a stranger's business.
    return BlockedAddress(
        f"{place.host} is {kind}, and only public addresses are fetched. Give the file, or allow the network "
        f"with allow_private."
    )


def _get(place: _Place, max_bytes: int, allowed: Sequence[Network], deadline: _Deadline) -> Fetched | str:
    """One request: what it gave, or where it redirects to."""
    addresses = _addresses(place, allowed, deadline)
    try:
        with _connected(addresses, place.port, deadline) as plain:
            _check_other_end(plain, place, allowed)
            if place.scheme == "http":
                return _exchange(plain, place, max_bytes, deadline)
            plain.settimeout(deadline.left())
            with ssl.create_default_context().wrap_socket(plain, server_hostname=place.host) as secure:
                return _exchange(secure, place, max_bytes, deadline)
    except TimeoutError as error:
        raise deadline.missed() from error
    except OSError as error:
        raise FetchError(
            f"Nothing usable came from {place.authority} ({error.strerror or error}): check the URL, try "
            f"again later, or give the file itself."
        ) from error


def _exchange(sock: socket.socket, place: _Place, max_bytes: int, deadline: _Deadline) -> Fetched | str:
    request = (
        f"GET {place.target} HTTP/1.1\r\nHost: {place.authority}\r\nUser-Agent: Wherefrom/{__version__}\r\n"
        f"Accept: image/*,*/*;q=0.8\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
    )
    sock.settimeout(deadline.left())
    sock.sendall(request.encode("ascii"))
    wire = _Wire(sock, deadline)
    stream = io.BufferedReader(wire)
    status, headers = _head(stream)
    if status in {301, 302, 303, 307, 308} and "location" in headers:
        return headers["location"][0]
    if not 200 <= status <= 299:
        cure = "try again later" if status == 429 or status >= 500 else "try the URL in a browser"
        raise FetchError(f"{place.host} answered with status {status}: {cure}, or give the file itself.")
    if {*headers.get("content-encoding", [])} - {"identity", ""}:
        raise FetchError(f"{place.host} compresses its answer, which is not taken: give the file itself.")
    wire.spare += 2 * max_bytes  # the body, and as much again for the sizes of its chunks
    data = b"" if status in {204, 205} else _body(stream, headers, max_bytes)
    return Fetched(place.url, data, headers.get("content-type", [None])[0], status)


def _followed(place: _Place, location: str) -> _Place:
    """The place that a redirect names, held to the same rules as the first. Raises `FetchError`."""
    try:
        # Read as Latin-1, meant as UTF-8; and a tab, allowed in headers, is what `urljoin` drops unseen.
        location = location.encode("latin-1").decode("utf-8").replace("\t", "%09")
        following = _Place.parse(urljoin(place.url, location))
    except (UsageError, ValueError) as error:
        raise FetchError(f"{place.host} redirects to a URL that cannot be used. {error}") from error
    if place.scheme == "https" and following.scheme == "http":
        raise FetchError(f"{place.host} redirects from https to http: give the http URL if you accept that.")
    return following


class _Wire(io.RawIOBase):
    """Bytes from a socket, each read under the deadline, and no more of them than `spare`."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self.spare = _HEAD_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        count = self._sock.recv_into(buffer)
        self.spare -= count
        if self.spare < 0:
            raise ConnectionAbortedError("it wraps its answer in too many headers or too small chunks")
        return count


def _line(stream: io.BufferedReader[_Wire], pattern: bytes, otherwise: str) -> re.Match[bytes]:
    """The next line as `pattern` reads it. Raises `OSError`, with the words of `otherwise` if it does not."""
    line = stream.readline(_HEAD_BYTES)
    if not line.endswith(b"\n"):
        raise ConnectionAbortedError("it broke off its answer, or sent an endless line")
    match = re.fullmatch(pattern, line.rstrip(b"\r\n"))
    if match is None:
        raise ConnectionAbortedError(otherwise)
    return match


def _head(stream: io.BufferedReader[_Wire]) -> tuple[int, dict[str, list[str]]]:
    """Status and headers, names in lower case, of the first answer that is not interim."""
    while True:
        start = _line(stream, rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?", "it does not speak HTTP/1.1")
        headers: dict[str, list[str]] = {}
        field = rb"(?:([!-9;-~]+):([\t -~\x80-\xff]*))?"
        while (line := _line(stream, field, "it sent a header line that is not one"))[0]:
            value = line[2].decode("latin-1").strip(" \t")
            headers.setdefault(line[1].decode("ascii").lower(), []).append(value)
        if (status := int(start[1])) >= 200:
            return status, headers


def _body(stream: io.BufferedReader[_Wire], headers: dict[str, list[str]], max_bytes: int) -> bytes:
    """The body, refused as soon as it is known to be larger than `max_bytes`."""
    data = bytearray()  # not a list of pieces: a piece of one byte would cost fifty

    def take(count: int) -> None:
        end = len(data) + count
        if end > max_bytes:
            raise FetchError(f"The answer is larger than {max_bytes} bytes: raise the cap, or give the file.")
        while len(data) < end:
            piece = stream.read1(min(end - len(data), _PIECE_BYTES))
            if not piece:
                raise ConnectionAbortedError(f"it broke off {end - len(data)} bytes before the end")
            data.extend(piece)

    lengths = {one.strip() for value in headers.get("content-length", []) for one in value.split(",")}
    if "transfer-encoding" in headers:
        if [one.lower() for one in headers["transfer-encoding"]] != ["chunked"]:
            raise ConnectionAbortedError("it compresses its answer, which was not asked for")
        size = rb"([0-9a-fA-F]{1,16})[ \t]*(?:;.*)?"
        while count := int(_line(stream, size, "it sent a chunk without a size")[1], 16):
            take(count)
            _line(stream, b"", "it sent a chunk of another size than it said")
    elif not lengths:
        while piece := stream.peek():  # no length: all until the server closes
            take(len(piece))
    elif len(lengths) > 1 or not re.fullmatch("[0-9]{1,18}", length := lengths.pop()):
        raise ConnectionAbortedError("it contradicts itself about the length of its answer")
    else:
        take(int(length))
    return bytes(data)
