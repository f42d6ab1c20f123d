"""Runs in the emulated Python and, for comparison, natively: what the detector gives on one photo.

    guest_detect.py PHOTO RESULT.npz [reference]

RESULT holds the network's input, its raw heads, and the detections, of the shipped model; one JSON line on stdout
names the machine, where the package comes from, and the outcome of the self-test. With "reference", the heads are those
of TFLite's reference kernels, which ai-edge-litert has too: plain loops in integers, the same on every machine.
"""

from __future__ import annotations

import json
import platform
import sys

import numpy as np

import edge_ssd
from edge_ssd.runtime.interpreter import Interpreter, open_interpreter
from edge_ssd.runtime.preprocess import preprocess, read_image
from edge_ssd.runtime.shipped_models import default_model


def main(photo: str, result: str, kernels: str = "default") -> None:
    with edge_ssd.Detector(default_model(), num_threads=1) as detector:
        selftest, found = detector.selftest(), detector.detect(photo)
    pixels, _ = preprocess(read_image(photo), detector.network.input)
    make = reference_interpreter if kernels == "reference" else open_interpreter
    heads = make(detector.bundle.flatbuffer, 1).invoke(pixels)
    np.savez(
        result,
        pixels=pixels,
        xyxy=found.xyxy,
        confidence=found.confidence,
        class_id=found.class_id,
        **{f"head_{name}": head.values for name, head in heads.items()},
    )
    about = {"machine": platform.machine(), "backend": detector.backend, "package": edge_ssd.__file__}
    print(json.dumps({**about, "selftest": selftest._asdict()}))


def reference_interpreter(flatbuffer: bytes, num_threads: int) -> Interpreter:
    from ai_edge_litert.interpreter import Interpreter as Native
    from ai_edge_litert.interpreter import OpResolverType

    kernels = OpResolverType.BUILTIN_REF
    native = Native(model_content=flatbuffer, num_threads=num_threads, experimental_op_resolver_type=kernels)
    native.allocate_tensors()
    return Interpreter(native, "ai-edge-litert", num_threads)


if __name__ == "__main__":
    main(*sys.argv[1:])
