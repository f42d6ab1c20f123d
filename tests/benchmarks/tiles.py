"""What tiles find and cost: recall by object size in frames of 1920×1080, and the time of a frame.

    python tests/benchmarks/tiles.py [MODEL] [--frames N]

The frames are drawn: a background with bananas of 16 to 256 pixels, as many of each size, at other seeds than those of
training. An object is found if a detection of the model's threshold overlaps it by an IoU of 0.5 or more. Times are the
CPU time of one thread, interleaved, relative to the whole frame alone.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from timing import time_interleaved

from edge_ssd import Detector, Tiles, box_iou
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import random_bunch
from edge_ssd.data.synthetic.sprite import draw_bananas

HEIGHT, WIDTH = 1080, 1920
SIDES = (16, 24, 32, 48, 64, 96, 128, 192, 256)  # pixels, of the longer side of a banana
OF_EACH = 2  # bananas of each size in a frame
DIVISIONS = {
    "whole frame": None,
    "2x1": Tiles(2, 1),
    "2x2": Tiles(2, 2),
    "3x2": Tiles(3, 2),
    "4x3": Tiles(4, 3),
    "6x4": Tiles(6, 4),
    "3x2, not the whole": Tiles(3, 2, whole=False),
}


def draw_frame(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return a frame, the boxes of its bananas, and the side that each was drawn with."""
    image = draw_background(rng, HEIGHT, WIDTH)
    boxes: list[tuple[int, int, int, int]] = []
    sides = []
    for side in sorted(SIDES * OF_EACH, reverse=True):
        for _ in range(100):
            margin = side / 2 + 8
            center = (rng.uniform(margin, WIDTH - margin), rng.uniform(margin, HEIGHT - margin))
            sprite = draw_bananas(random_bunch(rng, 1), side, rng.uniform(0, 2 * math.pi), center)
            left, top, right, bottom = sprite.box_xyxy
            if all(right < box[0] or box[2] < left or bottom < box[1] or box[3] < top for box in boxes):
                rgba = sprite.rgba.astype(np.float32) / 255
                region = image[sprite.y : sprite.y + len(rgba), sprite.x : sprite.x + rgba.shape[1]]
                region += (rgba[..., :3] - region) * rgba[..., 3:]
                boxes.append(sprite.box_xyxy)
                sides.append(side)
                break
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), np.array(boxes, np.float32), sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="banana-small")
    parser.add_argument("--frames", type=int, default=30)
    args = parser.parse_args()
    rng = np.random.default_rng(20_261)
    frames = [draw_frame(rng) for _ in range(args.frames)]
    detectors = {name: Detector(args.model, num_threads=1, tiles=tiles) for name, tiles in DIVISIONS.items()}
    image = frames[0][0]
    times = time_interleaved({name: lambda d=d: d.detect(image) for name, d in detectors.items()}, rounds=20)
    print("recall by the longer side in pixels (the whole frame is reduced 7.5 times in width, 4.2 in height)")
    print(f"{'':20}" + "".join(f"{side:>6}" for side in SIDES) + "   false   time")
    for name, detector in detectors.items():
        found = dict.fromkeys(SIDES, 0)
        drawn = dict.fromkeys(SIDES, 0)
        false = 0
        for frame, boxes, sides in frames:
            detections = detector.detect(frame)
            iou = box_iou(boxes, detections.xyxy)
            for side, row in zip(sides, iou, strict=True):
                drawn[side] += 1
                found[side] += bool((row >= 0.5).any())
            false += int((iou.max(axis=0, initial=0) < 0.5).sum())
        row = "".join(f"{found[side] / max(drawn[side], 1):6.2f}" for side in SIDES)
        print(f"{name:20}{row}{false / len(frames):8.1f}{times[name] / times['whole frame']:7.2f}")


if __name__ == "__main__":
    main()
