"""The indexes of a collection's directory: one for each kind of feature, opened when first wanted."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from wherefrom.engine.catalog import Catalog
from wherefrom.engine.catalog_source import column_source
from wherefrom.engine.codes import code_source
from wherefrom.engine.column_files import ColumnFiles, Widths
from wherefrom.engine.columns import Columns
from wherefrom.engine.hamming import HammingIndex
from wherefrom.engine.postings import posting_source
from wherefrom.engine.rows import RowFiles
from wherefrom.engine.sizes import Sizes
from wherefrom.engine.vectors import VectorsIndex
from wherefrom.engine.word_files import WordFiles
from wherefrom.engine.words import WordsIndex
from wherefrom.errors import UsageError
from wherefrom.features.extract import EMBEDDING, FINGERPRINT, KEYPOINTS
from wherefrom.features.registry import Codes, Words, feature, features
from wherefrom.features.registry import Columns as InColumns


def folders() -> dict[str, str]:
    """The folder of each kind's index in a collection's directory."""
    return {kind: one.index.folder for kind, one in features().items() if one.index is not None}


class Index(Protocol):
    """What all indexes have in common."""

    def refresh(self) -> None:
        """Read from the catalog what is new."""
        ...

    def stop_writing(self) -> None:
        """Leave the files to another object."""
        ...

    def close(self) -> None:
        """Let files go."""
        ...

    def damage(self) -> Iterator[str]:
        """Every way in which the index differs from the catalog, a sentence each."""
        ...


class Indexes:
    """The indexes of features of some versions. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        catalog: Catalog,
        versions: Mapping[str, str],
        dimension: int,
        threads: int,
        *,
        write: bool,
        sizes: Sizes = Sizes(),
    ) -> None:
        """Open none yet. `dimension` is that of the embeddings' vectors, 0 where there are none; `write`
        whether the files are this process's to change."""
        self._directory = directory
        self._catalog = catalog
        self._versions = versions
        self._dimension = dimension
        self._threads = threads
        self._sizes = sizes
        self._lock = threading.RLock()
        self._open: dict[str, Index] = {}
        self._columns: dict[str, Columns] = {}
        self._write = write
        self._closed = False
        self._pid = os.getpid()

    @property
    def kinds(self) -> list[str]:
        """The kinds of features that have an index here."""
        return [kind for kind in folders() if kind in self._versions and self._widths(kind) != ()]

    def fingerprints(self) -> HammingIndex:
        """The index of fingerprints."""
        return cast(HammingIndex, self.of(FINGERPRINT))

    def words(self) -> WordsIndex:
        """The index of visual words."""
        return cast(WordsIndex, self.of(KEYPOINTS))

    def vectors(self) -> VectorsIndex:
        """The index of embeddings' vectors."""
        return cast(VectorsIndex, self.of(EMBEDDING))

    def columns(self, kind: str) -> Columns:
        """The rows of a kind that is kept in columns."""
        self.of(kind)
        return self._columns[kind]

    def of(self, kind: str) -> Index:
        """The index of a kind. Raises UsageError when they have been closed, CollectionDamaged."""
        if self._pid != os.getpid():
            self._start_anew()
        index = self._open.get(kind)
        if index is not None:
            return index  # without waiting for a change that is under way
        with self._lock:
            if self._closed:
                raise UsageError("This collection has been closed; open it again.")
            if kind not in self._open:
                self._open[kind], columns = self._opened(kind, write=self._write)
                if columns is not None:
                    self._columns[kind] = columns
            return self._open[kind]

    def all(self) -> list[Index]:
        """Every index, opened."""
        return [self.of(kind) for kind in self.kinds]

    def begin_writing(self) -> None:
        """Let those that are opened from now on write; those that read still answer whoever has them."""
        with self._lock:
            self._open, self._columns, self._write = {}, {}, True

    def end_writing(self) -> None:
        """Let those that are opened from now on only read; those that wrote still answer whoever has them."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open, self._columns, self._write = {}, {}, False

    def clear(self) -> None:
        """Forget all that is derived; the next that is opened begins with nothing. Raises OSError."""
        with self._lock:
            for index in self._open.values():
                index.stop_writing()
            self._open, self._columns = {}, {}
            for kind in self.kinds:
                self._files(kind).clear()

    def close(self) -> None:
        """Let files go. Whatever is asked for afterwards raises UsageError."""
        if self._pid != os.getpid():
            self._start_anew()
        with self._lock:
            self._closed = True
            for index in self._open.values():
                index.close()
            self._open, self._columns = {}, {}

    def damage(self, kind: str) -> Iterator[str]:
        """What is wrong with an index as the next process will find it."""
        yield from self._opened(kind, write=False)[0].damage()

    def _start_anew(self) -> None:
        """In a child that was forked: the files are its parent's to change, and so are threads and locks."""
        self._lock = threading.RLock()
        self._open, self._columns, self._write = {}, {}, False
        self._pid = os.getpid()

    def _files(self, kind: str) -> RowFiles | WordFiles | ColumnFiles:
        index, version = feature(kind).index, self._versions[kind]
        assert index is not None
        folder = self._directory / index.folder
        if isinstance(index, Codes):
            return RowFiles(folder, version)
        if isinstance(index, Words):
            return WordFiles(folder, version)
        return ColumnFiles(folder, version, self._widths(kind) or (), index.name, many=feature(kind).many)

    def _widths(self, kind: str) -> Widths | None:
        """The fields of a kind that lies in columns; none where no model computes it, None for others."""
        index = feature(kind).index
        return index.widths(self._dimension) if isinstance(index, InColumns) else None

    def _opened(self, kind: str, *, write: bool) -> tuple[Index, Columns | None]:
        described, sizes = feature(kind), self._sizes
        index = described.index
        assert index is not None
        folder = self._directory / index.folder
        common: dict[str, Any] = {"feature": self._versions[kind], "write": write}
        if isinstance(index, Codes):
            codes = code_source(self._catalog)
            return HammingIndex(folder, codes, threads=self._threads, sizes=sizes.codes, **common), None
        if isinstance(index, Words):
            postings = posting_source(self._catalog)
            return WordsIndex(folder, postings, threads=self._threads, sizes=sizes.words, **common), None
        widths = self._widths(kind) or ()
        source = column_source(self._catalog, described, sum(widths))
        columns = Columns(
            folder, source, widths, name=index.name, sizes=sizes.columns, many=described.many, **common
        )
        if not index.vectors:
            return columns, columns
        return VectorsIndex(columns, threads=self._threads, sizes=sizes.cells), columns


def refreshed(indexes: Sequence[Index]) -> None:
    """Bring indexes up to date."""
    for index in indexes:
        index.refresh()
