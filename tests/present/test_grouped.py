"""Duplicates as a page: one file, nothing in it runs or loads, hostile names are text, and it is whole."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from PIL import Image

import wherefrom
from tests.evaluate.test_page import read
from tests.scenes import encoded, picture
from wherefrom.cli.main import run
from wherefrom.errors import Exit, MachineFault
from wherefrom.present.grouped import pieces
from wherefrom.present.sheet import write

EVIL = b"<script>alert(1)<!-- \"'&\n\x1b[31m \xe2\x80\xae \xff.jpg"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture three times in equal bytes, one turned without a sign of which was first, and a crop."""
    root = tmp_path_factory.mktemp("page")
    folder = root / "pictures"
    (folder / "copies").mkdir(parents=True)
    for name in (b"first.jpg", b"copies/" + EVIL, b"copies/again.jpg"):
        (folder / os.fsdecode(name)).write_bytes(encoded(picture(0)))
    picture(1).save(folder / "one.jpg", quality=90)
    picture(1).transpose(Image.Transpose.ROTATE_90).save(folder / "two.jpg", quality=90)
    whole = picture(2)
    whole.save(folder / "whole.jpg", quality=92)
    width, height = whole.size
    sheet = Image.new("RGB", (2 * width, 2 * height), "white")
    for number in range(4):
        sheet.paste(picture(2 + number), (number % 2 * width, number // 2 * height))
    sheet.save(folder / "sheet.jpg", quality=92)
    settings = wherefrom.Settings(model="none", workers=1)
    with wherefrom.open(root / "photos.wherefrom", create=True, settings=settings) as photos:
        assert not photos.add(folder).failed
    return root / "photos.wherefrom"


def test_the_page_tells_all_and_runs_nothing(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "page.html"
    arguments = ["duplicates", "-c", str(collection), "--sort", "bytes", "--html", str(target)]
    assert run(arguments) == Exit.OK
    out, err = capsys.readouterr()
    assert out == ""
    assert f"Written to {target}." in err
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
    html = target.read_text("utf-8")
    page = read(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "form", "input", "base"}
    assert "default-src 'none'" in html
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(sources) >= 5
    assert all(source is not None and source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not any(name.startswith("on") or (name == "href" and not (value or "").startswith("#"))
                   for _, attributes in page.tags for name, value in attributes.items())  # fmt: skip
    text = "\n".join(page.text)
    assert r"""<script>alert(1)<!-- "'&\n\x1b[31m \u202e \xff.jpg""" in text
    assert not set("\x1b\u202e\udcff") & set(html)
    folder = collection.parent / "pictures"
    for name in ("first.jpg", "copies/again.jpg", "one.jpg", "two.jpg", "whole.jpg", "sheet.jpg"):
        assert str(folder / name) in text
    with wherefrom.open(collection) as photos:
        groups = list(photos.duplicates())
    spare = sum(len(group.spare) for group in groups)
    assert f"{spare} files" in text
    assert text.count("could go") >= spare
    assert "your choice" in text
    assert "Crops and parts" in text
    assert text.index(str(folder / "sheet.jpg")) > text.index("None could go for another's sake.")


def test_files_that_are_gone_are_told_without_a_picture(collection: Path) -> None:
    with wherefrom.open(collection) as photos:
        groups = list(photos.duplicates(exact=True))
    html = "".join(pieces(groups, lambda image: None))
    read(html)
    assert "no picture" in html
    assert read("".join(pieces([], lambda image: None))).tags


@pytest.mark.parametrize("other", [["--csv"], ["--json"], ["--jsonl"], ["--print0"], ["--trash"], ["--undo"]])
def test_what_excludes_a_page_is_one_sentence(
    other: list[str], collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "page.html"
    assert run(["duplicates", "-c", str(collection), "--html", str(target), *other]) == Exit.USAGE
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "--html" in said[0]
    assert not target.exists()


def test_places_that_take_no_page_are_one_sentence(
    collection: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(target: str, code: Exit) -> str:
        assert run(["duplicates", "-c", str(collection), "--exact", "--html", target]) == code
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        return lines[0]

    assert "is a folder" in said(str(tmp_path), Exit.USAGE)
    assert "There is no folder" in said(str(tmp_path / "none" / "page.html"), Exit.USAGE)
    assert "no space left" in said("/dev/full", Exit.FAULT)
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target, link = tmp_path / "page.html", tmp_path / "link.html"
    target.write_text("before")
    link.symlink_to(target)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(MachineFault, match="could not be written"):
            write(link, ["x" * 60_000, "y" * 60_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert target.read_text() == "before"
    write(link, ["a", "\udcff"])
    assert link.is_symlink()
    assert target.read_text() == "a\\udcff"
    assert len(list(tmp_path.iterdir())) == 2
