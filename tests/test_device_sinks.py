"""Sinks that write lines and images; checks of output files."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from device_fake import RedDetector
from PIL import Image

from device_apps.events.jsonl import open_json_lines
from device_apps.results import FrameResult
from device_apps.retrying_sink import is_transient
from device_apps.sinks import (
    AnnotatedImageSink,
    JsonLinesSink,
    LastFrameSink,
    TextLinesSink,
    make_folder,
    open_for_append,
    save_image,
)
from device_apps.sources.frames import Frame
from device_apps.video_writer import VideoWriter
from edge_ssd.errors import EdgeSSDError, SettingError


def result(
    sequence: int = 0,
    size: tuple[int, int] = (96, 128),
    name: str = "photo.jpg",
    at: float | None = None,
    gray: int = 90,
) -> FrameResult:
    image = np.full((*size, 3), gray, np.uint8)
    image[40:80, 30:70] = (255, 0, 0)
    captured = time.monotonic() if at is None else at
    return FrameResult(Frame(image, sequence, captured, name), RedDetector().detect(image), {"detect": 3.4567})


def test_json_line_has_all_fields() -> None:
    stream = io.StringIO()
    JsonLinesSink(stream).write(result(7, at=time.monotonic() - 2.0))
    JsonLinesSink(stream).write(result(8, (5, 5)))
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert list(first) == ["sequence", "source", "time", "width", "height", "detections", "ms"]
    assert (first["sequence"], first["source"], first["width"], first["height"]) == (7, "photo.jpg", 128, 96)
    assert first["ms"] == {"detect": 3.457}
    assert first["detections"] == [{"label": "red", "class_id": 0, "score": 0.875, "box": [30.0, 40.0, 70.0, 80.0]}]
    age = datetime.now(timezone.utc) - datetime.fromisoformat(first["time"])
    assert 1.9 < age.total_seconds() < 30, "the time is the time of capture"
    assert second["detections"] == []


def test_text_line() -> None:
    stream = io.StringIO()
    TextLinesSink(stream, numbered=False).write(result())
    TextLinesSink(stream, numbered=True).write(result(4, (5, 5), "clip.mp4"))
    assert stream.getvalue().splitlines() == [
        "photo.jpg  128×96    3.5 ms  red 88% (30, 40, 70, 80)",
        "clip.mp4 #4  5×5    3.5 ms  nothing",
    ]


def test_lines_are_appended_and_flushed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("before\n")
    with open_for_append(path) as file:
        JsonLinesSink(file).write(result())
        assert len(path.read_text().splitlines()) == 2
    assert path.read_text().startswith("before\n{")


def test_partial_last_line_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"sequence": 1}\n{"sequ')
    for _ in range(2):
        with open_for_append(path) as file:
            JsonLinesSink(file).write(result())
    lines = path.read_text().splitlines()
    assert lines[:2] == ['{"sequence": 1}', '{"sequ']
    assert [json.loads(line)["sequence"] for line in lines[2:]] == [0, 0]


def test_full_disk_is_reported() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with (
        pytest.raises(EdgeSSDError, match=r"^/dev/full: cannot be written: No space left"),
        open_for_append(full) as file,
    ):
        JsonLinesSink(file).write(result())


def test_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EdgeSSDError, match="cannot write to this file"), open_for_append(tmp_path):
        pytest.fail("opened")


def test_annotated_images_keep_their_names_without_collisions(tmp_path: Path) -> None:
    sink = AnnotatedImageSink(tmp_path)
    names = ["in/a.jpg", "in/a.png", "in/a.gif", "in/a.jpeg", "in/a.gif.png", "in/A.JPG", "in/b.tif"]
    for name in names:
        sink.write(result(name=name))
    expected = {"a.jpg", "a.png", "a.gif.png", "a.jpeg", "a.gif.png.png", "A.JPG.png", "b.tif"}
    assert {path.name for path in tmp_path.iterdir()} == expected
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert image.size == (128, 96)


def test_last_frame_sink_saves_the_last_annotated_frame(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.png"
    sink = LastFrameSink(path)
    sink.save()
    assert not path.exists(), "no frame, no file"
    sink.write(result(0, gray=10))
    last = result(1, gray=200)
    sink.write(last)
    sink.save()
    assert np.array_equal(np.asarray(Image.open(path)), last.annotated)
    assert not np.array_equal(last.annotated, last.frame.image)


def test_image_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match=r"a\.png: cannot be written"):
        save_image(tmp_path / "file" / "a.png", result().annotated)
    assert (tmp_path / "file").read_bytes() == b""


def test_unwritable_folders_and_unsupported_suffixes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(EdgeSSDError, match=r"file: cannot write to this folder: .*; name another one"):
        make_folder(tmp_path / "file")
    with pytest.raises(EdgeSSDError, match="inside: cannot write to this folder"):
        make_folder(tmp_path / "file" / "inside")
    with pytest.raises(SettingError, match=r"last\.txt: unsupported image format; use \.bmp, "):
        LastFrameSink(tmp_path / "last.txt")
    with pytest.raises(SettingError, match=r"folder\.png: is a folder; name a file"):
        LastFrameSink(tmp_path / "folder.png")
    with pytest.raises(SettingError, match=r"out\.mov: unsupported video format; use \.avi, \.mkv, \.mp4, \.webm"):
        VideoWriter(tmp_path / "out.mov", 25, live=False)
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_reader_that_does_not_read_is_waited_for_until_the_end() -> None:
    """SIGTERM would not end a write to a pipe that is full."""
    stop = threading.Event()
    reader, writer = os.pipe()
    shown = result(name="x" * 9000)  # A line that is longer than what a pipe takes at once.
    with os.fdopen(reader, encoding="utf-8") as lines, os.fdopen(writer, "w", encoding="utf-8") as stream:
        sink = JsonLinesSink(stream, stop=stop)
        threading.Timer(0.3, stop.set).start()
        written: list[bool] = []

        def fill() -> None:
            while True:
                sink.write(shown)
                written.append(True)

        with pytest.raises(EdgeSSDError, match="cannot be written: its reader does not read") as caught:
            fill()
        assert is_transient(caught.value), "the other outputs go on"
        stop.clear()
        received = threading.Thread(target=lambda: [lines.readline() for _ in range(len(written) + 1)], daemon=True)
        received.start()
        sink.write(shown)
        received.join(30)
        assert not received.is_alive()


def test_pipe_without_a_reader_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(EdgeSSDError, match="no program reads this pipe; start its reader first"):
        open_json_lines(str(pipe), 10**6, 1)
    with (
        pytest.raises(EdgeSSDError, match="no program reads this pipe; start its reader first"),
        open_for_append(pipe),
    ):
        pass
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(reader, encoding="utf-8") as lines, open_for_append(pipe) as stream:
        JsonLinesSink(stream, stop=threading.Event()).write(result())
        assert json.loads(lines.readline())["source"] == "photo.jpg"
