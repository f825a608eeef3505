"""The catalog: what it keeps of images, places and features, and how it tells damage from truth."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect

from tests.engine.models import Clock, digest, new_image, new_images, stamp, uri
from wherefrom.engine import migrations
from wherefrom.engine.catalog import FILE_NAME, Catalog, Marks
from wherefrom.engine.codes import code_source
from wherefrom.engine.sizes import CatalogSizes
from wherefrom.engine.tables import metadata
from wherefrom.errors import CollectionDamaged, CollectionError, CollectionTooNew, UsageError, WherefromError
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.picture.metadata import Credit
from wherefrom.records import FileStamp, NewImage, Place, Refusal, SeenAt, Sighting, image_id

VERSION = {FINGERPRINT: "tests-1", KEYPOINTS: "tests-1"}
READER = "reader 1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalog(tmp_path: Path, clock: Clock) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path, create=True, clock=clock)) as made:
        yield made


def sound(catalog: Catalog) -> bool:
    return list(catalog.damage([FINGERPRINT])) == []


def seen(catalog: Catalog, key: int) -> list[tuple[str, bool]]:
    """The places of an image, and whether it is still there."""
    return [(one.uri, one.gone is None) for one in catalog.images([key])[key].sightings]


def refusal(seed: int, *, stamped: FileStamp | None = None, reader: str = READER) -> Refusal:
    return Refusal(uri(seed), stamped or stamp(seed), "truncated", "It ends early.", False, reader)


# Images


def test_what_goes_in_comes_out(catalog: Catalog) -> None:
    credit = Credit(creator="Ågot \ud800 田中", taken="2024-05-06")
    image = new_image(5, credit=credit, trimmed=True)
    assert catalog.add([image], VERSION) == [(1, True)]
    kept = catalog.images([1])[1]
    for name in ("width", "height", "format", "bytes", "frames", "quality", "credit"):
        assert getattr(kept, name) == getattr(image, name)
    assert kept.id == image_id(image.digest)
    assert kept.added.endswith("Z")
    place = kept.sightings[0]
    assert (place.uri, place.page, place.title, place.alt, place.gone) == (uri(5), None, None, None, None)
    assert place.first_seen == place.last_seen == kept.added
    assert catalog.features(FINGERPRINT, [1, 2]) == {1: image.features[FINGERPRINT]}
    assert catalog.features("other", [1]) == {}
    assert catalog.keys_of([image.digest, digest(6)]) == {image.digest: 1}
    assert catalog.keys_at(uri(5)) == [1]
    assert (catalog.count(), catalog.marks()) == (1, Marks(1, 0))
    assert catalog.versions(FINGERPRINT) == {"tests-1": ["tests"]}
    assert sound(catalog)


def test_known_images_gain_places(catalog: Catalog) -> None:
    one, two = new_image(1), new_image(2)
    elsewhere = new_image(1, at=uri(7), stamped=stamp(7))
    assert catalog.add([one, two, elsewhere, one], VERSION) == [(1, True), (2, True), (1, False), (1, False)]
    assert catalog.add([elsewhere, new_image(3)], VERSION) == [(1, False), (3, True)]
    assert seen(catalog, 1) == [(uri(1), True), (uri(7), True)]
    assert catalog.matching("places>=2").tolist() == [1]
    assert catalog.count() == 3
    assert sound(catalog)


def test_an_image_needs_no_place(catalog: Catalog) -> None:
    catalog.add([new_image(1, placed=False)], VERSION)
    assert catalog.images([1])[1].sightings == ()
    assert sound(catalog)


def test_text_of_any_kind_can_be_kept(catalog: Catalog) -> None:
    place = Place(
        "https://example.org/\u00e9.jpg", page="https://example.org/?\x00", title="\ud800 half", alt="🙂"
    )
    image = new_image(1, placed=False)
    catalog.add(
        [NewImage(**{name: getattr(image, name) for name in image.__slots__} | {"place": place})], VERSION
    )
    kept = catalog.images([1])[1].sightings[0]
    assert (kept.page, kept.title, kept.alt) == ("https://example.org/?\x00", "? half", "🙂")
    assert sound(catalog)


def test_a_batch_is_added_whole_or_not_at_all(catalog: Catalog) -> None:
    catalog.add([new_image(1)], VERSION)
    broken = new_image(3, data=b"x")
    broken.features[FINGERPRINT] = None  # type: ignore[assignment]
    with pytest.raises(WherefromError):
        catalog.add([new_image(2), broken], VERSION)
    assert (catalog.count(), catalog.marks()) == (1, Marks(1, 0))
    assert catalog.add([new_image(3), new_image(2)], VERSION) == [(2, True), (3, True)]
    assert sound(catalog)


def test_keys_are_never_given_twice(catalog: Catalog) -> None:
    catalog.add(new_images(range(5)), VERSION)
    assert catalog.remove([5, 3, 99]) == 2
    assert catalog.remove([5]) == 0
    assert catalog.marks() == Marks(5, 2)
    assert catalog.count() == 3
    assert catalog.removals_after(0) == ([3, 5], 2)
    assert catalog.removals_after(1) == ([5], 2)
    assert catalog.removals_after(2) == ([], 2)
    assert catalog.keys_of([digest(4)]) == {}
    assert catalog.keys_at(uri(4)) == []
    assert catalog.images([5]) == {}
    assert catalog.features(FINGERPRINT, [5]) == {}
    assert catalog.add([new_image(4)], VERSION) == [(6, True)]
    assert catalog.remove([1, 2, 4, 6]) == 4
    assert catalog.count() == 0
    assert catalog.add([new_image(9)], VERSION) == [(7, True)]
    assert sound(catalog)


def test_features_are_read_on_in_order_of_key(catalog: Catalog) -> None:
    catalog.add(new_images(range(20)), VERSION)
    catalog.remove([4])
    read: list[int] = []
    while rows := catalog.features_after(FINGERPRINT, read[-1] if read else 0, 6):
        read += [key for key, _ in rows]
    assert read == [key for key in range(1, 21) if key != 4]


def test_features_are_replaced_and_old_versions_forgotten(catalog: Catalog) -> None:
    catalog.add(new_images(range(4)), VERSION)
    assert catalog.stale(FINGERPRINT, "tests-1") == []
    assert catalog.stale(FINGERPRINT, "tests-2") == [1, 2, 3, 4]
    catalog.replace_features(
        FINGERPRINT, "tests-2", [(1, "a", b"one"), (3, "b", b"three"), (99, "a", b"gone")]
    )
    assert catalog.features(FINGERPRINT, [1, 3, 99]) == {1: b"one", 3: b"three"}
    assert catalog.stale(FINGERPRINT, "tests-2") == [2, 4]
    catalog.replace_features(FINGERPRINT, "tests-2", [(2, "a", b"two"), (4, "a", b"four")])
    assert catalog.versions(FINGERPRINT) == {"tests-1": ["tests"], "tests-2": ["a", "b"]}
    catalog.forget_unused_versions()
    assert catalog.versions(FINGERPRINT) == {"tests-2": ["a", "b"]}
    assert sound(catalog)


# Digests


@pytest.mark.parametrize("least", [1, 3, 10, 1000])
def test_digests_are_found_sealed_or_not(tmp_path: Path, least: int) -> None:
    sizes = CatalogSizes(digests=least)
    with closing(Catalog(tmp_path, create=True, sizes=sizes)) as catalog:
        live: dict[bytes, int] = {}
        rng = random.Random(least)
        for _ in range(40):
            wanted = [new_image(rng.randrange(60)) for _ in range(rng.randrange(1, 6))]
            for image, (key, new) in zip(wanted, catalog.add(wanted, VERSION), strict=True):
                assert new == (image.digest not in live)
                assert live.setdefault(image.digest, key) == key
            for gone in rng.sample(sorted(live), k=len(live) // 8):
                catalog.remove([live.pop(gone)])
            if rng.random() < 0.2:
                catalog.close()
                catalog = Catalog(tmp_path, sizes=sizes)
            assert catalog.keys_of([digest(n) for n in range(70)]) == live
            assert sound(catalog)
        catalog.settle()
        assert catalog.keys_of([digest(n) for n in range(70)]) == live
        assert sound(catalog)
        catalog.close()


def test_digests_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    def alike(tail: bytes) -> NewImage:
        image = new_image(1, placed=False)
        values = {name: getattr(image, name) for name in image.__slots__}
        return NewImage(**values | {"digest": bytes(24) + tail * 8})

    with closing(Catalog(tmp_path, create=True, sizes=CatalogSizes(digests=2))) as catalog:
        assert catalog.add([alike(b"a"), alike(b"b"), alike(b"a")], VERSION) == [
            (1, True),
            (2, True),
            (1, False),
        ]
        assert catalog.add([alike(b"b"), alike(b"c")], VERSION) == [(2, False), (3, True)]
        assert catalog.keys_of([bytes(24) + b"b" * 8, bytes(24) + b"d" * 8]) == {bytes(24) + b"b" * 8: 2}
        assert sound(catalog)


def test_two_catalogs_on_one_file_agree(tmp_path: Path) -> None:
    """What one remembers is not trusted when the other has written meanwhile."""
    with closing(Catalog(tmp_path, create=True)) as one, closing(Catalog(tmp_path)) as other:
        assert one.add([new_image(1), new_image(2)], VERSION) == [(1, True), (2, True)]
        assert other.add([new_image(2), new_image(3)], VERSION) == [(2, False), (3, True)]
        assert one.add([new_image(3)], VERSION) == [(3, False)]
        other.remove([3])
        assert one.add([new_image(3)], VERSION) == [(4, True)]
        assert sound(one)


# Places


def test_a_moved_file(catalog: Catalog) -> None:
    catalog.add([new_image(1)], VERSION)
    places = list(catalog.present_under("file:///pictures"))
    catalog.mark_gone(places)
    catalog.add([new_image(1, at="file:///elsewhere/a.jpg")], VERSION)
    assert seen(catalog, 1) == [("file:///elsewhere/a.jpg", True), (uri(1), False)]
    assert catalog.matching("places>=2").tolist() == []
    assert catalog.keys_at(uri(1)) == [1]
    assert sound(catalog)


def test_another_picture_at_the_same_place(catalog: Catalog) -> None:
    catalog.add([new_image(1)], VERSION)
    catalog.add([new_image(2, at=uri(1), stamped=FileStamp(5, 6))], VERSION)
    assert seen(catalog, 1) == [(uri(1), False)]
    assert seen(catalog, 2) == [(uri(1), True)]
    assert sorted(catalog.keys_at(uri(1))) == [1, 2]
    # And the first one comes back.
    catalog.add([new_image(1)], VERSION)
    assert seen(catalog, 1) == [(uri(1), True)]
    assert seen(catalog, 2) == [(uri(1), False)]
    assert sound(catalog)


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (1, 2, 1), (3, 1, 2, 1, 2)])
def test_a_place_that_changes_within_one_batch_ends_as_the_last(
    catalog: Catalog, order: Sequence[int]
) -> None:
    catalog.add([new_image(3, at=uri(1))], VERSION)
    catalog.add([new_image(n, at=uri(1), stamped=stamp(n)) for n in order], VERSION)
    present = [key for key in catalog.keys_at(uri(1)) if seen(catalog, key) == [(uri(1), True)]]
    assert present == list(catalog.keys_of([digest(order[-1])]).values())
    assert len(list(catalog.present_under(uri(1)))) == 1
    assert sound(catalog)


def test_a_clock_that_was_set_back_makes_nothing_older(catalog: Catalog, clock: Clock) -> None:
    clock.present = 2_000_000_000_000_000
    catalog.add(new_images([1, 2]), VERSION)
    clock.present = 1_000_000_000
    catalog.add(new_images([1]), VERSION)
    catalog.unchanged([(uri(2), stamp(2))], READER)
    for image in catalog.images([1, 2]).values():
        (place,) = image.sightings
        assert place.last_seen == place.first_seen == "2033-05-18T03:33:20Z"
    assert list(catalog.damage([])) == []


def test_a_collection_of_before_the_first_release_says_so(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as early, early:
        early.execute("CREATE TABLE images (id INTEGER PRIMARY KEY, digest BLOB)")
        early.execute("CREATE TABLE migrations (name TEXT PRIMARY KEY, applied INTEGER)")
        early.execute("INSERT INTO migrations VALUES ('0001-images-sightings-features', 1)")
    with pytest.raises(CollectionError, match="made by an early version") as caught:
        Catalog(tmp_path)
    assert type(caught.value) is CollectionError


def test_first_seen_stays_and_last_seen_moves(catalog: Catalog, clock: Clock) -> None:
    moments = [1_000_000_000, 61_000_000_000, 125_000_000_000]
    sightings: list[Sighting] = []
    for moment in moments:
        clock.present = moment
        catalog.add([new_image(1)], VERSION)
        if moment == moments[1]:
            places = list(catalog.present_under(uri(1)))
            catalog.mark_gone(places)
            clock.present = moment + 5_000_000
            catalog.mark_gone(places)  # the time at which it was found missing stays
        sightings.append(catalog.images([1])[1].sightings[0])
    assert {one.first_seen for one in sightings} == {"1970-01-01T00:16:40Z"}
    assert [one.last_seen[11:] for one in sightings] == ["00:16:40Z", "16:56:40Z", "10:43:20Z"]
    assert [one.gone for one in sightings] == [None, "1970-01-01T16:56:40Z", None]
    assert sound(catalog)


def test_files_are_known_by_path_size_and_time(catalog: Catalog, clock: Clock) -> None:
    catalog.add(new_images(range(3)), VERSION)
    asked = [
        (uri(0), stamp(0)),
        (uri(1), FileStamp(stamp(1).size + 1, stamp(1).mtime_ns)),
        (uri(2), FileStamp(stamp(2).size, stamp(2).mtime_ns + 1)),
        (uri(3), stamp(3)),
    ]
    clock.present = 4_000_000_000_000_000
    assert catalog.unchanged(asked, READER) == {uri(0): digest(0)}
    last = [catalog.images([key])[key].sightings[0].last_seen for key in (1, 2, 3)]
    assert last[0] == "2096-10-02T07:06:40Z"
    assert last[1] == last[2] != last[0]
    # What has gone, or has been replaced, is read again.
    catalog.mark_gone(list(catalog.present_under(uri(0))))
    assert catalog.unchanged(asked, READER) == {}
    assert sound(catalog)


def test_many_files_at_once(catalog: Catalog) -> None:
    catalog.add(new_images(range(1200)), VERSION)
    known = catalog.unchanged([(uri(n), stamp(n)) for n in range(100, 1300)], READER)
    assert known == {uri(n): digest(n) for n in range(100, 1200)}
    assert len(catalog.images(range(0, 1300, 2))) == 600
    assert catalog.remove(range(0, 1300, 2)) == 600
    assert sound(catalog)


def test_what_may_have_been_the_machines_fault_is_tried_again_twice(catalog: Catalog) -> None:
    asked = [(uri(1), stamp(1))]
    passing = replace(refusal(1), passing=True)
    for _ in range(2):
        catalog.refuse([passing])
        assert catalog.unchanged(asked, READER) == {}
    catalog.refuse([passing])
    assert catalog.unchanged(asked, READER) == {uri(1): refusal(1)}
    catalog.refuse([passing])  # tried because it was asked for: known for what it is
    assert catalog.unchanged(asked, READER) == {uri(1): refusal(1)}
    assert catalog.unchanged(asked, "reader 2") == {}
    catalog.refuse([replace(passing, stamp=FileStamp(7, 7))])  # another file: it begins anew
    assert catalog.unchanged([(uri(1), FileStamp(7, 7))], READER) == {}
    catalog.refuse([refusal(1)])  # and what the bytes prove counts at once
    assert catalog.unchanged(asked, READER) == {uri(1): refusal(1)}
    assert list(catalog.damage([])) == []


def test_refusals_count_for_the_reader_that_made_them(catalog: Catalog) -> None:
    catalog.refuse([])
    catalog.refuse([refusal(1), refusal(2), refusal(2, stamped=FileStamp(1, 1))])
    asked = [(uri(1), stamp(1)), (uri(2), stamp(2)), (uri(3), stamp(3))]
    assert catalog.unchanged(asked, READER) == {uri(1): refusal(1)}
    assert catalog.unchanged(asked, "reader 2") == {}
    assert catalog.unchanged([(uri(1), FileStamp(7, 7))], READER) == {}
    catalog.refuse([refusal(1, reader="reader 2")])
    assert list(catalog.unchanged(asked, "reader 2")) == [uri(1)]
    assert catalog.unchanged(asked, READER) == {}
    # A picture at last.
    catalog.add([new_image(1)], VERSION)
    assert catalog.unchanged(asked, "reader 2") == {uri(1): digest(1)}
    catalog.mark_gone(list(catalog.present_under(uri(1))))
    assert catalog.unchanged(asked, "reader 2") == {}
    assert sound(catalog)


def test_a_picture_that_turned_into_something_else_is_there_no_more(catalog: Catalog) -> None:
    catalog.add([new_image(1), new_image(2)], VERSION)
    catalog.refuse([refusal(1, stamped=FileStamp(3, 4)), refusal(2)])
    assert seen(catalog, 1) == [(uri(1), False)]
    assert seen(catalog, 2) == [(uri(2), True)]  # the same file, read under other limits
    assert sound(catalog)


def test_places_below_a_folder(tmp_path: Path, catalog: Catalog) -> None:
    inside = ["file:///a/b", "file:///a/b/c.jpg", "file:///a/b/~/d.jpg", "file:///a/b/c/d/e.jpg"]
    outside = ["file:///a/b.jpg", "file:///a/b0", "file:///a/ba/c.jpg", "file:///a", "file:///a/b-c/d.jpg"]
    places = inside + outside
    catalog.add([new_image(n, at=place) for n, place in enumerate(places)], VERSION)
    catalog.add([new_image(50, at=inside[1])], VERSION)  # another image there now
    with closing(Catalog(tmp_path, sizes=CatalogSizes(page=2))) as paged:
        assert sorted(place.uri for place in paged.present_under("file:///a/b")) == sorted(inside)
        assert sorted(place.uri for place in paged.present_under("file:///a/b/")) == sorted(inside[1:])
        assert sorted(place.uri for place in paged.present_under("file:///")) == sorted(places)
        assert list(paged.present_under("file:///b")) == []
    present = list(catalog.present_under("file:///a/b"))
    assert len(set(present)) == 4
    catalog.mark_gone(present)
    assert list(catalog.present_under("file:///a/b")) == []
    assert sound(catalog)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=25), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_places_equal_a_model(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int]], size: int
) -> None:
    """Whatever is met where, in whatever batches: one image at a place, and every one that ever was."""
    with closing(Catalog(tmp_path_factory.mktemp("model"), create=True)) as catalog:
        for start in range(0, len(moves), size):
            batch = moves[start : start + size]
            catalog.add(
                [new_image(image, at=uri(place), stamped=stamp(image)) for image, place in batch], VERSION
            )
        now_at = {place: image for image, place in moves}
        for image in {image for image, _ in moves}:
            key = catalog.keys_of([digest(image)])[digest(image)]
            due = {(uri(place), now_at[place] == image) for one, place in moves if one == image}
            assert set(seen(catalog, key)) == due
            assert len(seen(catalog, key)) == len(due)
        assert sound(catalog)


# The file


def test_the_tables_are_those_that_the_migrations_make() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrations.migrate(connection, 0)
        migrations.migrate(connection, 0)  # nothing is owed
        made = inspect(connection)
        names = set(made.get_table_names())
        assert names == set(metadata.tables) | {"migrations"}
        for table in metadata.sorted_tables:
            there = {one["name"]: one for one in made.get_columns(table.name)}
            assert list(there) == [column.name for column in table.columns]
            for column in table.columns:
                assert str(there[column.name]["type"]) == {"VARCHAR": "TEXT"}.get(
                    str(column.type), str(column.type)
                )
                if not column.primary_key:
                    assert there[column.name]["nullable"] == column.nullable, (table.name, column.name)
            keys = made.get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [column.name for column in table.primary_key]
    engine.dispose()


def test_steps_are_run_once_and_in_order(tmp_path: Path) -> None:
    Catalog(tmp_path, create=True).close()
    ran: list[str] = []
    later = [("0098-later", lambda _: ran.append("0098")), ("0099-last", lambda _: ran.append("0099"))]
    with patch.object(migrations, "STEPS", [*migrations.STEPS, *later]):
        with closing(Catalog(tmp_path)) as old:
            before = old.current
            old.migrate()
            old.migrate()
            assert (before, old.current) == (False, True)
        with closing(Catalog(tmp_path)) as current:
            assert current.current
        assert ran == ["0098", "0099"]
    with pytest.raises(CollectionTooNew, match="upgrade Wherefrom"):
        Catalog(tmp_path)


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(connection: object) -> None:
        migrations._statements("CREATE TABLE half (id INTEGER)", "CREATE TABLE half (id INTEGER)")(connection)  # type: ignore[arg-type]

    Catalog(tmp_path, create=True).close()
    steps = [*migrations.STEPS, ("0099-fails", fails)]
    with (
        patch.object(migrations, "STEPS", steps),
        closing(Catalog(tmp_path)) as old,
        pytest.raises(CollectionError),
    ):
        old.migrate()
    with closing(Catalog(tmp_path)) as catalog:
        assert catalog.current
        assert sound(catalog)


def test_a_list_of_steps_that_nobody_took(tmp_path: Path) -> None:
    Catalog(tmp_path, create=True).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as raw, raw:
        raw.execute("UPDATE migrations SET name = '0001-imagfs-sightings-features' WHERE name LIKE '0001%'")
    with pytest.raises(CollectionDamaged, match="migrations"):
        Catalog(tmp_path)


def test_what_is_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(CollectionDamaged, match="is missing"):
        Catalog(tmp_path)
    assert list(tmp_path.iterdir()) == []  # and none was made
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(CollectionDamaged, match="is empty"):
        Catalog(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 500)
    with pytest.raises(CollectionDamaged, match="backup"):
        Catalog(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(CollectionError):
        Catalog(tmp_path)


def test_a_closed_catalog_says_so(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path, create=True)
    catalog.close()
    with pytest.raises(UsageError, match="closed"):
        catalog.count()
    with pytest.raises(UsageError, match="closed"):
        catalog.add([new_image(1)], VERSION)


# Damage: each by a hand that knows SQL, the blind one is in test_embedded.py


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE images SET width = 999 WHERE id = 2", "image number 2 is not what was written"),
        ("UPDATE images SET digest = zeroblob(32) WHERE id = 2", "image number 2 is not what was written"),
        ("UPDATE images SET digest = 77 WHERE id = 2", "image number 2 is not what was written"),
        ("UPDATE features SET data = data || x'00' WHERE image_id = 3", "image number 3 is not .* rebuild"),
        ("UPDATE features SET version_id = 9 WHERE image_id = 3", "of no known version.* rebuild"),
        ("UPDATE sightings SET uri = 'file:///x' WHERE id = 4", "sighting number 4 is not what was written"),
        (
            "UPDATE sightings SET size = size + 1",
            "sighting number 1 .*3 more rows of sightings|sighting number 1",
        ),
        ("UPDATE sightings SET last_seen = last_seen + 1 WHERE id = 4", "the times of 1 sightings"),
        ("UPDATE sightings SET gone = 5 WHERE id = 4", "the times of 1 sightings"),
        ("UPDATE refusals SET reason = 'other'", "the refusal of .* rebuild"),
        ("DELETE FROM features WHERE image_id = 3", "1 images have no pdq features.* rebuild"),
        ("DELETE FROM images WHERE id = 3", "5 images are there where 6 are due"),
        ("DELETE FROM removals", "the index of digests .* rebuild"),
        ("DELETE FROM removals WHERE seq = 1", "1 removals are there where 2 are due"),
        ("DELETE FROM digests WHERE image_id = 3", "the index of digests .* rebuild"),
        ("UPDATE digests SET prefix = zeroblob(8) WHERE image_id = 3", "the index of digests .* rebuild"),
        ("UPDATE digests_until SET key = 2", "the index of digests .* rebuild"),
        ("UPDATE digests_until SET key = 200", "the index of digests .* rebuild"),
        ("DELETE FROM digests_until", "the index of digests .* rebuild"),
        ("DROP INDEX sightings_by_uri", "index sightings_by_uri of sightings is not declared"),
        ("CREATE TABLE other (id INTEGER)", "table other of other is not declared"),
    ],
)
def test_damage_is_named(tmp_path: Path, sql: str, told: str) -> None:
    with closing(Catalog(tmp_path, create=True, sizes=CatalogSizes(digests=4))) as catalog:
        catalog.add(new_images(range(8)), VERSION)
        catalog.remove([7, 8])
        catalog.refuse([refusal(20)])
        assert sound(catalog)
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as raw, raw:
            raw.execute("PRAGMA foreign_keys=OFF")
            raw.execute(sql)
        problems = "\n".join(catalog.damage([FINGERPRINT]))
        assert re.search(told, problems), problems
        derived = "rebuild" in told
        catalog.repair()
        left = list(catalog.damage([FINGERPRINT]))
        assert derived == all("no pdq features" in one for one in left)


def test_numbers_that_no_time_can_be(tmp_path: Path, catalog: Catalog) -> None:
    catalog.add([new_image(1), new_image(2)], VERSION)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as raw, raw:
        raw.execute("UPDATE images SET added = 9000000000000000000 WHERE id = 1")
        raw.execute("UPDATE sightings SET first_seen = 'never' WHERE image_id = 2")
    for key, what in ((1, "image number 1"), (2, "sighting number 2")):
        with pytest.raises(CollectionDamaged, match=rf"{what}.*wherefrom check"):
            catalog.images([key])


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path, catalog: Catalog) -> None:
    catalog.add(new_images(range(10)), VERSION)
    with catalog._database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(CollectionError, match=r"could not be written .*full.* Nothing that was acknowledged"):
        catalog.add(new_images(range(10, 4000)), VERSION)
    assert catalog.count() == 10
    with catalog._database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")
    assert len(catalog.add(new_images(range(10, 400)), VERSION)) == 390
    assert sound(catalog)


def test_rows_in_disorder_are_no_endless_loop(catalog: Catalog) -> None:
    catalog.add(new_images(range(5)), VERSION)
    with patch("wherefrom.engine.sightings.present_below", return_value=[SeenAt(2, uri(1))]):
        read = catalog.present_under("file:///pictures")
        with pytest.raises(CollectionDamaged, match="disorder"):
            list(read)
    source = code_source(catalog)
    data = new_image(1).features[FINGERPRINT]
    for rows in ([(3, data), (2, data)], [(1, data)], [("3", data)]):
        with (
            patch.object(catalog, "features_after", return_value=rows),
            pytest.raises(CollectionDamaged, match="disorder"),
        ):
            source.rows_after(1, 10)
