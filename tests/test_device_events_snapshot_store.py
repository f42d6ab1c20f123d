"""Snapshots of events, and the limit of their total size."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from clocks import wait_until
from event_factory import event, result
from PIL import Image

from device_apps.events.snapshot_store import SnapshotStore
from device_apps.seen_frame import SeenObject
from edge_ssd.errors import EdgeSSDError

A = (20.0, 40.0, 90.0, 80.0)


def save(store: SnapshotStore, *numbers: int) -> list[Path]:
    paths = [store.path_for(event(number)) for number in numbers]
    for number, path in zip(numbers, paths, strict=True):
        store.save(event(number, snapshot=path), result(0, number, (0, A)))
        wait_until(path.exists)
    store.close(time.monotonic() + 30)
    return paths


def test_snapshot_shows_the_annotated_frame(tmp_path: Path) -> None:
    (path,) = save(SnapshotStore(tmp_path / "new", 10**6), 3)
    assert path.name == "event-20261124T120003250Z-12ab-3-banana-enter.jpg"
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (200, 100))
        pixels = np.asarray(image).astype(int)
    assert abs(pixels[5, 5] - 90).max() < 12, "the frame"
    assert abs(pixels[60, 20] - 90).max() > 60, "the left side of the box"
    assert list((tmp_path / "new").iterdir()) == [path]


def test_all_events_of_a_frame_have_their_snapshot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Many objects may be in a zone that is new, or be there when a camera comes back."""
    store = SnapshotStore(tmp_path, 10**7, clean=True)
    shown = result(0, 1, (0, A))
    found = SeenObject("banana", 0.9, A)
    for number in range(40):
        store.save(event(number, snapshot=store.path_for(event(number))), shown, found)
    store.close(time.monotonic() + 30)
    assert (store.lost, caplog.messages) == (0, [])
    assert len(list(tmp_path.iterdir())) == 80


def test_frames_that_wait_are_bounded_by_bytes_and_what_is_lost_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_apps.events.snapshot_store._MAX_BYTES", 5 * 3 * 100 * 200)
    store = SnapshotStore(tmp_path, 10**7)
    proceed = threading.Event()
    store.subscribe(lambda seen, jpeg: proceed.wait(30))  # A disk that is slow.
    events = [event(number, snapshot=store.path_for(event(number))) for number in range(9)]
    frames = [result(0, number, (0, A)) for number in range(9)]
    saved = [store.save(seen, shown) for seen, shown in zip(events, frames, strict=True) for _ in range(2)]
    assert saved == [True] * 10 + [False] * 8, "five frames, two events each"
    path = store.path_for(events[4])
    assert store.is_waiting(path.name)
    assert not store.is_waiting(store.path_for(events[5]).name)
    wait_until(store.path_for(events[0]).exists)
    store.close(time.monotonic())
    assert [seen.number for seen in store.unwritten] == [1, 1, 2, 2, 3, 3, 4, 4]
    proceed.set()
    wait_until(path.exists)


def test_path_for_replaces_invalid_characters_of_a_label(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, 10**6)
    assert store.path_for(event(1, label="../été / 7")).name.endswith("-1-_t_7-enter.jpg")
    store.close(time.monotonic() + 30)


def test_snapshot_store_deletes_the_oldest_above_max_bytes(tmp_path: Path) -> None:
    (one,) = save(SnapshotStore(tmp_path, 10**6), 0)
    size = one.stat().st_size
    paths = save(SnapshotStore(tmp_path, round(3.5 * size)), *range(1, 9))
    assert sorted(tmp_path.iterdir()) == paths[-3:]


def test_snapshot_store_counts_snapshots_of_earlier_runs(tmp_path: Path) -> None:
    paths = save(SnapshotStore(tmp_path, 10**6), *range(6))
    size = paths[0].stat().st_size
    SnapshotStore(tmp_path, round(2.5 * size)).close(time.monotonic() + 30)
    assert sorted(tmp_path.iterdir()) == paths[-2:]


def test_snapshot_store_never_touches_other_files(tmp_path: Path) -> None:
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
    save(SnapshotStore(tmp_path, 10), *range(3))
    assert {path.name for path in tmp_path.iterdir()} >= {*others, "event-20261124T120003250Z-12ab-3-banana-leave.jpg"}


def test_snapshot_store_deletes_temporary_files_of_killed_processes(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    stem = ".event-20261124T120003250Z-12ab-3-banana-enter"
    for pid in (ended.pid, os.getpid(), 1):
        (tmp_path / f"{stem}.{pid}-0123abcd.jpg").write_bytes(b"half")
    SnapshotStore(tmp_path, 10**6).close(time.monotonic() + 30)
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}.1-0123abcd.jpg"], "that process is running"


def test_snapshot_store_ignores_deleted_snapshots(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = save(SnapshotStore(tmp_path, 10**6), 0, 1)
    store = SnapshotStore(tmp_path, round(2.5 * paths[0].stat().st_size))
    paths[0].unlink()
    last = save(store, 2, 3)
    assert sorted(tmp_path.iterdir()) == last
    assert caplog.messages == []


def test_snapshot_store_refuses_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match="cannot write to this folder"):
        SnapshotStore(tmp_path / "file", 10**6)
