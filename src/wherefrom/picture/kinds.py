"""What a file is that is not read here, told by its leading bytes: other kinds of pictures, and all else.

A sound file of an unread kind is no damaged picture, and a video no unknown one: people are told which it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """Words for a file, with their article; and whether it is a picture."""

    words: str
    is_picture: bool


_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"qoif", "a QOI picture"),
    (b"DDS ", "a DirectDraw Surface picture"),
    (b"8BPS\0\2", "a large Photoshop document (PSB)"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP picture (XCF)"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"#?RGBE", "a Radiance HDR picture"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"\0\0\1\0", "a Windows icon (ICO)"),
    (b"icns", "a macOS icon (ICNS)"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"\xff\xd8\xff\xf7", "a JPEG-LS picture"),
    (b"\x8bJNG\r\n\x1a\n", "a JNG picture"),
    (b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (b"FLIF", "a FLIF picture"),
    (b"BPG\xfb", "a BPG picture"),
    (b"P7\n", "a PAM picture"),
    (b"PF\n", "a PFM picture"),
    (b"Pf\n", "a PFM picture"),
    (b"/* XPM */", "an XPM picture"),
    (b"\x01\xda", "an SGI picture"),
    (b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (b"SDPX", "a DPX picture"),
    (b"XPDS", "a DPX picture"),
    (b"\x80\x2a\x5f\xd7", "a Cineon picture"),
    (b"\xabKTX ", "a KTX texture"),
    (b"\x13\xab\xa1\x5c", "an ASTC texture"),
    (b"VTF\0", "a VTF texture"),
    (b"BLP1", "a BLP texture"),
    (b"BLP2", "a BLP texture"),
    (b"\x97JB2\r\n\x1a\n", "a JBIG2 picture"),
    (b"Paint Shop Pro Image File", "a Paint Shop Pro picture"),
    (b"CSFCHUNK", "a Clip Studio picture"),
    (b"AT&TFORM", "a DjVu document"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (b"%!PS", "a PostScript drawing"),
    (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5\xbd\x31\xef\xe7\xfe\x74\xb7\x1d", "an InDesign document"),
    (b"\0MRM", "a Minolta camera RAW picture"),
    (b"FOVb", "a Sigma camera RAW picture"),
    (b"II\x1a\0\0\0HEAPCCDR", "an older Canon camera RAW picture (CRW)"),
)
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"FLV\x01", "a Flash video"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (b"\0\0\1\xba", "an MPEG video"),
    (b"\0\0\1\xb3", "an MPEG video"),
    (b".RMF", "a RealMedia file"),
    (b"fLaC", "a FLAC sound file"),
    (b"ID3", "an MP3 sound file"),
    (b"MThd", "a MIDI file"),
    (b"#!AMR", "an AMR sound file"),
    (b"caff", "a Core Audio sound file"),
    (b"wvpk", "a WavPack sound file"),
    (b"MAC ", "a Monkey's Audio sound file"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an XZ archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"MSCF", "a Windows cabinet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older Office document or a thumbnail store of Windows"),
    (b"{\\rtf", "a rich text document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"OTTO", "a font"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"ttcf", "a font"),
    (b"\0\1\0\0\0", "a font"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xfe\xed\xfa\xce", "a program"),
    (b"\xfe\xed\xfa\xcf", "a program"),
    (b"\xce\xfa\xed\xfe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\0asm", "a program"),
    (b"dex\n", "a program"),
    (b"#!", "a script"),
    (b"bplist0", "a property list of macOS"),
    (b"\0\0\0\1Bud1", "a folder's settings of macOS (.DS_Store)"),
    (b"\0\5\x16\7", "what macOS keeps beside a file (AppleDouble)"),
    (b"\x4c\0\0\0\1\x14\2\0", "a Windows shortcut"),
    (b"-----BEGIN ", "a key or certificate"),
)
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"F4A ")
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_RIFF = {
    b"AVI ": Kind("an AVI video", False),
    b"WAVE": Kind("a WAV sound file", False),
    b"ACON": Kind("an animated Windows cursor (ANI)", True),
}
_FORM = {
    b"AIFF": Kind("an AIFF sound file", False),
    b"AIFC": Kind("an AIFF sound file", False),
    b"ILBM": Kind("an ILBM picture", True),
    b"PBM ": Kind("an ILBM picture", True),
}
_ZIPPED: tuple[tuple[bytes, Kind], ...] = (
    (b"mimetypeimage/openraster", Kind("an OpenRaster picture", True)),
    (b"mimetypeapplication/x-krita", Kind("a Krita picture", True)),
    (b"mimetypeapplication/epub", Kind("an EPUB book", False)),
    (b"mimetypeapplication/vnd.oasis.opendocument", Kind("an OpenDocument file", False)),
    (b"word/", Kind("a Word document", False)),
    (b"xl/", Kind("an Excel workbook", False)),
    (b"ppt/", Kind("a PowerPoint presentation", False)),
    (b"[Content_Types].xml", Kind("an Office document", False)),
    (b"AndroidManifest.xml", Kind("an Android app", False)),
    (b"META-INF/", Kind("a Java archive", False)),
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def kind_of(head: bytes) -> Kind | None:
    """What a file is whose leading bytes belong to no format that is read; None when nobody knows."""
    for table, is_picture in ((_PICTURES, True), (_OTHERS, False)):
        for prefix, words in table:
            if head.startswith(prefix):
                return Kind(words, is_picture)
    return _boxed(head) or _by_structure(head) or _written(head)


def _boxed(head: bytes) -> Kind | None:
    """What lies in a container that holds many things."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:4] == b"FORM":
        return _FORM.get(head[8:12])
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _SOUND_BRANDS:
            return Kind("an MPEG-4 sound file", False)
        return Kind("a QuickTime video" if brand == b"qt  " else "an MP4 video", False)
    if head[4:8] in _ATOMS:
        return Kind("a QuickTime video", False)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return Kind("a WebM video" if b"webm" in head[:64] else "a Matroska video", False)
    if head[:4] == b"OggS":
        return Kind("an Ogg video" if b"theora" in head[:256] else "an Ogg sound file", False)
    if head[:4] in (b"PK\3\4", b"PK\5\6"):
        return next((kind for mark, kind in _ZIPPED if mark in head), Kind("a ZIP archive", False))
    return None


def _by_structure(head: bytes) -> Kind | None:
    """What has no mark of its own at the beginning."""
    if re.match(rb"\x00\x00\x02\x00[^\x00]\x00", head):
        return Kind("a Windows cursor (CUR)", True)
    if head[128:132] == b"DICM":
        return Kind("a DICOM picture", True)
    if head[40:44] == b" EMF":
        return Kind("a Windows metafile (EMF)", True)
    if head[257:262] == b"ustar":
        return Kind("a tar archive", False)
    if re.match(rb"\x0a[\0\2-\5][\0\1][\1\2\4\x08]", head):
        return Kind("a PCX picture", True)
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Kind("an MPEG video", False)
    if head[:1] == b"\xff" and head[1:2] in b"\xfb\xfa\xf3\xf2\xf1\xf9" and len(head) > 1:
        return Kind("an AAC sound file" if head[1:2] in b"\xf1\xf9" else "an MP3 sound file", False)
    return Kind("a Targa picture (TGA)", True) if _is_targa(head) else None


def _is_targa(head: bytes) -> bool:
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11) or head[17] & 0xC0:
        return False
    mapped = head[2] in (1, 9)
    depths = (8,) if mapped else (8, 16) if head[2] in (3, 11) else (15, 16, 24, 32)
    palette = head[1] == 1 and head[7] in (15, 16, 24, 32)
    size = head[12] | head[13] << 8, head[14] | head[15] << 8
    return (
        head[16] in depths and (palette if mapped else head[1] == 0 and not any(head[3:8])) and 0 not in size
    )


def _written(head: bytes) -> Kind | None:
    """Text of any kind."""
    if not head.strip(b"\0"):
        return None
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Kind("a text file", False)
    if _CONTROLS.search(head):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Kind("a web page", False)
    if start.startswith(b"<?xml") or re.match(rb"<[a-z!]", start):
        return Kind("an XML file", False)
    if start.startswith((b"{", b"[")):
        return Kind("a JSON or text file", False)
    try:
        head[: len(head) - 4 if len(head) > 100 else None].decode()
    except UnicodeDecodeError:
        # Letters of an older encoding are few among plain ones.
        if sum(byte > 127 for byte in head) > len(head) // 5:
            return None
    return Kind("a text file", False)


# Variants of formats that are read


def variant_of(name: str, data: bytes) -> str | None:
    """Words for a file of a known format whose header says that its kind is not read; else None."""
    if name == "jpeg":
        return _jpeg_variant(data)
    if name == "bmp":
        return _bmp_variant(data)
    if name == "heic":
        codecs = set(re.findall(rb"infe[\x02\x03]\0\0.{4,6}(\w{4})\0", data[: 1 << 18], re.DOTALL))
        unread = codecs & {b"avc1", b"vvc1", b"jpeg", b"j2k1", b"unci", b"evc1"}
        return "a HEIF picture with another codec than HEVC" if unread and b"hvc1" not in codecs else None
    return None


_FRAMES = {
    0xC3: "a lossless JPEG",
    0xC5: "a hierarchical JPEG",
    0xC6: "a hierarchical JPEG",
    0xC7: "a hierarchical JPEG",
    0xC9: "an arithmetic-coded JPEG",
    0xCA: "an arithmetic-coded JPEG",
    0xCB: "an arithmetic-coded lossless JPEG",
    0xCD: "a hierarchical JPEG",
    0xCE: "a hierarchical JPEG",
    0xCF: "a hierarchical JPEG",
    0xF7: "a JPEG-LS picture",
}


def _jpeg_variant(data: bytes) -> str | None:
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF or data[at + 1] == 0xFF:
            at += 1
            continue
        marker = data[at + 1]
        if marker == 0xDA:
            return None
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            precision, components = data[at + 4], data[at + 9]
            if marker not in (0xC0, 0xC1, 0xC2):
                return _FRAMES[marker]
            if precision != 8 and 2 <= precision <= 16:
                return f"a JPEG of {precision} bits"
            return None if components in (1, 3, 4) else f"a JPEG of {components} components"
        alone = marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8
        at += 2 if alone else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _bmp_variant(data: bytes) -> str | None:
    size = int.from_bytes(data[14:18], "little")
    if size < 40 or len(data) < 34:
        return None
    bits, packing = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
    if bits in (1, 2, 4, 8, 16, 24, 32) and packing not in (0, 1, 2, 3, 6) and packing < 14:
        return f"a BMP file with compression {packing}"
    return f"a BMP file of {bits} bits" if bits in (0, 2, 64) else None
