"""A detector inside a program of one's own: python embed.py MODEL.tflite PICTURE..."""

import sys

from edge_ssd import Detector

model, *pictures = sys.argv[1:]
with Detector(model, score_threshold=0.5) as detector:
    for picture in pictures:
        for found in detector.detect(picture):
            xmin, ymin, xmax, ymax = found.box
            print(f"{picture}: {found.label} {found.score:.2f} at ({xmin:.0f}, {ymin:.0f}) to ({xmax:.0f}, {ymax:.0f})")
