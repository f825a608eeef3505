"""The collections that are known here: where commands on this machine made or changed one.

A list of paths in a small file of the user's folder of state, so that `wherefrom collections` and the error
"there is no collection" can name them. Nothing else is in it, and nothing leaves the machine. The setting
`registry` names another file, or is `none`: then nothing is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

NOWHERE = "none"
_MOST = 200


def registry(setting: str) -> Path | None:
    """The file of the list, by what the setting says; None where none is kept."""
    if setting.strip().lower() == NOWHERE:
        return None
    if setting:
        return Path(setting).expanduser()
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if Path(state).is_absolute() else Path("~/.local/state").expanduser()
    return home / "wherefrom" / "collections.json"


def known(setting: str) -> list[Path]:
    """The collections in the list, the latest used first, whether they are still there or not."""
    path = registry(setting)
    if path is None:
        return []
    try:
        paths = json.loads(path.read_text(encoding="utf-8"))["collections"]
        return [Path(os.fsdecode(os.fsencode(one))) for one in paths if isinstance(one, str)]
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not ours: as good as empty
        return []


def remember(directory: Path, setting: str) -> None:
    """Put a collection first in the list. A list that cannot be written is in nobody's way."""
    path = registry(setting)
    before = known(setting)
    if path is not None and before[:1] != [directory]:
        _write(path, [directory, *(one for one in before if one != directory)][:_MOST])


def forget(directory: Path, setting: str) -> bool:
    """Take a collection out of the list; gives whether it was there."""
    path, before = registry(setting), known(setting)
    if path is None or directory not in before:
        return False
    _write(path, [one for one in before if one != directory])
    return True


def _write(path: Path, paths: list[Path]) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".collections-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"collections": [str(one) for one in paths]}, file, indent=1)
        Path(draft).replace(path)
