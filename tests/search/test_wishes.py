"""Wishes: what people say they want of look-alikes, as numbers; and what is told of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wherefrom
from tests.models.graphs import card, means, saved, weights
from tests.pictures import assert_sentence
from tests.scenes import encoded, folder_of, picture
from wherefrom.errors import ModelMissing, NotAPicture, NotFound, UsageError
from wherefrom.features.colours import parse_colours
from wherefrom.features.embedding import Embedding, Model
from wherefrom.features.extract import Recipe
from wherefrom.features.palette import palette
from wherefrom.models.labels import classes
from wherefrom.picture.picture import Picture
from wherefrom.search.request import SearchRequest
from wherefrom.search.wishes import About, read_wishes
from wherefrom.settings import Settings


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings under which a small model of the test computes embeddings."""
    pytest.importorskip("onnxruntime")
    model = Model(card(), str(saved(tmp_path, means())))
    monkeypatch.setattr(Settings, "recipe", property(lambda _: Recipe(model=model)))
    monkeypatch.setattr(Settings, "card", property(lambda _: model.card))
    return Settings()


def plain(red: int, green: int, blue: int) -> Picture:
    pixels = np.empty((8, 12, 3), np.uint8)
    pixels[:] = (red, green, blue)
    return Picture.from_array(pixels)


def same(source: Any) -> Any:
    return source


# What is said


@pytest.mark.parametrize(
    ("wishes", "none", "subject"),
    [
        (SearchRequest(), True, False),
        (SearchRequest(ignore_background=True), True, False),
        (SearchRequest(text=""), True, False),
        (SearchRequest(like=["a.jpg"]), False, True),
        (SearchRequest(unlike=["a.jpg"]), False, False),
        (SearchRequest(text="a boat"), False, True),
        (SearchRequest(colours="red"), False, True),
        (SearchRequest(unlike=["a.jpg"], colours="red"), False, True),
    ],
)
def test_what_there_is_to_search_by(wishes: SearchRequest, none: bool, subject: bool) -> None:
    assert wishes.has_wishes is not none
    assert wishes.needs_picture is not subject


# As numbers


def test_wishes_as_numbers(tiny: Settings) -> None:
    asked: list[Any] = []

    def source(one: Any) -> Any:
        asked.append(one)
        return {"blue": plain(0, 0, 200), "red": plain(200, 0, 0), "grey": plain(90, 90, 90)}[one]

    request = SearchRequest(
        like=["blue", "grey"], unlike=["red"], colours="red:2, #336699", ignore_background=True
    )
    wish = read_wishes(request, source, tiny)
    assert asked == ["blue", "grey", "red"]
    assert np.stack([one.vector for one in wish.like]) == pytest.approx(
        np.array([[0, 0, 1], 3 * [3**-0.5]]), abs=1e-6
    )
    assert [one.vector.tolist() for one in wish.unlike] == [[1, 0, 0]]
    assert wish.words is None
    assert wish.colours == parse_colours("red:2, #336699")
    assert wish.ignore_background
    assert len(wish.wanted) == 2
    assert not wish.is_empty


def test_nothing_wished_is_an_empty_wish() -> None:
    """For which no model is needed."""
    wish = read_wishes(SearchRequest(), same, Settings(model="none"))
    assert wish.is_empty
    assert wish.wanted == []
    assert not read_wishes(SearchRequest(colours="red"), same, Settings(model="none")).is_empty


@pytest.mark.parametrize(
    "wishes", [SearchRequest(like=[encoded(picture(1))]), SearchRequest(unlike=[encoded(picture(1))])]
)
def test_pictures_need_a_model(wishes: SearchRequest) -> None:
    with pytest.raises(ModelMissing) as caught:
        read_wishes(wishes, same, Settings(model="none"))
    assert_sentence(caught.value)


def test_a_model_that_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEREFROM_MODELS", str(tmp_path))
    with pytest.raises(ModelMissing) as caught:
        read_wishes(SearchRequest(like=[plain(1, 2, 3)]), same, Settings(model="siglip2-base"))
    assert_sentence(caught.value)


def test_words_need_a_model_with_a_side_for_them(tiny: Settings) -> None:
    with pytest.raises(UsageError, match="The model means cannot search by words"):
        read_wishes(SearchRequest(text="a red boat"), same, tiny)


def test_words_need_a_model() -> None:
    with pytest.raises(UsageError, match="Without a model nothing can be searched by words"):
        read_wishes(SearchRequest(text="a red boat"), same, Settings(model="none"))


def test_colours_of_no_use_are_refused(tiny: Settings) -> None:
    for text in ("no colour at all", "red, #12", "red:0"):
        with pytest.raises(UsageError):
            read_wishes(SearchRequest(colours=text), same, tiny)


def test_a_picture_that_cannot_be_read_is_refused(tiny: Settings) -> None:
    with pytest.raises(NotAPicture):
        read_wishes(SearchRequest(like=[b"these are words and no picture"]), same, tiny)
    with pytest.raises(UsageError):
        read_wishes(SearchRequest(unlike=[3.5]), same, tiny)


# In a collection


@weights
def test_wishes_in_a_collection(tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 3)
    with wherefrom.open(tmp_path / "c", create=True, settings=Settings(workers=1)) as made:
        made.add(tmp_path / "pictures")
        known = made.search(files[1])[0].id
        # A path, bytes, a Picture and an id of an image here are one.
        one = made.search(None, like=[files[1]], limit=3)
        for other in (files[1].read_bytes(), known):
            again = made.search(None, like=[other], limit=3)
            assert [match.id for match in again] == [match.id for match in one]
        assert one[0].id == known
        with pytest.raises(NotFound):
            made.search(None, like=["sha256:" + 64 * "0"])
        for nothing in ({}, {"unlike": [files[0]]}, {"like": [files[0]], "kinds": {"copy"}}):
            with pytest.raises(UsageError) as caught:
                made.search(None, **nothing)
            assert_sentence(caught.value)
        with pytest.raises(UsageError, match="unlike"):
            made.search(None, colours="red", unlike=[files[0]])
        about = made.about(known)
        assert about.colours
        assert about == made.about(known)


# What is told


def test_an_image_is_told_about() -> None:
    logs = np.log(np.array([0.9, 0.05], np.float32))
    dog = classes().names.index("golden retriever")
    box = (51 / 255, 0.0, 1.0, 102 / 255)
    kept = Embedding(np.eye(4, dtype=np.float32)[0], np.array([dog, dog + 1]), logs, (box,)).to_bytes()
    seen = palette(plain(10, 200, 30))
    about = About.of(kept, seen.to_bytes())
    assert about.labels[0].name == "golden retriever"
    assert np.array(about.objects) == pytest.approx(np.array([box]), abs=1e-6)
    assert [one["name"] for one in about.colours] == [one["name"] for one in seen.as_json()]
    said = about.as_json()
    assert set(said) == {"labels", "colours", "objects"}
    assert said["objects"] == [[0.2, 0.0, 1.0, 0.4]]
    assert said["labels"] == [label.as_json() for label in about.labels]


def test_what_is_not_known_is_not_told() -> None:
    assert About.of(b"", b"") == About()
    assert About().as_json() == {"labels": [], "colours": [], "objects": []}
    assert About.of(b"", palette(plain(1, 2, 3)).to_bytes()).labels == ()
