"""A device that is read in a child process, which hangs, crashes or is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from clocks import wait_until
from failing_cameras import FailingCamera
from processes import FAKE, start_python

from device_apps.sources.capture import CaptureSource
from device_apps.sources.capture_process import ProcessReader
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="shared memory is Linux's")


def reader_of(failure: str = "", frames: int = 3, seconds: float = 30.0) -> ProcessReader:
    return ProcessReader(partial(FailingCamera, failure, frames), "camera 7", open_seconds=30.0, read_seconds=seconds)


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_frames_of_any_size_arrive_unchanged(capfd: pytest.CaptureFixture[str]) -> None:
    reader = reader_of()
    assert (reader.live, reader.fps, reader.time) == (True, 12.5, None)
    frames = [reader.read() for _ in range(3)]
    assert [frame.shape for frame in frames] == [(1, 4, 3), (2, 4, 3), (3, 4, 3)]
    assert [int(frame.min()) for frame in frames] == [int(frame.max()) for frame in frames] == [1, 2, 3]
    assert reader.read() is None
    reader.close()
    assert capfd.readouterr() == ("", "a library prints to standard output\n")


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("unplugged", "^camera 7: unplugged$"),
        ("bug", "reading the camera failed: ValueError: no such format"),
        ("abort", "camera 7: the process that reads the camera ended by SIGABRT"),
        ("kill", "ended by SIGKILL"),
        ("exit", "ended with status 3"),
    ],
)
@pytest.mark.parametrize("frames", [-1, 1])
def test_failure_of_the_child_is_an_error(failure: str, message: str, frames: int) -> None:
    def read_twice() -> None:
        reader = reader_of(failure, frames)
        try:
            reader.read()
            reader.read()
        finally:
            reader.close()

    with pytest.raises(SourceError, match=message):
        read_twice()


def test_library_that_hangs_is_ended() -> None:
    reader = reader_of("hang", frames=1, seconds=0.3)
    assert reader.read() is not None
    pid = reader._child.pid
    with pytest.raises(SourceError, match=r"no answer from the camera for 0\.3 s"):
        reader.read()
    assert not is_running(pid)
    reader.close()


def test_library_that_hangs_while_it_is_closed_is_ended() -> None:
    reader = reader_of("hang at close")
    reader.close()
    assert reader._child.returncode == -signal.SIGKILL


def test_camera_that_hangs_again_and_again_comes_back_each_time() -> None:
    timeouts = CaptureTimeouts(stall=0.3, retry_pause=lambda attempt: 0.05)
    opened = partial(ProcessReader, partial(FailingCamera, "hang", 5), "camera 7", open_seconds=30.0, read_seconds=0.35)
    with CaptureSource(opened, "camera 7", timeouts=timeouts) as source:
        end = time.monotonic() + 60
        while source.counts.reconnects < 3 and time.monotonic() < end:
            source.read(0.1)
        assert source.counts.reconnects >= 3
        assert source.counts.frames >= 15


@pytest.mark.parametrize(("failure", "frames"), [("", 1), ("exit", 1), ("hang", 1), ("unplugged", -1)])
def test_reader_leaves_no_descriptor(failure: str, frames: int) -> None:
    def read_all() -> None:
        reader = reader_of(failure, frames, seconds=0.2)
        try:
            while reader.read() is not None:
                pass
        finally:
            reader.close()

    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        try:
            read_all()
        except SourceError as error:
            kept = error  # With its traceback, as the watchdog keeps it.
    assert len(list(Path("/proc/self/fd").iterdir())) == before, kept if failure else ""


def test_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; sys.path.insert(0, 'tests'); from test_device_capture_process import reader_of;"
        "r = reader_of('hang', 1); r.read(); print(r._child.pid, flush=True); r.read()"
    )
    parent = start_python("-c", script)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_running(pid))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_camera_command_with_a_csi_camera_that_hangs(tmp_path: Path, number: int) -> None:
    """It mends itself, and a signal ends it and its children in time, whatever the camera does."""
    stand_in = "from picamera2_stand_in import Picamera2 as Base\nimport threading\n"
    stand_in += "class Picamera2(Base):\n    frames = 0\n    flowing = threading.Event()\n    flowing.set()\n"
    stand_in += "    def capture_array(self, name='main'):\n        self.frames += 1\n"
    stand_in += "        if self.frames > 20:\n            threading.Event().wait()\n"
    stand_in += "        return super().capture_array(name)\n"
    (tmp_path / "picamera2.py").write_text(stand_in)
    path = os.pathsep.join([str(tmp_path), str(FAKE.parent)])
    process = start_python(
        FAKE, "camera", "--source", "picamera", "--headless", "--stall-timeout", 0.3, "--jsonl", "-",
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert process.stdout is not None
    sequences = [json.loads(process.stdout.readline())["sequence"] for _ in range(45)]
    start = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - start < 2
    assert process.returncode == 0, err
    assert sequences == sorted(set(sequences))
    assert "picamera: no frame for 0.3 s; reconnecting" in err
    assert "picamera: is back, reconnected" in err
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listing
