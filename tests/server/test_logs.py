"""Lines of the log: nothing that callers choose can forge one, and what is told by an id stands in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.scenes import encoded, picture
from wherefrom.collection import open_collection
from wherefrom.errors import WherefromError
from wherefrom.receiving import Upload
from wherefrom.server import labour, logs
from wherefrom.server.access import Door
from wherefrom.server.app import create_app
from wherefrom.server.config import Config
from wherefrom.server.jobs import Jobs, State, Tools
from wherefrom.server.labour import WORK, WRITERS
from wherefrom.server.service import Service
from wherefrom.server.writer import Writer
from wherefrom.settings import Settings

PLAIN = Settings(model="none", workers=1)
FORGED = "a\n22:40:00 200 GET /api \x1b]0;owned\x07\x1b[2J\u202egpj.\u200b\x7f\x9b31m\r"
SEEN = r"a\n22:40:00 200 GET /api \x1b]0;owned\x07\x1b[2J\u202egpj.\u200b\x7f\u009b31m\r"
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]|^22:40:00", re.M)
ID = re.compile(r"under the id ([0-9a-f]{12,16})")


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    with open_collection(tmp_path / "photos", create=True, settings=PLAIN) as made:
        made.receive([Upload(encoded(picture(1, 60, 40)), uri="https://a.org/a.jpg")])
    config = Config((("photos", tmp_path / "photos"),), PLAIN, workers=1)
    return create_app(Service(config), config, Door())


@pytest.fixture(params=["json", "text"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, io.StringIO]]:
    """The form of the log, and what the service writes to it."""
    kept = {name: logging.getLogger(name) for name in logs._LEVELS}
    before = {name: (one.handlers, one.propagate, one.level) for name, one in kept.items()}
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.set_up_logs(request.param)
    yield request.param, written
    for name, (handlers, propagate, level) in before.items():
        kept[name].handlers, kept[name].propagate = handlers, propagate
        kept[name].setLevel(level)


def test_nothing_that_callers_choose_draws_or_forges(
    app: FastAPI, log: tuple[str, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    form, written = log
    names: list[str] = []

    async def breaks(_: Any, __: Any, name: str) -> NoReturn:
        names.append(name)
        raise RuntimeError(f"{name} and {FORGED}")

    monkeypatch.setattr(Service, "fetch", lambda self, url: breaks(self, None, url))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        agent = FORGED.encode("latin-1", "replace").replace(b"\n", b"").replace(b"\r", b"")
        heads = {b"user-agent": agent}
        url = FORGED.encode("utf-8", "replace").decode()
        said = client.post("/api/v1/search", json={"url": url}, headers=heads)
        assert said.status_code == 500
        assert names == [url]
        assert client.get("/rest/search/", params={"image_url": url}).status_code == 500
        assert client.get("/api/%0a22:40:00%1b[2J%e2%80%ae", headers=heads).status_code == 404
        logging.getLogger("wherefrom.server").warning("%s cannot be read", FORGED)
    text = written.getvalue()
    assert not BAD.search(text), BAD.search(text)
    lines = text.splitlines()
    if form == "json":
        said_of = [json.loads(line) for line in lines]
        assert any(line["message"] == f"{SEEN} cannot be read" for line in said_of)
        assert any("RuntimeError" in line.get("trace", "") for line in said_of)
    else:
        assert any(line.endswith(f" {SEEN} cannot be read") for line in lines)
        assert all(re.match(r"\d\d:\d\d:\d\d |  ", line) for line in lines), lines
    number = ID.search(said.text)
    assert number is not None
    assert number[1] in text


@pytest.mark.parametrize("form", [logs.JsonLines, logs.PlainLines])
def test_half_a_character_is_written_as_a_mark(form: type[logging.Formatter]) -> None:
    # Not logged: what pytest keeps of a log cannot be sent between its processes with it.
    record = logging.makeLogRecord(
        {"name": "wherefrom.server", "levelno": logging.WARNING, "msg": "a\udcffb"}
    )
    written = form().format(record)
    assert "xffb" in written
    assert BAD.search(written) is None


def test_what_fails_in_a_search_process_is_told_with_its_id(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(app, base_url="http://localhost") as client:
        assert client.portal is not None
        with pytest.raises(WherefromError) as failed:
            client.portal.call(app.state.service.pool.call, "no-such-task")
        assert client.get("/api/v1/images").status_code == 200
    _is_logged(str(failed.value), caplog, "KeyError")


def test_what_fails_in_the_writer_is_told_with_its_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> NoReturn:
        raise ZeroDivisionError("a mistake of ours")

    async def main() -> None:
        with open_collection(tmp_path / "c", create=True, settings=PLAIN) as held:
            monkeypatch.setattr(held, "receive_each", lambda take, *_: (take(), breaks()))
            writer = Writer(held, Config((("c", tmp_path / "c"),), PLAIN))
            try:
                with pytest.raises(WherefromError) as failed:
                    await writer.add([Upload(b"x")])
            finally:
                await asyncio.to_thread(writer.close)
        _is_logged(str(failed.value), caplog, "a mistake of ours")

    asyncio.run(main())


def test_what_fails_in_a_job_is_told_with_its_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, and in the one beside it."""

    def breaks(*_: Any) -> NoReturn:
        raise ZeroDivisionError("a mistake of ours")

    with open_collection(tmp_path / "photos", create=True, settings=PLAIN) as held:
        tools = Tools(lambda _: held, {"photos": tmp_path / "photos"}, PLAIN, tmp_path)
        monkeypatch.setattr(labour, "asdict", lambda _: {"no_such_setting": 1})
        jobs = Jobs(tools, {**WORK, "rebuild": breaks}, WRITERS)
        try:
            for kind, what in (("rebuild", "a mistake of ours"), ("check", "no_such_setting")):
                job = jobs.submit(kind, "photos", {})
                while not job.state.is_final:
                    job.stop.wait(0.01)
                assert job.state is State.FAILED
                assert job.error is not None
                assert job.id in job.error["message"]
                assert what not in job.error["message"]
                _is_logged(job.error["message"], caplog, what)
        finally:
            jobs.close()


def _is_logged(sentence: str, caplog: pytest.LogCaptureFixture, what: str) -> None:
    number = ID.search(sentence)
    assert number is not None, sentence
    assert what not in sentence
    formatter = logs.PlainLines()
    (line,) = [formatter.format(one) for one in caplog.records if number[1] in one.getMessage()]
    assert what in line
