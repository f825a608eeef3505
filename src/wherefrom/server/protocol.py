"""The wire: uvicorn's HTTP/1.1 with deadlines for heads that trickle in and answers that are not taken.

There are so many connections at most, in all and from one address. At the limit the newcomer is let in, and
the connection goes that has waited longest without a request whose sender was let in: whoever merely holds
connections keeps nobody out.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from wherefrom.server.limiting import caller_of, is_loopback

HEAD_SECONDS = 15.0
"""In which the head of a request has to have come."""

TAKE_SECONDS = 60.0
"""In which a client has to take what was sent."""

REST_SECONDS = 5.0
"""In which the rest of a body that was refused may still come."""

CONNECTIONS = 1_000
"""At most, in all, and from this machine, on which a proxy may stand for everybody."""

FROM_ONE = 200
"""At most from any other address."""


class Protocol(H11Protocol):
    """One connection."""

    caller = ""
    waiting_since = 0.0
    connections: set[Protocol]  # type: ignore[assignment]
    _head: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _rest: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.caller = caller_of(self.client[0] if self.client else None)
        self.waiting_since = self.loop.time()
        rivals = self._rivals()
        if rivals is not None:
            gone = min(rivals, key=lambda one: one.waiting_since, default=self)
            gone.transport.abort()
            if gone is self:
                return
        self._head = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    @property
    def is_at_work(self) -> bool:
        """Whether a request is being answered whose sender was let in."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        caller = self.cycle.scope.get("state", {}).get("caller")
        return getattr(caller, "scope", None) is not None

    def _rivals(self) -> list[Protocol] | None:
        """The connections of which one has to go, since a limit is passed; None where none is."""
        others = [one for one in self.connections if one is not self and not one.transport.is_closing()]
        if not is_loopback(self.caller):
            same = [one for one in others if one.caller == self.caller]
            if len(same) >= FROM_ONE:
                return [one for one in same if not one.is_at_work]
        if len(others) < CONNECTIONS:
            return None
        return [one for one in others if not one.is_at_work]

    def data_received(self, data: bytes) -> None:
        """Wait no longer once a head is whole, and begin anew with the first byte of the next one."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel_head()
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def on_response_complete(self) -> None:
        """Do not hold for ever what a client does not take."""
        super().on_response_complete()
        self.waiting_since = self.loop.time()
        if self.transport.get_write_buffer_size() > 0:
            self._wait_for_taking()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            # Closed at once, the client could not read why its body was refused.
            self._rest = self.loop.call_later(REST_SECONDS, self._stop_listening)

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        super().pause_writing()
        self._wait_for_taking()

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._cancel_head()
        for timer in (self._taking, self._rest):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _stop_listening(self) -> None:
        self._rest = None
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is not h11.SEND_BODY:
            self.transport.abort()

    def _wait_for_taking(self) -> None:
        if self._taking is None:
            self._taking = self.loop.call_later(TAKE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()

    def _hang_up(self) -> None:
        self._head = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def _cancel_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
