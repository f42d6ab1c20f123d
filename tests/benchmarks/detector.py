"""Overhead of the detector relative to the interpreter: python tests/benchmarks/detector.py MODEL.tflite

Start: new processes, interleaved, from the start of the script to the first result. Stages: medians over many frames of
640×480 with one detector, resized by Pillow and, if it is installed, by OpenCV. One thread by default, ai-edge-litert.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
from resizing import opencv

from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved
from edge_ssd.runtime.preprocess import Resize

START_TARGET, SHARE_TARGET = 1.3, 0.2

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
        "Detector, 640x480 (loads Pillow)": _DETECTOR.format(model=model, shape=wide),
    }
    samples = call_interleaved(seconds, list(programs.values()), rounds + 1)
    medians = [median(values[1:]) for values in samples]  # The first run fills the cache of the disk.
    for name, value in zip(programs, medians, strict=True):
        ratio = value / medians[0]
        print(f"start  {name:42s} {1000 * value:6.1f} ms  {ratio:4.2f}  (target {START_TARGET})")


def stages(model: str, frames: int, threads: int, label: str, resize: Resize | None) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    times: dict[str, list[float]] = {}
    with Detector(model, num_threads=threads, backend="ai-edge-litert", resize=resize) as detector:
        for i in range(frames + 5):
            detector.detect(frame)
            for name, value in detector.timings.items() if i >= 5 else ():
                times.setdefault(name, []).append(value)
    milliseconds = {name: 1000 * median(values) for name, values in times.items()}
    overhead = milliseconds["preprocess"] + milliseconds["postprocess"]
    print(f"stages, {label}: " + "  ".join(f"{name} {value:.3f} ms" for name, value in milliseconds.items()))
    print(f"       all but invoke: {overhead / milliseconds['invoke']:.2f} of invoke (target {SHARE_TARGET})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=10, help="processes of each program")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1, help="of the interpreter, for the stages")
    args = parser.parse_args()
    model = str(Path(args.model).resolve())
    with Detector(model) as detector:
        height, width = detector.network.input.size
    start(model, (height, width, 3), args.rounds)
    stages(model, args.frames, args.threads, "Pillow", None)
    if importlib.util.find_spec("cv2"):
        import cv2

        stages(model, args.frames, args.threads, "OpenCV's exact bilinear filter", opencv(cv2.INTER_LINEAR_EXACT))


if __name__ == "__main__":
    main()
