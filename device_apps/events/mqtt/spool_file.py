"""SQLite file of the spool: its schema, the check of each row, and what can be read of a damaged file.

The file lies on an SD card for months, and other programs can write to it: nothing in it is taken for granted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edge_ssd.console.counts import count
from edge_ssd.console.text import printable

__all__ = ["MAX_PAYLOAD_BYTES", "Message", "SpoolFile"]

MAX_PAYLOAD_BYTES = 1 << 20

_SCHEMA_VERSION = 1
_MESSAGES = "CREATE TABLE messages (id INTEGER PRIMARY KEY, object TEXT NOT NULL, payload BLOB NOT NULL)"
# Beside the messages, not in their rows: files of older versions have none, and older versions read this file.
_CHECKSUMS = "CREATE TABLE checksums (id INTEGER PRIMARY KEY, crc32 INTEGER NOT NULL)"
_SET_ASIDE = "CREATE TABLE set_aside (id INTEGER, object, payload, reason TEXT)"
_TABLES = {"messages": _MESSAGES, "checksums": _CHECKSUMS, "set_aside": _SET_ASIDE}
_ROWS = "SELECT m.id, m.object, m.payload, c.crc32 FROM messages m LEFT JOIN checksums c ON c.id = m.id"

_MAX_ID = 1 << 62
_MAX_KEY_LENGTH = 256
_MAX_SET_ASIDE = 1000  # rows; the oldest are deleted
_MAX_PROBES = 20_000
_MAX_DAMAGED_FILES = 9

# Of sqlite3.OperationalError, which has no codes in Python 3.10: the file may be all right, but is not usable now.
_ENVIRONMENT = ("locked", "unable to open", "readonly", "is full", "disk I/O", "out of memory", "not authorized")

# SQLite quotes damaged names in its messages, which Python cannot decode then.
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError, MemoryError, OverflowError)

_log = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message of the spool; later messages have higher ids. ``object_key`` identifies the object that it is about."""

    id: int
    object_key: str
    payload: bytes


class _ForeignSchemaError(sqlite3.DatabaseError):
    """The database is not a spool."""


@contextlib.contextmanager
def _only_sqlite_errors() -> Iterator[None]:
    """Raise sqlite3.DatabaseError for what else Python raises while it reads a damaged file."""
    try:
        yield
    except _UNREADABLE[1:] as error:
        raise sqlite3.DatabaseError(f"malformed: {type(error).__name__}") from None


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
            self._db = _connect(path)
        except sqlite3.Error as error:
            if not _is_damage(error, path):
                raise
            self._damage = error
            self._start_anew(error)

    @_only_sqlite_errors()
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

    @_only_sqlite_errors()
    def read(self, last_id: int, limit: int) -> list[Message] | None:
        """Return the oldest ``limit`` messages with ids above ``last_id``; None if one of them is damaged."""
        rows = self._db.execute(f"{_ROWS} WHERE m.id > ? ORDER BY m.id LIMIT ?", (last_id, limit))
        messages = [self._check(row) for row in rows]
        return None if None in messages else [message for message in messages if message is not None]

    @_only_sqlite_errors()
    def damaged_ids(self) -> list[int]:
        """Return the ids of all rows that cannot be sent."""
        ids = [number for (number,) in self._db.execute("SELECT id FROM messages ORDER BY id")]
        return [number for number in ids if self._read_one(self._db, _ROWS, number) is None]

    @_only_sqlite_errors()
    def write(self, added: list[Message], removed: list[int], set_aside: dict[int, str]) -> None:
        """Add and remove messages, and move those of ``set_aside`` (id → reason) to the table of this name.

        All or nothing.
        """
        with self._db:
            if set_aside and "set_aside" not in _table_names(self._db):
                self._db.execute(_SET_ASIDE)
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
            if isinstance(error, sqlite3.ProgrammingError) or not _is_damage(error, self._path):
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
            self._renamed = _rename_aside(self._path)
        self._db = _connect(self._path)
        self.salvaged = list(self._salvage(self._renamed))
        kept = f"keeping the {count(len(self.salvaged), 'message')} that can be read"
        _log.warning(
            "%s: is %s (%s); renamed to %s, %s",
            self._path,
            "not a spool" if isinstance(error, _ForeignSchemaError) else "damaged",
            printable(str(error)),
            self._renamed.name,
            kept if self.salvaged else "starting an empty one",
        )
        self._damage = self._renamed = None

    def _salvage(self, path: Path) -> Iterator[Message]:
        """Yield the valid messages of a damaged file, in order.

        SQLite stops at the first page that it cannot read. So the table is read from both ends, and row by row between.
        """
        with contextlib.suppress(*_UNREADABLE), contextlib.closing(_connect_existing(path)) as db:
            schema = _read_schema(db)
            # A view or a virtual table of this name could do anything.
            if schema.get("messages") != _normalized(_MESSAGES):
                return
            query = _ROWS if schema.get("checksums") == _normalized(_CHECKSUMS) else _without_checksums()
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
        except _UNREADABLE:
            # Only the checksum may be unreadable; without it, the content is checked.
            try:
                row = db.execute(f"{_without_checksums()} WHERE m.id = ?", (number,)).fetchone()
            except _UNREADABLE:
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


@_only_sqlite_errors()
def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        _prepare(db)
        schema = _read_schema(db)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        _check_schema(schema, version)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=1048576")
        (result,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            raise sqlite3.DatabaseError(str(result).replace("\n", " "))
        # An existing spool is opened without a write, so that it opens on a full disk.
        if version != _SCHEMA_VERSION or "messages" not in schema or "checksums" not in schema:
            with db:
                db.execute("BEGIN")
                for name in ("messages", "checksums"):
                    if name not in schema:
                        db.execute(_TABLES[name])
                db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
    except BaseException:
        db.close()
        raise
    return db


@_only_sqlite_errors()
def _connect_existing(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=1.0, uri=True)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # One process has exclusive use of the file; WAL then needs no shared-memory file.
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")
    # Text that is not UTF-8 is one bad row, not an error of the whole query.
    db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")


def _read_schema(db: sqlite3.Connection) -> dict[str, str]:
    """Return the normalized SQL of each table, view, index and trigger, by name."""
    rows = db.execute("SELECT name, sql FROM sqlite_master")
    return {str(name): _normalized(str(sql)) for name, sql in rows}


def _normalized(sql: str) -> str:
    return "".join(sql.lower().replace("if not exists", "").split())


def _check_schema(schema: dict[str, str], version: int) -> None:
    """Raise _ForeignSchemaError unless the file is new or has the tables of a spool and nothing else."""
    if version not in (0, _SCHEMA_VERSION):
        raise _ForeignSchemaError(f"its version is {version}, not {_SCHEMA_VERSION}")
    for name, sql in schema.items():
        if name not in _TABLES or sql != _normalized(_TABLES[name]):
            raise _ForeignSchemaError(f"it has another table {name!r}" if name in _TABLES else f"it has {name!r}")


def _table_names(db: sqlite3.Connection) -> set[str]:
    return {str(name) for (name,) in db.execute("SELECT name FROM sqlite_master")}


def _without_checksums() -> str:
    return "SELECT m.id, m.object, m.payload, NULL FROM messages m"


def _ids_until_error(db: sqlite3.Connection, order: str) -> Iterator[int]:
    """Yield the ids of the messages in this order, until a page cannot be read."""
    with contextlib.suppress(*_UNREADABLE):
        for (number,) in db.execute(f"SELECT id FROM messages ORDER BY id {order}"):
            yield number


def _is_damage(error: sqlite3.Error, path: Path) -> bool:
    """Return whether the file is to blame for an error, not the disk, permissions or another process."""
    text = str(error)
    if "readonly" in text:  # Also of a damaged header, which states an unknown format.
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) and not _is_read_only(path)
    return not any(reason in text for reason in _ENVIRONMENT)


def _is_read_only(path: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)


def _rename_aside(path: Path) -> Path:
    """Rename a database to "….damaged", or "….damaged-2" and so on where it exists; the last number is used again."""
    names = [f"{path.name}.damaged", *(f"{path.name}.damaged-{n}" for n in range(2, _MAX_DAMAGED_FILES + 1))]
    name = next((name for name in names if not path.with_name(name).exists()), names[-1])
    for suffix in ("-wal", "-shm", "-journal", ""):  # The database last: until then the next start does the same.
        target = path.with_name(name + suffix)
        target.unlink(missing_ok=True)  # A log of another database would be applied to this one.
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(target)
    return path.with_name(name)
