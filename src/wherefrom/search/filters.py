"""Filters: which images a search, a list or an export is about, in the same words everywhere.

`parse` reads the language that `wherefrom.filters.parser` describes; a `Filter` prints as it is written. The
catalog answers it (`wherefrom.engine.conditions`).
"""

from __future__ import annotations

from wherefrom.filters.parser import LONGEST, parse, typed
from wherefrom.filters.terms import (
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
