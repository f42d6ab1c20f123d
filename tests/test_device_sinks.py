"""Where results go: lines, pictures and videos."""

from __future__ import annotations

import contextlib
import io
import json
import time
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from device_fake import RedDetector
from PIL import Image

from device_apps import video_writer
from device_apps.results import FrameResult
from device_apps.sinks import (
    AnnotatedImageSink,
    JsonLines,
    LastFrameSink,
    TextLines,
    appending,
    make_folder,
    save_picture,
)
from device_apps.sources.frames import Frame
from device_apps.video_writer import VideoWriter, video_name
from edge_ssd.errors import EdgeSSDError, SettingError


def result(
    sequence: int = 0,
    size: tuple[int, int] = (96, 128),
    name: str = "photo.jpg",
    at: float | None = None,
    grey: int = 90,
) -> FrameResult:
    image = np.full((*size, 3), grey, np.uint8)
    image[40:80, 30:70] = (255, 0, 0)
    captured = time.monotonic() if at is None else at
    return FrameResult(Frame(image, sequence, captured, name), RedDetector().detect(image), {"detect": 3.4567})


def frames_of(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (frame := capture.read())[0]:
        frames.append(frame[1])
    capture.release()
    return frames


def test_a_json_line_holds_everything() -> None:
    stream = io.StringIO()
    JsonLines(stream).write(result(7, at=time.monotonic() - 2.0))
    JsonLines(stream).write(result(8, (5, 5)))
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert list(first) == ["sequence", "source", "time", "width", "height", "detections", "ms"]
    assert (first["sequence"], first["source"], first["width"], first["height"]) == (7, "photo.jpg", 128, 96)
    assert first["ms"] == {"detect": 3.457}
    assert first["detections"] == [{"label": "red", "class_id": 0, "score": 0.875, "box": [30.0, 40.0, 70.0, 80.0]}]
    age = datetime.now(timezone.utc) - datetime.fromisoformat(first["time"])
    assert 1.9 < age.total_seconds() < 30, "the time is that of the capture"
    assert second["detections"] == []


def test_a_text_line() -> None:
    stream = io.StringIO()
    TextLines(stream, numbered=False).write(result())
    TextLines(stream, numbered=True).write(result(4, (5, 5), "clip.mp4"))
    assert stream.getvalue().splitlines() == [
        "photo.jpg  128×96    3.5 ms  red 88% (30, 40, 70, 80)",
        "clip.mp4 #4  5×5    3.5 ms  nothing",
    ]


def test_lines_are_appended_and_visible_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("before\n")
    with appending(path) as file:
        JsonLines(file).write(result())
        assert len(path.read_text().splitlines()) == 2
    assert path.read_text().startswith("before\n{")


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"sequence": 1}\n{"sequ')
    for _ in range(2):
        with appending(path) as file:
            JsonLines(file).write(result())
    lines = path.read_text().splitlines()
    assert lines[:2] == ['{"sequence": 1}', '{"sequ']
    assert [json.loads(line)["sequence"] for line in lines[2:]] == [0, 0]


def test_a_full_disk_is_named() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(EdgeSSDError, match=r"^/dev/full: cannot be written: No space left"), appending(full) as file:
        JsonLines(file).write(result())


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeSSDError, match="cannot write to this file"), appending(tmp_path):
        pytest.fail("opened")


def test_pictures_keep_their_names_and_never_collide(tmp_path: Path) -> None:
    sink = AnnotatedImageSink(tmp_path)
    names = ["in/a.jpg", "in/a.png", "in/a.gif", "in/a.jpeg", "in/a.gif.png", "in/A.JPG", "in/b.tif"]
    for name in names:
        sink.write(result(name=name))
    expected = {"a.jpg", "a.png", "a.gif.png", "a.jpeg", "a.gif.png.png", "A.JPG.png", "b.tif"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert picture.size == (128, 96)


def test_the_snapshot_is_the_last_annotated_frame(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.png"
    sink = LastFrameSink(path)
    sink.save()
    assert not path.exists(), "no frame, no file"
    sink.write(result(0, grey=10))
    last = result(1, grey=200)
    sink.write(last)
    sink.save()
    assert np.array_equal(np.asarray(Image.open(path)), last.annotated)
    assert not np.array_equal(last.annotated, last.frame.image)


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match=r"a\.png: cannot be written"):
        save_picture(tmp_path / "file" / "a.png", result().annotated)
    assert (tmp_path / "file").read_bytes() == b""


def test_unwritable_folders_and_wrong_names_are_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(EdgeSSDError, match=r"file: cannot write to this folder: .*; name another one"):
        make_folder(tmp_path / "file")
    with pytest.raises(EdgeSSDError, match="inside: cannot write to this folder"):
        make_folder(tmp_path / "file" / "inside")
    with pytest.raises(SettingError, match=r"last\.txt: cannot write this kind of picture; end the name in \.jpg"):
        LastFrameSink(tmp_path / "last.txt")
    with pytest.raises(SettingError, match=r"folder\.png: is a folder; name a file"):
        LastFrameSink(tmp_path / "folder.png")
    with pytest.raises(SettingError, match=r"out\.webm: cannot write this kind of video; end the name in \.mp4"):
        VideoWriter(tmp_path / "out.webm", 25, live=False)
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".MP4"])
def test_a_video_of_a_recording_has_each_frame_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, 12.5, live=False) as sink:
        for number in range(10):
            sink.write(result(number, grey=20 * number))
            assert not path.exists(), "no half-written video under its name"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    frames = frames_of(path)
    assert [round(frame[88, 100].mean() / 20) for frame in frames] == list(range(10))
    assert frames[0].shape == (96, 128, 3)
    blue, _, red = frames[3][70, 60].astype(int)
    assert red > 150 > 100 > blue, "red stays red"
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 12.5


def test_a_video_of_a_camera_plays_at_the_speed_of_life(tmp_path: Path) -> None:
    path = tmp_path / "out.avi"
    with VideoWriter(path, 10.0, live=True) as sink:
        for at, grey in ((5.0, 0), (5.1, 40), (5.12, 80), (5.4, 120), (5.5, 160), (60.0, 200)):
            sink.write(result(at=at, grey=grey))
    greys = [round(frame[88, 100].mean() / 40) for frame in frames_of(path)]
    # 0.02 s are too short for a frame of 0.1 s; 0.3 s are three; a pause of 54.5 s is cut to 2.
    assert greys == [0, 1, 3, 3, 3, 4, *[5] * 20]


def test_frames_of_another_size_are_fitted_in_and_said_once(tmp_path: Path) -> None:
    path, lines = tmp_path / "out.avi", list[str]()
    with VideoWriter(path, None, live=False, notice=lines.append) as sink:
        for size in ((96, 128), (48, 128), (200, 20), (96, 128)):
            sink.write(result(size=size, grey=250))
    frames = frames_of(path)
    assert [frame.shape for frame in frames] == [(96, 128, 3)] * 4
    assert frames[1][10].mean() < 10 < 200 < frames[1][48].mean()
    assert frames[2][:, 10].mean() < 10 < 200 < frames[2][60, 62:66].mean()
    assert lines == [f"{path}: frames of 128×48 are fitted into a video of 128×96"]


@pytest.mark.parametrize("size", [(97, 129), (3, 3), (1, 1), (95, 128)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "out.mp4"
    image = np.full((*size, 3), 90, np.uint8)
    with VideoWriter(path, 25, live=False) as sink:
        for number in range(3):
            sink.write(FrameResult(Frame(image, number, 0.0, "x"), RedDetector().detect(image), {"detect": 1.0}))
    frames = frames_of(path)
    assert len(frames) == 3
    assert frames[0].shape == (max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2), 3)


def write_and_fail(path: Path) -> None:
    with contextlib.suppress(RuntimeError), VideoWriter(path, 25, live=False) as sink:
        sink.write(result())
        raise RuntimeError


def test_an_error_leaves_no_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write_and_fail(path)
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_video_of_before(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"an earlier video")
    write_and_fail(path)
    assert path.read_bytes() == b"an earlier video"


def test_no_frames_no_video(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 25, live=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_new_video_is_begun_when_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [10**9]
    monkeypatch.setattr(video_writer, "available_bytes", lambda folder, size: room[0])
    (tmp_path / "out-2.mp4").write_bytes(b"somebody's own")
    with VideoWriter(tmp_path / "out.mp4", 25, live=False) as sink:
        for number in range(5):
            sink.write(result(number))
        room[0] = 0
        with pytest.raises(EdgeSSDError, match=r"out\.mp4: the disk is nearly full, so this video ends after 5 frames"):
            sink.write(result(5))
        assert len(frames_of(tmp_path / "out.mp4")) == 5, "whole at once, not only in the end"
        with pytest.raises(EdgeSSDError, match=r"no room on the disk to record: 0\.0 MB free, 0\.6 MB wanted"):
            sink.write(result(6))
        room[0] = 400_000
        with pytest.raises(EdgeSSDError, match="no room"):  # Enough to go on, too little to begin.
            sink.write(result(7))
        room[0] = 10**9
        sink.write(result(8))
    assert len(frames_of(tmp_path / "out-3.mp4")) == 1
    assert (tmp_path / "out-2.mp4").read_bytes() == b"somebody's own"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_video_that_was_not_written_whole_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    sink = VideoWriter(path, 25, live=False)
    sink.write(result())
    sink._video._writer.release()
    sink._video.temporary.write_bytes(b"")  # As a full disk leaves it.
    with pytest.raises(EdgeSSDError, match=r"out\.mp4: the video was not written whole; is the disk full\?"):
        sink.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [("in/clip.mp4", "clip.mp4"), ("clip.AVI", "clip.AVI"), ("c.webm", "c.webm.mp4"), ("c", "c.mp4")],
)
def test_the_name_of_an_annotated_video(source: str, name: str) -> None:
    assert video_name(source) == name
