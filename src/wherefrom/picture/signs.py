"""What is kept of a file's signs of its own history: facts that name no person, place, device or program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a file's history.

    `camera` says that a camera wrote it and that nothing since has changed its size; `altered` that a
    camera's block states another size than the picture has, or an editor's name; `software` is `camera`,
    `editor` or `app`, None where no program is named; `quality` the JPEG's, 1 to 100, and `subsampled`
    whether its colours are kept at less than full size, None for other formats; `lossless` whether the
    format keeps every pixel; `grid` how strongly the blocks of a JPEG stand out of a file that is none
    (0 to 1), and `sharp` the energy of the finest detail over that of the next coarser: next to nothing
    where the picture was blurred or enlarged. Both are None where it was decoded at a reduced size.

    `frames` are the codes of all its frames or pages where there are several (see
    `wherefrom.picture.frames`), `missing` the share of the picture that the file lacks (0 to 1), and `note`
    what was said of that when it was read.
    """

    camera: bool = False
    altered: bool = False
    software: str | None = None
    quality: int | None = None
    subsampled: bool | None = None
    lossless: bool = False
    grid: float | None = None
    sharp: float | None = None
    frames: str | None = None
    missing: float = 0.0
    note: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What differs from a file without any signs."""
        plain = asdict(Signs())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Signs:
        """The inverse of `as_json`; unknown keys are ignored."""
        return cls(**{name: value for name, value in fields.items() if name in cls.__slots__})
