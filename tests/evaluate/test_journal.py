"""The journal of a run: nothing finished is lost, whatever happens to the end of the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherefrom.evaluate.journal import Journal

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def written(path: Path, entries: dict[str, Any]) -> None:
    journal = Journal(path)
    for key, value in entries.items():
        journal.append(key, value)
    journal.close()


def read(path: Path) -> dict[str, Any]:
    journal = Journal(path)
    found = {key: journal[key] for key in journal}
    journal.close()
    return found


@settings(max_examples=40, deadline=None)
@given(entries=st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    written(path, entries)
    assert read(path) == entries


def test_wherever_the_file_is_torn_all_whole_lines_are_left(tmp_path: Path) -> None:
    path, entries = tmp_path / "journal", {f"key {number}": {"n": [number, "ü\n"]} for number in range(3)}
    written(path, entries)
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        left = sum(end <= length for end in ends)
        assert read(path) == dict(list(entries.items())[:left])
        # And what is written next stands on a line of its own.
        written(path, {"next": 1})
        assert read(path) == {**dict(list(entries.items())[:left]), "next": 1}


@pytest.mark.parametrize(
    "line", [b"{}\n", b"[1]\n", b"\xff\xfe\n", b"\0\0\0\n", b'{"key": "a", "value": 1}\n']
)
def test_what_is_no_entry_ends_the_journal(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal"
    written(path, {"one": 1})
    path.write_bytes(path.read_bytes() + line)
    assert read(path) == {"one": 1}


def test_time_goes_on_from_what_earlier_parts_took(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"key": "a", "seconds": 1000.0, "value": 1}\n')
    journal = Journal(path)
    assert 1000 <= journal.seconds < 1100
    assert "a" in journal
    assert len(journal) == 1
    journal.close()
