"""Trying: one original edited and searched for, one held-out picture searched for. Work of processes."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from wherefrom.collection import Collection, open_collection
from wherefrom.decoding import decoded
from wherefrom.engine.base import Engine, Selection
from wherefrom.errors import CollectionError, Unreadable, WherefromError
from wherefrom.evaluate.edited import Edited, linear_scale, stretched
from wherefrom.evaluate.edits import edited, encoded
from wherefrom.evaluate.sampling import Subject
from wherefrom.evaluate.suites import ATTEMPTS, Attempt
from wherefrom.evaluate.trials import Alarm, Claim, FalseClaim, Trial
from wherefrom.evaluate.truth import beyond_doubt, held_to_truth
from wherefrom.picture.limits import Limits
from wherefrom.records import digest_of, image_id
from wherefrom.search.account import account
from wherefrom.search.answer import CLAIMS, Answer, Match
from wherefrom.search.find import find
from wherefrom.search.query import Query
from wherefrom.settings import Settings
from wherefrom.workers import read_file

LONGEST = 1280
"""Pixels of the longer side to which larger originals are reduced before they are edited, as people do who
post them; the truth is still told in pixels of the whole."""

LIMIT = 20
"""Matches that are asked for."""

QUALITY = 90
"""Of the JPEG in which an edited picture is searched for."""

_BESIDE = 4  # held-out pictures that an edit may show beside the original
_SLACK = 0.05  # relative: a smaller change of size is not worth naming
_ROUNDS = 5  # of taking a held-out picture's duplicates out of the search


class Task(NamedTuple):
    """One original with the edits to try, or one held-out picture where there are none.

    `barred` are keys of images that are not searched through; `beside` files to show beside the original.
    """

    subject: Subject
    edits: tuple[str, ...]
    seed: int
    barred: tuple[int, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: trials, an alarm, and for what could not be tried (what, why)."""

    trials: tuple[Trial, ...] = ()
    alarm: Alarm | None = None
    failed: tuple[tuple[str, str], ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """The outcome as a journal keeps it."""
        return {
            "trials": [trial.as_plain() for trial in self.trials],
            "alarm": None if self.alarm is None else self.alarm.as_plain(),
            "failed": [list(one) for one in self.failed],
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Outcome:
        """The inverse of `as_plain`."""
        return cls(
            tuple(Trial.from_plain(one) for one in plain["trials"]),
            None if plain["alarm"] is None else Alarm.from_plain(plain["alarm"]),
            tuple((what, why) for what, why in plain["failed"]),
        )


class Bench:
    """What tries: a collection, open to be read, and nothing that changes it."""

    def __init__(self, place: str, settings: Settings) -> None:
        self.settings = settings
        self.collection: Collection = open_collection(place, settings=settings)
        self.engine: Engine = self.collection.engine
        self._every: Selection | None = None

    def close(self) -> None:
        """Let the collection go."""
        self.collection.close()

    def warm(self) -> None:
        """Search once for something, so that what is loaded once is in nobody's time."""
        blank = Image.effect_noise((256, 256), 60).convert("RGB")
        with suppress(WherefromError):
            self._answer(Query.read(encoded(blank, "JPEG", QUALITY), self.settings), ())

    def allowed(self, barred: Sequence[int]) -> Selection | None:
        """The images that may be found when some are barred; None for all."""
        if not barred:
            return None
        if self._every is None:
            self._every = self.engine.select(None)
        return self._every.without(barred)

    def perform(self, task: Task) -> Outcome:
        """Try what a task says. Raises CollectionError when the collection cannot be used; else never."""
        try:
            data = self._read(task.subject)
            if not task.edits:
                return self.stranger(task, data)
            return self.original(task, data)
        except CollectionError:
            raise
        except WherefromError as error:
            return Outcome(failed=((task.subject.uri, str(error)),))
        except Exception as error:  # noqa: BLE001 - whatever a picture does to a decoder is its own affair
            return Outcome(failed=((task.subject.uri, f"It could not be tried: {_said(error)}."),))

    def stranger(self, task: Task, data: bytes) -> Outcome:
        """A picture that is held out: searched for without itself and what is the same beyond doubt."""
        query = Query.read(data, self.settings)
        barred = list(task.barred)
        duplicates: list[str] = []
        for _ in range(_ROUNDS):
            answer = self._answer(query, barred)
            same = [match for match in answer if beyond_doubt(match)]
            if not same:
                break
            duplicates += [match.id for match in same]
            barred += self._keys_of(same)
        claims = tuple(
            FalseClaim(match.id, _place_of(match), match.kind.value, match.score)
            for match in answer
            if match.kind in CLAIMS and match.id not in duplicates
        )
        identifier = image_id(hashlib.sha256(data).digest())
        return Outcome(
            alarm=Alarm(task.subject.uri, identifier, claims, _times(answer), tuple(sorted(duplicates)))
        )

    def original(self, task: Task, data: bytes) -> Outcome:
        """All edits of one original."""
        source = source_of(data, self.settings.limits)
        answer = self._answer(Query.read(data, self.settings), task.barred)
        related = tuple(
            sorted(match.id for match in answer if match.id != task.subject.id and beyond_doubt(match))
        )
        trials: list[Trial] = []
        failed: list[tuple[str, str]] = []
        for name in task.edits:
            try:
                trials.append(self._trial(task, ATTEMPTS[name], source, related))
            except CollectionError:
                raise
            except Exception as error:  # noqa: BLE001 - recorded, and the rest are tried
                why = str(error) if isinstance(error, WherefromError) else f"{_said(error)}."
                failed.append((task.subject.uri, f"The edit {name!r} could not be tried: {why}"))
        return Outcome(tuple(trials), failed=tuple(failed))

    def _trial(self, task: Task, attempt: Attempt, source: Source, related: tuple[str, ...]) -> Trial:
        subject = task.subject
        done = edited_source(attempt, source, task.seed, task.beside, self.settings.limits)
        query = Query.read(encoded(done.image, "JPEG", QUALITY), self.settings)
        answer = self._answer(query, task.barred)
        claims = [match for match in answer if match.kind in CLAIMS]
        rank = next((place for place, match in enumerate(claims, 1) if match.id == subject.id), None)
        found = any(match.id == subject.id or match.id in related for match in claims)
        held = None
        if rank is not None:
            held = held_to_truth(source.size, done, claims[rank - 1], covered=attempt.covered)
        told = None
        if not found:
            allowed = self.allowed(task.barred)
            told = account(
                self.engine, query, subject.key, limit=LIMIT, allowed=allowed, answer=answer
            ).as_json()
        return Trial(
            original=subject.id,
            uri=subject.uri,
            edit=attempt.edit,
            family=attempt.family,
            strength=attempt.strength,
            seed=task.seed,
            claims=tuple(Claim(match.id, match.kind.value, match.score) for match in claims),
            rank=rank,
            kind_expected=attempt.kinds,
            overlap=_rounded(held.overlap) if held else None,
            match_overlap=_rounded(held.match_overlap) if held else None,
            expected=tuple(sorted(done.names)),
            named=held.named if held else (),
            timings_ms=_times(answer),
            related=related,
            account=told,
        )

    def _answer(self, query: Query, barred: Sequence[int]) -> Answer:
        return find(self.engine, query, limit=LIMIT, allowed=self.allowed(barred))

    def _read(self, subject: Subject) -> bytes:
        if subject.path is None:
            data = self.engine.original(digest_of(subject.id))
            if data is None:
                raise Unreadable("Its bytes are not kept any more.")
            return data
        data, _ = read_file(subject.path, self.settings.limits)
        if subject.id and image_id(hashlib.sha256(data).digest()) != subject.id:
            raise Unreadable("Its file has changed since it was indexed.")
        return data

    def _keys_of(self, matches: Sequence[Match]) -> list[int]:
        return list(self.engine.keys_of([digest_of(match.id) for match in matches]).values())


class Source(NamedTuple):
    """An original as it is edited: an RGB image, and the size in pixels of the whole."""

    image: Image.Image
    size: tuple[int, int]


def source_of(data: bytes, limits: Limits) -> Source:
    """The picture of a file's bytes, no longer than `LONGEST`. Raises a PictureError."""
    picture = decoded(data, limits=limits)
    height, width = picture.pixels.shape[:2]
    size = (picture.facts.width, picture.facts.height)
    image = Image.fromarray(picture.pixels).convert("RGB")
    if (width, height) != size and max(width, height) < min(LONGEST, max(size)):
        image = _in_full(data, size) or image  # matching needs less than what people post
    factor = min(1.0, LONGEST / max(image.size))
    if factor < 1:
        small = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(small, Image.Resampling.LANCZOS, reducing_gap=3)
    return Source(image, size)


def _in_full(data: bytes, size: tuple[int, int]) -> Image.Image | None:
    """The upright RGB image of bytes that have been decoded once already; None where Pillow reads other."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as opened:
                opened.draft("RGB", (LONGEST, LONGEST))
                image = ImageOps.exif_transpose(opened)
                if image.has_transparency_data:
                    layer = image.convert("RGBA")
                    image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
                image = image.convert("RGB")
    except Exception:  # noqa: BLE001 - what Pillow alone cannot read
        return None
    shape = image.width * size[1] - image.height * size[0]
    return image if abs(shape) <= 4 * max(size) else None


def edited_source(
    attempt: Attempt, source: Source, seed: int, beside: Sequence[str], limits: Limits
) -> Edited:
    """A source edited, with the truth told in pixels of the whole original."""
    others = [one for one in map(_companion, beside, [limits] * len(beside)) if one] if attempt.beside else []
    done = edited(attempt.edit, source.image, seed, others)
    if source.image.size == source.size or done.transform is None:
        return done
    across, down = source.image.width / source.size[0], source.image.height / source.size[1]
    transform = done.transform @ stretched(across, down)
    names = done.names - {"scale"}
    if abs(linear_scale(transform, *source.size) - 1) > _SLACK:
        names |= {"scale"}
    return Edited(done.image, transform, names)


def query_image(trial: Trial, beside: Sequence[str], limits: Limits) -> tuple[Image.Image, Image.Image]:
    """(original, edited) of a trial, made again. Raises a PictureError where the file is not there."""
    from wherefrom.sources.folder import path_of

    data, _ = read_file(path_of(trial.uri) or trial.uri, limits)
    source = source_of(data, limits)
    return source.image, edited_source(ATTEMPTS[trial.edit], source, trial.seed, beside, limits).image


@lru_cache(maxsize=32)
def _companion(path: str, limits: Limits) -> Image.Image | None:
    try:
        return Image.fromarray(decoded(read_file(path, limits)[0], limits=limits).pixels).convert("RGB")
    except WherefromError:
        return None


def companions_of(seed: int, held_out: Sequence[str]) -> tuple[str, ...]:
    """The files of held-out pictures that stand beside an original."""
    count = min(_BESIDE, len(held_out))
    order = np.random.default_rng([seed, 1]).permutation(len(held_out))
    return tuple(held_out[int(place)] for place in order[:count])


def seed_of(seed: int, identifier: str) -> int:
    """The seed of an original's edits: it follows from that of the run and the id, and nothing else."""
    said = hashlib.blake2b(f"{seed}\0{identifier}".encode(), digest_size=4).digest()
    return int.from_bytes(said, "little")


def _place_of(match: Match) -> str:
    return match.sightings[0].uri if match.sightings else match.id


def _times(answer: Answer) -> dict[str, float]:
    return {name: round(value, 3) for name, value in answer.timings_ms.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(".: ")


# In the processes


class _Held:
    bench: Bench | None = None


def begin(place: str, settings: Settings) -> None:
    """Make a process ready: it opens the collection, and ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the parent
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    _Held.bench = Bench(place, settings)
    _Held.bench.warm()


def perform(task: Task) -> dict[str, Any]:
    """What `Bench.perform` gives, plain; a picture that hangs a decoder ends the process."""
    assert _Held.bench is not None
    _alarm(round(60 + _Held.bench.settings.limits.seconds * (2 + len(task.edits))))
    try:
        return _Held.bench.perform(task).as_plain()
    finally:
        _alarm(0)


def _alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):  # Windows has none
        signal.alarm(seconds)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def journal_name(task: Task) -> str:
    """What a task is called in the journal."""
    return f"{'original' if task.edits else 'held out'} {task.subject.id or task.subject.uri}"
