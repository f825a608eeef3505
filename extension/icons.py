"""Draws the icons of the extension: crop marks around a dot, as the page has them.

python extension/icons.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

SIZES = (16, 32, 48, 128)
FINE = 8  # drawn at this many times the size and reduced
PAPER, INK, BLUE = (250, 249, 246, 255), (27, 30, 35, 255), (11, 92, 143, 255)


def icon(size: int) -> Image.Image:
    """The icon, `size` pixels wide and high, on a sheet of paper that shows on any ground."""
    whole = size * FINE
    image = Image.new("RGBA", (whole, whole))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, whole - 1, whole - 1), radius=whole * 0.16, fill=PAPER)
    near, far, stroke = whole * 0.16, whole * 0.84, whole * 0.085
    length = whole * 0.21
    for x, across in ((near, 1), (far, -1)):
        for y, down in ((near, 1), (far, -1)):
            for width, height in ((length, stroke), (stroke, length)):
                xs, ys = sorted((x, x + across * width)), sorted((y, y + down * height))
                pen.rectangle((xs[0], ys[0], xs[1], ys[1]), fill=INK)
    middle, radius = whole / 2, whole * 0.19
    pen.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill=BLUE)
    return image.resize((size, size), Image.Resampling.BOX)


def main() -> None:
    """Draw them into `icons/`."""
    folder = Path(__file__).parent / "icons"
    folder.mkdir(exist_ok=True)
    for size in SIZES:
        icon(size).save(folder / f"{size}.png", optimize=True)


if __name__ == "__main__":
    main()
