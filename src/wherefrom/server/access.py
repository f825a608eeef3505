"""Who may do what: the one check that every route goes through, by key or, without keys, from this machine.

A route says what it needs by `Depends(needs(Scope.ADD))`, or `Depends(needs(None))` where anybody may; a test
walks all routes and fails for one that says nothing. Where no key was ever made the server listens on
loopback alone and asks for none. Then any page that a browser on this machine has open could use it, so such
requests have to come under a name of this machine (a page elsewhere may point a name of its own here: DNS
rebinding), not from another site, and not through a proxy, which hands on what comes from anywhere.

Wrong keys are counted by address, and once there were too many the answer is 429 without a further look. A
key that is right is taken nevertheless: nobody guesses 256 bits, and a neighbour shall not lock anybody out.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Context

from wherefrom.errors import Busy, CollectionError, Forbidden, TooManyRequests, Unauthorised
from wherefrom.records import now
from wherefrom.server.keys import Key, Rate, Scope
from wherefrom.server.limiting import Limiter, Standing, caller_of
from wherefrom.server.watch import KeyWatch

FAILURES = Rate(20, 60)
"""Wrong keys from one address before it is told to wait."""

_SAFE = {"GET", "HEAD", "OPTIONS"}
_PASSED_ON = {"forwarded", "via", "x-real-ip"}
_REALM = 'Bearer realm="wherefrom"'

_bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="A key: `Authorization: Bearer KEY`."
)
_header = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="key", description="A key.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: by which key, if any, from where, and what they may do."""

    address: str
    scope: Scope | None
    key: Key | None = None

    @property
    def name(self) -> str:
        """How logs call them: the key's id, never the key."""
        return self.key.id if self.key is not None else "anonymous"

    @property
    def scopes(self) -> list[str]:
        """The scopes they have, in order."""
        have = self.scope
        return [] if have is None else [scope.value for scope in Scope if have.includes(scope)]


class Door:
    """Lets requests in or refuses them. `app.state.door` is the one that `needs` asks."""

    def __init__(
        self,
        keys: KeyWatch | None = None,
        *,
        rate: Rate | None = None,
        anonymous: Rate | None = None,
        failures: Rate = FAILURES,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        limiter: Limiter | None = None,
        near: bool = True,
    ) -> None:
        """`keys` is None for a server that never has any.

        `near` is whether the server listens on this machine alone; one that others reach is never keyless.

        `rate` is that of keys without one of their own, `anonymous` that of each address where no key is
        needed; None for no limit. `hosts` are further names under which this machine may be asked without a
        key, `origins` those of pages elsewhere (CORS) that may ask.
        """
        self._keys = keys
        self._rate = rate
        self._anonymous = anonymous
        self._failures = failures
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)
        self._limiter = limiter or Limiter()
        self._near = near

    @property
    def keyless(self) -> bool:
        """Whether requests need no key, since there never was one and only this machine is listened to."""
        return self._near and not self.locked

    @property
    def locked(self) -> bool:
        """Whether a key is needed wherever the server listens: there are keys, or were."""
        return self._keys is not None and self._keys.locked

    @property
    def shut(self) -> Path | None:
        """The file of keys that lets nobody in, since it is locked and no key is left; None otherwise."""
        keys = self._keys
        return keys.path if keys is not None and keys.locked and not keys.there_are_any else None

    def open(self) -> None:
        """Begin to look after the keys, until `close`."""
        if self._keys is not None:
            self._keys.open()

    def close(self) -> None:
        """Let the keys go."""
        if self._keys is not None:
            self._keys.close()

    def caller(self, request: Request, scope: Scope | None) -> Caller:
        """Who asks, if they may do what needs `scope`; None needs nothing. Raises Unauthorised,
        Forbidden, TooManyRequests, or Busy while keys cannot be read.
        """
        address = caller_of(request.client.host if request.client else None)
        if scope is None:
            return Caller(address, None)
        if self.keyless:
            self._check_place(request, scope)
            if self._anonymous is not None:
                self._count(request, "anonymous", address, self._anonymous)
            return Caller(address, Scope.ADMIN)
        key = self._known(request, key_in(request), address)
        rate = key.rate or self._rate
        if rate is not None:
            self._count(request, "key", key.id, rate)
        if not key.scope.includes(scope):
            _answer_with(request, f'{_REALM}, error="insufficient_scope", scope="{scope.value}"')
            raise Forbidden(
                f"This needs a key of the scope {scope.value}; yours is of the scope {key.scope.value}."
            )
        return Caller(address, key.scope, key)

    def counts(self, name: str) -> bool:
        """Whether who was let in under a name (`Caller.name`) would be let in now."""
        if self.keyless:
            return True
        return self._keys is not None and self._keys.is_live(name)

    def _known(self, request: Request, text: str | None, address: str) -> Key:
        if text is None:
            _answer_with(request, _REALM)
            raise Unauthorised(
                "This needs a key: send it as Authorization: Bearer KEY, or as X-API-Key: KEY."
            )
        assert self._keys is not None
        try:
            key = self._keys.key_of(text)
        except CollectionError as error:
            raise Busy(str(error), 5) from error
        state = "unknown" if key is None else key.state(now())
        if key is not None and state == "live":
            self._keys.note(key)
            return key
        standing = self._limiter.hit("failures", address, self._failures)
        if not standing.passed:
            raise TooManyRequests(
                f"Too many wrong keys came from your address: wait {standing.reset} seconds.", standing.reset
            )
        why, cure = {
            "unknown": ("This key is not known here", "check that it was copied whole"),
            "expired": ("This key has expired", "ask for a new one"),
            "revoked": ("This key has been revoked", "ask for a new one"),
        }[state]
        _answer_with(request, f'{_REALM}, error="invalid_token", error_description="{why}"')
        raise Unauthorised(f"{why}: {cure}.")

    def _count(self, request: Request, policy: str, caller: str, rate: Rate) -> None:
        standing = self._limiter.hit(policy, caller, rate)
        request.state.standing = standing
        if not standing.passed:
            raise TooManyRequests(
                f"More requests than {rate}: wait {standing.reset} seconds.", standing.reset
            )

    def _check_place(self, request: Request, scope: Scope) -> None:
        """Without a key: under a name of this machine, through no proxy, and from no page of another site."""
        stated = request.headers.get("host", "")
        host = _name_in(stated)
        if not _is_ours(host) and host not in self._hosts:
            raise Forbidden(
                "Without keys this server answers under a name of its own machine alone, such as localhost. "
                "To use it from elsewhere, make a key: wherefrom keys create NAME",
            )
        if any(name in _PASSED_ON or name.startswith("x-forwarded-") for name in request.headers):
            raise Forbidden(
                "Without keys this server takes no request that a proxy hands on. "
                "Make a key first: wherefrom keys create NAME"
            )
        origin = request.headers.get("origin") or _origin_of(request.headers.get("referer"))
        if origin in self._origins:
            return
        # By its scope too: clients of others remove by GET, which a mere link would do.
        changes = request.method not in _SAFE or scope is not Scope.SEARCH
        other = origin is not None and origin.lower() != f"{request.scope['scheme']}://{stated}".lower()
        site = request.headers.get("sec-fetch-site")
        ours = {"same-origin", "none"} if changes else {"same-origin", "none", "same-site"}
        # Links count, too: what is asked for may have this server fetch or compute something.
        if (site is not None and site not in ours) or (other and (changes or site is None)):
            raise Forbidden("Without keys this server takes no request that a page of another site makes.")


class OpenDoor(Door):
    """Lets everybody in, whatever they send: for tests of what is behind it."""

    def caller(self, request: Request, scope: Scope | None) -> Caller:  # noqa: ARG002
        """Whoever asks, with every scope."""
        return Caller(caller_of(request.client.host if request.client else None), Scope.ADMIN)


def needs(scope: Scope | None, *, opened_by: str = "") -> Callable[..., Awaitable[Caller]]:
    """The dependency of a route that needs a scope, or with None nothing; it gives the `Caller`.

    `opened_by` names the setting of `Config` by which a server shows it to all.
    """

    def caller(request: Request) -> Caller:
        door: Door = request.app.state.door
        opened = opened_by and getattr(request.app.state.config, opened_by)
        request.state.caller = found = door.caller(request, None if opened else scope)
        return found

    async def anybody(request: Request) -> Caller:
        return caller(request)

    async def holder(
        request: Request,
        _bearer: Annotated[Any, Security(_bearer)],
        _header: Annotated[Any, Security(_header)],
    ) -> Caller:
        return caller(request)

    depend: Any = anybody if scope is None else holder
    depend.needed_scope = scope
    return depend  # type: ignore[no-any-return]


def scopes_of(route: Any) -> list[Scope | None]:
    """What a route's dependencies need, None for nothing; empty where the route does not say."""
    found: list[Scope | None] = []
    waiting = [route.dependant] if hasattr(route, "dependant") else []
    while waiting:
        dependant = waiting.pop()
        if hasattr(dependant.call, "needed_scope"):
            found.append(dependant.call.needed_scope)
        waiting.extend(dependant.dependencies)
    return found


def routes_of(app: Any) -> Iterator[Any]:
    """Every route of an app, those of routers that were included as well."""
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop(0)
        if hasattr(route, "effective_candidates"):
            waiting[:0] = [*route.effective_candidates(), *route.effective_low_priority_routes()]
        else:
            yield getattr(route, "starlette_route", None) or route


def needs_of(app: Any) -> list[tuple[str, str, list[Scope | None]]]:
    """(method, path, what is needed) of every route of an app."""
    return [
        (method, route.path, scopes_of(route))
        for route in routes_of(app)
        for method in sorted(getattr(route, "methods", None) or {"GET"})
        if method != "HEAD"
    ]


def key_in(request: Request) -> str | None:
    """The key that came with a request: as a bearer's token, in a header, or as clients of others send it.

    Those of MatchEngine send a user name and a password, of which either may be the key, and those of Google
    Vision a header or parameter of theirs.
    """
    headers = request.headers
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value.strip():
        return value.strip()
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return value
        return password or user
    for name in ("x-api-key", "x-goog-api-key"):
        if headers.get(name):
            return headers[name]
    if request.scope["path"].startswith("/v1/"):
        return request.query_params.get("key")
    return None


class AccessHeaders:
    """Tells callers how they stand with their limit, and what key is wanted; ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Context, receive: Receive, send: Send) -> None:
        """Pass a request on, and add what `needs` has to say to the headers of the answer."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                state = scope.get("state", {})
                standing = state.get("standing")
                said = standing.headers() if isinstance(standing, Standing) else {}
                if "challenge" in state:
                    said["WWW-Authenticate"] = state["challenge"]
                ours = [(name.lower().encode(), value.encode("latin-1")) for name, value in said.items()]
                names = {name for name, _ in ours}
                theirs = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
                message["headers"] = [*theirs, *ours]
            await send(message)

        await self._app(scope, receive, told if scope["type"] == "http" else send)


def _answer_with(request: Request, challenge: str) -> None:
    request.state.challenge = challenge


def _origin_of(referer: str | None) -> str | None:
    """The origin of a page that a request names, which older browsers send where they send no other."""
    match = re.match(r"https?://[^/?#]+", referer or "")
    return None if match is None else match[0]


def _name_in(host: str) -> str:
    """The name in a Host header, in lower case without port, brackets and last dot."""
    name = host.lower().rpartition("]")[0] + "]" if host.startswith("[") else host.lower().partition(":")[0]
    return name.strip("[]").removesuffix(".")


def _is_ours(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
