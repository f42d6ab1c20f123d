"""Detect with Edge SSD on the interpreter of this environment: ``ours.py MODEL IMAGES.npz THRESHOLD``"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from edge_ssd import Detector


def main() -> None:
    model, images, threshold = sys.argv[1:]
    results = []
    with Detector(model, score_threshold=float(threshold)) as detector, np.load(images) as arrays:
        for name in sorted(arrays):
            detections = detector.detect(arrays[name])
            results.append([{"label": d.label, "score": d.score, "box": list(d.box)} for d in detections])
    print(json.dumps(results))


main()
