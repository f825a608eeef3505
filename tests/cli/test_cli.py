"""The command line as a user meets it: real processes, exit codes, JSON, sentences."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from tests.scenes import encoded, folder_of, grained, picture
from wherefrom.cli import demonstration
from wherefrom.cli.main import commands, run
from wherefrom.errors import Exit
from wherefrom.version import __version__


def wherefrom(
    *arguments: object, cwd: Path, expect: int = 0, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "wherefrom.cli.main", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def called(capsys: pytest.CaptureFixture[str], *arguments: object, expect: int = 0) -> tuple[str, str]:
    """Run the command in this process: quicker; gives stdout and stderr."""
    code = run([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert code == expect, output
    return output.out, output.err


def document(capsys: pytest.CaptureFixture[str], *arguments: object, expect: int = 0) -> Any:
    return json.loads(called(capsys, *arguments, "--json", expect=expect)[0])


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `home` is at first, kept beside it: indexing takes far longer than copying."""
    root = tmp_path_factory.mktemp("cli")
    folder_of(root / "home" / "pictures", 6)
    (root / "home" / "pictures" / "notes.txt").write_text("not a picture")
    with contextlib.chdir(root / "home"):
        assert run(["index", "pictures", "-q"]) == Exit.OK
    return shutil.copytree(root / "home", root / "kept")


@pytest.fixture
def home(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A present folder with six pictures, indexed: always the same, put back as it was."""
    path = indexed.with_name("home")
    shutil.rmtree(path)
    shutil.copytree(indexed, path)  # with the times of the files, by which they are known
    monkeypatch.chdir(path)
    return path


def test_the_main_job_in_processes_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHEREFROM_WORKERS", "2")
    files = folder_of(tmp_path / "Büro 写真", 3)
    (tmp_path / "Büro 写真" / "cut.jpg").write_bytes(files[0].read_bytes()[:600])
    first = wherefrom("index", "Büro 写真", "--json", cwd=tmp_path, expect=Exit.SOME_FAILED)
    report = json.loads(first.stdout)
    assert (report["offered"], report["added"], report["known"]) == (4, 3, 0)
    assert report["skipped"] == []
    (failed,) = report["failed"]
    assert failed["uri"].startswith("file:///")
    assert (failed["code"], bool(failed["reason"])) == ("truncated", True)
    assert report["seconds"] > 0
    (tmp_path / "query.png").write_bytes(encoded(ImageOps.mirror(picture(1)), "PNG"))
    found = wherefrom("search", "query.png", cwd=tmp_path)
    assert "mirrored" in found.stdout
    assert "Büro 写真/picture 001.jpg" in found.stdout
    assert wherefrom("search", "nothing.png", cwd=tmp_path, expect=Exit.PICTURE).stdout == ""


def test_search_prints_json_and_exits_like_grep(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "query.png").write_bytes(encoded(ImageOps.mirror(picture(1)), "PNG"))
    (home / "other.png").write_bytes(encoded(picture(77), "PNG"))
    answer = document(capsys, "search", "query.png")
    assert answer["matches"][0]["kind"] == "copy"
    nothing = document(capsys, "search", "other.png", expect=Exit.NOTHING_FOUND)
    assert nothing["matches"] == []
    assert nothing["query"]["notes"]
    out, err = called(capsys, "search", "other.png", expect=Exit.NOTHING_FOUND)
    assert (out, "No match among" in err) == ("", True)
    assert (
        document(capsys, "search", "query.png", "--kinds", "same", expect=Exit.NOTHING_FOUND)["matches"] == []
    )
    assert len(document(capsys, "search", "query.png", "--region", "0,0,400,300")["matches"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["search", "pictures/notes.txt"], Exit.PICTURE, "a text file; only pictures are read"),
        (["compare", "pictures", "pictures"], Exit.PICTURE, "pictures: this is a folder"),
        (["search", "pictures/picture 001.jpg", "--limit", "0"], Exit.USAGE, "limit"),
        (["search", "pictures/picture 001.jpg", "--kinds", "eaual"], Exit.USAGE, "eaual"),
        (["search", "pictures/picture 001.jpg", "--region", "1,2"], Exit.USAGE, "LEFT,TOP,RIGHT,BOTTOM"),
        (["search", "pictures/picture 001.jpg", "--region", "0,0,9,9", "--region", "1"], Exit.USAGE, "'1'"),
        (["search", "pictures/picture 001.jpg", "--region", "0,0,900,9"], Exit.USAGE, "400 × 300"),
        (["search", "pictures/picture 001.jpg", "--min-score", "101"], Exit.USAGE, "0 to 100"),
        (["search", "pictures/picture 001.jpg", "--min-score", "high"], Exit.USAGE, "high"),
        (["search", "pictures/picture 001.jpg", "--precision", "99"], Exit.USAGE, "0.5 to 0.9999"),
        (["search", "pictures/picture 001.jpg", "--precision", "1"], Exit.USAGE, "0.5 to 0.9999"),
        (["search", "x.jpg", "--precision", "0.9", "--min-score", "9"], Exit.USAGE, "one of"),
        (["search", "pictures/picture 001.jpg", "--draw", "pictures/notes.txt"], Exit.USAGE, "no folder"),
        (["compare", "x.jpg", "y.jpg", "--draw", "proof.bmp"], Exit.USAGE, ".png, .jpg"),
        (["compare", "x.jpg", "y.jpg", "--draw", "proof"], Exit.USAGE, ".png, .jpg"),
        (["compare", "x.jpg", "y.jpg", "--draw", "nowhere/proof.png"], Exit.USAGE, "folder nowhere"),
        (["compare", "x.jpg", "y.jpg", "--how", "warped"], Exit.USAGE, "--draw"),
        (["compare", "x.jpg", "y.jpg", "--draw", "a.png", "--how", "upside"], Exit.USAGE, "upside"),
        (["search", "pictures/picture 001.jpg", "-c", "nowhere"], Exit.COLLECTION, "wherefrom index"),
        (["search", "pictures/picture 001.jpg", "-c", "pictures/notes.txt"], Exit.COLLECTION, "directory"),
        (["index", "pictures", "-c", "pictures"], Exit.COLLECTION, "other files"),
        (["show", "pictures/nothing.jpg"], Exit.NOTHING_FOUND, "no image"),
        (["remove", "sha256:12"], Exit.USAGE, "64 hex digits"),
        (["duplicates", "--csv", "--json"], Exit.USAGE, "one of"),
        (["search", "http://127.0.0.1/x.jpg"], Exit.PICTURE, "is this machine"),
        (["serach"], Exit.USAGE, "serach"),
        (["search"], Exit.USAGE, "IMAGE"),
        (["index"], Exit.USAGE, "PATH"),
        (["index", "pictures", "--nonsense"], Exit.USAGE, "nonsense"),
    ],
)
def test_wrong_calls_end_in_a_sentence_and_a_code(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: Exit, word: str
) -> None:
    out, err = called(capsys, *arguments, expect=code)
    assert word in err
    assert out == "" or "--json" in arguments


def test_errors_are_json_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = document(capsys, "search", "pictures/notes.txt", expect=Exit.PICTURE)
    assert failed["error"]["code"] == "not-a-picture"


def test_compare(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "turned.png").write_bytes(encoded(picture(1).rotate(-90, expand=True), "PNG"))
    out, _ = called(capsys, "compare", "turned.png", "pictures/picture 001.jpg")
    assert "copy" in out
    assert "turned 90°" in out
    match = document(capsys, "compare", "turned.png", "pictures/picture 001.jpg")["match"]
    assert match["evidence"]["edits"][0] == {"name": "rotate", "amount": 90.0, "area": None}
    nothing = document(capsys, "compare", "turned.png", "pictures/picture 002.jpg", expect=Exit.NOTHING_FOUND)
    assert nothing == {"match": None}


def test_a_comparison_is_told_in_words_with_its_proof(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = ImageOps.mirror(picture(1)).crop((0, 0, 300, 200))
    (home / "part.png").write_bytes(encoded(edited, "PNG"))
    out, err = called(capsys, "compare", "part.png", "pictures/picture 001.jpg")
    first, *edits, proof = out.splitlines()
    assert first.startswith("copy, score ")
    assert edits == ["  mirrored", "  cropped by 50 %"]
    assert "keypoints that agree" in proof
    assert err == ""
    out, _ = called(capsys, "compare", "part.png", "part.png")
    assert out.splitlines() == [
        "identical, score 100.0",
        "  nothing changed",
        "known by its bytes, which are equal",
    ]


@pytest.mark.parametrize(
    ("how", "name", "mode"),
    [
        ([], "proof.png", "RGB"),
        (["--how", "side"], "proof.JPG", "RGB"),
        (["--how", "warped"], "proof.png", "RGBA"),
        (["--how", "warped"], "proof.jpeg", "RGB"),
        (["--how", "difference"], "proof.webp", "RGB"),
    ],
)
def test_compare_draws(
    home: Path, capsys: pytest.CaptureFixture[str], how: list[str], name: str, mode: str
) -> None:
    (home / name).write_text("written over")
    (home / "part.png").write_bytes(encoded(picture(1).crop((100, 0, 400, 300)), "PNG"))
    _, err = called(capsys, "compare", "part.png", "pictures/picture 001.jpg", "--draw", name, *how)
    assert name in err
    with Image.open(home / name) as drawn:
        assert drawn.mode == mode
        assert (drawn.size == (300, 300)) == ("warped" in how or "difference" in how)


def test_there_is_nothing_to_draw_of_different_pictures(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ("pictures/picture 001.jpg", "pictures/picture 002.jpg")
    _, err = called(capsys, "compare", *pair, "--draw", "proof.png", expect=Exit.NOTHING_FOUND)
    assert "nothing to draw" in err
    assert not (home / "proof.png").exists()


def test_search_tells_the_edits_within_80_columns(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey = ImageOps.mirror(picture(1)).convert("L").convert("RGB")
    grey = ImageOps.expand(grey, 40, "white").resize((240, 190))
    (home / "query.png").write_bytes(encoded(grey, "PNG"))
    out, _ = called(capsys, "search", "query.png")
    heading, line, *below = out.splitlines()
    place = heading.index("picture")
    assert line[:place].split()[0] == "copy"
    assert line[place:].startswith("400×300 jpeg")
    assert line.endswith("pictures/picture 001.jpg")
    assert all(one.startswith(" " * place) and len(one) <= 80 for one in below)
    said = " ".join(one.strip() for one in below)
    assert "mirrored; " in said
    assert "a border added: " in said
    assert "colours removed" in said


def test_how_sure_matches_have_to_be(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "query.png").write_bytes(encoded(ImageOps.mirror(picture(1)), "PNG"))
    score = document(capsys, "search", "query.png")["matches"][0]["score"]
    assert 90 < score < 99.99
    for wish in (["--min-score", score], ["--min-score", 0], ["--precision", "0.9"]):
        assert len(document(capsys, "search", "query.png", *wish)["matches"]) == 1
    for wish in (["--min-score", 100], ["--precision", "0.9999"]):
        answer = document(capsys, "search", "query.png", *wish, expect=Exit.NOTHING_FOUND)
        assert "of kind copy" in answer["query"]["notes"][-1]


def test_several_regions_get_an_answer_each(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = Image.new("RGB", (1200, 300))
    for place, seed in enumerate((1, 77, 2)):
        wide.paste(picture(seed), (400 * place, 0))
    (home / "wide.png").write_bytes(encoded(wide, "PNG"))
    regions = [word for left in (0, 400, 800) for word in ("--region", f"{left},0,{left + 400},300")]
    answers = document(capsys, "search", "wide.png", *regions)["answers"]
    assert [answer["region"][0] for answer in answers] == [0, 400, 800]
    assert [len(answer["matches"]) for answer in answers] == [1, 0, 1]
    assert "answers" not in document(capsys, "search", "wide.png", *regions[:2])
    out, err = called(capsys, "search", "wide.png", *regions)
    titles = [line for line in out.splitlines() if line.startswith("region")]
    assert titles == ["region 0,0,400,300", "region 800,0,1200,300"]
    assert "region 400,0,800,300" in err
    assert "No match among" in err
    called(capsys, "search", "wide.png", *regions[2:4], expect=Exit.NOTHING_FOUND)


def test_search_draws_every_match_that_is_at_hand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "again.jpg").write_bytes(encoded(picture(1).resize((300, 225))))
    called(capsys, "index", "again.jpg", "-q")
    (home / "again.jpg").unlink()
    (home / "query.png").write_bytes(encoded(ImageOps.mirror(picture(1)), "PNG"))
    out, err = called(capsys, "search", "query.png", "--draw", "proofs/new")
    assert "picture 001.jpg" in out
    (drawn,) = (home / "proofs" / "new").iterdir()
    assert drawn.name.endswith("copy picture 001.png")
    assert "1 drawing in proofs/new." in err
    assert "again.jpg" in err
    with Image.open(drawn) as image:
        assert image.format == "PNG"
    image_id = document(capsys, "show", "pictures/picture 001.jpg")[0]["id"]
    parts = ["--region", "0,0,400,300", "--region", "0,0,300,300"]
    called(capsys, "search", image_id, "--draw", "of id", *parts)
    assert {file.name[:9] for file in (home / "of id").iterdir()} == {"region 1,", "region 2,"}
    (home / "other.png").write_bytes(encoded(picture(77), "PNG"))
    called(capsys, "search", "other.png", "--draw", "none", expect=Exit.NOTHING_FOUND)
    assert not (home / "none").exists()


def test_show_remove_check_rebuild(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (image,) = document(capsys, "show", "pictures/picture 001.jpg")
    out, _ = called(capsys, "show", image["id"])
    assert "pictures/picture 001.jpg" in out
    assert document(capsys, "check") == {"clean": True, "problems": [], "images": 6}
    assert document(capsys, "remove", image["id"], "pictures/picture 002.jpg") == {"removed": 2}
    called(capsys, "remove", image["id"], expect=Exit.NOTHING_FOUND)
    assert document(capsys, "rebuild") == {"images": 4, "lost": []}
    assert document(capsys, "check")["images"] == 4
    assert "Rebuilt for 4 images" in called(capsys, "rebuild")[1]


def test_duplicates_in_three_forms(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called(capsys, "duplicates", expect=Exit.NOTHING_FOUND)
    (home / "pictures" / "picture 001.jpg").write_bytes(encoded(grained(1)))
    (home / "pictures" / "again, smaller.png").write_bytes(encoded(grained(1).resize((200, 150)), "PNG"))
    called(capsys, "index", "pictures", "-q")
    (group,) = document(capsys, "duplicates")["groups"]
    assert group["keep"]["why"] == "largest: 400 × 300"
    rows = list(csv.DictReader(io.StringIO(called(capsys, "duplicates", "--csv")[0])))
    assert [row["suggestion"] for row in rows] == ["keep", "spare"]
    assert rows[1]["uri"].endswith("again,%20smaller.png")
    out, err = called(capsys, "duplicates", "--upright")
    assert "pictures/again, smaller.png" in out
    assert "1 group; 1 file could go" in err
    assert "could go: the source is larger and shows more detail" in " ".join(out.split())


def test_verbose_index_tells_each_outcome(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(home / "pictures", 2, first=50)
    _, err = called(capsys, "index", "pictures", "-v")
    lines = err.splitlines()
    assert sum(line.startswith("added file:///") for line in lines) == 2
    assert sum(line.startswith("known file:///") for line in lines) == 6
    assert sum(line.startswith("skipped file:///") for line in lines) == 1


def test_prune(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "pictures" / "picture 003.jpg").unlink()
    assert document(capsys, "index", "pictures", "--prune", "-q")["gone"] == 1
    assert document(capsys, "show", "pictures/picture 003.jpg")[0]["sightings"][0]["gone"]


def test_the_collection_can_be_named_in_the_environment(home: Path) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    named = {"WHEREFROM_COLLECTION": str(home / "photos.wherefrom")}
    wherefrom("search", home / "pictures" / "picture 001.jpg", cwd=elsewhere, environment=named)
    wrong = wherefrom("check", cwd=home, expect=Exit.USAGE, environment={"WHEREFROM_WORKERS": "many"})
    assert "WHEREFROM_WORKERS" in wrong.stderr


def test_interrupting_stops_cleanly_and_the_next_run_carries_on(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    data = encoded(picture(1))
    for number in range(600):  # enough that the first commit comes long before the end
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(data + b"%d" % number)
    process = subprocess.Popen(
        [sys.executable, "-m", "wherefrom.cli.main", "index", "pictures", "--json", "-v"],
        cwd=tmp_path,
        env={**os.environ, "WHEREFROM_WORKERS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stdout is not None
        while not (first := process.stderr.readline()).startswith("added"):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        report = json.loads(process.stdout.read())
    assert process.returncode == Exit.INTERRUPTED
    assert "Traceback" not in err
    assert report["interrupted"]
    named = {line.rpartition("/")[2] for line in (first + err).splitlines() if line.startswith("added ")}
    assert len(named) == report["added"]
    left = [file for file in (tmp_path / "pictures").iterdir() if file.name not in named]
    assert len(left) > 50
    for file in left[50:]:  # fifty more show as well as hundreds that it carries on
        file.unlink()
    again = json.loads(wherefrom("index", "pictures", "--json", "-q", cwd=tmp_path).stdout)
    assert again["known"] == report["added"]
    assert again["added"] == 50
    wherefrom("check", cwd=tmp_path)


def test_a_second_writer_is_told_who_the_first_is_and_waits(home: Path) -> None:
    import wherefrom as library

    with library.open(home / "photos.wherefrom") as photos:
        photos.add(encoded(picture(200)))
        waiting = subprocess.Popen(
            [sys.executable, "-m", "wherefrom.cli.main", "index", "pictures"],
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
        assert f"process ({os.getpid()}, " in said, said
        assert "Waiting for it to let go" in said
        wherefrom("search", "pictures/picture 001.jpg", cwd=home)
        assert waiting.poll() is None
    _, rest = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, rest


def test_a_closed_pipe_is_no_error(home: Path) -> None:
    command = f"{sys.executable} -m wherefrom.cli.main show 'pictures/picture 001.jpg' | true"
    done = subprocess.run(["bash", "-c", command], cwd=home, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert __version__ in called(capsys, "--version")[0]
    assert "Exit codes" in called(capsys, "--help")[0]
    for name in commands.commands:
        out, _ = called(capsys, name, "--help")
        assert "Usage" in out
    out, err = called(capsys, expect=Exit.USAGE)
    assert "Usage" in out + err


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a third of the photographs; what is found of many is for the quality gate and the benchmarks."""
    pytest.importorskip("skimage")
    few = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
    assert set(few) < set(demonstration._PHOTOGRAPHS)
    monkeypatch.setattr(demonstration, "_PHOTOGRAPHS", few)
    result = document(capsys, "demo", "--keep", tmp_path / "demo", expect=Exit.OK)
    assert result["wrong"] == 0
    assert result["searched"] == len(few) * len(demonstration._EDITS)
    assert result["found"] >= 0.97 * result["searched"]
    for row in result["edits"]:
        assert row["found"] >= row["searched"] - 1, row
    assert (tmp_path / "demo" / "edited" / "coffee mirror.jpg").is_file()
