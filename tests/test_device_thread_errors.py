"""No thread of a camera ends in silence, and no thread that hangs keeps or aborts the process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from conftest import CLIP, REPOSITORY
from processes import run_python

from device_apps.thread_errors import stop_on_thread_errors
from edge_ssd.errors import EdgeSSDError

_FAIL_IN_A_THREAD = """
import sys, threading; sys.path.insert(0, "tests")
import device_fake
from device_apps import camera_command
make = camera_command.make_detector
def fail(): raise ValueError("broken")
class Detector(device_fake.RedDetector):
    frames = 0
    def detect(self, image):
        self.frames += 1
        if self.frames == 20:
            threading.Thread(target=fail, name="the spare thread").start()
        return super().detect(image)
device_fake.RedDetector = Detector
sys.argv[0] = "edge-ssd"
sys.exit(device_fake.main())
"""

_HANG = """
import atexit, os, sys, threading, time
from edge_ssd import cli
atexit.register(os.abort)
def hang():
    time.sleep(60)
thread = threading.Thread(target=hang, daemon=True)
thread.may_hang = {may_hang}
thread.start()
sys.argv[1:] = {arguments}
print("complete", end="")
sys.exit(cli.main())
"""


# Encoders whose native calls go on and on, as on a machine that is too busy.
_SLOW_ENCODERS = """
import sys; sys.path.insert(0, "tests")
import cv2, numpy as np
import device_fake
from device_apps import video_thread, video_writer
from device_apps.event_clips import encoder
encoder._FLUSH_S = video_thread._FLUSH_SECONDS = video_thread._ABANDON_SECONDS = 0.05
def write(self, result):
    while True:
        cv2.GaussianBlur(np.zeros((64, 64, 3), np.uint8), (0, 0), 3)
video_writer.VideoWriter.write = write
sys.exit(device_fake.main())
"""

_TWO_CAMERAS = """
enter-after = "1f"
max-frames = 12
[[cameras]]
name = "One"
source = "{source}"
loop = true
event-clips = "{folder}/clips"
[[cameras]]
name = "Two"
source = "{source}"
loop = true
save-video = "{folder}/two.mp4"
"""


def fail() -> None:
    raise ValueError("broken")


def test_error_of_a_thread_stops_the_program_and_is_raised() -> None:
    stop = threading.Event()
    closed = []

    def run() -> None:
        with stop_on_thread_errors(stop):
            thread = threading.Thread(target=fail, name="the encoder")
            thread.start()
            thread.join()
            assert stop.is_set()
            closed.append(True)

    with pytest.raises(EdgeSSDError, match="the encoder: failed: ValueError: broken") as raised:
        run()
    assert closed
    assert isinstance(raised.value.__cause__, ValueError)


def test_another_error_takes_precedence() -> None:
    def run() -> None:
        with stop_on_thread_errors(threading.Event()):
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
            raise EdgeSSDError("the first")

    with pytest.raises(EdgeSSDError, match="the first"):
        run()


def test_camera_ends_with_an_error_after_its_events_are_written(tmp_path: Path) -> None:
    options = ["camera", "--headless", "--source", CLIP, "--events", tmp_path / "events", "--enter-after", "0"]
    done = run_python("-c", _FAIL_IN_A_THREAD, *options)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "edge-ssd: error: the spare thread: failed: ValueError: broken" in done.stderr
    assert (tmp_path / "events").exists()


@pytest.mark.parametrize(("arguments", "status"), [(["doctor", "--help"], 0), (["camera", "--no-such"], 2)])
def test_process_with_a_thread_that_hangs_ends_at_once_with_its_status(arguments: list[str], status: int) -> None:
    done = run_python("-c", _HANG.format(may_hang=True, arguments=arguments), cwd=REPOSITORY)
    assert done.returncode == status, done.stderr
    assert done.stdout.startswith("complete")


def test_process_without_such_a_thread_ends_as_usual() -> None:
    done = run_python("-c", _HANG.format(may_hang=False, arguments=["--version"]), cwd=REPOSITORY)
    assert done.returncode == -6


def test_encoders_that_are_still_busy_at_the_end_do_not_abort_the_process(tmp_path: Path) -> None:
    config = tmp_path / "cameras.toml"
    config.write_text(_TWO_CAMERAS.format(source=CLIP, folder=tmp_path))
    done = run_python("-c", _SLOW_ENCODERS, "camera", "--config", config)
    assert done.returncode == 2, done.stderr
    assert "terminate called" not in done.stderr
    assert "clips: the last clip is not finished: " in done.stderr
    assert "two.mp4: the video is not finished: its disk does not respond\n" in done.stderr


def test_every_thread_that_may_be_abandoned_is_marked() -> None:
    paths = [path for path in (REPOSITORY / "device_apps").rglob("*.py") if "daemon=True" in path.read_text("utf-8")]
    # The child process that reads a camera ends with its thread.
    assert sorted(path.name for path in paths) == ["capture_process.py", "daemon_thread.py"]
