"""The engine in memory."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wherefrom.engine.base import Copied, Page, Selection
from wherefrom.engine.fields import MOST, checked
from wherefrom.engine.memory.contents import Contents, Kept
from wherefrom.engine.memory.filters import lets_through
from wherefrom.engine.memory.nominate import MemoryNominate, Plain
from wherefrom.engine.memory.places import MemoryPlaces, numbers_in
from wherefrom.engine.statements import storable
from wherefrom.errors import CollectionLocked, FeatureMismatch, UsageError
from wherefrom.features.extract import VERSIONS
from wherefrom.features.registry import answering
from wherefrom.filters.parser import parse
from wherefrom.filters.terms import Filter, Kind, Term
from wherefrom.records import FieldValue, Image, NewImage, image_id, iso, now

if TYPE_CHECKING:
    from wherefrom.engine.base import OnPages

_ORDERS = ("added", "date", "pixels")


class MemoryEngine(MemoryPlaces, MemoryNominate):
    """An engine that holds everything in memory, in the simplest way. Thread-safe."""

    def __init__(
        self,
        *,
        versions: Mapping[str, str] = VERSIONS,
        dimension: int = 0,
        clock: Callable[[], int] = now,
        contents: Contents | None = None,
    ) -> None:
        """An empty one, or one upon the `contents` of another. `versions` and `dimension` are as in
        `EmbeddedEngine`; `clock` tells the present, in microseconds since 1970 UTC."""
        self.versions, self.dimension, self.clock = versions, dimension, clock
        self.lock = threading.RLock()
        self._contents: Contents | None = contents or Contents()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def contents(self) -> Contents:
        """What it holds. Raises UsageError when it has been closed."""
        if self._contents is None:
            raise UsageError("This collection has been closed; open it again.")
        return self._contents

    @property
    def directory(self) -> Path:
        """A folder of its own for what others keep beside a collection, deleted when it is closed."""
        with self.lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="wherefrom-")
            return Path(self._folder.name)

    # Images

    def add(
        self, images: Sequence[NewImage], originals: Mapping[bytes, bytes] | None = None
    ) -> list[tuple[int, bool]]:
        """Add images, all or none; gives each one's key and whether it was new."""
        with self.lock:
            here, present = self.contents, self.clock()
            self.check_version(self.versions)
            fields = self._fields_of(images)
            keys = self.keys_of([one.digest for one in images])
            found = []
            for one in images:
                key, is_new = keys.get(one.digest, here.last + 1), one.digest not in keys
                found.append((key, is_new))
                if is_new:
                    keys[one.digest] = here.last = key
                    versions = {kind: self.versions[kind] for kind in one.features}
                    here.images[key] = Kept(one, present, versions, dict(one.features))
                    here.log.append(("added", key))
                if one.fields:
                    here.images[key].fields = fields[one.digest]
                    here.log.append(("fields", key))
                if originals and one.digest in originals:
                    here.originals[one.digest] = originals[one.digest]
            places = [(key, one.place) for one, (key, _) in zip(images, found, strict=True) if one.place]
            with self.changing(storable(place.uri) for _, place in places):
                for key, place in places:
                    self.tell(key, place, present)
            return found

    def _fields_of(self, images: Sequence[NewImage]) -> dict[bytes, dict[str, FieldValue]]:
        """The fields that images will have. Raises UsageError where these cannot be."""
        known = self.keys_of([one.digest for one in images])
        found = {digest: self.contents.images[key].fields for digest, key in known.items()}
        for one in images:
            found[one.digest] = _joined(found.get(one.digest, {}), one.fields)
        return found

    def remove(self, keys: Sequence[int]) -> int:
        """Remove images with all that hangs on them; gives how many there were."""
        with self.lock:
            here = self.contents
            going = sorted(set(keys) & set(here.images))
            spots = [spot for key in going for spot in here.at(key)]
            for key in going:
                here.originals.pop(here.images.pop(key).new.digest, None)
                here.log.append(("removed", key))
            for uri in {spot[0] for spot in spots}:
                for spot in here.at(uri):
                    gone = here.gone(spot)
                    if gone is not None:  # what is gone stays gone, whoever was seen there instead
                        here.missing[spot] = gone
            with self.changing(uri for uri, _, _ in spots):
                for spot in spots:
                    here.forget(spot)
            return len(going)

    def set_fields(self, keys: Sequence[int], fields: Mapping[str, FieldValue | None]) -> int:
        """Give images fields, or with None take them away; gives how many images there were."""
        with self.lock:
            here, new = self.contents, checked(fields)
            joined = {key: _joined(here.images[key].fields, new) for key in set(keys) & set(here.images)}
            for key, some in joined.items():
                here.images[key].fields = some
                here.log.append(("fields", key))
            return len(joined)

    def document(self, name: str) -> Any:
        """The JSON value kept with the collection under that name, None when there is none."""
        return json.loads(self.contents.documents.get(name, "null"))

    def keep_document(self, name: str, value: Any) -> bool:
        """Keep a JSON value under a name, or with None forget it; gives whether there was one before."""
        with self.lock:
            text = json.dumps(value, allow_nan=False)
            before = self.contents.documents.pop(name, None)
            if value is not None:
                self.contents.documents[name] = text
            return before is not None

    # What there is

    def count(self) -> int:
        """How many images there are."""
        return len(self.contents.images)

    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        return sum(one.new.bytes for one in list(self.contents.images.values()))

    def field_names(self) -> list[str]:
        """The name of every field that some image has, in order."""
        return sorted({name for one in list(self.contents.images.values()) for name in one.fields})

    def select(self, wanted: Filter | str | None) -> Plain:
        """The images that a filter, or the text of one, lets through; all for None. Raises UsageError."""
        with self.lock:
            keys = sorted(self.contents.images)
            if wanted is None:
                return Plain(keys)
            tree = parse(wanted, self.field_names()) if isinstance(wanted, str) else wanted
            answered = cache(self._answered)
            for term in tree.terms():  # also where no image is asked: it may be refused
                if term.kind in (Kind.LABEL, Kind.COLOUR):
                    answered(Term(term.field, "=", term.value))
            images = self.images(keys)
            return Plain([key for key in keys if lets_through(tree, images[key], _among(key, answered))])

    def _answered(self, term: Term) -> set[int]:
        """The keys of the images that have the label or colour of a term."""
        asked = answering(term.field)
        if asked is None:
            raise UsageError(f"{term.field} cannot be asked for here: {term}.")
        kind, field = asked
        rows = field.rows(term.value)
        keys, fields = self.rows(kind.kind)
        return {key for key, it_has in zip(keys, rows(fields), strict=True) if it_has} if keys else set()

    def page(
        self, within: Selection | None, order: str, *, descending: bool, limit: int, after: str | None
    ) -> Page:
        """Up to `limit` images in an order, of equals the one that was added first."""
        if order not in _ORDERS:
            raise UsageError(f"Images are listed by {', '.join(_ORDERS)}, not by {order!r}.")
        with self.lock:
            images = self.images([key for key in self.contents.images if within is None or key in within])
            keys = sorted(images, key=lambda key: (self._place(images[key], key, order), key))
            keys = keys[::-1] if descending else keys
            start = 0
            if after is not None:
                key, place = numbers_in("page", after, 2)
                start = keys.index(key) + 1 if key in keys else min(place, len(keys))
            found = keys[start : start + limit]
            end = start + len(found)
            return Page(
                found, len(keys), f"page-{found[-1]}-{end - 1}" if found and end < len(keys) else None
            )

    def _place(self, image: Image, key: int, order: str) -> str | int:
        if order == "date":
            seen = [one.first_seen for one in image.sightings]
            return image.credit.taken or min(seen, default=image.added)
        return image.width * image.height if order == "pixels" else key

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist."""
        with self.lock:
            here = self.contents
            return {key: self._image(key, here.images[key]) for key in keys if key in here.images}

    def _image(self, key: int, kept: Kept) -> Image:
        here, new = self.contents, kept.new
        spots = sorted(here.at(key), key=lambda spot: (here.gone(spot) is not None, here.first(spot), spot))
        facts = (new.width, new.height, new.format, new.bytes, new.frames, new.quality)
        seen, fields = tuple(map(here.sighting, spots)), dict(sorted(kept.fields.items()))
        added = iso(kept.added) or ""
        return Image(image_id(new.digest), *facts, added, new.credit, seen, fields, new.signs)

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """What is kept of one kind of feature, of those images that have it."""
        with self.lock:
            here = self.contents.images
            return {key: here[key].features[kind] for key in keys if kind in here.get(key, _NONE).features}

    def original(self, digest: bytes) -> bytes | None:
        """The bytes that were kept of an image; None where they were not, or are others."""
        data = self.contents.originals.get(digest)
        return data if data is not None and hashlib.sha256(data).digest() == digest else None

    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are here."""
        with self.lock:
            wanted = set(digests)
            return {
                one.new.digest: key for key, one in self.contents.images.items() if one.new.digest in wanted
            }

    # Upkeep

    def check_version(self, kinds: Iterable[str]) -> None:
        """Raises FeatureMismatch where features of some kinds are here in another version than ours."""
        for one in list(self.contents.images.values()):
            for kind in kinds:
                other = one.versions.get(kind)
                if other is not None and other != self.versions.get(kind):
                    raise FeatureMismatch(
                        f"The {kind} features here are of version {other}, and this program computes "
                        f"{self.versions.get(kind, 'none')}; the two cannot be compared. "
                        f"Run: wherefrom rebuild"
                    )

    def stale(self) -> list[int]:
        """The keys of images whose features are missing or of another version."""
        with self.lock:
            here = self.contents.images
            return [
                key
                for key in sorted(here)
                if any(here[key].versions.get(kind) != version for kind, version in self.versions.items())
            ]

    def refresh_features(self, rows: Sequence[tuple[int, str, Mapping[str, bytes]]]) -> None:
        """Replace the features of images: (key, decoder, data by kind)."""
        with self.lock:
            for key, _, data in rows:
                if key in self.contents.images:
                    one = self.contents.images[key]
                    one.features = {kind: data[kind] for kind in self.versions}
                    one.versions = dict(self.versions)

    def rebuild(self) -> None:
        """Nothing is derived from what is kept."""

    def damage(self) -> Iterator[str]:
        """Nothing can be wrong with it."""
        return iter(())

    def sweep(self) -> int:
        """Bytes are kept of images alone."""
        return 0

    def backup(self, directory: Path, progress: OnPages | None = None) -> Copied:  # noqa: ARG002
        """Raises UsageError: it does not last."""
        raise UsageError(f"A collection in memory cannot be copied to {directory}; keep it in a directory.")

    def wait_for_turn(self, seconds: float, on_wait: Callable[[CollectionLocked], None] | None) -> None:
        """Nobody else writes to it."""

    def writing(self) -> AbstractContextManager[None]:
        """Nobody else writes to it."""
        return nullcontext()

    def let_go(self, idle: float) -> bool:  # noqa: ARG002
        """There is nothing to let go of."""
        return False

    def close(self) -> None:
        """Forget everything. Whatever is called afterwards raises UsageError."""
        with self.lock:
            self._contents = None
            if self._folder is not None:
                self._folder.cleanup()


_NONE = Kept(None, 0, {}, {})  # type: ignore[arg-type]  # of it nothing but the features are looked at


def _among(key: int, answered: Callable[[Term], set[int]]) -> Callable[[Term], bool]:
    """Whether an image is among those that have what a term asks for."""
    return lambda term: key in answered(Term(term.field, "=", term.value))


def _joined(before: Mapping[str, FieldValue], new: Mapping[str, FieldValue | None]) -> dict[str, FieldValue]:
    """Fields with others in the place of those of the same names. Raises UsageError."""
    joined = {**before, **checked(new)}
    some = {name: value for name, value in joined.items() if value is not None}
    if len(some) > MOST:
        raise UsageError(f"An image may have {MOST} fields, and one would have {len(some)}; take some away.")
    return some
