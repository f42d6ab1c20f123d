"""Stages of the features of the camera command, each between two markers, run in the emulated Python.

    guest_features.py OPENCV FOLDER

OPENCV is the folder of OpenCV's wheel, and FOLDER is for a video. One JSON line on stdout holds the number of calls of
each stage, and the versions.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

from arm.guest_stages import FixedInterpreter, detector_with

from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.interpreter import open_interpreter
from edge_ssd.runtime.preprocess import preprocess
from edge_ssd.runtime.shipped_models import find_model

WARM_UP, REPEATS = 8, 16


def main(opencv: str, folder: str) -> None:
    sys.path.append(opencv)
    import cv2
    from arm.feature_stages import feature_stages

    cv2.setNumThreads(1)
    bundle = read_bundle(find_model("banana-nano"))
    interpreter = open_interpreter(bundle.flatbuffer, num_threads=1)
    pixels, _ = preprocess(bundle.selftest.image, bundle.network.input)
    heads = interpreter.invoke(pixels)
    detector = detector_with(FixedInterpreter(interpreter, heads), bundle)
    network = [("nothing", lambda: None), ("invoke", lambda: interpreter.invoke(pixels))]
    names = []
    gc.collect()
    gc.disable()  # a collection would be counted in an arbitrary stage
    mark = os.getppid
    for name, stage in [*network, *feature_stages(detector, bundle, Path(folder))]:
        names.append(name)
        for _ in range(WARM_UP):
            stage()
        for _ in range(REPEATS):
            mark()
            stage()
            mark()
    ran = {name: version(name) for name in ("numpy", "pillow")} | {"opencv": cv2.__version__}
    print(json.dumps({"repeats": dict.fromkeys(names, REPEATS), **ran}))


if __name__ == "__main__":
    main(*sys.argv[1:])
