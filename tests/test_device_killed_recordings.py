"""Recordings of processes that are killed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from processes import start_python
from test_device_sinks import result

from device_apps.killed_recordings import keep_killed_recordings, unused_path
from device_apps.mp4_fragments import FragmentedMp4, end_of_fragments
from device_apps.sources.video_file import truncation_error
from device_apps.video_writer import VideoWriter

# Writes about 30 frames a second, and the time of each.
RECORDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_device_sinks import result
from device_apps.video_writer import VideoWriter
with VideoWriter(Path(sys.argv[1]), 30, live=True) as sink:
    for number in range(10_000):
        at = time.monotonic()
        sink.write(result(number, at=at, gray=number % 200))
        print(at, flush=True)
        time.sleep(0.03)
"""


def frames_of(path: Path) -> list[float]:
    """Return the time of each frame, in seconds."""
    capture, times = cv2.VideoCapture(str(path)), []
    while capture.read()[0]:
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return times


def record_and_kill(path: Path, seconds: float) -> list[float]:
    """Return the times of the frames that were written by a process that is killed after about ``seconds``."""
    process = start_python("-c", RECORDER, path, Path(__file__).parent, stderr=None)
    times = [float(process.stdout.readline())]
    while times[-1] - times[0] < seconds:
        times.append(float(process.stdout.readline()))
    process.kill()
    times += [float(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    return [at - times[0] for at in times]


def test_killed_recording_can_be_played_up_to_the_last_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "seen.mp4"
    moments = random.Random(7)
    for number in range(2, 7):
        written = record_and_kill(path, moments.uniform(1.2, 3.0))
        assert not path.exists()
        caplog.clear()
        VideoWriter(path, 30, live=True)
        kept = tmp_path / f"seen-{number}.mp4"
        assert caplog.messages == [f"{path}: a recording of a killed process is kept as {kept}"]
        assert truncation_error(kept) is None
        times = frames_of(kept)
        assert times == pytest.approx(written[: len(times)], abs=0.003)
        lost = written[-1] - times[-1]
        longest_pause = max(np.diff(written))  # A segment is appended when the next frame comes.
        assert lost <= 0.8 + longest_pause + 0.1
    assert len(list(tmp_path.iterdir())) == 5, "no temporary file remains"


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_other_formats_are_kept_as_they_are(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"seen{suffix}"
    record_and_kill(path, 0.5)
    VideoWriter(path, 30, live=True)
    assert [entry.name for entry in tmp_path.iterdir()] in ([f"seen-2{suffix}"], [])


def test_recording_of_a_running_process_is_left(tmp_path: Path) -> None:
    """Of this one, which has the lock, and of another one."""
    path = tmp_path / "seen.mp4"
    with VideoWriter(path, 30, live=True) as sink:
        sink.write(result(1))
        keep_killed_recordings(path)
        (temporary,) = [entry for entry in tmp_path.iterdir() if ".part" not in entry.name]
        foreign = tmp_path / f".seen.{os.getppid()}-0123abcd.mp4"
        foreign.write_bytes(temporary.read_bytes())
        keep_killed_recordings(path)
        assert foreign.exists()
        foreign.unlink()
    assert [entry.name for entry in tmp_path.iterdir()] == ["seen.mp4"]
    assert len(frames_of(path)) == 1


def test_recording_is_kept_when_another_process_has_the_number_of_the_killed_one(tmp_path: Path) -> None:
    """As after a restart of the machine."""
    path = tmp_path / "seen.avi"
    killed = tmp_path / f".seen.{os.getppid()}-0123abcd.avi"
    killed.write_bytes(b"RIFF")
    yesterday = time.time() - 86_400
    os.utime(killed, (yesterday, yesterday))
    keep_killed_recordings(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["seen-2.avi"]


def test_stalled_recording_of_a_running_process_is_left(tmp_path: Path) -> None:
    path = tmp_path / "seen.mp4"
    with VideoWriter(path, 30, live=True) as sink:
        sink.write(result(1))
        entries = set(tmp_path.iterdir())
        for entry in entries:
            os.utime(entry, (1e9, 1e9))
        keep_killed_recordings(path)
        assert set(tmp_path.iterdir()) == entries
    assert len(frames_of(path)) == 1


def test_leftovers_that_cannot_be_played_are_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "seen.mp4"
    for name in (".seen.99999999-0123abcd.mp4", ".seen-2.99999999-0123abcd.mp4", ".seen.99999999-0123abcd.part.mp4"):
        (tmp_path / name).write_bytes(b"\0\0\0\x10ftypisom")
    others = {".seen.mp4", ".unseen.99999999-0123abcd.mp4", ".seen.99999999-0123abcd.avi", "seen.1-0123abcd.mp4"}
    for name in others:
        (tmp_path / name).write_bytes(b"")
    keep_killed_recordings(path)
    assert {entry.name for entry in tmp_path.iterdir()} == others
    assert caplog.messages == [f"{path}: a recording of a killed process cannot be played; removed"] * 2


def test_unused_path_is_the_next_number(tmp_path: Path) -> None:
    assert unused_path(tmp_path / "a.mp4").name == "a-2.mp4"
    (tmp_path / "a-2.mp4").touch()
    assert unused_path(tmp_path / "a.mp4").name == "a-3.mp4"


def segment_at(path: Path, frames: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for number in range(frames):
        writer.write(np.full((48, 64, 3), 8 * number, np.uint8))
    writer.release()
    return path


def test_every_prefix_of_a_recording_can_be_played_up_to_its_last_fragment(tmp_path: Path) -> None:
    path, starts, complete = tmp_path / "a.mp4", [0, 100, 150], {}
    with path.open("wb+", buffering=0) as file:
        recording = FragmentedMp4(file)
        for number in range(4):
            recording.append(segment_at(tmp_path / "s.mp4", 3), [600 * number + start for start in starts])
            complete[file.tell()] = 3 * (number + 1)
        content = path.read_bytes()
        for size in range(0, len(content) + 1, 37):
            (tmp_path / "cut.mp4").write_bytes(content[:size])
            with (tmp_path / "cut.mp4").open("rb") as cut:
                assert end_of_fragments(cut) == max((end for end in complete if end <= size), default=0)
        for end, frames in complete.items():
            (tmp_path / "cut.mp4").write_bytes(content[:end])
            assert len(frames_of(tmp_path / "cut.mp4")) == frames
        assert frames_of(path) == pytest.approx(
            [0.6 * number + start / 1000 for number in range(4) for start in starts], abs=0.002
        )
        recording.finish()
    assert truncation_error(path) is None
    assert frames_of(path) == pytest.approx([number / 10 for number in range(12)], abs=1e-6)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) == 12


@pytest.mark.parametrize("damage", [0, 100, -4, -100])
def test_segments_that_are_not_as_expected_are_refused(tmp_path: Path, damage: int) -> None:
    content = segment_at(tmp_path / "s.mp4", 3).read_bytes()
    (tmp_path / "s.mp4").write_bytes(content[:damage] if damage <= 0 else content + b"\xff" * damage)
    with (tmp_path / "a.mp4").open("wb+", buffering=0) as file, pytest.raises(ValueError, match=r"its|it has"):
        FragmentedMp4(file).append(tmp_path / "s.mp4", [0, 100, 200, 300] if damage > 0 else [0, 100, 200])


def test_idle_writes_what_has_waited(tmp_path: Path) -> None:
    path = tmp_path / "seen.mp4"
    with VideoWriter(path, 30, live=True) as sink:
        for number in range(3):
            sink.write(result(number, at=number / 30))
        time.sleep(0.9)
        sink.idle()
        (temporary,) = tmp_path.iterdir()
        assert len(frames_of(temporary)) == 3
