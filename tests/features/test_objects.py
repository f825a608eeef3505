"""Objects: boxes lie where the things are, whatever the picture's shape and the model's way of answering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.pictures import assert_sentence
from wherefrom.errors import ModelError, ModelMissing, UsageError
from wherefrom.features.objects import OVERLAP, Detector, Thing, distinct
from wherefrom.models.cards import Card, built_in_card, from_plain
from wherefrom.models.coco import kinds
from wherefrom.models.graph import Graph
from wherefrom.models.labels import classes
from wherefrom.picture.picture import Picture

pytest.importorskip("onnxruntime")

DOG, CAT = kinds().names.index("dog"), kinds().names.index("cat")
GRID: dict[str, Any] = {
    "name": "tiny",
    "title": "Answers always the same",
    "task": "detection",
    "input": "images",
    "input_size": [64, 96],
    "mean": [0.0, 0.0, 0.0],
    "std": [1.0, 1.0, 1.0],
    "unit": 1.0,
    "channels": "BGR",
    "crop": "pad",
    "fill": 114,
    "outputs": {"boxes": "output"},
    "boxes": "yolox",
    "dimension": 85,
    "licence": "none",
    "source": "a test",
}
QUERY = GRID | {
    "crop": "squash",
    "outputs": {"boxes": "pred_boxes", "logits": "logits"},
    "boxes": "detr",
}
PLACES = 8 * 12 + 4 * 6 + 2 * 3


def card(said: dict[str, Any] = GRID, **changes: Any) -> Card:
    return from_plain(said | changes, "tiny.toml")


def constant(**outputs: NDArray[np.float32]) -> bytes:
    """A model that takes pictures of 64 by 96 and answers with these arrays, whatever it is shown."""
    graph = Graph("constant")
    graph.input("images", (1, 3, 64, 96))
    graph.node("ReduceMin", ("images",), "least", keepdims=0)
    graph.node("Mul", ("least", graph.constant("zero", np.zeros((), np.float32))), "nothing")
    for name, values in outputs.items():
        graph.node("Add", ("nothing", graph.constant(f"{name}.values", values)), name)
        graph.output(name, values.shape)
    return graph.to_bytes({})


def detector(folder: Path, described: Card, **outputs: NDArray[np.float32]) -> Detector:
    path = folder / "tiny.onnx"
    path.write_bytes(constant(**outputs))
    return Detector(described, path)


def grid(*answers: tuple[int, list[float], float, int, float]) -> NDArray[np.float32]:
    """YOLOX's answers: (place, its four numbers, share of an object, kind, share of that kind) for some."""
    values = np.zeros((1, PLACES, 85), np.float32)
    for place, box, thing, kind, share in answers:
        values[0, place, :4] = box
        values[0, place, 4] = thing
        values[0, place, 5 + kind] = share
    return values


def queries(*answers: tuple[list[float], int, float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """DETR's: (its four numbers, kind, logit) each."""
    boxes = np.array([[box for box, _, _ in answers]], np.float32)
    logits = np.full((1, len(answers), 80), -9, np.float32)
    for row, (_, kind, logit) in enumerate(answers):
        logits[0, row, kind] = logit
    return boxes, logits


def picture(height: int = 64, width: int = 96) -> Picture:
    return Picture.from_array(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def test_kinds_are_the_80_of_coco() -> None:
    known = kinds()
    assert len(known.ids) == len(known.names) == len(known.parents) == len(set(known.names)) == 80
    assert list(known.ids) == sorted(set(known.ids))
    assert (known.ids[0], known.ids[-1]) == (1, 90)
    assert [known.names[place] for place in (0, 2, 16, 56, 79)] == [
        "person",
        "car",
        "dog",
        "chair",
        "toothbrush",
    ]
    assert set(known.parents) <= set(classes().categories)
    assert (known.parent("dog"), known.parent("cow")) == ("dog", "cattle")


# YOLOX


@pytest.mark.parametrize(
    ("place", "step", "x", "y"),
    [
        (0, 8, 0, 0),
        (11, 8, 11, 0),
        (12, 8, 0, 1),
        (96, 16, 0, 0),
        (96 + 7, 16, 1, 1),
        (96 + 24 + 5, 32, 2, 1),
    ],
)
def test_grids_are_three_row_by_row(tmp_path: Path, place: int, step: int, x: int, y: int) -> None:
    # Two steps wide and one high, around a point half a step right and below of the place.
    answers = grid((place, [0.5, 0.5, float(np.log(2)), 0.0], 0.8, DOG, 0.75))
    (found,) = detector(tmp_path, card(), output=answers).detect(picture())
    wanted = np.array([x - 0.5, y, x + 1.5, y + 1]) * step / [96, 64, 96, 64]
    assert np.allclose(found.box, np.clip(wanted, 0, 1), atol=1e-6)
    assert (found.name, found.parent) == ("dog", "dog")
    assert found.confidence == pytest.approx(0.6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_shares_are_of_the_picture_and_not_of_its_frame(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int
) -> None:
    # The whole frame as one box: what of it is no picture is cut off.
    side = [float(np.log(96 / 32)), float(np.log(64 / 32))]
    answers = grid((96 + 24 + 1, [0.5, 1.0, *side], 1.0, CAT, 1.0))
    folder = tmp_path_factory.mktemp("tiny")
    (found,) = detector(folder, card(), output=answers).detect(picture(height, width))
    assert found.box == (0.0, 0.0, 1.0, 1.0)


def test_boxes_in_a_padded_frame_grow_with_the_picture(tmp_path: Path) -> None:
    # 200 by 100 comes in as 64 by 32, at the left: a box of 16 to 24 pixels across is its third quarter.
    answers = grid((2, [0.5, 0.5, 0.0, 0.0], 1.0, DOG, 1.0))
    (found,) = detector(tmp_path, card(), output=answers).detect(picture(200, 100))
    assert np.allclose(found.box, (0.5, 0.0, 0.75, 0.125), atol=1e-6)


def test_one_thing_is_told_once_and_other_kinds_stay(tmp_path: Path) -> None:
    # Place 30 is (6, 2) of the first grid, 18 is the one above, 42 the one below, 40 is to the right.
    answers = grid(
        (30, [0.5, 0.5, 1.5, 1.0], 0.9, DOG, 1.0),
        (18, [0.5, 1.6, 1.5, 1.0], 0.7, DOG, 1.0),
        (42, [0.5, -0.5, 1.5, 1.0], 0.9, CAT, 0.5),
        (34, [0.5, 0.5, -1.0, -1.0], 0.6, DOG, 1.0),
    )
    made = detector(tmp_path, card(), output=answers)
    wanted = [("dog", 0.9), ("dog", 0.6), ("cat", 0.45)]
    assert [(one.name, round(one.confidence, 3)) for one in made.detect(picture())] == wanted
    assert [(one.name, round(one.confidence, 3)) for one in made.detect(picture(), least=0)] == wanted
    assert [one.name for one in made.detect(picture(), least=0.5)] == ["dog", "dog"]
    assert made.detect(picture(), least=0.95) == []
    answers[0, 18, 1] += 2.0  # two places further down, it is another
    made = detector(tmp_path, card(), output=answers)
    assert [round(one.confidence, 3) for one in made.detect(picture())] == [0.9, 0.7, 0.6, 0.45]


def test_the_input_is_as_the_card_says(tmp_path: Path) -> None:
    # The share of an object is the mean of the first channel, which is blue.
    graph = Graph("blue")
    graph.input("images", (1, 3, 64, 96))
    graph.node("GlobalAveragePool", ("images",), "means")
    graph.node("Flatten", ("means",), "flat", axis=1)
    first = graph.constant("first", np.array([0], np.int64))
    graph.node("Gather", ("flat", first), "blue", axis=1)
    graph.node("Mul", ("blue", graph.constant("unit", np.full((), 1 / 255, np.float32))), "share")
    weights = np.zeros((1, PLACES, 85), np.float32)
    weights[0, 0, 4] = 1
    rest = grid((0, [0, 0, 0, 0], 0, DOG, 1))
    graph.node("Mul", ("share", graph.constant("weights", weights)), "scaled")
    graph.node("Add", ("scaled", graph.constant("rest", rest)), "output")
    graph.output("output", (1, PLACES, 85))
    path = tmp_path / "blue.onnx"
    path.write_bytes(graph.to_bytes({}))
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[..., 2], pixels[..., 0] = 204, 30
    (found,) = Detector(card(), path).detect(Picture.from_array(pixels))
    assert found.confidence == pytest.approx(0.8, abs=1e-5)
    luma = np.full((64, 96), 153, np.uint8)
    (found,) = Detector(card(), path).detect(Picture.from_array(luma))
    assert found.confidence == pytest.approx(0.6, abs=1e-5)


def test_wild_numbers_do_no_harm(tmp_path: Path) -> None:
    answers = grid((0, [1e30, -1e30, 1e30, 1e30], 1, DOG, 1), (1, [0, 0, -1e30, 500.0], 1, CAT, 1))
    for found in detector(tmp_path, card(), output=answers).detect(picture(), least=0):
        assert 0 <= found.box[0] < found.box[2] <= 1
        assert 0 <= found.box[1] < found.box[3] <= 1


# DETR


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_boxes_of_queries_are_shares_already(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int
) -> None:
    boxes, logits = queries(([0.5, 0.25, 0.5, 0.5], DOG, 1.0), ([0.9, 0.5, 0.4, 2.0], CAT, 3.0))
    folder = tmp_path_factory.mktemp("tiny")
    found = detector(folder, card(QUERY), pred_boxes=boxes, logits=logits).detect(picture(height, width))
    assert [one.name for one in found] == ["cat", "dog"]
    assert found[0].confidence == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert np.allclose(found[0].box, (0.7, 0, 1, 1), atol=1e-6)
    assert np.allclose(found[1].box, (0.25, 0, 0.75, 0.5), atol=1e-6)


def test_what_overlaps_of_queries_stays(tmp_path: Path) -> None:
    boxes, logits = queries(*[([0.5, 0.5, 0.5, 0.5], DOG, 1.0)] * 3, ([0.5, 0.5, 0.0, 0.5], DOG, 200.0))
    found = detector(tmp_path, card(QUERY), pred_boxes=boxes, logits=logits).detect(picture())
    assert [one.name for one in found] == ["dog"] * 3


# What is refused


@pytest.mark.parametrize(
    "wrong",
    [
        {"output": grid()[:, :-1]},
        {"output": grid()[:, :, :84]},
        {"output": grid((0, [0, 0, 0, 0], 3.0, DOG, 1))},
        {"output": grid((0, [0, 0, 0, 0], 1.0, DOG, -2.0))},
        {"output": grid((0, [0, 0, 0, 0], float("nan"), DOG, 1))},
        {"other": grid()},
    ],
)
def test_other_answers_than_the_cards_are_refused(
    tmp_path: Path, wrong: dict[str, NDArray[np.float32]]
) -> None:
    with pytest.raises(ModelError) as caught:
        detector(tmp_path, card(), **wrong).detect(picture())
    assert_sentence(caught.value)
    assert "tiny" in str(caught.value)


@pytest.mark.parametrize(("last", "count"), [(3, 80), (4, 91)])
def test_queries_of_another_form_are_refused(tmp_path: Path, last: int, count: int) -> None:
    outputs = {
        "pred_boxes": np.zeros((1, 5, last), np.float32),
        "logits": np.zeros((1, 5, count), np.float32),
    }
    with pytest.raises(ModelError, match="not the model") as caught:
        detector(tmp_path, card(QUERY), **outputs).detect(picture())
    assert_sentence(caught.value)


def test_what_is_asked_wrongly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="finds no objects") as caught:
        Detector(built_in_card("siglip2-base"), tmp_path / "absent.onnx")
    assert_sentence(caught.value)
    with pytest.raises(ModelMissing):
        Detector(card(), tmp_path / "absent.onnx")
    made = detector(tmp_path, card(), output=grid())
    for least in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="confidence"):
            made.detect(picture(), least)


# Suppression


def brute(boxes: NDArray[np.float32], found: NDArray[np.intp]) -> list[int]:
    """The twin: each box against every kept one, with the definition written out."""
    kept: list[int] = []
    for place, (left, top, right, bottom) in enumerate(boxes.astype(float)):
        free = True
        for other in kept:
            a, b, c, d = boxes[other].astype(float)
            shared = max(0.0, min(right, c) - max(left, a)) * max(0.0, min(bottom, d) - max(top, b))
            union = (right - left) * (bottom - top) + (c - a) * (d - b) - shared
            free &= found[place] != found[other] or shared <= OVERLAP * union
        if free:
            kept.append(place)
    return kept


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 40), st.integers(1, 4), st.integers(0, 10_000))
def test_suppression_is_as_defined(count: int, several: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    corners = chance.integers(0, 12, (count, 2))
    boxes = np.concatenate([corners, corners + chance.integers(1, 12, (count, 2))], axis=1).astype(np.float32)
    found = chance.integers(0, several, count).astype(np.intp)
    assert distinct(boxes, found).tolist() == brute(boxes, found)


# Real pictures


SEEN: list[tuple[str, list[tuple[str, tuple[float, float, float, float]]]]] = [
    ("photos/n02088364_beagle.jpg", [("dog", (0.03, 0.03, 0.92, 0.99))]),
    ("photos/n02391049_zebra.jpg", [("zebra", (0.0, 0.03, 0.79, 1.0))]),
    ("photos/n03770679_minivan.jpg", [("car", (0.05, 0.17, 0.95, 0.86))]),
    ("photos/n02123597_Siamese_cat.jpg", [("cat", (0.14, 0.27, 1.0, 0.85))]),
    (
        "photos/n02835271_bicycle-built-for-two.jpg",
        [
            ("person", (0.2, 0.06, 0.57, 0.92)),
            ("person", (0.41, 0.06, 0.83, 0.93)),
            ("bicycle", (0.06, 0.39, 0.94, 0.93)),
        ],
    ),
    (
        "photos/n03201208_dining_table.jpg",
        [("chair", (0.55, 0.42, 0.77, 0.93)), ("chair", (0.25, 0.43, 0.48, 0.98))],
    ),
]
"""Things in the measuring pictures with boxes drawn by eye: pictures that fill the frame, wide and tall."""


def agreement(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union."""
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def shown(path: Path) -> Picture:
    import cv2

    pixels = cv2.imread(str(path))
    assert pixels is not None
    return Picture.from_array(np.ascontiguousarray(pixels[:, :, ::-1], np.uint8))


@pytest.mark.shared
@pytest.mark.parametrize(("name", "there"), SEEN)
def test_real_things_are_found_where_they_are(
    shared: Path, name: str, there: list[tuple[str, tuple[float, float, float, float]]]
) -> None:
    made = Detector(built_in_card("yolox-nano"), shared / "models" / "yolox_nano.onnx")
    found = made.detect(shown(shared / "images" / name))
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)
    for what, box in there:
        assert max(agreement(one.box, box) for one in found if one.name == what) > 0.75
    # A mirrored picture shows the same on the other side.
    left = made.detect(
        Picture.from_array(np.ascontiguousarray(shown(shared / "images" / name).pixels[:, ::-1]))
    )
    for what, (a, b, c, d) in there:
        assert max(agreement(one.box, (1 - c, b, 1 - a, d)) for one in left if one.name == what) > 0.75


@pytest.mark.shared
def test_a_lighthouse_is_nothing_of_the_80(shared: Path) -> None:
    made = Detector(built_in_card("yolox-nano"), shared / "models" / "yolox_nano.onnx", threads=2)
    assert made.detect(shown(shared / "images" / "kodak" / "21.png"), least=0.5) == []
    assert made.detect(Picture.from_array(np.full((50, 50, 3), 128, np.uint8))) == []
    assert isinstance(made.detect(shown(shared / "images" / "kodak" / "05.png"))[0], Thing)
