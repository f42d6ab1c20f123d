"""Annotated videos."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from device_fake import RedDetector
from test_device_sinks import result

from device_apps.results import FrameResult
from device_apps.sources.frames import Frame
from device_apps.video_writer import VideoWriter, video_name
from edge_ssd.errors import EdgeSSDError


def frames_of(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        frames.append(frame[1])
    capture.release()
    return frames


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".MP4"])
def test_video_of_a_recording_has_each_frame_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, 12.5, live=False) as sink:
        for number in range(10):
            sink.write(result(number, gray=20 * number))
            assert not path.exists(), "no partial video under its name"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    frames = frames_of(path)
    assert [round(frame[88, 100].mean() / 20) for frame in frames] == list(range(10))
    assert frames[0].shape == (96, 128, 3)
    blue, _, red = frames[3][70, 60].astype(int)
    assert red > 150 > 100 > blue, "red stays red"
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 12.5


def test_video_of_a_live_source_plays_in_real_time(tmp_path: Path) -> None:
    path = tmp_path / "out.avi"
    with VideoWriter(path, 10.0, live=True) as sink:
        for at, gray in ((5.0, 0), (5.1, 40), (5.12, 80), (5.4, 120), (5.5, 160), (60.0, 200)):
            sink.write(result(at=at, gray=gray))
    grays = [round(frame[88, 100].mean() / 40) for frame in frames_of(path)]
    # 0.02 s are too short for a frame of 0.1 s; 0.3 s are three frames; a pause of 54.5 s is cut to 2 s.
    assert grays == [0, 1, 3, 3, 3, 4, *[5] * 20]


def times_of(path: Path) -> list[float]:
    capture, times = cv2.VideoCapture(str(path)), []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return times


def test_mp4_of_a_live_source_has_each_frame_once_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 30.0, live=True) as sink:
        for number, at in enumerate((5.0, 5.1, 5.12, 5.4, 5.5, 60.0)):
            sink.write(result(at=at, gray=40 * number))
    assert [round(frame[88, 100].mean() / 40) for frame in frames_of(path)] == list(range(6))
    # A pause of 54.5 s is cut to 2 s.
    assert times_of(path) == pytest.approx([0.0, 0.1, 0.12, 0.4, 0.5, 2.5], abs=1e-6)


def test_mp4_of_a_recording_of_varying_rate_has_its_times(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    times = [0.0, 1.0, 9.0, 9.033, 9.5]
    with VideoWriter(path, 10.0, live=False) as sink:
        for time in times:
            plain = result()
            sink.write(FrameResult(replace(plain.frame, time=time), plain.detections, {}))
    assert times_of(path) == pytest.approx(times, abs=1e-6)


def test_mp4_of_a_folder_of_images_has_fifteen_a_second(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, None, live=False) as sink:
        for number in range(5):
            plain = result()
            sink.write(FrameResult(replace(plain.frame, time=float(number)), plain.detections, {}))
    assert times_of(path) == pytest.approx([number / 15 for number in range(5)], abs=1e-3)


def test_mp4_of_a_recording_of_constant_rate_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 30000 / 1001, live=False) as sink:
        for number in range(40):
            plain = result()
            stamp = round(number * 1.001 / 30, 3)  # As Matroska rounds it.
            sink.write(FrameResult(replace(plain.frame, time=stamp), plain.detections, {}))
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == pytest.approx(29.97, abs=1e-4)


def test_frames_of_another_size_are_scaled_and_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "out.avi"
    with VideoWriter(path, None, live=False) as sink:
        for size in ((96, 128), (48, 128), (200, 20), (96, 128)):
            sink.write(result(size=size, gray=250))
    frames = frames_of(path)
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 4
    assert frames[1][10].mean() < 10 < 200 < frames[1][48].mean()
    assert frames[2][:, 10].mean() < 10 < 200 < frames[2][60, 62:66].mean()
    assert caplog.messages == [f"{path}: frames of 128×48 are scaled to fit the video of 128×96"]


@pytest.mark.parametrize("size", [(97, 129), (3, 3), (1, 1), (95, 128)])
def test_odd_sizes_are_cropped_to_even(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "out.mp4"
    image = np.full((*size, 3), 90, np.uint8)
    with VideoWriter(path, 25, live=False) as sink:
        for number in range(3):
            sink.write(FrameResult(Frame(image, number, 0.0, "x"), RedDetector().detect(image), {"detect": 1.0}))
    frames = frames_of(path)
    assert len(frames) == 3
    assert frames[0].shape == (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2), 3)


@pytest.mark.parametrize("previous", [{}, {"out.mp4": b"an earlier video"}])
def test_error_leaves_no_video_and_keeps_the_previous_one(tmp_path: Path, previous: dict[str, bytes]) -> None:
    for name, data in previous.items():
        (tmp_path / name).write_bytes(data)
    with contextlib.suppress(RuntimeError), VideoWriter(tmp_path / "out.mp4", 25, live=False) as sink:
        sink.write(result())
        raise RuntimeError
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == previous


def test_error_of_another_output_keeps_what_was_recorded(tmp_path: Path) -> None:
    with contextlib.suppress(EdgeSSDError), VideoWriter(tmp_path / "out.mp4", 25, live=False) as sink:
        for number in range(4):
            sink.write(result(number))
        raise EdgeSSDError("the spool cannot be written")
    assert len(frames_of(tmp_path / "out.mp4")) == 4


def test_no_video_is_written_without_frames(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 25, live=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_new_video_is_started_when_there_is_space_again(tmp_path: Path) -> None:
    free = 10**9
    (tmp_path / "out-2.mp4").write_bytes(b"another file")
    with VideoWriter(tmp_path / "out.mp4", 25, live=False, free_bytes=lambda folder, size: free) as sink:
        for number in range(5):
            sink.write(result(number))
        free = 0
        with pytest.raises(EdgeSSDError, match=r"out\.mp4: the disk is nearly full, so this video ends after 5 frames"):
            sink.write(result(5))
        assert len(frames_of(tmp_path / "out.mp4")) == 5, "complete immediately, not only at the end"
        with pytest.raises(EdgeSSDError, match=r"not enough disk space to record: 0\.0 MB free, 0\.6 MB needed"):
            sink.write(result(6))
        free = 400_000
        with pytest.raises(EdgeSSDError, match="not enough"):  # Enough to go on, too little to start.
            sink.write(result(7))
        free = 10**9
        sink.write(result(8))
    assert len(frames_of(tmp_path / "out-3.mp4")) == 1
    assert (tmp_path / "out-2.mp4").read_bytes() == b"another file"
    assert len(list(tmp_path.iterdir())) == 3


def test_incomplete_video_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoWriter(path, 25, live=False)
    sink.write(result())
    sink._video._writer.release()
    sink._video.temporary.write_bytes(b"")  # As after a full disk.
    with pytest.raises(EdgeSSDError, match=r"out\.mp4: the video is incomplete; is the disk full\?"):
        sink.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("in/clip.mp4", "clip.mp4"),
        ("clip.AVI", "clip.AVI"),
        ("c.webm", "c.webm"),
        ("c.mov", "c.mov.mp4"),
        ("c", "c.mp4"),
    ],
)
def test_video_name(source: str, name: str) -> None:
    assert video_name(source) == name
