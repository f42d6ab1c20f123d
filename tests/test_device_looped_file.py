"""Files that are repeated as a live source (``camera --loop``)."""

from __future__ import annotations

import logging
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stream_servers import number_of
from test_device_video_file import make_video

from device_apps.sources.frames import Frame
from device_apps.sources.open_source import open_source
from edge_ssd import cli
from edge_ssd.errors import SettingError, SourceError

FRAMES = 6


def read(path: Path, number: int, **options: object) -> list[Frame]:
    with open_source(str(path), loop=True, **options) as source:
        assert source.live
        return list(islice(source, number))


def test_video_begins_again_at_its_end(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.avi", "MJPG", FRAMES)
    start = time.monotonic()
    frames = read(video, 2 * FRAMES + 3, fps=50)
    assert time.monotonic() - start > 2 * FRAMES / 50, "at its own speed"
    numbers = [number_of(frame.image) + FRAMES * (frame.sequence // FRAMES) for frame in frames]
    assert numbers == [frame.sequence for frame in frames], "in order, from the start again"
    assert all(frame.time is None for frame in frames), "live"


def test_video_plays_at_its_own_speed(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.avi", "MJPG", FRAMES)  # 25 frames a second
    start = time.monotonic()
    frames = read(video, FRAMES)
    assert (frames[-1].sequence - 1) / 25 <= time.monotonic() - start


@pytest.mark.parametrize("whole_folder", [True, False])
def test_images_are_repeated(tmp_path: Path, whole_folder: bool) -> None:
    for name, value in (("a.png", 10), ("b.png", 200)):
        Image.fromarray(np.full((40, 50, 3), value, np.uint8)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"not an image")
    values = [int(frame.image[0, 0, 0]) for frame in read(tmp_path if whole_folder else tmp_path / "a.png", 5, fps=30)]
    assert values == ([10, 200, 10, 200, 10] if whole_folder else [10] * 5)


def test_animation_is_repeated(tmp_path: Path) -> None:
    images = [Image.new("L", (40, 30), value) for value in (10, 200)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=20)
    values = [int(frame.image[0, 0, 0]) for frame in read(tmp_path / "a.gif", 4)]
    assert values == [10, 200, 10, 200]


def test_truncated_video_begins_again_where_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    video = make_video(tmp_path / "clip.avi", "MJPG", FRAMES)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 5 // 6])
    caplog.set_level(logging.INFO, "device_apps")
    assert len(read(video, 2 * FRAMES, fps=100)) == 2 * FRAMES
    assert len(caplog.messages) == 1
    assert "truncated" in caplog.messages[0]


@pytest.mark.parametrize("source", ["0", "picamera", "rtsp://camera/1", "/dev/null"])
def test_other_sources_cannot_be_repeated(source: str) -> None:
    with pytest.raises(SettingError, match="is not a file or folder, which alone can be repeated; leave out --loop"):
        open_source(source, loop=True)


def test_mistakes_are_those_without_loop(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such source"):
        open_source(str(tmp_path / "nothing.mp4"), loop=True)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(SourceError, match="not a usable video"):
        open_source(str(tmp_path / "text.mp4"), loop=True).__enter__()
    with pytest.raises(SettingError, match="width and height are options of cameras only"):
        open_source(str(tmp_path / "text.mp4"), loop=True, width=10)


def test_command_repeats_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    video = make_video(tmp_path / "clip.avi", "MJPG", 3)
    assert cli.main(["camera", "--source", str(video), "--loop", "--fps", "50", "--headless", "--max-frames", "8"]) == 0
    assert "8 frames" in capfd.readouterr().err
