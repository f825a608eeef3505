"""Picturing: the galleries of a run. Edited pictures are made again, since edits are the same each time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from wherefrom.errors import WherefromError
from wherefrom.evaluate.galleries import Example, FalseAlarm, Galleries, Miss
from wherefrom.evaluate.measures import place
from wherefrom.evaluate.running import Run
from wherefrom.evaluate.trials import Alarm, Trial
from wherefrom.evaluate.trying import companions_of, query_image, source_of
from wherefrom.picture.limits import Limits
from wherefrom.present.sheet import thumbnail
from wherefrom.search.telling import stages
from wherefrom.sources.folder import path_of


def galleries_of(run: Run, limits: Limits, most: int) -> Galleries:
    """Thumbnails of at most so many misses and as many false alarms, and of an example for each edit.

    Misses are taken from every edit by turns, so that one that misses much does not crowd the others out.
    """
    misses = [
        _miss(trial, companions_of(trial.seed, run.beside), limits) for trial in _by_turns(run.trials, most)
    ]
    alarms = [alarm for alarm in run.alarms if alarm.claims][:most]
    return Galleries(
        misses=misses,
        alarms=[_alarm(alarm, limits) for alarm in alarms],
        examples=list(_examples(run, limits)) if most else [],
    )


def _by_turns(trials: Iterable[Trial], most: int) -> list[Trial]:
    waiting: dict[str, deque[Trial]] = {}
    for trial in trials:
        if place(trial) != 1:
            waiting.setdefault(trial.edit, deque()).append(trial)
    taken: list[Trial] = []
    while waiting and len(taken) < most:
        for edit in list(waiting):
            taken.append(waiting[edit].popleft())
            if not waiting[edit]:
                del waiting[edit]
    return sorted(taken[:most], key=lambda trial: (trial.family, trial.edit))


def _miss(trial: Trial, beside: Sequence[str], limits: Limits) -> Miss:
    try:
        original, query = (thumbnail(image) for image in query_image(trial, beside, limits))
    except (WherefromError, OSError, ValueError):
        original, query = b"", b""
    account = trial.account
    return Miss(
        trial.edit,
        trial.uri,
        original,
        query,
        place(trial),
        "" if account is None else str(account["reason"]),
        () if account is None else stages(account),
    )


def _alarm(alarm: Alarm, limits: Limits) -> FalseAlarm:
    first = alarm.claims[0]
    shown = [_shown(uri, limits) for uri in (alarm.uri, first.uri)]
    return FalseAlarm(alarm.uri, first.uri, shown[0], shown[1], first.kind, first.score)


def _shown(uri: str, limits: Limits) -> bytes:
    try:
        return thumbnail(source_of(Path(path_of(uri) or uri).read_bytes(), limits).image)
    except (WherefromError, OSError, ValueError):
        return b""


def _examples(run: Run, limits: Limits) -> Iterable[Example]:
    """One original for all edits where it can be: the first that was tried with each."""
    first = next(iter(run.trials), None)
    seen: dict[str, Trial] = {}
    for trial in run.trials:
        seen.setdefault(trial.edit, trial)
    for edit, trial in seen.items():
        if first is None:
            return
        try:
            beside = companions_of(first.seed, run.beside)
            shown = Trial(first.original, first.uri, edit, trial.family, trial.strength, first.seed)
            yield Example(edit, trial.family, thumbnail(query_image(shown, beside, limits)[1]))
        except (WherefromError, OSError, ValueError):
            continue
