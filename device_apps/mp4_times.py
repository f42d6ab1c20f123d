"""Time stamps of the frames of an MP4 file, set after it was written with a constant rate.

OpenCV writes videos of a constant rate only. A camera has a varying one, and the frames of a video need its times. They
are in one table at the end of the file, which is replaced here.

Source: ISO/IEC 14496-12, §8.6.1.2 (stts), §8.4.2 (mdhd), §8.3.2 (tkhd), §8.2.2 (mvhd), §8.6.6 (elst).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from device_apps.mp4_boxes import CONTAINERS, box, duration_offset, iter_boxes, iter_file_boxes, iter_leaves, timescale

__all__ = ["set_frame_durations"]

_TIMESCALE = 1000  # Units per second, as in Matroska: 49 days fit into 32 bits.


def set_frame_durations(path: Path, milliseconds: Sequence[int]) -> None:
    """Set how long each frame of a video is shown. The file has one track, and its index (``moov``) is at its end.

    Raises:
        ValueError: the file is not such an MP4, or does not have as many frames.
        OSError: it cannot be read or written.
    """
    with path.open("r+b") as file:
        offset = _find_index(file)
        file.seek(offset)
        moov = file.read()
        replaced = _Index(moov, milliseconds).rewrite()
        file.seek(offset)
        file.write(replaced)
        file.truncate()


def _find_index(file: BinaryIO) -> int:
    """Return the offset of the box "moov", which must be the last one."""
    size = file.seek(0, 2)
    for kind, start, end in iter_file_boxes(file):
        if kind == b"moov" and end == size:
            return start
    raise ValueError("its index is not at the end")


class _Index:
    """The box "moov" of a video with one track, and the durations of its frames."""

    def __init__(self, moov: bytes, milliseconds: Sequence[int]) -> None:
        self._moov = moov
        self._milliseconds = milliseconds
        kind, _, body = next(iter_boxes(moov))
        if kind != b"moov" or sum(1 for inner, _, _ in iter_boxes(body) if inner == b"trak") != 1:
            raise ValueError("it does not have one track")
        self._duration = sum(milliseconds)
        self._timescale, self._movie_timescale = _find_timescales(body)

    def rewrite(self) -> bytes:
        return b"".join(self._rewrite_box(kind, body) for kind, _, body in iter_boxes(self._moov))

    def _rewrite_box(self, kind: bytes, body: bytes) -> bytes:
        if kind in CONTAINERS:
            body = b"".join(self._rewrite_box(inner, content) for inner, _, content in iter_boxes(body))
        elif kind == b"stts":
            body = self._stts(body)
        elif kind in (b"mdhd", b"mvhd", b"tkhd", b"elst"):
            body = self._with_duration(kind, body)
        return box(kind, body)

    def _stts(self, body: bytes) -> bytes:
        """Return the table of durations: runs of equal ones."""
        frames = sum(count for count, _ in struct.iter_unpack(">II", body[8:]))
        if frames != len(self._milliseconds):
            raise ValueError(f"it has {frames} frames, not {len(self._milliseconds)}")
        runs = bytearray()
        for duration, group in itertools.groupby(self._milliseconds):
            runs += struct.pack(">II", sum(1 for _ in group), duration)
        return struct.pack(">II", 0, len(runs) // 8) + runs

    def _with_duration(self, kind: bytes, body: bytes) -> bytes:
        """Return a box with the new duration; that of "mdhd" is in the units of the frames, others in the movie's."""
        changed = bytearray(body)
        wide = body[0] == 1  # Version 1 has 64-bit times.
        if kind == b"elst":  # One entry that shows the whole track: its duration, then where it begins.
            if struct.unpack_from(">I", body, 4) != (1,):
                raise ValueError("its edit list has several entries")
            number = ">q" if wide else ">i"
            place = 16 if wide else 12
            (begin,) = struct.unpack_from(number, body, place)
            struct.pack_into(number, changed, place, begin * _TIMESCALE // self._timescale if begin > 0 else begin)
            offset = 8
        else:
            offset = duration_offset(kind, body)
        duration = self._duration
        if kind == b"mdhd":
            struct.pack_into(">I", changed, offset - 4, _TIMESCALE)
        else:
            duration = duration * self._movie_timescale // _TIMESCALE
        struct.pack_into(">Q" if wide else ">I", changed, offset, duration)
        return bytes(changed)


def _find_timescales(moov: bytes) -> tuple[int, int]:
    """Return the units per second of the track ("mdhd") and of the movie ("mvhd")."""
    found = {kind: timescale(body) for kind, body in iter_leaves(moov) if kind in (b"mdhd", b"mvhd")}
    if len(found) < 2 or 0 in found.values():
        raise ValueError("its index is incomplete")
    return found[b"mdhd"], found[b"mvhd"]
