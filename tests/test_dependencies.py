"""What is installed with the program: versions without known holes, and licences that are said."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_service_takes_no_h11_that_reads_chunks_wrongly() -> None:
    """CVE-2025-43859 is mended in 0.16, and uvicorn alone would take 0.8."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = next(one for one in project["optional-dependencies"]["serve"] if re.match(r"h11\b", one))
    least = re.search(r">=\s*([0-9.]+)", stated)
    assert least is not None
    assert tuple(map(int, least[1].split("."))) >= (0, 16)
    assert tuple(map(int, version("h11").split(".")[:2])) >= (0, 16)


def test_the_readme_names_libraries_of_other_licences() -> None:
    said = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "FFmpeg" in said
    assert "LGPL" in said
