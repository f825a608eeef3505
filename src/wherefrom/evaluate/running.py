"""The run of an evaluation: pictures chosen, tried in several processes, and written down as they are done.

A folder is indexed into a collection of its own, in a scratch directory, with the held-out pictures left out.
A collection is only read: what is held out of it is not let through, with all that is the same beyond doubt.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wherefrom.collection import Collection, open_collection
from wherefrom.errors import UsageError
from wherefrom.evaluate.journal import Journal
from wherefrom.evaluate.plans import Plan, check
from wherefrom.evaluate.sampling import Picked, Subject, held_out_of, images_of, pick, split_folder
from wherefrom.evaluate.scratch import content, default_scratch, digest, kept, settings_told, stamps, tidy
from wherefrom.evaluate.suites import Suite
from wherefrom.evaluate.surroundings import machine, sizes
from wherefrom.evaluate.trials import Alarm, Facts, Skip, Trial
from wherefrom.evaluate.trying import (
    Outcome,
    Task,
    companions_of,
    journal_name,
    seed_of,
)
from wherefrom.evaluate.working import worked
from wherefrom.features.registry import versions_of
from wherefrom.outcome import Outcome as Added
from wherefrom.outcome import Report as Adding
from wherefrom.outcome import Status
from wherefrom.printing import counted
from wherefrom.records import iso, now
from wherefrom.settings import Settings
from wherefrom.version import __version__

Told = Callable[[str, int, int, int], None]
"""Told of progress: what is being done, how much is done, how much of that by an earlier run, of how much."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run found. `beside` are the files of held-out pictures that edits show beside an original.

    `scratch` has what is needed to resume; `forget` takes it away once it is told what was found.
    """

    facts: Facts
    trials: tuple[Trial, ...]
    alarms: tuple[Alarm, ...]
    beside: tuple[str, ...] = ()
    resumed: int = 0
    scratch: Path = field(default=Path())

    def forget(self) -> None:
        """Take away what the run needed: the next one begins anew."""
        shutil.rmtree(self.scratch, ignore_errors=True)


def evaluate(
    plan: Plan,
    settings: Settings,
    *,
    scratch: Path | None = None,
    fresh: bool = False,
    told: Told | None = None,
) -> Run:
    """Carry out a plan, or go on with one that was stopped, unless it is to begin `fresh`.

    `scratch` is where the journal and the collection of a folder are kept meanwhile, by default a folder
    among the user's caches. Raises UsageError for a plan of no use or a folder without pictures,
    CollectionError when the collection cannot be used or the same evaluation is running already.
    """
    check(plan)
    home = scratch or default_scratch()
    told = told or _silent
    if scratch is None:
        tidy(home)
    if plan.folder is not None:
        paths, held = split_folder(plan.folder, plan.held_out, plan.seed)
        place = home / digest(plan, settings, stamps(plan.folder))
        with kept(place, fresh=fresh):
            return _of_folder(plan, settings, place, paths, held, told)
    directory = os.path.abspath(os.path.expanduser(plan.collection or settings.collection))
    with open_collection(directory, settings=settings) as collection:
        place = home / digest(plan, settings, content(collection))
        with kept(place, fresh=fresh):
            return _of_collection(plan, settings, place, directory, collection, told)


def _of_folder(
    plan: Plan,
    settings: Settings,
    place: Path,
    paths: Sequence[str],
    held: Sequence[Subject],
    told: Told,
) -> Run:
    journal, started = Journal(place / "journal"), iso(now()) or ""
    try:
        directory = str(place / "collection.wherefrom")
        skipped: list[Skip] = []
        with open_collection(directory, create=True, settings=settings) as collection:

            def show(outcome: Added, report: Adding) -> None:
                told("indexing", report.offered, 0, len(paths))
                if outcome.status in (Status.FAILED, Status.SKIPPED):
                    skipped.append(Skip(outcome.uri, outcome.reason or ""))

            collection.add(list(paths), on_outcome=show)
            if not len(collection):
                raise UsageError(f"None of the {counted(len(paths), 'file')} in {plan.folder} is a picture.")
        with open_collection(directory, settings=settings) as collection:
            return _tried(
                plan,
                settings,
                journal,
                started,
                directory,
                collection,
                held,
                skipped,
                told,
                place,
                plan.folder,
            )
    finally:
        journal.close()


def _of_collection(
    plan: Plan, settings: Settings, place: Path, directory: str, collection: Collection, told: Told
) -> Run:
    journal, started = Journal(place / "journal"), iso(now()) or ""
    try:
        order = images_of(collection.engine, plan.seed)
        if not order:
            raise UsageError("The collection is empty: there is nothing to evaluate.")
        held = pick(collection.engine, order, held_out_of(len(order), plan.held_out))
        return _tried(
            plan,
            settings,
            journal,
            started,
            directory,
            collection,
            held.subjects,
            [],
            told,
            place,
            directory,
        )
    finally:
        journal.close()


def _tried(
    plan: Plan,
    settings: Settings,
    journal: Journal,
    started: str,
    directory: str,
    collection: Collection,
    held: Sequence[Subject],
    skipped: list[Skip],
    told: Told,
    place: Path,
    source: str | None,
) -> Run:
    """Held-out pictures first, since they say what must not be found, then the originals."""
    resumed = len(journal)
    own = tuple(sorted(one.key for one in held if one.key))
    strangers = [Task(one, (), 0, own) for one in held]
    jobs = plan.jobs or settings.worker_count
    with worked(directory, settings, jobs) as work:
        outcomes = _finished(strangers, journal, work, told, "held out")
        alarms = [outcome.alarm for outcome in outcomes if outcome.alarm is not None]
        copies = [identifier for alarm in alarms for identifier in alarm.duplicates]
        barred = own and tuple(sorted({*own, *_keys(collection, copies)}))
        doubtless = {alarm.uri for alarm in alarms if not alarm.duplicates}
        beside = tuple(one.path for one in held if one.uri in doubtless and one.path is not None)
        order = images_of(collection.engine, plan.seed)
        picked = pick(collection.engine, order, plan.sample, barred)
        tasks = _originals(plan, picked, barred, beside)
        outcomes += _finished(tasks, journal, work, told, "originals")
    trials = tuple(trial for outcome in outcomes for trial in outcome.trials)
    failed = [Skip(what, why) for outcome in outcomes for what, why in outcome.failed]
    skips = sorted({*skipped, *picked.skipped, *failed})
    facts = Facts(
        version=__version__,
        seed=plan.seed,
        suite=plan.suite.name,
        source=source or "",
        images=len(collection) - len(barred),
        sampled=len({trial.original for trial in trials}),
        held_out=len(alarms),
        blank=len(picked.blank),
        skipped=tuple(skips),
        edits=_counts(plan.suite, trials),
        settings=settings_told(settings),
        features=versions_of(settings.card),
        bytes=sizes(directory),
        started=started,
        seconds=round(journal.seconds, 1),
        machine=machine(),
    )
    return Run(facts, trials, tuple(alarms), beside, resumed, place)


def _originals(plan: Plan, picked: Picked, barred: tuple[int, ...], beside: Sequence[str]) -> list[Task]:
    parts = plan.suite.parts(len(picked.subjects), plan.seed)
    tasks = []
    for subject, part in zip(picked.subjects, parts, strict=True):
        seed = seed_of(plan.seed, subject.id)
        edits = tuple(attempt.edit for attempt in part)
        tasks.append(Task(subject, edits, seed, barred, companions_of(seed, beside)))
    return tasks


def _finished(
    tasks: Sequence[Task],
    journal: Journal,
    work: Callable[[Sequence[Task]], Iterator[tuple[Task, dict[str, Any]]]],
    told: Told,
    what: str,
) -> list[Outcome]:
    """The outcomes of tasks, in their order; what the journal has is not done again."""
    waiting = [task for task in tasks if journal_name(task) not in journal]
    before = done = len(tasks) - len(waiting)
    if tasks:
        told(what, done, before, len(tasks))
    for task, plain in work(waiting):
        journal.append(journal_name(task), plain)
        done += 1
        told(what, done, before, len(tasks))
    return [Outcome.from_plain(journal[journal_name(task)]) for task in tasks]


def _keys(collection: Collection, identifiers: Sequence[str]) -> list[int]:
    from wherefrom.records import digest_of

    return list(collection.engine.keys_of([digest_of(one) for one in identifiers]).values())


def _counts(suite: Suite, trials: Sequence[Trial]) -> dict[str, int]:
    counts = {attempt.edit: 0 for attempt in suite.attempts}
    for trial in trials:
        counts[trial.edit] += 1
    return counts


def _silent(_what: str, _done: int, _before: int, _total: int) -> None:
    pass
