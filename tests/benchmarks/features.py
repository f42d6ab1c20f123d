"""Costs of the features of the camera command, relative to a detection: python tests/benchmarks/features.py [--write]

Prints the table of docs/costs.md; with --write, replaces it there. The instructions on a Cortex-A72 are those of
tests/arm/features.json (make arm-table). On this machine the same work is timed: processor time of the process, the
stages in alternation with detections of ``nano``, medians; so other load hardly affects it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from timing import time_interleaved

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from arm.feature_stages import FEATURES, FRAME, feature_stages
from arm.guest_stages import FixedInterpreter
from arm.measure import FEATURE_TABLE, rewrite
from conftest import REPOSITORY

from edge_ssd.runtime import detector as detector_module
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interpreter import open_interpreter
from edge_ssd.runtime.preprocess import preprocess
from edge_ssd.runtime.shipped_models import find_model

PAGE = REPOSITORY / "docs" / "costs.md"


def measure(rounds: int) -> dict[str, float]:
    """Return the time of each stage relative to a detection of ``nano``."""
    cv2.setNumThreads(1)
    bundle = read_bundle(find_model("nano"))
    image = np.asarray(Image.fromarray(bundle.selftest.image).resize(FRAME))
    interpreter = open_interpreter(bundle.flatbuffer, num_threads=1)
    heads = interpreter.invoke(preprocess(bundle.selftest.image, bundle.network.input)[0])
    whole = Detector(bundle, num_threads=1)
    tiled = whole.share(tiles="2x2")
    opened, detector_module.open_interpreter = (
        detector_module.open_interpreter,
        lambda *_: FixedInterpreter(interpreter, heads),  # type: ignore[assignment,return-value]
    )
    beside = Detector(bundle)
    detector_module.open_interpreter = opened
    with tempfile.TemporaryDirectory() as folder:
        ratios = {}
        for name, stage in feature_stages(beside, bundle, Path(folder)):
            if name == "tiles":
                stage = lambda: tiled.detect(image)  # noqa: E731
            functions = {"detection": lambda: whole.detect(image), name: stage}
            times = time_interleaved(functions, rounds, time.process_time)
            ratios[name] = times[name] / times["detection"]
    return ratios


def markdown(instructions: dict[str, int], ratios: dict[str, float]) -> str:
    """Format the table: instructions of the stages, and their times relative to a detection."""
    whole = instructions["invoke"] + instructions["detect"]
    lines = [
        "| feature | for each | A72: million instructions | of a detection's | x86: of a detection's time |",
        "|---|---|---:|---:|---:|",
        f"| a detection with `nano`: network, and what is beside it | frame | {instructions['invoke'] / 1e6:.1f} + "
        f"{instructions['detect'] / 1e6:.1f} | 1 | 1 |",
    ]
    for name, feature in FEATURES.items():
        number = instructions[name] + (5 * instructions["invoke"] if name == "tiles" else 0)
        lines.append(
            f"| {feature.text} | {feature.per} | {number / 1e6:.1f} | {number / whole:.3f} | {ratios[name]:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    instructions = json.loads(FEATURE_TABLE.read_text(encoding="utf-8"))["instructions"]
    table = markdown(instructions, measure(args.rounds))
    print(table)
    if args.write:
        PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8"), table, "| feature "), encoding="utf-8")


if __name__ == "__main__":
    main()
