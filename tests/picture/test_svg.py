"""Drawings: shown at a bounded size, and with nothing in them that does not lie within the file."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import (
    assert_sentence,
    encode,
    quadrants,
    shows_quadrants,
    svg,
)
from wherefrom.errors import Corrupt, PictureError, TooLarge, TooSlow, UnsupportedFormat
from wherefrom.picture.decode import decode
from wherefrom.picture.limits import Limits


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret.png"
    file.write_bytes(encode(Image.new("RGB", (96, 64), (255, 0, 0)), "PNG"))
    (tmp_path / "secret.svg").write_bytes(svg('<rect id="a" width="96" height="64" fill="red"/>'))
    return file


@pytest.mark.parametrize(
    "inside",
    [
        '<image href="{path}" width="96" height="64"/>',
        '<image href="file://{path}" width="96" height="64"/>',
        '<image href="secret.png" width="96" height="64"/>',
        '<image href=" {path}" width="96" height="64"/>',
        '<image xmlns:x="http://www.w3.org/1999/xlink" x:href="{path}" width="96" height="64"/>',
        '<use href="{folder}/secret.svg#a"/>',
        '<use href="{folder}/secret.svg"/>',
        '<image href="{folder}/secret.svg" width="96" height="64"/>',
        '<filter id="f"><feImage href="{path}"/></filter><rect width="96" height="64" filter="url(#f)"/>',
        '<style>rect {{ fill: url({path}); }}</style><rect width="96" height="64" fill="url({path})"/>',
        "<style>@import url({folder}/secret.css);</style>",
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{folder}/secret.svg"/>',
        '<image href="data:image/svg+xml,{nested}" width="96" height="64"/>',
        '<image href=" DATA:image/SVG+xml,{nested}" width="96" height="64"/>',
        '<image href="data:text/plain,{nested}" width="96" height="64"/>',
    ],
)
def test_a_drawing_cannot_show_what_else_is_on_the_disk(
    inside: str, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(secret.parent)
    image = f"%3Cimage href='{secret}' width='9' height='9'/%3E"
    nested = f"%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'%3E{image}%3C/svg%3E"
    drawing = svg(inside.format(path=secret, folder=secret.parent, nested=nested))
    pixels = decode(drawing).pixels.astype(int)
    assert (pixels[:, :, 0] - pixels[:, :, 1]).max() < 5  # nothing red


def test_pictures_within_a_drawing_are_shown() -> None:
    import base64

    inside = base64.b64encode(encode(quadrants(), "PNG")).decode()
    drawing = svg(f'<image href="data:image/png;base64,{inside}" width="96" height="64"/>')
    assert shows_quadrants(decode(drawing).pixels)
    shared = svg('<defs><rect id="a" width="96" height="64" fill="#123456"/></defs><use href="#a"/>')
    assert np.abs(decode(shared).pixels.astype(int) - (0x12, 0x34, 0x56)).max() <= 1


def test_a_drawing_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.png"
        style = f'@import "{url}"; @font-face {{ font-family: a; src: url({url}); }}'
        kinds = (
            svg(f'<image href="{url}" width="9" height="9"/>'),
            svg(prolog=f'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "{url}">'),
            svg(prolog=f'<?xml-stylesheet href="{url}" type="text/css"?>'),
            svg(f'<style>{style}</style><text font-family="a">a</text>'),
        )
        for drawing in kinds:
            decode(drawing)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "subset",
    [
        "".join(
            f'<!ENTITY a{n} "{"&a" + str(n - 1) + ";" if n else "lol"}'
            + (f"&a{n - 1};" * 9 if n else "")
            + '">'
            for n in range(10)
        ),
        '<!ENTITY a9 SYSTEM "file:///etc/passwd">',
        '<!ENTITY % p SYSTEM "http://127.0.0.1/x.dtd"> %p;',
    ],
)
def test_entities_are_not_expanded(subset: str) -> None:
    before = time.process_time()
    with pytest.raises(UnsupportedFormat, match="entities"):
        decode(svg("<text>&a9;</text>", prolog=f"<!DOCTYPE svg [{subset}]>"))
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('viewBox="0 0 96 64"', (1024, 683)),
        ('width="96" height="64"', (1024, 683)),
        ('width="48mm" height="32mm" viewBox="0 0 10 10"', (1024, 683)),
        ('width="1in" height="48" viewBox="0 0 10 10"', (1024, 512)),
        ('width="100%" height="100%" viewBox="0,0,64,96"', (683, 1024)),
        ('width="10" viewBox="0 0 50 100"', (512, 1024)),
        ('height="1e1px" viewBox="0 0 50 100"', (512, 1024)),
        ('width="10"', (1024, 1024)),
        ("", (1024, 512)),
        ('width="0" height="-5" viewBox="0 0 0 1"', (1024, 512)),
        ('width="wide" viewBox="e e e e"', (1024, 512)),
        ('viewBox="0 0 1000000 1"', (1024, 1)),
        ('viewBox="0 0 1 1000000"', (1, 1024)),
        ('width="1" height="1000000" viewBox="0 0 1000000 1"', (1, 1024)),
        ('width="1000000" height="1000000"', (1024, 1024)),
        ('width="1e30" height="1e-30"', (1024, 1)),
        ('width="96" height="64" style="width:90000px;height:90000px"', (1024, 683)),
    ],
)
def test_drawings_have_a_bounded_size(attributes: str, size: tuple[int, int]) -> None:
    before = time.process_time()
    picture = decode(svg(attributes=attributes))
    assert (picture.facts.width, picture.facts.height) == size
    assert time.process_time() - before < 2


def test_a_drawing_without_a_view_box_is_scaled() -> None:
    assert shows_quadrants(decode(svg(attributes='width="96" height="64"')).pixels)


def test_drawings_lie_on_white() -> None:
    pixels = decode(svg('<rect width="10" height="10"/>')).pixels
    assert pixels[-1, -1].tolist() == [255, 255, 255]
    assert pixels[5, 5].tolist() == [0, 0, 0]


def test_drawings_that_are_too_deep_or_too_long() -> None:
    with pytest.raises(PictureError):
        decode(svg("<g>" * 50_000 + "</g>" * 50_000))
    with pytest.raises(TooLarge):
        decode(svg(" " * (33 << 20)))


FOREVER = svg(
    '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="100000000"/></filter>'
    '<rect width="96" height="64" filter="url(#f)"/>'
)


def test_a_drawing_that_would_take_hours_is_given_up() -> None:
    before = time.monotonic()
    with pytest.raises(TooSlow, match="took longer than"):
        decode(FOREVER, limits=Limits(seconds=0.5))
    assert time.monotonic() - before < 3


NESTED = '<g opacity="0.9">' * 700 + '<rect width="9" height="9"/>' + "</g>" * 700
CHAINED = "".join(f'<g id="a{n}"><use href="#a{n + 1}"/></g>' for n in range(5000))
MULTIPLIED = "".join(f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 20 + "</g>" for n in range(8))


@pytest.mark.parametrize(
    "drawing",
    [svg(NESTED), svg(CHAINED), svg(MULTIPLIED + '<use href="#a7"/>')],
    ids=["nested", "chained", "multiplied"],
)
def test_a_drawing_that_would_end_the_program_is_damage(
    drawing: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Corrupt) as caught:
        decode(drawing)
    assert_sentence(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a limit on its time ends it, later")
def test_a_program_that_is_killed_leaves_no_renderer() -> None:
    script = (
        "import os, sys, threading, time\n"
        "from wherefrom.picture.decode import Limits, decode\n"
        "threading.Thread(target=decode, args=(sys.stdin.buffer.read(),), daemon=True).start()\n"
        "path = f'/proc/{os.getpid()}/task'\n"
        "while True:\n"
        "    children = [open(f'{path}/{task}/children').read() for task in os.listdir(path)]\n"
        "    if any(children): break\n"
        "time.sleep(0.3)\n"
        "print(*children, flush=True)\n"
        "time.sleep(1000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent, parent.stdin as stdin:
        stdin.write(FOREVER)
        stdin.close()
        (child,) = parent.stdout.readline().split()
        status = Path("/proc") / child.decode() / "status"
        assert status.exists()
        parent.kill()
    end = time.monotonic() + 5
    while status.exists() and "zombie" not in status.read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert not status.exists() or "zombie" in status.read_text()
