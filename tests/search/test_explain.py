"""Evidence: the transform, the areas and the edits that each way of being a copy gives."""

from __future__ import annotations

import numpy as np
import pytest

from wherefrom.features.fingerprint import QueryCode, Shares
from wherefrom.picture.metadata import Credit
from wherefrom.records import Image
from wherefrom.search.answer import Edit, Evidence, Kind
from wherefrom.search.explain import Frame, explain, identical
from wherefrom.search.recall import Candidate

WHOLE: Shares = (0.0, 0.0, 1.0, 1.0)
CODE = np.zeros(32, np.uint8)


def image(width: int, height: int) -> Image:
    return Image("sha256:" + "0" * 64, width, height, "jpeg", 1000, 1, 100, "", Credit())


def seen(
    match: tuple[int, int],
    query: tuple[int, int],
    *,
    mirrored: bool = False,
    turned: int = 0,
    negative: bool = False,
    box: tuple[int, int, int, int] | None = None,
    inside: Shares | None = None,
    region: Shares = WHOLE,
) -> tuple[Kind, Evidence]:
    code = QueryCode(CODE, mirrored, turned, negative, box)
    return explain(
        Candidate(1, 4, code, inside is not None), image(*match), Frame(*query, region, query), inside
    )


def through(evidence: Evidence, x: float, y: float) -> tuple[float, float]:
    assert evidence.transform is not None
    a, b, c = np.array(evidence.transform) @ (x, y, 1)
    return float(a / c), float(b / c)


def named(evidence: Evidence) -> dict[str, float | None]:
    return {edit.name: edit.amount for edit in evidence.edits}


def test_another_size_is_the_same_picture() -> None:
    kind, evidence = seen((400, 300), (200, 150))
    assert kind is Kind.SAME
    assert named(evidence) == {"scale": 0.5}
    assert through(evidence, 400, 300) == (200, 150)
    assert list(evidence.query_area or ()) == [(0, 0), (200, 0), (200, 150), (0, 150)]


def test_no_edit_at_all() -> None:
    kind, evidence = seen((400, 300), (400, 300))
    assert (kind, evidence.edits) == (Kind.SAME, ())
    assert evidence.transform == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_the_transform_takes_match_pixels_to_query_pixels(mirrored: bool, turned: int) -> None:
    # A grid of distinct pixels, edited for real: each must land where the transform says.
    source = np.arange(6 * 4).reshape(4, 6)
    query = np.rot90(source[:, ::-1] if mirrored else source, -turned // 90)
    kind, evidence = seen((6, 4), (query.shape[1], query.shape[0]), mirrored=mirrored, turned=turned)
    for y in range(4):
        for x in range(6):
            u, v = through(evidence, x + 0.5, y + 0.5)
            assert query[int(v), int(u)] == source[y, x]
    assert kind is (Kind.COPY if mirrored or turned else Kind.SAME)
    assert ("mirror" in named(evidence), named(evidence).get("rotate")) == (mirrored, turned or None)


def test_negative() -> None:
    kind, evidence = seen((400, 300), (400, 300), negative=True)
    assert kind is Kind.COPY
    assert evidence.edits == (Edit("negative"),)


def test_a_border_around_the_query() -> None:
    kind, evidence = seen((400, 300), (480, 380), box=(40, 40, 440, 340))
    assert kind is Kind.COPY
    assert named(evidence) == {"border": pytest.approx(1 - 400 * 300 / (480 * 380), abs=1e-4)}
    assert through(evidence, 0, 0) == (40, 40)
    assert through(evidence, 400, 300) == (440, 340)
    assert list(evidence.query_area or ()) == [(40, 40), (440, 40), (440, 340), (40, 340)]
    assert evidence.query_coverage == pytest.approx(0.6579, abs=1e-4)
    assert evidence.match_coverage == 1.0


def test_bars_of_the_match_that_the_query_lacks() -> None:
    kind, evidence = seen((400, 400), (400, 300), inside=(0.0, 0.125, 1.0, 0.875))
    assert kind is Kind.COPY
    assert named(evidence) == {"crop": 0.25}
    assert through(evidence, 0, 50) == (0, 0)
    assert list(evidence.match_area or ()) == [(0, 50), (400, 50), (400, 350), (0, 350)]


def test_another_aspect() -> None:
    kind, evidence = seen((400, 300), (520, 300))
    assert kind is Kind.COPY
    assert named(evidence)["aspect"] == pytest.approx(1.3)


@pytest.mark.parametrize("query", [(100, 75), (133, 100), (67, 50), (21, 16)])
def test_rounding_is_no_change_of_aspect(query: tuple[int, int]) -> None:
    assert "aspect" not in named(seen((400, 300), query)[1])


def test_a_turned_query_has_its_own_aspect() -> None:
    assert named(seen((400, 300), (300, 400), turned=90)[1]) == {"rotate": 90.0}


def test_a_region_of_the_query() -> None:
    region = (0.5, 0.0, 1.0, 0.5)
    code = QueryCode(CODE)
    _, evidence = explain(
        Candidate(1, 0, code, False), image(200, 150), Frame(400, 300, region, (200, 150)), None
    )
    assert list(evidence.query_area or ()) == [(200, 0), (400, 0), (400, 150), (200, 150)]
    assert through(evidence, 0, 0) == (200, 0)
    assert evidence.query_coverage == 0.25


def test_identical() -> None:
    evidence = identical(image(3, 2))
    assert (evidence.method, evidence.distance, evidence.edits) == ("sha256", 0, ())
    assert evidence.query_area == evidence.match_area == ((0, 0), (3, 0), (3, 2), (0, 2))
