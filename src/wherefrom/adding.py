"""Adding: from what was offered to outcomes, a committed batch at a time.

Files that have not changed are known by path, size and time, without reading. The others go to the worker
processes; what comes back is collected and committed together, and only then reported. So whatever
a report names is in the collection for good, and stopping at any instant loses nothing that was named.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np

from wherefrom.batches import batched
from wherefrom.engine.base import Engine
from wherefrom.errors import FetchError, MachineFault, PictureError, Unreadable, UsageError, WherefromError
from wherefrom.features.extract import VERSIONS
from wherefrom.outcome import Outcome, Report, Status
from wherefrom.picture.limits import Limits
from wherefrom.picture.picture import Picture
from wherefrom.places import vanished
from wherefrom.receiving import Upload
from wherefrom.records import FileStamp, NewImage, Place, Refusal, SeenAt, image_id
from wherefrom.settings import Settings
from wherefrom.sources.folder import FoundFile, Unopened, walk
from wherefrom.sources.leaving import LeavingOut
from wherefrom.workers import Read, Task, Workers, image_of

COMMIT_IMAGES = 512
"""Images collected before a commit ..."""

COMMIT_SECONDS = 0.5
"""... or how long the first of them may wait for it."""

_LOOK_SECONDS = 0.05  # between looks at what is offered meanwhile
_LOOKUP = 1000  # files looked up in the catalog at a time


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing offered that has to be read or decoded."""

    uri: str
    path: str | None = None
    data: bytes | None = None
    stamp: FileStamp | None = None
    seen: bool = True  # whether `uri` is a place where the image was seen
    upload: Upload | None = None  # what came with it: its bytes are kept


Item = Offer | FoundFile | Unopened | NewImage
OnOutcome = Callable[[Outcome, Report], None]
OnSettled = Callable[["Offer", Outcome], None]


def offers(source: Any, settings: Settings, leaving: LeavingOut | None = None) -> Iterator[Item]:
    """What a source offers: a path, folder, URL, bytes, Picture, or an iterable of them.

    `leaving` is what is left out of folders; by default what belongs to other programs.
    Raises UsageError for anything else.
    """
    if isinstance(source, Picture):
        yield _of_picture(source, settings)
    elif isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        yield Offer(image_id(hashlib.sha256(data).digest()), data=data, seen=False)
    elif isinstance(source, str) and source.partition("://")[0].lower() in ("http", "https"):
        yield _of_url(source, settings)
    elif isinstance(source, str | os.PathLike):
        yield from walk(os.path.expanduser(source), leaving=leaving or LeavingOut())
    elif isinstance(source, Iterable):
        for one in source:
            yield from offers(one, settings, leaving)
    else:
        raise UsageError(
            f"Pictures are added from a path, a folder, a URL, bytes, a Picture or an iterable of these, "
            f"not from {type(source).__name__}."
        )


def _of_picture(picture: Picture, settings: Settings) -> NewImage:
    # A picture that has no file is known by the file it would be as binary PNM.
    pixels = np.ascontiguousarray(picture.pixels)
    kind = b"P5" if pixels.ndim == 2 else b"P6"
    head = kind + b"\n%d %d\n255\n" % (pixels.shape[1], pixels.shape[0])
    return image_of(picture, hashlib.sha256(head + pixels.tobytes()).digest(), settings.recipe)


def _of_url(url: str, settings: Settings) -> Offer | Unopened:
    from wherefrom.sources.fetch import fetch

    try:
        fetched = fetch(
            url,
            max_bytes=settings.max_bytes,
            seconds=settings.fetch_seconds,
            allow_private=settings.private_networks,
        )
    except FetchError as error:
        return Unopened(url, error)
    return Offer(url, data=fetched.data)


class Adding:
    """One run of adding: offers in, outcomes out."""

    def __init__(
        self,
        engine: Engine,
        workers: Workers,
        limits: Limits,
        *,
        on_outcome: OnOutcome | None = None,
        retry: bool = False,
        stop: threading.Event | None = None,
        on_settled: OnSettled | None = None,
    ) -> None:
        """`retry` reads again what was refused before; `stop` ends the run cleanly when it is set;
        `on_settled` is told which offer that had to be read an outcome is of."""
        self.report = Report()
        self._engine = engine
        self._workers = workers
        self._reader = "" if retry else reader_stamp(limits)
        self._kept_reader = reader_stamp(limits)
        self._on_outcome = on_outcome
        self._on_settled = on_settled
        self._stop = stop or threading.Event()
        self._reading: dict[int, Offer] = {}
        self._done: list[tuple[Offer, Read]] = []
        self._oldest = 0.0
        self._number = 0

    def run(self, items: Iterator[Item]) -> Report:
        """Work through everything offered; returns the report."""
        start = time.monotonic()
        try:
            for batch in batched(items, _LOOKUP):
                for offer in self._unknown(batch):
                    self._submit(offer)
                    if self._stop.is_set():
                        break
                if self._stop.is_set():
                    break
            while self._reading and not self._stop.is_set():
                self._collect(0.2)
        finally:
            # Also when interrupted: what has been read is worth keeping.
            self._commit()
            self._reading.clear()
            self.report.interrupted = self._stop.is_set()
            self.report.seconds = time.monotonic() - start
        return self.report

    def serve(
        self,
        more: Callable[[], Offer | None],
        is_wanted: Callable[[Offer], bool],
        at_once: int,
    ) -> None:
        """Add what `more` gives, `at_once` at a time, until it gives None and all that was given is settled.

        `more` is asked again and again, whenever there is room. What is being decoded and is wanted no longer
        is stopped; nothing is told of it.
        """
        try:
            while True:
                while len(self._reading) < at_once and (offer := more()) is not None:
                    self._submit(offer)
                for number, offer in list(self._reading.items()):
                    if not is_wanted(offer) and self._workers.drop(number):
                        del self._reading[number]
                if not self._reading:
                    if not self._done:
                        return
                    self._commit()
                self._collect(_LOOK_SECONDS)
        finally:
            self._commit()
            self._reading.clear()

    def _unknown(self, batch: Sequence[Item]) -> Iterator[Offer]:
        """Settle what needs no reading; give the rest."""
        files = [item for item in batch if isinstance(item, FoundFile)]
        known = (
            self._engine.recognise([(file.uri, file.stamp) for file in files], self._reader) if files else {}
        )
        for item in batch:
            if isinstance(item, Unopened):
                self._tell(_refused(item.uri, item.error))
            elif isinstance(item, NewImage):
                self._add_picture(item)
            elif isinstance(item, Offer):
                yield item
            else:
                state = known.get(item.uri)
                if state is None:
                    yield Offer(item.uri, path=item.path, stamp=item.stamp)
                elif isinstance(state, Refusal):
                    status = Status.SKIPPED if state.skipped else Status.FAILED
                    self._tell(Outcome(status, item.uri, None, state.reason, state.code, before=True))
                else:
                    self._tell(Outcome(Status.KNOWN, item.uri, image_id(state)))
        digests = [state for state in known.values() if not isinstance(state, Refusal)]
        if digests:
            self._mark_moved(list(self._engine.keys_of(digests).values()))

    def _mark_moved(self, keys: Sequence[int]) -> None:
        """Of images that were just met, mark the other places as gone whose files are.

        A place on a disk that is away stays, and so does one of an image that is at none of its places.
        """
        gone: list[SeenAt] = []
        for places in self._engine.several_places(keys).values():
            missing = vanished(places)
            if len(missing) < len(places):
                gone += missing
        self._engine.mark_gone(gone)
        self.report.moved += len(gone)
        self.report.gone += len(gone)

    def _add_picture(self, image: NewImage) -> None:
        (_, new), *_ = self._engine.add([image])
        identifier = image_id(image.digest)
        self._tell(Outcome(Status.ADDED if new else Status.KNOWN, identifier, identifier))

    def _submit(self, offer: Offer) -> None:
        while self._workers.wants == 0 and not self._stop.is_set():
            self._collect(0.2)
        self._number += 1
        self._reading[self._number] = offer
        self._workers.submit(Task(self._number, offer.path, offer.data))

    def _collect(self, timeout: float) -> None:
        for read in self._workers.ready(timeout):
            if not self._done:
                self._oldest = time.monotonic()
            self._done.append((self._reading.pop(read.number), read))
        if len(self._done) >= COMMIT_IMAGES or (
            self._done and time.monotonic() - self._oldest > COMMIT_SECONDS
        ):
            self._commit()

    def _commit(self) -> None:
        """Make what has been read last, then report it."""
        done, self._done = self._done, []
        images: list[NewImage] = []
        originals: dict[bytes, bytes] = {}
        refusals: list[Refusal] = []
        for offer, read in done:
            if read.image is not None:
                fields = {} if offer.upload is None else offer.upload.fields
                images.append(replace(read.image, place=_place(offer, read), fields=fields))
                if offer.upload is not None:
                    originals[read.image.digest] = offer.upload.data
            elif read.error is not None and _lasts(read.error) and (read.stamp or offer.stamp):
                stamp = read.stamp or offer.stamp
                assert stamp is not None
                refusals.append(
                    Refusal(
                        offer.uri,
                        stamp,
                        read.error.code,
                        str(read.error),
                        read.error.skips,
                        self._kept_reader,
                        read.error.passing,
                    )
                )
        added = self._added(images, originals)
        results = iter(added)
        self._engine.refuse(refusals)
        known = [
            one[0]
            for image, one in zip(images, added, strict=True)
            if not isinstance(one, UsageError) and image.place and not one[1]
        ]
        if known:
            self._mark_moved(known)
        for offer, read in done:
            if read.error is not None:
                outcome = _refused(offer.uri, read.error)
            elif read.image is not None:
                result = next(results)
                if isinstance(result, UsageError):
                    outcome = _refused(offer.uri, result)
                else:
                    status = Status.ADDED if result[1] else Status.KNOWN
                    note = read.image.signs.note if read.image.signs is not None else None
                    outcome = Outcome(status, offer.uri, image_id(read.image.digest), note=note)
            else:
                continue
            self._tell(outcome)
            if self._on_settled is not None:
                self._on_settled(offer, outcome)

    def _added(
        self, images: Sequence[NewImage], originals: Mapping[bytes, bytes]
    ) -> list[tuple[int, bool] | UsageError]:
        """What became of each image. Where one has fields that it cannot have, only that one is refused."""
        if not images:
            return []
        try:
            return list(self._engine.add(images, originals))
        except UsageError as error:
            if len(images) == 1:
                return [error]
            # Together in one transaction none was added: each on its own says whose fault it was.
            return [one for image in images for one in self._added([image], _of(image, originals))]

    def _tell(self, outcome: Outcome) -> None:
        self.report.record(outcome)
        if self._on_outcome is not None:
            self._on_outcome(outcome, self.report)


def _of(image: NewImage, originals: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {image.digest: originals[image.digest]} if image.digest in originals else {}


def _place(offer: Offer, read: Read) -> Place | None:
    if offer.upload is not None:
        return offer.upload.place
    return Place(offer.uri, stamp=read.stamp) if offer.seen else None


def _lasts(error: PictureError | MachineFault) -> TypeGuard[PictureError]:
    """Whether a refusal says something of the file: permissions and the machine can be mended without."""
    return not isinstance(error, Unreadable | MachineFault)


def _refused(uri: str, error: WherefromError) -> Outcome:
    skips = isinstance(error, PictureError) and error.skips
    return Outcome(Status.SKIPPED if skips else Status.FAILED, uri, None, str(error), error.code)


def reader_stamp(limits: Limits) -> str:
    """What decides whether a file that was refused would be refused again: limits and decoders at hand."""
    from wherefrom.picture.extras import installed
    from wherefrom.picture.formats import FORMATS
    from wherefrom.version import __version__

    extras = sorted({f.extra for f in FORMATS.values() if f.extra and installed(f.extra)})
    caps = f"{limits.bytes}/{limits.pixels}/{limits.scaled_pixels}/{limits.seconds:g}"
    versions = "+".join(f"{kind}:{version}" for kind, version in VERSIONS.items())
    return f"wherefrom {__version__} {versions} {caps} {','.join(extras)}"
