"""Keeping: which of several files of one picture is the original, as far as they say it themselves.

The order of what counts: a camera's raw file, a camera's file, what nothing speaks against, what an editor or
an app has written or is named for, or a JPEG was saved as without loss; then pixels, then words such as copy
and mirrored in names and folders, then the day on which the file was changed, then bytes a pixel, then the
date. What pixels say of two files (`search.direction`) goes before all of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from wherefrom.picture.signs import Signs
from wherefrom.places import looked, spots
from wherefrom.records import Image, Sighting
from wherefrom.search.direction import SENTENCES
from wherefrom.sources.folder import path_of

_BLURRED = 0.02  # `Signs.sharp` of what was enlarged or blurred
_BLOCKS = 0.1  # `Signs.grid` of a lossless file that a JPEG was saved as
_HOUR = 3_600 * 10**9  # nanoseconds, within which two files were copied in one go
_DAY = 24 * _HOUR

# As words of a name or folder, in the languages that files are copied in most.
_COPIED = re.compile(
    r"(?<![^\W\d_])(?:copy|copies|copie|copia|cópia|kopie|kopia|kopi|kópia|копия|копии|نسخة|副本|コピー|複製|duplicate|dupe|"
    r"backups?|backed|bak|sicherung|sauvegarde|respaldo|резервная|备份|バックアップ|old|alt|archive?|trash|papierkorb|"
    r"edit|edits|edited|editing|bearbeitet|bearbeitung|modifi[eé]e?|editado|editada|modificat[oa]|изменено|已编辑|編集済み|"
    r"export|exports|exported|exportiert|resized|small|klein|thumbs?|thumbnails?|preview|web|screenshots?|"
    r"bildschirmfoto|whatsapp|telegram|instagram|facebook|downloads?|sent|final|mirror(?:ed)?|flip(?:ped)?|turned|rotated|gespiegelt|gedreht|"
    r"brighter|sharpened|retouched|cropped|framed|filtered|meme|temp|tmp)(?![^\W\d_])",
    re.IGNORECASE,
)
# As programs name what they enlarge, and messengers what they send.
_MADE = re.compile(
    r"(?<![^\W\d_])(?:upscal(?:ed|e|er)?|super[ -]?res(?:olution)?|enlarged?|enhanced?|hochskaliert|"
    r"vergr[öo](?:ß|ss)ert|giga[ -]?pixel|topaz|waifu2x|(?:real[ -]?)?esrgan|remini|swinir|agrandie?|"
    r"ampliad[ao])(?![^\W\d_])|^IMG-\d{8}-WA\d+",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:\(\d+\)|[ _-]\d|~\d*)$|^IMG-\d{8}-WA\d+", re.IGNORECASE)


def merit(image: Image) -> tuple[int, float, int, int, float, str, int, int, int, str]:
    """Lowest for the image to keep."""
    pixels = image.width * image.height
    there = [place for place in image.sightings if place.gone is None]
    words, odd, depth, length, _ = min(map(place_order, there), default=(9, 0, 0, 0, ""))
    day = min((place.stamp.mtime_ns // _DAY for place in there if place.stamp is not None), default=0)
    when = image.credit.taken or (image.sightings[0].first_seen if image.sightings else image.added)
    return rank(image), -pixels, words, day, -image.bytes / pixels, when, odd, depth, length, image.id


def rank(image: Image) -> int:
    """0 for a camera's raw file, 1 for a camera's other files, 3 for what was made of something, 4 for
    what is not whole, else 2."""
    signs = image.signs or Signs()
    if signs.missing > 0:
        return 4
    if image.format == "raw":
        return 0
    if signs.camera:
        return 1
    blurred = signs.sharp is not None and signs.sharp < _BLURRED
    lossy = signs.lossless and (signs.grid or 0.0) > _BLOCKS
    made = signs.altered or signs.software == "app" or blurred or lossy
    return 3 if made or _named_as_made(image) else 2


def _named_as_made(image: Image) -> bool:
    """Whether each of its places is named as programs name what they enlarge or send."""
    there = [place for place in image.sightings if place.gone is None]
    return bool(there) and all(_MADE.search(_stem(path_of(place.uri) or place.uri)) for place in there)


def _stem(path: str) -> str:
    return Path(path).stem.replace("_", " ")


def ordered(image: Image) -> list[tuple[Sighting, tuple[Sighting, ...]]]:
    """The files of an image that was looked at (see `places`), the one to keep first: in the company of
    files of the same shot, without words such as copy in its path, the older, the shorter."""

    def key(spot: tuple[Sighting, tuple[Sighting, ...]]) -> tuple[object, ...]:
        place = spot[0]
        path = path_of(place.uri)
        words, odd, depth, length, name = place_order(place)
        hour = place.modified // _HOUR
        return (
            path is None,
            path is not None and not has_company(path),
            words + odd,
            hour,
            depth,
            length,
            name,
        )

    return sorted(spots(image), key=key)


def place_order(place: Sighting) -> tuple[int, int, int, int, str]:
    """What names say of a place, least for the one to keep: words such as copy, characters that cannot be
    shown, depth, length, name."""
    path = path_of(place.uri) or place.uri
    folders, name = os.path.split(path)
    stem = Path(name).stem
    words = sum(len(_COPIED.findall(text.replace("_", " "))) for text in (folders, stem))
    words += 1 if _MADE.search(_stem(name)) else 0
    words += 1 if _NUMBERED.search(stem) and not _plain(stem) else 0
    odd = sum(not character.isprintable() for character in path)
    return words, odd, path.count("/"), len(path), path


def _plain(stem: str) -> bool:
    """Whether a name ends in a number as cameras count."""
    return re.fullmatch(r"[A-Za-z]{0,4}[_-]?\d+", stem) is not None


_SIDECARS = (".xmp", ".XMP", ".aae", ".AAE", ".mov", ".MOV", ".thm", ".THM")
_RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".heic", ".heif")
_SHOWN = (".jpg", ".jpeg", ".heic", ".heif")


def has_company(path: str) -> bool:
    """Whether beside a file lies another of the same shot: raw, sidecar, or the film of a Live Photo."""
    own = Path(path).suffix
    stem = path.removesuffix(own)
    others = [*_SIDECARS, *(end for name in (*_RAW, *_SHOWN) for end in (name, name.upper()))]
    return any(end.lower() != own.lower() and os.path.lexists(stem + end) for end in others)


_PAIRED = ({"raw", "jpeg"}, {"raw", "heic"}, {"heic", "jpeg"}, {"raw", "avif"})
_FOLDERS = re.compile(r"^(raws?|jpe?gs?|heics?|dngs?|nefs?|cr2|arws?)$", re.IGNORECASE)


def one_shot(one: Image, other: Image) -> tuple[Sighting, Sighting] | None:
    """The places where two files of one shot lie side by side: RAW and JPEG, HEIC and JPEG; else None.

    They have one name but for its ending, in one folder or in two beside each other that are named after
    formats, and where both say when they were taken, it is the same second.
    """
    if {one.format, other.format} not in _PAIRED:
        return None
    first, second = one.credit.taken, other.credit.taken
    if first and second and first[:19] != second[:19]:
        return None
    for mine, _ in spots(looked(one)):
        for its, _ in spots(looked(other)):
            if _side_by_side(path_of(mine.uri), path_of(its.uri)):
                return mine, its
    return None


def _side_by_side(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    (here, mine), (there, its) = os.path.split(one), os.path.split(other)
    if Path(mine).stem.casefold() != Path(its).stem.casefold():
        return False
    if here == there:
        return True
    (above, folder), (over, beside) = os.path.split(here), os.path.split(there)
    named = [bool(_FOLDERS.match(name)) for name in (folder, beside)]
    return (above == over and all(named)) or (over == here and named[1]) or (above == there and named[0])


PAIR = "{} and {} of one shot: kept together"
_TITLES = {"raw": "RAW", "jpeg": "JPEG", "heic": "HEIC", "avif": "AVIF"}


def paired(one: Image, other: Image) -> str:
    """What is said of two files of one shot."""
    return PAIR.format(*(_TITLES.get(image.format, image.format.upper()) for image in (one, other)))


def why(images: Sequence[Image], reasons: Sequence[str] = ()) -> str:
    """Why the first of several images is kept, in a phrase; `reasons` are those that directions gave."""
    if len(images) == 1:
        return "the files are the same, byte for byte"
    first, others = images[0], images[1:]
    said: list[str] = []
    if first.format == "raw":
        said.append("the camera's raw file")
    elif first.signs is not None and first.signs.camera:
        said.append("as the camera wrote it")
    if said and first.credit.taken:
        said[0] += f", taken {first.credit.taken[:10]}"
    second = min(others, key=merit)
    pixels = first.width * first.height
    if pixels > max(one.width * one.height for one in others):
        said.append(f"largest: {first.width} × {first.height}")
    told = [text for text in dict.fromkeys(reasons) if not (said and text == SENTENCES["larger"])]
    if not said and not told:
        if pixels == second.width * second.height and first.bytes > second.bytes:
            return "least compressed of the largest"
        return "likely the earliest"
    return "; ".join([*said, *told[:2]])
