"""MP4 file that is playable while it grows: one fragment for each short video that is appended.

At the end it becomes a plain file, with one index at its end: the fragments are then in one box of media data.

Source: ISO/IEC 14496-12, §8.8 (movie fragments), §8.7 (sample tables).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple

from device_apps.mp4_boxes import CONTAINERS, box, duration_offset, iter_boxes, iter_file_boxes, iter_leaves, timescale

__all__ = ["FragmentedMp4", "end_of_fragments"]

_SYNC, _NO_SYNC = 0x02000000, 0x01010000  # Flags of a sample: depends on no other one; is no place to start.
_HEADER = 16  # Bytes of a box header with a 64-bit size.


class _Segment(NamedTuple):
    """Index and frames of a short video with one track."""

    moov: bytes
    samples: list[bytes]
    sync: set[int]  # numbers of the frames that depend on no other one, from 1
    timescale: int  # units per second
    delta: int  # units between frames


class FragmentedMp4:
    """Writer of an MP4 file from short videos of the same size, codec and rate.

    Args:
        file: empty, open for writing without a buffer; not closed.
    """

    def __init__(self, file: RawIOBase) -> None:
        self._file = file
        self._first: _Segment | None = None
        self._sizes: list[int] = []  # of all frames, in bytes
        self._sync: list[int] = []
        self._chunks: list[tuple[int, int]] = []  # offset and number of frames of each fragment
        self._media_at = 0

    def append(self, segment: Path, starts_ms: Sequence[int]) -> None:
        """Append the frames of an MP4 file, and hand them to the operating system.

        Args:
            segment: has one track and no reordered frames.
            starts_ms: when each frame begins, in ms from the start of the recording.

        Raises:
            ValueError: the file is not such an MP4, or has another number of frames.
        """
        read = _read_segment(segment.read_bytes())
        if len(read.samples) != len(starts_ms):
            raise ValueError(f"it has {len(read.samples)} frames, not {len(starts_ms)}")
        if self._first is None:
            self._first = read
            brands = struct.pack(">I4s4sI4s4s4s", 28, b"ftyp", b"isom", 512, b"isom", b"iso6", b"mp41")
            self._media_at = len(brands)
            # Room for the header of the one box of media data.
            self._write(brands + struct.pack(">I4s8x", _HEADER, b"free") + _fragmented_moov(read.moov))
        starts = [start * self._first.timescale // 1000 for start in starts_ms]
        ends = [*starts[1:], starts[-1] + read.delta]  # Until the next one comes, the last frame is an ordinary one.
        durations = [max(1, end - start) for start, end in zip(starts, ends, strict=True)]
        sizes = [len(sample) for sample in read.samples]
        flags = [_SYNC if number in read.sync else _NO_SYNC for number in range(1, len(sizes) + 1)]
        moof = _moof(len(self._chunks) + 1, starts[0], list(zip(durations, sizes, flags, strict=True)))
        position = self._file.tell()
        self._write(moof + struct.pack(">I4s", 8 + sum(sizes), b"mdat") + b"".join(read.samples))
        self._chunks.append((position + len(moof) + 8, len(sizes)))
        self._sync += [len(self._sizes) + number for number in sorted(read.sync)]
        self._sizes += sizes

    def finish(self) -> None:
        """Write the index of all frames at the constant rate of the segments; nothing without frames."""
        if self._first is None:
            return
        end = self._file.tell()
        self._write(self._plain_moov(self._first))
        # In one write: until then the file is one of fragments.
        self._file.seek(self._media_at)
        self._write(struct.pack(">I4sQ", 1, b"mdat", end - self._media_at))

    def _write(self, data: bytes) -> None:
        """Write all of ``data``, or nothing of it and raise OSError."""
        start = self._file.tell()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError:
            self._file.seek(start)
            self._file.truncate()
            raise

    def _plain_moov(self, first: _Segment) -> bytes:
        frames = len(self._sizes)
        runs = bytearray()
        count = 0
        for number, (_, size) in enumerate(self._chunks, 1):
            if size != (self._chunks[number - 2][1] if number > 1 else 0):
                runs += struct.pack(">III", number, size, 1)
                count += 1
        tables = {
            b"stts": struct.pack(">IIII", 0, 1, frames, first.delta),
            b"stsc": struct.pack(">II", 0, count) + runs,
            b"stsz": struct.pack(">III", 0, 0, frames) + struct.pack(f">{frames}I", *self._sizes),
            b"co64": struct.pack(f">II{len(self._chunks)}Q", 0, len(self._chunks), *(at for at, _ in self._chunks)),
        }
        if len(self._sync) < frames:
            tables[b"stss"] = struct.pack(f">II{len(self._sync)}I", 0, len(self._sync), *self._sync)
        return _with_tables(first.moov, tables, frames * first.delta / first.timescale)


def end_of_fragments(file: BinaryIO) -> int:
    """Return where the last complete fragment of a file ends; 0 if it has none."""
    size = file.seek(0, 2)
    complete = 0
    previous = b""
    for kind, _, end in iter_file_boxes(file):
        if end > size:
            break
        if kind == b"moov" or (kind == b"mdat" and previous == b"moof"):
            complete = end if kind == b"mdat" or complete else 0
        previous = kind
    return complete


def _read_segment(data: bytes) -> _Segment:
    top = {kind: (offset, body) for kind, offset, body in iter_boxes(data)}
    if b"moov" not in top:
        raise ValueError("its index is missing")
    moov = top[b"moov"][1]
    found: dict[bytes, bytes] = {}
    for kind, body in iter_leaves(moov):
        if kind in found:
            raise ValueError("it does not have one track")
        found[kind] = body
    if b"ctts" in found or not {b"mdhd", b"mvhd", b"tkhd", b"stsd", b"stts", b"stsc", b"stsz"} <= found.keys():
        raise ValueError("its index is of another kind")
    sizes = _sample_sizes(found[b"stsz"])
    samples: list[bytes] = []
    for place, count in _chunk_places(found, len(sizes)):
        for size in sizes[len(samples) : len(samples) + count]:
            if place + size > len(data):
                raise ValueError("its frames are incomplete")
            samples.append(data[place : place + size])
            place += size
    if len(samples) != len(sizes) or not samples:
        raise ValueError("its frames are incomplete")
    sync = set(struct.unpack(f">{(len(found[b'stss']) - 8) // 4}I", found[b"stss"][8:])) if b"stss" in found else None
    units = timescale(found[b"mdhd"])
    _, _, _, delta = struct.unpack_from(">IIII", found[b"stts"])
    if not units or not delta:
        raise ValueError("it has no rate")
    return _Segment(moov, samples, sync or set(range(1, len(samples) + 1)), units, delta)


def _sample_sizes(stsz: bytes) -> list[int]:
    size, count = struct.unpack_from(">II", stsz, 4)
    return [size] * count if size else list(struct.unpack_from(f">{count}I", stsz, 12))


def _chunk_places(found: dict[bytes, bytes], frames: int) -> Iterator[tuple[int, int]]:
    """Yield offset and number of frames of each chunk."""
    if b"stco" in found:
        (count,) = struct.unpack_from(">I", found[b"stco"], 4)
        offsets: tuple[int, ...] = struct.unpack_from(f">{count}I", found[b"stco"], 8)
    else:
        (count,) = struct.unpack_from(">I", found.get(b"co64", bytes(8)), 4)
        offsets = struct.unpack_from(f">{count}Q", found.get(b"co64", bytes(8)), 8)
    runs = list(struct.iter_unpack(">III", found[b"stsc"][8:]))
    for number, offset in enumerate(offsets, 1):
        per_chunk = next((size for first, size, _ in reversed(runs) if first <= number), 0)
        yield offset, per_chunk


def _with_tables(moov: bytes, tables: dict[bytes, bytes], seconds: float, more: bytes = b"") -> bytes:
    """Return the box "moov" with other sample tables and durations; without edit list and user data.

    Args:
        moov: content of the box.
        tables: contents by kind.
        more: boxes to append.
    """
    left_out = {b"stts", b"stsc", b"stsz", b"stco", b"co64", b"stss", b"edts", b"udta", b"sdtp", b"sgpd", b"sbgp"}

    def rewrite(kind: bytes, body: bytes) -> bytes:
        if kind in left_out:
            return b""
        if kind in CONTAINERS:
            body = b"".join(rewrite(inner, content) for inner, _, content in iter_boxes(body))
        if kind == b"stbl":
            body += b"".join(box(name, table) for name, table in tables.items())
        if kind in (b"mvhd", b"mdhd", b"tkhd"):
            body = _with_duration(kind, body, round(seconds * timescales[b"mvhd" if kind == b"tkhd" else kind]))
        return box(kind, body)

    timescales = {kind: timescale(body) for kind, body in iter_leaves(moov) if kind in (b"mvhd", b"mdhd")}
    return box(b"moov", b"".join(rewrite(kind, body) for kind, _, body in iter_boxes(moov)) + more)


def _with_duration(kind: bytes, body: bytes, duration: int) -> bytes:
    wide = body[0] == 1  # Version 1 has 64-bit times.
    changed = bytearray(body)
    number = ">Q" if wide else ">I"
    struct.pack_into(number, changed, duration_offset(kind, body), duration if wide else min(duration, 0xFFFFFFFF))
    return bytes(changed)


def _fragmented_moov(moov: bytes) -> bytes:
    """Return the box "moov" of a file whose frames are all in fragments."""
    headers = [body for kind, body in iter_leaves(moov) if kind == b"tkhd"]
    if [struct.unpack_from(">I", body, 20 if body[0] == 1 else 12) for body in headers] != [(1,)]:
        raise ValueError("its track has another number")
    tables = {b"stts": bytes(8), b"stsc": bytes(8), b"stsz": bytes(12), b"stco": bytes(8)}
    return _with_tables(moov, tables, 0.0, box(b"mvex", box(b"trex", struct.pack(">IIIIII", 0, 1, 1, 0, 0, 0))))


def _moof(number: int, start: int, samples: Sequence[tuple[int, int, int]]) -> bytes:
    """Return the box "moof" of a fragment of (duration, size, flags) of each frame; its media data follows."""
    header = box(b"mfhd", struct.pack(">II", 0, number))
    track = box(b"tfhd", struct.pack(">II", 0x020000, 1)) + box(b"tfdt", struct.pack(">IQ", 1 << 24, start))
    # Durations, sizes and flags of each frame, and where the first begins, from the start of this box.
    size = 8 + len(header) + 8 + len(track) + 8 + 12 + 12 * len(samples)
    run = struct.pack(">III", 0x000701, len(samples), size + 8)
    run += b"".join(struct.pack(">III", *sample) for sample in samples)
    return box(b"moof", header + box(b"traf", track + box(b"trun", run)))
