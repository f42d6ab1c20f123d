"""Folder of limited size with the annotated frame of each event."""

from __future__ import annotations

import os
import re
from datetime import timezone
from pathlib import Path

from device_apps.background_writer import BackgroundWriter
from device_apps.events.event import EVENT_KINDS, Event
from device_apps.jpeg import encode_jpeg
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.sources.frames import Image
from edge_ssd.atomic_write import atomic_path
from edge_ssd.errors import EdgeSSDError

__all__ = ["SnapshotStore"]

_QUEUE_CAPACITY = 4  # Snapshots that wait for a slow disk; each is a whole frame in memory.
_JPEG_QUALITY = 88

# The file names of snapshots. No other file of the folder is ever touched.
_KINDS = "|".join(EVENT_KINDS)
_SNAPSHOT_NAME = re.compile(rf"event-\d{{8}}T\d{{9}}Z-[0-9a-f]+-\d+-[\w-]*-({_KINDS})\.jpg", re.ASCII)


class SnapshotStore:
    """Folder of event snapshots (JPEG), written atomically in a background thread.

    The folder is created if it is missing; raises EdgeSSDError if it cannot be written. The oldest snapshots are
    deleted when all together exceed ``max_bytes``.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.name = f"{folder}{os.sep}"
        self._folder = QuotaFolder(folder, _SNAPSHOT_NAME, max_bytes)
        self._writer = BackgroundWriter(self.name, self._write, _QUEUE_CAPACITY)

    @property
    def lost(self) -> int:
        return self._writer.lost

    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None:
        """The error that should end the program, or None."""
        return self._writer.failure

    def path_for(self, event: Event) -> Path:
        """Return the path of the snapshot of an event; names sort by time."""
        time = event.time.astimezone(timezone.utc)
        label = re.sub(r"[^\w-]+", "_", event.label, flags=re.ASCII)[:40]
        stamp = f"{time:%Y%m%dT%H%M%S}{time.microsecond // 1000:03}Z"
        return self._folder.path / f"event-{stamp}-{event.run}-{event.number}-{label}-{event.kind}.jpg"

    def save(self, path: Path, result: FrameResult) -> None:
        """Draw the annotated frame, which other sinks share; encode and write it to ``path`` in the background."""
        self._writer.put((path, result.annotated))

    def close(self, deadline: float) -> None:
        """Write the queued snapshots until ``deadline`` (``time.monotonic()``)."""
        self._writer.close(deadline)

    def _write(self, item: tuple[Path, Image]) -> None:
        path, image = item
        data = encode_jpeg(image, _JPEG_QUALITY)
        self._folder.make_room(len(data))
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        self._folder.add(path)
