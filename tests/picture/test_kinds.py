"""What is not read is named for what it is: unsupported where it is a picture, else what it is instead."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import assert_sentence, box, encode, quadrants, sample
from wherefrom.errors import NotAPicture, PictureError, UnsupportedFormat
from wherefrom.picture.decode import decode
from wherefrom.picture.kinds import kind_of, variant_of
from wherefrom.picture.refusals import recognise

TARGA = bytes([0, 0, 2, 0, 0, 0, 0, 0]) + struct.pack("<HHHHBB", 0, 0, 96, 64, 24, 0x20)
PCX = bytes([10, 5, 1, 8]) + bytes(124)


def zipped(*names: bytes) -> bytes:
    return b"".join(b"PK\3\4" + bytes(22) + struct.pack("<HH", len(name), 0) + name for name in names)


PICTURES = [
    (b"qoif" + bytes(20), "a QOI picture"),
    (b"DDS |" + bytes(200), "a DirectDraw Surface picture"),
    (TARGA + bytes(400), "a Targa picture (TGA)"),
    (PCX, "a PCX picture"),
    (b"P7\nWIDTH 3\n", "a PAM picture"),
    (b"Pf\n3 2\n-1.0\n", "a PFM picture"),
    (b"\x76\x2f\x31\x01" + bytes(60), "an OpenEXR picture"),
    (b"#?RADIANCE\n", "a Radiance HDR picture"),
    (b"SIMPLE  =                    T", "a FITS picture"),
    (bytes(128) + b"DICM" + bytes(40), "a DICOM picture"),
    (b"8BPS\0\1" + bytes(20), "a Photoshop document"),
    (b"8BPS\0\2" + bytes(20), "a large Photoshop document (PSB)"),
    (b"gimp xcf v011\0", "a GIMP picture (XCF)"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript drawing"),
    (b"\0\0\1\0\1\0" + bytes(40), "a Windows icon (ICO)"),
    (zipped(b"mimetypeimage/openraster", b"stack.xml"), "an OpenRaster picture"),
    (b"\xff\xd8\xff\xf7" + bytes(40), "a JPEG-LS picture"),
]
OTHERS = [
    (box(b"ftyp", b"qt  \0\0\0\0qt  "), "a QuickTime video"),
    (box(b"moov", bytes(40)), "a QuickTime video"),
    (box(b"ftyp", b"isom\0\0\2\0isomiso2mp41"), "an MP4 video"),
    (box(b"ftyp", b"mp42\0\0\0\0mp42"), "an MP4 video"),
    (box(b"ftyp", b"M4A \0\0\0\0M4A "), "an MPEG-4 sound file"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\x82\x84webm", "a WebM video"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\x82\x88matroska", "a Matroska video"),
    (b"RIFF\x24\0\0\0AVI LIST", "an AVI video"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "a WAV sound file"),
    (b"ID3\4\0\0" + bytes(40), "an MP3 sound file"),
    (b"\xff\xfb\x90\x64" + bytes(40), "an MP3 sound file"),
    (b"fLaC\0\0\0\x22", "a FLAC sound file"),
    (b"OggS\0\2" + bytes(22) + b"\1vorbis", "an Ogg sound file"),
    (zipped(b"[Content_Types].xml", b"_rels/.rels", b"word/document.xml"), "a Word document"),
    (zipped(b"photos/a.txt"), "a ZIP archive"),
    (b"Rar!\x1a\x07\1\0", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c\0\4", "a 7-Zip archive"),
    (b"\x1f\x8b\x08\0", "a gzip archive"),
    (b"<!DOCTYPE html>\n<p>An <svg viewBox='0 0 1 1'></svg> in a page.", "a web page"),
    (b"<?xml version='1.0'?><report><svg/></report>", "an XML file"),
    (b"# Notes\n\nOf the holidays.\n", "a text file"),
    ("Von der Größe und dem Maß. ".encode("latin-1") * 20, "a text file"),
    (b'{"photoTakenTime": 1}', "a JSON or text file"),
    (b"\0\1\0\0\0\x12\1\0", "a font"),
    (b"MZ\x90\0\3\0\0\0", "a program"),
    (b"\x7fELF\2\1\1\0", "a program"),
    (b"\0\5\x16\7\0\2\0\0Mac OS X", "what macOS keeps beside a file (AppleDouble)"),
]


@pytest.mark.parametrize(("data", "words"), PICTURES)
def test_pictures_of_unread_kinds_are_unsupported(data: bytes, words: str) -> None:
    for call in (lambda: decode(data), lambda: recognise(data[:4096], len(data))):
        with pytest.raises(UnsupportedFormat) as caught:
            call()
        assert str(caught.value) == f"This is {words}, which is not read here."


@pytest.mark.parametrize(("data", "words"), OTHERS)
def test_everything_else_is_named(data: bytes, words: str) -> None:
    with pytest.raises(NotAPicture) as caught:
        decode(data)
    assert str(caught.value) == f"This is {words}; only pictures are read."


def test_what_nobody_knows() -> None:
    with pytest.raises(NotAPicture, match="nothing but zeros"):
        decode(bytes(5000))
    with pytest.raises(NotAPicture, match="no picture format"):
        decode(b"\x01\x02\x03\x9c\xfe" * 40)


@given(st.binary(max_size=400))
def test_any_bytes_are_named_or_not(data: bytes) -> None:
    kind = kind_of(data)
    assert kind is None or kind.words.split()[0] in ("a", "an", "what")
    for name in ("jpeg", "bmp", "heic", "tiff"):
        variant_of(name, data)


def jpeg_of_kind(marker: int, precision: int = 8, components: int = 3) -> bytes:
    data = bytearray(sample("jpeg"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4], data[at + 9] = marker, precision, components
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (jpeg_of_kind(0xC1, 12), "a JPEG of 12 bits"),
        (jpeg_of_kind(0xC5), "a hierarchical JPEG"),
        (jpeg_of_kind(0xCB), "an arithmetic-coded lossless JPEG"),
        (jpeg_of_kind(0xF7), "a JPEG-LS picture"),
        (jpeg_of_kind(0xC0, 8, 2), "a JPEG of 2 components"),
    ],
)
def test_variants_of_jpeg_are_told_by_their_headers(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedFormat, match=f"This is {words}, which is not read here"):
        decode(data)


def test_a_real_jpeg_of_twelve_bits() -> None:
    import imagecodecs

    ramp = np.tile(np.arange(4096, dtype=np.uint16)[::16], (16, 1))
    with pytest.raises(UnsupportedFormat, match="12 bits"):
        decode(bytes(imagecodecs.jpeg_encode(ramp, bitspersample=12)))


def test_a_bmp_that_holds_a_jpeg() -> None:
    data = bytearray(encode(quadrants(), "BMP"))
    data[30] = 4
    with pytest.raises(UnsupportedFormat, match="BMP file with compression 4"):
        decode(bytes(data))


@pytest.mark.shared
def test_the_case_from_the_field(shared: Path) -> None:
    for name in ("jpeg2000-in-tiff.tif", "lossless.jls"):
        with pytest.raises(PictureError) as caught:
            decode((shared / "cases" / "05-nearly-sound" / name).read_bytes())
        assert caught.value.code == "unsupported"
        assert_sentence(caught.value)
