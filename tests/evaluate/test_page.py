"""The page: whole, by itself, escaped, and of the same figures as the report."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.evaluate import runs
from wherefrom.errors import UsageError
from wherefrom.evaluate import plots
from wherefrom.evaluate.galleries import Example, FalseAlarm, Galleries, Miss
from wherefrom.evaluate.measures import Bin, Operating, Rate, Spread
from wherefrom.evaluate.page import page, write_page
from wherefrom.evaluate.report import Report, report_of
from wherefrom.evaluate.trials import Skip
from wherefrom.present.sheet import data_uri, thumbnail

EVIL = "<script>alert(1)</script>\"' & <b>.jpg"
VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Reads a page, and holds that what is opened is closed, ids are single and links lead somewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in reader.tags:
        if tag == "a":
            assert (attributes["href"] or "")[1:] in ids
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids
    return reader


def small(colour: str = "red") -> bytes:
    return thumbnail(Image.new("RGB", (30, 20), colour))


def some(name: str = "a.jpg") -> Galleries:
    misses = [
        Miss(
            "mirror", f"file:///p/{name}", small(), small("blue"), None, f"lost: {name}", (("words", name),)
        ),
        Miss(name, name, b"", small(), 2),
    ]
    alarms = [FalseAlarm(f"file:///q/{name}", name, small(), small(), name, 96.1)]
    return Galleries(misses, alarms, [Example("mirror", "flip", small()), Example(name, name, small())])


def made(**changed: object) -> Report:
    return report_of(runs.facts(**changed), *runs.run(3, wrong=0.1))


def test_it_is_one_file_that_asks_for_nothing() -> None:
    reader = read(page(made(), some()))
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "iframe", "object", "form", "base"}
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href"):
            if name in attributes:
                assert (attributes[name] or "").startswith(("data:image/jpeg;base64,", "#"))
        if tag == "img":
            assert attributes["alt"]
    assert not re.search(r"url\(|@import|https?:", page(made(), some()))


def test_names_of_others_are_text_and_nothing_else() -> None:
    report = made(
        source=EVIL, suite=EVIL, skipped=(Skip(EVIL, EVIL),), settings={EVIL: EVIL}, machine={"cpu": EVIL}
    )
    html = page(report, some(EVIL))
    reader = read(html)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert "<script" not in html
    assert "<b>" not in html
    assert EVIL in " ".join(reader.text)


def test_names_that_are_no_characters_can_be_written(tmp_path: Path) -> None:
    write_page(made(source="/p/\udcff.wherefrom"), some("caf\udce9.jpg"), tmp_path / "page.html")
    read((tmp_path / "page.html").read_text("utf-8"))


def test_the_figures_are_those_of_the_report() -> None:
    report = made()
    text = re.sub(r"\s+", " ", " ".join(read(page(report, some())).text))
    for row in report.edits:
        assert row.name in text
    assert f"Of {report.overall.n} copies {len(report.misses)} did not bring up" in text
    assert f"{report.alarms.hits} of {report.alarms.of} pictures that are not in" in text


def test_every_chart_and_picture_has_words() -> None:
    html = page(made(), some())
    charts = re.findall(r'<svg class="chart".*?</svg>', html, re.S)
    assert len(charts) >= 6
    for chart in charts:
        drawn = ElementTree.fromstring(chart)
        assert drawn.get("role") == "img"
        assert [part.tag for part in drawn][:2] == ["title", "desc"]
        assert all(part.text for part in drawn.iter("desc"))


def test_a_run_of_nothing_is_a_page_too() -> None:
    nothing = runs.facts(sampled=0, held_out=0, edits={}, bytes={}, skipped=(), settings={}, machine={})
    read(page(report_of(nothing, [], []), Galleries()))


def test_nothing_missed_is_said() -> None:
    html = page(report_of(runs.facts(), *runs.run(1, misses=0.0)), Galleries())
    assert "Nothing was missed." in html
    assert "none was" in html


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    write_page(made(), some(), path)
    assert path.read_text("utf-8") == page(made(), some())
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(UsageError, match="for the page"):
        write_page(made(), some(), tmp_path / "none" / "page.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="for the page"):
        write_page(made(), some(), tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "page.html"]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "LA", "CMYK", "I;16"])
def test_thumbnails_are_small_jpegs_of_any_picture(mode: str) -> None:
    made = thumbnail(Image.new(mode, (900, 300)), side=120)
    with Image.open(BytesIO(made)) as read:
        assert (read.format, read.size) == ("JPEG", (120, 40))
    assert Image.open(BytesIO(thumbnail(Image.new(mode, (7, 5))))).size == (7, 5)
    assert data_uri(made).startswith("data:image/jpeg;base64,/9j/")


def numbers(svg: str) -> list[float]:
    drawn = ElementTree.fromstring(svg)
    found = []
    for part in drawn.iter():
        for name in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height", "points"):
            found += [float(number) for number in re.split("[ ,]", part.get(name, "0"))]
    return found


rates = st.integers(0, 500).flatmap(lambda of: st.builds(Rate, st.integers(0, of), st.just(of)))


@given(
    st.lists(rates, min_size=1, max_size=20),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1), st.floats(0, 1)), max_size=9),
    st.dictionaries(st.sampled_from("abc<&"), st.floats(0, 1e7), max_size=4),
)
def test_charts_stay_inside_whatever_is_drawn(
    ranks: list[Rate], curve: list[tuple[float, float, float]], times: dict[str, float]
) -> None:
    row = made().edits[0]
    drawn = [
        plots.rank_chart(ranks),
        plots.precision_chart(curve, [Operating(0.99, None, None), Operating(0.9, 0.4, 97.0)]),
        plots.reliability_chart([Bin(95, 100, 0.97, rate) for rate in ranks]),
        plots.latency_chart({stage: Spread(3, t, t, t, t) for stage, t in times.items()}),
        plots.strength_chart("<b>", "&", [row, row], plots.floor_of(ranks)),
    ]
    for svg in drawn:
        width, height = map(int, svg.split('viewBox="0 0 ')[1].split('"')[0].split())
        assert all(0 <= number <= max(width, height) for number in numbers(svg))


def test_an_axis_begins_below_every_interval() -> None:
    assert plots.floor_of([]) == 0
    assert plots.floor_of([Rate(999, 1000), Rate(0, 0)]) == 0.9
    assert plots.floor_of([Rate(90, 100)]) == 0.8
    assert plots.floor_of([Rate(1, 2)]) == 0.0
