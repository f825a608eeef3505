"""Whether the direction between two pictures is right where it is said, and how often it is said.

Takes photographs and what was made of them (`direction_cases`), and compares both both ways round. Counts
each reason by itself, every kind of edit, and how often the two ways round contradict each other. Below its
bar is less than 0.97 that is right of what is said, of all or by one reason, and any contradiction.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from benchmarks.common import place_of
from benchmarks.direction_cases import CASES
from wherefrom.search.answer import Direction
from wherefrom.search.find import compare
from wherefrom.settings import Settings

BAR = 0.97
PLAIN = Settings(model="none")


def run(
    folder: str | None = None, pictures: int = 40, skip: int = 0, only: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """`skip` photographs are passed over, to measure on others; `only` is one family of cases."""
    home, against = place_of(folder), 0
    backgrounds = [Image.open(path).convert("RGB") for path in sorted((home / "photos").glob("*.jpg"))[3::40]]
    images = [(data, _upright(data)) for data in map(Path.read_bytes, originals(home, pictures, skip))]
    edits, reasons = dict[str, Counter[str]](), dict[str, Counter[str]]()
    for family in [only] if only else CASES:
        for name, original, made in CASES[family](images, backgrounds):
            forth, back = told(made, original), told(original, made)
            against += forth is not None and back is not None and forth.source == back.source
            for said, source in ((forth, "match"), (back, "query")):
                how = "not said" if said is None else "right" if said.source == source else "wrong"
                edits.setdefault(name, Counter())[how] += 1
                for reason in said.why if said else ():
                    reasons.setdefault(reason.code, Counter())[how] += 1
    every = sum(edits.values(), Counter[str]())
    claimed = every["right"] + every["wrong"]
    right = round(every["right"] / max(1, claimed), 4)
    low = [code for code, some in sorted(reasons.items()) if some["right"] < BAR * some.total()]
    low += ["all that is said"] * (right < BAR) + ["the two ways round"] * bool(against)
    return {
        "pictures": len(images),
        "pairs": every.total() // 2,
        "right": right,
        "said": round(claimed / max(1, every.total()), 4),
        "contradictions": against,
        "reasons": dict(sorted(reasons.items())),
        "edits": dict(sorted(edits.items())),
    }, [f"{what}: below {BAR}" for what in low]


def told(query: bytes, match: bytes) -> Direction | None:
    """What a comparison says of the two."""
    found = compare(query, match, PLAIN)
    return None if found is None else found.direction


def originals(folder: Path, count: int, skip: int) -> list[Path]:
    """Pictures of all three folders, spread evenly."""
    photos = sorted((folder / "photos").glob("*.jpg"))
    others = [*sorted((folder / "kodak").glob("*.png")), *sorted((folder / "camera").glob("*.jpg"))]
    small = [path for path in others if path.stat().st_size < 700_000]
    many = max(1, count * 3 // 5)
    chosen = photos[skip :: max(1, len(photos) // many)][:many]
    rest = small[skip % 2 :: 2] + small[1 - skip % 2 :: 2]
    return [*chosen, *rest[: count - len(chosen)]]


def _upright(data: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
