"""Post-processing in NumPy beside TFLite's C++ operator and the book's function, on the same 5444 anchors.

    python tests/benchmarks/postprocess.py [--rounds 400]

int8 heads, score threshold 0.5, IoU threshold 0.5, 100 detections. The C++ operator is given decoded scores for
nothing. All in one process, in turn, medians. Needs ai-edge-litert; the book's algorithm needs PyTorch and is left
out where there is none.
"""

from __future__ import annotations

import argparse
import importlib.util
import time

import numpy as np
from candidates import Kind, candidates
from cpp_operator import CppOperator
from timing import interleaved

from edge_ssd.network import Network, tiny_ssd
from edge_ssd.reference_detection import multibox_detection
from edge_ssd.runtime.postprocess import Postprocess

TARGETS = {(1, 0): 0.2, (1, 20): 0.7, (1, 300): 1.0, (1, 5444): 1.0, (20, 20): 0.5}
BOOK_TARGET = 300


def compare(network: Network, number: int, kind: Kind, rounds: int) -> None:
    some = candidates(network, number, kind)
    postprocess, operator = Postprocess(network), CppOperator(network, 0.5, 0.5, 100)
    operator.give(some.offsets, some.probabilities)

    def ours() -> object:
        return postprocess(some.class_heads, some.box_heads, score_threshold=0.5, iou_threshold=0.5, max_detections=100)

    found = postprocess(some.class_heads, some.box_heads, max_detections=100)
    plain = multibox_detection(some.logits, some.offsets, network.anchors(), max_detections=100)
    if not (np.array_equal(found.confidence, plain[:, 1]) and np.array_equal(found.xyxy, plain[:, 2:])):
        raise SystemExit("not what the plain reference gives")
    operator.invoke()
    theirs = len(operator.found()[2])
    times = interleaved({"C++": operator.invoke, "NumPy": ours}, rounds)
    ratio, target = times["NumPy"] / times["C++"], TARGETS.get((network.num_classes, number))
    print(
        f"{network.num_classes:3d} classes {number:5d} {kind:10s} kept {len(found.confidence):3d} (C++ {theirs:3d})  "
        f"C++ {times['C++']:8.1f} us  NumPy {times['NumPy']:8.1f} us  ratio {ratio:5.2f}"
        + (f"  target {target}" if target else "")
    )


def compare_with_the_book(network: Network, number: int, kind: Kind) -> None:
    from book_detection import BookDetection

    # Compared on float heads, since the book leaves open which of two equal scores comes first; timed on int8 ones.
    some, real = candidates(network, number, kind), candidates(network, number, kind, quantized=False)
    postprocess, book = Postprocess(network), BookDetection(network)
    book.give(real.offsets, real.probabilities)
    found = postprocess(real.class_heads, real.box_heads)
    rows = book.found(0.5)
    if len(rows) != len(found.confidence) or not np.allclose(
        rows[:, 1:], np.concatenate([found.confidence[:, None], found.xyxy], axis=1), atol=1e-4
    ):
        raise SystemExit("not what the book's function gives")
    times = interleaved(
        {
            "book": book.run,
            # Several calls, as many as still are a small part of one of the book's: one would find its caches cold.
            "NumPy": lambda: [postprocess(some.class_heads, some.box_heads) for _ in range(20)],
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
    parser.add_argument("--rounds", type=int, default=400)
    rounds = parser.parse_args().rounds
    kinds: tuple[Kind, ...] = ("scattered", "clustered")
    for classes in (1, 20):
        network = tiny_ssd([str(i) for i in range(classes)])
        for number in (0, 20, 300, 5444):
            for kind in kinds:
                compare(network, number, kind, rounds)
    if importlib.util.find_spec("torch") is None:
        print("the book's function: left out (no PyTorch here)")
        return
    for number in (20, 300):
        for kind in kinds:
            compare_with_the_book(tiny_ssd(["banana"]), number, kind)


if __name__ == "__main__":
    main()
