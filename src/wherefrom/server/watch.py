"""The keys as a running server knows them: in memory, and never more than a moment old.

A request looks a key up without touching the disk. A thread looks at the file twice a second, so that a key
made or revoked elsewhere counts at once, and writes back when keys were last used, a few at a time. Where
the file cannot be read any more no key is taken, rather than one that has been revoked meanwhile. What had
keys stays locked: a file that is emptied, lost or put back without keys lets nobody in.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from pathlib import Path

from wherefrom.errors import CollectionError, NotFound, WherefromError
from wherefrom.records import now
from wherefrom.server.keys import Key, Keys, is_key, leave_mark, mark_of, parts_of

_LOOK_SECONDS = 0.4
_WRITE_SECONDS = 10.0
_STALE_SECONDS = 10.0  # how old what is known may get while the file cannot be read

_log = logging.getLogger("wherefrom.server")
_Stamp = tuple[int, int, int]


class KeyWatch:
    """Looks keys up. Thread-safe; up to date from `open` to `close`, which writes what is still owed."""

    def __init__(self, path: Path) -> None:
        """Read the keys, if there are any. Raises CollectionError when the file cannot be used."""
        self.path = path
        self._known: dict[str, Key] = {}
        self._locked = False
        self._stamp: _Stamp | None = None
        self._stamped = 0.0
        self._fresh = time.monotonic()
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._look()

    @property
    def there_are_any(self) -> bool:
        """Whether keys are known, be they live or not."""
        return bool(self._known)

    @property
    def locked(self) -> bool:
        """Whether a key is needed, since there is or was a file of keys; never taken back."""
        return self._locked

    def key_of(self, text: str) -> Key | None:
        """The key of a text, be it live, expired or revoked; None for what is no key of ours.

        Raises CollectionError while the file cannot be read.
        """
        if time.monotonic() - self._fresh > _STALE_SECONDS:
            raise CollectionError("The keys cannot be read at present; try again in a moment.")
        parts = parts_of(text)
        if parts is None:
            return None
        key = self._known.get(parts[0])
        return key if is_key(key, parts[1]) else None

    def is_live(self, identifier: str) -> bool:
        """Whether the key of an id is neither expired nor revoked."""
        key = self._known.get(identifier)
        return key is not None and key.state(now()) == "live"

    def note(self, key: Key) -> None:
        """Note that a key is used now; it is written within some seconds."""
        with self._lock:
            self._used[key.id] = now()

    def open(self) -> None:
        """Start the thread."""
        self._look()
        if self._known:
            with contextlib.suppress(OSError):  # of keys that were made before there were marks
                leave_mark(self.path)
        self._over.clear()
        self._thread = threading.Thread(target=self._watch, name="wherefrom-keys", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, if it was started."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._write()

    def _watch(self) -> None:
        written = time.monotonic()
        while not self._over.wait(_LOOK_SECONDS):
            try:
                self._look()
            except WherefromError as error:
                _log.error("The keys cannot be read: %s", error)
            if time.monotonic() - written >= _WRITE_SECONDS:
                self._write()
                written = time.monotonic()

    def _look(self) -> None:
        """Read the keys again if the file is not as it was; without a file, what was known stays known."""
        begun = time.monotonic()
        stamp = _stamp_of(self.path)
        # A file system's clock ticks coarsely: a change soon after another may leave the same time.
        if stamp is not None and (stamp != self._stamp or begun - self._stamped < 2):
            self._locked = True
            try:
                known = {key.id: key for key in Keys(self.path).every()}
            except NotFound:
                stamp = None
            else:
                if self._known and not known:
                    _log.warning("%s holds no keys any more: nobody is let in until it does.", self.path)
                self._known = known
            if stamp != self._stamp:
                self._stamp, self._stamped = stamp, begun
        self._locked = self._locked or mark_of(self.path).exists()
        self._fresh = begun

    def _write(self) -> None:
        with self._lock:
            used, self._used = self._used, {}
        if used:
            try:
                Keys.at(self.path).used(used)
            except WherefromError as error:  # a courtesy: no request fails for it
                _log.warning("When keys were last used could not be written: %s", error)


def _stamp_of(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CollectionError(f"{path} cannot be read ({error.strerror}).") from error
    return status.st_ino, status.st_mtime_ns, status.st_size
