"""A run of an evaluation: the same figures each time, however it was carried out, and nothing is changed."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import wherefrom
from tests.scenes import encoded, folder_of, picture
from wherefrom.errors import CollectionLocked, CollectionMissing, UsageError
from wherefrom.evaluate import edits, scratch, trying
from wherefrom.evaluate.edits import edit
from wherefrom.evaluate.plans import Plan
from wherefrom.evaluate.running import Run, evaluate
from wherefrom.evaluate.sampling import Subject
from wherefrom.evaluate.suites import ATTEMPTS, suite
from wherefrom.evaluate.trials import Alarm, Facts, Trial
from wherefrom.settings import Settings

PLAIN = Settings(workers=1, model="none")
EDITS = suite("default").only(["mirror", "crop 30 %", "collage 25 %", "three random edits"])


def figures(run: Run) -> Any:
    """Everything of a run that another one with its seed has to repeat."""
    facts = run.facts.as_plain()
    for name in ("started", "seconds", "machine", "bytes", "source"):
        del facts[name]
    trials = [trial.as_plain() | {"timings_ms": sorted(trial.timings_ms)} for trial in run.trials]
    alarms = [alarm.as_plain() | {"timings_ms": sorted(alarm.timings_ms)} for alarm in run.alarms]
    return facts, trials, alarms


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures, one that looks blank, one that is broken, one that is no picture."""
    folder = tmp_path_factory.mktemp("pictures") / "all"
    folder_of(folder, 7)
    (folder / "blank.png").write_bytes(encoded(Image.new("RGB", (300, 200), "grey"), "PNG"))
    (folder / "broken.jpg").write_bytes(encoded(picture(90))[:300])
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def of_folder(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    plan = Plan(EDITS, folder=str(pictures), held_out=2, jobs=1)
    return evaluate(plan, PLAIN, scratch=tmp_path_factory.mktemp("scratch"))


def test_a_folder_is_evaluated_and_everything_is_accounted_for(of_folder: Run, pictures: Path) -> None:
    facts = of_folder.facts
    names = {skip.uri.rsplit("/", 1)[1]: skip.reason for skip in facts.skipped}
    assert "notes.txt" in names
    assert "broken.jpg" in names  # whether it was to be indexed or to be held out
    held = {alarm.uri.rsplit("/", 1)[1] for alarm in of_folder.alarms}
    assert len(held) == 2 - ("broken.jpg" in held)
    assert facts.blank + len({trial.original for trial in of_folder.trials}) + len(held) + 1 >= 8
    assert len(of_folder.trials) == facts.sampled * len(EDITS.attempts)
    assert facts.edits == dict.fromkeys((attempt.edit for attempt in EDITS.attempts), facts.sampled)
    found = [trial.rank for trial in of_folder.trials]
    assert found.count(1) >= 0.9 * len(found)
    assert not any(alarm.claims for alarm in of_folder.alarms)
    assert set(of_folder.trials[0].timings_ms) == {"decode", "features", "recall", "verify", "total"}
    assert facts.features["pdq"]
    assert sum(facts.bytes.values()) > 0
    for trial in of_folder.trials:
        assert (trial.account is None) == (trial.rank is not None)
        if trial.rank is not None and trial.edit == "mirror":
            assert trial.overlap is not None
            assert trial.match_overlap is not None
            assert min(trial.overlap, trial.match_overlap) > 0.9
            assert trial.named == ("mirror",)


def test_two_processes_find_what_one_finds(of_folder: Run, pictures: Path, tmp_path: Path) -> None:
    again = evaluate(Plan(EDITS, folder=str(pictures), held_out=2, jobs=2), PLAIN, scratch=tmp_path)
    assert figures(again) == figures(of_folder)
    again.forget()
    assert list(tmp_path.iterdir()) == []


def test_everything_goes_to_json_and_back(of_folder: Run) -> None:
    import json

    def through(plain: Any) -> Any:
        return json.loads(json.dumps(plain))

    assert all(Trial.from_plain(through(trial.as_plain())) == trial for trial in of_folder.trials)
    assert all(Alarm.from_plain(through(alarm.as_plain())) == alarm for alarm in of_folder.alarms)
    assert Facts.from_plain(through(of_folder.facts.as_plain())) == of_folder.facts


def test_a_collection_is_left_byte_for_byte(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 8)
    # A copy of each of two pictures: held out with what it is a copy of, or right as well.
    for number in (0, 1):
        copy = edit("resize 50 %", picture(number))
        (tmp_path / "in" / f"copy {number}.png").write_bytes(encoded(copy, "PNG"))
    with wherefrom.open(tmp_path / "c", create=True, settings=PLAIN) as collection:
        collection.add(tmp_path / "in")
        ids = {
            name: collection.find(tmp_path / "in" / name)[0].id
            for name in ("picture 000.jpg", "picture 001.jpg", "copy 0.png", "copy 1.png")
        }
    before = contents(tmp_path / "c")
    plan = Plan(suite("default").only(["crop 70 %"]), collection=str(tmp_path / "c"), held_out=3, jobs=1)
    run = evaluate(plan, PLAIN, scratch=tmp_path / "scratch")
    assert contents(tmp_path / "c") == before
    assert len(run.alarms) == 3
    assert not any(alarm.claims for alarm in run.alarms)
    pairs = [("picture 000.jpg", "copy 0.png"), ("picture 001.jpg", "copy 1.png")]
    held = {alarm.id for alarm in run.alarms}
    tried = {trial.original: trial for trial in run.trials}
    for one, other in pairs:
        for mine, theirs in ((ids[one], ids[other]), (ids[other], ids[one])):
            if mine in held and theirs not in held:
                alarm = next(alarm for alarm in run.alarms if alarm.id == mine)
                assert alarm.duplicates == (theirs,)
                assert theirs not in tried
            elif mine in tried:
                assert tried[mine].related == (theirs,)
                assert {claim.id for claim in tried[mine].claims} == {mine, theirs}
    assert run.facts.images == 10 - 3 - sum(len(alarm.duplicates) for alarm in run.alarms)


def test_a_picture_that_kills_its_process_is_recorded_and_the_rest_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.evaluate import dying

    files = folder_of(tmp_path / "in", 5)
    monkeypatch.setattr(trying, "perform", dying.perform)
    monkeypatch.setenv(dying.WORD, files[2].name)
    plan = Plan(suite("default").only(["mirror"]), folder=str(tmp_path / "in"), held_out=0, jobs=2)
    run = evaluate(plan, PLAIN, scratch=tmp_path / "scratch")
    assert len(run.trials) == 4
    assert [skip.uri.rsplit("/", 1)[1] for skip in run.facts.skipped] == ["picture%20002.jpg"]
    assert "died" in run.facts.skipped[0].reason


def test_an_edit_that_fails_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = folder_of(tmp_path / "in", 1)
    with wherefrom.open(tmp_path / "c", create=True, settings=PLAIN) as collection:
        collection.add(file)
        subject = Subject(1, collection.find(file)[0].id, file.as_uri(), str(file))

    def failing(*_: object) -> None:
        raise ZeroDivisionError("nothing")

    bench = trying.Bench(str(tmp_path / "c"), PLAIN)
    monkeypatch.setitem(edits.EDITS, "mirror", failing)
    outcome = bench.perform(trying.Task(subject, ("mirror", "grey"), 0))
    assert [trial.edit for trial in outcome.trials] == ["grey"]
    assert outcome.failed == (
        (subject.uri, "The edit 'mirror' could not be tried: ZeroDivisionError: nothing."),
    )
    file.write_bytes(encoded(picture(5)))
    assert bench.perform(trying.Task(subject, ("grey",), 0)).failed == (
        (subject.uri, "Its file has changed since it was indexed."),
    )
    file.unlink()
    assert "No such file" in bench.perform(trying.Task(subject, ("grey",), 0)).failed[0][1]
    bench.close()


def test_large_originals_are_reduced_and_the_truth_is_told_in_their_own_pixels(tmp_path: Path) -> None:
    big = picture(3, 2400, 1800)
    source = trying.source_of(encoded(big), PLAIN.limits)
    assert source.size == (2400, 1800)
    assert max(source.image.size) == trying.LONGEST
    done = trying.edited_source(ATTEMPTS["mirror"], source, 0, (), PLAIN.limits)
    assert done.transform is not None
    corner = done.transform @ [2400, 1800, 1]
    assert corner[0] / corner[2] == pytest.approx(0, abs=1e-6)
    assert corner[1] / corner[2] == pytest.approx(source.image.height)
    assert "scale" in done.names
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    big.save(turned, "JPEG", exif=exif)
    assert trying.source_of(turned.getvalue(), PLAIN.limits).image.size == (960, 1280)


def test_what_is_of_no_use_is_refused(tmp_path: Path) -> None:
    for plan, words in (
        (Plan(EDITS, sample=0), "at least 1"),
        (Plan(EDITS, held_out=-1), "held out"),
        (Plan(EDITS, jobs=-1), "processes"),
        (Plan(EDITS, folder="a", collection="b"), "not both"),
        (Plan(EDITS, folder=str(tmp_path / "none")), "no folder"),
    ):
        with pytest.raises(UsageError, match=words):
            evaluate(plan, PLAIN, scratch=tmp_path / "scratch")
    with pytest.raises(CollectionMissing):
        evaluate(Plan(EDITS, collection=str(tmp_path / "none")), PLAIN, scratch=tmp_path / "scratch")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "notes.txt").write_text("no picture")
    with pytest.raises(UsageError, match="None of the 1 file"):
        evaluate(Plan(EDITS, folder=str(tmp_path / "words")), PLAIN, scratch=tmp_path / "scratch")
    with wherefrom.open(tmp_path / "empty", create=True, settings=PLAIN):
        pass
    with pytest.raises(UsageError, match="empty"):
        evaluate(Plan(EDITS, collection=str(tmp_path / "empty")), PLAIN, scratch=tmp_path / "scratch")


def test_the_same_evaluation_runs_once_at_a_time(tmp_path: Path) -> None:
    place = tmp_path / "scratch" / "run"
    with scratch.kept(place, fresh=False):
        with pytest.raises(CollectionLocked, match="running already"), scratch.kept(place, fresh=True):
            pass
        assert place.is_dir()  # a fresh start takes nothing from under the one that runs
    with scratch.kept(place, fresh=False):
        pass


# Stopped and resumed


def journal_of(caches: Path) -> Path | None:
    return next((caches / "wherefrom" / "evaluate").glob("*/journal"), None)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on_and_finds_the_same(
    of_folder: Run, pictures: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    names = [attempt.edit for attempt in EDITS.attempts]
    command = [sys.executable, "-m", "wherefrom.cli.main", "evaluate", str(pictures), "--jobs", "1"]
    command += ["--held-out", "2", *(part for name in names for part in ("--edits", name))]
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        "WHEREFROM_MODEL": "none",
        "WHEREFROM_WORKERS": "1",
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        until = time.monotonic() + 120
        while (journal := journal_of(tmp_path)) is None or journal.read_bytes().count(b"\n") < 2:
            assert started.poll() is None, started.communicate()
            assert time.monotonic() < until
            time.sleep(0.005)  # what is left takes longer, also on a machine that is busy
        started.send_signal(ending)
        _, said = started.communicate(timeout=60)
    if ending is signal.SIGINT:
        assert started.returncode == 130
        assert "goes on from here" in said
        assert "Traceback" not in said
    done = journal.read_bytes().count(b"\n")
    with journal.open("ab") as file:
        file.write(b'{"key": "original sha256:torn')
    caches = tmp_path / "wherefrom" / "evaluate"
    plan = Plan(EDITS, folder=str(pictures), held_out=2, jobs=1)
    told: list[tuple[str, int, int, int]] = []
    run = evaluate(plan, PLAIN, scratch=caches, told=lambda *said: told.append(said))
    assert run.resumed >= min(done, 2)
    assert figures(run) == figures(of_folder)
    # What was finished was not done again.
    assert max(before for _, _, before, _ in told) >= 1
    run.forget()
    assert journal_of(tmp_path) is None
    shutil.rmtree(caches)


def test_another_seed_or_sample_is_another_run(pictures: Path, tmp_path: Path) -> None:
    names = set()
    for plan in (
        Plan(EDITS, folder=str(pictures)),
        Plan(EDITS, folder=str(pictures), seed=1),
        Plan(EDITS, folder=str(pictures), sample=7),
        Plan(EDITS, folder=str(pictures), held_out=3),
        Plan(suite("quick"), folder=str(pictures)),
    ):
        names.add(scratch.digest(plan, PLAIN, "content"))
    plan = Plan(EDITS, folder=str(pictures))
    names.add(scratch.digest(plan, PLAIN, "other content"))
    names.add(scratch.digest(plan, Settings(workers=1, model="none", keypoints=100), "content"))
    assert len(names) == 7
    # How many processes there are decides nothing.
    assert scratch.digest(Plan(EDITS, folder=str(pictures), jobs=5), PLAIN, "content") in names
