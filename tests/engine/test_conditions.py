"""Filters answered by the catalog, held to the same filters answered image by image in plain Python."""

from __future__ import annotations

import fnmatch
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.engine.models import Clock, new_image, new_images
from wherefrom.engine.catalog import FILE_NAME, Catalog
from wherefrom.engine.conditions import condition
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.engine.memory.filters import lets_through
from wherefrom.engine.tables import images
from wherefrom.errors import UsageError
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.filters.parser import parse
from wherefrom.filters.terms import And, Filter, Graded, Not, Or, Term
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image, NewImage, Place

VERSION = {FINGERPRINT: "tests-1", KEYPOINTS: "tests-1"}
DAY = 86_400_000_000
TODAY = int(datetime(2026, 1, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000

PLACES = [
    Place("file:///photos/holidays/2024/beach%20one.jpg"),
    Place("file:///photos/holidays/2024/sub/100%25_real.jpg"),
    Place("file:///photos/holidays/2024x/a.jpg"),
    Place("file:///photos/holidays/2023/A_B.JPG"),
    Place("file:///photos/holidays2024/axb.png"),
    Place("file:///photos/Jos%C3%A9/%C3%89t%C3%A9.jpg"),
    Place("file:///other/holidays/2024/c.gif"),
    Place("https://example.com/a.jpg", "https://blog.example.org/x?q=example.com", "A Title", "a dog"),
    Place("https://www.Example.com:8080/b.jpg?u=http://evil.net/", None, "100% title_x", None),
    Place("http://user@notexample.com/c", "http://sub.example.com", None, "Ünder"),
    Place("https://evil.net/?x=://www.example.com/", "", "", ""),
    Place("bytes:abc"),
]
CREDITS = [
    Credit(),
    Credit(creator="Ågot O'Neil", credit_line="Agency", copyright="© 2024 Ågot", taken="2024-05-06"),
    Credit(creator="ANN", taken="2024"),
    Credit(creator="Ann_e; Bob", copyright="100% mine", taken="2024-05-06T10:20:30+02:00"),
    Credit(licensor="ann", taken="2023-12"),
]
FIELDS: list[dict[str, str | float | bool]] = [
    {"brand": "Acme", "price": 30.0, "sold": True},
    {"brand": "acme & sons", "price": 12.5, "sold": False, "shot": "2024-05-06"},
    {"brand": "007", "price": "n/a", "sold": "true", "shot": "2024-05-07T08:00:00Z"},
    {"price": -1.0, "shot": "zebra"},
    {"brand": 7.0, "sold": 1.0},
]


def populated(catalog: Catalog, clock: Clock) -> None:
    """Images that between them have every kind of fact, and some that are gone."""
    rng = np.random.default_rng(5)
    formats = ["jpeg", "png", "webp"]
    for number in range(40):
        plain = new_image(number, credit=CREDITS[number % len(CREDITS)], placed=False)
        facts = {name: getattr(plain, name) for name in plain.__slots__}
        facts |= {"width": int(rng.integers(1, 9)) * 100, "height": int(rng.integers(1, 9)) * 100}
        facts |= {"format": formats[number % 3], "bytes": int(rng.integers(1, 50)) * 100_000}
        clock.present = TODAY + number * DAY // 4
        catalog.add([NewImage(**facts)], VERSION)
        for place in rng.choice(len(PLACES), int(rng.integers(0, 4)), replace=False):
            catalog.add([NewImage(**facts | {"place": PLACES[place]})], VERSION)
    clock.present = TODAY + 20 * DAY
    catalog.mark_gone(list(catalog.present_under("file:///photos/holidays")))
    for key in range(1, 41, 2):
        catalog.set_fields([key], FIELDS[key % len(FIELDS)])
    catalog.remove([3, 17, 40])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    clock = Clock()
    with closing(Catalog(tmp_path_factory.mktemp("catalog"), create=True, clock=clock)) as made:
        populated(made, clock)
        yield made


@pytest.fixture(scope="module")
def held(catalog: Catalog) -> dict[int, Image]:
    return catalog.images(range(1, 60))


LABELLED = {"dog": [2, 5, 9, 30], "cat": [5, 6], "none": []}


def extra(term: Term) -> NDArray[np.int64]:
    assert isinstance(term.value, Graded)
    if term.field == "colour":
        return np.arange(1, 40, 4)[~np.isin(np.arange(1, 40, 4), [17])]
    return np.array(LABELLED[term.value.text], np.int64)


def truth(wanted: Filter, key: int, image: Image) -> bool:
    """What the engine in memory says."""
    return lets_through(wanted, image, lambda term: key in extra(term))


TERMS = [
    "width>=400", "width=300", "width!=300", "height<200", "width<=100", "height>700", "pixels>160000",
    "aspect:2/1", "aspect=1", "bytes>2MB", "bytes=100kB", "frames:1", "type:jpg", "type:png", "type!=webp",
    "added>2026-01-15", "added:2026-01-12", "added<=2026-01-12", "added>=2026-01-12T12:00Z", "added<2026-01",
    "seen:2026-01-13", "seen>2026-01-14", "seen<2026-01-14", "seen>=2026", "seen<=2026-01-10",
    "taken:2024", "taken:2024-05", "taken:2024-05-06", "taken>2024-01", "taken<2024", "taken>=2024-05-06",
    "taken<=2024-05-06T10:20Z", "creator:ann", "creator:åGOT", "creator:ann_e", "creator=ANN", "creator!=ANN",
    "creator:*bob", 'creator:"o\'neil"', "creator:*", "credit:agency", "copyright:100%", "copyright:%",
    "folder:/photos/holidays/2024", "folder=/photos/holidays/2024", "folder:/photos", "folder:/photos/José",
    "folder:holidays/2024", "folder=holidays/2024", "folder:2024", "folder!=/photos", "folder:/nowhere",
    'path:"beach one"', "path:beach%20one", "path=/photos/holidays/2023/A_B.JPG", "path:a_b", "path:example",
    "uri:example.com", "uri:https*jpg", "uri:100%_real", "uri=bytes:abc", "uri!=bytes:abc",
    "name:a*b*", "name:a_b", "name:*.JPG", "name:été.jpg", "name:ÉTÉ*", 'name="beach one.jpg"',
    "name:holidays",
    "domain:example.com", "domain:www.example.com", "domain:EXAMPLE.org", "domain!=example.com", "domain:com",
    "domain:evil.net", "domain:x_mple.com", "page:blog", "title:title", "title:100%", "title:title_",
    "title!='A Title'", "alt:dog", "alt:ünder", "alt:ÜNDER", "gone:yes", "gone:no", "gone!=no",
    "brand:acme", "brand=Acme", "brand!=Acme", "brand:*", "brand:7", "brand:'007'", "brand:007", "price<30",
    "price>=12.5", "price:30", "price:n/a", "price:*", "sold:true", "sold:false", "sold!=true", "sold:'true'",
    "sold=1", "shot:2024-05-06", "shot>2024-05-06", "shot<2030-01-01", "shot<=2024-05-07", "nothing:x",
    "places:0", "places>=1", "places<2", "places:1..2", "places!=1", "width:300..500", "bytes:..2MB",
    "aspect<1", "aspect>1.5", "added:2026-01-12..2026-01-14", "seen:..2026-01-12", "taken:2024-05..",
    "taken:..2023", "price:-1..12.5", "shot:2024-05-06..2024-05-07", "folder:file:///photos/holidays",
    "folder:HOLIDAYS", "domain:.example.com.", "domain:com:8080", "page:HTTP*", "name:*",
    "label:dog", "label:cat", "label!=dog", "label:none", "colour:teal",
]  # fmt: skip


@pytest.mark.parametrize("text", TERMS)
def test_each_term(text: str, catalog: Catalog, held: dict[int, Image]) -> None:
    wanted = parse(text)
    due = [key for key, image in sorted(held.items()) if truth(wanted, key, image)]
    found = catalog.matching(wanted, extra)
    assert found.dtype == np.int64
    assert found.tolist() == due
    assert catalog.matching(Not(wanted), extra).tolist() == [key for key in sorted(held) if key not in due]


def test_the_terms_tell_images_apart(catalog: Catalog, held: dict[int, Image]) -> None:
    """Else the test above would say little."""
    alike = [text for text in TERMS if len(catalog.matching(parse(text), extra)) in (0, len(held))]
    everywhere = {"frames:1", "folder!=/photos"}
    nowhere = {"folder:/nowhere", "domain:x_mple.com", "nothing:x", "label:none", "added<2026-01"}
    assert set(alike) <= everywhere | nowhere | {"path:example", "name:holidays"}


filters = st.recursive(
    st.sampled_from([parse(text) for text in TERMS]),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None)
@given(wanted=filters)
def test_any_filter(wanted: Filter, catalog: Catalog, held: dict[int, Image]) -> None:
    due = [key for key, image in sorted(held.items()) if truth(wanted, key, image)]
    assert catalog.matching(wanted, extra).tolist() == due


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("width:300..500", "width>=300 width<=500"),
        ("bytes:..2MB", "bytes<=2MB"),
        ("added:2026-01-12..2026-01-14", "added>=2026-01-12 added<=2026-01-14"),
        ("taken:2024-05..", "taken>=2024-05"),
        ("price:-1..12.5", "price>=-1 price<=12.5"),
        ("shot:2024-05-06..2024-05-07", "shot>=2024-05-06 shot<=2024-05-07"),
        ("folder:/photos/./holidays/../holidays/2024/", "folder:/photos/holidays/2024"),
        ("folder:file:///photos/holidays", "folder:/photos/holidays"),
        ("folder:/holidays/2024/", "folder:/holidays/2024"),
        ("domain:.example.com.", "domain:example.com"),
        ("id:SHA256:" + "0" * 64, "id:0000000000"),
    ],
)
def test_ways_to_say_the_same(text: str, same: str, catalog: Catalog) -> None:
    assert catalog.matching(text).tolist() == catalog.matching(same).tolist()


def test_a_home_folder(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/photos/holidays")
    due = catalog.matching("folder:/photos/holidays/2024").tolist()
    assert due
    assert catalog.matching("folder:~/2024").tolist() == due
    assert catalog.matching("path:~/2024/").tolist() == due


def test_ids_by_their_beginning(catalog: Catalog, held: dict[int, Image]) -> None:
    for key, image in held.items():
        digits = image.id.removeprefix("sha256:")
        for text in (f"id={image.id}", f"id:{digits[:9]}", f"id:sha256:{digits[:12].upper()}"):
            assert catalog.matching(text).tolist() == [key]


def test_international_domains(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path, create=True)) as made:
        made.add([new_image(1, at="https://www.xn--mnchen-3ya.de/a.jpg")], VERSION)
        assert made.matching("domain:münchen.de").tolist() == [1]
        assert made.matching("domain:chen.de").tolist() == []
        assert made.matching(f"domain:{'ü' * 80}.de").tolist() == []


def test_labels_need_someone_who_knows(catalog: Catalog) -> None:
    with pytest.raises(UsageError, match="label cannot be asked for here"):
        catalog.matching("width>1 label:dog")
    unsorted = np.array([9, 5, 5, 2])
    assert catalog.matching("label:dog", lambda _: unsorted).tolist() == [2, 5, 9]
    asked: list[Term] = []

    def told(term: Term) -> NDArray[np.int64]:
        asked.append(term)
        return np.array([2], np.int64)

    assert catalog.matching("width>100000 label:dog@0.5", told).tolist() == []
    assert asked == []  # what nothing can come of is not asked
    assert catalog.matching("label:dog@50% or width>100000", told).tolist() == [2]
    assert asked == [Term("label", ":", Graded("dog", 0.5))]


def test_texts_are_read_with_the_fields_that_are_known(catalog: Catalog) -> None:
    assert catalog.matching("brand:Acme").tolist() == catalog.matching("field.brand:Acme").tolist() != []
    with pytest.raises(UsageError, match="did you mean brand"):
        catalog.matching("brnd:Acme")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["creator", "title", "uri", "path", "name", "folder", "domain", "page", "field.x", "type"]
    ),
    st.sampled_from([":", "=", "!="]),
    st.text(min_size=1, max_size=30).filter(lambda text: text.count("*") <= 8),
)
def test_any_text_can_be_looked_for(catalog: Catalog, field: str, op: str, text: str) -> None:
    found = catalog.matching(Term(field, op, text))
    assert (len(found) > 0) or op != "!="


def test_stars_are_wild_and_nothing_else_is(catalog: Catalog, held: dict[int, Image]) -> None:
    for pattern in ("*a*b*", "x*", "*g", "a?b", "[a]", "%", "_", "\\"):
        due = [
            key
            for key, image in sorted(held.items())
            if any(
                fnmatch.fnmatchcase((one.title or "").lower(), re.sub(r"([?[])", r"[\1]", pattern))
                if "*" in pattern
                else pattern in (one.title or "")
                for one in image.sightings
            )
        ]
        assert catalog.matching(Term("title", ":", pattern)).tolist() == due


def test_folders_and_fields_are_looked_up(catalog: Catalog) -> None:
    from sqlalchemy import select
    from sqlalchemy.dialects import sqlite

    def plan(text: str) -> str:
        query = select(images.c.id).where(condition(parse(text)))
        compiled = query.compile(dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True})
        with catalog._database.reading() as connection:
            values = tuple(compiled.params[name] for name in compiled.positiontup or ())
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", values)
            return "\n".join(row[3] for row in rows)

    assert "USING COVERING INDEX sightings_by_uri (uri>? AND uri<?)" in plan("folder:/photos/holidays")
    assert "USING PRIMARY KEY (name=?)" in plan("field.price<30")


# Fields that users attach


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path, create=True)) as made:
        made.add(new_images(range(6)), VERSION)
        yield made


def sound(catalog: Catalog) -> bool:
    return list(catalog.damage([FINGERPRINT])) == []


def test_fields_are_set_replaced_and_taken_away(fresh: Catalog) -> None:
    assert fresh.images([1])[1].fields == {}
    assert (
        fresh.set_fields([1, 2, 2, 99], {"brand": "Ac\x00me \ud800", "price": 30, "ok": True, "z": -0.0}) == 2
    )
    due = {"brand": "Ac\x00me ?", "price": 30.0, "ok": True, "z": 0.0}
    assert fresh.images([1, 2, 3])[2].fields == due
    assert list(fresh.images([1])[1].fields) == sorted(due)
    assert fresh.images([1])[1].fields["ok"] is True
    assert fresh.images([1])[1].as_json()["fields"] == due
    assert fresh.images([3])[3].fields == {}
    assert fresh.set_fields([2], {"price": "dear", "ok": None, "never": None}) == 1
    assert fresh.images([2])[2].fields == {"brand": "Ac\x00me ?", "price": "dear", "z": 0.0}
    assert fresh.images([1])[1].fields == due
    assert hash(fresh.images([1])[1]) == hash(fresh.images([1])[1])
    assert fresh.remove([1]) == 1
    assert sound(fresh)
    with closing(sqlite3.connect(fresh.path)) as raw:
        assert raw.execute("SELECT DISTINCT image_id FROM fields").fetchall() == [(2,)]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
NAMES = st.from_regex(r"x[A-Za-z0-9_.-]{0,10}", fullmatch=True)


@given(values=st.dictionaries(NAMES, st.text(max_size=20) | st.booleans() | NUMBERS, max_size=8))
@settings(max_examples=15, deadline=None)
def test_any_field_comes_back(catalog: Catalog, values: dict[str, str | float | bool]) -> None:
    before = dict(catalog.images([2])[2].fields)
    catalog.set_fields([2], values)
    try:
        kept = catalog.images([2])[2].fields
        for name, value in values.items():
            due = value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            assert kept[name] == due
            assert isinstance(kept[name], bool) == isinstance(value, bool)
        assert sound(catalog)
    finally:
        catalog.set_fields([2], dict.fromkeys(values))
    assert catalog.images([2])[2].fields == before


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({"": "x"}, "field's name"),
        ({"a b": "x"}, "field's name"),
        ({"9a": "x"}, "field's name"),
        ({"ä": "x"}, "field's name"),
        ({"x" * 65: "x"}, "field's name"),
        ({"Width": "x"}, "name of our own"),
        ({"format": "x"}, "name of our own"),
        ({"NOT": "x"}, "name of our own"),
        ({"field.x": "x"}, "name of our own"),
        ({"x": "y" * 1001}, "1000 is the most"),
        ({"x": float("nan")}, "finite"),
        ({"x": float("inf")}, "finite"),
        ({"x": 10**400}, "finite"),
        ({"x": ["y"]}, "takes text"),
        ({"x": b"y"}, "takes text"),
        ({f"x{n}": n for n in range(65)}, "64 fields"),
        ({f"x{n}": n for n in range(64)}, "would have 65"),
    ],
)
def test_fields_that_cannot_be(fresh: Catalog, new: dict[str, str], told: str) -> None:
    fresh.set_fields([1], {"kept": "here"})
    with pytest.raises(UsageError, match=told):
        fresh.set_fields([2, 1], {"good": "x", **new} if len(new) == 1 else new)
    assert [dict(one.fields) for one in fresh.images([1, 2]).values()] == [{"kept": "here"}, {}]
    assert sound(fresh)


def test_many_images_at_once(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path, create=True)) as made:
        made.add(new_images(range(1200)), VERSION)
        assert made.set_fields(range(1, 2000), {"lot": 5, "of": "many"}) == 1200
        assert len(made.matching("lot:5 of:many -width:643")) == 1200 - len(made.matching("width:643"))
        assert made.set_fields(range(1, 1101), {"lot": None}) == 1100
        assert made.matching("lot:5").tolist() == list(range(1101, 1201))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE fields SET text = 'other' WHERE image_id = 2 AND name = 'brand'",
        "UPDATE fields SET number = 31 WHERE image_id = 2 AND name = 'price'",
        "UPDATE fields SET name = 'brond' WHERE image_id = 2 AND name = 'brand'",
        "UPDATE fields SET image_id = 2 WHERE image_id = 3",
        "UPDATE fields SET text = NULL WHERE image_id = 2",
        "UPDATE fields SET number = 'x' WHERE image_id = 2",
        "UPDATE fields SET text = x'ff' WHERE image_id = 2",
    ],
)
def test_damage_to_a_field_is_named(tmp_path: Path, fresh: Catalog, sql: str) -> None:
    fresh.set_fields([2], {"brand": "Acme", "price": 30, "sold": True})
    fresh.set_fields([3], {"else": "x"})
    assert sound(fresh)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as raw, raw:
        raw.execute(sql)
    problems = [one for one in fresh.damage([FINGERPRINT]) if "a field of image number 2" in one]
    assert problems
    assert "backup" in problems[0]


def test_fields_of_images_that_are_not_there(tmp_path: Path, fresh: Catalog) -> None:
    fresh.set_fields([2], {"brand": "Acme"})
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as raw, raw:
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("UPDATE fields SET image_id = 77")
    assert any("fields belongs to nothing" in one for one in fresh.damage([FINGERPRINT]))


def test_the_engine_sets_fields_and_answers_filters(tmp_path: Path) -> None:
    with closing(EmbeddedEngine(tmp_path / "c", create=True)) as engine:
        engine.add(new_images(range(5)))
        assert engine.set_fields([1, 2], {"brand": "Acme"}) == 2
        assert list(engine.select("brand:acme")) == [1, 2]
        assert list(engine.select(parse("-brand:acme width>0"))) == [3, 4, 5]
        engine.rebuild()
        assert engine.images([1])[1].fields == {"brand": "Acme"}
        assert list(engine.damage()) == []
    with closing(EmbeddedEngine(tmp_path / "c")) as engine:
        assert list(engine.select("brand=Acme")) == [1, 2]
        engine.remove([1])
        assert list(engine.select("brand=Acme")) == [2]
