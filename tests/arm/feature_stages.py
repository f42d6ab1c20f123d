"""Work that each feature of the camera command adds to a frame, as functions: counted on ARM and timed on x86.

Frames are of 640×480, with five objects that walk through the image. OpenCV is needed, as for clips on a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage

from device_apps.collect.chooser import FrameChooser
from device_apps.collect.thumbnail import thumbnail
from device_apps.event_clips.frame_ring import EncodedFrame
from device_apps.events.tracker import Track, Tracker
from device_apps.jpeg import bounded_jpeg, encode_jpeg
from device_apps.motion_gate import MotionGate
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame, Image
from device_apps.video_writer import VideoWriter
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.masking import hide
from device_apps.zones.monitor import ZoneMonitor
from edge_ssd.drawing import draw_detections
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector

__all__ = ["FEATURES", "FRAME", "Feature", "feature_stages", "zone_monitor", "zone_tables"]

FRAME = (640, 480)  # width, height
_OBJECTS = 5
_FPS = 10
_PERIOD = 64  # frames after which the objects are where they began


class Feature(NamedTuple):
    """Row of the table of costs.

    Attributes:
        text: what is counted, with a link to its page.
        per: how often it happens.
    """

    text: str
    per: str


# By the names of :func:`feature_stages`.
FEATURES = {
    "tracker": Feature("following objects ([events](events.md))", "frame"),
    "zones": Feature("four [zones](zones.md), two lines", "frame"),
    "mask": Feature("a [mask](zones.md) of a sixth of the image", "frame"),
    "gate": Feature("[motion gate](camera.md#a-still-scene)", "frame"),
    "tiles": Feature("[tiles](tiles.md), 2x2: five networks and what is beside them, in place of one", "frame"),
    "collect": Feature("[collecting](collect.md): comparing the scene with 200 images", "second, at most"),
    "clean": Feature("[collecting](collect.md): a JPEG of quality 95", "image that is kept"),
    "ring": Feature("[clips](events.md#clips): a JPEG for the seconds before", "tenth of a second"),
    "clip": Feature("[clips](events.md#clips): drawing and encoding", "tenth of a second of a clip"),
    "draw": Feature("drawing five boxes", "frame that is shown or saved"),
    "snapshot": Feature("[snapshot](events.md#snapshots): a JPEG of quality 88", "event"),
    "mqtt image": Feature("[image over MQTT](home-assistant.md#image), from the snapshot", "event"),
}


def feature_stages(detector: Detector, bundle: Bundle, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name and the function of each stage; a call is the work for the next frame.

    Args:
        detector: whose network takes no time, so that only the work beside it remains.
        bundle: its self-test image is in the frames.
        folder: for a video.
    """
    image = np.asarray(PillowImage.fromarray(bundle.selftest.image).resize(FRAME, PillowImage.Resampling.BICUBIC))
    objects = _walking_objects()
    yield "detect", lambda: detector.detect(image)

    tracker, tracked = Tracker(0.0, 1.0, kind="motion"), count()

    def track() -> list[Track]:
        number = next(tracked)
        tracker.update(objects[number % _PERIOD], number / _FPS)
        return tracker.tracks

    yield "tracker", track
    walks = [[copy(found) for found in track()] for _ in range(2 * _PERIOD)][_PERIOD:]
    monitor, watched = zone_monitor(), count()

    def watch() -> None:
        number = next(watched)
        monitor.update(walks[number % _PERIOD], number / _FPS, (FRAME[1], FRAME[0]))

    yield "zones", watch
    masks = ActiveZones(None, {"masks": [{"points": [[0, 0], [0.5, 0], [0.3, 0.5], [0, 0.5]]}]}).shapes.masks
    writeable = image.copy()
    yield "mask", lambda: hide(writeable, masks)

    gate, still = MotionGate(), Frame(image, 0, 0.0, "count", time=0.0)
    gate.repeated(still)
    gate.update(objects[0])
    yield "gate", lambda: gate.repeated(still)
    tiled = detector.share(tiles="2x2")
    yield "tiles", lambda: tiled.detect(image)
    yield from _image_stages(image, objects, folder)


def _image_stages(image: Image, objects: list[Detections], folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the stages that look at pixels, encode or draw."""
    rng = np.random.default_rng(0)
    chooser, looked = FrameChooser(dict), count(1)
    for _ in range(200):
        chooser.remember(rng.normal(0, 40, (18, 24)).astype(np.float32))
    nothing = objects[0][:0]

    def look() -> None:
        second = float(next(looked))
        chooser.choose(FrameResult(Frame(image, 0, second, "count", time=second), nothing, {}))

    chooser.remember(thumbnail(image))  # so that the frame is not kept
    yield "collect", look
    moved = [np.ascontiguousarray(np.roll(image, 4 * number, axis=1)) for number in range(8)]
    yield "ring", lambda: EncodedFrame.encode(image, 0.0, objects[0])
    with VideoWriter(folder / "clip.webm", _FPS, live=True) as writer:
        written = count()

        def write() -> None:
            number = next(written)
            frame = Frame(moved[number % len(moved)], number, number / _FPS, "count")
            writer.write(FrameResult(frame, objects[number % _PERIOD], {}))

        yield "clip", write
    yield "draw", lambda: draw_detections(image, objects[0])
    yield "snapshot", lambda: encode_jpeg(image, 88)
    yield "clean", lambda: encode_jpeg(image, 95)
    snapshot = encode_jpeg(image, 88)
    yield "mqtt image", lambda: bounded_jpeg(snapshot, 100_000)


def _walking_objects() -> list[Detections]:
    """Return a period of the objects' walks."""
    frames = []
    for step in range(_PERIOD):
        phase = 2 * np.pi * (step / _PERIOD + np.arange(_OBJECTS) / _OBJECTS)
        at = np.stack([290 + 200 * np.cos(phase), 200 + 150 * np.sin(phase)], 1)
        boxes = np.concatenate([at, at + 60], 1).astype(np.float32)
        scores = np.full(_OBJECTS, 0.9, np.float32)
        names = ["banana"] * _OBJECTS
        frames.append(Detections(boxes, scores, np.zeros(_OBJECTS, np.int64), names, FRAME[::-1]))
    return frames


def zone_tables() -> dict[str, list[dict[str, object]]]:
    """Return four zones of six corners, side by side, and two lines."""
    corners = [(0.0, 0.1), (0.7, 0.0), (1.0, 0.3), (0.9, 0.9), (0.4, 1.0), (0.1, 0.6)]
    return {
        "zones": [{"name": f"zone {i}", "points": [[(x + i) / 4, y] for x, y in corners]} for i in range(4)],
        "lines": [{"name": f"line {i}", "points": [[0, (i + 0.5) / 2], [1, (i + 0.5) / 2]]} for i in range(2)],
    }


def zone_monitor(labels: Sequence[str] = ("banana",)) -> ZoneMonitor:
    """Return a monitor of :func:`zone_tables`."""
    active = ActiveZones(None, zone_tables())
    active.check(labels)
    return ZoneMonitor(active, labels)
