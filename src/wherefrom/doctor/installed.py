"""What is installed: libraries and what they can do, extras, formats, models. Nothing is downloaded."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from wherefrom.doctor.findings import Finding, broken
from wherefrom.doctor.machine import Machine
from wherefrom.errors import Exit, ModelError, WherefromError
from wherefrom.settings import Settings
from wherefrom.version import __version__

_LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "pillow",
    "simplejpeg",
    "numba",
    "onnxruntime",
    "sqlalchemy",
    "msgpack",
)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?.*;.*extra\s*==\s*['\"]([\w-]+)['\"]")
_FOR_DEVELOPMENT = "test"
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "rocm": "ROCMExecutionProvider"}
_MADE_FOR = {"cuda": "onnxruntime-gpu", "rocm": "onnxruntime-rocm"}
_LEAST_SQLITE = (3, 35, 0)


@dataclass(frozen=True, slots=True)
class Installed:
    """`extras` maps each to its packages and their versions, None for what is not there; `model` is the one
    that embeds, with `state` and the file where there is one."""

    versions: dict[str, str | None]
    extras: dict[str, dict[str, str | None]]
    formats: list[dict[str, object]]
    providers: list[str]
    numpy_simd: list[str]
    model: dict[str, object]

    def as_json(self) -> dict[str, object]:
        """What is installed in numbers, texts, lists and dicts."""
        return {
            "versions": self.versions,
            "extras": {
                name: {"installed": all(packages.values()), "packages": packages}
                for name, packages in self.extras.items()
            },
            "formats": self.formats,
            "providers": self.providers,
            "numpy_simd": self.numpy_simd,
            "model": self.model,
        }


def read_installed(settings: Settings) -> Installed:
    """What is installed here, for these settings."""
    versions: dict[str, str | None] = {
        "wherefrom": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    versions |= {name: _version(name) for name in _LIBRARIES}
    return Installed(versions, _extras(), _formats(), _providers(), _numpy_simd(), _model(settings))


def findings(there: Installed, settings: Settings, machine: Machine) -> Iterator[Finding]:
    """What is missing, wrong, or slower than it need be."""
    yield from _of_libraries(there)
    yield from _of_models(there, settings, machine)
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield Finding(
            "no-compiler",
            "NUMBA_DISABLE_JIT is set: plain Python scans large collections, hundreds of times slower.",
            "Take NUMBA_DISABLE_JIT out of the environment.",
        )
    elif not _kernels_are_kept():
        yield Finding(
            "kernels-not-kept",
            "Compiled scans cannot be kept: neither the installation nor the user's folder of caches can be "
            "written to, so that every process that searches a large collection compiles for seconds.",
            "Name a folder that can be written to in NUMBA_CACHE_DIR.",
        )


def _of_libraries(there: Installed) -> Iterator[Finding]:
    missing = [name for name in _LIBRARIES if there.versions[name] is None]
    # OpenCV comes under several names, and the runtime for accelerators too; what is imported counts.
    missing = [name for name in missing if not _importable(name)]
    if missing:
        yield broken(
            "missing-library",
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            "Install Wherefrom again: pip install --force-reinstall wherefrom",
            Exit.USAGE,
        )
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        yield broken(
            "old-sqlite",
            f"SQLite is of version {sqlite3.sqlite_version}; 3.35 or later is needed.",
            "Use a Python that comes with a later SQLite.",
            Exit.COLLECTION,
        )
    if there.numpy_simd == [] and platform.machine() in ("x86_64", "AMD64"):
        yield Finding(
            "numpy-without-simd",
            "NumPy uses no vector instructions beyond the oldest: keypoints and small scans are slower.",
            "Install NumPy's own wheel (pip install --force-reinstall numpy), and unset "
            "NPY_DISABLE_CPU_FEATURES.",
        )


def _of_models(there: Installed, settings: Settings, machine: Machine) -> Iterator[Finding]:
    state, name = there.model["state"], there.model["name"]
    if there.model["error"] is not None:
        yield broken(
            "model",
            str(there.model["error"]),
            "See: wherefrom models list. Copies are found without one: WHEREFROM_MODEL=none.",
            Exit.USAGE,
        )
    wanted = _PROVIDERS.get(settings.device)
    if wanted is not None and wanted not in there.providers:
        yield Finding(
            "no-accelerator",
            f"The device is set to {settings.device}, and ONNX Runtime has no {wanted}: models run on the "
            f"processor.",
            f"Replace onnxruntime by {_MADE_FOR[settings.device]}, or set WHEREFROM_DEVICE=cpu.",
        )
    eight_bits = str(name).endswith("int8") and state != "none"
    x86 = platform.machine() in ("x86_64", "AMD64")
    if eight_bits and x86 and machine.simd and not any("vnni" in one for one in machine.simd):
        yield Finding(
            "no-vnni",
            f"The processor has no VNNI: exact sums of 8 bits take the model {name} about twice the time.",
            "Add with WHEREFROM_MODEL=none where look-alikes are not wanted, or try the same network in "
            "floating point: wherefrom models use efficientnet-lite0, then wherefrom rebuild.",
        )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _importable(package: str) -> bool:
    from importlib.util import find_spec

    module = {"opencv-python-headless": "cv2", "pillow": "PIL"}.get(package, package)
    return find_spec(module) is not None


def _extras() -> dict[str, dict[str, str | None]]:
    """Extras as the installed metadata states them; those made of others and that of the tests left out."""
    found: dict[str, dict[str, str | None]] = {}
    try:
        stated = metadata.requires("wherefrom") or []
    except metadata.PackageNotFoundError:
        stated = []
    for line in stated:
        match = _REQUIREMENT.match(line)
        if match and match[1].lower() != "wherefrom" and match[3] != _FOR_DEVELOPMENT:
            found.setdefault(match[3], {})[match[1]] = _version(match[1])
    return found


def _formats() -> list[dict[str, object]]:
    from wherefrom.picture import extras
    from wherefrom.picture.formats import FORMATS

    return [
        {
            "name": one.name,
            "title": one.title,
            "read": one.decoded and (one.extra is None or extras.installed(one.extra)),
            "extra": one.extra,
        }
        for one in FORMATS.values()
    ]


def _providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError:
        return []
    # One of them would send pictures to a service elsewhere: nothing here ever uses it.
    return [name for name in onnxruntime.get_available_providers() if name != "AzureExecutionProvider"]


def _numpy_simd() -> list[str]:
    """What NumPy uses beyond the oldest processors of the kind."""
    import numpy as np

    stated: Any = np.show_config(mode="dicts")
    return list(stated.get("SIMD Extensions", {}).get("found", []))


def _model(settings: Settings) -> dict[str, object]:
    """The model that embeds: name, state, file, and what is wrong with it. Builds nothing."""
    from wherefrom.features.embedding import NO_MODEL
    from wherefrom.models.store import State, Store

    none: dict[str, object] = {"name": NO_MODEL, "state": "none", "file": None, "folder": None, "error": None}
    if settings.model == NO_MODEL:
        return none
    store = Store()
    facts: dict[str, object] = none | {"folder": str(store.directory)}
    try:
        name = facts["name"] = store.current(settings.model)
        card = store.card(name)
        file = _built_file(store.directory, name) if card.built is not None else store.path(name)
        there = file is not None and file.is_file()
        facts["state"] = (State.INSTALLED if there else State.BUILT_IN).value
        facts["file"] = str(file) if there else None
        if card.built is not None and not there:
            facts["error"] = _missing_package(card.built.package)
    except (ModelError, WherefromError) as error:
        facts |= {"state": "unusable", "error": str(error)}
    return facts


def _built_file(folder: Path, name: str) -> Path | None:
    """The file of a model that is built here, if it has been."""
    from wherefrom.models.building import version

    path = folder / f"{name}@{version()}.onnx"
    return path if path.is_file() else None


def _missing_package(package: str) -> str | None:
    from wherefrom.models.building import package_folder

    if package_folder(package) is not None:
        return None
    return f"The package {package}, which carries the model's weights, is not installed."


def _kernels_are_kept() -> bool:
    """Whether Numba finds a folder that it can write to: named, beside the code, or the user's."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return _writable(Path(named))
    beside = Path(__file__).parents[1] / "engine"
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return _writable(beside / "__pycache__") or _writable(Path(caches) / "numba")


def _writable(folder: Path) -> bool:
    """Whether files could be made in a folder, or the folder where it would be."""
    for place in (folder, *folder.parents):
        if place.exists():
            return os.access(place, os.W_OK | os.X_OK)
    return False
