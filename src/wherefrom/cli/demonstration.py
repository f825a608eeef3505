"""The demonstration: real photographs, a dozen edits of each, and what is found of them."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wherefrom.cli.common import (
    print_json,
    put,
    say,
    table,
)
from wherefrom.errors import Exit, MissingExtra

if TYPE_CHECKING:
    from PIL import Image

    from wherefrom.collection import Collection

_PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "brick.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)

_EDITS = (
    "jpeg q10",
    "resize 25 %",
    "grey",
    "brightness +30 %",
    "contrast -50 %",
    "gamma 1.6",
    "blur 2",
    "noise 20",
    "mirror",
    "turn 90",
    "negative",
    "border 10 % white",
    "letterbox 16:9",
    "border 10 %, mirror, jpeg q30",
    "crop 50 %",
    "rotate 15",
    "caption above",
    "stickers",
    "screenshot 40 %",
    "collage 25 %",
)


@dataclass
class _Row:
    edit: str
    searched: int = 0
    found: int = 0
    wrong: int = 0
    kinds: set[str] | None = None
    scores: list[float] | None = None

    def as_json(self) -> dict[str, object]:
        scores = sorted(self.scores or [])
        return {
            "edit": self.edit,
            "searched": self.searched,
            "found": self.found,
            "wrong": self.wrong,
            "kinds": sorted(self.kinds or ()),
            "lowest_score": scores[0] if scores else None,
            "median_score": scores[len(scores) // 2] if scores else None,
        }


def demonstrate(keep: str | None, json_output: bool) -> Exit:
    """Index the photographs, search for every edit, print the table; gives the exit code.

    Raises MissingExtra when the photographs are not installed.
    """
    import wherefrom

    folder = _photographs()
    with ExitStack() as stack:
        place = (
            Path(keep)
            if keep
            else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wherefrom-demo-")))
        )
        place.mkdir(parents=True, exist_ok=True)
        collection = place / "demo.wherefrom"
        say(f"{len(_PHOTOGRAPHS)} photographs from scikit-image.")
        photos = stack.enter_context(wherefrom.open(collection, create=True))
        report = photos.add([folder / name for name in _PHOTOGRAPHS])
        say(f"Indexed: {len(report.added)} added, {len(report.known)} known, in {report.seconds:.1f} s.")
        say(f"Editing each in {len(_EDITS)} ways and searching for every edit ...")
        rows = [_try(photos, folder, name, place if keep else None) for name in _EDITS]
    results = [row.as_json() for row in rows]
    searched, found = sum(row.searched for row in rows), sum(row.found for row in rows)
    wrong = sum(row.wrong for row in rows)
    if json_output:
        print_json(
            {
                "photographs": len(_PHOTOGRAPHS),
                "searched": searched,
                "found": found,
                "wrong": wrong,
                "edits": results,
            }
        )
    else:
        _print(rows)
    say(f"\n{found} of {searched} edited copies found, {wrong} wrong pictures named.")
    if keep:
        say(f"The edited pictures are in {place / 'edited'}; search for one with:")
        say(f"  wherefrom search {place / 'edited' / 'coffee mirror.jpg'} -c {collection}")
    say("\nNow your own pictures:")
    say("  wherefrom index ~/Pictures\n  wherefrom search some-picture.jpg\n  wherefrom duplicates")
    return Exit.NOTHING_FOUND if wrong or not found else Exit.OK


def _photographs() -> Path:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise MissingExtra("The demonstration's photographs need an extra: pip install 'wherefrom[demo]'.")
    return Path(found.origin).parent / "data"


def _try(photos: Collection, folder: Path, name: str, keep: Path | None) -> _Row:
    from PIL import Image

    from wherefrom.evaluate.edits import edit, encoded

    row = _Row(name, kinds=set(), scores=[])
    assert row.kinds is not None
    assert row.scores is not None
    for file in _PHOTOGRAPHS:
        source = photos.find(folder / file)[0].id
        with Image.open(folder / file) as opened:
            data = encoded(edit(name, _on_white(opened)), "JPEG")
        if keep is not None:
            target = (
                keep / "edited" / f"{Path(file).stem} {name.replace(':', '-').replace('%', 'percent')}.jpg"
            )
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        answer = photos.search(data, limit=3)
        row.searched += 1
        row.wrong += sum(match.id != source for match in answer)
        if len(answer) and answer[0].id == source:
            row.found += 1
            row.kinds.add(answer[0].kind.value)
            row.scores.append(answer[0].score)
    return row


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _print(rows: list[_Row]) -> None:
    cells = []
    for row in rows:
        facts = row.as_json()
        low, middle = facts["lowest_score"], facts["median_score"]
        kinds = ", ".join(sorted(row.kinds or ()))
        cells.append(
            (
                row.edit,
                f"{row.found} of {row.searched}",
                kinds,
                f"{middle:.1f}" if middle else "-",
                f"{low:.1f}" if low else "-",
            )
        )
    headings = ("edit", "found first", "told to be", "score: median", "lowest")
    put(table(cells, headings, right=(1, 3, 4)))
    sys.stdout.flush()
