"""The store: the models that are installed on this machine, and how they get there.

A folder with two files for each model: NAME.onnx, and NAME.json, its card with the hash and size of that
very file (NAME@VERSION for what is built, so that versions lie side by side). One that takes words too has
two more, of which that card says the same: NAME@text.onnx and NAME@tokenizer.json. A file is used only while
its hash is the one recorded. What is built out of an installed package is built when it is first asked for,
and again whenever its file is not sound.

Nothing here goes to the network but `add`, which a person asks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from wherefrom.errors import ModelError, ModelMissing, UsageError
from wherefrom.former import caches, variable
from wherefrom.models.building import graph_of, how_to_get, package_folder, version
from wherefrom.models.cards import Card, built_in_cards, card_of_file, read_card
from wherefrom.models.files import (
    as_here,
    check_named,
    copied,
    install,
    is_build,
    is_sound,
    recorded,
    remove,
    temporary_folder,
    text_files,
    text_is_sound,
)

DEFAULT = "efficientnet-lite0-int8"
"""The model that is used where none was chosen."""

_CHOSEN = ".chosen"  # no model's name begins like this
_INCOMING, _STALE = ".incoming-", 86_400.0  # seconds after which nobody is still writing one
_DOWNLOAD_BYTES = 1024**3  # of a card that does not say
_LOG = logging.getLogger(__name__)


class State(StrEnum):
    """What has become of a model here."""

    BUILT_IN = "built in"
    """Built from an installed package, without a download."""
    INSTALLED = "installed"
    AVAILABLE = "available"
    """Not here; `wherefrom models add` gets it, or says what to install or import."""
    DAMAGED = "file damaged"


@dataclass(frozen=True, slots=True)
class Listed:
    """A model and its state here; `path` is its file where there is one."""

    card: Card
    state: State
    path: Path | None


def default_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """`$WHEREFROM_MODELS`, or `wherefrom/models` in the user's folder of caches."""
    if said := variable("MODELS", environment):
        return Path(said).expanduser()
    said_home = environment.get("XDG_CACHE_HOME", "")
    # By the rule for these folders, what is not absolute is to be passed over.
    home = Path(said_home) if Path(said_home).is_absolute() else Path.home() / ".cache"
    return caches(home) / "models"


class Store:
    """The models in one folder, which is made when something is first kept in it."""

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        """The store in `directory`; by default that of `default_directory`."""
        self.directory = default_directory() if directory is None else Path(directory)

    def card(self, name: str) -> Card:
        """The card of a model: with the hash of its file, where that is installed.

        Raises `UsageError` for a name that no card has, `ModelError` for a record that is damaged.
        """
        self._valid(name)
        known = built_in_cards().get(name)
        record = None if known is not None and known.built else recorded(self._record(name))
        if record is None:
            if known is None:
                raise ModelError(f"The record of the model {name} has just gone: try again.")
            return known
        if record.name != name:
            raise ModelError(f"The record of the model {name} is damaged: remove it and install it again.")
        if known is None:
            return record
        # The card of this version, which may say more; the hashes of the files that are here.
        text = as_here(known.text, record.text)
        return replace(known, sha256=record.sha256, bytes=record.bytes, text=text)

    def names(self) -> list[str]:
        """Every model that has a card, built in or imported, in order."""
        records = [path.stem for path in self.directory.glob("[a-z0-9]*.json")]
        return sorted({*built_in_cards(), *(name for name in records if "@" not in name)})

    def listed(self) -> list[Listed]:
        """Every model that has a card, with its state. Reads the files that are there, to check them."""
        return [self._listed(name) for name in self.names()]

    def path(self, name: str) -> Path:
        """The sound file of a model, built if it is one that is built here.

        Raises `UsageError` for an unknown name, `ModelMissing` where it is not installed, and `ModelError`
        where its file is damaged. Where the folder cannot be written, what is built goes into a temporary
        one that lasts as long as this process, with a notice in the log.
        """
        card = self.card(name)
        if card.built is not None:
            return self._built(card)
        path = self._file(name)
        if not path.is_file():
            raise ModelMissing(f"The model {name} is not installed. {how_to_get(card)}")
        if not is_sound(path, card):
            raise ModelError(
                f"The file of the model {name} is damaged: remove it with "
                f"`wherefrom models remove {name}` and "
                f"install it again."
            )
        return path

    def text_folder(self, name: str) -> Path:
        """The folder in which the sound files of a model's text side lie, for a `TextEncoder`.

        Raises `UsageError` for an unknown name or a model that takes no words, `ModelMissing` where the text
        side is not installed, and `ModelError` where a file of it is damaged.
        """
        from wherefrom.models.text import check_installed

        card = self.card(name)
        check_installed(card, self.directory)
        if not text_is_sound(self.directory, card):
            raise ModelError(
                f"A file of the text side of the model {name} is damaged: remove it with `wherefrom models "
                f"remove {name}` and install it again."
            )
        return self.directory

    def add(self, name: str, *, seconds: float = 1800.0) -> Path:
        """Install a model by its name, or by the path of a card: download it, or build it.

        This alone goes to the network, within `seconds`, and takes nothing but the bytes that the card
        names by their hash. Raises what `path` raises, `ModelError` for other bytes, `FetchError`.
        """
        card = self._named(name)
        if card.built is not None:
            return self.path(card.name)
        if card.url is None or card.sha256 is None:
            raise ModelMissing(how_to_get(card))
        from wherefrom.sources.fetch import fetch

        fetched = fetch(card.url, max_bytes=card.bytes or _DOWNLOAD_BYTES, seconds=seconds)
        if hashlib.sha256(fetched.data).hexdigest() != card.sha256:
            raise ModelError(
                f"What {card.url} gives is not the file that the card {card.name} names: its SHA-256 "
                f"differs. Nothing was installed."
            )
        with self._incoming() as place:
            place.write_bytes(fetched.data)
            return self._keep(card, place, card.sha256)

    def import_file(
        self,
        path: str | os.PathLike[str],
        card: str | None = None,
        *,
        text: str | os.PathLike[str] | None = None,
        tokenizer: str | os.PathLike[str] | None = None,
    ) -> Path:
        """Install a file that is at hand, without the network; gives where it now lies.

        `card` is the name of a card, or the path of a card's TOML file; without it, the file's hash has to
        be one that a card names. `text` and `tokenizer` are the files of the text side of a model that takes
        words; without them it keeps those that it has, if the file is the same. Raises `UsageError` for a
        file that no card names, and for one of the two files of the text side without the other or for a
        model that takes none; `ModelError` for a file that cannot be read, is not the one its card names, or
        is no such model.
        """
        chosen = None if card is None else self._named(card)
        if chosen is not None and chosen.built is not None:
            raise UsageError(
                f"The model {chosen.name} is built here and not imported: wherefrom models add {chosen.name}."
            )
        if (text is None) != (tokenizer is None):
            raise UsageError("The text side of a model has two files: give --text and --tokenizer together.")
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(self._incoming())
            found = copied(Path(path), place)
            chosen = card_of_file(Path(path).name, found) if chosen is None else chosen
            check_named(Path(path), found, chosen.sha256, chosen.name)
            if text is None or tokenizer is None:
                return self._keep(chosen, place, found)
            if chosen.text is None:
                raise UsageError(f"The model {chosen.name} takes no words: leave --text and --tokenizer out.")
            said = (chosen.text.sha256, chosen.text.tokenizer_sha256)
            texts = []
            for source, due in zip((Path(text), Path(tokenizer)), said, strict=True):
                aside = stack.enter_context(self._incoming())
                texts.append((aside, copied(source, aside)))
                check_named(source, texts[-1][1], due, chosen.name)
            return self._keep(chosen, place, found, texts)

    def remove(self, name: str) -> None:
        """Remove a model's files; one that was chosen no longer is. Raises `ModelMissing` without any."""
        self._valid(name)
        chosen = self._chosen() == name
        gone = sum(remove(path) for path in self._files(name))
        if chosen:
            remove(self.directory / _CHOSEN)
        if not gone:
            raise ModelMissing(f"The model {name} is not installed.")

    def use(self, name: str) -> None:
        """Choose the model that embeds pictures from now on. Raises what `path` raises, and `UsageError`."""
        if not self.card(name).task.startswith("embedding"):
            raise UsageError(f"The model {name} makes no embeddings, so it cannot be chosen for them.")
        self.path(name)
        with self._incoming() as place:
            place.write_text(json.dumps({"model": name}), encoding="utf-8")
            place.replace(self.directory / _CHOSEN)

    def current(self, setting: str = "") -> str:
        """The name of the model that embeds: `setting` if given, or the one chosen, or the default."""
        return setting or self._chosen() or DEFAULT

    # Inside

    def _named(self, name: str) -> Card:
        """The card of a name or a path; a card of one's own may not take a built-in name."""
        if not name.endswith(".toml"):
            return self.card(name)
        card = read_card(name)
        if card.name in built_in_cards():
            raise UsageError(
                f"The name {card.name} belongs to a card that comes with Wherefrom: give it another."
            )
        if card.built is not None:
            raise UsageError(
                "Only cards that come with Wherefrom are built from packages: leave [built] out."
            )
        return card

    def _listed(self, name: str) -> Listed:
        try:
            card = self.card(name)
        except ModelError:
            card = built_in_cards().get(name) or _nameless(name)
            return Listed(card, State.DAMAGED, self._file(name))
        if card.built is not None:
            there = package_folder(card.built.package) is not None
            path = self._build(card)
            return Listed(
                card, State.BUILT_IN if there else State.AVAILABLE, path if path.is_file() else None
            )
        path = self._file(name)
        if not path.is_file():
            return Listed(card, State.AVAILABLE, None)
        sound = is_sound(path, card) and (not self._has_text(card) or text_is_sound(self.directory, card))
        return Listed(card, State.INSTALLED if sound else State.DAMAGED, path)

    def _valid(self, name: str) -> None:
        """Raise `UsageError` for a name that could lead out of the folder."""
        if name not in self.names():
            raise UsageError(f"There is no model {name[:80]!r}; there are {', '.join(self.names())}.")

    def _file(self, name: str) -> Path:
        return self.directory / f"{name}.onnx"

    def _build(self, card: Card) -> Path:
        """Where what is built lies."""
        return self.directory / f"{card.name}@{version()}.onnx"

    def _files(self, name: str) -> list[Path]:
        """Every file of a model, of all versions of what is built."""
        found = [self._file(name), self._record(name)]
        for ending in ("onnx", "json"):
            found += self.directory.glob(f"{name}@*.{ending}")
        return found

    def _has_text(self, card: Card) -> bool:
        """Whether there is a file of a model's text side, sound or not."""
        return card.text is not None and any(path.exists() for path in text_files(self.directory, card.name))

    def _record(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _chosen(self) -> str:
        try:
            said = json.loads((self.directory / _CHOSEN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        name = said.get("model") if isinstance(said, dict) else None
        return name if isinstance(name, str) and name in self.names() else ""

    @contextlib.contextmanager
    def _incoming(self) -> Iterator[Path]:
        """A file of our own in the folder, gone afterwards unless it was renamed. Raises `ModelError`."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._sweep()
            handle, name = tempfile.mkstemp(prefix=_INCOMING, dir=self.directory)
            os.close(handle)
            try:
                yield Path(name)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ModelError(
                f"The folder of models {self.directory} cannot be used: {reason}. Name another in "
                f"WHEREFROM_MODELS."
            ) from error

    def _sweep(self) -> None:
        """Remove what processes left behind that were ended while they wrote."""
        for path in self.directory.glob(f"{_INCOMING}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE:
                    path.unlink()

    def _keep(
        self, card: Card, place: Path, sha256: str, texts: Sequence[tuple[Path, str]] | None = None
    ) -> Path:
        """Take files that are whole into the store, once they open as what their card says.

        `texts` are the two of the text side and their hashes; without them those that are there are kept,
        unless they belong to another file.
        """
        from wherefrom.models.session import open_session

        open_session(card, place)
        record = replace(card, sha256=sha256, bytes=place.stat().st_size)
        final, moves = text_files(self.directory, card.name), []
        old = self._old(card.name)
        same = old is not None and old.sha256 == sha256
        if texts:
            from wherefrom.models.text import described

            record = replace(record, text=described(record, texts))
            moves = [(aside, path) for (aside, _), path in zip(texts, final, strict=True)]
        elif old is not None and same:
            record = replace(record, text=as_here(card.text, old.text))
        install(record, place, self._file(card.name), moves)
        if record.text is None or not (texts or same):
            for path in final:
                remove(path)
        return self._file(card.name)

    def _old(self, name: str) -> Card | None:
        """The record of what is installed under a name, None where there is none that can be read."""
        try:
            return recorded(self._record(name))
        except ModelError:
            return None

    def _built(self, card: Card) -> Path:
        path = self._build(card)
        if is_build(path, card):
            return path
        _LOG.info("Building the model %s.", card.name)
        data = graph_of(card)
        record = replace(card, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        try:
            self._put(record, data, path)
        except ModelError as error:
            spare = Store(temporary_folder())
            if spare.directory == self.directory:
                raise
            path = spare._build(card)
            if not is_build(path, card):
                _LOG.warning("%s The model is built for this process alone.", error)
                spare._put(record, data, path)
        return path

    def _put(self, record: Card, data: bytes, target: Path) -> None:
        with self._incoming() as place:
            place.write_bytes(data)
            install(record, place, target)


def _nameless(name: str) -> Card:
    """What is shown of a model whose record cannot be read."""
    known = next(iter(built_in_cards().values()))
    empty: dict[str, Any] = {"title": "", "licence": "", "source": "", "built": None, "measured": ""}
    return replace(known, name=name, **empty)
