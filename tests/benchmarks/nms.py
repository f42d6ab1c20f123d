"""Suppression alone: ours, OpenCV's, supervision's NumPy one: python tests/benchmarks/nms.py

One class, IoU threshold 0.5, all boxes kept that are to be. Peers that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
from candidates import Kind, candidates
from timing import interleaved

from edge_ssd.coding import offset_inverse
from edge_ssd.network import tiny_ssd
from edge_ssd.nms import nms

TARGETS = {"cv2": 1.0, "supervision": 0.2}


def main() -> None:
    network = tiny_ssd(["banana"])
    kinds: tuple[Kind, ...] = ("scattered", "clustered")
    for number in (20, 300, 5444):
        for kind in kinds:
            some = candidates(network, number, kind, quantized=False)
            scores = some.probabilities[:, 1]
            chosen = np.flatnonzero(scores >= 0.5)
            boxes = offset_inverse(network.anchors()[chosen], some.offsets[chosen])
            compare(boxes, scores[chosen], kind)


def compare(boxes: np.ndarray, scores: np.ndarray, kind: Kind) -> None:
    things = {"edge_ssd": lambda: nms(boxes, scores, 0.5)}
    kept = {"edge_ssd": len(nms(boxes, scores, 0.5))}
    if importlib.util.find_spec("cv2"):
        import cv2

        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        things["cv2"] = lambda: cv2.dnn.NMSBoxes(xywh, scores, 0.0, 0.5)
        kept["cv2"] = len(things["cv2"]())
    if importlib.util.find_spec("supervision"):
        import supervision

        predictions = np.concatenate([boxes, scores[:, None]], axis=1)
        things["supervision"] = lambda: supervision.box_non_max_suppression(predictions, 0.5)
        kept["supervision"] = int(things["supervision"]().sum())
    times = interleaved(things, 30 if len(boxes) > 1000 else 300)
    line = f"{len(boxes):5d} {kind:10s}"
    for name, time in times.items():
        line += f"  {name} {time:9.1f} us (kept {kept[name]})"
    for name, target in TARGETS.items():
        if name in times:
            line += f"  {times['edge_ssd'] / times[name]:.3f} of {name}, target {target}"
    print(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
