"""Models that keep weights in other files are refused, wherever in the file they say so."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.models.graphs import card, means, saved
from tests.pictures import assert_sentence, mutated
from wherefrom.errors import ModelError
from wherefrom.models.external import has_external_data
from wherefrom.models.graph import _bytes, _text, _varint
from wherefrom.models.session import open_session

ELSEWHERE = _bytes(13, _text(1, "location") + _text(2, "../../../../etc/passwd"))
TENSOR = _varint(1, 64) + _varint(2, 2) + _text(8, "secret") + ELSEWHERE + _varint(14, 1)


def graph_of(field: int, data: bytes) -> bytes:
    """A model whose graph has a field of that number."""
    return _varint(1, 8) + _bytes(7, _bytes(field, data))


PLACES = {
    "initializer": graph_of(5, TENSOR),
    "said by the data alone": graph_of(5, ELSEWHERE),
    "said by the place alone": graph_of(5, _text(8, "location") + _varint(14, 1)),
    "sparse values": graph_of(15, _bytes(1, TENSOR)),
    "sparse places": graph_of(15, _bytes(2, TENSOR)),
    "constant": graph_of(1, _bytes(5, _bytes(5, TENSOR))),
    "constants": graph_of(1, _bytes(5, _bytes(10, TENSOR))),
    "sparse constant": graph_of(1, _bytes(5, _bytes(22, _bytes(1, TENSOR)))),
    "inner graph": graph_of(1, _bytes(5, _bytes(6, _bytes(5, TENSOR)))),
    "inner graphs": graph_of(1, _bytes(5, _bytes(11, _bytes(1, _bytes(5, _bytes(5, TENSOR)))))),
    "function": _bytes(25, _bytes(7, _bytes(5, _bytes(5, TENSOR)))),
    "training": _bytes(20, _bytes(1, _bytes(5, TENSOR))),
}


@pytest.mark.parametrize("place", PLACES)
def test_data_in_other_files_are_refused(place: str, tmp_path: Path) -> None:
    path = saved(tmp_path, PLACES[place])
    assert has_external_data(path)
    with pytest.raises(ModelError, match="keeps weights in other files") as caught:
        open_session(card(), path)
    assert_sentence(caught.value)


def test_a_model_in_one_file_is_not(tmp_path: Path) -> None:
    assert not has_external_data(saved(tmp_path, means()))
    # The word alone, in a name or in weights, is no place of data.
    assert not has_external_data(saved(tmp_path, means() + _bytes(14, _text(1, "location"))))
    assert not has_external_data(saved(tmp_path, graph_of(5, _bytes(9, ELSEWHERE))))


def test_whatever_the_bytes(tmp_path: Path) -> None:
    chance = random.Random(5)
    for place in PLACES.values():
        for _ in range(40):
            try:
                has_external_data(saved(tmp_path, mutated(place, chance)))
            except ValueError as error:
                assert str(error)  # noqa: PT017
