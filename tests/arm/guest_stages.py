"""Stages of a detection, each between two markers, run in the emulated Python under the counting plug-in.

    guest_stages.py [MODEL]

MODEL is a bundle, by default the shipped one. The frame is its embedded self-test image, enlarged to 640×480. Each
stage is called a few times before it is counted: the first calls allocate memory, pack weights and import modules.
OpenCV resizes if it is on the path. One JSON line on stdout holds the model's SHA-256, the versions, and the number of
calls and detections.
"""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edge_ssd import Detector
from edge_ssd.runtime import loaded_model
from edge_ssd.runtime.bundle import Bundle, read_bundle
from edge_ssd.runtime.interpreter import Interpreter, open_interpreter
from edge_ssd.runtime.postprocess import Head, Postprocess
from edge_ssd.runtime.preprocess import preprocess
from edge_ssd.runtime.shipped_models import find_model

FRAME = (640, 480)  # width, height


def main() -> None:
    path = Path(sys.argv[1]) if sys.argv[1:] else find_model("banana")
    if opencv := importlib.util.find_spec("cv2"):
        import cv2

        cv2.setNumThreads(1)
    bundle = read_bundle(path)
    network, defaults = bundle.network, bundle.defaults
    frame = np.asarray(Image.fromarray(bundle.selftest.image).resize(FRAME, Image.Resampling.BICUBIC))
    interpreter, run_postprocess = open_interpreter(bundle.flatbuffer, num_threads=1), Postprocess(network)
    pixels, transform = preprocess(frame, network.input)
    heads = interpreter.invoke(pixels)
    detector = detector_with(FixedInterpreter(interpreter, heads), bundle)

    def postprocess() -> Any:
        return run_postprocess(
            [heads[head.output] for head in bundle.details.class_heads],
            [heads[head.output] for head in bundle.details.box_heads],
            transform,
            score_threshold=defaults.score_threshold,
            iou_threshold=defaults.iou_threshold,
            max_detections=defaults.max_detections,
        )

    stages: dict[str, tuple[int, int, Callable[[], Any]]] = {
        "nothing": (20, 20, lambda: None),
        "preprocess": (3, 5, lambda: preprocess(frame, network.input)),
        "invoke": (1, 2, lambda: interpreter.invoke(pixels)),
        "postprocess": (20, 20, postprocess),
        "all but invoke": (3, 5, lambda: detector.detect(frame)),
    }
    gc.collect()
    gc.disable()  # a collection would be counted in an arbitrary stage
    mark = os.getppid
    for warm_up, repeats, stage in stages.values():
        for _ in range(warm_up):
            stage()
        for _ in range(repeats):
            mark()
            stage()
            mark()
    print(
        json.dumps(
            {
                "repeats": {name: repeats for name, (_, repeats, _) in stages.items()},
                "model": hashlib.sha256(path.read_bytes()).hexdigest(),
                "interpreter": f"{interpreter.backend} {version(interpreter.backend)}",
                "python": platform.python_version(),
                "numpy": version("numpy"),
                "pillow": version("pillow"),
                "opencv": opencv and cv2.__version__,
                "detections": len(detector.detect(frame)),
            }
        )
    )


class FixedInterpreter:
    """Interpreter that returns fixed heads, so that only the work around it is counted."""

    def __init__(self, interpreter: Interpreter, heads: dict[str, Head]) -> None:
        self.__dict__.update(vars(interpreter))
        self.heads = heads

    def invoke(self, pixels: object) -> dict[str, Head]:
        return self.heads


def detector_with(interpreter: FixedInterpreter, bundle: Bundle) -> Detector:
    """Return a detector that runs on ``interpreter``."""
    loaded_model.open_interpreter = lambda *_: interpreter  # type: ignore[assignment]
    return Detector(bundle)


if __name__ == "__main__":
    main()
