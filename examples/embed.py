"""Detect objects in images: python embed.py MODEL.tflite IMAGE..."""

import sys

from edge_ssd import Detector

if len(sys.argv) < 3:
    sys.exit(__doc__)
model, *images = sys.argv[1:]
with Detector(model, score_threshold=0.5) as detector:
    for image in images:
        for detection in detector.detect(image):
            xmin, ymin, xmax, ymax = detection.box
            label, score = detection.label, detection.score
            print(f"{image}: {label} {score:.2f} at ({xmin:.0f}, {ymin:.0f}) to ({xmax:.0f}, {ymax:.0f})")
