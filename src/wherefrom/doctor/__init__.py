"""The doctor: what is installed, what a collection is like, what is slow and why, with the cure for each.

Reads, measures for about a second, and changes nothing. It never goes to the network, and tells no secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wherefrom.doctor import chosen, installed, kept, machine, speed
from wherefrom.doctor.chosen import Chosen
from wherefrom.doctor.findings import Finding, Level
from wherefrom.doctor.installed import Installed
from wherefrom.doctor.kept import Kept
from wherefrom.doctor.machine import Machine
from wherefrom.doctor.speed import Speed
from wherefrom.engine.opening import directory_of
from wherefrom.errors import Exit, UsageError
from wherefrom.settings import Settings

__all__ = ["Examination", "Finding", "Level", "examine"]


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was seen, and the findings: what is broken first."""

    installed: Installed
    machine: Machine
    chosen: Chosen
    collection: Kept
    speed: Speed | None
    findings: tuple[Finding, ...]

    @property
    def exit(self) -> Exit:
        """0 where nothing is broken; 4 where the collection cannot be used; 2 for what else is broken."""
        codes = {finding.exit for finding in self.findings if finding.level is Level.BROKEN}
        if Exit.COLLECTION in codes:
            return Exit.COLLECTION
        return max(codes, default=Exit.OK)

    def as_json(self) -> dict[str, object]:
        """Everything in numbers, texts, lists and dicts."""
        return {
            "sound": self.exit == Exit.OK,
            "findings": [finding.as_json() for finding in self.findings],
            "installed": self.installed.as_json(),
            "machine": self.machine.as_json(),
            "settings": self.chosen.as_json(),
            "collection": self.collection.as_json(),
            "speed": None if self.speed is None else self.speed.as_json(),
        }


def examine(
    collection: str | None = None,
    *,
    measured: bool = True,
    environment: Mapping[str, str] = os.environ,
    root: Path = machine.ROOT,
) -> Examination:
    """Look at everything; `collection` is a directory that a person named, None for that of the settings.

    With `measured` the steps of adding and searching are timed. `root` is where `/proc` and `/sys` lie.
    """
    picked = chosen.read_chosen(environment)
    settings = picked.settings
    here = machine.read_machine(root)
    there = installed.read_installed(settings)
    found, about = _collection(
        collection or settings.collection, settings, here, collection is not None, root
    )
    file = there.model["file"]
    times = None
    if measured:
        model = str(there.model["name"])
        times = speed.measure(str(file) if file is not None else None, model, settings.device)
    findings = [
        *chosen.findings(picked, here.usable, environment),
        *about,
        *installed.findings(there, settings, here),
        *machine.findings(here, settings.worker_count),
        *([] if times is None else speed.findings(times, here)),
    ]
    findings.sort(key=lambda finding: finding.level is not Level.BROKEN)
    return Examination(there, here, picked, found, times, tuple(findings))


def _collection(
    name: str, settings: Settings, here: machine.Machine, named: bool, root: Path
) -> tuple[kept.Kept, list[Finding]]:
    try:
        path = directory_of(name)
    except UsageError as error:
        return kept.Kept(chosen.shown("collection", name)), [kept.unusable(error)]
    return kept.examine(path, settings, here, named=named, root=root)
