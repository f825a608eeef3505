"""The doctor: planted conditions are found, each with its cure; sound ones are not; nothing is changed."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wherefrom
from tests.scenes import folder_of
from wherefrom.cli.main import run
from wherefrom.doctor import Level, chosen, examine, installed, kept, machine, speed
from wherefrom.doctor.findings import Finding
from wherefrom.doctor.machine import Disk, Machine
from wherefrom.errors import Exit
from wherefrom.models.store import default_directory
from wherefrom.settings import Settings


@pytest.fixture(scope="module")
def made(default_model: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound collection of four images."""
    home = tmp_path_factory.mktemp("doctor")
    folder_of(home / "pictures", 4)
    with wherefrom.open(home / "photos.wherefrom", create=True) as photos:
        photos.add(home / "pictures")
        photos.rebuild()  # which puts the indexes on the disk, small as they are
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A present folder with a copy of that collection, and an environment that says nothing."""
    import shutil

    monkeypatch.setenv("WHEREFROM_MODELS", str(default_directory()))
    for name in [name for name in os.environ if name.startswith("WHEREFROM_") and name != "WHEREFROM_MODELS"]:
        monkeypatch.delenv(name)
    shutil.copytree(made / "photos.wherefrom", tmp_path / "photos.wherefrom")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def codes(findings: Iterator[Finding] | tuple[Finding, ...] | list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def a_machine(**changes: Any) -> Machine:
    plain = Machine(
        cores=4,
        allowed=4,
        quota=None,
        load=0.5,
        processor="A processor",
        simd=("avx2", "avx512_vnni"),
        memory=8 * 10**9,
        available=6 * 10**9,
        memory_limit=None,
        swapped=0,
        temporary="/tmp",
        temporary_free=10**10,
    )
    return replace(plain, **changes)


# The whole


def test_a_sound_collection_is_told_so_and_left_as_it_was(home: Path) -> None:
    before = snapshot(home)
    seen = examine(measured=False)
    assert not [finding for finding in seen.findings if finding.level is Level.BROKEN]
    assert seen.exit == Exit.OK
    assert (seen.collection.images, seen.collection.sightings, seen.collection.problems) == (4, 4, [])
    assert seen.collection.checked == "every row"
    assert seen.collection.room is not None
    assert seen.collection.room > 0
    assert set(seen.collection.versions) >= {"pdq", "keypoints"}
    assert snapshot(home) == before


def test_no_network_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the doctor went to the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert examine(measured=True).exit == Exit.OK


def test_the_steps_are_measured(home: Path) -> None:
    times = examine().speed
    assert times is not None
    assert {step for step, ms in times.ms.items() if ms is not None} >= set(speed.USUAL) - {"embedding"}
    assert all(ms > 0 for ms in times.ms.values() if ms is not None)
    assert times.per_second


def test_as_json_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--quick", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert told["sound"] is True
    assert told["collection"]["images"] == 4
    assert told["speed"] is None
    assert {"wherefrom", "python", "numpy", "sqlite", "onnxruntime"} <= set(told["installed"]["versions"])
    assert all({"code", "level", "what", "cure"} == set(one) for one in told["findings"])


def test_in_words_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--quick"]) == Exit.OK
    told = capsys.readouterr().out
    for heading in ("Installed", "Machine", "Settings", "Collection", "Speed", "No problems"):
        assert heading in told
    assert "4 images in 4 places" in told


def test_nothing_there_yet_is_no_fault_unless_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WHEREFROM_COLLECTION", raising=False)
    assert run(["doctor", "--quick"]) == Exit.OK
    assert "wherefrom index FOLDER" in " ".join(capsys.readouterr().out.split())
    assert run(["doctor", "--quick", "-c", "nowhere.wherefrom"]) == Exit.COLLECTION
    assert "wherefrom index FOLDER -c" in " ".join(capsys.readouterr().out.split())
    assert not list(tmp_path.iterdir())


# Collections


def test_a_damaged_catalog_cannot_be_used(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "photos.wherefrom" / "catalog.sqlite"
    file.write_bytes(b"not a database " * 5000)
    assert run(["doctor", "--quick"]) == Exit.COLLECTION
    told = capsys.readouterr().out
    assert "broken:" in told
    assert "damaged" in told


@pytest.mark.parametrize("folder", ["hamming", "words", "palettes"])
def test_damage_of_an_index_is_found_and_its_cure_works(home: Path, folder: str) -> None:
    files = [one for one in (home / "photos.wherefrom" / folder).rglob("*") if one.is_file()]
    for file in files:
        data = bytearray(file.read_bytes())
        for place in range(0, len(data), 7):
            data[place] ^= 0x5A
        file.write_bytes(data)
    seen = examine(measured=False)
    assert "damaged" in codes(seen.findings)
    assert seen.exit == Exit.COLLECTION
    with wherefrom.open(home / "photos.wherefrom") as photos:
        photos.rebuild()
    assert examine(measured=False).exit == Exit.OK


def test_a_large_collection_is_sampled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "CHECKED_IN_FULL", 0)
    seen = examine(measured=False)
    assert (seen.exit, seen.collection.problems) == (Exit.OK, [])
    assert "wherefrom check" in seen.collection.checked
    for file in (home / "photos.wherefrom" / "palettes").rglob("*"):
        file.write_bytes(b"\0" * 10)
    assert "damaged" in codes(examine(measured=False).findings)


def test_features_of_another_model(home: Path) -> None:
    seen = examine(measured=False, environment={"WHEREFROM_MODEL": "none"})
    assert {"features-differ", "setting-model"} <= codes(seen.findings)
    assert seen.exit == Exit.OK  # copies are found as ever


def test_a_directory_that_cannot_be_written_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("wherefrom.doctor.machine.tempfile.TemporaryFile", refuse)
    seen = examine(measured=False)
    assert "unwritable" in codes(seen.findings)
    assert seen.collection.disk is not None
    assert seen.collection.disk.locks is None
    assert seen.exit == Exit.OK


def test_who_is_writing_is_told(home: Path) -> None:
    with wherefrom.open(home / "photos.wherefrom") as photos:
        photos.add(home / "missing-folder.jpg")
        writer = examine(measured=False).collection.writer
    assert writer is not None
    assert str(os.getpid()) in writer
    assert examine(measured=False).collection.writer is None


def test_files_that_were_refused_for_want_of_a_decoder(home: Path) -> None:
    found = kept.Kept("x", refused={"missing-extra": 12, "too-large": 1, "not-a-picture": 3})
    told = list(kept._of_refusals(found))
    assert codes(told) == {"skipped-for-extras", "skipped-for-size"}
    assert "wherefrom[formats]" in told[0].cure
    assert "12 files" in told[0].what


def test_room_on_the_disk_and_in_memory() -> None:
    sizes = {"catalog": 10**9, "hamming": 10**9, "words": 3 * 10**9}
    disk = Disk("ext4", "/", 10**8, True, True, True)
    found = kept.Kept("x", images=10**6, bytes=sizes, disk=disk)
    assert codes(kept._of_disk(found, Path("x"))) == {"disk-full"}
    assert codes(kept._of_memory(found, a_machine(available=2 * 10**9))) == {"memory"}
    assert not codes(kept._of_memory(found, a_machine()))
    assert found.room == 7_200  # 36 MB beside the log, in images of 5 kB


# Settings


def test_a_wrong_settings_file_is_told_and_all_else_still_looked_at(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "wherefrom.toml").write_text("wrokers = 3\n")
    assert run(["doctor", "--quick", "--json"]) == Exit.USAGE
    told = json.loads(capsys.readouterr().out)
    assert told["findings"][0]["code"] == "settings"
    assert "wrokers" in told["settings"]["error"]
    assert told["collection"]["images"] == 4


def test_a_settings_file_that_overrides(home: Path) -> None:
    (home / "wherefrom.toml").write_text("keypoints = 40\nmax_pixels = 1000\nworkers = 1\n")
    picked = chosen.read_chosen({})
    assert picked.file == str(home / "wherefrom.toml")
    assert picked.stated["keypoints"] == ("40", str(home / "wherefrom.toml"))
    found = list(chosen.findings(picked, 4.0, {}))
    assert codes(found) == {"setting-keypoints", "setting-max-pixels", "setting-workers"}
    assert all(str(home / "wherefrom.toml") in finding.what for finding in found)


def test_a_slip_in_the_environment(home: Path) -> None:
    environment = {"WHEREFROM_WORKER": "2", "WHEREFROM_MODELS": "/x", "WHEREFROM_SOMETHING_ELSE": "1"}
    found = list(chosen.findings(chosen.read_chosen(environment), 4.0, environment))
    assert [finding.code for finding in found] == ["unknown-setting"]
    assert "WHEREFROM_WORKERS" in found[0].cure


def test_no_secret_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {
        "WHEREFROM_COLLECTION": "milvus://ada:hunter2@example.org/photos",
        "WHEREFROM_TOKEN": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
    }
    seen = examine(measured=False, environment=environment)
    assert "hunter2" not in json.dumps(chosen.read_chosen(environment).as_json())
    assert "hunter2" not in json.dumps([finding.as_json() for finding in seen.findings])
    assert "hunter2" not in json.dumps(seen.as_json())
    assert chosen.shown("api_key", "abc") == "(not shown)"
    assert chosen.shown("keypoints", "176") == "176"


# What is installed


def test_a_missing_extra(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from wherefrom.picture import extras

    monkeypatch.setattr(extras, "installed", lambda extra: extra != "heic")
    assert run(["doctor", "--quick"]) == Exit.OK
    assert "HEIC (pip install 'wherefrom[heic]')" in capsys.readouterr().out
    formats = {one["name"]: one["read"] for one in installed.read_installed(Settings()).formats}
    assert (formats["heic"], formats["jpeg"], formats["psd"]) == (False, True, False)


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    there = installed.read_installed(Settings(model="none"))
    monkeypatch.setattr(installed, "_importable", lambda name: name != "numba")
    lacking = replace(there, versions=there.versions | {"numba": None})
    (finding,) = [one for one in installed._of_libraries(lacking) if one.code == "missing-library"]
    assert (finding.level, finding.exit) == (Level.BROKEN, Exit.USAGE)
    assert "numba" in finding.what


def test_models_that_cannot_be_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = installed.read_installed(Settings(model="no-such-model"))
    assert there.model["state"] == "unusable"
    found = list(installed.findings(there, Settings(), a_machine()))
    assert "model" in codes(found)
    there = installed.read_installed(Settings())
    found = list(installed.findings(there, Settings(device="cuda"), a_machine(simd=("avx2",))))
    wanted = {"no-accelerator"} if "CUDAExecutionProvider" not in there.providers else set()
    assert wanted <= codes(found)


def test_a_processor_without_what_makes_8_bits_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wherefrom.doctor.installed.platform.machine", lambda: "x86_64")
    there = replace(installed.read_installed(Settings()), numpy_simd=[])
    found = codes(installed.findings(there, Settings(), a_machine(simd=("avx2",))))
    assert {"no-vnni", "numpy-without-simd"} <= found
    there = replace(there, numpy_simd=["X86_V3"])
    assert not {"no-vnni", "numpy-without-simd"} & codes(installed.findings(there, Settings(), a_machine()))


def test_compiled_scans_that_cannot_be_made_or_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = installed.read_installed(Settings(model="none"))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert "no-compiler" in codes(installed.findings(there, Settings(), a_machine()))
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    monkeypatch.setattr(installed, "_writable", lambda _: False)
    assert "kernels-not-kept" in codes(installed.findings(there, Settings(), a_machine()))


# The machine


def rooted(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def test_limits_of_a_control_group(tmp_path: Path) -> None:
    root = rooted(
        tmp_path,
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/a/b/memory.max": "1000000000\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "proc/meminfo": "MemTotal: 8000000 kB\nSwapTotal: 4000000 kB\nSwapFree: 0 kB\n",
            "proc/cpuinfo": "model name\t: A processor\nflags\t\t: sse2 avx2 avx_vnni\n",
        },
    )
    seen = machine.read_machine(root)
    assert (seen.quota, seen.memory_limit, seen.processor) == (1.5, 10**9, "A processor")
    assert (seen.simd, seen.swapped, seen.memory) == (("avx2", "avx_vnni"), 4_096_000_000, 8_192_000_000)
    assert "cores-limited" in codes(machine.findings(seen, 4))
    assert not {"cores-limited"} & codes(machine.findings(seen, 2))


def test_limits_of_an_old_control_group(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/x\n6:memory:/x\n",
        "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n",
        "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "500000000\n",
    }
    seen = machine.read_machine(rooted(tmp_path, files))
    assert (seen.quota, seen.memory_limit) == (0.5, 500_000_000)


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    seen = machine.read_machine(tmp_path)
    assert (seen.quota, seen.memory, seen.simd, seen.processor) == (None, None, (), "")
    assert not {"no-avx2", "swapping", "cores-limited"} & codes(machine.findings(seen, seen.allowed))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"allowed": 2}, "cores-pinned"),
        ({"load": 30.0}, "busy"),
        ({"simd": ("asimd",)}, "no-avx2"),
        ({"swapped": 5 * 10**9}, "swapping"),
        ({"temporary_free": 10**6}, "small-tmp"),
    ],
)
def test_what_makes_a_machine_slow(changes: dict[str, Any], code: str) -> None:
    assert code in codes(machine.findings(a_machine(**changes), 2))
    assert code not in codes(machine.findings(a_machine(), 2))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("nfs4", "network-disk"),
        ("fuse.sshfs", "network-disk"),
        ("tmpfs", "passing-disk"),
        ("overlay", "container-layer"),
        ("ext4", None),
    ],
)
def test_file_systems(tmp_path: Path, kind: str, code: str | None) -> None:
    folder = tmp_path / "data with space" / "c"
    folder.mkdir(parents=True)
    point = str(tmp_path / "data with space").replace(" ", "\\040")
    lines = f"1 0 0:1 / / rw - xfs /dev/a rw\n2 1 0:2 / {point} rw shared:1 - {kind} x rw\nnonsense\n"
    disk = machine.disk_of(folder, rooted(tmp_path / "root", {"proc/self/mountinfo": lines}))
    assert (disk.kind, disk.writable, disk.locks, disk.maps) == (kind, True, True, True)
    assert codes(machine.disk_findings(disk, folder)) == (set() if code is None else {code})


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    disk = machine.disk_of(tmp_path)
    assert (disk.locks, disk.maps) == (False, True)
    assert codes(machine.disk_findings(disk, tmp_path)) == {"no-locks"}


def test_steps_that_take_too_long_are_told_with_a_reason() -> None:
    times = speed.Speed({"features": 200.0, "scan": 7.0, "embedding": None})
    (finding,) = speed.findings(times, a_machine(load=9.0))
    assert "200.0 ms" in finding.what
    assert "Other programs" in finding.cure
    assert not list(speed.findings(speed.Speed(dict(speed.USUAL)), a_machine()))


def test_every_finding_is_explained() -> None:
    source = "".join(path.read_text() for path in Path(kept.__file__).parent.glob("*.py"))
    stated = set(re.findall(r'(?:Finding|broken)\(\s*"([a-z0-9-]+)"', source)) | {"no-locks", "no-maps"}
    page = (Path(__file__).parents[2] / "docs" / "howto" / "slow.md").read_text(encoding="utf-8")
    assert len(stated) > 20
    assert stated - set(re.findall(r"`([a-z0-9-]+)`", page)) <= {"no-collection"}
