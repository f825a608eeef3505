"""What every request passes before its route: no byte of a body is read before the door was asked.

A route asks the door by `needs` (see `access.py`), and reads its body afterwards. Here is what keeps it so: a
body is handed over only once somebody was let in, it has a largest size on every route, and it has to have
come in time: soon without a key, and later with one.
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

        await self._app(scope, body.receive, noted)


class _Body:
    """The body of one request."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._receive, self._most = receive, most
        self._begun = asyncio.get_running_loop().time()
        self._size, self._whole = 0, False
        self.answered = False

    async def receive(self) -> Message:
        """The next message. Raises TooLarge or SlowRequest; one that is answered already is over then."""
        if self._whole:
            return await self._receive()
        try:
            return await self._more()
        except WherefromError:
            if not self.answered:
                raise
            return {"type": "http.disconnect"}

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
            self._whole = not message.get("more_body", False)
            if self._size > self._most:
                raise too_large(self._most)
        return message


def too_large(most: int) -> TooLarge:
    """The error for a body of more bytes than are taken."""
    return TooLarge(f"The body is larger than {most:,} bytes, the most that is taken here.")
