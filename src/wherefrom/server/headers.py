"""Headers that keep browsers safe, on every answer; ASGI middleware."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BARE = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'"
)
"""The content security policy of our own pages: nothing from elsewhere, nothing inline."""

_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
}


class SafeHeaders:
    """Adds what an answer does not have already. `shared` is whether pages elsewhere may use the API."""

    def __init__(self, app: ASGIApp, shared: bool = False) -> None:
        self._app = app
        policy = b"cross-origin" if shared else b"same-origin"
        self._ours = _ALWAYS | {
            b"content-security-policy": _BARE.encode(),
            b"cross-origin-resource-policy": policy,
            b"cache-control": b"no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def safer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                message["headers"] = [*headers, *((n, v) for n, v in self._ours.items() if n not in there)]
            await send(message)

        await self._app(scope, receive, safer if scope["type"] == "http" else send)


def _changes(path: str) -> bool:
    return path.rstrip("/").endswith(("/rest/add", "/rest/delete"))


class Heads:
    """Answers HEAD as GET is answered; the server leaves the body out. ASGI middleware.

    Not where a GET of a foreign API changes something: to ask about it must not do it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and not _changes(scope["path"]):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
