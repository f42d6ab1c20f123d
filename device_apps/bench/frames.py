"""Frames of a benchmark: of an image, a folder or a recording."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from device_apps.sources.frames import Frame
from device_apps.sources.image_folder import ImageFolderSource
from device_apps.sources.open_source import open_source
from device_apps.stats import Quantiles, quantiles
from edge_ssd.console.redact import redact_url
from edge_ssd.errors import SettingError
from edge_ssd.network import InputSpec

__all__ = ["BenchmarkFrames", "read_frames"]

_MAX_FRAMES = 64
_MAX_BYTES = 256 * 2**20


class BenchmarkFrames(NamedTuple):
    """Frames in memory, and ms of reading and decoding each; None if they were not read."""

    frames: list[Frame]
    capture: Quantiles | None


def read_frames(source: str, spec: InputSpec | None) -> BenchmarkFrames:
    """Return the first frames of an image, a folder or a recording: at most 64, and at most 256 MB.

    JPEG files are decoded at the size that ``spec`` needs; in full if it is None. Raises SettingError for a camera or
    stream, SourceError or ImageError for a source that cannot be read.
    """
    opened = open_source(source, input_spec=spec)
    if not (isinstance(opened, ImageFolderSource) or Path(source).is_file()):
        raise SettingError(
            f"--source {redact_url(source)}: give an image, a folder or a video; a camera's own rate would be timed"
        )
    frames: list[Frame] = []
    with opened:
        for frame in opened:
            frames.append(frame)
            if len(frames) == _MAX_FRAMES or sum(each.pixels.nbytes for each in frames) >= _MAX_BYTES:
                break
    if not frames:
        raise SettingError(f"--source {redact_url(source)}: it has no frames")
    return BenchmarkFrames(frames, quantiles([1e3 * frame.read_seconds for frame in frames]))
