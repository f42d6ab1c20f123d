"""Where results go: lines of JSON or text, and pictures. Each is a :class:`~device_apps.results.Sink`."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Collection, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from device_apps.results import FrameResult
from device_apps.sources.frames import Image
from edge_ssd.errors import EdgeSSDError, SettingError
from edge_ssd.files import atomic_path

__all__ = [
    "AnnotatedImageSink",
    "JsonLines",
    "LastFrameSink",
    "TextLines",
    "appending",
    "check_file",
    "make_folder",
    "save_picture",
]

# What Pillow writes as well as reads, full colour and all; everything else is saved as PNG.
_KEPT_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class _Sink:
    """A sink that never ends the loop and has nothing to do between frames."""

    finished = False

    def idle(self) -> None:
        """Nothing to do."""


class JsonLines(_Sink):
    """One line of JSON a frame: sequence, source, time, width, height, detections, ms (per stage).

    Each line is flushed whole, so that a reader never sees half of one.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: FrameResult) -> None:
        frame = result.frame
        captured = time.time() - (time.monotonic() - frame.captured_at)
        line = {
            "sequence": frame.sequence,
            "source": frame.name,
            "time": datetime.fromtimestamp(captured, timezone.utc).isoformat(timespec="milliseconds"),
            **result.detections.to_dict(),
            "ms": {stage: round(value, 3) for stage, value in list(result.milliseconds.items())},
        }
        _write_line(self._stream, json.dumps(line))


class TextLines(_Sink):
    """One line a frame for people: name, size, time, and label, score and box of each detection."""

    def __init__(self, stream: TextIO, *, numbered: bool) -> None:
        self._stream = stream
        self._numbered = numbered

    def write(self, result: FrameResult) -> None:
        frame = result.frame
        height, width = frame.image.shape[:2]
        name = f"{frame.name} #{frame.sequence}" if self._numbered else frame.name
        found = [
            f"{label} {score:.0%} ({', '.join(f'{value:.0f}' for value in box)})"
            for label, score, box, _ in result.detections
        ]
        took = f"{result.milliseconds['detect']:5.1f} ms"
        _write_line(self._stream, f"{name}  {width}×{height}  {took}  {'; '.join(found) or 'nothing'}")


class AnnotatedImageSink(_Sink):
    """Saves each annotated picture in a folder, under its own name.

    A suffix that cannot be written (such as .gif) becomes .png, after the whole name, and so does a name that is
    taken: two files never become one, on file systems that do not tell "a" from "A" neither. Raises
    :class:`SettingError` before it would overwrite the picture itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()

    def write(self, result: FrameResult) -> None:
        source = Path(result.frame.name)
        name = source.name
        while Path(name).suffix.lower() not in _KEPT_SUFFIXES or name.lower() in self._taken:
            name += ".png"
        self._taken.add(name.lower())
        refuse_overwriting(source, self._folder / name, "--save")
        save_picture(self._folder / name, result.annotated)


class LastFrameSink(_Sink):
    """Keeps the last result, and saves its annotated picture when left without an error."""

    def __init__(self, path: Path) -> None:
        check_file(path, _KEPT_SUFFIXES, "picture; end the name in .jpg or .png")
        self._path = path
        self._last: FrameResult | None = None

    def write(self, result: FrameResult) -> None:
        self._last = result

    def save(self) -> None:
        """Save the last picture, if there was one."""
        if self._last is not None:
            save_picture(self._path, self._last.annotated)


def save_picture(path: Path, image: Image) -> None:
    """Write a picture (uint8 RGB [H, W, 3]) beside ``path`` and rename it; the suffix gives the format."""
    from PIL import Image as PillowImage

    try:
        with atomic_path(path) as temporary:
            PillowImage.fromarray(image).save(temporary, quality=92)  # Formats without a quality take no notice.
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot be written: {error.strerror or error}; name another file") from None


def check_file(path: Path, suffixes: Collection[str], kind: str) -> None:
    """See that a file can be written, before any work is done for it; raises :class:`EdgeSSDError` naming it."""
    if path.suffix.lower() not in suffixes:
        raise SettingError(f"{path}: cannot write this kind of {kind}")
    if path.is_dir():
        raise SettingError(f"{path}: is a folder; name a file")
    make_folder(path.parent)


def refuse_overwriting(source: str | Path, path: Path, option: str, what: str = "source") -> None:
    """Raise :class:`SettingError` when ``path`` is the file ``source``, under whatever name; ``what`` it is."""
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise SettingError(f"{path}: {option} would overwrite the {what}; name another place")


def make_folder(folder: Path) -> None:
    """Make a folder to write to, and try to; raises :class:`EdgeSSDError` naming it, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise EdgeSSDError(f"{folder}: cannot write to this folder: {error.strerror}; name another one") from None


@contextlib.contextmanager
def appending(path: Path) -> Iterator[TextIO]:
    """A text file (or pipe, or device) to append to; raises :class:`EdgeSSDError` naming it.

    A line that an earlier run could not finish (a full disk, a power cut) is ended, so that it spoils no other.
    """
    try:
        unfinished = path.is_file() and _ends_within_a_line(path)
        file = path.open("a", encoding="utf-8")
        if unfinished:
            file.write("\n")
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot write to this file: {error.strerror}; name another one") from None
    try:
        yield file
    finally:
        # Every line was flushed when it was written: what fails here failed there, and has been said.
        with contextlib.suppress(OSError):
            file.close()


def _ends_within_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"", b"\n")


def _write_line(stream: TextIO, line: str) -> None:
    try:
        stream.write(line + "\n")
        stream.flush()
    except BrokenPipeError:  # The reader has seen enough; the command line knows how to end quietly.
        raise
    except OSError as error:
        raise EdgeSSDError(f"{stream.name}: cannot be written: {error.strerror}") from None
