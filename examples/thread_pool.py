"""Detect objects in many images, on all cores: python thread_pool.py MODEL IMAGE..."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from edge_ssd import Detections, Detector, EdgeSSDError, read_bundle

WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(model: str, images: list[str]) -> None:
    bundle, local = read_bundle(model), threading.local()  # the file is read once

    def start() -> None:
        local.detector = Detector(bundle, num_threads=1)

    def detect(image: str) -> Detections:
        detections: Detections = local.detector.detect(image)
        return detections

    with ThreadPoolExecutor(WORKERS, initializer=start) as pool:
        for image, detections in zip(images, pool.map(detect, images), strict=True):
            print(f"{image}: {', '.join(detections.names) or 'nothing'}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2:])
    except EdgeSSDError as error:
        sys.exit(f"error: {error}")
