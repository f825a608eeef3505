"""The closed public surface, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wherefrom
from wherefrom.errors import PictureError, WherefromError, error_classes


def test_all_is_sorted_and_everything_in_it_is_there() -> None:
    assert wherefrom.__all__ == sorted(wherefrom.__all__)
    for name in wherefrom.__all__:
        assert getattr(wherefrom, name) is not None
    assert dir(wherefrom) == wherefrom.__all__


def test_nothing_else_is_public() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = wherefrom.nonsense


def test_every_error_is_exported() -> None:
    assert {cls.__name__ for cls in error_classes()} <= set(wherefrom.__all__)


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    loaded = loaded_after("import wherefrom")
    assert not loaded & {"numpy", "PIL", "sqlalchemy", "numba", "click"}


def test_a_search_of_a_small_collection_loads_no_compiler(tmp_path: object) -> None:
    code = (
        "import wherefrom, numpy as np\n"
        f"photos = wherefrom.open({str(tmp_path)!r} + '/a.wherefrom', create=True)\n"
        "photos.search(wherefrom.Picture.from_array(np.zeros((50, 50), np.uint8)))\n"
        "photos.close()"
    )
    assert not loaded_after(code) & {"numba", "llvmlite", "defusedxml"}


def test_each_error_knows_its_code_exit_and_status() -> None:
    classes = error_classes()
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes)
    for cls in classes:
        assert issubclass(cls, WherefromError)
        assert cls.__doc__
        assert 1 <= int(cls.exit_code) <= 130
        assert 400 <= cls.http_status <= 599
        assert all(letter.islower() or letter == "-" for letter in cls.code)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    from wherefrom import errors

    assert errors.__doc__ is not None
    drawn = {
        line.split()[-1] if line.strip() == "WherefromError" else line.strip(" │├└─").split(" ")[0]
        for line in errors.__doc__.splitlines()
    }
    assert {cls.__name__ for cls in error_classes()} <= drawn


def test_only_pictures_are_skipped() -> None:
    assert {cls.code for cls in error_classes() if issubclass(cls, PictureError) and cls.skips} == {
        "excluded",
        "not-a-picture",
        "unsupported",
        "missing-extra",
        "too-large",
    }
