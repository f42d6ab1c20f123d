"""Rows of the spool in its SQLite file: each is checked, and of a damaged file those that can be read are kept.

The file lies on an SD card for months, and other programs can write to it: nothing in it is taken for granted.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from device_apps.events.spool_database import (
    CHECKSUMS,
    MESSAGES,
    SET_ASIDE,
    UNREADABLE,
    ForeignSchemaError,
    connect,
    connect_existing,
    has_table,
    is_damage,
    only_sqlite_errors,
    rename_aside,
)
from edge_ssd.console.counts import count
from edge_ssd.console.text import printable

__all__ = ["MAX_PAYLOAD_BYTES", "Message", "SpoolFile"]

MAX_PAYLOAD_BYTES = 1 << 20

_ROWS = "SELECT m.id, m.object, m.payload, c.crc32 FROM messages m LEFT JOIN checksums c ON c.id = m.id"
_ROWS_ALONE = "SELECT m.id, m.object, m.payload, NULL FROM messages m"

_MAX_ID = 1 << 62
_MAX_KEY_LENGTH = 256
_MAX_SET_ASIDE = 1000  # rows; the oldest are deleted
_MAX_PROBES = 20_000

_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message of the spool; later messages have higher ids. ``object_key`` identifies the object that it is about."""

    id: int
    object_key: str
    payload: bytes


class SpoolFile:
    """Open spool file, for one process; not thread-safe.

    A file that is no database, damaged or of another program is renamed, with a warning, and a new one is created. The
    messages of it that can be read are in :attr:`salvaged`, to be added again.

    Args:
        path: of the file, in an existing folder.
        is_valid: check of a payload that was written without a checksum; None accepts all.

    Raises:
        sqlite3.Error, OSError: the file cannot be used now; it may be all right.
    """

    def __init__(self, path: Path, is_valid: Callable[[bytes], bool] | None = None) -> None:
        self._path = path
        self._is_valid = is_valid
        self.salvaged: list[Message] = []
        self._damage: sqlite3.Error | None = None  # Of the file that is to be replaced.
        self._renamed: Path | None = None  # This file, if it is renamed already.
        if path.exists() and not path.is_file():
            raise OSError(0, "it is not a file")
        try:
            self._db = connect(path)
        except sqlite3.Error as error:
            if not is_damage(error, path):
                raise
            self._damage = error
            self._start_anew(error)

    @only_sqlite_errors()
    def scan(self) -> tuple[dict[int, int], list[int]]:
        """Return the payload sizes in bytes of the messages by id, in order, and the ids of rows that cannot be sent.

        Reads types and sizes only; :meth:`read` checks the contents.
        """
        query = (
            "SELECT id, typeof(payload) = 'blob' AND typeof(object) = 'text', "
            "CASE typeof(payload) WHEN 'blob' THEN length(payload) END FROM messages ORDER BY id"
        )
        sizes: dict[int, int] = {}
        bad: list[int] = []
        for number, typed, size in self._db.execute(query):
            if typed and 0 < number <= _MAX_ID and size <= MAX_PAYLOAD_BYTES:
                sizes[number] = size
            else:
                bad.append(number)
        return sizes, bad

    @only_sqlite_errors()
    def read(self, last_id: int, limit: int) -> list[Message] | None:
        """Return the oldest ``limit`` messages with ids above ``last_id``; None if one of them is damaged."""
        rows = self._db.execute(f"{_rows_query(self._db)} WHERE m.id > ? ORDER BY m.id LIMIT ?", (last_id, limit))
        messages = [self._check(row) for row in rows]
        return None if None in messages else [message for message in messages if message is not None]

    @only_sqlite_errors()
    def damaged_ids(self) -> list[int]:
        """Return the ids of all rows that cannot be sent."""
        ids = [number for (number,) in self._db.execute("SELECT id FROM messages ORDER BY id")]
        query = _rows_query(self._db)
        return [number for number in ids if self._read_one(self._db, query, number) is None]

    @only_sqlite_errors()
    def write(self, added: list[Message], removed: list[int], set_aside: dict[int, str]) -> None:
        """Add and remove messages, and move those of ``set_aside`` (id → reason) to the table of this name.

        All or nothing.
        """
        with self._db:
            self._db.execute("BEGIN")
            if not has_table(self._db, "checksums", CHECKSUMS):
                self._db.execute(CHECKSUMS)
            if set_aside and not has_table(self._db, "set_aside", SET_ASIDE):
                self._db.execute(SET_ASIDE)
            for number, reason in set_aside.items():
                self._db.execute(
                    "INSERT INTO set_aside SELECT id, substr(object, 1, ?), substr(payload, 1, ?), ? FROM messages "
                    "WHERE id = ?",
                    (_MAX_KEY_LENGTH, MAX_PAYLOAD_BYTES, reason, number),
                )
            if set_aside:
                query = "DELETE FROM set_aside WHERE rowid <= (SELECT max(rowid) FROM set_aside) - ?"
                self._db.execute(query, (_MAX_SET_ASIDE,))
            if removed or set_aside:
                for table in ("messages", "checksums"):
                    self._db.executemany(
                        f"DELETE FROM {table} WHERE id = ?", [(number,) for number in (*removed, *set_aside)]
                    )
            if added:
                self._db.executemany("INSERT INTO messages VALUES (?, ?, ?)", added)
                self._db.executemany(
                    "INSERT OR REPLACE INTO checksums VALUES (?, ?)",
                    [(message.id, _checksum(*message)) for message in added],
                )

    def replace_if_damaged(self, error: sqlite3.Error) -> bool:
        """Return whether ``error`` means damage; the file is then replaced by a new one, see :attr:`salvaged`.

        Raises:
            sqlite3.Error, OSError: there can be no new file now.
        """
        if self._damage is None:
            if isinstance(error, sqlite3.ProgrammingError) or not is_damage(error, self._path):
                return False
            self._damage = error
            self._db.close()
        self._start_anew(self._damage)
        return True

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _start_anew(self, error: sqlite3.Error) -> None:
        """Rename the file, open a new one and set :attr:`salvaged`."""
        if self._renamed is None:
            self._renamed = rename_aside(self._path)
        self._db = connect(self._path)
        self.salvaged = list(self._salvage(self._renamed))
        kept = f"keeping the {count(len(self.salvaged), 'message')} that can be read"
        _log.warning(
            "%s: is %s (%s); renamed to %s, %s",
            self._path,
            "not a spool" if isinstance(error, ForeignSchemaError) else "damaged",
            printable(str(error)),
            self._renamed.name,
            kept if self.salvaged else "starting an empty one",
        )
        self._damage = self._renamed = None

    def _salvage(self, path: Path) -> Iterator[Message]:
        """Yield the valid messages of a damaged file, in order.

        SQLite stops at the first page that it cannot read. So the table is read from both ends, and row by row between.
        """
        with contextlib.suppress(*UNREADABLE), contextlib.closing(connect_existing(path)) as db:
            if not has_table(db, "messages", MESSAGES):
                return
            query = _rows_query(db)
            first = list(_ids_until_error(db, "ASC"))
            last = list(_ids_until_error(db, "DESC"))[::-1]
            between = range(first[-1] + 1, last[0])[:_MAX_PROBES] if first and last else range(0)
            for number in sorted({*first, *between, *last}):
                message = self._read_one(db, query, number)
                if message is not None:
                    yield message

    def _read_one(self, db: sqlite3.Connection, query: str, number: int) -> Message | None:
        """Return a message, or None if it is missing or damaged."""
        try:
            row = db.execute(f"{query} WHERE m.id = ?", (number,)).fetchone()
        except UNREADABLE:
            # Only the checksum may be unreadable; without it, the content is checked.
            try:
                row = db.execute(f"{_ROWS_ALONE} WHERE m.id = ?", (number,)).fetchone()
            except UNREADABLE:
                return None
        return None if row is None else self._check(row)

    def _check(self, row: tuple[Any, Any, Any, Any]) -> Message | None:
        """Return the message of a row of (id, object, payload, checksum or None), or None if it is damaged."""
        number, object_key, payload, checksum = row
        valid = (
            isinstance(number, int)
            and 0 < number <= _MAX_ID
            and isinstance(object_key, str)
            and 0 < len(object_key) <= _MAX_KEY_LENGTH
            and isinstance(payload, bytes)
            and len(payload) <= MAX_PAYLOAD_BYTES
        )
        if not valid:
            return None
        if checksum is None:  # Of an older version.
            sound = self._is_valid is None or self._is_valid(payload)
        else:
            sound = checksum == _checksum(number, object_key, payload)
        return Message(number, object_key, payload) if sound else None


def _checksum(number: int, object_key: str, payload: bytes) -> int:
    head = f"{number} {object_key} ".encode("utf-8", "surrogateescape")
    return zlib.crc32(payload, zlib.crc32(head))


def _rows_query(db: sqlite3.Connection) -> str:
    return _ROWS if has_table(db, "checksums", CHECKSUMS) else _ROWS_ALONE


def _ids_until_error(db: sqlite3.Connection, order: str) -> Iterator[int]:
    """Yield the ids of the messages in this order, until a page cannot be read."""
    with contextlib.suppress(*UNREADABLE):
        for (number,) in db.execute(f"SELECT id FROM messages ORDER BY id {order}"):
            yield number
