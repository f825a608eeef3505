"""Plans: what is to be evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from wherefrom.errors import UsageError
from wherefrom.evaluate.suites import Suite
from wherefrom.printing import counted

SAMPLE = 500
"""Originals that are tried where it is not said how many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be evaluated.

    `folder` is the folder to be indexed, None for the `collection` in a directory as it is. `sample` is how
    many originals are tried at most, `held_out` how many pictures are held out, None for a tenth.
    """

    suite: Suite
    folder: str | None = None
    collection: str | None = None
    sample: int = SAMPLE
    held_out: int | None = None
    seed: int = 0
    jobs: int = 0


def check(plan: Plan) -> None:
    """Raises UsageError for a plan of no use."""
    if plan.sample < 1:
        raise UsageError(f"The sample is how many pictures are tried, at least 1, not {plan.sample}.")
    if plan.held_out is not None and plan.held_out < 0:
        raise UsageError(f"{counted(plan.held_out, 'picture')} cannot be held out.")
    if plan.jobs < 0:
        raise UsageError(f"The jobs are how many processes work, at least 1, not {plan.jobs}.")
    if plan.folder is not None and plan.collection is not None:
        raise UsageError("Give a folder, which is indexed for the occasion, or --collection, not both.")
