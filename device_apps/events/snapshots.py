"""A picture of each event, in a folder that does not grow for ever."""

from __future__ import annotations

import io
import os
import re
from collections import deque
from datetime import timezone
from pathlib import Path

from device_apps.events.background_writer import BackgroundWriter
from device_apps.events.emitter import Event
from device_apps.results import FrameResult
from device_apps.sinks import make_folder
from device_apps.sources.frames import Image, OnMessage
from edge_ssd.files import atomic_path

__all__ = ["EventSnapshots"]

_WAITING = 4  # Pictures that may wait for a slow disk; each is a whole frame in memory.
_QUALITY = 88

# What this program calls its pictures. Nothing else in the folder is ever touched.
_OURS = re.compile(r"event-\d{8}T\d{9}Z-[0-9a-f]+-\d+-[\w-]*-(enter|leave)\.jpg", re.ASCII)
# A picture that a killed process did not finish, as edge_ssd.files.atomic_path names it.
_UNFINISHED = re.compile(rf"\.{_OURS.pattern[:-5]}\.(?P<pid>\d+)-[0-9a-f]{{8}}\.jpg", re.ASCII)


class EventSnapshots:
    """Writes JPEG pictures, each whole or not at all, and deletes the oldest of its own when there is no room.

    Args:
        folder: made if it is not there.
        max_bytes: of all pictures together.
        notice: is told what a person should know.

    Raises :class:`~edge_ssd.errors.EdgeSSDError` naming a folder that cannot be written to.
    """

    def __init__(self, folder: Path, max_bytes: int, notice: OnMessage) -> None:
        make_folder(folder)
        self.name = f"{folder}{os.sep}"
        self._folder = folder
        self._max_bytes = max_bytes
        self._kept: deque[tuple[Path, int]] = deque()  # oldest first
        self._bytes = 0
        self._take_stock()
        self._worker = BackgroundWriter(self.name, self._write, _WAITING, notice)

    @property
    def lost(self) -> int:
        return self._worker.lost

    def path_for(self, event: Event) -> Path:
        """Named by time, so that names sort as the events came."""
        at = event.time.astimezone(timezone.utc)
        label = re.sub(r"[^\w-]+", "_", event.label, flags=re.ASCII)[:40]
        stamp = f"{at:%Y%m%dT%H%M%S}{at.microsecond // 1000:03}Z"
        return self._folder / f"event-{stamp}-{event.run}-{event.number}-{label}-{event.kind}.jpg"

    def save(self, path: Path, result: FrameResult) -> None:
        """Draw now, which other sinks may want as well; encode and write in the thread."""
        self._worker.put((path, result.annotated))

    def close(self, deadline: float) -> None:
        self._worker.close(deadline)

    def _write(self, item: tuple[Path, Image]) -> None:
        from PIL import Image as PillowImage

        path, image = item
        file = io.BytesIO()
        PillowImage.fromarray(image).save(file, "JPEG", quality=_QUALITY)
        data = file.getvalue()
        self._make_room(len(data))
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        self._kept.append((path, len(data)))
        self._bytes += len(data)

    def _make_room(self, number: int) -> None:
        while self._kept and self._bytes + number > self._max_bytes:
            path, size = self._kept[0]
            path.unlink(missing_ok=True)
            self._kept.popleft()
            self._bytes -= size

    def _take_stock(self) -> None:
        """Count what earlier runs left, and remove what they did not finish."""
        for path in sorted(self._folder.iterdir()):
            if _OURS.fullmatch(path.name) and path.is_file():
                self._kept.append((path, path.stat().st_size))
                self._bytes += self._kept[-1][1]
            elif (match := _UNFINISHED.fullmatch(path.name)) and not _runs(int(match["pid"])):
                path.unlink(missing_ok=True)
        self._make_room(0)


def _runs(pid: int) -> bool:
    """Whether another process of this number is running; it may be writing the picture at this moment."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # It is somebody else's.
        return True
    return True
