"""The service itself: collections, the processes that search them, one writer each. Routes use this alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from wherefrom.collection import Collection, open_collection
from wherefrom.engine.patience import Patience
from wherefrom.errors import BlockedAddress, Busy, CollectionLocked, CollectionMissing, UsageError
from wherefrom.outcome import Outcome
from wherefrom.receiving import Upload
from wherefrom.search.request import SearchRequest
from wherefrom.server.asked import MOST
from wherefrom.server.config import Config
from wherefrom.server.pool import Pool
from wherefrom.server.uploads import Budget
from wherefrom.server.writer import Writer

__all__ = ["SearchRequest", "Service", "Upload"]

T = TypeVar("T")
Pace = Literal["quick", "long", "filter"]

_THREADS = {"quick": 8, "long": 4, "filter": 4, "deeds": 1}
"""Threads for reading: what is quick, what goes through a collection once, and what callers may make slow;
and one for what is done to files."""

_READS = 64  # of each kind that may wait for them
_IDLE = 2.0  # seconds without a change after which other processes may write
_LOOK = 0.3  # seconds between looks whether some want to
_FETCHES = 8  # URLs fetched at once
_FETCHES_WAITING = 32


class Service:
    """Collections on the network, for one event loop. `start` before use, `stop` after.

    Raises the errors of `wherefrom.errors`: Busy where there is no room or time, CollectionMissing for a name
    that is not served.
    """

    def __init__(self, config: Config) -> None:
        """Open nothing yet."""
        self.config = config
        self.started = time.time()
        self._collections: dict[str, Collection] = {}
        self._writers: dict[str, Writer] = {}
        self._pool = Pool(config.worker_count, _plan(config), queue=config.queue, deadline=config.deadline)
        self._threads = {kind: _Threads(count, f"wherefrom-{kind}") for kind, count in _THREADS.items()}
        self._stopping = threading.Event()
        self._resting: asyncio.Task[None] | None = None
        self._fetchers = ThreadPoolExecutor(_FETCHES, thread_name_prefix="wherefrom-fetch")
        self._fetching = 0
        self.budget = Budget(config.in_memory)
        self.on_answer: Callable[[dict[str, Any]], None] | None = None
        self.on_outcomes: Callable[[Sequence[Outcome]], None] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The collections served, the default first."""
        return self.config.names

    @property
    def pool(self) -> Pool:
        """The processes that search."""
        return self._pool

    @property
    def busy(self) -> dict[str, int]:
        """How much is going on: waiting, running, limit."""
        return {"waiting": self._pool.waiting, "running": self._pool.running, "limit": self._pool.limit}

    @property
    def ready(self) -> bool:
        """Whether searches are answered at present."""
        return self._pool.ready

    async def start(self) -> None:
        """Open the collections and start the processes. Raises what opening raises."""
        for name, path in self.config.collections:
            opened = await asyncio.to_thread(open_collection, path, settings=self.config.settings)
            opened.wait_for_turn(self.config.deadline / 2)
            self._collections[name] = opened
            self._writers[name] = Writer(opened, self.config)
        await self._pool.start()
        self._resting = asyncio.create_task(self._rest())

    async def stop(self) -> None:
        """Finish what was acknowledged or is being written, and let everything go."""
        self._stopping.set()
        if self._resting is not None:
            self._resting.cancel()
        await asyncio.gather(*(asyncio.to_thread(writer.close) for writer in self._writers.values()))
        await self._pool.stop()
        for threads in self._threads.values():
            await asyncio.to_thread(threads.pool.shutdown, wait=True, cancel_futures=True)
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        for collection in self._collections.values():
            await asyncio.to_thread(collection.close)
        self._collections.clear()

    async def _rest(self) -> None:
        """Have collections let go of the writer's lock: soon for who waits, and when nothing is changed."""
        while True:
            await asyncio.sleep(_LOOK)
            for collection in self._collections.values():
                await asyncio.to_thread(collection.let_go, _IDLE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """Started, and stopped at the end."""
        try:
            await self.start()
            yield self
        finally:
            await self.stop()

    def name_of(self, name: str | None) -> str:
        """The name of a collection that is served: the default for None. Raises CollectionMissing."""
        if name is None:
            return self.names[0]
        if name not in self.names:
            raise CollectionMissing(
                f"No collection {name[:80]!r} is served here; there are: {', '.join(self.names)}."
            )
        return name

    async def search(
        self, name: str | None, source: bytes | str | None, asked: SearchRequest
    ) -> dict[str, Any]:
        """The JSON of an answer, each match with its `sentence`.

        `source` is a picture's bytes or an image's id; None where the wishes say enough.
        """
        if asked.limit > MOST:
            raise UsageError(f"The limit is the number of matches wanted, 1 to {MOST}, not {asked.limit}.")
        answer: dict[str, Any] = await self._pool.call(
            "search", name=self.name_of(name), source=source, asked=asked.as_plain()
        )
        if self.on_answer is not None:
            self.on_answer(answer)
        return answer

    async def compare(
        self, name: str | None, first: bytes | str, second: bytes | str
    ) -> dict[str, Any] | None:
        """The JSON of the match that two pictures (bytes, or ids of images) are; None when they are none."""
        found: dict[str, Any] | None = await self._pool.call(
            "compare", name=self.name_of(name), first=first, second=second
        )
        return found

    async def draw(self, verb: str, name: str | None, **what: Any) -> bytes:
        """A picture that a process makes: see `drawing.py`."""
        made: bytes = await self._pool.call(verb, name=self.name_of(name), **what)
        return made

    async def add(self, name: str | None, uploads: Sequence[Upload], who: str = "") -> list[Outcome]:
        """Add pictures that `who` sends and keep their bytes; an outcome for each, once committed."""
        outcomes = await self._writers[self.name_of(name)].add(uploads, who)
        if self.on_outcomes is not None:
            self.on_outcomes(outcomes)
        return outcomes

    async def remove(self, name: str | None, id_or_uri: str) -> int:
        """Remove an image, or every image seen at a uri, and what is kept of it; gives how many."""
        return await self.run(name, lambda collection: collection.remove(id_or_uri))

    @property
    def most_fetched(self) -> int:
        """Bytes that are fetched from a URL at most."""
        return min(self.config.settings.max_bytes, self.config.max_upload)

    async def fetch(self, url: str) -> bytes:
        """What a URL that a user gave points to, from a public address only. Raises FetchError."""
        from wherefrom.sources.fetch import fetch

        if self._fetching >= _FETCHES + _FETCHES_WAITING:
            raise Busy("Too many URLs are being fetched; try again in a moment.", 5)
        settings, most = self.config.settings, self.most_fetched
        self._fetching += 1
        try:
            fetched = await asyncio.get_running_loop().run_in_executor(
                self._fetchers,
                lambda: fetch(
                    url,
                    max_bytes=most,
                    seconds=min(settings.fetch_seconds, self.config.deadline),
                    allow_private=settings.private_networks,
                ),
            )
        except BlockedAddress:
            # Not what kind of address: what inner names stand for is not a stranger's business.
            raise BlockedAddress(
                "This URL leads to an address that is not public, and only public addresses are fetched: "
                "send the file instead."
            ) from None
        finally:
            self._fetching -= 1
        return fetched.data

    async def run(self, name: str | None, work: Callable[[Collection], T], *, how: Pace = "quick") -> T:
        """What some reading of a collection gives, or a small change of it, done in one of a few threads.

        What is long, and what callers may make so by a filter, has threads of its own and keeps nobody from
        what is quick. Reading ends at the deadline, or when nobody waits for it any more; raises Busy then.
        """
        collection = self.collection(name)
        threads = self._threads[how]
        if threads.busy >= threads.count + _READS:
            raise Busy("Too much is being read; try again in a moment.")
        gone = threading.Event()
        patience = Patience(self.config.deadline, gone, self._stopping)

        def patiently() -> T:
            if patience.is_over:
                raise patience.error
            with patience.kept():
                try:
                    return work(collection)
                except CollectionLocked as error:
                    raise Busy(str(error), 5) from error

        threads.busy += 1
        done = asyncio.get_running_loop().run_in_executor(threads.pool, patiently)
        done.add_done_callback(threads.note)
        try:
            return await done
        except asyncio.CancelledError:
            gone.set()
            raise

    async def change(self, name: str | None, work: Callable[[Collection], T]) -> T:
        """What something gives that is done to files, one after the other: once begun it is done to its end,
        whether anybody waits for it or not. Raises Busy.
        """
        collection = self.collection(name)
        threads = self._threads["deeds"]
        if threads.busy >= threads.count + _READS:
            raise Busy("Too much is being done to files; try again in a moment.")

        def wholly() -> T:
            try:
                return work(collection)
            except CollectionLocked as error:
                raise Busy(str(error), 5) from error

        threads.busy += 1
        done = asyncio.get_running_loop().run_in_executor(threads.pool, wholly)
        done.add_done_callback(threads.note)
        return await done

    def collection(self, name: str | None) -> Collection:
        """The collection of a name, for long work in threads of one's own."""
        return self._collections[self.name_of(name)]


class _Threads:
    """A few threads, and how much is waiting for them or being done."""

    def __init__(self, count: int, name: str) -> None:
        self.count, self.busy = count, 0
        self.pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    def note(self, _: object) -> None:
        """Something is done."""
        self.busy -= 1


def _plan(config: Config) -> dict[str, Any]:
    return {
        "collections": [(name, str(path)) for name, path in config.collections],
        "settings": asdict(config.settings),
        "log_format": config.log_format,
    }
