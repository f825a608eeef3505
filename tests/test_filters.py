"""The filter language: what it reads, what it refuses and where, and that a filter prints as it is read."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherefrom.errors import UsageError
from wherefrom.filters.parser import LONGEST, parse, typed
from wherefrom.filters.terms import (
    DEEPEST,
    FIELDS,
    MOST_TERMS,
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
)

# Reading


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("type:jpeg", Term("type", ":", "jpeg")),
        ("FORMAT = png", Term("type", "=", "png")),
        ("width>=1000", Term("width", ">=", 1000)),
        ("width >= 1e3", Term("width", ">=", 1000)),
        ("width:800..1200", Term("width", ":", Range(800, 1200))),
        ("width:800..", Term("width", ":", Range(800, None))),
        ("height:..1200", Term("height", ":", Range(None, 1200))),
        ("bytes>2MB", Term("bytes", ">", 2_000_000)),
        ("bytes<1.5KiB", Term("bytes", "<", 1536)),
        ("bytes:10k..2m", Term("bytes", ":", Range(10_000, 2_000_000))),
        ("pixels>=12MP", Term("pixels", ">=", 12_000_000)),
        ("aspect:3/2", Term("aspect", ":", 1.5)),
        ("aspect<16:10", Term("aspect", "<", 1.6)),
        ("added>2026-01-01", Term("added", ">", Moment("2026-01-01"))),
        ("seen:2026", Term("seen", ":", Moment("2026"))),
        ("taken:2025-12..2026-01-15", Term("taken", ":", Range(Moment("2025-12"), Moment("2026-01-15")))),
        ("seen<2026-01-01T01:30+02:00", Term("seen", "<", Moment("2025-12-31T23:30Z"))),
        ("folder:holidays/2024", Term("folder", ":", "holidays/2024")),
        ('folder:"a b"', Term("folder", ":", "a b")),
        (r"path:'C:\x \'y\''", Term("path", ":", r"C:\x 'y'")),
        ("name:foo(1).jpg", Term("name", ":", "foo(1).jpg")),
        ("url:a=b", Term("uri", ":", "a=b")),
        ("gone:yes", Term("gone", ":", True)),
        ("gone!=true", Term("gone", "!=", True)),
        ("label:dog", Term("label", ":", Graded("dog"))),
        ('label:"golden retriever"@80%', Term("label", ":", Graded("golden retriever", 0.8))),
        ("label:me@home", Term("label", ":", Graded("me@home"))),
        ("color:#0fc@.25", Term("colour", ":", Graded("#0fc", 0.25))),
        ("colour:rgb(1,2,3)", Term("colour", ":", Graded("rgb(1,2,3)"))),
        ('brand="Acme"', Term("field.brand", "=", "Acme")),
        ("price<30", Term("field.price", "<", 30)),
        ("price:-5..-1.5", Term("field.price", ":", Range(-5, -1.5))),
        ('sku:"007"', Term("field.sku", ":", "007")),
        ("sold:true", Term("field.sold", ":", True)),
        ("shot>=2026-01-31", Term("field.shot", ">=", Moment("2026-01-31"))),
        ("note:a..b", Term("field.note", ":", "a..b")),
        ("x.y-z:*", Term("field.x.y-z", ":", "*")),
    ],
)
def test_terms(text: str, term: Term) -> None:
    found = parse(text)
    assert found == term
    assert hash(found) == hash(term)
    assert parse(str(found)) == term
    assert parse(f"({text})") == term


a, b, c = (Term("width", ">", float(number)) for number in (1, 2, 3))
A, B, C = "width>1", "width>2", "width>3"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{A} {B} {C}", And((a, b, c))),
        (f"{A} and {B} AND {C}", And((a, b, c))),
        (f"{A} {B} or {C}", Or((And((a, b)), c))),
        (f"{A} or {B} {C}", Or((a, And((b, c))))),
        (f"({A} or {B}) {C}", And((Or((a, b)), c))),
        (f"-{A} {B}", And((Not(a), b))),
        (f"not {A} or -({B} {C})", Or((Not(a), Not(And((b, c)))))),
        (f"not({A})", Not(a)),
        (f"- - {A}", Not(Not(a))),
        (f"({A} ({B} {C}))", And((a, b, c))),
        (f"\n{A}\t or\u00a0{B} ", Or((a, b))),
    ],
)
def test_joining(text: str, found: Filter) -> None:
    assert parse(text) == found
    assert parse(str(found)) == found


def test_joined_alike_is_joined_once() -> None:
    assert And((And((a, b)), c)) == And((a, And((b, c)))) == And((a, b, c))
    assert Or((Or((a, b)), c)).parts == (a, b, c)
    assert And((Or((a, b)), c)).depth() == 3
    assert list(Not(Or((a, And((b, c))))).terms()) == [a, b, c]


def test_moments_are_spans_of_time() -> None:
    day = 86_400_000_000
    start, end = Moment("1970-01-02").bounds
    assert (start, end) == (day, 2 * day)
    assert Moment("1970").bounds == (0, 365 * day)
    assert Moment("1970-02").bounds == (31 * day, 59 * day)
    assert Moment("1970-12").bounds[1] == Moment("1971").bounds[0]
    assert Moment("1970-01-01T01:00+01:00") == Moment("1970-01-01T00:00Z")
    assert Moment("1970-01-01T00:00:01Z").bounds == (1_000_000, 2_000_000)
    assert Moment("0007-03").days == ("0007-03", "0007-04")


def test_typing_of_values() -> None:
    assert typed("True") is True
    assert typed("-1.5e3") == -1500.0
    assert [typed(text) for text in ("", "nan", "1,5", "0x10", "inf", "12 kg", "١")] == [
        "", "nan", "1,5", "0x10", "inf", "12 kg", "١",
    ]  # fmt: skip


# Refusing


@pytest.mark.parametrize(
    ("text", "told", "at"),
    [
        ("", "empty", 0),
        ("   ", "empty", 0),
        ("widht>=100", "did you mean width", 0),
        ("type:png heigth<3", "did you mean height", 9),
        ("dog", "write for example name:dog", 0),
        ("type:png dog", "write for example name:dog", 9),
        ("width>=", "value is missing", 7),
        ("width>= )", "value is missing", 8),
        ("width>=wide", "needs a number such as 1000", 7),
        ("bytes>2PB", "500kB or 2MB", 6),
        ("width>2MB", "such as 1000", 6),
        ("width:800..100", "smaller value comes first", 6),
        ("width:..", "beginning or an end", 6),
        ("width=1..2", "written with a colon", 6),
        ("width:nan", "needs a number", 6),
        ("added>2026-13-01", "no date", 6),
        ("added:1..2026-02", "no date", 6),
        ("gone:maybe", "yes or no", 5),
        ("creator<x", "neither less nor more", 8),
        ("price<cheap", "neither less nor more", 6),
        ("sold<true", "neither less nor more", 5),
        ("creator:x@0.5 name:'a'@0.5", "Only label and colour", 19),
        ("colour:gren", "did you mean green", 7),
        ("label:dog@3", "from 0 to 1", 6),
        ('label:""', "missing", 6),
        ("id:xyz", "64 hex digits", 3),
        ("id=abcd", "64 hex digits", 3),
        ("name:" + "*a" * 9, "8 stars", 5),
        ('name:""', "something to look for", 5),
        ("(width>1", "never closed", 0),
        ("width>1)", "closes nothing", 7),
        ('name:"x', "never closed", 5),
        ('name:"x"y', "comes a space", 8),
        ("width>1 and", "is missing here", 11),
        ("or width>1", "is missing here", 0),
        ("width>1 or or width>2", "is missing here", 11),
        ("()", "is missing here", 1),
        ("-", "is missing here", 1),
        ("width~3", "not said", 0),
        ("=3", "name of a field", 0),
        ("field.type:x", "no field", 0),
        ("and:x", "no field", 0),
        ("größe>3", "not said", 0),
        ("shot>=2026-02-30", "no date", 6),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, told: str, at: int) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse(text)
    message, shown, caret = str(caught.value).split("\n")
    assert message[-1] in ".?:" or "Write" in message
    assert shown == "  " + text
    assert caret == "  " + " " * at + "^"


def test_the_place_in_a_long_filter() -> None:
    text = " ".join([A] * 50) + " dog " + " ".join([B] * 50)
    with pytest.raises(UsageError) as caught:
        parse(text)
    _, shown, caret = str(caught.value).split("\n")
    assert len(shown) < 70
    assert shown[len(caret) - 1 :].startswith("dog")
    with pytest.raises(UsageError) as caught:
        parse("name:a\nname:'")
    assert str(caught.value).count("\n") == 2


def test_known_fields_are_suggested_and_unknown_ones_refused() -> None:
    assert parse("brand:x", known={"brand"}) == Term("field.brand", ":", "x")
    with pytest.raises(UsageError, match="did you mean brand"):
        parse("brnad:x", known={"brand"})
    with pytest.raises(UsageError, match=r"there are .*brand.*width"):
        parse("zzzz:x", known={"brand"})
    assert parse("field.zzzz:x", known={"brand"}) == Term("field.zzzz", ":", "x")


def test_limits() -> None:
    with pytest.raises(UsageError, match="4000 is the most"):
        parse("name:" + "x" * LONGEST)
    assert parse("(" * 50 + A + ")" * 50) == a
    for text in ("(" * 70 + A + ")" * 70, "-" * 1000 + A, "-(" * 40 + A + ")" * 40, "not " * 500 + A):
        with pytest.raises(UsageError, match=r"deep"):
            parse(text)
    nested: Filter = a
    for _ in range(DEEPEST - 1):
        nested = Not(nested)
    assert parse(str(nested)) == nested
    with pytest.raises(UsageError, match="levels deep"):
        Not(nested)
    with pytest.raises(UsageError, match="terms"):
        parse(" ".join([A] * (MOST_TERMS + 1)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Term("widht", "=", 1),
        lambda: Term("field.", ":", "x"),
        lambda: Term("field.id", ":", "x"),
        lambda: Term("field.a b", ":", "x"),
        lambda: Term("width", "~", 1),
        lambda: Term("width", "=", "1"),
        lambda: Term("width", "=", True),
        lambda: Term("width", "=", math.nan),
        lambda: Term("width", ":", Range(1, Moment("2026"))),
        lambda: Term("width", ":", Range(Moment("2026"), None)),
        lambda: Term("creator", ":", Range(1, 2)),
        lambda: Term("creator", ":", 1),
        lambda: Term("gone", ":", "yes"),
        lambda: Term("label", ":", "dog"),
        lambda: Term("field.x", ":", Moment("2026")),
        lambda: Term("field.x", ":", Graded("x")),
        lambda: Moment("yesterday"),
        lambda: Moment("9999-12-31"),
        lambda: Range(None, None),
        lambda: Graded("x", 2),
        lambda: And((a,)),
        lambda: Or(()),
    ],
)
def test_filters_made_by_hand_are_checked(make: Any) -> None:
    with pytest.raises(UsageError):
        make()


# There and back

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**40), 2**40).map(float)
texts = st.text(min_size=1, max_size=12).filter(lambda text: text.count("*") <= 8)
moments = st.builds(
    lambda one, form: Moment(one.strftime(form)),
    st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9998, 1, 1)),
    st.sampled_from(["%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S+05:30"]),
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}", fullmatch=True).filter(
    lambda name: name.casefold() not in RESERVED
)
grades = st.none() | st.floats(0, 1)
values: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.NUMBER: numbers,
    Kind.BYTES: numbers,
    Kind.MOMENT: moments,
    Kind.TRUTH: st.booleans(),
    Kind.LABEL: st.builds(Graded, texts.filter(lambda text: bool(text.strip())), grades),
    Kind.COLOUR: st.builds(Graded, st.sampled_from(["teal", "#0fc", "rgb(1, 2, 3)", "light blue"]), grades),
    Kind.ID: st.binary(min_size=32, max_size=32).map(lambda raw: "sha256:" + raw.hex()),
    Kind.OWN: texts | numbers | st.booleans() | moments.filter(lambda one: len(one.text) >= 10),
}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    field = draw(st.sampled_from(sorted(FIELDS)) | names.map("field.{}".format))
    value = draw(values.get(FIELDS.get(field, Kind.OWN), texts))
    ordered = not isinstance(value, str | bool | Graded)
    if ordered and draw(st.booleans()):
        other = draw(moments if isinstance(value, Moment) else numbers)
        if field.startswith("field.") and isinstance(other, Moment):
            other = None
        ends = [value, None] if draw(st.booleans()) else [None, value]
        if other is not None:
            key: Any = (lambda one: one.bounds) if isinstance(value, Moment) else float
            ends = sorted([value, other], key=key)
        return Term(field, ":", Range(*ends))
    return Term(
        field,
        draw(st.sampled_from([":", "=", "!=", "<", "<=", ">", ">="] if ordered else [":", "=", "!="])),
        value,
    )


filters = st.recursive(
    terms(),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=4).map(tuple))
    ),
    max_leaves=10,
)


@settings(max_examples=80, deadline=None)
@given(filters)
def test_a_filter_prints_as_it_is_read(wanted: Filter) -> None:
    text = str(wanted)
    if len(text) <= LONGEST:
        assert parse(text) == wanted
        assert str(parse(text)) == text


PIECES = [*'()-:@" x1', "width", ">=", "or", "and", "not", "name", "label", "..", "2026-01-01"]


@settings(max_examples=80, deadline=None)
@given(
    st.text(alphabet=st.sampled_from(list("ab:=<>!-()\"'\\ .*@%#019")) | st.characters(), max_size=60)
    | st.lists(
        st.sampled_from(PIECES),
        max_size=14,
    ).map("".join)
)  # fmt: skip
def test_any_text_is_a_filter_or_a_sentence(text: str) -> None:
    try:
        found = parse(text)
    except UsageError as error:
        assert str(error).count("\n") == 2  # noqa: PT017
        return
    assert parse(str(found)) == found
