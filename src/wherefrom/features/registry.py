"""The registry: what each kind of feature is, for everything that goes through all of them.

Built-in kinds enter by `register`, as others do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Fields = Sequence[NDArray[np.uint8]]
"""n rows of a kind, as its description divides them: uint8 (n, width) for each field."""

Rows = Callable[[Fields], NDArray[np.bool_]]
"""Which of n rows are meant: bool (n,)."""


@dataclass(frozen=True, eq=False)
class FilterField:
    """A field of the filter language that a kind of feature answers.

    `rows` takes the value of a term, with `:` or `=`, and gives what tells the rows that have it; it raises
    UsageError for a value that nothing can have.
    """

    name: str
    kind: str
    rows: Callable[[Any], Rows]


_FIELDS: dict[str, FilterField] = {}


def register(field: FilterField) -> None:
    """Let filters ask for a field."""
    _FIELDS[field.name] = field


def field_named(name: str) -> FilterField | None:
    """What answers a field of the filter language; None for one that no feature does."""
    if not _FIELDS:
        from wherefrom.features import filtering

        for field in filtering.FIELDS:
            register(field)
    return _FIELDS.get(name)
