"""Labels and colours as filters: the images that a loop over all of them finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.engine.models import new_image
from tests.engines import Opener
from tests.pictures import assert_sentence
from wherefrom.engine.base import Engine
from wherefrom.errors import FeatureMismatch, UsageError
from wherefrom.features.colours import parse_colours
from wherefrom.features.embedding import CLASSES, Embedding
from wherefrom.features.extract import EMBEDDING, PALETTE, VERSIONS
from wherefrom.features.filtering import COLOUR_SHARE, classes_named
from wherefrom.features.palette import Palette
from wherefrom.features.palette import palette as palette_of
from wherefrom.features.resemblance import share_of
from wherefrom.filters.terms import Graded, Term
from wherefrom.models.labels import CLASS_SHARE, classes, confidences
from wherefrom.picture.picture import Picture

NAMES = classes().names
COUNT = len(NAMES)
OURS = VERSIONS | {EMBEDDING: "tests 1", PALETTE: "tests 1"}
DOGS = [n for n, parent in enumerate(classes().parents.tolist()) if classes().categories[parent] == "dog"]
ASKED = ["dog", "cat", "golden retriever", "retriever", "hot dog", "fruit", "car"]
TOLD = sorted({number for text in ASKED for number in classes_named(text).tolist()} | set(range(50, 70)))


@cache
def shown(seed: int) -> Embedding:
    """What a softmax gave, from sure to not sure at all; one in seven has no classes."""
    rng = np.random.default_rng([5, seed])
    logits = np.zeros(COUNT)
    picked = rng.choice(TOLD, CLASSES, replace=False)
    logits[picked] = rng.uniform(0, 12) - np.sort(rng.exponential(2, CLASSES))
    logs = logits - np.log(np.exp(logits).sum())
    best = np.argsort(-logs, kind="stable")[: 0 if seed % 7 == 3 else CLASSES]
    vector = np.eye(8, dtype=np.float32)[seed % 8]
    made = Embedding(vector, best, logs[best].astype(np.float32), ())
    return Embedding.from_bytes(made.to_bytes())


@cache
def colours(seed: int) -> Palette:
    rng = np.random.default_rng([6, seed])
    pixels = rng.choice([0, 40, 200, 255], (5, 1, 3)).astype(np.uint8)
    return palette_of(Picture.from_array(np.repeat(pixels, 6, axis=1)))


@pytest.fixture(scope="module")
def engine(opener: Opener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    place = tmp_path_factory.mktemp("lookup") / "c"
    with closing(opener.open(place, create=True, versions=OURS, dimension=8)) as made:
        images = []
        for seed in range(150):
            image = new_image(seed)
            more = {EMBEDDING: shown(seed).to_bytes(), PALETTE: colours(seed).to_bytes()}
            images.append(replace(image, features=image.features | more))
        blank = new_image(150)
        images.append(replace(blank, features=blank.features | {EMBEDDING: b"", PALETTE: b""}))
        made.add(images)
        made.remove([4, 40])
        yield made


LIVE = [key for key in range(1, 151) if key not in (4, 40)]


def found(engine: Engine, text: str) -> list[int]:
    return list(engine.select(text))


def confidence(one: Embedding, numbers: NDArray[np.intp]) -> float:
    """How sure it is of these classes, by all thousand logits, what is not kept being spread evenly."""
    if not len(one.classes):
        return 0.0
    left = max(1 - float(np.exp(one.likelihoods.astype(float)).sum()), 1e-6) / COUNT
    logits = np.full(COUNT, np.log(left), np.float32)
    logits[one.classes] = one.likelihoods
    return float(confidences(logits)[numbers].sum())


# Labels


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ASKED), st.none() | st.floats(0.01, 1).map(lambda share: round(share, 3)))
def test_labels_equal_a_loop_over_all_images(engine: Engine, text: str, least: float | None) -> None:
    said = f'label:"{text}"' + ("" if least is None else f"@{least}")
    bound, numbers = CLASS_SHARE if least is None else least, classes_named(text)
    sure = {key: confidence(shown(key - 1), numbers) for key in LIVE}
    keys = found(engine, said)
    assert keys == sorted(keys)
    unsure = {key for key, value in sure.items() if abs(value - bound) < 1e-4}  # float32 there, float64 here
    assert set(keys) - unsure == {key for key, value in sure.items() if value >= bound} - unsure


def test_what_is_named_is_found_by_its_name(engine: Engine) -> None:
    """A class that a label names is found by a filter for it, and with the same confidence."""
    named = 0
    for key in LIVE:
        for label in shown(key - 1).labels():
            if label.name != label.parent and NAMES.count(label.name) == 1:
                named += 1
                assert key in found(engine, f'label:"{label.name}"')
                assert key in found(engine, f'label:"{label.name}"@{label.confidence - 1e-3:.6f}')
                assert key not in found(engine, f'label:"{label.name}"@{min(1, label.confidence + 1e-3):.6f}')
    assert named > 3


def test_what_is_hardly_likely_is_nothing(opener: Opener, tmp_path: Path) -> None:
    """A class that is ten times as likely as any other, at one of a hundred, is not what is shown."""
    logs = np.log(np.array([0.01, 0.001, 0.001, 0.001, 0.001], np.float32))
    weak = Embedding(np.eye(8, dtype=np.float32)[0], np.array(DOGS[:5]), logs, ())
    with closing(opener.open(tmp_path / "c", create=True, versions=OURS, dimension=8)) as made:
        image = new_image(0)
        more = {EMBEDDING: weak.to_bytes(), PALETTE: colours(0).to_bytes()}
        made.add([replace(image, features=image.features | more)])
        assert found(made, f'label:"{NAMES[DOGS[0]]}"') == []
        assert weak.labels() == []


def test_joined_with_other_terms(engine: Engine) -> None:
    dogs, cats = set(found(engine, "label:dog")), set(found(engine, "label:cat"))
    assert dogs
    assert cats
    assert set(found(engine, "label:dog or label:cat")) == dogs | cats
    assert set(found(engine, "label:dog colour:red")) == dogs & set(found(engine, "colour:red"))
    assert set(found(engine, "-label:dog")) == {*LIVE, 151} - dogs


def test_names_categories_and_words() -> None:
    assert classes_named(" Golden  RETRIEVER ").tolist() == [NAMES.index("golden retriever")]
    assert classes_named("dog").tolist() == DOGS  # and no hot dog
    assert classes_named("hot dog").tolist() == [NAMES.index("hot dog")]
    retrievers = [number for number, name in enumerate(NAMES) if "retriever" in name.lower().split()]
    assert len(retrievers) > 3
    assert classes_named("retriever").tolist() == retrievers
    for number, name in enumerate(NAMES):
        assert number in classes_named(name)
    for category in classes().categories:
        assert len(classes_named(category)) > 0


@pytest.mark.parametrize(
    ("text", "near"), [("golden retriver", "golden retriever"), ("dgo", "dog"), ("xqzxqz", "")]
)
def test_an_unknown_label_is_refused_with_what_is_near(engine: Engine, text: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(engine, f'label:"{text}"')
    assert_sentence(caught.value)
    assert text in str(caught.value)
    assert near in str(caught.value)
    assert ("Near it" in str(caught.value)) is bool(near)


# Colours


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["red", "#00c8ff", "black", "white", "rgb(40,200,40)"]),
    st.none() | st.floats(0.01, 1).map(lambda share: round(share, 3)),
)
def test_colours_equal_a_loop_over_all_images(engine: Engine, text: str, least: float | None) -> None:
    said = f'colour:"{text}"' + ("" if least is None else f"@{least}")
    (wanted,), bound = parse_colours(text), COLOUR_SHARE if least is None else least
    shares = {
        key: float(share_of(wanted, np.frombuffer(colours(key - 1).to_bytes(), np.uint8)[None])[0])
        for key in LIVE
    }
    unsure = {key for key, share in shares.items() if abs(share - bound) < 1e-5}
    assert set(found(engine, said)) - unsure == {k for k, share in shares.items() if share >= bound} - unsure


@pytest.mark.parametrize("text", ["red, blue", "no colour at all", "#12"])
def test_what_is_not_one_colour_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(engine, f'colour:"{text}"')
    assert text in str(caught.value)


def test_terms_of_another_kind_are_refused(engine: Engine) -> None:
    for value in ("dog", 3.0, True):
        with pytest.raises(UsageError, match="label"):
            engine.select(Term("label", ":", value))
    assert list(engine.select(Term("label", ":", Graded("dog")))) == found(engine, "label:dog")


# Other collections


def test_a_collection_without_images_has_none(opener: Opener, tmp_path: Path) -> None:
    with closing(opener.open(tmp_path / "c", create=True, versions=OURS, dimension=8)) as made:
        assert found(made, "label:dog") == found(made, "colour:red") == []


def test_without_a_model_labels_find_nothing_and_colours_what_is_there(
    opener: Opener, tmp_path: Path
) -> None:
    versions = OURS | {EMBEDDING: "none"}
    with closing(opener.open(tmp_path / "c", create=True, versions=versions, dimension=0)) as made:
        image = new_image(0)
        row = colours(0).to_bytes()
        made.add([replace(image, features=image.features | {EMBEDDING: b"", PALETTE: row})])
        assert found(made, "label:dog") == []
        assert found(made, f"colour:black@{0.0}") == [1]
    with closing(opener.open(tmp_path / "c", create=False, versions=OURS, dimension=8)) as other:
        with pytest.raises(FeatureMismatch):
            found(other, "label:dog")
        assert found(other, "colour:black@0") == [1]
