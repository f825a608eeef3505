"""Cards: what must be known of a model to use its file, and to know that it is the right one.

A card is a small TOML file. Those in `cards/` come with the package; a user may write others. A hash is
stated only where the file was seen: a card without one is not downloaded, but can be imported by hand.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from wherefrom.errors import ModelError, UsageError

TASKS = ("embedding", "detection", "embedding+text")
CROPS = ("centre", "squash", "pad")
BOXES = ("yolox", "detr")
ROLES = {"features": 4, "vector": 2, "tokens": 3, "logits": 0, "attention": 3, "boxes": 3}
"""What an output can be, and its dimensions; 0 for any number of at least 2.

`features` (n, c, h, w); `vector` (n, d); `tokens` (n, t, d), of which the first is the picture's vector;
`logits` (n, classes) or (n, boxes, classes); `attention` (n, h, w), at or above 0; `boxes` (n, boxes, ...):
see `Card.boxes`.
"""

_FOLDER = Path(__file__).with_name("cards")
_BYTES = 64 * 1024  # of a card's file
_SIDE = 4096  # pixels of an input
_TOKENS = 4096  # of a text


@dataclass(frozen=True, slots=True)
class Text:
    """The side of a model that takes words: an ONNX file of its own, and a `tokenizer.json`.

    `input` takes tokens, (n, length) whole numbers, and `output` gives the vectors, (n, dimension). A text is
    put into lower case if `lower`, cut to `length` tokens, and filled up to as many with the token `pad`. A
    model that has to be told which tokens are of the text, 1, and which fill up, 0, takes that as `mask`.

    `sha256` and `bytes` are those of the ONNX file, `tokenizer_sha256` and `tokenizer_bytes` of the other;
    None where unknown.
    """

    input: str
    output: str
    length: int
    pad: int = 0
    lower: bool = False
    mask: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    tokenizer_sha256: str | None = None
    tokenizer_bytes: int | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """Made here out of a checkpoint that an installed package carries.

    `file` lies below the folder of `package`, and its bytes hash to `sha256`. `precision` is `float32` or
    `int8`.
    """

    package: str
    file: str
    sha256: str
    precision: str


@dataclass(frozen=True, slots=True)
class Card:
    """One model.

    `input_size` is (height, width) in pixels. A picture comes to it by `crop`: `centre` takes `share` of the
    shorter side as a rectangle of the input's shape around the middle; `squash` takes everything; `pad` fits
    everything in at the top left and fills the rest with the grey `fill`, 0 to 255. Pixels 0 to 255 are
    multiplied by `unit`, less `mean`, divided by `std`, in the order of `channels`: `RGB` or `BGR`. `layout`
    is `NCHW` or `NHWC`.

    `outputs` names the tensor of each role (`ROLES`). `dimension` is the length of the vector, or of
    whatever else is made of the features. `boxes` is how a detector gives what it finds, of the 80 classes of
    COCO: `yolox` gives (n, places, 85) over a grid, undecoded, 4 of the box, the share of an object, those of
    its class; `detr` gives (n, boxes, 4) as centre and size in shares of the input, and (n, boxes, 80)
    `logits`. `text` is the side that takes words, of what embeds both. `sha256` and `bytes` are those of the
    file, None where unknown; `url` where it is downloaded from, None where by hand. `measured` says how good
    it is, and who says so.
    """

    name: str
    title: str
    task: str
    input: str
    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    outputs: Mapping[str, str] = field(hash=False)
    dimension: int
    licence: str
    source: str
    crop: str = "squash"
    share: float = 1.0
    fill: int = 0
    unit: float = 1 / 255
    layout: str = "NCHW"
    channels: str = "RGB"
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    measured: str = "Not measured."
    boxes: str | None = None
    text: Text | None = None
    built: Built | None = None

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        plain: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, kind in (("text", Text), ("built", Built)):
            if (part := plain[name]) is not None:
                plain[name] = {one.name: getattr(part, one.name) for one in fields(kind)}
        return plain | {"outputs": dict(self.outputs)}


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card in a TOML file. Raises `ModelError` for one that cannot be read or is wrong."""
    try:
        with Path(path).open("rb") as file:
            return parsed(file.read(_BYTES + 1), Path(path).name)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"The card {Path(path).name} cannot be read: {reason}.") from error


def parsed(data: bytes, name: str) -> Card:
    """The card of a TOML file's bytes; `name` is the file's, for errors. Raises `ModelError`."""
    try:
        if len(data) > _BYTES:
            raise _Wrong(f"it is longer than {_BYTES} bytes")
        return from_plain(tomllib.loads(data.decode("utf-8")), name)
    except (_Wrong, ValueError, RecursionError) as error:
        raise ModelError(f"The card {name} is wrong: {str(error).splitlines()[0].rstrip('.')}.") from error


def from_plain(plain: Mapping[str, Any], name: str) -> Card:
    """The card of a table, as `Card.as_json` gives it or a TOML file holds it; absent is as good as None.

    `name` is for errors. Raises `ModelError`.
    """
    try:
        said = {key: list(one) if isinstance(one, tuple) else one for key, one in plain.items()}
        parts = {
            part: _filled(kind, said.pop(part)) for part, kind in _PARTS.items() if said.get(part) is not None
        }
        card: Card = _filled(Card, said | parts)
        _check(card)
    except (_Wrong, ValueError, RecursionError) as error:
        raise ModelError(f"The card {name} is wrong: {str(error).splitlines()[0].rstrip('.')}.") from error
    return card


@cache
def built_in_cards() -> Mapping[str, Card]:
    """The cards that come with the package, by name."""
    cards = [read_card(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return {card.name: card for card in cards}


def built_in_card(name: str) -> Card:
    """One of them. Raises `UsageError` for a name that none has."""
    cards = built_in_cards()
    if name not in cards:
        raise UsageError(f"There is no model {name!r} here; there are {', '.join(cards)}.")
    return cards[name]


def card_of_file(file: str, sha256: str) -> Card:
    """The one that names a file by its hash; `file` is its name, for the error. Raises `UsageError`."""
    for card in built_in_cards().values():
        if card.sha256 == sha256:
            return card
    raise UsageError(f"No card names the file {file} (SHA-256 {sha256}): say with --card what it is.")


class _Wrong(ValueError):
    """What is wrong with a card, as half a sentence."""


_PARTS: dict[str, type[Any]] = {"text": Text, "built": Built}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str,),
    "int": (int,),
    "int | None": (int,),
    "bool": (bool,),
    "float": (int, float),
    "tuple[int, int]": (int, int),
    "tuple[float, float, float]": (float, float, float),
}


def _filled(kind: type[Any], said: object) -> Any:
    """A dataclass from a table of TOML, each value of the type that it states."""
    if not isinstance(said, dict):
        raise _Wrong(f"{kind.__name__.lower()} is a table")
    said = {name: value for name, value in said.items() if value is not None}
    known = {one.name: one for one in fields(kind)}
    if unknown := sorted(set(said) - set(known)):
        raise _Wrong(f"{unknown[0][:40]!r} is nothing that a card says")
    needed = [one.name for one in known.values() if one.default is MISSING]
    if missing := [name for name in needed if name not in said]:
        raise _Wrong(f"it does not say {missing[0]!r}")
    return kind(**{name: _valued(name, str(known[name].type), value) for name, value in said.items()})


def _valued(name: str, kind: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        types = _PLAIN[kind]
        if not isinstance(value, list) or len(value) != len(types):
            raise _Wrong(f"{name} is a list of {len(types)} numbers")
        return tuple(_valued(name, each.__name__, one) for each, one in zip(types, value, strict=True))
    if kind.startswith("Mapping"):
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise _Wrong(f"{name} is a table of names")
        return value
    if kind not in _PLAIN:  # a part, which is filled already
        return value
    if not isinstance(value, _PLAIN[kind]) or isinstance(value, bool) != (kind == "bool"):
        raise _Wrong(f"{name} cannot be {str(value)[:40]!r}")
    return float(str(value)) if kind == "float" else value


def _check(card: Card) -> None:
    """Raise for values that contradict each other or could do harm."""
    numbers = (*card.mean, *card.std, card.unit, card.share)
    rules = (
        (re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", card.name), "its name is a-z, 0-9, '.', '_' and '-'"),
        (card.task in TASKS, f"its task is one of {', '.join(TASKS)}"),
        (card.crop in CROPS, f"its crop is one of {', '.join(CROPS)}"),
        (card.layout in ("NCHW", "NHWC"), "its layout is NCHW or NHWC"),
        (card.channels in ("RGB", "BGR"), "its channels are RGB or BGR"),
        (all(1 <= side <= _SIDE for side in card.input_size), f"its input has sides of 1 to {_SIDE} pixels"),
        (all(map(math.isfinite, numbers)), "its numbers are finite"),
        (all(one > 0 for one in card.std) and card.unit > 0, "its std and unit are above 0"),
        (0 < card.share <= 1 and 0 <= card.fill <= 255, "its share is up to 1 and its fill up to 255"),
        (card.outputs and set(card.outputs) <= set(ROLES), f"its outputs are among {', '.join(ROLES)}"),
        (card.dimension > 0, "its dimension is above 0"),
        (card.bytes is None or card.bytes > 0, "its file has at least one byte"),
        (card.sha256 is None or _is_hash(card.sha256), "its sha256 is 64 digits of 0-9 and a-f"),
        (card.url is None or card.sha256, "a url needs a sha256, or what comes from there is not known"),
    )
    for holds, rule in rules:
        if not holds:
            raise _Wrong(rule)
    _check_detector(card)
    _check_text(card)
    if (built := card.built) is not None:
        place = Path(built.file)
        if not built.package.isidentifier() or place.is_absolute() or ".." in place.parts:
            raise _Wrong("its package and file name a file inside a package")
        if built.precision not in ("float32", "int8") or not _is_hash(built.sha256):
            raise _Wrong("what it is built from has a sha256, and a precision of float32 or int8")


def _check_detector(card: Card) -> None:
    if (card.task == "detection") != (card.boxes is not None):
        raise _Wrong("boxes is said of a detector, and of nothing else")
    if card.boxes is None:
        return
    sides = card.input_size
    rules = (
        (card.boxes in BOXES, f"its boxes are {' or '.join(BOXES)}"),
        (card.crop != "centre", "a detector sees the whole picture: its crop is squash or pad"),
        ("boxes" in card.outputs, "a detector has an output of boxes"),
        (card.boxes != "detr" or "logits" in card.outputs, "detr has an output of logits"),
        (card.boxes != "yolox" or all(one % 32 == 0 for one in sides), "yolox takes sides of 32 n pixels"),
    )
    for holds, rule in rules:
        if not holds:
            raise _Wrong(rule)


def _check_text(card: Card) -> None:
    text = card.text
    if (card.task == "embedding+text") != (text is not None):
        raise _Wrong("text is said of a model of the task embedding+text, and of no other")
    if text is None:
        return
    hashes, sizes = (text.sha256, text.tokenizer_sha256), (text.bytes, text.tokenizer_bytes)
    rules = (
        (set(card.outputs) & {"vector", "tokens"}, "what embeds texts too has an output of vector or tokens"),
        (1 <= text.length <= _TOKENS, f"its texts have 1 to {_TOKENS} tokens"),
        (0 <= text.pad < 2**31, "the number of its token pad is not below 0, and below 2^31"),
        (text.mask != text.input, "its input and mask differ"),
        (all(one is None or _is_hash(one) for one in hashes), "each sha256 is 64 digits of 0-9 and a-f"),
        (all(one is None or one > 0 for one in sizes), "its files have at least one byte"),
    )
    for holds, rule in rules:
        if not holds:
            raise _Wrong(rule)


def _is_hash(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None
