"""A collection, as it lies on the disk: how much there is, whether it is sound, and what hinders it.

Nothing in it is changed. Small collections are checked as `wherefrom check` does; of larger ones every index
is opened and a sample of images read.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from wherefrom.doctor.chosen import shown
from wherefrom.doctor.findings import Finding, broken
from wherefrom.doctor.machine import ROOT, Disk, Machine, disk_findings, disk_of
from wherefrom.engine.catalog import FILE_NAME
from wherefrom.engine.database import CURE, Database
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.indexes import folders
from wherefrom.engine.marker import read_marker
from wherefrom.engine.originals import FOLDER as UPLOADS
from wherefrom.engine.tables import feature_versions, images, refusals, sightings
from wherefrom.errors import CollectionError, Exit, FeatureMismatch, WherefromError
from wherefrom.features.embedding import dimension_of
from wherefrom.features.extract import EMBEDDING, PALETTE
from wherefrom.features.registry import features, versions_of
from wherefrom.printing import counted
from wherefrom.settings import Settings

CHECKED_IN_FULL = 16 * 1000**2
"""Bytes of a catalog up to which every row is checked: some 4,000 images, a second."""

_SAMPLED = 64
_LOG_BYTES = 64 * 1000**2  # that the catalog's log grows to before it is written back
_PROBLEMS = 10


@dataclass(slots=True)
class Kept:
    """What there is at `path`. Sizes are bytes; what could not be read is as it was made: empty."""

    path: str
    there: bool = False
    opened: bool = False
    images: int = 0
    sightings: int = 0
    bytes: dict[str, int] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    checked: str = "no"
    problems: list[str] = field(default_factory=list)
    writer: str | None = None
    disk: Disk | None = None

    @property
    def bytes_an_image(self) -> float | None:
        """Bytes on disk for each image."""
        return sum(self.bytes.values()) / self.images if self.images else None

    @property
    def indexes(self) -> int:
        """Bytes of what is derived, and mapped into memory."""
        return sum(self.bytes.get(folder, 0) for folder in folders().values())

    @property
    def room(self) -> int | None:
        """How many more images the disk has room for, about."""
        each = self.bytes_an_image
        if each is None or self.disk is None:
            return None
        room = max(0, int((self.disk.free - _LOG_BYTES) / each))
        return round(room, 2 - len(str(room)))  # no more digits than an estimate has

    def as_json(self) -> dict[str, object]:
        """The collection in numbers, texts, lists and dicts."""
        return {
            "path": self.path,
            "there": self.there,
            "images": self.images,
            "sightings": self.sightings,
            "bytes": self.bytes,
            "bytes_an_image": None if self.bytes_an_image is None else round(self.bytes_an_image),
            "room_for_images": self.room,
            "versions": self.versions,
            "refused": self.refused,
            "checked": self.checked,
            "problems": self.problems,
            "writer": self.writer,
            "disk": None if self.disk is None else self.disk.as_json(),
        }


def examine(
    path: Path, settings: Settings, machine: Machine, *, named: bool, root: Path = ROOT
) -> tuple[Kept, list[Finding]]:
    """What there is at `path` and what is found about it; `named` where a person asked for just this one."""
    kept = Kept(shown("collection", str(path)), there=path.is_dir())
    if not kept.there:
        return kept, list(_missing(kept.path, named=named))
    kept.disk = disk_of(path, root)
    kept.bytes = _bytes(path)
    findings = list(disk_findings(kept.disk, path))
    chosen = True
    try:
        card = settings.card
    except WherefromError:
        card, chosen = None, False  # told of with the models
    try:
        if not read_marker(path) and not (path / FILE_NAME).is_file():
            return kept, [*_missing(kept.path, named=named)]
        _read_catalog(kept, path)
        engine = EmbeddedEngine(path, versions=versions_of(card), dimension=dimension_of(card))
    except WherefromError as error:
        findings.append(unusable(error))
        return kept, findings
    with contextlib.closing(engine):
        kept.opened = True
        ours = versions_of(card)
        if not chosen:
            del ours[EMBEDDING]
        findings += _versions(kept, ours)
        findings += _soundness(kept, engine)
    findings += _of_disk(kept, path)
    findings += _of_memory(kept, machine)
    findings += _of_refusals(kept)
    return kept, findings


def _missing(path: str, *, named: bool) -> Iterator[Finding]:
    if named:
        yield broken(
            "no-collection",
            f"There is no collection at {path}.",
            f"Make one with: wherefrom index FOLDER -c {path}",
            Exit.COLLECTION,
        )


def unusable(error: WherefromError) -> Finding:
    """The finding that a collection cannot be opened."""
    what, _, cure = str(error).partition(". ")
    return broken(error.code, what.rstrip(".") + ".", cure or "Run: wherefrom check", Exit.COLLECTION)


def _bytes(path: Path) -> dict[str, int]:
    found = {"catalog": _taken(path.glob(f"{FILE_NAME}*"))}
    return found | {folder: _taken((path / folder).rglob("*")) for folder in (*folders().values(), UPLOADS)}


def _taken(files: Iterable[Path]) -> int:
    """Bytes on the disk, which are fewer than a file's size where it has holes."""
    total = 0
    for one in files:
        with contextlib.suppress(OSError):  # a writer has just replaced it
            total += one.stat().st_blocks * 512 if one.is_file() else 0
    return total


def _read_catalog(kept: Kept, path: Path) -> None:
    """Counts, versions and refusals. Raises CollectionDamaged or CollectionError."""
    database = Database(path / FILE_NAME)
    try:
        with database.reading() as connection:
            kept.images = connection.execute(select(func.count(images.c.id))).scalar_one()
            kept.sightings = connection.execute(select(func.count(sightings.c.id))).scalar_one()
            stated = connection.execute(select(feature_versions.c.kind, feature_versions.c.version)).all()
            for kind, version in stated:
                if version not in (known := kept.versions.setdefault(kind, [])):
                    known.append(version)
            counted = select(refusals.c.code, func.count()).group_by(refusals.c.code)
            kept.refused = dict(sorted((code, int(n)) for code, n in connection.execute(counted).all()))
    finally:
        database.close()
    kept.writer = _writer(path)


def _writer(path: Path) -> str | None:
    """Who is writing at present, None for nobody. The lock is tried and given back at once."""
    try:
        import fcntl

        handle = os.open(path / "writer.lock", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ImportError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(os.pread(handle, 4096, 0))
            return f"{note['command']} ({note['pid']}), since {note['since']}"
        return "another process"
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


def _versions(kept: Kept, ours: dict[str, str]) -> Iterator[Finding]:
    for kind, there in kept.versions.items():
        other = [version for version in there if version != ours.get(kind)]
        if not other or kind not in ours:
            continue
        known = features()[kind]
        copies = known.finds == "copies"
        what = (
            f"{known.nouns[1].capitalize()} are of {', '.join(other)}, and this program computes "
            f"{ours[kind]}: "
        )
        cure = "Run: wherefrom rebuild (it reads the files again)"
        if copies:
            what += "the collection cannot be searched."
            yield broken("feature-mismatch", what, cure, Exit.COLLECTION)
        else:
            what += "look-alikes and adding are refused, and copies are found as ever."
            yield Finding("features-differ", what, f"{cure}, or choose the model that it was made with.")


def _soundness(kept: Kept, engine: EmbeddedEngine) -> Iterator[Finding]:
    full = kept.bytes["catalog"] <= CHECKED_IN_FULL
    problems = list(_damage(engine) if full else _sampled(engine))
    kept.checked = (
        "every row" if full else f"opened, {_SAMPLED} images read; wherefrom check looks at every row"
    )
    kept.problems = problems[:_PROBLEMS]
    if problems:
        first, _, _ = problems[0].partition(" Run: ")
        others = f" And {len(problems) - 1} more, see: wherefrom check." if len(problems) > 1 else ""
        derived = all(problem.endswith("wherefrom rebuild") for problem in problems)
        yield broken(
            "damaged",
            f"{first}{others}",
            "Run: wherefrom rebuild" if derived else "See all with: wherefrom check. " + CURE,
            Exit.COLLECTION,
        )


def _damage(engine: EmbeddedEngine) -> Iterator[str]:
    """What is wrong; features of another version are told of elsewhere."""
    for problem in engine.damage():
        if "cannot be compared" not in problem:
            yield problem


def _sampled(engine: EmbeddedEngine) -> Iterator[str]:
    """What opening the indexes and reading a few images brings up."""
    import numpy as np

    from wherefrom.features.fingerprint import CODE_BYTES

    def copies() -> Any:
        return engine.near_codes(np.zeros((1, CODE_BYTES), np.uint8), 0)

    def palettes() -> Any:
        return next(engine.scan(PALETTE), None)

    def some() -> Any:
        keys = engine.select(None)
        picked = list(islice(keys, 0, None, max(1, len(keys) // _SAMPLED)))
        if len(engine.images(picked)) != len(picked):
            raise CollectionError("Images that the catalog lists are not in it. Run: wherefrom check")

    for part in (copies, palettes, some):
        try:
            part()
        except FeatureMismatch:
            continue
        except CollectionError as error:
            yield str(error)


def _of_disk(kept: Kept, path: Path) -> Iterator[Finding]:
    disk = kept.disk
    if disk is None:
        return
    if not disk.writable:
        yield Finding(
            "unwritable",
            f"{path} cannot be written to: it can be searched, and nothing can be added.",
            "Change its permissions (or mount it for writing) if pictures are to be added.",
        )
        return
    # An index that is merged or derived anew is written beside the old one.
    needed = kept.indexes + _LOG_BYTES
    if disk.free < needed:
        yield Finding(
            "disk-full",
            f"The disk has {disk.free / 1e6:,.0f} MB left; merging and rebuilding the indexes needs up to "
            f"{needed / 1e6:,.0f} MB.",
            f"Free {(needed - disk.free) / 1e6:,.0f} MB on {disk.mount or path}, or move the collection.",
        )


def _of_memory(kept: Kept, machine: Machine) -> Iterator[Finding]:
    mapped = kept.indexes
    rooms = [room for room in (machine.available, machine.memory_limit) if room is not None]
    if rooms and mapped > min(rooms):
        yield Finding(
            "memory",
            f"The indexes take {mapped / 1e9:.1f} GB, and {min(rooms) / 1e9:.1f} GB of memory are free: "
            f"parts of them are read from the disk again in every search.",
            "Give the machine more memory, or set WHEREFROM_KEYPOINTS lower and rebuild.",
        )


def _skipped(number: int) -> str:
    return f"{counted(number, 'file was', 'files were')} skipped"


def _of_refusals(kept: Kept) -> Iterator[Finding]:
    if missing := kept.refused.get("missing-extra"):
        yield Finding(
            "skipped-for-extras",
            f"{_skipped(missing)} because no decoder for {'it' if missing == 1 else 'them'} is installed.",
            "pip install 'wherefrom[formats]', then index the same folders again.",
        )
    if large := kept.refused.get("too-large"):
        yield Finding(
            "skipped-for-size",
            f"{_skipped(large)} for being over the limits.",
            "Raise WHEREFROM_MAX_PIXELS or WHEREFROM_MAX_BYTES if they are wanted, and index again.",
        )
