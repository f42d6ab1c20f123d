"""Queue of messages on disk until the broker acknowledges them; it survives restarts of broker and program.

One SQLite file in WAL mode. Its commits survive a killed process. They are not synced to the disk one by one, which
would wear out an SD card: a power cut may lose the last seconds, but never damages the file.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from device_apps.retry import FailureLog
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["Message", "Spool", "default_spool_path"]

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, object TEXT NOT NULL, payload BLOB NOT NULL)
"""
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) if hasattr(sqlite3, "SQLITE_BUSY") else (5, 6)

_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message of the spool; later messages have higher ids. ``object_key`` identifies the object that it is about."""

    id: int
    object_key: str
    payload: bytes


class Spool:
    """Bounded message queue on disk, for one process; thread-safe.

    When it is full, the oldest messages are dropped and counted; this is logged once until it has been empty. While
    the disk cannot be written, messages wait in memory under the same limits and are returned all the same. Raises
    EdgeSSDError if the file cannot be used, or another process uses it.

    Args:
        path: of the file; missing parent folders are created.
        max_messages, max_bytes: limits; bytes are those of the payloads.
    """

    def __init__(self, path: Path, *, max_messages: int, max_bytes: int) -> None:
        self.path = path
        self.dropped = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._unsaved: dict[int, Message] = {}  # not on disk yet
        self._undeleted: set[int] = set()  # removed, but still on disk
        self._failures = FailureLog(_log)
        self._overflow_logged = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _open(path)
            self._sizes = dict(self._db.execute("SELECT id, length(payload) FROM messages ORDER BY id"))
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) in _BUSY_CODES or "locked" in str(error):
                raise EdgeSSDError(
                    f"{path}: another edge-ssd uses this spool; end it, or name another file with --mqtt-spool"
                ) from None
            reason = getattr(error, "strerror", None) or error
            raise EdgeSSDError(
                f"{path}: cannot keep messages here: {reason}; name another file with --mqtt-spool"
            ) from None
        self._total_bytes = sum(self._sizes.values())
        self._next_id = max(self._sizes, default=0) + 1
        with self._lock:
            self._drop_oldest()
            self._save()

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, object_key: str, payload: bytes) -> None:
        """Append a message; ``object_key`` identifies the object that it is about."""
        with self._lock:
            message = Message(self._next_id, object_key, payload)
            self._next_id += 1
            self._unsaved[message.id] = message
            self._sizes[message.id] = len(payload)
            self._total_bytes += len(payload)
            self._drop_oldest()
            self._save()

    def after(self, last_id: int, limit: int) -> list[Message]:
        """Return the oldest ``limit`` messages with ids above ``last_id``."""
        with self._lock:
            messages: list[Message] = []
            with contextlib.suppress(sqlite3.Error):  # What cannot be read now may be readable later.
                query = "SELECT id, object, payload FROM messages WHERE id > ? ORDER BY id LIMIT ?"
                rows = self._db.execute(query, (last_id, limit + len(self._undeleted)))
                messages = [Message(*row) for row in rows if row[0] not in self._undeleted]
            messages += [message for message in self._unsaved.values() if message.id > last_id]
            return messages[:limit]

    def remove(self, ids: Collection[int]) -> None:
        """Remove the messages with these ids; unknown ids are ignored."""
        with self._lock:
            self._forget([message_id for message_id in ids if message_id in self._sizes])
            self._overflow_logged = self._overflow_logged and bool(self._sizes)
            self._save()

    def close(self) -> None:
        """Save pending changes and close the file."""
        with self._lock:
            self._save()
            self._db.close()

    def _drop_oldest(self) -> None:
        while self._sizes and (len(self._sizes) > self._max_messages or self._total_bytes > self._max_bytes):
            self._forget([next(iter(self._sizes))])
            self.dropped += 1
            if not self._overflow_logged:
                self._overflow_logged = True
                _log.warning("%s: is full; from now on the oldest messages are dropped", self.path)

    def _forget(self, ids: Collection[int]) -> None:
        for message_id in ids:
            self._total_bytes -= self._sizes.pop(message_id)
            if self._unsaved.pop(message_id, None) is None:
                self._undeleted.add(message_id)

    def _save(self) -> None:
        """Write the changes to disk; the next call retries what fails."""
        try:
            with self._db:
                self._db.executemany("DELETE FROM messages WHERE id = ?", [(number,) for number in self._undeleted])
                self._db.executemany("INSERT INTO messages VALUES (?, ?, ?)", list(self._unsaved.values()))
        except sqlite3.Error as error:
            self._failures.failed(f"{self.path}: cannot be written: {error}; messages wait in memory, will retry")
            return
        self._unsaved.clear()
        self._undeleted.clear()
        self._failures.recovered(f"{self.path}: can be written again")


def default_spool_path(broker: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the default spool file of ``broker`` (URL/PREFIX), in the state directory of systemd or of the user.

    Raises SettingError if there is neither.
    """
    state_directory = environment.get("STATE_DIRECTORY", "").split(":")[0]
    user_state = environment.get("XDG_STATE_HOME")
    if not state_directory and not user_state:
        try:
            user_state = str(Path.home() / ".local" / "state")
        except RuntimeError:
            raise SettingError(
                "--mqtt: this user has no home folder to keep events in; name a file with --mqtt-spool, or set HOME"
            ) from None
    folder = Path(state_directory) if state_directory else Path(user_state or "") / "edge-ssd"
    return folder / f"mqtt-{hashlib.sha256(broker.encode()).hexdigest()[:12]}.sqlite"


def _open(path: Path) -> sqlite3.Connection:
    """Open the file; rename a damaged one and create a new one."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:  # In use, no permission, disk full: the file is not damaged.
        raise
    except sqlite3.DatabaseError as error:
        damaged = path.with_name(f"{path.name}.damaged")
        path.replace(damaged)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        _log.warning("%s: is damaged (%s); renamed to %s, starting an empty one", path, error, damaged.name)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        # One process has exclusive use of the file; WAL then needs no shared-memory file.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=1048576")
        (result,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            raise sqlite3.DatabaseError(str(result).replace("\n", " "))
        # An existing spool is opened without a write, so that it opens on a full disk.
        if db.execute("PRAGMA user_version").fetchone() != (_SCHEMA_VERSION,):
            with db:
                db.execute(_SCHEMA)
                db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
    except BaseException:
        db.close()
        raise
    return db
