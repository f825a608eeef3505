from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherefrom.server.keys import Rate
from wherefrom.server.limiting import BoundedStore, Limiter, caller_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.integers(1, 5),
    st.integers(1, 10),
    st.lists(st.tuples(st.floats(0, 4), st.integers(0, 2)), max_size=60),
)
def test_no_window_has_more_than_the_rate(
    requests: int, seconds: int, steps: list[tuple[float, int]]
) -> None:
    clock, rate = Clock(), Rate(requests, seconds)
    limiter = Limiter(clock=clock)
    passed: dict[int, deque[float]] = {}
    for pause, caller in steps:
        clock.now += pause
        times = passed.setdefault(caller, deque())
        inside = [time for time in times if time > clock.now - seconds]
        standing = limiter.hit("key", str(caller), rate)
        assert standing.passed == (len(inside) < requests)
        if standing.passed:
            times.append(clock.now)
            inside.append(clock.now)
        assert standing.left == requests - len(inside)
        assert 1 <= standing.reset <= seconds


def test_waiting_as_told_is_enough() -> None:
    clock = Clock()
    limiter, rate = Limiter(clock=clock), Rate(2, 60)
    limiter.hit("key", "a", rate)
    clock.now += 30.5
    limiter.hit("key", "a", rate)
    standing = limiter.hit("key", "a", rate)
    assert (standing.passed, standing.left, standing.reset) == (False, 0, 30)
    assert not limiter.standing("key", "a", rate).passed
    clock.now += standing.reset
    assert limiter.hit("key", "a", rate).passed


def test_headers() -> None:
    clock = Clock()
    limiter, rate = Limiter(clock=clock), Rate(2, 60)
    assert limiter.hit("key", "a", rate).headers() == {
        "RateLimit-Policy": '"key";q=2;w=60',
        "RateLimit": '"key";r=1;t=60',
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "1",
        "RateLimit-Reset": "60",
    }
    limiter.hit("key", "a", rate)
    clock.now += 13
    assert limiter.hit("key", "a", rate).headers()["Retry-After"] == "47"
    assert limiter.hit("key", "b", rate).passed
    assert limiter.hit("failures", "a", rate).passed


def test_memory_is_bounded() -> None:
    clock = Clock()
    store = BoundedStore(100, clock)
    for number in range(5000):
        clock.now += 0.001
        assert store.acquire_entry(f"caller {number}", 3, 60)
        store.acquire_entry("regular", 10**9, 1)  # who keeps coming is not forgotten for others
        store.get_moving_window(f"never {number}", 3, 60)
    assert len(store._seen) == 100
    assert len(store._seen["regular"]) <= 1001


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::99", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_who_is_behind_an_address(address: str | None, caller: str) -> None:
    assert caller_of(address) == caller
