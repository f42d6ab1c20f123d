"""NMS of this project, OpenCV and supervision (NumPy): python tests/benchmarks/nms.py

One class, IoU threshold 0.5, no limit on the number of boxes. Minima of interleaved calls in one process. Packages that
are not installed are skipped.
"""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
from candidates import Kind, candidates
from timing import time_interleaved

from edge_ssd.coding import offset_inverse
from edge_ssd.network import tiny_ssd
from edge_ssd.nms import nms

TARGETS = {"cv2": 1.0, "supervision": 0.2}


def main() -> None:
    network = tiny_ssd(["banana"])
    kinds: tuple[Kind, ...] = ("scattered", "clustered")
    for number in (20, 300, 5444):
        for kind in kinds:
            outputs = candidates(network, number, kind, quantized=False)
            scores = outputs.probabilities[:, 1]
            above_threshold = np.flatnonzero(scores >= 0.5)
            boxes = offset_inverse(network.anchors()[above_threshold], outputs.offsets[above_threshold])
            compare(boxes, scores[above_threshold], kind)


def compare(boxes: np.ndarray, scores: np.ndarray, kind: Kind) -> None:
    functions = {"edge_ssd": lambda: nms(boxes, scores, 0.5)}
    kept = {"edge_ssd": len(nms(boxes, scores, 0.5))}
    if importlib.util.find_spec("cv2"):
        import cv2

        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        functions["cv2"] = lambda: cv2.dnn.NMSBoxes(xywh, scores, 0.0, 0.5)
        kept["cv2"] = len(functions["cv2"]())
    if importlib.util.find_spec("supervision"):
        import supervision

        predictions = np.concatenate([boxes, scores[:, None]], axis=1)
        functions["supervision"] = lambda: supervision.box_non_max_suppression(predictions, 0.5)
        kept["supervision"] = int(functions["supervision"]().sum())
    times = time_interleaved(functions, 10 if len(boxes) > 1000 else 1000, statistic=min)
    line = f"{len(boxes):5d} {kind:10s}"
    for name, microseconds in times.items():
        line += f"  {name} {microseconds:9.1f} us (kept {kept[name]})"
    for name, target in TARGETS.items():
        if name in times:
            line += f"  {times['edge_ssd'] / times[name]:.3f} of {name}, target {target}"
    print(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
