"""Moving duplicates to the bin over HTTP: only what could go, only on one's own machine, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.scenes import folder_of
from tests.server.test_jobs import SETTINGS, Bench
from wherefrom.server.access import Door
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.keys import Keys, Scope
from wherefrom.server.service import Service
from wherefrom.server.watch import KeyWatch

TRASH, UNDO = "/api/v1/duplicates/trash", "/api/v1/duplicates/undo"


class House(Bench):
    """A bench of two pictures, the first of which is there three times, the second twice."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        made = folder_of(self.root, 2)
        (self.root / "copies").mkdir()
        for name, file in (("a.jpg", made[0]), ("b.jpg", made[1]), ("c.jpg", made[0])):
            copy = self.root / "copies" / name
            copy.write_bytes(file.read_bytes())
            os.utime(copy, (2_000_000_000, 2_000_000_000))
        self.photos.add(self.root)
        self.done("duplicates", parts=False)

    def client(self, door: Door | None = None, **options: Any) -> TestClient:
        config = Config((("photos", self.place / "photos.wherefrom"),), SETTINGS, **options)
        service = Service(config)
        service._collections["photos"] = self.photos
        app = create_app(service, config, door or Door())  # what it would start is here already
        app.state.jobs = self.jobs
        return TestClient(app, base_url="http://localhost")

    def content(self) -> dict[str, bytes]:
        return {str(one.relative_to(self.root)): one.read_bytes() for one in self.root.rglob("*.jpg")}


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home's bin, on the disk of the pictures."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share" / "Trash"


@pytest.fixture
def house(tmp_path: Path, bin: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def asked(client: TestClient, number: int = 0) -> dict[str, Any]:
    """What moves everything of a group that could go."""
    answer = client.get("/api/v1/duplicates").json()
    group = answer["groups"][number]
    named = [{"id": one["id"], "uri": one["uri"]} for one in group["images"]]
    could = [one["suggestion"] == "spare" for one in group["images"]]
    spare = [one for one, may in zip(named, could, strict=True) if may]
    return {"job": answer["job"], "group": group["id"], "keep": named[0], "spare": spare}


def totals(client: TestClient) -> list[int]:
    answer = client.get("/api/v1/duplicates").json()
    return [answer["total"], answer["files"], answer["bytes_to_free"]]


def test_what_could_go_is_moved_to_the_bin_and_comes_back(house: House, bin: Path) -> None:
    client = house.client()
    before, sums = house.content(), totals(client)
    assert sums[:2] == [2, 5]
    assert client.get("/api/v1/status").json()["allowed"]["file_actions"] is True
    order = asked(client)
    said = client.post(TRASH, json=order)
    assert said.status_code == 200, said.text
    acted = said.json()
    assert ([one["uri"] for one in acted["done"]], acted["passed"]) == (
        [one["uri"] for one in order["spare"]],
        [],
    )
    assert acted["freed"] == sum(one["bytes"] for one in acted["done"]) > 0
    assert {one.name for one in (bin / "files").iterdir()} == {"a.jpg", "c.jpg"}
    assert set(house.content()) == {"picture 000.jpg", "picture 001.jpg", "copies/b.jpg"}
    # The totals are those of what is left.
    assert totals(client) == [1, 2, sums[2] - acted["freed"]]
    second = client.post(TRASH, json=asked(client)).json()
    assert totals(client) == [0, 0, 0]
    # A run is undone by its name, whatever was done after it.
    back = client.post(UNDO, params={"run": acted["run"]})
    assert [one["why"] for one in back.json()["undone"]] == [None, None]
    assert set(before) - set(house.content()) == {"copies/b.jpg"}
    assert client.post(UNDO, params={"run": acted["run"]}).status_code == 404
    assert client.post(UNDO, params={"run": second["run"]}).status_code == 200
    assert (house.content(), totals(client)) == (before, sums)
    assert [*(bin / "files").iterdir(), *(bin / "info").iterdir()] == []


def test_one_of_several_goes_and_the_others_stay(house: House, bin: Path) -> None:
    client = house.client()
    order = asked(client)
    left = order["spare"].pop()
    assert len(client.post(TRASH, json=order).json()["done"]) == 1
    assert len(list((bin / "files").iterdir())) == 1
    assert [one["uri"] for one in asked(client)["spare"]] == [left["uri"]]


def test_a_page_cannot_have_go_what_could_not(house: House, bin: Path) -> None:
    client = house.client()
    before, order, other = house.content(), asked(client), asked(client, 1)
    foreign = house.place / "foreign.jpg"
    foreign.write_bytes(b"of somebody")
    swapped = {**order, "keep": order["spare"][0], "spare": [order["keep"]]}
    for wrong in (
        {**order, "spare": [*order["spare"], order["keep"]]},  # the last one, too
        swapped,
        {**order, "keep": other["keep"]},
        {**order, "spare": other["spare"]},
        {**order, "spare": [{**order["spare"][0], "uri": foreign.as_uri()}]},
        {**order, "spare": [{**order["spare"][0], "id": other["keep"]["id"]}]},
        {**order, "group": "99"},
        {**order, "job": "of before"},
    ):
        said = client.post(TRASH, json=wrong)
        assert (said.status_code, said.json()["code"]) == (409, "conflict"), wrong
    for bad in ({**order, "spare": []}, {**order, "way": "delete"}, {**order, "group": "0"}):
        assert client.post(TRASH, json=bad).status_code == 400
    assert client.post(TRASH, content=b"{}").status_code == 415
    assert client.post(UNDO, params={"run": "../../etc"}).status_code in (400, 422)
    assert client.post(UNDO, params={"run": "0" * 12}).status_code == 404
    assert house.content() == before
    assert foreign.exists()
    assert not bin.exists()


def test_what_is_a_choice_or_only_a_part_is_not_moved(
    house: House, bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = house.client()
    order = asked(client)
    from wherefrom.server.found import Found

    page = Found.page
    for change in ({"kind": "parts"}, {"others": "choice"}, {"others": "keep"}):

        def changed(
            self: Found, start: int, limit: int, change: dict[str, str] = change
        ) -> list[dict[str, Any]]:
            rows = page(self, start, limit)
            for row in rows:
                row["kind"] = change.get("kind", row["kind"])
                for one in row["others"]:
                    one["suggestion"] = change.get("others", one["suggestion"])
            return rows

        with monkeypatch.context() as patch:
            patch.setattr(Found, "page", changed)
            assert client.post(TRASH, json=order).status_code == 409
    assert not bin.exists()


def test_what_changed_since_is_passed_over_and_decisions_are_heeded(house: House, bin: Path) -> None:
    client = house.client()
    order, other = asked(client), asked(client, 1)
    (house.root / "picture 000.jpg").write_bytes(b"overwritten")
    said = client.post(TRASH, json=order).json()
    assert said["done"] == []
    assert {one["why"] for one in said["passed"]} <= {
        "the file to keep has changed since it was indexed",
        "it could not go any more",
    }
    house.photos.keep_both([other["keep"]["id"]])
    said = client.post(TRASH, json=other).json()
    assert (said["done"], [one["why"] for one in said["passed"]]) == ([], ["it could not go any more"])
    assert len(house.content()) == 5
    assert not bin.exists()


def keys(house: House) -> tuple[Door, dict[str, str]]:
    """A door with a key of each scope."""
    path = house.place / "keys.db"
    made = Keys(path, create=True)
    texts = {scope.value: made.create(scope.value, scope)[0] for scope in Scope}
    door = Door(KeyWatch(path))
    door.open()
    return door, texts


def test_it_is_refused_where_there_are_keys_unless_allowed(house: House, bin: Path) -> None:
    order = asked(house.client())
    door, texts = keys(house)
    try:
        for allowed, wanted in ((None, 403), (False, 403), (True, 200)):
            client = house.client(door, file_actions=allowed)
            for scope in ("search", "add"):
                headers = {"Authorization": f"Bearer {texts[scope]}"}
                assert client.post(TRASH, json=order, headers=headers).status_code == 403
            assert client.post(TRASH, json=order).status_code == 401
            assert not bin.exists()
            headers = {"Authorization": f"Bearer {texts['admin']}"}
            told = client.get("/api/v1/status", headers=headers).json()["allowed"]
            assert told["file_actions"] is (wanted == 200)
            said = client.post(TRASH, json=order, headers=headers)
            assert said.status_code == wanted
            if wanted == 403:
                assert "--allow-file-actions" in said.json()["detail"]
                undone = client.post(UNDO, params={"run": "0" * 12}, headers=headers)
                assert undone.status_code == 403
    finally:
        door.close()
    assert len(list((bin / "files").iterdir())) == 2


def test_it_is_refused_from_elsewhere(house: House, bin: Path) -> None:
    client = house.client()
    order = asked(client)
    for headers in (
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Host": "pictures.example.org"},
        {"Origin": "https://example.org"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert client.post(TRASH, json=order, headers=headers).status_code == 403, headers
    # Pages of others that may use the API may not use this, unless it is said.
    assert house.client(allow_origins=("https://example.org",)).post(TRASH, json=order).status_code == 403
    assert house.client(file_actions=False).post(TRASH, json=order).status_code == 403
    assert not bin.exists()


def test_nobody_else_writes_while_files_are_moved(
    house: House, bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading big files takes a while: the lock, which a service lets go when idle, stays meanwhile."""
    from wherefrom.acting import doing

    held: list[bool] = []
    verified = doing._verified

    def slow(*given: Any) -> os.stat_result:
        held.append(not house.photos.let_go(0))
        return verified(*given)

    monkeypatch.setattr(doing, "_verified", slow)
    client = house.client()
    assert len(client.post(TRASH, json=asked(client)).json()["done"]) == 2
    assert held == [True, True]
