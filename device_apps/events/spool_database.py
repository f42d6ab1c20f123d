"""SQLite database of the spool: its tables, and whether an error means that the file is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "CHECKSUMS",
    "MESSAGES",
    "SET_ASIDE",
    "UNREADABLE",
    "ForeignSchemaError",
    "connect",
    "connect_existing",
    "has_table",
    "is_damage",
    "only_sqlite_errors",
    "rename_aside",
]

_SCHEMA_VERSION = 1
MESSAGES = "CREATE TABLE messages (id INTEGER PRIMARY KEY, object TEXT NOT NULL, payload BLOB NOT NULL)"
# Beside the messages, not in their rows: files of older versions have none, and older versions read this file.
CHECKSUMS = "CREATE TABLE checksums (id INTEGER PRIMARY KEY, crc32 INTEGER NOT NULL)"
SET_ASIDE = "CREATE TABLE set_aside (id INTEGER, object, payload, reason TEXT)"
_TABLES = {"messages": MESSAGES, "checksums": CHECKSUMS, "set_aside": SET_ASIDE}
_MAX_DAMAGED_FILES = 9

# Of sqlite3.OperationalError, which has no codes in Python 3.10: the file may be all right, but is not usable now.
_ENVIRONMENT = ("locked", "unable to open", "readonly", "is full", "disk I/O", "out of memory", "not authorized")

# SQLite quotes damaged names in its messages, which Python cannot decode then.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError, MemoryError, OverflowError)


class ForeignSchemaError(sqlite3.DatabaseError):
    """The database is not a spool."""


@contextlib.contextmanager
def only_sqlite_errors() -> Iterator[None]:
    """Raise sqlite3.DatabaseError for what else Python raises while it reads a damaged file."""
    try:
        yield
    except UNREADABLE[1:] as error:
        raise sqlite3.DatabaseError(f"malformed: {type(error).__name__}") from None


@only_sqlite_errors()
def connect(path: Path) -> sqlite3.Connection:
    """Open or create the database, for exclusive use.

    Raises:
        sqlite3.Error: the database cannot be used now, or is damaged, see :func:`is_damage`.
    """
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
        if version != _SCHEMA_VERSION or "messages" not in schema:
            with db:
                db.execute("BEGIN")
                if "messages" not in schema:
                    db.execute(MESSAGES)
                db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
    except BaseException:
        db.close()
        raise
    return db


@only_sqlite_errors()
def connect_existing(path: Path) -> sqlite3.Connection:
    """Open a database that may be damaged or another program's."""
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
    """Raise ForeignSchemaError unless the file is new or has the tables of a spool and nothing else."""
    if version not in (0, _SCHEMA_VERSION):
        raise ForeignSchemaError(f"its version is {version}, not {_SCHEMA_VERSION}")
    for name, sql in schema.items():
        if name not in _TABLES or sql != _normalized(_TABLES[name]):
            raise ForeignSchemaError(f"it has another table {name!r}" if name in _TABLES else f"it has {name!r}")


def has_table(db: sqlite3.Connection, name: str, sql: str) -> bool:
    """Return whether the database has the table that ``sql`` creates; a view or a virtual table could do anything."""
    return _read_schema(db).get(name) == _normalized(sql)


def is_damage(error: sqlite3.Error, path: Path) -> bool:
    """Return whether the file is to blame for an error, not the disk, permissions or another process."""
    text = str(error)
    if "readonly" in text:  # Also of a damaged header, which states an unknown format.
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) and not _is_read_only(path)
    return not any(reason in text for reason in _ENVIRONMENT)


def _is_read_only(path: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)


def rename_aside(path: Path) -> Path:
    """Rename a database to "….damaged", or "….damaged-2" and so on where it exists; the last number is used again."""
    names = [f"{path.name}.damaged", *(f"{path.name}.damaged-{n}" for n in range(2, _MAX_DAMAGED_FILES + 1))]
    name = next((name for name in names if not path.with_name(name).exists()), names[-1])
    for suffix in ("-wal", "-shm", "-journal", ""):  # The database last: until then the next start does the same.
        target = path.with_name(name + suffix)
        target.unlink(missing_ok=True)  # A log of another database would be applied to this one.
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(target)
    return path.with_name(name)
