"""Fake picamera2 without hardware: the part of its documented interface that is used.

Source: Raspberry Pi Ltd, "The Picamera2 Library", §3 (starting and stopping), §4.2 (configurations), §6.1 (capturing
arrays, also of several streams) and appendix A (pixel formats: "RGB888" has its bytes in the order B, G, R, "BGR888" in
the order R, G, B; YUV420 has the rows of Y, then those of U and V). A camera can be opened only once, and calls in the
wrong order raise, as in picamera2.
"""

from __future__ import annotations

import sys
import threading
import time
import types
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import pytest

__all__ = ["Picamera2", "install"]

_RGB = (250, 120, 10)  # Color of every pixel.
_BYTES = {"BGR888": (0, 1, 2), "RGB888": (2, 1, 0), "XBGR8888": (0, 1, 2, 3), "XRGB8888": (2, 1, 0, 3)}


class Picamera2:
    """Fake camera.

    Attributes:
        made: all instances so far.
        cameras: number of connected cameras.
        scales: whether it has a second, small stream.
        flowing: while cleared, the camera delivers no frames and captures block.
    """

    made: ClassVar[list[Picamera2]] = []
    cameras: ClassVar[int] = 1
    flowing: ClassVar[threading.Event] = threading.Event()
    in_use: ClassVar[bool] = False
    scales: ClassVar[bool] = True

    def __init__(self, camera_num: int = 0) -> None:
        if camera_num >= self.cameras:
            raise IndexError("list index out of range")
        if Picamera2.in_use:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        Picamera2.in_use = True
        self.configuration: dict[str, Any] | None = None
        self.started = False
        self.closed = False
        self.made.append(self)

    def create_video_configuration(
        self,
        main: dict[str, Any] | None = None,
        lores: dict[str, Any] | None = None,
        colour_space: object = None,
        controls: dict[str, Any] | None = None,
        buffer_count: int = 6,
    ) -> dict[str, Any]:
        return {
            "main": {"format": "XBGR8888", "size": (1280, 720), **(main or {})},
            "lores": lores,
            "colour_space": colour_space,
            "controls": {"FrameDurationLimits": (33333, 33333), **(controls or {})},
            "buffer_count": buffer_count,
        }

    def configure(self, camera_config: dict[str, Any]) -> None:
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        if camera_config["main"]["format"] not in _BYTES:
            raise RuntimeError("Format not supported")
        if camera_config["lores"] is not None:
            if not self.scales:
                raise RuntimeError("lores stream is not supported")
            assert camera_config["lores"]["format"] == "YUV420"
            assert camera_config["colour_space"] == "sYCC"
        self.configuration = camera_config

    def camera_configuration(self) -> dict[str, Any]:
        assert self.configuration is not None
        return self.configuration

    def start(self) -> None:
        if self.configuration is None:
            raise RuntimeError("Camera has not been configured")
        self.started = True

    def capture_array(self, name: str = "main") -> np.ndarray:
        if not self.started:
            raise RuntimeError("Camera is not started")
        assert self.configuration is not None
        time.sleep(0.01)
        self.flowing.wait(20)
        stream = self.configuration[name]
        width, height = stream["size"]
        return np.tile(
            np.array([(*_RGB, 255)[byte] for byte in _BYTES[stream["format"]]], np.uint8), (height, width, 1)
        )

    def capture_arrays(self, names: list[str]) -> tuple[list[np.ndarray], dict[str, Any]]:
        assert names == ["main", "lores"]
        assert self.configuration is not None
        width, height = self.configuration["lores"]["size"]
        stride = -(-width // 64) * 64
        planes = np.zeros((height * 3 // 2, stride), np.uint8)  # With padding on the right, as libcamera has it.
        luma, blue, red = Image.new("RGB", (1, 1), _RGB).convert("YCbCr").getpixel((0, 0))
        planes[:height, :width] = luma
        planes[height:].reshape(2, height // 2, stride // 2)[..., : width // 2] = np.array([blue, red])[:, None, None]
        return [self.capture_array("main"), planes], {}

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        self.stop()
        self.closed = True
        Picamera2.in_use = False


def install(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    """Make ``from picamera2 import Picamera2`` import the fake, in its initial state."""
    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    libcamera = types.ModuleType("libcamera")
    libcamera.ColorSpace = types.SimpleNamespace(Sycc=lambda: "sYCC")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    Picamera2.made.clear()
    Picamera2.flowing.set()
    Picamera2.in_use = False
    return Picamera2
