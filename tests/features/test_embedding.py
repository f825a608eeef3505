"""Embeddings: what is kept of them, where their regions lie, and that models of any kind give one."""

from __future__ import annotations

import io
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.models.graphs import card, means, saved, weights
from tests.pictures import assert_sentence
from tests.scenes import encoded, picture
from wherefrom.errors import ModelError
from wherefrom.features import embedding as module
from wherefrom.features.embedding import (
    CLASSES,
    DIMENSION,
    EXTRA,
    NO_MODEL,
    REGIONS,
    Embedder,
    Embedding,
    Model,
    classes_of,
    dimension_of,
    labels_of,
    pooled,
    shipped,
    version_of,
    whitening_version,
)
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS, PALETTE
from wherefrom.features.registry import versions_of
from wherefrom.models.cards import Card
from wherefrom.models.graph import Graph
from wherefrom.models.labels import calibrated, classes
from wherefrom.models.store import DEFAULT, Store
from wherefrom.picture.decode import decode
from wherefrom.picture.picture import Picture

pytest.importorskip("onnxruntime")

COUNT = len(classes().names)
_SHARE = st.integers(0, 254)


@st.composite
def embeddings(draw: st.DrawFn) -> Embedding:
    """An embedding as a network gives it, of any length."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    vector = rng.standard_normal(draw(st.sampled_from([1, 3, 64, 256, 768])))
    vector *= np.exp(draw(st.floats(0, 1.5)) * rng.standard_normal(len(vector)))  # some numbers stand out
    found = draw(st.integers(0, CLASSES))
    logs = -np.sort(rng.exponential(draw(st.floats(0.01, 4)), found)).astype(np.float32)
    boxes = []
    for _ in range(draw(st.integers(0, REGIONS))):
        left, top = draw(_SHARE), draw(_SHARE)
        box = (left, top, draw(st.integers(left + 1, 255)), draw(st.integers(top + 1, 255)))
        boxes.append(tuple(value / 255 for value in box))
    return Embedding(
        (vector / np.linalg.norm(vector)).astype(np.float32),
        rng.permutation(COUNT)[:found],
        logs,
        tuple(boxes),  # type: ignore[arg-type]
    )


# Bytes


@settings(max_examples=80, deadline=None)
@given(embeddings())
def test_bytes_hold_what_8_bits_can_say(made: Embedding) -> None:
    data = made.to_bytes()
    assert len(data) == len(made.vector) + 4 + EXTRA
    back = Embedding.from_bytes(data)
    assert back.vector.dtype == np.float32
    assert np.linalg.norm(back.vector) == pytest.approx(1, abs=1e-5)
    assert back.vector @ made.vector >= 0.999
    # Half a step, and what bringing the length back to 1 moves.
    step = float(np.abs(made.vector).max()) / 127
    long = np.frombuffer(data, np.int8, len(made.vector)) * np.float32(step)
    assert np.abs(long - made.vector).max() <= 0.51 * step
    assert back.classes.tolist() == made.classes.tolist()
    assert np.abs(back.likelihoods - np.maximum(made.likelihoods, -255 / 16)).max(initial=0) <= 1 / 32 + 1e-6
    assert np.array(back.regions).ravel() == pytest.approx(np.array(made.regions).ravel(), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(embeddings())
def test_bytes_of_what_was_kept_are_the_same_again(made: Embedding) -> None:
    """What is kept, read and kept again does not wander."""
    once = Embedding.from_bytes(made.to_bytes())
    twice = Embedding.from_bytes(once.to_bytes())
    assert twice.vector == pytest.approx(once.vector, abs=float(np.abs(once.vector).max()) / 127)
    assert twice.likelihoods.tolist() == once.likelihoods.tolist()
    assert (twice.classes.tolist(), twice.regions) == (once.classes.tolist(), once.regions)


@settings(max_examples=20, deadline=None)
@given(st.lists(embeddings(), min_size=1, max_size=6))
def test_classes_of_many_are_those_of_each(made: list[Embedding]) -> None:
    extra = np.stack([np.frombuffer(one.to_bytes(), np.uint8)[-EXTRA:] for one in made])
    numbers, logs = classes_of(extra)
    assert numbers.shape == logs.shape == (len(made), CLASSES)
    for one, row, log in zip(made, numbers, logs, strict=True):
        there = row < COUNT
        assert there.sum() == len(one.classes)
        assert row[there].tolist() == one.classes.tolist()
        assert set(row[~there].tolist()) <= {0xFFFF}
        assert np.abs(log[there] - np.maximum(one.likelihoods, -255 / 16)).max(initial=0) <= 1 / 32 + 1e-6


@pytest.mark.parametrize("length", [0, 1, 4, EXTRA, EXTRA + 4])
def test_bytes_that_hold_no_vector_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"not {length}$"):
        Embedding.from_bytes(bytes(length))


def test_a_vector_of_nothing_is_kept_as_nothing() -> None:
    blank = Embedding(np.zeros(8, np.float32), np.zeros(0, np.intp), np.zeros(0, np.float32), ())
    back = Embedding.from_bytes(blank.to_bytes())
    assert not back.vector.any()
    assert back.labels() == []
    assert back.regions == ()


# Labels


def test_labels_are_those_of_all_the_logits() -> None:
    """The classes that are kept say what all of them said, where they have most of it."""
    logits = np.full(COUNT, -4.0, np.float32)
    golden = classes().names.index("golden retriever")
    logits[golden] = 8
    logits[golden + 1 : golden + 5] = (3, 2, 1, 0.5)
    numbers, logs = module.likeliest(logits)
    assert numbers[0] == golden
    assert np.exp(logs).sum() == pytest.approx(1, abs=0.01)
    assert np.all(np.diff(logs) <= 0)
    (found,), (due,) = labels_of(numbers, logs, 1), calibrated(logits, 1)
    assert (found.name, found.parent) == (due.name, due.parent) == ("golden retriever", "dog")
    assert found.confidence == pytest.approx(due.confidence, abs=0.01)


def test_where_nothing_is_likely_nothing_is_named() -> None:
    numbers, logs = module.likeliest(np.zeros(COUNT, np.float32))
    assert np.exp(logs) == pytest.approx(1 / COUNT, abs=1e-6)
    assert labels_of(numbers, logs) == []
    assert labels_of(np.zeros(0, np.intp), np.zeros(0, np.float32)) == []


def test_logits_of_other_classes_are_not_taken() -> None:
    numbers, logs = module.likeliest(np.ones(90, np.float32))
    assert len(numbers) == len(logs) == 0


# Regions


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from(["centre", "squash"]),
    st.sampled_from([(4, 6), (7, 7), (12, 5)]),
    st.sampled_from([0.5, 0.875, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_regions_lie_inside_the_picture(
    height: int, width: int, crop: str, size: tuple[int, int], share: float, seed: int
) -> None:
    """Whatever the picture's shape, and what of it came to the model."""
    described = card(crop=crop, input_size=list(size), share=share)
    seen = module._seen((height, width), described)
    assert -1e-9 <= seen[0] < seen[2] <= 1 + 1e-9
    assert -1e-9 <= seen[1] < seen[3] <= 1 + 1e-9
    rng = np.random.default_rng(seed)
    attention = (rng.random((7, 7)) ** rng.integers(1, 12)).astype(np.float32)
    regions = module._regions(attention, seen)
    assert len(regions) <= REGIONS
    for left, top, right, bottom in regions:
        assert seen[0] - 1e-9 <= left < right <= seen[2] + 1e-9
        assert seen[1] - 1e-9 <= top < bottom <= seen[3] + 1e-9
        assert 0.02 - 1e-9 <= (right - left) * (bottom - top) <= 0.85 + 1e-9


def test_a_region_lies_around_the_peak_of_the_attention() -> None:
    attention = np.zeros((7, 7), np.float32)
    attention[0:2, 4:6] = 9
    attention[4:6, 0:2] = 7
    first, second = module._regions(attention, (0.25, 0, 0.75, 1))
    for (left, top, right, bottom), x, y in ((first, 5, 1), (second, 1, 5)):
        assert left < 0.25 + 0.5 * x / 7 < right
        assert top < y / 7 < bottom
        assert right - left < 0.25
        assert bottom - top < 0.5


def test_without_attention_there_are_no_regions() -> None:
    assert module._regions(np.zeros((7, 7), np.float32), (0, 0, 1, 1)) == ()
    assert module._regions(np.ones((7, 7), np.float32), (0, 0, 1, 1)) == ()  # all of it is no thing in it


# Pooling


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_pooling_equals_its_definition(
    seed: int, count: int, height: int, width: int, attended: bool
) -> None:
    rng = np.random.default_rng(seed)
    features = rng.random((count, height, width), np.float32)
    attention = rng.random((height, width), np.float32) if attended else None
    due = np.empty(count)
    for channel in range(count):
        if attention is None:
            due[channel] = (features[channel].astype(float) ** 3).mean() ** (1 / 3)
        else:
            weighted = (features[channel] * attention).sum() / attention.sum()
            due[channel] = 0.25 * weighted + 0.75 * features[channel].mean()
    assert pooled(features, attention) == pytest.approx(due, rel=1e-4, abs=1e-5)


def test_attention_to_nothing_is_as_none_and_gives_numbers() -> None:
    features = np.ones((3, 2, 2), np.float32)
    assert np.isfinite(pooled(features, np.zeros((2, 2), np.float32))).all()


# Models of one's own


def model(folder: Path, described: Card, data: bytes) -> Model:
    return Model(described, str(saved(folder, data)))


def tokens(shape: tuple[int, int] = (4, 6)) -> bytes:
    """A model that gives four tokens, the means of the channels four times, the first of them doubled."""
    graph = Graph("tokens")
    graph.input("image", ("n", 3, *shape))
    graph.node("GlobalAveragePool", ("image",), "pooled")
    graph.node("Reshape", ("pooled", graph.constant("flat", np.array([-1, 1, 3], np.int64))), "one")
    graph.node("Mul", ("one", graph.constant("twice", np.array([2, 4, 8], np.float32))), "first")
    graph.node("Concat", ("first", "one", "one", "one"), "tokens", axis=1)
    graph.output("tokens", ("n", 4, 3))
    return graph.to_bytes({})


def features(shape: tuple[int, int] = (4, 6), attention: tuple[int, int] | None = None) -> bytes:
    """A model that gives its input as features, and where asked attention of that shape, ever the same."""
    graph = Graph("features")
    graph.input("image", ("n", 3, *shape))
    graph.node("Identity", ("image",), "features")
    graph.output("features", ("n", 3, *shape))
    if attention is not None:
        graph.node("ReduceMin", ("image",), "least", keepdims=0)
        graph.node("Mul", ("least", graph.constant("zero", np.zeros((), np.float32))), "nothing")
        ones = graph.constant("ones", np.ones((1, *attention), np.float32))
        graph.node("Add", ("nothing", ones), "attention")
        graph.output("attention", (1, *attention))
    return graph.to_bytes({})


def blue(height: int = 8, width: int = 12) -> Picture:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:] = (51, 102, 204)
    return Picture.from_array(pixels)


def unit(*numbers: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.array(numbers) / np.linalg.norm(numbers)
    return found


def test_a_model_that_gives_a_vector_alone(tmp_path: Path) -> None:
    shown = Embedder(model(tmp_path, card(), means())).embed(blue())
    assert shown.vector == pytest.approx(unit(1, 2, 4), abs=1e-6)
    assert len(shown.classes) == len(shown.likelihoods) == 0
    assert shown.regions == ()
    assert shown.labels() == []
    assert Embedding.from_bytes(shown.to_bytes()).vector == pytest.approx(unit(1, 2, 4), abs=0.005)


def test_a_model_that_gives_tokens(tmp_path: Path) -> None:
    described = card(outputs={"tokens": "tokens"})
    shown = Embedder(model(tmp_path, described, tokens())).embed(blue())
    assert shown.vector == pytest.approx(unit(2, 8, 32), abs=1e-6)


def test_a_model_that_gives_features_without_attention(tmp_path: Path) -> None:
    described = card(outputs={"features": "features"})
    shown = Embedder(model(tmp_path, described, features())).embed(blue())
    assert shown.vector == pytest.approx(unit(1, 2, 4), abs=1e-5)
    assert shown.regions == ()


def test_attention_of_another_grid_than_the_features_is_refused(tmp_path: Path) -> None:
    described = card(outputs={"features": "features", "attention": "attention"})
    network = Embedder(model(tmp_path, described, features(attention=(2, 2))))
    with pytest.raises(ModelError) as caught:
        network.embed(blue())
    assert_sentence(caught.value)


def test_a_vector_of_another_length_than_the_cards_is_refused(tmp_path: Path) -> None:
    """Where the file leaves the length open, opening it cannot tell."""
    network = Embedder(model(tmp_path, card(), means()))
    answer = {"vector": np.ones((1, 5), np.float32)}
    with patch.object(network._session, "run", lambda _: answer), pytest.raises(ModelError) as caught:
        network.embed(blue())
    assert_sentence(caught.value)


def test_grey_and_colour_of_one_grey_picture_are_one(tmp_path: Path) -> None:
    network = Embedder(model(tmp_path, card(), means()))
    grey = np.random.default_rng(1).integers(0, 255, (9, 14), dtype=np.uint8)
    one = network.embed(Picture.from_array(grey))
    other = network.embed(Picture.from_array(np.repeat(grey[..., None], 3, axis=2)))
    assert np.array_equal(one.vector, other.vector)


@pytest.mark.parametrize("crop", ["centre", "squash", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (1, 7)])
def test_pictures_of_any_size(tmp_path: Path, shape: tuple[int, int], crop: str) -> None:
    described = card(crop=crop, outputs={"features": "features", "attention": "attention"})
    network = Embedder(model(tmp_path, described, features(attention=(4, 6))))
    for pixels in (np.full(shape, 90, np.uint8), np.full((*shape, 3), 90, np.uint8)):
        shown = network.embed(Picture.from_array(pixels))
        assert np.isfinite(shown.vector).all()
        assert np.linalg.norm(shown.vector) == pytest.approx(1, abs=1e-5)
        assert all(0 <= value <= 1 for box in shown.regions for value in box)


def test_a_black_picture_has_a_vector_of_nothing(tmp_path: Path) -> None:
    shown = Embedder(model(tmp_path, card(), means())).embed(
        Picture.from_array(np.zeros((4, 6, 3), np.uint8))
    )
    assert not shown.vector.any()
    assert not Embedding.from_bytes(shown.to_bytes()).vector.any()


# Versions


def test_the_version_changes_with_the_model() -> None:
    one, other = card(sha256="a" * 64), card(sha256="b" * 64)
    versions = {version_of(None), version_of(one), version_of(other), version_of(card(name="else"))}
    versions |= {version_of(Store().card(name)) for name in (DEFAULT, "efficientnet-lite0")}
    assert len(versions) == 6
    assert version_of(None) == NO_MODEL
    assert version_of(one) == version_of(card(sha256="a" * 64))
    assert version_of(one).startswith("means ")
    assert whitening_version() in version_of(Store().card(DEFAULT))
    assert versions_of(one)[EMBEDDING] == version_of(one)
    assert set(versions_of(None)) == {FINGERPRINT, KEYPOINTS, PALETTE, EMBEDDING}


def test_dimensions() -> None:
    assert dimension_of(None) == 0
    assert dimension_of(card()) == 3
    assert dimension_of(Store().card(DEFAULT)) == DIMENSION


def test_the_whitening_that_is_shipped() -> None:
    made = shipped()
    assert made.axes.shape == (len(made.mean), DIMENSION)
    rows = np.random.default_rng(2).random((3, len(made.mean)), np.float32)
    each = np.stack([made.apply(row) for row in rows])
    assert made.apply(rows) == pytest.approx(each, abs=1e-4)
    assert made.apply(7 * rows) == pytest.approx(each, abs=1e-4)  # how bright it is does not count


# The model that comes with the package


@pytest.fixture(scope="module")
def network() -> Embedder:
    store = Store()
    return Embedder(Model(store.card(DEFAULT), str(store.path(DEFAULT))))


@weights
@pytest.mark.parametrize("seed", [1, 4])
def test_a_copy_saved_anew_has_nearly_the_same_vector(network: Embedder, seed: int) -> None:
    image = picture(seed)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    first = network.embed(decode(encoded(image, "PNG")))
    again = network.embed(decode(buffer.getvalue()))
    small = network.embed(decode(encoded(image.resize((300, 225)), "PNG")))
    assert first.vector.shape == (DIMENSION,)
    assert first.vector @ again.vector > 0.9
    assert first.vector @ small.vector > 0.7
    assert len(first.classes) == CLASSES
    assert np.array_equal(network.embed(decode(encoded(image, "PNG"))).vector, first.vector)


@weights
@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3, 3), (40, 60)])
def test_it_takes_grey_and_tiny_pictures(network: Embedder, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, shape, dtype=np.uint8)
    shown = network.embed(Picture.from_array(pixels))
    assert np.linalg.norm(shown.vector) == pytest.approx(1, abs=1e-5)
    assert all(0 <= value <= 1 for box in shown.regions for value in box)
    assert Embedding.from_bytes(shown.to_bytes()).vector @ shown.vector > 0.999


@weights
@pytest.mark.shared
def test_it_knows_a_dog_and_where_it_is(network: Embedder, shared: Path) -> None:
    shown = network.embed(decode((shared / "images/photos/n02088364_beagle.jpg").read_bytes()))
    assert shown.labels()[0].parent == "dog"
    assert shown.regions
