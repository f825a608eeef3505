"""What filters ask of pictures and not of the catalog: labels and colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wherefrom.engine.base import Engine
from wherefrom.errors import UsageError
from wherefrom.features.colours import parse_colours
from wherefrom.features.embedding import classes_of
from wherefrom.features.extract import EMBEDDING, PALETTE
from wherefrom.features.resemblance import share_of
from wherefrom.filters.terms import Graded, Term
from wherefrom.models.labels import CLASS_SHARE, TEMPERATURE, classes

COLOUR_SHARE = 0.1
"""Of a picture that a colour has to have where a filter does not say how much."""

Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]


def answers(engine: Engine) -> Callable[[Term], Numbers]:
    """What tells the keys, rising, of the images that have the label or the colour of a filter's term."""

    def answer(term: Term) -> Numbers:
        value = term.value
        if not isinstance(value, Graded):
            raise UsageError(f"A label or colour is a word, not {value!r}.")
        return (_labelled if term.field == "label" else _coloured)(engine, value)

    return answer


def classes_named(text: str) -> NDArray[np.intp]:
    """The numbers of the classes whose name or category is `text`, or else of those with it as a word.

    Raises UsageError when there is none, with names that come near.
    """
    import difflib

    known, wanted = classes(), " ".join(text.lower().split())
    parents = [known.categories[place].lower() for place in known.parents.tolist()]
    names = [name.lower() for name in known.names]
    # Whole names come first: a hot dog is no dog.
    found = [number for number, said in enumerate(zip(names, parents, strict=True)) if wanted in said]
    if not found:
        found = [number for number, name in enumerate(names) if wanted in name.split()]
    if not found:
        near = difflib.get_close_matches(wanted, sorted({*names, *parents}), 3)
        hint = f" Near it are {', '.join(near)}." if near else ""
        raise UsageError(f"There is no label {text!r} among the {len(known.names):,} classes.{hint}")
    return np.array(found, np.intp)


class LabelCount(NamedTuple):
    """How many images have a label; of a category, `name` and `parent` are the same."""

    name: str
    parent: str
    images: int

    def as_json(self) -> dict[str, object]:
        """The count in the shape that all faces share."""
        return self._asdict()


def label_counts(engine: Engine) -> list[LabelCount]:
    """The labels and categories that images have as surely as a filter asks, most images first."""
    known = classes()
    names, categories = len(known.names), len(known.categories)
    members = np.bincount(known.parents, minlength=categories)
    named, parents = np.zeros(names, np.int64), np.zeros(categories, np.int64)
    for _, rows in engine.table(EMBEDDING):
        found, logs = classes_of(rows)
        there = found < names
        shares, rest = _shares(found, logs)
        named += np.bincount(found[there & (shares >= CLASS_SHARE)], minlength=names)
        category = np.where(there, known.parents[np.where(there, found, 0)], -1)
        same = (category[:, :, None] == category[:, None, :]) & there[:, None, :]
        of_category = (same * shares[:, None, :]).sum(axis=2)
        of_category += (members[category] - same.sum(axis=2)) * rest[:, None]
        # Each category of a row once: where the first of its classes stands.
        first = there & ~np.tril(same, -1).any(axis=2)
        parents += np.bincount(category[first & (of_category >= CLASS_SHARE)], minlength=categories)
    counts = [
        LabelCount(known.names[place], known.categories[known.parents[place]], int(named[place]))
        for place in np.flatnonzero(named).tolist()
    ]
    counts += [
        LabelCount(known.categories[place], known.categories[place], int(parents[place]))
        for place in np.flatnonzero(parents).tolist()
    ]
    return sorted(counts, key=lambda one: (-one.images, one.parent, one.name != one.parent, one.name))


def _shares(found: NDArray[np.intp], logs: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The confidence of each of the classes kept (n, CLASSES), and of each class that is not (n,)."""
    count = len(classes().names)
    there = found < count
    left = np.maximum(1 - (np.exp(logs) * there).sum(axis=1), 1e-6) / count
    rest = left ** (1 / TEMPERATURE)
    shares = np.exp(logs / np.float32(TEMPERATURE)) * there
    total = shares.sum(axis=1) + (count - there.sum(axis=1)) * rest
    return shares / total[:, None], rest / total


def _labelled(engine: Engine, wanted: Graded) -> Numbers:
    numbers = classes_named(wanted.text)
    named = np.zeros(65_536, np.bool_)
    named[numbers] = True
    least = CLASS_SHARE if wanted.least is None else wanted.least
    keys = []
    for some, rows in engine.table(EMBEDDING):
        found, logs = classes_of(rows)
        keys.append(some[_confidences(found, logs, named) >= least])
    return _rising(keys)


def _confidences(found: NDArray[np.intp], logs: Floats, named: NDArray[np.bool_]) -> Floats:
    """The confidence of each row's classes in those that are named, float32 (n,), as `labels_of` has it.

    The classes that are not kept share what is left; where none are kept it is 0.
    """
    there = found < len(classes().names)
    wanted = named[found] & there
    shares, rest = _shares(found, logs)
    sure = (shares * wanted).sum(axis=1) + (named.sum() - wanted.sum(axis=1)) * rest
    return np.asarray(np.where(there.any(axis=1), sure, 0), np.float32)


def _coloured(engine: Engine, wanted: Graded) -> Numbers:
    colour, *more = parse_colours(wanted.text)
    if more:
        raise UsageError(f"A filter takes one colour at a time, not {wanted.text!r}.")
    least = COLOUR_SHARE if wanted.least is None else wanted.least
    return _rising([some[share_of(colour, rows) >= least] for some, rows in engine.table(PALETTE)])


def _rising(keys: list[Numbers]) -> Numbers:
    return np.sort(np.concatenate([np.zeros(0, np.int64), *keys]))
