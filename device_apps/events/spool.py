"""Queue of messages on disk until the broker acknowledges them; it survives restarts of broker and program.

One SQLite file in WAL mode. Its commits survive a killed process. They are not synced to the disk one by one, which
would wear out an SD card: a power cut may lose the last seconds, but never damages the file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from device_apps.events.spool_file import MAX_PAYLOAD_BYTES, Message, SpoolFile
from device_apps.retry import FailureLog
from device_apps.state_folder import default_state_folder
from edge_ssd.console.counts import count
from edge_ssd.console.text import utf8_text
from edge_ssd.errors import EdgeSSDError

__all__ = ["Message", "Spool", "default_spool_path"]

_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) if hasattr(sqlite3, "SQLITE_BUSY") else (5, 6)

_log = logging.getLogger(__name__)


class Spool:
    """Bounded message queue on disk, for one process; thread-safe.

    When it is full, the oldest messages are dropped and counted; this is logged once until it has been empty. While
    the disk cannot be written, messages wait in memory under the same limits and are returned all the same. Messages
    that are damaged are set aside and counted, in one line; the others are returned. Raises EdgeSSDError if the file
    cannot be used, or another process uses it.

    Args:
        path: of the file; missing parent folders are created.
        max_messages, max_bytes: limits; bytes are those of the payloads.
        is_valid: check of a payload that an older version wrote without a checksum; None accepts all.
        option: names another file, for messages.

    Attributes:
        dropped: number of messages that were dropped because the spool was full, or because they were too large.
        damaged: number of messages that were set aside.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_messages: int,
        max_bytes: int,
        is_valid: Callable[[bytes], bool] | None = None,
        option: str = "--mqtt-spool",
    ) -> None:
        self.path = path
        self.dropped = 0
        self.damaged = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sizes: dict[int, int] = {}  # bytes of each payload by id, in order
        self._unsaved: dict[int, Message] = {}  # not on disk yet
        self._undeleted: set[int] = set()  # removed, but still on disk
        self._set_aside: dict[int, str] = {}  # reasons, by id, of messages to be moved on disk
        self._failures = FailureLog(_log)
        self._overflow_logged = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = SpoolFile(path, is_valid)
            bad = self._take_over()
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) in _BUSY_CODES or "locked" in str(error):
                raise EdgeSSDError(
                    f"{path}: another edge-ssd uses this spool; end it, or name another file with {option}"
                ) from None
            reason = getattr(error, "strerror", None) or error
            raise EdgeSSDError(
                f"{path}: cannot keep messages here: {reason}; name another file with {option}"
            ) from None
        self._next_id = max(self._sizes, default=0) + 1
        with self._lock:
            self._move_aside(bad, "damaged")
            self._drop_oldest()
            self._save()

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, object_key: str, payload: bytes) -> None:
        """Append a message; ``object_key`` identifies the object that it is about. One above 1 MiB is dropped."""
        with self._lock:
            if len(payload) > MAX_PAYLOAD_BYTES:
                self.dropped += 1
                _log.warning("%s: a message of %d bytes is too large to be sent; dropped", self.path, len(payload))
                return
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
            messages = self._read(last_id, limit)
            messages += [message for message in self._unsaved.values() if message.id > last_id]
            return messages[:limit]

    def remove(self, ids: Collection[int]) -> None:
        """Remove the messages with these ids; unknown ids are ignored."""
        with self._lock:
            self._forget([message_id for message_id in ids if message_id in self._sizes])
            self._overflow_logged = self._overflow_logged and bool(self._sizes)
            self._save()

    def set_aside(self, message_id: int, reason: str) -> None:
        """Move a message that can never be sent out of the queue, and log the reason."""
        with self._lock:
            if message_id in self._sizes:
                self._save()  # A message that is not on disk yet cannot be moved there.
                self._move_aside([message_id], reason)
                self._save()

    def close(self) -> None:
        """Save pending changes and close the file."""
        with self._lock:
            self._save()
            self._file.close()

    def _take_over(self) -> list[int]:
        """Set the state from the file, and return the ids of rows that cannot be sent."""
        self._sizes, bad = self._file.scan()
        salvaged, self._file.salvaged = self._file.salvaged, []
        pending = {message.id: message for message in salvaged if message.id not in self._undeleted}
        self._unsaved = {**pending, **self._unsaved}
        for message in self._unsaved.values():
            self._sizes[message.id] = len(message.payload)
        self._total_bytes = sum(self._sizes.values())
        return bad

    def _read(self, last_id: int, limit: int) -> list[Message]:
        """Return at least ``limit`` messages that are on disk, if there are so many."""
        for _ in range(3):
            hidden = self._undeleted | self._set_aside.keys()
            try:
                messages = self._file.read(last_id, limit + len(hidden))
                if messages is not None:
                    return [message for message in messages if message.id not in hidden]
                # One is damaged: the others are checked at once, for one line in the log.
                bad = [number for number in self._file.damaged_ids() if number not in hidden]
                if not bad:  # They are hidden, and still on disk, as it cannot be written now.
                    return self._read_one_by_one(last_id, limit)
                self._move_aside(bad, "damaged")
                self._save()
            except sqlite3.Error as error:
                if not self._replace_file(error):  # What cannot be read now may be readable later.
                    return []
        return []

    def _read_one_by_one(self, last_id: int, limit: int) -> list[Message]:
        ids = [number for number in self._sizes if number > last_id and number not in self._unsaved]
        read = (self._file.read(number - 1, 1) for number in ids[:limit])
        return [message for messages in read if messages is not None for message in messages]

    def _replace_file(self, error: sqlite3.Error) -> bool:
        """Return whether a damaged file was replaced by a new one, with the messages that can be read."""
        try:
            if not self._file.replace_if_damaged(error):
                return False
        except (OSError, sqlite3.Error) as failure:
            self._failures.failed(f"{self.path}: is damaged, and cannot be replaced: {failure}")
            return False
        self._take_over()
        self._undeleted.clear()
        self._set_aside.clear()
        return True

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

    def _move_aside(self, ids: Collection[int], reason: str) -> None:
        if not ids:
            return
        for message_id in ids:
            self._total_bytes -= self._sizes.pop(message_id, 0)
            if self._unsaved.pop(message_id, None) is None:
                self._set_aside[message_id] = reason
        self.damaged += len(ids)
        _log.warning(
            "%s: %s cannot be sent (%s); set aside in the table set_aside of this file, the others are sent",
            self.path, count(len(ids), "message"), reason,
        )  # fmt: skip

    def _save(self) -> None:
        """Write the changes to disk; the next call retries what fails."""
        if not (self._unsaved or self._undeleted or self._set_aside):
            return
        try:
            self._write()
        except sqlite3.Error as error:
            if not self._replace_file(error) or not self._try_again():
                self._failures.failed(f"{self.path}: cannot be written: {error}; messages wait in memory, will retry")
                return
        self._failures.recovered(f"{self.path}: can be written again")

    def _write(self) -> None:
        self._file.write(list(self._unsaved.values()), sorted(self._undeleted), self._set_aside)
        self._unsaved.clear()
        self._undeleted.clear()
        self._set_aside.clear()

    def _try_again(self) -> bool:
        try:
            self._write()
        except sqlite3.Error:
            return False
        return True


def default_spool_path(target: str, environment: Mapping[str, str] = os.environ, *, kind: str = "mqtt") -> Path:
    """Return the default spool file of ``target``, in the state directory of systemd or of the user.

    ``target`` is what tells spools apart, such as the URL of a broker and the topic prefix. ``kind`` is the option that
    needs the spool, without hyphens. Raises SettingError if there is no such directory.
    """
    folder = default_state_folder(f"--{kind}", "events", f"--{kind}-spool", environment)
    return folder / f"{kind}-{hashlib.sha256(utf8_text(target).encode()).hexdigest()[:12]}.sqlite"
