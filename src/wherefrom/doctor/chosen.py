"""The settings: what was chosen, where that was said, and what of it costs something. No secret is told."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from wherefrom.doctor.findings import Finding, broken
from wherefrom.errors import Exit, UsageError
from wherefrom.features.embedding import NO_MODEL
from wherefrom.former import PREFIX, settings_file
from wherefrom.settings import Settings, load

_SECRET = re.compile(r"secret|token|password|credential|(^|_)keys?$", re.IGNORECASE)
_USER = re.compile(r"(:/{1,2})[^/@\s]+@")
_ELSEWHERE = {"CONFIG", "MODELS"}
_NEAR = 0.75  # how alike a name is to a setting's that was probably meant


@dataclass(frozen=True, slots=True)
class Chosen:
    """`file` is the settings file that counts, if any; `stated` maps each setting that was stated to its
    value in text and where it was said."""

    settings: Settings
    file: str | None
    stated: dict[str, tuple[str, str]]
    error: str | None

    def as_json(self) -> dict[str, object]:
        """The settings in texts."""
        stated = {name: {"value": value, "from": where} for name, (value, where) in self.stated.items()}
        return {"file": self.file, "stated": stated, "error": self.error}


def read_chosen(environment: Mapping[str, str] = os.environ) -> Chosen:
    """What was chosen; where that is wrong, the defaults and the error."""
    path, named = settings_file(environment)
    file = str(path.absolute()) if named or path.is_file() else None
    try:
        settings = load(environment)
    except UsageError as error:
        return Chosen(Settings(), file, {}, shown("", str(error)))
    stated = {}
    plain = Settings()
    for field in fields(Settings):
        name, value = field.name, getattr(settings, field.name)
        said = PREFIX + name.upper()
        if said in environment:
            stated[name] = (shown(name, str(value)), said)
        elif file is not None and value != getattr(plain, name):
            stated[name] = (shown(name, str(value)), file)
    return Chosen(settings, file, stated, None)


def findings(chosen: Chosen, usable: float, environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What is wrong with the settings, and what in them costs time, room or finds."""
    if chosen.error is not None:
        yield broken(
            "settings",
            chosen.error,
            "Correct it; until then no command starts. All else here is by the defaults.",
            Exit.USAGE,
        )
    known = {field.name.upper() for field in fields(Settings)} | _ELSEWHERE
    for name in sorted(environment):
        word = name.removeprefix(PREFIX)
        near = difflib.get_close_matches(word, known, 1, _NEAR)
        if name.startswith(PREFIX) and word not in known and near:
            yield Finding(
                "unknown-setting",
                f"{name} is no setting, and is passed over.",
                f"Was {PREFIX}{near[0]} meant?",
            )
    plain = Settings()
    for name, (value, where) in chosen.stated.items():
        if (cost := _cost(name, chosen.settings, plain, usable)) is not None:
            yield Finding(
                f"setting-{name.replace('_', '-')}",
                f"{name} is set to {value} by {where}: {cost}",
                "Take it out where that is not what you want.",
            )


def _cost(name: str, settings: Settings, plain: Settings, usable: float) -> str | None:
    """What a setting costs, None for nothing worth telling."""
    less = getattr(settings, name) < getattr(plain, name) if name != "model" else False
    if name == "workers" and 0 < settings.workers < int(usable):
        return f"pictures are added on {settings.workers} of {int(usable)} cores."
    if name == "model" and settings.model == NO_MODEL:
        return "no look-alikes are found, and what is added now has to be read again for them."
    if name == "keypoints" and less:
        return "images that are added from now on are found less often by small parts."
    if name in ("max_bytes", "max_pixels", "max_scaled_pixels") and less:
        return "larger pictures are skipped."
    if name == "decode_seconds" and less:
        return "pictures that take longer to decode fail."
    return None


def shown(name: str, value: str) -> str:
    """The value of a setting without passwords in addresses; none where the name is that of a secret."""
    return "(not shown)" if _SECRET.search(name) else _USER.sub(r"\1", value)
