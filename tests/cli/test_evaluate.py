"""wherefrom evaluate and wherefrom search --why, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenes import encoded, folder_of, picture
from wherefrom.cli.main import run
from wherefrom.evaluate.edits import edit


def called(capsys: pytest.CaptureFixture[str], *arguments: object, expect: int = 0) -> tuple[str, str]:
    """Run the command in this process; gives stdout and stderr."""
    code = run([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert code == expect, output
    return output.out, output.err


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder_of(tmp_path / "pictures", 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("WHEREFROM_MODEL", "none")
    monkeypatch.setenv("WHEREFROM_WORKERS", "1")
    monkeypatch.delenv("WHEREFROM_COLLECTION", raising=False)
    return tmp_path


SMALL = ("--edits", "mirror", "--edits", "crop 50 %", "--held-out", 2, "--jobs", 1)


def test_a_folder_is_evaluated(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, said = called(
        capsys, "evaluate", "pictures", *SMALL, "--out", "report.json", "--html", "report.html"
    )
    assert "mirror" in out
    assert "crop 50 %" in out
    assert "originals: 4 of 4" in said
    assert "report.html" in said
    report = json.loads((home / "report.json").read_text())
    assert report["format"] == 1
    assert report["overall"]["first"]["of"] == 8
    page = (home / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert list((home / "caches" / "wherefrom" / "evaluate").iterdir()) == []
    assert not (home / "photos.wherefrom").exists()

    # Against itself nothing fell; against better figures something did, and the exit code says so.
    out, said = called(
        capsys, "evaluate", "pictures", *SMALL, "--baseline", "report.json", "--json", expect=0
    )
    document: Any = json.loads(out)
    assert document["baseline"] == {"fell": [], "rose": []}
    assert "Nothing fell" in said
    report["alarms"] = {"hits": 0, "of": 200, "share": 0.0, "low": 0.0, "high": 0.02}
    report["overall"]["name"] = "what was never tried"
    (home / "better.json").write_text(json.dumps(report))
    out, said = called(
        capsys, "evaluate", "pictures", *SMALL, "--baseline", "better.json", "--json", expect=1
    )
    assert json.loads(out)["baseline"]["fell"]
    assert "worse:" in said


def test_a_collection_is_calibrated_and_that_is_undone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    called(capsys, "index", "pictures", "-q")
    out, said = called(capsys, "evaluate", *SMALL, "--calibrate", "--json")
    assert "calibration" in json.loads(out)
    assert "Fitted on" in said
    assert json.loads(called(capsys, "evaluate", "--forget-calibration", "--json")[0]) == {"forgotten": True}
    assert "no calibration" in called(capsys, "evaluate", "--forget-calibration")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pictures", "-c", "photos.wherefrom"], "not both"),
        (["pictures", "--suite", "none"], "Suites are"),
        (["pictures", "--edits", "none"], "no edit 'none'"),
        (["pictures", "--sample", "0"], "at least 1"),
        (["pictures", "--held-out", "6"], "held out"),
        (["pictures", "--out", "no/such/folder/x.json"], "cannot be written"),
        (["pictures", "--baseline", "none.json"], "cannot be read"),
        (["pictures", "--tolerance", "recall=1"], "needs --baseline"),
        (["pictures", "--calibrate"], "give one with -c"),
        (["pictures", "--gallery", "-1"], "gallery"),
        (["no folder"], "no folder"),
    ],
)
def test_wrong_usage_is_said_before_any_work(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    _, said = called(capsys, "evaluate", *arguments, expect=2)
    assert words in said
    assert not list(home.glob("caches/wherefrom/evaluate/*/collection.wherefrom"))


def test_without_a_collection_the_exit_code_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(capsys, "evaluate", expect=4)


def test_search_says_why(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(capsys, "index", "pictures", "-q")
    (home / "query.jpg").write_bytes(encoded(edit("crop 50 %", picture(1), 1)))
    out, _ = called(capsys, "search", "query.jpg", "--why", "pictures/picture 001.jpg")
    assert "It was found in place 1" in out
    assert "keypoints:" in out
    out, _ = called(capsys, "search", "query.jpg", "--why", "pictures/picture 002.jpg", "--json")
    document = json.loads(out)
    assert document["why"]["stage"] in ("geometry", "recall")
    assert document["why"]["found"] is None
    identifier = document["matches"][0]["id"]
    out, _ = called(capsys, "search", "query.jpg", "--why", identifier, "--json")
    assert json.loads(out)["why"]["stage"] == "found"
    # A miss is told as well, and the exit code stays that of the search.
    (home / "other.jpg").write_bytes(encoded(picture(99)))
    out, _ = called(capsys, "search", "other.jpg", "--why", identifier, expect=1)
    assert "why pictures/picture 001.jpg" in out
    assert "no image" in called(capsys, "search", "query.jpg", "--why", "pictures/none.jpg", expect=1)[1]
    for wrong in (["--region", "0,0,9,9", "--region", "1,1,9,9"], ["--object", "1"]):
        called(capsys, "search", "query.jpg", "--why", identifier, *wrong, expect=2)
