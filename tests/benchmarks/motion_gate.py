"""What the motion gate saves and loses: python tests/benchmarks/motion_gate.py [RECORDING ...] [--time]

Drawn recordings of a fixed camera (640×480, or 1280×720 as MJPEG of quality 50; 15 frames a second, 10 s each), the
shipped clip, and recordings that are named. The detector runs on every frame; the gate gets its detections where it
asks for one. Reported of each recording:

    still     share of frames in which the gate repeats detections: so much less work for the network
    missed    share of the objects of all frames that the repeated detections lack (IoU of at least 0.5)
    stale     share of repeated boxes whose object is not there any more
    noticed   frames from the one in which the moving object appears to the first in which is detected
    events    number of enter and leave events, every frame against gated, and the largest delay in frames of an event
              that both have

--time prints microseconds of processor time for each frame, and those of a detection.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from device_apps.events.tracker import Tracker
from device_apps.jpeg import encode_jpeg
from device_apps.loop import detect_frame
from device_apps.motion_gate import MotionGate
from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import Frame, Image
from device_apps.sources.jpeg_frame import decode_frame
from device_apps.sources.open_source import open_source
from edge_ssd.boxes import box_iou
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import random_banana
from edge_ssd.data.synthetic.generate import _paste
from edge_ssd.data.synthetic.sprite import draw_bananas
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector

CLIP = Path(__file__).resolve().parent.parent.parent / "device_apps" / "clips" / "bananas.mp4"
FPS, FRAMES = 15, 150
SEED = 7
_OFF_SCREEN = -1000.0

Position = Callable[[float], tuple[float, float]]  # Seconds → center of an object, 0–1 of the image.


class Scene(NamedTuple):
    """A drawn recording.

    Attributes:
        light: seconds → factor of all pixels.
        noise: standard deviation of a pixel, in gray levels.
        shake: standard deviation of the position of the camera, in pixels.
        side: length of the moving object, of the image's width; ``position`` where it is.
        contrast: factor of the difference of the moving object to the background.
        jpeg: quality of MJPEG frames of 1280×720; None for frames of 640×480 without compression.
    """

    light: Callable[[float], float] = lambda second: 1.0
    noise: float = 3.0
    shake: float = 0.0
    side: float = 0.08
    position: Position = lambda second: (_OFF_SCREEN, 0.5)
    jpeg: int | None = None
    contrast: float = 1.0


def passing(second: float) -> tuple[float, float]:
    """Enter on the left after two seconds, stop for two seconds in the middle, leave on the right."""
    walked = 0.3 * (second - 2)
    return (walked if walked < 0.5 else max(0.5, walked - 0.6)) - 0.05, 0.62


def appearing(second: float) -> tuple[float, float]:
    """Be there from second 3.03 to 6.03, all at once."""
    return (0.4 if 3.03 <= second < 6.03 else _OFF_SCREEN), 0.55


SCENES = {
    "still, two objects": Scene(),
    "still, dark camera (noise 10)": Scene(noise=10),
    "light drifts by 20 % in 5 s, and back": Scene(light=lambda second: 1 - 0.2 * abs(1 - second / 5)),
    "lamp, 30 %, every 3 s": Scene(light=lambda second: 1.0 if second % 6 < 3 else 0.7),
    "8 % of the width passes": Scene(position=passing),
    "8 % appears and vanishes": Scene(position=appearing),
    "5 % appears and vanishes": Scene(position=appearing, side=0.05),
    "20 % passes": Scene(position=passing, side=0.2),
    "20 % appears and vanishes": Scene(position=appearing, side=0.2),
    "20 % moves by 1 % of the width a second": Scene(position=lambda second: (0.3 + 0.01 * second, 0.55), side=0.2),
    "20 % appears and vanishes, contrast 10 %": Scene(position=appearing, side=0.2, contrast=0.1),
    "the same, noise 10": Scene(position=appearing, side=0.2, contrast=0.1, noise=10),
    "8 % passes, noise 10": Scene(position=passing, noise=10),
    "8 % passes, MJPEG 50": Scene(position=passing, jpeg=50),
    "the camera shakes, 1 pixel": Scene(shake=1.0),
}


def draw(scene: Scene, detector: Detector) -> Iterator[Frame]:
    """Yield the frames of a scene; two bananas that do not move are in each."""
    rng = np.random.default_rng(SEED)
    height, width = (480, 640) if scene.jpeg is None else (720, 1280)
    background = draw_background(rng, height, width)
    for x, y, side in ((0.25, 0.3, 0.15), (0.75, 0.35, 0.2)):
        sprite = draw_bananas([random_banana(rng)], side * width, rng.uniform(0, 6), (x * width, y * height))
        _paste(background, sprite)
    walker, angle = random_banana(rng), rng.uniform(0, 6)
    field = rng.normal(0, scene.noise, (height + 64, width + 64, 3)).astype(np.float32)  # drawing it anew takes long
    background = background.astype(np.float32)
    for number in range(FRAMES):
        second = number / FPS
        x, y = scene.position(second)
        image = background
        if -scene.side / 2 < x < 1 + scene.side / 2:
            image = background.copy()
            _paste(image, draw_bananas([walker], scene.side * width, angle, (x * width, y * height)))
            image = background + np.float32(scene.contrast) * (image - background)
        if scene.shake:
            image = np.roll(image, np.rint(rng.normal(0, scene.shake, 2)).astype(int), (0, 1))
        top, left = rng.integers(0, 64, 2)
        levels = image * np.float32(255 * scene.light(second)) + field[top : top + height, left : left + width]
        pixels: Image = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
        captured: Image | DeferredImage | None = pixels
        if scene.jpeg is not None:
            captured = decode_frame(encode_jpeg(pixels, scene.jpeg), detector.reduced_input)
        assert captured is not None
        yield Frame(captured, number, second, "scene", time=second)


def read(path: Path, detector: Detector) -> Iterator[Frame]:
    with open_source(str(path), input_spec=detector.reduced_input) as source:
        yield from source


class Report(NamedTuple):
    """What a gate did to a recording; shares in 0–1, the delay in frames."""

    frames: int
    still: float
    objects: int
    missed: float
    stale: float
    noticed: int | None
    events: tuple[int, int]
    delay: int


def first_frame(scene: Scene) -> int | None:
    """Return the first frame, from 1, in which half of the moving object is in the image."""
    return next((number for number in range(1, FRAMES) if 0 <= scene.position((number - 1) / FPS)[0] <= 1), None)


def compare(frames: Iterator[Frame], detector: Detector, interval: float, appears: int | None = None) -> Report:
    """Detect in every frame, and with a gate; an object ``appears`` in a frame."""
    gate = MotionGate(interval, detector.tiles)
    trackers = Tracker(kind="motion"), Tracker(kind="motion")
    events: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    noticed = None
    still = missed = stale = objects = boxes = number = 0
    for number, frame in enumerate(frames, 1):
        every = detect_frame(detector, frame)
        gated = gate.repeated(frame)
        if gated is None:
            gate.update(gated := every)
            if appears is not None and noticed is None and number >= appears:
                noticed = number - appears
        else:
            still += 1
        objects, boxes = objects + len(every), boxes + len(gated)
        missed += lacking(every, gated)
        stale += lacking(gated, every)
        for tracker, found, happened in zip(trackers, (every, gated), events, strict=True):
            changes = tracker.update(found, frame.stream_time)
            happened += [("enter", number)] * len(changes.entered) + [("leave", number)] * len(changes.left)
    delays = [0]
    for kind in ("enter", "leave"):
        ones, others = ([at for name, at in happened if name == kind] for happened in events)
        if len(ones) == len(others):
            delays += [other - one for one, other in zip(ones, others, strict=True)]
    return Report(
        number,
        still / number,
        objects,
        missed / max(1, objects),
        stale / max(1, boxes),
        noticed,
        (len(events[0]), len(events[1])),
        max(delays, key=abs),
    )


def lacking(wanted: Detections, found: Detections) -> int:
    """Return how many boxes have no counterpart."""
    if not len(wanted) or not len(found):
        return len(wanted)
    same = (box_iou(wanted.xyxy, found.xyxy) >= 0.5) & (wanted.class_id[:, None] == found.class_id)
    return int((~same.any(axis=1)).sum())


def print_times(detector: Detector) -> None:
    for size in ((480, 640), (270, 480), (1080, 1920)):
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        frame, gate = Frame(image, 0, 0.0, "noise", time=0.0), MotionGate()
        detected = detect_frame(detector, frame)
        gate.repeated(frame)
        gate.update(detected)
        gate_us = median(microseconds(gate.repeated, frame) for _ in range(200))
        detect_us = median(microseconds(detector.detect, image) for _ in range(200))
        print(f"{size[1]}×{size[0]}: gate {gate_us:.0f} µs, detection {detect_us:.0f} µs ({gate_us / detect_us:.2%})")


def microseconds(function: Callable[[Any], object], argument: object) -> float:
    start = time.thread_time()  # That of the network too, which uses one thread.
    function(argument)
    return 1e6 * (time.thread_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--interval", type=float, default=1.0, help="longest time without a detection")
    parser.add_argument("--time", action="store_true")
    args = parser.parse_args()
    with Detector(args.model or "banana", num_threads=1) as detector:
        if args.time:
            print_times(detector)
            return
        print("| recording | frames | still | objects | missed | stale | noticed | events | delay |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        jobs: dict[str, tuple[Iterator[Frame], int | None]]
        jobs = {name: (draw(scene, detector), first_frame(scene)) for name, scene in SCENES.items()}
        jobs |= {path.stem: (read(path, detector), None) for path in (CLIP, *args.recordings)}
        for name, (frames, appears) in jobs.items():
            result = compare(frames, detector, args.interval, appears)
            noticed = "" if result.noticed is None else result.noticed
            print(
                f"| {name} | {result.frames} | {result.still:.0%} | {result.objects} | {result.missed:.1%} | "
                f"{result.stale:.1%} | {noticed} | {result.events[0]} / {result.events[1]} | {result.delay} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
