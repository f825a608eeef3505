"""What filters ask of features and not of the catalog: labels and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wherefrom.errors import UsageError
from wherefrom.features.colours import parse_colours
from wherefrom.features.embedding import classes_of
from wherefrom.features.resemblance import share_of
from wherefrom.filters.terms import Graded
from wherefrom.models.labels import CLASS_SHARE, TEMPERATURE, classes

if TYPE_CHECKING:
    from wherefrom.features.registry import Fields, Rows

COLOUR_SHARE = 0.1
"""Of a picture that a colour has to have where a filter does not say how much."""

Floats = NDArray[np.float32]


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


def shares_of(found: NDArray[np.intp], logs: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The confidence of each of the classes kept (n, CLASSES), and of each class that is not (n,)."""
    count = len(classes().names)
    there = found < count
    left = np.maximum(1 - (np.exp(logs) * there).sum(axis=1), 1e-6) / count
    rest = left ** (1 / TEMPERATURE)
    shares = np.exp(logs / np.float32(TEMPERATURE)) * there
    total = shares.sum(axis=1) + (count - there.sum(axis=1)) * rest
    return shares / total[:, None], rest / total


def labelled(wanted: object) -> Rows:
    """The rows of embeddings that show what a label names. Raises UsageError."""
    value = _graded(wanted)
    named = np.zeros(65_536, np.bool_)
    named[classes_named(value.text)] = True
    least = CLASS_SHARE if value.least is None else value.least

    def rows(fields: Fields) -> NDArray[np.bool_]:
        return np.asarray(_confidences(*classes_of(fields[-1]), named) >= least, np.bool_)

    return rows


def _confidences(found: NDArray[np.intp], logs: Floats, named: NDArray[np.bool_]) -> Floats:
    """The confidence of each row's classes in those that are named, float32 (n,), as `labels_of` has it.

    The classes that are not kept share what is left; where none are kept it is 0.
    """
    there = found < len(classes().names)
    wanted = named[found] & there
    shares, rest = shares_of(found, logs)
    sure = (shares * wanted).sum(axis=1) + (named.sum() - wanted.sum(axis=1)) * rest
    return np.asarray(np.where(there.any(axis=1), sure, 0), np.float32)


def coloured(wanted: object) -> Rows:
    """The rows of palettes that have a colour. Raises UsageError."""
    value = _graded(wanted)
    colour, *more = parse_colours(value.text)
    if more:
        raise UsageError(f"A filter takes one colour at a time, not {value.text!r}.")
    least = COLOUR_SHARE if value.least is None else value.least

    def rows(fields: Fields) -> NDArray[np.bool_]:
        return np.asarray(share_of(colour, fields[0]) >= least, np.bool_)

    return rows


def _graded(value: object) -> Graded:
    if not isinstance(value, Graded):
        raise UsageError(f"A label or colour is a word, not {value!r}.")
    return value
