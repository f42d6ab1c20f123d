"""Folder of limited size with the annotated frame of each event, and perhaps the frame without boxes."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from device_apps.background_writer import BackgroundWriter
from device_apps.events.event import EVENT_KINDS, Event
from device_apps.jpeg import MAX_COMMENT_BYTES, encode_jpeg, with_comment
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.seen_frame import SeenFrame, SeenObject
from edge_ssd.atomic_write import atomic_path
from edge_ssd.errors import EdgeSSDError

__all__ = ["SnapshotStore"]

# Of the frames that wait for a slow disk, and of their snapshots: many objects may enter in one frame.
_MAX_BYTES, _QUEUE_CAPACITY = 32 * 1024 * 1024, 1000
_JPEG_QUALITY, _CLEAN_QUALITY = 88, 95  # A frame without boxes may be trained on.

# The file names of snapshots. No other file of the folder is ever touched.
_KINDS = "|".join(EVENT_KINDS)
_SNAPSHOT_NAME = re.compile(rf"event-\d{{8}}T\d{{9}}Z-[0-9a-f]+-\d+-[\w-]*-({_KINDS})(-clean)?\.jpg", re.ASCII)


class _EventFrame:
    """Frame whose snapshots wait: one image for all events of the frame."""

    def __init__(self, result: FrameResult) -> None:
        self.result = result
        height, width = result.frame.size
        self.nbytes = 3 * height * width

    @cached_property
    def annotated(self) -> bytes:
        """JPEG with boxes."""
        return encode_jpeg(self.result.annotated, _JPEG_QUALITY)

    @cached_property
    def clean(self) -> bytes:
        """JPEG without boxes."""
        return encode_jpeg(self.result.frame.image, _CLEAN_QUALITY)


class _Snapshot(NamedTuple):
    event: Event
    frame: _EventFrame
    seen: SeenFrame | None  # of an event whose object is in the frame


class SnapshotStore:
    """Folder of event snapshots (JPEG), written atomically in a background thread.

    The oldest snapshots are deleted when all together exceed ``max_bytes``.

    Args:
        folder: created if it is missing.
        clean: whether to keep the frame without boxes too, if the object is in it; the file is named
            "…-clean.jpg" and has the detections in its comment, see :class:`~device_apps.seen_frame.SeenFrame`.

    Raises:
        EdgeSSDError: the folder cannot be written.
    """

    def __init__(self, folder: Path, max_bytes: int, *, clean: bool = False) -> None:
        self.name = f"{folder}{os.sep}"
        self.clean = clean
        self._folder = QuotaFolder(folder, _SNAPSHOT_NAME, max_bytes)
        self._callbacks: list[Callable[[Event, bytes], None]] = []
        self._waiting: list[_Snapshot] = []  # oldest first
        self._lock = threading.Lock()  # Guards _waiting.
        self._writer: BackgroundWriter[_Snapshot] = BackgroundWriter(self.name, self._write, _QUEUE_CAPACITY)

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

    def find(self, name: str, *, clean: bool = False) -> Path | None:
        """Return the path of a snapshot that was written and not deleted, or None; any thread may call it.

        ``clean`` asks for the frame without boxes.
        """
        return self._folder.find(_clean_name(name) if clean else name)

    def subscribe(self, callback: Callable[[Event, bytes], None]) -> None:
        """Call ``callback`` in the writing thread with each event whose snapshot was written, and the JPEG."""
        self._callbacks.append(callback)

    def is_waiting(self, name: str) -> bool:
        """Return whether a snapshot of this file name will be written; any thread may call it."""
        with self._lock:
            return any(_path(snapshot).name == name for snapshot in self._waiting)

    @property
    def unwritten(self) -> list[Event]:
        """The events whose snapshot could not be written before :meth:`close`."""
        with self._lock:
            return [snapshot.event for snapshot in self._waiting if self.find(_path(snapshot).name) is None]

    def save(self, event: Event, result: FrameResult, found: SeenObject | None = None) -> bool:
        """Draw, encode and write the annotated frame of an event in the background; it may replace an earlier one.

        It is written to ``event.snapshot``, which is from :meth:`path_for`. ``found`` is the detection in this frame
        that the event is about; None if it is not in it. Returns False if it is lost, since too many wait.
        """
        seen = None
        if found is not None:
            age = time.monotonic() - result.frame.captured_at
            taken = datetime.fromtimestamp(time.time() - age, timezone.utc)
            seen = SeenFrame.of(result.detections, taken, result.frame.sequence, found)
        with self._lock:
            if self._waiting and self._waiting[-1].frame.result is result:
                frame = self._waiting[-1].frame
            elif sum(frame.nbytes for frame in {snapshot.frame for snapshot in self._waiting}) < _MAX_BYTES:
                frame = _EventFrame(result)
            else:
                self._writer.drop()
                return False
            snapshot = _Snapshot(event, frame, seen)
            if not self._writer.put(snapshot):
                return False
            self._waiting.append(snapshot)
            return True

    def close(self, deadline: float) -> None:
        """Write the queued snapshots until ``deadline`` (``time.monotonic()``)."""
        self._writer.close(deadline)

    def _write(self, snapshot: _Snapshot) -> None:
        event, frame, seen = snapshot
        path = _path(snapshot)
        if self.clean and seen is not None:
            comment = seen.to_json().encode()
            if len(comment) <= MAX_COMMENT_BYTES:
                clean = with_comment(frame.clean, comment)
                self._write_file(path.with_name(_clean_name(path.name)), clean)
        self._write_file(path, frame.annotated)
        for callback in self._callbacks:
            callback(event, frame.annotated)
        with self._lock:
            self._waiting = [waiting for waiting in self._waiting if waiting is not snapshot]

    def _write_file(self, path: Path, data: bytes) -> None:
        self._folder.make_room(len(data))
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        self._folder.add(path)


def _path(snapshot: _Snapshot) -> Path:
    assert snapshot.event.snapshot is not None
    return snapshot.event.snapshot


def _clean_name(name: str) -> str:
    """Return the file name of the frame without boxes that belongs to a snapshot."""
    return f"{name.removesuffix('.jpg')}-clean.jpg"
