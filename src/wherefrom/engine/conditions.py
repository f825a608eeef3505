"""A filter answered by the catalog: as SQL as far as it goes, and as sets of keys beyond.

A part of the filter that names facts alone becomes one statement, every value of it bound. Labels and
colours are asked of `extra`, which gives sets of keys; those are joined with what the statements gave. Every
condition on an image is true or false and never null, so that `not` is all the other images.

SQLite compares text without regard to case in ASCII only; text beyond it is also looked for in lower, upper
and title case. What it costs: a folder given from its root and a user's field are looked up in an index; all
else reads every image, or every sighting, once. A sighting counts whether or not it is gone.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    REAL,
    ColumnElement,
    Connection,
    String,
    and_,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)

from wherefrom.engine.patience import present
from wherefrom.engine.statements import storable
from wherefrom.engine.tables import fields, images, sightings
from wherefrom.errors import UsageError
from wherefrom.filters.terms import OWN, And, Filter, Kind, Moment, Not, Or, Range, Term, Value

Keys = NDArray[np.int64]
"""Keys of images, rising."""

Extra = Callable[[Term], Keys]
"""The keys of the images that have the label or colour of a term, whose `value` is a `Graded`."""

Condition = ColumnElement[bool]

_FORMATS = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "heif": "heic", "j2k": "jp2", "jpeg2000": "jp2"}
_CREDIT = {"creator": "creator", "credit": "credit_line", "copyright": "copyright", "taken": "taken"}
_SAFE = "/!$&'()*+,:;=@-._~"  # left as they are in the uris of files, and in those that are looked for
_CLOSE = 0.01  # relative difference up to which two shapes are the same
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PACE = 1_000_000  # terms times sightings that are looked through in a second, about
_DATE = "[0-9][0-9][0-9][0-9]*"


def select_keys(connection: Connection, wanted: Filter, extra: Extra | None = None) -> Keys:
    """The keys of the images that a filter lets through: rising int64.

    `extra` answers for terms on `label` and `colour`, with `:` or `=`, and gives keys of images that exist.
    Raises UsageError where there is such a term and no `extra`, and for more terms than somebody who waits
    for so many seconds (`patience.py`) can be answered in time.
    """
    patience = present()
    if patience is not None:
        terms = sum(_of_place(term) is not None or term.op == "!=" for term in wanted.terms())
        rows = connection.execute(select(func.max(sightings.c.id))).scalar() or 0
        if terms * rows > _PACE * patience.seconds:
            raise UsageError(
                f"This filter has {terms} terms that are looked for in {rows:,} places, which takes too "
                f"long: use at most {max(1, int(_PACE * patience.seconds / rows))}."
            )
    return _Selection(connection, extra).keys(wanted)


class _Selection:
    """One filter at work on one connection."""

    def __init__(self, connection: Connection, extra: Extra | None) -> None:
        self._connection = connection
        self._extra = extra

    def keys(self, wanted: Filter) -> Keys:
        if _is_fact(wanted):
            return self._select(condition(wanted))
        if isinstance(wanted, Term):
            if wanted.op == "!=":
                return self._others(self._asked(wanted))
            return self._asked(wanted)
        if isinstance(wanted, Not):
            return self._others(self.keys(wanted.part))
        return self._all_of(wanted) if isinstance(wanted, And) else self._any_of(wanted)

    def _all_of(self, wanted: Filter) -> Keys:
        parts = wanted.parts_of()
        facts = [condition(part) for part in parts if _is_fact(part)]
        asked = [part for part in parts if not _is_fact(part)]
        within = [part for part in asked if not isinstance(part, Not)]
        found = self._select(*facts) if facts or not within else self.keys(within.pop())
        for part in within:
            if not len(found):
                break
            found = np.intersect1d(found, self.keys(part), assume_unique=True)
        for part in asked:
            if isinstance(part, Not) and len(found):
                found = np.setdiff1d(found, self.keys(part.part), assume_unique=True)
        return found

    def _any_of(self, wanted: Filter) -> Keys:
        parts = wanted.parts_of()
        facts = [condition(part) for part in parts if _is_fact(part)]
        sets = [self.keys(part) for part in parts if not _is_fact(part)]
        if facts:
            sets.append(self._select(or_(*facts)))
        return np.unique(np.concatenate(sets))

    def _others(self, keys: Keys) -> Keys:
        return np.setdiff1d(self._select(), keys, assume_unique=True)

    def _asked(self, term: Term) -> Keys:
        if self._extra is None:
            raise UsageError(f"{term.field} cannot be asked for here: {term}.")
        keys = np.asarray(self._extra(term), np.int64)
        return np.unique(keys) if (keys[1:] <= keys[:-1]).any() else keys

    def _select(self, *conditions: Condition) -> Keys:
        query = select(images.c.id).where(*conditions).order_by(images.c.id)
        result = self._connection.execute(query)
        return np.fromiter((row[0] for row in result), np.int64)


def _is_fact(wanted: Filter) -> bool:
    return all(term.kind not in (Kind.LABEL, Kind.COLOUR) for term in wanted.terms())


def condition(wanted: Filter) -> Condition:
    """A filter without labels and colours as a condition on `images`, true or false and never null."""
    if isinstance(wanted, Not):
        return not_(condition(wanted.part))
    if isinstance(wanted, And):
        places = [found for part in wanted.parts if (found := _of_place(_denied(part))) is not None]
        others = [condition(part) for part in wanted.parts if _of_place(_denied(part)) is None]
        return and_(*([not_(_seen(or_(*places)))] if places else []), *others)
    if isinstance(wanted, Or):
        # What is asked of one sighting is asked in one pass over all of them.
        places = [found for part in wanted.parts if (found := _of_place(part)) is not None]
        others = [condition(part) for part in wanted.parts if _of_place(part) is None]
        return or_(*([_seen(or_(*places))] if places else []), *others)
    assert isinstance(wanted, Term)
    place = _of_place(wanted)
    if place is not None:
        return _seen(place)
    if wanted.op == "!=":
        return not_(condition(Term(wanted.field, "=", wanted.value)))
    return _term(wanted.field, wanted.kind, wanted.op, wanted.value)


def _denied(wanted: Filter) -> Filter | None:
    """What a part says is not so; None for a part that says that something is."""
    if isinstance(wanted, Not):
        return wanted.part
    return Term(wanted.field, "=", wanted.value) if isinstance(wanted, Term) and wanted.op == "!=" else None


def _of_place(wanted: Filter | None) -> Condition | None:
    """What a term asks of one sighting; None for what is no such term."""
    if not isinstance(wanted, Term) or wanted.op == "!=":
        return None
    op, value, uri = wanted.op, wanted.value, sightings.c.uri
    match wanted.kind:
        case Kind.MOMENT if wanted.field == "seen":
            assert isinstance(value, Moment | Range)
            return _moment(sightings.c.first_seen, sightings.c.last_seen, op, value)
        case Kind.FOLDER:
            return _folder(op, str(value))
        case Kind.DOMAIN:
            return or_(_host(uri, str(value)), _host(sightings.c.page, str(value)))
        case Kind.TEXT if wanted.field not in _CREDIT:
            return _text(wanted.field, op, str(value))
        case _:
            return None


def _term(field: str, kind: Kind, op: str, value: Any) -> Condition:
    """One comparison; each value has been checked to be of the field's type."""
    match kind:
        case Kind.NUMBER if field == "places":
            return _in_places(op, value)
        case Kind.NUMBER | Kind.BYTES:
            return _compared(_number(field), op, value, close=field == "aspect")
        case Kind.MOMENT if field == "added":
            return _moment(images.c.added, images.c.added, op, value)
        case Kind.MOMENT:
            return _date(_credit(field), op, value)
        case Kind.TYPE:
            return images.c.format == literal(_FORMATS.get(value.lower(), value.lower()))
        case Kind.ID:
            digits = value.lower().removeprefix("sha256:")
            low, high = (bytes.fromhex(digits.ljust(64, end)) for end in "0f")
            return images.c.digest.between(low, high)
        case Kind.TRUTH:
            left = and_(_seen(sightings.c.gone.is_not(None)), not_(_seen(sightings.c.gone.is_(None))))
            return left if value else not_(left)
        case Kind.OWN:
            return _own(field.removeprefix(OWN), op, value)
        case _:
            return _said(_credit(field), op, [value])


def _seen(what: Condition) -> Condition:
    """That there is a sighting of the image of which this is true."""
    return images.c.id.in_(select(sightings.c.image_id).where(what))


# Numbers and times


def _number(field: str) -> ColumnElement[Any]:
    if field == "pixels":
        return images.c.width * images.c.height
    if field == "aspect":
        return cast(images.c.width, REAL) / images.c.height
    return images.c[field]


def _in_places(op: str, value: Any) -> Condition:
    """That an image is in so many places at present."""
    at = sightings.c
    here = select(at.image_id).where(at.gone.is_(None))
    counted = here.group_by(at.image_id).having(_compared(func.count(at.uri.distinct()), op, value))
    found = images.c.id.in_(counted)
    return or_(found, images.c.id.not_in(here)) if _holds(0.0, op, value) else found


def _holds(number: float, op: str, value: Any) -> bool:
    """The same comparison, of a number."""
    if isinstance(value, Range):
        ends = ((">=", value.low), ("<=", value.high))
        return all(_holds(number, each, end) for each, end in ends if end is not None)
    compare: Callable[[Any, Any], bool] = _COMPARE.get(op, operator.eq)
    return compare(number, float(value))


def _compared(column: ColumnElement[Any], op: str, value: Any, *, close: bool = False) -> Condition:
    if isinstance(value, Range):
        ends = [_compared(column, o, v) for o, v in ((">=", value.low), ("<=", value.high)) if v is not None]
        return and_(*ends)
    number = literal(float(value), REAL)
    if op in (":", "="):
        return func.abs(column - number) <= number * _CLOSE if close else column == number
    compare: Callable[[Any, Any], Condition] = _COMPARE[op]
    return compare(column, number)


def _moment(first: ColumnElement[int], last: ColumnElement[int], op: str, value: Moment | Range) -> Condition:
    """That a time from `first` to `last` reaches into a moment or range, beyond it, or up to it."""
    low, high = (value.low, value.high) if isinstance(value, Range) else (value, value)
    start = low.bounds[0] if isinstance(low, Moment) else None
    end = high.bounds[1] if isinstance(high, Moment) else None
    return _within(first, last, op, start, end)


def _date(column: ColumnElement[Any], op: str, value: Moment | Range) -> Condition:
    """The same for a text in ISO 8601, shortened or not; an offset in it is not looked at."""
    low, high = (value.low, value.high) if isinstance(value, Range) else (value, value)
    start = low.days[0] if isinstance(low, Moment) else None
    end = high.days[1] if isinstance(high, Moment) else None
    return and_(column.is_not(None), column.op("GLOB")(_DATE), _within(column, column, op, start, end))


def _within(
    first: ColumnElement[Any], last: ColumnElement[Any], op: str, start: object, end: object
) -> Condition:
    if op in (":", "="):
        since = [last >= start] if start is not None else []
        return and_(*since, *([first < end] if end is not None else []))
    if op in (">", "<="):
        return last >= end if op == ">" else first < end
    return last >= start if op == ">=" else first < start


# Texts


def _text(field: str, op: str, value: str) -> Condition:
    """That a sighting says this."""
    if field in ("page", "title", "alt"):
        return _said(sightings.c[field], op, [value])
    uri = sightings.c.uri
    if field == "name":
        named, spelled = _said(_name_in(uri), op, _spelled(op, value)), _spelled(":", value)
        # What a name holds its uri holds: quick, and keeps most of them from being taken apart.
        likely = [uri.like(f"%{_pattern(each)}", escape="\\") for each in map(storable, spelled)]
        return and_(or_(*likely), named)
    if field == "path":
        local = os.path.expanduser(value) if value.startswith("~") else value
        whole = "file://" if op == "=" else ""
        return and_(uri.like("file://%"), _said(uri, op, [whole + each for each in _spelled(op, local)]))
    return _said(uri, op, _spelled(op, value))


def _credit(field: str) -> ColumnElement[Any]:
    return func.json_extract(images.c.credit, f"$.{_CREDIT[field]}", type_=String)


def _said(column: ColumnElement[Any], op: str, values: list[str]) -> Condition:
    """That a text is one of these, or with `:` contains one, or is like one that has stars."""
    kept = [storable(value) for value in dict.fromkeys(values)]
    if op == "=":
        return and_(column.is_not(None), column.in_(kept))
    likes = [
        column.like(pattern, escape="\\")
        for value in kept
        for pattern in dict.fromkeys(map(_pattern, _in_any_case(value)))
    ]
    return and_(column.is_not(None), or_(*likes))


def _in_any_case(value: str) -> list[str]:
    return [value] if value.isascii() else [value, value.lower(), value.upper(), value.title()]


def _spelled(op: str, value: str) -> list[str]:
    """Text as it is and as it stands in the uri of a file; with `:` in several cases, which quoting hides."""
    cases = [value] if op == "=" else _in_any_case(value)
    return [*cases, *map(_quoted, cases)]


def _pattern(value: str) -> str:
    parts = [_escaped(part) for part in value.split("*")]
    return "%".join(parts) if len(parts) > 1 else f"%{parts[0]}%"


def _escaped(text: str) -> str:
    """Text as `LIKE` takes it for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _quoted(text: str) -> str:
    """Text as it stands in the uri of a file."""
    try:
        raw = text.encode("utf-8", "surrogateescape")  # as file names that are no UTF-8 come
    except UnicodeEncodeError:
        raw = text.encode("utf-8", "replace")
    return quote_from_bytes(raw, _SAFE)


# Places


def _folder_of(uri: ColumnElement[str]) -> ColumnElement[str]:
    """What comes before the name, with the slash: all that is left when no letter but slashes may end it."""
    return func.rtrim(uri, func.replace(uri, "/", ""))


def _name_in(uri: ColumnElement[str]) -> ColumnElement[str]:
    return func.substr(uri, func.length(_folder_of(uri)) + 1)


def _folder(op: str, value: str) -> Condition:
    """That a uri lies under a folder; with `=`, right in it."""
    uri = sightings.c.uri
    text = storable(value)
    if "://" in text:
        prefix = text.rstrip("/") + "/"
    elif text[0] in "/~" or text in (".", "..") or text.startswith(("./", "../")):
        prefix = "file://" + _quoted(os.path.abspath(os.path.expanduser(value))).rstrip("/") + "/"
    else:
        tail = f"/{text.strip('/')}/"
        begun = f"file://%{_escaped(_quoted(tail))}"
        inside = uri.like(f"{begun}%", escape="\\")
        # The first is quick, and keeps most uris from being taken apart.
        return and_(inside, _folder_of(uri).like(begun, escape="\\")) if op == "=" else inside
    below = and_(uri >= prefix, uri < prefix[:-1] + "0")  # by the index; 0 follows the slash
    return and_(below, _folder_of(uri) == prefix) if op == "=" else below


def _host(uri: ColumnElement[Any], value: str) -> Condition:
    """That the host of a uri is a domain or lies in it."""
    domain = storable(value).lower().strip(".")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        domain = _quoted(domain)
    if not domain:
        return false()
    rest = func.substr(uri, func.instr(uri, "://") + 3)
    for mark in "?#":
        rest = func.replace(rest, mark, "/")
    # Who may be named before the host, and a port after it.
    host: ColumnElement[Any] = literal(".").concat(
        func.substr(rest, 1, func.instr(rest.concat("/"), "/") - 1)
    )
    portless = func.rtrim(host, "0123456789")
    ends = [f"%{before}{_escaped(domain)}" for before in ".@"]
    # The first is quick, and keeps most uris from being taken apart.
    likely = uri.like(f"%://%{_escaped(domain)}%", escape="\\")
    inside = [host.like(end, escape="\\") for end in ends]
    return and_(likely, or_(*inside, *(portless.like(f"{end}:", escape="\\") for end in ends)))


# Fields that users attached


def _own(name: str, op: str, value: Value) -> Condition:
    """That an image has such a field."""
    text, number = fields.c.text, fields.c.number
    is_text, is_number = and_(text.is_not(None), number.is_(None)), and_(text.is_(None), number.is_not(None))
    if isinstance(value, bool):
        what = and_(text == ("true" if value else "false"), number.is_not(None))
    elif value == "*" and op == ":":
        return _has(name)
    elif isinstance(value, str):
        what = and_(number.is_(None), _said(text, op, [value]))
    elif isinstance(value, Moment) or (
        isinstance(value, Range) and isinstance(value.low or value.high, Moment)
    ):
        what = and_(is_text, _date(text, op, value))
    else:
        what = and_(is_number, _compared(number, op, value))
        if op in (":", "=") and not isinstance(value, Range):
            # An article number is text, and is asked for without quotes.
            what = or_(what, and_(is_text, text == str(Term(OWN + name, op, value)).partition(op)[2]))
    return _has(name, what)


def _has(name: str, *what: Condition) -> Condition:
    return images.c.id.in_(select(fields.c.image_id).where(fields.c.name == name, *what))
