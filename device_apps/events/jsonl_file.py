"""Events as lines of JSON, on standard output or in a file that does not grow for ever."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from pathlib import Path

from device_apps.events.background_writer import BackgroundWriter
from device_apps.events.emitter import Event
from device_apps.sources.frames import OnMessage
from edge_ssd.errors import EdgeSSDError

__all__ = ["EventLines", "RotatedFile", "StreamLines", "open_event_lines"]

_WAITING = 1000  # Lines that may wait for a slow disk or reader.


class RotatedFile:
    """Appends lines to a file; full, it becomes NAME.1, what was NAME.1 becomes NAME.2, and the oldest goes.

    A line is one ``write``, so that whoever reads along never sees lines mixed. A process that is killed in the
    middle of one leaves at most a half line at the very end, which the next one cuts off before it appends. A disk
    that is full in the middle of one gets the half taken back.

    Args:
        path: of the newest lines.
        max_bytes: at which the next file is begun.
        kept: older files that are kept, from 0.
        notice: is told of a half line that was cut off.

    Raises :class:`EdgeSSDError` naming a file that cannot be written.
    """

    def __init__(self, path: Path, max_bytes: int, kept: int, notice: OnMessage) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            cut = _cut_half_line(path)
            self._descriptor = self._open()
        except OSError as error:
            raise EdgeSSDError(f"{path}: cannot write to this file: {error.strerror}; name another one") from None
        if cut:
            notice(f"{path}: its last line was not finished ({cut} bytes of one); it was cut off")

    def write(self, line: str) -> None:
        """Append a line; raises OSError, and then nothing of it is in the file."""
        data = f"{line}\n".encode()
        status = os.fstat(self._descriptor)
        size = status.st_size
        if not status.st_nlink:  # Somebody deleted the file.
            self._reopen()
            size = 0
        if size and size + len(data) > self._max_bytes:
            self._rotate()
            size = 0
        written = os.write(self._descriptor, data)
        if written != len(data):  # There was room for a part of it.
            os.ftruncate(self._descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _rotate(self) -> None:
        def name(number: int) -> Path:
            return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

        if not self._kept:
            self._path.unlink(missing_ok=True)
        # Up to the first number that is free: so many have to make room, and a rotation that a kill cut short is
        # taken up again.
        free = next((number for number in range(1, self._kept) if not name(number).exists()), self._kept)
        for number in range(free, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                name(number - 1).replace(name(number))
        self._reopen()

    def _reopen(self) -> None:
        before, self._descriptor = self._descriptor, self._open()
        os.close(before)


class StreamLines:
    """Writes lines to an open file descriptor; ``owned`` ones are closed at the end."""

    def __init__(self, descriptor: int, *, owned: bool) -> None:
        self._descriptor = descriptor
        self._owned = owned

    def write(self, line: str) -> None:
        """Write a line, past any buffer: a reader that is slow or gone must not hold up the end of the program."""
        data = f"{line}\n".encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        if self._owned:
            os.close(self._descriptor)


class EventLines:
    """A channel that writes each event as one line of JSON, in a thread of its own.

    Args:
        name: for messages.
        lines: where they go.
        notice: is told what a person should know.
    """

    def __init__(self, name: str, lines: RotatedFile | StreamLines, notice: OnMessage) -> None:
        self.name = name
        self._lines = lines
        self._worker = BackgroundWriter(name, lines.write, _WAITING, notice)

    @property
    def lost(self) -> int:
        return self._worker.lost

    @property
    def failure(self) -> BrokenPipeError | None:
        return self._worker.failure

    def publish(self, event: Event) -> None:
        self._worker.put(json.dumps(event.to_dict(), ensure_ascii=False))

    def close(self, deadline: float) -> None:
        if self._worker.close(deadline):  # Else a thread that was left behind may still write.
            self._lines.close()


def open_event_lines(target: str, max_bytes: int, kept: int, notice: OnMessage) -> EventLines:
    """The channel for what a user names: - (standard output), a file, or a pipe or device that is there."""
    if target == "-":
        return EventLines("standard output", StreamLines(sys.stdout.fileno(), owned=False), notice)
    path = Path(target)
    if not path.exists() or path.is_file():
        return EventLines(target, RotatedFile(path, max_bytes, kept, notice), notice)
    try:
        stream = StreamLines(os.open(path, os.O_WRONLY | os.O_CLOEXEC), owned=True)
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot write to this file: {error.strerror}; name another one") from None
    return EventLines(target, stream, notice)


def _cut_half_line(path: Path) -> int:
    """Take what follows the last line break off a file; returns how many bytes that were."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
        return size - end
    return 0
