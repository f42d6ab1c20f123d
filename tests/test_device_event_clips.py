"""Clips of events: what they show, how long they are, and what is kept of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from clocks import wait_until

from device_apps.event_clips.clip_options import ClipOptions
from device_apps.event_clips.frame_ring import EncodedFrame, FrameRing
from device_apps.event_clips.recorder import ClipRecorder
from device_apps.events.event import Event, EventKind
from device_apps.killed_recordings import lock_recording
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame
from device_apps.video_writer import VideoWriter
from edge_ssd import cli
from edge_ssd.runtime.detections import Detections

SIZE = (48, 64)
# VP8 shows a gray level up to 4 darker, which is 0.4 s; and the last frame is 0.1 s before the end.
GRAY_ERROR_S = 0.5
OPTIONS = ClipOptions(before=2.0, after=1.0, max_seconds=10.0, fps=10.0)


def frame(second: float) -> FrameResult:
    """Return a frame whose gray level is ten times its second."""
    pixels = np.full((*SIZE, 3), round(10 * second) % 256, np.uint8)
    return FrameResult(Frame(pixels, round(10 * second), second, "camera"), Detections.empty(SIZE), {})


def event(kind: EventKind, object_id: int = 1, number: int = 1) -> Event:
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Event("ab", number, kind, object_id, "banana", 0, 0.9, (0, 0, 5, 5), at, "camera", 0)


def record(recorder: ClipRecorder, start: float, end: float) -> None:
    for tenth in range(round(10 * start), round(10 * end)):
        recorder.write(frame(tenth / 10))
        wait_until(lambda: not recorder._encoder._waiting and not recorder._encoder._unwritten)


def seconds_in(path: Path) -> list[float]:
    """Return the second that each frame of a clip shows."""
    capture = cv2.VideoCapture(str(path))
    shown = []
    while (read := capture.read())[0]:
        shown.append(float(read[1].mean()) / 10)
    capture.release()
    return shown


def test_clip_begins_before_the_event_and_ends_after_the_object_left(tmp_path: Path) -> None:
    with ClipRecorder(tmp_path, OPTIONS) as recorder:
        record(recorder, 0, 5)
        path = recorder.clip_for(event("enter"), 5)
        record(recorder, 5, 7)
        assert recorder.clip_for(event("leave"), 7) == path
        record(recorder, 7, 12)
    assert path is not None
    assert list(tmp_path.iterdir()) == [path]
    shown = seconds_in(path)
    assert shown[0] == pytest.approx(3.0, abs=GRAY_ERROR_S)
    assert shown[-1] == pytest.approx(8.0, abs=GRAY_ERROR_S)
    assert len(shown) == pytest.approx(50, abs=4)
    assert re.fullmatch(r"clip-20260101T000000000Z-ab-1\.webm", path.name)


def test_objects_that_are_present_together_share_a_clip(tmp_path: Path) -> None:
    with ClipRecorder(tmp_path, OPTIONS) as recorder:
        record(recorder, 0, 1)
        first = recorder.clip_for(event("enter", 1, 1), 1)
        record(recorder, 1, 2)
        assert recorder.clip_for(event("enter", 2, 2), 2) == first
        recorder.clip_for(event("leave", 1, 3), 2)
        record(recorder, 2, 3.5)
        recorder.clip_for(event("leave", 2, 4), 3.5)
        record(recorder, 3.5, 4)
        assert recorder.clip_for(event("enter", 3, 5), 4) == first, "within the time after"
        recorder.clip_for(event("leave", 3, 6), 4)
        record(recorder, 4, 8)
        second = recorder.clip_for(event("enter", 4, 7), 8)
        record(recorder, 8, 9)
    assert first is not None
    assert second is not None
    assert sorted(tmp_path.iterdir()) == [first, second]
    assert seconds_in(first)[-1] == pytest.approx(5.0, abs=GRAY_ERROR_S)
    assert seconds_in(second)[0] == pytest.approx(6.0, abs=GRAY_ERROR_S)


def test_clip_that_follows_a_full_one_shows_its_event_with_what_is_before_and_after(tmp_path: Path) -> None:
    with ClipRecorder(tmp_path, ClipOptions(before=2.0, after=1.0, max_seconds=4.0)) as recorder:
        first = recorder.clip_for(event("enter", 1, 1), 0)
        record(recorder, 0, 3.6)
        assert recorder.clip_for(event("zone_enter", 1, 2), 3.6) == first
        record(recorder, 3.6, 4.2)
        second = recorder.clip_for(event("line_cross", 1, 3), 4.2)
        assert second is not None
        assert second != first
        assert recorder.is_recording(second.name)
        record(recorder, 4.2, 8)
        last = recorder.clip_for(event("leave", 1, 4), 8)  # After which no frame comes.
    for path, start, end in ((first, 0, 4.6), (second, 2.2, 5.2), (last, 6, 8)):
        assert path is not None
        shown = seconds_in(path)
        assert (shown[0], shown[-1]) == pytest.approx((start, end), abs=GRAY_ERROR_S)


@pytest.mark.parametrize("ring_bytes", [10**7, 10**4])
def test_clip_has_all_frames_that_memory_holds_also_with_a_slow_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring_bytes: int
) -> None:
    proceed, written, most = threading.Semaphore(0), [], 0

    def write(writer: VideoWriter, result: FrameResult) -> None:
        assert proceed.acquire(timeout=30)
        written.append(result.frame.captured_at)

    monkeypatch.setattr(VideoWriter, "write", write)
    with ClipRecorder(tmp_path, replace(OPTIONS, ring_bytes=ring_bytes)) as recorder:
        for tenth in range(60):
            if tenth == 20:
                recorder.clip_for(event("enter"), 2)
            recorder.write(frame(tenth / 10))
            if tenth % 2 == 0:  # Writing takes as long as two frames.
                if tenth >= 20:
                    proceed.release()
                wait_until(lambda: not recorder._encoder._waiting)
            most = max(most, recorder._encoder._unwritten_bytes)
        proceed.release(60)
        wait_until(lambda: not recorder._encoder._unwritten)
    if ring_bytes == 10**7:
        assert written == [tenth / 10 for tenth in range(60)]
    else:
        assert most <= ring_bytes + 1000
        assert len(written) < 50
        assert written == sorted(written)


def test_wide_frames_are_scaled_and_fast_ones_left_out(tmp_path: Path) -> None:
    with ClipRecorder(tmp_path, ClipOptions(max_width=32, fps=5.0)) as recorder:
        path = recorder.clip_for(event("enter"), 0)
        record(recorder, 0, 4)
    assert path is not None
    capture = cv2.VideoCapture(str(path))
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (32, 24)
    capture.release()
    assert len(seconds_in(path)) == pytest.approx(20, abs=3)


def test_ring_is_bounded_by_time_and_by_bytes() -> None:
    ring = FrameRing(seconds=1.0, max_bytes=10**9)
    frames = [EncodedFrame(bytes(1000), at / 10, Detections.empty()) for at in range(30)]
    for encoded in frames:
        ring.add(encoded)
    assert ring.since(0) == frames[-11:]
    assert ring.since(2.5) == frames[-5:]
    small = FrameRing(seconds=100.0, max_bytes=5500)
    for encoded in frames:
        small.add(encoded)
    assert small.total_bytes == 5000
    assert small.since(0) == frames[-5:]


def test_lost_folder_is_one_line_and_the_next_clip_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "clips"
    with ClipRecorder(folder, OPTIONS) as recorder:
        shutil.rmtree(folder)
        folder.write_text("a file in its place")
        for number in range(2):
            recorder.clip_for(event("enter", number, number), 20 * number)
            record(recorder, 20 * number, 20 * number + 1)
            recorder.clip_for(event("leave", number, number), 20 * number + 1)
            record(recorder, 20 * number + 1, 20 * number + 4)
        folder.unlink()
        folder.mkdir()
        recorder.clip_for(event("enter", 9, 9), 50)
        record(recorder, 50, 51)
    assert caplog.text.count("a clip is lost") == 1
    assert "clips can be written again" in caplog.text
    assert len(list(folder.iterdir())) == 1


def test_clip_that_is_larger_than_the_limit_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ClipRecorder(tmp_path, replace(OPTIONS, max_bytes=100)) as recorder:
        recorder.clip_for(event("enter"), 0)
        record(recorder, 0, 0.5)
    assert recorder.lost == 1
    assert caplog.text.count("a clip is lost: it is larger than --event-clips-max-mb allows") == 1
    assert list(tmp_path.iterdir()) == []


def test_clip_that_was_not_finished_is_kept_by_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ClipRecorder(tmp_path, OPTIONS) as recorder:
        path = recorder.clip_for(event("enter"), 0)
        record(recorder, 0, 2)
    assert path is not None
    written, whole = path.read_bytes(), len(seconds_in(path))
    path.unlink()
    # As a killed process leaves them: OpenCV writes what it has now and then, and nothing at first.
    left, empty, busy = (
        tmp_path / f".{path.stem[:-1]}{number}.{process}-0123abcd.webm"
        for number, process in ((1, 1), (2, os.getpid()), (3, 1))
    )
    for file in (left, empty, busy):
        file.write_bytes(b"" if file == empty else written[: len(written) // 2])
        os.utime(file, (time.time() - 60,) * 2)  # A process of now has the number of the one before the restart.
    with busy.open("rb") as locked:
        lock_recording(locked)
        with ClipRecorder(tmp_path, OPTIONS) as recorder:
            assert recorder.find(path.name) == path
    assert sorted(tmp_path.iterdir()) == [busy, path]
    assert 0 < len(seconds_in(path)) < whole
    assert [message.split(": ")[1].split(" when")[0] for message in caplog.messages] == ["was not finished"] * 2
    assert ["is kept" in message for message in caplog.messages] == [True, False]


NAME = re.compile(r"clip-\d+\.webm")


def test_oldest_files_go_and_others_stay(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"clip-{number}.webm").write_bytes(bytes(100))
    (tmp_path / "notes.txt").write_bytes(bytes(5000))
    (tmp_path / ".clip-7.99999999-0123abcd.webm").write_bytes(b"of a killed process")
    folder = QuotaFolder(tmp_path, NAME, max_bytes=350)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clip-2.webm",
        "clip-3.webm",
        "clip-4.webm",
        "notes.txt",
    ]
    folder.make_room(200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-4.webm", "notes.txt"]


def test_old_files_go(tmp_path: Path) -> None:
    for number, age in enumerate((3600, 1800, 10)):
        path = tmp_path / f"clip-{number}.webm"
        path.write_bytes(b"a")
        os.utime(path, (time.time() - age,) * 2)
    QuotaFolder(tmp_path, NAME, 10**9, max_age=2000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-1.webm", "clip-2.webm"]


def test_age_is_that_of_each_file_and_no_matter_of_the_clock_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, age in enumerate((10, 3600)):  # The clock was ahead when the second was recorded, or set back since.
        path = tmp_path / f"clip-{number}.webm"
        path.write_bytes(b"a")
        os.utime(path, (time.time() - age,) * 2)
    folder = QuotaFolder(tmp_path, NAME, 10**9, max_age=2000)
    (tmp_path / "clip-2.webm").write_bytes(b"a")
    folder.add(tmp_path / "clip-2.webm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-0.webm", "clip-2.webm"]
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 1e8)  # A board without a clock gets the time from the network.
    folder.make_room(0)
    assert [path.name for path in tmp_path.iterdir()] == ["clip-2.webm"]


def test_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "clip-0.webm").write_bytes(b"a")
    folder = QuotaFolder(tmp_path / "clips", NAME, 10**9)
    shutil.rmtree(tmp_path / "clips")
    with pytest.raises(FileNotFoundError, match="the folder is gone; make it again"):
        folder.make_room(0)


def test_nearly_full_disk_costs_the_oldest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / f"clip-{number}.webm").write_bytes(bytes(100))

    def usage(path: Path) -> object:
        used = sum(entry.stat().st_size for entry in tmp_path.iterdir())
        return type("Usage", (), {"free": 100 * 2**20 + 250 - used})

    monkeypatch.setattr("shutil.disk_usage", usage)
    QuotaFolder(tmp_path, NAME, 10**9)
    assert len(list(tmp_path.iterdir())) == 2


CLIP = Path(__file__).resolve().parents[1] / "device_apps" / "clips" / "bananas.mp4"


def test_camera_records_the_clip_that_its_events_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "clips"
    options = ["--headless", "--model", "banana-nano", "--events", "-", "--event-clips", str(folder)]
    assert cli.main(["camera", "--source", str(CLIP), *options]) == 0
    output, errors = capfd.readouterr()
    events = [json.loads(line) for line in output.splitlines()]
    assert len(events) >= 2
    (path,) = {event["clip"] for event in events}
    assert list(folder.iterdir()) == [Path(path)]
    assert len(seconds_in(Path(path))) > 10
    assert "FFMPEG" not in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--clip-before", "90"], "--clip-max-seconds must be above --clip-before"),
        (["--clip-after", "-1"], "--clip-after"),
        (["--event-clips-days", "7"], "needs --event-clips"),
    ],
)
def test_invalid_options_are_one_line(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    assert cli.main(["camera", "--headless", *options]) == 2
    assert message in capsys.readouterr().err
