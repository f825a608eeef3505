"""Sightings: what is kept follows from all that was told, and not from the order in which it was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.models import new_image, small
from wherefrom.engine.embedded import EmbeddedEngine
from wherefrom.records import Place, Sighting

URI = "https://example.org/a.jpg"
DAY = 86_400_000_000
MOMENT = 1_500_000_000_000_000


def seen(engine: EmbeddedEngine, seed: int, at: Place) -> None:
    engine.add([replace(new_image(seed, placed=False), place=at)])


def sightings(engine: EmbeddedEngine) -> list[tuple[str, Sighting]]:
    return engine.sightings("", after=None, limit=1_000).rows


@pytest.fixture
def engine(tmp_path: Path) -> EmbeddedEngine:
    return small(tmp_path / "c", create=True)


def test_one_picture_on_two_pages_keeps_both(engine: EmbeddedEngine) -> None:
    for page in ("https://example.org/one", "https://example.org/two"):
        seen(engine, 1, Place(URI, page, f"The title of {page}", alt="a dog", how="img"))
    assert [(at.page, at.title, at.how) for _, at in sightings(engine)] == [
        (f"https://example.org/{page}", f"The title of https://example.org/{page}", "img")
        for page in ("one", "two")
    ]
    (image,) = engine.images([1]).values()
    assert len(image.sightings) == 2
    assert list(engine.select("places:1")) == [1]  # it is one place
    assert list(engine.damage()) == []


def test_an_old_capture_that_is_read_later_changes_nothing_of_today(engine: EmbeddedEngine) -> None:
    today, before = MOMENT + 400 * DAY, MOMENT
    seen(engine, 1, Place(URI, title="now", moment=today))
    seen(engine, 2, Place(URI, title="then", moment=before))
    (now,), (then,) = (engine.images([key])[key].sightings for key in (1, 2))
    assert (now.gone, now.title) == (None, "now")
    assert then.first_seen == then.last_seen == "2017-07-14T02:40:00Z"
    assert then.gone == now.first_seen  # something else was there since
    seen(engine, 1, Place(URI, title="older", moment=before - DAY))
    (now,) = engine.images([1])[1].sightings
    assert (now.first_seen, now.title, now.gone) == ("2017-07-13T02:40:00Z", "now", None)
    assert list(engine.damage()) == []


def test_changes_tell_what_was_seen_since(engine: EmbeddedEngine) -> None:
    engine.add([new_image(1), new_image(2)])
    first = engine.changes(None, 10)
    assert (first.added, first.removed, first.seen, first.more) == ([1, 2], [], [], False)
    assert engine.changes(first.cursor, 10)[:3] == ([], [], [])
    seen(engine, 1, Place("file:///elsewhere.jpg"))
    engine.add([new_image(3)])
    engine.remove([2])
    then = engine.changes(first.cursor, 10)
    assert (then.added, then.removed, then.seen) == ([3], [2], [1])
    engine.mark_gone(list(engine.present_under("file:///elsewhere.jpg")))
    assert engine.changes(then.cursor, 10).seen == [1]


observations = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["https://a.org/1.jpg", "https://a.org/2.jpg"]),
        st.sampled_from([None, "https://a.org/p", "https://a.org/q"]),
        st.integers(0, 4),
        st.sampled_from([None, "one", "two"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(observations, st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_order_in_which_it_is_told_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    told: list[tuple[int, str, str | None, int, str | None]],
    random: object,
    size: int,
) -> None:
    def kept(order: list[tuple[int, str, str | None, int, str | None]], together: int) -> object:
        folder = tmp_path_factory.mktemp("sightings")
        with closing(EmbeddedEngine(folder / "c", create=True)) as engine:
            engine.add([new_image(seed, placed=False) for seed in (1, 2, 3)])
            for start in range(0, len(order), together):
                engine.add(
                    [
                        replace(
                            new_image(seed, placed=False),
                            place=Place(uri, page, title, moment=MOMENT + moment * DAY),
                        )
                        for seed, uri, page, moment, title in order[start : start + together]
                    ]
                )
            return sightings(engine)

    shuffled = list(told)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kept(told, len(told)) == kept(shuffled, size)
