"""The registry: what each kind of feature is, for everything that goes through all of them.

A kind is one `Feature`: how it is computed, stamped, checked, kept, indexed, and what it is good for. Tables,
indexes, versions, `check`, `doctor`, filters, the stages of a search and `why` read it from here and name no
kind. Built-in kinds (`features/kinds.py`) enter through the same door as others, which packages offer as
entry points of the group `wherefrom.features`: each is a `Feature`. `tests/conformance/feature.py` has the
suite that the author of a kind subclasses.

A kind may have many parts of an image, as faces or lines of text are: its parts are numbered from 0 and lie
together in one value, so that they are written, replaced and removed together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from wherefrom.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wherefrom.engine.base import Nominate, Selection
    from wherefrom.features.extract import Recipe
    from wherefrom.models.cards import Card
    from wherefrom.picture.picture import Picture

Fields = Sequence["NDArray[np.uint8]"]
"""n rows of a kind, as its widths divide them: uint8 (n, width) for each field."""

Rows = Callable[[Fields], "NDArray[np.bool_]"]
"""Which of n rows are meant: bool (n,)."""

GROUP = "wherefrom.features"
"""The group of entry points by which packages offer kinds of features."""


class View(NamedTuple):
    """A picture as features see it: upright, and `colour` gives it in colour where it has any."""

    picture: Picture
    colour: Callable[[], Picture]


Nominator = Callable[["Nominate", View, int, "Selection | None"], Sequence[int]]
"""Gives the keys of up to so many images that may be the picture that is viewed, likeliest first; only ones
of the selection, where there is one."""


@dataclass(frozen=True)
class Codes:
    """An index of 256-bit codes by Hamming distance. Of fingerprints alone."""

    folder: str


@dataclass(frozen=True)
class Words:
    """An inverted file of visual words. Of keypoints alone."""

    folder: str


@dataclass(frozen=True)
class Columns:
    """Rows of fixed width, one a part, that are scanned. `widths` are the bytes of each field of a row, given
    the dimension of the vectors of embeddings; the first two are a vector's where `vectors` says so."""

    folder: str
    name: str
    widths: Callable[[int], tuple[int, ...]]
    vectors: bool = False


@dataclass(frozen=True, eq=False)
class FilterField:
    """A field of the filter language that a kind of feature answers.

    `rows` takes the value of a term, with `:` or `=`, and gives what tells the rows that have it; it raises
    UsageError for a value that nothing can have. An image has it when one of its parts does.
    """

    name: str
    rows: Callable[[Any], Rows]


@dataclass(frozen=True, eq=False)
class Feature:
    """A kind of feature.

    `kind` is its name in the catalog, which never changes; `nouns` what one and several are called.
    `version` gives what tells values that may be compared, by the card of the model of embeddings. `extract`
    computes the packed parts, 0 or more, and 1 where there are not `many`; it is a pure function of the
    picture. `check` raises ValueError for bytes that no part can be. `blank` stands for a picture that cannot
    be had any more, and nothing is found by it. `finds` says what for: copies, look-alikes, or filters alone.
    """

    kind: str
    nouns: tuple[str, str]
    version: Callable[[Card | None], str]
    extract: Callable[[View, Recipe], Sequence[bytes]]
    check: Callable[[bytes, Recipe], None]
    blank: bytes = b""
    index: Codes | Words | Columns | None = None
    finds: Literal["copies", "similar", "filter"] = "filter"
    many: bool = False
    filters: tuple[FilterField, ...] = ()
    nominate: Nominator | None = None

    def packed(self, parts: Sequence[bytes]) -> bytes:
        """The parts of an image as the catalog keeps them."""
        if self.many:
            import msgpack

            packed: bytes = msgpack.packb(list(parts))
            return packed
        (one,) = parts
        return one

    def parts(self, data: bytes) -> list[bytes]:
        """The inverse of `packed`; none of empty bytes. Raises ValueError for what it cannot have given."""
        if not data:
            return []
        if not self.many:
            return [data]
        import msgpack

        parts = msgpack.unpackb(data)
        if not isinstance(parts, list) or any(type(part) is not bytes for part in parts):
            raise ValueError(f"no {self.nouns[1]}")
        return parts


_REGISTERED: dict[str, Feature] = {}


def register(feature: Feature) -> None:
    """Let a kind in. Raises UsageError for a kind or a filter field that there is already."""
    from wherefrom.filters.terms import let_in

    if feature.kind in _REGISTERED:
        raise UsageError(f"There is a kind of feature {feature.kind!r} already.")
    for field in feature.filters:
        let_in(field.name)
    _REGISTERED[feature.kind] = feature


@cache
def _load() -> None:
    """Let in the built-in kinds, and then those of packages."""
    from importlib.metadata import entry_points

    from wherefrom.features.kinds import BUILT_IN

    for feature in BUILT_IN:
        register(feature)
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        register(point.load())


def features() -> Mapping[str, Feature]:
    """Every kind by its name: built-in ones first."""
    _load()
    return _REGISTERED


def feature(kind: str) -> Feature:
    """A kind. Raises UsageError where there is none of that name."""
    found = features().get(kind)
    if found is None:
        raise UsageError(f"There is no kind of feature {kind!r}.")
    return found


def answering(name: str) -> tuple[Feature, FilterField] | None:
    """The kind that answers a field of the filter language; None for a field that none does."""
    return next(
        ((one, field) for one in features().values() for field in one.filters if field.name == name), None
    )


def nominators() -> Iterator[tuple[str, Nominator]]:
    """Kinds that nominate candidates by a function of their own."""
    for one in features().values():
        if one.nominate is not None:
            yield one.kind, one.nominate


def versions_of(card: Card | None) -> dict[str, str]:
    """The version of each kind of feature, with embeddings by the model of a card, if any."""
    return {kind: one.version(card) for kind, one in features().items()}


def blanks() -> dict[str, bytes]:
    """The features of an image whose picture cannot be had any more: by them it is never found."""
    return {kind: one.blank for kind, one in features().items()}
