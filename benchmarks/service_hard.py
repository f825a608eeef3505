"""What `service` does to a service that clients should not: floods, nonsense, and `kill -9`."""

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

from tests.pictures import mutated

import wherefrom
from benchmarks import hostile
from benchmarks.common import say
from benchmarks.loading import PATH
from benchmarks.serving import Asked, Service, served
from wherefrom.settings import Settings

FLOOD_CLIENTS = 200
FLOOD_SECONDS = 6
QUEUE = 16
ADDERS = 100
_HELD = 0.25  # MB that a connection may take while it is answered: its body, its buffers
_KEPT = "wherefrom_searches_kept_bytes"


def flooded(collection: Path, clients: Asked) -> dict[str, Any]:
    """Many more clients than the queue takes, who ask again at once: who is answered, and what it takes."""
    say("Too many clients")
    with served(collection, "--queue", str(QUEUE)) as service:
        clients.ask(port=service.port, clients=4, requests=200)
        clients.ask(port=service.port, clients=FLOOD_CLIENTS, seconds=2)
        before, kept = sum(service.memory().values()), service.metric(_KEPT)
        done = clients.ask(port=service.port, clients=FLOOD_CLIENTS, seconds=FLOOD_SECONDS)
        after, kept = sum(service.memory().values()), service.metric(_KEPT) - kept
    statuses = Counter(row[1] for row in done["rows"])
    return {
        "clients": FLOOD_CLIENTS,
        "queue": QUEUE,
        "answered": statuses.pop(200, 0),
        "slowest_s": round(max((row[2] for row in done["rows"] if row[1] == 200), default=0.0), 2),
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
    chance, statuses = random.Random(7), Counter[str]()
    with served(collection) as service:
        expected = posted(service.port, PATH, "image/jpeg", good)
        for _ in range(count):
            statuses[posted(service.port, *_nonsense(chance, good))[0]] += 1
        after, alive = posted(service.port, PATH, "image/jpeg", good), service.process.poll() is None
        replaced = int(service.metric("wherefrom_processes_replaced"))
    return {
        "offered": count,
        "statuses": dict(statuses.most_common()),
        "failures": sum(n for code, n in statuses.items() if code.startswith("5") and code != "503"),
        "hung_up": statuses["hung up"],
        "replaced": replaced,
        "well_after": alive and after == expected and after[0] == "200",
    }


def posted(port: int, path: str, kind: str, body: bytes) -> tuple[str, list[str]]:
    """The status that a request got, and the ids in its answer."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request("POST", path, body, {"Content-Type": kind} if kind else {})
        answer = line.getresponse()
        data = answer.read()
        ids = [one["id"] for one in json.loads(data)["matches"]] if answer.status == 200 else []
        return str(answer.status), ids
    except (OSError, http.client.HTTPException):
        return "hung up", []
    finally:
        line.close()


_FORM = "multipart/form-data; boundary=b"
_PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
_END = b"\r\n--b--\r\n"
_QUERIES = ("", "", "", "?limit=-1", "?region=1,2,3", "?region=9,9,1,1", "?object=0", "?kinds=x")


def _nonsense(chance: random.Random, good: bytes) -> tuple[str, str, bytes]:
    """A path, a media type and a body."""
    place = chance.randrange(2, len(good))
    bomb = hostile.png(9_000, 9_000, hostile.zeros(243_009_000)) if chance.random() < 0.05 else b"GIF89a"
    bodies = (
        *(
            good[:place],
            mutated(good, chance),
            chance.randbytes(chance.randrange(1, 5_000)),
            b"",
            bytes(3_000),
        ),
        *(good[:200] + chance.randbytes(5_000), b"<html>not a picture</html>", bomb),
        hostile.png(60_000, 60_000, hostile.zeros(1 << 20)),
    )
    requests = (
        (_FORM, _PART + good[:place]),  # without an end
        ("multipart/form-data", _PART + good[:99] + _END),
        (_FORM, _PART.replace(b"--b", b"--c") + b"\r\n--c--\r\n"),
        (_FORM, chance.randbytes(900)),
        (_FORM, _PART + b"x\r\n" + _PART + b"y" + _END),
        ("application/json", b'{"url": '),
        ("application/json", b"[" * 5_000),
        ("application/json", b'{"id": 7, "limit": "many"}'),
        ("application/json", b'{"url": "http://127.0.0.1:1/a.jpg"}'),
        ("", good[:place]),
        ("text/plain", b"a picture, please"),
    )
    path = PATH + chance.choice(_QUERIES)
    if chance.random() < 0.4:
        return path, *chance.choice(requests)
    body = chance.choice(bodies)
    if chance.random() < 0.3:
        return path, _FORM, _PART + body + _END
    return path, chance.choice(["image/jpeg", "application/octet-stream"]), body


# Kills


def crashed(home: Path, kills: int) -> dict[str, Any]:
    """`kill -9` of the server while 100 clients add: what was answered has to be there, whole."""
    home.mkdir()
    directory, plain = home / "crash.wherefrom", Settings(model="none")
    wherefrom.open(directory, create=True, settings=plain).close()
    said, damage = set[str](), list[str]()
    lost = 0
    for number in range(kills):
        say(f"Kill {number + 1} of {kills}")
        with served(directory, "--queue", "256") as service:
            said |= _killed(service, number)
        with wherefrom.open(directory, settings=plain) as collection:
            damage += [str(one) for one in collection.check()]
            lost += sum(not _is_there(collection, one) for one in said)
    return {"kills": kills, "adders": ADDERS, "answered": len(said), "lost": lost, "damage": damage[:20]}


def _is_there(collection: wherefrom.Collection, one: str) -> bool:
    try:
        answer = collection.search(collection.original(one))
    except wherefrom.WherefromError:
        return False
    return bool(answer) and answer[0].id == one


def _killed(service: Service, round_: int) -> set[str]:
    """The ids that were answered before the kill, which comes while more are being added."""
    answered, refused = list[str](), list[int]()
    enough, stop, chance = threading.Event(), threading.Event(), random.Random(round_)
    least = chance.randrange(1, 150)

    def add(number: int) -> None:
        line = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        try:
            for turn in range(1_000):
                body = _PART + _new(round_ * 10_000_000 + number * 1_000 + turn) + _END
                line.request("POST", "/api/v1/images?", body, {"Content-Type": _FORM})
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
    time.sleep(chance.uniform(0, 0.05))
    service.kill()
    stop.set()
    for thread in threads:
        thread.join()
    return set(answered)


def _new(seed: int) -> bytes:
    """A picture that no other is like."""
    import numpy as np
    from PIL import Image

    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(rough).resize((160, 120), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()
