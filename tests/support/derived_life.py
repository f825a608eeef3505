"""Random lives of a derived index: whatever is done to it, it equals brute force and nothing is damaged."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.derived_kinds import Kind


class Life(RuleBasedStateMachine):
    """One writer that comes and goes, and a reader that was there before, over one directory."""

    kind: ClassVar[Kind[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="wherefrom-derived-")) / "i"
        self.source = self.kind.source()
        self.writer = self.kind.opened(self.directory, self.source)
        self.reader = self.kind.opened(self.directory, self.source, write=False)
        self.seed = 0

    def teardown(self) -> None:
        self.writer.close()
        shutil.rmtree(self.directory.parent)

    @rule(seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=30), every=st.integers(2, 9))
    def add(self, seeds: list[int], every: int) -> None:
        for seed in seeds:
            self.source.add(self.kind.nothing if seed % every == 0 else self.kind.item(seed))

    @rule(several=st.integers(10, 50), seed=st.integers(0, 1000))
    def add_one_by_one(self, several: int, seed: int) -> None:
        for number in range(several):
            self.source.add(self.kind.item(1000 * seed + number))
            self.writer.refresh()

    @precondition(lambda self: self.source.live)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        keys = sorted(self.source.live)
        for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=20, unique=True)):
            self.source.remove(key)

    @precondition(lambda self: len(self.source.live) > 20)
    @rule(kept=st.integers(0, 5))
    def remove_nearly_all(self, kept: int) -> None:
        for key in sorted(self.source.live)[kept:]:
            self.source.remove(key)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.writer = self.kind.opened(self.directory, self.source)

    @rule()
    def die(self) -> None:
        """A writer that is killed closes nothing."""
        self.writer = self.kind.opened(self.directory, self.source)

    @rule()
    def rebuild(self) -> None:
        self.writer.stop_writing()
        self.kind.files(self.directory).clear()
        self.writer = self.kind.opened(self.directory, self.source)

    @rule()
    def throw_away(self) -> None:
        """With nobody writing, the files can simply go."""
        self.writer.stop_writing()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.writer = self.kind.opened(self.directory, self.source)

    @rule()
    def another_reader(self) -> None:
        self.reader = self.kind.opened(self.directory, self.source, write=False)

    @rule(seed=st.integers(0, 10_000))
    def ask_otherwise(self, seed: int) -> None:
        self.seed = seed

    @invariant()
    def both_equal_brute_force(self) -> None:
        self.kind.check(self.writer, self.source, self.seed)
        self.kind.check(self.reader, self.source, self.seed)

    @invariant()
    def nothing_is_damaged(self) -> None:
        assert list(self.kind.opened(self.directory, self.source, write=False).damage()) == []


def lives(machine: type[Life], examples: int, steps: int) -> Any:
    """The test case that runs a machine."""
    case = machine.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return case
