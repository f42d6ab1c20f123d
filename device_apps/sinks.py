"""Sinks that write lines of JSON or text, and images; checks of output files."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from device_apps.results import FrameResult
from device_apps.sources.frames import Image
from edge_ssd.atomic_write import atomic_path
from edge_ssd.console.json_output import json_text
from edge_ssd.console.text import printable, utf8_text
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = [
    "AnnotatedImageSink",
    "JsonLinesSink",
    "LastFrameSink",
    "TextLinesSink",
    "make_folder",
    "open_for_append",
    "open_pipe_or_device",
    "prepare_output_file",
    "refuse_overwriting",
    "save_image",
]

# Formats that Pillow writes in full color; images of other formats are saved as PNG.
_WRITABLE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class _Sink:
    """Base of sinks that never end the loop and do nothing between frames."""

    finished = False

    def idle(self) -> None:
        """Nothing to do."""


class JsonLinesSink(_Sink):
    """Sink that writes one line of JSON per frame: sequence, source, time, width, height, detections, ms (per stage).

    Each line is flushed as a whole, so that no reader gets a part of it. It begins with ``camera``, the name of one of
    several. A pipe whose reader does not read is waited for until ``stop`` is set; that raises :class:`EdgeSSDError`.
    """

    def __init__(self, stream: TextIO, camera: str | None = None, stop: threading.Event | None = None) -> None:
        self._stream = stream
        self._stop = stop
        self._camera = {} if camera is None else {"camera": camera}

    def write(self, result: FrameResult) -> None:
        frame = result.frame
        captured = time.time() - (time.monotonic() - frame.captured_at)
        line = {
            **self._camera,
            "sequence": frame.sequence,
            "source": utf8_text(frame.name),
            "time": datetime.fromtimestamp(captured, timezone.utc).isoformat(timespec="milliseconds"),
            **result.detections.to_dict(),
            "ms": {stage: round(value, 3) for stage, value in list(result.milliseconds.items())},
        }
        _write_line(self._stream, json_text(line, ascii_only=True), self._stop)


class TextLinesSink(_Sink):
    """Sink that writes a line per frame: name, number if ``numbered``, size, time; label, score, box per detection."""

    def __init__(self, stream: TextIO, *, numbered: bool) -> None:
        self._stream = stream
        self._numbered = numbered

    def write(self, result: FrameResult) -> None:
        frame = result.frame
        height, width = frame.size
        name = utf8_text(frame.name)
        name = f"{name} #{frame.sequence}" if self._numbered else name
        detections = [
            f"{label} {score:.0%} ({', '.join(f'{value:.0f}' for value in box)})"
            for label, score, box, _ in result.detections
        ]
        time = f"{result.milliseconds['detect']:5.1f} ms"
        _write_line(self._stream, printable(f"{name}  {width}×{height}  {time}  {'; '.join(detections) or 'nothing'}"))


class AnnotatedImageSink(_Sink):
    """Sink that saves each annotated image in a folder, under the name of its file.

    ".png" is appended to names with a suffix that cannot be written (such as .gif) and to names that are used already,
    ignoring case as some file systems do. Writing raises :class:`SettingError` rather than overwrite the image itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()

    def write(self, result: FrameResult) -> None:
        source = Path(result.frame.name)
        name = source.name
        while Path(name).suffix.lower() not in _WRITABLE_SUFFIXES or name.lower() in self._used:
            name += ".png"
        self._used.add(name.lower())
        refuse_overwriting(source, self._folder / name, "--save")
        save_image(self._folder / name, result.annotated)


class LastFrameSink(_Sink):
    """Sink that keeps the last result, whose annotated image :meth:`save` writes to ``path``."""

    def __init__(self, path: Path) -> None:
        prepare_output_file(path, _WRITABLE_SUFFIXES, "image")
        self._path = path
        self._last: FrameResult | None = None

    def write(self, result: FrameResult) -> None:
        self._last = result

    def save(self) -> None:
        """Save the annotated image of the last result, if there was one."""
        if self._last is not None:
            save_image(self._path, self._last.annotated)


def save_image(path: Path, image: Image) -> None:
    """Write an image (uint8 RGB [H, W, 3]) atomically, in the format of the suffix. Raises :class:`EdgeSSDError`."""
    from PIL import Image as PillowImage

    try:
        with atomic_path(path) as temporary:
            PillowImage.fromarray(image).save(temporary, quality=92)  # Formats without a quality ignore it.
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot be written: {error.strerror or error}; name another file") from None


def prepare_output_file(path: Path, suffixes: Collection[str], kind: str) -> None:
    """Create the parent folder of an output file and check that it can be written, before long work.

    Raises SettingError if the path is a folder or its suffix is not in ``suffixes`` (in lower case), the formats of
    ``kind``, such as "image"; EdgeSSDError if the parent folder cannot be written to.
    """
    if path.suffix.lower() not in suffixes:
        raise SettingError(f"{path}: unsupported {kind} format; use {', '.join(sorted(suffixes))}")
    if path.is_dir():
        raise SettingError(f"{path}: is a folder; name a file")
    make_folder(path.parent)


def refuse_overwriting(source: str | Path, path: Path, option: str, what: str = "source") -> None:
    """Raise SettingError, naming the input ``what``, if ``path``, the output of ``option``, is the input ``source``."""
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise SettingError(f"{path}: {option} would overwrite the {what}; name another place")


def make_folder(folder: Path) -> None:
    """Create a folder if necessary and check that it is writable. Raises :class:`EdgeSSDError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise EdgeSSDError(f"{folder}: cannot write to this folder: {error.strerror}; name another one") from None


def open_pipe_or_device(path: Path) -> int:
    """Open a pipe or a device for writing, and return its descriptor.

    Raises EdgeSSDError for a pipe without a reader, which would be waited for, OSError if it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise EdgeSSDError(f"{path}: no program reads this pipe; start its reader first") from None
        raise
    os.set_blocking(descriptor, True)
    return descriptor


@contextlib.contextmanager
def open_for_append(path: Path) -> Iterator[TextIO]:
    """Open a text file (or pipe, or device) for appending. Raises :class:`EdgeSSDError`.

    A last line without a newline, as a full disk or a power cut leaves it, is ended, so that the next line is intact.
    """
    try:
        partial = path.is_file() and _ends_with_partial_line(path)
        is_special = path.exists() and not path.is_file()
        opener = (lambda name, flags: open_pipe_or_device(path)) if is_special else None
        file = open(path, "a", encoding="utf-8", opener=opener)  # noqa: SIM115 (closed below)
        if partial:
            file.write("\n")
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot write to this file: {error.strerror}; name another one") from None
    try:
        yield file
    finally:
        # Every line was flushed when it was written: an error here was reported there.
        with contextlib.suppress(OSError):
            file.close()


def _ends_with_partial_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"", b"\n")


def _write_line(stream: TextIO, line: str, stop: threading.Event | None = None) -> None:
    try:
        descriptor = None if stop is None else _pollable(stream)
        if stop is None or descriptor is None:
            stream.write(line + "\n")
            stream.flush()
        else:
            stream.flush()  # What was written before.
            _write_until(descriptor, f"{line}\n".encode(), stop)
    except BrokenPipeError:  # The reader closed the pipe: edge_ssd.cli handles it.
        raise
    except OSError as error:
        raise EdgeSSDError(f"{stream.name}: cannot be written: {error.strerror}") from None


def _pollable(stream: TextIO) -> int | None:
    """Return the file descriptor of a stream whose reader can be waited for, or None."""
    try:
        return stream.fileno() if hasattr(select, "poll") else None
    except OSError:  # Text in memory.
        return None


def _write_until(descriptor: int, data: bytes, stop: threading.Event) -> None:
    """Write all bytes; raise TimeoutError soon after ``stop`` is set if the reader does not read.

    A write would go on after the signal that sets ``stop``. A pipe that is ready takes ``PIPE_BUF`` bytes at once.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while data:
        if poll.poll(100):
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]
        elif stop.is_set():
            raise TimeoutError(errno.ETIMEDOUT, "its reader does not read")
