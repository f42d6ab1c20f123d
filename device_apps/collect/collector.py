"""Sink that keeps frames worth labeling in a folder, written in a background thread."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from device_apps.background_writer import BackgroundWriter
from device_apps.collect.chooser import Choice, FrameChooser
from device_apps.collect.coco_folder import CocoFolder
from device_apps.collect.thumbnail import thumbnail
from device_apps.collect.verdicts import Verdict
from device_apps.jpeg import encode_jpeg, read_comment
from device_apps.results import FrameResult
from device_apps.seen_frame import SeenFrame
from device_apps.sinks import make_folder
from edge_ssd.console.counts import count
from edge_ssd.errors import DataError, EdgeSSDError, SettingError

__all__ = ["Collector"]

_log = logging.getLogger(__name__)

_CAPACITY = 2  # frames that wait for a slow disk; each is a whole frame in memory
_JPEG_QUALITY = 95  # the images will be trained on
_FREE_BYTES = 200 * 1024 * 1024  # are left to the rest of the system
_LABELS_S = 60.0  # between two writings of the label file
_FLUSH_S = 2.0
_MAKE_ROOM = "move them away, and start again"
_REMEMBERED = 50  # images of earlier runs that new ones are compared with


class Collector:
    """Sink that keeps the frames that :class:`FrameChooser` chooses; a context manager.

    When the folder has ``max_bytes`` of images, or its disk only 200 MB left, collecting ends, which is logged, and
    detection goes on. While the folder cannot be written, frames wait, and further ones are dropped.

    Args:
        labels: of the detector, the classes of the dataset.
        thresholds: returns label → minimum score, which can change.
        every: seconds between regular frames; None for none.

    Raises:
        EdgeSSDError: the folder cannot be written, or has another dataset.
    """

    def __init__(
        self,
        folder: Path,
        labels: Sequence[str],
        thresholds: Callable[[], Mapping[str, float]],
        max_bytes: int,
        every: float | None = None,
    ) -> None:
        make_folder(folder)
        try:
            self._folder = CocoFolder(folder, labels)
        except OSError as error:
            raise EdgeSSDError(f"{folder}: cannot be read: {error.strerror or error}; name another folder") from None
        self._path = folder
        self._labels = tuple(labels)
        self._max_bytes = max_bytes
        self._full = False
        self._lock = threading.Lock()  # Guards the folder, which requests of the web page change too.
        self._chooser = FrameChooser(thresholds, every)
        self._remember_earlier()
        self._kept_before = len(self._folder)
        self._labels_at = time.monotonic()
        self._writer = BackgroundWriter(str(folder), self._write, _CAPACITY)

    @property
    def finished(self) -> bool:
        return False

    def write(self, result: FrameResult) -> None:
        self._raise_failure()
        if self._full:
            return
        choice = self._chooser.choose(result)
        if choice is not None:
            self._writer.put(choice)

    def idle(self) -> None:
        self._raise_failure()

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise SettingError for other labels: the dataset has one list of classes."""
        if tuple(labels) != self._labels:
            raise SettingError(
                f"--collect {self._path} has the classes {', '.join(self._labels)}, and the new model has "
                f"{', '.join(labels)}; start the program again with another folder"
            )

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Go on with a model of the same labels."""

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer.close(time.monotonic() + _FLUSH_S):
            try:
                with self._lock:
                    self._folder.write_labels()
            except OSError as failure:
                _log.warning("%s: its label file cannot be written: %s", self._path, failure.strerror or failure)
        _log.info("%s: %s collected", self._path, count(len(self._folder) - self._kept_before, "image"))
        if error[0] is None:
            self._raise_failure()

    def _raise_failure(self) -> None:
        if self._writer.failure is not None:
            raise self._writer.failure

    def _write(self, choice: Choice) -> None:
        """Encode and add an image; called in the thread of the writer."""
        if self._full:
            return
        result = choice.result
        data = encode_jpeg(result.frame.image, _JPEG_QUALITY)
        with self._lock:
            reason = self._why_full(len(data))
            if reason:
                self._full = True
                _log.warning("%s: no more images are collected: %s; %s", self._path, reason, _MAKE_ROOM)
                return
            age = time.monotonic() - result.frame.captured_at
            taken = datetime.fromtimestamp(time.time() - age, timezone.utc)
            self._folder.add(data, taken, result.frame.sequence, choice.reason, result.detections)
            if time.monotonic() - self._labels_at >= _LABELS_S:
                self._labels_at = time.monotonic()
                self._folder.write_labels()

    def judge(self, jpeg: bytes, verdict: Verdict | None) -> str | None:
        """Set whether the object that a frame was kept for was rightly detected; None withdraws the verdict.

        The frame is added to the images if it is not one of them. Any thread may call it.

        Args:
            jpeg: the frame without boxes, with a :class:`~device_apps.seen_frame.SeenFrame` in its comment.

        Returns:
            The file name of the image; None if there is none (any more).

        Raises:
            EdgeSSDError: it cannot be added; the message says why.
        """
        try:
            seen = SeenFrame.from_json(read_comment(jpeg) or b"")
        except ValueError:
            raise DataError("the image has no detections with it, or is damaged") from None
        with self._lock:
            try:
                reason = "" if verdict is None or self._folder.has(seen) else self._why_full(len(jpeg))
                if reason:
                    raise EdgeSSDError(f"the images to train on have no room: {reason}; {_MAKE_ROOM}")
                return self._folder.judge(jpeg, seen, verdict)
            except OSError as error:
                raise EdgeSSDError(f"{self._path}: cannot be written: {error.strerror or error}") from None

    def _why_full(self, new_bytes: int) -> str:
        """Return why there is no room for an image of this size, or ""."""
        if shutil.disk_usage(self._path).free < _FREE_BYTES + new_bytes:
            return "its disk is nearly full"
        if self._folder.total_bytes + new_bytes > self._max_bytes:
            return f"{self._max_bytes / 2**20:g} MB are reached (--collect-max-mb)"
        return ""

    def _remember_earlier(self) -> None:
        from edge_ssd.runtime.preprocess import read_image

        for path in self._folder.image_paths()[-_REMEMBERED:]:
            try:
                self._chooser.remember(thumbnail(read_image(path)))
            except (EdgeSSDError, OSError):  # damaged, which the inspection of the dataset will tell
                continue
