"""Overhead of the detector relative to the interpreter: python tests/benchmarks/detector.py MODEL.tflite

Start: new processes, interleaved, from the start of the script to the first result. Stages: everything but the network,
for frames of several sizes, resized by NumPy and, if it is installed, by OpenCV, and from the bytes of JPEG images;
medians of interleaved calls in CPU time of one thread, relative to the network in the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image
from timing import time_interleaved

from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved
from edge_ssd.runtime.preprocess import preprocess
from edge_ssd.runtime.resize import numpy_resize, opencv_resize

START_TARGET = 1.3
TARGETS = {"NumPy": 1.2, "OpenCV": 0.6}  # all but invoke of a 640×480 frame, relative to nano's invoke
SIZES = ((640, 480), (1280, 720), (1920, 1080))

_BARE = """
import time; start = time.perf_counter()
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path={model!r}, num_threads=1)
interpreter.allocate_tensors()
details = interpreter.get_input_details()[0]
interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
interpreter.invoke()
[interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
print(time.perf_counter() - start)
"""

_DETECTOR = """
import time; start = time.perf_counter()
import numpy as np
from edge_ssd import Detector
detector = Detector({model!r}, num_threads=1, backend="ai-edge-litert")
detector.detect(np.zeros({shape!r}, np.uint8))
print(time.perf_counter() - start)
"""


def seconds(program: str) -> float:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=root)
    return float(process.stdout.split()[-1])


def start(model: str, shape: tuple[int, int, int], rounds: int) -> None:
    wide = (480, 640, 3)
    programs = {
        "bare interpreter": _BARE.format(model=model),
        "Detector, an image of the input's size": _DETECTOR.format(model=model, shape=shape),
        "Detector, 640x480": _DETECTOR.format(model=model, shape=wide),
    }
    samples = call_interleaved(seconds, list(programs.values()), rounds + 1)
    medians = [median(values[1:]) for values in samples]  # The first run fills the cache of the disk.
    for name, value in zip(programs, medians, strict=True):
        ratio = value / medians[0]
        print(f"start  {name:42s} {1000 * value:6.1f} ms  {ratio:4.2f}  (target {START_TARGET})")


def stages(model: str, rounds: int) -> None:
    """Print the time of all but the network, which returns the outputs of the self-test image."""
    resizes = {"NumPy": numpy_resize}
    if importlib.util.find_spec("cv2"):
        import cv2

        cv2.setNumThreads(1)
        resizes["OpenCV"] = opencv_resize
    functions: dict[str, Any] = {}
    detector = Detector(model, num_threads=1, backend="ai-edge-litert")
    image, interpreter = detector.bundle.selftest.image, detector._state.model.interpreter
    assert interpreter is not None
    heads = interpreter.invoke(image)
    functions["invoke"] = lambda: interpreter.invoke(image)
    for name, resize in resizes.items():
        fixed = Detector(detector.bundle, num_threads=1, resize=resize)
        without_network: Any = SimpleNamespace(invoke=lambda _: heads)
        fixed._state = fixed._state._replace(model=replace(fixed._state.model, interpreter=without_network))
        for size in SIZES:
            photo = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
            frame, spec = np.asarray(photo), detector.network.input
            out = np.empty((*spec.size, 3), np.uint8)
            label = f"{name} {size[0]}x{size[1]}"
            functions[f"preprocess {label}"] = lambda f=frame, r=resize, s=spec, o=out: preprocess(f, s, r, o)
            functions[f"all but invoke {label}"] = lambda f=frame, d=fixed: d.detect(f)
            file = io.BytesIO()
            photo.save(file, "JPEG", quality=85)
            data = file.getvalue()
            functions[f"JPEG, all but invoke {label}"] = lambda data=data, d=fixed: d.detect(data)
    times = time_interleaved(functions, rounds)
    for name, microseconds in times.items():
        target = next((f"  (target {t})" for key, t in TARGETS.items() if name == f"all but invoke {key} 640x480"), "")
        print(f"{name:42s} {microseconds / 1000:7.3f} ms  {microseconds / times['invoke']:5.2f} of invoke{target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=10, help="processes of each program")
    parser.add_argument("--frames", type=int, default=300, help="calls of each stage")
    args = parser.parse_args()
    model = str(Path(args.model).resolve())
    with Detector(model) as detector:
        height, width = detector.network.input.size
    start(model, (height, width, 3), args.rounds)
    stages(model, args.frames)


if __name__ == "__main__":
    main()
