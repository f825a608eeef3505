"""Evidence drawn into files, for the commands that look for pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wherefrom.cli.common import say, shown_place
from wherefrom.errors import UsageError
from wherefrom.printing import counted, plain
from wherefrom.records import short_id

if TYPE_CHECKING:
    from PIL import Image

    from wherefrom.collection import Collection
    from wherefrom.search.answer import Answer, Evidence, Match
    from wherefrom.settings import Settings

HOWS = ("side", "warped", "difference")
"""Ways to draw: side by side, the match laid into the query's frame, and where the two differ."""

_EXTENSIONS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def held(source: str, settings: Settings) -> Any:
    """What can be read twice: a URL's bytes, so that it is fetched once, and anything else as it is.

    Raises what `picture_of` raises.
    """
    from wherefrom.search.query import picture_of

    if source.partition("://")[0].lower() in ("http", "https"):
        return picture_of(source, settings)[1]
    return source


def check_target(path: str) -> None:
    """Raises UsageError for a file that no drawing can be saved as, before any work is done."""
    target = Path(path)
    if target.suffix.lower() not in _EXTENSIONS:
        raise UsageError(f"A drawing is saved as {', '.join(_EXTENSIONS)}; {path!r} is none of these.")
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent} for the drawing.")


def check_folder(path: str) -> None:
    """Raises UsageError for what can be no folder for drawings."""
    if Path(path).exists() and not Path(path).is_dir():
        raise UsageError(f"{path} is no folder that drawings could go into.")


def draw_pair(evidence: Evidence, query: Any, match: Any, how: str, path: str, settings: Settings) -> None:
    """Draw one of `HOWS` into a file."""
    from wherefrom.search import draw

    ways: dict[str, Callable[..., Image.Image]] = {
        "side": draw.draw,
        "warped": draw.warped,
        "difference": draw.difference,
    }
    first, first_size = draw.image_of(query, settings)
    second, second_size = draw.image_of(match, settings)
    drawn = ways[how](evidence, first, second, query_size=first_size, match_size=second_size)
    _save(drawn, Path(path))


def draw_matches(photos: Collection, query: Any, answers: list[Answer], folder: str) -> None:
    """Draw the query beside every match whose file is at hand, the surest first, as PNG files of a folder.

    Look-alikes are left out: there is nothing to prove.
    """
    from wherefrom.search.answer import CLAIMS
    from wherefrom.search.draw import draw, image_of
    from wherefrom.search.pixels import original

    claims = [[(rank, m) for rank, m in enumerate(a, 1) if m.kind in CLAIMS] for a in answers]
    if any(len(some) < len(answer) for some, answer in zip(claims, answers, strict=True)):
        say("Look-alikes are not drawn: they prove nothing.")
    if not any(claims):
        return
    settings = photos.settings
    read = original(settings.limits, photos.engine.original)
    if isinstance(query, str) and (whole := photos.whole_id(query)) is not None:
        query = read(photos.get(whole))
        if query is None:
            say("Nothing is drawn, for the file of this image has changed.")
            return
    image, size = image_of(query, settings)
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    drawn = 0
    for number, some in enumerate(claims, 1):
        for rank, match in some:
            picture = read(match.image)
            if picture is None:
                say(f"Not drawn, for its file is gone or has changed: {_name_of(match)}")
                continue
            other, other_size = image_of(picture, settings)
            sheet = draw(match.evidence, image, other, query_size=size, match_size=other_size)
            region = f"region {number}, " if len(answers) > 1 else ""
            _save(sheet, target / f"{region}{rank:02} {match.kind.value} {_stem(match)}.png")
            drawn += 1
    if drawn:
        say(f"{counted(drawn, 'drawing')} in {plain(folder)}.")


def _save(image: Image.Image, path: Path) -> None:
    from PIL import Image as Images

    kind = _EXTENSIONS[path.suffix.lower()]
    if kind == "JPEG" and image.mode == "RGBA":
        image = Images.alpha_composite(Images.new("RGBA", image.size, "white"), image).convert("RGB")
    try:
        image.save(path, kind)
    except OSError as error:
        raise UsageError(f"The drawing cannot be written to {path}: {error.strerror or error}.") from None


def _name_of(match: Match) -> str:
    return shown_place(match.sightings[0].uri) if match.sightings else short_id(match.id)


def _stem(match: Match) -> str:
    return safe_stem(_name_of(match)) or short_id(match.id)


def safe_stem(name: str) -> str:
    """The name of a file without what it ends in, as any file system takes it; it may be empty."""
    plain = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*\ufffd]', "_", Path(name).stem)
    return plain.encode("utf-8")[:80].decode("utf-8", "ignore").strip(" .")
