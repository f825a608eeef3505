"""Names as people may read them: one place that marks what a terminal, a log or a page would obey or hide.

A file name is bytes, and may hold anything but "/" and zero: line breaks that tear a table, escape sequences
that set a title or clear a screen, marks that turn the direction of writing, bytes that are no UTF-8. So may
a URI, a title or a field that somebody sent. All that is printed for people goes through here; JSON and CSV,
which are for programs, stay exact.
"""

from __future__ import annotations

import re
from datetime import datetime

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

# Controls (C0, DEL, C1), line and paragraph separators, what turns the direction of writing or is not seen,
# and surrogates, as which Python reads bytes that are no UTF-8. Joiners stay: emoji and Persian need them.
_MARKED = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e001f"
)
_UNSAFE = re.compile(f"[{_MARKED}]")
_UNSAFE_IN_LINES = re.compile(f"(?!\n)[{_MARKED}]")


def plain(text: str) -> str:
    r"""A name on one line: what is unsafe to print as a mark, `\n`, `\x1b`, `\u202e`; all else as it is.

    A byte that is no UTF-8 (which Python keeps as a surrogate, U+DC80 to U+DCFF) is marked as `\xff`.
    """
    return _UNSAFE.sub(_mark, text)


def plain_lines(text: str) -> str:
    """As `plain`, with the line breaks left in: for finished text of several lines."""
    return _UNSAFE_IN_LINES.sub(_mark, text)


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """A number of things: `1 file`, `1,234 files`, `2 copies` where their word is given."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def size(count: int) -> str:
    """Bytes for people: `1 byte`, `86.2 kB`, `1.4 GB`."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return counted(count, "byte") if unit == "bytes" else f"{amount:.1f} {unit}"


def local(moment: str | None) -> str:
    """An ISO 8601 time as people read it, in the time of this machine: `2026-12-01 14:05`.

    What is no time stays as it is; empty for None.
    """
    if moment is None:
        return ""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return moment


def _mark(found: re.Match[str]) -> str:
    character = found.group()
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if number < 0x80:
        return f"\\x{number:02x}"
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
