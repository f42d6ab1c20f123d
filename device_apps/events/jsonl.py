"""Publisher of events as JSON Lines, to a rotated file, a pipe, a device or standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from device_apps.background_writer import BackgroundWriter
from device_apps.events.event import Event
from device_apps.events.rotating_file import RotatingFile
from device_apps.sinks import open_pipe_or_device
from edge_ssd.console.json_output import json_text
from edge_ssd.errors import EdgeSSDError

__all__ = ["JsonLinesPublisher", "open_json_lines"]

_QUEUE_CAPACITY = 1000  # Lines that wait for a slow disk or reader.


class _DescriptorStream:
    """Writes lines to a file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, line: str) -> None:
        """Write a line unbuffered: a slow or closed reader must not delay the end of the program."""
        data = f"{line}\n".encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        os.close(self._descriptor)


class JsonLinesPublisher:
    """Publisher that writes each event as one line of JSON to a stream, which it closes, in a background thread."""

    def __init__(self, name: str, stream: RotatingFile | _DescriptorStream) -> None:
        self.name = name
        self._stream = stream
        self._writer = BackgroundWriter(name, stream.write, _QUEUE_CAPACITY)

    @property
    def lost(self) -> int:
        return self._writer.lost

    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None:
        return self._writer.failure

    def publish(self, event: Event) -> None:
        self._writer.put(json_text(event.to_dict()))

    def close(self, deadline: float) -> None:
        """Write the queued events until ``deadline`` (``time.monotonic()``), and close the stream."""
        if self._writer.close(deadline):  # Otherwise the abandoned thread may still write.
            self._stream.close()


def open_json_lines(target: str, max_bytes: int, backup_count: int) -> JsonLinesPublisher:
    """Return a publisher of JSON Lines to ``target``: "-" (standard output), a pipe or device, or else a RotatingFile.

    A file is rotated at ``max_bytes``, and ``backup_count`` older ones are kept. Raises EdgeSSDError if not writable.
    """
    if target == "-":
        return JsonLinesPublisher("standard output", _DescriptorStream(os.dup(sys.stdout.fileno())))
    path = Path(target)
    if not path.exists() or path.is_file():
        return JsonLinesPublisher(target, RotatingFile(path, max_bytes, backup_count))
    try:
        descriptor = open_pipe_or_device(path)
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot write to this file: {error.strerror}; name another one") from None
    return JsonLinesPublisher(target, _DescriptorStream(descriptor))
