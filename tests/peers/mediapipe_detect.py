"""Detect with the ObjectDetector of MediaPipe, in its environment: ``mediapipe_detect.py MODEL IMAGES.npz THRESHOLD``

The code of docs/interop.md runs first. Prints one JSON list: for each image, in the order of the names, a list of
{"label", "score", "box": xyxy}.
"""

import contextlib
import json
import re
import sys
import tempfile
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interop.md"


def main() -> None:
    model, images, threshold = sys.argv[1:]
    run_page(Path(model))
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=model), score_threshold=float(threshold)
    )
    results = []
    with vision.ObjectDetector.create_from_options(options) as detector, np.load(images) as arrays:
        for name in sorted(arrays):
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=arrays[name])
            results.append([row for detection in detector.detect(image).detections for row in as_dicts(detection)])
    print(json.dumps(results))


def run_page(model: Path) -> None:
    """Run the Python code of the page with this model."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("banana_mediapipe.tflite").symlink_to(model.resolve())
        Image.new("RGB", (64, 64)).save("image.jpg")
        exec(compile(code, str(PAGE), "exec"), names)
    assert names["result"].detections is not None


def as_dicts(detection) -> list[dict]:
    """Split a detection, which has a category for each class above the threshold."""
    box = detection.bounding_box
    corners = [box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height]
    return [
        {"label": category.category_name, "score": category.score, "box": corners} for category in detection.categories
    ]


main()
