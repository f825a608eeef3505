"""The one that adds to a collection: pictures of all requests in turn, answered once they are committed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from wherefrom.collection import Collection
from wherefrom.engine.fields import checked
from wherefrom.errors import Busy, CollectionLocked, UsageError, WherefromError
from wherefrom.outcome import Outcome, Status
from wherefrom.receiving import Upload
from wherefrom.server.config import Config
from wherefrom.server.logs import failed

_FILE = "file:"
_SCHEMES = ("http", "https", "s3", "gs", "ftp", "urn", "matchengine")
_SLOW = 1.0
"""Seconds that a picture is decoded for, after which whoever sent it leaves a worker to others."""

_log = logging.getLogger("wherefrom.server")


@dataclass(eq=False)
class _Wanted:
    """A request: what it offers, how far that is, and who waits for it."""

    uploads: Sequence[Upload]
    who: str
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[list[Outcome]]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    begun: int = 0
    at_work: dict[int, float] = field(default_factory=dict)
    """Since when pictures are being added, by their place."""

    over: bool = False

    def settle(self, number: int, outcome: Outcome) -> None:
        """In the writer's thread."""
        self.outcomes[number] = outcome
        self.at_work.pop(number, None)
        if len(self.outcomes) == len(self.uploads):
            self.finish(None)

    def finish(self, error: WherefromError | None) -> None:
        self.over = True
        self.at_work.clear()
        with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who asked
            self.loop.call_soon_threadsafe(self._tell, error)

    def _tell(self, error: WherefromError | None) -> None:
        if self.answer.done():
            return
        if error is not None:
            self.answer.set_exception(error)
        else:
            self.answer.set_result([self.outcomes[number] for number in range(len(self.uploads))])


def check_uri(uri: str | None) -> None:
    """Raise UsageError for what is no address of a picture that is uploaded."""
    if uri is None:
        return
    scheme = uri.partition(":")[0].lower()
    known = scheme in _SCHEMES and (scheme == "urn" or uri[len(scheme) :].startswith("://"))
    if not known and scheme + ":" != _FILE:
        raise UsageError(
            f"A picture is at a uri such as https://example.org/a.jpg, which begins with one of "
            f"{', '.join(_SCHEMES)}, not at {uri[:80]!r}."
        )
    if not uri.isprintable():
        raise UsageError(f"A uri has no control characters: {uri[:80]!r}.")


class Writer:
    """Adds uploads to a collection in a thread of its own, which starts with the first.

    Pictures of all requests are added in turn: next is one of who has the fewest being added, and of the
    request that has. Who sends pictures that take long leaves a worker to others, if there are several.
    """

    def __init__(self, collection: Collection, config: Config) -> None:
        self._collection = collection
        self._limit, self._deadline = config.queue, config.deadline
        self._workers = config.settings.worker_count
        self._requests: list[_Wanted] = []
        self._more = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Requests that are not being added yet."""
        return sum(not one.begun for one in self._requests)

    async def add(self, uploads: Sequence[Upload], who: str = "") -> list[Outcome]:
        """An outcome for each once all are committed, or, when there was no time for some, those that are.

        `who` sends them, in whatever words. Raises Busy, UsageError.
        """
        for upload in uploads:
            checked(upload.fields)
            check_uri(upload.uri)
            if upload.uri is not None and upload.uri.lower().startswith(_FILE):
                raise UsageError(
                    "A picture that is uploaded is not seen at a file: uri, which names a file of this "
                    "machine: give the URL where it is, or leave it out."
                )
        if not uploads:
            return []
        loop = asyncio.get_running_loop()
        wanted = _Wanted(uploads, who, loop, loop.create_future())
        with self._more:
            if self._closing:
                raise Busy("The service is stopping.")
            if self.waiting >= self._limit:
                raise Busy(f"{self._limit} requests are waiting to be added; try again in a moment.", 2)
            self._requests.append(wanted)
            self._more.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wherefrom-add", daemon=True)
                self._thread.start()
        try:
            async with asyncio.timeout(self._deadline):
                return await wanted.answer
        except TimeoutError:
            problem = Busy(
                f"There was no time within {self._deadline:g} seconds to add this: send it again.", 5
            )
            done = dict(wanted.outcomes)
            if not done:
                raise problem from None
            return [
                done.get(number) or Outcome(Status.FAILED, upload.known_as, None, str(problem), problem.code)
                for number, upload in enumerate(uploads)
            ]
        finally:  # also when nobody waits any more
            wanted.over = True
            with self._more:
                self._forget()

    def close(self) -> None:
        """Finish what is being added and what waits, and take no more."""
        with self._more:
            self._closing = True
            self._more.notify()
        if self._thread is not None:
            self._thread.join()

    def _forget(self) -> None:
        self._requests = [one for one in self._requests if not one.over]

    def _run(self) -> None:
        swept = False
        while True:
            with self._more:
                while not self._requests and not self._closing:
                    self._more.wait()
                if not self._requests:
                    return
            self._add()
            if not swept:  # once we are the one that writes, and not before anybody is answered
                swept = True
                self._sweep()

    def _sweep(self) -> None:
        try:
            self._collection.sweep()
        except WherefromError as error:
            _log.warning("What a crash left of uploads could not be looked through: %s", error)

    def _next(self) -> tuple[tuple[_Wanted, int], Upload] | None:
        """The next picture to add, by turns; None where there is none, or none that may be begun."""
        with self._more:
            self._forget()
            moment = time.monotonic()
            busy: Counter[str] = Counter()
            slow: set[str] = set()
            for one in self._requests:
                busy[one.who] += len(one.at_work)
                if any(moment - since > _SLOW for since in one.at_work.values()):
                    slow.add(one.who)
            most = max(1, self._workers - 1)
            ready = [
                one
                for one in self._requests
                if one.begun < len(one.uploads) and (one.who not in slow or busy[one.who] < most)
            ]
            if not ready:
                return None
            wanted = min(ready, key=lambda one: (busy[one.who], len(one.at_work), one.begun))
            number = wanted.begun
            wanted.begun += 1
            wanted.at_work[number] = moment
        return (wanted, number), wanted.uploads[number]

    def _add(self) -> None:
        problem: WherefromError
        try:
            self._collection.receive_each(
                self._next,
                lambda mark, outcome: mark[0].settle(mark[1], outcome),
                lambda mark: not mark[0].over,
            )
        except CollectionLocked as error:
            problem = Busy(str(error), 5)
        except WherefromError as error:
            problem = error
        except Exception:  # noqa: BLE001 - whatever it is, others can still be added
            problem = failed("Adding")
        else:
            return
        with self._more:
            for wanted in self._requests:
                if wanted.at_work and not wanted.over:
                    wanted.finish(problem)
            self._forget()
