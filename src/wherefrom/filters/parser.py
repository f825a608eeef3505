"""The filter language: text to a `Filter`, and a sentence that shows the place where it cannot be read.

    type:jpeg width>=1000 folder:holidays/2024 -domain:example.com added>2026-01-01
    label:dog@0.8 (colour:red@20% or colour:"#ffcc00") brand="Acme" price<30 width:800..1200 bytes>2MB

Terms are `field op value`, joined by `and` (or only a space), `or`, `not` (or `-`) and brackets; `and` binds
before `or`. `:` means is, contains (with `*` for anything: is like), or lies under, whichever the field is
made for; `=` means just that. Text with spaces, quotes, brackets or backslashes goes into quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from difflib import get_close_matches

from wherefrom.errors import UsageError
from wherefrom.filters.terms import (
    ALIASES,
    FIELDS,
    NAME,
    OPS,
    OWN,
    RESERVED,
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

LONGEST = 4_000
"""Characters of a filter's text at most."""

_NESTED = 64  # brackets and nots within each other that are read: twice the levels of a filter
_SHOWN = 60  # characters of a filter that a message shows
_OP = re.compile("|".join(sorted(map(re.escape, OPS), key=len, reverse=True)))
_WRITTEN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_WORD = re.compile(r"(and|or|not)(?=[\s()]|$)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_WITH_UNIT = re.compile(rf"({_NUMBER.pattern})\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_RATIO = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)[:/x](\d{1,6}(?:\.\d{1,6})?)", re.ASCII)
_GRADE = re.compile(r"@((?:\d+(?:\.\d*)?|\.\d+)(?:e-\d+)?)(%?)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d(T.*)?", re.ASCII)
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}
_SIZES = {
    **{"": 1, "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9},
    **{"t": 10**12, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40},
}
_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "mp": 10**6}


def parse(text: str, known: Collection[str] | None = None) -> Filter:
    """The filter that a text is.

    `known` are the names of the fields that users have attached: any other unknown name is then an error.
    Without it an unknown name is taken for such a field, unless it looks like a slip of a built-in one;
    `field.NAME` always is one. Raises UsageError, which shows the place and suggests names.
    """
    if len(text) > LONGEST:
        raise UsageError(f"The filter has {len(text)} characters; {LONGEST} is the most. Split it.")
    if not _is_unicode(text):
        raise UsageError("The filter has bytes that are no UTF-8, or half a character.")
    return _Reader(text, known).whole()


def typed(text: str) -> str | float | bool:
    """A field's value as people write it: true and false, a number, or else text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return float(text) if _NUMBER.fullmatch(text) else text


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


class _Reader:
    def __init__(self, text: str, known: Collection[str] | None) -> None:
        self._text = text
        self._known = known
        self._at = 0

    def whole(self) -> Filter:
        self._space()
        if self._at == len(self._text):
            raise self._told("The filter is empty; write for example type:jpeg width>=1000.", 0)
        found = self._either(0)
        if self._at < len(self._text):
            raise self._told("This bracket closes nothing.", self._at)
        return found

    def _either(self, depth: int) -> Filter:
        parts = [self._every(depth)]
        start = self._at
        while self._word("or"):
            parts.append(self._every(depth))
        return parts[0] if len(parts) == 1 else self._made(lambda: Or(tuple(parts)), start)

    def _every(self, depth: int) -> Filter:
        start = self._at
        parts = [self._one(depth)]
        while self._word("and") or not self._ended():
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else self._made(lambda: And(tuple(parts)), start)

    def _ended(self) -> bool:
        self._space()
        rest = self._text[self._at : self._at + 1]
        return rest in ("", ")") or self._next_word() == "or"

    def _one(self, depth: int) -> Filter:
        self._space()
        start = self._at
        if depth > _NESTED:
            raise self._told("The filter is nested too deeply; write it more simply.", start)
        if self._text.startswith("-", start) or self._next_word() == "not":
            self._at += 1 if self._text[start] == "-" else 3
            part = self._one(depth + 1)
            return self._made(lambda: Not(part), start)
        if self._text.startswith("(", start):
            self._at += 1
            found = self._either(depth + 1)
            self._space()
            if not self._text.startswith(")", self._at):
                raise self._told("This bracket is never closed.", start)
            self._at += 1
            return found
        return self._term()

    def _term(self) -> Filter:
        start = self._at
        if start == len(self._text) or self._text[start] == ")" or self._next_word():
            raise self._told("A term such as width>=1000 is missing here.", start)
        found = _WRITTEN.match(self._text, start)
        if not found:
            raise self._told("A term begins with the name of a field, as in width>=1000.", start)
        self._at = found.end()
        self._space()
        op = _OP.match(self._text, self._at)
        if not op:
            word = found[0]
            raise self._told(f"{word} is not said to be anything; write for example name:{word}.", start)
        field = self._field(found[0], start)
        self._at = op.end()
        self._space()
        at = self._at
        text, quoted, grade = self._value()
        if not text and not quoted:
            raise self._told(f"After {found[0]}{op[0]} a value is missing.", at)

        def made() -> Term:
            return Term(field, op[0], _typed(field, text, grade, quoted=quoted))

        return self._made(made, at)

    def _field(self, name: str, at: int) -> str:
        plain = name.lower()
        plain = ALIASES.get(plain, plain)
        if plain in FIELDS:
            return plain
        own = name.removeprefix(OWN)
        if not NAME.fullmatch(own) or own.casefold() in RESERVED:
            raise self._told(f"{name} is no field.", at)
        if own != name or (self._known is not None and own in self._known):
            return OWN + own
        offered = [*FIELDS, *ALIASES, *(self._known or ())]
        near = get_close_matches(plain, offered, 3, 0.6 if self._known is not None else 0.8)
        if self._known is None and not near:
            return OWN + own
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(offered))}."
        raise self._told(f"There is no field {name}; {hint} Your own is written {OWN}{name}.", at)

    def _value(self) -> tuple[str, bool, str]:
        """A value, whether it was in quotes, and what followed the quotes."""
        text, start = self._text, self._at
        if self._text[start : start + 1] in ("'", '"'):
            value = self._quoted()
            grade = _GRADE.match(text, self._at)
            self._at = grade.end() if grade else self._at
            if self._at < len(text) and text[self._at] != ")" and not text[self._at].isspace():
                raise self._told("After the quote that ends a value comes a space.", self._at)
            return value, True, grade[0] if grade else ""
        depth = 0
        while self._at < len(text) and not text[self._at].isspace():
            depth += {"(": 1, ")": -1}.get(text[self._at], 0)
            if depth < 0:
                break
            self._at += 1
        return text[start : self._at], False, ""

    def _quoted(self) -> str:
        start, quote = self._at, self._text[self._at]
        letters: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            if letter == quote:
                return "".join(letters)
            if letter == "\\" and self._text[self._at : self._at + 1] in ("\\", "'", '"'):
                letter = self._text[self._at]
                self._at += 1
            letters.append(letter)
        raise self._told("This quote is never closed.", start)

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _next_word(self) -> str:
        found = _WORD.match(self._text, self._at)
        return found[1].lower() if found else ""

    def _word(self, word: str) -> bool:
        self._space()
        if self._next_word() != word:
            return False
        self._at += len(word)
        return True

    def _made(self, make: Callable[[], Filter], at: int) -> Filter:
        try:
            return make()
        except UsageError as error:
            raise self._told(str(error), at) from error

    def _told(self, message: str, at: int) -> UsageError:
        """`message` with the part of the text around `at` and a caret under it."""
        start = max(0, at - _SHOWN // 2)
        shown = "".join(one if one.isprintable() else " " for one in self._text[start : start + _SHOWN])
        before = "…" if start else ""
        after = "…" if start + _SHOWN < len(self._text) else ""
        caret = " " * (len(before) + at - start) + "^"
        return UsageError(f"{message}\n  {before}{shown}{after}\n  {caret}")


def _typed(field: str, text: str, grade: str, *, quoted: bool) -> Value:
    """The value of a field in the type that it has; raises UsageError."""
    kind = FIELDS.get(field, Kind.OWN)
    if kind in (Kind.LABEL, Kind.COLOUR):
        return _graded(text, grade, quoted=quoted)
    if grade:
        raise UsageError(f"Only label and colour take an @, as in label:dog@0.8; {field} is {kind.value}.")
    if kind is Kind.OWN:
        return _own(text, quoted=quoted)
    if kind is Kind.TRUTH:
        if text.lower() not in _TRUTHS:
            raise UsageError(f"{field} is yes or no, not {text[:40]}.")
        return _TRUTHS[text.lower()]
    if kind in (Kind.NUMBER, Kind.BYTES, Kind.MOMENT):

        def one(part: str) -> float | Moment | None:
            if not part:
                return None
            return Moment(part) if kind is Kind.MOMENT else _number(field, part)

        if ".." in text:
            low, _, high = text.partition("..")
            return Range(one(low), one(high))
        value = one(text)
        if value is None:
            raise UsageError(f"{field} needs {kind.value}.")
        return value
    return text


def _graded(text: str, grade: str, *, quoted: bool) -> Graded:
    if not quoted:
        start = text.rfind("@")
        if start > 0 and _GRADE.fullmatch(text[start:]):
            text, grade = text[:start], text[start:]
    found = _GRADE.fullmatch(grade)
    return Graded(text, float(found[1]) / (100 if found[2] else 1) if found else None)


def _own(text: str, *, quoted: bool) -> Value:
    if quoted:
        return text
    ends = text.split("..")
    if len(ends) == 2 and any(ends):
        values = [_plain(end) if end else None for end in ends]
        if not any(isinstance(value, str | bool) for value in values):
            low, high = values
            return Range(low, high)  # type: ignore[arg-type]  # neither is text now
    return _plain(text)


def _plain(text: str) -> str | float | bool | Moment:
    return Moment(text) if _DAY.fullmatch(text) else typed(text)


def _number(field: str, text: str) -> float:
    """A number, with a unit where the field has one."""
    if field == "aspect" and (ratio := _RATIO.fullmatch(text)) and float(ratio[2]):
        return float(ratio[1]) / float(ratio[2])
    units = {"bytes": _SIZES, "pixels": _COUNTS}.get(field, {"": 1})
    found = _WITH_UNIT.fullmatch(text)
    if not found or found[2].lower() not in units:
        example = {"bytes": "500kB or 2MB", "pixels": "12MP", "aspect": "1.5 or 3/2"}.get(field, "1000")
        raise UsageError(f"{field} needs {FIELDS[field].value} such as {example}, not {text[:40]}.")
    return float(found[1]) * units[found[2].lower()]
