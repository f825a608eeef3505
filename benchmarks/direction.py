"""Whether the direction between two pictures is right where it is said, and how often it is said.

    python benchmarks/direction.py ../shared/data/images [--pictures 40] [--skip 0] [--only edits] [--json]

Takes photographs (`FOLDER/photos`, `kodak`, `camera`) and what was made of them (`direction_cases.py`), and
compares both both ways round. Counts each reason by itself, every kind of edit, and how often the two ways
round contradict each other.

Fails where less than 0.97 of what is said is right, of all or by one reason, or where the two ways round
contradict each other.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
from collections import Counter
from pathlib import Path

from PIL import Image, ImageOps

from direction_cases import CASES
from wherefrom.search.answer import Direction
from wherefrom.search.find import compare
from wherefrom.settings import Settings

BAR = 0.97
PLAIN = Settings(model="none")


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


def told(query: bytes, match: bytes) -> Direction | None:
    """What a comparison says of the two."""
    found = compare(query, match, PLAIN)
    return None if found is None else found.direction


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--skip", type=int, default=0, help="photographs passed over, to measure on others")
    parser.add_argument("--only", choices=tuple(CASES), help="one family of cases; else all of them")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    paths = originals(asked.folder, asked.pictures, asked.skip)
    backgrounds = [
        Image.open(path).convert("RGB") for path in sorted((asked.folder / "photos").glob("*.jpg"))[3::40]
    ]
    right, wrong, silent = Counter[str](), Counter[str](), Counter[str]()
    good, bad, against = Counter[str](), Counter[str](), 0
    wrongly = Counter[tuple[str, ...]]()
    images = [(data, _upright(data)) for data in map(Path.read_bytes, paths)]
    families = [asked.only] if asked.only else list(CASES)
    for name, original, made in (pair for family in families for pair in CASES[family](images, backgrounds)):
        forth, back = told(made, original), told(original, made)
        against += forth is not None and back is not None and forth.source == back.source
        for said, source in ((forth, "match"), (back, "query")):
            if said is None:
                silent[name] += 1
                continue
            (right if said.source == source else wrong)[name] += 1
            for reason in said.why:
                (good if said.source == source else bad)[reason.code] += 1
            if said.source != source:
                wrongly[name, *(reason.code for reason in said.why)] += 1
    yes, no = right.total(), wrong.total()
    report = {
        "machine": platform.platform(),
        "pictures": len(paths),
        "pairs": (yes + no + silent.total()) // 2,
        "right": round(yes / max(1, yes + no), 4),
        "said": round((yes + no) / max(1, yes + no + silent.total()), 4),
        "contradictions": against,
        "reasons": {code: [good[code], bad[code]] for code in sorted(good | bad)},
        "edits": {name: [right[name], wrong[name], silent[name]] for name in sorted(right | wrong | silent)},
    }
    if asked.json:
        print(json.dumps(report, indent=2))
    else:
        print(
            f"{report['pairs']} pairs, both ways round: said of {report['said']:.1%}, "
            f"right {report['right']:.2%}"
        )
        for code, (so, not_so) in report["reasons"].items():
            print(f"  {code:14} right {so:5} wrong {not_so}")
        for name, (so, not_so, nothing) in report["edits"].items():
            print(f"  {name:38} right {so:4} wrong {not_so:3} not said {nothing:4}")
        for (name, *codes), times in wrongly.most_common():
            print(f"  wrong {times} times: {name}, for {', '.join(codes)}")
        print(f"the two ways round contradict each other in {against} pairs")
    poor = [code for code in good | bad if good[code] < BAR * (good[code] + bad[code])]
    return int(report["right"] < BAR or bool(poor) or against > 0)


if __name__ == "__main__":
    raise SystemExit(main())
