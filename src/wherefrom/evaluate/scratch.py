"""Scratch: what a run is known by, and the folder in which it keeps what it needs to be resumed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wherefrom.batches import batched
from wherefrom.collection import Collection
from wherefrom.engine.lock import WriterLock
from wherefrom.errors import CollectionLocked
from wherefrom.evaluate.plans import Plan
from wherefrom.evaluate.trying import LIMIT, LONGEST, QUALITY
from wherefrom.features.extract import FINGERPRINT
from wherefrom.features.registry import versions_of
from wherefrom.settings import Settings
from wherefrom.sources.folder import walk
from wherefrom.version import __version__

_FORMAT = 1  # of the journal
_KEPT_DAYS = 14  # how long what a run that was stopped has left is kept


def default_scratch(environment: Mapping[str, str] = os.environ) -> Path:
    """Where runs keep what they need to be resumed: `wherefrom/evaluate` in the user's folder of caches."""
    from wherefrom.models.store import default_directory

    environment = {name: value for name, value in environment.items() if name != "WHEREFROM_MODELS"}
    return default_directory(environment).parent / "evaluate"


def digest(plan: Plan, settings: Settings, content: str) -> str:
    """Everything that decides what a run finds, as a name."""
    said = {
        "format": _FORMAT,
        "version": __version__,
        "features": versions_of(settings.card),
        "settings": settings_told(settings),
        "suite": [asdict(attempt) for attempt in plan.suite.attempts],
        "trials": plan.suite.trials,
        "sample": plan.sample,
        "held out": plan.held_out,
        "seed": plan.seed,
        "ways": [LIMIT, LONGEST, QUALITY],
        "content": content,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def settings_told(settings: Settings) -> dict[str, Any]:
    """The settings that decide what is found."""
    card = settings.card
    caps = asdict(settings.limits)
    del caps["memory"]  # which decides nothing of it
    return {"keypoints": settings.keypoints, "model": card.name if card else "none", "limits": caps}


def stamps(folder: str) -> str:
    """What is in a folder, told without reading the files."""
    known = hashlib.sha256(os.fsencode(os.path.abspath(os.path.expanduser(folder))))
    for one in walk(os.path.expanduser(folder)):
        stamp = getattr(one, "stamp", None)
        known.update(f"{one.uri}\0{stamp}\n".encode())
    return known.hexdigest()


def content(collection: Collection) -> str:
    """What is in a collection: its keys and the fingerprints of their images."""
    engine, known = collection.engine, hashlib.sha256()
    for keys in batched(engine.select(None), 1_000):
        codes = engine.features(FINGERPRINT, keys)
        known.update(b"".join(b"%d" % key + codes.get(key, b"") for key in keys))
    return known.hexdigest()


@contextmanager
def kept(place: Path, *, fresh: bool) -> Iterator[None]:
    """A run's own folder, in which one process works at a time; emptied where the run is to begin `fresh`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    name = place.with_name(f"{place.name}.lock")
    try:
        lock = WriterLock(name)
    except CollectionLocked as error:
        raise CollectionLocked("The same evaluation is running already. Wait until it is done.") from error
    try:
        if fresh:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(exist_ok=True)
        yield
    finally:
        name.unlink(missing_ok=True)
        lock.release()


def tidy(home: Path) -> None:
    """Take away what runs have left that nobody went on with."""
    with suppress(OSError):
        for place in home.iterdir():
            journal = place / "journal"
            if journal.exists() and time.time() - journal.stat().st_mtime > 86_400 * _KEPT_DAYS:
                shutil.rmtree(place, ignore_errors=True)
