"""Detection in one photo, run in the emulated Python and, for comparison, natively.

    guest_detect.py PHOTO RESULT.npz [reference]

RESULT receives the input, the raw heads and the detections of the shipped model. One JSON line on stdout holds the
machine, the path of the package, and the result of the self-test. With "reference", the heads are computed by TFLite's
reference kernels, which ai-edge-litert contains too: integer loops, bit-exact on every machine.
"""

from __future__ import annotations

import json
import platform
import sys

import numpy as np

import edge_ssd
from edge_ssd.runtime.interpreter import Interpreter, open_interpreter
from edge_ssd.runtime.preprocess import preprocess, read_image
from edge_ssd.runtime.shipped_models import find_model


def main(photo: str, result: str, kernels: str = "default") -> None:
    with edge_ssd.Detector(find_model("banana"), num_threads=1) as detector:
        selftest, detections = detector.selftest(), detector.detect(photo)
    pixels, _ = preprocess(read_image(photo), detector.network.input)
    open_model = reference_interpreter if kernels == "reference" else open_interpreter
    heads = open_model(detector.bundle.flatbuffer, 1).invoke(pixels)
    np.savez(
        result,
        pixels=pixels,
        xyxy=detections.xyxy,
        confidence=detections.confidence,
        class_id=detections.class_id,
        **{f"head_{name}": head.values for name, head in heads.items()},
    )
    origin = {"machine": platform.machine(), "backend": detector.backend, "package": edge_ssd.__file__}
    print(json.dumps({**origin, "selftest": selftest._asdict()}))


def reference_interpreter(flatbuffer: bytes, num_threads: int) -> Interpreter:
    """Load a model with TFLite's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter as Native
    from ai_edge_litert.interpreter import OpResolverType

    kernels = OpResolverType.BUILTIN_REF
    native = Native(model_content=flatbuffer, num_threads=num_threads, experimental_op_resolver_type=kernels)
    native.allocate_tensors()
    return Interpreter(native, "ai-edge-litert", num_threads)


if __name__ == "__main__":
    main(*sys.argv[1:])
