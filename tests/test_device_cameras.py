"""Webcams and the Pi's camera. There is none here: their drivers are stood in for, everything around them is real."""

from __future__ import annotations

import sys
import time
from collections.abc import Container
from pathlib import Path

import cv2
import numpy as np
import picamera2_stand_in
import pytest
from picamera2_stand_in import Picamera2

from device_apps.sources import opencv, picamera
from device_apps.sources.open_source import open_source
from device_apps.sources.opencv import CameraRequest, open_camera
from edge_ssd.errors import SourceError


class FakeCapture:
    """A webcam that does 640×480 only, and gives blue-green-red pictures, as OpenCV does."""

    opened = True
    gone: Container[int] = ()  # The numbers, from 1, of the grabs at which it is not there any more …
    undecodable: Container[int] = ()  # … and of those whose picture cannot be decoded.

    def __init__(self, *where: object) -> None:
        self.where = where
        self.grabbed = 0
        self.released = False

    def isOpened(self) -> bool:
        return self.opened

    def get(self, key: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0, cv2.CAP_PROP_FPS: 30.0}[key]

    def set(self, key: int, value: float) -> bool:
        return False

    def grab(self) -> bool:
        self.grabbed += 1
        return self.grabbed not in self.gone

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.grabbed in self.undecodable:
            return False, None
        picture = np.zeros((480, 640, 3), np.uint8)
        picture[..., 0] = 200
        return True, picture

    def release(self) -> None:
        self.released = True


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr(opencv, "_check_device", lambda path: None)


@pytest.mark.usefixtures("webcam")
def test_a_webcam_gives_rgb_and_says_what_it_cannot() -> None:
    lines: list[str] = []
    with open_source("0", width=1280, height=480, fps=60, notice=lines.append) as source:
        frame = next(iter(source))
    assert frame.image[0, 0].tolist() == [0, 0, 200]
    assert (source.name, source.live, source.fps) == ("camera 0", True, 30.0)
    assert lines == [
        "camera 0 gives a width of 640 where 1280 was asked for",
        "camera 0 gives a fps of 30 where 60 was asked for",
    ]


@pytest.mark.usefixtures("webcam")
def test_a_grey_webcam_gives_rgb_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "retrieve", lambda self: (True, np.full((480, 640), 90, np.uint8)))
    picture = open_camera("0", CameraRequest(), lambda line: None).read()
    assert picture is not None
    assert picture.shape == (480, 640, 3)
    assert (picture == 90).all()


@pytest.mark.usefixtures("webcam")
def test_a_picture_that_cannot_be_decoded_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "undecodable", {2, 3, 5})
    camera = open_camera("0", CameraRequest(), lambda line: None)
    assert all(camera.read() is not None for _ in range(3))


@pytest.mark.usefixtures("webcam")
@pytest.mark.parametrize(("gone", "undecodable"), [({2}, ()), ((), range(2, 1000))])
def test_a_webcam_that_is_gone_or_gives_nonsense_only_has_ended(
    monkeypatch: pytest.MonkeyPatch, gone: Container[int], undecodable: Container[int]
) -> None:
    monkeypatch.setattr(FakeCapture, "gone", gone)
    monkeypatch.setattr(FakeCapture, "undecodable", undecodable)
    camera = open_camera("0", CameraRequest(), lambda line: None)
    assert camera.read() is not None
    assert camera.read() is None


@pytest.mark.usefixtures("webcam")
def test_a_webcam_that_does_not_open_names_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "opened", False)
    monkeypatch.setattr(opencv, "_devices", lambda but=None: "/dev/video2")
    with pytest.raises(SourceError, match=r"camera 0: .* another program may be using it.*other devices: /dev/video2"):
        open_camera("0", CameraRequest(), lambda line: None)


@pytest.mark.parametrize("spec", ["97", "/dev/video97"])
def test_a_webcam_that_is_not_there(spec: str) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("device paths are Linux's")
    with pytest.raises(SourceError, match=r"no camera at /dev/video97 \(there is: .*\); connect it"), open_source(spec):
        pytest.fail("entered")


def test_a_device_that_is_no_camera() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("device paths are Linux's")
    with pytest.raises(SourceError, match=r"camera /dev/null: .* cannot be opened; .* or it is not a camera"):
        open_camera("/dev/null", CameraRequest(), lambda line: None)


def test_a_webcam_without_permission_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(SourceError, match=r"no permission to use this camera: sudo usermod -aG video \$USER"):
        opencv._check_device(device)


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    return picamera2_stand_in.install(monkeypatch)


def test_the_pi_camera_is_configured_read_and_closed(picamera2: type[Picamera2]) -> None:
    with open_source("picamera", width=800, height=600, fps=20) as source:
        frame = next(iter(source))
        assert frame.image.shape == (600, 800, 3)
        assert frame.image[0, 0].tolist() == [250, 120, 10], "red, green, blue, as the camera sees it"
        assert (source.name, source.live, source.fps) == ("picamera", True, 20)
    (camera,) = picamera2.made
    assert camera.configuration is not None
    assert camera.configuration["controls"]["FrameRate"] == 20
    assert (camera.started, camera.closed) == (False, True)


def test_a_pi_camera_that_is_stuck_is_taken_again_when_it_lets_go(picamera2: type[Picamera2]) -> None:
    with open_source("picamera", stall_timeout=0.2) as source:
        assert source.read(5.0) is not None
        picamera2.flowing.clear()
        end = time.monotonic() + 20
        while source.counts.connected and time.monotonic() < end:
            source.read(0.1)
        time.sleep(0.5)  # The camera is in use, by the thread that is stuck: attempts fail.
        assert not source.counts.connected
        picamera2.flowing.set()
        while not source.counts.connected and time.monotonic() < end:
            source.read(0.1)
        counts = source.counts
        assert source.read(5.0) is not None
    assert (counts.stalls, counts.reconnects, counts.abandoned, counts.connected) == (1, 1, 1, True)
    assert len(picamera2.made) == 2
    assert all(camera.closed for camera in picamera2.made)


def test_a_pi_without_a_camera(picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picamera2, "cameras", 0)
    with pytest.raises(SourceError, match=r"picamera: no camera can be started .*; check its cable"):
        picamera.open_picamera(CameraRequest())


def test_a_pi_camera_that_does_not_start_is_closed(picamera2: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Picamera2) -> None:
        raise RuntimeError("Failed to start camera")

    monkeypatch.setattr(picamera2, "start", start)
    with pytest.raises(SourceError, match="Failed to start camera"):
        picamera.open_picamera(CameraRequest())
    assert picamera2.made[0].closed


def test_without_picamera2_the_remedy_is_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with (
        pytest.raises(SourceError, match=r"sudo apt install python3-picamera2.*--system-site-packages"),
        open_source("picamera"),
    ):
        pytest.fail("entered")
