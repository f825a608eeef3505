from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wherefrom.cli.main import run
from wherefrom.errors import CollectionError, NotFound, UsageError
from wherefrom.records import now
from wherefrom.server.access import Door
from wherefrom.server.keys import Keys, Rate, Scope, is_key, mark_of, parts_of
from wherefrom.server.watch import KeyWatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


def test_a_key_is_kept_as_a_hash_in_a_file_of_its_owner(path: Path) -> None:
    text, key = Keys(path, create=True).create("page", Scope.ADD, rate=Rate(5, 60))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = text.split("_", 2)[2]
    assert secret.encode() not in path.read_bytes()
    assert len(secret) >= 43  # 256 bits in base 64
    assert [(k.name, k.scope, k.rate) for k in Keys(path).every()] == [("page", Scope.ADD, Rate(5, 60))]
    parts = parts_of(text)
    assert parts is not None
    assert parts[0] == key.id
    assert is_key(key, parts[1])
    assert not is_key(None, parts[1])
    assert not is_key(None, bytes(32))


@pytest.mark.parametrize(
    "text", ["", "wherefrom", "wherefrom_12345678_short", "other_12345678_" + "a" * 43, "\0", "é" * 50]
)
def test_what_is_no_key(text: str) -> None:
    assert parts_of(text) is None


def test_names_are_given_once_until_they_are_revoked(path: Path) -> None:
    keys = Keys(path, create=True)
    keys.create("a", Scope.SEARCH)
    with pytest.raises(UsageError, match="There is a key named 'a'"):
        keys.create(" a ", Scope.SEARCH)
    keys.revoke("a")
    keys.create("a", Scope.SEARCH)
    assert [key.state(now()) for key in keys.every()] == ["revoked", "live"]
    for name in ("", "  ", "x" * 101, "a\x00b"):
        with pytest.raises(UsageError, match="characters that can be printed"):
            keys.create(name, Scope.SEARCH)


def test_revoking_by_name_takes_the_live_one(path: Path) -> None:
    keys = Keys(path, create=True)
    _, old = keys.create("a", Scope.SEARCH, expires=now() - 1)
    _, new = keys.create("a", Scope.SEARCH)
    assert keys.revoke("a").id == new.id
    assert keys.revoke(old.id).id == old.id
    with pytest.raises(NotFound, match="no key 'a' to revoke"):
        keys.revoke("a")


@pytest.mark.parametrize("there", [False, True])
def test_many_at_once_make_one_of_a_name(path: Path, there: bool) -> None:
    if there:
        Keys(path, create=True).create("other", Scope.SEARCH)
    made: list[str] = []

    def create() -> None:
        with contextlib.suppress(UsageError):
            made.append(Keys(path, create=True).create("one", Scope.SEARCH)[0])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(Keys(path).every()) == 1 + there
    assert sorted(one.name for one in path.parent.iterdir()) == ["keys.db", "keys.db.locked"]


def test_a_file_that_others_may_write_to_is_refused(path: Path) -> None:
    Keys(path, create=True).create("a", Scope.SEARCH)
    path.chmod(0o620)
    with pytest.raises(CollectionError, match="chmod 600"):
        Keys(path)


def test_files_that_are_none(path: Path) -> None:
    with pytest.raises(NotFound, match="There are no keys"):
        Keys(path)
    path.touch(0o600)
    assert Keys(path).every() == []
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(CollectionError, match="cannot be used"):
        Keys(path).every()


@pytest.mark.parametrize(
    ("text", "rate"),
    [("100/minute", (100, 60)), ("5/s", (5, 1)), (" 7 per Hour", (7, 3600)), ("1/day", (1, 86400))],
)
def test_rates(text: str, rate: tuple[int, int]) -> None:
    assert Rate.parse(text) == Rate(*rate)
    assert Rate.parse(str(Rate(*rate))) == Rate(*rate)


@pytest.mark.parametrize(
    "text", ["", "100", "0/minute", "1/year", "-1/minute", "1.5/s", "999999/s", "1/minute/2"]
)
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        Rate.parse(text)


def until(what: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_server_knows_at_once_what_is_made_and_revoked_elsewhere(path: Path) -> None:
    watch = KeyWatch(path)
    watch.open()

    def state(text: str) -> str:
        key = watch.key_of(text)
        return "unknown" if key is None else key.state(now())

    try:
        assert state("wherefrom") == "unknown"
        assert watch.path == path
        text, key = Keys(path, create=True).create("a", Scope.SEARCH)
        until(lambda: state(text) == "live", 1.0)
        assert watch.there_are_any
        assert watch.key_of(text[:-1] + ("a" if text[-1] != "a" else "b")) is None
        Keys.at(path).revoke(key.id)
        until(lambda: state(text) == "revoked", 1.0)
        assert watch.there_are_any  # and so a key is still needed
        path.unlink()
        time.sleep(0.5)
        assert watch.locked
    finally:
        watch.close()


def empty_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as held:
        held.execute("DELETE FROM keys")
        held.commit()


@pytest.mark.parametrize(
    "lose",
    [
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.touch(0o600)),
        lambda path: path.write_bytes(b""),
        empty_table,
        lambda path: (path.unlink(), path.with_name(path.name + ".locked").unlink()),
    ],
)
def test_what_had_keys_stays_locked(path: Path, lose: Callable[[Path], object]) -> None:
    Keys(path, create=True).create("a", Scope.SEARCH)
    watch = KeyWatch(path)
    door = Door(watch)
    watch.open()
    try:
        assert not door.keyless
        lose(path)
        time.sleep(0.6)
        assert not door.keyless
    finally:
        watch.close()
    if path.exists() or mark_of(path).exists():
        assert not Door(KeyWatch(path)).keyless, "nor after it was started again"
        assert Door(KeyWatch(path)).shut == path
        Keys(path, create=True).create("b", Scope.SEARCH)
        assert Door(KeyWatch(path)).shut is None
        path.unlink()
        mark_of(path).unlink()
    assert Door(KeyWatch(path)).keyless, "it is opened on purpose by deleting both"


def test_a_server_never_sees_a_file_of_keys_without_a_key(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link
    seen: list[int] = []

    def noted(draft: Path, made: Path) -> None:
        assert not made.exists()
        link(draft, made)
        seen.append(len(Keys(path).every()))

    monkeypatch.setattr(os, "link", noted)
    Keys(path, create=True).create("a", Scope.SEARCH)
    assert seen == [1]


def test_keys_from_before_there_were_marks_leave_one_when_they_are_served(path: Path) -> None:
    Keys(path, create=True).create("a", Scope.SEARCH)
    mark_of(path).unlink()
    watch = KeyWatch(path)
    watch.open()
    watch.close()
    assert mark_of(path).exists()


def test_last_use_is_written_at_the_end_and_not_at_each_request(path: Path) -> None:
    text, _ = Keys(path, create=True).create("a", Scope.SEARCH)
    watch = KeyWatch(path)
    watch.open()
    key = watch.key_of(text)
    assert key is not None
    before = path.stat().st_mtime_ns
    for _ in range(100):
        watch.note(key)
    assert path.stat().st_mtime_ns == before
    watch.close()
    assert Keys(path).every()[0].last_used is not None


def test_no_key_is_taken_while_they_cannot_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = Keys(path, create=True).create("a", Scope.SEARCH)
    watch = KeyWatch(path)
    later = time.monotonic() + 60
    monkeypatch.setattr("wherefrom.server.watch.time.monotonic", lambda: later)
    with pytest.raises(CollectionError, match="cannot be read at present"):
        watch.key_of(text)


def test_the_commands(path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def told(*arguments: str) -> tuple[int, str, str]:
        code = run(["keys", *arguments, "--file", str(path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    code, _, err = told("list")
    assert (code, "There are no keys" in err) == (1, True)
    code, out, err = told("create", "page", "--scope", "add", "--expires", "90d", "--rate", "100/minute")
    assert code == 0
    text = out.strip()
    assert parts_of(text) is not None
    assert "not shown again" in err
    code, out, _ = told("list", "--json")
    (row,) = json.loads(out)
    assert (row["name"], row["scope"], row["rate"], row["state"]) == ("page", "add", "100/minute", "live")
    assert text not in out
    for when in ("2001-01-01", "soon", "0d", "99999y"):
        assert told("create", "x", "--expires", when)[0] == 2
    code, out, err = told("revoke", "page", "--json")
    assert (code, json.loads(out)[0]["state"]) == (0, "revoked")
    assert "No key is left" in err
    assert told("revoke", "page")[0] == 1
    assert run(["keys", "create", "x", "-c", str(tmp_path / "nothing")]) == 4
