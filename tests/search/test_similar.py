"""Look-alikes: ranked as brute force ranks them, folded, and never what is proven to be a copy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.models import distance, new_image
from tests.engines import Opener
from tests.pictures import assert_sentence
from tests.support.brute_force import code, flipped
from wherefrom.engine.base import Engine
from wherefrom.engine.selection import KeySet
from wherefrom.errors import UsageError
from wherefrom.features.colours import parse_colours
from wherefrom.features.embedding import CLASSES, Embedding
from wherefrom.features.extract import EMBEDDING, PALETTE, VERSIONS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.palette import Palette
from wherefrom.features.palette import palette as palette_of
from wherefrom.features.resemblance import resemblance
from wherefrom.models.labels import classes
from wherefrom.picture.picture import Picture
from wherefrom.records import NewImage
from wherefrom.search.answer import Kind
from wherefrom.search.find import lookalikes
from wherefrom.search.recall import CLAIM_RADIUS
from wherefrom.search.similar import _CLASSES, Likeness, Wish, alike, folded, matches_of, score_of_likeness

LENGTH = 16
COUNT = len(classes().names)
OURS = VERSIONS | {EMBEDDING: "tests 1", PALETTE: "tests 1"}


@cache
def shown(seed: int, length: int = LENGTH, found: int = CLASSES) -> Embedding:
    """An embedding that follows from a seed, as it comes back from where it is kept; classes often meet."""
    rng = np.random.default_rng([3, seed])
    vector = rng.standard_normal(length)
    logs = -np.sort(rng.exponential(2, found)).astype(np.float32) - np.float32(0.1)
    made = Embedding(
        (vector / np.linalg.norm(vector)).astype(np.float32), rng.permutation(9)[:found], logs, ()
    )
    return Embedding.from_bytes(made.to_bytes())


@cache
def colours(seed: int) -> Palette:
    rng = np.random.default_rng([4, seed])
    pixels = np.repeat(rng.integers(0, 255, (4, 1, 3), dtype=np.uint8), 8, axis=1)
    return palette_of(Picture.from_array(pixels))


def image(seed: int, *, known: bytes | None = None, at: Embedding | None = None) -> NewImage:
    made = new_image(seed, data=known)
    more = {EMBEDDING: (at or shown(seed)).to_bytes(), PALETTE: colours(seed).to_bytes()}
    return replace(made, features=made.features | more)


@pytest.fixture(scope="module")
def engine(opener: Opener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """120 images, keys 1 to 120 of the seeds 0 to 119; three removed."""
    place = tmp_path_factory.mktemp("similar") / "c"
    with closing(opener.open(place, create=True, versions=OURS, dimension=LENGTH)) as made:
        made.add([image(seed) for seed in range(120)])
        made.remove([5, 60, 61])
        yield made


LIVE = [key for key in range(1, 121) if key not in (5, 60, 61)]


def bhattacharyya(one: Embedding, other: Embedding, temperature: float = 1.5) -> float:
    """Of the shares of the classes that are kept, as softmaxes over a temperature."""
    sides: list[dict[int, float]] = []
    for side in (one, other):
        powers = {
            int(number): math.exp(float(log) / temperature)
            for number, log in zip(side.classes, side.likelihoods, strict=True)
        }
        total = sum(powers.values())
        sides.append({number: power / total for number, power in powers.items()})
    first, second = sides
    return sum(math.sqrt(share * second[number]) for number, share in first.items() if number in second)


def by_force(
    wish: Wish, keys: Sequence[int], rows: dict[int, Embedding] | None = None
) -> list[tuple[int, float]]:
    """Every image by how like the wish it is, most alike first, of equals the lower key."""

    def to(one: Embedding, other: Embedding) -> float:
        return float(one.vector @ other.vector) + _CLASSES * bhattacharyya(one, other)

    scores = []
    for key in keys:
        mine = rows[key] if rows is not None else shown(key - 1)
        liked = [to(one, mine) for one in wish.like]
        if wish.words is not None:
            liked.append(float(wish.words @ mine.vector))
        score = sum(liked) / len(liked)
        if wish.unlike:
            score -= 0.5 * max(to(one, mine) for one in wish.unlike)
        if wish.colours:
            row = np.frombuffer(colours(key - 1).to_bytes(), np.uint8)
            score += 0.5 * (float(resemblance(wish.colours, row[None], wish.ignore_background)[0]) - 1)
        scores.append((key, score))
    return sorted(scores, key=lambda one: (-one[1], one[0]))


def assert_ranked(found: Sequence[Likeness], due: Sequence[tuple[int, float]]) -> None:
    """The same images and scores in the same order, but for what rounding makes of near equals."""
    assert sorted(one.key for one in found) == sorted(key for key, _ in due)
    assert [one.similarity for one in found] == pytest.approx([score for _, score in due], abs=1e-5)
    scores = dict(due)
    assert [one.similarity for one in found] == pytest.approx([scores[one.key] for one in found], abs=1e-5)


# Ranking


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(200, 10_000), max_size=3),
    st.lists(st.integers(200, 10_000), max_size=2),
    st.booleans(),
    st.sampled_from(["", "red", "#336699:2, white:1"]),
    st.integers(0, CLASSES),
)
def test_the_ranking_equals_brute_force(
    engine: Engine, like: list[int], unlike: list[int], words: bool, named: str, found: int
) -> None:
    wish = Wish(
        [shown(seed, found=found) for seed in like],
        [shown(seed) for seed in unlike],
        shown(77_777).vector if words or not like else None,
        parse_colours(named) if named else (),
    )
    assert_ranked(alike(engine, wish, 20), by_force(wish, LIVE))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(200, 10_000), st.sets(st.integers(1, 130)))
def test_only_what_is_allowed_is_found(engine: Engine, seed: int, allowed: set[int]) -> None:
    wish = Wish([shown(seed)], colours=parse_colours("blue"))
    keys = KeySet(np.array(sorted(allowed), np.int64))
    assert_ranked(alike(engine, wish, 20, keys), by_force(wish, [key for key in LIVE if key in allowed]))
    by_colour = alike(engine, Wish(colours=parse_colours("blue")), 20, keys)
    assert {one.key for one in by_colour} <= allowed & set(LIVE)


def test_of_many_the_nearest_are_ranked(engine: Engine) -> None:
    """Candidates come by the mean of what is wanted, less half of what is not."""
    wish = Wish([shown(300), shown(301)], [shown(302)])
    centre = (wish.like[0].vector + wish.like[1].vector) / 2 - 0.5 * wish.unlike[0].vector
    near = sorted(LIVE, key=lambda key: -float(centre @ shown(key - 1).vector))
    with patch("wherefrom.search.similar._RANKED", 30):
        found = alike(engine, wish, 2)
        more = alike(engine, wish, 4)
    assert_ranked(found, by_force(wish, near[:30]))
    assert_ranked(more, by_force(wish, near[:40]))


def test_an_image_is_most_like_itself(engine: Engine) -> None:
    best = alike(engine, Wish([shown(41)]), 3)[0]
    assert best.key == 42
    assert best.similarity == pytest.approx(1 + _CLASSES, abs=1e-3)


def test_wishes_that_cancel_out_find_nothing(engine: Engine) -> None:
    one = shown(300)
    opposite = Embedding(-one.vector, one.classes, one.likelihoods, ())
    assert alike(engine, Wish([one, opposite]), 3) == []


def test_pictures_to_be_unlike_alone_are_refused(engine: Engine) -> None:
    with pytest.raises(UsageError) as caught:
        alike(engine, Wish(unlike=[shown(1)], colours=parse_colours("red")), 3)
    assert_sentence(caught.value)


def test_what_is_equally_alike_comes_in_the_order_of_the_keys(opener: Opener, tmp_path: Path) -> None:
    same = shown(1)
    with closing(opener.open(tmp_path / "c", create=True, versions=OURS, dimension=LENGTH)) as made:
        made.add([image(seed, at=same) for seed in range(9)])
        made.remove([3])
        for _ in range(2):
            found = alike(made, Wish([shown(2)]), 5)
            assert [one.key for one in found] == [1, 2, 4, 5, 6, 7, 8, 9]
            assert len({one.similarity for one in found}) == 1


def test_images_without_an_embedding_are_never_found(opener: Opener, tmp_path: Path) -> None:
    with closing(opener.open(tmp_path / "c", create=True, versions=OURS, dimension=LENGTH)) as made:
        blank = new_image(1)
        made.add([image(0), replace(blank, features=blank.features | {EMBEDDING: b"", PALETTE: b""})])
        assert [one.key for one in alike(made, Wish([shown(5)]), 5)] == [1]
        assert {one.key for one in alike(made, Wish(colours=parse_colours("red, blue")), 5)} <= {1}


# Colours


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["red", "teal", "#404040", "white, black", "orange:2, blue:1"]), st.booleans())
def test_colours_alone_rank_by_resemblance(engine: Engine, named: str, plain: bool) -> None:
    wanted = parse_colours(named)
    rows = np.stack([np.frombuffer(colours(key - 1).to_bytes(), np.uint8) for key in LIVE])
    values = resemblance(wanted, rows, plain)
    due = [(key, float(value)) for key, value in zip(LIVE, values, strict=True) if value > 0.02]
    found = alike(engine, Wish(colours=wanted, ignore_background=plain), 20)
    assert_ranked(found, sorted(due, key=lambda one: (-one[1], one[0])))
    assert all(one.embedding is None for one in found)
    with patch("wherefrom.search.similar._RANKED", 1):
        few = alike(engine, Wish(colours=wanted, ignore_background=plain), 1)
    assert [one.key for one in few] == [one.key for one in found[:10]]
    matches = lookalikes(engine, found, 5, by_colour=True)
    assert all(match.evidence.method == "colours" and 0 <= match.score < 95 for match in matches)


# Folding


def fingerprint(start: int, flips: int, usable: bool = True) -> bytes:
    return Fingerprint(flipped(code(start), range(flips)), 100, usable).to_bytes()


def test_near_copies_are_folded_into_the_one_most_alike(opener: Opener, tmp_path: Path) -> None:
    """Against a loop over all pairs: codes of four families at many distances, one in five of no use."""
    rng = np.random.default_rng(8)
    known = [(int(rng.integers(4)), int(rng.integers(70)), bool(rng.random() > 0.2)) for _ in range(60)]
    with closing(opener.open(tmp_path / "c", create=True, versions=OURS, dimension=LENGTH)) as made:
        made.add([image(seed, known=fingerprint(*one)) for seed, one in enumerate(known)])
        ranking = alike(made, Wish([shown(900)]), 60)
        for limit in (1, 3, 60):
            groups: list[tuple[int, list[int]]] = []
            for one in ranking:
                start, flips, usable = known[one.key - 1]
                mine = flipped(code(start), range(flips))
                for leader, others in groups:
                    first = known[leader - 1]
                    if usable and first[2]:
                        apart = distance(mine, flipped(code(first[0]), range(first[1])))
                        if apart <= CLAIM_RADIUS:
                            others.append(one.key)
                            break
                else:
                    if len(groups) < limit:
                        groups.append((one.key, []))
            assert [(one.key, others) for one, others in folded(made, ranking, limit)] == groups
        assert any(others for _, others in groups)
        (match,) = matches_of(made, folded(made, ranking, 1), by_colour=False)
        assert match.kind is Kind.SIMILAR
        assert match.evidence.method == "embedding"
        assert match.image.sightings


def test_what_is_claimed_takes_nothing_with_it(opener: Opener, tmp_path: Path) -> None:
    """A near-copy of a claimed image that is no claim itself is a look-alike of its own."""
    same = shown(1)
    with closing(opener.open(tmp_path / "c", create=True, versions=OURS, dimension=LENGTH)) as made:
        made.add([image(seed, known=fingerprint(0, seed), at=same) for seed in range(4)])
        images = made.images([1, 2, 3, 4])
        found = alike(made, Wish([same]), 5)
        (alone,) = lookalikes(made, found, 5)
        assert (alone.id, alone.copies) == (images[1].id, tuple(images[key].id for key in (2, 3, 4)))
        (left,) = lookalikes(made, found, 5, but={images[1].id, images[3].id})
        assert (left.id, left.copies) == (images[2].id, (images[4].id,))
        assert lookalikes(made, found, 5, but={image.id for image in images.values()}) == []


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_scores_rise_with_similarity_and_stay_below_claims(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= score_of_likeness(low) <= score_of_likeness(high) < 95
