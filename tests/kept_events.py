"""Events with their files on disk, for tests of the preview."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from clocks import wait_until
from event_factory import event, result
from web_camera import RecentEvents

from device_apps.event_clips.recorder import ClipRecorder
from device_apps.events.event import Event
from device_apps.events.snapshot_store import SnapshotStore
from device_apps.seen_frame import SeenObject

BOX = (20.0, 40.0, 90.0, 80.0)
CLIP = bytes(range(256)) * 4


class KeptEvents(RecentEvents):
    """Events with a folder of snapshots and one of clips: number 1 has all files, 2 no clean image, 3 lost them."""

    def __init__(self, folder: Path, clip: bytes = CLIP, older: Sequence[Event] = ()) -> None:
        super().__init__()
        for seen in older:
            self.add(seen)
        self.snapshots = SnapshotStore(folder / "snapshots", 10**7, clean=True)
        self.clips = ClipRecorder(folder / "clips").__enter__()
        self.clip = folder / "clips" / "clip-20261124T120001250Z-12ab-1.webm"
        self.clip.write_bytes(clip)
        for number in (1, 2, 3):
            seen = event(number)
            path = self.snapshots.path_for(seen)
            found = SeenObject("banana", 0.75, BOX) if number == 1 else None
            frame = result(0, number, (0, BOX), (1, BOX), size=(300, 600))
            self.snapshots.save(event(number, snapshot=path), frame, found)
            wait_until(path.exists)
            gone = folder / "clips" / "clip-20261124T120001250Z-12ab-3.webm"
            self.add(event(number, snapshot=path, clip=gone if number == 3 else self.clip))
        path.unlink()
        secret = folder / "secret.jpg"
        secret.write_bytes(path.with_name(path.name.replace("-3-", "-1-").replace("03250", "01250")).read_bytes())
        self.add(event(4, "leave", snapshot=secret, clip=secret))
        self.add(event(5, "zone_enter", label="apple", zone="Bed"))

    def close(self) -> None:
        self.clips.__exit__()
        self.snapshots.close(time.monotonic() + 10)
