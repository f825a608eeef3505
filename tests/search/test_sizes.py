"""Pictures of any size, shape and depth, on both sides, go through everything that looks at two of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from tests.scenes import encoded
from wherefrom.collection import open_collection
from wherefrom.evaluate.drawn import CONTENTS, KINSHIPS, MODES, MOST_ASPECT, MOST_SIDE, Pair, size_of
from wherefrom.evaluate.scenery import scenery
from wherefrom.features.blocking import blocking
from wherefrom.search.alignment import align
from wherefrom.search.answer import Evidence, Kind
from wherefrom.search.changes import changes
from wherefrom.search.draw import difference, draw, warped
from wherefrom.search.find import compare
from wherefrom.search.tone import fit
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.service import Service
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)

sides = st.builds(
    size_of,
    st.integers(1, MOST_SIDE),
    st.sampled_from([1.0, 1.0, 1.5, 4.0, MOST_ASPECT]),
    upright=st.booleans(),
)
pairs = st.builds(
    Pair,
    sides,
    sides,
    st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)),
    st.sampled_from(CONTENTS),
    st.sampled_from(KINSHIPS),
    st.integers(0, 2**31),
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(pairs)
def test_any_two_pictures_are_compared(pair: Pair) -> None:
    one, other = pair.files()
    for query, match in ((one, other), (other, one)):
        found = compare(query, match, PLAIN)
        assert found is None or 0 < found.score <= 100
    itself = compare(one, one, PLAIN)
    assert itself is not None
    assert itself.kind is Kind.IDENTICAL


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    sides,
    sides,
    st.sampled_from(CONTENTS),
    st.booleans(),
    st.floats(-0.2, 0.2),
    st.floats(0.6, 1.6),
    st.integers(0, 2**31),
)
def test_whatever_is_laid_on_whatever_is_measured_and_drawn(
    first: tuple[int, int],
    second: tuple[int, int],
    content: str,
    grey: bool,
    shift: float,
    scale: float,
    seed: int,
) -> None:
    kinship = "resized" if seed % 3 else "none"
    files = Pair(first, second, ("RGB", "L" if grey else "RGB"), content, kinship, seed).files()
    query, match = (Image.open(io.BytesIO(data)).convert("RGB") for data in files)
    shown, known = (np.asarray(Image.open(io.BytesIO(data))) for data in files)
    across, down = (scale * one / other for one, other in zip(query.size, match.size, strict=True))
    transform = np.array([[across, 0, shift * query.width], [0, down, 0], [0, 0, 1]])
    measured = changes(shown, known, transform)
    if measured is not None:
        assert 0 <= measured.agreement <= 1
        assert all(np.isfinite(edit.amount or 0) for edit in measured.edits)
    assert 0 <= blocking(shown) <= 1
    rows = tuple((float(a), float(b), float(c)) for a, b, c in transform)
    area = ((0.0, 0.0), (query.width, 0.0), (query.width, query.height), (0.0, query.height))
    evidence = Evidence("fingerprint", transform=(rows[0], rows[1], rows[2]), query_area=area)
    assert warped(evidence, query, match).size == query.size
    assert difference(evidence, query, match).size == query.size
    assert draw(evidence, query, match, height=64).height > 0


def test_what_is_hardly_larger_than_a_block_keeps_its_tones() -> None:
    arrays = [np.asarray(scenery(np.random.default_rng(seed), 48, 30)) for seed in (1, 2)]
    aligned = align(arrays[0], arrays[1], np.eye(3))
    assert aligned is not None
    assert np.array_equal(fit(aligned).apply(aligned.match), aligned.match)


def test_small_versions_are_the_same_both_ways_round(tmp_path: Path) -> None:
    large = scenery(np.random.default_rng(5), 640, 428)
    files = {"large": encoded(large, "JPEG")}
    for side in (32, 40, 48, 64):
        small = large.resize((side, round(side * 428 / 640)), Image.Resampling.LANCZOS)
        files[f"{side}"] = encoded(small, "PNG")
    for name, data in files.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    with open_collection(tmp_path / "all", create=True, settings=PLAIN) as collection:
        assert len(collection.add(tmp_path).added) == len(files)
        for name, data in files.items():
            found = collection.search(data)
            assert [match.kind for match in found] == [Kind.IDENTICAL] + [Kind.SAME] * 4, name
        (group,) = collection.duplicates()
        assert len(group.others) == 4
    for name, data in files.items():
        if name != "large":
            for query, match in ((data, files["large"]), (files["large"], data)):
                found_one = compare(query, match, PLAIN)
                assert found_one is not None
                assert found_one.kind is Kind.SAME, name


@pytest.mark.directory
def test_small_pictures_over_http(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    drawn = [scenery(random, side, side * 2 // 3).resize((side, side * 2 // 3)) for side in range(24, 56, 4)]
    with open_collection(tmp_path / "small", create=True, settings=PLAIN) as collection:
        collection.add([encoded(one, "PNG") for one in drawn])
    config = Config((("small", tmp_path / "small"),), settings=PLAIN, workers=1)
    with TestClient(create_app(Service(config), config), base_url="http://localhost") as client:
        for one in drawn:
            large = encoded(one.resize((6 * one.width, 6 * one.height)), "PNG")
            said = client.post("/api/v1/search", files={"image": ("large.png", large)})
            assert said.status_code == 200, said.text
