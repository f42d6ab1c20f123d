"""The doctor on cameras: those that Linux lists, and a Raspberry Pi's own through picamera2."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from device_apps.doctor.checks import Finding, ok, probe, warning
from device_apps.doctor.v4l2 import Camera, find_cameras
from device_apps.machine import processor

__all__ = ["csi_camera", "webcams"]

_SYSTEM_PICAMERA2 = Path("/usr/lib/python3/dist-packages/picamera2")
_NEW_ENVIRONMENT = "python3 -m venv --system-site-packages edge-ssd-env, and install edge-ssd in it"

_PICAMERA = """
import json
from picamera2 import Picamera2
print(json.dumps([str(camera.get("Model", "unknown")) for camera in Picamera2.global_camera_info()]))
"""


def webcams() -> Iterable[Finding]:
    """Cameras under /dev/video*, with what they give."""
    cameras = find_cameras()
    if not cameras:
        yield warning(
            "webcam",
            "no camera under /dev/video*",
            "connect one, then: lsusb, dmesg | tail; streams, videos and pictures work without",
        )
    for camera in cameras:
        use = "--source picamera" if camera.csi else f"--source {camera.path}"
        yield ok("webcam", f"{camera.path}: {camera.name} ({camera.driver}); {_formats(camera)}; use {use}")


def csi_camera() -> Iterable[Finding]:
    """picamera2 and the cameras that it sees."""
    board = processor()
    names, problem = probe(_PICAMERA)
    if names:
        yield ok("CSI camera", f"{', '.join(names)}; use --source picamera")
    elif names is not None:
        yield warning(
            "CSI camera", "picamera2 works, and sees no camera", "check its cable, then: rpicam-hello --list-cameras"
        )
    elif "No module named 'picamera2'" not in problem:
        yield warning(
            "CSI camera",
            f"picamera2 does not load: {problem}",
            f"take the system's own NumPy and libraries: {_NEW_ENVIRONMENT}",
        )
    elif _SYSTEM_PICAMERA2.exists() and sys.prefix != sys.base_prefix:
        yield warning("CSI camera", "picamera2 is installed, and this virtual environment hides it", _NEW_ENVIRONMENT)
    elif "Raspberry Pi" in board:
        yield warning(
            "CSI camera", "picamera2 is not installed", f"sudo apt install python3-picamera2; {_NEW_ENVIRONMENT}"
        )
    else:
        yield ok("CSI camera", "no picamera2, which only a Raspberry Pi's own camera needs")


def _formats(camera: Camera) -> str:
    """ "MJPG up to 1920×1080, YUYV up to 640×480"."""
    parts = []
    for code, sizes in camera.formats.items():
        largest = max(sizes, key=lambda size: size[0] * size[1], default=None)
        parts.append(code if largest is None else f"{code} up to {largest[0]}×{largest[1]}")
    return ", ".join(parts) or "no formats"
