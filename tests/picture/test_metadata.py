"""Credit: every field, the order in which the three standards are believed, and hostile bytes."""

from __future__ import annotations

import hashlib
import io
import struct
import time
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFile, PngImagePlugin

from wherefrom.picture.metadata import MAX_BLOCK, MAX_TEXT, Credit, blocks_of, read_credit

CAMERA = Path(__file__).resolve().parents[3] / "shared" / "data" / "images" / "camera"


def exif(tags: Mapping[int, object], inner: Mapping[int, object] | None = None) -> bytes:
    block = Image.Exif()
    block.update(tags)
    if inner:
        block.get_ifd(ExifTags.IFD.Exif).update(inner)
    return block.tobytes()


def iim(*datasets: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">BBBH", 0x1C, 2, number, len(raw)) + raw for number, raw in datasets)


def resources(data: bytes, digest: bytes = b"", name: bytes = b"\0\0") -> bytes:
    block = b"Photoshop 3.0\0"
    for code, raw in ((0x03ED, bytes(16)), (0x0404, data), (0x0425, digest)):
        size, padding = struct.pack(">I", len(raw)), bytes(len(raw) % 2)
        block += b"8BIM" + struct.pack(">H", code) + name + size + raw + padding
    return block


def xmp(inside: str = "", attributes: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" xmlns:cc="http://creativecommons.org/ns#" {attributes}>
{inside}
</rdf:Description></rdf:RDF></x:xmpmeta>{" " * 200}<?xpacket end="w"?>""".encode()


def many(name: str, *items: str) -> str:
    return f"<{name}><rdf:Seq>{''.join(f'<rdf:li>{item}</rdf:li>' for item in items)}</rdf:Seq></{name}>"


EXIF = exif(
    {0x013B: "Exif Artist", 0x8298: "Exif Copyright"},
    {0x9003: "2018:01:02 03:04:05", 0x9011: "+09:00", 0x9004: "2018:09:09 09:09:09"},
)
TEXTS = ((80, b"Iim Byline"), (110, b"Iim Credit"), (115, b"Iim Source"), (116, b"Iim Notice"))
IIM = iim(*TEXTS, (55, b"20190403"), (60, b"101112+0200"))
FRESH, STALE = hashlib.md5(IIM).digest(), hashlib.md5(b"as it was").digest()
XMP = xmp(
    many("dc:creator", "Xmp Creator") + many("dc:rights", "Xmp Rights"),
    'photoshop:Credit="Xmp Credit" photoshop:DateCreated="2020-02-03T04:05:06" photoshop:Source="Xmp Source"',
)
BY_IIM = Credit("Iim Byline", "Iim Credit", "Iim Notice", taken="2019-04-03T10:11:12+02:00")
BY_XMP = Credit("Xmp Creator", "Xmp Credit", "Xmp Rights", taken="2020-02-03T04:05:06")
BY_EXIF_AND_XMP = Credit("Exif Artist", "Xmp Credit", "Exif Copyright", taken="2018-01-02T03:04:05+09:00")
BY_EXIF_AND_IIM = Credit("Exif Artist", "Iim Credit", "Exif Copyright", taken="2018-01-02T03:04:05+09:00")


def said(*, e: bytes | None = None, i: bytes | None = None, x: bytes | None = None) -> Credit:
    return read_credit(e, i, x)


def test_credit_is_true_when_anything_is_known_and_goes_through_json() -> None:
    assert not Credit()
    assert read_credit(None, None, None) == Credit() == read_credit(b"", b"", b"")
    credit = Credit(creator="Ann", taken="2020")
    fields = credit.as_json()
    assert credit
    assert list(fields) == ["creator", "credit_line", "copyright", "rights_url", "licensor", "taken"]
    assert Credit.from_json(fields) == credit == Credit.from_json({"creator": "Ann", "taken": "2020"})


def test_exif_then_xmp_then_iim() -> None:
    assert said(e=EXIF, i=IIM, x=XMP) == BY_EXIF_AND_XMP
    assert said(i=IIM, x=XMP) == said(i=resources(IIM, FRESH), x=XMP) == BY_XMP
    assert said(i=resources(IIM + bytes(3), FRESH), x=XMP) == BY_XMP  # padding need not count
    assert said(i=resources(IIM, bytes(16)), x=XMP) == BY_XMP  # never computed
    assert said(i=IIM) == said(i=resources(IIM)) == said(i=resources(IIM)[14:]) == BY_IIM


def test_iim_that_changed_after_the_xmp_comes_before_it() -> None:
    assert said(i=resources(IIM, STALE, name=b"\x02ab\0"), x=XMP) == BY_IIM
    assert said(e=EXIF, i=resources(IIM, STALE), x=XMP) == BY_EXIF_AND_IIM
    assert said(i=resources(iim((80, b"Ann")), STALE), x=XMP).copyright == "Xmp Rights"


def test_blank_values_count_as_unsaid() -> None:
    blank = exif({0x013B: "     ", 0x8298: "-- \0 ..."}, {0x9003: "    :  :     :  :  "})
    assert said(e=blank) == Credit()
    assert said(e=blank, x=XMP) == BY_XMP


def test_source_stands_in_only_where_no_block_has_a_credit_line() -> None:
    source = xmp(attributes='photoshop:Source="Agency"')
    assert said(x=source).credit_line == "Agency"
    assert said(x=source, i=iim((110, b"Line"))).credit_line == "Line"
    assert said(i=iim((115, b"Archive"))).credit_line == "Archive"


def test_digitized_stands_in_only_where_no_block_says_when_it_was_taken() -> None:
    digitized = exif({}, {0x9004: "2011:01:01 01:01:01", 0x9012: "-03:30"})
    created = xmp(attributes='xmp:CreateDate="2012-02-02T02:02:02Z"')
    assert said(e=digitized, x=created).taken == "2011-01-01T01:01:01-03:30"
    assert said(x=created).taken == "2012-02-02T02:02:02+00:00"
    assert said(i=iim((62, b"20190403"), (63, b"101112+0200"))).taken == "2019-04-03T10:11:12+02:00"
    assert said(e=digitized, i=iim((55, b"20030405"))).taken == "2003-04-05"
    assert not said(e=exif({0x0132: "2020:01:01 00:00:00"}))  # when the file was last changed


def test_exif_texts() -> None:
    assert said(e=exif({0x8298: "Ann\0Bob"})).copyright == "Ann; Bob"
    assert said(e=exif({0x8298: " \0Bob"})).copyright == "Bob"
    author = "Zoë;Bob\0".encode("utf-16-le")
    assert said(e=exif({0x9C9D: author})).creator == "Zoë; Bob"
    assert said(e=exif({0x9C9D: author, 0x013B: "Ann;Cid ; Ann"})).creator == "Ann; Cid"
    for codec in ("utf-8", "latin-1"):
        assert said(e=exif({0x013B: "Zoë".encode(codec)})).creator == "Zoë"
    assert said(e=exif({0x013B: "A\x07n\tn \r\n B\u202eb".encode()})).creator == "An n Bb"
    assert said(e=exif({0x013B: "ab" * MAX_TEXT})).creator == "ab" * (MAX_TEXT // 2)


@pytest.mark.parametrize(
    ("stated", "offset", "taken"),
    [
        ("2020:05:17 14:30:00", "+02:00", "2020-05-17T14:30:00+02:00"),
        ("2020:05:17 14:30:00", "Z", "2020-05-17T14:30:00+00:00"),
        ("2020:05:17 14:30:00", "   :  ", "2020-05-17T14:30:00"),
        ("2020:05:17 14:30:00", "+99:00", "2020-05-17T14:30:00"),
        ("2020-05-17T14:30:00", "noon", "2020-05-17T14:30:00"),
        ("2020:05:17   :  :  ", "", "2020-05-17"),
        ("2020:02:30 14:30:00", "", None),
        ("2020:05:17 24:00:00", "", None),
        ("2020:05:17 14:30:60", "", None),
        ("0000:00:00 00:00:00", "", None),
        ("0001:01:01 00:00:00", "", None),
        ("yesterday", "", None),
        ("", "+02:00", None),
    ],
)
def test_exif_dates(stated: str, offset: str, taken: str | None) -> None:
    assert said(e=exif({}, {0x9003: stated, 0x9011: offset})).taken == taken


def directory(order: str, *entries: tuple[int, int, int, bytes]) -> bytes:
    packed = b"".join(struct.pack(order + "HHI4s", *entry) for entry in entries)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IH", 8, len(entries)) + packed + struct.pack(order + "I", 8)


def test_exif_in_both_byte_orders_with_any_prefix_and_with_pointers_in_circles() -> None:
    author = (0x013B, 2, 4, b"Ann\0")
    for order in "<>":
        for prefix in (b"", b"Exif\0\0", b"\0\0\0\x06Exif\0\0"):
            assert said(e=prefix + directory(order, author)).creator == "Ann"
        for tag, length, at in ((0x8769, 1, 8), (0x8769, 1, 2**32 - 1), (0x8298, 2**32 - 1, 9)):
            pointer = (tag, 4, length, struct.pack(order + "I", at))
            assert said(e=directory(order, author, pointer)).creator == "Ann"
    assert said(e=directory("<", author, (0x9003, 99, 5, b"2020"))) == Credit(creator="Ann")
    assert said(e=b"II*\0\x08\0\0\0\xff\xff" + directory("<", author)[10:]).creator == "Ann"


def test_iim_charsets_lists_long_datasets_and_swapped_bytes() -> None:
    assert said(i=iim((80, "Zoë".encode()), (80, b"Bob"), (80, b"Bob"))).creator == "Zoë; Bob"
    assert said(i=iim((80, "Zoë".encode("latin-1")))).creator == "Zoë"
    assert said(i=b"\x1c\x01\x5a\x00\x03\x1b%G" + iim((80, "Zoë".encode()[:-1]))).creator == "Zo\ufffd"
    data = b"\x1c\x02\x50\x80\x04\0\0\0\x03Ann" + iim((110, b"Line"), (90, b"odd"))
    assert said(i=data) == Credit("Ann", "Line")
    swapped = b"".join(data[at : at + 4][::-1] for at in range(0, len(data) // 4 * 4, 4))
    assert said(i=swapped) == Credit("Ann", "Line")


@pytest.mark.parametrize(
    ("day", "clock", "taken"),
    [
        (b"19900000", b"", "1990"),
        (b"19900500", b"101112", "1990-05"),
        (b"19900517", b"", "1990-05-17"),
        (b"19900517", b"101112", "1990-05-17T10:11:12"),
        (b"19900517", b"999999", "1990-05-17"),
        (b"19900015", b"", None),
        (b"00000000", b"000000+0000", None),
        (b"", b"101112", None),
    ],
)
def test_iim_dates(day: bytes, clock: bytes, taken: str | None) -> None:
    assert said(i=iim((55, day), (60, clock))).taken == taken


def test_xmp_forms_lists_and_languages() -> None:
    for value in (">Line<", ' rdf:parseType="Resource"><rdf:value>Line</rdf:value><'):
        assert said(x=xmp(f"<photoshop:Credit{value}/photoshop:Credit>")) == Credit(credit_line="Line")
    assert said(x=xmp(many("dc:creator", "Ann", " ", "Zoë &amp; Bob"))).creator == "Ann; Zoë & Bob"
    assert said(x=xmp("<dc:creator>Ann</dc:creator>")).creator == "Ann"
    items = '<rdf:li xml:lang="de">Alle Rechte</rdf:li><rdf:li xml:lang="x-default">All rights</rdf:li>'
    assert said(x=xmp(f"<dc:rights><rdf:Alt>{items}</rdf:Alt></dc:rights>")).copyright == "All rights"
    items = items.replace("All rights", " ")
    assert said(x=xmp(f"<dc:rights><rdf:Alt>{items}</rdf:Alt></dc:rights>")).copyright == "Alle Rechte"


def test_xmp_rights_url() -> None:
    licence = '<cc:license rdf:resource="https://e.org/by/4.0/"/>'
    assert said(x=xmp(licence)).rights_url == "https://e.org/by/4.0/"
    assert said(x=xmp(licence, 'xmpRights:WebStatement="HTTP://e.org/ü"')).rights_url == "HTTP://e.org/ü"
    longest = "https://e.org/" + "a" * MAX_TEXT
    for text in ("javascript:x", "www.e.org", "https://e.org/a b", "http://e.org/&quot;", longest):
        assert said(x=xmp(attributes=f'xmpRights:WebStatement="{text}"')) == Credit()


def test_xmp_licensors() -> None:
    fields = "<plus:LicensorName>Shop</plus:LicensorName><plus:LicensorURL>https://e.org</plus:LicensorURL>"
    for item in (
        f'<rdf:li rdf:parseType="Resource">{fields}</rdf:li>',
        f"<rdf:li><rdf:Description>{fields}</rdf:Description></rdf:li>",
        '<rdf:li plus:LicensorName="Shop" plus:LicensorURL="https://e.org"/>',
    ):
        packet = xmp(f"<plus:Licensor><rdf:Seq>{item}</rdf:Seq></plus:Licensor>")
        assert said(x=packet).licensor == "Shop <https://e.org>"
    two = '<rdf:li plus:LicensorName="A" plus:LicensorURL="ftp://e.org"/><rdf:li plus:LicensorURL="https://b.org"/>'
    packet = xmp(f"<plus:Licensor><rdf:Bag>{two}</rdf:Bag></plus:Licensor>")
    assert said(x=packet).licensor == "A; https://b.org"


@pytest.mark.parametrize(
    ("created", "original", "taken"),
    [
        ("2020-05-17T14:30:15.250+02:00", "", "2020-05-17T14:30:15+02:00"),
        ("2020-05-17T14:30Z", "", "2020-05-17T14:30:00+00:00"),
        ("2020-05", "", "2020-05"),
        ("2020", "2019-01-01", "2020"),
        ("2020-99", "2019-01-01", "2019-01-01"),
        ("2020-05-17T14:30:15+30:00", "", None),
    ],
)
def test_xmp_dates(created: str, original: str, taken: str | None) -> None:
    packet = xmp(attributes=f'exif:DateTimeOriginal="{original}" photoshop:DateCreated="{created}"')
    assert said(x=packet).taken == taken


def test_xmp_about_other_pictures_is_not_read() -> None:
    other = f"<rdf:Description>{many('dc:creator', 'Other')}</rdf:Description>"
    assert said(x=xmp(f'<i:Pantry xmlns:i="http://ns.adobe.com/xap/1.0/mm/">{other}</i:Pantry>')) == Credit()
    assert said(x=b"<a><b>" + xmp(many("dc:creator", "Ann")) + b"</b></a>") == Credit()


def test_xmp_encodings_and_padding() -> None:
    packet = xmp(many("dc:creator", "Zoë")).decode()
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        assert said(x=packet.encode(codec) + bytes(64)).creator == "Zoë"
        assert said(x=f'<?xml version="1.0" encoding="{codec}"?>{packet}'.encode(codec)).creator == "Zoë"
    assert said(x=b"http://ns.adobe.com/xap/1.0/\0" + packet.encode()).creator == "Zoë"
    assert said(x=packet.encode("latin-1", "ignore")).creator == "Zo\ufffd"
    assert said(x=packet.replace("Zoë", "Z\x00o\x01e").encode()).creator == "Zoe"


RESOURCES = resources(IIM, STALE)  # so that what IIM says shows
APP13 = b"\xff\xed" + struct.pack(">H", len(RESOURCES) + 2) + RESOURCES


def saved(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(out, form, **options)
    return out.getvalue()


def png(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key.replace("_", " "), text, zip=True)
    return saved("PNG", pnginfo=info)


def credit_of(data: bytes) -> Credit:
    """The credit of a file; fails when pixels are decoded for it, or cannot be decoded afterwards."""
    with Image.open(io.BytesIO(data)) as image:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("pixels were decoded"))
            blocks = blocks_of(image)
        image.load()
        assert blocks_of(image)[2] == blocks[2]
    return read_credit(*blocks)


def test_files_with_exif_and_xmp() -> None:
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"):
        with Image.open(io.BytesIO(saved(form))) as image:
            assert blocks_of(image) == (None, None, None)
    for form in ("JPEG", "WEBP", "AVIF"):
        assert credit_of(saved(form, exif=EXIF, xmp=XMP)) == BY_EXIF_AND_XMP


def test_jpeg_files_with_iim() -> None:
    data = saved("JPEG", exif=EXIF, xmp=XMP)
    assert credit_of(data[:2] + APP13 + data[2:]) == BY_EXIF_AND_IIM
    other = APP13.replace(b"8BIM\x04\x04", b"8BIM\x04\x99")
    assert credit_of(data[:2] + other + data[2:]) == BY_EXIF_AND_XMP


def test_png_files() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    assert credit_of(saved("PNG", exif=EXIF, pnginfo=info)) == BY_EXIF_AND_XMP
    iptc, raw = f"\niptc\n{len(RESOURCES):8}\n{RESOURCES.hex()}\n", f"\nexif\n{len(EXIF)}\n{EXIF.hex()}"
    assert credit_of(png(Raw_profile_type_iptc=iptc, Raw_profile_type_exif=raw)) == BY_EXIF_AND_IIM
    assert credit_of(png(**{"XML:com.adobe.xmp": XMP.decode("latin-1")})) == BY_XMP
    for bad in ("iptc", "iptc 9 zz", f"iptc 9 {b'8BIM'.hex()}f!"):
        assert not credit_of(png(Raw_profile_type_iptc=bad))


def test_tiff_files() -> None:
    tags = Image.Exif()
    tags.load(EXIF)
    tags.update({0x02BC: XMP, 0x83BB: IIM, 0x8649: RESOURCES[14:]})
    for options in ({}, {"big_tiff": True}, {"save_all": True}):
        assert credit_of(saved("TIFF", exif=tags, **options)) == BY_EXIF_AND_IIM
    assert credit_of(saved("TIFF", tiffinfo={0x013B: "Ann"}, compression="tiff_lzw")).creator == "Ann"


def test_images_that_are_no_files() -> None:
    image = Image.new("L", (1, 1))
    image.info.update({"exif": None, "xmp": ("odd",), "photoshop": {0x0404: "odd"}, "XML:com.adobe.xmp": "ō"})
    for form in (None, "TIFF"):
        image.format = form
        assert not read_credit(*blocks_of(image))


@pytest.mark.shared
@pytest.mark.skipif(not CAMERA.is_dir(), reason="the shared pictures are not here")
def test_cameras() -> None:
    dated = 0
    for path in sorted(CAMERA.glob("*.jpg")):
        with Image.open(path) as image, warnings.catch_warnings():
            credit = read_credit(*blocks_of(image))
            warnings.simplefilter("ignore")  # what follows is Pillow's reading, for comparison
            stated = image.getexif().get_ifd(ExifTags.IFD.Exif).get(0x9003)
        if stated:
            dated += 1
            day, _, clock = stated.rstrip("\0").partition(" ")
            assert credit.taken == f"{day.replace(':', '-')}T{clock}", path.name
    assert dated >= 15


def test_a_damaged_packet_gives_what_stands_before_the_damage() -> None:
    whole = xmp(many("dc:creator", "Ann") + "<photoshop:Credit>Line</photoshop:Credit>")
    for end in (b"<photoshop:Credit>", b"ne</photoshop:Credit>"):
        assert said(x=whole[: whole.index(end)]) == Credit(creator="Ann")
    assert said(x=whole.replace(b"Line", b"&undefined;")) == Credit(creator="Ann")


def test_entity_bombs_and_outside_entities_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    outside = f'<!ENTITY a SYSTEM "{(tmp_path / "secret").as_uri()}">'
    bomb = "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for n, p in zip("abcdefgh", "bcdefghi", strict=True))
    for entities in (bomb + '<!ENTITY i "ha">', outside, '<!ENTITY a "Ann">'):
        started = time.perf_counter()
        assert said(x=f"<!DOCTYPE x [{entities}]>".encode() + xmp(many("dc:creator", "&a;"))) == Credit()
        assert time.perf_counter() - started < 1


def test_xml_that_is_deep_or_wide_or_in_no_encoding_and_what_lies_beyond_the_cap() -> None:
    wide = b"<a " + b"".join(b'a%d="" ' % number for number in range(70_000))
    for bad in (b"<a>" * 340_000, wide, b"<?xml version='1.0'?><?xml version='1.0' encoding='none'?><a/>"):
        assert said(x=bad) == Credit()
    assert not said(i=iim((115, bytes(32_000))) * (MAX_BLOCK // 32_000 + 1) + IIM, x=b" " * MAX_BLOCK + XMP)


@settings(max_examples=300, deadline=None)
@given(st.tuples(*[st.none() | st.binary(max_size=400)] * 3))
def test_random_bytes_never_raise(blocks: tuple[bytes | None, bytes | None, bytes | None]) -> None:
    read_credit(*blocks)
    starts = (b"Exif\0\0II*\0", b"\x1c", b"<a>")
    read_credit(*(start + (block or b"") for start, block in zip(starts, blocks, strict=True)))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3000), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=12))
def test_true_blocks_that_are_cut_or_changed_never_raise(end: int, changes: list[tuple[int, int]]) -> None:
    blocks = [bytearray(block) for block in (EXIF, RESOURCES, XMP)]
    for at, value in changes:
        for block in blocks:
            block[at % len(block)] = value
    for text in read_credit(*(bytes(block[:end]) for block in blocks)).as_json().values():
        assert text is None or 0 < len(text) <= MAX_TEXT
        assert "Cc" not in map(unicodedata.category, text or "")
