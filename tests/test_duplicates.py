"""Duplicates: families of one picture, who was made from whom, and what does not belong together."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

import wherefrom
from tests.scenes import encoded, picture
from wherefrom import duplicates
from wherefrom.collection import Collection
from wherefrom.engine.base import Engine
from wherefrom.engine.pairs import near_pairs
from wherefrom.families import composed
from wherefrom.features.extract import FINGERPRINT, KEYPOINTS
from wherefrom.features.fingerprint import Fingerprint
from wherefrom.features.keypoints import Keypoints
from wherefrom.groups import Duplicate, Group
from wherefrom.relations import Known, related
from wherefrom.search.answer import Kind


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Collection]:
    plain = wherefrom.Settings(model="none", workers=1)  # no embedding has a say in it
    with wherefrom.open(tmp_path / "photos.wherefrom", create=True, settings=plain) as opened:
        yield opened


def photo(seed: int, width: int = 640, height: int = 480) -> Image.Image:
    """A picture with soft blobs and edges, whose keypoints survive edits as a photograph's do."""
    random = np.random.default_rng(seed)
    image = picture(seed, width, height).filter(ImageFilter.GaussianBlur(6))
    draw = ImageDraw.Draw(image)
    for _ in range(90):
        x, y = random.integers(0, width), random.integers(0, height)
        wide, high = random.integers(8, 70, 2)
        red, green, blue = (int(c) for c in random.integers(0, 256, 3))
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        box = (int(x), int(y), int(x + wide), int(y + high))
        shape(box, fill=(red, green, blue))
    return image.filter(ImageFilter.GaussianBlur(0.8))


def captioned(image: Image.Image) -> Image.Image:
    done = image.copy()
    draw = ImageDraw.Draw(done)
    draw.rectangle((0, 380, 640, 480), fill="black")
    draw.text((40, 400), "SEEN AT LAST", "white", font_size=56)
    return done


def stored(photos: Collection, folder: Path, **pictures: Image.Image) -> None:
    folder.mkdir(exist_ok=True)
    for name, image in pictures.items():
        (folder / f"{name}.png").write_bytes(encoded(image, "PNG"))
    photos.add(folder)


def name_of(image: wherefrom.Image) -> str:
    return Path(image.sightings[0].uri).stem


def parents(group: Group) -> dict[str, str]:
    names = {one.id: name_of(one) for one in (group.keep, *(other.image for other in group.others))}
    return {name_of(other.image): names[other.parent] for other in group.others}


def member(group: Group, name: str) -> Duplicate:
    return next(other for other in group.others if name_of(other.image) == name)


def test_a_family_with_its_original(photos: Collection, tmp_path: Path) -> None:
    whole = photo(1)
    crop = whole.crop((60, 40, 600, 460))
    stored(
        photos,
        tmp_path / "pictures",
        whole=whole,
        crop=crop,
        small=whole.resize((320, 240), Image.Resampling.BOX),
        small_crop=crop.resize((270, 210), Image.Resampling.BOX),
        mirrored=ImageOps.mirror(whole).resize((512, 384), Image.Resampling.BOX),
        captioned=captioned(whole),
        other=photo(2),
    )
    (group,) = photos.duplicates()
    assert name_of(group.keep) in ("whole", "captioned")  # as large, and as little compressed
    found = parents(group)
    assert set(found) | {name_of(group.keep)} == {
        *("whole", "captioned", "crop", "small", "small_crop", "mirrored"),
    }
    assert found["small_crop"] == "crop"
    assert {edit.name for edit in member(group, "crop").edits} >= {"crop"}
    assert {edit.name for edit in member(group, "mirrored").edits} >= {"mirror"}
    assert {edit.name for edit in member(group, "small").edits} == {"scale"}
    assert member(group, "small").kind is Kind.SAME
    assert all(0 < other.score <= 100 for other in group.others)
    seen = {group.keep.id}
    for other in group.others:  # every parent comes before its children
        assert other.parent in seen
        seen.add(other.image.id)
    assert group.spare_bytes == sum(other.image.bytes for other in group.spare)
    document = group.as_json()
    assert document["parts"] == []


def test_a_crop_that_is_larger_comes_from_the_whole(photos: Collection, tmp_path: Path) -> None:
    large = photo(3, 1280, 960)
    stored(
        photos,
        tmp_path / "pictures",
        crop=large.crop((50, 40, 1200, 900)),
        whole=large.resize((640, 480), Image.Resampling.BOX),
    )
    (group,) = photos.duplicates()
    assert parents(group) == {"crop": "whole"}
    assert group.why == "the source goes on where the copy ends"


def test_a_frame_is_added_and_not_cut_off(photos: Collection, tmp_path: Path) -> None:
    stored(
        photos,
        tmp_path / "pictures",
        plain=photo(4),
        framed=ImageOps.expand(photo(4), 60, "white"),
    )
    (group,) = photos.duplicates()
    assert parents(group) == {"framed": "plain"}
    assert "border" in {edit.name for edit in group.others[0].edits}


def test_only_whole_pictures_without_parts(photos: Collection, tmp_path: Path) -> None:
    whole = photo(5)
    stored(
        photos,
        tmp_path / "pictures",
        whole=whole,
        crop=whole.crop((100, 80, 600, 460)),
        small=whole.resize((320, 240), Image.Resampling.BOX),
    )
    assert [parents(group) for group in photos.duplicates(parts=False)] == [{"small": "whole"}]
    assert [len(group.others) for group in photos.duplicates()] == [2]


@pytest.mark.parametrize("columns", [2, 1])
def test_a_collage_joins_no_families(photos: Collection, tmp_path: Path, columns: int) -> None:
    parts = [photo(seed) for seed in range(10, 14)]
    rows = 2
    canvas = Image.new("RGB", (640 * columns, 480 * rows))
    for number, part in enumerate(parts[: columns * rows]):
        canvas.paste(part, (number % columns * 640, number // columns * 480))
    small = {f"small{n}": part.resize((320, 240), Image.Resampling.BOX) for n, part in enumerate(parts)}
    large = {f"large{n}": part for n, part in enumerate(parts)}
    stored(photos, tmp_path / "pictures", collage=canvas, **small, **large)
    found = list(photos.duplicates())
    groups = [group for group in found if group.kind == "picture"]
    assert sorted(tuple(parents(group).items()) for group in groups) == [
        ((f"small{n}", f"large{n}"),) for n in range(4)
    ]
    inside = [group for group in groups if group.parts]
    assert len(inside) == columns * rows
    for group in inside:
        assert {(name_of(part.image), part.contains) for part in group.parts} == {("collage", False)}
    (shared,) = (group for group in found if group.kind == "parts")
    assert name_of(shared.keep) == "collage"
    assert {other.suggestion for other in shared.others} == {"part"}
    assert shared.spare_bytes == 0


def test_look_alikes_stay_apart(photos: Collection, tmp_path: Path) -> None:
    """Screens of one application: the same frame around other pictures."""
    screens = {}
    for number in range(4):
        screen = Image.new("RGB", (800, 640), "#dddddd")
        draw = ImageDraw.Draw(screen)
        for place in range(8):
            draw.text((20 + 95 * place, 12), f"Menu {place}", "black", font_size=20)
            draw.rectangle((20 + 95 * place, 600, 60 + 95 * place, 630), outline="black")
        screen.paste(photo(20 + number, 640, 480), (80, 80))
        screens[f"screen{number}"] = screen
    stored(photos, tmp_path / "pictures", **screens)
    assert list(photos.duplicates()) == []


def test_pixels_refute_what_only_looks_alike(photos: Collection, tmp_path: Path) -> None:
    stored(photos, tmp_path / "pictures", one=photo(30), two=photo(30).resize((320, 240)))
    asked = []

    def refuting(made: Known, match: wherefrom.Match) -> wherefrom.Match | None:
        asked.append((made.image.id, match.id))
        return None

    assert len(list(duplicates.groups(photos._engine))) == 1
    assert list(duplicates.groups(photos._engine, look=refuting)) == []
    assert set(asked) == {asked[0]}


def test_progress_reaches_the_end(photos: Collection, tmp_path: Path) -> None:
    stored(photos, tmp_path / "pictures", one=photo(31), two=photo(32))
    told: list[tuple[int, int]] = []
    list(photos.duplicates(progress=lambda number, total: told.append((number, total))))
    assert told[-1] == (2, 2)


def everything(engine: Engine, count: int) -> list[Known]:
    keys = list(range(1, count + 1))
    images, marks = engine.images(keys), engine.features(FINGERPRINT, keys)
    points = engine.features(KEYPOINTS, keys)
    return [
        Known(key, images[key], Fingerprint.from_bytes(marks[key]), Keypoints.from_bytes(points[key]))
        for key in keys
    ]


def test_groups_equal_those_of_every_pair_compared(photos: Collection, tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    pictures: dict[str, Image.Image] = {}
    for number in range(5):
        image = photo(40 + number)
        pictures[f"{number} whole"] = image
        for copy in range(int(random.integers(1, 4))):
            left, top = (int(n) for n in random.integers(0, 90, 2))
            edited = image.crop((left, top, 640 - left // 2, 480 - top // 2))
            factor = float(random.uniform(0.5, 1.0))
            edited = edited.resize((int(edited.width * factor), int(edited.height * factor)))
            pictures[f"{number} copy {copy}"] = edited.rotate(90, expand=True) if copy == 2 else edited
    stored(photos, tmp_path / "pictures", **pictures)
    every = everything(photos._engine, len(pictures))
    relations = [
        relation
        for one, other in itertools.combinations(every, 2)
        if (relation := related(one, other)) is not None
    ]
    assert composed(relations, lambda _one, _other: False) == set()
    sets = {known.image.id: {known.image.id} for known in every}
    for relation in relations:
        if relation.joins:
            joined = sets[relation.source.image.id] | sets[relation.made.image.id]
            sets.update(dict.fromkeys(joined, joined))
    expected = {frozenset(one) for one in sets.values() if len(one) > 1}
    found = {
        frozenset({group.keep.id, *(other.image.id for other in group.others)})
        for group in duplicates.groups(photos._engine)
    }
    assert found == expected
    assert len(found) == 5


def test_thousands_of_equal_codes_make_few_pairs() -> None:
    random = np.random.default_rng(3)
    base = random.integers(0, 256, 32, dtype=np.uint8)
    codes = np.tile(base, (6_000, 1))
    codes[3_000:, 0] ^= random.integers(0, 256, 3_000).astype(np.uint8)  # up to eight bits apart
    keys = np.arange(1, 6_001)
    near = near_pairs(keys, codes, 31, turned=False)
    assert len(near.holding) == 5_999
    assert len(near.others) <= 3 * 6_000


def test_many_copies_of_one_picture_are_one_family(photos: Collection, tmp_path: Path) -> None:
    image = photo(60, 320, 240)
    copies = {}
    for number in range(40):
        copies[f"copy{number}"] = image.copy()
        copies[f"copy{number}"].putpixel((number, 0), (number, 0, 0))
    stored(photos, tmp_path / "pictures", whole=photo(60, 320, 240).resize((640, 480)), **copies)
    (group,) = photos.duplicates()
    assert len(group.others) == 40
    assert len({other.image.id for other in group.others}) == 40


def test_of_two_that_nothing_tells_apart_the_one_that_others_were_made_of_is_first(
    photos: Collection, tmp_path: Path
) -> None:
    """Not the one with more bytes, which was made of it: it is your choice all the same."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    buffer = io.BytesIO()
    grained(5).save(buffer, "JPEG", quality=92)
    (folder / "b.jpg").write_bytes(buffer.getvalue())
    shown = Image.open(buffer).convert("RGB")
    shown.filter(ImageFilter.GaussianBlur(1.5)).save(folder / "c.jpg", quality=92)
    shown.resize((200, 150), Image.Resampling.LANCZOS).save(folder / "d.jpg", quality=90)
    ImageEnhance.Brightness(shown).enhance(1.4).save(folder / "a.png")
    photos.add(folder)
    (group,) = photos.duplicates()
    assert name_of(group.keep) == "b"
    assert {name_of(one.image): one.suggestion for one in group.others} == {
        "a": "choice",
        "c": "spare",
        "d": "spare",
    }


def test_a_mirror_image_by_its_name_is_not_first_for_others_that_were_mirrored(
    photos: Collection, tmp_path: Path
) -> None:
    image = grained(7)
    mirrored = ImageOps.mirror(image)
    enlarged = mirrored.resize((640, 480), Image.Resampling.BICUBIC)
    flipped = ImageOps.flip(image)
    stored(photos, tmp_path / "pictures", whole=image, flipped=flipped, b=enlarged, c=captioned_low(mirrored))
    (group,) = photos.duplicates()
    assert name_of(group.keep) == "whole"


def grained(seed: int) -> Image.Image:
    """A picture with detail up to the finest."""
    grain = np.random.default_rng(seed).normal(0, 7, (240, 320, 1))
    return Image.fromarray(np.clip(np.asarray(photo(seed, 320, 240)) + grain, 0, 255).astype(np.uint8))


def captioned_low(image: Image.Image) -> Image.Image:
    done = image.copy()
    draw = ImageDraw.Draw(done)
    draw.rectangle((16, 80, 270, 130), fill="#f0e020")
    draw.text((26, 85), "WHAT A DAY", "black", font_size=36)
    return done
