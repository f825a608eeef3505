"""Processes that try pictures. One that dies takes nothing with it but what it was doing."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from wherefrom.evaluate import trying
from wherefrom.evaluate.trying import Outcome, Task
from wherefrom.settings import Settings

Work = Callable[[Sequence[Task]], Iterator[tuple[Task, dict[str, Any]]]]
"""Tasks to their outcomes, plain, as they get done."""

Plain = dict[str, Any]


@contextmanager
def worked(directory: str, settings: Settings, jobs: int) -> Iterator[Work]:
    """Processes that have a collection open to be read, and what gives them work."""
    pool = _Pool(directory, settings, jobs)
    try:
        yield pool.work
    finally:
        pool.end()


class _Pool:
    def __init__(self, directory: str, settings: Settings, jobs: int) -> None:
        self._ready = (directory, settings)
        self._jobs = jobs
        self._executor: ProcessPoolExecutor | None = None

    def work(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Plain]]:
        waiting = deque(tasks)
        running: dict[Future[Plain], Task] = {}
        while waiting or running:
            while waiting and len(running) < 2 * self._jobs:
                task = waiting.popleft()
                try:
                    running[self._begun().submit(trying.perform, task)] = task
                except BrokenProcessPool:
                    waiting.appendleft(task)
                    break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            died = [running[one] for one in done if isinstance(one.exception(), BrokenProcessPool)]
            for one in done:
                task = running.pop(one)
                if task not in died:
                    yield task, one.result()
            if died or (waiting and not running):
                # Which of those under way did it cannot be told: each is tried alone.
                died += [task for one, task in running.items() if not self._settled(one)]
                settled = [(task, one.result()) for one, task in running.items() if self._settled(one)]
                running.clear()
                self.end()
                yield from settled
                for task in died:
                    yield task, self._alone(task)

    def end(self) -> None:
        """End the processes, with what they are doing."""
        if self._executor is not None:
            processes = list((self._executor._processes or {}).values())
            self._executor.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()
            for process in processes:
                process.join(5)
            self._executor = None

    def _begun(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                self._jobs, multiprocessing.get_context("spawn"), trying.begin, self._ready
            )
        return self._executor

    @staticmethod
    def _settled(one: Future[Plain]) -> bool:
        return one.done() and not one.cancelled() and one.exception() is None

    def _alone(self, task: Task) -> Plain:
        try:
            return self._begun().submit(trying.perform, task).result()
        except BrokenProcessPool:
            self.end()
            why = "The process that tried it died, or took too long and was ended."
            return Outcome(failed=((task.subject.uri, why),)).as_plain()
