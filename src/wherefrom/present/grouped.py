"""Groups of duplicates as one page: what is advised to be kept and why, and what could go, with pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from wherefrom.present.sheet import CLOSING, data_uri, opening, shown, thumbnail
from wherefrom.printing import counted, size
from wherefrom.search.wording import listed
from wherefrom.sources.folder import path_of

if TYPE_CHECKING:
    from wherefrom.groups import Duplicate, Group
    from wherefrom.records import Image, Sighting
    from wherefrom.search.pixels import Original

Small = Callable[["Image"], bytes | None]
"""The thumbnail of an image as the bytes of a JPEG, None where there is none."""

SIDE = 200
"""Pixels of the longer side of a thumbnail on this page."""

_OPEN = 12  # files of a group that are open to the eye; the others unfold, without pictures
_PICTURES = 3_000  # thumbnails of a page, some 20 MB of it

_SAID = {"spare": "could go", "choice": "your choice", "keep": "keep", "part": "a part"}


def smalls(read: Original) -> Small:
    """Thumbnails of images whose files `read` finds: as many as a page holds."""
    left = _PICTURES

    def small(image: Image) -> bytes | None:
        nonlocal left
        if left <= 0:
            return None
        picture = read(image)
        if picture is None:
            return None
        from PIL import Image as Images

        left -= 1
        return thumbnail(Images.fromarray(picture.pixels), SIDE)

    return small


def pieces(groups: Sequence[Group], small: Small) -> Iterator[str]:
    """The page, piece by piece, in the order of the groups. Whatever files are called is escaped."""
    pictures = [group for group in groups if group.kind == "picture"]
    parts = [group for group in groups if group.kind == "parts"]
    yield opening("Duplicates", files("wherefrom.present").joinpath("grouped.css").read_text("utf-8"))
    yield _head(pictures, parts)
    if pictures:
        yield '<section id="groups"><h2>One picture</h2>'
        for number, group in enumerate(pictures, 1):
            yield _group(number, group, small)
        yield "</section>"
    if parts:
        yield (
            '<section id="parts"><h2>Crops and parts</h2><p class="note">These share a part, and are not one '
            "picture. None could go for another's sake.</p>"
        )
        for number, group in enumerate(parts, len(pictures) + 1):
            yield _group(number, group, small)
        yield "</section>"
    yield CLOSING


def _head(pictures: Sequence[Group], parts: Sequence[Group]) -> str:
    if not pictures and not parts:
        return "<header><h1>Duplicates</h1><p>Nothing is there twice.</p></header>"
    spare = sum(len(group.spare) for group in pictures)
    open_ones = sum(one.suggestion == "choice" for group in pictures for one in group.others)
    tiles = [
        ("One picture", counted(len(pictures), "group")),
        ("Could go", counted(spare, "file")),
        ("Would be free", size(sum(group.spare_bytes for group in pictures))),
        ("Your choice", counted(open_ones, "file")),
        ("Crops and parts", counted(sum(len(group.others) for group in parts), "file")),
    ]
    inside = "".join(f"<div><dt>{name}</dt><dd>{figure}</dd></div>" for name, figure in tiles)
    links = '<nav><a href="#groups">One picture</a><a href="#parts">Crops and parts</a></nav>'
    return (
        f'<header><h1>Duplicates</h1><dl class="tiles">{inside}</dl><p class="note">Nothing was touched. '
        "<code>wherefrom duplicates --trash</code> moves what could go to the bin, after asking; what is "
        f"your choice stays.</p>{links if pictures and parts else ''}</header>"
    )


def _group(number: int, group: Group, small: Small) -> str:
    total = counted(len(group.others) + 1, "file")
    if group.kind == "parts":
        title = f"{number:,}. {total} that share a part"
    elif group.spare:
        title = (
            f"{number:,}. {total}; {counted(len(group.spare), 'file')} could go, {size(group.spare_bytes)}"
        )
    else:
        title = f"{number:,}. {total}; {'your choice' if group.choice else 'none could go'}"
    first = "part" if group.kind == "parts" else "choice" if group.choice else "keep"
    cards = [_card(first, group.keep, group.place, group.why, (), small)]
    seen = {group.keep.id}
    for one in group.others[: _OPEN - 1]:
        cards.append(_other(one, small, again=one.image.id in seen))
        seen.add(one.image.id)
    rest = [_line(one) for one in group.others[_OPEN - 1 :]]
    more = f"<details><summary>{len(rest):,} more</summary><ul>{''.join(rest)}</ul></details>" if rest else ""
    met = "".join(
        f"<li>{'contains' if part.contains else 'is contained in'} {_path(part.place, part.image)}</li>"
        for part in group.parts
    )
    also = f'<ul class="parts">{met}</ul>' if met else ""
    return f'<article><h3>{title}</h3><div class="cards">{"".join(cards)}</div>{more}{also}</article>'


def _other(one: Duplicate, small: Small, *, again: bool) -> str:
    done = _done(one)
    why = () if one.suggestion == "part" or again else (one.why,)
    return _card(one.suggestion, one.image, one.place, done, why, None if again else small)


def _done(one: Duplicate) -> str:
    if one.parent == one.image.id:
        return "identical, byte for byte"
    return "; ".join(filter(None, (f"{one.kind.value} {one.score:.1f}", ", ".join(listed(one.edits)))))


def _card(
    suggestion: str, image: Image, place: Sighting | None, said: str, why: Iterable[str], small: Small | None
) -> str:
    name = os.path.basename(_text(place, image).rstrip("/"))  # noqa: PTH119 - it may be no path
    jpeg = None if small is None else small(image)
    empty = "same bytes as before" if small is None else "no picture"
    picture = (
        f'<img src="{data_uri(jpeg)}" alt="{shown(name)}" loading="lazy">'
        if jpeg
        else f'<div class="none">{empty}</div>'
    )
    facts = f"{image.width:,} × {image.height:,} {image.format.upper()}, {size(image.bytes)}"
    told = "".join(f"<p>{shown(text)}</p>" for text in (said, *why) if text)
    told = told.replace(" %", "\N{NO-BREAK SPACE}%")  # a figure and its unit stay on one line
    return (
        f'<figure class="{suggestion}">{picture}<figcaption><b>{_SAID[suggestion]}</b>'
        f'<strong>{shown(name)}</strong>{told}<p class="quiet">{shown(facts)}</p>'
        f'<p class="path">{_path(place, image)}</p></figcaption></figure>'
    )


def _line(one: Duplicate) -> str:
    return f"<li>{_SAID[one.suggestion]}: {_path(one.place, one.image)} ({shown(_done(one))})</li>"


def _path(place: Sighting | None, image: Image) -> str:
    return f"<bdi>{shown(_text(place, image))}</bdi>"


def _text(place: Sighting | None, image: Image) -> str:
    """Where an image is: a local file by its path."""
    return image.id if place is None else path_of(place.uri) or place.uri
