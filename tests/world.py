"""A small world in which the commands and snippets of the documentation run: folders, pictures, a collection.

The pictures are photographs of scikit-image under the names that the pages use, and edits of them. Each page
gets the world as it was made: what one page changes, no other sees.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from PIL import Image

import wherefrom
from wherefrom.evaluate.edits import edited, encoded

PHOTOGRAPHS = {
    "Pictures/2019/cat.jpg": "chelsea.png",
    "Pictures/2019/lighthouse.jpg": "rocket.jpg",
    "Pictures/2021/coffee.jpg": "coffee.png",
    "Pictures/2021/astronaut.jpg": "astronaut.png",
    "Pictures/shoe.jpg": "motorcycle_left.png",
    "incoming/brick.jpg": "brick.png",
}
EDITS = {
    "Pictures/phone/IMG_0231.jpg": ("chelsea.png", ("resize 50 %", "jpeg q50")),
    "Pictures/phone/Screenshot.jpg": ("coffee.png", ("screenshot 40 %",)),
    "query.jpg": ("chelsea.png", ("mirror", "text over")),
    "poster.jpg": ("rocket.jpg", ("mirror", "crop 70 %", "logo")),
    "lemon.jpg": ("coffee.png", ("crop 70 %",)),
    "a.jpg": ("coffee.png", ("crop 50 %",)),
    "b.jpg": ("coffee.png", ("caption above",)),
    "c.jpg": ("astronaut.png", ("grey",)),
    "incoming/upload.jpg": ("astronaut.png", ("crop 70 %", "text over")),
}


class World:
    """A folder, made once and put back before each use. Its collection knows the files in `Pictures`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "world"
        self._pristine = folder / "pristine"
        self._fill(self.path)
        with wherefrom.open(self.path / "photos.wherefrom", create=True) as photos:
            report = photos.add(self.path / "Pictures")
            assert len(report.added) == 7, report.as_json()
        shutil.copytree(self.path, self._pristine)

    def restore(self) -> Path:
        """Put everything back as it was; gives the folder."""
        shutil.rmtree(self.path)
        shutil.copytree(self._pristine, self.path)  # with the times of the files, by which they are known
        return self.path

    @staticmethod
    def _fill(path: Path) -> None:
        for name, source in PHOTOGRAPHS.items():
            _write(path / name, _photograph(source))
        for name, (source, edits) in EDITS.items():
            image = _photograph(source)
            for edit in edits:
                image = edited(edit, image).image
            _write(path / name, image)
        shutil.copytree(path / "Pictures/2021", path / "shop")
        shutil.copytree(path / "Pictures/2021", path / "known")


def _photograph(name: str) -> Image.Image:
    found = importlib.util.find_spec("skimage")
    assert found is not None
    assert found.origin is not None
    with Image.open(Path(found.origin).parent / "data" / name) as opened:
        return opened.convert("RGB")


def _write(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(image, "JPEG", 92))
