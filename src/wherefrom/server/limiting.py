"""Rate limits: a moving window for each key or address, in memory that is bounded.

A request counts for as long as the window, so that a limit of 100 a minute holds for any minute and not only
for those of the clock. `limits` brings the strategy; its own store in memory starts a thread for each
hundredth of a second in which there are requests, and never forgets to look at all of them, so there is
another here: the callers met longest ago make room when there are too many.

Headers are those of the IETF's draft (draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` and
`RateLimit`, structured fields) and the three older ones that most clients read.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from wherefrom.server.keys import Rate

CALLERS = 20_000
"""Callers remembered at most; each takes some hundred bytes, and eight for each request in its window."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with a limit after a request: whether it passed, what is left, when more is.

    `policy` names the limit in headers; `reset` is in whole seconds, 1 or more: until there is room again
    when nothing is left, and until the oldest request counts no more otherwise.
    """

    policy: str
    rate: Rate
    passed: bool
    left: int
    reset: int

    def headers(self) -> dict[str, str]:
        """What tells a client: the draft's fields, the older ones, and Retry-After when it did not pass."""
        rate = self.rate
        told = {
            "RateLimit-Policy": f'"{self.policy}";q={rate.requests};w={rate.seconds}',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.reset}',
            "RateLimit-Limit": str(rate.requests),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.reset),
        }
        return told if self.passed else told | {"Retry-After": str(self.reset)}


class Limiter:
    """Counts requests against rates. Thread-safe, and never waits."""

    def __init__(self, *, callers: int = CALLERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._store = BoundedStore(callers, clock)
        self._strategy = MovingWindowRateLimiter(self._store)

    def hit(self, policy: str, caller: str, rate: Rate) -> Standing:
        """Count a request; one that does not pass is not counted, so that waiting always helps."""
        item = _item(rate)
        passed = self._strategy.hit(item, policy, caller)
        return self._standing(policy, caller, rate, passed=passed)

    def standing(self, policy: str, caller: str, rate: Rate) -> Standing:
        """How the caller would stand, without counting: `passed` tells whether a request would pass."""
        passed = self._strategy.test(_item(rate), policy, caller)
        return self._standing(policy, caller, rate, passed=passed)

    def _standing(self, policy: str, caller: str, rate: Rate, *, passed: bool) -> Standing:
        when, left = self._strategy.get_window_stats(_item(rate), policy, caller)
        reset = min(max(1, math.ceil(when - self._clock())), rate.seconds)
        return Standing(policy, rate, passed, max(0, left), reset)


class BoundedStore(Storage, MovingWindowSupport):
    """The times of requests by caller: no thread of its own, and a number of callers that is not passed."""

    def __init__(self, callers: int, clock: Callable[[], float]) -> None:
        super().__init__()
        self._callers = callers
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` requests if they fit into the window of `expiry` seconds."""
        with self._lock:
            times = self._window(key, expiry)
            if len(times) + amount > limit:
                return False
            times.extend([self._clock()] * amount)
            while len(self._seen) > self._callers:
                self._seen.popitem(last=False)
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """When the oldest request in the window was, and how many there are in it."""
        with self._lock:
            times = self._window(key, expiry, keep=False)
            return (times[0] if times else self._clock()), len(times)

    def _window(self, key: str, expiry: int, *, keep: bool = True) -> deque[float]:
        times = self._seen.get(key)
        if times is None:
            times = deque()
            if not keep:
                return times
            self._seen[key] = times
        self._seen.move_to_end(key)
        oldest = self._clock() - expiry
        while times and times[0] <= oldest:
            times.popleft()
        return times

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """None are raised."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Fixed windows are not kept here."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Fixed windows are not kept here."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Fixed windows are not kept here."""
        raise NotImplementedError

    def check(self) -> bool:
        """It is always there."""
        return True

    def reset(self) -> int | None:
        """Forget everybody; gives how many there were."""
        with self._lock:
            count = len(self._seen)
            self._seen.clear()
            return count

    def clear(self, key: str) -> None:
        """Forget one caller."""
        with self._lock:
            self._seen.pop(key, None)


def caller_of(address: str | None) -> str:
    """Who is behind an address, as far as limits go: an IPv6 network of 64 bits is one caller."""
    try:
        known = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if known.version == 6:
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(known) >> 64 << 64, 64)))
    return str(known)


def is_loopback(host: str) -> bool:
    """Whether a host, as name or address, is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _item(rate: Rate) -> RateLimitItem:
    return RateLimitItemPerSecond(rate.requests, rate.seconds)
