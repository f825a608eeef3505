"""`wherefrom serve`: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.scenes import encoded, folder_of, picture
from tests.server.running import served
from wherefrom.cli.main import run
from wherefrom.collection import open_collection
from wherefrom.server.running import address_of
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos.wherefrom"
    with open_collection(folder, create=True, settings=PLAIN) as made:
        made.add(folder_of(tmp_path / "pictures", 3))
    return folder


def refusal(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "wherefrom.cli.main", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"WHEREFROM_MODEL": "none"},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_it_says_where_it_is_and_that_there_are_no_keys(photos: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies" / "of photos"
    with served(photos, options=("--workers", "1", "--backup-root", str(copies))) as server:
        assert copies.is_dir()  # a folder for backups is made
        said = "".join(server.said)
        assert f"photos: {photos}" in said
        assert "No keys yet: only this computer can connect, with full access." in said
        assert server.end(signal.SIGINT) == 0
    assert "Traceback" not in "".join(server.said)


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("0.0.0.0", "http://127.0.0.1:8765"),
        ("::", "http://[::1]:8765"),
        ("127.0.0.1", "http://127.0.0.1:8765"),
        ("192.168.1.5", "http://192.168.1.5:8765"),
        ("fd00::5", "http://[fd00::5]:8765"),
    ],
)
def test_the_address_that_is_printed_can_be_opened_here(host: str, where: str) -> None:
    assert address_of(host, 8765) == where


def test_what_cannot_be_served_is_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHEREFROM_MODEL", "none")

    def refused(*arguments: str) -> tuple[int, str]:
        return run(["serve", *arguments]), capsys.readouterr().err

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = refused("-c", str(photos), "--port", port)
        assert code == 2
        assert f"Port {port}" in said
        assert "--port" in said
    (tmp_path / "file").write_text("")
    code, said = refused("-c", str(photos), "--backup-root", str(tmp_path / "file" / "copies"))
    assert (code, "for backups cannot be made" in said) == (2, True)
    code, said = refused("-c", str(tmp_path / "none.wherefrom"))
    assert code == 4
    assert "wherefrom index" in said
    code, said = refused("-c", str(photos), "-c", str(photos))
    assert code == 2
    assert "NAME=DIR" in said
    code, said = refused("-c", str(photos), "--host", "0.0.0.0")
    assert code == 2
    assert "wherefrom keys create" in said
    (photos / "catalog.sqlite").write_bytes(b"no database at all" * 1000)
    code, said = refusal("-c", str(photos), "--port", "0")
    assert code == 4
    assert "catalog" in said


def test_it_ends_with_what_was_acknowledged_and_with_what_was_begun(photos: Path) -> None:
    added: list[str] = []
    with (
        served(photos, options=("--workers", "1")) as server,
        server.client() as client,
        ThreadPoolExecutor(8) as threads,
    ):
        offered = [encoded(picture(50 + n)) for n in range(8)]
        adds = [threads.submit(client.post, "/api/v1/images", files={"image": one}) for one in offered]
        time.sleep(0.5)
        assert server.end(signal.SIGTERM) in (0, -signal.SIGTERM)
        for add in adds:
            with contextlib.suppress(httpx.HTTPError):
                if add.result().status_code == 201:
                    added.append(add.result().json()["outcomes"][0]["id"])
    with open_collection(photos, settings=PLAIN) as held:
        assert all(held.get(one) for one in added)
        assert held.check() == []


def test_nothing_that_was_answered_is_lost_when_it_is_killed(photos: Path) -> None:
    answered: list[str] = []
    offered = [encoded(picture(100 + n, 200, 150)) for n in range(100)]
    with served(photos, options=("--workers", "1", "--queue", "100")) as server, server.client() as client:
        enough = threading.Event()

        def add(data: bytes) -> None:
            try:
                said = client.post("/api/v1/images", files={"image": ("a.jpg", data)})
            except httpx.HTTPError:
                return
            if said.status_code == 201:
                answered.append(said.json()["outcomes"][0]["id"])
                if len(answered) >= 15:
                    enough.set()

        with ThreadPoolExecutor(32) as threads:
            for one in offered:
                threads.submit(add, one)
            assert enough.wait(60)
            server.process.kill()
    assert len(answered) >= 15
    with open_collection(photos, settings=PLAIN) as held:
        for identifier in answered:
            assert held.get(identifier).bytes == len(held.original(identifier))
        assert held.check() == []
        # What was kept and never committed goes at the next sweep, and nothing else does.
        held.sweep()
        kept = {"sha256:" + path.name for path in (photos / "originals").rglob("*") if path.is_file()}
        assert kept == {image.id for image in held.select() if image.sightings[0].uri.startswith("upload:")}
        assert held.add(encoded(picture(999))).added


def test_what_is_added_elsewhere_is_found_at_once(photos: Path, tmp_path: Path) -> None:
    with served(photos, options=("--workers", "2")) as server, server.client() as client:
        with open_collection(photos, settings=PLAIN) as held:
            data = encoded(picture(77))
            held.add(data)
        for _ in range(4):
            said = client.post("/api/v1/search", files={"image": data}).json()
            assert said["matches"][0]["kind"] == "identical"
        more = encoded(picture(78))
        assert client.post("/api/v1/images", files={"image": more}).status_code == 201
        for _ in range(4):
            assert client.post("/api/v1/search", files={"image": more}).json()["total"] == 1


def test_index_beside_a_server_just_works(photos: Path, tmp_path: Path) -> None:
    """Right after an upload, and while more are sent: each gets its turn, and all are in."""
    folder = folder_of(tmp_path / "more", 6, first=30)[0].parent
    statuses: list[int] = []
    with served(photos, options=("--workers", "1")) as server, server.client() as client:
        assert client.post("/api/v1/images", files={"image": encoded(picture(60))}).status_code == 201
        command = [sys.executable, "-m", "wherefrom.cli.main", "index", str(folder), "-c", str(photos)]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | {"WHEREFROM_MODEL": "none"}
        ) as index:
            number = 61
            while index.poll() is None and number < 100:
                sent = client.post("/api/v1/images", files={"image": encoded(picture(number))})
                statuses.append(sent.status_code)
                number += 1
            _, said = index.communicate(timeout=100)
        assert index.returncode == 0, said
        assert "6 added" in said
        assert set(statuses) == {201}, "nobody is turned away meanwhile"
        found = client.get("/api/v1/images?limit=1").json()["total"]
    assert found == 3 + 1 + 6 + len(statuses)
    with open_collection(photos, settings=PLAIN) as held:
        assert held.check() == []
