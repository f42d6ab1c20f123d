"""Runs in the TFLite Task Library's environment: ``task_library_detect.py MODEL PICTURES.npz THRESHOLD``

Prints what mediapipe_detect.py prints.
"""

import json
import sys

import numpy as np
from tflite_support.task import core, processor, vision


def main() -> None:
    model, pictures, threshold = sys.argv[1:]
    detector = vision.ObjectDetector.create_from_options(
        vision.ObjectDetectorOptions(
            base_options=core.BaseOptions(file_name=model),
            detection_options=processor.DetectionOptions(score_threshold=float(threshold)),
        )
    )
    results = []
    with np.load(pictures) as arrays:
        for name in sorted(arrays):
            pixels = arrays[name]  # kept: the image refers to its memory without holding it
            image = vision.TensorImage.create_from_array(pixels)
            results.append([as_dict(detection) for detection in detector.detect(image).detections])
    print(json.dumps(results))


def as_dict(detection) -> dict:
    (category,), box = detection.categories, detection.bounding_box
    corners = [box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height]
    return {"label": category.category_name, "score": category.score, "box": corners}


main()
