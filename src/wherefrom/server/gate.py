"""What every request passes before its route: no byte of a body is read before the door was asked.

A route asks the door by `needs` (see `access.py`), and reads its body afterwards. Here is what keeps it so: a
body is handed over only once somebody was let in, it has a largest size on every route, and it has to have
come in time: soon without a key, and later with one. What is being done for a request ends when whoever made
it has hung up.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wherefrom.errors import SlowRequest, TooLarge, WherefromError

SECONDS = 60.0
"""In which the body of somebody who was let in has to have come."""

STRANGER_SECONDS = 5.0
"""In which that of a request that needs no key has to have come."""


class Gate:
    """Hands bodies over within their limits; ASGI middleware."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        """`most` is the largest body in bytes."""
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._most)

        async def noted(message: Message) -> None:
            body.answered = True
            await send(message)

        work = asyncio.ensure_future(self._app(scope, body.receive, noted))
        body.start(work)
        try:
            await work
        except asyncio.CancelledError:
            if not body.is_gone:
                raise
        finally:
            body.close()


class _Body:
    """The body of one request, and whether whoever sent it is still there."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._receive, self._most = receive, most
        self._begun = asyncio.get_running_loop().time()
        self._size = 0
        headers = {name.lower(): value for name, value in scope["headers"]}
        self._whole = b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0"
        self._told = not self._whole  # that there is no body
        self._over = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self.answered = False
        self.work: asyncio.Future[None] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether who sent it has hung up."""
        return self._over.is_set()

    def start(self, work: asyncio.Future[None]) -> None:
        """Have some work end when who asked for it hangs up before there is an answer."""
        self.work = work
        if self._whole:
            self._watch = asyncio.ensure_future(self._wait_for_end())

    def close(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._watch.cancel()

    async def receive(self) -> Message:
        """The next message. Raises TooLarge or SlowRequest; one that is answered already is over then."""
        if not self._told:
            self._told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._whole:
            await self._over.wait()
            return {"type": "http.disconnect"}
        try:
            return await self._more()
        except WherefromError:
            if not self.answered:
                raise
            return {"type": "http.disconnect"}

    async def _wait_for_end(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._over.set()
        if self.work is not None and not self.answered:
            self.work.cancel()

    async def _more(self) -> Message:
        caller = self._state.get("caller")
        if caller is None and not self.answered:
            raise WherefromError("A body was asked for before it was known who sends it.")
        known = caller is not None and caller.scope is not None
        seconds = SECONDS if known else STRANGER_SECONDS
        try:
            async with asyncio.timeout_at(self._begun + seconds):
                message = await self._receive()
        except TimeoutError:
            raise SlowRequest(f"The body did not come within {seconds:g} seconds.") from None
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self._most:
                raise too_large(self._most)
            if not message.get("more_body", False):
                self._whole = True
                self._watch = asyncio.ensure_future(self._wait_for_end())
        return message


def too_large(most: int) -> TooLarge:
    """The error for a body of more bytes than are taken."""
    return TooLarge(f"The body is larger than {most:,} bytes, the most that is taken here.")
