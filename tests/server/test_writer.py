"""Adding for several at once: in turn, with a bound of time, and not for those who have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.failing_workers import HANG
from tests.scenes import encoded, picture
from wherefrom.collection import Collection, open_collection
from wherefrom.errors import Busy
from wherefrom.outcome import Status
from wherefrom.receiving import Upload
from wherefrom.server.config import Config
from wherefrom.server.writer import Writer
from wherefrom.settings import Settings
from wherefrom.workers import Workers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


Work = Callable[[Writer, Collection], Awaitable[None]]


def run(folder: Path, work: Work, *, deadline: float, decode_seconds: float = 2.0) -> None:
    """Some work with a writer of two workers, in which pictures that end in HANG are decoded for ever."""
    settings = Settings(model="none", workers=2, decode_seconds=decode_seconds)

    async def main() -> None:
        with open_collection(folder / "c", create=True, settings=settings) as held:
            held._new_workers = lambda: Workers(  # type: ignore[method-assign]
                2, settings.limits, recipe=settings.recipe, _serve="tests.failing_workers"
            )
            writer = Writer(held, Config((("c", folder / "c"),), settings, deadline=deadline))
            try:
                await asyncio.wait_for(work(writer, held), 100)
            finally:
                await asyncio.to_thread(writer.close)

    asyncio.run(main())


def slow(number: int) -> Upload:
    return Upload(encoded(picture(number, 60, 40)) + HANG)


def quick(number: int) -> Upload:
    return Upload(encoded(picture(number, 60, 40)))


def test_slow_pictures_of_one_keep_nobody_else_from_adding(tmp_path: Path) -> None:
    async def work(writer: Writer, held: Collection) -> None:
        bad = asyncio.ensure_future(writer.add([slow(n) for n in range(10)], "stranger"))
        await asyncio.sleep(1.5)
        for number in range(3):
            (outcome,) = await writer.add([quick(20 + number)], "friend")
            assert outcome.status is Status.ADDED
            assert not bad.done()
        bad.cancel()
        # And decoding that nobody waits for is stopped.
        assert (await writer.add([quick(30)], "friend"))[0].status is Status.ADDED
        assert len(held) == 4

    run(tmp_path, work, deadline=60, decode_seconds=3)


def test_a_request_has_a_bound_of_time_and_is_told_what_was_added(tmp_path: Path) -> None:
    async def work(writer: Writer, held: Collection) -> None:
        done = await writer.add([quick(1), *(slow(n) for n in range(2, 9)), quick(10)], "one")
        assert done[0].status is Status.ADDED
        assert "busy" in {one.code for one in done[1:]} <= {"busy", "too-slow"}
        assert done[-1].status is Status.FAILED
        assert len(held) == 1

    run(tmp_path, work, deadline=5, decode_seconds=2)


def test_where_nothing_could_be_added_in_time_it_is_busy(tmp_path: Path) -> None:
    async def work(writer: Writer, held: Collection) -> None:
        with pytest.raises(Busy, match="within 6 seconds"):
            await writer.add([slow(40)], "one")
        assert (await writer.add([quick(41)], "two"))[0].status is Status.ADDED

    run(tmp_path, work, deadline=6, decode_seconds=60)


def test_pictures_of_all_requests_are_added_in_turn(tmp_path: Path) -> None:
    async def work(writer: Writer, held: Collection) -> None:
        ended: list[str] = []

        async def add(name: str, count: int) -> None:
            outcomes = await writer.add([quick(100 + len(name) * 50 + n) for n in range(count)], name)
            assert {one.status for one in outcomes} <= {Status.ADDED, Status.KNOWN}
            ended.append(name)

        await asyncio.gather(add("large", 40), add("b", 2), add("cc", 2))
        assert ended[-1] == "large"
        assert len(held) == 44

    run(tmp_path, work, deadline=60)
