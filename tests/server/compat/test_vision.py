"""Google's own client for Vision, over REST, against a running server."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.scenes import encoded, picture
from tests.server.compat.conftest import Served
from tests.server.compat.served import MOST
from tests.sources.server import Server, answer

vision = pytest.importorskip("google.cloud.vision")
exceptions = pytest.importorskip("google.api_core.exceptions")


class Client:
    """Google's own, which leaves its connections open."""

    def __init__(self, **options: Any) -> None:
        self._api = vision.ImageAnnotatorClient(transport="rest", **options)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*given: Any, **asked: Any) -> Any:
            try:
                return getattr(self._api, verb)(*given, **asked)
            finally:
                self._api.transport.close()

        return call


def client(served: Served, key: str = "search") -> Any:
    options = {"api_endpoint": served.url, "api_key": served.keys.get(key, key)}
    return Client(client_options=options)


def annotated(
    served: Served, *requests: Any, path: str = "/v1/images:annotate", **more: Any
) -> httpx.Response:
    headers = {"x-goog-api-key": served.keys.get("search", "")}
    return httpx.post(served.url + path, json={"requests": list(requests)}, **{"headers": headers} | more)


def request(data: bytes, *features: Any) -> dict[str, Any]:
    content = base64.b64encode(data).decode()
    return {"image": {"content": content}, "features": list(features) or [{"type": "WEB_DETECTION"}]}


def test_web_detection_finds_images_and_pages(served: Served, query: bytes, cat: Image.Image) -> None:
    found = client(served).web_detection(image=vision.Image(content=query)).web_detection
    assert "https://www.pictures.test/cat.png" in [one.url for one in found.partial_matching_images]
    assert not found.full_matching_images
    (page,) = found.pages_with_matching_images
    assert (page.url, page.page_title) == ("https://pages.test/cats", "Cats")
    assert page.partial_matching_images[0].url == "https://www.pictures.test/cat.png"
    whole = client(served).web_detection({"content": encoded(cat.resize((400, 266)))}).web_detection
    assert whole.full_matching_images[0].url == "https://www.pictures.test/cat.png"
    assert whole.full_matching_images[0].score > 0.95


def test_labels_of_the_query(served: Served, cat: Image.Image) -> None:
    asked = {
        "image": {"content": encoded(cat)},
        "features": [{"type_": vision.Feature.Type.WEB_DETECTION}, {"type_": "LABEL_DETECTION"}],
    }
    found = client(served).annotate_image(asked)
    assert "cat" in [one.description for one in found.label_annotations]
    assert "cat" in [one.description for one in found.web_detection.web_entities]
    assert found.web_detection.best_guess_labels[0].language_code == "en"


def test_max_results_and_a_picture_by_url(served: Served, query: bytes) -> None:
    with Server(answer(query)) as pictures:
        image = vision.Image(source=vision.ImageSource(image_uri=f"{pictures.url}/cat.jpg"))
        found = client(served).web_detection(image=image, max_results=1).web_detection
    assert len(found.partial_matching_images) == 1


def test_a_batch_is_answered_in_order_and_each_fault_in_its_place(served: Served, query: bytes) -> None:
    feature = {"type_": "WEB_DETECTION"}
    responses = (
        client(served)
        .batch_annotate_images(
            requests=[
                {"image": {"content": query}, "features": [feature]},
                {"image": {"content": b"no picture"}, "features": [feature]},
                {"image": {"source": {"gcs_image_uri": "gs://bucket/a"}}, "features": [feature]},
                {"image": {"source": {"image_uri": "http://10.0.0.1/a"}}, "features": [feature]},
                {"image": {"content": encoded(picture(99))}, "features": [feature]},
                {"image": {"content": query}, "features": [{"type_": "TEXT_DETECTION"}]},
            ]
        )
        .responses
    )
    assert [one.error.code for one in responses] == [0, 3, 12, 3, 0, 12]
    assert responses[0].web_detection.partial_matching_images
    assert responses[1].error.message.startswith("Bad image data.")
    assert "Cloud Storage" in responses[2].error.message
    assert not responses[4].web_detection.full_matching_images


def test_refusals_are_those_that_the_client_knows(served: Served, query: bytes) -> None:
    with pytest.raises(exceptions.Unauthorized):
        client(served, "wherefrom_wrong").web_detection({"content": query})
    many = [{"image": {"content": query}, "features": [{"type_": "WEB_DETECTION"}]}] * 17
    with pytest.raises(exceptions.BadRequest, match="Too many images"):
        client(served).batch_annotate_images(requests=many)
    with pytest.raises(
        exceptions.RequestEntityTooLarge
        if hasattr(exceptions, "RequestEntityTooLarge")
        else exceptions.GoogleAPICallError
    ):
        client(served).web_detection({"content": bytes(MOST)})


def test_each_image_counts_against_the_rate(served: Served) -> None:
    headers = {"x-goog-api-key": served.keys["batches"]}  # 20 an hour
    small = request(b"x")
    statuses = [annotated(served, *[small] * 8, headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    told = annotated(served, *[small] * 16, headers=headers)
    assert told.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert int(told.headers["retry-after"]) >= 1


def test_keys_come_in_every_way_that_google_takes(served: Served) -> None:
    key, ask = served.keys["search"], request(encoded(picture(99)))
    bearer = {"authorization": f"Bearer {key}"}
    ways = [
        annotated(served, ask, path=f"/v1/images:annotate?key={key}", headers={}),
        annotated(served, ask, headers=bearer),
        annotated(served, ask, path="/v1/projects/any/locations/eu/images:annotate"),
        annotated(served, ask, path="/v1/projects/logos/images:annotate"),
        annotated(served, ask, path="/v1/images:annotate?collection=logos"),
    ]
    assert [one.status_code for one in ways] == [200] * 5
    assert annotated(served, ask, headers={}).json()["error"]["status"] == "UNAUTHENTICATED"


def test_the_project_may_name_the_collection(served: Served, query: bytes) -> None:
    def found(path: str) -> bool:
        return "partialMatchingImages" in annotated(served, request(query), path=path).json()["responses"][
            0
        ].get("webDetection", {})

    assert found("/v1/projects/photos/images:annotate")
    assert found("/v1/projects/my-project-1/images:annotate")
    assert not found("/v1/projects/logos/images:annotate")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"requests": []}', b"[" * 100_000, b"\xff"])
def test_bodies_of_no_use(served: Served, body: bytes) -> None:
    headers = {"x-goog-api-key": served.keys["search"]}
    response = httpx.post(f"{served.url}/v1/images:annotate", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_without_keys(keyless: Served, query: bytes) -> None:
    credentials = pytest.importorskip("google.auth.credentials").AnonymousCredentials()
    api = Client(credentials=credentials, client_options={"api_endpoint": keyless.url})
    assert api.web_detection({"content": query}).web_detection.partial_matching_images
