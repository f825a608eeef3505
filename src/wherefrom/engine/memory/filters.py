"""A filter answered image by image in plain Python: what every engine's answer is held to.

Text is compared without regard to case in ASCII only; text beyond it is also looked for in lower, upper and
title case. A sighting counts whether or not it is gone.
"""

from __future__ import annotations

import math
import operator
import os
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase
from typing import Any
from urllib.parse import quote_from_bytes

from wherefrom.filters.terms import OWN, And, Filter, Kind, Moment, Not, Or, Range, Term
from wherefrom.records import FieldValue, Image, Sighting, digest_of
from wherefrom.uris import SAFE

Has = Callable[[Term], bool]
"""Whether the image has the label or colour of a term with `:` or `=`."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ":": operator.eq, "=": operator.eq, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_FORMATS = {"jpg": "jpeg", "jpe": "jpeg", "tif": "tiff", "heif": "heic", "j2k": "jp2", "jpeg2000": "jp2"}
_CREDIT = {"creator": "creator", "credit": "credit_line", "copyright": "copyright"}
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)
_CLOSE = 0.01  # relative difference up to which two shapes are the same


def lets_through(wanted: Filter, image: Image, has: Has) -> bool:
    """Whether a filter lets an image through; `has` answers for labels and colours."""
    if isinstance(wanted, Not):
        return not lets_through(wanted.part, image, has)
    if isinstance(wanted, And):
        return all(lets_through(part, image, has) for part in wanted.parts)
    if isinstance(wanted, Or):
        return any(lets_through(part, image, has) for part in wanted.parts)
    assert isinstance(wanted, Term)
    if wanted.op == "!=":
        return not lets_through(Term(wanted.field, "=", wanted.value), image, has)
    return _holds(wanted, image, has)


def _holds(term: Term, image: Image, has: Has) -> bool:
    field, op, value = term.field, term.op, term.value
    match term.kind:
        case Kind.LABEL | Kind.COLOUR:
            return has(term)
        case Kind.NUMBER | Kind.BYTES:
            return _compared(_number(field, image), op, value, close=field == "aspect")
        case Kind.MOMENT if field == "added":
            return _reaches(_micro(image.added), _micro(image.added), op, value)
        case Kind.MOMENT if field == "taken":
            return _dated(image.credit.taken, op, value)
        case Kind.TYPE:
            return image.format == _FORMATS.get(str(value).lower(), str(value).lower())
        case Kind.ID:
            return digest_of(image.id).hex().startswith(str(value).lower().removeprefix("sha256:"))
        case Kind.TRUTH:
            left = bool(image.sightings) and all(one.gone for one in image.sightings)
            return left is value
        case Kind.OWN:
            return _attached(image.fields.get(field.removeprefix(OWN)), term)
        case Kind.TEXT if field in _CREDIT:
            return _like(getattr(image.credit, _CREDIT[field]), op, [str(value)])
        case _:
            return any(_sighted(term, one) for one in image.sightings)


def _sighted(term: Term, one: Sighting) -> bool:
    op, value = term.op, term.value
    match term.field:
        case "seen":
            return _reaches(_micro(one.first_seen), _micro(one.last_seen), op, value)
        case "folder":
            return _in_folder(one.uri, op, str(value))
        case "domain":
            return any(_at_domain(uri, str(value)) for uri in (one.uri, one.page))
        case "page" | "title" | "alt":
            return _like(getattr(one, term.field), op, [str(value)])
        case "name":
            return _like(one.uri.rpartition("/")[2], op, _spelled(op, str(value)))
        case "path":
            local = os.path.expanduser(str(value)) if str(value).startswith("~") else str(value)
            whole = "file://" if op == "=" else ""
            spelled = [whole + each for each in _spelled(op, local)]
            return _small(one.uri).startswith("file://") and _like(one.uri, op, spelled)
        case _:
            return _like(one.uri, op, _spelled(op, str(value)))


# Numbers and times


def _number(field: str, image: Image) -> float:
    if field == "pixels":
        return image.width * image.height
    if field == "aspect":
        return image.width / image.height
    if field == "places":
        return len({one.uri for one in image.sightings if one.gone is None})
    return float(getattr(image, field))


def _compared(have: float, op: str, value: Any, *, close: bool = False) -> bool:
    if isinstance(value, Range):
        low, high = (end if isinstance(end, float | int) else None for end in (value.low, value.high))
        return (low is None or have >= low) and (high is None or have <= high)
    if close and op in (":", "="):
        return bool(abs(have - value) <= value * _CLOSE)
    return _COMPARE[op](have, float(value))


def _ends(value: Any) -> tuple[Moment | None, Moment | None]:
    low, high = (value.low, value.high) if isinstance(value, Range) else (value, value)
    return low if isinstance(low, Moment) else None, high if isinstance(high, Moment) else None


def _reaches(first: int, last: int, op: str, value: Any) -> bool:
    """Whether a time from `first` to `last` reaches into a moment or range, beyond it, or up to it."""
    low, high = _ends(value)
    start, end = -math.inf if low is None else low.bounds[0], math.inf if high is None else high.bounds[1]
    return _spans(first, last, op, start, end)


def _dated(text: FieldValue | None, op: str, value: Any) -> bool:
    """The same of a text in ISO 8601, shortened or not; an offset in it is not looked at."""
    if not isinstance(text, str) or not re.match("[0-9]{4}", text):
        return False
    low, high = _ends(value)
    return _spans(text, text, op, "" if low is None else low.days[0], "~" if high is None else high.days[1])


def _spans(first: Any, last: Any, op: str, start: Any, end: Any) -> bool:
    if op in (":", "="):
        return bool(first < end and last >= start)
    return bool({">": last >= end, ">=": last >= start, "<": first < start, "<=": first < end}[op])


def _micro(text: str) -> int:
    # The moments of filters are whole seconds: that this one is cut to seconds makes no difference.
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()) * 1_000_000


# Texts


def _small(text: str) -> str:
    return text.translate(_SMALL)


def _kept(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _like(text: str | None, op: str, wanted: Iterable[str]) -> bool:
    """Whether a text is one of these, or with `:` contains one, or is like one that has stars."""
    if text is None:
        return False
    if op == "=":
        return text in map(_kept, wanted)
    for value in {each for one in wanted for each in _in_any_case(_kept(one))}:
        parts = [re.escape(part) for part in _small(value).split("*")]
        pattern = ".*".join(parts if len(parts) > 1 else ["", *parts, ""])
        if re.fullmatch(pattern, _small(text), re.DOTALL):
            return True
    return False


def _in_any_case(value: str) -> list[str]:
    return [value] if value.isascii() else [value, value.lower(), value.upper(), value.title()]


def _spelled(op: str, value: str) -> list[str]:
    """Text as it is and as it stands in the uri of a file."""
    cases = [value] if op == "=" else _in_any_case(value)
    return [*cases, *map(_quoted, cases)]


def _quoted(text: str) -> str:
    try:
        return quote_from_bytes(text.encode("utf-8", "surrogateescape"), SAFE)
    except UnicodeEncodeError:
        return quote_from_bytes(text.encode("utf-8", "replace"), SAFE)


# Places


def _in_folder(uri: str, op: str, value: str) -> bool:
    folder, text = uri[: uri.rfind("/") + 1], _kept(value)
    if "://" in text:
        prefix = text.rstrip("/") + "/"
    elif text[0] in "/~" or text in (".", "..") or text.startswith(("./", "../")):
        prefix = "file://" + _quoted(os.path.abspath(os.path.expanduser(value))).rstrip("/") + "/"
    else:
        tail = _small(_quoted(f"/{text.strip('/')}/"))
        below = _small(folder).removeprefix("file://")
        if not _small(uri).startswith("file://"):
            return False
        return below.endswith(tail) if op == "=" else tail in _small(uri)[len("file://") :]
    return folder == prefix if op == "=" else uri.startswith(prefix)


def _at_domain(uri: str | None, value: str) -> bool:
    domain = _kept(value).lower().strip(".")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        domain = _quoted(domain)
    if uri is None or not domain or "://" not in uri:
        return False
    host = "." + _small(re.split("[/?#]", uri.partition("://")[2], maxsplit=1)[0])
    names = (host, re.sub(":[0-9]*$", "", host))
    return any(name.endswith(before + _small(domain)) for name in names for before in ".@")


# Fields that users attached


def _attached(have: FieldValue | None, term: Term) -> bool:
    op, value = term.op, term.value
    if have is None:
        return False
    if isinstance(value, bool):
        return have is value
    if value == "*" and op == ":":
        return True
    if isinstance(value, str):
        return isinstance(have, str) and _like(have, op, [value])
    if isinstance(value, Moment) or _ends(value) != (None, None):
        return _dated(have, op, value)
    if isinstance(have, str):
        # An article number is text, and is asked for without quotes.
        return op in (":", "=") and not isinstance(value, Range) and have == str(term).partition(op)[2]
    return not isinstance(have, bool) and _compared(have, op, value)
