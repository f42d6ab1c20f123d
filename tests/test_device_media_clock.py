"""The time of a recording, from literals and from real files of varying rate."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from processes import FAKE, run_python

from device_apps.mp4_times import set_frame_durations
from device_apps.sources.media_clock import MediaClock
from device_apps.sources.open_source import open_source
from device_apps.sources.opencv import load_opencv


def write_video(path: Path, milliseconds: list[int], red: int = 0) -> Path:
    """Write a video whose frames are shown for these times; the first ``red`` have a red square."""
    cv2 = load_opencv()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (96, 64))
    for number in range(len(milliseconds)):
        frame = np.full((64, 96, 3), 90, np.uint8)
        if number < red:
            frame[20:44, 30:60] = (0, 0, 255)
        writer.write(frame)
    writer.release()
    set_frame_durations(path, milliseconds)
    return path


def times(stamps: list[float], fps: float | None = 10.0) -> list[float]:
    clock = MediaClock(fps)
    result = []
    for stamp in stamps:
        clock.advance(stamp)
        result.append(round(clock.seconds, 6))
    return result


def test_time_stamps_are_the_time() -> None:
    assert times([0.0, 0.5, 3.0, 3.1]) == [0.0, 0.5, 3.0, 3.1]


def test_frames_without_time_stamps_follow_at_the_frame_rate() -> None:
    assert times([0.0] * 4) == [0.0, 0.1, 0.2, 0.3]
    assert times([0.0] * 3, fps=None) == [0.0, 0.04, 0.08]
    assert times([0.0, math.nan, math.nan]) == [0.0, 0.1, 0.2]


def test_time_stamps_that_begin_again_continue() -> None:
    assert times([5.0, 6.0, 0.0, 1.0, 2.0, 0.0]) == [5.0, 6.0, 6.1, 7.1, 8.1, 8.2]


def test_equal_time_stamps_do_not_shift_later_ones() -> None:
    assert times([0.0, 1.0, 1.0, 2.0]) == [0.0, 1.0, 1.1, 2.0]


def test_recording_of_varying_rate_is_timed_by_its_time_stamps(tmp_path: Path) -> None:
    durations = [1000, 1000, 33, 33, 500, 40]
    with open_source(str(write_video(tmp_path / "a.mp4", durations))) as source:
        measured = [frame.time for frame in source]
    assert measured == pytest.approx([0.0, 1.0, 2.0, 2.033, 2.066, 2.566])


def test_folder_of_images_is_timed_by_their_number(tmp_path: Path) -> None:
    cv2 = load_opencv()
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    with open_source(str(tmp_path)) as source:
        assert [frame.time for frame in source] == [0.0, 1.0, 2.0]


def test_events_of_a_recording_of_varying_rate_have_its_durations(tmp_path: Path) -> None:
    """The object is in view for 9 s at one frame a second, then 5 s follow at 30 frames a second."""
    path = write_video(tmp_path / "a.mp4", [1000] * 10 + [33] * 150, red=10)
    done = run_python(FAKE, "camera", "--headless", "--source", path, "--events", "-")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["kind"] for event in events] == ["enter", "leave"]
    assert events[1]["duration_s"] == pytest.approx(9.0)
    assert events[1]["reason"] == "unseen"
    assert events[1]["sequence"] == 10 + math.ceil(1000 / 33)


@pytest.mark.parametrize("size", [0, 40])
def test_set_frame_durations_refuses_other_files(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(size))
    with pytest.raises(ValueError, match="index is not at the end"):
        set_frame_durations(tmp_path / "a.mp4", [1])


def test_set_frame_durations_needs_one_for_each_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [100] * 5)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="it has 5 frames, not 4"):
        set_frame_durations(path, [100] * 4)
    assert path.read_bytes() == before
