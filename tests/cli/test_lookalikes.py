"""Look-alikes, filters and fields on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_cli import called, document
from tests.scenes import encoded, scene
from wherefrom.cli.lookalikes import in_words, lines_about, shown_by, shown_in
from wherefrom.cli.main import run
from wherefrom.errors import Exit
from wherefrom.models.labels import Label
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image as Kept
from wherefrom.search.answer import Evidence, Kind, Match, QueryFacts
from wherefrom.search.wishes import About

pytestmark = pytest.mark.usefixtures("default_model")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of a cat (twice), a cup of coffee and a camera, and two plain pictures, indexed."""
    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("lookalikes")
    pictures = folder / "pictures"
    (pictures / "plain").mkdir(parents=True)
    cat = Image.fromarray(data.chelsea())
    (folder / "cat detail.png").write_bytes(encoded(cat.crop((130, 20, 330, 220)), "PNG"))
    Image.fromarray(data.rocket()).save(folder / "rocket.png")
    cat.save(pictures / "cat.png")
    cat.resize((300, 200)).save(pictures / "cat again.jpg", quality=60)
    Image.fromarray(data.coffee()).save(pictures / "coffee.png")
    Image.fromarray(data.camera()).save(pictures / "camera.png")
    for name, colour in (("red", (230, 20, 20)), ("teal", (0, 128, 128))):
        shade = 0.8 + 0.2 * scene(300, 400, seed=len(name)) / 255
        plain = (shade[..., None] * np.array(colour)).astype(np.uint8)
        Image.fromarray(plain).save(pictures / "plain" / f"{name}.png")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run(["index", "pictures", "-q"]) == Exit.OK
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def test_claims_alone_unless_look_alikes_are_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, "search", "rocket.png", expect=Exit.NOTHING_FOUND)
    out, err = called(capsys, "search", "pictures/coffee.png")
    assert len(out.splitlines()) == 2
    assert err == ""
    kinds = [match["kind"] for match in document(capsys, "search", "rocket.png", "--kinds", "all")["matches"]]
    assert set(kinds) == {"similar"}
    for wish in ("all", " all ", "identical,similar"):
        found = document(capsys, "search", "pictures/coffee.png", "--kinds", wish)["matches"]
        kinds = [match["kind"] for match in found]
        assert kinds == ["identical", *["similar"] * (len(kinds) - 1)]
        assert len(kinds) > 2
    only = document(capsys, "search", "pictures/coffee.png", "--kinds", "similar")["matches"]
    assert {match["kind"] for match in only} == {"similar"}
    assert not any(one["sightings"][0]["uri"].endswith("coffee.png") for one in only)


def test_look_alikes_stand_below_the_claims_with_what_they_show(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = called(capsys, "search", "pictures/coffee.png", "--kinds", "all")
    lines = out.splitlines()
    assert lines[1].startswith("identical  100.0")
    first = next(number for number, line in enumerate(lines) if line.startswith("similar"))
    assert all(line.startswith(("similar", " ")) for line in lines[first:])
    cat = next(number for number, line in enumerate(lines) if "pictures/cat" in line)
    assert lines[cat].startswith("similar")
    assert lines[cat + 1].strip() == "cat (+1 near-copy)"
    assert sum("pictures/cat" in line for line in lines) == 1
    (said,) = err.splitlines()
    assert said.startswith("Perhaps: espresso (drink). Objects: 1 at ")
    document_of_it = document(capsys, "search", "pictures/coffee.png", "--kinds", "all")
    assert document_of_it["query"]["labels"][0]["name"] == "espresso"
    place = [float(value) for value in said.partition("1 at ")[2].rstrip(".").split(",")]
    assert place == pytest.approx(document_of_it["query"]["objects"][0], abs=0.6)


def test_an_object_is_searched_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = document(capsys, "search", "pictures/coffee.png", "--object", "1")
    assert answer["matches"][0]["sightings"][0]["uri"].endswith("coffee.png")
    assert answer["matches"][0]["kind"] != "identical"  # it was a part that was searched
    _, err = called(capsys, "search", "pictures/coffee.png", "--object", "1", "--kinds", "all")
    assert "Perhaps: " in err
    assert "Objects: " not in err  # those would be numbered in the part
    _, err = called(capsys, "search", "pictures/coffee.png", "--object", "9", expect=Exit.USAGE)
    assert "no number 9" in err


def test_like_and_unlike_without_a_picture(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    liked = document(capsys, "search", "--like", "cat detail.png")["matches"]
    assert {match["kind"] for match in liked} == {"similar"}
    assert "cat" in liked[0]["sightings"][0]["uri"]
    assert len(liked[0]["copies"]) == 1
    wish = ["--like", "cat detail.png", "--like", "pictures/coffee.png", "--unlike", "pictures/cat.png"]
    turned = document(capsys, "search", *wish)["matches"]
    assert "coffee" in turned[0]["sightings"][0]["uri"]
    assert len(turned) == len(liked)
    by_id = document(capsys, "search", "--like", liked[0]["id"], "--limit", 1)["matches"]
    assert [match["id"] for match in by_id] == [liked[0]["id"]]


def test_a_wish_beside_a_picture_wants_all_kinds(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "search", "pictures/coffee.png", "--unlike", "pictures/cat.png")["matches"]
    assert [match["kind"] for match in found[:2]] == ["identical", "similar"]
    wish = ["--unlike", "pictures/cat.png", "--kinds", "identical"]
    assert len(document(capsys, "search", "pictures/coffee.png", *wish)["matches"]) == 1


@pytest.mark.parametrize("option", ["--colours", "--colors"])
def test_colours(home: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    found = document(capsys, "search", option, "teal", "--limit", "2")["matches"]
    assert found[0]["sightings"][0]["uri"].endswith("teal.png")
    assert found[0]["evidence"]["method"] == "colours"
    found = document(capsys, "search", option, "red:2, #dd1111")["matches"]
    assert found[0]["sightings"][0]["uri"].endswith("red.png")
    called(capsys, "search", option, "lime", "--ignore-background", expect=Exit.NOTHING_FOUND)


def test_a_filter_narrows_every_kind(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coffee = ["search", "pictures/coffee.png", "--kinds", "all", "--filter"]
    assert len(document(capsys, *coffee, "name:coffee*")["matches"]) == 1
    plain = document(capsys, *coffee, "folder:pictures/plain")["matches"]
    assert {Path(match["sightings"][0]["uri"]).name for match in plain} == {"red.png", "teal.png"}
    none = document(capsys, *coffee, "-width>0", expect=Exit.NOTHING_FOUND)
    assert none["matches"] == []
    called(capsys, "search", "pictures/coffee.png", "--filter", "-name:coffee*", expect=Exit.NOTHING_FOUND)
    several = ["--region", "0,0,300,400", "--region", "300,0,600,400"]
    answers = document(capsys, "search", "pictures/coffee.png", "--filter", "width>0", *several)["answers"]
    assert all(answer["matches"] for answer in answers)


def test_look_alikes_are_not_drawn_as_if_they_were_proven(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = called(capsys, "search", "pictures/coffee.png", "--kinds", "all", "--draw", "proofs")
    assert [file.name for file in (home / "proofs").iterdir()] == ["01 identical coffee.png"]
    assert "not drawn" in err
    called(capsys, "search", "pictures/coffee.png", "--kinds", "similar", "--draw", "none")
    assert not (home / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["search", "--unlike", "rocket.png"], Exit.USAGE, "--like, --text or --colours"),
        (["search", "--kinds", "all"], Exit.USAGE, "Give an IMAGE"),
        (["search", "--like", "rocket.png", "--kinds", "same"], Exit.USAGE, "only look-alikes"),
        (["search", "--like", "rocket.png", "--region", "0,0,9,9"], Exit.USAGE, "--region needs an IMAGE"),
        (["search", "--like", "rocket.png", "--object", "1"], Exit.USAGE, "--object needs an IMAGE"),
        (["search", "--colours", "red", "--draw", "x"], Exit.USAGE, "--draw needs an IMAGE"),
        (["search", "rocket.png", "--object", "1", "--region", "0,0,9,9"], Exit.USAGE, "one of"),
        (["search", "rocket.png", "--object", "0"], Exit.USAGE, "no number 0"),
        (["search", "rocket.png", "--object", "one"], Exit.USAGE, "one"),
        (["search", "rocket.png", "--ignore-background"], Exit.USAGE, "--colours"),
        (["search", "rocket.png", "--colours", " "], Exit.USAGE, "--colours is empty"),
        (["search", "rocket.png", "--text", ""], Exit.USAGE, "--text is empty"),
        (["search", "rocket.png", "--colours", "red:two"], Exit.USAGE, "no colour"),
        (["search", "--colours", "grue"], Exit.USAGE, "no colour"),
        (["search", "--text", "a cat"], Exit.USAGE, "words"),
        (["search", "--like", "nothing.png"], Exit.PICTURE, "no such file"),
        (["search", "rocket.png", "--filter", "widht>3"], Exit.USAGE, "did you mean width"),
        (["search", "rocket.png", "--filter", "label:gnu and"], Exit.USAGE, "^"),
        (["search", "rocket.png", "--filter", ""], Exit.USAGE, "empty"),
        (["list", "--filter", "(width>3"], Exit.USAGE, "never closed"),
        (["list", "--limit", "0"], Exit.USAGE, "limit"),
        (["list", "-c", "nowhere"], Exit.COLLECTION, "wherefrom index"),
        (["attach", "rocket.png"], Exit.USAGE, "NAME=VALUE"),
        (["attach", "rocket.png", "a=1"], Exit.NOTHING_FOUND, "no image rocket.png"),
        (["attach", "pictures/cat.png", "price"], Exit.USAGE, "NAME=VALUE"),
        (["attach", "pictures/cat.png", "=1"], Exit.USAGE, "NAME=VALUE"),
        (["attach", "pictures/cat.png", "a=1", "a=2"], Exit.USAGE, "twice"),
        (["attach", "pictures/cat.png", "width=3"], Exit.USAGE, "my_width"),
        (["attach", "pictures/cat.png", "a b=3"], Exit.USAGE, "field's name"),
        (["attach", "pictures/cat.png", "price=1e999"], Exit.USAGE, "finite"),
    ],
)
def test_wrong_calls_end_in_a_sentence_and_a_code(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: Exit, word: str
) -> None:
    out, err = called(capsys, *arguments, expect=code)
    assert word in err
    assert out == ""


def test_several_regions_go_with_no_wish(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = ["--region", "0,0,99,99", "--region", "99,0,200,99"]
    wish = ["--like", "rocket.png"]
    _, err = called(capsys, "search", "pictures/coffee.png", *several, *wish, expect=Exit.USAGE)
    assert "one --region" in err
    called(capsys, "search", "pictures/coffee.png", *several[:2], *wish)


def test_show_tells_labels_colours_and_fields(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(capsys, "attach", "pictures/coffee.png", "cup=red", "size=3")
    lines = [line.strip() for line in called(capsys, "show", "pictures/coffee.png")[0].splitlines()]
    (shows,) = [line for line in lines if line.startswith("perhaps: ")]
    assert shows.startswith("perhaps: espresso (drink) ")
    assert shows.endswith(" %")
    (colours,) = [line for line in lines if line.startswith("colours: ")]
    assert "brown " in colours
    assert [line for line in lines if line.startswith("field ")] == ["field cup: red", "field size: 3"]
    (image,) = document(capsys, "show", "pictures/coffee.png")
    assert image["labels"][0]["parent"] == "drink"
    assert abs(sum(colour["share"] for colour in image["colours"]) - 1) < 0.05
    assert all(0 <= value <= 1 for value in image["objects"][0])
    assert image["fields"] == {"cup": "red", "size": 3.0}
    called(capsys, "attach", "pictures/coffee.png", "cup=", "size=")


def test_fields_are_typed_shown_filtered_by_and_taken_away(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cat = "pictures/cat.png"
    given = ["price=12.50", "tame=true", "name_of=Chelsea", 'code="0815"', "also='yes no'", "x=a=b"]
    done = document(capsys, "attach", cat, *given)
    assert done["images"] == 1
    (image,) = document(capsys, "show", cat)
    assert image["fields"] == done["fields"]
    assert image["fields"] == {
        "price": 12.5,
        "tame": True,
        "name_of": "Chelsea",
        "code": "0815",
        "also": "yes no",
        "x": "a=b",
    }
    out, _ = called(capsys, "show", cat)
    for line in ("field price: 12.5", "field tame: true", 'field code: "0815"', "field also: yes no"):
        assert f"  {line}\n" in out
    for filter in ("price<13", "tame=true", "name_of:chel", 'code="0815"', "price:10..15 x=a=b"):
        assert [one["id"] for one in document(capsys, "list", "--filter", filter)] == [image["id"]], filter
    found = document(capsys, "search", cat, "--filter", "price<13")["matches"]
    assert [match["id"] for match in found] == [image["id"]]
    called(capsys, "search", cat, "--filter", "price>13", expect=Exit.NOTHING_FOUND)
    taken = document(capsys, "attach", image["id"], *[f"{name}=" for name in image["fields"]])
    assert set(taken["fields"].values()) == {None}
    assert document(capsys, "show", cat)[0]["fields"] == {}


def test_list(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = document(capsys, "list")
    assert len(everything) == 6
    assert set(everything[0]) == set(document(capsys, "show", everything[0]["id"])[0]) - {
        "labels",
        "colours",
        "objects",
    }
    out, err = called(capsys, "list", "--limit", 2)
    assert [line.split()[0] for line in out.splitlines()] == [one["id"][7:19] for one in everything[:2]]
    assert "2 images." in err
    out, _ = called(capsys, "list", "--filter", "colour:teal@50%")
    (line,) = out.splitlines()
    assert line.endswith("  pictures/plain/teal.png")
    out, _ = called(capsys, "list", "--filter", "label:cat width>400")
    assert out.endswith("  pictures/cat.png\n")
    assert document(capsys, "list", "--filter", "width>9000", expect=Exit.NOTHING_FOUND) == []
    out, err = called(capsys, "list", "--filter", "width>9000", expect=Exit.NOTHING_FOUND)
    assert (out, err) == ("", "0 images.\n")


def test_without_a_model_claims_are_as_ever_and_look_alikes_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHEREFROM_MODEL", "none")
    Image.fromarray(scene()).save("a.png")
    called(capsys, "index", "a.png", "-q")
    assert document(capsys, "search", "a.png")["matches"][0]["kind"] == "identical"
    failed = document(capsys, "search", "a.png", "--kinds", "all", expect=Exit.USAGE)
    assert "none" in failed["error"]["message"]
    (image,) = document(capsys, "show", "a.png")
    assert (image["labels"], image["objects"]) == ([], [])
    assert image["colours"]


# What is said in words


def facts(labels: tuple[Label, ...], objects: tuple[tuple[float, float, float, float], ...]) -> QueryFacts:
    return QueryFacts(400, 300, "jpeg", 100, labels=labels, objects=objects)


APPLE, DOG = Label("Granny Smith apple", "fruit", 0.9), Label("dog", "dog", 0.7)


def test_what_a_query_shows_in_words() -> None:
    boxes = ((76.4, 140.6, 239.0, 283.0), (0.0, 0.0, 10.0, 20.0))
    assert shown_in(facts((APPLE,), boxes[:1]), numbered=True) == (
        "Perhaps: Granny Smith apple (fruit). Objects: 1 at 76,141,239,283."
    )
    assert shown_in(facts((APPLE, DOG), boxes), numbered=True) == (
        "Perhaps: Granny Smith apple (fruit), dog. Objects: 1 at 76,141,239,283; 2 at 0,0,10,20."
    )
    assert shown_in(facts((), boxes[1:]), numbered=True) == "Objects: 1 at 0,0,10,20."
    assert shown_in(facts((APPLE,), boxes), numbered=False) == "Perhaps: Granny Smith apple (fruit)."
    assert shown_in(facts((), ()), numbered=True) == ""


@pytest.mark.parametrize(
    ("labels", "copies", "said"),
    [
        ((), 0, ""),
        ((DOG,), 0, "dog"),
        ((), 1, "(+1 near-copy)"),
        ((APPLE, DOG), 1200, "Granny Smith apple (fruit), dog (+1,200 near-copies)"),
    ],
)
def test_what_a_look_alike_shows_in_words(labels: tuple[Label, ...], copies: int, said: str) -> None:
    image = Kept("sha256:" + 64 * "0", 1, 1, "png", 1, 1, 100, "", Credit())
    match = Match(Kind.SIMILAR, 50.0, image, Evidence("embedding"), copies * ("sha256:",), labels)
    assert shown_by(match) == said
    assert in_words(labels) == said.partition("(+")[0].strip()


def test_what_an_image_shows_in_words() -> None:
    colours: list[dict[str, object]] = [
        {"colour": "#ffffff", "name": "white", "share": 0.5, "background": True},
        {"colour": "#00ff00", "name": "green", "share": 0.2, "background": False},
        {"colour": "#fefefe", "name": "white", "share": 0.05, "background": False},
        {"colour": "#00ee00", "name": "green", "share": 0.25, "background": False},
    ]
    assert lines_about(About((APPLE, DOG), colours, ((0.0, 0.0, 0.5, 0.5),))) == [
        "perhaps: Granny Smith apple (fruit) 90 %, dog 70 %",
        "colours: white 50 % (background), green 45 %, white 5 %",
        "1 object",
    ]
    assert lines_about(About()) == []
