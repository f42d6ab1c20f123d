"""Detect objects in images: python embed.py MODEL.tflite IMAGE..."""

import sys

from edge_ssd import Detector, EdgeSSDError

if len(sys.argv) < 3:
    sys.exit(__doc__)
model, *images = sys.argv[1:]
try:
    with Detector(model, score_threshold=0.5) as detector:
        for image in images:
            for label, score, (xmin, ymin, xmax, ymax), _ in detector.detect(image):
                print(f"{image}: {label} {score:.2f} at ({xmin:.0f}, {ymin:.0f}) to ({xmax:.0f}, {ymax:.0f})")
except EdgeSSDError as error:  # of the model, or of an image
    sys.exit(f"error: {error}")
