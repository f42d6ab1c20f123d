"""Webcams and CSI cameras, with fake drivers."""

from __future__ import annotations

import sys
from collections.abc import Container
from pathlib import Path

import cv2
import numpy as np
import picamera2_stand_in
import pytest
from picamera2_stand_in import Picamera2
from source_errors import assert_enter_fails

from device_apps.sources import picamera
from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.open_source import open_source
from device_apps.sources.opencv import CameraRequest, open_camera
from edge_ssd.errors import SourceError
from edge_ssd.network import InputSpec

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="device paths are Linux's")


class FakeCapture:
    """Webcam that supports 640×480 only, and delivers BGR images, as OpenCV does.

    Attributes:
        opened: whether it can be opened.
        image: the image of every frame.
        gone: numbers, from 1, of the grabs at which it is disconnected.
        undecodable: numbers of the grabs whose image cannot be decoded.
    """

    opened = True
    image: np.ndarray
    gone: Container[int] = ()
    undecodable: Container[int] = ()

    def __init__(self, *where: object) -> None:
        self.where = where
        self.grabbed = 0
        self.released = False

    def isOpened(self) -> bool:
        return self.opened

    def get(self, key: int) -> float:
        known = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0, cv2.CAP_PROP_FPS: 30.0}
        return {**known, cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV"))}[key]

    def set(self, key: int, value: float) -> bool:
        return False

    def grab(self) -> bool:
        self.grabbed += 1
        return self.grabbed not in self.gone

    def retrieve(self, image: np.ndarray | None = None) -> tuple[bool, np.ndarray | None]:
        if self.grabbed in self.undecodable:
            return False, None
        if image is None or image.shape != self.image.shape:
            return True, self.image.copy()
        image[:] = self.image
        return True, image

    def release(self) -> None:
        self.released = True


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    class Webcam(FakeCapture):
        image = np.full((480, 640, 3), (200, 0, 0), np.uint8)

    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    return Webcam


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """Folder of two video devices."""
    for name in ("video0", "video2"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.usefixtures("webcam")
def test_webcam_delivers_rgb_and_logs_rejected_settings(devices: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_source("0", width=1280, height=480, fps=60, devices=devices) as source:
        frame = next(iter(source))
    assert frame.image[0, 0].tolist() == [0, 0, 200]
    assert (source.name, source.live, source.fps) == ("camera 0", True, 30.0)
    assert caplog.messages == ["camera 0: requested width 1280, got 640", "camera 0: requested fps 60, got 30"]


def test_gray_webcam_delivers_rgb(webcam: type[FakeCapture], devices: Path) -> None:
    webcam.image = np.full((480, 640), 90, np.uint8)
    captured = open_camera("0", CameraRequest(), devices).read()
    assert captured is not None
    image = captured.image
    assert image.shape == captured.pixels.shape == (480, 640, 3)
    assert (image == 90).all()


class JpegCapture(FakeCapture):
    """Webcam that sends MJPEG when it is asked for it; its images are a row of bytes then, with room to spare."""

    image = np.full((720, 1280, 3), (200, 0, 0), np.uint8)

    def __init__(self, *where: object) -> None:
        super().__init__(*where)
        self.settings: dict[int, float] = {}

    def get(self, key: int) -> float:
        return self.settings[key] if key in self.settings else super().get(key)

    def set(self, key: int, value: float) -> bool:
        self.settings[key] = value
        return True

    def retrieve(self, image: np.ndarray | None = None) -> tuple[bool, np.ndarray | None]:
        if self.settings.get(cv2.CAP_PROP_CONVERT_RGB) != 0:
            return True, self.image.copy()
        jpeg = cv2.imencode(".jpg", self.image)[1].tobytes()
        return True, np.frombuffer(jpeg + bytes(1000), np.uint8)[None]


@linux_only
def test_large_webcam_frames_are_mjpeg_and_decoded_for_the_network(
    devices: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", JpegCapture)
    spec = InputSpec(160, 160)
    with open_source("0", width=1280, height=720, devices=devices, input_spec=spec) as source:
        frame = next(iter(source))
    assert (frame.size, frame.pixels.shape, frame.image.shape) == ((720, 1280), (180, 320, 3), (720, 1280, 3))
    for image in (frame.pixels, frame.image):
        assert np.abs(image.astype(int) - (0, 0, 200)).max() <= 3, "RGB"
    with open_source("0", width=640, height=480, devices=devices, input_spec=spec) as source:
        assert next(iter(source)).pixels.shape == (720, 1280, 3)
    assert caplog.messages == []


def test_undecodable_frames_are_skipped(webcam: type[FakeCapture], devices: Path) -> None:
    webcam.undecodable = {2, 3, 5}
    camera = open_camera("0", CameraRequest(), devices)
    assert all(camera.read() is not None for _ in range(3))


@pytest.mark.parametrize(("gone", "undecodable"), [({2}, ()), ((), range(2, 1000))])
def test_webcam_ends_when_it_is_gone_or_undecodable(
    webcam: type[FakeCapture], devices: Path, gone: Container[int], undecodable: Container[int]
) -> None:
    webcam.gone, webcam.undecodable = gone, undecodable
    camera = open_camera("0", CameraRequest(), devices)
    assert camera.read() is not None
    assert camera.read() is None


def test_error_of_webcam_that_does_not_open_lists_the_others(webcam: type[FakeCapture], devices: Path) -> None:
    webcam.opened = False
    message = rf"camera 0: .* another program may be using it.*other devices: {devices}/video2\)"
    with pytest.raises(SourceError, match=message):
        open_camera("0", CameraRequest(), devices)


@linux_only
@pytest.mark.parametrize("spec", ["97", "/dev/video97"])
def test_missing_webcam_is_an_error(spec: str) -> None:
    assert_enter_fails(r"no camera at /dev/video97 \(available: .*\); connect it", open_source, spec)


@linux_only
def test_device_that_is_not_a_camera_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"camera /dev/null: .* cannot be opened; .* or it is not a camera"):
        open_camera("/dev/null", CameraRequest())


def test_webcam_without_permission_is_an_error(devices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SourceError, match=r"no permission to use this camera: sudo usermod -aG video \$USER"):
        open_camera("0", CameraRequest(), devices)


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    return picamera2_stand_in.install(monkeypatch)


def test_csi_camera_is_configured_read_and_closed(picamera2: type[Picamera2]) -> None:
    reader = picamera.open_picamera(CameraRequest(800, 600, 20))
    image = reader.read()
    assert image is not None
    assert image.shape == (600, 800, 3)
    assert image[0, 0].tolist() == [250, 120, 10], "RGB"
    assert (reader.live, reader.fps) == (True, 20)
    reader.close()
    (camera,) = picamera2.made
    assert camera.configuration["controls"]["FrameRate"] == 20
    assert (camera.started, camera.closed) == (False, True)


@linux_only
def test_csi_camera_is_read_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picamera2.py").write_text("from picamera2_stand_in import Picamera2\nPicamera2.flowing.set()\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "libcamera.py").write_text("class ColorSpace:\n    Sycc = staticmethod(lambda: 'sYCC')\n")
    with open_source("picamera", width=160, height=120, fps=20, input_spec=InputSpec(32, 32)) as source:
        frame = next(iter(source))
        assert (frame.size, frame.pixels.shape) == ((120, 160), (30, 40, 3))
        assert np.abs(frame.pixels.astype(int) - (250, 120, 10)).max() <= 2, "RGB"
        assert frame.image.shape == (120, 160, 3)
        assert frame.image[0, 0].tolist() == [250, 120, 10], "RGB"
        assert (source.name, source.live, source.fps) == ("picamera", True, 20)
    assert "picamera2" not in sys.modules


SPEC = InputSpec(64, 64, resampling="halve-bilinear")


def test_csi_camera_scales_for_the_network(picamera2: type[Picamera2]) -> None:
    reader = picamera.open_picamera(CameraRequest(404, 300), SPEC)
    frame = reader.read()
    reader.close()
    assert isinstance(frame, DeferredImage)
    assert (frame.size, frame.pixels.shape, frame.image.shape) == ((300, 404), (74, 100, 3), (300, 404, 3))
    for image in (frame.pixels, frame.image):
        assert np.abs(image.astype(int) - (250, 120, 10)).max() <= 2, "RGB"
    (camera,) = picamera2.made
    assert camera.configuration["lores"]["size"] == (100, 74)


@pytest.mark.parametrize("reason", ["no small stream", "small image", "another resize"])
def test_csi_camera_that_does_not_scale_is_read_in_full(
    picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setattr(picamera2, "scales", reason != "no small stream")
    spec = InputSpec(64, 64, resampling="pillow-bilinear") if reason == "another resize" else SPEC
    reader = picamera.open_picamera(CameraRequest(100, 80) if reason == "small image" else CameraRequest(), spec)
    frame = reader.read()
    reader.close()
    assert isinstance(frame, np.ndarray)
    assert frame[0, 0].tolist() == [250, 120, 10], "RGB"


def test_missing_csi_camera_is_an_error(picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "cameras", 0)
    with pytest.raises(SourceError, match=r"picamera: no camera can be started .*; check its cable"):
        picamera.open_picamera(CameraRequest())


def test_csi_camera_that_does_not_start_is_closed(picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Picamera2) -> None:
        raise RuntimeError("Failed to start camera")

    monkeypatch.setattr(picamera2, "start", start)
    with pytest.raises(SourceError, match="Failed to start camera"):
        picamera.open_picamera(CameraRequest())
    assert picamera2.made[0].closed


def test_missing_picamera2_names_the_apt_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        picamera.open_picamera(CameraRequest())


@linux_only
def test_csi_camera_that_is_missing_is_an_error() -> None:
    assert_enter_fails(r"picamera: .*sudo apt install python3-picamera2", open_source, "picamera")
