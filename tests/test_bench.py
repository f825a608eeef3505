"""`make bench`: what is run and not run again, what becomes of benchmarks that fail, and the pages."""

from __future__ import annotations

import importlib
import inspect
import json
import time
from pathlib import Path
from typing import Any

import pytest
from benchmarks import bench as program
from benchmarks import child, common, page, tables
from benchmarks.case import HERE, Budget, Case
from benchmarks.cases import CASES
from benchmarks.page import Page

from tests.scenes import folder_of

COUNTING = """
import json, pathlib
def run(**options):
    log = pathlib.Path(__file__).with_suffix(".log")
    log.write_text((log.read_text() if log.exists() else "") + json.dumps(options) + "\\n")
    print("words that are no JSON")
    return {"figure": 7}, %s
"""
FAILING = """
import sys
def run(**options):
    print("half")
    sys.exit("It cannot\\nbe done.")
"""
ENDLESS = """
import pathlib, subprocess, sys, time
def run(**options):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pathlib.Path(__file__).with_suffix(".pid").write_text(str(child.pid))
    time.sleep(60)
"""
BY_NAME = {case.name: case for case in CASES}


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three tiny benchmarks, `good`, `below` and `bad`."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "good.py").write_text(COUNTING % "[]")
    (folder / "below.py").write_text(COUNTING % "['too slow']")
    (folder / "bad.py").write_text(FAILING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return folder


def tiny() -> list[Case]:
    def headline(result: Any) -> list[tuple[str, str]]:
        return [("a figure", str(result["figure"]))]

    def lost(result: Any) -> list[str]:
        return [f"A peer has {result['figure'] + 1}."]

    def told(result: Any) -> dict[str, Any]:
        return {"every": f"It is {result['figure']}."}

    return [
        Case(name, f"The {name} one", 1, told, lost, headline, place=f"tiny.{name}", section="any").sized(
            size=(100, 5)
        )
        for name in ("good", "bad", "below")
    ]


def ran(scripts: Path, name: str) -> list[str]:
    log = scripts / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


def running(process: Path) -> bool:
    """Whether a process, by its folder under /proc, is there and not merely waiting to be taken note of."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def bench(scripts: Path, *arguments: str) -> int:
    to = scripts.parent / "out"
    to.mkdir(exist_ok=True)
    return program.main(["--to", str(to), *arguments], cases=tiny(), folder=scripts)


def results(scripts: Path) -> str:
    return (scripts.parent / "out" / "RESULTS.md").read_text()


def test_one_that_fails_is_named_and_stops_nothing(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(scripts, "--minutes", "4") == 1
    assert ran(scripts, "good") == ran(scripts, "below") == ['{"size": 10}']
    said = capsys.readouterr().err
    assert "bad did not end as it should: It cannot be done." in said
    assert "below: too slow" in said
    text = results(scripts)
    assert text.index("## The good one") < text.index("## The bad one") < text.index("## The below one")
    assert "**Did not end as it should:** It cannot be done." in text
    assert text.count("It is 7.") == 2
    assert "`good size=10`" in text
    assert text.count("Something is below its bar.") == 1
    assert "- A peer has 8." in text


def test_what_is_done_is_not_run_again(scripts: Path) -> None:
    only = ("--only", "good", "--only", "below")
    bench(scripts, *only)
    bench(scripts, *only)
    assert len(ran(scripts, "good")) == 1
    bench(scripts, *only, "--set", "size=20")  # of another size
    assert ran(scripts, "good") == ['{"size": 100}', '{"size": 20}']
    (scripts / "good.py").write_text(COUNTING % "[]" + "# changed\n")
    bench(scripts, *only, "--set", "size=20")
    assert len(ran(scripts, "good")) == 3
    bench(scripts, "--set", "size=20", "--fresh", "--only", "good")
    assert len(ran(scripts, "good")) == 4
    assert len(ran(scripts, "below")) == 3


def test_a_failure_leaves_the_earlier_result_and_is_said(scripts: Path) -> None:
    assert bench(scripts, "--only", "good") == 0
    (scripts / "good.py").write_text(FAILING)
    assert bench(scripts, "--only", "good") == 1
    text = results(scripts)
    assert "It is 7." in text
    assert "The good one: an earlier result; later It cannot be done." in text
    (scripts / "good.py").write_text(COUNTING % "[]")
    assert bench(scripts, "--only", "good", "--fresh") == 0
    assert "an earlier result" not in results(scripts)


def test_one_without_an_end_is_ended_with_all_that_it_started(
    scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scripts / "good.py").write_text(ENDLESS)
    monkeypatch.setattr(Case, "limit", lambda *_: 1.5)
    assert bench(scripts, "--only", "good") == 1
    process = Path("/proc") / (scripts / "good.pid").read_text()
    deadline = time.monotonic() + 10
    while running(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(process)
    record = json.loads((scripts.parent / "out" / "results" / "good.json").read_text())
    assert "should not take" in record["problem"]
    assert record["ok"] is False


def test_only_names_that_are_there(scripts: Path) -> None:
    with pytest.raises(SystemExit, match="no benchmark other; there are good, bad, below"):
        bench(scripts, "--only", "other")


def test_a_result_of_another_shape_spoils_no_other(scripts: Path) -> None:
    (scripts / "below.py").write_text("def run(**_): return 7, []")
    assert bench(scripts, "--only", "good", "--only", "below") == 0
    assert "Its result has not what this page expects." in results(scripts)
    assert results(scripts).count("It is 7.") == 1


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 99, "job": "good"}'])
def test_a_damaged_result_is_no_result(tmp_path: Path, damage: str) -> None:
    (tmp_path / "good.json").write_text(damage)
    assert page.record_of(tmp_path, "good") is None
    assert page.records_of(tmp_path, tiny()) == {}


def test_results_name_no_folder_of_the_machine() -> None:
    place, _ = common.pictures()
    said = program.shortened(f"folder={place / 'photos'}")
    assert said in ("folder=../shared/data/images/photos", "folder=PICTURES/photos")


def test_options_are_read() -> None:
    assert [program.option(text) for text in ("codes=200e6", "share=0.5", "only=mih", "kinds=[1]")] == [
        ("codes", 200_000_000),
        ("share", 0.5),
        ("only", "mih"),
        ("kinds", [1]),
    ]
    with pytest.raises(ValueError, match="NAME=VALUE"):
        program.option("codes")


# The pages


def test_the_readme_is_written_between_its_markers() -> None:
    readme = f"before\n\n{page.BEGIN}\nold\n{page.END}\n\nafter"
    new = page.with_measured(readme, "| new |")
    assert new == f"before\n\n{page.BEGIN}\n\n| new |\n\n{page.END}\n\nafter"
    assert page.with_measured(new, "| new |") == new
    for damaged in ("none", page.BEGIN, page.END + page.BEGIN):
        with pytest.raises(ValueError, match="no place for the table"):
            page.with_measured(damaged, "")


def test_committed_results_make_the_committed_pages() -> None:
    """Nothing in them is typed in: writing them anew from the results changes nothing."""
    made = Page(CASES, page.records_of(HERE / "results", CASES))
    assert made.results() == (HERE / "RESULTS.md").read_text()
    readme = (HERE.parent / "README.md").read_text()
    assert page.with_measured(readme, made.measured()) == readme


def test_every_benchmark_is_there_and_takes_its_options() -> None:
    """Each module that has a `run` is a case, and takes what it is given; all have a section."""
    found = {path.stem for path in HERE.glob("*.py") if "\ndef run(" in path.read_text()}
    assert found - {"bench"} == {(case.place or case.name).partition(":")[0] for case in CASES}
    for case in CASES:
        module, _, name = case.path().partition(":")
        takes = inspect.signature(getattr(importlib.import_module(module), name or "run")).parameters
        for minutes in (0.5, 15, 400):
            options = case.options(Budget(minutes))
            assert set(options) <= set(takes), case.name
            assert all(value not in (0, None) for value in options.values()), case.name
        assert case.section or case.name in tables._sections()


def test_the_default_fits_its_time() -> None:
    whole = program.chosen(CASES, Budget(), [])
    assert 30 <= sum(case.minutes for case in whole) <= 50
    assert not any(case.only_full or case.hand for case in whole)
    assert any(case.only_full for case in program.chosen(CASES, Budget(full=True), []))
    assert [case.name for case in program.chosen(CASES, Budget(), ["sizes"])] == ["sizes"]
    without = program.chosen(CASES, Budget(shared=False), [])
    assert without
    assert not any(case.needs_shared for case in without)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("strangers", {"folder": "pictures"}),
        ("recall", {"folder": "pictures", "originals": 1, "unrelated": 2, "jobs": 1}),
        ("changes", {"folder": "pictures", "pictures": 2}),
        ("updates", {"rows": 200, "batch": 20}),
        ("sizes", {"pairs": 2, "http": 1}),
    ],
)
def test_benchmarks_run_at_a_tiny_size(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    options: dict[str, Any],
) -> None:
    """What a benchmark gives is JSON, and is told without a key that is missing."""
    monkeypatch.setenv("WHEREFROM_MODEL", "none")
    if "folder" in options:
        folder_of(tmp_path / "pictures", 4)
        options = options | {"folder": str(tmp_path / "pictures")}
    case = BY_NAME[name]
    monkeypatch.setattr("sys.argv", ["child", case.path(), json.dumps(options)])
    assert child.main() == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    said = tables.section(case.section or name, case.teller(result) if case.teller else result)
    assert len(said) > 100


def test_cells() -> None:
    assert [tables.figure(value) for value in (None, 1234567, 0.5, 12345.6, True, "a|b\nc")] == [
        "",
        "1,234,567",
        "0.50",
        "12,346",
        "yes",
        "a/b c",
    ]
    assert tables.table(("a", "b"), [(1, 2.0)], 1) == "| a | b |\n| --- | --- |\n| 1 | 2.0 |"


# What a peer does better is computed


def lost(name: str, result: Any) -> list[str]:
    teller = BY_NAME[name].lost
    assert teller is not None
    return teller(result)


def test_peers_that_find_more_are_listed() -> None:
    def row(wherefrom: float, peer: float, beside: float) -> dict[str, Any]:
        return {
            "bar": 0.99,
            "recall": {"wherefrom": wherefrom, "peer": peer},
            "beside": {"wherefrom": wherefrom, "peer": beside},
        }

    result = {
        "contenders": ["wherefrom", "peer"],
        "edits": {"grey": row(0.99, 1.0, 0.98), "crop": row(1.0, 0.2, 1.0), "few": row(0.9, 1.0, 1.0)},
        "ms_per_query": {"wherefrom": 100.0, "peer": 10.0},
        "unrelated": {"wherefrom": {"queries_claimed": 1}, "peer": {"queries_claimed": 0}},
    }
    more, faster, fewer = lost("copies", result)
    assert more == "peer finds more copies after: grey (1.000, Wherefrom 0.980)."
    assert faster.startswith("peer answers 10 times as fast")
    assert fewer == "peer claims fewer held-out pictures (0)."


def test_scans_that_are_faster_are_listed() -> None:
    ms = {"p50": 2.0}
    scan = {
        "nearest10": {"ms": ms},
        "faiss_nearest10": {"ms": {"p50": 1.0}},
        "usearch_nearest10": {"ms": {"p50": 3.0}},
        "radius31": {"ms": ms},
        "faiss_radius31": {"ms": ms},
    }
    assert lost("hamming", {"scan": scan}) == [
        "FAISS scans faster: 10 nearest, one query 1.0 ms, Wherefrom 2.0 ms."
    ]
    assert lost("hamming", {"scan": {"skipped": "too large"}}) == []


def test_vectors_say_where_peers_are_smaller_or_sooner() -> None:
    part = {
        "rows": 10,
        "columns_bytes": 3000,
        "cells_bytes": 100,
        "cells": {"p50_ms": 1.0},
        "exact": {"p50_ms": 5.0},
        "cells_s": 2.0,
        "hnswlib": {"p50_ms": 0.5, "recall": 0.99, "bytes_per_row": 1200.0, "build_s": 9.0},
        "faiss_sq8": {"p50_ms": 4.0, "recall": 1.0, "bytes_per_row": 256.0, "build_s": 0.1},
        "usearch": "not installed (benchmarks/requirements.txt)",
    }
    exact, graph = lost("vectors", {"machine": {}, "pictures": part})
    assert exact == (
        "FAISS, exact, 8 bits, pictures: answers in 4.00 ms (Wherefrom 5.00, recall 1.000); "
        "takes 256 bytes a row (Wherefrom 310)."
    )
    assert graph == "hnswlib, pictures: answers in 0.50 ms (Wherefrom 1.00, recall 0.990)."
