"""Behind a proxy: the nginx of the how-to, run as it stands there, with TLS and a port of its own."""

from __future__ import annotations

import contextlib
import getpass
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.scenes import encoded, picture
from tests.server.running import served
from wherefrom.collection import open_collection
from wherefrom.server.keys import Keys, Scope
from wherefrom.settings import Settings

HOW_TO = Path(__file__).parents[2] / "docs" / "howto" / "serve.md"
NGINX = shutil.which("nginx") or (shutil.which("nginx", path="/usr/sbin:/sbin"))
PUBLIC = "https://pictures.example.org"


def snippet() -> str:
    found = re.search(r"```nginx\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.S)
    assert found is not None
    return found[1]


@contextlib.contextmanager
def proxied(folder: Path, port: int) -> Iterator[httpx.Client]:
    """A client of the how-to's proxy before the service at `port`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        ours = free.getsockname()[1]
    # The certificate is the reader's own affair: the test goes without.
    server = snippet().replace("listen 443 ssl;", f"listen 127.0.0.1:{ours};")
    server = server.replace("http://127.0.0.1:8765;", f"http://127.0.0.1:{port};")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; user {getpass.getuser()}; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{server} }}\n"
    )
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ours), timeout=1):
                    break
                time.sleep(0.05)
            with httpx.Client(
                base_url=f"http://127.0.0.1:{ours}",
                headers={"host": "pictures.example.org"},
                trust_env=False,
                timeout=60,
            ) as client:
                yield client
        finally:
            process.terminate()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed here")
def test_the_how_to_opens_nothing(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    with open_collection(photos, create=True, settings=Settings(model="none", workers=1)) as made:
        data = encoded(picture(0))
        added = made.add(data)
        assert added.added
        name = next(iter(made.select())).id
    options = ("--workers", "1", "--public-url", PUBLIC)
    with served(photos, options=options) as server, proxied(tmp_path, server.port) as client:
        image = f"/api/v1/images/{name}"
        for method, path in (("GET", "/api/v1/images"), ("DELETE", image), ("GET", "/metrics")):
            said = client.request(method, path)
            assert said.status_code == 403, (method, path)
            assert "wherefrom keys create" in said.json()["detail"]
        assert client.get("/healthz").status_code == 200
        key, _ = Keys(photos / "keys.db", create=True).create("a", Scope.SEARCH)
        time.sleep(1)
        assert client.get("/metrics").status_code == 401
        assert client.get(image).status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        assert client.get(image, headers=headers).json()["original_url"] is None
        assert client.get(f"{image}/original", headers=headers).status_code == 403
        assert client.get("/metrics", headers=headers).status_code == 200
        found = client.post("/rest/search/", files={"image_upload": data}, headers=headers).json()
        match = found["results"]["matches"][0]
        assert match["image_url"].startswith(f"{PUBLIC}/rest/image/?")
        assert match["overlay"].startswith(f"{PUBLIC}/rest/overlay/?") if "overlay" in match else True
