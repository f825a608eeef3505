"""What `benchmarks/RESULTS.md` says, as a table and as a chart: nothing here has a figure of its own."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from wherefrom.evaluate.edits import EDITS

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "RESULTS.md"

SHOWN = (
    "jpeg q10",
    "mirror",
    "negative",
    "text over",
    "stickers",
    "border 10 % white",
    "perspective 15 %",
    "rotate 5",
    "rotate 45",
    "crop 70 %",
    "crop 30 %",
    "screenshot 40 %",
    "collage 25 %",
    "picture in picture 15 %",
    "photo of a screen",
    "cut-out on white",
)
"""Edits that the chart shows, from easy to hard."""

_OURS = ("recall@1 as a claim", "Wherefrom")
_PEERS = {"PDQ": "#e69f00", "pHash": "#cc79a7", "image-match": "#009e73"}
_HARD = 0.985

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #262a30 }
.faint { fill: #6e747c } .grid { stroke: #dededa } .paper { fill: #fafaf8 } .ours { fill: #0072b2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e8e8e4 } .faint { fill: #a0a6ae } .grid { stroke: #3a3f46 } .paper { fill: #16181c }
  .ours { fill: #56b4e9 }
}
"""


def copies() -> list[dict[str, str]]:
    """The rows of the first table with a column of copies found by Wherefrom, by the words of its head."""
    rows = [line.strip().strip("|").split("|") for line in _lines() if line.startswith("|")]
    head: list[str] = []
    found: list[dict[str, str]] = []
    for cells in ([cell.strip() for cell in row] for row in rows):
        if cells[0] == "edit":
            if found:
                break
            head = cells if any(name in cells for name in _OURS) and "PDQ" in cells else []
        elif head and len(cells) == len(head) and cells[0] in EDITS:
            found.append(dict(zip(head, cells, strict=True)))
    return found


def hard() -> str:
    """The edits of which most copies are missed, as a table, the hardest first."""
    missed = [(share, row) for row in copies() if (share := _ours(row)) is not None and share < _HARD]
    rows = sorted(missed, key=lambda one: (one[0], one[1]["edit"]))
    head = f"| edit | found first, of 1,000 | by {' | by '.join(_PEERS)} |"
    lines = [head, "|---|---|" + "---|" * len(_PEERS)]
    for share, row in rows:
        peers = [_of_thousand(row.get(name, "")) for name in _PEERS]
        lines.append(f"| {row['edit']} | {1000 * share:.0f} | {' | '.join(peers)} |")
    return "\n".join(lines)


def chart() -> str:
    """Copies found first, by edit, beside the peers: SVG, for light and dark pages."""
    known = {row["edit"]: row for row in copies()}
    rows = [known[name] for name in SHOWN if name in known]
    left, top, width, step = 190, 46, 520, 26
    height = top + step * len(rows) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 40} {height}" role="img">',
        "<title>Share of edited copies found first, by edit, for Wherefrom and others</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{left + width + 40}" height="{height}" rx="8"/>',
    ]
    for number, (name, colour) in enumerate([("Wherefrom", ""), *_PEERS.items()]):
        x: float = left + 120 * number
        fill = f'fill="{colour}"' if colour else 'class="ours"'
        out += [f'<circle cx="{x}" cy="20" r="6" {fill}/>', f'<text x="{x + 12}" y="24.5">{name}</text>']
    for tenth in range(0, 11, 2):
        x = left + width * tenth / 10
        out.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top - 8}" y2="{height - 30}"/>')
        out.append(
            f'<text class="faint" x="{x}" y="{height - 10}" text-anchor="middle">{10 * tenth} %</text>'
        )
    for number, row in enumerate(rows):
        y = top + step * number + step / 2 - 6
        out.append(f'<text x="{left - 14}" y="{y + 4.5}" text-anchor="end">{escape(row["edit"])}</text>')
        for place, (name, colour) in enumerate(_PEERS.items(), -1):  # below each other where they agree
            share = _number(row.get(name, ""))
            if share is not None:
                x = left + width * share
                out.append(f'<circle cx="{x:.1f}" cy="{y + 6 * place}" r="4" fill="{colour}"/>')
        ours = _ours(row)
        if ours is not None:
            out.append(f'<circle class="ours" cx="{left + width * ours:.1f}" cy="{y}" r="6.5"/>')
    return "\n".join([*out, "</svg>"]) + "\n"


def _lines() -> list[str]:
    return RESULTS.read_text(encoding="utf-8").splitlines()


def _ours(row: dict[str, str]) -> float | None:
    return next((_number(row[name]) for name in _OURS if name in row), None)


def _of_thousand(text: str) -> str:
    share = _number(text)
    return "" if share is None else f"{1000 * share:.0f}"


def _number(text: str) -> float | None:
    try:
        return float(text.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return None
