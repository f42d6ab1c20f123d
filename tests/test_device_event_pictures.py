"""Pictures of events, and the room that they may take."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from event_parts import Notices, event, result
from PIL import Image

from device_apps.events.snapshots import EventSnapshots
from edge_ssd.errors import EdgeSSDError

A = (20.0, 40.0, 90.0, 80.0)


def save(pictures: EventSnapshots, *numbers: int) -> list[Path]:
    paths = [pictures.path_for(event(number)) for number in numbers]
    for number, path in zip(numbers, paths, strict=True):
        pictures.save(path, result(0, number, (0, A)))
        while pictures._worker._queue.qsize() > 2:  # As many at once as no camera brings.
            time.sleep(0.001)
    pictures.close(time.monotonic() + 30)
    return paths


def test_the_picture_shows_the_frame_with_its_boxes(tmp_path: Path) -> None:
    (path,) = save(EventSnapshots(tmp_path / "new", 10**6, Notices()), 3)
    assert path.name == "event-20261124T120003250Z-12ab-3-banana-enter.jpg"
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("JPEG", (200, 100))
        pixels = np.asarray(picture).astype(int)
    assert abs(pixels[5, 5] - 90).max() < 12, "the frame"
    assert abs(pixels[60, 20] - 90).max() > 60, "the left side of the box"
    assert list((tmp_path / "new").iterdir()) == [path]


def test_a_label_becomes_a_file_name(tmp_path: Path) -> None:
    pictures = EventSnapshots(tmp_path, 10**6, Notices())
    assert pictures.path_for(event(1, label="../été / 7")).name.endswith("-1-_t_7-enter.jpg")
    pictures.close(time.monotonic() + 30)


def test_the_oldest_go_when_there_would_be_too_many(tmp_path: Path) -> None:
    (one,) = save(EventSnapshots(tmp_path, 10**6, Notices()), 0)
    size = one.stat().st_size
    paths = save(EventSnapshots(tmp_path, round(3.5 * size), Notices()), *range(1, 9))
    assert sorted(tmp_path.iterdir()) == paths[-3:]


def test_pictures_of_earlier_runs_count(tmp_path: Path) -> None:
    paths = save(EventSnapshots(tmp_path, 10**6, Notices()), *range(6))
    size = paths[0].stat().st_size
    EventSnapshots(tmp_path, round(2.5 * size), Notices()).close(time.monotonic() + 30)
    assert sorted(tmp_path.iterdir()) == paths[-2:]


def test_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    others = [
        "holiday.jpg",
        "event-20261124T120003250Z-12ab-3-banana-enter.png",
        "event-1-banana-enter.jpg",
        "my event-20261124T120003250Z-12ab-3-banana-enter.jpg",
        ".hidden.12-0123abcd.jpg",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"x" * 5000)
    (tmp_path / "event-20261124T120003250Z-12ab-3-banana-leave.jpg").mkdir()
    save(EventSnapshots(tmp_path, 10, Notices()), *range(3))
    assert {path.name for path in tmp_path.iterdir()} >= {*others, "event-20261124T120003250Z-12ab-3-banana-leave.jpg"}


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    stem = ".event-20261124T120003250Z-12ab-3-banana-enter"
    for pid in (gone.pid, os.getpid(), 1):
        (tmp_path / f"{stem}.{pid}-0123abcd.jpg").write_bytes(b"half")
    EventSnapshots(tmp_path, 10**6, Notices()).close(time.monotonic() + 30)
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}.1-0123abcd.jpg"], "that process is running"


def test_a_picture_that_somebody_deleted_is_no_trouble(tmp_path: Path) -> None:
    paths = save(EventSnapshots(tmp_path, 10**6, Notices()), 0, 1)
    pictures = EventSnapshots(tmp_path, round(2.5 * paths[0].stat().st_size), Notices())
    paths[0].unlink()
    notices = Notices()
    last = save(pictures, 2, 3)
    assert sorted(tmp_path.iterdir()) == last
    assert notices.lines == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match="cannot write to this folder"):
        EventSnapshots(tmp_path / "file", 10**6, Notices())
