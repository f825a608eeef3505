"""Sessions hold a file against its card, and pictures come to a model as its card says."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.models.graphs import card, means, saved, weights
from tests.pictures import assert_sentence, mutated
from wherefrom.errors import ModelError, ModelMissing
from wherefrom.models.cards import Card, built_in_card
from wherefrom.models.graph import Graph
from wherefrom.models.session import open_session, prepared

pytest.importorskip("onnxruntime")


def batch(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 3, 4, 6)).astype(np.float32)


@pytest.mark.parametrize("size", ["n", 1, 2, 4])
def test_batches_of_any_size_run_on_models_of_one(tmp_path: Path, size: int | str) -> None:
    session = open_session(card(), saved(tmp_path, means(size)))
    given_ = batch(5)
    found = session.run(given_)
    assert set(found) == {"vector"}
    assert found["vector"].dtype == np.float32
    assert np.allclose(found["vector"], given_.mean(axis=(2, 3)), atol=1e-6)
    assert session.device == "cpu"


def test_the_first_token_is_the_vector(tmp_path: Path) -> None:
    graph = Graph("tokens")
    graph.input("image", ("n", 4, 6, 3))
    shape = graph.constant("shape", np.array([0, 8, 9], np.int64))
    graph.node("Reshape", ("image", shape), "tokens")
    graph.output("tokens", ("n", 8, 9))
    described = card(outputs={"tokens": "tokens"}, dimension=9, layout="NHWC")
    session = open_session(described, saved(tmp_path, graph.to_bytes({})))
    given_ = batch(2)
    wanted = given_.transpose(0, 2, 3, 1).reshape(2, 8, 9)
    found = session.run(given_)
    assert (found["tokens"] == wanted).all()
    assert (found["vector"] == wanted[:, 0]).all()
    assert list(session.run(given_, roles=["vector"])) == ["vector"]


def test_threads_share_a_session(tmp_path: Path) -> None:
    session = open_session(card(), saved(tmp_path, means()))
    batches = [batch(3, seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for given_, found in zip(batches, pool.map(session.run, batches), strict=True):
            assert np.allclose(found["vector"], given_.mean(axis=(2, 3)), atol=1e-6)


@pytest.mark.parametrize(
    "wrong", [batch(0), batch(1)[0], batch(1)[:, :2], batch(1).astype(np.float64), batch(1)[:, :, :3]]
)
def test_batches_of_another_shape_are_refused(tmp_path: Path, wrong: Any) -> None:
    session = open_session(card(), saved(tmp_path, means()))
    with pytest.raises(ValueError, match="batch"):
        session.run(wrong)
    with pytest.raises(ValueError, match="role"):
        session.run(batch(1), roles=["boxes"])


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    session = open_session(card(), saved(tmp_path, means(divided=True)))
    assert session.run(batch(1) + 1)["vector"].shape == (1, 3)
    with pytest.raises(ModelError, match="finite"):
        session.run(np.zeros((1, 3, 4, 6), np.float32))


@pytest.mark.parametrize(
    "changes",
    [
        {"input": "pixels"},
        {"input_size": [6, 4]},
        {"layout": "NHWC"},
        {"outputs": {"vector": "embedding"}},
        {"outputs": {"features": "vector"}},
        {"dimension": 4},
    ],
)
def test_a_file_that_is_not_the_cards_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        open_session(card(**changes), saved(tmp_path, means()))
    assert_sentence(caught.value)
    assert "means" in str(caught.value)


def test_broken_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    data = means()
    chance = random.Random(3)
    damaged = [b"", b"\0" * 50, b"no model", data[:40], *(mutated(data, chance) for _ in range(150))]
    for one in damaged:
        try:
            open_session(card(), saved(tmp_path, one)).run(batch(2))
        except ModelError as error:
            assert_sentence(error)


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="wherefrom models add means"):
        open_session(card(), tmp_path / "absent.onnx")
    with pytest.raises(ValueError, match="threads"):
        open_session(card(), tmp_path / "absent.onnx", threads=0)
    with pytest.raises(ValueError, match="device"):
        open_session(card(), tmp_path / "absent.onnx", device="abacus")


def test_an_accelerator_that_is_not_there_gives_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    session = open_session(card(), saved(tmp_path, means()), device="rocm")
    assert session.device == "cpu"
    assert "no rocm here" in caplog.text


@weights
def test_it_opens_and_runs_under_the_memory_of_a_worker(tmp_path: Path) -> None:
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 1024**3,) * 2)\n"
        "import numpy as np\n"
        "from wherefrom.models.session import open_session\n"
        "from wherefrom.models.store import Store\n"
        f"store = Store({str(tmp_path)!r})\n"
        "session = open_session(store.card('efficientnet-lite0'), store.path('efficientnet-lite0'))\n"
        "for size in (1, 8):\n"
        "    print(session.run(np.zeros((size, 3, 224, 224), np.float32))['features'].shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "(8, 1280, 7, 7)" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 3 * 1024**3


# From pixels


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def plain(**changes: Any) -> Card:
    return card(input_size=[8, 8], **changes)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 60), st.sampled_from(["centre", "squash", "pad"]), st.integers(0, 99)
)
def test_every_shape_of_picture_is_taken(height: int, width: int, crop: str, seed: int) -> None:
    found = prepared(picture(height, width, seed), plain(crop=crop, share=0.875, fill=7))
    assert found.shape == (1, 3, 8, 8)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert 0 <= found.min() <= found.max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_reducing_takes_means_over_areas(tall: int, wide: int, seed: int) -> None:
    pixels = picture(8 * tall, 8 * wide, seed)
    found = prepared(pixels, plain(unit=1.0))[0].transpose(1, 2, 0)
    wanted = pixels.reshape(8, tall, 8, wide, 3).mean(axis=(1, 3))
    assert np.abs(found - wanted).max() <= 0.51


def test_numbers_are_as_the_card_says() -> None:
    pixels = picture(8, 8)
    unit, mean, std = 1 / 255, np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.3, 0.4])
    wanted = ((pixels * unit - mean) / std).transpose(2, 0, 1)
    found = prepared(pixels, plain(mean=mean.tolist(), std=std.tolist()))[0]
    assert np.abs(found - wanted).max() < 1e-5
    turned = prepared(pixels, plain(mean=mean.tolist(), std=std.tolist(), channels="BGR"))[0]
    assert np.abs(turned - ((pixels[:, :, ::-1] * unit - mean) / std).transpose(2, 0, 1)).max() < 1e-5


def test_crops_take_what_they_say() -> None:
    pixels = np.zeros((80, 160, 3), np.uint8)
    pixels[10:70, 50:110] = 200  # the middle square of three quarters
    inner = prepared(pixels, plain(crop="centre", share=0.75, unit=1.0))
    assert (inner == 200).all()
    padded = prepared(pixels, plain(crop="pad", fill=9, unit=1.0))[0, 0]
    assert (padded[4:] == 9).all()
    assert padded[2, 4] == 200
    squashed = prepared(pixels, plain(crop="squash", unit=1.0))[0, 0]
    assert squashed[4, 4] == 200
    assert squashed[0, 0] == 0


@pytest.mark.parametrize(
    "wrong", [picture(4, 4)[:, :, :2], picture(4, 4)[0], picture(4, 4) / 255, picture(0, 4)]
)
def test_what_is_no_picture_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="picture"):
        prepared(wrong, plain())


@pytest.mark.shared
def test_a_model_with_a_fixed_batch_and_its_own_scale_runs(shared: Path) -> None:
    session = open_session(built_in_card("yolox-nano"), shared / "models" / "yolox_nano.onnx")
    pixels = picture(100, 50)
    given_ = np.concatenate([prepared(pixels, session.card), prepared(pixels[::-1].copy(), session.card)])
    assert given_.max() > 100
    assert (given_[:, :, :, 208:] == 114).all()
    assert session.run(given_)["boxes"].shape == (2, 3549, 85)
