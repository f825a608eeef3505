"""Wording: edits as short phrases for people, the same in pictures, on the command line and elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wherefrom.search.answer import Direction, Edit

_SLIGHT, _STRONG = 0.05, 0.15  # of the range: how a change of tone is called


def in_words(edit: Edit) -> str:
    """What was done, as a phrase in lower case without a full stop; the name itself where unknown."""
    if edit.name in _ALONE and (edit.amount is None or edit.name not in _MEASURED):
        return _ALONE[edit.name]
    if edit.name in _MEASURED and edit.amount is not None:
        return _MEASURED[edit.name](edit.amount)
    return edit.name


def listed(edits: Iterable[Edit]) -> list[str]:
    """The edits as phrases, in their order; several overlays are one phrase, the last."""
    known = tuple(edits)
    overlays = [edit for edit in known if edit.name == "overlay"]
    said = [in_words(edit) for edit in known if edit.name != "overlay"]
    if len(overlays) > 1:
        total = min(sum(edit.amount or 0 for edit in overlays), 1.0)
        said.append(f"{in_words(Edit('overlay', total))}, in {len(overlays)} places")
    elif overlays:
        said.append(in_words(overlays[0]))
    return said


def likely(direction: Direction) -> str:
    """Which of query and match was likely made from the other and why, as a phrase said of the match."""
    which = "likely made from it" if direction.source == "match" else "likely made from your picture"
    return f"{which}: {direction.sentence}"


def _percent(share: float) -> str:
    percent = 100 * share
    return "under 1 %" if 0 < percent < 1 else f"{percent:.0f} %"


def _turned(degrees: float) -> str:
    clockwise = degrees % 360
    if clockwise > 180:
        return f"turned {360 - clockwise:.4g}° anticlockwise"
    return f"turned {clockwise:.4g}°" + (" clockwise" if clockwise < 180 else "")


def _scaled(ratio: float) -> str:
    return f"{'enlarged' if ratio > 1 else 'reduced'} to {_percent(ratio)}"


def _stretched(ratio: float) -> str:
    if ratio > 1:
        return f"stretched: {ratio:.2f} times as wide for its height"
    return f"squeezed: {ratio:.2f} times as wide for its height"


def _toned(share: float) -> str:
    how = "slightly " if share < _SLIGHT else "strongly " if share > _STRONG else ""
    return f"tones {how}changed: by {_percent(share)} of the range"


def _hue(degrees: float) -> str:
    turned = degrees % 360
    return f"colours changed: hue turned by {min(turned, 360 - turned):.0f}°"


def _compressed(amount: float) -> str:
    return f"compressed {'so far that blocks stand out' if amount > 0.5 else 'until blocks show'}"


_ALONE = {
    "mirror": "mirrored",
    "negative": "tones inverted",
    "grey": "colours removed",
    "sepia": "colours changed: sepia",
    "tint": "colours changed: to one hue",
    "channels": "colours changed: red, green and blue swapped",
    "hue": "colours changed: hue turned",
    "recoloured": "colours changed",
    "perspective": "seen at an angle",
    "crop": "cropped",
    "rotate": "turned",
    "scale": "another size",
    "aspect": "stretched",
    "border": "a border added",
    "tone": "tones changed",
    "blur": "blurred",
    "noise": "noise added",
    "compression": "compressed until blocks show",
    "mask": "masked",
    "overlay": "a part of it differs",
    "embedded": "a part of a larger picture",
    "frames": "begins with the same page or frame; whether it goes on alike is not known",
}

_MEASURED: dict[str, Callable[[float], str]] = {
    "crop": lambda share: f"cropped by {_percent(share)}",
    "rotate": _turned,
    "scale": _scaled,
    "aspect": _stretched,
    "border": lambda share: f"a border added: {_percent(share)} of the picture",
    "hue": _hue,
    "tone": _toned,
    "blur": lambda sigma: f"blurred: by about {sigma:.1f} pixels",
    "noise": lambda deviation: f"noise added: about {deviation:.0f} grey levels",
    "compression": _compressed,
    "mask": lambda share: f"masked: {_percent(share)} hidden",
    "overlay": lambda share: f"{_percent(share)} of it differs",
    "frames": lambda _: "begins with the same page or frame, and goes on otherwise",
    "embedded": lambda share: f"fills {_percent(share)} of the picture",
}
