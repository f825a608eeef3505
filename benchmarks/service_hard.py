"""What `service.py` does to a service that clients should not: floods, nonsense, and `kill -9`."""

from __future__ import annotations

import http.client
import io
import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import wherefrom
from common import say
from serving import Clients, Service, served
from wherefrom.settings import Settings

FLOOD_CLIENTS = 200
FLOOD_SECONDS = 6
QUEUE = 16
ADDERS = 100
_HELD = 0.25  # MB that a connection may take while it is answered: its body, its buffers
_PATH = "/api/v1/search"


def flooded(collection: Path, clients: Clients) -> dict[str, Any]:
    """Many more clients than the queue takes, who ask again at once: who is answered, and what it takes."""
    say("Too many clients")
    with served(collection, "--queue", str(QUEUE)) as service:
        clients.ask(service.port, clients=4, requests=200)
        clients.ask(service.port, clients=FLOOD_CLIENTS, seconds=2)
        before, kept = sum(service.memory().values()), service.kept()
        done = clients.ask(service.port, clients=FLOOD_CLIENTS, seconds=FLOOD_SECONDS)
        after, kept = sum(service.memory().values()), service.kept() - kept
    statuses = Counter(row[1] for row in done["rows"])
    answered = [row[2] for row in done["rows"] if row[1] == 200]
    return {
        "clients": FLOOD_CLIENTS,
        "queue": QUEUE,
        "answered": statuses.pop(200, 0),
        "slowest_s": round(max(answered, default=0.0), 2),
        "turned_away": statuses.pop(503, 0),
        "without_retry_after": sum(row[1] == 503 and not row[3] for row in done["rows"]),
        "others": dict(statuses) | ({"hung up": done["lost"]} if done["lost"] else {}),
        "seconds": round(done["seconds"], 1),
        "grown_mb": round((after - before - kept) / 1e6, 1),
        "allowed_mb": round(FLOOD_CLIENTS * _HELD, 1),
    }


# Nonsense


def malformed(collection: Path, count: int, good: bytes) -> dict[str, Any]:
    """Uploads that are no pictures and requests that are none, each refused as its sender's fault."""
    say(f"{count:,} malformed uploads")
    chance = random.Random(7)
    statuses: Counter[str] = Counter()
    with served(collection) as service:
        expected = _searched(service, good)
        for _ in range(count):
            statuses[_offered(service.port, *_nonsense(chance, good))] += 1
        after, alive = _searched(service, good), service.process.poll() is None
        replaced = int(service.metric("wherefrom_processes_replaced"))
    wrong = [code for code in statuses if code.startswith("5") and code != "503"]
    return {
        "offered": count,
        "statuses": dict(statuses.most_common()),
        "failures": sum(statuses[code] for code in wrong),
        "hung_up": statuses["hung up"],
        "replaced": replaced,
        "well_after": alive and after == expected,
    }


def _searched(service: Service, data: bytes) -> list[str] | None:
    line = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        line.request("POST", _PATH, data, {"Content-Type": "image/jpeg"})
        answer = line.getresponse()
        body = answer.read()
        return [one["id"] for one in json.loads(body)["matches"]] if answer.status == 200 else None
    finally:
        line.close()


def _offered(port: int, path: str, kind: str, body: bytes) -> str:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request("POST", path, body, {"Content-Type": kind} if kind else {})
        answer = line.getresponse()
        answer.read()
        return str(answer.status)
    except (OSError, http.client.HTTPException):
        return "hung up"
    finally:
        line.close()


def _nonsense(chance: random.Random, good: bytes) -> tuple[str, str, bytes]:
    """A path, a media type and a body."""
    import hostile

    form = 'multipart/form-data; boundary="b"'
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    place = chance.randrange(2, len(good))
    flipped = bytearray(good)
    for _ in range(chance.randrange(1, 40)):
        flipped[chance.randrange(min(len(good), 700))] = chance.randrange(256)
    bodies = {
        "cut": good[:place],
        "flipped": bytes(flipped),
        "noise": chance.randbytes(chance.randrange(1, 5_000)),
        "headed noise": good[:200] + chance.randbytes(5_000),
        "empty": b"",
        "zeros": bytes(3_000),
        "huge": hostile.png(60_000, 60_000, hostile.zeros(1 << 20)),
        "bomb": hostile.png(9_000, 9_000, hostile.zeros(243_009_000))
        if chance.random() < 0.05
        else b"GIF89a",
        "words": b"<html>not a picture</html>",
    }
    kinds = {
        "form without an end": (form, part + good[:place]),
        "form without a boundary": ("multipart/form-data", part + good[:99] + b"\r\n--b--\r\n"),
        "form of another boundary": (form, part.replace(b"--b", b"--c") + b"\r\n--c--\r\n"),
        "form of noise": (form, chance.randbytes(900)),
        "form with two": (form, part + b"x\r\n" + part + b"y\r\n--b--\r\n"),
        "no json": ("application/json", b'{"url": '),
        "json of depth": ("application/json", b"[" * 5_000),
        "json of another shape": ("application/json", b'{"id": 7, "limit": "many"}'),
        "no type": ("", good[:place]),
        "text": ("text/plain", b"a picture, please"),
        "a private address": ("application/json", b'{"url": "http://127.0.0.1:1/a.jpg"}'),
    }
    query = chance.choice(
        ["", "", "", "?limit=-1", "?region=1,2,3", "?region=9,9,1,1", "?object=0", "?kinds=x"]
    )
    if chance.random() < 0.6:
        body = bodies[chance.choice(list(bodies))]
        if chance.random() < 0.3:
            return _PATH + query, form, part + body + b"\r\n--b--\r\n"
        return _PATH + query, chance.choice(["image/jpeg", "application/octet-stream"]), body
    return _PATH + query, *kinds[chance.choice(list(kinds))]


# Kills


def crashed(home: Path, kills: int) -> dict[str, Any]:
    """`kill -9` of the server while 100 clients add: what was answered has to be there, whole."""
    home.mkdir()
    directory = home / "crash.wherefrom"
    wherefrom.open(directory, create=True, settings=Settings(model="none")).close()
    said: set[str] = set()
    lost, damage, refused = 0, list[str](), 0
    for number in range(kills):
        say(f"Kill {number + 1} of {kills}")
        with served(directory, "--queue", "256") as service:
            found, bad = _killed(service, number)
        said |= found
        refused += bad
        with wherefrom.open(directory, settings=Settings(model="none")) as collection:
            damage += [str(one) for one in collection.check()]
            lost += sum(not _is_there(collection, one) for one in said)
    return {
        "kills": kills,
        "adders": ADDERS,
        "answered": len(said),
        "refused": refused,
        "lost": lost,
        "damage": damage[:20],
    }


def _is_there(collection: wherefrom.Collection, one: str) -> bool:
    try:
        answer = collection.search(collection.original(one))
    except wherefrom.WherefromError:
        return False
    return bool(answer) and answer[0].id == one


def _killed(service: Service, round_: int) -> tuple[set[str], int]:
    """The ids that were answered before the kill, which comes while more are being added."""
    answered, refused = list[str](), list[int]()
    enough, stop = threading.Event(), threading.Event()
    least = random.Random(round_).randrange(1, 150)

    def add(number: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        try:
            for turn in range(1_000):
                body = _new(round_ * 10_000_000 + number * 1_000 + turn)
                line.request("POST", "/api/v1/images?", *_form(body))
                answer = line.getresponse()
                said = json.loads(answer.read())
                if answer.status in (200, 201):
                    answered.extend(one["id"] for one in said["outcomes"] if one["id"])
                else:
                    refused.append(answer.status)
                if len(answered) >= least:
                    enough.set()
                if stop.is_set():
                    return
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the server is gone
        finally:
            line.close()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(ADDERS)]
    for thread in threads:
        thread.start()
    if not enough.wait(60):
        sys.exit(f"Nothing is added: {refused[:5]}")
    time.sleep(random.Random(round_).uniform(0, 0.05))
    service.kill()
    stop.set()
    for thread in threads:
        thread.join()
    return set(answered), len(refused)


def _form(data: bytes) -> tuple[bytes, dict[str, str]]:
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return head + data + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def _new(seed: int) -> bytes:
    """A picture that no other is like."""
    import numpy as np
    from PIL import Image

    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rough).resize((160, 120), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()
