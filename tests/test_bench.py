"""`make bench`: what is run and not run again, what becomes of scripts that fail, and the pages."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent.parent / "benchmarks"

COUNTING = """
import json, pathlib, sys
log = pathlib.Path(__file__).with_suffix(".log")
log.write_text((log.read_text() if log.exists() else "") + " ".join(sys.argv[1:]) + "\\n")
print("words that are no JSON")
print(json.dumps({"figure": 7, "asked": sys.argv[1:]}))
sys.exit(%d)
"""
FAILING = 'import sys; print("half", file=sys.stdout); sys.exit("It cannot\\nbe done.")'
ENDLESS = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(__file__).with_suffix(".pid").write_text(str(child.pid))
time.sleep(60)
"""


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The modules of the benchmarks, as its own scripts import them."""
    monkeypatch.syspath_prepend(HERE)
    return {name: importlib.import_module(name) for name in ("bench", "common", "jobs", "page", "sections")}


@pytest.fixture
def scripts(benchmarks: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three tiny scripts, which are all the benchmarks that there are."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "good.py").write_text(COUNTING % 0)
    (folder / "below.py").write_text(COUNTING % 1)
    (folder / "bad.py").write_text(FAILING)
    job, section = benchmarks["jobs"].Job, benchmarks["sections"].Section
    made = tuple(
        job(name, f"{name}.py", 1, lambda budget: ["--size", str(budget.size(100, 5))])
        for name in ("good", "bad", "below")
    )
    for module in ("bench", "jobs"):
        monkeypatch.setattr(benchmarks[module], "JOBS", made)
    told = {
        name: section(
            f"The {name} one",
            lambda result: f"It is {result['figure']}.",
            lambda result: [f"A peer has {result['figure'] + 1}."],
            lambda result: [("a figure", str(result["figure"]))],
        )
        for name in ("below", "bad", "good")
    }
    for module in ("page", "sections"):
        monkeypatch.setattr(benchmarks[module], "SECTIONS", told)
    monkeypatch.setattr(benchmarks["page"], "BY_HAND", tmp_path / "none")
    return folder


def ran(scripts: Path, name: str) -> list[str]:
    log = scripts / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


def running(process: Path) -> bool:
    """Whether a process, by its folder under /proc, is there and not merely waiting to be taken note of."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def bench(benchmarks: dict[str, Any], scripts: Path, *arguments: str) -> int:
    to = scripts.parent / "out"
    to.mkdir(exist_ok=True)
    return int(benchmarks["bench"].main(["--to", str(to), *arguments], scripts=scripts))


def test_one_that_fails_is_named_and_stops_nothing(
    benchmarks: dict[str, Any], scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(benchmarks, scripts, "--minutes", "4") == 1
    assert ran(scripts, "good") == ran(scripts, "below") == ["--size 10 --json"]
    assert "bad did not end as it should: It cannot be done." in capsys.readouterr().err
    page = (scripts.parent / "out" / "RESULTS.md").read_text()
    assert page.index("## The below one") < page.index("## The bad one") < page.index("## The good one")
    assert "**Did not end as it should:** It cannot be done." in page
    assert page.count("It is 7.") == 2
    assert "`good.py --size 10`" in page
    assert page.count("Something is below its bar.") == 1
    assert "- A peer has 8." in page


def test_what_is_done_is_not_run_again(benchmarks: dict[str, Any], scripts: Path) -> None:
    bench(benchmarks, scripts)
    bench(benchmarks, scripts)
    assert len(ran(scripts, "good")) == 1
    bench(benchmarks, scripts, "--minutes", "8")  # of another size
    assert ran(scripts, "good") == ["--size 100 --json", "--size 20 --json"]
    (scripts / "good.py").write_text(COUNTING % 0 + "# changed\n")
    bench(benchmarks, scripts, "--minutes", "8")
    assert len(ran(scripts, "good")) == 3
    bench(benchmarks, scripts, "--minutes", "8", "--fresh", "--only", "good")
    assert len(ran(scripts, "good")) == 4
    assert len(ran(scripts, "below")) == 3


def test_a_failure_leaves_the_earlier_result_and_is_said(benchmarks: dict[str, Any], scripts: Path) -> None:
    assert bench(benchmarks, scripts, "--only", "good") == 0
    (scripts / "good.py").write_text(FAILING)
    assert bench(benchmarks, scripts, "--only", "good") == 1
    page = (scripts.parent / "out" / "RESULTS.md").read_text()
    assert "It is 7." in page
    assert "The good one: an earlier result; later It cannot be done." in page
    (scripts / "good.py").write_text(COUNTING % 0)
    assert bench(benchmarks, scripts, "--only", "good", "--fresh") == 0
    assert "an earlier result" not in (scripts.parent / "out" / "RESULTS.md").read_text()


def test_one_without_an_end_is_ended_with_all_that_it_started(
    benchmarks: dict[str, Any], scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scripts / "good.py").write_text(ENDLESS)
    monkeypatch.setattr(benchmarks["jobs"].Job, "limit", lambda *_: 1.5)
    assert bench(benchmarks, scripts, "--only", "good") == 1
    child = Path("/proc") / (scripts / "good.pid").read_text()
    deadline = time.monotonic() + 10
    while running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(child)
    record = json.loads((scripts.parent / "out" / "results" / "good.json").read_text())
    assert "should not take" in record["problem"]
    assert record["ok"] is False


def test_only_names_that_are_there(benchmarks: dict[str, Any], scripts: Path) -> None:
    with pytest.raises(SystemExit, match="no benchmark other; there are good, bad, below"):
        bench(benchmarks, scripts, "--only", "other")


def test_a_result_of_another_shape_spoils_no_other(benchmarks: dict[str, Any], scripts: Path) -> None:
    (scripts / "below.py").write_text("print(7)")
    assert bench(benchmarks, scripts, "--only", "good", "--only", "below") == 0
    page = (scripts.parent / "out" / "RESULTS.md").read_text()
    assert "Its result has not what this page expects." in page
    assert page.count("It is 7.") == 1


@pytest.mark.parametrize("damage", ["", "[", "[]", '{"format": 99, "job": "good"}'])
def test_a_damaged_result_is_run_again(benchmarks: dict[str, Any], scripts: Path, damage: str) -> None:
    bench(benchmarks, scripts, "--only", "good")
    (scripts.parent / "out" / "results" / "good.json").write_text(damage)
    assert bench(benchmarks, scripts, "--only", "good") == 0
    assert len(ran(scripts, "good")) == 2


def test_results_name_no_folder_of_the_machine(benchmarks: dict[str, Any], scripts: Path) -> None:
    place, _ = benchmarks["common"].pictures()
    for job in benchmarks["jobs"].JOBS:
        object.__setattr__(job, "options", lambda _: ["--folder", str(place / "photos")])
    bench(benchmarks, scripts, "--only", "good")
    record = json.loads((scripts.parent / "out" / "results" / "good.json").read_text())
    assert record["options"][1] in ("../shared/data/images/photos", "PICTURES/photos")


# The pages


def test_the_readme_is_written_between_its_markers(benchmarks: dict[str, Any]) -> None:
    page = benchmarks["page"]
    readme = f"before\n\n{page.BEGIN}\nold\n{page.END}\n\nafter"
    new = page.with_measured(readme, "| new |")
    assert new == f"before\n\n{page.BEGIN}\n\n| new |\n\n{page.END}\n\nafter"
    assert page.with_measured(new, "| new |") == new
    for damaged in ("none", page.BEGIN, page.END + page.BEGIN):
        with pytest.raises(ValueError, match="no place for the table"):
            page.with_measured(damaged, "")


def test_the_readme_has_its_markers(benchmarks: dict[str, Any]) -> None:
    readme = (HERE.parent / "README.md").read_text()
    assert benchmarks["page"].with_measured(readme, "rows").count("rows") >= 1


def test_every_script_has_a_job_and_every_job_a_section(benchmarks: dict[str, Any]) -> None:
    jobs = benchmarks["jobs"].JOBS
    assert {job.name for job in jobs} == set(benchmarks["sections"].SECTIONS)
    runnable = {path.name for path in HERE.glob("*.py") if '"--json"' in path.read_text()}
    notes = (HERE / "by_hand.md").read_text(encoding="utf-8")
    by_hand = {
        name for name in runnable if f"`{name} " in notes or f"`{name}`:" in notes or f"`{name}`," in notes
    }
    jobbed = {job.script for job in jobs}
    assert runnable - {"bench.py"} == jobbed | (by_hand - jobbed)


def test_the_default_fits_its_time(benchmarks: dict[str, Any]) -> None:
    jobs, budget = benchmarks["jobs"], benchmarks["jobs"].Budget
    whole = jobs.chosen(budget(40, HERE, True), [])
    assert 30 <= sum(job.minutes for job in whole) <= 50
    assert not any(job.only_full for job in whole)
    assert any(job.only_full for job in jobs.chosen(budget(40, HERE, True, full=True), []))
    without = jobs.chosen(budget(40, HERE, False), [])
    assert without
    assert not any(job.needs_shared for job in without)


@pytest.mark.parametrize("minutes", [0.5, 5, 15, 40, 400])
def test_options_are_what_the_scripts_take(benchmarks: dict[str, Any], minutes: float) -> None:
    """Every option that is given is named in the script, and sizes never fall below what can be measured."""
    for job in benchmarks["jobs"].JOBS:
        options = job.options(benchmarks["jobs"].Budget(minutes, HERE, True))
        text = (HERE / job.script).read_text()
        for option in options:
            assert not option.startswith("--") or f'"{option}"' in text, (job.name, option)
            assert option != "0"


def test_cells(benchmarks: dict[str, Any]) -> None:
    figure, table = benchmarks["common"].figure, benchmarks["common"].table
    assert [figure(value) for value in (None, 1234567, 0.5, 12345.6, True, "a|b\nc")] == [
        "",
        "1,234,567",
        "0.50",
        "12,346",
        "yes",
        "a/b c",
    ]
    assert table(("a", "b"), [(1, 2.0)], 1) == "| a | b |\n| --- | --- |\n| 1 | 2.0 |"


# What a peer does better is computed


def test_peers_that_find_more_are_listed(benchmarks: dict[str, Any]) -> None:
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
    more, faster, fewer = benchmarks["sections"].SECTIONS["copies"].lost(result)
    assert more == "peer finds more copies after: grey (1.000, Wherefrom 0.980)."
    assert faster.startswith("peer answers 10 times as fast")
    assert fewer == "peer claims fewer held-out pictures (0)."


def test_scans_that_are_faster_are_listed(benchmarks: dict[str, Any]) -> None:
    ms = {"p50": 2.0}
    scan = {
        "nearest10": {"ms": ms},
        "faiss_nearest10": {"ms": {"p50": 1.0}},
        "usearch_nearest10": {"ms": {"p50": 3.0}},
        "radius31": {"ms": ms},
        "faiss_radius31": {"ms": ms},
    }
    lost = benchmarks["sections"].SECTIONS["hamming"].lost
    assert lost({"scan": scan}) == ["FAISS scans faster: 10 nearest, one query 1.0 ms, Wherefrom 2.0 ms."]
    assert lost({"scan": {"skipped": "too large"}}) == []


def test_vectors_say_where_peers_are_smaller_or_sooner(benchmarks: dict[str, Any]) -> None:
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
    exact, graph = benchmarks["sections"].SECTIONS["vectors"].lost({"machine": {}, "pictures": part})
    assert exact == (
        "FAISS, exact, 8 bits, pictures: answers in 4.00 ms (Wherefrom 5.00, recall 1.000); "
        "takes 256 bytes a row (Wherefrom 310)."
    )
    assert graph == "hnswlib, pictures: answers in 0.50 ms (Wherefrom 1.00, recall 0.990)."


def test_committed_results_make_the_committed_pages(benchmarks: dict[str, Any]) -> None:
    """Nothing in them is typed in: writing them anew from the results changes nothing."""
    page = benchmarks["page"]
    records = page.records_of(HERE / "results")
    if not records:
        pytest.skip("there are no results yet: make bench")
    assert page.results(records) == (HERE / "RESULTS.md").read_text()
    readme = (HERE.parent / "README.md").read_text()
    assert page.with_measured(readme, page.measured(records)) == readme


def test_the_modules_are_those_of_this_checkout(benchmarks: dict[str, Any]) -> None:
    assert all(Path(module.__file__).parent == HERE for module in benchmarks.values())
    assert str(HERE) in sys.path
