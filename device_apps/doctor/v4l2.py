"""List of V4L2 cameras with their formats and frame sizes, without opening a stream.

Source: the kernel's Documentation/userspace-api/media/v4l, VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT, VIDIOC_ENUM_FRAMESIZES.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Camera", "find_cameras"]

# _IOR('V', 0, struct v4l2_capability), _IOWR('V', 2, struct v4l2_fmtdesc), _IOWR('V', 74, struct v4l2_frmsizeenum)
_QUERYCAP, _ENUM_FMT, _ENUM_FRAMESIZES = 0x80685600, 0xC0405602, 0xC02C564A
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_FORMAT = struct.Struct("III32s4sI12x")
_FRAME_SIZE = struct.Struct("I4sIII24x")

_CAPTURE, _CAPTURE_PLANES, _HAS_DEVICE_CAPS = 0x1, 0x1000, 0x80000000
_MEMORY_TO_MEMORY = 0x8000 | 0x4000  # Codecs and image processors, not cameras.
_DISCRETE = 1
_NOT_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "pispbe", "rpivid", "rpi-hevc-dec")
_CSI = ("unicam", "rp1-cfe", "bm2835 mmal")
_MAX_ENTRIES = 64  # Formats or sizes that a driver is asked for, in case its list has no end.

Ioctl = Callable[[int, int, bytearray], object]


@dataclass(frozen=True)
class Camera:
    """A V4L2 camera.

    Attributes:
        path: such as /dev/video0.
        csi: whether it is a CSI sensor.
        formats: frame sizes (width, height) in pixels, by pixel format such as "MJPG"; empty for a range of sizes.
    """

    path: str
    name: str
    driver: str
    csi: bool
    formats: dict[str, tuple[tuple[int, int], ...]]


def find_cameras(folder: Path = Path("/dev"), ioctl: Ioctl | None = None) -> list[Camera]:
    """Return the V4L2 cameras in ``folder`` that can be opened, by device number; ``ioctl`` None is ``fcntl.ioctl``."""
    if ioctl is None:
        import fcntl

        ioctl = fcntl.ioctl
    paths = [path for path in folder.glob("video*") if re.fullmatch(r"video\d+", path.name)]
    cameras = []
    for path in sorted(paths, key=lambda path: int(path.name[5:])):
        try:
            device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            camera = _query(str(path), device, ioctl)
        except OSError:  # Not a V4L2 device.
            camera = None
        finally:
            os.close(device)
        if camera is not None:
            cameras.append(camera)
    return cameras


def _query(path: str, device: int, ioctl: Ioctl) -> Camera | None:
    buffer = bytearray(_CAPABILITY.size)
    ioctl(device, _QUERYCAP, buffer)
    driver, card, _, _, capabilities, device_caps = _CAPABILITY.unpack(buffer)
    flags = device_caps if capabilities & _HAS_DEVICE_CAPS else capabilities
    driver_name = _text(driver)
    if not flags & (_CAPTURE | _CAPTURE_PLANES) or flags & _MEMORY_TO_MEMORY or driver_name in _NOT_CAMERAS:
        return None
    kind = 1 if flags & _CAPTURE else 9  # V4L2_BUF_TYPE_VIDEO_CAPTURE, …_MPLANE
    formats = {_text(code): tuple(_sizes(device, code, ioctl)) for code in _formats(device, kind, ioctl)}
    return Camera(path, _text(card), driver_name, driver_name in _CSI, formats)


def _formats(device: int, kind: int, ioctl: Ioctl) -> Iterator[bytes]:
    for index in range(_MAX_ENTRIES):
        buffer = bytearray(_FORMAT.pack(index, kind, 0, b"", b"", 0))
        try:
            ioctl(device, _ENUM_FMT, buffer)
        except OSError:  # EINVAL: the end of the list.
            return
        yield _FORMAT.unpack(buffer)[4]


def _sizes(device: int, code: bytes, ioctl: Ioctl) -> Iterator[tuple[int, int]]:
    for index in range(_MAX_ENTRIES):
        buffer = bytearray(_FRAME_SIZE.pack(index, code, 0, 0, 0))
        try:
            ioctl(device, _ENUM_FRAMESIZES, buffer)
        except OSError:
            return
        _, _, kind, width, height = _FRAME_SIZE.unpack(buffer)
        if kind != _DISCRETE:  # A range of sizes is not listed.
            return
        yield width, height


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace").strip()
