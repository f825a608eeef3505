"""What an edit leaves: the picture, where each of its pixels went, and what is to be said of it.

Pixel coordinates have their origin at the top left corner of the top left pixel, x to the right and y
down: the middle of that pixel is (0.5, 0.5), making a picture `f` times as large is diag(f, f, 1), and
mirroring takes x to width - x. Matrices are float64 (3, 3) and act on columns (x, y, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
"""float64 (n, 2): x, y."""

Random = np.random.Generator
Others = Sequence[Image.Image]
"""Other pictures, RGB, for edits that show one among several; empty where there are none."""

Editor = Callable[[Image.Image, Random, Others], "Edited"]
"""An upright RGB image, chance, and other pictures: the edited one."""

VOCABULARY = frozenset(
    {
        "crop",
        "mirror",
        "rotate",
        "scale",
        "aspect",
        "perspective",
        "border",
        "grey",
        "tone",
        "negative",
        "blur",
        "compression",
        "noise",
        "overlay",
        "embedded",
    }
)
"""What explanations name."""


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """An edited picture and the truth about it.

    `image` is RGB. `transform` is the homography from source pixels to edited pixels, the identity
    where nothing moved, None where no homography says it. `names` are the edits, of `VOCABULARY`, that
    an explanation is expected to name.
    """

    image: Image.Image
    transform: Matrix | None
    names: frozenset[str]

    def then(self, editor: Editor, random: Random, others: Others = ()) -> Edited:
        """Edited once more: transforms multiply, names come together."""
        after = editor(self.image, random, others)
        transform = None
        if self.transform is not None and after.transform is not None:
            transform = after.transform @ self.transform
        return Edited(after.image, transform, self.names | after.names)


def kept(image: Image.Image, *names: str) -> Edited:
    """A picture in which everything stayed where it was."""
    return Edited(image, np.eye(3), frozenset(names))


def moved(x: float, y: float) -> Matrix:
    """The matrix of a shift."""
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def stretched(across: float, down: float) -> Matrix:
    """The matrix of a change of width and height."""
    return np.diag([across, down, 1.0])


def turned(degrees: float) -> Matrix:
    """The matrix of a turn about the origin, clockwise."""
    angle = np.deg2rad(degrees)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])


def corners(width: float, height: float) -> Points:
    """The outline of a picture, clockwise from the top left."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def carried(matrix: Matrix, points: Points) -> Points:
    """Points (n, 2) where a homography takes them."""
    flat = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(flat[:, :2] / flat[:, 2:])


def homography(source: Points, target: Points) -> Matrix:
    """The matrix that takes four points to four others; no three of either may lie on a line."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(right)), 1.0).reshape(3, 3)


def linear_scale(matrix: Matrix, width: float, height: float) -> float:
    """How many times larger the middle of a picture becomes: the root of its area's change."""
    middle = matrix @ np.array([width / 2, height / 2, 1.0])
    return float(np.sqrt(abs(np.linalg.det(matrix) / middle[2] ** 3)))


def warped(
    image: Image.Image, matrix: Matrix, size: tuple[int, int], fill: str | int = "black"
) -> Image.Image:
    """An image drawn through a homography; nothing is averaged, so make it small enough first."""
    back = np.linalg.inv(matrix)
    data = tuple(float(value) for value in (back / back[2, 2]).ravel()[:8])
    return image.transform(size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC, fillcolor=fill)


def placed(image: Image.Image, matrix: Matrix, canvas: Image.Image) -> Image.Image:
    """A canvas with an image laid onto it through a homography."""
    mask = warped(Image.new("L", image.size, 255), matrix, canvas.size, 0)
    return Image.composite(warped(image, matrix, canvas.size), canvas, mask)


def sized(image: Image.Image, width: int, height: int) -> Edited:
    """An image at another size, in pixels."""
    matrix = stretched(width / image.width, height / image.height)
    return Edited(image.resize((width, height), Image.Resampling.LANCZOS), matrix, frozenset())


def within(image: Image.Image, side: int) -> Edited:
    """An image whose longer side is at most `side` pixels."""
    factor = min(1.0, side / max(image.size))
    return sized(image, max(1, round(image.width * factor)), max(1, round(image.height * factor)))
