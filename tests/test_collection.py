"""A collection from end to end: add, search, compare, get, remove, duplicates, check, rebuild."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import wherefrom
from tests import failing_workers as failing
from tests.scenes import encoded, folder_of, grained, picture
from wherefrom.collection import Collection
from wherefrom.evaluate.edits import EDITS, GEOMETRY, TONE, edit
from wherefrom.features import extract, fingerprint
from wherefrom.settings import Settings
from wherefrom.workers import Workers


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collections are opened with more than one process that decodes, and without a model."""
    monkeypatch.setenv("WHEREFROM_WORKERS", "2")
    monkeypatch.setenv("WHEREFROM_MODEL", "none")


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collection, list[Path]]]:
    """Forty pictures, for tests that only search."""
    place = tmp_path_factory.mktemp("indexed")
    files = folder_of(place / "pictures", 40)
    with wherefrom.open(place / "photos.wherefrom", create=True) as opened:
        opened.add(place / "pictures")
        yield opened, files


@pytest.mark.usefixtures("several")
def test_every_file_gets_one_outcome(photos: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    files = folder_of(folder / "good", 5)
    (folder / "good" / "again.jpg").write_bytes(files[0].read_bytes())
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a picture")
    (folder / "cut.jpg").write_bytes(files[1].read_bytes()[:600])
    (folder / "link to nowhere").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe")
    told: list[str] = []
    report = photos.add(folder, on_outcome=lambda outcome, _: told.append(outcome.uri))
    assert (len(report.added), len(report.known)) == (5, 1)
    assert [one.code for one in report.skipped] == ["not-a-picture"]
    assert sorted(one.code or "" for one in report.failed) == [
        "empty",
        "truncated",
        "unreadable",
        "unreadable",
    ]
    assert all(one.reason for one in (*report.skipped, *report.failed))
    assert report.offered == len(told) == len(set(told)) == 11
    assert len(photos) == 5
    assert photos.check() == []


def test_a_second_run_knows_without_reading(photos: Collection, tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 4)
    (tmp_path / "pictures" / "text.jpg").write_text("not a picture")
    photos.add(tmp_path / "pictures")
    for file in files:
        status = file.stat()
        file.write_bytes(b"\0" * status.st_size)  # would fail if it were read
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = photos.add(tmp_path / "pictures")
    assert (len(again.known), len(again.skipped), len(again.failed)) == (4, 1, 0)


def test_a_changed_file_is_read_again(photos: Collection, tmp_path: Path) -> None:
    (file,) = folder_of(tmp_path / "pictures", 1)
    before = photos.add(file).added[0].id
    file.write_bytes(encoded(picture(99)))
    after = photos.add(file).added[0].id
    assert before is not None
    assert before != after
    (old,) = photos.get(before).sightings
    assert old.gone is not None
    assert [image.id for image in photos.find(file)] == [before, after]


def test_what_was_the_machines_fault_is_tried_again(
    photos: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    folder_of(tmp_path / "pictures", 2)
    (tmp_path / "pictures" / "dies.png").write_bytes(encoded(picture(7), "PNG") + failing.KILL)
    (tmp_path / "pictures" / "cut.jpg").write_bytes(encoded(picture(8))[:600])
    ours = Settings(workers=1, model="none")
    monkeypatch.setattr(
        photos,
        "_new_workers",
        lambda: Workers(1, ours.limits, recipe=ours.recipe, _serve="tests.failing_workers"),
    )
    report = photos.add(tmp_path / "pictures")
    assert (len(report.added), len(report.failed)) == (2, 2)
    photos._close_workers()
    monkeypatch.undo()
    again = photos.add(tmp_path / "pictures")  # with nothing that kills it
    assert len(again.added) == 1
    assert [one.code for one in again.failed] == ["truncated"]


def test_refused_files_are_read_again_on_wish(photos: Collection, tmp_path: Path) -> None:
    file = tmp_path / "cut.jpg"
    data = encoded(picture(1))
    file.write_bytes(data[:600])
    assert len(photos.add(file).failed) == 1
    status = file.stat()
    file.write_bytes(data[:600])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(photos.add(file).failed) == 1
    assert len(photos.add(file, retry=True).failed) == 1
    file.write_bytes(data)
    assert len(photos.add(file).added) == 1


def test_moved_and_vanished_files(photos: Collection, tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 2)
    photos.add(tmp_path / "pictures")
    moved = files[0].rename(tmp_path / "pictures" / "moved.jpg")
    files[1].unlink()
    report = photos.add(tmp_path / "pictures", prune=True)
    assert (len(report.known), report.gone) == (1, 2)
    (image,) = photos.find(moved)
    assert [sighting.gone is None for sighting in image.sightings] == [True, False]
    assert len(photos) == 2  # a vanished file's image stays: it may be the only proof


def test_bytes_pictures_and_iterables(photos: Collection, tmp_path: Path) -> None:
    data = encoded(picture(1))
    (file,) = folder_of(tmp_path / "pictures", 1, first=2)
    drawn = wherefrom.Picture.from_array(np.asarray(picture(3)))
    report = photos.add([data, file, drawn, data])
    assert (len(report.added), len(report.known)) == (3, 1)
    assert photos.search(data)[0].kind == "identical"
    assert photos.search(drawn)[0].kind == "same"
    assert photos.get(report.added[0].id or "").sightings in ((), photos.find(file)[0].sightings)


@pytest.mark.parametrize("source", [3, None, object()])
def test_a_source_of_no_use(photos: Collection, source: object) -> None:
    with pytest.raises(wherefrom.UsageError, match="added from"):
        photos.add(source)


def test_a_path_that_is_not_there(photos: Collection, tmp_path: Path) -> None:
    (failed,) = photos.add(tmp_path / "nothing").failed
    assert failed.code == "unreadable"


@pytest.mark.parametrize("name", [*TONE, *GEOMETRY])
def test_edited_copies_come_first(indexed: tuple[Collection, list[Path]], name: str) -> None:
    photos, files = indexed
    for number in (0, 26):
        answer = photos.search(encoded(edit(name, picture(number))))
        assert [match.id for match in answer] == [photos.find(files[number])[0].id]
        kind = answer[0].kind
        assert kind in ("same", "copy")
        if name in GEOMETRY:
            assert kind == "copy"


def test_every_edit_of_the_suite_keeps_its_promise_of_determinism() -> None:
    image = picture(5, 200, 150)
    for name in EDITS:
        assert np.array_equal(np.asarray(edit(name, image)), np.asarray(edit(name, image))), name


def test_unrelated_pictures_are_not_claimed(indexed: tuple[Collection, list[Path]]) -> None:
    photos, _ = indexed
    for number in range(1000, 1010):
        answer = photos.search(encoded(picture(number)))
        assert len(answer) == 0
        assert "No match among 40 images." in answer.query.notes[-1]


def test_frames_that_resemble_each_other_are_never_identical(photos: Collection) -> None:
    frames = [encoded(picture(1).crop((k, 0, k + 380, 300))) for k in range(5)]
    photos.add(frames[:4])
    answer = photos.search(frames[4])
    assert len(answer)
    assert all(match.kind != "identical" for match in answer)


def test_a_blank_query_says_why_nothing_is_found(indexed: tuple[Collection, list[Path]]) -> None:
    answer = indexed[0].search(wherefrom.Picture.from_array(np.full((200, 200), 255, np.uint8)))
    assert len(answer) == 0
    assert "nearly blank" in answer.query.notes[0]


def test_blank_pictures_do_not_match_each_other(photos: Collection) -> None:
    blanks = [encoded(Image.new("RGB", (300, 200), (tone, tone, tone))) for tone in (250, 251)]
    photos.add(blanks)
    answer = photos.search(blanks[0])
    assert [match.kind for match in answer] == ["identical"]


def test_search_by_region_and_by_id(indexed: tuple[Collection, list[Path]]) -> None:
    photos, files = indexed
    wide = np.concatenate([np.asarray(picture(7)), np.asarray(picture(500))], axis=1)
    query = wherefrom.Picture.from_array(wide)
    left, right = (0, 0, 400, 300), (400, 0, 800, 300)
    for match in photos.search(query):  # of the whole the known picture can only be a part
        assert (match.kind, match.id) == ("partial", photos.find(files[7])[0].id)
        assert match.evidence.query_coverage == pytest.approx(0.5, abs=0.05)
    (match,) = photos.search(query, region=left)
    assert match.id == photos.find(files[7])[0].id
    assert match.kind == "same"
    assert match.evidence.query_coverage == 0.5
    assert len(photos.search(query, region=right)) == 0
    assert photos.search(match.id)[0].kind == "identical"


def test_several_regions_are_searched_as_one_by_one(indexed: tuple[Collection, list[Path]]) -> None:
    photos, _ = indexed
    wide = np.concatenate([np.asarray(picture(7)), np.asarray(picture(500)), np.asarray(picture(9))], axis=1)
    query = encoded(Image.fromarray(wide))
    regions = [(400 * number, 0, 400 * number + 400, 300) for number in range(3)]
    answers = photos.search_regions(query, regions, kinds=iter(["same", "copy"]), min_score=50)
    assert [len(answer) for answer in answers] == [1, 0, 1]
    for region, answer in zip(regions, answers, strict=True):
        alone = photos.search(query, region=region, kinds=["same", "copy"], min_score=50)
        assert answer.matches == alone.matches
        assert answer.query == alone.query
    assert answers[0].timings_ms["decode"] > answers[2].timings_ms["decode"]
    with pytest.raises(wherefrom.UsageError, match="no regions"):
        photos.search_regions(query, [])
    with pytest.raises(wherefrom.UsageError, match="reaches beyond the picture"):
        photos.search_regions(query, [regions[0], (0, 0, 4000, 10)])


def test_a_region_that_is_all_of_it_is_the_file(indexed: tuple[Collection, list[Path]]) -> None:
    photos, files = indexed
    assert photos.search(files[3], region=(0, 0, 400, 300))[0].kind == "identical"


def test_evidence_draws_itself_from_whatever_holds_the_pictures(
    indexed: tuple[Collection, list[Path]],
) -> None:
    photos, files = indexed
    image = ImageOps.mirror(picture(3)).crop((0, 0, 300, 300))
    data = encoded(image, "PNG")
    match = photos.search(data)[0]
    assert match.evidence.points
    drawn = match.evidence.draw(data, files[3])
    assert (drawn.mode, drawn.height > 480) == ("RGB", True)
    held = match.evidence.draw(image, wherefrom.decode(files[3].read_bytes()))
    assert held.tobytes() == drawn.tobytes()
    assert match.evidence.draw(image, str(files[3]), height=200).height < drawn.height
    with pytest.raises(wherefrom.Unreadable):
        match.evidence.draw(image, "nothing.jpg")
    with pytest.raises(wherefrom.UsageError, match="A query is"):
        match.evidence.draw(image, 3)
    assert photos.draw(data, match).tobytes() == drawn.tobytes()


def test_proofs_are_drawn_within_the_settings_of_the_collection(
    indexed: tuple[Collection, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not within those of the environment, which may allow more or less."""
    photos, files = indexed
    match = photos.search(encoded(ImageOps.mirror(picture(3)), "PNG"))[0]
    monkeypatch.setenv("WHEREFROM_MAX_PIXELS", "1000")
    with pytest.raises(wherefrom.TooLarge):
        match.evidence.draw(encoded(picture(2), "PNG"), files[3])
    assert photos.draw(files[2], match).height > 480
    larger = encoded(picture(4, 900, 700), "PNG")
    caps = Settings(model="none", max_pixels=200_000)
    place = photos.engine.directory
    with wherefrom.open(place, settings=caps) as capped, pytest.raises(wherefrom.TooLarge):
        capped.draw(larger, match)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"limit": 0}, "limit"),
        ({"kinds": ["sme"]}, "sme"),
        ({"kinds": []}, "Name a kind"),
        ({"min_score": 101}, "0 to 100"),
        ({"region": (0, 0, 0, 10)}, "region"),
        ({"region": (0, 0, 4000, 10)}, "region"),
    ],
)
def test_wrong_wishes(
    indexed: tuple[Collection, list[Path]], options: dict[str, object], sentence: str
) -> None:
    photos, files = indexed
    with pytest.raises(wherefrom.UsageError, match=sentence):
        photos.search(files[0], **options)  # type: ignore[arg-type]


def test_kinds_and_limit(indexed: tuple[Collection, list[Path]]) -> None:
    photos, files = indexed
    assert len(photos.search(files[0], kinds=["identical"])) == 1
    answer = photos.search(files[0], kinds=["copy", "partial"])
    assert len(answer) == 0
    assert "identical" in answer.query.notes[-1]


def test_the_shape_of_an_answer(indexed: tuple[Collection, list[Path]]) -> None:
    photos, _ = indexed
    answer = photos.search(encoded(ImageOps.mirror(picture(3)))).as_json()
    assert list(answer) == ["query", "matches", "timings_ms"]
    matches, query, timings = answer["matches"], answer["query"], answer["timings_ms"]
    assert isinstance(matches, list)
    assert isinstance(query, dict)
    assert isinstance(timings, dict)
    assert set(query) == {"width", "height", "format", "quality", "notes", "labels", "objects"}
    assert set(timings) == {"decode", "features", "recall", "verify", "total"}
    (match,) = matches
    assert {
        "id",
        "kind",
        "score",
        "width",
        "height",
        "format",
        "bytes",
        "sightings",
        "credit",
        "evidence",
        "copies",
        "direction",
        "labels",
    } == set(match)
    assert list(match["evidence"]) == [
        "method",
        "distance",
        "inliers",
        "transform",
        "query_area",
        "match_area",
        "coverage",
        "agreement",
        "similarity",
        "direction",
        "edits",
        "points",
    ]
    assert set(match["evidence"]["coverage"]) == {"query", "match"}
    assert 0.8 < match["evidence"]["agreement"] <= 1
    assert match["evidence"]["method"] == "keypoints"
    assert match["evidence"]["inliers"] >= len(match["evidence"]["points"]) > 0
    assert all(len(point) == 4 for point in match["evidence"]["points"])
    assert set(match["credit"]) == {"creator", "credit_line", "copyright", "rights_url", "licensor", "taken"}
    assert {"uri", "page", "title", "alt", "first_seen", "last_seen"} <= set(match["sightings"][0])
    assert match["evidence"]["edits"] == [{"name": "mirror", "amount": None, "area": None}]


def test_remove_by_id_and_by_path(photos: Collection, tmp_path: Path) -> None:
    files = folder_of(tmp_path / "pictures", 3)
    photos.add(tmp_path / "pictures")
    first = photos.find(files[0])[0].id
    assert photos.remove(first) == 1
    assert photos.remove(files[1]) == 1
    assert len(photos) == 1
    for gone in files[:2]:
        assert len(photos.search(gone)) == 0
    for missing in (first, files[1], "sha256:" + "0" * 64):
        with pytest.raises(wherefrom.NotFound):
            photos.remove(missing)
    with pytest.raises(wherefrom.NotFound):
        photos.get(first)
    with pytest.raises(wherefrom.UsageError, match="image id"):
        photos.get("sha256:12")
    assert len(photos.add(tmp_path / "pictures").added) == 2
    assert photos.search(files[0])[0].kind == "identical"


def test_compare_needs_no_collection(photos: Collection, tmp_path: Path) -> None:
    one, mirrored = tmp_path / "one.jpg", tmp_path / "two.jpg"
    one.write_bytes(encoded(picture(1)))
    mirrored.write_bytes(encoded(ImageOps.mirror(picture(1))))
    match = photos.compare(one, mirrored)
    assert match is not None
    assert (match.kind, match.evidence.edits[0].name) == ("copy", "mirror")
    same = photos.compare(one, one)
    assert same is not None
    assert same.kind == "identical"
    assert photos.compare(one, encoded(picture(2))) is None


def test_rebuild_reads_features_of_another_version_again(
    photos: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = folder_of(tmp_path / "pictures", 3)
    photos.add(tmp_path / "pictures")
    files[2].unlink()
    for name in ("VERSION",):
        monkeypatch.setattr(fingerprint, name, "pdq-2")
    monkeypatch.setitem(extract.VERSIONS, extract.FINGERPRINT, "pdq-2")
    photos.close()
    with wherefrom.open(tmp_path / "photos.wherefrom") as opened:
        with pytest.raises(wherefrom.FeatureMismatch, match="wherefrom rebuild"):
            opened.search(files[0])
        with pytest.raises(wherefrom.FeatureMismatch, match="wherefrom rebuild"):
            opened.add(encoded(picture(9)))
        (lost,) = opened.rebuild()
        assert (lost.status.value, "picture%20002" in lost.uri) == ("failed", True)
        assert opened.search(encoded(ImageOps.mirror(picture(0))))[0].kind == "copy"
        assert len(opened.search(encoded(ImageOps.mirror(picture(2))))) == 0
        assert opened.check() == []


@pytest.mark.usefixtures("several")
def test_stopping_keeps_what_was_reported(photos: Collection, tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", 60)
    stop = threading.Event()
    report = photos.add(tmp_path / "pictures", stop=stop, on_outcome=lambda *_: stop.set())
    assert report.interrupted
    assert 0 < len(report.added) == len(photos)
    rest = photos.add(tmp_path / "pictures")
    assert (len(rest.known), len(rest.known) + len(rest.added)) == (len(report.added), 60)


@pytest.mark.usefixtures("several")
def test_an_exception_from_outside_loses_nothing(photos: Collection, tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", 30)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photos.add(tmp_path / "pictures", on_outcome=interrupt)
    assert photos.check() == []
    assert len(photos.add(tmp_path / "pictures").failed) == 0
    assert len(photos) == 30


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(wherefrom.CollectionMissing, match="wherefrom index"):
        wherefrom.open(tmp_path / "nothing.wherefrom")


def test_duplicates_of_a_whole_collection(photos: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    files = folder_of(folder, 6)
    files[1].write_bytes(encoded(grained(1)))
    (folder / "byte for byte.jpg").write_bytes(files[0].read_bytes())
    (folder / "small.png").write_bytes(encoded(grained(1).resize((200, 150)), "PNG"))
    (folder / "mirrored.png").write_bytes(encoded(ImageOps.mirror(grained(1)).resize((300, 225)), "PNG"))
    (folder / "bad.jpg").write_bytes(encoded(picture(2)) + b"\0")
    (folder / "blank 1.png").write_bytes(encoded(picture(2).point(lambda _: 1), "PNG"))
    (folder / "blank 2.png").write_bytes(encoded(picture(2).point(lambda _: 2), "PNG"))
    photos.add(folder)
    groups = list(photos.duplicates())
    assert [len(group.others) for group in groups] == [2, 1, 1]
    first = groups[0]
    assert first.why.startswith("your choice:")
    assert first.place is not None
    assert first.place.uri.endswith("picture%20001.jpg")
    assert {other.kind.value for other in first.others} == {"same", "copy"}
    # What is no copy for sure is left to its owner, and frees nothing.
    assert first.spare_bytes == sum(other.image.bytes for other in first.spare)
    assert 0 < first.spare_bytes < sum(other.image.bytes for other in first.others)
    kinds = sorted(group.others[0].kind.value for group in groups[1:])
    assert kinds == ["identical", "same"]
    upright = list(photos.duplicates(turned=False))
    assert [len(group.others) for group in upright] == [1, 1, 1]


def test_duplicates_among_many_equal_those_of_brute_force(photos: Collection) -> None:
    from wherefrom.engine import pairs as near

    random = np.random.default_rng(4)
    codes = random.integers(0, 256, (300, 32), dtype=np.uint8)
    codes[150:200] = codes[:50]
    codes[150:200, 0] ^= 1
    codes[200:250] = next(
        c for m, t, n, c in fingerprint.turned_codes(codes[50:100]) if (m, t, n) == (True, 90, True)
    )

    def pairs() -> set[tuple[int, int]]:
        return {
            pair
            for ones, others in near._hits(codes, 31, True)
            for pair in zip(ones.tolist(), others.tolist(), strict=True)
        }

    scanned = pairs()
    small, near._SCANNED = near._SCANNED, 10
    try:
        hashed = pairs()
    finally:
        near._SCANNED = small
    assert scanned == hashed
    assert {(i, i + 150) for i in range(50)} <= scanned
    assert {(i, i + 150) for i in range(50, 100)} <= scanned


def test_select_gives_all_or_what_a_filter_lets_through(photos: Collection, tmp_path: Path) -> None:
    assert list(photos.select()) == []
    random = np.random.default_rng(5)
    pixels = random.integers(0, 255, (300, 24, 24), np.uint8)  # more than a batch
    photos.add(wherefrom.Picture.from_array(one) for one in pixels)
    folder_of(tmp_path / "in here", 3)
    added = photos.add(tmp_path / "in here").added
    everything = list(photos.select())
    assert len({image.id for image in everything}) == len(everything) == len(photos) == 303
    assert {image.id for image in everything[300:]} == {outcome.id for outcome in added}
    assert [photos.get(image.id) for image in everything[:3]] == everything[:3]
    inside = list(photos.select("folder:'in here'"))
    assert inside == everything[300:]
    assert list(photos.select("-folder:'in here'")) == everything[:300]
    photos.attach(inside[1].id, price=3)
    (priced,) = photos.select("price<4")
    assert (priced.id, dict(priced.fields)) == (inside[1].id, {"price": 3.0})
    assert list(photos.select("price>4")) == []


def test_select_settles_at_the_call_what_is_given(photos: Collection, tmp_path: Path) -> None:
    with pytest.raises(wherefrom.UsageError, match="did you mean width"):
        photos.select("widht>3")
    files = folder_of(tmp_path / "pictures", 4)
    photos.add(tmp_path / "pictures")
    chosen = photos.select("width>0")
    photos.remove(files[2])
    photos.add(encoded(picture(9)))
    assert len(list(chosen)) == 3
    assert len(list(photos.select())) == 4
