"""Google Cloud Vision's answers: the shapes of `images:annotate` in version 1, made of ours.

As its published protocol buffers say (google.cloud.vision.v1), in their JSON: names in camel case or as in
the buffers, enumerations by name or number, errors as google.rpc.Status.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from wherefrom.errors import FetchError, ModelError, PictureError, UsageError
from wherefrom.server.compat.reading import Json, is_claim, is_full

MOST_IMAGES = 16
"""Images in one request."""

MOST_RESULTS = 10
"""Results of a feature, unless `maxResults` says otherwise."""

LEAST_SIMILAR = 10.0
"""Score from which a look-alike is told: below it the resemblance is no more than chance."""

_LABELS, _WEB = 4, 10
_FEATURES = {
    "TYPE_UNSPECIFIED": 0,
    "FACE_DETECTION": 1,
    "LANDMARK_DETECTION": 2,
    "LOGO_DETECTION": 3,
    "LABEL_DETECTION": _LABELS,
    "TEXT_DETECTION": 5,
    "SAFE_SEARCH_DETECTION": 6,
    "IMAGE_PROPERTIES": 7,
    "CROP_HINTS": 9,
    "WEB_DETECTION": _WEB,
    "DOCUMENT_TEXT_DETECTION": 11,
    "PRODUCT_SEARCH": 12,
    "OBJECT_LOCALIZATION": 19,
}
# google.rpc.Code by name, and the codes by the status of HTTP that stands for them.
_CODES = {
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Refused(Exception):
    """A request of a batch that is answered with an error; `name` is one of google.rpc.Code."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.status = {"code": _CODES[name], "message": message}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request of a batch: the picture as bytes or as a URL, and the number of results by feature."""

    image: bytes | str
    web: int | None
    labels: int | None
    others: tuple[str, ...] = ()


def requests_of(body: Any) -> list[Any]:
    """The requests of a batch; raises UsageError for a body of another shape, or too many of them."""
    found = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(found, list) or not found:
        raise UsageError("The body is JSON with a list of requests, at least one.")
    if len(found) > MOST_IMAGES:
        raise UsageError(f"Too many images per request: {len(found)}, and {MOST_IMAGES} are allowed.")
    return found


def wanted_of(request: Any) -> Wanted:
    """What one request wants; raises Refused for what is of no use."""
    if not isinstance(request, dict):
        raise Refused("INVALID_ARGUMENT", "A request has an image and features.")
    features = _member(request, "features") or []
    if not isinstance(features, list) or not features:
        raise Refused("INVALID_ARGUMENT", "Request must specify image and features.")
    asked: dict[int, int] = {}
    for feature in features:
        kind, most = _feature(feature)
        asked[kind] = max(asked.get(kind, 0), most)
    image = _image(_member(request, "image"))
    names = {number: name for name, number in _FEATURES.items()}
    others = tuple(names[kind] for kind in asked if kind not in (_WEB, _LABELS))
    return Wanted(image, asked.get(_WEB), asked.get(_LABELS), others)


def found(answer: Json, wanted: Wanted, image_url: Callable[[str], str]) -> Json:
    """The response to one request; `image_url` gives an address to images that were seen nowhere."""
    response: Json = {}
    if wanted.web is not None:
        response["webDetection"] = _web(answer, wanted.web, image_url)
    if wanted.labels is not None:
        response["labelAnnotations"] = [
            {"mid": _entity(name), "description": name, "score": score, "topicality": score}
            for name, score in _named(answer["query"]["labels"])[: wanted.labels]
        ]
    if wanted.others:
        names = ", ".join(wanted.others)
        message = f"Not done here: {names}. WEB_DETECTION and LABEL_DETECTION are."
        response["error"] = Refused("UNIMPLEMENTED", message).status
    return response


def told(error: Exception) -> Json:
    """The google.rpc.Status for what went wrong with the picture of one request."""
    if isinstance(error, Refused):
        return error.status
    name = "FAILED_PRECONDITION" if isinstance(error, ModelError) else "INVALID_ARGUMENT"
    words = {PictureError: "Bad image data.", FetchError: "We can not access the URL currently."}
    start = next((said for kind, said in words.items() if isinstance(error, kind)), "")
    return Refused(name, f"{start} {error}".strip()).status


def failure(status: int, message: str) -> Json:
    """The body for a whole request that failed, by the status of HTTP."""
    name = _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": name}}


def _feature(feature: Any) -> tuple[int, int]:
    kind = _member(feature, "type") if isinstance(feature, dict) else None
    if isinstance(kind, str):
        kind = _FEATURES.get(kind)
    if not isinstance(kind, int) or isinstance(kind, bool) or kind not in _FEATURES.values():
        raise Refused("INVALID_ARGUMENT", "A feature has a type, such as WEB_DETECTION.")
    most = _member(feature, "maxResults") or 0
    if not isinstance(most, int) or most < 0:
        raise Refused("INVALID_ARGUMENT", "maxResults is a whole number of 0 or more.")
    return kind, most or MOST_RESULTS


def _image(image: Any) -> bytes | str:
    if not isinstance(image, dict):
        raise Refused("INVALID_ARGUMENT", "Request must specify image and features.")
    content, source = _member(image, "content"), _member(image, "source")
    if isinstance(content, str) and content:
        return _decoded(content)
    url = _member(source, "imageUri") if isinstance(source, dict) else None
    stored = _member(source, "gcsImageUri") if isinstance(source, dict) else None
    if stored or (isinstance(url, str) and url.lower().startswith("gs://")):
        raise Refused(
            "UNIMPLEMENTED",
            "Nothing is read from Google Cloud Storage here: send image.content, or an http(s) imageUri.",
        )
    if not isinstance(url, str) or not url:
        raise Refused("INVALID_ARGUMENT", "No image present: send image.content or image.source.imageUri.")
    return url


_URL_SAFE = str.maketrans("-_", "+/")


def _decoded(content: str) -> bytes:
    """The bytes of base64: as it should be, or else wrapped, without padding or of the alphabet for URLs."""
    with contextlib.suppress(ValueError):
        return base64.b64decode(content, validate=True)
    plain = "".join(content.split()).rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise Refused("INVALID_ARGUMENT", "image.content is not base64.") from None


def _web(answer: Json, most: int, image_url: Callable[[str], str]) -> Json:
    claims = [match for match in answer["matches"] if is_claim(match)]
    full = [match for match in claims if is_full(match)]
    partial = [match for match in claims if not is_full(match)]
    similar = [one for one in answer["matches"] if not is_claim(one) and one["score"] >= LEAST_SIMILAR]
    detection = {
        "webEntities": _entities(answer, most),
        "fullMatchingImages": _images(full, image_url)[:most],
        "partialMatchingImages": _images(partial, image_url)[:most],
        "pagesWithMatchingImages": _pages(claims)[:most],
        "visuallySimilarImages": _images(similar, image_url)[:most],
        "bestGuessLabels": [
            {"label": name, "languageCode": "en"} for name, _ in _named(answer["query"]["labels"])[:1]
        ],
    }
    return {name: value for name, value in detection.items() if value}


def _images(matches: Iterable[Json], image_url: Callable[[str], str]) -> list[Json]:
    """An entry for each place, surest first, each place once."""
    places: dict[str, float] = {}
    for match in matches:
        for uri in [place["uri"] for place in match["sightings"]] or [image_url(match["id"])]:
            places.setdefault(uri, match["score"])
    return [{"url": uri, "score": round(score / 100, 4)} for uri, score in places.items()]


def _pages(matches: Iterable[Json]) -> list[Json]:
    pages: dict[str, Json] = {}
    for match in matches:
        kind = "fullMatchingImages" if is_full(match) else "partialMatchingImages"
        for place in match["sightings"]:
            if place["page"] is None:
                continue
            score = round(match["score"] / 100, 4)
            page = pages.setdefault(place["page"], {"url": place["page"], "score": score})
            if place["title"] and "pageTitle" not in page:
                page["pageTitle"] = place["title"]
            image = {"url": place["uri"], "score": score}
            if image["url"] not in [one["url"] for one in page.get(kind, [])]:
                page.setdefault(kind, []).append(image)
    return list(pages.values())


def _entities(answer: Json, most: int) -> list[Json]:
    """What the query shows, and what those that are like it do, as far as they are."""
    scores: dict[str, float] = dict(_named(answer["query"]["labels"]))
    for match in answer["matches"]:
        if is_claim(match) or match["score"] >= LEAST_SIMILAR:
            for name, score in _named(match["labels"]):
                scores[name] = max(scores.get(name, 0.0), round(score * match["score"] / 100, 3))
    ranked = sorted(scores.items(), key=lambda entry: -entry[1])[:most]
    return [{"entityId": _entity(name), "score": score, "description": name} for name, score in ranked]


def _named(labels: Iterable[Json]) -> list[tuple[str, float]]:
    """Names with their confidence, surest first: the classes, and the categories that they are in."""
    scores: dict[str, float] = {}
    for label in labels:
        for name in (label["name"], label["parent"]):
            scores[name] = max(scores.get(name, 0.0), label["confidence"])
    return sorted(scores.items(), key=lambda entry: -entry[1])


def _entity(name: str) -> str:
    """An id that stays the same: of WordNet where the name is one of its classes."""
    return _identifiers().get(name) or "/wherefrom/" + name.replace(" ", "_")


@cache
def _identifiers() -> dict[str, str]:
    from wherefrom.models.labels import classes

    known = classes()
    return {name: f"/wordnet/{one}" for name, one in zip(known.names, known.ids, strict=True)}


def _member(value: Json, name: str) -> Any:
    """A member by its name in JSON, or by that in the protocol buffers."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return value.get(name, value.get(snake))
