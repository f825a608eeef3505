"""MatchEngine's verbs against a running server, sent as its public clients for Python and Node send them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from PIL import Image

from tests.scenes import encoded, picture
from tests.server.compat.conftest import Served
from tests.server.compat.served import MOST
from tests.sources.server import Server, answer

Json = dict[str, Any]
OK = {"status": "ok", "error": [], "result": []}


class Engine:
    """Sends requests as `tineyeservices` does: parameters in the query string, files in a form."""

    def __init__(self, served: Served, collection: str = "logos", key: str = "admin") -> None:
        self.url = f"{served.url}/{collection}/rest/"
        self.auth = ("user", served.keys.get(key, key))

    def get(self, method: str, **params: Any) -> Json:
        answer: Json = httpx.get(self.url + method + "/", params=_spelt(params), auth=self.auth).json()
        return answer

    def post(self, method: str, files: dict[str, tuple[str, bytes]], **params: Any) -> Json:
        url = self.url + method + "/"
        answer: Json = httpx.post(url, params=_spelt(params), files=files, auth=self.auth).json()
        return answer

    def add(self, **images: bytes) -> Json:
        names = list(images)
        files = {f"images[{n}]": (f"1700000000.0.{n}", images[name]) for n, name in enumerate(names)}
        return self.post("add", files, **{f"filepaths[{n}]": name for n, name in enumerate(names)})

    def search(self, image: bytes, **params: Any) -> Json:
        asked = {"min_score": 0, "offset": 0, "limit": 10, "check_horizontal_flip": False}
        return self.post("search", {"image": ("query.jpg", image)}, **asked | params)

    def delete(self, *paths: str) -> Json:
        return self.get("delete", **{f"filepaths[{n}]": path for n, path in enumerate(paths)})

    def list(self, **params: Any) -> list[str]:
        paths: list[str] = self.get("list", **{"offset": 0, "limit": 20} | params)["result"]
        return paths

    def count(self) -> int:
        (count,) = self.get("count")["result"]
        return int(count)


def _spelt(params: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items()}


@pytest.fixture
def logos(served: Served) -> Iterator[Engine]:
    """A collection that is empty before and after."""
    engine = Engine(served)
    yield engine
    if paths := engine.list(limit=-1):
        engine.delete(*paths)
    assert engine.count() == 0


def test_add_list_count_and_delete(logos: Engine) -> None:
    assert logos.get("ping") == OK | {"method": "ping"}
    assert logos.add(**{"folder/a b.jpg": encoded(picture(1)), "b": encoded(picture(2))}) == OK | {
        "method": "add"
    }
    every = logos.list()
    assert sorted(every) == ["b", "folder/a b.jpg"]
    assert (logos.list(offset=1), logos.list(limit=1), logos.count()) == (every[1:], every[:1], 2)
    assert logos.delete("folder/a b.jpg") == OK | {"method": "delete"}
    assert (logos.list(), logos.count()) == (["b"], 1)
    again = logos.delete("b", "folder/a b.jpg")
    assert again["status"] == "warn"
    assert again["error"] == ["folder/a b.jpg: Failed to remove from index."]
    assert logos.delete("b")["status"] == "fail"


def test_the_same_bytes_under_two_filepaths_are_two_entries(logos: Engine) -> None:
    data = encoded(picture(1))
    logos.add(a=data, b=data)
    assert (sorted(logos.list()), logos.count()) == (["a", "b"], 2)
    assert sorted(one["filepath"] for one in logos.search(data)["result"]) == ["a", "b"]
    logos.delete("a")
    assert (logos.list(), logos.count()) == (["b"], 1)
    assert [one["filepath"] for one in logos.search(data)["result"]] == ["b"]


def test_the_same_filepath_is_overwritten(logos: Engine) -> None:
    logos.add(a=encoded(picture(1)), b=encoded(picture(1)))
    logos.add(a=encoded(picture(2)))
    assert sorted(logos.list()) == ["a", "b"]
    logos.add(b=encoded(picture(3)))
    assert (sorted(logos.list()), logos.count()) == (["a", "b"], 2)
    assert logos.search(encoded(picture(1)))["result"] == []
    assert [one["filepath"] for one in logos.search(encoded(picture(2)))["result"]] == ["a"]


def test_one_bad_file_among_good_ones(logos: Engine) -> None:
    answered = logos.add(good=encoded(picture(1)), bad=b"text")
    assert answered["status"] == "warn"
    assert answered["error"][0].startswith("bad: ")
    assert logos.list() == ["good"]
    assert logos.add(bad=b"text")["status"] == "fail"


def test_add_and_search_by_url(logos: Engine) -> None:
    with Server(answer(encoded(picture(1)))) as pictures:
        url = f"{pictures.url}/melon%20cat.jpg"
        added = logos.get("add", **{"urls[0]": url, "filepaths[0]": "cat", "urls[1]": url})
        assert added["status"] == "ok"
        assert sorted(logos.list()) == ["cat", "melon cat.jpg"]
        assert len(logos.get("search", url=url)["result"]) == 2
    with Server(answer(b"", status="404 Not Found")) as pictures:
        lost = f"{pictures.url}/404"
        failed = logos.get("search", url=lost)
        assert failed["status"] == "fail"
        assert failed["error"][0].startswith(f"{lost}: Failed to download file.")
        assert logos.get("add", **{"urls[0]": lost})["status"] == "fail"
    assert logos.get("add", **{"urls[0]": "http://169.254.169.254/latest"})["status"] == "fail"


def test_search_has_scores_overlaps_and_overlays(served: Served, query: bytes) -> None:
    photos = Engine(served, "photos", "search")
    found = photos.search(query, check_horizontal_flip=True)
    assert found["query_image"] == {"filepath": "query.jpg"}
    large = next(one for one in found["result"] if one["filepath"] == "https://www.pictures.test/cat.png")
    assert 95 <= large["score"] <= 100
    assert large["query_overlap_percent"] > 95
    assert 55 < large["target_overlap_percent"] < 75
    drawing = httpx.get(photos.url + large["overlay"], auth=photos.auth)
    assert Image.open(io.BytesIO(drawing.content)).width > 600
    assert httpx.get(photos.url + large["overlay"]).status_code == 401
    assert (
        "overlay" not in photos.search(query, check_horizontal_flip=True, generate_overlay=False)["result"][0]
    )


def test_mirrored_copies_only_with_the_flag(served: Served, query: bytes) -> None:
    photos = Engine(served, "photos", "search")
    assert photos.search(query)["result"] == []
    assert len(photos.search(query, check_horizontal_flip=True)["result"]) == 2


def test_min_score_offset_and_limit(served: Served, cat: Image.Image) -> None:
    photos = Engine(served, "photos", "search")
    whole = encoded(cat, "PNG")
    assert [one["score"] for one in photos.search(whole, min_score=100)["result"]] == [100]
    both = photos.search(whole)["result"]
    assert len(both) == 2
    assert photos.search(whole, offset=1, limit=1)["result"][0]["filepath"] == both[1]["filepath"]


def test_search_by_filepath_and_compare(logos: Engine, query: bytes, cat: Image.Image) -> None:
    logos.add(**{"a/cat.png": encoded(cat, "PNG")})
    (itself,) = logos.get("search", filepath="a/cat.png")["result"]
    assert (itself["filepath"], itself["score"]) == ("a/cat.png", 100)
    assert logos.get("search", filepath="other")["status"] == "fail"
    two = {"image1": ("q.jpg", query), "image2": ("cat.png", encoded(cat, "PNG"))}
    assert logos.post("compare", two, min_score=0, check_horizontal_flip=False)["result"] == []
    (match,) = logos.post("compare", two, check_horizontal_flip=True)["result"]
    assert (match["filepath"], match["score"] >= 95, match["match_percent"] > 70) == ("cat.png", True, True)
    assert logos.post("compare", two, check_horizontal_flip=True, min_score=100)["result"] == []
    mixed = logos.post("compare", {"image1": two["image1"]}, filepath2="a/cat.png", check_horizontal_flip=1)
    assert mixed["result"][0]["filepath"] == "a/cat.png"
    with Server(answer(encoded(cat, "PNG"))) as pictures:
        same = logos.get("compare", url1=pictures.url, url2=pictures.url, min_score=100)
    assert len(same["result"]) == 1
    assert logos.get("compare", url1="")["status"] == "fail"


def test_as_the_client_for_node_sends_them(served: Served) -> None:
    """Fields in the form, no slash at the end, and HTTP's own DELETE."""
    url, auth = f"{served.url}/logos/rest/", ("", served.keys["admin"])
    data = encoded(picture(1))
    added = httpx.post(url + "add", data={"filepath": "n.jpg"}, files={"image": ("x.jpg", data)}, auth=auth)
    assert added.json() == OK | {"method": "add"}
    found = httpx.post(url + "search", data={"limit": "5"}, files={"image": ("x.jpg", data)}, auth=auth)
    assert found.json()["result"][0]["filepath"] == "n.jpg"
    assert httpx.get(url + "list", params={"offset": 0, "limit": 20}, auth=auth).json()["result"] == ["n.jpg"]
    gone = httpx.request("DELETE", url + "delete", params={"filepath": "n.jpg"}, auth=auth)
    assert gone.json() == OK | {"method": "delete"}


def test_the_key_is_the_password_or_the_user(served: Served) -> None:
    url = f"{served.url}/logos/rest/ping/"
    key = served.keys["search"]
    assert [httpx.get(url, auth=auth).status_code for auth in (("u", key), (key, ""), ("u", "p"))] == [
        200,
        200,
        401,
    ]


def test_xml_and_no_jsonp(served: Served) -> None:
    photos = Engine(served, "photos", "search")
    response = httpx.get(photos.url + "list/?format=xml&limit=1", auth=photos.auth)
    assert response.headers["content-type"].startswith("text/xml")
    root = ElementTree.fromstring(response.content)
    assert (root.findtext("status"), root.findtext("method")) == ("ok", "list")
    assert root.findtext("result/item") == "https://www.pictures.test/cat.png"
    refused = photos.get("list", callback="steal")
    assert (refused["status"], refused["result"]) == ("fail", [])
    assert photos.get("list", format="yaml")["status"] == "fail"


def test_what_concerns_the_connection_has_its_status_and_the_same_body(served: Served) -> None:
    search = ("u", served.keys["search"])
    url = f"{served.url}/logos/rest/"
    refused = {
        401: httpx.get(url + "ping/"),
        403: httpx.get(url + "delete/?filepath=a", auth=search),
        404: httpx.get(f"{served.url}/nowhere/rest/ping/", auth=search),
        413: httpx.post(url + "search/", files={"image": ("x", bytes(MOST))}, auth=search),
        415: httpx.post(url + "search/", content=b"x", headers={"content-type": "text/x"}, auth=search),
    }
    for status, response in refused.items():
        assert response.status_code == status
        body = response.json()
        assert (body["status"], body["result"], len(body["error"])) == ("fail", [], 1)
    assert ", Basic realm=" in refused[401].headers["www-authenticate"]
    assert httpx.get(url + "search/", auth=search).json()["status"] == "fail"
    assert httpx.get(url + "search/?url=x&limit=many", auth=search).json()["error"][0].startswith("limit")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_page_of_another_site_changes_anything(served: Served, keyless: Served, site: str) -> None:
    """A browser follows links, and sends a password that it knows, for any page."""
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    path = "/photos/rest/delete/?filepath=https://pictures.test/7.jpg"
    for one, auth in ((served, ("u", served.keys["admin"])), (keyless, None)):
        refused = httpx.get(one.url + path, headers=headers, auth=auth)
        assert (refused.status_code, refused.json()["status"]) == (403, "fail")
        files = {"image": ("a", encoded(picture(9)))}
        added = httpx.post(one.url + "/photos/rest/add/", headers=headers, files=files, auth=auth)
        assert added.status_code == 403
        assert httpx.get(one.url + "/photos/rest/count/", auth=auth).json()["result"] == [3]


def test_asking_for_the_head_changes_nothing(logos: Engine) -> None:
    logos.add(**{"a.jpg": encoded(picture(31), "JPEG")})
    gone = httpx.head(logos.url + "delete/", params={"filepaths[0]": "a.jpg"}, auth=logos.auth)
    assert gone.status_code == 405
    assert "a.jpg" in logos.list()
    assert httpx.head(logos.url + "count/", auth=logos.auth).status_code == 200
