"""What can be asked of images: the tree that a filter is, and the fields that it may name.

A filter is frozen, and checked as it is made. `str` gives the text that `syntax.parse` reads back as an
equal one. Whoever builds one by hand raises UsageError with the same sentences as whoever writes one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TypeVar

from wherefrom.errors import UsageError

DEEPEST = 30
"""Levels of a filter at most."""

MOST_TERMS = 200
"""Terms of a filter at most: more than people write, and far fewer than SQLite takes."""

_MOST_STARS = 8  # of a pattern: each multiplies what a comparison may take
OPS = (":", "=", "!=", "<", "<=", ">", ">=")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""What a field's name looks like."""

OWN = "field."
"""Before the name of a field that the user attached."""


class Kind(Enum):
    """What a field holds, by which its values are read and compared."""

    NUMBER = "a number"
    BYTES = "a size"
    MOMENT = "a date"
    TEXT = "text"
    TYPE = "a format"
    ID = "an image id"
    FOLDER = "a folder"
    DOMAIN = "a domain"
    TRUTH = "yes or no"
    LABEL = "a label"
    COLOUR = "a colour"
    OWN = "a value"


FIELDS = {
    "id": Kind.ID,
    "type": Kind.TYPE,
    "width": Kind.NUMBER,
    "height": Kind.NUMBER,
    "pixels": Kind.NUMBER,
    "aspect": Kind.NUMBER,
    "bytes": Kind.BYTES,
    "frames": Kind.NUMBER,
    "added": Kind.MOMENT,
    "seen": Kind.MOMENT,
    "taken": Kind.MOMENT,
    "creator": Kind.TEXT,
    "credit": Kind.TEXT,
    "copyright": Kind.TEXT,
    "folder": Kind.FOLDER,
    "path": Kind.TEXT,
    "uri": Kind.TEXT,
    "name": Kind.TEXT,
    "domain": Kind.DOMAIN,
    "page": Kind.TEXT,
    "title": Kind.TEXT,
    "alt": Kind.TEXT,
    "gone": Kind.TRUTH,
    "places": Kind.NUMBER,
    "label": Kind.LABEL,
    "colour": Kind.COLOUR,
}
"""Every built-in field."""

ALIASES = {"format": "type", "color": "colour", "url": "uri"}
"""Other names for some of them."""

RESERVED = {*FIELDS, *ALIASES, "and", "or", "not", "field"}
"""Names that no user's field may have, in any case."""


def let_in(name: str) -> None:
    """Let filters ask for a field that a kind of feature answers: words, as for labels.

    A built-in field stays as it is. Raises UsageError for what can be no name.
    """
    if name not in FIELDS:
        if not NAME.fullmatch(name) or name.casefold() in RESERVED:
            raise UsageError(f"{name!r} cannot be the name of a filter's field.")
        FIELDS[name] = Kind.LABEL
        RESERVED.add(name)


_ORDERED = (Kind.NUMBER, Kind.BYTES, Kind.MOMENT)
_DAY = r"(\d{4})(?:-(\d\d)(?:-(\d\d)"
_MOMENT = re.compile(_DAY + r"(?:T(\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """A year, month, day, minute or second of UTC, as ISO 8601 writes it: `2026-01`, `2026-01-31T08:30:00Z`.

    Other ways to write the same are put into that one. Raises UsageError for what is no date.
    """

    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _moment(self.text)[0])

    @property
    def bounds(self) -> tuple[int, int]:
        """Its first microsecond since 1970, and the first one after it."""
        _, start, end = _moment(self.text)
        return _microseconds(start), _microseconds(end)

    @property
    def days(self) -> tuple[str, str]:
        """It and the next one like it, as ISO 8601 without an offset, to compare texts with."""
        _, start, end = _moment(self.text)
        size = len(self.text.rstrip("Z"))
        return start.isoformat()[:size], end.isoformat()[:size]


@dataclass(frozen=True, slots=True)
class Range:
    """From one value to another, both within; None is open. Raises UsageError when nothing lies between."""

    low: float | Moment | None
    high: float | Moment | None

    def __post_init__(self) -> None:
        low, high = self.low, self.high
        if low is None and high is None:
            raise UsageError("A range has a beginning or an end: 800..1200, 800.. or ..1200.")
        if low is None or high is None:
            return
        if isinstance(low, Moment) and isinstance(high, Moment):
            wrong = low.bounds[0] >= high.bounds[1]
        elif isinstance(low, Moment) or isinstance(high, Moment):
            raise UsageError("A range goes from a number to a number or from a date to a date.")
        else:
            wrong = low > high
        if wrong:
            raise UsageError(f"Nothing lies in {_value_text(self)}; the smaller value comes first.")


@dataclass(frozen=True, slots=True)
class Graded:
    """A label or a colour, and from which confidence or share on, 0 to 1; None leaves that to who answers."""

    text: str
    least: float | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UsageError("A label or colour is missing.")
        if self.least is not None and not 0 <= self.least <= 1:
            raise UsageError(f"What follows the @ goes from 0 to 1, or 0% to 100%; {self.least:g} does not.")


Value = str | float | bool | Moment | Range | Graded


class Filter:
    """A term, or what joins some: `Term`, `And`, `Or` or `Not`."""

    __slots__ = ()

    def terms(self) -> Iterator[Term]:
        """Every term, in the order of the text."""
        for part in self.parts_of():
            yield from part.terms()

    def parts_of(self) -> tuple[Filter, ...]:
        """The filters that this one joins."""
        return ()

    def depth(self) -> int:
        """Levels, 1 for a term."""
        return 1 + max((part.depth() for part in self.parts_of()), default=0)

    def _check(self) -> None:
        # At every level, so that what walks a filter never goes deeper.
        if self.depth() > DEEPEST:
            raise UsageError(f"The filter is more than {DEEPEST} levels deep; write it more simply.")
        if sum(1 for _ in self.terms()) > MOST_TERMS:
            raise UsageError(f"The filter has more than {MOST_TERMS} terms; split it.")


@dataclass(frozen=True, slots=True)
class Term(Filter):
    """`field op value`; the value's type is that of the field. `!=` is the same as not `=`.

    `field` is a name in `FIELDS`, or `field.` and the name of one that the user attached.
    """

    field: str
    op: str
    value: Value

    def __post_init__(self) -> None:
        kind = self.kind
        if self.op not in OPS:
            raise UsageError(f"{self.op!r} compares nothing; write one of {' '.join(OPS)}.")
        _check_value(self.field, kind, self.op, self.value)

    @property
    def kind(self) -> Kind:
        """What the field holds; raises UsageError for no field."""
        if self.field in FIELDS:
            return FIELDS[self.field]
        name = self.field.removeprefix(OWN)
        if name == self.field or not NAME.fullmatch(name) or name.casefold() in RESERVED:
            raise UsageError(f"{self.field[:80]!r} is no field.")
        return Kind.OWN

    def terms(self) -> Iterator[Term]:
        """Itself."""
        yield self

    def __str__(self) -> str:
        return f"{self.field}{self.op}{_value_text(self.value, quoted=self.kind is Kind.OWN)}"


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of two or more; one within another is the same as one."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _flat(And, self.parts))
        self._check()

    def parts_of(self) -> tuple[Filter, ...]:
        """The filters that this one joins."""
        return self.parts

    def __str__(self) -> str:
        return " ".join(_in_brackets(part) if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of two or more; one within another is the same as one."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _flat(Or, self.parts))
        self._check()

    def parts_of(self) -> tuple[Filter, ...]:
        """The filters that this one joins."""
        return self.parts

    def __str__(self) -> str:
        return " or ".join(_in_brackets(part) if isinstance(part, And) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """All images but those."""

    part: Filter

    def __post_init__(self) -> None:
        self._check()

    def parts_of(self) -> tuple[Filter, ...]:
        """The filter that is turned round."""
        return (self.part,)

    def __str__(self) -> str:
        return f"-{self.part}" if isinstance(self.part, Term) else f"-{_in_brackets(self.part)}"


Joined = TypeVar("Joined", And, Or)


def _flat(kind: type[Joined], parts: tuple[Filter, ...]) -> tuple[Filter, ...]:
    if len(parts) < 2:
        raise UsageError("`and` and `or` join two filters or more.")
    return tuple(each for part in parts for each in (part.parts if isinstance(part, kind) else (part,)))


def _in_brackets(part: Filter) -> str:
    return f"({part})"


def _check_value(field: str, kind: Kind, op: str, value: Value) -> None:
    if isinstance(value, Range):
        if op != ":":
            raise UsageError(f"A range is written with a colon: {field}:{_value_text(value)}.")
        for end in (value.low, value.high):
            if end is not None:
                _check_value(field, kind, op, end)
        return
    wanted: type | tuple[type, ...]
    if kind in (Kind.NUMBER, Kind.BYTES):
        wanted = (float, int)
    elif kind is Kind.OWN:
        wanted = (str, float, int, bool, Moment)
    else:
        other = {Kind.MOMENT: Moment, Kind.TRUTH: bool, Kind.LABEL: Graded, Kind.COLOUR: Graded}
        wanted = other.get(kind, str)
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind not in (Kind.TRUTH, Kind.OWN)):
        raise UsageError(f"{field} is {kind.value}, which {_value_text(value)} is not.")
    ordered = kind in _ORDERED or (kind is Kind.OWN and not isinstance(value, str | bool))
    if op[0] in "<>" and not ordered:
        raise UsageError(f"{field} is {kind.value} here, which is neither less nor more; write : = or !=.")
    if isinstance(value, float | int) and not math.isfinite(value):
        raise UsageError(f"{field} needs a number that ends.")
    if isinstance(value, Moment) and kind is Kind.OWN and len(value.text) < 10:
        raise UsageError(f"{field} needs a whole day at least: 2026-01-31.")
    if isinstance(value, str):
        _check_text(field, kind, op, value)
    elif isinstance(value, Graded) and kind is Kind.COLOUR:
        from wherefrom.features.colours import colour_of

        colour_of(value.text)


def _check_text(field: str, kind: Kind, op: str, value: str) -> None:
    if not value:
        raise UsageError(f"{field}{op} needs something to look for.")
    if value.count("*") > _MOST_STARS:
        raise UsageError(f"A pattern may have {_MOST_STARS} stars; {field}{op} has {value.count('*')}.")
    digits = value.lower().removeprefix("sha256:")
    if kind is Kind.ID and not re.fullmatch("[0-9a-f]{64}" if op != ":" else "[0-9a-f]{4,64}", digits):
        raise UsageError(
            "An image id reads sha256: and 64 hex digits; id: takes the first four of them or more."
        )


def _value_text(value: Value | None, *, quoted: bool = False) -> str:
    """As a filter is written; `quoted` puts quotes around every text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        whole = math.isfinite(value) and value == int(value) and abs(value) < 1e15
        return str(int(value)) if whole else repr(float(value))
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, Range):
        return f"{_value_text(value.low)}..{_value_text(value.high)}"
    if isinstance(value, Graded):
        least = "" if value.least is None else f"@{_value_text(value.least)}"
        return _value_text(value.text, quoted="@" in value.text) + least
    if quoted or any(letter in "\"'()\\" or letter.isspace() for letter in value):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return value


def _moment(text: str) -> tuple[str, datetime, datetime]:
    """The text as we write it, when that begins and when it has ended."""
    found = _MOMENT.fullmatch(text)
    try:
        if not found:
            raise ValueError
        year, month, day, hour, minute, second = (int(n) if n else None for n in found.groups()[:6])
        start = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=UTC)
        if month is None:
            return text, start, start.replace(year=start.year + 1)
        if day is None:
            return text, start, (start + timedelta(days=31)).replace(day=1)
        if hour is None:
            return text, start, start + timedelta(days=1)
        offset = found[7] or "Z"
        if offset != "Z":
            away = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
            start = start - away if offset[0] == "+" else start + away
        if second is None:
            return start.isoformat()[:16] + "Z", start, start + timedelta(minutes=1)
        return start.isoformat()[:19] + "Z", start, start + timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text[:40]!r} is no date; write 2026, 2026-01, 2026-01-31 or 2026-01-31T08:30:00Z."
        ) from None


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
