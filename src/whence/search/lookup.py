"""What filters ask of pictures and not of the catalog: labels and colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from whence.engine.base import Engine
from whence.engine.terms import Graded, Term
from whence.errors import UsageError
from whence.features.colours import parse_colours
from whence.features.embedding import classes_of
from whence.features.extract import EMBEDDING, PALETTE
from whence.features.resemblance import share_of
from whence.models.labels import CLASS_SHARE, TEMPERATURE, classes

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


def _labelled(engine: Engine, wanted: Graded) -> Numbers:
    numbers = classes_named(wanted.text)
    named = np.zeros(65_536, np.bool_)
    named[numbers] = True
    least = CLASS_SHARE if wanted.least is None else wanted.least
    keys = []
    for some, rows in engine.table(EMBEDDING):
        found, logs = classes_of(rows)
        keys.append(some[_confidences(found, logs, named) >= least])
    return np.concatenate(keys) if keys else np.zeros(0, np.int64)


def _confidences(found: NDArray[np.intp], logs: Floats, named: NDArray[np.bool_]) -> Floats:
    """The confidence of each row's classes in those that are named, float32 (n,), as `labels_of` has it.

    The classes that are not kept share what is left; where none are kept it is 0.
    """
    count = len(classes().names)
    there, wanted = found < count, named[found]
    left = np.maximum(1 - (np.exp(logs) * there).sum(axis=1), 1e-6) / count
    rest = left ** (1 / TEMPERATURE)
    shares = np.exp(logs / np.float32(TEMPERATURE)) * there
    total = shares.sum(axis=1) + (count - there.sum(axis=1)) * rest
    sure = (shares * wanted).sum(axis=1) + (named.sum() - wanted.sum(axis=1)) * rest
    return np.asarray(np.where(there.any(axis=1), sure / total, 0), np.float32)


def _coloured(engine: Engine, wanted: Graded) -> Numbers:
    colour, *more = parse_colours(wanted.text)
    if more:
        raise UsageError(f"A filter takes one colour at a time, not {wanted.text!r}.")
    least = COLOUR_SHARE if wanted.least is None else wanted.least
    keys = [some[share_of(colour, rows) >= least] for some, rows in engine.table(PALETTE)]
    return np.concatenate(keys) if keys else np.zeros(0, np.int64)
