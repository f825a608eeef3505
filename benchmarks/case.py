"""What a benchmark is: a function of options with an answer in JSON, and how that answer is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DEFAULT_MINUTES = 40.0
Options = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """How long everything may take together; `shared` says whether the measuring set is there.

    `share` is the time there is as a part of the default; below 1 sizes shrink, above 1 nothing grows but
    the number of originals. `full` asks for what does not fit the default: 100 million fingerprints.
    """

    minutes: float = DEFAULT_MINUTES
    shared: bool = True
    full: bool = False

    @property
    def share(self) -> float:
        return self.minutes / DEFAULT_MINUTES

    def size(self, whole: float, least: float = 1) -> int:
        """A size in proportion to the time, from `least` to `whole`."""
        return round(max(least, min(1.0, self.share) * whole))


@dataclass(frozen=True)
class Case:
    """One benchmark: a function of `benchmarks`, in a process of its own: `run` of the module of its name.

    It takes options by name and gives (result, what is below its bar, as sentences). `minutes` is what it
    takes of the default budget on two cores. `teller` gives a result with the texts that its section in
    `sections.md` wants, `lost` what a peer does better, `headline` rows of the README's table. Those that
    are run `by_hand` are in no run of everything.
    """

    name: str
    title: str
    minutes: float
    teller: Callable[[Any], dict[str, Any]] | None = None
    lost: Callable[[Any], list[str]] | None = None
    headline: Callable[[Any], list[tuple[str, str]]] | None = None
    sizes: tuple[tuple[str, tuple[float, float]], ...] = ()
    more: Callable[[Budget], Options] | None = None
    place: str = ""
    section: str = ""
    needs_shared: bool = False
    only_full: bool = False
    hand: bool = False

    def sized(self, **sizes: tuple[float, float]) -> Case:
        """With options that are sizes, each (whole, least), to fit the time that there is."""
        return replace(self, sizes=tuple(sizes.items()))

    def given(self, more: Callable[[Budget], Options]) -> Case:
        """With more options."""
        return replace(self, more=more)

    def shared(self) -> Case:
        """Left out without the measuring set."""
        return replace(self, needs_shared=True)

    def full(self, name: str) -> Case:
        """The benchmark of another name, at a size that does not fit the default."""
        return replace(self, only_full=True, place=name, section=name)

    def by_hand(self, place: str = "") -> Case:
        """Run only when it is named; told by its plain figures."""
        return replace(self, hand=True, place=place, section="any")

    def options(self, budget: Budget) -> Options:
        """What it is given so that it fits."""
        sizes = {name: budget.size(*both) for name, both in self.sizes}
        return (self.more(budget) if self.more else {}) | sizes

    def limit(self, budget: Budget) -> float:
        """Seconds after which it is ended: well beyond what it should take, starting included."""
        return 120 + 60 * 2.5 * self.minutes * max(budget.share, 0.1) * (20 if self.hand else 1)

    def path(self) -> str:
        """MODULE or MODULE:FUNCTION."""
        place = self.place or self.name
        return place if "." in place else f"benchmarks.{place}"
