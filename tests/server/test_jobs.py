"""Jobs: what they do, in what order, and what is left of them when something goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import wherefrom
from tests.scenes import encoded, folder_of, picture
from wherefrom.collection import Collection
from wherefrom.engine.cursors import place_cursor
from wherefrom.errors import Busy, Conflict, Forbidden, NotFound, UsageError
from wherefrom.server import contents, orders
from wherefrom.server.access import OpenDoor
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.found import Found
from wherefrom.server.jobs import HISTORY, Job, Jobs, State, Stopped, Tools, allowed
from wherefrom.server.labour import WORK, WRITERS, Inside
from wherefrom.server.service import Service
from wherefrom.settings import Settings

SETTINGS = Settings(model="none", workers=1)


class Bench:
    """A collection, folders that jobs may use, and the jobs."""

    def __init__(self, place: Path, work: Any = WORK) -> None:
        self.place = place
        self.photos = wherefrom.open(place / "photos.wherefrom", create=True, settings=SETTINGS)
        self.root = place / "root"
        self.root.mkdir(exist_ok=True)
        self.tools = Tools(
            lambda _: self.photos,
            {"photos": place / "photos.wherefrom"},
            SETTINGS,
            place / "photos.wherefrom",
            index_roots=[self.root],
            backup_roots=[place / "backups"],
        )
        self.jobs = Jobs(self.tools, work, WRITERS)

    def done(self, kind: str, **options: Any) -> Job:
        job = self.jobs.submit(kind, "photos", options)
        until(lambda: job.state.is_final)
        return job

    def close(self) -> None:
        self.jobs.close()
        self.photos.close()


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


class Steps:
    """Work that goes on when a test lets it."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.running: list[str] = []
        self.most: dict[str, int] = {}

    def __call__(self, job: Job, _: Tools) -> dict[str, Any]:
        self.running.append(job.kind)
        for kind in self.running:
            self.most[kind] = max(self.most.get(kind, 0), self.running.count(kind))
        both = self.running.count("index") + self.running.count("rebuild")
        self.most["writers"] = max(self.most.get("writers", 0), both)
        try:
            while not self.go.wait(0.01):
                job.progress(job.done + 1, None)
            return {"kind": job.kind}
        finally:
            self.running.remove(job.kind)


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[tuple[Bench, Steps]]:
    work = Steps()
    made = Bench(tmp_path, dict.fromkeys(WORK, work))
    yield made, work
    work.go.set()
    made.close()


# What each kind does


def test_index_adds_everything_below_the_roots_and_nothing_else(bench: Bench) -> None:
    files = folder_of(bench.root / "in", 5)
    (bench.root / "in" / "again.jpg").write_bytes(files[0].read_bytes())
    (bench.root / "in" / "text.jpg").write_text("no picture")
    outside = folder_of(bench.place / "outside", 2)
    (bench.root / "in" / "link").symlink_to(bench.place / "outside")
    (bench.root / "in" / "file.jpg").symlink_to(outside[0])
    (bench.root / "other").mkdir()
    (bench.root / "other" / "x.jpg").write_bytes(encoded(picture(77)))
    (bench.root / "in" / "inner link").symlink_to(bench.root / "other")
    job = bench.done("index", path=str(bench.root / "in"))
    assert job.state is State.DONE, job.error
    report = job.report
    assert report is not None
    assert (report["added"], report["known"], report["skipped"], report["failed"]) == (6, 1, 1, 2)
    assert report["offered"] == job.done == job.total == 10
    assert {Path(one["uri"]).name for one in report["refused"]} == {"text.jpg", "link", "file.jpg"}
    assert len(bench.photos) == 6
    assert not any("outside" in at.uri for _, at in bench.photos.sightings().rows)


def test_index_prunes_what_has_vanished(bench: Bench) -> None:
    files = folder_of(bench.root, 3)
    bench.done("index", path=str(bench.root))
    files[0].unlink()
    assert (bench.done("index", path=str(bench.root)).report or {})["gone"] == 0
    assert (bench.done("index", path=str(bench.root), prune=True).report or {})["gone"] == 1


def test_others_may_add_while_an_index_runs(bench: Bench) -> None:
    folder_of(bench.root, 90)
    job = bench.jobs.submit("index", "photos", {"path": str(bench.root)})
    until(lambda: len(bench.photos) > 0)
    bench.photos.add(encoded(picture(7777)))
    assert not job.state.is_final  # it did not have to be waited for
    until(lambda: job.state.is_final)
    assert len(bench.photos) == 91


def test_cancelling_an_index_keeps_what_is_in(bench: Bench) -> None:
    folder_of(bench.root, 90)
    job = bench.jobs.submit("index", "photos", {"path": str(bench.root)})
    until(lambda: len(bench.photos) > 0)
    bench.jobs.cancel(job.id)
    until(lambda: job.state.is_final)
    assert job.state is State.CANCELLED
    assert 0 < len(bench.photos) < 90
    assert bench.photos.check() == []
    assert (bench.done("index", path=str(bench.root)).report or {})["offered"] == 90


def test_check_rebuild_and_backup(bench: Bench) -> None:
    folder_of(bench.root, 4)
    bench.done("index", path=str(bench.root))
    assert bench.done("check").report == {"clean": True, "count": 0, "problems": []}
    assert bench.done("rebuild").report == {"lost": 0, "refused": []}
    report = bench.done("backup", directory=str(bench.place / "backups" / "a")).report
    assert report is not None
    assert report["images"] == 4
    with wherefrom.open(bench.place / "backups" / "a", settings=SETTINGS) as copy:
        assert len(copy) == 4
    again = bench.done("backup", directory=str(bench.place / "backups" / "a"))
    assert (again.state, (again.error or {})["code"]) == (State.FAILED, "usage")


def test_what_goes_wrong_beside_is_told(bench: Bench) -> None:
    bench.photos.close()
    (bench.place / "photos.wherefrom" / "catalog.sqlite").write_bytes(b"nonsense" * 4096)
    job = bench.jobs.submit("duplicates", "photos", {})
    until(lambda: job.state.is_final)
    assert job.state is State.FAILED
    assert (job.error or {})["code"] in ("damaged", "collection")
    assert bench.jobs.last_done("duplicates", "photos") is None
    assert not list((bench.place / "photos.wherefrom").glob("duplicates-*"))


def test_a_process_beside_that_is_cancelled_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(bench.root, 3)
    bench.done("index", path=str(bench.root))
    job = bench.jobs.submit("duplicates", "photos", {})
    until(lambda: job.state is not State.WAITING)
    bench.jobs.cancel(job.id)
    until(lambda: job.state.is_final)
    assert job.state is State.CANCELLED
    assert not list((bench.place / "photos.wherefrom").glob("duplicates-*"))


@pytest.mark.parametrize("pause", [0.0, 1.0])
def test_a_process_beside_ends_with_the_server(tmp_path: Path, pause: float) -> None:
    # What it is to open is a pipe that nobody writes to, so that it would wait for ever.
    folder = tmp_path / "photos.wherefrom"
    folder.mkdir()
    os.mkfifo(folder / "wherefrom.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "wherefrom.server.aside"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    plan = {"verb": "check", "path": str(folder), "settings": asdict(SETTINGS), "options": {}}
    process.stdin.write(json.dumps(plan).encode() + b"\n")
    process.stdin.flush()
    time.sleep(pause)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(30) != 0
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()


# Order, limits, history


def test_one_writer_at_a_time_and_readers_beside_it(steps: tuple[Bench, Steps]) -> None:
    bench, work = steps
    path = str(bench.root)
    (bench.root / "b").mkdir()
    jobs = [bench.jobs.submit("index", "photos", {"path": one}) for one in (path, path + "/b")]
    jobs += [bench.jobs.submit(kind, "photos", {}) for kind in ("rebuild", "check", "duplicates")]
    until(lambda: len(work.running) == 2)
    assert [job.state.value for job in jobs] == ["running", "waiting", "waiting", "running", "waiting"]
    work.go.set()
    until(lambda: all(job.state is State.DONE for job in jobs))
    assert work.most["writers"] == 1


def test_the_same_again_is_a_conflict_while_it_is_done(steps: tuple[Bench, Steps]) -> None:
    bench, work = steps
    job = bench.jobs.submit("check", "photos", {})
    with pytest.raises(Conflict, match=job.id):
        bench.jobs.submit("check", "photos", {})
    work.go.set()
    until(lambda: job.state.is_final)
    bench.jobs.submit("check", "photos", {})


def test_cancelling_what_waits_what_runs_and_what_is_over(steps: tuple[Bench, Steps]) -> None:
    bench, _ = steps
    running, waiting = bench.jobs.submit("check", "photos", {}), bench.jobs.submit("duplicates", "photos", {})
    until(lambda: running.state is State.RUNNING)
    assert bench.jobs.cancel(waiting.id).state is State.CANCELLED
    bench.jobs.cancel(running.id)
    until(lambda: running.state is State.CANCELLED)
    with pytest.raises(Conflict, match="is over: it is cancelled"):
        bench.jobs.cancel(running.id)
    with pytest.raises(NotFound):
        bench.jobs.cancel("nothing")


def test_so_many_may_wait_and_so_many_are_remembered(steps: tuple[Bench, Steps]) -> None:
    bench, work = steps
    for number in range(32):
        (bench.root / str(number)).mkdir()
        bench.jobs.submit("index", "photos", {"path": str(bench.root / str(number))})
    with pytest.raises(Busy, match="Too many jobs"):
        bench.jobs.submit("check", "photos", {})
    work.go.set()
    until(lambda: all(job.state.is_final for job in bench.jobs.list()))
    duplicates = bench.done("duplicates")
    for _ in range(HISTORY + 5):
        bench.done("check")
    assert HISTORY <= len(bench.jobs.list()) <= HISTORY + 2
    assert bench.jobs.get(duplicates.id) is duplicates  # its groups are still shown


def test_a_server_that_stops_says_so_of_what_was_going_on(steps: tuple[Bench, Steps]) -> None:
    bench, _ = steps
    running, waiting = bench.jobs.submit("check", "photos", {}), bench.jobs.submit("duplicates", "photos", {})
    until(lambda: running.state is State.RUNNING)
    bench.jobs.close()
    for job in (running, waiting):
        assert (job.state, (job.error or {})["code"]) == (State.FAILED, "stopped")
    with pytest.raises(Busy):
        bench.jobs.submit("check", "photos", {})


def test_jobs_are_remembered_and_those_cut_off_have_failed(steps: tuple[Bench, Steps]) -> None:
    bench, work = steps
    running = bench.jobs.submit("check", "photos", {})
    until(lambda: running.state is State.RUNNING)
    path = bench.place / "photos.wherefrom" / "jobs.json"
    until(lambda: '"running"' in path.read_text())
    later = Jobs(bench.tools, dict.fromkeys(WORK, work), WRITERS)  # as after a kill: nobody closed
    job = later.get(running.id)
    assert (job.state, (job.error or {})["message"][:18]) == (State.FAILED, "The server stopped")
    assert job.as_json()["created"] == running.as_json()["created"]
    later.close()
    path.write_text('[{"id": 1}]')
    assert Jobs(bench.tools, {}, ()).list() == []
    path.write_text("{")
    assert Jobs(bench.tools, {}, ()).list() == []


def test_an_error_that_nobody_expected_ends_only_its_job(tmp_path: Path) -> None:
    def breaks(job: Job, _: Tools) -> dict[str, Any]:
        raise ZeroDivisionError("secret detail")

    bench = Bench(tmp_path, dict.fromkeys(WORK, breaks))
    try:
        job = bench.done("check")
        assert job.state is State.FAILED
        assert "secret" not in json.dumps(job.as_json())
        assert bench.done("check").state is State.FAILED
    finally:
        bench.close()


# What may be asked


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("nothing", {}, UsageError),
        ("check", {"path": "/x"}, UsageError),
        ("index", {}, UsageError),
        ("index", {"path": "root"}, UsageError),
        ("index", {"path": "/a\0b"}, UsageError),
        ("index", {"path": 7}, UsageError),
        ("index", {"path": "/\ud800"}, UsageError),
        ("index", {"path": "{root}/" + "x" * 3000}, NotFound),
        ("index", {"path": "/", "prune": "yes"}, UsageError),
        ("index", {"path": "/"}, Forbidden),
        ("index", {"path": "{root}/../outside"}, Forbidden),
        ("index", {"path": "{root}/link"}, Forbidden),
        ("index", {"path": "{root}2"}, Forbidden),
        ("index", {"path": "{root}/nothing"}, NotFound),
        ("backup", {"directory": "/tmp/x"}, Forbidden),
        ("backup", {"directory": "{root}"}, Forbidden),
        ("backup", {}, UsageError),
    ],
)
def test_orders_of_no_use(bench: Bench, kind: str, options: dict[str, Any], error: type[Exception]) -> None:
    (bench.place / "outside").mkdir()
    (bench.place / "root2").mkdir()
    (bench.root / "link").symlink_to(bench.place / "outside")
    said = {n: v.replace("{root}", str(bench.root)) if isinstance(v, str) else v for n, v in options.items()}
    with pytest.raises(error):
        bench.jobs.submit(kind, "photos", said)
    assert bench.jobs.list() == []


def test_nothing_is_allowed_where_no_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="no folder is allowed"):
        allowed(str(tmp_path), [], "folder", "--index-root")
    link = tmp_path / "link"
    (tmp_path / "root").mkdir()
    link.symlink_to(tmp_path / "root")
    assert allowed(str(link / "a"), [tmp_path / "root"], "folder", "") == tmp_path / "root" / "a"
    assert Inside([tmp_path / "root"]).holds(str(link / "a.jpg"))
    assert not Inside([tmp_path / "root"]).holds(str(tmp_path / "a.jpg"))


# Over HTTP


class Served:
    """A bench behind its routes."""

    def __init__(self, bench: Bench) -> None:
        config = Config((("photos", bench.place / "photos.wherefrom"),), SETTINGS)
        service = Service(config)
        service._collections["photos"] = bench.photos
        app = create_app(service, config, OpenDoor())  # not started: what it would start is here already
        app.state.jobs = bench.jobs
        self.client = TestClient(app, base_url="http://localhost")


def copies(folder: Path) -> None:
    """Three pictures, of which two are there again, smaller."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        pixels = picture(number)
        pixels.save(folder / f"{number}.png")
        if number:
            pixels.resize((pixels.width // 2, pixels.height // 2)).save(
                folder / f"{number} small.jpg", quality=90
            )


def test_duplicates_by_page(bench: Bench) -> None:
    client = Served(bench).client
    assert client.get("/api/v1/duplicates").status_code == 404
    copies(bench.root)
    bench.done("index", path=str(bench.root))
    said = client.post("/api/v1/jobs", json={"kind": "duplicates", "parts": False})
    assert (said.status_code, said.headers["location"]) == (202, f"/api/v1/jobs/{said.json()['id']}")
    job = bench.jobs.get(said.json()["id"])
    until(lambda: job.state.is_final)
    first = client.get("/api/v1/duplicates?limit=1").json()
    assert (first["total"], first["files"], first["job"], len(first["groups"])) == (2, 4, job.id, 1)
    second = client.get("/api/v1/duplicates", params={"limit": 1, "cursor": first["next"]}).json()
    assert second["next"] is None
    groups = [*first["groups"], *second["groups"]]
    assert [group["id"] for group in groups] == ["1", "2"]
    for group in groups:
        keep, other = group["images"]
        assert group["keep"] == keep["id"]
        assert (keep["kind"], keep["sentence"]) == (None, group["why"])
        assert keep["uri"].endswith(".png")
        assert (other["kind"], other["parent"]) == ("same", keep["id"])
        assert "reduced" in other["sentence"]
        assert other["thumbnail_url"].endswith("/thumbnail")
        # No file was opened, so that nothing says which of the two was first.
        assert (other["suggestion"], group["bytes_to_free"]) == ("choice", 0)
    assert sum(group["bytes_to_free"] for group in groups) == first["bytes_to_free"]
    # What was decided is remembered, and can be taken back.
    ids = ",".join(image["id"] for image in groups[0]["images"])
    for decision, left in (("apart", 1), ("none", 2), ("both", 1), ("none", 2)):
        said = client.post("/api/v1/decisions", params={"ids": ids, "decision": decision})
        assert (said.status_code, said.json()) == (200, {"images": 2})
        assert len(list(bench.photos.duplicates(parts=False))) == left
    assert client.post("/api/v1/decisions", params={"ids": "x", "decision": "apart"}).status_code in (
        400,
        422,
    )
    # What is removed meanwhile is not shown, nor is a group of one.
    bench.photos.remove(groups[0]["images"][1]["id"])
    assert [group["id"] for group in client.get("/api/v1/duplicates").json()["groups"]] == ["2"]
    for cursor in ("nonsense", first["next"][:-3], contents._cursor([1, 2]), contents._cursor(["a", -1])):
        assert client.get("/api/v1/duplicates", params={"cursor": cursor}).status_code == 400
    bench.done("duplicates", parts=False)
    said = client.get("/api/v1/duplicates", params={"cursor": first["next"]})
    assert (said.status_code, said.json()["code"]) == (409, "conflict")
    assert len(list((bench.place / "photos.wherefrom").glob("duplicates-*"))) == 1
    later = Jobs(bench.tools, WORK, WRITERS)  # groups outlive the server
    last = later.last_done("duplicates", "photos")
    assert last is not None
    assert Found.of(later.state, "photos", last.id) is not None


def test_following_a_job(steps: tuple[Bench, Steps], monkeypatch: pytest.MonkeyPatch) -> None:
    bench, work = steps
    monkeypatch.setattr(orders, "LOOK", 0.01)
    monkeypatch.setattr(orders, "HEARTBEAT", 0.05)
    job = bench.jobs.submit("check", "photos", {})
    until(lambda: job.done > 3)

    async def told(seen: int, stop_after: int) -> list[str]:
        found = []
        async for event in orders.events(bench.jobs, job, seen):
            found.append(event)
            if len(found) == stop_after:
                work.go.set()
        return found

    found = asyncio.run(told(0, 4))
    assert found[0] == "retry: 2000\n\n"
    numbers = [int(event.split()[1]) for event in found[1:] if event.startswith("id:")]
    assert numbers == sorted(set(numbers))
    last = json.loads(found[-1].split("data: ")[1])
    assert (last["state"], last["report"]) == ("done", {"kind": "check"})
    assert bench.jobs.followers == 0
    # Who was cut off goes on where they were: nothing twice.
    assert len(asyncio.run(told(numbers[-2], 0))) == 2
    assert len(asyncio.run(told(numbers[-1], 0))) == 1
    client = Served(bench).client
    said = client.get(f"/api/v1/jobs/{job.id}/events", headers={"last-event-id": "1"})
    assert said.headers["content-type"].startswith("text/event-stream")
    assert said.headers["cache-control"] == "no-store"
    assert "event: job\n" in said.text
    assert client.get(f"/api/v1/jobs/{job.id}/events", headers={"last-event-id": "x"}).status_code == 400
    assert client.get("/api/v1/jobs/nothing/events").status_code == 404


def test_silence_is_broken_by_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def waits(job: Job, _: Tools) -> dict[str, Any]:
        go.wait(30)
        return {}

    bench = Bench(tmp_path, dict.fromkeys(WORK, waits))
    monkeypatch.setattr(orders, "LOOK", 0.01)
    monkeypatch.setattr(orders, "HEARTBEAT", 0.03)
    job = bench.jobs.submit("check", "photos", {})

    async def told() -> list[str]:
        found = []
        async for event in orders.events(bench.jobs, job, 0):
            found.append(event)
            if found.count(": still there\n\n") == 2:
                bench.jobs.closing.set()  # a server that closes waits for no follower
        return found

    assert asyncio.run(told())[-1] == ": still there\n\n"
    go.set()
    bench.close()


def test_jobs_over_http(steps: tuple[Bench, Steps]) -> None:
    bench, work = steps
    client = Served(bench).client
    assert client.post("/api/v1/jobs", json={"kind": "nothing"}).status_code in (400, 422)
    assert client.post("/api/v1/jobs", json={"kind": "check", "more": 1}).status_code in (400, 422)
    assert client.post("/api/v1/jobs", json={"kind": "index", "path": "/etc"}).status_code == 403
    assert client.post("/api/v1/jobs?collection=other", json={"kind": "check"}).status_code == 404
    job = client.post("/api/v1/jobs", json={"kind": "check"}).json()
    assert client.post("/api/v1/jobs", json={"kind": "check"}).status_code == 409
    assert [one["id"] for one in client.get("/api/v1/jobs").json()["jobs"]] == [job["id"]]
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 200
    until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "cancelled")
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 409
    work.go.set()


def test_collections_labels_and_sightings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Served(bench).client
    files = folder_of(bench.root, 3)
    bench.done("index", path=str(bench.root))
    (told,) = client.get("/api/v1/collections").json()["collections"]
    size = sum(file.stat().st_size for file in files)
    assert told == {"name": "photos", "images": 3, "bytes": size, "model": None, "default": True}
    said = client.get("/api/v1/labels")
    assert said.json() == {"labels": []}
    assert client.get("/api/v1/labels", headers={"if-none-match": said.headers["etag"]}).status_code == 304
    walked, cursor = [], None
    while True:
        page = client.get(
            "/api/v1/sightings", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        walked += page["sightings"]
        if (cursor := page["next"]) is None:
            break
    assert [one["uri"] for one in walked] == sorted(file.as_uri() for file in files)
    for cursor in ("!", contents._cursor(["a", "b"]), contents._cursor([1, 2]), contents._cursor([{}, []])):
        assert client.get("/api/v1/sightings", params={"cursor": cursor}).status_code == 400
    odd = place_cursor("\ud800", bytes(32), "")
    assert client.get("/api/v1/sightings", params={"cursor": odd, "uri": "\0"}).status_code == 200
    assert client.delete("/api/v1/sightings", params={"uri": "a.jpg"}).status_code == 400
    assert client.delete("/api/v1/sightings", params={"uri": "file:///none"}).status_code == 404
    counted: list[Collection] = []

    def count(held: Collection) -> list[object]:
        counted.append(held)
        return []

    monkeypatch.setattr(Collection, "labels", count)
    client.get("/api/v1/labels")
    assert counted == []  # nothing has changed since
    assert client.delete("/api/v1/sightings", params={"uri": walked[0]["uri"]}).json() == {"removed": 1}
    client.get("/api/v1/labels")
    client.get("/api/v1/labels")
    assert len(counted) == 1
    assert client.get("/api/v1/collections").json()["collections"][0]["images"] == 2


def test_stopped_is_for_jobs_alone() -> None:
    job = Job("a", "check", "photos", {}, 0)
    job.progress(1, 2)
    job.stop.set()
    with pytest.raises(Stopped):
        job.progress(2, 2)
