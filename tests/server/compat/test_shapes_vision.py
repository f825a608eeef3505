"""Google Vision's shapes: read by the published protocol buffers, batches, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.compat.answers import answer, match, sighting
from wherefrom.errors import FetchError, ModelMissing, Truncated, UsageError
from wherefrom.models.labels import Label
from wherefrom.server.compat import vision_shapes as shapes
from wherefrom.server.compat.vision_shapes import Refused, Wanted

WEB = Wanted(b"", 10, None)
DOG = Label("golden retriever", "dog", 0.91)


def request(image: Any, *features: Any) -> Wanted:
    return shapes.wanted_of({"image": image, "features": list(features) or [{"type": "WEB_DETECTION"}]})


def web(found: dict[str, Any], wanted: Wanted = WEB) -> dict[str, Any]:
    detection: dict[str, Any] = shapes.found(found, wanted, lambda one: f"image {one[-1]}")["webDetection"]
    return detection


def urls(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["url"] for entry in entries]


def test_full_partial_and_similar() -> None:
    found = web(
        answer(
            match(1, "identical", 100, sighting("https://a.test/1"), sighting("file:///1")),
            match(2, "copy", 99, sighting("https://a.test/2"), coverage=(0.95, 0.97)),
            match(3, "copy", 98, sighting("https://a.test/3"), coverage=(1.0, 0.6)),
            match(4, "partial", 97),
            match(5, "similar", 55, sighting("https://a.test/5")),
            match(6, "similar", 3, sighting("https://a.test/6")),
        )
    )
    assert urls(found["fullMatchingImages"]) == ["https://a.test/1", "file:///1", "https://a.test/2"]
    assert urls(found["partialMatchingImages"]) == ["https://a.test/3", "image 4"]
    assert urls(found["visuallySimilarImages"]) == ["https://a.test/5"]
    assert found["fullMatchingImages"][0]["score"] == 1.0


def test_pages_bring_their_images_and_titles() -> None:
    page = "https://blog.test/post"
    found = web(
        answer(
            match(1, "same", 99, sighting("https://a.test/1", page)),
            match(2, "partial", 96, sighting("https://a.test/2", page, "A post")),
            match(3, "similar", 60, sighting("https://a.test/3", "https://other.test/")),
        )
    )
    assert found["pagesWithMatchingImages"] == [
        {
            "url": page,
            "score": 0.99,
            "pageTitle": "A post",
            "fullMatchingImages": [{"url": "https://a.test/1", "score": 0.99}],
            "partialMatchingImages": [{"url": "https://a.test/2", "score": 0.96}],
        }
    ]


def test_labels_are_guesses_and_entities() -> None:
    cat = Label("tabby", "cat", 0.8)
    found = web(answer(match(1, "similar", 50, labels=[cat]), labels=[DOG]))
    assert found["bestGuessLabels"] == [{"label": "golden retriever", "languageCode": "en"}]
    assert [(one["description"], one["score"]) for one in found["webEntities"]] == [
        ("golden retriever", 0.91),
        ("dog", 0.91),
        ("tabby", 0.4),
        ("cat", 0.4),
    ]
    assert found["webEntities"][0]["entityId"] == "/wordnet/n02099601"
    assert found["webEntities"][1]["entityId"] == "/wherefrom/dog"
    asked = request({"content": "AA"}, {"type": "LABEL_DETECTION", "maxResults": 1})
    response = shapes.found(answer(labels=[DOG]), asked, str)
    assert response == {
        "labelAnnotations": [
            {
                "mid": "/wordnet/n02099601",
                "description": "golden retriever",
                "score": 0.91,
                "topicality": 0.91,
            }
        ]
    }


def test_results_are_limited_by_feature() -> None:
    many = answer(*(match(n, "same", 99, sighting(f"https://a.test/{n}")) for n in range(30)))
    assert len(web(many)["fullMatchingImages"]) == 10
    asked = request({"content": "AA"}, {"type": 10, "maxResults": 25})
    assert len(web(many, asked)["fullMatchingImages"]) == 25


def test_the_answer_is_one_that_the_protocol_buffers_take() -> None:
    vision = pytest.importorskip("google.cloud.vision_v1")
    json_format = importlib.import_module("google.protobuf.json_format")
    found = shapes.found(
        answer(
            match(1, "same", 99, sighting("https://a.test/1", "https://a.test/p", "T")),
            match(2, "similar", 60),
            labels=[DOG],
        ),
        request({"content": "AA"}, {"type": 10}, {"type": 4}, {"type": "FACE_DETECTION"}),
        lambda one: f"https://here.test/{one}",
    )
    read = vision.AnnotateImageResponse.pb()()
    json_format.ParseDict(found, read)  # unknown members would be refused
    assert read.error.code == 12
    assert "FACE_DETECTION" in read.error.message
    assert read.web_detection.full_matching_images[0].url == "https://a.test/1"
    assert read.label_annotations[0].description == "golden retriever"


@given(st.binary(min_size=1, max_size=40), st.booleans(), st.booleans())
def test_base64_in_every_dress(data: bytes, urlsafe: bool, padded: bool) -> None:
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(data).decode()
    wrapped = "\n".join(text[i : i + 10] for i in range(0, len(text), 10))
    assert request({"content": wrapped if padded else wrapped.rstrip("=")}).image == data


def test_names_of_the_buffers_and_numbers_of_enumerations() -> None:
    asked = request({"source": {"image_uri": "https://a.test/"}}, {"type": 10, "max_results": 3})
    assert asked == Wanted("https://a.test/", 3, None)
    again = request({"source": {"imageUri": "https://a.test/"}}, {"type": "WEB_DETECTION", "maxResults": 3})
    assert again == asked


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (None, "image"),
        ({}, "No image"),
        ({"content": "*"}, "base64"),
        ({"content": "A"}, "base64"),
        ({"content": 7}, "No image"),
        ({"source": {"imageUri": ""}}, "No image"),
        ({"source": {"gcsImageUri": "gs://b/o"}}, "Cloud Storage"),
        ({"source": {"imageUri": "gs://b/o"}}, "Cloud Storage"),
    ],
)
def test_pictures_of_no_use(image: Any, word: str) -> None:
    with pytest.raises(Refused, match=word) as caught:
        request(image)
    assert caught.value.status["code"] in (3, 12)


@pytest.mark.parametrize("feature", [{}, None, {"type": "X"}, {"type": 99}, {"type": True}, {"type": []}])
def test_features_of_no_use(feature: Any) -> None:
    with pytest.raises(Refused, match="type"):
        request({"content": "AA"}, feature)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["image", "features", "content", "source", "imageUri", "type", "maxResults"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_request_is_read_or_refused(drawn: Any) -> None:
    with contextlib.suppress(Refused):
        assert isinstance(shapes.wanted_of(drawn).image, bytes | str)


@pytest.mark.parametrize("body", [None, [], {}, {"requests": []}, {"requests": {}}, {"requests": [{}] * 17}])
def test_batches_of_no_use(body: Any) -> None:
    with pytest.raises(UsageError):
        shapes.requests_of(body)


def test_errors_as_google_tells_them() -> None:
    assert shapes.told(Truncated("Cut off.")) == {"code": 3, "message": "Bad image data. Cut off."}
    assert shapes.told(FetchError("404."))["message"].startswith("We can not access the URL")
    assert shapes.told(ModelMissing("None."))["code"] == 9
    body = shapes.failure(429, "Slow down.")
    assert body == {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    assert shapes.failure(418, "?")["error"]["status"] == "INVALID_ARGUMENT"
    assert shapes.failure(599, "?")["error"]["status"] == "INTERNAL"
