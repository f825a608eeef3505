"""Filters: which images a search, a list or an export is about, in the same words everywhere.

`parse` reads the language that `whence.engine.syntax` describes; a `Filter` prints as it is written. The
catalog answers it (`whence.engine.conditions`).
"""

from __future__ import annotations

from whence.engine.syntax import LONGEST, parse, typed
from whence.engine.terms import (
    DEEPEST,
    FIELDS,
    MOST_TERMS,
    And,
    Filter,
    Graded,
    Kind,
    Moment,
    Not,
    Or,
    Range,
    Term,
    Value,
)

__all__ = [
    "DEEPEST",
    "FIELDS",
    "LONGEST",
    "MOST_TERMS",
    "And",
    "Filter",
    "Graded",
    "Kind",
    "Moment",
    "Not",
    "Or",
    "Range",
    "Term",
    "Value",
    "parse",
    "typed",
]
