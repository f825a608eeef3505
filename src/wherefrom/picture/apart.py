"""Decoders that run in a small process of their own: SVG, PDF and camera RAW.

A few hundred bytes of a drawing or a document can ask for hours, for terabytes, or for more stack than there
is, and their libraries bound none of these. So each file has a process with `MEMORY` of address space and
`SECONDS` of the processor's time, wherever it is decoded: by a worker, in a search, by a caller of `decode`.
The upper half of this module is the caller's, the lower half runs in that process.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from wherefrom.errors import Corrupt, TooLarge, TooSlow, UnsupportedFormat

if TYPE_CHECKING:
    from PIL import Image

    from wherefrom.picture.limits import Limits

MEMORY = 1 << 30
"""Bytes of address space, besides twice what the file has."""

SECONDS = 10
"""Seconds of the processor's time, where the caller's limits do not allow less."""

_MODES = {"L": 1, "RGB": 3, "RGBA": 4}
_REFUSALS = {error.code: error for error in (Corrupt, TooLarge, UnsupportedFormat)}


class Drawn(NamedTuple):
    """An image, the size in pixels that the file states, and how many pages it has."""

    image: Image.Image
    width: int
    height: int
    pages: int


def drawn(name: str, data: bytes, limits: Limits, **options: Any) -> Drawn:
    """What the decoder `name` of `DECODERS` makes of bytes; `options` are its own, plain.

    Raises TooSlow, Corrupt, TooLarge, UnsupportedFormat, and ValueError with what a decoder says of damage.
    """
    from PIL import Image

    title = name.upper()
    seconds = min(math.ceil(limits.seconds), SECONDS)
    plan = {"name": name, "seconds": seconds, "pixels": limits.pixels, "memory": MEMORY + 2 * len(data)}
    path = [path for path in sys.path if path]
    slow = f"Drawing it took longer than {min(limits.seconds, SECONDS):g} seconds."
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-c", f"from {__name__} import main; main()"],
            input=json.dumps(plan | options).encode() + b"\n" + data,
            capture_output=True,
            timeout=min(limits.seconds, 2 * SECONDS),  # the processor may have others to serve
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TooSlow(slow).may_pass() from None
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        raise TooSlow(slow).may_pass()
    if done.returncode != 0:
        raise Corrupt(f"The {title} file is damaged, or asks for more than can be drawn.").may_pass()
    head, _, body = done.stdout.partition(b"\n")
    try:
        said = json.loads(head)
        if "damage" in said:
            raise _Damage(str(said["damage"])[:300])
        if "error" in said:
            raise _REFUSALS[said["error"]](str(said["reason"])[:300])
        size, sides = said["size"], (said["width"], said["height"], said["pages"])
        if any(type(side) is not int or side < 1 for side in (*size, *sides)):
            raise Corrupt(f"The {title} file is damaged.")
        if size[0] * size[1] > limits.pixels or len(body) != size[0] * size[1] * _MODES[said["mode"]]:
            raise Corrupt(f"The {title} file is damaged.")
        return Drawn(Image.frombytes(said["mode"], tuple(size), body), *sides)
    except _Damage as damage:
        raise ValueError(str(damage)) from None
    except (ValueError, TypeError, LookupError) as error:
        raise Corrupt(f"The {title} file is damaged: its decoder gave no sensible answer.") from error


class _Damage(Exception):
    """What a decoder says of the file."""


# In the process


def main() -> None:
    """Decode what comes in on standard input: a line of JSON, then the file."""
    import importlib

    plan = json.loads(sys.stdin.buffer.readline())
    importlib.import_module(_MODULES[plan["name"]])  # before memory is counted, and not in the file's time
    _limit(plan["memory"], plan["seconds"])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        image, width, height, pages = DECODERS[plan["name"]](sys.stdin.buffer.read(), plan)
    except (Corrupt, TooLarge, UnsupportedFormat) as error:
        _say(out, {"error": error.code, "reason": str(error)})
        return
    except MemoryError:
        _say(out, {"error": TooLarge.code, "reason": "Drawing this file needs more memory than is allowed."})
        return
    except Exception as error:  # noqa: BLE001 - whatever a decoder trips over is the file's affair
        said = error.args[0] if error.args else ""
        _say(out, {"damage": said.decode(errors="replace") if isinstance(said, bytes) else str(said)})
        return
    if image.mode not in _MODES:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    told = {"mode": image.mode, "size": image.size, "width": width, "height": height, "pages": pages}
    _say(out, told, image.tobytes())


def _say(out: BinaryIO, head: dict[str, Any], body: bytes = b"") -> None:
    out.write(json.dumps(head).encode() + b"\n")
    out.write(body)
    out.close()


def _limit(memory: int, seconds: int) -> None:
    import ctypes
    import resource

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: killed when the process that waits ends
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds += math.ceil(spent.ru_utime + spent.ru_stime)
    most = {resource.RLIMIT_AS: memory, resource.RLIMIT_CPU: seconds, resource.RLIMIT_CORE: 0}
    for kind, wanted in most.items():
        hard = resource.getrlimit(kind)[1]
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (wanted, wanted))
        except (OSError, ValueError):  # macOS has the name and not the thing
            continue


def _check(title: str, width: int, height: int, plan: dict[str, Any]) -> None:
    if width * height > plan["pixels"]:
        most = f"{plan['pixels'] / 1e6:,.0f} million"
        raise TooLarge(f"The {title} has {width:,} × {height:,} pixels; the limit is {most}.")


def _svg(data: bytes, plan: dict[str, Any]) -> tuple[Image.Image, int, int, int]:
    import io

    import resvg_py
    from PIL import Image

    png = bytes(resvg_py.svg_to_bytes(svg_string=data.decode(), skip_system_fonts=not plan["text"]))
    image = Image.open(io.BytesIO(png))
    image.load()
    return image, image.width, image.height, 1


def _document(data: bytes) -> Any:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnsupportedFormat("The PDF file is locked with a password.") from error
        raise
    if len(document) == 0:
        raise Corrupt("The PDF file is damaged: it has no pages.")
    return document


def _pdf(data: bytes, plan: dict[str, Any]) -> tuple[Image.Image, int, int, int]:
    document = _document(data)
    page = document[plan["page"]]
    width, height = page.get_size()
    _check("page", max(1, round(width)), max(1, round(height)), plan)
    image: Image.Image = page.render(scale=plan["side"] / max(width, height)).to_pil()
    return image, image.width, image.height, len(document)


def _pages(data: bytes, plan: dict[str, Any]) -> tuple[Image.Image, int, int, int]:
    """The first `count` pages small, each a square of `cell` pixels, below each other."""
    from PIL import Image

    document, cell = _document(data), plan["cell"]
    strip = Image.new("RGB", (cell, cell * plan["count"]))
    for number in range(plan["count"]):
        page = document[number]
        width, height = page.get_size()
        _check("page", max(1, round(width)), max(1, round(height)), plan)
        small = page.render(scale=4 * cell / max(width, height)).to_pil().convert("RGB")
        strip.paste(small.resize((cell, cell), Image.Resampling.BOX), (0, cell * number))
    return strip, strip.width, strip.height, len(document)


def _raw(data: bytes, plan: dict[str, Any]) -> tuple[Image.Image, int, int, int]:
    import io

    import rawpy
    from PIL import Image

    with rawpy.imread(io.BytesIO(data)) as sensor:
        sizes = sensor.sizes
        _check("picture", sizes.raw_width, sizes.raw_height, plan)
        width, height = sizes.width, sizes.height
        _check("picture", width, height, plan)
        half = min(width, height) >= 1024
        pixels = sensor.postprocess(use_camera_wb=True, half_size=half, output_bps=8)
        if sizes.flip & 4:  # rows and columns change places
            width, height = height, width
    return Image.fromarray(pixels), width, height, 1


_MODULES = {"svg": "resvg_py", "pdf": "pypdfium2", "pages": "pypdfium2", "raw": "rawpy"}
DECODERS = {"svg": _svg, "pdf": _pdf, "pages": _pages, "raw": _raw}
"""Each takes a file's bytes and the plan, and gives an image, the stated width and height, and pages."""
