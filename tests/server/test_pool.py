"""Processes that search: what hangs or dies is replaced, what does not fit is turned away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from wherefrom.errors import Busy, CollectionMissing, Corrupt, NotFound, UsageError, WherefromError
from wherefrom.server import pool as module
from wherefrom.server.pool import Pool

MODULE = "tests.server.failing_searcher"
ROOT = str(Path(__file__).parent.parent.parent)


@pytest.fixture(autouse=True)
def _findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ROOT)


@asynccontextmanager
async def pool_of(
    count: int = 1,
    *,
    queue: int = 10,
    deadline: float = 20.0,
    plan: dict[str, Any] | None = None,
    slow: Callable[[bytes], bool] = lambda _: False,
) -> AsyncIterator[Pool]:
    pool = Pool(count, plan or {}, queue=queue, deadline=deadline, module=MODULE, slow=slow)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


def is_slow(data: bytes) -> bool:
    return data.startswith(b"slow")


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_answers_come_back_to_who_asked() -> None:
    async def work() -> None:
        async with pool_of(2, queue=100) as pool:
            assert pool.ready
            said = await asyncio.gather(*(pool.call("echo", data=bytes([n]) * 10_000) for n in range(50)))
            assert said == [bytes([n]) * 10_000 for n in range(50)]
            assert (pool.waiting, pool.running, pool.replaced) == (0, 0, 0)

    run(work)


@pytest.mark.parametrize(
    ("code", "kind"), [("usage", UsageError), ("not-found", NotFound), ("?", WherefromError)]
)
def test_errors_are_raised_as_they_were(code: str, kind: type[WherefromError]) -> None:
    async def work() -> None:
        async with pool_of() as pool:
            with pytest.raises(kind, match="It is so"):
                await pool.call("raise", code=code)
            assert await pool.call("echo", data=1) == 1
            assert pool.replaced == 0

    run(work)


def test_what_hangs_is_killed_and_replaced() -> None:
    async def work() -> None:
        async with pool_of(deadline=3.0) as pool:
            first = await pool.call("pid")
            with pytest.raises(Busy, match="longer than 3 seconds") as caught:
                await pool.call("sleep", seconds=600)
            assert caught.value.retry_after >= 1
            assert await pool.call("pid") != first
            assert pool.replaced == 1

    run(work)


@pytest.mark.parametrize(("verb", "words"), [("die", "exit 7"), ("babble", "died"), ("boast", "died")])
def test_what_dies_or_babbles_is_replaced(verb: str, words: str) -> None:
    async def work() -> None:
        async with pool_of() as pool:
            with pytest.raises(Corrupt, match=words):
                await pool.call(verb)
            assert await pool.call("echo", data="there") == "there"
            assert pool.replaced == 1

    run(work)


def test_a_death_costs_only_the_request_that_it_was_at() -> None:
    async def work() -> None:
        async with pool_of(2, queue=50) as pool:
            calls = [pool.call("die") if n % 5 == 0 else pool.call("echo", data=n) for n in range(30)]
            said = await asyncio.gather(*calls, return_exceptions=True)
            for n, one in enumerate(said):
                assert isinstance(one, Corrupt) if n % 5 == 0 else one == n

    run(work)


def test_a_full_queue_turns_requests_away_at_once() -> None:
    async def work() -> None:
        async with pool_of(queue=3) as pool:
            held = [asyncio.create_task(pool.call("sleep", seconds=0.3)) for _ in range(4)]
            await asyncio.sleep(0.1)
            assert (pool.running, pool.waiting) == (1, 3)
            with pytest.raises(Busy, match="3 requests are waiting"):
                await pool.call("echo", data=1)
            assert await asyncio.gather(*held) == ["slept"] * 4
            assert await pool.call("echo", data=1) == 1

    run(work)


def test_who_would_come_too_late_is_told_in_time() -> None:
    async def work() -> None:
        async with pool_of(deadline=2.0) as pool:
            held = asyncio.create_task(pool.call("sleep", seconds=1.5))
            await asyncio.sleep(0)
            with pytest.raises(Busy, match="no time"):
                await pool.call("echo", data=1)
            assert await held == "slept"
            assert pool.replaced == 0

    run(work)


def test_who_no_longer_waits_leaves_the_queue() -> None:
    async def work() -> None:
        async with pool_of() as pool:
            held = asyncio.create_task(pool.call("sleep", seconds=0.3))
            await asyncio.sleep(0.05)
            gone = asyncio.create_task(pool.call("die"))
            await asyncio.sleep(0.05)
            assert pool.waiting == 1
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            assert pool.waiting == 0
            assert await held == "slept"
            assert pool.replaced == 0

    run(work)


def test_who_waits_at_the_end_is_told() -> None:
    async def work() -> None:
        async with pool_of() as pool:
            calls = [asyncio.create_task(pool.call("sleep", seconds=60)) for _ in range(3)]
            await asyncio.sleep(0.05)
        said = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, Busy) for one in said), said

    run(work)


def test_what_keeps_a_process_from_starting_is_raised() -> None:
    async def work() -> None:
        with pytest.raises(CollectionMissing, match="There is nothing"):
            async with pool_of(2, plan={"missing": True}):
                pass
        with pytest.raises(WherefromError, match="cannot be started"):
            async with pool_of(2, plan={"dies": True}):
                pass

    run(work)


def test_what_is_slow_holds_up_nobody_else() -> None:
    async def work() -> None:
        async with pool_of(1, slow=is_slow) as pool:
            slow = [asyncio.create_task(pool.call("sleep", seconds=0.6, data=b"slow")) for _ in range(2)]
            for _ in range(3):
                assert await pool.call("echo", data=b"quick") == b"quick"
            assert not any(task.done() for task in slow)
            assert await asyncio.gather(*slow) == ["slept", "slept"]
            assert pool.waiting == pool.running == 0

    run(work)


def test_few_slow_ones_may_wait_and_their_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE", 0.2)

    async def work() -> None:
        async with pool_of(1, slow=is_slow) as pool:
            calls = [pool.call("sleep", seconds=0.2, data=b"slow") for _ in range(12)]
            said = await asyncio.gather(*calls, return_exceptions=True)
            busy = [one for one in said if isinstance(one, Busy)]
            assert 6 <= len(busy) <= 8
            assert "take long" in str(busy[0])
            (aside,) = {pool._aside}
            while aside.up:
                await asyncio.sleep(0.05)
            assert await pool.call("echo", data=b"slow again") == b"slow again"

    run(work)


def test_a_slow_one_that_kills_its_process_is_told_so() -> None:
    async def work() -> None:
        async with pool_of(1, slow=is_slow) as pool:
            with pytest.raises(Corrupt, match="exit 7"):
                await pool.call("die", data=b"slow")
            assert await pool.call("echo", data=b"slow") == b"slow"
        async with pool_of(1, slow=is_slow, plan={}) as pool:
            pool._aside._plan["dies"] = True
            with pytest.raises(Busy, match="No process"):
                await pool.call("echo", data=b"slow")
            assert await pool.call("echo", data=b"quick") == b"quick"

    run(work)
