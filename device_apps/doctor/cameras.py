"""Checks of cameras: V4L2 devices, and CSI cameras of a Raspberry Pi through picamera2."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from device_apps.doctor.finding import Finding, failed, ok, warning
from device_apps.doctor.probe import probe
from device_apps.doctor.v4l2 import Camera, find_cameras
from device_apps.machine import processor
from device_apps.numpy_conflict import is_numpy_conflict, numpy_cause, numpy_remedy

__all__ = ["check_csi_camera", "check_webcams"]

_SYSTEM_PICAMERA2 = Path("/usr/lib/python3/dist-packages/picamera2")
_NEW_ENVIRONMENT = "python3 -m venv --system-site-packages edge-ssd-env, and install edge-ssd in it"

_PICAMERA = """
import json
from picamera2 import Picamera2
print(json.dumps([str(camera.get("Model", "unknown")) for camera in Picamera2.global_camera_info()]))
"""


def check_webcams(cameras: Sequence[Camera] | None = None) -> Iterable[Finding]:
    """Check webcams: report each of ``cameras`` (None: those under /dev/video*), or warn that there is none."""
    cameras = find_cameras() if cameras is None else cameras
    if not cameras:
        yield warning(
            "webcam",
            "no camera under /dev/video*",
            "connect one, then: lsusb, dmesg | tail; streams, videos and images work without",
        )
    for camera in cameras:
        use = "--source picamera" if camera.csi else f"--source {camera.path}"
        yield ok("webcam", f"{camera.path}: {camera.name} ({camera.driver}); {_formats(camera)}; use {use}")


def check_csi_camera(board: str | None = None, system_package: Path = _SYSTEM_PICAMERA2) -> Iterable[Finding]:
    """Check CSI cameras of the named board (None: this one); Raspberry Pi OS has picamera2 in ``system_package``."""
    board = processor() if board is None else board
    names, problem = probe(_PICAMERA)
    if names:
        yield ok("CSI camera", f"{', '.join(names)}; use --source picamera")
    elif names is not None:
        yield warning(
            "CSI camera", "picamera2 works, but finds no camera", "check its cable, then: rpicam-hello --list-cameras"
        )
    elif is_numpy_conflict(problem):
        yield failed("CSI camera", f"{numpy_cause('picamera2')}: {problem}", numpy_remedy())
    elif "No module named 'picamera2'" not in problem:
        yield warning(
            "CSI camera", f"picamera2 does not load: {problem}", "sudo apt install --reinstall python3-picamera2"
        )
    elif system_package.exists() and sys.prefix != sys.base_prefix:
        yield warning("CSI camera", "picamera2 is installed, but this virtual environment hides it", _NEW_ENVIRONMENT)
    elif "Raspberry Pi" in board:
        yield warning(
            "CSI camera", "picamera2 is not installed", f"sudo apt install python3-picamera2; {_NEW_ENVIRONMENT}"
        )
    else:
        yield ok("CSI camera", "no picamera2, which only a CSI camera of a Raspberry Pi needs")


def _formats(camera: Camera) -> str:
    """Return the formats of a camera, such as "MJPG up to 1920×1080, YUYV up to 640×480"."""
    parts = []
    for code, sizes in camera.formats.items():
        largest = max(sizes, key=lambda size: size[0] * size[1], default=None)
        parts.append(code if largest is None else f"{code} up to {largest[0]}×{largest[1]}")
    return ", ".join(parts) or "no formats"
