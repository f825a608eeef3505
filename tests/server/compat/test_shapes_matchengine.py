"""MatchEngine's shapes: filepaths, parameters, scores, flips and XML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.compat.answers import answer, match, sighting
from wherefrom.errors import UsageError
from wherefrom.server.compat import matchengine_shapes as shapes
from wherefrom.server.compat.filepaths import filepath_of, filepaths_of, name_of, uri_of
from wherefrom.server.compat.matchengine_shapes import Wanted

ID = "sha256:" + "0" * 63 + "1"


@given(st.text())
def test_a_filepath_is_one_place_and_comes_back(path: str) -> None:
    assert filepath_of(uri_of(path)) == path


@given(st.text(max_size=5), st.text(max_size=5))
def test_filepaths_that_differ_are_places_that_differ(one: str, other: str) -> None:
    assert (uri_of(one) == uri_of(other)) == (one == other)


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("folder/b c.jpg", "matchengine:///folder/b%20c.jpg"),
        ("/abs.jpg", "matchengine:////abs.jpg"),
        ("file:///home/me/a.jpg", "file:///home/me/a.jpg"),
        ("https://a.test/x?y=1", "https://a.test/x?y=1"),
        (ID, ID),
        ("sha256:abc", "matchengine:///sha256%3Aabc"),
        ("100%", "matchengine:///100%25"),
    ],
)
def test_what_came_by_other_ways_keeps_its_name(path: str, uri: str) -> None:
    assert uri_of(path) == uri
    assert filepath_of(uri) == path


def test_an_image_has_a_filepath_for_each_place_where_it_is() -> None:
    places = [
        sighting("matchengine:///a.jpg"),
        sighting("matchengine:///b.jpg", gone=True),
        sighting("file:///c"),
    ]
    seen = [place.as_json() for place in places]
    assert filepaths_of(ID, seen) == ["a.jpg", "file:///c"]
    assert filepaths_of(ID, seen[1:2]) == [ID]


def test_what_is_added_by_url_is_named_after_it() -> None:
    assert name_of("https://a.test/x/melon%20cat.jpg?size=3") == "melon cat.jpg"
    assert name_of("https://a.test/") == "https://a.test/"


def test_scores_and_overlaps() -> None:
    one = match(1, "partial", 97.256, sighting("matchengine:///a.jpg"), coverage=(0.25, 1.0))
    (found,) = shapes.found(answer(one), Wanted(), "TOKEN", "q.jpg")["result"]
    assert found == {
        "filepath": "a.jpg",
        "score": 97.26,
        "match_percent": 50.0,
        "query_overlap_percent": 25.0,
        "target_overlap_percent": 100.0,
        "overlay": f"overlay/?query=TOKEN&target=sha256%3A{1:064x}",
    }
    assert "overlay" not in shapes.found(answer(one), Wanted(overlay=False), "T", "q")["result"][0]


def test_mirrored_matches_only_when_asked_for() -> None:
    both = answer(match(1), match(2, "copy", 98, edits=["scale", "mirror"]))
    assert len(shapes.found(both, Wanted(), None, "q")["result"]) == 1
    assert len(shapes.found(both, Wanted(flipped=True), None, "q")["result"]) == 2
    mirrored = both["matches"][1]
    assert shapes.compared(mirrored, Wanted(), "b")["result"] == []
    assert shapes.compared(mirrored, Wanted(flipped=True), "b")["result"][0]["filepath"] == "b"
    assert shapes.compared(None, Wanted(), "b")["result"] == []


def test_min_score_pages_and_look_alikes() -> None:
    twice = match(1, "same", 99, sighting("matchengine:///a"), sighting("matchengine:///b"))
    every = answer(twice, match(2, "copy", 96), match(3, "similar", 60))

    def paths(**given: str) -> list[str]:
        return [one["filepath"] for one in shapes.found(every, Wanted.of(given), None, "q")["result"]]

    second = f"sha256:{2:064x}"
    assert paths() == ["a", "b", second]
    assert paths(min_score="99") == ["a", "b"]
    assert paths(minScore="99.5") == []
    assert paths(offset="1", limit="1") == ["b"]
    assert paths(limit="-1") == paths(limit="0") == ["a", "b", second]


def test_a_match_has_its_first_filepaths() -> None:
    places = [sighting(f"matchengine:///{n:03}") for n in range(300)]
    every = answer(match(1, "same", 99, *places), match(2, "copy", 96, *places))
    found = shapes.found(every, Wanted.of({"limit": "-1"}), None, "q")["result"]
    assert [one["filepath"] for one in found] == 2 * [f"{n:03}" for n in range(20)]


@pytest.mark.parametrize(
    "given",
    [{"min_score": "101"}, {"min_score": "nan"}, {"limit": "-2"}, {"check_horizontal_flip": "perhaps"}],
)
def test_values_of_no_use_are_named(given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=next(iter(given))):
        Wanted.of(given)


@pytest.mark.parametrize(("value", "flipped"), [("False", False), ("True", True), ("1", True)])
def test_flags_as_clients_spell_them(value: str, flipped: bool) -> None:
    assert Wanted.of({"check_horizontal_flip": value}).flipped is flipped


def test_numbered_parameters() -> None:
    given = [("images[1]", "b"), ("image", "a"), ("images[x]", "c"), ("filepaths[0]", "d"), ("images", "e")]
    with pytest.raises(UsageError, match="images is given twice"):
        shapes.numbered(given, "image", "images")
    assert shapes.numbered(given[:4], "image", "images") == {0: "a", 1: "b"}
    assert shapes.numbered(given, "filepath", "filepaths") == {0: "d"}


def test_status_tells_how_much_was_done() -> None:
    assert shapes.reply("add")["status"] == "ok"
    assert shapes.reply("delete", errors=["x: Failed."], did=1)["status"] == "warn"
    assert shapes.reply("delete", errors=["x: Failed."], did=0)["status"] == "fail"


@given(st.lists(st.text(), max_size=4))
def test_xml_says_the_same(paths: list[str]) -> None:
    data = shapes.as_xml(shapes.reply("list", paths))
    root = ElementTree.fromstring(data)
    assert root.tag == "data"
    assert root.findtext("status") == "ok"
    items = root.findall("result/item")
    assert len(items) == len(paths)
    for item, path in zip(items, paths, strict=True):
        if path.isprintable():
            assert (item.text or "") == path


def test_xml_of_a_search() -> None:
    root = ElementTree.fromstring(shapes.as_xml(shapes.found(answer(match(1)), Wanted(), "T", "q.jpg")))
    assert root.findtext("result/item/score") == "99.0"
    assert root.findtext("query_image/filepath") == "q.jpg"
