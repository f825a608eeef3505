"""Searches for look-alikes from end to end: never a copy among them, and claims whatever the model does."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wherefrom
from tests.models.graphs import weights
from tests.pictures import assert_sentence
from tests.scenes import encoded, folder_of, picture
from wherefrom.errors import FeatureMismatch, ModelError, ModelMissing
from wherefrom.evaluate.edits import edit
from wherefrom.search.answer import CLAIMS, Answer, Kind

PICTURES = 60

pytestmark = pytest.mark.usefixtures("default_model")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of pictures that all look alike to the network, made with the default model."""
    root = tmp_path_factory.mktemp("alike")
    folder_of(root / "pictures", PICTURES)
    with wherefrom.open(root / "c.wherefrom", create=True, settings=wherefrom.Settings(workers=2)) as opened:
        opened.add(root / "pictures")
    return root / "c.wherefrom"


@pytest.fixture(scope="module")
def collection(place: Path) -> Iterator[wherefrom.Collection]:
    with wherefrom.open(place, settings=wherefrom.Settings()) as opened:
        yield opened


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def copies(seed: int) -> dict[str, bytes]:
    image = picture(seed)
    names = ("mirror", "crop 30 %", "crop 50 %", "collage 25 %", "grey", "rotate 10", "negative")
    return {"identical": encoded(image), "saved anew": jpeg(image, 40)} | {
        name: jpeg(edit(name, image, seed)) for name in names
    }


def seeds_of(answer: Answer) -> set[int]:
    ids = {id_ for match in answer for id_ in (match.id, *match.copies)}
    return {seed for seed in range(PICTURES) if f"sha256:{digest(seed)}" in ids}


@cache
def digest(seed: int) -> str:
    return hashlib.sha256(encoded(picture(seed))).hexdigest()


@weights
@pytest.mark.parametrize(("name", "seed"), list(zip(copies(0), cycle((0, 7, 31)), strict=False)))
def test_a_copy_is_never_called_similar(collection: wherefrom.Collection, name: str, seed: int) -> None:
    """Neither alone nor folded under another, however many look-alikes are asked for."""
    data = copies(seed)[name]
    for limit in (5, PICTURES):
        answer = collection.search(data, kinds={"similar"}, limit=limit)
        assert len(answer) > 0
        assert seed not in seeds_of(answer)
        assert all(match.kind is Kind.SIMILAR and match.score < 95 for match in answer)
        assert all(match.evidence.method == "embedding" for match in answer)
        assert all(match.evidence.similarity is not None for match in answer)
        assert all(match.evidence.transform is None for match in answer)
    claims = collection.search(data)
    assert {match.id for match in claims} == {f"sha256:{digest(seed)}"}
    assert all(match.kind in CLAIMS and match.score >= 95 for match in claims)


@weights
def test_all_kinds_are_claims_first_and_each_image_once(collection: wherefrom.Collection) -> None:
    data = jpeg(edit("crop 50 %", picture(3), 3))
    answer = collection.search(data, kinds="all", limit=12)
    kinds = [match.kind for match in answer]
    assert kinds[0] in CLAIMS
    assert set(kinds[1:]) == {Kind.SIMILAR}
    ids = [id_ for match in answer for id_ in (match.id, *match.copies)]
    assert len(set(ids)) == len(ids)
    assert len(answer) == 12
    scores = [match.score for match in answer]
    assert scores == sorted(scores, reverse=True)
    fewer = collection.search(data, kinds="all", limit=5)
    assert [match.id for match in fewer] == [match.id for match in answer[:5]]
    bound = scores[6]
    surer = collection.search(data, kinds="all", limit=12, min_score=bound)
    assert [match.id for match in surer] == [match.id for match in answer if match.score >= bound]


@weights
def test_a_stranger_has_look_alikes_and_no_claims(collection: wherefrom.Collection) -> None:
    answer = collection.search(encoded(picture(500)), kinds="all")
    assert len(answer) > 0
    assert {match.kind for match in answer} == {Kind.SIMILAR}
    assert len(collection.search(encoded(picture(500)))) == 0


@weights
def test_like_and_unlike_change_the_ranking(collection: wherefrom.Collection) -> None:
    """A picture that is to be like comes nearer, and one that is to be unlike goes away."""
    query, other = encoded(picture(500)), encoded(picture(17))

    def rank(answer: Answer) -> int:
        return next(row for row, match in enumerate(answer) if 17 in seeds_of(Answer(answer.query, (match,))))

    plain = rank(collection.search(query, kinds={"similar"}, limit=PICTURES))
    liked = rank(collection.search(query, kinds={"similar"}, limit=PICTURES, like=[other]))
    assert liked < max(plain, 1)
    unlike = rank(collection.search(query, kinds={"similar"}, limit=PICTURES, unlike=[other]))
    assert unlike > plain
    alone = collection.search(None, like=[other], limit=3)
    assert seeds_of(Answer(alone.query, alone[:1])) == {17}  # nothing is claimed of what is only like it
    assert alone[0].kind is Kind.SIMILAR


@weights
def test_colours_with_a_picture_and_alone(tmp_path: Path) -> None:
    names = {"red": (220, 20, 30), "blue": (30, 60, 210), "green": (20, 160, 60)}
    base = np.asarray(picture(1), float) / 255
    for name, colour in names.items():
        mixed = (0.25 * base * 255 + 0.75 * np.array(colour)).astype(np.uint8)
        Image.fromarray(mixed[:, :: -1 if name == "blue" else 1]).save(tmp_path / f"{name}.png")
    with wherefrom.open(tmp_path / "c", create=True, settings=wherefrom.Settings(workers=1)) as made:
        made.add([tmp_path / f"{name}.png" for name in names])
        for name in names:
            alone = made.search(None, colours=name, limit=1)
            assert alone[0].sightings[0].uri.endswith(f"{name}.png")
            assert alone[0].evidence.method == "colours"
            assert alone[0].score < 95
            grey = encoded(picture(40).convert("L"), "PNG")
            both = made.search(grey, kinds={"similar"}, colours=name, limit=1)
            assert both[0].sightings[0].uri.endswith(f"{name}.png")
            assert both[0].evidence.method == "embedding"
        assert len(made.search(None, colours="#ff00ff, yellow")) == 0


# Without a model that can tell


def without_model(folder: Path) -> Path:
    folder_of(folder / "pictures", 3)
    with wherefrom.open(
        folder / "c", create=True, settings=wherefrom.Settings(model="none", workers=1)
    ) as made:
        made.add(folder / "pictures")
    return folder / "c"


def assert_claims_work(opened: wherefrom.Collection) -> None:
    assert opened.search(encoded(picture(1)))[0].kind is Kind.IDENTICAL
    assert opened.search(jpeg(edit("crop 50 %", picture(1), 1)))[0].kind in CLAIMS
    assert len(opened.search(encoded(picture(500)))) == 0  # for which embeddings would be looked at


@weights
@pytest.mark.parametrize("model", ["", "efficientnet-lite0"])
def test_embeddings_of_another_model_are_refused_and_claims_still_work(tmp_path: Path, model: str) -> None:
    made = without_model(tmp_path)
    with wherefrom.open(made, settings=wherefrom.Settings(model=model)) as opened:
        assert_claims_work(opened)
        for query in (encoded(picture(1)), encoded(picture(500))):
            with pytest.raises(FeatureMismatch, match="wherefrom rebuild"):
                opened.search(query, kinds={"similar"})
        with pytest.raises(FeatureMismatch):
            opened.search(None, like=[encoded(picture(500))])


@weights
def test_one_model_does_not_search_the_embeddings_of_another(place: Path) -> None:
    with wherefrom.open(place, settings=wherefrom.Settings(model="efficientnet-lite0")) as opened:
        assert opened.search(jpeg(edit("crop 50 %", picture(1), 1)))[0].kind in CLAIMS
        with pytest.raises(FeatureMismatch, match="efficientnet-lite0"):
            opened.search(encoded(picture(1)), kinds="all")


def test_where_there_is_no_model_copies_are_found_and_look_alikes_refused(tmp_path: Path) -> None:
    with wherefrom.open(without_model(tmp_path), settings=wherefrom.Settings(model="none")) as opened:
        assert_claims_work(opened)
        with pytest.raises(ModelMissing) as caught:
            opened.search(encoded(picture(1)), kinds={"similar"})
        assert_sentence(caught.value)
        assert len(opened.search(None, colours="grey", limit=3)) <= 3  # colours need none


def test_a_model_that_is_not_installed_never_breaks_a_search_for_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEREFROM_MODELS", str(tmp_path / "models"))
    with wherefrom.open(without_model(tmp_path), settings=wherefrom.Settings(model="siglip2-base")) as opened:
        assert_claims_work(opened)
        with pytest.raises(ModelMissing):
            opened.search(encoded(picture(1)), kinds="all")


@weights
@pytest.mark.parametrize("error", [ModelMissing, ModelError])
def test_a_model_that_fails_never_breaks_a_search_for_claims(
    place: Path, error: type[ModelError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise error("The model is broken.")

    monkeypatch.setattr("wherefrom.search.query.embedder", broken)
    with wherefrom.open(place, settings=wherefrom.Settings()) as opened:
        assert_claims_work(opened)
        with pytest.raises(error, match="broken"):
            opened.search(encoded(picture(500)), kinds={"similar"})


# What is loaded


def loaded_by(place: Path, query: Path, kinds: str) -> set[str]:
    script = (
        "import sys, wherefrom\n"
        f"with wherefrom.open({str(place)!r}) as photos:\n"
        f"    answer = photos.search({str(query)!r}, kinds={kinds})\n"
        "assert len(answer)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@weights
@pytest.mark.directory
def test_a_search_that_finds_its_copy_loads_no_network(place: Path, tmp_path: Path) -> None:
    query = tmp_path / "copy.jpg"
    query.write_bytes(jpeg(edit("crop 50 %", picture(2), 2)))
    assert not loaded_by(place, query, "None") & {"onnxruntime", "tokenizers", "numba"}
    assert "onnxruntime" in loaded_by(place, query, "'all'")


def test_what_a_filter_leaves_out_is_said(collection: wherefrom.Collection) -> None:
    query = jpeg(picture(991))
    (note,) = collection.search(query, filter="width>100000").query.notes
    assert "The filter lets none of the" in note
    (note,) = collection.search(query, filter="width>1").query.notes
    assert "that the filter lets through" in note


def test_a_picture_to_be_like_that_cannot_be_read_is_named(
    collection: wherefrom.Collection, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(jpeg(picture(3)))
    bad.write_bytes(jpeg(picture(3))[:200])
    with pytest.raises(wherefrom.PictureError, match=r"bad\.jpg: "):
        collection.search(None, like=[good, bad])
