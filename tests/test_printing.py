"""Names as people may read them."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherefrom.printing import counted, plain, plain_lines, size

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("line\nbreak.jpg", r"line\nbreak.jpg"),
        ("tab\there.jpg", r"tab\there.jpg"),
        ("\x1b[31mred.jpg", r"\x1b[31mred.jpg"),
        ("bell\x07.jpg", r"bell\x07.jpg"),
        ("c1 \x9b31m", r"c1 \u009b31m"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("two\u2028lines", r"two\u2028lines"),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"),
        ("Фото ünï 写真 👩\u200d👩\u200d👧 می\u200cخواهم", "Фото ünï 写真 👩\u200d👩\u200d👧 می\u200cخواهم"),
        ("a\\b 100 % (1) 'x' \"y\".jpg", "a\\b 100 % (1) 'x' \"y\".jpg"),
    ],
)
def test_names(name: str, shown: str) -> None:
    assert plain(name) == shown
    assert plain(shown) == shown


@given(st.binary(max_size=60))
def test_any_bytes_give_one_harmless_line(name: bytes) -> None:
    shown = plain(os.fsdecode(name))
    assert len((shown + "|").splitlines()) == 1
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in shown)
    assert shown.encode("utf-8").decode("utf-8") == shown


@given(st.text(st.characters(codec=None) | st.sampled_from(BIDI + "\x1b\r\x85"), max_size=60))
def test_any_text_gives_one_harmless_line(text: str) -> None:
    shown = plain(text)
    assert len((shown + "|").splitlines()) == 1
    assert not set(shown) & set(BIDI)
    assert plain_lines(text).count("\n") == text.count("\n")
    assert plain_lines(text).replace("\n", r"\n") == shown


def test_numbers_of_things_are_counted_in_words() -> None:
    assert counted(1, "image") == "1 image"
    assert counted(0, "image") == "0 images"
    assert counted(1234, "copy", "copies") == "1,234 copies"
    assert (size(1), size(999), size(1000), size(2_500_000_000)) == (
        "1 byte",
        "999 bytes",
        "1.0 kB",
        "2.5 GB",
    )
