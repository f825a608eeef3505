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


def answers(engine: Engine) -> Callable[[Term], Numbers]:
    """What tells the keys, rising, of the images that have the label or the colour of a filter's term."""

    def answer(term: Term) -> Numbers:
        value = term.value
        if not isinstance(value, Graded):
            raise UsageError(f"A label or colour is a word, not {value!r}.")
        return (_labelled if term.field == "label" else _coloured)(engine, value)

    return answer


def classes_named(text: str) -> NDArray[np.intp]:
    """The numbers of the classes whose name, category or a word of them is `text`.

    Raises UsageError when there is none, with names that come near.
    """
    import difflib

    known, wanted = classes(), " ".join(text.lower().split())
    parents = [known.categories[place] for place in known.parents.tolist()]
    found = [
        number
        for number, (name, parent) in enumerate(zip(known.names, parents, strict=True))
        if wanted in (name.lower(), parent.lower()) or wanted in name.lower().split()
    ]
    if not found:
        names = {name.lower() for name in (*known.names, *known.categories)}
        near = difflib.get_close_matches(wanted, names, 3)
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
        shares = np.exp(logs / np.float32(TEMPERATURE)) * (found < len(classes().names))
        total = np.maximum(shares.sum(axis=1), 1e-9)
        keys.append(some[(shares * named[found]).sum(axis=1) / total >= least])
    return np.concatenate(keys) if keys else np.zeros(0, np.int64)


def _coloured(engine: Engine, wanted: Graded) -> Numbers:
    colour, *more = parse_colours(wanted.text)
    if more:
        raise UsageError(f"A filter takes one colour at a time, not {wanted.text!r}.")
    least = COLOUR_SHARE if wanted.least is None else wanted.least
    keys = [some[share_of(colour, rows) >= least] for some, rows in engine.table(PALETTE)]
    return np.concatenate(keys) if keys else np.zeros(0, np.int64)
