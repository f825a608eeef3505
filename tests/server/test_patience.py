"""Filters without end hold up nobody, and end at the deadline or when who asked hangs up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_patience import ENDLESS
from tests.scenes import folder_of
from wherefrom.collection import Collection, open_collection
from wherefrom.errors import Busy
from wherefrom.server.config import Config
from wherefrom.server.gate import Gate
from wherefrom.server.service import Service
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)


@asynccontextmanager
async def serving(folder: Path, deadline: float) -> AsyncIterator[Service]:
    with open_collection(folder / "photos", create=True, settings=PLAIN) as made:
        made.add(folder_of(folder / "pictures", 2))
    config = Config((("photos", folder / "photos"),), PLAIN, workers=1, deadline=deadline)
    async with Service(config).running() as service:
        yield service


def without_end(held: Collection) -> Any:
    with held._engine._catalog._database.reading() as connection:  # type: ignore[attr-defined]
        return connection.exec_driver_sql(ENDLESS).all()


def test_filters_without_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, 2) as service:
            slow = [asyncio.ensure_future(service.run(None, without_end, how="filter")) for _ in range(6)]
            await asyncio.sleep(0.2)
            assert await service.run(None, len) == 2  # which is quick
            assert len(await service.run(None, lambda held: held.labels(), how="long")) == 0
            assert not any(one.done() for one in slow)
            slow[0].cancel()
            said = await asyncio.wait_for(asyncio.gather(*slow, return_exceptions=True), 20)
            assert isinstance(said[0], asyncio.CancelledError)
            assert all(isinstance(one, Busy) for one in said[1:])
            # One that nobody waits for leaves its thread to others; the end of the service ends all.
            left = [asyncio.ensure_future(service.run(None, without_end, how="filter")) for _ in range(4)]
            await asyncio.sleep(0.1)
            for one in left:
                one.cancel()
            assert await asyncio.wait_for(service.run(None, len, how="filter"), 10) == 2
            last = asyncio.ensure_future(service.run(None, without_end, how="filter"))
            await asyncio.sleep(0.1)
        with pytest.raises(Busy):
            await last

    asyncio.run(asyncio.wait_for(main(), 60))


def test_who_hangs_up_ends_what_is_done_for_them() -> None:
    async def main() -> None:
        ended = threading.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        waiting = [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]

        async def receive() -> Any:
            await asyncio.sleep(0.05)
            return waiting.pop(0)

        async def send(message: Any) -> None:
            raise AssertionError(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await asyncio.wait_for(Gate(app, 10)(scope, receive, send), 10)
        assert ended.is_set()

    asyncio.run(main())
