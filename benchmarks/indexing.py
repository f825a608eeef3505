"""How fast pictures are indexed, beside peers' hashes of the same files and beside decoding alone.

Three sets in one run, one core: the folder's JPEGs, the same at quality 75, and 12-megapixel JPEGs made of
them. Peers read and decode the same files: imagehash pHash, imagededup PHash, perception PDQ. `wherefrom
index` is everything that indexing does, through one worker process. The files are in the page cache.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

import wherefrom
from benchmarks.common import pictures
from benchmarks.timing import Contest, extremes, held_to, taken
from wherefrom.picture.decode import decode
from wherefrom.settings import Settings

OURS = "wherefrom index"
Hash = Callable[[Path], object]


def run(
    folder: str | None = None, files: int = 300, large: int = 40, repeat: int = 5
) -> tuple[dict[str, Any], list[str]]:
    home = Path(folder) if folder else pictures()[0]
    home = home / "photos" if (home / "photos").is_dir() else home
    small = sorted(path for path in home.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:files]
    with tempfile.TemporaryDirectory() as scratch, held_to(1):
        place = Path(scratch)
        sets = {
            "500-pixel JPEG as found": small,
            "500-pixel JPEG at quality 75": made(small, place / "recoded", 75, lambda image: image),
            "12-megapixel JPEG": made(small[:large], place / "large", 88, enlarged),
        }
        return {name: measured(paths, place / name, repeat) for name, paths in sets.items()}, []


def made(
    files: list[Path], folder: Path, quality: int, change: Callable[[Image.Image], Image.Image]
) -> list[Path]:
    """These pictures, changed and saved."""
    folder.mkdir()
    for number, path in enumerate(files):
        change(Image.open(path).convert("RGB")).save(folder / f"{number}.jpg", quality=quality)
    return sorted(folder.iterdir())


def enlarged(image: Image.Image) -> Image.Image:
    """With grain: a resized picture alone has nothing at its finest scale and decodes too easily."""
    image = image.resize((4000, 3000), Image.Resampling.BICUBIC)
    grain = Image.effect_noise(image.size, 24).convert("RGB")
    return Image.blend(image, grain, 0.12).filter(ImageFilter.UnsharpMask(1, 60))


def alone() -> dict[str, Hash]:
    return {
        "decode alone (Pillow, full)": lambda path: Image.open(path).load(),
        "decode alone (wherefrom)": lambda path: decode(path.read_bytes(), colour=False),
    }


def peers() -> dict[str, Hash]:
    """The hashes of those that are installed."""
    found: dict[str, Hash] = {}
    with contextlib.suppress(ImportError):
        import imagehash

        found["imagehash pHash"] = lambda path: imagehash.phash(Image.open(path))
    with contextlib.suppress(ImportError), contextlib.redirect_stderr(io.StringIO()):
        from imagededup.methods import PHash

        method = PHash(verbose=False)
        found["imagededup PHash"] = lambda path: method.encode_image(image_file=path)
    with contextlib.suppress(ImportError):
        import cv2
        from perception import hashers

        cv2.setNumThreads(1)
        pdq = hashers.PDQHash()
        found["perception PDQ"] = lambda path: pdq.compute(str(path))
    return found


def measured(files: list[Path], place: Path, repeat: int) -> dict[str, Any]:
    others, contenders = alone(), peers()
    taken_by_us: list[float] = []

    def all_of(work: Hash) -> None:
        for path in files:
            work(path)

    def collections() -> Iterator[Path]:
        for number in range(repeat + 1):
            yield place.with_name(f"{place.name} {number}.wherefrom")

    targets = collections()

    def index() -> None:
        with wherefrom.open(next(targets), create=True, settings=Settings(workers=1)) as photos:
            photos.add(files[:1])  # the worker's start is not what is measured
            taken_by_us.append(taken(lambda: photos.add(files[1:])) / (len(files) - 1))
            assert len(photos) == len(set(files))

    runs = {name: partial(all_of, work) for name, work in (others | contenders).items()}
    times = Contest({**runs, OURS: index}).held(repeat)
    milliseconds = {name: [1e3 * one / len(files) for one in some] for name, some in times.items()}
    milliseconds[OURS] = [1e3 * one for one in taken_by_us[1:]]
    rows = {name: extremes(some, "ms") for name, some in milliseconds.items()}
    ours, fastest = rows[OURS]["median_ms"], min((rows[one]["median_ms"] for one in contenders), default=None)
    return {
        "files": len(files),
        "median_bytes": sorted(path.stat().st_size for path in files)[len(files) // 2],
        "rows": rows,
        "times_the_fastest_peer": None if fastest is None else round(fastest / ours, 2),
        "of_decode_alone": round(rows["decode alone (wherefrom)"]["median_ms"] / ours, 2),
    }
