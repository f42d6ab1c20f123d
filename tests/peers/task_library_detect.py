"""Detect with the TFLite Task Library, in its environment: ``task_library_detect.py MODEL IMAGES.npz THRESHOLD``

Prints the same as mediapipe_detect.py.
"""

import json
import sys

import numpy as np
from tflite_support.task import core, processor, vision


def main() -> None:
    model, images, threshold = sys.argv[1:]
    detector = vision.ObjectDetector.create_from_options(
        vision.ObjectDetectorOptions(
            base_options=core.BaseOptions(file_name=model),
            detection_options=processor.DetectionOptions(score_threshold=float(threshold)),
        )
    )
    results = []
    with np.load(images) as arrays:
        for name in sorted(arrays):
            pixels = arrays[name]  # keep a reference: the image uses this memory without owning it
            image = vision.TensorImage.create_from_array(pixels)
            results.append([as_dict(detection) for detection in detector.detect(image).detections])
    print(json.dumps(results))


def as_dict(detection) -> dict:
    (category,), box = detection.categories, detection.bounding_box
    corners = [box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height]
    return {"label": category.category_name, "score": category.score, "box": corners}


main()
