"""The seam between a collection and the engine that keeps its images and nominates them.

Three protocols: `Store` keeps what is known and reads it, `Nominate` finds candidates by their features,
`Upkeep` looks after the whole. `embedded.py` is the engine of one machine, `memory.py` the plain twin that
every engine is held to (`tests/conformance`). Whoever asks an engine knows no more of it than this file.

A key is the integer by which an engine knows an image as long as it is there. It is handed about and never
calculated with. A part is a feature's place among those of one image and kind, from 0: a kind may have one
part an image, as a fingerprint has, or many, as faces or lines of text are. Selections and cursors are
opaque. All methods raise CollectionError and its kinds; a method that changes something has committed it when
it returns. Engines are safe to be called from several threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from wherefrom.errors import CollectionLocked
    from wherefrom.filters.terms import Filter
    from wherefrom.records import FieldValue, FileStamp, Image, NewImage, Refusal, SeenAt, Sighting

    Fields = Sequence[NDArray[np.uint8]]
    """n rows of a kind of feature, as its description divides them: uint8 (n, width) for each field."""

    Score = Callable[[Fields], NDArray[np.float32]]
    """What tells how much each of n rows is wanted, float32 (n,), higher is better."""

    OnPages = Callable[[int, int], None]
    """Told (bytes of the catalog copied, bytes in all); what it raises ends the copying."""


class Selection(Protocol):
    """The images that a filter lets through, as they were when it was asked."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __contains__(self, key: object) -> bool:
        """Whether an image is one of them."""
        ...

    def __iter__(self) -> Iterator[int]:
        """Their keys, in the order in which they were added."""
        ...

    def without(self, keys: Sequence[int]) -> Selection:
        """All of them but these."""
        ...


class CodeHit(NamedTuple):
    """A fingerprint near one of the codes asked for: `query` numbers the code, `distance` is in bits."""

    query: int
    key: int
    part: int
    distance: int


class Vote(NamedTuple):
    """An image that visual words speak for: which variant of the query, and how much.

    Scores are above 0, higher is better; they compare within one answer only.
    """

    key: int
    variant: int
    score: float


class VectorHit(NamedTuple):
    """An image whose vector is like one asked for: `similarity` is their cosine, 1 for equal ones."""

    query: int
    key: int
    similarity: float


class Scored(NamedTuple):
    """An image, and how much it is wanted."""

    key: int
    score: float


class NearPairs(NamedTuple):
    """Pairs of images whose fingerprints are near.

    `holding` are enough of them to connect whatever is connected: two images are in one group by them if and
    only if they are by all pairs. `others` are, of each image, a few of its nearest besides.
    """

    holding: list[tuple[int, int]]
    others: list[tuple[int, int]]


class Page(NamedTuple):
    """Keys of one page of a listing, how many there are on all pages, and the cursor of the next page."""

    keys: list[int]
    total: int
    next: str | None


class SightingPage(NamedTuple):
    """(image id, sighting) in order of uri, and the cursor of the next page."""

    rows: list[tuple[str, Sighting]]
    next: str | None


class Changes(NamedTuple):
    """What happened since a cursor: keys of images added and removed, and of those whose sightings changed.

    What was added and removed in between is in neither. That an image was seen again where it was known is
    no change. `cursor` is where the next call goes on; `more` says that there is more than was asked for:
    whoever reads on until there is none knows all that is there.
    """

    added: list[int]
    removed: list[int]
    seen: list[int]
    cursor: str
    more: bool


class Copied(NamedTuple):
    """What a backup holds: images, files of uploads, and bytes of all together.

    `damaged` names the files of uploads that are not what was uploaded any more: they are copied as they are.
    """

    images: int
    files: int
    bytes: int
    damaged: tuple[str, ...] = ()


class WordQuery(NamedTuple):
    """The n keypoints of one variant of a query picture.

    `words` uint16 (n, m): the words that each is assigned to, of which repeated ones count once.
    `signatures` uint64 (n,), `angles` and `scales` uint8 (n,), as keypoints have them.
    """

    words: NDArray[np.uint16]
    signatures: NDArray[np.uint64]
    angles: NDArray[np.uint8]
    scales: NDArray[np.uint8]


class Store(Protocol):
    """Keeps images with their sightings, fields and features.

    What is seen is the same whatever the order in which it is told. An image is gone from a uri when somebody
    missed it there, or another one was seen there, after it was last seen. An engine takes its clock as an
    argument: a function that tells the present in microseconds since 1970 UTC.
    """

    def add(
        self, images: Sequence[NewImage], originals: Mapping[bytes, bytes] | None = None
    ) -> list[tuple[int, bool]]:
        """Add images, all or none; gives each one's key and whether it was new.

        One that is known gains its place and its fields. `originals` are the bytes of some of them, to be
        kept, by digest. Raises UsageError for a field that none can have, or for too many.
        """
        ...

    def remove(self, keys: Sequence[int]) -> int:
        """Remove images with all that hangs on them; gives how many there were."""
        ...

    def set_fields(self, keys: Sequence[int], fields: Mapping[str, FieldValue | None]) -> int:
        """Give images fields, or with None take them away; gives how many images there were."""
        ...

    def document(self, name: str) -> Any:
        """The JSON value kept with the collection under that name, None when there is none."""
        ...

    def keep_document(self, name: str, value: Any) -> bool:
        """Keep a JSON value under a name, or with None forget it; gives whether there was one before."""
        ...

    def count(self) -> int:
        """How many images there are."""
        ...

    def total_bytes(self) -> int:
        """The sizes of the images' files, in sum."""
        ...

    def field_names(self) -> list[str]:
        """The name of every field that some image has, in order."""
        ...

    def select(self, wanted: Filter | str | None) -> Selection:
        """The images that a filter, or the text of one, lets through; all for None. Raises UsageError."""
        ...

    def page(
        self, within: Selection | None, order: str, *, descending: bool, limit: int, after: str | None
    ) -> Page:
        """Up to `limit` images in an order: `added`, `date` or `pixels`.

        The date is when it was taken, or else first seen, or added. Of equals the one that was added first
        comes first, or with `descending` last. `after` is the cursor of the page before, None to begin with.
        Raises UsageError for what is no cursor or order.
        """
        ...

    def images(self, keys: Sequence[int]) -> dict[int, Image]:
        """The images of those keys that exist.

        Their sightings come in this order: those that are not gone, by first moment, by uri, by page.
        """
        ...

    def features(self, kind: str, keys: Sequence[int]) -> dict[int, bytes]:
        """What is kept of one kind of feature, of those images that have it (see `features/registry.py`)."""
        ...

    def original(self, digest: bytes) -> bytes | None:
        """The bytes that were kept of an image; None where they were not, or are not what they were."""
        ...

    def keys_of(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The keys of those digests that are here."""
        ...

    def keys_at(self, uri: str) -> list[int]:
        """The keys of the images seen at a uri, whether or not they are still there."""
        ...

    def sightings(self, prefix: str, *, after: str | None, limit: int) -> SightingPage:
        """The next sightings whose uri begins with `prefix`, gone or not, in order of uri, image and page.

        `after` is the cursor of the page before, None to begin with. Raises UsageError for what is none.
        """
        ...

    def present_under(self, prefix: str) -> Iterator[SeenAt]:
        """Where images are at present: at a uri, or below it."""
        ...

    def several_places(self, keys: Sequence[int]) -> dict[int, list[SeenAt]]:
        """The files in which images are at present, of those that are in several places."""
        ...

    def mark_gone(self, places: Sequence[SeenAt]) -> None:
        """Remember that images are no longer where they were; what is marked keeps its moment."""
        ...

    def recognise(self, files: Sequence[tuple[str, FileStamp]], reader: str) -> dict[str, bytes | Refusal]:
        """Of these files, those known by uri, size and time: their digest, or why they were refused.

        A refusal counts only when the same `reader` (program, decoders, limits) made it. This changes the
        collection: what is recognised has been seen now.
        """
        ...

    def refuse(self, rows: Sequence[Refusal]) -> None:
        """Remember files that gave no picture."""
        ...

    def revision(self) -> str:
        """What changes whenever images, sightings or fields do, but for the moment of the last sighting."""
        ...

    def changes(self, since: str | None, limit: int) -> Changes:
        """What happened since a cursor, None for the beginning: at most `limit` keys of each, oldest first.

        Raises UsageError for what is no cursor.
        """
        ...


class Nominate(Protocol):
    """Finds candidates by their features. With `within`, no other image is found."""

    def near_codes(
        self, codes: NDArray[np.uint8], radius: int, *, enough: int = 0, within: Selection | None = None
    ) -> list[CodeHit]:
        """Every fingerprint within `radius` bits of each code, uint8 (q, 32), nearest first per code.

        An engine that finds it costly may leave out what is farther than `enough` bits, where there is
        anything nearer than that.
        """
        ...

    def near_words(
        self, query: Sequence[WordQuery], limit: int, *, within: Selection | None = None
    ) -> list[Vote]:
        """Up to `limit` images that most visual words of a query's variants speak for, best first.

        No image twice. It is a shortlist: what is behind the best few may be missed.
        """
        ...

    def near_vectors(
        self, queries: NDArray[np.float32], limit: int, *, within: Selection | None = None
    ) -> list[VectorHit]:
        """The `limit` images most similar to each query, float32 (q, d) of length 1, best first.

        A few of a hundred may be missed. Nothing where no model computes embeddings.
        """
        ...

    def near_pairs(self, radius: int, *, turned: bool, within: Selection | None = None) -> NearPairs:
        """The images whose fingerprints are within `radius` bits of each other's; also of mirrored, turned
        and negative ones with `turned`."""
        ...

    def best(self, kind: str, score: Score, limit: int, *, within: Selection | None = None) -> list[Scored]:
        """The images of which a kind of feature scores highest, best first, of equals the lower key."""
        ...

    def scan(self, kind: str) -> Iterator[Fields]:
        """Every row of a kind that lies in columns, a batch at a time, in no order."""
        ...


class Upkeep(Protocol):
    """Looks after what is kept: a store that does so by itself answers with nothing to do."""

    @property
    def directory(self) -> Path:
        """Where what is kept lies, and what others keep beside it."""
        ...

    def stale(self) -> list[int]:
        """The keys of images whose features are missing, damaged or of another version."""
        ...

    def refresh_features(self, rows: Sequence[tuple[int, str, Mapping[str, bytes]]]) -> None:
        """Replace the features of images: (key, decoder, data by kind)."""
        ...

    def rebuild(self) -> None:
        """Derive every index from what is kept again."""
        ...

    def damage(self) -> Iterator[str]:
        """Everything that is wrong with what is kept, a sentence each."""
        ...

    def sweep(self) -> int:
        """Delete kept bytes that belong to no image; gives how many there were."""
        ...

    def backup(self, directory: Path, progress: OnPages | None = None) -> Copied:
        """Copy what is kept to a directory that is new or empty, as it is at one moment."""
        ...

    def wait_for_turn(self, seconds: float, on_wait: Callable[[CollectionLocked], None] | None) -> None:
        """Wait so long, from now on, where another process is writing; `on_wait` is told who is."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Have the lock of the collection throughout; raises CollectionLocked."""
        ...

    def let_go(self, idle: float) -> bool:
        """Let others write if nothing was changed for `idle` seconds, or they wait; gives whether it did."""
        ...

    def close(self) -> None:
        """Let files and locks go. Whatever is called afterwards raises UsageError."""
        ...


class Engine(Store, Nominate, Upkeep, Protocol):
    """All of it: what a collection is opened on."""
