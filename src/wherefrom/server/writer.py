"""The one that adds to a collection: what waits is added together, and answered once it is committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from wherefrom.collection import Collection
from wherefrom.engine.fields import checked
from wherefrom.errors import Busy, UsageError, WherefromError
from wherefrom.outcome import Outcome
from wherefrom.receiving import Upload
from wherefrom.server.config import Config

_TOGETHER = 512  # uploads of a commit at most
_FILE = "file:"
_log = logging.getLogger("wherefrom.server")


@dataclass(eq=False)
class _Wanted:
    uploads: Sequence[Upload]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[list[Outcome]]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    over: bool = False

    def settle(self, number: int, outcome: Outcome) -> None:
        """In the writer's thread."""
        self.outcomes[number] = outcome
        if len(self.outcomes) == len(self.uploads):
            self.finish(None)

    def finish(self, error: WherefromError | None) -> None:
        self.over = True
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who asked
            self.loop.call_soon_threadsafe(self._tell, error)

    def _tell(self, error: WherefromError | None) -> None:
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result([self.outcomes[number] for number in range(len(self.uploads))])


class Writer:
    """Adds uploads to a collection in a thread of its own, which starts with the first."""

    def __init__(self, collection: Collection, config: Config) -> None:
        self._collection = collection
        self._limit, self._deadline = config.queue, config.deadline
        self._waiting: deque[_Wanted] = deque()
        self._more = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Requests that are not being added yet."""
        return len(self._waiting)

    async def add(self, uploads: Sequence[Upload]) -> list[Outcome]:
        """An outcome for each once all are committed; raises Busy, UsageError, CollectionLocked."""
        for upload in uploads:
            checked(upload.fields)
            if upload.uri is not None and upload.uri.lower().startswith(_FILE):
                raise UsageError(
                    "A picture that is uploaded is not seen at a file: uri, which names a file of this "
                    "machine: give the URL where it is, or leave it out."
                )
        if not uploads:
            return []
        loop = asyncio.get_running_loop()
        wanted = _Wanted(uploads, loop, loop.create_future())
        with self._more:
            if self._closing:
                raise Busy("The service is stopping.")
            if len(self._waiting) >= self._limit:
                raise Busy(f"{self._limit} requests are waiting to be added; try again in a moment.", 2)
            self._waiting.append(wanted)
            self._more.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wherefrom-add", daemon=True)
                self._thread.start()
        try:
            async with asyncio.timeout(self._deadline):
                return await wanted.answer
        except TimeoutError:
            with self._more, contextlib.suppress(ValueError):
                self._waiting.remove(wanted)
            raise Busy("There was no time to add this. Part of it may be added yet; try again.", 5) from None

    def close(self) -> None:
        """Finish what is being added and what waits, and take no more."""
        with self._more:
            self._closing = True
            self._more.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        swept = False
        while True:
            with self._more:
                while not self._waiting and not self._closing:
                    self._more.wait()
                if not self._waiting:
                    return
                batch = self._taken()
            self._add(batch)
            if not swept:  # once we are the one that writes, and not before anybody is answered
                swept = True
                self._sweep()

    def _sweep(self) -> None:
        try:
            self._collection.sweep()
        except WherefromError as error:
            _log.warning("What a crash left of uploads could not be looked through: %s", error)

    def _taken(self) -> list[_Wanted]:
        batch = [self._waiting.popleft()]
        count = len(batch[0].uploads)
        while self._waiting and count + len(self._waiting[0].uploads) <= _TOGETHER:
            batch.append(self._waiting.popleft())
            count += len(batch[-1].uploads)
        return batch

    def _add(self, batch: Sequence[_Wanted]) -> None:
        numbered = [(wanted, number) for wanted in batch for number in range(len(wanted.uploads))]
        try:
            self._collection.receive(
                [wanted.uploads[number] for wanted, number in numbered],
                lambda place, outcome: numbered[place][0].settle(numbered[place][1], outcome),
            )
        except WherefromError as error:
            problem = error
        except Exception:  # noqa: BLE001 - whatever it is, others can still be added
            _log.exception("Adding failed")
            problem = WherefromError("Something went wrong here; the log of the service says what.")
        else:
            return
        for wanted in batch:
            if not wanted.over:
                wanted.finish(problem)
