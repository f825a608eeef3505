"""Who made a picture, who owns it and when it was taken: what its file says, as one `Credit`.

A file may say it three times over: in EXIF (by the camera), in IPTC-IIM (the old press records) and in
XMP (by editors today). One order, of the Metadata Working Group's guidelines 2.0, settles every field:
EXIF, then XMP, then IIM; but IIM before XMP when Photoshop's digest of the IIM block no longer fits it,
for then a program that knows only IIM changed it after the XMP was written. docs/credit.md says more.

    creator      Artist, else XPAuthor · dc:creator · 2:80
    credit_line  photoshop:Credit · 2:110; where neither is said, photoshop:Source · 2:115
    copyright    Copyright (photographer; editor) · dc:rights (x-default first) · 2:116
    rights_url   xmpRights:WebStatement, else cc:license
    licensor     plus:Licensor, each as "name <URL>"
    taken        DateTimeOriginal · photoshop:DateCreated, else exif:DateTimeOriginal · 2:55 + 2:60;
                 where none is said, when it was digitized: DateTimeDigitized · xmp:CreateDate · 2:62 + 2:63

EXIF DateTime is not read: it is when the file was last changed. Every byte is taken as hostile: a
damaged block gives what can be read before the damage, and nothing here raises or warns.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


MAX_BLOCK = 1024 * 1024
"""Bytes of each block that are looked at; what lies beyond is not read."""

MAX_TEXT = 2000
"""Characters kept of a value. A URL that is longer is dropped, since a part of it leads elsewhere."""

_Said = dict[str, str]  # what one block says: field (or what is said instead) to text, "" where nothing
_INSTEAD = {"credit_line": "source", "taken": "digitized"}  # read where no block says the former


@dataclass(frozen=True, slots=True)
class Credit:
    """What a file says of its origin; None where it says nothing. True when it says anything.

    Texts are one line without control characters, of at most `MAX_TEXT` characters; several creators or
    licensors are joined with "; ". `rights_url` is always http or https. `taken` is ISO 8601 to the
    second, with an offset where the file states one (else it is local time, of wherever that was), and
    shortened to the day, month or year where the file says no more.
    """

    creator: str | None = None
    credit_line: str | None = None
    copyright: str | None = None
    rights_url: str | None = None
    licensor: str | None = None
    taken: str | None = None

    def __bool__(self) -> bool:
        return self != Credit()

    def as_json(self) -> dict[str, str | None]:
        """The fields by name, None where unknown; no key is left out."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, str | None]) -> Credit:
        """The credit that `as_json` gave; a missing key counts as None, an unknown one is ignored."""
        return cls(**{name: fields.get(name) for name in cls.__slots__})


def read_credit(exif: bytes | None, iptc: bytes | None, xmp: bytes | None) -> Credit:
    r"""The credit that three raw blocks give together, in the order of precedence above.

    `exif` is a TIFF block, with or without `Exif\0\0` before it; `iptc` is IIM datasets, or Photoshop
    image resources (8BIM) with the datasets in 0x0404 and maybe their digest in 0x0425; `xmp` is a
    packet in UTF-8 or UTF-16. Never raises and never warns, whatever the bytes.
    """
    if not (exif or iptc or xmp):
        return Credit()
    by_exif = _read_exif(exif[:MAX_BLOCK]) if exif else {}
    by_iim, changed = _read_iptc(iptc[:MAX_BLOCK]) if iptc else ({}, False)
    by_xmp = _read_xmp(xmp[:MAX_BLOCK]) if xmp else {}
    order = (by_exif, by_iim, by_xmp) if changed else (by_exif, by_xmp, by_iim)

    def first(field: str) -> str | None:
        names = (field, _INSTEAD.get(field, field))
        text = next((said[name] for name in names for said in order if said.get(name)), None)
        return text and text[:MAX_TEXT].rstrip()

    return Credit(*map(first, Credit.__slots__))


def blocks_of(image: Any) -> tuple[bytes | None, bytes | None, bytes | None]:
    """The (exif, iptc, xmp) blocks of an opened Pillow image of any format, as `read_credit` takes them.

    Decodes no pixels and never raises; None where there is no block. Call it before pixels are loaded:
    Pillow closes a TIFF then. What a PNG holds behind its pixels is seen only after. A TIFF's EXIF is a
    small block with nothing but the tags that are read here.
    """
    info = image.info
    exif = _bytes(info.get("exif")) or _profile(info, "exif", "APP1")
    xmp = _bytes(info.get("xmp")) or _bytes(info.get("XML:com.adobe.xmp")) or _profile(info, "xmp")
    resources = info.get("photoshop")
    iptc = _pack_resources(resources) if isinstance(resources, dict) else _profile(info, "iptc", "8bim")
    if image.format == "TIFF":
        tags = _tags(partial(_piece, getattr(image, "fp", None)))
        xmp = tags.pop(_XMP, xmp)
        # The tag is where IIM belongs in a TIFF; the resources may add its digest.
        iptc = _pack_resources({_IIM: tags.pop(_IPTC, b"")}) + tags.pop(_PHOTOSHOP, b"")
        exif = _pack_tags(tags) or exif
    return exif or None, iptc or None, xmp or None


def _bytes(value: object) -> bytes:
    # Pillow reads a PNG's tEXt as Latin-1, whatever it was: this gives the bytes back.
    value = value.encode("latin-1", "replace") if isinstance(value, str) else value
    return value if isinstance(value, bytes) else b""


def _profile(info: Mapping[Any, object], *names: str) -> bytes:
    """A profile as ImageMagick writes it into PNG text: its name, its length, hexadecimal digits."""
    text = next(filter(None, (info.get(f"Raw profile type {name}") for name in names)), None)
    parts = text.split(None, 2) if isinstance(text, str) else []
    digits = "".join(re.findall("[0-9a-fA-F]+", parts[2][: 3 * MAX_BLOCK])) if len(parts) == 3 else ""
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


# Controls, and the marks that turn the direction of what follows: a name must not rewrite a page.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_URL = re.compile(r'https?://[^\s<>"\\^`{|}]+', re.IGNORECASE)


def _tidy(text: str) -> str:
    """One line of text; empty when there is no letter or digit in it."""
    text = " ".join(_UNSEEN.sub("", text).split())
    return text if re.search(r"[^\W_]", text) else ""


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(filter(None, map(_tidy, texts))))


def _url(text: str) -> str:
    text = _tidy(text)
    return text if len(text) <= MAX_TEXT and _URL.fullmatch(text) else ""


def _first(read: Callable[[str], str], texts: Iterable[str]) -> str:
    """What `read` makes of the first text of which it makes anything."""
    return next(filter(None, map(read, texts)), "")


def _decoded(raw: bytes, declared: bool = False) -> str:
    """UTF-8; bytes that are not become Latin-1 or, where UTF-8 is declared, lose the bad characters."""
    try:
        return raw.decode("utf-8", "replace" if declared else "strict")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


# EXIF 2020:05:17 14:30:00, XMP 2020-05-17T14:30:00.25+02:00, IIM 20200517T143000+0200; each can be less.
_DATE = re.compile(
    r"(\d{4})(?:[-:/.]?(\d\d)(?:[-:/.]?(\d\d)"
    r"(?:[T ] *([01]\d|2[0-3]):?(\d\d)(?::?(\d\d)(?:[.,]\d*)?)? *(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?",
    re.ASCII,
)


def _when(text: str) -> str:
    """A date in any of the three standards' ways as ISO 8601; "" when there is no such date."""
    found = _DATE.fullmatch(_tidy(text).rstrip(" :T"))  # EXIF leaves unknown parts blank
    if found is None or found[1] < "1000":  # years below are the zeros of one system or another
        return ""
    # IIM writes unknown months and days as zeros.
    day = re.sub("(-00)+$", "", "-".join(filter(None, found.groups()[:3])))
    time = f"T{found[4]}:{found[5]}:{found[6] or '00'}{found[7] or ''}" if found[4] and len(day) == 10 else ""
    with suppress(ValueError):
        moment = datetime.fromisoformat(day + "-01-01"[len(day) - 4 :] + time)  # checks what is known
        return moment.isoformat() if time else day
    return ""


_ARTIST, _COPYRIGHT, _XP_AUTHOR, _EXIF_IFD = 0x013B, 0x8298, 0x9C9D, 0x8769
_TAKEN, _DIGITIZED, _TAKEN_OFFSET, _DIGITIZED_OFFSET = 0x9003, 0x9004, 0x9011, 0x9012
_XMP, _IPTC, _PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_IIM, _DIGEST = 0x0404, 0x0425  # resources of Photoshop, not tags
_TAGS = {_ARTIST, _COPYRIGHT, _XP_AUTHOR, _EXIF_IFD, _XMP, _IPTC, _PHOTOSHOP}
_TAGS |= {_TAKEN, _DIGITIZED, _TAKEN_OFFSET, _DIGITIZED_OFFSET}
_TYPE_BYTES = {1: 1, 2: 1, 4: 4, 7: 1, 13: 4, 16: 8, 18: 8, 129: 1}  # of the types that these tags come in
_TIFF = re.compile(rb"II[*+]\0|MM\0[*+]")

_Read = Callable[[int, int], bytes]  # offset and size to bytes; fewer where the data end


def _read_exif(block: bytes) -> _Said:
    start = _TIFF.search(block, 0, 64)
    block = block[start.start() :] if start else b""
    tags = _tags(lambda at, size: block[at : at + size])

    def text(tag: int) -> str:
        return _decoded(tags.get(tag, b"").split(b"\0", 1)[0])

    author = tags.get(_XP_AUTHOR, b"").decode("utf-16-le", "ignore").split("\0", 1)[0]
    return {
        "creator": _joined(text(_ARTIST).split(";")) or _joined(author.split(";")),
        # The photographer's, then after a NUL the editor's; a blank stands for none.
        "copyright": _joined(map(_decoded, tags.get(_COPYRIGHT, b"").split(b"\0")[:2])),
        "taken": _first(_when, (text(_TAKEN) + text(_TAKEN_OFFSET), text(_TAKEN))),
        "digitized": _first(_when, (text(_DIGITIZED) + text(_DIGITIZED_OFFSET), text(_DIGITIZED))),
    }


def _tags(read: _Read) -> dict[int, bytes]:
    """Raw values of the wanted tags of a TIFF or BigTIFF: of its first directory and the EXIF one.

    No other directory is followed, so that no chain of them can run in a circle.
    """
    head = read(0, 16)
    if not _TIFF.match(head):
        return {}
    order: Literal["little", "big"] = "little" if head[:1] == b"I" else "big"
    big = b"+" in head[2:4]
    tags = _directory(read, int.from_bytes(head[8:16] if big else head[4:8], order), order, big)
    if _EXIF_IFD in tags:
        tags |= _directory(read, int.from_bytes(tags[_EXIF_IFD], order), order, big)
        del tags[_EXIF_IFD]
    return tags


def _directory(read: _Read, at: int, order: Literal["little", "big"], big: bool) -> dict[int, bytes]:
    entry = struct.Struct(("<" if order == "little" else ">") + ("HHQ8s" if big else "HHI4s"))
    width = 8 if big else 2
    count = min(int.from_bytes(read(at, width), order), 1000)  # far more than any true directory has
    table = read(at + width, count * entry.size)
    found: dict[int, bytes] = {}
    for tag, kind, length, value in entry.iter_unpack(table[: len(table) // entry.size * entry.size]):
        if tag in _TAGS and tag not in found:
            size = _TYPE_BYTES.get(kind, 0) * length
            inline = size <= len(value)
            found[tag] = value[:size] if inline else read(int.from_bytes(value, order), min(size, MAX_BLOCK))
    return found


def _piece(file: Any, at: int, size: int) -> bytes:
    with suppress(AttributeError, OSError, OverflowError, ValueError):  # no file, closed, beyond its end
        file.seek(at)
        return bytes(file.read(size))
    return b""


def _pack_tags(tags: Mapping[int, bytes]) -> bytes:
    """A TIFF block with these tags in its first directory; b"" when there are none."""
    entries, values = b"", b""
    for tag, value in sorted(tags.items()):
        value = value.ljust(5, b"\0")  # too long to stand in the entry itself
        entries += struct.pack(">HHII", tag, 7, len(value), 14 + 12 * len(tags) + len(values))
        values += value
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", len(tags)) + entries + bytes(4) + values if tags else b""


def _read_iptc(block: bytes) -> tuple[_Said, bool]:
    """What the IIM datasets say, and whether they were changed after the XMP was written."""
    resources = {} if block.startswith(b"\x1c") else _unpack_resources(block)
    data = resources.get(_IIM, b"") if resources else block
    if data[:1] != b"\x1c" and data[3:4] == b"\x1c":  # a TIFF whose writer swapped them as 32-bit numbers
        data = struct.pack(f">{len(data) // 4}I", *struct.unpack_from(f"<{len(data) // 4}I", data))
    sets = _datasets(data)
    declared = b"\x1b%G" in sets.get((1, 90), ())

    def texts(number: int) -> list[str]:
        return [_decoded(raw, declared) for raw in sets.get((2, number), ())]

    def moments(day: int, time: int) -> list[str]:
        return [f"{date}T{clock}" for date, clock in zip(texts(day), texts(time), strict=False)] + texts(day)

    digest = resources.get(_DIGEST, b"")
    # A digest of zeros was never computed, and writers do not agree on whether padding counts.
    current = (hashlib.md5(part, usedforsecurity=False).digest() for part in (data, data.rstrip(b"\0")))
    return {
        "creator": _joined(texts(80)),
        "credit_line": _first(_tidy, texts(110)),
        "source": _first(_tidy, texts(115)),
        "copyright": _first(_tidy, texts(116)),
        "taken": _first(_when, moments(55, 60)),
        "digitized": _first(_when, moments(62, 63)),
    }, any(digest) and digest not in current


def _datasets(data: bytes) -> dict[tuple[int, int], list[bytes]]:
    """(record, number) to the values of IIM datasets, up to the first that is cut short or none."""
    found: dict[tuple[int, int], list[bytes]] = {}
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        at += 5
        if size & 0x8000:  # the other bits count the bytes of the real size, which follows
            start, at = at, at + min(size & 0x7FFF, 8)
            size = int.from_bytes(data[start:at], "big")
        if at + size > len(data):
            break
        found.setdefault((record, number), []).append(data[at : at + size])
        at += size
    return found


def _unpack_resources(block: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = max(block.find(b"8BIM", 0, 64), 0)
    while at + 12 <= len(block) and block.startswith(b"8BIM", at):
        code, name = struct.unpack_from(">HB", block, at + 4)
        at += 6 + (name + 2) // 2 * 2  # a name and its length byte are padded to even
        size = int.from_bytes(block[at : at + 4], "big")
        found.setdefault(code, block[at + 4 : at + 4 + size])
        at += 4 + (size + 1) // 2 * 2
    return found


def _pack_resources(resources: Mapping[int, object]) -> bytes:
    """The IIM resource and its digest as 8BIM blocks; b"" without the former."""
    packed = b""
    for code in (_IIM, _DIGEST) if resources.get(_IIM) else ():
        data = resources.get(code)
        if isinstance(data, bytes):
            packed += b"8BIM" + struct.pack(">HHI", code, 0, len(data)) + data + bytes(len(data) % 2)
    return packed


_RDF, _DC = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://purl.org/dc/elements/1.1/}"
_ADOBE, _PLUS = "{http://ns.adobe.com/", "{http://ns.useplus.org/ldf/xmp/1.0/}"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_PROPERTIES = {
    _DC + "creator": "creator",
    _DC + "rights": "copyright",
    _ADOBE + "photoshop/1.0/}Credit": "credit_line",
    _ADOBE + "photoshop/1.0/}Source": "source",
    _ADOBE + "photoshop/1.0/}DateCreated": "created",
    _ADOBE + "exif/1.0/}DateTimeOriginal": "original",
    _ADOBE + "xap/1.0/}CreateDate": "digitized",
    _ADOBE + "xap/1.0/rights/}WebStatement": "statement",
    "{http://creativecommons.org/ns#}license": "license",
    _PLUS + "Licensor": "licensor",
}


def _read_xmp(packet: bytes) -> _Said:
    from defusedxml.ElementTree import ParseError, iterparse

    tops: list[Element] = []
    with suppress(ParseError, ValueError, LookupError):  # not XML, a DTD (refused), no such encoding
        for _, element in iterparse(io.BytesIO(_as_utf8(packet)), ("start",), forbid_dtd=True):
            tops = tops or [element]  # holds all that stands before the damage, if any
    said: dict[str, list[str]] = {name: [] for name in _PROPERTIES.values()}
    # Only the properties right below a node of rdf:RDF are about this picture: deeper ones are about
    # pictures that went into it, or works that are shown in it.
    for node in [node for top in tops for rdf in (top, *top) if rdf.tag == _RDF + "RDF" for node in rdf]:
        for name in node.keys() & _PROPERTIES.keys():
            said[_PROPERTIES[name]].append(node.attrib[name])
        for value in node:
            if name := _PROPERTIES.get(value.tag):
                items = [item for group in value for item in group if item.tag == _RDF + "li"] or [value]
                items.sort(key=lambda item: item.get(_LANG) != "x-default")
                said[name] += map(_licensor if name == "licensor" else _text, items)
    return {
        "creator": _joined(said["creator"]),
        "credit_line": _first(_tidy, said["credit_line"]),
        "source": _first(_tidy, said["source"]),
        "copyright": _first(_tidy, said["copyright"]),
        "rights_url": _first(_url, said["statement"] + said["license"]),
        "licensor": _joined(said["licensor"]),
        "taken": _first(_when, said["created"] + said["original"]),
        "digitized": _first(_when, said["digitized"]),
    }


def _as_utf8(packet: bytes) -> bytes:
    # From the first "<" on, whose bytes tell UTF-16; without a declaration, which would be untrue now.
    found = re.search(rb"(<\0[^\0]\0)|(\0<\0[^\0])|<", packet)
    codec = ("utf-8", "utf-16-le", "utf-16-be")[found.lastindex or 0] if found else "utf-8"
    text = packet[found.start() if found else 0 :].decode(codec, "replace")
    return _UNSEEN.sub("", re.sub(r"^<\?xml\s[^>]*>", "", text)).encode()


def _text(value: Element) -> str:
    """A value's text, or where it links to, or the rdf:value of one that has qualifiers."""
    return (value.text or "").strip() or value.get(_RDF + "resource") or value.findtext(_RDF + "value") or ""


def _licensor(item: Element) -> str:
    def said(field: str) -> list[str]:  # in the item, or in an rdf:Description inside it
        return [part.get(_PLUS + field) or part.findtext(_PLUS + field) or "" for part in (item, *item)]

    name, link = _first(_tidy, said("LicensorName")), _first(_url, said("LicensorURL"))
    return f"{name} <{link}>" if name and link else name or link
