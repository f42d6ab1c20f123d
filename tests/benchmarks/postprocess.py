"""Postprocessing in NumPy, TFLite's C++ operator, and the book's function, on the same 5444 anchors.

    python tests/benchmarks/postprocess.py [--rounds 1000]

int8 heads, score threshold 0.5, IoU threshold 0.5, at most 100 detections. The dequantization and the softmax that the
C++ operator needs are not timed. Minima of interleaved calls in one process. Needs ai-edge-litert; the book's function
needs PyTorch and is skipped without it.
"""

from __future__ import annotations

import argparse
import importlib.util
import time

import numpy as np
from candidates import Kind, candidates
from cpp_operator import CppOperator
from timing import time_interleaved

from edge_ssd.network import Network, tiny_ssd
from edge_ssd.reference_detection import multibox_detection
from edge_ssd.runtime.postprocess import Postprocess

TARGETS = {(1, 0): 0.2, (1, 20): 0.7, (1, 300): 1.0, (1, 5444): 1.0, (20, 20): 0.5, (20, 5444): 1.0}
BOOK_TARGET = 300


def compare(network: Network, number: int, kind: Kind, rounds: int) -> None:
    outputs = candidates(network, number, kind)
    postprocess, operator = Postprocess(network), CppOperator(network, 0.5, 0.5, 100)
    operator.set_inputs(outputs.offsets, outputs.probabilities)

    def numpy_postprocess() -> object:
        return postprocess(
            outputs.class_heads, outputs.box_heads, score_threshold=0.5, iou_threshold=0.5, max_detections=100
        )

    detections = postprocess(outputs.class_heads, outputs.box_heads, max_detections=100)
    reference = multibox_detection(outputs.logits, outputs.offsets, network.anchors(), max_detections=100)
    if not (
        np.array_equal(detections.confidence, reference[:, 1]) and np.array_equal(detections.xyxy, reference[:, 2:])
    ):
        raise SystemExit("result differs from that of the reference implementation")
    operator.invoke()
    cpp_count = len(operator.detections()[2])
    times = time_interleaved({"C++": operator.invoke, "NumPy": numpy_postprocess}, rounds, statistic=min)
    ratio, target = times["NumPy"] / times["C++"], TARGETS.get((network.num_classes, number))
    print(
        f"{network.num_classes:3d} classes {number:5d} {kind:10s} kept {len(detections):3d} (C++ {cpp_count:3d})  "
        f"C++ {times['C++']:8.1f} us  NumPy {times['NumPy']:8.1f} us  ratio {ratio:5.2f}"
        + (f"  target {target}" if target else "")
    )


def compare_with_the_book(network: Network, number: int, kind: Kind) -> None:
    from book_detection import BookDetection

    # Compared with float heads, since the book does not define the order of equal scores; timed with int8 heads.
    outputs, float_outputs = candidates(network, number, kind), candidates(network, number, kind, quantized=False)
    postprocess, book = Postprocess(network), BookDetection(network)
    book.set_inputs(float_outputs.offsets, float_outputs.probabilities)
    detections = postprocess(float_outputs.class_heads, float_outputs.box_heads)
    rows = book.detections(0.5)
    if len(rows) != len(detections.confidence) or not np.allclose(
        rows[:, 1:], np.concatenate([detections.confidence[:, None], detections.xyxy], axis=1), atol=1e-4
    ):
        raise SystemExit("result differs from that of the book's function")
    times = time_interleaved(
        {
            "book": book.run,
            # 20 calls, still short relative to one of the book's: a single call would have cold caches.
            "NumPy": lambda: [postprocess(outputs.class_heads, outputs.box_heads) for _ in range(20)],
        },
        20,
        clock=time.perf_counter,
    )
    times["NumPy"] /= 20
    print(
        f"the book's function {number:5d} {kind:10s} kept {len(rows):3d}  PyTorch {times['book'] / 1000:6.1f} ms  "
        f"NumPy {times['NumPy']:6.1f} us  {times['book'] / times['NumPy']:5.0f} times faster  target {BOOK_TARGET}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    kinds: tuple[Kind, ...] = ("scattered", "clustered")
    for classes in (1, 20):
        network = tiny_ssd([str(i) for i in range(classes)])
        for number in (0, 20, 300, 5444):
            for kind in kinds:
                compare(network, number, kind, rounds)
    if importlib.util.find_spec("torch") is None:
        print("the book's function: skipped (PyTorch is not installed)")
        return
    for number in (20, 300):
        for kind in kinds:
            compare_with_the_book(tiny_ssd(["banana"]), number, kind)


if __name__ == "__main__":
    main()
