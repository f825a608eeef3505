"""What the foreign APIs say when there is no room, no model, or something breaks: in their own shapes."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.server.compat.answers import answer, match, sighting
from wherefrom.errors import Busy, FeatureMismatch, ModelMissing
from wherefrom.search.answer import CLAIMS, Kind
from wherefrom.search.request import SearchRequest
from wherefrom.server.access import Door
from wherefrom.server.compat import routers
from wherefrom.server.tokens import Tokens
from wherefrom.server.uploads import Budget

BATCH = {
    "requests": [
        {"image": {"content": base64.b64encode(b"x").decode()}, "features": [{"type": "WEB_DETECTION"}]}
    ]
    * 3
}


class Service:
    """Answers searches as a test wants it."""

    names = ("photos",)

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked: list[SearchRequest] = []

    def name_of(self, name: str | None) -> str:
        return name or "photos"

    async def search(self, name: str, source: bytes, asked: SearchRequest) -> dict[str, Any]:
        self.asked.append(asked)
        if self.errors:
            raise self.errors.pop(0)
        return answer(match(1, "same", 99, sighting("https://a.test/1")))


def client(service: Service) -> TestClient:
    app = FastAPI()
    app.state.service = service
    app.state.config = SimpleNamespace(max_upload=100_000)
    app.state.door, app.state.budget, app.state.tokens = Door(), Budget(1_000_000), Tokens()
    for router in routers():
        app.include_router(router)
    return TestClient(app, base_url="http://127.0.0.1")


def test_when_there_is_no_room_all_say_when_to_come_again() -> None:
    files = {"image_upload": ("a", b"x"), "image": ("a", b"x")}
    with client(Service(*[Busy("Full.", 7)] * 9)) as http:
        tineye = http.post("/rest/search/", files=files)
        engine = http.post("/photos/rest/search/", files=files)
        vision = http.post("/v1/images:annotate", json=BATCH)
    assert [one.status_code for one in (tineye, engine, vision)] == [503] * 3
    assert [one.headers["retry-after"] for one in (tineye, engine, vision)] == ["7"] * 3
    assert (tineye.json()["code"], tineye.json()["messages"]) == (503, ["Full."])
    assert (engine.json()["status"], engine.json()["error"]) == ("fail", ["Full."])
    assert vision.json()["error"] == {"code": 503, "message": "Full.", "status": "UNAVAILABLE"}


def test_a_batch_fails_whole_when_there_is_no_room_for_one() -> None:
    with client(Service(Busy("Full."))) as http:
        assert http.post("/v1/images:annotate", json=BATCH).status_code == 503
        assert len(http.post("/v1/images:annotate", json=BATCH).json()["responses"]) == 3


def test_what_breaks_tells_nothing_of_itself() -> None:
    files = {"image_upload": ("a", b"x"), "image": ("a", b"x")}
    with client(Service(*[RuntimeError("secret")] * 9)) as http:
        answers = [
            http.post("/rest/search/", files=files),
            http.post("/photos/rest/search/", files=files),
            http.post("/v1/images:annotate", json=BATCH),
        ]
    assert [one.status_code for one in answers] == [500] * 3
    assert "secret" not in "".join(one.text for one in answers)


@pytest.mark.parametrize("error", [ModelMissing("None."), FeatureMismatch("Other features.")])
def test_web_detection_without_a_model_finds_copies_alone(error: Exception) -> None:
    service = Service(error)
    one = {"requests": BATCH["requests"][:1]}
    with client(service) as http:
        (found,) = http.post("/v1/images:annotate", json=one).json()["responses"]
    assert found["webDetection"]["fullMatchingImages"][0]["url"] == "https://a.test/1"
    assert [asked.wanted for asked in service.asked] == [frozenset(Kind), frozenset(CLAIMS)]


def test_labels_without_a_model_are_an_error() -> None:
    asked = {"requests": [BATCH["requests"][0] | {"features": [{"type": "LABEL_DETECTION"}]}]}
    with client(Service(ModelMissing("None."))) as http:
        (found,) = http.post("/v1/images:annotate", json=asked).json()["responses"]
    assert found["error"] == {"code": 9, "message": "None."}


def test_nothing_is_searched_for_features_that_are_not_done() -> None:
    service = Service()
    asked = {"requests": [BATCH["requests"][0] | {"features": [{"type": "TEXT_DETECTION"}]}]}
    with client(service) as http:
        (found,) = http.post("/v1/images:annotate", json=asked).json()["responses"]
    assert found["error"]["code"] == 12
    assert service.asked == []


PATHS = ["/rest/search/", "/photos/rest/search/", "/photos/rest/add/", "/photos/rest/compare/"]
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nxx\r\n'


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b--\r\n",
        PART,  # without an end
        PART * 500 + b"--b--\r\n",
        b"--b\r\n\r\nxx\r\n--b--\r\n",  # a part without a name
        b'--b\r\nContent-Disposition: form-data; name="limit"\r\n\r\n\xff\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="offset"\r\n\r\n' + b"9" * 100_000 + b"\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="url[0]"\r\n\r\n\0\r\n--b--\r\n',
    ],
)
def test_malformed_forms_are_told_in_shape(path: str, body: bytes) -> None:
    with client(Service()) as http:
        for kind in ("multipart/form-data; boundary=b", "multipart/form-data", "application/octet-stream"):
            response = http.post(path, content=body, headers={"content-type": kind})
            assert response.status_code < 500
            said = response.json()
            assert said["messages"] if path.startswith("/rest/") else said["error"]


def test_forms_may_be_urlencoded() -> None:
    with client(Service()) as http:
        asked = http.post("/rest/search/", data={"image_url": ""})
        assert asked.json()["messages"][0] == "Invalid or missing URL."
        odd = http.post(
            "/rest/search/", content=b"a=\xff", headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert odd.status_code == 400
