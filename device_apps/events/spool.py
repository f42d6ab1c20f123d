"""Messages that wait on the disk until a broker has them: a restart, of the broker or of this program, loses none.

One SQLite file in WAL mode. Its commits survive a killed process; they are not forced to the disk each time, which
would wear out a board's SD card, so a power cut may cost the last moments before it, but never damages the file.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from device_apps.sources.frames import OnMessage
from edge_ssd.errors import EdgeSSDError

__all__ = ["Message", "Spool"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, object TEXT NOT NULL, payload BLOB NOT NULL)
"""
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) if hasattr(sqlite3, "SQLITE_BUSY") else (5, 6)


class Message(NamedTuple):
    """One message: ids grow; ``object`` names what it is about."""

    id: int
    object: str
    payload: bytes


class Spool:
    """A queue on disk, for one process; its methods may be called from any thread.

    Full, it drops its oldest messages, counts them, and says so, once until it has been empty. Where the disk cannot
    be written, messages wait in memory under the same limits, are given out all the same, and go to the disk as soon
    as it takes them.

    Args:
        path: of the file; folders are made.
        max_messages, max_bytes: limits; bytes are those of the payloads.
        notice: is told what a person should know.

    Raises :class:`EdgeSSDError` naming a file that cannot be used, or that another process uses.
    """

    def __init__(self, path: Path, *, max_messages: int, max_bytes: int, notice: OnMessage) -> None:
        self.path = path
        self.dropped = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._notice = notice
        self._lock = threading.Lock()
        self._new: dict[int, Message] = {}  # not on the disk yet
        self._gone: set[int] = set()  # still on the disk
        self._failing = False
        self._told_full = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _open(path, notice)
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
        self._bytes = sum(self._sizes.values())
        self._next_id = max(self._sizes, default=0) + 1
        with self._lock:
            self._limit()
            self._sync()

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, about: str, payload: bytes) -> None:
        """Append a message about an object."""
        with self._lock:
            message = Message(self._next_id, about, payload)
            self._next_id += 1
            self._new[message.id] = message
            self._sizes[message.id] = len(payload)
            self._bytes += len(payload)
            self._limit()
            self._sync()

    def after(self, last_id: int, limit: int) -> list[Message]:
        """The oldest ``limit`` messages with ids over ``last_id``."""
        with self._lock:
            found: list[Message] = []
            with contextlib.suppress(sqlite3.Error):  # What is unreadable now may be readable later.
                query = "SELECT id, object, payload FROM messages WHERE id > ? ORDER BY id LIMIT ?"
                rows = self._db.execute(query, (last_id, limit + len(self._gone)))
                found = [Message(*row) for row in rows if row[0] not in self._gone]
            found += [message for message in self._new.values() if message.id > last_id]
            return found[:limit]

    def remove(self, ids: Collection[int]) -> None:
        """Forget messages that have arrived; unknown ids are no error."""
        with self._lock:
            self._forget([number for number in ids if number in self._sizes])
            self._told_full = self._told_full and bool(self._sizes)
            self._sync()

    def close(self) -> None:
        with self._lock:
            self._sync()
            self._db.close()

    def _limit(self) -> None:
        while self._sizes and (len(self._sizes) > self._max_messages or self._bytes > self._max_bytes):
            self._forget([next(iter(self._sizes))])
            self.dropped += 1
            if not self._told_full:
                self._told_full = True
                self._notice(f"{self.path}: holds as much as it may; from now on the oldest messages are dropped")

    def _forget(self, ids: Collection[int]) -> None:
        for number in ids:
            self._bytes -= self._sizes.pop(number)
            if self._new.pop(number, None) is None:
                self._gone.add(number)

    def _sync(self) -> None:
        """Bring the disk up to date; what fails is done next time."""
        try:
            with self._db:
                self._db.executemany("DELETE FROM messages WHERE id = ?", [(number,) for number in self._gone])
                self._db.executemany("INSERT INTO messages VALUES (?, ?, ?)", list(self._new.values()))
        except sqlite3.Error as error:
            if not self._failing:
                self._failing = True
                self._notice(f"{self.path}: cannot be written: {error}; messages wait in memory until it can")
            return
        self._new.clear()
        self._gone.clear()
        if self._failing:
            self._failing = False
            self._notice(f"{self.path}: can be written again")


def _open(path: Path, notice: OnMessage) -> sqlite3.Connection:
    """Open the file; one that is damaged is put aside."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:  # In use, no permission, full: not the file's fault.
        raise
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        notice(f"{path}: is damaged ({error}); it was put aside as {aside.name}, and an empty one begun")
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        # One process has the file to itself; this also does without a second file of shared memory.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=1048576")
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict).replace("\n", " "))
        if db.execute("PRAGMA user_version").fetchone() != (_VERSION,):  # Nothing is written where nothing has to be:
            with db:  # on a full disk, a spool that is there can be opened.
                db.execute(_SCHEMA)
                db.execute(f"PRAGMA user_version={_VERSION}")
    except BaseException:
        db.close()
        raise
    return db
