"""Doing: what could go of groups of duplicates goes, one file at a time, and can be undone.

Right before a file is touched, the one that is kept is read whole and is what was indexed, and so is the file
itself; else it is passed over, and said why. What only shares a part, is a choice of the reader's, is a link
or lies in another program's library is never touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wherefrom.acting import files
from wherefrom.acting.bin import found_in_bin, free_names, put_in_bin
from wherefrom.acting.files import MARK, NotDone
from wherefrom.acting.journal import Deed, Journal
from wherefrom.errors import UsageError
from wherefrom.records import ID_PREFIX
from wherefrom.sources.folder import file_uri
from wherefrom.sources.leaving import innards, library_of

if TYPE_CHECKING:
    from wherefrom.collection import Collection
    from wherefrom.groups import Duplicate, Group
    from wherefrom.records import Image, Sighting

WAYS = ("trash", "move", "hardlink", "reflink")
"""What can be done: to the bin, to a folder, another name of the kept file, or blocks shared with it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A file that could go: its `path` and image, and the file and image that stay."""

    group: int
    path: str
    id: str
    bytes: int
    kept: str
    kept_id: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a step: `now` is where the file is, and `why` why nothing was done to it."""

    step: Step
    now: str | None = None
    why: str | None = None


@dataclass(slots=True)
class Acted:
    """What a run did: results in the order of the steps; `run` is its name in the journal."""

    run: str
    done: list[Result] = field(default_factory=list)
    passed: list[Result] = field(default_factory=list)

    @property
    def freed(self) -> int:
        """Bytes that are freed, or will be once the bin is emptied."""
        return sum(one.step.bytes for one in self.done)


def steps(groups: Iterable[Group], way: str) -> tuple[list[Step], list[Result]]:
    """What would be done, and what could go but will not be touched, and why."""
    found: list[Step] = []
    passed: list[Result] = []
    for number, group in enumerate(groups, 1):
        for one in group.spare if group.kind == "picture" else ():
            path = one.place.path if one.place is not None else None
            stays, place = _stays(group, one, way)
            kept = place.path if place is not None else None
            if path is None or kept is None:
                continue
            step = Step(number, path, one.image.id, one.image.bytes, kept, stays.id)
            why = _barred(step, way, one.place.there if one.place else None)
            if why is None:
                found.append(step)
            else:
                passed.append(Result(step, why=why))
    return found, passed


def _stays(group: Group, spare: Duplicate, way: str) -> tuple[Image, Sighting | None]:
    """The image and file that stay where a spare one goes: of those it was made from, the nearest that does.

    Where files are replaced by what has the same bytes, that is the first file that has them.
    """
    first: dict[str, Duplicate] = {}
    for one in group.others:
        first.setdefault(one.image.id, one)
    if way in ("hardlink", "reflink"):
        own = first[spare.image.id]
        return (group.keep, group.place) if spare.parent == group.keep.id else (own.image, own.place)
    parent, seen = spare.parent, set[str]()
    while parent != group.keep.id and parent in first and parent not in seen:
        seen.add(parent)
        above = first[parent]
        if above.suggestion != "spare" and above is not spare:
            return above.image, above.place
        parent = above.parent
    return group.keep, group.place


def _barred(step: Step, way: str, there: bool | None) -> str | None:
    if there is not True:
        return "it is out of reach at present"
    inside = library_of(step.path) or innards(step.path)
    if inside is not None:
        return f"it lies in {inside}, which another program looks after"
    if way in ("hardlink", "reflink") and (step.id != step.kept_id or step.path == step.kept):
        return "it does not hold the same bytes as the file that is kept"
    return None


def act(
    photos: Collection,
    plan: Sequence[Step],
    way: str,
    folder: str | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> Acted:
    """Do it. With the way `move`, `folder` is where files go, below it as they lay.

    The catalog learns of each file at once. Raises UsageError, CollectionLocked where another process writes,
    CollectionError where the journal cannot be written.
    """
    check_way(way, folder)
    acted = Acted(secrets.token_hex(6))
    with photos.engine.writing():
        journal = Journal(photos.engine.directory)
        _tidy(journal)
        base = _common(plan)
        kept_known: dict[str, tuple[str, os.stat_result]] = {}
        for number, step in enumerate(plan):
            deed = Deed(acted.run, number, way, step.path, step.id, step.kept, 0)
            target = None if folder is None else _target(folder, base, step.path)
            try:
                before = _verified(step, kept_known, way)
                now = _do(step, replace(deed, modified=before.st_mtime_ns), before, journal, target)
            except NotDone as error:
                result = Result(step, why=str(error))
                acted.passed.append(result)
            else:
                if way in ("trash", "move"):
                    _mark_gone(photos, step.path)
                result = Result(step, now)
                acted.done.append(result)
            if on_result is not None:
                on_result(result)
    return acted


def check_way(way: str, folder: str | None) -> None:
    """Raises UsageError for a way that is none, and where a folder is missing or of no use."""
    if way not in WAYS:
        raise UsageError(f"Files go one of these ways: {', '.join(WAYS)}; not {way[:40]!r}.")
    if (way == "move") != (folder is not None):
        raise UsageError("A folder is given where files are moved to one, and only there.")


def _do(step: Step, deed: Deed, before: os.stat_result, journal: Journal, target: str | None) -> str:
    if deed.way in ("hardlink", "reflink"):
        half = f"{Path(step.path).parent}/{MARK}{secrets.token_hex(8)}"
        deed = replace(deed, now=step.path, half=half)
    journal.begin(replace(deed, now=deed.now or target))
    try:
        files.still(step.path, before)
        note = None
        if deed.way == "trash":
            now, note = put_in_bin(step.path)
        elif deed.way == "move":
            assert target is not None
            now = _moved(step.path, target)
        else:
            assert deed.half is not None
            (files.hard_link if deed.way == "hardlink" else files.share)(step.kept, step.path, deed.half)
            now = step.path
    except NotDone:
        journal.passed(deed)
        raise
    journal.done(replace(deed, now=now, note=note))
    return now


def _moved(path: str, target: str) -> str:
    for name in free_names(target):
        try:
            files.move(path, name)
        except FileExistsError:
            continue
        return name
    raise NotDone("there are too many files of this name")


def _verified(step: Step, known: dict[str, tuple[str, os.stat_result]], way: str) -> os.stat_result:
    """The facts of a spare file, after it and the one to keep were read and are what was indexed."""
    kept = known.get(step.kept)
    if kept is None or not _is_unchanged(step.kept, kept[1]):
        try:
            kept = known[step.kept] = files.digest_of_file(step.kept)
        except NotDone as error:
            raise NotDone(f"of the file to keep: {error}") from error
    if ID_PREFIX + kept[0] != step.kept_id:
        raise NotDone("the file to keep has changed since it was indexed")
    with files.told():
        status = os.lstat(step.path)
    if (status.st_dev, status.st_ino) == (kept[1].st_dev, kept[1].st_ino):
        raise NotDone("it is the file to keep, under another name")
    digest, before = files.digest_of_file(step.path)
    files.still(step.path, before)  # and no link to what was read
    if ID_PREFIX + digest != step.id:
        raise NotDone("it has changed since it was indexed")
    if way in ("hardlink", "reflink"):
        if before.st_dev != kept[1].st_dev:
            raise NotDone("it lies on another disk than the file to keep")
        if not files.same_bytes(step.kept, step.path):
            raise NotDone("it does not hold the same bytes as the file to keep")
    return before


def _is_unchanged(path: str, before: os.stat_result) -> bool:
    try:
        now = os.stat(path)
    except OSError:
        return False
    return all(
        getattr(now, name) == getattr(before, name) for name in ("st_dev", "st_ino", "st_size", "st_mtime_ns")
    )


def _common(plan: Sequence[Step]) -> str:
    """The folder that all files of a plan lie in."""
    folders = [str(Path(path).parent) for step in plan for path in (step.path, step.kept)]
    return os.path.commonpath(folders) if folders else "/"


def _target(folder: str, base: str, path: str) -> str:
    return os.path.join(os.path.abspath(os.path.expanduser(folder)), os.path.relpath(path, base))  # noqa: PTH118


def _mark_gone(photos: Collection, path: str) -> None:
    uri = file_uri(path)
    photos.engine.mark_gone([at for at in photos.engine.present_under(uri) if at.uri == uri])


def undo(photos: Collection, run: str | None = None) -> Iterator[tuple[Deed, str | None]]:
    """Undo a run, or the last one that was not undone: each deed, and why it could not be undone (None when
    it was).

    Whoever calls adds what is back.
    """
    with photos.engine.writing():
        journal = Journal(photos.engine.directory)
        for deed in journal.last_run(run):
            try:
                _undo(deed)
            except NotDone as error:
                yield deed, str(error)
                continue
            journal.undone(deed)
            yield deed, None


def _tidy(journal: Journal) -> None:
    """Delete the names in between that a run left which was killed."""
    for deed in journal.last_run():
        if deed.half is not None:
            with contextlib.suppress(OSError):
                os.unlink(deed.half)  # noqa: PTH108


def _undo(deed: Deed) -> None:
    if deed.half is not None:
        if os.path.lexists(deed.half):
            with files.told():
                os.unlink(deed.half)  # noqa: PTH108
        with files.told():
            if not os.path.lexists(deed.path):
                raise NotDone("it is not there any more")
            if deed.way == "hardlink" and Path(deed.path).samefile(deed.kept):
                files.part(deed.path)
                os.utime(deed.path, ns=(deed.modified, deed.modified))
        return
    if deed.now is None and not os.path.lexists(deed.path) and (found := found_in_bin(deed.path)):
        deed = replace(deed, now=found[0], note=found[1])
    if deed.now is None or not os.path.lexists(deed.now):
        if os.path.lexists(deed.path):
            return  # stopped before anything was done
        raise NotDone("it is not where it was put any more")
    if os.path.lexists(deed.path):
        if Path(deed.now).stat().st_size == 0:  # a name that was taken when it was stopped
            return
        raise NotDone("there is another file in its place by now")
    try:
        files.move(deed.now, deed.path)
    except FileExistsError:
        raise NotDone("there is another file in its place by now") from None
    if deed.note is not None and os.path.lexists(deed.note):
        with files.told():
            os.unlink(deed.note)  # noqa: PTH108
