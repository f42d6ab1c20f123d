"""Identity switches of the trackers on drawn recordings whose objects are known: crossings, occlusions, missed boxes.

    python tests/benchmarks/tracking.py [--seeds 100-107] [--detections runs/tracking.npz]

Bananas of edge_ssd.data.synthetic move on a drawn background: straight, bouncing and turning, in front of each other
and behind a post. The shipped detector finds them, and a part of its detections is dropped. Matching to the truth is
that of MOT: IoU of at least 0.5, and an object keeps its match as long as that holds. A switch is a new number of an
object.
IDF1: E. Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", 2016.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from device_apps.events.tracker import TRACKERS, Tracker
from edge_ssd.boxes import box_iou
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import random_banana
from edge_ssd.data.synthetic.generate import _paste
from edge_ssd.data.synthetic.sprite import draw_bananas
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.shipped_models import find_model

SIZE = 320
FRAMES, FPS = 240, 30


def recording(seed: int, objects: int = 5) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each frame, uint8 [H, W, 3], and its boxes [objects, 4]; a box that is hidden for the most part is NaN."""
    rng = np.random.default_rng(seed)
    background = draw_background(rng, SIZE, SIZE)
    post = int(rng.uniform(0.35, 0.6) * SIZE)
    bananas = [random_banana(rng) for _ in range(objects)]
    sides, angles = rng.uniform(45, 75, objects), rng.uniform(0, 6.28, objects)
    at, speed = rng.uniform(50, SIZE - 50, (objects, 2)), rng.uniform(1.0, 4.0, objects)
    heading = rng.uniform(0, 6.28, objects)
    turn, spin = rng.normal(0, 0.02, objects), rng.normal(0, 0.01, objects)
    for _ in range(FRAMES):
        heading = heading + turn
        step = np.stack([np.cos(heading), np.sin(heading)], 1) * speed[:, None]
        outside = ((at + step < 30) & (step < 0)) | ((at + step > SIZE - 30) & (step > 0))
        heading = np.where(outside[:, 0], np.pi - heading, heading)
        heading = np.where(outside[:, 1], -heading, heading)
        at = at + np.where(outside, -step, step)
        angles = angles + spin
        image = background.copy()
        owner = np.full((SIZE, SIZE), -1)
        boxes, area = np.zeros((objects, 4)), np.zeros(objects)
        for i in range(objects):
            sprite = draw_bananas([bananas[i]], sides[i], angles[i], (at[i, 0], at[i, 1]))
            _paste(image, sprite)
            boxes[i] = sprite.box_xyxy
            top, left = max(sprite.y, 0), max(sprite.x, 0)
            opaque = sprite.rgba[top - sprite.y :, left - sprite.x :, 3] >= 128
            part = owner[top : top + opaque.shape[0], left : left + opaque.shape[1]]
            opaque = opaque[: part.shape[0], : part.shape[1]]
            part[opaque] = i
            area[i] = opaque.sum()
        image[:, post : post + 24] = (0.35, 0.3, 0.25)
        owner[:, post : post + 24] = -1
        visible = np.array([(owner == i).sum() for i in range(objects)])
        boxes[visible < 0.5 * area] = np.nan
        yield np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), boxes


def detect(seeds: list[int], detector: Detector) -> dict[str, np.ndarray]:
    """Return truth and detections of the recordings, by name."""
    arrays: dict[str, np.ndarray] = {}
    for seed in seeds:
        truth = []
        for number, (image, boxes) in enumerate(recording(seed)):
            truth.append(boxes)
            arrays[f"{seed}/{number}"] = detector.detect(image).xyxy
        arrays[f"{seed}"] = np.array(truth)
        print(f"drawn and detected: recording {seed}", file=sys.stderr)
    return arrays


def follow(kind: str, frames: list[np.ndarray], interval: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (numbers of the objects, their boxes) for each frame of detections."""
    tracker = Tracker(0.1, 2.0, kind=kind)  # type: ignore[arg-type]
    found = []
    for number, boxes in enumerate(frames):
        size = len(boxes)
        detections = Detections(
            boxes, np.full(size, 0.9, np.float32), np.zeros(size, np.int64), ["banana"] * size, (SIZE, SIZE)
        )
        tracker.update(detections, number * interval)
        seen = [track for track in tracker.tracks if track.misses == 0]
        found.append((np.array([t.key for t in seen]), np.array([t.box for t in seen]).reshape(-1, 4)))
    return found


def score(truth: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]]) -> tuple[int, int, float]:
    """Return identity switches, number of visible objects in all frames, and IDF1."""
    from scipy.optimize import linear_sum_assignment

    last: dict[int, int] = {}
    together: dict[tuple[int, int], int] = {}
    switches = visible = predictions = 0
    for boxes, (numbers, tracked) in zip(truth, found, strict=True):
        shown = np.flatnonzero(~np.isnan(boxes[:, 0]))
        visible += len(shown)
        predictions += len(numbers)
        overlap = box_iou(boxes[shown].astype(np.float32), tracked.astype(np.float32))
        for row, column in zip(*np.nonzero(overlap >= 0.5), strict=True):
            pair = int(shown[row]), int(numbers[column])
            together[pair] = together.get(pair, 0) + 1
        keeps = np.array([[last.get(i) == number for number in numbers] for i in shown]).reshape(overlap.shape)
        cost = np.where(overlap >= 0.5, -overlap - 10 * keeps, 0)
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            if overlap[row, column] >= 0.5:
                i, number = int(shown[row]), int(numbers[column])
                switches += last.get(i, number) != number
                last[i] = number
    rows, columns = sorted({i for i, _ in together}), sorted({number for _, number in together})
    matrix = np.array([[together.get((i, number), 0) for number in columns] for i in rows]).reshape(len(rows), -1)
    chosen = matrix[linear_sum_assignment(-matrix)].sum()
    return switches, visible, 2 * chosen / max(1, visible + predictions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="100-107")
    parser.add_argument("--detections", type=Path, help="keep drawn recordings' detections here")
    args = parser.parse_args()
    first, last = map(int, args.seeds.split("-"))
    seeds = list(range(first, last + 1))
    if args.detections is not None and args.detections.exists():
        arrays = dict(np.load(args.detections))
    else:
        arrays = detect(seeds, Detector(find_model("banana"), num_threads=1))
        if args.detections is not None:
            args.detections.parent.mkdir(parents=True, exist_ok=True)
            np.savez(args.detections, **arrays)
    print("fps  dropped   " + "".join(f"{kind:>12} switches IDF1" for kind in TRACKERS))
    for step in (1, 3, 6):
        for dropped in (0.0, 0.2, 0.4):
            cells = []
            for kind in TRACKERS:
                results = []
                for seed in seeds:
                    rng = np.random.default_rng(seed)
                    frames = [arrays[f"{seed}/{number}"] for number in range(0, FRAMES, step)]
                    frames = [boxes[rng.random(len(boxes)) >= dropped] for boxes in frames]
                    results.append(score(arrays[f"{seed}"][::step], follow(kind, frames, step / FPS)))
                switches, _, identity = zip(*results, strict=True)
                cells.append(f"{sum(switches):21d} {np.mean(identity):.3f}"[-27:])
            print(f"{FPS // step:3d}  {dropped:7.0%}   " + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
