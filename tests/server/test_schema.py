"""The API's description is true: what schemathesis makes of it is answered as it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenes import folder_of
from tests.server.running import Running, served
from wherefrom.collection import open_collection
from wherefrom.settings import Settings

CONFIG = """
[checks]
# A filter, a token or a picture may be of no use though its shape is right.
positive_data_acceptance.expected-statuses = [
  "2xx", "304", 400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 502, 503
]
# Here no key is needed; that each route asks for one where there are keys is tested with the keys.
ignored_auth.enabled = false

[phases.coverage]
unexpected-methods = ["PUT"]

[[operations]]
include-path-regex = "/events$"  # a stream, which has no end while a job runs
enabled = false
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("schema")
    with open_collection(folder / "photos", create=True, settings=Settings(model="none", workers=1)) as made:
        made.add(folder_of(folder / "pictures", 3))
    with served(folder / "photos", options=("--workers", "1")) as running:
        yield running


def test_schemathesis_finds_nothing(server: Running, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
    options = ["--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--generation-deterministic"]
    done = subprocess.run(
        [*command, *options, "--request-timeout", "30", "--workers", "1"],
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": ""},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    told = re.search(r"=+ (?:ERRORS|FAILURES) =+.*?(?==+ SUMMARY)", done.stdout, re.S)
    assert done.returncode == 0, told[0][:6000] if told else done.stdout[-4000:] + done.stderr[-2000:]
    said = [json.loads(line) for line in server.said if line.startswith("{")]
    assert not [line for line in said if line["level"] == "error"], "something was not foreseen"


def test_it_is_openapi_3_1_and_names_what_may_go_wrong(server: Running) -> None:
    with server.client() as client:
        document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in text
    for path, operations in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        for method, operation in operations.items():
            assert operation["summary"].endswith("."), (method, path)
            assert {"400", "401", "403", "429", "503"} <= set(operation["responses"]), (method, path)
            assert operation["security"], (method, path)


def test_it_is_shown_to_people_without_anything_from_elsewhere(server: Running) -> None:
    with server.client() as client:
        document = client.get("/openapi.json").json()
        page = client.get("/docs").text
        for path in document["paths"]:
            assert path in page
        errors = client.get("/docs/errors").text
        assert 'id="not-found"' in errors
        for text in (page, errors):
            assert "<script" not in text
            assert not re.findall(r'(?:src|href)="(?!/|#)', text)
            targets = set(re.findall(r'href="#([^"]+)"', text))
            assert targets <= set(re.findall(r'id="([^"]+)"', text))
