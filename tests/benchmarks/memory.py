"""Resident memory of the detector relative to a bare interpreter: python tests/benchmarks/memory.py MODEL [--frames N]

Each runs in its own process, with one thread and ai-edge-litert. The bare interpreter loads NumPy and the model and
invokes it; the detector gets changing frames of 640×480, measured after 1000 frames and at the end. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

OVERHEAD_TARGET, GROWTH_TARGET = 12.0, 1.0

_RESIDENT = """
import gc, os
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
"""

_BARE = """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
with open({model!r}, "rb") as file:
    interpreter = Interpreter(model_content=file.read(), num_threads=1)
interpreter.allocate_tensors()
details = interpreter.get_input_details()[0]
frames = np.random.default_rng(0).integers(0, 256, (8, 480, 640, 3)).astype(np.uint8)
outputs = [output["index"] for output in interpreter.get_output_details()]
_, height, width, _ = details["shape"]
for i in range(1000):
    interpreter.set_tensor(details["index"], frames[i % 8, :height, :width][None].copy())
    interpreter.invoke()
    [interpreter.get_tensor(index) for index in outputs]
print(resident())
"""

_DETECTOR = """
import numpy as np
from edge_ssd import Detector
frames = np.random.default_rng(0).integers(0, 256, (8, 480, 640, 3)).astype(np.uint8)
with Detector({model!r}, num_threads=1, backend="ai-edge-litert", score_threshold={threshold}) as detector:
    for i in range({frames}):
        detector.detect(frames[i % 8])
        if i == 999:
            first = resident()
    print(first, resident())
"""


def megabytes(program: str) -> list[float]:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", _RESIDENT + program]
    process = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return [float(number) for number in process.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--score-threshold", type=float, default=0.05, help="low, so that every frame has detections")
    args = parser.parse_args()
    model = str(Path(args.model).resolve())
    (bare,) = megabytes(_BARE.format(model=model))
    first, last = megabytes(
        _DETECTOR.format(model=model, frames=max(1000, args.frames), threshold=args.score_threshold)
    )
    print(
        f"bare interpreter {bare:.1f} MB; detector after 1000 frames {first:.1f} MB, after {args.frames} {last:.1f} MB"
    )
    print(f"overhead {first - bare:.1f} MB (target {OVERHEAD_TARGET})")
    print(f"growth {last - first:.2f} MB in {args.frames - 1000} frames (target {GROWTH_TARGET} in 100 000)")


if __name__ == "__main__":
    main()
